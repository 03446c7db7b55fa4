// Bodies of ordinary requests by Node's client and server: those that are not there, those that are large, and who lets go.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import crypto from 'node:crypto';
import { once } from 'node:events';
import fs from 'node:fs';
import http from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { Gateway } from '../lib/gateway.mjs';
import { HttpServer } from '../lib/http.mjs';
import { within } from '../lib/peer.mjs';

const MIB = 1 << 20;
const LARGE = 96 * MIB;
/** What may be on its way: the buffers of four sockets' ends, of Node and of the gateway. */
const UNDER_WAY = 24 * MIB;

/** A server whose answers the paths choose. */
class Server extends HttpServer {
  sockets = new Set();
  answers = [];
  sent = 0;
  taken = 0;

  connected(socket) {
    this.sockets.add(socket);
    socket.on('close', () => { this.sockets.delete(socket); this.wake?.(); });
  }

  /** Waits until `holds`, asked whenever a request has come or a connection has gone. */
  async until(holds, what) {
    await within(new Promise(resolve => {
      this.wake = () => holds() && resolve();
      this.wake();
    }), what);
    this.wake = undefined;
  }

  serve(request, response) {
    const url = new URL(request.url, 'http://server');
    switch (url.pathname) {
      case '/none': return response.writeHead(Number(url.searchParams.get('status')), { ETag: '"x"' }).end();
      case '/length': return response.writeHead(200, { 'Content-Length': 12 }).end(request.method === 'HEAD' ? undefined : 'twelve bytes');
      case '/large': return this.#pour(response);
      case '/slow': return this.#drink(request, response);
      case '/wait':
        this.answers.push(response);
        return this.wake?.();
      default: return this.#echo(request, response);
    }
  }

  /** As fast as the other side takes it. */
  #pour(response) {
    const pieces = function* (server) {
      const piece = Buffer.alloc(64 << 10, 'x');
      for (server.sent = 0; server.sent < LARGE; server.sent += piece.length) yield piece;
    };
    this.poured = once(response, 'close');
    response.writeHead(200);
    // A client that lets go is what a test is for.
    pipeline(Readable.from(pieces(this), { objectMode: false }), response).catch(() => {});
  }

  async #drink(request, response) {
    this.taken = 0;
    for await (const piece of request) this.taken += piece.length;
    response.end(String(this.taken));
  }

  async #echo(request, response) {
    const body = Buffer.concat(await request.toArray());
    response.setHeader('X-Asked', request.url);
    response.setHeader('X-Framing', Object.keys(request.headers).filter(name => /^(content-length|transfer-encoding|upgrade|http2-settings)$/.test(name)).join());
    response.end(body);
  }
}

/** Asks with Node's client; `body` is what is sent. */
async function ask(url, { body, ...options } = {}) {
  const request = http.request(url, options);
  request.end(body);
  const [response] = await within(once(request, 'response'), `an answer to ${url}`);
  const bytes = Buffer.concat(await within(response.toArray(), `the body of ${url}`));
  return { status: response.statusCode, headers: response.headers, body: bytes, socket: response.socket };
}

