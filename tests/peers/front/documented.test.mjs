// The configurations of balancers that README.md and docs/load-balancers.md show, each with that of the gateway below it.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { Balancer } from '../lib/balancer.mjs';
import { Authority } from '../lib/certificates.mjs';
import { Gateway } from '../lib/gateway.mjs';
import { Peer } from '../lib/peer.mjs';
import { CLIENT, FORGED, told } from './told.mjs';

const HOST = 'chat.example.com';

/** What a page shows: `{ page, language, text, toml }`. */
function shown(page) {
  const text = fs.readFileSync(new URL(`../../../${page}`, import.meta.url), 'utf8');
  const fences = [...text.matchAll(/^```(\S+)\n(.*?)^```$/gms)].map(([, language, body]) => ({ language, body }));
  return fences.flatMap(({ language, body }, at) => {
    if (!/^(haproxy|nginx)/.test(language)) return [];
    const below = fences[at + 1];
    assert.equal(below?.language, 'toml', `no configuration of the gateway below:\n${body}`);
    return [{ page, language, text: body, toml: below.body }];
  });
}

/** `text` with what must be another here; each must be in it. */
function replaced(text, ...pairs) {
  return pairs.reduce((done, [what, by]) => {
    assert.match(done, what);
    return done.replaceAll(new RegExp(what, 'g'), by);
  }, text);
}

describe('what the documentation shows', () => {
  let authority, peer;

  before(async () => {
    authority = new Authority();
    const { cert, key } = authority.issue('chat', [HOST]);
    fs.writeFileSync(authority.file('both.pem'), fs.readFileSync(cert) + fs.readFileSync(key));
    peer = await Peer.start();
  });
  after(async () => {
    await peer?.stop();
    authority?.remove();
  });

  function gatewayOf(toml) {
    const here = replaced(toml, [/address = "0\.0\.0\.0:\d+"/, 'name = "public"\naddress = "127.0.0.1:0"'],
      [/trusted_proxies = \[".*?"\]/, 'trusted_proxies = ["127.0.0.1"]']);
    const files = Object.fromEntries(['pem', 'key'].map(kind => [`chat.${kind}`, fs.readFileSync(authority.file(`chat.${kind}`))]));
    return Gateway.start(`${here}\n[[routes]]\nidentity_header = "X-User"\nhost = "${HOST}"\nupstream = "${peer.url}"`, files);
  }

  function balancerOf({ language, text }, port) {
    const here = replaced(text, [/10\.0\.0\.5:\d+/, `127.0.0.1:${port}`], [/(?<=bind |listen ):?443/, '{address}'])
      .replace('/etc/haproxy/chat.pem', authority.file('both.pem'))
      .replaceAll('/etc/nginx/', `${authority.dir}/`);
    switch (language) {
      case 'haproxy': return Balancer.haproxyBy(here);
      case 'nginx': return Balancer.nginxBy('http', here);
      default: return Balancer.nginxBy('stream', here);
    }
  }

  const all = ['README.md', 'docs/load-balancers.md'].flatMap(shown);
  assert.equal(all.length, 6);
  for (const [at, one] of all.entries()) {
    test(`${one.page}, ${one.language} (${at + 1})`, async () => {
      const gateway = await gatewayOf(one.toml);
      const balancer = await balancerOf(one, gateway.port);
      const headers = { ...FORGED, Host: HOST, Origin: `https://${HOST}` };
      const seen = await told(peer, balancer, balancer.ports.main, { tls: { ca: authority.ca, servername: HOST, headers } });
      assert.equal(seen['x-real-ip'], CLIENT);
      assert.equal(seen['x-forwarded-proto'], 'https');
      assert.equal(seen['x-forwarded-host'], HOST);
      await Promise.all([gateway.stop(), balancer.stop()]);
    });
  }
});
