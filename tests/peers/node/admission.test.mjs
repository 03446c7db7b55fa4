// Who may enter: Origin, Basic, API keys; and what an upstream's own refusal becomes.

import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { Gateway } from '../lib/gateway.mjs';
import { Peer, open, refused } from '../lib/peer.mjs';
import { Raw } from '../lib/raw.mjs';

// Made by libxcrypt and argon2-cffi.
const HTPASSWD = [
  ['alice', '$2y$05$abcdefghijklmnopqrstuuaB0XGmWsGp.MgqAVx4Na9PcnH2YCYrq', 'wonder land:1'],
  ['bob', '$6$rounds=1000$nH/fJqcZVWM/N/Ep$orbARJdRF5DRcGyxOkUcBAPuFETLj4cPRTucj7Si0lPcAjUgWbkQ5DHNApFZtQYWlWNtXjP9nxnIj6XA4YRwV1', 'ö-pässword'],
  ['carol', '$5$rounds=1000$9v5MoHjwj3hpo/Oo$6gnSaf54vRn1yt2P3cWNjDWLdYh5c44nG1TK/4TD.c4', 'carol'],
  ['dave', '$argon2id$v=19$m=8192,t=2,p=1$aM1ru1gMfQ5IdUO9/+SQgw$VT3aqmG83r7w1bX24IwbUcF3sxcOGVaULQ0hgUs10rw', 'dave'],
];

const basic = (name, password) => `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}`;

describe('Origin', () => {
  let gateway, peer;

  before(async () => {
    peer = await Peer.start();
    gateway = await Gateway.start(`
      [[routes]]
      path = "/own"
      upstream = "${peer.url}"

      [[routes]]
      path = "/listed"
      origins = ["https://app.example.com", "https://*.example.org"]
      upstream = "${peer.url}"

      [[routes]]
      path = "/required"
      require_origin = true
      upstream = "${peer.url}"

      [[routes]]
      path = "/any"
      origins = ["*"]
      upstream = "${peer.url}"

      [[routes]]
      path = "/null"
      origins = ["null"]
      upstream = "${peer.url}"`);
  });
  after(() => Promise.all([gateway, peer].map(one => one?.stop())));

  const own = () => `http://127.0.0.1:${gateway.port}`;
  const cases = [
    ['/own', own, true], ['/own', () => undefined, true],
    ['/own', () => 'http://127.0.0.1', false], ['/own', () => own().replace('http:', 'https:'), false],
    ['/own', () => 'https://evil.example.com', false], ['/own', () => `${own()}.evil.example.com`, false],
    ['/own', () => 'null', false],
    ['/listed', () => 'https://app.example.com', true], ['/listed', () => 'https://app.example.com:443', true],
    ['/listed', () => 'https://one.example.org', true], ['/listed', () => 'https://a.b.example.org', false],
    ['/listed', () => 'https://example.org', false], ['/listed', () => 'http://app.example.com', false],
    ['/listed', () => 'https://app.example.com.evil.net', false], ['/listed', own, false],
    ['/required', own, true], ['/required', () => undefined, false],
    ['/any', () => 'https://evil.example.com', true],
    ['/null', () => 'null', true], ['/null', own, false],
  ];
  for (const [path, origin, admitted] of cases) {
    test(`${path} ${admitted ? 'admits' : 'refuses'} ${String(origin).replace('() => ', '')}`, async () => {
      const before = peer.connections;
      const options = { origin: origin() };
      if (admitted) return void (await open(gateway.url(path), [], options)).socket.terminate();
      const answer = await refused(gateway.url(path), [], options);
      assert.equal(answer.status, 403);
      assert.equal(peer.connections, before, 'the upstream was not asked');
    });
  }

  test('a browser that leaves its Origin out across sites is refused', async () => {
    for (const site of ['cross-site', 'same-site']) {
      assert.equal((await refused(gateway.url('/own'), [], { headers: { 'Sec-Fetch-Site': site } })).status, 403);
    }
    (await open(gateway.url('/own'), [], { headers: { 'Sec-Fetch-Site': 'same-origin' } })).socket.terminate();
  });
});

