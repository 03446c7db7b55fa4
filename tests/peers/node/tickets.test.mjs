// Tickets with `fetch` and `ws`: a program that plays a page, with tokens of `jose`.

import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { Authority } from '../lib/certificates.mjs';
import { Gateway } from '../lib/gateway.mjs';
import { Issuer, bearer, hasKeys, now } from '../lib/issuer.mjs';
import { Peer, open, refused } from '../lib/peer.mjs';

const PAGE = 'https://app.example.com';
const OTHER = 'https://other.example.com';
const EVIL = 'https://evil.example.com';

describe('tickets', () => {
  let authority, gateways, issuer, peer;

  before(async () => {
    authority = new Authority();
    [issuer, peer] = [await Issuer.start(authority, ['ES256']), await Peer.start()];
    const toml = `
      [auth.people]
      ${issuer.method}
      claims_to_headers = { org = "X-Org" }

      [auth.tickets]
      kind = "ticket"
      path = "/ticket"
      secret = "${crypto.randomBytes(24).toString('hex')}"

      [route_defaults]
      limits.auth_failure_rate = "off"
      auth = ["people", "tickets"]
      origins = ["${PAGE}", "${OTHER}"]
      identity_header = "X-Who"
      upstream = "${peer.url}"

      [[routes]]
      path = "/chat/*"
      [[routes]]
      path = "/mail"`;
    // Two that are one for the outside.
    gateways = await Promise.all([Gateway.start(toml), Gateway.start(toml)]);
    await Promise.all(gateways.map(gateway => hasKeys(gateway)));
  });
  after(async () => {
    await Promise.all([...gateways ?? [], peer, issuer].map(one => one?.stop()));
    authority?.remove();
  });

  const token = more => issuer.sign({ org: 'acme', ...more });

  function ask(gateway, path, headers, method = 'POST') {
    return fetch(`http://127.0.0.1:${gateway.port}/ticket${path && `?path=${encodeURIComponent(path)}`}`, { method, headers: { Origin: PAGE, ...headers } });
  }

  async function buy(gateway, path, headers) {
    const answer = await ask(gateway, path, headers);
    assert.equal(answer.status, 200);
    assert.equal(answer.headers.get('cache-control'), 'no-store');
    assert.equal(answer.headers.get('access-control-allow-origin'), headers.Origin ?? PAGE);
    const { ticket, expires_in } = await answer.json();
    assert.equal(expires_in, 30);
    assert.match(ticket, /^[\w.~-]+$/);
    return ticket;
  }

  const url = (gateway, path, ticket) => gateway.url(`${path}?a=1&ticket=${ticket}`);
  const status = async (gateway, path, ticket, origin) => (await refused(url(gateway, path, ticket), [], { origin })).status;

  test('a token buys a ticket, and the ticket one session on each gateway', async () => {
    const [gateway, second] = gateways;
    const shown = await token();
    const ticket = await buy(gateway, '/chat/room', bearer(shown));
    for (const one of [gateway, second]) {
      const client = await open(url(one, '/chat/room', ticket), [], { origin: PAGE });
      const { request } = await peer.session();
      assert.equal(request.url, '/chat/room?a=1');
      assert.deepEqual([request.headers['x-who'], request.headers['x-org']], ['people:ann', 'acme']);
      assert.equal(await client.echo('hello'), 'hello');
      client.socket.terminate();
      assert.equal(await status(one, '/chat/room', ticket, PAGE), 401);
      assert.ok(!one.text.includes(ticket) && !one.text.includes(shown));
    }
  });

  test('a ticket is for its route and its origin, and is not used up elsewhere', async () => {
    const [gateway] = gateways;
    const ticket = await buy(gateway, '/mail', bearer(await token()));
    assert.equal(await status(gateway, '/chat/room', ticket, PAGE), 401);
    assert.equal(await status(gateway, '/mail', ticket, OTHER), 401);
    assert.equal(await status(gateway, '/mail', ticket, undefined), 401);
    assert.equal(await status(gateway, '/mail', ticket, EVIL), 403);
    assert.equal(await status(gateway, '/mail', `${ticket}x`, PAGE), 401);
    const client = await open(url(gateway, '/mail', ticket), [], { origin: PAGE });
    await peer.session();
    client.socket.terminate();
  });

  test('of many who come with one ticket at once, one enters', async () => {
    const [gateway] = gateways;
    const ticket = await buy(gateway, '/mail', bearer(await token()));
    const come = () => open(url(gateway, '/mail', ticket), [], { origin: PAGE }).catch(() => null);
    const clients = (await Promise.all(Array.from({ length: 20 }, come))).filter(client => client);
    assert.equal(clients.length, 1);
    await peer.session();
    clients[0].socket.terminate();
  });

  test('who may not enter gets no ticket', async () => {
    const [gateway] = gateways;
    const good = bearer(await token());
    const ticket = await buy(gateway, '/mail', good);
    for (const [path, headers, expected, method] of [
      ['/mail', {}, 401],
      ['/mail', bearer('x.y.z'), 401],
      ['/mail', bearer(await token({ exp: now() - 3600 })), 401],
      ['/mail', bearer(ticket), 401],
      ['/mail', { ...good, Origin: EVIL }, 403],
      ['', good, 400],
      ['/none', good, 404],
      ['/mail', good, 405, 'GET'],
    ]) {
      const answer = await ask(gateway, path, headers, method);
      assert.equal(answer.status, expected, `${path} ${method}`);
      assert.ok(!(await answer.text()).includes('"ticket"'));
    }
  });

  test('the session ends with the token that bought its ticket', async () => {
    const [gateway] = gateways;
    const exp = now() + 3;
    const ticket = await buy(gateway, '/mail', bearer(await token({ exp })));
    const client = await open(url(gateway, '/mail', ticket), [], { origin: PAGE });
    await peer.session();
    assert.deepEqual(await client.close(), { code: 3000, reason: 'the credential has expired' });
    assert.ok(Date.now() < (exp + 1) * 1000, 'within a second');
  });
});
