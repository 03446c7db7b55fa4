// TLS towards clients (by SNI) and towards an upstream with its own authority.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Authority, contents } from '../lib/certificates.mjs';
import { Gateway } from '../lib/gateway.mjs';
import { Peer, open, refused } from '../lib/peer.mjs';

describe('TLS', () => {
  let authority, gateway, plain, secure;

  before(async () => {
    authority = new Authority();
    const one = authority.issue('one', ['one.test', '127.0.0.1']), two = authority.issue('two', ['two.test', '*.two.test']);
    const backend = authority.issue('backend', ['backend.internal']);
    plain = await Peer.start();
    secure = await Peer.start({ tls: contents(backend) });
    const [ca, port] = [authority.file('ca.pem'), secure.port];
    gateway = await Gateway.start(`
      [[listeners]]
      name = "public"
      address = "127.0.0.1:0"
      [listeners.tls]
      certificates = [{ cert = "${one.cert}", key = "${one.key}" }, { cert = "${two.cert}", key = "${two.key}" }]

      [upstreams.named]
      endpoints = ["wss://127.0.0.1:${port}"]
      [upstreams.named.tls]
      ca = "${ca}"
      server_name = "backend.internal"

      [upstreams.misnamed]
      endpoints = ["wss://127.0.0.1:${port}"]
      [upstreams.misnamed.tls]
      ca = "${ca}"

      [upstreams.untrusted]
      endpoints = ["wss://127.0.0.1:${port}"]
      [upstreams.untrusted.tls]
      server_name = "backend.internal"

      [[routes]]
      path = "/plain"
      upstream = "${plain.url}"

      [[routes]]
      path = "/named"
      upstream = "named"

      [[routes]]
      path = "/misnamed"
      upstream = "misnamed"

      [[routes]]
      path = "/untrusted"
      upstream = "untrusted"`);
  });
  after(async () => {
    await Promise.all([gateway, plain, secure].map(one => one?.stop()));
    authority?.remove();
  });

  const url = path => gateway.url(path).replace('ws:', 'wss:');
  const named = (servername, host = servername) => ({ ca: authority.ca, servername, headers: { Host: `${host}:${gateway.port}` } });

  for (const [name, subject] of [['one.test', 'one.test'], ['two.test', 'two.test'], ['sub.two.test', 'two.test']]) {
    test(`${name} gets the certificate of ${subject}`, async () => {
      const client = await open(url('/plain'), [], named(name));
      assert.equal(client.socket._socket.getPeerCertificate().subject.CN, subject);
      assert.equal(await client.echo('over TLS'), 'over TLS');
      const { headers } = (await plain.session()).request;
      assert.equal(headers['x-forwarded-proto'], 'https');
      client.socket.close(1000, 'bye');
      assert.deepEqual(await client.close(), { code: 1000, reason: 'bye' });
    });
  }

  test('1 MiB over TLS on both legs', async () => {
    const client = await open(url('/named'), [], named('one.test'));
    const data = Buffer.alloc(1 << 20, 'wsgate');
    assert.ok(data.equals(await client.echo(data)));
    client.socket.close(4000, 'enough');
    assert.deepEqual(await (await secure.session()).close(), { code: 4000, reason: 'enough' });
  });

  test('the own origin of a TLS listener is https', async () => {
    const origin = scheme => ({ ...named('one.test'), origin: `${scheme}://one.test:${gateway.port}` });
    (await open(url('/plain'), [], origin('https'))).socket.terminate();
    await plain.session();
    assert.equal((await refused(url('/plain'), [], origin('http'))).status, 403);
  });

  test('an upstream with a certificate of another name, or of nobody known, is 502', async () => {
    assert.equal((await refused(url('/misnamed'), [], named('one.test'))).status, 502);
    assert.equal((await refused(url('/untrusted'), [], named('one.test'))).status, 502);
  });

  test('a Host that the certificate of the SNI does not cover is 421', async () => {
    assert.equal((await refused(url('/plain'), [], named('one.test', 'two.test'))).status, 421);
  });

  test('TLS 1.2 serves, 1.1 does not', async () => {
    const only = version => ({ ...named('one.test'), minVersion: version, maxVersion: version });
    (await open(url('/plain'), [], only('TLSv1.2'))).socket.terminate();
    await plain.session();
    await assert.rejects(open(url('/plain'), [], { ...only('TLSv1.1'), ciphers: 'DEFAULT@SECLEVEL=0' }));
  });
});
