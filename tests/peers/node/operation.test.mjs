// One command before one server, and files that change while the gateway runs.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import { describe, test } from 'node:test';
import { Authority } from '../lib/certificates.mjs';
import { Gateway } from '../lib/gateway.mjs';
import { Peer, open, refused } from '../lib/peer.mjs';

// SHA-crypt by libxcrypt; the password is the name.
const CAROL = 'carol:$5$rounds=1000$9v5MoHjwj3hpo/Oo$6gnSaf54vRn1yt2P3cWNjDWLdYh5c44nG1TK/4TD.c4\n';
const headers = { Authorization: `Basic ${Buffer.from('carol:carol').toString('base64')}` };

describe('operation', () => {
  test('run --listen --to, without a file', async t => {
    const peer = await Peer.start();
    const gateway = await Gateway.quick(peer.url);
    t.after(() => Promise.all([gateway.stop(), peer.stop()]));
    const [listener] = Object.keys(gateway.ports);
    const client = await open(gateway.url('/any/path', listener), ['any']);
    assert.equal(client.socket.protocol, 'any');
    assert.equal(await client.echo('quick'), 'quick');
    assert.equal((await peer.session()).request.url, '/any/path');
    client.socket.close(1000);
    await client.close();
  });

  test('a password file is followed, and with its line a password that was verified before is forgotten and its sessions end', async t => {
    const peer = await Peer.start();
    const gateway = await Gateway.start(`
      [auth.people]
      kind = "basic"
      htpasswd = "people"
      realm = "people"
      [[routes]]
      auth = ["people"]
      upstream = "${peer.url}"`, { people: '# nobody yet\n' });
    t.after(() => Promise.all([gateway.stop(), peer.stop()]));
    const reloads = count => gateway.event(() => gateway.events.filter(event => event.target?.includes('auth::basic')).length >= count, 'reload of the password file');

    assert.equal((await refused(gateway.url(), [], { headers })).status, 401);
    gateway.replace('people', CAROL);
    await reloads(1);
    const client = await open(gateway.url(), [], { headers });
    gateway.replace('people', CAROL.replace('carol:', 'caroline:'));
    await reloads(2);
    assert.equal((await refused(gateway.url(), [], { headers })).status, 401);
    assert.deepEqual(await client.close(), { code: 3000, reason: 'the credential was revoked' });
  });

  test('certificates are followed, and live sessions go on', async t => {
    const authority = new Authority();
    const peer = await Peer.start();
    const files = ({ cert, key }) => ({ 'site.pem': fs.readFileSync(cert, 'utf8'), 'site.key': fs.readFileSync(key, 'utf8') });
    const gateway = await Gateway.start(`
      [[listeners]]
      name = "public"
      address = "127.0.0.1:0"
      tls.certificates = [{ cert = "site.pem", key = "site.key" }]
      [[routes]]
      upstream = "${peer.url}"`, files(authority.issue('old', ['site.test'])));
    t.after(async () => {
      await Promise.all([gateway.stop(), peer.stop()]);
      authority.remove();
    });
    const url = gateway.url().replace('ws:', 'wss:');
    const options = { ca: authority.ca, servername: 'site.test', headers: { Host: 'site.test' } };
    const serial = client => client.socket._socket.getPeerCertificate().serialNumber;

    const before = await open(url, [], options);
    for (const [name, text] of Object.entries(files(authority.issue('new', ['site.test'])))) gateway.replace(name, text);
    await gateway.event(event => event.message === 'certificates reloaded', 'reload of the certificates');
    const after = await open(url, [], options);
    assert.notEqual(serial(after), serial(before));
    assert.equal(await before.echo('old'), 'old');
    assert.equal(await after.echo('new'), 'new');
    before.socket.terminate();
    after.socket.terminate();
  });
});