describe('Basic', () => {
  let gateway, peer;

  before(async () => {
    peer = await Peer.start();
    gateway = await Gateway.start(`
      [auth.people]
      kind = "basic"
      htpasswd = "people"
      realm = "the people"

      [[routes]]
      path = "/people"
      auth = ["people"]
      identity_header = "X-Auth-Identity"
      upstream = "${peer.url}"

      [[routes]]
      path = "/open"
      upstream = "${peer.url}"`, { people: HTPASSWD.map(([name, hash]) => `${name}:${hash}\n`).join('') });
  });
  after(() => Promise.all([gateway, peer].map(one => one?.stop())));

  const cases = [
    ['nothing', undefined], ['a wrong password', basic('alice', 'wonder land')], ['an unknown name', basic('mallory', 'x')],
    ['no password', basic('alice', '')], ['no base64', 'Basic ???'], ['another scheme', 'Bearer abc'],
    ['the hash itself', basic('alice', HTPASSWD[0][1])],
  ];
  for (const [what, authorization] of cases) {
    test(`${what} is 401 with a challenge`, async () => {
      const before = peer.connections;
      const answer = await refused(gateway.url('/people'), [], { headers: authorization && { Authorization: authorization } });
      assert.equal(answer.status, 401);
      assert.match(answer.headers['www-authenticate'], /^Basic realm="the people"/);
      assert.equal(peer.connections, before, 'the upstream was not asked');
    });
  }

  for (const [name, hash, password] of HTPASSWD) {
    test(`${name} enters by ${hash.split('$')[1]}, twice, and the upstream sees who, not how`, async () => {
      for (let round = 0; round < 2; round += 1) {
        const client = await open(gateway.url('/people'), [], { headers: {
          Authorization: basic(name, password), 'X-Auth-Identity': 'people:root', 'X_Auth_Identity': 'people:root', 'X-Auth.Identity': 'people:root',
        } });
        const { headers } = (await peer.session()).request;
        assert.equal(headers['x-auth-identity'], `people:${name}`);
        assert.equal(headers.authorization, undefined);
        assert.ok(!JSON.stringify(headers).includes('root'));
        client.socket.terminate();
      }
    });
  }

  test('an identity header of the client reaches no route, and other credentials pass an open one', async () => {
    const client = await open(gateway.url('/open'), [], { headers: { 'X-Auth-Identity': 'people:root', Authorization: 'Bearer theirs' } });
    const { headers } = (await peer.session()).request;
    assert.equal(headers['x-auth-identity'], undefined);
    assert.equal(headers.authorization, 'Bearer theirs');
    client.socket.terminate();
  });

  test('no password reaches the log', async () => {
    await refused(gateway.url('/people'), [], { headers: { Authorization: basic('alice', 'not-for-logs') } });
    (await open(gateway.url('/people'), [], { headers: { Authorization: basic('carol', 'carol') } })).socket.close();
    await gateway.event(event => JSON.stringify(event).includes('people:carol'), 'access line of carol');
    for (const secret of ['not-for-logs', basic('alice', 'not-for-logs').slice(6), basic('carol', 'carol').slice(6), '$2y$']) {
      assert.ok(!gateway.text.includes(secret), secret);
    }
  });
});

describe('API keys', () => {
  let gateway, peer;

  before(async () => {
    peer = await Peer.start();
    const sha256 = crypto.createHash('sha256').update('key-of-the-robot').digest('hex');
    gateway = await Gateway.start(`
      [auth.robots]
      kind = "api_key"
      keys = { ci = { sha256 = "${sha256}" } }
      sources = ["header:X-API-Key", "query:key", "cookie:key"]

      [[routes]]
      path = "/robots"
      auth = ["robots"]
      identity_header = "X-Who"
      upstream = "${peer.url}"`);
  });
  after(() => Promise.all([gateway, peer].map(one => one?.stop())));

  const KEY = 'key-of-the-robot';
  const cases = [
    ['header', '/robots?a=1', { 'X-API-Key': KEY, Cookie: 'theme=dark' }, '/robots?a=1', 'theme=dark'],
    ['query', `/robots?a=1&key=${KEY}&b=2`, { Cookie: 'theme=dark' }, '/robots?a=1&b=2', 'theme=dark'],
    ['query alone', `/robots?key=${KEY}`, {}, '/robots', undefined],
    ['cookie', '/robots?a=1', { Cookie: `theme=dark; key=${KEY}; lang=de` }, '/robots?a=1', 'theme=dark; lang=de'],
    ['cookie alone', '/robots', { Cookie: `key=${KEY}` }, '/robots', undefined],
  ];
  for (const [what, path, headers, url, cookie] of cases) {
    test(`a key by ${what} enters and goes no further`, async () => {
      const client = await open(gateway.url(path), [], { headers });
      const { request } = await peer.session();
      assert.equal(request.url.replace(/\?$/, ''), url);
      assert.equal(request.headers.cookie, cookie);
      assert.equal(request.headers['x-who'], 'robots:ci');
      assert.ok(!request.rawHeaders.join('\n').includes(KEY));
      client.socket.terminate();
    });
  }

  for (const [what, path, headers] of [
    ['none', '/robots', {}], ['a wrong one', '/robots', { 'X-API-Key': 'key-of-the-robo' }],
    ['a wrong one by query', '/robots?key=x', {}], ['one in another parameter', `/robots?keys=${KEY}`, {}],
  ]) {
    test(`${what} is 401`, async () => {
      const answer = await refused(gateway.url(path), [], { headers });
      assert.equal(answer.status, 401);
      assert.ok(answer.headers['www-authenticate']);
    });
  }

  test('no key reaches the log', async () => {
    (await open(gateway.url(`/robots?key=${KEY}`))).socket.close();
    await gateway.event(event => JSON.stringify(event).includes('robots:ci'), 'access line');
    assert.ok(!gateway.text.includes(KEY));
  });
});

