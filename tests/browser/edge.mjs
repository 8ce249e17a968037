// What pages in a browser use beside the console: EventSource, WebSocket and gRPC-Web.

import { equal, ok, run, test, until } from './harness.mjs';

test('an_event_source_comes_again_after_a_restart_and_is_told_what_is_missing', async ({ server, open, problems }) => {
  problems.allowed.push(/ERR_CONNECTION_REFUSED|ERR_INCOMPLETE_CHUNKED_ENCODING|ERR_CONNECTION_RESET|ERR_EMPTY_RESPONSE/);
  const page = await open('/');
  await server.bugle(['publish', 'orders', 'before']);
  await page.evaluate(() => {
    window.seen = [];
    window.source = new EventSource('/v1/default/orders?start=earliest');
    window.source.onmessage = ({ data, lastEventId }) => window.seen.push([JSON.parse(data).text, lastEventId]);
    for (const name of ['opened', 'discontinuity', 'draining']) {
      window.source.addEventListener(name, ({ data }) => window.seen.push([name, JSON.parse(data)]));
    }
  });
  const seen = async (name) => (await page.evaluate(() => window.seen)).find(([first]) => first === name);
  const [, id] = await until('the message', () => seen('before'));
  ok(/^\d+:1$/.test(id), id);
  await server.stop();
  await until('the farewell', () => seen('draining'));
  await server.begin();
  await server.bugle(['publish', 'orders', 'after']);
  await until('the next message', () => seen('after'));
  const [, gap] = await until('the notice', () => seen('discontinuity'));
  equal(gap.lastDelivered, id);
});

test('a_web_socket_publishes_and_hears_what_it_published', async ({ server, open }) => {
  const page = await open('/');
  const heard = await page.evaluate((host) => new Promise((resolve, reject) => {
    const socket = new WebSocket(`ws://${host}/v1/default/chat`);
    const heard = [];
    socket.onopen = () => socket.send('hello');
    socket.onerror = () => reject(new Error('it failed'));
    socket.onclose = ({ code }) => resolve([...heard, code]);
    socket.onmessage = ({ data }) => {
      const message = JSON.parse(data);
      if (message.text) { heard.push(message.text); socket.close(1000); }
    };
  }), server.address);
  equal(heard.join(), 'hello,1000');
});

test('grpc_web_publishes_from_a_page', async ({ server, open }) => {
  const page = await open('/');
  const answer = await page.evaluate(async () => {
    const field = (number, bytes) => [number << 3 | 2, bytes.length, ...bytes];
    const text = (words) => [...new TextEncoder().encode(words)];
    const message = [...field(2, text('web')), ...field(3, field(6, text('from a page')))];
    const body = new Uint8Array([0, 0, 0, 0, message.length, ...message]);
    const headers = { 'content-type': 'application/grpc-web+proto', 'x-grpc-web': '1' };
    const response = await fetch('/bugle.v1.Bus/Publish', { method: 'POST', headers, body });
    return new TextDecoder().decode(await response.arrayBuffer());
  });
  ok(answer.includes('grpc-status: 0'), answer);
  const text = await page.evaluate(() => new Promise((resolve) => {
    const source = new EventSource('/v1/default/web?start=earliest');
    source.onmessage = ({ data }) => { source.close(); resolve(JSON.parse(data).text ?? data); };
  }));
  equal(text, 'from a page');
});

await run();
