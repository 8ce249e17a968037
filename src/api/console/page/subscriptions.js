// Who reads a topic, those furthest behind first.

import * as api from './api.js';
import { h, put, show } from './element.js';
import * as format from './format.js';

/** Subscriptions that are listed. */
const LISTED = 50;
/** Silent for longer than this with messages waiting is slow, seconds. */
const SLOW = 2;

export class Subscriptions {
  #rows = new Map();

  constructor(namespace, topic, signal) {
    [this.namespace, this.topic, this.signal] = [namespace, topic, signal];
    this.counted = h('span', { class: 'hint', role: 'status' });
    this.notice = h('p', { class: 'notice', hidden: true });
    this.body = h('tbody');
    const heads = ['Client', 'State', 'Lag', 'Silent for', 'Open for'];
    this.table = h('table', { class: 'readers', hidden: true }, h('caption', { class: 'unseen' }, 'Subscriptions'),
      h('thead', {}, h('tr', {}, heads.map((words) => h('th', { scope: 'col' }, words)))), this.body);
    this.empty = h('div', { class: 'empty', hidden: true },
      h('p', {}, 'Nobody listens. In a terminal:'),
      h('pre', {}, `bugle subscribe${namespace === 'default' ? '' : ` --namespace ${namespace}`} ${topic}`));
    this.element = h('section', { class: 'card', 'aria-labelledby': 'readers' },
      h('div', { class: 'head' }, h('h2', { id: 'readers' }, 'Subscriptions'), this.counted),
      this.notice, this.table, this.empty);
  }

  async refresh() {
    let found;
    try {
      found = await api.subscriptions(this.namespace, this.topic, LISTED, this.signal);
    } catch (error) {
      if (error.status !== 403) throw error;
      put(this.notice, 'Your token may not see who reads this topic: that takes the action admin.');
      show(this.notice, true);
      return;
    }
    show(this.notice, false);
    this.#list(found);
  }

  #list({ subscriptions, total }) {
    const there = new Set(subscriptions.map(({ subscriptionId }) => subscriptionId));
    for (const [id, row] of this.#rows) {
      if (there.has(id)) continue;
      row.remove();
      this.#rows.delete(id);
    }
    subscriptions.forEach((state, at) => {
      let row = this.#rows.get(state.subscriptionId);
      if (!row) {
        row = h('tr', { title: `Subscription ${state.subscriptionId}` }, ['peer', 'state', 'lag', 'silent', 'open'].map((name) => h('td', { class: name })));
        this.#rows.set(state.subscriptionId, row);
      }
      fill(row, state);
      if (this.body.children[at] !== row) this.body.insertBefore(row, this.body.children[at] ?? null);
    });
    const part = total > subscriptions.length ? `, the ${subscriptions.length} furthest behind` : '';
    put(this.counted, total ? `${total.toLocaleString('en')}${part}` : '');
    show(this.table, total > 0);
    show(this.empty, total === 0);
  }
}

function fill(row, { peer, lagMessages, silentForSeconds, openTime, cut }) {
  const is_slow = !cut && lagMessages > 0 && silentForSeconds > SLOW;
  const state = cut ? 'cut' : is_slow ? 'slow' : 'well';
  const words = { cut: 'cut', slow: 'slow', well: lagMessages ? 'reading' : 'up to date' };
  const texts = [peer || '(no address)', words[state], format.count(lagMessages), format.seconds(silentForSeconds),
    format.seconds(Math.max(0, (Date.now() - Date.parse(openTime)) / 1000))];
  texts.forEach((text, at) => put(row.cells[at], text));
  row.dataset.state = state;
}
