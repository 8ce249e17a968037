// The webhooks of a topic, and how they are. Where there is none, nothing is shown.

import * as api from './api.js';
import { h, put, show } from './element.js';
import * as format from './format.js';

/** Questions of the page between two for the webhooks. */
const EVERY = 3;
const WORDS = { active: 'active', retrying: 'retrying', dead: 'endpoint is dead', paused: 'paused', disabled: 'disabled' };

export class Webhooks {
  #turn = 0;
  #is_closed = false;
  #rows = new Map();

  constructor(namespace, topic, signal) {
    [this.namespace, this.topic, this.signal] = [namespace, topic, signal];
    this.list = h('ul', { class: 'hooks' });
    this.element = h('section', { class: 'card', 'aria-labelledby': 'webhooks', hidden: true },
      h('div', { class: 'head' }, h('h2', { id: 'webhooks' }, 'Webhooks')), this.list);
  }

  async refresh() {
    if (this.#is_closed || this.#turn++ % EVERY) return;
    try {
      const { webhooks } = await api.webhooks(this.namespace, this.signal);
      this.#are(webhooks.filter(({ topic }) => topic === this.topic));
    } catch (error) {
      if (!(error instanceof api.Refused) || [0, 401].includes(error.status)) throw error;
      // They are not for this caller, or there are none on this server.
      this.#is_closed = true;
    }
  }

  #are(webhooks) {
    const there = new Set(webhooks.map(({ name }) => name));
    for (const [name, row] of this.#rows) {
      if (there.has(name)) continue;
      row.element.remove();
      this.#rows.delete(name);
    }
    for (const webhook of webhooks) {
      if (!this.#rows.has(webhook.name)) {
        const row = new Row(webhook);
        this.#rows.set(webhook.name, row);
        this.list.append(row.element);
      }
      this.#rows.get(webhook.name).is(webhook);
    }
    show(this.element, webhooks.length > 0);
  }
}

class Row {
  constructor({ name, url }) {
    this.state = h('span', { class: 'pill' });
    this.figures = h('p', { class: 'hint' });
    this.error = h('p', { class: 'wrong' });
    this.element = h('li', {}, h('div', { class: 'row' }, h('b', {}, name), this.state), h('code', {}, url), this.figures, this.error);
  }

  is({ health, lagMessages, deliveredMessages, droppedMessages, missedMessages, failures, lastError, lastSuccessTime }) {
    this.state.dataset.state = { active: 'good', dead: 'bad', disabled: 'bad' }[health] ?? 'warn';
    put(this.state, WORDS[health] ?? health);
    const ago = lastSuccessTime ? `, last ${format.seconds(Math.max(0, (Date.now() - Date.parse(lastSuccessTime)) / 1000))} ago` : '';
    const lost = droppedMessages + missedMessages;
    put(this.figures, `${format.count(deliveredMessages)} delivered${ago}; lag ${format.count(lagMessages)}${lost ? `; ${format.count(lost)} not delivered` : ''}`);
    put(this.error, lastError ? `${format.counted(failures, 'failure')} in a row: ${lastError}` : '');
    show(this.error, Boolean(lastError));
  }
}
