// The published JavaScript library of Momento against Bugle, unchanged. tests/run starts it; by hand:
//
//     node tests/momento/javascript.mjs
//
// Needs @gomomento/sdk in target/npm, and target/debug/bugle.

import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const top = new URL("../../", import.meta.url);
const {
  AuthClient, CacheClient, Configurations, CredentialProvider, DefaultMomentoLoggerFactory,
  DefaultMomentoLoggerLevel, DisposableTokenScopes, ExpiresIn, TopicClient, TopicConfigurations,
} = createRequire(new URL("target/npm/index.js", top))("@gomomento/sdk");

const TIMEOUT_MS = 30_000;
const quiet = new DefaultMomentoLoggerFactory(DefaultMomentoLoggerLevel.ERROR);
let checks = 0;

// Counts one thing that has to hold.
function check(holds, what) {
  if (!holds) {
    console.log(`failed: ${what}`);
    process.exit(1);
  }
  checks += 1;
}

// A server of its own; see server.py.
class Server {
  static async start(...flags) {
    const server = new Server();
    const script = fileURLToPath(new URL("tests/momento/server.py", top));
    server.process = spawn("python3", [script, ...flags], { stdio: ["pipe", "pipe", "inherit"] });
    server.lines = createInterface({ input: server.process.stdout })[Symbol.asyncIterator]();
    await server.reads();
    return server;
  }

  async reads() {
    const { port, key } = JSON.parse((await this.lines.next()).value);
    Object.assign(this, { port, key });
  }

  async restart() {
    this.process.stdin.write("restart\n");
    await this.reads();
  }

  async stop() {
    const ended = new Promise((resolve) => this.process.once("exit", resolve));
    this.process.stdin.end();
    await ended;
  }

  // Nobody in particular, or who has this key.
  provider(key) {
    const local = { hostname: "127.0.0.1", port: this.port };
    if (!key) return CredentialProvider.forMomentoLocal(local);
    const endpoint = `127.0.0.1:${this.port}`;
    const apiKey = Buffer.from(JSON.stringify({ endpoint, api_key: key })).toString("base64");
    return this.told(apiKey);
  }

  // The one who has what their libraries take for a key.
  told(apiKey) {
    const endpoint = `127.0.0.1:${this.port}`;
    const endpointOverrides =
      { cacheEndpoint: endpoint, controlEndpoint: endpoint, tokenEndpoint: endpoint, secureConnection: false };
    return CredentialProvider.fromString({ apiKey, endpointOverrides });
  }

  topics(credentialProvider = this.provider()) {
    return new TopicClient({ configuration: TopicConfigurations.Default.latest(quiet), credentialProvider });
  }

  caches(credentialProvider = this.provider()) {
    const configuration = Configurations.Laptop.latest(quiet);
    return new CacheClient({ configuration, credentialProvider, defaultTtlSeconds: 60 });
  }
}

// What a subscription hears, one after the other.
class Heard {
  static async open(client, cache, topic, options = {}) {
    const heard = new Heard();
    heard.waiting = [];
    heard.come = [];
    const put = (event) => (heard.waiting.length > 0 ? heard.waiting.shift()(event) : heard.come.push(event));
    const answer = await client.subscribe(cache, topic, {
      onItem: (item) => put({ item }),
      onError: (error) => put({ error }),
      onDiscontinuity: (gap) => put({ gap }),
      ...options,
    });
    heard.answer = answer;
    return heard;
  }

  next() {
    if (this.come.length > 0) return Promise.resolve(this.come.shift());
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(new Error("it did not come")), TIMEOUT_MS);
      this.waiting.push((event) => {
        clearTimeout(late);
        resolve(event);
      });
    });
  }
}

async function subscribe(client, cache, topic, options) {
  const heard = await Heard.open(client, cache, topic, options);
  check(heard.answer.type === "Subscription", `subscribe to ${topic}: ${heard.answer}`);
  return heard;
}

async function publish(client, cache, topic, value) {
  const answer = await client.publish(cache, topic, value);
  check(answer.type === "Success", `publish to ${topic}: ${answer}`);
}

function refused(answer, code, what) {
  check(answer.type === "Error" && answer.errorCode() === code, `${what}: ${answer}`);
}

async function cachesComeAndGo(server) {
  const client = server.caches();
  check((await client.createCache("mine")).type === "Success", "a cache is created");
  check((await client.createCache("mine")).type === "AlreadyExists", "and exists then");
  const listed = await client.listCaches();
  check(listed.type === "Success" && listed.getCaches().some((it) => it.getName() === "mine"), `${listed}`);
  check((await client.flushCache("mine")).type === "Success", "it is flushed");
  check((await client.deleteCache("mine")).type === "Success", "it is deleted");
  refused(await client.deleteCache("mine"), "NOT_FOUND_ERROR", "and is not there then");
  await client.ping();
}

