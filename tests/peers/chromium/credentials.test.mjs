// Every way to prove who one is, from a page: cookies and who may not use them, tokens among the subprotocols, tickets
// across origins, certificates; and how a page learns that its session's proof has ended.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import { after, before, describe, test } from 'node:test';
import { launchBrowser, newPage, tryWebSocket, untilClosed } from '../lib/browser.mjs';
import { Authority } from '../lib/certificates.mjs';
import { Gateway } from '../lib/gateway.mjs';
import { Issuer, hasKeys, now } from '../lib/issuer.mjs';
import { OAuth2Proxy } from '../lib/oauth2-proxy.mjs';
import { Peer } from '../lib/peer.mjs';

const REFUSED = { opened: false, code: 1006, reason: '', clean: false };
const ENDED = { opened: true, code: 3000, reason: 'the credential has expired', clean: true };
const served = protocol => ({ opened: true, protocol, message: 'from Chromium', code: 4000, reason: 'seen', clean: true });

/** A site of its own with an empty page; another port is another origin, but of the same site, which gets its cookies. */
async function site() {
  const server = http.createServer((_, response) => response.setHeader('Content-Type', 'text/html').end('<title>site</title>'));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { origin: `http://127.0.0.1:${server.address().port}`, stop() { server.closeAllConnections(); server.close(); } };
}

/** Asks for a ticket, as a page does that has a token. */
function buyTicket(page, url, token) {
  return page.evaluate(async ([url, token]) => {
    try {
      const answer = await fetch(url, { method: 'POST', headers: token ? { Authorization: `Bearer ${token}` } : {} });
      return { status: answer.status, ...(answer.ok && await answer.json()) };
    } catch (error) {
      return { error: error.name };
    }
  }, [url, token]);
}

