// The console in a browser, as whoever looks at it uses it. Screenshots of each state are kept.

import { mkdtemp, writeFile, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execFileSync } from 'node:child_process';
import { equal, match, ok, run, test, until } from './harness.mjs';

const HOSTILE = '<img src=x onerror="document.title=\'broken\'">';
const text = (page, selector) => page.locator(selector).first().textContent();
const row = (page, name) => page.locator('.topics tbody tr').filter({ hasText: name });
/** The text of a pill in the page becomes this. */
const state = (page, words) => page.locator('.messages .pill', { hasText: words }).waitFor();
const here = (namespace, topic) => `/#/${encodeURIComponent(namespace)}/${encodeURIComponent(topic)}`;

/** Publishes a line every few milliseconds until it is killed. */
function publisher(server, topic, every = 10) {
  const child = server.follow(['publish', topic, '--lines', '--quiet']);
  let at = 0;
  const timer = setInterval(() => child.stdin.write(`{"number":${at++},"kind":"${at % 2 ? 'odd' : 'even'}"}\n`), every);
  child.once('close', () => clearInterval(timer));
  return child;
}

/** No text is wider than the page. */
async function fits(page) {
  const [wide, room] = await page.evaluate(() => [document.documentElement.scrollWidth, window.innerWidth]);
  ok(wide <= room, `the page is ${wide} px wide in a window of ${room}`);
}

test('an_empty_server_says_how_to_begin_and_leads_to_the_first_message', async ({ open, shot }) => {
  const page = await open('/');
  await page.getByText('No topics here yet').waitFor();
  match(await text(page, '.empty pre'), /^bugle publish orders/);
  await shot(page, 'console-empty');
  await page.getByLabel('Name of a topic').fill('first');
  await page.getByRole('button', { name: 'Open' }).click();
  await page.getByLabel('Payload', { exact: true }).fill('hello, camp');
  await page.getByRole('button', { name: 'Publish', exact: true }).click();
  await page.locator('.outcome[data-state=good]').waitFor();
  await page.locator('.tail li', { hasText: 'hello, camp' }).waitFor();
  await page.locator('.back').click();
  await row(page, 'first').waitFor();
});

test('topics_appear_with_their_rates_while_somebody_publishes', async ({ server, open, shot }) => {
  const page = await open('/', { width: 1440, height: 900 });
  publisher(server, 'orders');
  publisher(server, 'payments/eu', 50);
  server.follow(['subscribe', 'orders']);
  const rate = (name, column) => row(page, name).locator(`td.${column}`).textContent();
  await row(page, 'payments/eu').waitFor();
  await until('a rate in', async () => Number(await rate('orders', 'in')) > 10);
  await until('a rate out', async () => Number(await rate('orders', 'out')) > 10);
  equal(await rate('orders', 'subscriptions'), '1');
  await until('a line', async () => (await row(page, 'orders').locator('path.out').getAttribute('d')).includes('L'));
  await page.waitForTimeout(6_000);
  await shot(page, 'console-topics');
  await page.getByLabel('Topics that begin with').fill('pay');
  await row(page, 'orders').waitFor({ state: 'detached' });
  ok(await row(page, 'payments/eu').isVisible());
  await page.getByLabel('Topics that begin with').fill('nothing like it');
  await page.getByText('No topic begins with').waitFor();
  await page.getByLabel('Topics that begin with').fill('');
  await row(page, 'orders').waitFor();
  await page.getByRole('button', { name: 'In /s' }).click();
  match(await text(page, '.topics tbody tr'), /^orders/);
});

