// Which `ws` server a handshake reaches, and what that server is told of the client.

import assert from 'node:assert/strict';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Gateway, folder } from '../lib/gateway.mjs';
import { Peer, open, refused, within } from '../lib/peer.mjs';
import { Raw } from '../lib/raw.mjs';

describe('routes', () => {
  let gateway, first, second, local;

  before(async () => {
    [first, second] = [await Peer.start(), await Peer.start()];
    const socket = path.join(folder(), 'peer.sock');
    local = await Peer.start({ unix: socket });
    gateway = await Gateway.start(`
      [[routes]]
      host = "127.0.0.1"
      path = "/chat"
      subprotocols = ["chat.v2", "chat.v1"]
      upstream = "${first.url}"

      [[routes]]
      host = "127.0.0.1"
      path = "/chat"
      subprotocols = ["mqtt"]
      upstream = "${second.url}"

      [[routes]]
      host = "127.0.0.1"
      path = "/mixed"
      subprotocols = ["json"]
      upstream = "${first.url}"

      [[routes]]
      host = "127.0.0.1"
      path = "/mixed"
      upstream = "${second.url}"

      [[routes]]
      host = "127.0.0.1"
      path = "/tree/*"
      upstream = "${first.url}"

      [[routes]]
      host = "127.0.0.1"
      path = "/tree/branch/*"
      strip_prefix = "/tree/branch"
      upstream = "${second.url}"

      [[routes]]
      host = "127.0.0.1"
      path = "/local"
      upstream = "unix:${socket}"

      [[routes]]
      host = "one.example.com"
      path = "/one"
      upstream = "${first.url}"

      [[routes]]
      host = "*.example.com"
      upstream = "${second.url}"`);
  });
  after(() => Promise.all([gateway, first, second, local].map(one => one?.stop())));

  /** Opens a session and returns both ends. */
  async function reach(peer, pathname, protocols, options) {
    const client = await open(gateway.url(pathname), protocols, options);
    const server = await peer.session();
    client.socket.terminate();
    return { client, server };
  }

  test('two routes that differ by subprotocol alone', async () => {
    const chat = await reach(first, '/chat', ['chat.v1']);
    assert.equal(chat.client.socket.protocol, 'chat.v1');
    const mqtt = await reach(second, '/chat', ['mqtt']);
    assert.equal(mqtt.client.socket.protocol, 'mqtt');
  });

  test("the client's first known offer chooses, and only the route's tokens are offered on", async () => {
    const { client, server } = await reach(first, '/chat', ['unknown', 'chat.v1', 'mqtt', 'chat.v2']);
    assert.equal(server.request.headers['sec-websocket-protocol'].replaceAll(' ', ''), 'chat.v1,chat.v2');
    assert.equal(client.socket.protocol, 'chat.v1');
  });

  test('no subprotocol in common is refused with 400', async () => {
    for (const protocols of [['unknown'], []]) {
      assert.equal((await refused(gateway.url('/chat'), protocols)).status, 400);
    }
  });

  test('the route without subprotocols takes what no other takes', async () => {
    assert.equal((await reach(first, '/mixed', ['json'])).client.socket.protocol, 'json');
    assert.equal((await reach(second, '/mixed', ['other'])).client.socket.protocol, 'other');
    assert.equal((await reach(second, '/mixed', [])).client.socket.protocol, '');
  });

  test('the longest path wins, the query passes', async () => {
    const tree = await reach(first, '/tree/leaf?a=1&b=%20');
    assert.equal(tree.server.request.url, '/tree/leaf?a=1&b=%20');
    assert.equal((await reach(first, '/tree')).server.request.url, '/tree');
    assert.equal((await refused(gateway.url('/treehouse'))).status, 404);
  });

  test('strip_prefix takes its segments off and says so', async () => {
    const { request } = (await reach(second, '/tree/branch/twig?x=y')).server;
    assert.equal(request.url, '/twig?x=y');
    assert.equal(request.headers['x-forwarded-prefix'], '/tree/branch');
    assert.equal((await reach(second, '/tree/branch')).server.request.url, '/');
  });

  test('an upstream on a unix socket', async () => {
    const client = await open(gateway.url('/local'));
    assert.equal(await client.echo('through a file'), 'through a file');
    client.socket.terminate();
  });

  test('hosts: exact before wildcard, and no way back from a matched host', async () => {
    const at = host => ({ headers: { Host: host } });
    await reach(first, '/one', [], at('one.example.com'));
    await reach(second, '/one', [], at('two.example.com:8080'));
    assert.equal((await refused(gateway.url('/other'), [], at('one.example.com'))).status, 404);
    assert.equal((await refused(gateway.url('/one'), [], at('a.b.example.com'))).status, 404);
  });

  test('what the upstream is told', async () => {
    const { client, server } = await reach(first, '/tree', [], {
      origin: `http://127.0.0.1:${gateway.port}`,
      headers: { 'X-Forwarded-For': '6.6.6.6', 'X-Real-IP': '6.6.6.6', 'X-Own': 'kept', Cookie: 'a=b' },
    });
    const { headers } = server.request;
    assert.equal(headers['x-forwarded-for'], '127.0.0.1');
    assert.equal(headers['x-real-ip'], '127.0.0.1');
    assert.equal(headers['x-forwarded-proto'], 'http');
    assert.equal(headers['x-forwarded-host'], `127.0.0.1:${gateway.port}`);
    assert.ok(headers['x-request-id']);
    assert.equal(headers.host, `127.0.0.1:${gateway.port}`);
    assert.equal(headers.origin, `http://127.0.0.1:${gateway.port}`);
    assert.equal(headers['x-own'], 'kept');
    assert.equal(headers.cookie, 'a=b');
    assert.ok(client.response.headers['sec-websocket-accept']);
  });

  test('headers that Connection names end at the gateway', async () => {
    const client = await Raw.open(gateway.port, '/tree', { Connection: 'keep-alive, Upgrade, X-Hop, Origin', 'X-Hop': 'gone', 'X-Own': 'kept' });
    const { headers } = (await first.session()).request;
    assert.equal(headers['x-hop'], undefined);
    assert.equal(headers['x-own'], 'kept');
    assert.equal(headers.connection.toLowerCase(), 'upgrade');
    client.destroy();
  });

  test('a plain request is told to upgrade', async () => {
    const response = await within(fetch(gateway.url('/tree').replace('ws:', 'http:')), 'an answer');
    assert.equal(response.status, 426);
    assert.equal(response.headers.get('upgrade'), 'websocket');
  });

  test('an upstream that nobody serves is 502', async () => {
    const gone = await Peer.start();
    await gone.stop();
    const other = await Gateway.start(`[[routes]]\nupstream = "${gone.url}"`);
    try {
      assert.equal((await refused(other.url())).status, 502);
    } finally {
      await other.stop();
    }
  });
});
