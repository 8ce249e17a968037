// What the tests in a browser share: a server as a process of its own, Chromium, and tests that run one
// after the other and say what they saw. A test fails on an error in the browser's console, on an
// exception in a page, and on any request that goes anywhere but to the server.
//
//   import { Server, test, run, equal } from './harness.mjs';
//   test('a_page_says_so', async ({ server, open }) => { const page = await open('/'); … });
//   await run({ serve: ['--set', 'http.console=true'] });
//
// `tests/browser/run` sets BUGLE (the binary) and SCREENSHOTS (the folder).

import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { once } from 'node:events';
export { strictEqual as equal, deepStrictEqual as same, ok, match, rejects } from 'node:assert';

const { chromium } = createRequire(new URL('../../target/npm/package.json', import.meta.url))('playwright-core');

const BUGLE = process.env.BUGLE;
const SCREENSHOTS = process.env.SCREENSHOTS;
const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync', '--disable-default-apps', '--no-default-browser-check'];
/** Longest wait for anything, milliseconds. */
const PATIENCE = 15_000;

/** A server as a process. `flags` are those of `bugle serve`. */
export class Server {
  #child;
  #flags;

  static async start(flags = []) {
    const server = new Server();
    server.#flags = flags;
    await server.#begin('127.0.0.1:0');
    return server;
  }

  async #begin(listen) {
    const flags = ['serve', '--listen', listen, '--metrics', 'off', ...this.#flags];
    const child = spawn(BUGLE, flags, { stdio: ['ignore', 'pipe', 'pipe'] });
    this.#child = child;
    let said = '';
    child.stderr.on('data', (text) => { said = (said + text).slice(-20_000); });
    this.address = await new Promise((resolve, reject) => {
      let out = '';
      child.stdout.on('data', (text) => {
        out += text;
        const found = out.match(/^bugle listens on (\S+)/m);
        if (found) resolve(found[1]);
      });
      child.once('exit', (code) => reject(new Error(`the server ended with ${code}: ${out}${said}`)));
    });
    this.url = `http://${this.address}`;
  }

  /** Ends it in order; what it answers by now is nothing. */
  async stop(signal = 'SIGTERM') {
    const child = this.#child;
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill(signal);
    await once(child, 'exit');
  }

  /** Begins again where it was. */
  async begin() {
    await this.#begin(this.address);
  }

  /** Runs the command line against it: what it printed. */
  async bugle(args, { input = '', token } = {}) {
    const run = this.follow(args, { token });
    run.stdin.end(input);
    const [code] = await once(run, 'close');
    if (code !== 0) throw new Error(`bugle ${args.join(' ')} ended with ${code}: ${run.said()}`);
    return run.printed();
  }

  /** Runs the command line against it until it is killed. `printed()` is what it has printed. */
  follow(args, { token } = {}) {
    const env = { ...process.env, BUGLE_SERVER: this.url, ...(token ? { BUGLE_CREDENTIAL: token } : {}) };
    const child = spawn(BUGLE, args, { env, stdio: ['pipe', 'pipe', 'pipe'] });
    let [out, err] = ['', ''];
    child.stdout.on('data', (text) => { out = (out + text).slice(-1_000_000); });
    child.stderr.on('data', (text) => { err = (err + text).slice(-20_000); });
    child.stdin.on('error', () => {});
    child.printed = () => out;
    child.said = () => err;
    followers.add(child);
    child.once('close', () => followers.delete(child));
    return child;
  }
}

const followers = new Set();
const tests = [];

/** A test: a sentence, and what it does with `{ server, open, browser, shot, problems }`. */
export function test(name, body) {
  tests.push({ name, body });
}

/** Waits until this holds, and answers it. */
export async function until(what, condition, patience = PATIENCE) {
  const end = Date.now() + patience;
  for (;;) {
    const found = await condition();
    if (found) return found;
    if (Date.now() > end) throw new Error(`waited in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

/** Runs the tests of this file, each with its own server and its own page; exits with the outcome. */
export async function run({ serve = [] } = {}) {
  const wanted = process.env.ONLY ? new RegExp(process.env.ONLY) : /./;
  const profile = await mkdtemp(join(tmpdir(), 'bugle-browser-'));
  const options = { executablePath: '/usr/bin/chromium', args: FLAGS, headless: true };
  const first = await chromium.launchPersistentContext(profile, options);
  const browser = first.browser() ?? first;
  let failed = 0;
  let passed = 0;
  try {
    for (const { name, body } of tests.filter(({ name }) => wanted.test(name))) {
      const began = Date.now();
      try {
        await one(browser, serve, body);
        passed += 1;
        console.log(`${name} ... ok (${Date.now() - began} ms)`);
      } catch (error) {
        failed += 1;
        console.log(`${name} ... FAILED\n${error.stack ?? error}`);
      }
      for (const child of followers) child.kill('SIGKILL');
    }
  } finally {
    await first.close();
    await rm(profile, { recursive: true, force: true, maxRetries: 5 });
  }
  console.log(`test result: ${failed ? 'FAILED' : 'ok'}. ${passed} passed; ${failed} failed`);
  process.exit(failed ? 1 : 0);
}

async function one(browser, serve, body) {
  const contexts = [];
  const servers = [];
  // What a test allows: an expected 401 is a failed load in the browser's console.
  const problems = { found: [], allowed: [] };
  const start = async (flags = serve) => {
    const server = await Server.start(flags);
    servers.push(server);
    return server;
  };
  const open = async (path, { of, width = 1280, height = 800, scheme = 'light', ...more } = {}) => {
    const server = of ?? servers[0] ?? (await start());
    const context = await browser.newContext({ viewport: { width, height }, colorScheme: scheme, ...more });
    contexts.push(context);
    const page = await context.newPage();
    page.setDefaultTimeout(PATIENCE);
    page.on('console', (line) => {
      if (line.type() === 'error' || line.type() === 'warning') problems.found.push(`console: ${line.text()}`);
    });
    page.on('pageerror', (error) => problems.found.push(`exception: ${error.message}`));
    page.on('request', (request) => {
      const url = new URL(request.url());
      const is_own = servers.some(({ address }) => url.host === address) || ['data:', 'blob:'].includes(url.protocol);
      if (!is_own) problems.found.push(`request to elsewhere: ${request.url()}`);
    });
    await page.goto(server.url + path);
    return page;
  };
  const shot = (page, name) => page.screenshot({ path: join(SCREENSHOTS, `${name}.png`) });
  try {
    // With `serve: null` each test starts its servers itself.
    const server = serve === null ? undefined : await start();
    await body({ server, start, open, shot, problems, browser });
    const wrong = problems.found.filter((text) => !problems.allowed.some((allowed) => allowed.test(text)));
    if (wrong.length) throw new Error(`the browser complains:\n${wrong.join('\n')}`);
  } finally {
    for (const context of contexts) await context.close();
    for (const server of servers) await server.stop('SIGKILL');
  }
}
