// Java's own HTTP client before wsgate: it offers HTTP/2 with every request, and takes HTTP/1.1 for an answer.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import http from 'node:http';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Gateway } from '../lib/gateway.mjs';

describe("Java's HTTP client", () => {
  const seen = [];
  let gateway, server;

  before(async () => {
    server = http.createServer(async (request, response) => {
      seen.push(request.headers);
      const body = Buffer.concat(await request.toArray());
      response.end(`${request.method} ${body.length}`);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    gateway = await Gateway.start(`
      [[routes]]
      upstream = "ws://127.0.0.1:${server.address().port}"
      http_requests = "proxy"`);
  });
  after(async () => {
    await gateway?.stop();
    server?.closeAllConnections();
    server?.close();
  });

  test('its requests pass with their bodies, and its offer does not', async () => {
    const source = fileURLToPath(new URL('Asker.java', import.meta.url));
    const { stdout } = await promisify(execFile)('java', ['-Xmx256m', source, `http://127.0.0.1:${gateway.port}/`], { timeout: 120_000 });
    assert.deepEqual(stdout.trim().split('\n'), ['HTTP_1_1 200 GET 0', 'HTTP_1_1 200 POST 5', 'HTTP_1_1 200 POST 9', 'HTTP_1_1 200 POST 3000000']);
    for (const headers of seen) {
      assert.match(headers['user-agent'], /^Java-http-client/);
      assert.deepEqual([headers.upgrade, headers['http2-settings'], headers.connection], [undefined, undefined, undefined]);
    }
  });
});
