// Socket.IO's own server and client through the gateway: each transport, and a session that stays with its server.

import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { Gateway } from '../lib/gateway.mjs';
import { within } from '../lib/peer.mjs';
import { Backend, Client } from '../lib/socketio.mjs';

/** Nobody lands on one of two servers this often by chance. */
const MANY = 40;

describe('Socket.IO', () => {
  let gateway, one, two;

  const upstream = (name, balance) => `
      [upstreams.${name}]
      endpoints = ["${one.url}", "${two.url}"]
      balance = ${balance}

      [[routes]]
      path = "/${name}/*"
      strip_prefix = "/${name}"
      upstream = "${name}"
      http_requests = "proxy"`;

  before(async () => {
    [one, two] = [await Backend.start('one'), await Backend.start('two')];
    gateway = await Gateway.start([
      upstream('robin', '"round_robin"'),
      upstream('cookie', '{ hash = "cookie:wsgate", issue = true }'),
      upstream('user', '{ hash = "query:user" }'),
      upstream('header', '{ hash = "header:X-User" }'),
      upstream('address', '{ hash = "client_ip" }'),
    ].join('\n'));
  });
  after(async () => {
    await gateway?.stop();
    await Promise.all([one, two].map(backend => backend?.stop()));
  });

  /** A client of one of the routes, gone when the test ends. */
  async function open(t, route, options = {}) {
    const client = await Client.open(`http://127.0.0.1:${gateway.port}`, { path: `/${route}/socket.io`, ...options });
    t.after(() => client.leave());
    return client;
  }

  /** Opens clients, each with `options(number)`, until there are three, and both servers have one. */
  async function three(t, route, options) {
    const clients = [];
    const spread = () => new Set(clients.map(client => client.first.name)).size;
    while (clients.length < 3 || spread() < 2) {
      assert.ok(clients.length < MANY, `all are with ${clients[0]?.first.name}`);
      clients.push(await open(t, route, options(clients.length)));
    }
    return clients;
  }

  /** Many requests of each, side by side: no server is asked for a session of the other's. */
  async function stay(clients) {
    const strangers = one.strangers + two.strangers;
    await Promise.all(clients.map(async (client, number) => {
      for (let round = 0; round < 20; round++) assert.deepEqual(await client.echo(number, round), [number, round]);
    }));
    assert.equal(one.strangers + two.strangers, strangers);
  }

  test('without stickiness polling meets servers that do not know its session', async t => {
    const strangers = one.strangers + two.strangers;
    await assert.rejects(open(t, 'robin', { transports: ['polling'] }), /xhr poll error|xhr post error/);
    assert.ok(one.strangers + two.strangers > strangers, 'no server was asked for a session of the other');
  });

  test('one WebSocket needs no stickiness', async t => {
    const client = await open(t, 'robin', { transports: ['websocket'], auth: { token: 'of the application' } });
    assert.deepEqual(client.first.auth, { token: 'of the application' });
    assert.equal(client.first.transport, 'websocket');
    assert.deepEqual(await client.echo('hello'), ['hello']);
  });

  const TRANSPORTS = [['polling'], ['polling', 'websocket'], ['websocket']];
  for (const transports of TRANSPORTS) {
    test(`${transports.join(' to ')}: three clients behind one address are spread over both servers, and stay`, async t => {
      const clients = await three(t, 'cookie', () => ({ transports, withCredentials: true }));
      if (transports.length > 1) await Promise.all(clients.map(client => client.upgraded()));
      for (const client of clients) assert.equal(client.transport, transports.at(-1));
      await stay(clients);
    });

    test(`${transports.join(' to ')}: text, binary and attachments pass as they are`, async t => {
      const client = await open(t, 'cookie', { transports, withCredentials: true });
      if (transports.length > 1) await client.upgraded();
      const bytes = crypto.randomBytes(100_000);
      const [back] = await client.echo({ text: 'grüße 🙂', deep: [{ bytes }], empty: Buffer.alloc(0) });
      assert.equal(back.text, 'grüße 🙂');
      assert.ok(bytes.equals(back.deep[0].bytes) && back.empty.length === 0);
      const large = crypto.randomBytes(6 << 20);
      assert.ok(large.equals((await client.echo(large))[0]));
      const text = 'ö'.repeat(1 << 20);
      assert.ok(text === (await client.echo(text))[0]);
    });

    test(`${transports.join(' to ')}: a client that was dropped comes back`, async t => {
      const client = await open(t, 'cookie', { transports, withCredentials: true, reconnection: true, reconnectionDelay: 10 });
      if (transports.length > 1) await client.upgraded();
      client.socket.emit('drop');
      await client.hello();
      assert.deepEqual(await client.echo('again'), ['again']);
    });
  }

  test('a name in the query leads to the same server every time', async t => {
    const options = number => ({ transports: ['polling', 'websocket'], query: { user: `user ${number}` } });
    const clients = await three(t, 'user', options);
    await Promise.all(clients.map(client => client.upgraded()));
    await stay(clients);
    for (const [number, client] of clients.entries()) {
      const again = await open(t, 'user', options(number));
      assert.equal(again.first.name, client.first.name);
    }
  });

  test('a name in a header leads to the same server every time', async t => {
    const options = number => ({ transports: ['polling', 'websocket'], extraHeaders: { 'X-User': `user-${number}` } });
    const clients = await three(t, 'header', options);
    await Promise.all(clients.map(client => client.upgraded()));
    await stay(clients);
    for (const [number, client] of clients.entries()) {
      const again = await open(t, 'header', options(number));
      assert.equal(again.first.name, client.first.name);
    }
  });

  test('by address all clients of one address share a server', async t => {
    const clients = [];
    for (let number = 0; number < 3; number++) clients.push(await open(t, 'address', { transports: ['polling', 'websocket'] }));
    await Promise.all(clients.map(client => client.upgraded()));
    await stay(clients);
    assert.equal(new Set(clients.map(client => client.first.name)).size, 1);
  });

  test('what one client sends reaches the others of its server', async t => {
    const clients = await three(t, 'user', number => ({ transports: ['polling', 'websocket'], query: { user: `guest ${number}` } }));
    while (clients.filter(client => client.first.name === clients[0].first.name).length < 2) {
      clients.push(await open(t, 'user', { query: { user: `guest ${clients.length}` } }));
    }
    const others = clients.filter(client => client !== clients[0] && client.first.name === clients[0].first.name);
    const heard = others.map(client => within(new Promise(resolve => client.socket.once('from another', resolve)), 'a broadcast'));
    clients[0].socket.emit('to others', 'hello all');
    assert.deepEqual(await Promise.all(heard), others.map(() => 'hello all'));
  });

  test('a server sees each client as it is', async t => {
    const client = await open(t, 'cookie', { transports: ['polling', 'websocket'], withCredentials: true, query: { mark: 'seen' } });
    await client.upgraded();
    const requests = [...one.requests, ...two.requests].filter(({ url }) => url.includes('mark=seen'));
    assert.ok(requests.length > 2);
    for (const { url, headers } of requests) {
      assert.match(url, /^\/socket\.io\/\?/);
      assert.equal(headers['x-forwarded-for'], '127.0.0.1');
      assert.equal(headers['x-forwarded-prefix'], '/cookie');
    }
  });
});
