// `fetch` from pages of other origins, as a browser meets [routes.cors].

import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import { after, before, describe, test } from 'node:test';
import { launchBrowser, newPage } from '../lib/browser.mjs';
import { Gateway } from '../lib/gateway.mjs';

async function serve(answer) {
  const server = http.createServer(answer);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = `127.0.0.1:${server.address().port}`;
  return { address, origin: `http://${address}`, stop() { server.closeAllConnections(); server.close(); } };
}

const page = (_, response) => response.setHeader('Content-Type', 'text/html').end('<title>site</title>');

// SHA-crypt by libxcrypt; the passwords are the names.
const PEOPLE = `carol:$5$rounds=1000$9v5MoHjwj3hpo/Oo$6gnSaf54vRn1yt2P3cWNjDWLdYh5c44nG1TK/4TD.c4\n`;

/** Opens an EventSource: the first event that comes, or that none does. */
function firstEvent(page, url) {
  return page.evaluate(url => new Promise(resolve => {
    const source = new EventSource(url, { withCredentials: true });
    const done = result => { source.close(); resolve(result); };
    source.onmessage = event => done(event.data);
    source.onerror = () => done('error');
  }), url);
}

/** What a page's script learns of a request. */
function tryFetch(page, url, options = {}) {
  return page.evaluate(async ([url, options]) => {
    try {
      const response = await fetch(url, options);
      return { status: response.status, text: await response.text(), total: response.headers.get('x-total') };
    } catch (error) {
      return { error: error.name };
    }
  }, [url, options]);
}

describe('Chromium and CORS', () => {
  const seen = [];
  let app, browser, gateway, other, second, upstream, url;

  before(async () => {
    upstream = await serve((request, response) => {
      const { authorization, cookie, 'x-who': who } = request.headers;
      seen.push([request.method, cookie, who, authorization].filter(Boolean).join(' '));
      response.setHeader('Access-Control-Allow-Origin', '*');
      response.setHeader('X-Total', '9');
      if (request.url === '/events') {
        response.setHeader('Content-Type', 'text/event-stream');
        return response.write(`data: ${cookie}\n\n`);
      }
      if (request.url === '/kept') response.setHeader('Cache-Control', 'max-age=600');
      if (request.url === '/login') response.setHeader('Set-Cookie', 'who=ann; Path=/');
      response.end('answer');
    });
    [app, second, other] = [await serve(page), await serve(page), await serve(page)];
    gateway = await Gateway.start(`
      [auth.people]
      kind = "basic"
      htpasswd = "people"

      [[routes]]
      path = "/people"
      origins = ["${app.origin}"]
      auth = ["people"]
      identity_header = "X-Who"
      upstream = "ws://${upstream.address}"
      http_requests = "proxy"
      [routes.cors]
      methods = ["GET", "PUT"]
      headers = ["Authorization"]

      [[routes]]
      origins = ["${app.origin}", "${second.origin}"]
      upstream = "ws://${upstream.address}"
      http_requests = "proxy"
      [routes.cors]
      methods = ["GET", "POST", "DELETE"]
      headers = ["Content-Type"]
      expose_headers = ["X-Total"]
      credentials = true
    `, { people: PEOPLE });
    url = `http://127.0.0.1:${gateway.port}`;
    browser = await launchBrowser();
  });

  after(async () => {
    await browser?.close();
    await gateway?.stop();
    for (const server of [app, second, other, upstream]) server?.stop();
  });

  test('a listed page reads answers, with its cookies', async t => {
    const page = await newPage(t, browser);
    await page.goto(app.origin);
    const options = { credentials: 'include' };
    const login = await tryFetch(page, `${url}/login`, options);
    assert.deepEqual(login, { status: 200, text: 'answer', total: '9' });
    const json = { ...options, method: 'POST', headers: { 'Content-Type': 'application/json' }, body: '{}' };
    assert.equal((await tryFetch(page, url, json)).status, 200);
    assert.equal((await tryFetch(page, url, { ...options, method: 'DELETE' })).status, 200);
    assert.ok(seen.includes('POST who=ann') && seen.includes('DELETE who=ann'), seen.join());
    assert.ok(!seen.some(line => line.startsWith('OPTIONS')), seen.join());
  });

  test('what a preflight does not grant is not sent', async t => {
    const page = await newPage(t, browser);
    await page.goto(app.origin);
    const before = seen.length;
    assert.equal((await tryFetch(page, url, { method: 'PUT' })).error, 'TypeError');
    assert.equal((await tryFetch(page, url, { headers: { 'X-Other': '1' } })).error, 'TypeError');
    assert.equal(seen.length, before);
  });

  test('a page of another origin gets nothing, and changes nothing', async t => {
    const page = await newPage(t, browser);
    await page.goto(other.origin);
    const before = seen.length;
    for (const options of [{}, { method: 'POST', body: 'x' }, { method: 'DELETE' }, { method: 'POST', body: 'x', mode: 'no-cors' }]) {
      const result = await tryFetch(page, url, { ...options, credentials: 'include' });
      if (options.mode) assert.equal(result.status, 0);
      else assert.equal(result.error, 'TypeError');
    }
    assert.equal(seen.length, before);
  });

  test('a preflight needs no credentials, and what follows it brings them', async t => {
    const page = await newPage(t, browser);
    await page.goto(app.origin);
    const ask = (name, options = {}) => tryFetch(page, `${url}/people`, { headers: { Authorization: `Basic ${btoa(`${name}:${name}`)}` }, ...options });
    assert.deepEqual(await ask('carol'), { status: 200, text: 'answer', total: null });
    assert.deepEqual(await ask('carol', { method: 'PUT' }), { status: 200, text: 'answer', total: null });
    assert.deepEqual(seen.slice(-2), ['GET people:carol', 'PUT people:carol']);
    assert.equal((await ask('eve')).status, 401);
    assert.equal((await tryFetch(page, `${url}/people`)).status, 401);
    // Nothing was said of credentials of the browser's own.
    assert.equal((await ask('carol', { credentials: 'include' })).error, 'TypeError');
    await page.goto(other.origin);
    const before = seen.length;
    assert.equal((await ask('carol')).error, 'TypeError');
    assert.equal(seen.length, before);
  });

  test('an answer that is kept for one origin is not taken for another', async t => {
    const page = await newPage(t, browser);
    const before = seen.length;
    for (const site of [app, app, second, second]) {
      await page.goto(site.origin);
      assert.deepEqual(await tryFetch(page, `${url}/kept`), { status: 200, text: 'answer', total: '9' }, site.origin);
    }
    // The browser does keep them: without `Vary` it would have taken the first for all.
    assert.equal(seen.length - before, 2);
  });

  test('events come to listed pages alone', async t => {
    const page = await newPage(t, browser);
    await page.goto(app.origin);
    await tryFetch(page, `${url}/login`, { credentials: 'include' });
    assert.equal(await firstEvent(page, `${url}/events`), 'who=ann');
    await page.goto(other.origin);
    const before = seen.length;
    assert.equal(await firstEvent(page, `${url}/events`), 'error');
    assert.equal(seen.length, before);
  });

  test('a page reads why the gateway refused', async t => {
    const page = await newPage(t, browser);
    await page.goto(app.origin);
    upstream.stop();
    const result = await tryFetch(page, url);
    assert.equal(result.status, 502);
    assert.match(result.text, /request id/);
  });
});
