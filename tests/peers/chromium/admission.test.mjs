// Origin and Basic as a browser meets them.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import { after, before, describe, test } from 'node:test';
import { Demo, launchBrowser, newPage, tryWebSocket } from '../lib/browser.mjs';
import { Authority } from '../lib/certificates.mjs';
import { Gateway } from '../lib/gateway.mjs';
import { Peer } from '../lib/peer.mjs';

// SHA-crypt by libxcrypt; the passwords are the names.
const PEOPLE = `carol:$5$rounds=1000$9v5MoHjwj3hpo/Oo$6gnSaf54vRn1yt2P3cWNjDWLdYh5c44nG1TK/4TD.c4\n`;

/** A site of its own with an empty page. */
async function site() {
  const server = http.createServer((_, response) => response.setHeader('Content-Type', 'text/html').end('<title>site</title>'));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { origin: `http://127.0.0.1:${server.address().port}`, async stop() { server.closeAllConnections(); server.close(); } };
}

describe('Chromium', () => {
  let authority, browser, gateway, listed, other, peer, strict;

  before(async () => {
    authority = new Authority();
    const { cert, key } = authority.issue('page', ['localhost', '127.0.0.1']);
    [listed, other, peer] = [await site(), await site(), await Peer.start()];
    strict = await Peer.start({ respond(request, socket, accept) {
      if (request.headers.authorization) return accept();
      socket.end('HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm="app"\r\nContent-Length: 0\r\n\r\n');
    } });
    gateway = await Gateway.start(`
      [[listeners]]
      name = "public"
      address = "127.0.0.1:0"
      [[listeners]]
      name = "secure"
      address = "127.0.0.1:0"
      [listeners.tls]
      certificates = [{ cert = "${cert}", key = "${key}" }]

      [auth.people]
      kind = "basic"
      htpasswd = "people"
      realm = "people"

      [[routes]]
      path = "/echo"
      upstream = "builtin:echo"

      [[routes]]
      path = "/own"
      upstream = "${peer.url}"

      [[routes]]
      path = "/listed"
      origins = ["${listed.origin}"]
      upstream = "${peer.url}"

      [[routes]]
      path = "/people"
      auth = ["people"]
      identity_header = "X-Who"
      upstream = "${peer.url}"

      [[routes]]
      path = "/protected"
      auth = ["people"]
      upstream = "builtin:echo"

      [[routes]]
      path = "/strict"
      upstream = "${strict.url}"`, { people: PEOPLE });
    browser = await launchBrowser();
  });
  after(async () => {
    await Promise.all([browser, gateway, listed, other, peer, strict].map(one => one?.stop ? one.stop() : one?.close()));
    authority?.remove();
  });

  const REFUSED = { opened: false, code: 1006, reason: '', clean: false };
  const SERVED = { opened: true, protocol: '', message: 'from Chromium', code: 4000, reason: 'seen', clean: true };
  const page = { http: () => `http://127.0.0.1:${gateway.ports.public}/echo`, https: () => `https://127.0.0.1:${gateway.ports.secure}/echo` };
  const socket = { ws: path => gateway.url(path), wss: path => gateway.url(path, 'secure').replace('ws:', 'wss:') };

  async function at(t, url, options) {
    const tab = await newPage(t, browser, options);
    await tab.goto(url);
    return tab;
  }

  test('a page of another site is refused, the own page is not', async t => {
    assert.deepEqual(await tryWebSocket(await at(t, other.origin), socket.ws('/own')), REFUSED);
    assert.equal(peer.requests.length, 0, 'the upstream was not asked');
    assert.deepEqual(await tryWebSocket(await at(t, page.http()), socket.ws('/own')), SERVED);
    assert.deepEqual(await tryWebSocket(await at(t, page.https()), socket.wss('/own')), SERVED);
  });

  test('a listed site is admitted, others and the own page are not', async t => {
    assert.deepEqual(await tryWebSocket(await at(t, listed.origin), socket.ws('/listed')), SERVED);
    assert.deepEqual(await tryWebSocket(await at(t, other.origin), socket.ws('/listed')), REFUSED);
    assert.deepEqual(await tryWebSocket(await at(t, page.http()), socket.ws('/listed')), REFUSED);
  });

  test('a sandboxed frame (Origin null) is refused', async t => {
    const tab = await at(t, page.http());
    const frame = await tab.evaluateHandle(() => new Promise(resolve => {
      const element = document.createElement('iframe');
      element.sandbox = 'allow-scripts';
      element.srcdoc = '<title>frame</title>';
      element.onload = () => resolve(element);
      document.body.append(element);
    }));
    assert.deepEqual(await tryWebSocket(await frame.contentFrame(), socket.ws('/own')), REFUSED);
  });

  for (const [scheme, web] of [['ws', 'http'], ['wss', 'https']]) {
    const withName = (url, name) => url.replace('://', `://${name}@`);

    test(`${scheme}://name:password@host opens at the second attempt, after the 401`, async t => {
      const tab = await at(t, page[web]());
      assert.deepEqual(await tryWebSocket(tab, withName(socket[scheme]('/people'), 'carol:carol')), SERVED);
      const { headers } = peer.requests.at(-1);
      assert.equal(headers['x-who'], 'people:carol');
      assert.equal(headers.authorization, undefined);
      await gateway.event(event => event.status === 401 && event.path === '/people', 'the refusal of the first attempt');
    });

    test(`${scheme}:// with a wrong password, and without any, is refused`, async t => {
      const tab = await at(t, page[web]());
      assert.deepEqual(await tryWebSocket(tab, withName(socket[scheme]('/people'), 'carol:wrong')), REFUSED);
      assert.deepEqual(await tryWebSocket(await at(t, page[web]()), socket[scheme]('/people')), REFUSED);
    });

    test(`a page that was opened with a password opens its ${scheme}:// socket with it`, async t => {
      const tab = await newPage(t, browser, { httpCredentials: { username: 'carol', password: 'carol' } });
      const demo = await Demo.at(tab, page[web]().replace('/echo', '/protected'));
      assert.equal(demo.response.status(), 200);
      await demo.connect();
      await tab.click('#send');
      await demo.entry('[data-kind="message"]');
    });
  }

  test('a page behind Basic asks for a password', async t => {
    const tab = await newPage(t, browser);
    const response = await tab.goto(page.http().replace('/echo', '/protected')).catch(error => error);
    // Without anyone to ask, Chromium shows the body of the 401 or fails the navigation.
    if (response instanceof Error) assert.match(response.message, /ERR_INVALID_AUTH_CREDENTIALS/);
    else assert.equal(response.status(), 401);
  });

  test("an upstream's own 401 lets the browser repeat with the password", async t => {
    const tab = await at(t, page.http());
    assert.deepEqual(await tryWebSocket(tab, socket.ws('/strict').replace('://', '://eve:adam@')), SERVED);
    assert.equal(strict.requests.at(-1).headers.authorization, `Basic ${Buffer.from('eve:adam').toString('base64')}`);
  });
});
