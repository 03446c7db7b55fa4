// Servers and clients of Socket.IO, as they come from npm, with what they see laid open to the test.

import { once } from 'node:events';
import http from 'node:http';
import { Server } from 'socket.io';
import { io } from 'socket.io-client';
import { within } from './peer.mjs';

/** A server of its own: no adapter, so that it knows none of the other's sessions. It says its name to each client, and echoes. */
export class Backend {
  requests = [];
  /** Requests for sessions that are not of this server. */
  strangers = 0;

  static async start(name, options = {}) {
    const backend = new Backend();
    backend.name = name;
    backend.http = http.createServer((_, response) => response.writeHead(404).end());
    backend.io = new Server(backend.http, { serveClient: false, maxHttpBufferSize: 1e8, ...options });
    backend.io.engine.on('connection_error', error => { backend.strangers += error.code === UNKNOWN ? 1 : 0; });
    backend.io.on('connection', socket => {
      socket.on('echo', (...values) => values.pop()(...values));
      socket.on('drop', () => socket.conn.close());
      socket.on('to others', (...values) => socket.broadcast.emit('from another', ...values));
      socket.emit('hello', { name, transport: socket.conn.transport.name, auth: socket.handshake.auth });
    });
    // After Socket.IO, which takes the listeners before it away.
    for (const event of ['request', 'upgrade']) backend.http.on(event, request => backend.requests.push(request));
    backend.http.listen(0, '127.0.0.1');
    await once(backend.http, 'listening');
    backend.url = `ws://127.0.0.1:${backend.http.address().port}`;
    return backend;
  }

  /** How many clients it has. */
  get clients() {
    return this.io.of('/').sockets.size;
  }

  /** Ends it at once, as a crash would; once is enough. */
  async stop() {
    if (!this.http.listening) return;
    const closed = this.io.close();
    this.http.closeAllConnections();
    await within(closed, `the end of ${this.name}`);
  }
}

/** "Session ID unknown", as engine.io numbers it. */
const UNKNOWN = 1;

/** One client, from `io(…)` until `leave()`. */
export class Client {
  #hello = [];
  #wake = () => {};

  /** Opens a client and waits for the server's word. */
  static async open(url, options = {}) {
    const client = new Client(url, options);
    try {
      client.first = await client.hello();
    } catch (error) {
      client.leave();
      throw error;
    }
    return client;
  }

  constructor(url, options) {
    this.socket = io(url, { forceNew: true, reconnection: false, ...options });
    this.socket.on('hello', hello => { this.#hello.push(hello); this.#wake(); });
    this.socket.on('connect_error', error => { this.error ??= error; this.#wake(); });
  }

  /** What the server says to the next connection that this client makes. */
  hello() {
    return within(new Promise((resolve, reject) => {
      this.#wake = () => {
        if (this.#hello.length) resolve(this.#hello.shift());
        else if (this.error && !this.socket.io.reconnection()) reject(this.error);
      };
      this.#wake();
    }), 'a word of the server');
  }

  get transport() {
    return this.socket.io.engine.transport.name;
  }

  /** Waits until the client has gone over to WebSocket. */
  async upgraded() {
    const { engine } = this.socket.io;
    while (engine.transport.name !== 'websocket') await within(once(engine, 'upgrade'), 'the upgrade');
  }

  /** What the server makes of `values`. */
  echo(...values) {
    return within(new Promise(resolve => this.socket.emit('echo', ...values, (...back) => resolve(back))), 'an echo');
  }

  leave() {
    this.socket.disconnect();
  }
}
