// What the server is asked. A credential is sent as a header, never in a URL, and is kept for this tab.

const KEPT = 'bugle.token';
/** One message, as the server reads it in JSON. */
const MESSAGE = 'application/vnd.bugle.message+json';
/** Longest wait for an answer, milliseconds. */
const PATIENCE = 10_000;

/** A refusal in the server's words. `status` is 0 where the server was not reached. */
export class Refused extends Error {
  constructor(status, { message, reason, code, violations = [] }) {
    super(message);
    this.status = status;
    this.reason = reason;
    this.code = code;
    this.violations = violations;
  }
}

const watchers = new Set();

/** The credential of this tab, or ''. */
export function token() {
  try { return sessionStorage.getItem(KEPT) ?? ''; } catch { return held; }
}
let held = '';

/** Uses this credential from now on; '' forgets it. */
export function useToken(value) {
  held = value;
  try {
    if (value) sessionStorage.setItem(KEPT, value);
    else sessionStorage.removeItem(KEPT);
  } catch { /* storage is off: it lives as long as the page */ }
  for (const watcher of watchers) watcher();
}

/** Calls this whenever the credential changes. */
export function onToken(watcher) {
  watchers.add(watcher);
  return () => watchers.delete(watcher);
}

function headers(more = {}) {
  const value = token();
  return value ? { ...more, authorization: `Bearer ${value}` } : more;
}

const path = (...names) => names.map(encodeURIComponent).join('/');
/** Slashes of a topic are part of the path and stay readable. */
const topicPath = (namespace, topic) => `${path(namespace)}/${topic.split('/').map(encodeURIComponent).join('/')}`;

async function refusal(response) {
  let said = {};
  try { said = (await response.json()).error ?? {}; } catch { /* not ours: a proxy's page */ }
  const message = said.message ?? `the answer was ${response.status} ${response.statusText}`;
  return new Refused(response.status, { ...said, message });
}

async function call(url, options = {}) {
  const signal = AbortSignal.any([AbortSignal.timeout(PATIENCE), ...(options.signal ? [options.signal] : [])]);
  let response;
  try {
    response = await fetch(url, { cache: 'no-store', ...options, headers: headers(options.headers), signal });
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw new Refused(0, { message: 'the server does not answer' });
  }
  if (!response.ok) throw await refusal(response);
  return response.json();
}

/** The server as a whole. */
export const server = () => call('/admin/v1/server');

/** The namespaces, the first thousand. */
export const namespaces = async () => (await call('/admin/v1/namespaces?page_size=1000')).namespaces;

/** One page of the topics whose names begin so. */
export function topics(namespace, prefix, size, signal) {
  const query = new URLSearchParams({ page_size: size });
  if (prefix) query.set('prefix', prefix);
  return call(`/admin/v1/topics/${path(namespace)}?${query}`, { signal });
}

/** One topic. */
export const topic = (namespace, name, signal) => call(`/admin/v1/topics/${topicPath(namespace, name)}`, { signal });

/** The subscriptions of a topic, those furthest behind first. */
export const subscriptions = (namespace, name, size, signal) =>
  call(`/admin/v1/subscriptions/${topicPath(namespace, name)}?page_size=${size}`, { signal });

/** The webhooks of a namespace, the first thousand. */
export const webhooks = (namespace, signal) => call(`/admin/v1/webhooks/${path(namespace)}?page_size=1000`, { signal });

/** Publishes one message, given as JSON text: where it stands now. */
export const publish = (namespace, name, body) => call(`/v1/${topicPath(namespace, name)}`, {
  method: 'POST',
  headers: { 'content-type': MESSAGE },
  body,
});

/**
 * Follows a topic: calls `take({ event, id, data })` for each event until the stream ends. With `after`,
 * a position, it goes on behind that; otherwise it begins as `query` says.
 */
export async function follow(namespace, name, { query, after, signal, opened, take }) {
  const more = after ? { 'last-event-id': after } : {};
  const search = after ? '' : `?${new URLSearchParams(query)}`;
  const response = await fetch(`/v1/${topicPath(namespace, name)}${search}`, {
    headers: headers({ accept: 'text/event-stream', ...more }),
    cache: 'no-store',
    signal,
  });
  if (!response.ok) throw await refusal(response);
  opened();
  const parser = new Events(take);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    parser.push(value);
    // A fast topic must not keep the page from being drawn.
    if (performance.now() - yielded > 30) await pause();
  }
}

let yielded = 0;
async function pause() {
  await new Promise((resolve) => setTimeout(resolve));
  yielded = performance.now();
}

/** The lines of Server-Sent Events. */
export class Events {
  #rest = '';
  #event = { event: '', id: '', data: [] };

  constructor(take) {
    this.take = take;
  }

  push(text) {
    const lines = (this.#rest + text).split(/\r\n|\n/);
    this.#rest = lines.pop();
    for (const line of lines) this.#line(line);
  }

  #line(line) {
    if (line === '') {
      const { event, id, data } = this.#event;
      if (data.length) this.take({ event: event || 'message', id, data: data.join('\n') });
      this.#event = { event: '', id: '', data: [] };
      return;
    }
    // A comment: the server's heartbeat.
    if (line.startsWith(':')) return;
    const colon = line.indexOf(':');
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (field === 'data') this.#event.data.push(value);
    else if (field === 'event') this.#event.event = value;
    else if (field === 'id') this.#event.id = value;
  }
}
