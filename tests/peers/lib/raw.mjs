// A WebSocket end by hand, on a bare socket: for bytes that no library sends.

import crypto from 'node:crypto';
import net from 'node:net';
import { once } from 'node:events';
import { within } from './peer.mjs';

const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
export const TEXT = 1, BINARY = 2, CLOSE = 8, PING = 9, PONG = 10;

/** One frame; `mask: false` is how servers write. */
export function frame(opcode, payload = '', { fin = true, rsv = 0, mask = true } = {}) {
  const body = Buffer.from(payload);
  const long = body.length > 65535, middle = body.length > 125;
  const head = Buffer.alloc(long ? 10 : middle ? 4 : 2);
  head[0] = (fin ? 0x80 : 0) | rsv << 4 | opcode;
  head[1] = (mask ? 0x80 : 0) | (long ? 127 : middle ? 126 : body.length);
  if (long) head.writeBigUInt64BE(BigInt(body.length), 2);
  else if (middle) head.writeUInt16BE(body.length, 2);
  if (!mask) return Buffer.concat([head, body]);
  const key = crypto.randomBytes(4);
  return Buffer.concat([head, key, body.map((byte, at) => byte ^ key[at % 4])]);
}

/** Payload of a Close. */
export function closing(code, reason = '') {
  return Buffer.concat([Buffer.from([code >> 8, code & 255]), Buffer.from(reason)]);
}

export function acceptOf(key) {
  return crypto.createHash('sha1').update(key + GUID).digest('base64');
}

/** A socket whose bytes are read by count, by head or by frame. */
export class Raw {
  #bytes = Buffer.alloc(0);
  #ended = false;
  #wake = () => {};

  constructor(socket) {
    this.socket = socket;
    socket.on('data', chunk => { this.#bytes = Buffer.concat([this.#bytes, chunk]); this.#wake(); });
    for (const end of ['end', 'error', 'close']) socket.on(end, () => { this.#ended = true; this.#wake(); });
  }

  static async connect(port) {
    const socket = net.connect({ port, host: '127.0.0.1', noDelay: true });
    await once(socket, 'connect');
    return new Raw(socket);
  }

  /** A client's session, opened by hand. */
  static async open(port, path, headers = {}) {
    const raw = await Raw.connect(port);
    const { status } = await raw.ask(port, path, headers);
    if (status !== 101) throw new Error(`answered ${status}`);
    return raw;
  }

  write(bytes) { this.socket.write(bytes); }
  send(...frame_) { this.write(frame(...frame_)); }

  /** Sends a handshake and reads the answer's head. */
  ask(port, path, headers = {}) {
    const all = {
      Host: `127.0.0.1:${port}`, Connection: 'Upgrade', Upgrade: 'websocket', 'Sec-WebSocket-Version': '13',
      'Sec-WebSocket-Key': crypto.randomBytes(16).toString('base64'), ...headers,
    };
    const text = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`).join('');
    this.write(`GET ${path} HTTP/1.1\r\n${text}\r\n`);
    return this.answer();
  }

  async answer() {
    const bytes = await this.#until(() => {
      const end = this.#bytes.indexOf('\r\n\r\n');
      return end < 0 ? null : this.#take(end + 4);
    }, 'an answer');
    if (!bytes) throw new Error('the stream ended before an answer');
    const head = String(bytes);
    const [first, ...rest] = head.trimEnd().split('\r\n');
    const headers = Object.fromEntries(rest.map(line => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]));
    return { status: Number(first.split(' ')[1]), headers, head };
  }

  /** The next frame, its payload unmasked; null at the end of the stream. */
  frame() {
    return this.#until(() => {
      const bytes = this.#bytes;
      if (bytes.length < 2) return null;
      const short = bytes[1] & 127, wide = short === 127 ? 8 : short === 126 ? 2 : 0, masked = bytes[1] > 127;
      const start = 2 + wide + (masked ? 4 : 0);
      if (bytes.length < start) return null;
      const size = wide === 8 ? Number(bytes.readBigUInt64BE(2)) : wide ? bytes.readUInt16BE(2) : short;
      if (bytes.length < start + size) return null;
      const key = bytes.subarray(start - 4, start);
      const payload = Buffer.from(bytes.subarray(start, start + size));
      this.#take(start + size);
      if (masked) payload.forEach((byte, at) => { payload[at] = byte ^ key[at % 4]; });
      return { fin: bytes[0] > 127, rsv: bytes[0] >> 4 & 7, opcode: bytes[0] & 15, masked, payload };
    }, 'a frame');
  }

  /** The next Close, other frames passed over: its code and reason; null if the stream ends without. */
  async closeFrame() {
    for (let next = await this.frame(); next; next = await this.frame()) {
      if (next.opcode !== CLOSE) continue;
      return { code: next.payload.length ? next.payload.readUInt16BE(0) : 1005, reason: String(next.payload.subarray(2)) };
    }
    return null;
  }

  /** All bytes until the stream ends. */
  rest() {
    return this.#until(() => this.#ended ? this.#take(this.#bytes.length) : null, 'the end of the stream');
  }

  destroy() { this.socket.destroy(); }

  #take(count) {
    const taken = this.#bytes.subarray(0, count);
    this.#bytes = this.#bytes.subarray(count);
    return taken;
  }

  #until(found, what) {
    return within(new Promise(resolve => {
      this.#wake = () => {
        const value = found();
        if (value !== null) resolve(value);
        else if (this.#ended) resolve(null);
      };
      this.#wake();
    }), what);
  }
}

/** A WebSocket server by hand: `serve` gets each connection after its handshake as a Raw. */
export async function rawPeer(serve) {
  const sockets = new Set();
  const server = net.createServer(async socket => {
    sockets.add(socket);
    const raw = new Raw(socket);
    const { headers } = await raw.answer();
    raw.headers = headers;
    raw.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n'
      + `Sec-WebSocket-Accept: ${acceptOf(headers['sec-websocket-key'])}\r\n\r\n`);
    await serve(raw);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  server.unref();
  const { port } = server.address();
  return { url: `ws://127.0.0.1:${port}`, port, async stop() { sockets.forEach(s => s.destroy()); server.close(); } };
}
