// The heartbeat, and the end of the process, as `ws` clients and servers live through them.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Gateway } from '../lib/gateway.mjs';
import { Peer, open, refused, within } from '../lib/peer.mjs';
import { PING, PONG, Raw } from '../lib/raw.mjs';

/** A peer and a gateway before it, stopped when the test ends. */
async function pair(t, settings = '', route = '') {
  const peer = await Peer.start();
  const gateway = await Gateway.start(`${settings}\n[[routes]]\nupstream = "${peer.url}"\n${route}`);
  t.after(() => Promise.all([gateway.stop(), peer.stop()]));
  return { peer, gateway };
}

describe('the heartbeat', () => {
  const beat = pong => `[routes.heartbeat]\nping_interval = "1s"\npong_timeout = "${pong}"`;

  test('both legs are pinged, and libraries that answer live on', async t => {
    const { peer, gateway } = await pair(t, '', beat('15s'));
    const client = await open(gateway.url());
    const server = await peer.session();
    for (let round = 0; round < 3; round += 1) {
      assert.equal(Buffer.from(await client.ping()).length > 0, true);
      await server.ping();
    }
    assert.equal(await client.echo('alive'), 'alive');
    client.socket.close(1000);
    assert.equal((await client.close()).code, 1000);
  });

  test('a client that answers no ping is told 1001, and its upstream too', async t => {
    const { peer, gateway } = await pair(t, '', beat('1s'));
    const client = await Raw.open(gateway.port, '/');
    const server = await peer.session();
    const ping = await client.frame();
    assert.equal(ping.opcode, PING);
    assert.equal(ping.payload.length, 8);
    assert.equal((await client.closeFrame()).code, 1001);
    assert.equal((await server.close()).code, 1001);
  });

  test('a client that stalls inside a large message, longer than ping and pong together, keeps its session', async t => {
    const peer = await Peer.start({ echo: false });
    const gateway = await Gateway.start(
      `[[routes]]\nupstream = "${peer.url}"\n[routes.limits]\nmax_message_size = "off"\n${beat('1s')}`);
    t.after(() => Promise.all([gateway.stop(), peer.stop()]));
    const client = await open(gateway.url(), [], { maxPayload: 0 });
    const server = await peer.session();
    const data = Buffer.alloc(64 << 20, 'stall');
    client.socket.pause();
    server.socket.send(data);
    await new Promise(resolve => setTimeout(resolve, 5000));
    client.socket.resume();
    assert.ok(data.equals(await client.message(60_000)));
    client.socket.close(1000);
    assert.equal((await client.close()).code, 1000);
    assert.equal((await server.close()).code, 1000);
  });

  test("the gateway's own pongs reach nobody", async t => {
    const { peer, gateway } = await pair(t, '', beat('15s'));
    const client = await Raw.open(gateway.port, '/');
    const server = await peer.session();
    let strangers = 0;
    server.socket.on('pong', () => { strangers += 1; });
    for (let round = 0; round < 2; round += 1) client.send(PONG, (await client.frame()).payload);
    client.send(PONG, 'a stranger');
    assert.equal(await server.pong(), 'a stranger');
    assert.equal(strangers, 1);
    client.destroy();
  });

  test('idle and max_duration end a session with 1001 and a reason', async t => {
    for (const key of ['idle', 'max_duration']) {
      const { peer, gateway } = await pair(t, '', `[routes.timeouts]\n${key} = "1s"`);
      const client = await open(gateway.url());
      const server = await peer.session();
      const { code, reason } = await client.close();
      assert.equal(code, 1001);
      assert.notEqual(reason, '');
      assert.equal((await server.close()).code, 1001);
    }
  });
});

describe('the end of the process', () => {
  for (const signal of ['SIGTERM', 'SIGINT']) {
    test(`${signal} closes every session with 1001 and exits 0`, async t => {
      const { peer, gateway } = await pair(t, '[server]\ndrain_timeout = "3s"');
      const clients = [], servers = [];
      for (let count = 0; count < 10; count += 1) {
        clients.push(await open(gateway.url()));
        servers.push(await peer.session());
      }
      await clients[3].echo('alive');
      gateway.signal(signal);
      for (const client of clients) assert.equal((await client.close()).code, 1001);
      for (const server of servers) assert.equal((await server.close()).code, 1001);
      assert.deepEqual(await within(gateway.exited, 'the exit'), { code: 0, signal: null });
    });
  }

  test('without sessions it exits at once', async t => {
    const { gateway } = await pair(t);
    const before = Date.now();
    gateway.signal('SIGTERM');
    assert.deepEqual(await within(gateway.exited, 'the exit'), { code: 0, signal: null });
    assert.ok(Date.now() - before < 5000);
  });

  test('no new session while it drains', async t => {
    const { peer, gateway } = await pair(t, '[server]\ndrain_timeout = "30s"');
    const stubborn = await Raw.open(gateway.port, '/');
    await peer.session();
    gateway.signal('SIGTERM');
    assert.equal((await stubborn.closeFrame()).code, 1001);
    // Either nobody listens any more, or the answer is 503.
    await refused(gateway.url()).then(
      ({ status }) => assert.equal(status, 503),
      error => assert.match(String(error.code), /ECONN/),
    );
    stubborn.destroy();
  });

  test('a second signal ends at once', async t => {
    const { peer, gateway } = await pair(t, '[server]\ndrain_timeout = "60s"', '[routes.timeouts]\nclose = "60s"');
    const stubborn = await Raw.open(gateway.port, '/');
    await peer.session();
    gateway.signal('SIGTERM');
    assert.equal((await stubborn.closeFrame()).code, 1001);
    assert.equal(gateway.child.exitCode, null);
    gateway.signal('SIGTERM');
    await within(gateway.exited, 'the exit', 5000);
    stubborn.destroy();
  });
});