test('the_messages_of_a_topic_are_shown_filtered_and_held', async ({ server, open, shot }) => {
  await server.bugle(['publish', 'orders', '--lines', '--content-type', 'application/json', '-k', 'customer-7', '-a', 'region=eu'],
    { input: Array.from({ length: 30 }, (_, at) => `{"order":${at},"note":"${at % 3 ? 'plain' : 'special'}"}`).join('\n') });
  const page = await open(here('default', 'orders'), { width: 1440, height: 1000 });
  await state(page, 'listening');
  const items = page.locator('.tail li');
  await until('the last ten', async () => (await items.count()) === 10);
  match(await items.first().textContent(), /"order":29/);
  await page.getByLabel('Begin').selectOption('earliest');
  await until('all of them', async () => (await items.count()) === 30);
  await page.getByLabel(/^Filter by text/).fill('SPECIAL');
  await until('those that match', async () => (await items.filter({ visible: true }).count()) === 10);
  await page.getByLabel(/^Filter by text/).fill('region');
  await until('all by an attribute', async () => (await items.filter({ visible: true }).count()) === 30);
  await page.getByLabel(/^Filter by text/).fill('');
  await items.first().locator('summary').click();
  const open_row = await items.first().locator('.full').textContent();
  match(open_row, /\{\n {2}"order": 29,\n/);
  match(open_row, /region/);
  match(open_row, /customer-7/);
  await shot(page, 'console-messages');
  await page.getByRole('button', { name: 'Pause' }).click();
  await server.bugle(['publish', 'orders', 'while it is held']);
  await page.getByText('paused, 1 waiting').waitFor();
  equal(await items.count(), 30);
  await page.getByRole('button', { name: 'Resume' }).click();
  await items.filter({ hasText: 'while it is held' }).waitFor();
  await page.getByRole('button', { name: 'Clear' }).click();
  equal(await items.count(), 0);
  await page.getByLabel('Begin').selectOption('latest');
  await state(page, 'listening');
  await server.bugle(['publish', 'orders', 'from now on']);
  await items.filter({ hasText: 'from now on' }).waitFor();
  equal(await items.count(), 1);
});

test('rows_are_bounded_however_much_is_published', async ({ server, open }) => {
  const page = await open(here('default', 'flood'));
  await state(page, 'listening');
  await server.bugle(['publish', 'flood', '--lines', '--quiet'], { input: Array.from({ length: 3_000 }, (_, at) => `line ${at}`).join('\n') });
  await page.locator('.tail li', { hasText: 'line 2999' }).waitFor();
  ok((await page.locator('.tail li').count()) <= 500);
});

test('a_message_of_the_page_is_heard_by_a_subscriber', async ({ server, open, problems }) => {
  await server.bugle(['publish', 'orders', 'begin']);
  const heard = server.follow(['subscribe', 'orders', '--from', 'earliest', '--output', 'json']);
  const page = await open(here('default', 'orders'));
  const publish = async () => {
    await page.getByRole('button', { name: 'Publish', exact: true }).click();
  };
  await page.getByRole('radio', { name: 'JSON' }).check();
  await page.getByLabel('Payload', { exact: true }).fill('{"not":');
  await publish();
  await page.locator('.outcome', { hasText: 'This is not JSON' }).waitFor();
  await page.getByLabel('Payload', { exact: true }).fill('{"order":1042}');
  await page.getByLabel('Key', { exact: true }).fill('customer-7');
  await page.getByRole('button', { name: 'Add an attribute' }).click();
  await page.getByLabel('Name of the attribute').fill('region');
  await page.getByLabel('Value of the attribute').fill('eu');
  await publish();
  await page.locator('.outcome', { hasText: 'Published at' }).waitFor();
  await until('the subscriber hears it', () => heard.printed().includes('1042'));
  const line = heard.printed().split('\n').find((each) => each.includes('1042'));
  match(line, /customer-7/);
  match(line, /application\/json/);
  match(line, /"region":"eu"/);
  await page.getByRole('radio', { name: 'Base64' }).check();
  await page.getByLabel('Payload', { exact: true }).fill('%%%');
  await publish();
  await page.locator('.outcome', { hasText: 'This is not base64' }).waitFor();
  await page.getByLabel('Payload', { exact: true }).fill('AAECAw==');
  await publish();
  await page.locator('.tail li', { hasText: 'AAECAw==' }).waitFor();
  problems.allowed.push(/status of 400/);
  await page.getByRole('radio', { name: 'Text' }).check();
  await page.getByLabel('Payload', { exact: true }).fill('x');
  await page.getByLabel('Key', { exact: true }).fill('k'.repeat(5_000));
  await publish();
  await page.locator('.outcome', { hasText: 'Refused: ' }).waitFor();
  match(await text(page, '.outcome'), /key/);
});

test('who_is_slow_is_told', async ({ server, open, shot }) => {
  await server.bugle(['publish', 'orders', 'begin']);
  const slow = server.follow(['subscribe', 'orders']);
  server.follow(['subscribe', 'orders']);
  const page = await open(here('default', 'orders'), { width: 1440, height: 1000 });
  const readers = page.locator('.readers tbody tr');
  // The page is one of them.
  await until('three of them', async () => (await readers.count()) === 3);
  slow.kill('SIGSTOP');
  const line = 'x'.repeat(50_000);
  await server.bugle(['publish', 'orders', '--lines', '--quiet'], { input: Array.from({ length: 600 }, () => line).join('\n') });
  await page.locator('.readers tr[data-state=slow]').waitFor();
  match(await text(page, '.readers tbody tr'), /slow/);
  await shot(page, 'console-slow');
  slow.kill('SIGCONT');
});

test('whoever_may_look_is_asked_for_a_token_and_refusals_are_explained', async ({ start, open, shot, problems }) => {
  problems.allowed.push(/status of 401/, /status of 403/);
  const folder = await mkdtemp(join(tmpdir(), 'bugle-console-'));
  const keys = join(folder, 'keys.json');
  const made = (name) => execFileSync(process.env.BUGLE, ['keys', 'create', name, '--file', keys], { stdio: ['ignore', 'pipe', 'ignore'] }).toString().trim();
  const [root, reader] = [made('root'), made('reader')];
  const config = join(folder, 'bugle.toml');
  await writeFile(config, `[auth]\nenabled = true\nkeys_file = "${keys}"\n
[[policies]]\nprincipal = "key:root"\nnamespace = "*"\nactions = ["publish", "subscribe", "admin"]\n
[[policies]]\nprincipal = "key:reader"\ntopic = "orders*"\nactions = "subscribe"\n`);
  const server = await start(['--config', config]);
  await server.bugle(['publish', 'orders', 'for readers'], { token: root });
  await server.bugle(['publish', 'secret', 'for nobody'], { token: root });
  const page = await open('/', { of: server });
  await page.getByRole('heading', { name: 'This server asks who you are' }).waitFor();
  await shot(page, 'console-token');
  const give = async (token) => {
    await page.getByLabel('API key, token or JWT').fill(token);
    await page.getByRole('button', { name: 'Use it' }).click();
  };
  await give('bugle_wrong_token');
  await page.locator('#ask-why', { hasText: 'was refused' }).waitFor();
  await give(root);
  await row(page, 'secret').waitFor();
  await page.locator('#link', { hasText: 'live' }).waitFor();
  ok(!page.url().includes(root));
  await page.reload();
  await row(page, 'secret').waitFor();
  // One that may less.
  await page.getByRole('button', { name: /^Token/ }).click();
  await give(reader);
  await page.getByText('Your token may not look at the server as a whole').waitFor();
  await row(page, 'orders').waitFor();
  equal(await row(page, 'secret').count(), 0);
  await shot(page, 'console-reader');
  await row(page, 'orders').getByRole('link').click();
  await page.locator('.tail li', { hasText: 'for readers' }).waitFor();
  await page.getByText('Your token may not see who reads this topic').waitFor();
  await page.getByLabel('Payload', { exact: true }).fill('not mine');
  await page.getByRole('button', { name: 'Publish', exact: true }).click();
  await page.locator('.outcome', { hasText: 'Your token may not publish here' }).waitFor();
  await page.getByRole('button', { name: /^Token/ }).click();
  await page.getByRole('button', { name: 'Forget it' }).click();
  await page.getByRole('heading', { name: 'This server asks who you are' }).waitFor();
  equal(await page.evaluate(() => sessionStorage.length), 0);
  await rm(folder, { recursive: true });
});

test('it_is_dark_where_the_system_is_and_the_choice_stays', async ({ server, open, shot }) => {
  publisher(server, 'orders');
  const background = (page) => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const page = await open('/', { scheme: 'dark' });
  await row(page, 'orders').waitFor();
  const dark = await background(page);
  await shot(page, 'console-dark');
  await page.getByRole('button', { name: /^Colours/ }).click();
  const light = await background(page);
  ok(light !== dark);
  await page.reload();
  equal(await background(page), light);
  await page.getByRole('button', { name: 'Colours: light' }).click();
  equal(await background(page), dark);
});

test('it_fits_a_phone', async ({ server, open, shot }) => {
  const topic = `orders/${'a-long-name-without-any-space-'.repeat(6)}`;
  publisher(server, topic, 400);
  const page = await open('/', { width: 375, height: 812, hasTouch: true, isMobile: true });
  await row(page, 'orders').waitFor();
  await page.waitForTimeout(3_000);
  await fits(page);
  await shot(page, 'console-phone');
  await row(page, 'orders').getByRole('link').tap();
  await page.locator('.tail li').first().waitFor();
  await server.bugle(['publish', topic, 'w'.repeat(2_000), '-k', 'k'.repeat(200), '-a', `name=${'v'.repeat(300)}`]);
  await page.locator('.tail summary', { hasText: 'wwww' }).first().tap();
  await fits(page);
  await page.screenshot({ path: join(process.env.SCREENSHOTS, 'console-phone-topic.png'), fullPage: true });
});

test('the_page_recovers_when_the_server_is_back', async ({ server, open, shot, problems }) => {
  problems.allowed.push(/ERR_CONNECTION_REFUSED|ERR_CONNECTION_RESET|ERR_INCOMPLETE_CHUNKED|ERR_EMPTY_RESPONSE|Failed to load resource/);
  await server.bugle(['publish', 'orders', 'before']);
  const page = await open(here('default', 'orders'));
  await page.locator('.tail li', { hasText: 'before' }).waitFor();
  await server.stop();
  await page.locator('#link', { hasText: 'no answer' }).waitFor();
  await shot(page, 'console-away');
  await server.begin();
  await server.bugle(['publish', 'orders', 'after']);
  await page.locator('#link', { hasText: 'live' }).waitFor();
  await page.locator('.tail li', { hasText: 'after' }).waitFor();
  // The topic began a new epoch, and that is said.
  await page.locator('.tail .gap', { hasText: 'new epoch' }).waitFor();
});

test('whatever_messages_carry_is_shown_as_text', async ({ server, open, shot }) => {
  const topic = `orders ${HOSTILE}`;
  await server.bugle(['publish', topic, HOSTILE, '-k', HOSTILE, '-a', `${HOSTILE.replaceAll('=', '')}=${HOSTILE}`, '--content-type', `text/html;x="${'<b>'}"`]);
  const page = await open('/');
  await row(page, '<img src=x').getByRole('link').click();
  const item = page.locator('.tail li').first();
  await item.locator('summary').click();
  match(await item.locator('.full pre').textContent(), /^<img src=x/);
  equal(await page.locator('main img').count(), 0);
  ok((await page.title()).startsWith('orders <img'));
  await shot(page, 'console-hostile');
});

test('webhooks_and_what_ails_them_are_told', async ({ start, open, shot }) => {
  const server = await start(['--set', 'webhooks.allow=127.0.0.0/8']);
  const answers = { status: 500 };
  const endpoint = createServer((request, response) => {
    request.resume();
    response.writeHead(answers.status).end();
  });
  await new Promise((resolve) => { endpoint.listen(0, '127.0.0.1', resolve); });
  try {
    await server.bugle(['webhooks', 'create', 'billing', 'orders', `http://127.0.0.1:${endpoint.address().port}/hook`]);
    await server.bugle(['publish', 'orders', 'one']);
    const page = await open(here('default', 'orders'), { of: server, width: 1440, height: 1300 });
    const hook = page.locator('.hooks li', { hasText: 'billing' });
    await hook.locator('.wrong', { hasText: '500' }).waitFor();
    await hook.locator('.pill', { hasText: 'retrying' }).waitFor();
    await shot(page, 'console-webhooks');
    answers.status = 204;
    await hook.locator('.pill', { hasText: 'active' }).waitFor();
    match(await hook.textContent(), /1 delivered/);
  } finally {
    endpoint.close();
  }
});

test('namespaces_are_chosen_from_those_there_are', async ({ server, open }) => {
  await server.bugle(['namespaces', 'create', 'eu/west']);
  await server.bugle(['publish', '--namespace', 'eu/west', 'orders/1', 'over there']);
  await server.bugle(['publish', 'here', 'x']);
  const page = await open('/');
  await row(page, 'here').waitFor();
  await page.getByLabel('Namespace').selectOption('eu/west');
  await row(page, 'orders/1').getByRole('link').click();
  await page.locator('.tail li', { hasText: 'over there' }).waitFor();
  await page.locator('.back', { hasText: 'eu/west' }).click();
  await row(page, 'orders/1').waitFor();
});

test('json_stays_as_it_was_written', async ({ server, open }) => {
  const page = await open(here('default', 'exact'));
  await state(page, 'listening');
  const written = '{"big":12345678901234567890,"price":1.50}';
  await page.getByRole('radio', { name: 'JSON' }).check();
  await page.getByLabel('Payload', { exact: true }).fill(written);
  await page.getByRole('button', { name: 'Publish', exact: true }).click();
  await page.locator('.tail li', { hasText: written }).waitFor();
  const stored = await server.bugle(['subscribe', 'exact', '--from', 'earliest', '--count', '1', '--output', 'raw']);
  equal(stored.trim(), written);
});

test('a_page_that_nobody_looks_at_lets_go_and_catches_up', async ({ server, open }) => {
  const page = await open(here('default', 'orders'));
  await state(page, 'listening');
  const look = (is_hidden) => page.evaluate((value) => {
    Object.defineProperty(document, 'hidden', { value, configurable: true });
    document.dispatchEvent(new Event('visibilitychange'));
  }, is_hidden);
  const readers = async () => (await (await fetch(`${server.url}/admin/v1/subscriptions/default/orders`)).json()).total;
  equal(await readers(), 1);
  await page.clock.install();
  await look(true);
  await page.clock.fastForward(31_000);
  await until('nobody reads', async () => (await readers()) === 0);
  await server.bugle(['publish', 'orders', 'meanwhile']);
  await look(false);
  await page.locator('.tail li', { hasText: 'meanwhile' }).waitFor();
});

test('it_can_be_used_with_the_keys_alone', async ({ server, open }) => {
  await server.bugle(['publish', 'orders', 'one']);
  const page = await open('/');
  await row(page, 'orders').waitFor();
  await page.keyboard.press('Tab');
  equal(await page.evaluate(() => document.activeElement.className), 'skip');
  const names = [];
  for (let at = 0; at < 20; at += 1) {
    await page.keyboard.press('Tab');
    const found = await page.evaluate(() => {
      const it = document.activeElement;
      const outline = getComputedStyle(it).outlineStyle;
      return [it.getAttribute('aria-label') ?? it.labels?.[0]?.textContent ?? it.textContent, outline];
    });
    ok(found[1] !== 'none', `${found[0]} does not show that it has the focus`);
    names.push(found[0].trim());
    if (found[0] === 'orders') break;
  }
  ok(names.includes('orders'), names.join(', '));
  await page.keyboard.press('Enter');
  await page.getByLabel('Payload', { exact: true }).fill('typed');
  await page.getByLabel('Payload', { exact: true }).press('Control+Enter');
  await page.locator('.tail li', { hasText: 'typed' }).waitFor();
});

test('it_can_be_switched_off', async ({ start }) => {
  const server = await start(['--set', 'http.console=false']);
  equal((await fetch(`${server.url}/`)).status, 404);
  equal((await fetch(`${server.url}/console/main.js`)).status, 404);
  equal((await fetch(`${server.url}/admin/v1/server`)).status, 200);
});

await run();