describe("an upstream's own answer", () => {
  const ACCEPT = 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n';
  const answers = {
    '401': 'HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer realm="app"\r\nContent-Type: application/json\r\nContent-Length: 17\r\n\r\n{"why":"expired"}',
    '404': 'HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n7\r\nno room\r\n5\r\n here\r\n0\r\n\r\n',
    '302': 'HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n',
    accept: `${ACCEPT}Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n`,
    protocol: key => `${ACCEPT}Sec-WebSocket-Accept: ${key}\r\nSec-WebSocket-Protocol: never-offered\r\n\r\n`,
    extension: key => `${ACCEPT}Sec-WebSocket-Accept: ${key}\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n`,
    '200': 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok',
    noise: 'SSH-2.0-OpenSSH_9.2\r\n\r\n',
    nothing: '',
  };
  let gateway, peer;

  before(async () => {
    const { acceptOf } = await import('../lib/raw.mjs');
    peer = await Peer.start({ respond(request, socket) {
      const answer = answers[request.url.slice(1)];
      socket.on('data', chunk => { peer.leaked = (peer.leaked ?? '') + chunk; });
      socket.end(typeof answer === 'function' ? answer(acceptOf(request.headers['sec-websocket-key'])) : answer);
    } });
    gateway = await Gateway.start(`[[routes]]\nupstream = "${peer.url}"`);
  });
  after(() => Promise.all([gateway, peer].map(one => one?.stop())));

  test('401 passes with its challenge and body', async () => {
    const answer = await refused(gateway.url('/401'));
    assert.equal(answer.status, 401);
    assert.equal(answer.headers['www-authenticate'], 'Bearer realm="app"');
    assert.equal(answer.body, '{"why":"expired"}');
  });

  test('404 passes with its chunked body', async () => {
    const answer = await refused(gateway.url('/404'));
    assert.equal(answer.status, 404);
    assert.equal(answer.body, 'no room here');
  });

  test('200 passes as the plain answer that it is', async () => {
    const answer = await refused(gateway.url('/200'));
    assert.equal(answer.status, 200);
    assert.equal(answer.body, 'ok');
  });

  test('a redirect passes', async () => {
    const answer = await refused(gateway.url('/302'));
    assert.equal(answer.status, 302);
    assert.equal(answer.headers.location, '/elsewhere');
  });

  for (const what of ['accept', 'protocol', 'extension', 'noise', 'nothing']) {
    test(`a broken answer (${what}) is 502`, async () => {
      assert.equal((await refused(gateway.url(`/${what}`))).status, 502);
    });
  }

  for (const status of [200, 302, 404]) {
    test(`a handshake answered with ${status} is never a pipe`, async () => {
      const client = await Raw.connect(gateway.port);
      assert.equal((await client.ask(gateway.port, `/${status}`)).status, status);
      client.write('GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n');
      await client.rest();
      assert.equal(peer.leaked, undefined);
      assert.ok(!peer.requests.some(request => request.url === '/smuggled'));
    });
  }
});
