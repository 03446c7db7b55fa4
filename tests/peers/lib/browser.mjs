// Chromium, headless, by playwright-core; and the demo page's parts by their ids.

import fs from 'node:fs';
import path from 'node:path';
import { chromium } from 'playwright-core';
import { folder } from './gateway.mjs';

// Without the last four, Chromium calls its maker's hosts at every start.
const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run',
  '--disable-quic', '--disable-background-networking', '--disable-component-update', '--disable-sync'];

const LIMIT = 30_000;

/** How Chromium is started; `names` are hosts that it finds on loopback. */
function settings(names) {
  const rules = names.map(name => `MAP ${name} 127.0.0.1`).join(',');
  const args = rules ? [...FLAGS, `--host-resolver-rules=${rules}`] : FLAGS;
  return { executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args };
}

export function launchBrowser({ names = [] } = {}) {
  return chromium.launch(settings(names));
}

/** A page in a profile of its own, closed when the test `t` ends. */
export async function newPage(t, browser, options = {}) {
  const context = await browser.newContext({ ignoreHTTPSErrors: true, viewport: { width: 1200, height: 800 }, ...options });
  t.after(() => context.close());
  context.setDefaultTimeout(LIMIT);
  return context.newPage();
}

/** A page in the ordinary profile of a browser of its own: profiles of `newPage` are private windows, which refuse most cookies of other sites. */
export async function ordinaryPage(t, { names = [] } = {}) {
  const context = await chromium.launchPersistentContext(folder(), { ignoreHTTPSErrors: true, ...settings(names) });
  t.after(() => context.close());
  context.setDefaultTimeout(LIMIT);
  return context.pages()[0] ?? context.newPage();
}

/** Opens a WebSocket in `page`, and closes it: what a page's script learns of it. */
export function tryWebSocket(page, url, protocols = []) {
  return page.evaluate(([url, protocols]) => new Promise(resolve => {
    const seen = { opened: false };
    const socket = new WebSocket(url, protocols);
    socket.onopen = () => { seen.opened = true; seen.protocol = socket.protocol; socket.send('from Chromium'); };
    socket.onmessage = event => { seen.message = event.data; socket.close(4000, 'seen'); };
    socket.onclose = event => resolve({ ...seen, code: event.code, reason: event.reason, clean: event.wasClean });
  }), [url, protocols]);
}

/** Opens a WebSocket in `page`, and leaves it open: how it ends, as a page's script sees it. */
export function untilClosed(page, url, protocols = []) {
  return page.evaluate(([url, protocols]) => new Promise(resolve => {
    let opened = false;
    const socket = new WebSocket(url, protocols);
    socket.onopen = () => { opened = true; };
    socket.onclose = event => resolve({ opened, code: event.code, reason: event.reason, clean: event.wasClean });
  }), [url, protocols]);
}

/** The demo page. */
export class Demo {
  constructor(page) {
    this.page = page;
    this.errors = [];
    page.on('pageerror', error => this.errors.push(String(error)));
  }

  static async at(page, url) {
    const demo = new Demo(page);
    demo.response = await page.goto(url);
    return demo;
  }

  /** Waits for an entry of the log, and returns its data and text. */
  async entry(selector) {
    const entry = this.page.locator(`#log li${selector}`).last();
    await entry.waitFor();
    return entry.evaluate(element => ({ ...element.dataset, text: element.querySelector('.body').textContent }));
  }

  async connect({ protocols = '', url } = {}) {
    if (url) await this.page.fill('#url', url);
    await this.page.fill('#protocols', protocols);
    await this.page.click('#connect');
    return this.entry('[data-kind="open"]');
  }

  async disconnect(code, reason) {
    await this.page.fill('#close-code', String(code));
    await this.page.fill('#close-reason', reason);
    await this.page.click('#disconnect');
    return this.entry('[data-kind="close"]');
  }

  text(id) {
    return this.page.textContent(`#${id}`);
  }

  async screenshot(name) {
    const folder = process.env.WSGATE_SCREENSHOTS;
    if (!folder) return;
    fs.mkdirSync(folder, { recursive: true });
    await this.page.screenshot({ path: path.join(folder, `${name}.png`), fullPage: true });
  }
}
