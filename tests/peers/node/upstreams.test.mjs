// Which endpoint of an upstream serves, what it is sent, and what becomes of one that is dead, mute or slow.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import { after, before, describe, test } from 'node:test';
import { Gateway } from '../lib/gateway.mjs';
import { Peer, open, refused } from '../lib/peer.mjs';

describe('endpoints', () => {
  let dead, first, gateway, mute, second;

  before(async () => {
    [dead, first, second] = [await Peer.start(), await Peer.start(), await Peer.start()];
    await dead.stop();
    mute = net.createServer(socket => socket.on('error', () => {}));
    mute.listen(0, '127.0.0.1');
    await once(mute, 'listening');
    const endpoints = `"${first.url}", "${second.url}"`;
    gateway = await Gateway.start(`
      [upstreams.even]
      endpoints = [${endpoints}]
      [upstreams.weighted]
      endpoints = [{ url = "${first.url}", weight = 2 }, "${second.url}"]
      [upstreams.least]
      endpoints = [${endpoints}]
      balance = "least_connections"
      [upstreams.random]
      endpoints = [${endpoints}]
      balance = "random_two"
      [upstreams.half_dead]
      endpoints = ["${dead.url}", "${first.url}"]
      [upstreams.mute]
      endpoints = ["ws://127.0.0.1:${mute.address().port}"]
      upgrade_timeout = "1s"
      [upstreams.renamed]
      endpoints = ["${first.url}"]
      host_header = "app.internal"
      [upstreams.endpoint]
      endpoints = ["${first.url}"]
      host_header = "endpoint"

      ${['even', 'weighted', 'least', 'random', 'half_dead', 'mute', 'renamed', 'endpoint'].map(name => `
      [[routes]]
      path = "/${name}"
      upstream = "${name}"`).join('\n')}

      [[routes]]
      path = "/edited"
      upstream = "${first.url}"
      request_headers = { set = { X-Env = "prod" }, remove = ["X-Debug"] }
      response_headers = { set = { X-Served-By = "wsgate" }, remove = ["X-Powered-By"] }
      add_prefix = "/v1"`);
  });
  after(async () => {
    mute?.close();
    await Promise.all([gateway, first, second].map(one => one?.stop()));
  });

  /** Opens `count` sessions; how many came to each peer, and the clients. */
  async function spread(path, count) {
    const before = [first, second].map(peer => peer.requests.length);
    const clients = [];
    for (let at = 0; at < count; at += 1) clients.push(await open(gateway.url(path)));
    return { shares: [first, second].map((peer, at) => peer.requests.length - before[at]), clients };
  }

  async function end(clients) {
    for (const client of clients) {
      client.socket.close();
      await client.close();
    }
  }

  test('round robin takes turns, by weight', async () => {
    const even = await spread('/even', 6);
    assert.deepEqual(even.shares, [3, 3]);
    const weighted = await spread('/weighted', 9);
    assert.deepEqual(weighted.shares, [6, 3]);
    await end([...even.clients, ...weighted.clients]);
  });

  test('least connections fills up the emptier one', async () => {
    const { clients, shares } = await spread('/least', 4);
    assert.deepEqual(shares, [2, 2]);
    await end(clients);
  });

  test('two drawn at random serve', async () => {
    const { clients, shares } = await spread('/random', 20);
    assert.equal(shares[0] + shares[1], 20);
    // Of two endpoints both are drawn, so the emptier one is taken.
    assert.ok(Math.min(...shares) >= 8, `${shares}`);
    await end(clients);
  });

  test('a dead endpoint is passed over', async () => {
    const { clients, shares } = await spread('/half_dead', 6);
    assert.deepEqual(shares, [6, 0]);
    await end(clients);
  });

  test('an upstream that does not answer in time is 504', async () => {
    assert.equal((await refused(gateway.url('/mute'))).status, 504);
  });

  test('the Host that an endpoint sees', async () => {
    for (const [path, host] of [['/renamed', 'app.internal'], ['/endpoint', new URL(first.url).host]]) {
      const { clients } = await spread(path, 1);
      const { headers } = first.requests.at(-1);
      assert.equal(headers.host, host);
      assert.equal(headers['x-forwarded-host'], `127.0.0.1:${gateway.port}`);
      await end(clients);
    }
  });

  test('header edits and add_prefix', async () => {
    const client = await open(gateway.url('/edited?q'), [], { headers: { 'X-Debug': '1', 'X-Env': 'theirs' } });
    const { headers, url } = first.requests.at(-1);
    assert.equal(url, '/v1/edited?q');
    assert.equal(headers['x-env'], 'prod');
    assert.equal(headers['x-debug'], undefined);
    assert.equal(client.response.headers['x-served-by'], 'wsgate');
    await end([client]);
  });
});

describe('load', () => {
  test('five hundred sessions at once', async t => {
    const peer = await Peer.start();
    const gateway = await Gateway.start(`[[routes]]\nupstream = "${peer.url}"`);
    t.after(() => Promise.all([gateway.stop(), peer.stop()]));
    const clients = await Promise.all(Array.from({ length: 500 }, () => open(gateway.url())));
    const answers = await Promise.all(clients.map((client, at) => client.echo(`session ${at}`)));
    answers.forEach((answer, at) => assert.equal(answer, `session ${at}`));
    clients.forEach((client, at) => client.socket.close(4000 + at));
    const closes = await Promise.all(clients.map(client => client.close()));
    closes.forEach(({ code }, at) => assert.equal(code, 4000 + at));
  });

  test('a slow reader holds its writer back, and its bytes are not kept in memory', async t => {
    const MiB = 1 << 20;
    const peer = await Peer.start({ echo: false });
    const gateway = await Gateway.start(`[[routes]]\nupstream = "${peer.url}"\n[routes.limits]\nmax_message_size = "off"`);
    t.after(() => Promise.all([gateway.stop(), peer.stop()]));
    const memory = () => Number(/RssAnon:\s+(\d+) kB/.exec(fs.readFileSync(`/proc/${gateway.child.pid}/status`, 'utf8'))[1]) * 1024;

    const client = await open(gateway.url(), [], { maxPayload: 0 });
    const server = await peer.session();
    server.socket.send('warm');
    await client.message();
    const before = memory();
    client.socket.pause();
    const data = Buffer.alloc(64 * MiB, 'slow');
    server.socket.send(data);
    // The other direction goes on meanwhile.
    for (let at = 0; at < 20; at += 1) {
      client.socket.send(`${at}`);
      assert.equal(await server.message(), `${at}`);
    }
    assert.ok(server.socket.bufferedAmount > 32 * MiB, 'the writer waits');
    assert.ok(memory() - before < 4 * MiB, `${memory() - before} bytes more`);
    client.socket.resume();
    assert.ok(data.equals(await client.message(60_000)));
    assert.ok(memory() - before < 4 * MiB, `${memory() - before} bytes more`);
  });
});
