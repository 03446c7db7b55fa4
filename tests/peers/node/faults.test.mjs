// Peers that break the protocol, exceed a limit or vanish: what each side is told.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Gateway } from '../lib/gateway.mjs';
import { Peer, open, separatePeer } from '../lib/peer.mjs';
import { BINARY, CLOSE, PING, Raw, TEXT, closing, frame, rawPeer } from '../lib/raw.mjs';

const NOT_UTF8 = Buffer.from([0x61, 0xff, 0x62]);

describe('a client at fault', () => {
  let gateway, peer;

  before(async () => {
    peer = await Peer.start();
    gateway = await Gateway.start(`
      [[routes]]
      path = "/default"
      upstream = "${peer.url}"

      [[routes]]
      path = "/small"
      upstream = "${peer.url}"
      [routes.limits]
      max_message_size = "1KiB"

      [[routes]]
      path = "/lax"
      upstream = "${peer.url}"
      [routes.limits]
      validate_utf8 = false`);
  });
  after(() => Promise.all([gateway, peer].map(one => one?.stop())));

  const faults = [
    ['text that is not UTF-8', 1007, () => frame(TEXT, NOT_UTF8)],
    ['a surrogate', 1007, () => frame(TEXT, Buffer.from([0xed, 0xa0, 0x80]))],
    ['text cut inside a character', 1007, () => frame(TEXT, Buffer.from([0xf0, 0x9f]))],
    ['a character broken across fragments', 1007, () => Buffer.concat([frame(TEXT, Buffer.from([0xf0, 0x9f]), { fin: false }), frame(0, 'x')])],
    ['a close reason that is not UTF-8', 1007, () => frame(CLOSE, Buffer.concat([Buffer.from([3, 232]), NOT_UTF8]))],
    ['no mask', 1002, () => frame(TEXT, 'bare', { mask: false })],
    ['a reserved bit', 1002, () => frame(TEXT, 'x', { rsv: 4 })],
    ['a reserved opcode', 1002, () => frame(3, 'x')],
    ['a reserved control opcode', 1002, () => frame(11, 'x')],
    ['a fragmented ping', 1002, () => frame(PING, 'x', { fin: false })],
    ['a ping of 126 bytes', 1002, () => frame(PING, 'x'.repeat(126))],
    ['a continuation of nothing', 1002, () => frame(0, 'x')],
    ['a message inside a message', 1002, () => Buffer.concat([frame(TEXT, 'x', { fin: false }), frame(TEXT, 'y')])],
    ['close 1005', 1002, () => frame(CLOSE, closing(1005))],
    ['close 1006', 1002, () => frame(CLOSE, closing(1006))],
    ['close 999', 1002, () => frame(CLOSE, closing(999))],
    ['a close of one byte', 1002, () => frame(CLOSE, 'x')],
  ];
  for (const [what, code, bytes] of faults) {
    test(`${what} is told ${code}, the upstream 1001`, async () => {
      const client = await Raw.open(gateway.port, '/default');
      const server = await peer.session();
      client.send(TEXT, 'before');
      assert.equal(await server.message(), 'before');
      assert.equal(String((await client.frame()).payload), 'before');
      client.write(bytes());
      assert.equal((await client.closeFrame()).code, code);
      assert.equal((await server.close()).code, 1001);
      assert.equal(server.unread, 0, 'the upstream saw nothing of it');
      client.destroy();
    });
  }

  test('a message over the limit is told 1009, the upstream 1001', async () => {
    const client = await open(gateway.url('/small'));
    const server = await peer.session();
    assert.equal((await client.echo('x'.repeat(1024))).length, 1024);
    client.socket.send('x'.repeat(1025));
    assert.equal((await client.close()).code, 1009);
    await server.message();
    assert.equal((await server.close()).code, 1001);
    assert.equal(server.unread, 0);
  });

  test('the limit counts over fragments', async () => {
    const client = await open(gateway.url('/small'));
    const server = await peer.session();
    client.socket.send('x'.repeat(700), { fin: false });
    client.socket.send('x'.repeat(700), { fin: true });
    assert.equal((await client.close()).code, 1009);
    assert.equal((await server.close()).code, 1001);
  });

  test('validate_utf8 = false lets text pass unseen', async () => {
    const client = await Raw.open(gateway.port, '/lax');
    await peer.session();
    client.send(TEXT, NOT_UTF8);
    // The library at the upstream is the one to object.
    assert.equal((await client.closeFrame()).code, 1007);
    client.destroy();
  });

  test('a client lost without a close leaves the upstream with none', async () => {
    const client = await open(gateway.url('/default'));
    const server = await peer.session();
    client.socket.terminate();
    assert.deepEqual(await server.close(), { code: 1006, reason: '' });
  });

  test('other sessions notice nothing', async () => {
    const other = await open(gateway.url('/default'));
    const client = await Raw.open(gateway.port, '/default');
    client.send(3, 'x');
    await client.closeFrame();
    assert.equal(await other.echo('still here'), 'still here');
    other.socket.terminate();
    client.destroy();
  });
});

describe('an upstream at fault', () => {
  const faults = [
    ['a masked frame', 1002, () => frame(TEXT, 'x')],
    ['a reserved opcode', 1002, () => frame(5, 'x', { mask: false })],
    ['a reserved bit', 1002, () => frame(BINARY, 'x', { rsv: 2, mask: false })],
    ['text that is not UTF-8', 1007, () => frame(TEXT, NOT_UTF8, { mask: false })],
    ['a message over the limit', 1009, () => frame(BINARY, Buffer.alloc(2000), { mask: false })],
  ];
  for (const [what, code, bytes] of faults) {
    test(`${what} is told ${code}, the client 1011`, async () => {
      let told;
      const peer = await rawPeer(raw => {
        raw.write(Buffer.concat([frame(TEXT, 'before', { mask: false }), bytes()]));
        told = raw.closeFrame();
      });
      const gateway = await Gateway.start(`[[routes]]\nupstream = "${peer.url}"\n[routes.limits]\nmax_message_size = "1KiB"`);
      try {
        const client = await open(gateway.url());
        assert.equal(await client.message(), 'before');
        assert.equal((await client.close()).code, 1011);
        assert.equal((await told).code, code);
        assert.equal(client.unread, 0);
      } finally {
        await Promise.all([gateway.stop(), peer.stop()]);
      }
    });
  }

  test('an upstream that is killed leaves its clients with 1012', async () => {
    const peer = await separatePeer();
    const gateway = await Gateway.start(`[[routes]]\nupstream = "${peer.url}"`);
    try {
      const clients = [];
      for (let count = 0; count < 3; count += 1) clients.push(await open(gateway.url()));
      assert.equal(await clients[0].echo('alive'), 'alive');
      peer.child.kill('SIGKILL');
      for (const client of clients) assert.equal((await client.close()).code, 1012);
    } finally {
      await gateway.stop();
    }
  });
});
