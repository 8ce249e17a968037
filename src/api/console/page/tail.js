// The messages of a topic as they come: a bounded number of rows, the newest on top.

import * as api from './api.js';
import { h, put, show } from './element.js';
import * as format from './format.js';

/** Rows that are kept, and characters of their messages. */
const [ROWS, KEPT] = [500, 32_000_000];
/** Characters of a payload that a closed row shows, and an open one. */
const [BRIEF, WHOLE] = [200, 200_000];
/** Rows are drawn at most so often, for a fast topic would leave no time for anything else: milliseconds. */
const EVERY = 250;
/** First wait before a stream is opened again, and the longest, milliseconds. */
const [WAIT, WAIT_MOST] = [500, 10_000];

/** A page that nobody looks at for so long lets its connection go, for a browser has few: milliseconds. */
const AWAY = 30_000;

const STARTS = [['latest', 'from now on'], ['last=10', 'last 10'], ['last=100', 'last 100'], ['earliest', 'from the beginning']];
const REASONS = {
  slow: 'this page was too slow and was overtaken by retention',
  expired: 'what was asked for is no longer retained',
  reset: 'the topic began a new epoch',
  store: 'the store lost messages',
};

/** Keeps numbers as they are written where JavaScript's own are shorter. */
const exact = JSON.rawJSON && ((name, value, { source }) =>
  (typeof value === 'number' && String(value) !== source ? JSON.rawJSON(source) : value));

export class Tail {
  /** The topic was subscribed to, or could not be. */
  begun;
  #has_begun;
  #rows = [];
  #waiting = [];
  #after = null;
  #abort = null;
  #is_paused = false;
  #drawing = null;
  #drawn = 0;
  #leaving = null;
  #dropped = 0;
  #kept = 0;

