// WebSocket servers and clients of the `ws` package, with what they see laid open to the test.

import http from 'node:http';
import https from 'node:https';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import WebSocket, { WebSocketServer } from 'ws';
import { launch, lines } from './gateway.mjs';

const LIMIT = 20_000;

/** `promise`, or an error that names `what` was awaited. */
export function within(promise, what, limit = LIMIT) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: nothing after ${limit} ms`)), limit);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** Values of one kind, taken in order by `next()`, whether they came before or come later. */
class Queue {
  #ready = [];
  #waiting = [];

  push(value) {
    const waiting = this.#waiting.shift();
    if (waiting) waiting(value);
    else this.#ready.push(value);
  }

  next(what, limit) {
    const value = this.#ready.length
      ? Promise.resolve(this.#ready.shift())
      : new Promise(resolve => this.#waiting.push(resolve));
    return within(value, what, limit);
  }

  get length() {
    return this.#ready.length;
  }
}

/** One end of a WebSocket: its messages, pings, pongs and close as they come. */
export class End {
  #messages = new Queue();
  #pings = new Queue();
  #pongs = new Queue();

  constructor(socket, request) {
    this.socket = socket;
    this.request = request;
    socket.on('message', (data, binary) => this.#messages.push(binary ? data : data.toString()));
    socket.on('ping', data => this.#pings.push(data.toString()));
    socket.on('pong', data => this.#pongs.push(data.toString()));
    socket.on('error', error => { this.error = error; });
    this.closed = new Promise(resolve =>
      socket.on('close', (code, reason) => resolve({ code, reason: reason.toString() })));
  }

  message(limit) { return this.#messages.next('a message', limit); }
  ping(limit) { return this.#pings.next('a ping', limit); }
  pong(limit) { return this.#pongs.next('a pong', limit); }
  close(limit) { return within(this.closed, 'a close', limit); }
  get unread() { return this.#messages.length; }

  /** Sends `data` and returns what comes next. */
  echo(data, limit) {
    this.socket.send(data);
    return this.message(limit);
  }
}

/** A `ws` server on a free port (or the path `unix`) that echoes, unless told not to; `respond` may answer handshakes itself. */
export class Peer {
  static async start({ tls, unix, echo = true, respond, ...options } = {}) {
    const peer = new Peer();
    peer.server = tls ? https.createServer(tls) : http.createServer();
    peer.server.on('connection', socket => {
      peer.connections += 1;
      peer.sockets.add(socket);
      socket.on('close', () => peer.sockets.delete(socket));
    });
    const ws = new WebSocketServer({ noServer: true, ...options });
    ws.on('connection', (socket, request) => {
      const end = new End(socket, request);
      if (echo) socket.on('message', (data, binary) => socket.send(data, { binary }));
      peer.sessions.push(end);
    });
    const accept = (request, socket, head) =>
      ws.handleUpgrade(request, socket, head, ready => ws.emit('connection', ready, request));
    peer.server.on('upgrade', (request, socket, head) => {
      peer.requests.push(request);
      if (respond) respond(request, socket, () => accept(request, socket, head));
      else accept(request, socket, head);
    });
    peer.server.on('request', (request, response) => {
      peer.requests.push(request);
      response.end('plain');
    });
    peer.server.listen(unix ? { path: unix } : { port: 0, host: '127.0.0.1' });
    await once(peer.server, 'listening');
    // A test that fails before it stops this must not keep the process alive.
    peer.server.unref();
    peer.port = peer.server.address().port;
    return peer;
  }

  requests = [];
  sessions = new Queue();
  sockets = new Set();
  connections = 0;

  get url() {
    return `ws://127.0.0.1:${this.port}`;
  }

  /** The server's end of the next session. */
  session(limit) {
    return this.sessions.next('a session at the upstream', limit);
  }

  async stop() {
    this.sockets.forEach(socket => socket.destroy());
    this.server.close();
    await once(this.server, 'close');
  }
}

/** An echo server in a process of its own, to be killed. */
export async function separatePeer() {
  const child = launch(process.execPath, [fileURLToPath(new URL('echo-server.mjs', import.meta.url))]);
  const port = await within(new Promise(resolve => lines(child.stdout, resolve)), 'the port of the peer');
  return { child, port: Number(port), url: `ws://127.0.0.1:${port}` };
}

function client(url, protocols, options) {
  const socket = new WebSocket(url, protocols, { perMessageDeflate: false, ...options });
  return { socket, end: new End(socket) };
}

/** Opens a session, or throws. */
export async function open(url, protocols = [], options = {}) {
  const { socket, end } = client(url, protocols, options);
  await within(new Promise((resolve, reject) => {
    socket.on('upgrade', response => { end.response = response; });
    socket.on('open', resolve);
    socket.on('error', reject);
  }), 'an open session');
  return end;
}

/** Expects a refusal; returns status, headers and body. */
export async function refused(url, protocols = [], options = {}) {
  const { socket } = client(url, protocols, options);
  const response = await within(new Promise((resolve, reject) => {
    socket.on('unexpected-response', (_, answer) => resolve(answer));
    socket.on('open', () => reject(new Error('a session opened that should have been refused')));
    socket.on('error', reject);
  }), 'a refusal');
  const body = (await response.setEncoding('utf8').toArray()).join('');
  return { status: response.statusCode, headers: response.headers, body };
}

/** `ws` offers permessage-deflate only when told to. */
export const deflate = { perMessageDeflate: { threshold: 0 } };
