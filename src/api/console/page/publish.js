// A form that publishes one message.

import * as api from './api.js';
import { h, put } from './element.js';
import * as format from './format.js';

/** What a payload is written as: its words, the field it goes into, and the content type it has. */
const KINDS = {
  text: ['Text', 'text/plain; charset=utf-8', 'hello, camp'],
  json: ['JSON', 'application/json', '{ "order": 1042, "total": 99.5 }'],
  base64: ['Base64', 'application/octet-stream', 'aGVsbG8='],
};

export class Publish {
  constructor(namespace, topic, shell) {
    [this.namespace, this.topic, this.shell] = [namespace, topic, shell];
    this.payload = h('textarea', { id: 'payload', rows: 4, spellcheck: 'false', autocapitalize: 'none', onkeydown: (event) => this.#key(event) });
    this.key = h('input', { id: 'key', spellcheck: 'false', autocapitalize: 'none', placeholder: 'none' });
    this.type = h('input', { id: 'type', spellcheck: 'false', autocapitalize: 'none' });
    this.attributes = h('div', { class: 'attributes' });
    this.outcome = h('p', { class: 'outcome', role: 'status', 'aria-live': 'polite' });
    this.button = h('button', { class: 'main' }, 'Publish');
    const kinds = Object.entries(KINDS).map(([kind, [words]]) => h('label', {},
      h('input', { type: 'radio', name: 'kind', value: kind, checked: kind === 'text', onchange: () => this.#chosen() }), h('span', {}, words)));
    const add = h('button', { type: 'button', class: 'quiet', onclick: () => this.#attribute().focus() }, 'Add an attribute');
    this.form = h('form', { novalidate: true, onsubmit: (event) => this.#submit(event) },
      h('fieldset', { class: 'choice' }, h('legend', { class: 'unseen' }, 'The payload is'), kinds),
      h('label', { for: 'payload', class: 'unseen' }, 'Payload'), this.payload,
      h('div', { class: 'pair' },
        h('div', {}, h('label', { for: 'key' }, 'Key'), this.key),
        h('div', {}, h('label', { for: 'type' }, 'Content type'), this.type)),
      this.attributes,
      h('div', { class: 'row' }, add, h('span', { class: 'spring' }), this.button),
      this.outcome);
    this.element = h('section', { class: 'card', 'aria-labelledby': 'publish' },
      h('div', { class: 'head' }, h('h2', { id: 'publish' }, 'Publish')), this.form);
    this.#chosen();
  }

  get #kind() {
    return new FormData(this.form).get('kind');
  }

  #chosen() {
    const [, type, example] = KINDS[this.#kind];
    this.payload.placeholder = example;
    this.type.value = type;
  }

  #attribute() {
    const name = h('input', { 'aria-label': 'Name of the attribute', placeholder: 'name', spellcheck: 'false', autocapitalize: 'none' });
    const value = h('input', { 'aria-label': 'Value of the attribute', placeholder: 'value', spellcheck: 'false' });
    const row = h('div', { class: 'attribute' }, name, value,
      h('button', { type: 'button', class: 'quiet', 'aria-label': 'Remove this attribute', onclick: () => row.remove() }, '×'));
    this.attributes.append(row);
    return name;
  }

  #key(event) {
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) this.form.requestSubmit();
  }

  #says(state, words) {
    this.outcome.dataset.state = state;
    put(this.outcome, words);
  }

  /** The message of the form, as JSON. Throws words for whoever fills it in. */
  #message() {
    const [kind, written] = [this.#kind, this.payload.value];
    const message = { contentType: this.type.value.trim() };
    if (kind === 'text') message.text = written;
    if (kind === 'json') {
      try { JSON.parse(written); } catch (error) { throw new Error(`This is not JSON: ${error.message}`); }
    }
    if (kind === 'base64') {
      try { atob(written); } catch { throw new Error('This is not base64: it takes letters, digits, + and /, in fours, with = at the end.'); }
      message.base64 = written.replace(/\s/g, '');
    }
    if (this.key.value) message.key = this.key.value;
    const attributes = {};
    for (const row of this.attributes.children) {
      const [name, value] = [...row.querySelectorAll('input')].map((input) => input.value);
      if (!name && !value) continue;
      if (!name) throw new Error(`The attribute with the value ${value} needs a name.`);
      if (Object.hasOwn(attributes, name)) throw new Error(`There are two attributes with the name ${name}.`);
      attributes[name] = value;
    }
    if (Object.keys(attributes).length) message.attributes = attributes;
    const text = JSON.stringify(message);
    // JSON as it was written: numbers may be longer than those of JavaScript.
    return kind === 'json' ? `${text.slice(0, -1)},"data":${written}}` : text;
  }

  async #submit(event) {
    event.preventDefault();
    let message;
    try {
      message = this.#message();
    } catch (error) {
      this.#says('bad', error.message);
      return;
    }
    this.button.disabled = true;
    try {
      const { position } = await api.publish(this.namespace, this.topic, message);
      this.#says('good', `Published at ${position}, ${format.clock(new Date())}`);
    } catch (error) {
      if (!(error instanceof api.Refused)) throw error;
      this.shell.refused(error);
      const words = { 0: 'The server does not answer; it is not known whether it took the message.', 403: `Your token may not publish here: ${error.message}.` };
      this.#says('bad', words[error.status] ?? `Refused: ${error.message}`);
    } finally {
      this.button.disabled = false;
    }
  }
}