  constructor(namespace, topic, shell) {
    [this.namespace, this.topic, this.shell] = [namespace, topic, shell];
    this.begun = new Promise((resolve) => { this.#has_begun = resolve; });
    this.start = h('select', { id: 'start', onchange: () => this.#begin() }, STARTS.map(([value, words]) => h('option', { value }, words)));
    this.start.value = 'last=10';
    this.filter = h('input', { id: 'filter', type: 'search', placeholder: 'Filter', spellcheck: 'false', autocapitalize: 'none', oninput: () => this.#filtered() });
    this.pause = h('button', { type: 'button', class: 'quiet', 'aria-pressed': 'false', onclick: () => this.#paused() }, 'Pause');
    this.state = h('span', { class: 'pill', role: 'status', 'aria-live': 'polite' }, 'opening');
    this.counted = h('span', { class: 'hint' });
    this.list = h('ol', { class: 'tail', 'aria-label': 'Messages, the newest first', tabindex: '0' });
    this.empty = h('div', { class: 'empty' }, h('p', {}, 'Listening. A message that is published now appears here.'));
    const clear = h('button', { type: 'button', class: 'quiet', onclick: () => this.#clear() }, 'Clear');
    this.element = h('section', { class: 'card messages', 'aria-labelledby': 'tail' },
      h('div', { class: 'head' }, h('h2', { id: 'tail' }, 'Messages'), this.state, this.counted, h('span', { class: 'spring' }),
        h('label', { for: 'start', class: 'unseen' }, 'Begin'), this.start, this.pause, clear,
        h('label', { for: 'filter', class: 'unseen' }, 'Filter by text in payload, key or attributes'), this.filter),
      this.list, this.empty);
    document.addEventListener('visibilitychange', this.#looked);
    this.#begin();
  }

  close() {
    document.removeEventListener('visibilitychange', this.#looked);
    clearTimeout(this.#leaving);
    this.#abort?.abort();
    clearTimeout(this.#drawing);
  }

  /** Whoever comes back is given what was published meanwhile. */
  #looked = () => {
    clearTimeout(this.#leaving);
    if (document.hidden) this.#leaving = setTimeout(() => this.#leave(), AWAY);
    else if (this.#abort.signal.aborted) this.#run();
  };

  #leave() {
    this.#abort.abort();
    this.#says('warn', 'resting');
  }

  #says(state, words) {
    this.state.dataset.state = state;
    put(this.state, words);
  }

  #begin() {
    this.#after = null;
    this.#clear();
    this.#run();
  }

  /** Follows for as long as the page is open, again after whatever ended it. */
  async #run() {
    this.#abort?.abort();
    const mine = new AbortController();
    this.#abort = mine;
    const { signal } = mine;
    let wait = WAIT;
    while (!signal.aborted) {
      try {
        const query = { start: this.start.value };
        if (query.start.startsWith('last=')) query.last = query.start.slice(5), delete query.start;
        const opened = () => {
          wait = WAIT;
          this.#has_begun();
          this.#says('good', 'listening');
        };
        await api.follow(this.namespace, this.topic, { query, after: this.#after, signal, opened, take: (event) => this.#take(event) });
        this.#says('warn', 'ended, opening again');
      } catch (error) {
        this.#has_begun();
        if (signal.aborted) return;
        this.#failed(error);
      }
      await new Promise((resolve) => setTimeout(resolve, wait));
      wait = Math.min(wait * 2, WAIT_MOST);
    }
  }

  #failed(error) {
    if (!(error instanceof api.Refused)) {
      this.#says('bad', 'no answer, trying again');
      return;
    }
    this.shell.refused(error);
    const words = { 401: 'token needed', 403: 'your token may not subscribe here', 404: 'there is no such topic yet' };
    this.#says('warn', words[error.status] ?? error.message);
    // What it went on behind may be what is wrong.
    if (error.status === 400) this.#after = null;
  }

  #take({ event, id, data }) {
    if (id) this.#after = id;
    let value;
    try { value = JSON.parse(data, exact); } catch { value = { text: data }; }
    if (event === 'message') this.#push({ message: value, at: id, size: data.length });
    else if (event === 'discontinuity') this.#push({ gap: value, size: data.length });
    else if (event === 'draining') this.#says('warn', 'server is going away');
    else if (event === 'error') this.#says('warn', value.error?.message ?? 'ended with an error');
  }

  #push(entry) {
    this.#waiting.push(entry);
    this.#kept += entry.size;
    while (this.#waiting.length > ROWS || (this.#kept > KEPT && this.#waiting.length > 1)) {
      this.#kept -= this.#waiting.shift().size;
      this.#dropped += 1;
    }
    if (this.#is_paused) this.#count();
    else this.#drawing ??= setTimeout(() => this.#draw(), Math.max(0, this.#drawn + EVERY - performance.now()));
  }

  #draw() {
    [this.#drawing, this.#drawn] = [null, performance.now()];
    const wanted = this.filter.value.toLowerCase();
    const fresh = this.#waiting.map((entry) => row(entry));
    this.#waiting = [];
    for (const each of fresh) show(each.element, matches(each, wanted));
    this.list.prepend(...fresh.map(({ element }) => element).reverse());
    this.#rows.push(...fresh);
    while (this.#rows.length > ROWS || (this.#kept > KEPT && this.#rows.length > 1)) {
      const old = this.#rows.shift();
      old.element.remove();
      this.#kept -= old.size;
      this.#dropped += 1;
    }
    this.#count();
  }

  #count() {
    const shown = this.#rows.filter(({ element }) => !element.hidden).length;
    let words = '';
    if (this.#is_paused) words = `paused, ${this.#waiting.length}${this.#waiting.length === ROWS ? '+' : ''} waiting`;
    else if (this.filter.value) words = `${shown} of ${this.#rows.length} match`;
    else if (this.#rows.length) words = `${this.#rows.length}${this.#dropped ? ` newest, ${format.count(this.#dropped)} older ones let go` : ''}`;
    put(this.counted, words);
    show(this.list, this.#rows.length > 0);
    show(this.empty, this.#rows.length === 0);
  }

  #filtered() {
    const wanted = this.filter.value.toLowerCase();
    for (const each of this.#rows) show(each.element, matches(each, wanted));
    this.#count();
  }

  #paused() {
    this.#is_paused = !this.#is_paused;
    this.pause.setAttribute('aria-pressed', String(this.#is_paused));
    put(this.pause, this.#is_paused ? 'Resume' : 'Pause');
    if (!this.#is_paused) this.#draw();
    this.#count();
  }

  #clear() {
    [this.#rows, this.#waiting, this.#dropped, this.#kept] = [[], [], 0, 0];
    this.list.replaceChildren();
    this.#count();
  }
}

/** Discontinuities are shown whatever is looked for: they say that something may be missing. */
function matches({ gap, text }, wanted) {
  return gap || !wanted || text.includes(wanted);
}

/** An entry as a row, and the text in it that is looked through. */
function row(entry) {
  return { size: entry.size, ...(entry.gap ? gapRow(entry.gap) : messageRow(entry.message, entry.at)) };
}

function gapRow(gap) {
  const reason = String(gap.reason ?? '').toLowerCase().replace(/^reason_/, '');
  const at = (position) => (position ? (typeof position === 'object' ? `${position.epoch}:${position.sequence}` : position) : 'the start');
  const words = `Messages are missing between ${at(gap.lastDelivered)} and ${at(gap.next)}: ${REASONS[reason] ?? reason}`;
  return { gap: true, text: '', element: h('li', { class: 'gap' }, words) };
}

/** What a payload says in one line, and in full. */
function payload(message) {
  if (message.data !== undefined) return { brief: JSON.stringify(message.data), whole: () => JSON.stringify(message.data, null, 2), kind: 'JSON' };
  if (message.base64 !== undefined) return { brief: message.base64, whole: () => message.base64, kind: 'base64' };
  const text = message.text ?? '';
  // JSON is often sent without saying so.
  const pretty = () => {
    try { return /^\s*[[{]/.test(text) ? JSON.stringify(JSON.parse(text, exact), null, 2) : text; } catch { return text; }
  };
  return { brief: text, whole: pretty, kind: '' };
}

const cut = (text, most) => (text.length > most ? `${text.slice(0, most)}…` : text);

function messageRow(message, id) {
  const { brief, whole, kind } = payload(message);
  const position = id || `${message.epoch}:${message.sequence}`;
  const attributes = Object.entries(message.attributes ?? {});
  const summary = h('summary', {},
    h('time', { datetime: message.time }, format.clock(message.time)),
    h('span', { class: 'sequence', title: `Position ${position}` }, String(message.sequence ?? position)),
    h('span', { class: 'brief' },
      message.key ? h('span', { class: 'chip', title: 'Key' }, cut(message.key, 60)) : null,
      kind === 'base64' ? h('span', { class: 'chip dim' }, 'base64') : null,
      brief === '' ? h('i', {}, 'empty') : cut(brief, BRIEF)));
  const details = h('details', {}, summary);
  // Most rows are never opened.
  details.addEventListener('toggle', () => {
    if (details.open && details.children.length === 1) details.append(full(message, position, attributes, whole));
  });
  const looked = [brief, message.key ?? '', ...attributes.flat()].join('\n').toLowerCase();
  return { text: looked, element: h('li', {}, details) };
}

function full(message, position, attributes, whole) {
  const facts = [['Position', position], ['Time', message.time], ['Id', message.id], ['Key', message.key],
    ['Content type', message.contentType], ['Publisher', message.publisher], ['Trace', message.traceparent]];
  const fact = ([name, value]) => [h('dt', {}, name), h('dd', {}, value)];
  const text = whole();
  const copied = h('button', { type: 'button', class: 'quiet', onclick: () => copy(copied, text) }, 'Copy the payload');
  return h('div', { class: 'full' },
    h('pre', { tabindex: '0' }, cut(text, WHOLE)),
    h('dl', {}, facts.filter(([, value]) => value).flatMap(fact), attributes.flatMap(fact)),
    navigator.clipboard ? copied : null);
}

async function copy(button, text) {
  try {
    await navigator.clipboard.writeText(text);
    put(button, 'Copied');
  } catch {
    put(button, 'The browser does not allow it');
  }
}
