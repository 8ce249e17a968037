// The first page: the server as a whole, and the topics of a namespace.

import * as api from './api.js';
import { h, put, show } from './element.js';
import * as format from './format.js';
import { History } from './history.js';
import { Plot, Spark } from './plot.js';

/** Topics that are asked for at first, and with each "more"; the server gives a thousand at once. */
const [PAGE, PAGE_MAX] = [100, 1000];
/** Questions between two for the namespaces. */
const NAMESPACES_EVERY = 5;

/** The columns: what they are called, and by what they are ordered. */
const COLUMNS = [
  ['name', 'Topic', (row) => row.info.topic],
  ['in', 'In /s', (row) => row.history.now.in ?? -1],
  ['out', 'Out /s', (row) => row.history.now.out ?? -1],
  ['plot', 'In and out', null],
  ['lag', 'Lag', (row) => row.info.lagMessages],
  ['kept', 'Retained', (row) => row.info.retainedBytes],
  ['subscriptions', 'Subscriptions', (row) => row.info.subscriptions],
];

export class Overview {
  #rows = new Map();
  #history = new History();
  #order = { by: 'name', is_down: false };
  #size = PAGE;
  #turn = 0;
  #abort = new AbortController();
  #refreshing = null;

  constructor(namespace, shell) {
    [this.namespace, this.shell] = [namespace, shell];
    this.element = h('div', { class: 'page' }, this.#serverPanel(), this.#topicsPanel());
  }

  close() {
    this.#abort.abort();
  }

  /** Asks for everything once; whether the server is going away. */
  async refresh() {
    const turn = this.#turn++;
    const [server] = await Promise.all([
      api.server().then((found) => this.#serverIs(found), (error) => this.#serverIsNot(error)),
      turn % NAMESPACES_EVERY ? null : this.#namespaces(),
      this.#topics(),
    ]);
    return server?.draining ?? false;
  }

  refused(error) {
    put(this.notice, error.status === 0 ? '' : error.message);
    show(this.notice, error.status !== 0);
  }

  // The server.

  #serverPanel() {
    this.plot = new Plot('Messages a second', [['in', 'in'], ['out', 'out']], format.rate);
    this.tiles = Object.fromEntries([
      ['memory', 'Memory'], ['connections', 'Connections'], ['streams', 'Streams'], ['subscriptions', 'Subscriptions'],
      ['uptime', 'Up for'], ['gaps', 'Discontinuities'], ['stalls', 'Stalls'], ['refusals', 'Refusals'],
    ].map(([name, words]) => [name, tile(words)]));
    this.meter = h('meter', { min: 0, max: 1, low: 0.8, high: 0.95, optimum: 0, value: 0, 'aria-label': 'Memory used of the budget' });
    this.tiles.memory.element.append(this.meter);
    this.closed = h('p', { class: 'notice', hidden: true });
    this.server = h('section', { class: 'card server', 'aria-labelledby': 'server' },
      h('h1', { id: 'server' }, 'Server'), this.closed,
      h('div', { class: 'split' }, this.plot.element,
        h('dl', { class: 'tiles' }, Object.values(this.tiles).map(({ element }) => element))));
    return this.server;
  }

  #serverIs(server) {
    this.shell.about(server);
    show(this.closed, false);
    this.server.classList.remove('shut');
    this.#history.push(Date.parse(server.time), server.traffic);
    this.plot.draw(this.#history.points);
    const { memory, connections, streams, subscriptions, uptime, gaps, stalls, refusals } = this.tiles;
    memory.says(format.bytes(server.memoryUsedBytes), `of ${format.bytes(server.memoryBudgetBytes)}`);
    const pinned = server.memoryPinnedBytes ? `, ${format.bytes(server.memoryPinnedBytes)} kept by slow readers` : '';
    const resident = server.residentBytes ? `; the whole process has ${format.bytes(server.residentBytes)}` : '';
    memory.element.title = `${format.bytes(server.memoryUsedBytes)} of the budget${pinned}${resident}`;
    this.meter.value = server.memoryUsedBytes / Math.max(1, server.memoryBudgetBytes);
    connections.says(format.count(server.connections));
    streams.says(format.count(server.streams));
    subscriptions.says(format.count(server.subscriptions), `on ${format.counted(server.topics, 'topic')}`);
    const up = (Date.parse(server.time) - Date.parse(server.startTime)) / 1000;
    uptime.says(format.seconds(up), cpu(server, up));
    gaps.says(format.count(server.discontinuities), null, server.discontinuities > 0);
    stalls.says(format.count(server.stalls), null, server.stalls > 0);
    refusals.says(format.count(server.refusals), null, server.refusals > 0);
    return server;
  }

  /** The topics may be looked at all the same. */
  #serverIsNot(error) {
    if (error.status !== 403) throw error;
    put(this.closed, 'Your token may not look at the server as a whole: that takes the action admin everywhere. What it may read is below.');
    show(this.closed, true);
    this.server.classList.add('shut');
    return null;
  }

