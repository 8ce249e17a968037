// Figures as people read them. The same units as `bugle top`.

const THOUSANDS = ['', 'k', 'M', 'G', 'T'];
const BYTES = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

function scaled(value, step, units) {
  let at = 0;
  while (value >= step && at < units.length - 1) {
    value /= step;
    at += 1;
  }
  const digits = at === 0 && Number.isInteger(value) ? 0 : value < 10 ? 2 : value < 100 ? 1 : 0;
  return [value.toFixed(digits), units[at]];
}

/** A count: 950, 1.50k, 23.4M. */
export const count = (value) => scaled(value, 1000, THOUSANDS).join('');

/** A rate a second; one that is nothing is shown as nothing. */
export function rate(value) {
  if (value === null || value === undefined) return '–';
  if (value === 0) return '0';
  return value < 10 ? value.toFixed(1) : value < 1000 ? value.toFixed(0) : count(value);
}

/** A size: 0 B, 1.50 KiB, 23.4 MiB. */
export const bytes = (value) => scaled(value, 1024, BYTES).join('\u202f');

/** A length of time in seconds: 0 s, 3.2 s, 3 min 20 s, 2 h 5 min, 4 d 2 h. */
export function seconds(value) {
  if (value < 0.05) return '0\u202fs';
  if (value < 10) return `${value.toFixed(1)}\u202fs`;
  const whole = Math.round(value);
  const parts = [[86_400, 'd'], [3_600, 'h'], [60, 'min'], [1, 's']];
  const at = parts.findIndex(([size]) => whole >= size);
  const [size, unit] = parts[at];
  const rest = parts[at + 1] ? Math.floor((whole % size) / parts[at + 1][0]) : 0;
  const first = `${Math.floor(whole / size)}\u202f${unit}`;
  return rest ? `${first} ${rest}\u202f${parts[at + 1][1]}` : first;
}

/** The time of day of an instant, with milliseconds, where the reader is. */
export function clock(text) {
  const date = new Date(text);
  if (Number.isNaN(date.getTime())) return String(text ?? '');
  const pad = (value, width = 2) => String(value).padStart(width, '0');
  const time = `${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}`;
  return `${time}.${pad(date.getMilliseconds(), 3)}`;
}

/** A count with its noun: 1 topic, 2 topics. */
export const counted = (value, noun) => `${value.toLocaleString('en')} ${noun}${value === 1 ? '' : 's'}`;
