// The page of one topic: its figures and plots, its messages, who reads it, and a form to publish.

import * as api from './api.js';
import { h, put, show } from './element.js';
import * as format from './format.js';
import { History } from './history.js';
import { tile } from './overview.js';
import { Plot } from './plot.js';
import { Publish } from './publish.js';
import { Subscriptions } from './subscriptions.js';
import { Tail } from './tail.js';
import { Webhooks } from './webhooks.js';

export class Topic {
  #history = new History();
  #abort = new AbortController();

  constructor(namespace, topic, shell) {
    [this.namespace, this.topic, this.shell] = [namespace, topic, shell];
    this.plot = new Plot('Messages a second', [['in', 'in'], ['out', 'out']], format.rate);
    this.lag = new Plot('Lag of the slowest', [['lag', 'messages']], (value) => (value === null ? '–' : format.count(value)), 10);
    this.lag.element.classList.add('low');
    this.tiles = Object.fromEntries([
      ['in', 'In'], ['out', 'Out'], ['kept', 'Retained'], ['messages', 'Messages'], ['position', 'Next position'], ['lag', 'Lag'],
    ].map(([name, words]) => [name, tile(words)]));
    this.notice = h('p', { class: 'notice', role: 'status', hidden: true });
    this.tail = new Tail(namespace, topic, shell);
    this.publish = new Publish(namespace, topic, shell);
    this.subscriptions = new Subscriptions(namespace, topic, this.#abort.signal);
    this.webhooks = new Webhooks(namespace, topic, this.#abort.signal);
    this.element = h('div', { class: 'page' },
      h('section', { class: 'card', 'aria-labelledby': 'topic' },
        h('div', { class: 'head' },
          h('a', { class: 'back', href: `#/${encodeURIComponent(namespace)}` }, '← ', namespace),
          h('h1', { id: 'topic' }, topic)),
        this.notice,
        h('div', { class: 'split' }, h('div', { class: 'plots' }, this.plot.element, this.lag.element),
          h('dl', { class: 'tiles' }, Object.values(this.tiles).map(({ element }) => element)))),
      h('div', { class: 'columns' }, this.tail.element,
        h('div', { class: 'side' }, this.publish.element, this.subscriptions.element, this.webhooks.element)));
  }

  close() {
    this.#abort.abort();
    this.tail.close();
  }

  async refresh() {
    const { signal } = this.#abort;
    // Subscribing makes a topic where there is none yet; until then there is nothing to ask about.
    await this.tail.begun;
    try {
      const [info] = await Promise.all([api.topic(this.namespace, this.topic, signal), this.subscriptions.refresh(), this.webhooks.refresh()]);
      this.#is(info);
    } catch (error) {
      if (error.name === 'AbortError') return false;
      if (error.status === 404) this.#isMissing(error);
      throw error;
    }
    return false;
  }

  refused(error) {
    if (error.status === 404) return;
    put(this.notice, error.status === 403 ? `Your token may not look at this topic: ${error.message}.` : error.message);
    show(this.notice, error.status !== 0);
  }

  #is(info) {
    show(this.notice, false);
    const now = this.#history.push(performance.now(), info.traffic, { lag: info.lagMessages });
    this.plot.draw(this.#history.points);
    this.lag.draw(this.#history.points);
    const { in: into, out, kept, messages, position, lag } = this.tiles;
    const speed = (value) => (value === null ? null : `${format.bytes(value)}/s`);
    into.says(aSecond(now.in), speed(now.inBytes));
    out.says(aSecond(now.out), speed(now.outBytes));
    const { maxBytes, maxMessages, maxAgeSeconds } = info.retention;
    kept.says(format.bytes(info.retainedBytes), `of ${format.bytes(maxBytes)}`);
    messages.says(format.count(info.nextSequence - info.firstSequence), `of ${format.count(maxMessages)}`);
    messages.element.title = `Messages are kept for ${format.seconds(maxAgeSeconds)} at most`;
    position.says(info.nextSequence.toLocaleString('en'), `epoch ${info.epoch}`);
    lag.says(format.count(info.lagMessages), info.lagMessages ? format.seconds(info.lagSeconds) : null, info.lagMessages > 0 && info.lagSeconds > 1);
  }

  #isMissing(error) {
    this.#history.push(performance.now(), null, { lag: null });
    put(this.notice, `${error.message}. Publish a message, and it is there.`);
    show(this.notice, true);
  }
}

const aSecond = (value) => (value === null ? '–' : `${format.rate(value)}/s`);
