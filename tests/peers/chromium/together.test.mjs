// The whole of it: TLS, an Origin list and Basic before a Node server chosen by subprotocol and a Python
// server chosen by path; with Chromium, Node and Python as clients.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import https from 'node:https';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { launchBrowser, newPage, tryWebSocket } from '../lib/browser.mjs';
import { Authority, contents } from '../lib/certificates.mjs';
import { Gateway, launch, lines } from '../lib/gateway.mjs';
import { Peer, open, refused, within } from '../lib/peer.mjs';

const PYTHON = process.env.WSGATE_PYTHON ?? 'python3';
const script = name => fileURLToPath(new URL(`../python/${name}`, import.meta.url));
// SHA-crypt by libxcrypt; the password is the name.
const PEOPLE = 'carol:$5$rounds=1000$9v5MoHjwj3hpo/Oo$6gnSaf54vRn1yt2P3cWNjDWLdYh5c44nG1TK/4TD.c4\n';

describe('TLS, Origin and Basic before Node and Python', () => {
  let app, authority, browser, gateway, node, python;

  before(async () => {
    authority = new Authority();
    const { cert, key } = authority.issue('gateway', ['localhost']);
    // Of one site with the gateway: to another site Chromium sends no password of a URL.
    app = https.createServer(contents({ cert, key }), (_, response) => response.setHeader('Content-Type', 'text/html').end('<title>app</title>'));
    app.listen(0, '127.0.0.1');
    await once(app, 'listening');
    app.origin = `https://localhost:${app.address().port}`;
    node = await Peer.start();
    python = launch(PYTHON, [script('echo_server.py')]);
    const port = await within(new Promise(resolve => lines(python.stdout, resolve)), 'the port of the Python server');
    gateway = await Gateway.start(`
      [[listeners]]
      name = "public"
      address = "127.0.0.1:0"
      [listeners.tls]
      certificates = [{ cert = "${cert}", key = "${key}" }]

      [auth.people]
      kind = "basic"
      htpasswd = "people"
      realm = "people"

      [route_defaults]
      origins = ["${app.origin}"]
      auth = ["people"]

      [[routes]]
      host = "localhost"
      path = "/socket"
      subprotocols = ["chat.v1"]
      upstream = "${node.url}"

      [[routes]]
      host = "localhost"
      path = "/python/*"
      strip_prefix = "/python"
      upstream = "ws://127.0.0.1:${port}"`, { people: PEOPLE });
    browser = await launchBrowser();
  });
  after(async () => {
    python?.kill('SIGKILL');
    app?.closeAllConnections();
    app?.close();
    await Promise.all([browser?.close(), gateway?.stop(), node?.stop()]);
    authority?.remove();
  });

  const url = (path, who = 'carol:carol@') => `wss://${who}localhost:${gateway.port}${path}`;
  const targets = [['Node by subprotocol', '/socket', 'chat.v1'], ['Python by path', '/python/room', '']];

  for (const [what, path, protocol] of targets) {
    test(`Chromium reaches ${what}`, async t => {
      const page = await newPage(t, browser);
      await page.goto(app.origin);
      const seen = await tryWebSocket(page, url(path), protocol ? [protocol] : []);
      assert.deepEqual(seen, { opened: true, protocol, message: 'from Chromium', code: 4000, reason: 'seen', clean: true });
      const wrong = await tryWebSocket(page, url(path, 'carol:wrong@'), protocol ? [protocol] : []);
      assert.equal(wrong.opened, false);
    });

    test(`Node reaches ${what}`, async () => {
      const options = { ca: authority.ca, origin: app.origin, lookup: (_, __, done) => done(null, [{ address: '127.0.0.1', family: 4 }]) };
      const client = await open(url(path), protocol ? [protocol] : [], options);
      assert.equal(client.socket.protocol, protocol);
      assert.equal(await client.echo('from Node'), 'from Node');
      client.socket.close(1000);
      await client.close();
      assert.equal((await refused(url(path, ''), protocol ? [protocol] : [], options)).status, 401);
      assert.equal((await refused(url(path), protocol ? [protocol] : [], { ...options, origin: 'https://evil.example.com' })).status, 403);
    });

    test(`Python reaches ${what}`, async () => {
      const run = promisify(execFile);
      const { stdout } = await run(PYTHON, [script('client.py'), url(path), authority.file('ca.pem'), app.origin, protocol || '-', 'from Python']);
      assert.equal(stdout.trim(), `${protocol || '-'} from Python`);
    });
  }
});
