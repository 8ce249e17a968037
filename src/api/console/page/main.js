// The console: which page is shown, how fresh it is, which colours it has, and who is looking.

import * as api from './api.js';
import { h, put, show } from './element.js';
import { Overview } from './overview.js';
import { Topic } from './topic.js';

/** Between two questions, milliseconds. */
const EVERY = 1_000;
/** Between two questions while the server does not answer. */
const EVERY_AT_MOST = 5_000;

const main = document.getElementById('main');
const link = document.getElementById('link');
let page = null;
let asking = null;

/** `#/`, `#/NAMESPACE` and `#/NAMESPACE/TOPIC`, each name encoded. */
function place() {
  const [, namespace, topic] = location.hash.split('/').map((part) => {
    try { return decodeURIComponent(part); } catch { return part; }
  });
  return { namespace: namespace || 'default', topic: topic || null };
}

function turn() {
  const { namespace, topic } = place();
  page?.close();
  page = topic ? new Topic(namespace, topic, shell) : new Overview(namespace, shell);
  document.title = topic ? `${topic} · Bugle` : 'Bugle';
  main.replaceChildren(page.element);
  window.scrollTo(0, 0);
  ask();
}

/** What pages may do to what is around them. */
const shell = {
  /** Somebody has to say who they are. */
  refused(error) {
    if (error.status === 401) asks(error);
  },
  /** The server as a whole, as far as it may be looked at. */
  about(server) {
    put(document.getElementById('about'), `${location.host} · ${server.version}`);
  },
};

function connection(state, words) {
  link.dataset.state = state;
  put(link, words);
}

/** One question after the other, and none while nobody looks. */
async function ask() {
  clearTimeout(asking?.timer);
  const mine = { timer: null };
  asking = mine;
  let wait = EVERY;
  while (asking === mine) {
    if (!document.hidden) {
      try {
        const is_draining = await page.refresh();
        if (asking !== mine) return;
        connection(is_draining ? 'warn' : 'good', is_draining ? 'server is going away' : 'live');
        wait = EVERY;
      } catch (error) {
        if (asking !== mine) return;
        if (!(error instanceof api.Refused)) throw error;
        shell.refused(error);
        const words = { 0: 'no answer, trying again', 401: 'token needed', 403: 'not allowed', 404: 'not there yet' };
        connection(error.status === 0 ? 'bad' : 'warn', words[error.status] ?? 'refused');
        page.refused(error);
        wait = Math.min(wait * 1.6, EVERY_AT_MOST);
      }
    }
    await new Promise((resolve) => { mine.timer = setTimeout(resolve, wait); });
  }
}

// Who is looking.

const dialog = document.getElementById('ask');
const input = document.getElementById('ask-token');
/** The refused credential that was asked about last: the same one is not asked about again. */
let asked = null;

function asks(error) {
  if (dialog.open || asked === api.token()) return;
  asked = api.token();
  const words = asked ? `What this tab has used was refused: ${error.message}.` : 'A call was refused, for nobody has said who calls.';
  put(document.getElementById('ask-why'), words);
  show(document.getElementById('ask-forget'), Boolean(asked));
  input.value = '';
  dialog.showModal();
}

function use(value) {
  asked = null;
  api.useToken(value.trim());
  turn();
  owned();
}

function owned() {
  const button = document.getElementById('token');
  put(button, api.token() ? 'Token ✓' : 'Token');
  button.setAttribute('aria-label', api.token() ? 'Token: one is used' : 'Token: none is used');
}

document.getElementById('token').addEventListener('click', () => {
  put(document.getElementById('ask-why'), api.token() ? 'A token is used in this tab.' : 'No token is used in this tab.');
  show(document.getElementById('ask-forget'), Boolean(api.token()));
  input.value = '';
  dialog.showModal();
});
document.getElementById('ask-close').addEventListener('click', () => dialog.close());
document.getElementById('ask-forget').addEventListener('click', () => {
  dialog.close();
  use('');
});
document.getElementById('ask-form').addEventListener('submit', () => {
  if (input.value.trim()) use(input.value);
  input.value = '';
});

// Colours: as the system, light, dark.

const THEMES = [['auto', '◐', 'as the system'], ['light', '☀', 'light'], ['dark', '☾', 'dark']];
const theme = document.getElementById('theme');

function themed() {
  const chosen = document.documentElement.dataset.theme ?? 'auto';
  const [, mark, words] = THEMES.find(([name]) => name === chosen);
  theme.replaceChildren(h('span', { 'aria-hidden': 'true' }, mark));
  theme.setAttribute('aria-label', `Colours: ${words}`);
  theme.title = `Colours: ${words}`;
}

theme.addEventListener('click', () => {
  const chosen = document.documentElement.dataset.theme ?? 'auto';
  const at = THEMES.findIndex(([name]) => name === chosen);
  const [next] = THEMES[(at + 1) % THEMES.length];
  if (next === 'auto') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = next;
  try { localStorage.setItem('bugle.theme', next); } catch { /* storage is off */ }
  themed();
});

document.querySelector('.skip').addEventListener('click', (event) => {
  event.preventDefault();
  main.focus();
});
window.addEventListener('hashchange', turn);
put(document.getElementById('about'), location.host);
themed();
owned();
turn();
