// The demo page of builtin:echo in Chromium.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Demo, launchBrowser, newPage } from '../lib/browser.mjs';
import { Authority } from '../lib/certificates.mjs';
import { Gateway } from '../lib/gateway.mjs';

describe('the demo page', () => {
  let authority, browser, gateway;

  const configuration = ({ cert, key }) => `
    [[listeners]]
    name = "public"
    address = "127.0.0.1:0"
    [[listeners]]
    name = "secure"
    address = "127.0.0.1:0"
    [listeners.tls]
    certificates = [{ cert = "${cert}", key = "${key}" }]
    [[routes]]
    path = "/echo"
    upstream = "builtin:echo"`;

  before(async () => {
    authority = new Authority();
    gateway = await Gateway.start(configuration(authority.issue('page', ['localhost', '127.0.0.1'])));
    browser = await launchBrowser();
  });
  after(async () => {
    await Promise.all([browser?.close(), gateway?.stop()]);
    authority?.remove();
  });

  const places = { ws: () => `http://127.0.0.1:${gateway.ports.public}/echo`, wss: () => `https://127.0.0.1:${gateway.ports.secure}/echo` };

  for (const [scheme, place] of Object.entries(places)) {
    test(`talks over ${scheme}://`, async t => {
      const page = await newPage(t, browser);
      const demo = await Demo.at(page, place());
      assert.equal(demo.response.status(), 200);
      assert.equal(await page.title(), 'wsgate');
      assert.equal(await page.inputValue('#url'), place().replace('http', 'ws'));
      assert.equal(await demo.text('state'), 'closed');

      const open = await demo.connect({ protocols: 'chat.v2, chat.v1' });
      assert.equal(open.protocol, 'chat.v2');
      assert.equal(open.extensions, '');
      assert.equal(await demo.text('state'), 'open');
      assert.equal(await demo.text('subprotocol'), 'chat.v2');

      await page.fill('#message', 'grüße 🙂');
      await page.press('#message', 'Enter');
      assert.match((await demo.entry('[data-kind="message"][data-type="text"]')).text, /^grüße 🙂/);
      await page.check('#format-hex', { force: true });
      await page.fill('#message', 'DE ad,be 0xef');
      await page.click('#send');
      assert.match((await demo.entry('[data-kind="message"][data-type="binary"]')).text, /^de ad be ef/);
      await page.fill('#random-size', String(8 << 20));
      await page.click('#send-random');
      await demo.entry(`[data-kind="message"][data-size="${8 << 20}"]`);
      assert.equal(await demo.text('sent-messages'), '3');
      assert.equal(await demo.text('received-messages'), '3');
      assert.match(await demo.text('rtt-last'), /\d\s(ms|s)$/);
      assert.equal(await demo.text('buffered'), '0');
      assert.ok(Number((await demo.text('buffered-peak')).replaceAll(',', '')) > 0);
      await demo.screenshot(`page-${scheme}-open`);

      const close = await demo.disconnect(4321, 'seen enough');
      assert.deepEqual([close.code, close.reason, close.clean], ['4321', 'seen enough', 'true']);
      assert.equal(await demo.text('state'), 'closed');
      await demo.screenshot(`page-${scheme}`);
      assert.deepEqual(demo.errors, []);
    });
  }

  test('opens again after a close, and says what it may not send', async t => {
    const demo = await Demo.at(await newPage(t, browser), places.ws());
    await demo.connect();
    await demo.page.fill('#close-code', '1001');
    await demo.page.click('#disconnect');
    assert.match((await demo.entry('[data-kind="error"]')).text, /1001/);
    assert.equal((await demo.disconnect(1000, '')).code, '1000');
    await demo.page.click('#clear');
    assert.equal((await demo.connect()).protocol, '');
  });

  test('shows a message that was too large as 1009', async t => {
    const demo = await Demo.at(await newPage(t, browser), places.ws());
    await demo.connect();
    await demo.page.fill('#random-size', String((16 << 20) + 1));
    await demo.page.click('#send-random');
    const close = await demo.entry('[data-kind="close"]');
    assert.equal(close.code, '1009');
    assert.equal(close.clean, 'true');
  });

  test('is refused on another path of the same gateway', async t => {
    const demo = await Demo.at(await newPage(t, browser), places.ws());
    await demo.page.fill('#url', places.ws().replace('http', 'ws').replace('/echo', '/nowhere'));
    await demo.page.click('#connect');
    assert.equal((await demo.entry('[data-kind="close"]')).code, '1006');
    await demo.entry('[data-kind="error"]');
  });

  test('its log is bounded', async t => {
    const demo = await Demo.at(await newPage(t, browser), places.ws());
    await demo.connect();
    await demo.page.evaluate(() => { for (let at = 0; at < 600; at += 1) document.getElementById('send').click(); });
    await demo.page.waitForFunction(() => document.getElementById('received-messages').textContent === '600');
    assert.equal(await demo.page.locator('#log li').count(), 500);
  });

  test('can be worked by keyboard alone', async t => {
    const { page, ...demo } = await Demo.at(await newPage(t, browser), places.ws());
    await page.focus('#protocols');
    await page.keyboard.type('keys');
    await page.keyboard.press('Enter');
    await page.locator('#log [data-kind="open"][data-protocol="keys"]').waitFor();
    assert.equal(await page.evaluate(() => document.activeElement.id), 'message');
    await page.keyboard.press('Control+A');
    await page.keyboard.type('typed');
    await page.keyboard.press('Enter');
    await page.locator('#log [data-kind="message"]', { hasText: 'typed' }).waitFor();
    assert.deepEqual(demo.errors, []);
  });

  test('fits a phone and the dark', async t => {
    for (const [name, options] of [
      ['page-phone', { viewport: { width: 360, height: 740 } }],
      ['page-dark', { colorScheme: 'dark' }],
      ['page-phone-dark', { viewport: { width: 390, height: 844 }, colorScheme: 'dark' }],
    ]) {
      const demo = await Demo.at(await newPage(t, browser, options), places.ws());
      await demo.connect({ protocols: 'chat' });
      await demo.page.click('#send');
      await demo.entry('[data-kind="message"]');
      await demo.screenshot(name);
      const [content, screen] = await demo.page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
      assert.ok(content <= screen, `${name}: ${content} > ${screen}`);
    }
  });

  test('names every control for those who do not see it', async t => {
    const demo = await Demo.at(await newPage(t, browser), places.ws());
    const nameless = await demo.page.evaluate(() => [...document.querySelectorAll('input, textarea, button')]
      .filter(control => !(control.labels?.length ? control.labels[0].textContent : control.textContent).trim())
      .map(control => control.id));
    assert.deepEqual(nameless, []);
  });

  test('sees 1001 when the gateway ends', async t => {
    const own = await Gateway.start('[[routes]]\nupstream = "builtin:echo"');
    t.after(() => own.stop());
    const demo = await Demo.at(await newPage(t, browser), `http://127.0.0.1:${own.port}/`);
    await demo.connect();
    own.signal('SIGTERM');
    const close = await demo.entry('[data-kind="close"]');
    assert.deepEqual([close.code, close.clean], ['1001', 'true']);
    assert.equal((await own.exited).code, 0);
  });
});