async function valuesAreHeard(server) {
  const client = server.topics();
  const heard = await subscribe(client, "kept", "values");
  const values = ["text", new Uint8Array([255, 0]), "größe"];
  for (const value of values) await publish(client, "kept", "values", value);
  let last;
  for (const [index, value] of values.entries()) {
    last = (await heard.next()).item;
    check(Buffer.from(last.value()).equals(Buffer.from(value)), `${value}: ${last}`);
    check(typeof last.value() === typeof value && last.sequenceNumber() === index + 1, `${value}: ${last}`);
  }
  const fresh = await subscribe(client, "kept", "values");
  check((await fresh.next()).item.sequenceNumber() === 3, "a fresh subscription begins with the newest");
}

async function whatIsNotThereIsNotFound(server) {
  const client = server.topics();
  const { answer } = await Heard.open(client, "nowhere", "t");
  refused(answer, "NOT_FOUND_ERROR", "subscribe to no cache");
  refused(await client.publish("nowhere", "t", "x"), "NOT_FOUND_ERROR", "publish to no cache");
  refused(await client.publish("kept", "t", "x".repeat(2_000_000)), "LIMIT_EXCEEDED_ERROR", "too large a message");
}

// The library subscribes again by itself, where it was, and is told of the new page.
async function aRestartIsSurvived(server) {
  const client = server.topics();
  const heard = await subscribe(client, "kept", "restart");
  await publish(client, "kept", "restart", "before");
  const before = (await heard.next()).item;
  await server.restart();
  const { gap } = await heard.next();
  check(gap && gap.newSequenceNumber() === 0, `a new page: ${gap}`);
  check(gap.lastSequenceNumber() === before.sequenceNumber(), `behind what came before: ${gap}`);
  const other = server.topics();
  await publish(other, "kept", "restart", "after");
  const after = (await heard.next()).item;
  check(after.value() === "after" && after.sequenceNumber() === 1, `${after}`);
}

async function tokensDoWhatTheyAreFor(server) {
  const root = server.provider(server.key);
  check((await server.caches(root).createCache("cache")).type === "Success", "the key may create caches");
  refused(await server.caches().createCache("x"), "AUTHENTICATION_ERROR", "nobody may not");
  const auth = new AuthClient({ credentialProvider: root });
  const token = async (scope, props) => {
    const made = await auth.generateDisposableToken(scope, ExpiresIn.minutes(5), props);
    check(made.type === "Success", `${made}`);
    check(made.endpoint === `127.0.0.1:${server.port}`, `a token names its server: ${made.endpoint}`);
    return server.topics(server.told(made.authToken));
  };
  const reader = await token(DisposableTokenScopes.topicSubscribeOnly("cache", "orders.1"));
  const writer = await token(DisposableTokenScopes.topicPublishOnly("cache", "orders.1"), { tokenId: "sensor-7" });
  const both = await token(DisposableTokenScopes.topicPublishSubscribe("cache", "orders.1"));
  const heard = await subscribe(reader, "cache", "orders.1");
  refused((await Heard.open(reader, "cache", "orders")).answer, "PERMISSION_ERROR", "another topic");
  refused(await reader.publish("cache", "orders.1", "x"), "PERMISSION_ERROR", "a reader publishes");
  await publish(writer, "cache", "orders.1", "written");
  refused((await Heard.open(writer, "cache", "orders.1")).answer, "PERMISSION_ERROR", "a writer subscribes");
  refused(await writer.publish("cache", "orders.2", "x"), "PERMISSION_ERROR", "another topic");
  await publish(both, "cache", "orders.1", "both");
  const [one, two] = [(await heard.next()).item, (await heard.next()).item];
  check(one.value() === "written" && one.tokenId() === "sensor-7", `${one}: ${one.tokenId()}`);
  check(two.value() === "both", `${two}`);
}

const open = await Server.start();
for (const subject of [cachesComeAndGo, valuesAreHeard, whatIsNotThereIsNotFound, aRestartIsSurvived]) {
  await subject(open);
}
await open.stop();
const guarded = await Server.start("--guarded");
await tokensDoWhatTheyAreFor(guarded);
await guarded.stop();
console.log(`test result: ok. ${checks} checks of the JavaScript library`);
process.exit(0);