describe('Chromium and credentials', () => {
  let app, authority, browser, devices, evil, gateway, issuer, peer, portal, web;

  before(async () => {
    [authority, devices] = [new Authority(), new Authority()];
    const { cert, key } = authority.issue('gateway', ['localhost', '127.0.0.1']);
    [app, evil, issuer] = [await site(), await site(), await Issuer.start(authority, ['ES256'])];
    portal = await OAuth2Proxy.start({ users: { ann: { password: 'secret', email: 'ann@example.com' } } });
    peer = await Peer.start({ handleProtocols: offered => offered.has('chat.v1') && 'chat.v1' });
    gateway = await Gateway.start(`
      [[listeners]]
      name = "public"
      address = "127.0.0.1:0"
      [[listeners]]
      name = "devices"
      address = "127.0.0.1:0"
      [listeners.tls]
      certificates = [{ cert = "${cert}", key = "${key}" }]
      client_ca = "${devices.file('ca.pem')}"
      client_auth = "optional"

      [auth.portal]
      kind = "forward_auth"
      url = "http://${portal.address}/oauth2/auth"
      identity_header = "X-Auth-Request-User"
      copy_headers = ["X-Auth-Request-Email"]
      recheck = "1s"

      [auth.people]
      ${issuer.method}
      sources = ["header", "subprotocol:bearer", "subprotocol:bearer.", "cookie:token"]

      [auth.tickets]
      kind = "ticket"
      path = "/ticket"

      [auth.robots]
      kind = "api_key"
      sources = ["query:key"]
      keys = { ci = { secret = "key-of-the-robot" } }

      [auth.certificates]
      kind = "client_cert"
      identity = "subject_cn"

      [auth.guests]
      kind = "anonymous"
      identity = "guest"

      [route_defaults]
      limits.auth_failure_rate = "off"
      identity_header = "X-Who"
      upstream = "${peer.url}"

      [[routes]]
      path = "/page"
      upstream = "builtin:echo"
      [[routes]]
      path = "/oauth2/*"
      http_requests = "proxy"
      upstream = "ws://${portal.address}"
      [[routes]]
      path = "/portal"
      auth = ["portal"]
      [[routes]]
      path = "/portal/anywhere"
      origins = ["*"]
      auth = ["portal"]
      [[routes]]
      path = "/cookie"
      auth = ["people"]
      [[routes]]
      path = "/token"
      origins = ["${app.origin}"]
      auth = ["people"]
      [[routes]]
      path = "/ticketed"
      origins = ["${app.origin}"]
      auth = ["people", "tickets"]
      [[routes]]
      path = "/key"
      auth = ["robots"]
      [[routes]]
      path = "/lobby"
      auth = ["people", "guests"]
      [[routes]]
      path = "/device"
      auth = ["certificates"]`);
    web = `http://127.0.0.1:${gateway.ports.public}`;
    await hasKeys(gateway);
    browser = await launchBrowser();
  });
  after(async () => {
    await browser?.close();
    await Promise.all([app, evil, gateway, issuer, peer, portal].map(one => one?.stop()));
    [authority, devices].forEach(one => one?.remove());
  });

  async function at(t, url, options) {
    const page = await newPage(t, browser, options);
    await page.goto(url);
    return page;
  }

  /** A page of the gateway's own origin, whose user has logged in. */
  async function loggedIn(t) {
    const page = await at(t, `${web}/oauth2/sign_in?rd=/page`);
    await page.fill('[name=username]', 'ann');
    await page.fill('[name=password]', 'secret');
    await page.click('button');
    await page.waitForURL(`${web}/page`);
    return page;
  }

  const who = () => peer.requests.at(-1).headers['x-who'];

  test('a page whose user has logged in opens its socket by the cookie', async t => {
    const page = await loggedIn(t);
    assert.deepEqual(await tryWebSocket(page, gateway.url('/portal')), served(''));
    assert.equal(who(), 'portal:ann');
    assert.equal(peer.requests.at(-1).headers['x-auth-request-email'], 'ann@example.com');
    assert.deepEqual(await tryWebSocket(await at(t, `${web}/page`), gateway.url('/portal')), REFUSED);
  });

  test('a page of another origin has the same cookies, and is refused before anybody is asked', async t => {
    const page = await loggedIn(t);
    await page.goto(evil.origin);
    const asked = () => portal.requests.filter(({ url }) => url === '/oauth2/auth').length;
    const before = asked();
    assert.deepEqual(await tryWebSocket(page, gateway.url('/portal')), REFUSED);
    assert.equal(asked(), before);
    await gateway.event(event => event.path === '/portal' && event.status === 403, 'the refusal');
    // It is the Origin alone that stands between: where any may come, the cookie comes too.
    assert.deepEqual(await tryWebSocket(page, gateway.url('/portal/anywhere')), served(''));
    assert.equal(who(), 'portal:ann');
  });

  test('a token in a cookie opens the socket of the own page, and of no other', async t => {
    const page = await at(t, `${web}/page`);
    const token = await issuer.sign();
    await page.context().addCookies([{ name: 'token', value: token, url: web, httpOnly: true, sameSite: 'Lax' }, { name: 'theme', value: 'dark', url: web }]);
    assert.deepEqual(await tryWebSocket(page, gateway.url('/cookie')), served(''));
    assert.equal(who(), 'people:ann');
    assert.equal(peer.requests.at(-1).headers.cookie, 'theme=dark');
    await page.goto(evil.origin);
    const before = peer.requests.length;
    assert.deepEqual(await tryWebSocket(page, gateway.url('/cookie')), REFUSED);
    assert.equal(peer.requests.length, before);
  });

  test('a session ends with 3000 after the logout', async t => {
    const page = await loggedIn(t);
    const opened = () => gateway.events.filter(event => event.message === 'session opened').length;
    const before = opened();
    const ended = untilClosed(page, gateway.url('/portal'));
    await gateway.event(() => opened() > before, 'an open session');
    await (await page.context().newPage()).goto(`${web}/oauth2/sign_out?rd=/page`);
    const { reason, ...end } = await ended;
    assert.deepEqual(end, { opened: true, code: 3000, clean: true });
    assert.ok(reason);
    assert.deepEqual(await tryWebSocket(page, gateway.url('/portal')), REFUSED);
  });

  test('a session ends with 3000 when its token does', async t => {
    const page = await at(t, app.origin);
    const exp = now() + 2;
    assert.deepEqual(await untilClosed(page, gateway.url('/token'), ['bearer', await issuer.sign({ exp })]), ENDED);
    assert.ok(Date.now() < (exp + 1) * 1000, 'within a second');
  });

  for (const [what, protocols, chosen] of [
    ['two entries', token => ['bearer', token], 'bearer'],
    ['two entries beside another subprotocol', token => ['bearer', token, 'chat.v1'], 'chat.v1'],
    ['one entry beside another subprotocol', token => ['chat.v1', `bearer.${token}`], 'chat.v1'],
  ]) {
    test(`a token in ${what} opens a socket`, async t => {
      const [page, token] = [await at(t, app.origin), await issuer.sign()];
      assert.deepEqual(await tryWebSocket(page, gateway.url('/token'), protocols(token)), served(chosen));
      assert.equal(who(), 'people:ann');
      assert.ok(!JSON.stringify(peer.requests.at(-1).rawHeaders).includes(token));
      assert.ok(!gateway.text.includes(token));
      await page.goto(evil.origin);
      assert.deepEqual(await tryWebSocket(page, gateway.url('/token'), protocols(token)), REFUSED);
    });
  }

  test('a token in one entry alone is never answered, so that Chromium gives up', async t => {
    const [page, token] = [await at(t, app.origin), await issuer.sign()];
    assert.deepEqual(await tryWebSocket(page, gateway.url('/token'), [`bearer.${token}`]), REFUSED);
    assert.ok(!gateway.text.includes(token));
  });

  test('a page of another origin buys a ticket by its token, for one socket', async t => {
    const page = await at(t, app.origin);
    const { status, ticket, expires_in: left } = await buyTicket(page, `${web}/ticket?path=/ticketed`, await issuer.sign());
    assert.deepEqual([status, left], [200, 30]);
    const url = gateway.url(`/ticketed?room=1&ticket=${ticket}`);
    assert.deepEqual(await tryWebSocket(page, url), served(''));
    assert.equal(who(), 'people:ann');
    assert.equal(peer.requests.at(-1).url, '/ticketed?room=1');
    assert.deepEqual(await tryWebSocket(page, url), REFUSED);
    assert.ok(!gateway.text.includes(ticket));
  });

  test('a page without a token gets no ticket, and one of a strange origin nothing at all', async t => {
    const page = await at(t, app.origin);
    assert.deepEqual(await buyTicket(page, `${web}/ticket?path=/ticketed`), { status: 401 });
    const { ticket } = await buyTicket(page, `${web}/ticket?path=/ticketed`, await issuer.sign());
    await page.goto(evil.origin);
    assert.deepEqual(await buyTicket(page, `${web}/ticket?path=/ticketed`, await issuer.sign()), { error: 'TypeError' });
    assert.deepEqual(await tryWebSocket(page, gateway.url(`/ticketed?ticket=${ticket}`)), REFUSED);
    await page.goto(app.origin);
    assert.deepEqual(await tryWebSocket(page, gateway.url(`/ticketed?ticket=${ticket}`)), served(''));
  });

  test('a session by a ticket ends with 3000 when the token does', async t => {
    const page = await at(t, app.origin);
    const { ticket } = await buyTicket(page, `${web}/ticket?path=/ticketed`, await issuer.sign({ exp: now() + 3 }));
    assert.deepEqual(await untilClosed(page, gateway.url(`/ticketed?ticket=${ticket}`)), ENDED);
  });

  test('a key by query, and guests', async t => {
    const page = await at(t, `${web}/page`);
    assert.deepEqual(await tryWebSocket(page, gateway.url('/key?key=key-of-the-robot')), served(''));
    assert.equal(who(), 'robots:ci');
    assert.deepEqual(await tryWebSocket(page, gateway.url('/key?key=x')), REFUSED);
    assert.deepEqual(await tryWebSocket(page, gateway.url('/lobby')), served(''));
    assert.equal(who(), 'guests:guest');
    assert.deepEqual(await tryWebSocket(page, gateway.url('/lobby'), ['bearer', 'x.y.z']), REFUSED);
  });

  test('a certificate of the browser\'s', async t => {
    const origin = `https://localhost:${gateway.ports.devices}`;
    const { cert, key } = devices.issueClient('tablet', 'tablet 1');
    const page = await at(t, `${origin}/page`, { clientCertificates: [{ origin, certPath: cert, keyPath: key }] });
    const url = `${origin.replace('https', 'wss')}/device`;
    assert.deepEqual(await tryWebSocket(page, url), served(''));
    assert.equal(who(), 'certificates:tablet 1');
    assert.deepEqual(await tryWebSocket(await at(t, `${origin}/page`), url), REFUSED);
  });
});
