// Socket.IO's client in Chromium, on a page of another site than the gateway: cookies, CORS and Origin as browsers treat them.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import fs from 'node:fs';
import https from 'node:https';
import { createRequire } from 'node:module';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { launchBrowser, newPage, ordinaryPage } from '../lib/browser.mjs';
import { Authority, contents } from '../lib/certificates.mjs';
import { Gateway } from '../lib/gateway.mjs';
import { within } from '../lib/peer.mjs';
import { Backend } from '../lib/socketio.mjs';

/** Nobody lands on one of two servers this often by chance. */
const MANY = 40;
const COOKIE = 'wsgate';
const NAMES = ['app.test', 'other.test', 'gate.example'];

const SCRIPT = fs.readFileSync(path.join(path.dirname(createRequire(import.meta.url).resolve('socket.io-client/package.json')), 'dist/socket.io.js'));

/** A site with an empty page that has Socket.IO's client. */
async function site(name, tls) {
  const server = https.createServer(tls, (request, response) => {
    if (request.url === '/socket.io.js') return response.setHeader('Content-Type', 'text/javascript').end(SCRIPT);
    response.setHeader('Content-Type', 'text/html').end('<title>site</title><script src="/socket.io.js"></script>');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { origin: `https://${name}:${server.address().port}`, stop() { server.closeAllConnections(); server.close(); } };
}

/** Opens a client in the page, kept there as `client`: what the server says first, or why it does not. */
function open(page, url, options) {
  return page.evaluate(([url, options]) => new Promise(resolve => {
    const socket = io(url, { forceNew: true, reconnection: false, ...options });
    globalThis.client = socket;
    socket.once('hello', hello => resolve({ server: hello.name }));
    socket.once('connect_error', error => resolve({ error: error.message }));
  }), [url, options]);
}

/** Waits for WebSocket, unless the client is not to go over; then echoes with bytes in them. Returns the transport. */
function talk(page) {
  const talked = page.evaluate(async () => {
    const { engine } = client.io;
    const upgrades = engine.opts.transports.includes('websocket');
    while (upgrades && engine.transport.name !== 'websocket') {
      await new Promise((resolve, reject) => {
        engine.once('upgrade', resolve);
        client.once('disconnect', reason => reject(new Error(reason)));
      });
    }
    for (let round = 0; round < 10; round++) {
      const bytes = new Uint8Array(1000).fill(round);
      const [text, back] = await new Promise(resolve => client.emit('echo', `ü ${round}`, bytes.buffer, (...back) => resolve(back)));
      if (text !== `ü ${round}` || new Uint8Array(back).some(byte => byte !== round)) throw new Error(`echo ${round} is another`);
    }
    return engine.transport.name;
  });
  return within(talked, 'echoes in the page');
}

describe('Socket.IO in Chromium, across sites', () => {
  let app, authority, browser, gateway, one, other, two, url;

  before(async () => {
    authority = new Authority();
    const files = authority.issue('sites', NAMES);
    [app, other] = [await site('app.test', contents(files)), await site('other.test', contents(files))];
    [one, two] = [await Backend.start('one'), await Backend.start('two')];
    const upstream = (name, balance) => `
      [upstreams.${name}]
      endpoints = ["${one.url}", "${two.url}"]
      balance = ${balance}

      [[routes]]
      host = "gate.example"
      path = "/${name}/*"
      strip_prefix = "/${name}"
      origins = ["${app.origin}"]
      upstream = "${name}"
      http_requests = "proxy"
      [routes.cors]
      methods = ["GET", "POST"]
      headers = ["Content-Type", "X-App"]
      credentials = true`;
    gateway = await Gateway.start(`
      [[listeners]]
      name = "public"
      address = "127.0.0.1:0"
      [listeners.tls]
      certificates = [{ cert = "${files.cert}", key = "${files.key}" }]
      ${upstream('cookie', `{ hash = "cookie:${COOKIE}", issue = true, same_site = "none" }`)}
      ${upstream('lax', `{ hash = "cookie:${COOKIE}", issue = true, same_site = "lax" }`)}
      ${upstream('user', '{ hash = "query:user" }')}`);
    url = `https://gate.example:${gateway.port}`;
    browser = await launchBrowser({ names: NAMES });
  });
  after(async () => {
    await browser?.close();
    await gateway?.stop();
    for (const server of [app, other]) server?.stop();
    await Promise.all([one, two].map(backend => backend?.stop()));
    authority?.remove();
  });

  const options = (transports, more = {}) => ({ path: '/cookie/socket.io', transports, withCredentials: true, ...more });

  async function visit(t, where = app) {
    const page = await newPage(t, browser);
    await page.goto(where.origin);
    return page;
  }

  /** Visitors, each with cookies of its own, until there are three and both servers have one. */
  async function three(t, how) {
    const pages = [], servers = [];
    while (pages.length < 3 || new Set(servers).size < 2) {
      assert.ok(pages.length < MANY, `all are with ${servers[0]}`);
      const page = await visit(t);
      const { server, error } = await open(page, url, how(pages.length));
      assert.equal(error, undefined);
      pages.push(page);
      servers.push(server);
    }
    return [pages, servers];
  }

  /** No server is asked for a session of the other's. */
  async function stay(pages, transport) {
    const strangers = one.strangers + two.strangers;
    for (const used of await Promise.all(pages.map(page => talk(page)))) assert.equal(used, transport);
    assert.equal(one.strangers + two.strangers, strangers);
  }

  for (const transports of [['polling'], ['polling', 'websocket'], ['websocket']]) {
    test(`${transports.join(' to ')}: three visitors are spread over both servers, and stay, when they come back too`, async t => {
      const [pages, servers] = await three(t, () => options(transports));
      await stay(pages, transports.at(-1));
      for (const [number, page] of pages.entries()) {
        await page.reload();
        assert.deepEqual(await open(page, url, options(transports)), { server: servers[number] });
      }
      await stay(pages, transports.at(-1));
    });
  }

  test('the cookie is one that no script reads and no plain connection carries', async t => {
    const page = await visit(t);
    await open(page, url, options(['polling', 'websocket']));
    const cookies = await page.context().cookies(url);
    assert.equal(cookies.length, 1);
    const [{ name, domain, path, httpOnly, secure, sameSite, partitionKey, expires }] = cookies;
    assert.deepEqual({ name, domain, path, httpOnly, secure, sameSite, partitionKey, expires },
      { name: COOKIE, domain: 'gate.example', path: '/', httpOnly: true, secure: true, sameSite: 'None', partitionKey: 'https://app.test', expires: -1 });
  });

  test('an ordinary profile keeps the cookie as a private one does', async t => {
    const page = await ordinaryPage(t, { names: NAMES });
    await page.goto(app.origin);
    const first = await open(page, url, options(['polling', 'websocket']));
    await stay([page], 'websocket');
    for (let round = 0; round < 5; round++) {
      await page.reload();
      assert.deepEqual(await open(page, url, options(['polling', 'websocket'])), first);
    }
    await stay([page], 'websocket');
  });

  test('a cookie for one site alone does not come back to the gateway from another', async t => {
    const page = await visit(t);
    const strangers = one.strangers + two.strangers;
    for (let attempt = 0; one.strangers + two.strangers === strangers; attempt++) {
      assert.ok(attempt < MANY, 'every visit stayed by chance');
      const { error } = await open(page, url, options(['polling'], { path: '/lax/socket.io' }));
      if (!error) await page.evaluate(() => client.disconnect());
    }
    assert.deepEqual(await page.context().cookies(url), []);
  });

  test('without credentials there is no cookie: a name in the query does as well', async t => {
    const how = number => options(['polling', 'websocket'], { path: '/user/socket.io', withCredentials: false, query: { user: `visitor ${number}` } });
    const [pages, servers] = await three(t, how);
    await stay(pages, 'websocket');
    for (const [number, page] of pages.entries()) {
      await page.reload();
      assert.deepEqual(await open(page, url, how(number)), { server: servers[number] });
    }
  });

  test('headers of the page\'s own are granted by the preflight, others are not', async t => {
    const page = await visit(t);
    const how = extraHeaders => options(['polling', 'websocket'], { extraHeaders });
    const asked = one.requests.length + two.requests.length;
    assert.deepEqual(await open(page, url, how({ 'X-Other': '1' })), { error: 'xhr poll error' });
    assert.equal(one.requests.length + two.requests.length, asked);
    assert.equal((await open(page, url, how({ 'X-App': '1' }))).error, undefined);
    await stay([page], 'websocket');
    assert.ok([...one.requests, ...two.requests].every(request => request.method !== 'OPTIONS'));
  });

  test('a page of a site that is not listed gets nowhere', async t => {
    const page = await visit(t, other);
    const asked = one.requests.length + two.requests.length;
    assert.deepEqual(await open(page, url, options(['polling'])), { error: 'xhr poll error' });
    assert.deepEqual(await open(page, url, options(['websocket'])), { error: 'websocket error' });
    assert.equal(one.requests.length + two.requests.length, asked);
  });

  test('visitors of a server that goes away find the other, and stay there', async t => {
    const [pages, servers] = await three(t, () => options(['polling', 'websocket'], { reconnection: true, reconnectionDelay: 10 }));
    await stay(pages, 'websocket');
    const back = pages.map((page, number) => servers[number] === 'two' ? undefined
      : page.evaluate(() => new Promise(resolve => client.once('hello', hello => resolve(hello.name)))));
    // Once the pages listen.
    await Promise.all(pages.map(page => page.evaluate(() => client.connected)));
    await one.stop();
    for (const server of back) if (server) assert.equal(await within(server, 'a visitor that comes back'), 'two');
    await stay(pages, 'websocket');
  });
});
