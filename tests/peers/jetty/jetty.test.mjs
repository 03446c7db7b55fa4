// A Jetty echo server behind wsgate, with a `ws` client.

import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import fs from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Gateway, launch, lines } from '../lib/gateway.mjs';
import { deflate, open, within } from '../lib/peer.mjs';

const JARS = '/usr/share/java';

/** Debian's Jetty 9 by its unversioned names. */
function classPath() {
  const jars = fs.readdirSync(JARS).filter(name => /^(jetty9-[a-z0-9-]*[a-z]|servlet-api)\.jar$/.test(name));
  return jars.map(name => `${JARS}/${name}`).join(':');
}

describe('Jetty', () => {
  let jetty, gateway;

  before(async () => {
    const source = fileURLToPath(new URL('EchoServer.java', import.meta.url));
    jetty = launch('java', ['-Xmx256m', '-cp', classPath(), source]);
    let errors = '';
    jetty.stderr.on('data', chunk => { errors += chunk; });
    const gone = new Promise((_, reject) => jetty.on('exit', code => reject(new Error(`java ended with ${code}: ${errors}`))));
    gone.catch(() => {});
    const port = await within(Promise.race([new Promise(resolve => lines(jetty.stdout, resolve)), gone]), 'the port of Jetty', 60_000);
    gateway = await Gateway.start(`
      [[routes]]
      path = "/packed"
      compression = "passthrough"
      upstream = "ws://127.0.0.1:${port}"

      [[routes]]
      upstream = "ws://127.0.0.1:${port}"`);
  });
  after(async () => {
    jetty?.kill('SIGKILL');
    await gateway?.stop();
  });

  test('text and binary, small and large', async () => {
    const client = await open(gateway.url());
    assert.equal(await client.echo('grüße 🙂'), 'grüße 🙂');
    for (const size of [0, 1, 125, 126, 65536, 1 << 20, 8 << 20]) {
      const data = crypto.randomBytes(size);
      assert.ok(data.equals(await client.echo(data)), `${size} bytes`);
    }
    const text = 'ö'.repeat(1 << 19);
    assert.ok(text === await client.echo(text));
    client.socket.terminate();
  });

  test('fragments and pings', async () => {
    const client = await open(gateway.url());
    client.socket.send('one ', { fin: false });
    client.socket.ping('p');
    client.socket.send('two', { fin: true });
    assert.equal(await client.pong(), 'p');
    assert.equal(await client.message(), 'one two');
    client.socket.terminate();
  });

  test("the client's close reaches Jetty", async () => {
    for (const [code, reason] of [[1000, 'done'], [4000, 'grüße'], [3999, '']]) {
      const client = await open(gateway.url(`/?close-${code}`));
      client.socket.close(code, reason);
      assert.deepEqual(await client.close(), { code, reason });
      const other = await open(gateway.url());
      assert.equal(await other.echo(`told close-${code}`), `${code} ${reason}`);
      other.socket.terminate();
    }
  });

  test('a client lost without a close is 1006 for Jetty', async () => {
    (await open(gateway.url('/?lost'))).socket.terminate();
    const other = await open(gateway.url());
    assert.match(await other.echo('told lost'), /^1006 /);
    other.socket.terminate();
  });

  test("Jetty's close reaches the client", async () => {
    for (const [code, reason] of [[1000, 'done'], [1011, 'fault'], [4002, 'grüße']]) {
      const client = await open(gateway.url());
      client.socket.send(`close ${code} ${reason}`);
      assert.deepEqual(await client.close(), { code, reason });
    }
  });

  test('the subprotocol is the one that Jetty chose', async () => {
    const client = await open(gateway.url(), ['one', 'two', 'three']);
    assert.equal(client.socket.protocol, 'three');
    client.socket.terminate();
  });

  test('compression passes where the route says so', async () => {
    const plain = await open(gateway.url(), [], deflate);
    assert.equal(plain.socket.extensions, '');
    plain.socket.terminate();
    const packed = await open(gateway.url('/packed'), [], deflate);
    assert.match(packed.socket.extensions, /^permessage-deflate/);
    const text = 'the same again '.repeat(50_000);
    assert.ok(text === await packed.echo(text));
    packed.socket.close(1000, 'packed');
    assert.deepEqual(await packed.close(), { code: 1000, reason: 'packed' });
  });
});
