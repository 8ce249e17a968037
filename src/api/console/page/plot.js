// Plots as SVG paths: a line for a row, and one with axes for a page.

import { h, s, put } from './element.js';
import { KEPT } from './history.js';

/** The smallest of 1, 2, 5 × 10ⁿ that is not below this. */
function ceiling(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((step) => step * power).find((step) => step >= value * 0.999);
}

/** The path of a series in a box; a gap where a value is not known. */
function path(points, name, most, width, height, kept = KEPT) {
  const step = width / (kept - 1);
  const offset = width - (points.length - 1) * step;
  let [text, is_down] = ['', false];
  points.forEach((point, at) => {
    const value = point[name];
    if (value === null || value === undefined) {
      is_down = false;
      return;
    }
    const x = (offset + at * step).toFixed(1);
    const y = (height - (value / most) * height).toFixed(1);
    text += `${is_down ? 'L' : 'M'}${x} ${y}`;
    is_down = true;
  });
  return text;
}

/** The same, closed down to the ground. */
function area(points, name, most, width, height) {
  const known = points.findIndex((point) => point[name] !== null && point[name] !== undefined);
  if (known < 0) return '';
  const step = width / (KEPT - 1);
  const offset = width - (points.length - 1) * step;
  const line = path(points.slice(known), name, most, width, height);
  return line.includes('M', 1) ? '' : `${line}L${width} ${height}L${(offset + known * step).toFixed(1)} ${height}Z`;
}

/** Samples that a small plot shows: the last minute. */
const BRIEF = 60;

/** A small plot of two series, without words: the row beside it says them. */
export class Spark {
  constructor(names = ['in', 'out'], [width, height] = [120, 28]) {
    [this.names, this.size] = [names, [width, height]];
    this.lines = names.map((name) => s('path', { class: `line ${name}` }));
    const box = `0 -2 ${width} ${height + 4}`;
    const ground = s('line', { class: 'rule', x1: 0, x2: width, y1: height, y2: height });
    this.element = s('svg', { class: 'spark', viewBox: box, preserveAspectRatio: 'none', 'aria-hidden': 'true' }, ground, this.lines);
  }

  draw(history) {
    const points = history.slice(-BRIEF);
    const [width, height] = this.size;
    const most = Math.max(1e-9, ...points.flatMap((point) => this.names.map((name) => point[name] ?? 0)));
    // Nothing at all is a line on the ground, not one at the top.
    const scale = most <= 1e-9 ? 1 : most;
    this.names.forEach((name, at) => this.lines[at].setAttribute('d', path(points, name, scale, width, height, BRIEF)));
  }
}

const [WIDTH, HEIGHT, RULES] = [600, 150, 2];

/** A plot with a scale that goes to `least` at least: `series` are pairs of a name and its words. */
export class Plot {
  constructor(label, series, format, least = 1) {
    [this.series, this.format, this.label, this.least] = [series, format, label, least];
    this.fill = s('path', { class: `area ${series.at(-1)[0]}` });
    this.lines = series.map(([name]) => s('path', { class: `line ${name}` }));
    const rules = Array.from({ length: RULES + 1 }, (_, at) => {
      const y = (at / RULES) * HEIGHT;
      return s('line', { class: 'rule', x1: 0, x2: WIDTH, y1: y, y2: y });
    });
    const view = { viewBox: `0 -3 ${WIDTH} ${HEIGHT + 6}`, preserveAspectRatio: 'none' };
    this.svg = s('svg', { ...view, role: 'img', 'aria-label': label }, rules, this.fill, this.lines);
    this.marks = Array.from({ length: RULES + 1 }, () => h('span'));
    this.values = series.map(() => h('b', { class: 'figure' }, '–'));
    const key = series.map(([name, words], at) => h('span', { class: `key ${name}` }, words, ' ', this.values[at]));
    this.element = h('figure', { class: 'plot' },
      h('figcaption', {}, h('span', { class: 'title' }, label), key),
      h('div', { class: 'frame' }, this.svg, h('div', { class: 'scale', 'aria-hidden': 'true' }, this.marks)),
      h('div', { class: 'span', 'aria-hidden': 'true' }, h('span', {}, '2 min ago'), h('span', {}, 'now')));
  }

  draw(points) {
    const names = this.series.map(([name]) => name);
    const most = ceiling(Math.max(this.least, ...points.flatMap((point) => names.map((name) => point[name] ?? 0))));
    names.forEach((name, at) => {
      this.lines[at].setAttribute('d', path(points, name, most, WIDTH, HEIGHT));
      put(this.values[at], this.format(points.at(-1)?.[name] ?? null));
    });
    this.fill.setAttribute('d', area(points, names.at(-1), most, WIDTH, HEIGHT));
    this.marks.forEach((mark, at) => put(mark, at === RULES ? '0' : this.format(most * (1 - at / RULES))));
    const words = this.series.map(([name, text]) => `${text} ${this.format(points.at(-1)?.[name] ?? null)}`);
    this.svg.setAttribute('aria-label', `${this.label}: ${words.join(', ')}`);
  }
}
