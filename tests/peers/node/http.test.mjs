// Ordinary requests through the gateway to a Node server: events, long polls, uploads, kept connections.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import { after, before, describe, test } from 'node:test';
import { Gateway } from '../lib/gateway.mjs';
import { HttpServer } from '../lib/http.mjs';
import { within } from '../lib/peer.mjs';

/** A server that speaks HTTP alone, and counts the connections that it gets. */
class Server extends HttpServer {
  connections = 0;
  #polls = [];
  #polled = () => {};

  connected() {
    this.connections += 1;
  }

  /** The answer that the next poll waits for. */
  poll() {
    return within(new Promise(resolve => {
      this.#polled = () => {
        if (this.#polls.length) resolve(this.#polls.pop());
      };
      this.#polled();
    }), 'a poll');
  }

  serve(request, response) {
    const path = request.url.split('?')[0];
    if (path === '/events') return this.#events(response);
    if (path === '/poll') {
      this.#polls.push(response);
      return this.#polled();
    }
    if (path === '/early') return response.writeHead(413).end('too large');
    if (path === '/cut') {
      response.writeHead(200, { 'Content-Length': '100' });
      return response.write('half', () => response.destroy());
    }
    if (request.method === 'POST') return this.#sum(request, response);
    response.setHeader('X-Host', request.headers['x-forwarded-host'] ?? '');
    response.end(`${request.method} ${request.url}`);
  }

  #events(response) {
    response.writeHead(200, { 'Content-Type': 'text/event-stream' });
    this.events = response;
    response.write('data: ready\n\n');
    this.closed = once(response, 'close');
  }

  async #sum(request, response) {
    let bytes = 0;
    for await (const piece of request) bytes += piece.length;
    response.end(JSON.stringify({ bytes, length: request.headers['content-length'] ?? null }));
  }
}

describe('ordinary requests', () => {
  let gateway, server, base;

  before(async () => {
    server = await Server.start();
    gateway = await Gateway.start(`
      [[routes]]
      upstream = "${server.url}"
      http_requests = "proxy"
    `);
    base = `http://127.0.0.1:${gateway.port}`;
  });

  after(async () => {
    await gateway?.stop();
    server?.stop();
  });

  test('fetch gets what the server says', async () => {
    const response = await fetch(`${base}/a/b?c=d`);
    assert.equal(response.status, 200);
    assert.equal(await response.text(), 'GET /a/b?c=d');
    assert.equal(response.headers.get('x-host'), `127.0.0.1:${gateway.port}`);
    const line = await gateway.event(event => event.message === 'request' && event.path === '/a/b', 'line for the request');
    assert.equal(line.method, 'GET');
    assert.equal(line.status, 200);
    assert.equal(line.to_client_bytes, 12);
  });

  test('one connection carries request after request', async () => {
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    const get = path => new Promise((resolve, reject) => {
      http.get(`${base}${path}`, { agent }, response => {
        let text = '';
        response.on('data', piece => { text += piece; });
        response.on('end', () => resolve([text, response.socket]));
      }).on('error', reject);
    });
    const [, socket] = await get('/first');
    const before = server.connections;
    for (let number = 0; number < 20; number++) {
      const [text, same] = await get(`/${number}`);
      assert.equal(text, `GET /${number}`);
      assert.equal(same, socket);
    }
    assert.equal(server.connections, before);
    agent.destroy();
  });

  test('each event arrives before the next is sent, and a reader that leaves ends them', async () => {
    const abort = new AbortController();
    const response = await fetch(`${base}/events`, { signal: abort.signal });
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    const next = async () => (await within(reader.read(), 'event')).value;
    assert.equal(await next(), 'data: ready\n\n');
    for (let number = 0; number < 5; number++) {
      server.events.write(`data: ${number}\n\n`);
      assert.equal(await next(), `data: ${number}\n\n`);
    }
    abort.abort();
    await within(server.closed, 'end of the events');
  });

  test('a long poll waits, and is cancelled with its client', async () => {
    const answered = fetch(`${base}/poll`);
    (await server.poll()).end('news');
    assert.equal(await (await answered).text(), 'news');

    const abort = new AbortController();
    const cancelled = fetch(`${base}/poll`, { signal: abort.signal });
    const closed = once(await server.poll(), 'close');
    abort.abort();
    await assert.rejects(cancelled);
    await within(closed, 'end of the poll');
  });

  test('uploads stream, with a length and without', async () => {
    const bytes = new Uint8Array(3_000_000).fill(7);
    const known = await fetch(`${base}/upload`, { method: 'POST', body: bytes });
    assert.deepEqual(await known.json(), { bytes: 3_000_000, length: '3000000' });

    const pieces = new ReadableStream({
      start(controller) {
        for (let number = 0; number < 30; number++) controller.enqueue(bytes.subarray(0, 100_000));
        controller.close();
      },
    });
    const chunked = await fetch(`${base}/upload`, { method: 'POST', body: pieces, duplex: 'half' });
    assert.deepEqual(await chunked.json(), { bytes: 3_000_000, length: null });
  });

  test('an answer that comes before the upload is over is told', async () => {
    const upload = (send, length) => new Promise((resolve, reject) => {
      const request = http.request(`${base}/early`, { method: 'POST', headers: { 'Content-Length': length } }, async response => {
        resolve([response.statusCode, String(await response.toArray())]);
        request.destroy();
      });
      request.on('error', reject);
      send(request);
    });
    const told = [413, 'too large'];
    assert.deepEqual(await within(upload(request => request.write(Buffer.alloc(1000)), 100_000_000), 'an early answer'), told);
    // However much is on its way: a reset would take the answer away.
    const all = Buffer.alloc(20_000_000);
    for (let round = 0; round < 20; round++) {
      assert.deepEqual(await within(upload(request => request.end(all), all.length), 'an early answer'), told);
    }
  });

  test('an answer that breaks off is an error', async () => {
    const response = await fetch(`${base}/cut`);
    assert.equal(response.status, 200);
    await assert.rejects(response.text());
  });
});