  // The topics.

  #topicsPanel() {
    const changed = () => this.#again();
    this.choice = h('select', { id: 'namespace', onchange: () => { location.hash = `#/${encodeURIComponent(this.choice.value)}`; } });
    this.prefix = h('input', { id: 'prefix', type: 'search', placeholder: 'beginning of a name', spellcheck: 'false', autocapitalize: 'none', oninput: changed });
    this.notice = h('p', { class: 'notice', role: 'status', hidden: true });
    this.counted = h('span', { class: 'hint', role: 'status' });
    this.heads = new Map(COLUMNS.map(([name, words, key]) => [name, this.#head(name, words, key)]));
    this.body = h('tbody');
    this.table = h('table', { class: 'topics' }, h('caption', { class: 'unseen' }, 'Topics'),
      h('thead', {}, h('tr', {}, [...this.heads.values()])), this.body);
    this.more = h('button', { type: 'button', class: 'quiet', hidden: true, onclick: () => this.#enlarge() }, 'Show more');
    this.empty = h('div', { class: 'empty', hidden: true });
    this.#choices([this.namespace]);
    this.#ordered();
    return h('section', { class: 'card', 'aria-labelledby': 'topics' },
      h('div', { class: 'head' }, h('h2', { id: 'topics' }, 'Topics'), this.counted, h('span', { class: 'spring' }),
        h('label', { for: 'namespace' }, 'Namespace'), this.choice,
        h('label', { for: 'prefix', class: 'unseen' }, 'Topics that begin with'), this.prefix),
      this.notice, this.table, this.empty, h('div', { class: 'row' }, this.more));
  }

  #head(name, words, key) {
    if (!key) return h('th', { scope: 'col', class: name }, h('span', { class: 'key in' }, 'in'), ' ', h('span', { class: 'key out' }, 'out'));
    const order = () => {
      const is_same = this.#order.by === name;
      this.#order = { by: name, is_down: is_same ? !this.#order.is_down : name !== 'name' };
      this.#ordered();
    };
    return h('th', { scope: 'col', class: name }, h('button', { type: 'button', onclick: order }, words));
  }

  async #namespaces() {
    const found = await api.namespaces();
    this.#choices([...new Set([this.namespace, ...found.map(({ namespace }) => namespace)])]);
  }

  #choices(names) {
    const shown = [...this.choice.options].map(({ value }) => value);
    if (JSON.stringify(shown) === JSON.stringify(names)) return;
    this.choice.replaceChildren(...names.map((name) => h('option', { value: name }, name)));
    this.choice.value = this.namespace;
  }

  #enlarge() {
    this.#size = Math.min(this.#size * 3, PAGE_MAX);
    this.#again();
  }