describe('bodies of ordinary requests', () => {
  let gateway, server, base;

  before(async () => {
    server = await Server.start();
    gateway = await Gateway.start(`
      [[routes]]
      path = "/app/*"
      strip_prefix = "/app"
      upstream = "${server.url}"
      http_requests = "proxy"`);
    base = `http://127.0.0.1:${gateway.port}/app`;
  });

  after(async () => {
    await gateway?.stop();
    server?.stop();
  });

  /** The most memory that the gateway has held so far. */
  function peak() {
    const status = fs.readFileSync(`/proc/${gateway.child.pid}/status`, 'utf8');
    return Number(/VmHWM:\s+(\d+) kB/.exec(status)[1]) * 1024;
  }

  test('answers without a body leave the connection good for the next request', async () => {
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    const sockets = new Set();
    for (let round = 0; round < 3; round++) {
      const head = await ask(`${base}/length`, { agent, method: 'HEAD' });
      assert.deepEqual([head.status, head.headers['content-length'], head.body.length], [200, '12', 0]);
      for (const status of [204, 304]) {
        const none = await ask(`${base}/none?status=${status}`, { agent });
        assert.deepEqual([none.status, none.body.length, none.headers.etag], [status, 0, '"x"']);
        assert.equal(none.headers['transfer-encoding'], undefined);
        sockets.add(none.socket);
      }
      const whole = await ask(`${base}/length`, { agent });
      assert.equal(whole.body.toString(), 'twelve bytes');
      sockets.add(head.socket).add(whole.socket);
    }
    assert.equal(sockets.size, 1);
    agent.destroy();
  });

  test('a client that asks whether it may go on is told so, unless it is refused', async () => {
    const expecting = path => http.request(path, { method: 'POST', headers: { Expect: '100-continue', 'Content-Length': 5 } });
    const request = expecting(`${base}/upload`);
    request.flushHeaders();
    await within(once(request, 'continue'), '100 Continue');
    request.end('hello');
    const [response] = await within(once(request, 'response'), 'an answer');
    assert.equal(String(await response.toArray()), 'hello');

    const refused = expecting(`http://127.0.0.1:${gateway.port}/elsewhere`);
    refused.on('continue', () => assert.fail('a refused client was told to go on'));
    refused.flushHeaders();
    const [refusal] = await within(once(refused, 'response'), 'a refusal');
    assert.equal(refusal.statusCode, 404);
    refused.on('error', () => {});
    refused.destroy();
  });

  test('five hundred requests over sixteen connections each get their own answer', async () => {
    const agent = new http.Agent({ keepAlive: true, maxSockets: 16 });
    const one = async number => {
      const body = crypto.randomBytes(crypto.randomInt(40_000));
      const kinds = [
        { method: 'POST', body, headers: { 'Content-Length': body.length } },
        { method: 'PUT', body, headers: { 'Transfer-Encoding': 'chunked' } },
        { method: 'GET' },
        { method: 'HEAD' },
        { method: 'DELETE' },
      ];
      const kind = kinds[number % kinds.length];
      const answer = await ask(`${base}/${number}`, { agent, ...kind });
      assert.equal(answer.headers['x-asked'], `/${number}`);
      assert.ok(answer.body.equals(kind.body ?? Buffer.alloc(0)), `the body of ${kind.method} ${number}`);
    };
    await Promise.all(Array.from({ length: 500 }, (_, number) => one(number)));
    agent.destroy();
  });

  test('a large answer and a large upload pass in little memory, as fast as they are taken', async () => {
    await ask(`${base}/warm`);
    const before = peak();
    const response = await fetch(`${base}/large`);
    let received = 0;
    for await (const piece of response.body) {
      received += piece.length;
      assert.ok(server.sent - received < UNDER_WAY, `${server.sent - received} bytes are under way`);
    }
    assert.equal(received, LARGE);

    const request = http.request(`${base}/slow`, { method: 'POST' });
    const answered = once(request, 'response');
    const piece = Buffer.alloc(64 << 10, 'x');
    for (let sent = 0; sent < LARGE; sent += piece.length) {
      if (!request.write(piece)) await within(once(request, 'drain'), 'room for more');
      assert.ok(sent - server.taken < UNDER_WAY, `${sent - server.taken} bytes are under way`);
    }
    request.end();
    const [answer] = await within(answered, 'the sum');
    assert.equal(String(await answer.toArray()), String(LARGE));
    assert.ok(peak() - before < 16 * MIB, `${peak() - before} bytes more than before`);
  });

  test('a client that lets go inside a large answer ends it at the server', async () => {
    const request = http.get(`${base}/large`);
    const [response] = await within(once(request, 'response'), 'an answer');
    await within(once(response, 'data'), 'its first bytes');
    request.on('error', () => {});
    request.destroy();
    await within(server.poured, 'the end of the answer');
    assert.ok(server.sent < LARGE, 'the server has sent all of it');
    const line = await gateway.event(event => event.message === 'request' && event.reason === 'client_gone', 'line for the request');
    assert.equal(line.path, '/app/large');
  });

  test('of a hundred and fifty connections at once the gateway keeps sixty-four at most', async () => {
    const asked = Array.from({ length: 150 }, () => ask(`${base}/wait`, { agent: false }));
    await server.until(() => server.answers.length === 150, 'a hundred and fifty requests');
    assert.ok(server.sockets.size >= 150);
    for (const response of server.answers.splice(0)) response.end('done');
    for (const { body } of await Promise.all(asked)) assert.equal(String(body), 'done');
    await server.until(() => server.sockets.size <= 64, 'the end of the surplus');
  });

  test('a connection that the server has closed in the meantime costs no upload', async () => {
    await ask(`${base}/first`);
    assert.ok(server.sockets.size > 0, 'none was kept');
    for (let round = 0; round < 20; round++) {
      server.http.closeIdleConnections();
      const { body } = await ask(`${base}/upload`, { method: 'POST', body: `round ${round}`, agent: false });
      assert.equal(String(body), `round ${round}`);
    }
  });

  test('who offers to speak HTTP/2 is answered in HTTP/1.1', async () => {
    const curl = async (...args) => {
      const { stdout } = await promisify(execFile)('curl', ['-sS', '-i', '--noproxy', '*', '--max-time', '20', '--http2', ...args]);
      return stdout;
    };
    const get = await curl(`${base}/get`);
    assert.match(get, /^HTTP\/1\.1 200 OK\r\n/);
    assert.match(get, /\r\nx-framing: \r\n/i, 'the offer was passed on');
    const post = await curl('--data', 'hello', `${base}/post`);
    assert.match(post, /^HTTP\/1\.1 200 OK\r\n[^]*\r\n\r\nhello$/);
    assert.match(post, /\r\nx-framing: content-length\r\n/i);
    const chunked = await curl('--data', 'hello', '--header', 'Transfer-Encoding: chunked', `${base}/post`);
    assert.match(chunked, /\r\n\r\nhello$/);
  });
});
