// Tokens and a key set of `jose`, over `ws`, before a server that knows nothing of them.

import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import * as jose from 'jose';
import { Authority } from '../lib/certificates.mjs';
import { Gateway } from '../lib/gateway.mjs';
import { ALGORITHMS, Issuer, Key, bearer, claims, hasKeys, now } from '../lib/issuer.mjs';
import { Peer, open, refused } from '../lib/peer.mjs';

const KUBERNETES = 'base64url.bearer.authorization.k8s.io.';
const base64url = text => Buffer.from(text).toString('base64url');

describe('tokens of jose', () => {
  let authority, gateway, issuer, peer;
  const secret = crypto.randomBytes(48).toString('base64');

  before(async () => {
    authority = new Authority();
    issuer = await Issuer.start(authority);
    peer = await Peer.start({ handleProtocols: offered => offered.has('chat.v1') && 'chat.v1' });
    gateway = await Gateway.start(`
      [auth.people]
      ${issuer.method}
      sources = ["header", "cookie:token", "query:token", "subprotocol:bearer", "subprotocol:bearer.", "subprotocol:${KUBERNETES}"]
      require_claims = { "realm_access.roles" = { contains = "chat" } }
      claims_to_headers = { org = "X-Org", "realm_access.roles" = "X-Roles" }

      [auth.services]
      kind = "jwt"
      algorithms = ["HS256", "HS384", "HS512"]
      secret = "${secret}"
      issuer = "${claims().iss}"
      audience = "${claims().aud}"

      [auth.robots]
      kind = "api_key"
      sources = ["header:X-API-Key"]
      keys = { ci = { secret = "key-of-the-robot" } }

      [auth.guests]
      kind = "anonymous"
      identity = "guest"

      [route_defaults]
      limits.auth_failure_rate = "off"
      identity_header = "X-Who"
      upstream = "${peer.url}"

      [[routes]]
      path = "/people"
      auth = ["people"]
      [[routes]]
      path = "/services"
      auth = ["services"]
      [[routes]]
      path = "/lobby"
      auth = ["people", "guests"]
      [[routes]]
      path = "/both"
      auth_all = ["robots", "people"]`);
    await hasKeys(gateway);
  });
  after(async () => {
    await Promise.all([gateway, peer, issuer].map(one => one?.stop()));
    authority?.remove();
  });

  const token = (more, header, kid) => issuer.sign({ realm_access: { roles: ['chat', 'admin'] }, ...more }, header, kid);

  /** Opens a session by `shown`, a token: what the upstream was told, which has no trace of it. */
  async function admitted(shown, { path = '/people', protocols = [], headers = {} } = {}) {
    const client = await open(gateway.url(path), protocols, { headers });
    const { request } = await peer.session();
    assert.equal(await client.echo('hello'), 'hello');
    client.socket.terminate();
    const told = [request.url, ...request.rawHeaders].join('\n');
    for (const trace of [shown, base64url(shown)]) assert.ok(!told.includes(trace), told);
    return { headers: request.headers, url: request.url, protocol: client.socket.protocol };
  }

  const status = async (headers, path = '/people') => (await refused(gateway.url(path), [], { headers })).status;

  for (const algorithm of ALGORITHMS) {
    test(`${algorithm} enters`, async () => {
      const shown = await token({ sub: algorithm, org: 'acme' }, {}, algorithm);
      const { headers } = await admitted(shown, { headers: { ...bearer(shown), 'X-Org': 'evil', 'X_Org': 'evil' } });
      assert.deepEqual([headers['x-who'], headers['x-org'], headers['x-roles']], [`people:${algorithm}`, 'acme', 'chat,admin']);
      assert.equal(headers.authorization, undefined);
      assert.equal(headers.x_org, undefined);
    });
  }

  for (const alg of ['HS256', 'HS384', 'HS512']) {
    test(`${alg} enters by the secret, and by no other`, async () => {
      const by = (secret, more) => new jose.SignJWT(claims(more)).setProtectedHeader({ alg }).sign(Buffer.from(secret));
      const shown = await by(secret);
      assert.equal((await admitted(shown, { path: '/services', headers: bearer(shown) })).headers['x-who'], 'services:ann');
      assert.equal(await status(bearer(await by(secret.toLowerCase())), '/services'), 401);
      assert.equal(await status(bearer(shown)), 401);
    });
  }

  for (const [what, options, url, protocol, cookie] of [
    ['a cookie', one => ({ headers: { Cookie: `theme=dark; token=${one}` } }), '/people', '', 'theme=dark'],
    ['the query', one => ({ path: `/people?token=${one}&a=1` }), '/people?a=1', ''],
    ['two entries', one => ({ protocols: ['bearer', one] }), '/people', 'bearer'],
    ['two entries beside a subprotocol', one => ({ protocols: ['bearer', one, 'chat.v1'] }), '/people', 'chat.v1'],
    ['one entry beside a subprotocol', one => ({ protocols: ['chat.v1', `bearer.${one}`] }), '/people', 'chat.v1'],
    ['an entry of Kubernetes\' beside a subprotocol', one => ({ protocols: [KUBERNETES + base64url(one), 'chat.v1'] }), '/people', 'chat.v1'],
  ]) {
    test(`a token by ${what} enters and goes no further`, async () => {
      const shown = await token();
      const told = await admitted(shown, options(shown));
      assert.equal(told.headers['x-who'], 'people:ann');
      assert.deepEqual([told.url, told.protocol, told.headers.cookie], [url, protocol, cookie]);
      assert.equal(told.headers['sec-websocket-protocol'], protocol === 'chat.v1' ? 'chat.v1' : undefined);
      assert.ok(!gateway.text.includes(shown) && !gateway.text.includes(base64url(shown)));
    });
  }

  test('what is not good is 401', async () => {
    const stranger = await Key.make('ES256');
    const good = await token();
    const [head, body, signature] = good.split('.');
    const encrypted = await new jose.EncryptJWT(claims()).setProtectedHeader({ alg: 'RSA-OAEP-256', enc: 'A256GCM', kid: 'RS256' })
      .encrypt((await jose.generateKeyPair('RSA-OAEP-256')).publicKey);
    const cases = {
      'another issuer': await token({ iss: 'https://evil.example.com/' }),
      'another audience': await token({ aud: ['mail', 'calendar'] }),
      'expired': await token({ exp: now() - 3600 }),
      'not valid yet': await token({ nbf: now() + 3600 }),
      'no end': await token({ exp: undefined }),
      'a stranger\'s key': await stranger.sign(),
      'a key that is not in the set': await (await Key.make('ES256', 'other')).sign(),
      'a key of its own': await stranger.sign({}, { jwk: stranger.jwk }),
      'unsecured': new jose.UnsecuredJWT(claims()).encode(),
      'the key of another algorithm': await issuer.key('ES384').sign({}, { kid: 'ES256' }),
      'encrypted': encrypted,
      'no signature': `${head}.${body}.`,
      'a signature of zeros': `${head}.${body}.${base64url(Buffer.alloc(64))}`,
      'a changed body': `${head}.${base64url(JSON.stringify(claims({ sub: 'root' })))}.${signature}`,
    };
    for (const [what, shown] of Object.entries(cases)) assert.equal(await status(bearer(shown)), 401, what);
    assert.equal(await status({}), 401);
    assert.equal(await status(bearer(await token({ realm_access: { roles: ['mail'] } }))), 403);
    await admitted(good, { headers: bearer(good) });
    assert.equal(issuer.asked, 1, 'an unknown key does not fetch the set at once again');
  });

  test('a challenge says what is asked for', async () => {
    const { headers } = await refused(gateway.url('/both'), []);
    assert.equal(headers['www-authenticate'], 'ApiKey realm="robots", Bearer realm="people"');
  });

  test('guests have shown nothing, and a bad token makes nobody a guest', async () => {
    const guest = await admitted('no token', { path: '/lobby' });
    assert.equal(guest.headers['x-who'], 'guests:guest');
    const shown = await token();
    assert.equal((await admitted(shown, { path: '/lobby', headers: bearer(shown) })).headers['x-who'], 'people:ann');
    assert.equal(await status(bearer(`${shown}x`), '/lobby'), 401);
  });

  test('auth_all wants each of them', async () => {
    const shown = await token();
    const key = { 'X-API-Key': 'key-of-the-robot' };
    const told = await admitted(shown, { path: '/both', headers: { ...key, ...bearer(shown) } });
    assert.equal(told.headers['x-who'], 'robots:ci');
    assert.equal(told.headers['x-api-key'], undefined);
    for (const headers of [{}, key, bearer(shown), { ...key, ...bearer(`${shown}x`) }, { 'X-API-Key': 'x', ...bearer(shown) }]) {
      assert.equal(await status(headers, '/both'), 401);
    }
  });

  test('sessions end with their token, by 3000', async () => {
    const exp = now() + 2;
    const [short, long] = [await token({ exp }), await token()];
    const lasting = await open(gateway.url('/people'), ['bearer', long]);
    await peer.session();
    const clients = await Promise.all([1, 2, 3].map(() => open(gateway.url('/people'), ['bearer', short])));
    const late = [];
    const ends = await Promise.all(clients.map(async client => {
      const end = await client.close();
      late.push(Date.now() - exp * 1000);
      return end;
    }));
    assert.deepEqual(ends, Array(3).fill({ code: 3000, reason: 'the credential has expired' }));
    assert.ok(late[0] > -50 && late[0] < 1000, `the first was ${late[0]} ms late`);
    for (const _ of clients) assert.equal((await (await peer.session()).close()).code, 1001);
    assert.equal(await lasting.echo('still here'), 'still here');
    lasting.socket.terminate();
  });
});