  /** What is looked for has changed: asks at once, and forgets what was asked before. */
  #again() {
    this.#refreshing?.abort();
    this.#topics().catch((error) => {
      if (error.name !== 'AbortError') this.refused(error);
    });
  }

  async #topics() {
    const mine = new AbortController();
    this.#refreshing = mine;
    const [prefix, signal] = [this.prefix.value, AbortSignal.any([mine.signal, this.#abort.signal])];
    let found;
    try {
      found = await api.topics(this.namespace, prefix, this.#size, signal);
    } catch (error) {
      if (error.name === 'AbortError') return;
      throw error;
    }
    if (signal.aborted) return;
    show(this.notice, false);
    this.#list(found.topics, performance.now(), Boolean(found.nextPageToken));
  }

  #list(topics, at, is_more) {
    const there = new Set(topics.map(({ topic }) => topic));
    for (const [name, row] of this.#rows) {
      if (there.has(name)) continue;
      row.element.remove();
      this.#rows.delete(name);
    }
    for (const info of topics) {
      let row = this.#rows.get(info.topic);
      if (!row) {
        row = new Row(this.namespace, info.topic);
        this.#rows.set(info.topic, row);
      }
      row.is(info, at);
    }
    this.#ordered();
    put(this.counted, topics.length ? `${format.counted(topics.length, 'topic')}${is_more ? ', and more' : ''}` : '');
    show(this.more, is_more && this.#size < PAGE_MAX);
    show(this.table, topics.length > 0);
    show(this.empty, topics.length === 0);
    if (!topics.length) this.#teach();
  }

  #ordered() {
    const { by, is_down } = this.#order;
    const [, , key] = COLUMNS.find(([name]) => name === by);
    for (const [name, head] of this.heads) {
      if (name === by) head.setAttribute('aria-sort', is_down ? 'descending' : 'ascending');
      else head.removeAttribute('aria-sort');
    }
    const name = (row) => row.info.topic;
    const compare = (one, other) => (one < other ? -1 : one > other ? 1 : 0);
    const rows = [...this.#rows.values()].sort((one, other) =>
      (is_down ? -1 : 1) * compare(key(one), key(other)) || compare(name(one), name(other)));
    rows.forEach(({ element }, at) => {
      // Only what has moved, so that what has the focus keeps it.
      if (this.body.children[at] !== element) this.body.insertBefore(element, this.body.children[at] ?? null);
    });
  }

  #teach() {
    const searched = this.prefix.value;
    if (this.empty.dataset.of === searched) return;
    this.empty.dataset.of = searched;
    if (searched) {
      this.empty.replaceChildren(h('p', {}, 'No topic begins with ', h('b', {}, searched), '.'));
      return;
    }
    const namespace = this.namespace === 'default' ? '' : ` --namespace ${this.namespace}`;
    this.empty.replaceChildren(
      h('h3', {}, 'No topics here yet'),
      h('p', {}, 'A topic appears when somebody first publishes or subscribes to it. Try it in a terminal:'),
      h('pre', {}, `bugle publish${namespace} orders 'hello, camp'`),
      h('p', {}, 'or from here:'),
      h('form', { class: 'row', onsubmit: (event) => this.#go(event) },
        h('label', { for: 'new', class: 'unseen' }, 'Name of a topic'),
        h('input', { id: 'new', name: 'topic', required: true, placeholder: 'orders', spellcheck: 'false', autocapitalize: 'none' }),
        h('button', { class: 'main' }, 'Open')));
  }

  #go(event) {
    event.preventDefault();
    const topic = new FormData(event.target).get('topic');
    location.hash = `#/${encodeURIComponent(this.namespace)}/${encodeURIComponent(topic)}`;
  }
}

/** A topic of the list. */
class Row {
  constructor(namespace, topic) {
    this.history = new History();
    this.spark = new Spark();
    const cell = (name, label) => h('td', { class: name, 'data-label': label });
    this.cells = { in: cell('in', 'In /s'), out: cell('out', 'Out /s'), plot: cell('plot', ''), lag: cell('lag', 'Lag'), kept: cell('kept', 'Retained'), subscriptions: cell('subscriptions', 'Subs') };
    this.cells.plot.append(this.spark.element);
    const there = `#/${encodeURIComponent(namespace)}/${encodeURIComponent(topic)}`;
    this.element = h('tr', {}, h('th', { scope: 'row', class: 'name' }, h('a', { href: there }, topic)), Object.values(this.cells));
  }

  is(info, at) {
    this.info = info;
    const now = this.history.push(at, info.traffic, { lag: info.lagMessages });
    const { in: into, out, lag, kept, subscriptions } = this.cells;
    put(into, format.rate(now.in));
    put(out, format.rate(now.out));
    put(lag, info.lagMessages ? `${format.count(info.lagMessages)} · ${format.seconds(info.lagSeconds)}` : '0');
    lag.classList.toggle('late', info.lagMessages > 0 && info.lagSeconds > 1);
    put(kept, format.bytes(info.retainedBytes));
    put(subscriptions, format.count(info.subscriptions));
    this.spark.draw(this.history.points);
  }
}

function cpu(server, up) {
  return server.cpuSeconds === undefined || up <= 0 ? null : `${((100 * server.cpuSeconds) / up).toFixed(1)}\u202f% CPU`;
}

/** A figure with its name. */
export function tile(words) {
  const [figure, more] = [h('span', { class: 'figure' }, '–'), h('small')];
  const element = h('div', { class: 'tile' }, h('dt', {}, words), h('dd', {}, figure, ' ', more));
  const says = (text, addition = null, is_odd = false) => {
    put(figure, text);
    put(more, addition ?? '');
    element.classList.toggle('odd', is_odd);
  };
  return { element, says };
}
