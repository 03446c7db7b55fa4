// Starts wsgate with a configuration of the test's own, on ports that the kernel chooses, and reads its JSON log.

import { spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

const START_LIMIT = 30_000;
const LISTENER = '[[listeners]]\nname = "public"\naddress = "127.0.0.1:0"\n';

const running = new Set();
const folders = [];
process.on('exit', () => {
  running.forEach(child => child.kill('SIGKILL'));
  folders.forEach(dir => fs.rmSync(dir, { recursive: true, force: true }));
});
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1));

function binary() {
  const file = process.env.WSGATE_BIN;
  if (!file) throw new Error('WSGATE_BIN names no program; tests/run sets it');
  return file;
}

/** A process that ends with the test process at the latest. */
export function launch(command, args, options = {}) {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options });
  running.add(child);
  child.on('exit', () => running.delete(child));
  return child;
}

/** A folder for one test's files, gone when the process ends; `files` is written into it. */
export function folder(files = {}) {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'wsgate-peers-'));
  folders.push(dir);
  for (const [name, text] of Object.entries(files)) fs.writeFileSync(path.join(dir, name), text);
  return dir;
}

/** Calls `take` with each whole line of `stream`. */
export function lines(stream, take) {
  let rest = '';
  stream.setEncoding('utf8');
  stream.on('data', chunk => {
    const parts = (rest + chunk).split('\n');
    rest = parts.pop();
    parts.forEach(take);
  });
  stream.on('end', () => rest && take(rest));
}

export class Gateway {
  /**
   * `toml` is the configuration; without `[[listeners]]` it gets one, `public`, on loopback.
   * `env` is added to the program's environment.
   */
  static async start(toml, files = {}, env = {}) {
    const text = `[log]\nformat = "json"\n\n${toml.includes('[[listeners]]') ? '' : LISTENER}\n${toml}`;
    const dir = folder({ ...files, 'wsgate.toml': text });
    const gateway = new Gateway(dir, ['run', path.join(dir, 'wsgate.toml')], text, env);
    await gateway.#listening(text.split('[[listeners]]').length - 1);
    return gateway;
  }

  /** `wsgate run --listen … --to …`, on a free port. */
  static async quick(to) {
    const gateway = new Gateway(folder(), ['run', '--listen', '127.0.0.1:0', '--to', to]);
    await gateway.#listening(1);
    return gateway;
  }

  ports = {};
  events = [];
  text = '';
  #waiters = new Set();

  constructor(dir, args, configuration = '', env = {}) {
    this.dir = dir;
    this.configuration = configuration;
    this.child = launch(binary(), args, { cwd: dir, env: { ...process.env, ...env } });
    for (const stream of [this.child.stdout, this.child.stderr]) lines(stream, line => this.#line(line));
    this.exited = new Promise(resolve => this.child.on('close', (code, signal) => resolve({ code, signal })));
  }

  get port() {
    return this.ports.public;
  }

  /** Replaces a file of the configuration's folder in one step, as careful programs do. */
  replace(name, text) {
    fs.writeFileSync(path.join(this.dir, `${name}.new`), text);
    fs.renameSync(path.join(this.dir, `${name}.new`), path.join(this.dir, name));
  }

  /** `ws://` URL of the plain listener. */
  url(pathname = '/', listener = 'public') {
    return `ws://127.0.0.1:${this.ports[listener]}${pathname}`;
  }

  /** Waits for a log event that `matches`, past ones included. */
  event(matches, what = 'event', limit = 20_000) {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiters.delete(look);
        reject(new Error(`no ${what} in the log:\n${this.text}`));
      }, limit);
      const look = () => {
        const found = this.events.find(matches);
        if (!found) return;
        clearTimeout(timer);
        this.#waiters.delete(look);
        resolve(found);
      };
      this.#waiters.add(look);
      look();
    });
  }

  signal(name) {
    this.child.kill(name);
  }

  /** Ends the process, and takes its files away. */
  async stop() {
    this.child.kill('SIGKILL');
    await this.exited;
    fs.rmSync(this.dir, { recursive: true, force: true });
  }

  #line(line) {
    this.text += line + '\n';
    try {
      const { fields, ...rest } = JSON.parse(line);
      this.events.push({ ...rest, ...fields });
    } catch {
      return;
    }
    this.#waiters.forEach(look => look());
  }

  async #listening(count) {
    const gone = this.exited.then(({ code }) => {
      throw new Error(`wsgate ended with ${code} at start:\n${this.text}\n${this.configuration}`);
    });
    const ready = () => {
      for (const event of this.events.filter(event => event.message === 'listening')) {
        this.ports[event.listener] = Number(String(event.address).split(':').pop());
      }
      return Object.keys(this.ports).length >= count;
    };
    await Promise.race([gone, this.event(ready, `${count} listeners`, START_LIMIT)]);
    gone.catch(() => {});
  }
}
