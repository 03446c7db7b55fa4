// Certificates of clients as Node and openssl show them, revocation by openssl's lists, and what openssl can still be
// told to try: old versions, renegotiation, resumption.

import assert from 'node:assert/strict';
import { execSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { Authority, contents } from '../lib/certificates.mjs';
import { Gateway, folder } from '../lib/gateway.mjs';
import { Peer, open, refused } from '../lib/peer.mjs';

const NAME = 'one.test';

/** `openssl s_client` towards `port`: what it writes, once it has ended. `say` maps what it must have written to what it is told then. */
function openssl(port, args, say = []) {
  return new Promise((resolve, reject) => {
    const child = spawn('openssl', ['s_client', '-connect', `127.0.0.1:${port}`, '-servername', NAME, ...args]);
    const waiting = [...say];
    const limit = setTimeout(() => child.kill('SIGKILL'), 20_000);
    let text = '';
    const take = chunk => {
      text += chunk;
      while (waiting.length && text.includes(waiting[0][0])) child.stdin.write(waiting.shift()[1]);
    };
    child.stdin.on('error', () => {});
    child.stdout.setEncoding('utf8').on('data', take);
    child.stderr.setEncoding('utf8').on('data', take);
    child.on('error', reject);
    child.on('close', code => {
      clearTimeout(limit);
      resolve({ code, text });
    });
    if (!say.length) child.stdin.end();
  });
}

describe('certificates of clients', () => {
  let servers, clients, gateway, upstream, strict, good, lost;

  before(async () => {
    [servers, clients] = [new Authority(), new Authority()];
    const [own, backend] = [servers.issue('one', [NAME]), servers.issue('backend', ['backend.internal'])];
    [good, lost] = [clients.issueClient('good', 'device 1'), clients.issueClient('lost', 'device 2')];
    const towards = clients.issueClient('gateway', 'gateway');
    upstream = await Peer.start();
    strict = await Peer.start({ tls: { ...contents(backend), ca: clients.ca, requestCert: true, rejectUnauthorized: true } });
    gateway = await Gateway.start(`
      [[listeners]]
      name = "public"
      address = "127.0.0.1:0"
      [listeners.tls]
      certificates = [{ cert = "${own.cert}", key = "${own.key}" }]
      strict_sni = true
      client_ca = "${clients.file('ca.pem')}"
      crl = "crl.pem"

      [[listeners]]
      name = "open"
      address = "127.0.0.1:0"
      [listeners.tls]
      certificates = [{ cert = "${own.cert}", key = "${own.key}" }]

      [[listeners]]
      name = "plain"
      address = "127.0.0.1:0"
      redirect_https = 8443

      [upstreams.strict]
      endpoints = ["wss://127.0.0.1:${strict.port}"]
      [upstreams.strict.tls]
      ca = "${servers.file('ca.pem')}"
      server_name = "backend.internal"
      client = { cert = "${towards.cert}", key = "${towards.key}" }

      [auth.devices]
      kind = "client_cert"
      identity = "subject_cn"
      allow = ["device 1"]

      [[routes]]
      path = "/plain"
      upstream = "${upstream.url}"

      [[routes]]
      path = "/named"
      auth = ["devices"]
      identity_header = "X-Who"
      upstream = "${upstream.url}"

      [[routes]]
      path = "/strict"
      upstream = "strict"`, { 'crl.pem': clients.revoke() });
  });
  after(async () => {
    await Promise.all([gateway, upstream, strict].map(one => one?.stop()));
    [servers, clients].forEach(one => one?.remove());
  });

  const url = (path, listener = 'public') => gateway.url(path, listener).replace('ws:', 'wss:');
  const showing = own => ({ ca: servers.ca, servername: NAME, headers: { Host: NAME }, ...(own && contents(own)) });

  test('who has one enters, and who has none or a strange one does not', async () => {
    const client = await open(url('/plain'), [], showing(good));
    assert.equal(await client.echo('hello'), 'hello');
    client.socket.close();
    await upstream.session();
    const strange = servers.issueClient('strange', 'device 1');
    for (const [own, alert] of [[undefined, /certificate required/], [strange, /unknown ca|bad certificate|decrypt error/]]) {
      await assert.rejects(open(url('/plain'), [], showing(own)), alert);
    }
  });

  test('who it names is told to the upstream, if that one may enter', async () => {
    const client = await open(url('/named'), [], { ...showing(good), headers: { Host: NAME, 'X-Who': 'devices:device 2' } });
    assert.equal((await upstream.session()).request.headers['x-who'], 'devices:device 1');
    client.socket.close();
    assert.equal((await refused(url('/named'), [], showing(lost))).status, 403);
  });

  test('an upstream that asks for the certificate of the gateway gets it', async () => {
    const client = await open(url('/strict'), [], showing(good));
    assert.equal(await client.echo('through'), 'through');
    const { socket } = (await strict.session()).request;
    assert.equal(socket.getPeerCertificate().subject.CN, 'gateway');
    client.socket.close();
  });

  test('a new list of openssl\'s counts from the next connection on, and ends the sessions of who is on it', async () => {
    const [before, other] = [await open(url('/plain'), [], showing(lost)), await open(url('/plain'), [], showing(good))];
    const [end] = [await upstream.session(), await upstream.session()];
    gateway.replace('crl.pem', clients.revoke(lost));
    await gateway.event(event => event.message === 'certificates reloaded', 'a reload');
    await assert.rejects(open(url('/plain'), [], showing(lost)), /certificate revoked/);
    await gateway.event(event => event.reason === 'certificate_revoked', 'a line about it');
    assert.deepEqual(await before.close(), { code: 3000, reason: 'the credential was revoked' });
    assert.equal((await end.close()).code, 1001);
    assert.equal(await other.echo('still here'), 'still here');
    other.socket.close();
  });

  test('an unknown name is answered with an alert', async () => {
    await assert.rejects(open(url('/plain'), [], { ...showing(good), servername: 'two.test' }), /unrecognized name/);
  });

  for (const version of ['-tls1', '-tls1_1']) {
    test(`openssl s_client ${version} is refused`, async () => {
      const { code, text } = await openssl(gateway.ports.open, [version, '-cipher', 'DEFAULT@SECLEVEL=0']);
      assert.notEqual(code, 0);
      assert.match(text, /alert (protocol version|handshake failure)/);
      assert.match(text, /no peer certificate available/);
      await gateway.event(event => event.listener === 'open' && event.reason === 'version', 'a line about it');
    });
  }

  test('renegotiation ends the connection', async () => {
    const { text } = await openssl(gateway.ports.open, ['-tls1_2'], [['Verify return code', 'R\n']]);
    assert.match(text, /RENEGOTIATING/);
    assert.match(text, /no renegotiation|unexpected message|handshake failure|unexpected eof/i);
  });

  for (const version of ['-tls1_2', '-tls1_3']) {
    test(`openssl s_client ${version} is resumed, and may send nothing early`, async () => {
      const session = `${gateway.dir}/session${version}`;
      const first = await openssl(gateway.ports.open, [version, '-sess_out', session, '-ign_eof'],
        [['Verify return code', `GET /none HTTP/1.1\r\nHost: ${NAME}\r\n\r\n`]]);
      assert.match(first.text, /404 Not Found/);
      assert.ok(fs.existsSync(session), first.text);
      const second = await openssl(gateway.ports.open, [version, '-sess_in', session]);
      assert.match(second.text, /^Reused, /m);
      if (version === '-tls1_3') assert.match(first.text, /Max Early Data: 0/);
    });
  }

  test('who comes by http is sent to https', async () => {
    const answer = await fetch(`http://127.0.0.1:${gateway.ports.plain}/chat?x=1`, { redirect: 'manual' });
    assert.equal(answer.status, 308);
    assert.equal(answer.headers.get('location'), 'https://127.0.0.1:8443/chat?x=1');
  });
});

test('the example of the repository, with certificates made as it says', async t => {
  const examples = new URL('../../../config/examples/', import.meta.url);
  const shipped = name => fs.readFileSync(new URL(name, examples), 'utf8');
  const example = shipped('mtls.toml');
  const made = folder();
  const commands = [...example.matchAll(/^# +(openssl .*)$/gm)].map(([, command]) => command);
  assert.equal(commands.length, 3);
  for (const command of commands) execSync(command, { cwd: made, stdio: 'pipe' });
  const file = name => fs.readFileSync(`${made}/${name}`);
  const toml = example.replace('client_ca = "localhost.pem"', 'client_ca = "ca.pem"').replaceAll(/"0\.0\.0\.0:\d+"/g, '"127.0.0.1:0"');
  assert.match(toml, /client_ca = "ca.pem"/);
  const files = { 'ca.pem': file('ca.pem'), 'localhost.pem': shipped('localhost.pem'), 'localhost.key': shipped('localhost.key') };
  const gateway = await Gateway.start(toml, files);
  t.after(() => gateway.stop());
  const url = gateway.url('/', 'devices').replace('ws:', 'wss:');
  const options = { ca: files['localhost.pem'], servername: 'localhost', headers: { Host: 'localhost' } };
  const client = await open(url, [], { ...options, cert: file('device.pem'), key: file('device.key') });
  assert.equal(await client.echo('hello'), 'hello');
  client.socket.close();
  await assert.rejects(open(url, [], options), /certificate required/);
});
