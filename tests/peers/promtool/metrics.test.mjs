// What Prometheus' own linter says of /metrics after real traffic, and what its parser reads there.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import http from 'node:http';
import { after, before, describe, test } from 'node:test';
import { Gateway } from '../lib/gateway.mjs';
import { Peer, open, refused, within } from '../lib/peer.mjs';

const TOKEN = 'a-token-for-prometheus';

/** The status and the text of a page. */
function get(port, path, headers = {}) {
  const asked = new Promise((resolve, reject) => {
    const request = http.get({ host: '127.0.0.1', port, path, headers, agent: false }, answer => {
      let text = '';
      answer.setEncoding('utf8');
      answer.on('data', chunk => { text += chunk; });
      answer.on('end', () => resolve({ status: answer.statusCode, type: answer.headers['content-type'], text }));
    });
    request.on('error', reject);
  });
  return within(asked, path);
}

/** `promtool check metrics`: it ends with 1 if it cannot read the page and with 3 if it has remarks. */
function check(page) {
  const promtool = process.env.WSGATE_PROMTOOL ?? 'promtool';
  const { status, stdout, stderr, error } = spawnSync(promtool, ['check', 'metrics'], { input: page, encoding: 'utf8' });
  if (error) throw error;
  return { status, words: (stdout + stderr).trim() };
}

describe('/metrics', () => {
  let gateway, peer, port;
  const metrics = (headers = {}) =>
    get(port, '/metrics', { authorization: `Bearer ${TOKEN}`, ...headers });

  before(async () => {
    peer = await Peer.start({ echo: false });
    gateway = await Gateway.start(`
      [admin]
      address = "127.0.0.1:0"
      tokens = { prometheus = { secret = "${TOKEN}", may = ["read"] } }

      [[listeners]]
      name = "public"
      address = "127.0.0.1:0"

      [[routes]]
      name = 'a route with "quotes" and a \\'
      path = "/chat"
      upstream = "${peer.url}"

      [[routes]]
      name = "nobody"
      path = "/nobody"
      upstream = "ws://127.0.0.1:1"`);
    const { address } = await gateway.event(event => event.listener === '[admin]', 'address of [admin]');
    port = Number(address.split(':').pop());
  });
  after(() => Promise.all([gateway, peer].map(one => one?.stop())));

  /** A session of three messages, a refused handshake, one that fails, an ordinary request. */
  async function traffic() {
    const client = await open(gateway.url('/chat'));
    const server = await peer.session();
    for (const text of ['one', 'two', 'three']) {
      client.socket.send(text);
      assert.equal(await server.message(), text);
    }
    server.socket.send('four');
    await client.message();
    client.socket.close(4321, 'done');
    await Promise.all([client.closed, server.closed]);
    assert.equal((await refused(gateway.url('/nowhere'))).status, 404);
    assert.equal((await refused(gateway.url('/nobody'))).status, 502);
    assert.equal((await get(gateway.port, '/chat')).status, 426);
    await gateway.event(event => event.message === 'session ended', 'end of the session');
  }

  test('the linter has no remark, before traffic and after', async () => {
    const fresh = await metrics();
    assert.equal(fresh.status, 200);
    assert.equal(fresh.type, 'text/plain; version=0.0.4; charset=utf-8');
    assert.deepEqual(check(fresh.text), { status: 0, words: '' });

    await traffic();
    const { text } = await metrics();
    assert.deepEqual(check(text), { status: 0, words: '' });
    for (const sample of [
      'wsgate_handshakes_total{listener="public",route="",outcome="refused",reason="no_route"} 1',
      'wsgate_handshakes_total{listener="public",route="nobody",outcome="failed",reason="connect_failed"} 1',
      'wsgate_messages_total{route="a route with \\"quotes\\" and a \\\\",direction="to_client"} 1',
      'wsgate_messages_total{route="a route with \\"quotes\\" and a \\\\",direction="to_upstream"} 3',
    ]) assert.ok(text.split('\n').includes(sample), `no ${sample} in\n${text}`);
    assert.match(text, /wsgate_sessions_ended_total\{.*ended_by="client",reason="closed_by_client",code="4xxx"\} 1/);
  });

  test('the linter would have found something', () => {
    const page = '# TYPE wsgate_things counter\nwsgate_things 1\n';
    const { status, words } = check(page);
    assert.notEqual(status, 0);
    assert.match(words, /wsgate_things/);
    assert.notEqual(check('no { metric').status, 0);
  });

  test('nobody reads it without the token', async () => {
    for (const authorization of ['', 'Bearer wrong', `Basic ${btoa(`x:${TOKEN}`)}`]) {
      const answer = await get(port, '/metrics', { authorization });
      assert.equal(answer.status, 401);
      assert.doesNotMatch(answer.text, /wsgate_/);
    }
  });
});
