// The wall clock jumps, as when a virtual machine wakes or a time server corrects it: no session notices.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { Gateway, folder } from '../lib/gateway.mjs';
import { Peer, open } from '../lib/peer.mjs';

const LIBRARY = fs
  .readdirSync('/usr/lib', { withFileTypes: true })
  .filter(entry => entry.isDirectory())
  .map(entry => path.join('/usr/lib', entry.name, 'faketime/libfaketimeMT.so.1'))
  .find(file => fs.existsSync(file));

/** Everything that runs by a clock, with times that a jump of a year would be far beyond. */
const ROUTE = `
[routes.heartbeat]
ping_interval = "1s"
pong_timeout = "20s"
[routes.timeouts]
idle = "1h"
max_duration = "2h"`;

const DAY = 24 * 3600 * 1000;

test('a wall clock that jumps a year ahead and back ends no session and keeps nobody out', async t => {
  assert.ok(LIBRARY, 'libfaketime is installed');
  const clock = path.join(folder({ clock: '+0' }), 'clock');
  const peer = await Peer.start();
  const gateway = await Gateway.start(`[[routes]]\nupstream = "${peer.url}"\n${ROUTE}`, {}, {
    LD_PRELOAD: LIBRARY,
    FAKETIME_TIMESTAMP_FILE: clock,
    FAKETIME_NO_CACHE: '1',
    FAKETIME_DONT_FAKE_MONOTONIC: '1',
  });
  t.after(() => Promise.all([gateway.stop(), peer.stop()]));
  const old = await open(gateway.url());

  for (const [jump, days] of [['+400d', 400], ['-400d', -400], ['+0', 0]]) {
    fs.writeFileSync(clock, jump);
    // A ping and its pong each way: deadlines have been looked at since.
    await old.ping();
    const young = await open(gateway.url(`/${days}`));
    const opened = await gateway.event(event => event.message === 'session opened' && event.path === `/${days}`);
    const shift = Date.parse(opened.timestamp) - Date.now();
    assert.ok(Math.abs(shift - days * DAY) < DAY, `the gateway's clock is ${shift} ms off`);
    for (const client of [old, young]) assert.equal(await client.echo('alive'), 'alive');
    young.socket.close(1000);
    assert.equal((await young.close()).code, 1000);
    const ended = await gateway.event(event => event.message === 'session ended' && event.path === `/${days}`);
    assert.ok(ended.duration_ms >= 0 && ended.duration_ms < DAY, `${ended.duration_ms} ms`);
  }
  assert.equal(gateway.events.filter(event => event.message === 'session ended').length, 3);
});
