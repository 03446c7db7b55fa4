// What a `ws` client and a `ws` server say to each other through wsgate: messages, pings, closes, compression.

import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { Gateway } from '../lib/gateway.mjs';
import { Peer, deflate, open } from '../lib/peer.mjs';

describe('ws to ws', () => {
  let gateway, echo, quiet, packed;

  before(async () => {
    echo = await Peer.start();
    quiet = await Peer.start({ echo: false });
    packed = await Peer.start({ perMessageDeflate: { threshold: 0 } });
    gateway = await Gateway.start(`
      [[routes]]
      path = "/echo"
      upstream = "${echo.url}"

      [[routes]]
      path = "/quiet"
      upstream = "${quiet.url}"

      [[routes]]
      path = "/packed"
      compression = "passthrough"
      upstream = "${packed.url}"

      [[routes]]
      path = "/unpacked"
      upstream = "${packed.url}"

      [[routes]]
      path = "/builtin"
      upstream = "builtin:echo"`);
  });
  after(() => Promise.all([gateway, echo, quiet, packed].map(one => one?.stop())));

  /** Both ends of a session at the quiet peer. */
  async function pair() {
    const client = await open(gateway.url('/quiet'));
    return { client, server: await quiet.session() };
  }

  for (const path of ['/echo', '/builtin']) {
    test(`text and binary of many sizes come back from ${path}`, async () => {
      const client = await open(gateway.url(path));
      assert.equal(await client.echo('grüße 🙂'), 'grüße 🙂');
      assert.equal(await client.echo(''), '');
      for (const size of [0, 1, 125, 126, 127, 1000, 65535, 65536, 65537, 1 << 20]) {
        const data = crypto.randomBytes(size);
        assert.deepEqual(await client.echo(data), data, `${size} bytes`);
      }
      client.socket.close(1000, 'done');
      assert.deepEqual(await client.close(), { code: 1000, reason: 'done' });
    });

    test(`8 MiB come back from ${path}`, async () => {
      const client = await open(gateway.url(path));
      const data = crypto.randomBytes(8 << 20);
      assert.ok(data.equals(await client.echo(data, 30_000)));
      const text = 'wörld🙂 '.repeat((8 << 20) / 12);
      assert.ok(text === await client.echo(text, 30_000));
      client.socket.terminate();
    });

    test(`fragments make one message at ${path}`, async () => {
      const client = await open(gateway.url(path));
      const [head, tail] = [Buffer.from('🙂').subarray(0, 2), Buffer.from('🙂').subarray(2)];
      client.socket.send(head, { fin: false, binary: false });
      client.socket.ping('between');
      client.socket.send(tail, { fin: true, binary: false });
      assert.equal(await client.pong(), 'between');
      assert.equal(await client.message(), '🙂');
      client.socket.terminate();
    });
  }

  test('fragments arrive from the upstream', async () => {
    const { client, server } = await pair();
    for (const [at, part] of ['one ', 'two ', 'three'].entries()) server.socket.send(part, { fin: at === 2 });
    assert.equal(await client.message(), 'one two three');
    client.socket.terminate();
  });

  test('two thousand messages keep their order both ways at once', async () => {
    const { client, server } = await pair();
    const texts = Array.from({ length: 2000 }, (_, at) => `${at} ${'x'.repeat(at * 7 % 3000)}`);
    texts.forEach(text => { client.socket.send(text); server.socket.send(text); });
    for (const text of texts) {
      assert.ok(await server.message() === text);
      assert.ok(await client.message() === text);
    }
    client.socket.terminate();
  });

  test('pings and pongs pass in both directions', async () => {
    const { client, server } = await pair();
    client.socket.ping('from the client');
    assert.equal(await server.ping(), 'from the client');
    assert.equal(await client.pong(), 'from the client');
    server.socket.ping('from the upstream');
    assert.equal(await client.ping(), 'from the upstream');
    assert.equal(await server.pong(), 'from the upstream');
    client.socket.ping();
    assert.equal(await server.ping(), '');
    assert.equal(await client.pong(), '');
    client.socket.pong('unasked');
    assert.equal(await server.pong(), 'unasked');
    client.socket.terminate();
  });

  const CLOSES = [
    [1000, ''], [1001, 'going'], [1003, 'kind'], [1008, 'policy'], [1011, 'fault'], [1012, 'restart'],
    [1013, 'later'], [1014, 'gateway'], [3000, 'unauthorized'], [4999, 'ö'.repeat(61)],
  ];
  for (const [code, reason] of CLOSES) {
    test(`close ${code} and its reason pass from the client`, async () => {
      const { client, server } = await pair();
      client.socket.close(code, reason);
      assert.deepEqual(await server.close(), { code, reason });
      assert.deepEqual(await client.close(), { code, reason });
    });

    test(`close ${code} and its reason pass from the upstream`, async () => {
      const { client, server } = await pair();
      server.socket.close(code, reason);
      assert.deepEqual(await client.close(), { code, reason });
      assert.deepEqual(await server.close(), { code, reason });
    });
  }

  test('a close without a code stays one without a code', async () => {
    const one = await pair();
    one.client.socket.close();
    assert.deepEqual(await one.server.close(), { code: 1005, reason: '' });
    const other = await pair();
    other.server.socket.close();
    assert.deepEqual(await other.client.close(), { code: 1005, reason: '' });
  });

  test('messages sent just before a close still arrive', async () => {
    const { client, server } = await pair();
    for (let at = 0; at < 100; at += 1) server.socket.send(`${at}`);
    server.socket.close(4000, 'after a hundred');
    for (let at = 0; at < 100; at += 1) assert.equal(await client.message(), `${at}`);
    assert.deepEqual(await client.close(), { code: 4000, reason: 'after a hundred' });
  });

  test('compression is not negotiated unless the route says so', async () => {
    const client = await open(gateway.url('/unpacked'), [], deflate);
    const server = await packed.session();
    assert.equal(client.socket.extensions, '');
    assert.equal(server.request.headers['sec-websocket-extensions'], undefined);
    assert.equal(await client.echo('plain'), 'plain');
    client.socket.terminate();
  });

  test('compression passes through where the route says so', async () => {
    const client = await open(gateway.url('/packed'), [], deflate);
    const server = await packed.session();
    assert.match(client.socket.extensions, /^permessage-deflate/);
    const text = 'the same words over and over, '.repeat(40_000);
    assert.ok(text === await client.echo(text));
    assert.equal(await client.echo('short'), 'short');
    assert.ok(server.request.socket.bytesRead < text.length / 10, 'the upstream read it compressed');
    client.socket.close(1000, 'packed');
    assert.deepEqual(await server.close(), { code: 1000, reason: 'packed' });
  });

  test('a client that offers no compression gets none from a route that would pass it', async () => {
    const client = await open(gateway.url('/packed'));
    assert.equal(client.socket.extensions, '');
    assert.equal(await client.echo('plain'), 'plain');
    client.socket.terminate();
  });

  test('the access log tells how a session went', async () => {
    const client = await open(gateway.url('/echo'));
    await client.echo('counted');
    client.socket.close(4321, 'logged');
    await client.close();
    const line = await gateway.event(
      event => event.message === 'session ended' && event.client_close_received === 4321, 'access line with the close code');
    const { ended_by, route, to_client_bytes, to_client_messages, to_upstream_bytes, to_upstream_messages, upstream_close_sent } = line;
    assert.deepEqual({ ended_by, route, upstream_close_sent }, { ended_by: 'client', route: '/echo', upstream_close_sent: 4321 });
    // The Close itself counts with its code and reason.
    assert.deepEqual([to_upstream_messages, to_upstream_bytes], [1, 'counted'.length + 2 + 'logged'.length]);
    assert.deepEqual([to_client_messages, to_client_bytes], [1, 'counted'.length + 2 + 'logged'.length]);
  });
});
