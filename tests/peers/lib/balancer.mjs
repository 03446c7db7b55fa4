// HAProxy and nginx (Debian's), each as one process in the foreground, before the gateway or behind it.

import net from 'node:net';
import path from 'node:path';
import { once } from 'node:events';
import { folder, launch, lines } from './gateway.mjs';

const STREAM_MODULE = '/usr/lib/nginx/modules/ngx_stream_module.so';
/** Where a child process finds the first of the sockets that it inherits. */
const FIRST = 3;
const ATTEMPTS = 5;

/** A socket that listens on a port which the kernel chose. */
async function listening() {
  const server = net.createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

/** `{ name: what }` as rows with a socket; what the listener does is `{ bind, body }`, or the body alone. */
async function rows(listeners) {
  const wanted = Object.entries(listeners);
  const sockets = await Promise.all(wanted.map(listening));
  return wanted.map(([name, what], at) => {
    const { bind = '', body } = typeof what === 'string' ? { body: what } : what;
    return { name, bind, body, socket: sockets[at], port: sockets[at].address().port };
  });
}

export class Balancer {
  /** A `listen` section for each of `listeners`, with `bind` behind its address and `body` below. */
  static async haproxy(listeners) {
    const all = await rows(listeners);
    const sections = all.map(({ name, bind, body }, at) => `listen ${name}\n  bind fd@${FIRST + at} ${bind}\n  ${body}\n`);
    return Balancer.#haproxy(sections.join('\n'), all);
  }

  /** As `text` says, which is to listen at `{address}` alone; its port is `ports.main`. */
  static async haproxyBy(text) {
    return Balancer.#haproxy(text.replace('{address}', `fd@${FIRST}`), await rows({ main: '' }));
  }

  static #haproxy(sections, all) {
    const dir = folder({ 'haproxy.cfg': `
      global
        maxconn 200
      defaults
        mode tcp
        timeout connect 5s
        timeout client 30s
        timeout server 30s
        timeout tunnel 30s
${sections}\n` });
    // It inherits the sockets, so that nobody can take a port in between.
    const descriptors = all.map(({ socket }) => socket._handle.fd);
    const balancer = new Balancer('/usr/sbin/haproxy', ['-db', '-f', path.join(dir, 'haproxy.cfg')], all, descriptors);
    all.forEach(({ socket }) => socket.close());
    return balancer;
  }

  /** A `server` for each of `stream` and of `http`, with `bind` behind its address and `body` below. */
  static async nginx({ stream = {}, http = {} }) {
    return Balancer.#nginx({ stream, http }, ({ port, bind, body }) => `server { listen 127.0.0.1:${port} ${bind}; ${body} }`);
  }

  /** As `text` says, a `server` of `kind` that is to listen at `{address}`; its port is `ports.main`. */
  static async nginxBy(kind, text) {
    return Balancer.#nginx({ [kind]: { main: text } }, ({ port, body }) => body.replace('{address}', `127.0.0.1:${port}`));
  }

  static async #nginx({ stream = {}, http = {} }, server) {
    // As one process it cannot inherit sockets; should somebody take a port in between, it takes others.
    for (let attempt = 1; ; attempt += 1) {
      const [streams, https] = [await rows(stream), await rows(http)];
      const all = [...streams, ...https];
      await Promise.all(all.map(({ socket }) => once(socket.close(), 'close')));
      const dir = folder();
      const file = path.join(folder({ 'nginx.conf': configuration(dir, streams.map(server), https.map(server)) }), 'nginx.conf');
      const balancer = new Balancer('/usr/sbin/nginx', ['-p', dir, '-c', file, '-e', 'stderr'], all);
      if (await balancer.says(/getrlimit/)) return balancer;
      if (attempt === ATTEMPTS) throw new Error(`nginx does not start:\n${balancer.text}`);
    }
  }

  ports = {};
  text = '';
  #heard = () => {};

  constructor(program, args, all, descriptors = []) {
    this.child = launch(program, args, { stdio: ['ignore', 'pipe', 'pipe', ...descriptors] });
    for (const { name, port } of all) this.ports[name] = port;
    for (const stream of [this.child.stdout, this.child.stderr]) {
      lines(stream, line => {
        this.text += line + '\n';
        this.#heard();
      });
    }
    this.exited = new Promise(resolve => this.child.on('close', resolve));
  }

  /** Whether it has said so before its end. */
  says(words) {
    const said = new Promise(resolve => {
      this.#heard = () => words.test(this.text) && resolve(true);
      this.#heard();
    });
    return Promise.race([said, this.exited.then(() => false)]);
  }

  async stop() {
    this.child.kill('SIGKILL');
    await this.exited;
  }
}

/** Of one nginx that keeps all its files in `dir`. */
function configuration(dir, streams, https) {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(kind => `${kind}_temp_path ${dir}/${kind};`);
  return `
    load_module ${STREAM_MODULE};
    daemon off;
    master_process off;
    pid ${dir}/nginx.pid;
    error_log stderr notice;
    events { worker_connections 200; }
    stream { ${streams.join('\n')} }
    http { access_log off; ${temporary.join(' ')} ${https.join('\n')} }`;
}
