// HAProxy and nginx before the gateway: the upstream learns whom they serve, whatever a client claims.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { Balancer } from '../lib/balancer.mjs';
import { Authority } from '../lib/certificates.mjs';
import { Gateway } from '../lib/gateway.mjs';
import { Peer } from '../lib/peer.mjs';
import { CLIENT, FORGED, told } from './told.mjs';

/** What nginx needs for WebSocket. */
const UPGRADE = 'proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "Upgrade"; proxy_set_header Host $http_host;';

/** What it must not take from its clients, since the gateway takes it from nginx. */
const CLAIMS = 'proxy_set_header X-Forwarded-Proto $scheme; proxy_set_header X-Forwarded-Host $http_host;';

describe('before the gateway', () => {
  let authority, forwarded, gateway, haproxy, nginx, peer;

  before(async () => {
    authority = new Authority();
    const own = authority.issue('own', ['chat.test']);
    fs.writeFileSync(authority.file('both.pem'), fs.readFileSync(own.cert) + fs.readFileSync(own.key));
    peer = await Peer.start();
    const listener = (name, keys = '') => `[[listeners]]\nname = "${name}"\naddress = "127.0.0.1:0"\n${keys}`;
    const route = `[[routes]]\nidentity_header = "X-User"\nupstream = "${peer.url}"`;
    gateway = await Gateway.start(`
      [server]
      trusted_proxies = ["127.0.0.1"]
      ${listener('headers')}
      ${listener('proxied', 'proxy_protocol = true')}
      ${listener('secure', `proxy_protocol = true\n[listeners.tls]\ncertificates = [{ cert = "${own.cert}", key = "${own.key}" }]`)}
      ${route}`);
    forwarded = await Gateway.start(`
      [server]
      trusted_proxies = ["127.0.0.1"]
      client_ip_header = "forwarded"
      ${listener('headers')}
      ${route}`);
    const to = (name, from = gateway) => `127.0.0.1:${from.ports[name]}`;
    nginx = await Balancer.nginx({
      stream: {
        v1: `proxy_pass ${to('proxied')}; proxy_protocol on;`,
        secure: `proxy_pass ${to('secure')}; proxy_protocol on;`,
      },
      http: {
        headers: `location / { ${UPGRADE} proxy_pass http://${to('headers')};
          proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
          ${CLAIMS} }`,
        https: {
          bind: 'ssl',
          body: `ssl_certificate ${own.cert}; ssl_certificate_key ${own.key};
            location / { ${UPGRADE} proxy_pass http://${to('headers')};
              proxy_set_header X-Forwarded-For $remote_addr; ${CLAIMS} }`,
        },
        forwarded: `location / { ${UPGRADE} proxy_pass http://${to('headers', forwarded)};
          proxy_set_header Forwarded 'for="$remote_addr:$remote_port";proto=$scheme;host="$http_host"'; }`,
      },
    });
    const claims = ['X-Forwarded-Proto %[ssl_fc,iif(https,http)]', 'X-Forwarded-Host %[req.hdr(host)]']
      .map(header => `http-request set-header ${header}`).join('\n  ');
    const server = (address, options = '') => `server gateway ${address} ${options}`;
    haproxy = await Balancer.haproxy({
      v1: server(to('proxied'), 'send-proxy'),
      v2: server(to('proxied'), 'send-proxy-v2'),
      proven: `unique-id-format %{+X}o\\ %ci:%cp\n  ${server(to('proxied'), 'send-proxy-v2 proxy-v2-options crc32c,unique-id,ssl')}`,
      secure: server(to('secure'), 'send-proxy-v2'),
      terminated: {
        bind: `ssl crt ${authority.file('both.pem')}`,
        body: server(to('proxied'), 'send-proxy-v2 proxy-v2-options ssl,crc32c'),
      },
      headers: `mode http\n  option forwardfor\n  ${claims}\n  ${server(to('headers'))}`,
      https: {
        bind: `ssl crt ${authority.file('both.pem')}`,
        body: `mode http\n  option forwardfor\n  ${claims}\n  ${server(to('headers'))}`,
      },
      forwarded: `mode http\n  http-request add-header Forwarded for=%[src];proto=http\n  ${server(to('headers', forwarded))}`,
      checked: `option log-health-checks\n  log stdout format raw daemon\n  ${
        server(to('proxied'), 'send-proxy-v2 check check-send-proxy inter 100ms')}`,
      checked_secure: `option log-health-checks\n  log stdout format raw daemon\n  ${
        server(to('secure'), 'send-proxy check check-send-proxy inter 100ms')}`,
      chain: `mode http\n  option forwardfor\n  ${server(`127.0.0.1:${nginx.ports.headers}`)}`,
    });
  });
  after(async () => {
    await Promise.all([haproxy, nginx, gateway, forwarded, peer].map(one => one?.stop()));
    authority?.remove();
  });

  /** Behind the listener `name` of a balancer: what the upstream is told. */
  function behind(balancer, name, options = {}) {
    return told(peer, balancer, balancer.ports[name], options);
  }

  const wss = () => ({ tls: { ca: authority.ca, servername: 'chat.test', headers: { ...FORGED, Host: 'chat.test' } } });

  for (const [kind, names] of [['HAProxy', ['v1', 'v2', 'proven']], ['nginx', ['v1']]]) {
    for (const name of names) {
      test(`${kind}: PROXY protocol (${name})`, async () => {
        const headers = await behind(kind === 'nginx' ? nginx : haproxy, name);
        assert.equal(headers['x-forwarded-for'], CLIENT);
        assert.equal(headers['x-real-ip'], CLIENT);
        assert.equal(headers['x-forwarded-proto'], 'http');
      });
    }

    test(`${kind}: PROXY protocol with TLS passed through`, async () => {
      const headers = await behind(kind === 'nginx' ? nginx : haproxy, 'secure', wss());
      assert.equal(headers['x-forwarded-for'], CLIENT);
      assert.equal(headers['x-forwarded-proto'], 'https');
      assert.equal(headers['x-forwarded-host'], 'chat.test');
    });

    for (const name of ['headers', 'forwarded']) {
      test(`${kind}: ${name === 'headers' ? 'X-Forwarded-For' : 'Forwarded'}`, async () => {
        const balancer = kind === 'nginx' ? nginx : haproxy;
        const headers = await behind(balancer, name);
        assert.equal(headers['x-forwarded-for'], `${CLIENT}, 127.0.0.1`);
        assert.equal(headers['x-real-ip'], CLIENT);
        assert.equal(headers['x-forwarded-proto'], 'http');
        assert.equal(headers.forwarded, undefined);
      });
    }
  }

  test('HAProxy tells of the TLS that it has ended by the PROXY protocol', async () => {
    const headers = await behind(haproxy, 'terminated', wss());
    assert.equal(headers['x-forwarded-for'], CLIENT);
    assert.equal(headers['x-forwarded-proto'], 'https');
  });

  for (const kind of ['HAProxy', 'nginx']) {
    test(`${kind} tells of the TLS that it has ended by headers`, async () => {
      const headers = await behind(kind === 'nginx' ? nginx : haproxy, 'https', wss());
      assert.equal(headers['x-real-ip'], CLIENT);
      assert.equal(headers['x-forwarded-proto'], 'https');
      assert.equal(headers['x-forwarded-host'], 'chat.test');
    });
  }

  test('HAProxy before nginx before the gateway', async () => {
    const headers = await behind(haproxy, 'chain');
    assert.equal(headers['x-forwarded-for'], `${CLIENT}, 127.0.0.1, 127.0.0.1`);
    assert.equal(headers['x-real-ip'], CLIENT);
  });

  test('an own Origin is that of the TLS which the balancer has ended', async () => {
    const host = 'localhost';
    const tls = { ...wss().tls, headers: { ...FORGED, Host: host, Origin: `https://${host}` } };
    for (const [balancer, name] of [[haproxy, 'terminated'], [haproxy, 'https'], [nginx, 'https']]) {
      await behind(balancer, name, { tls });
      const other = { ...tls, headers: { ...tls.headers, Origin: `http://${host}` } };
      await assert.rejects(behind(balancer, name, { tls: other }), /403/);
    }
  });

  test('who comes past the balancer is nobody else', async () => {
    const headers = await told(peer, gateway, gateway.ports.headers);
    assert.equal(headers['x-forwarded-for'], CLIENT);
    await assert.rejects(told(peer, gateway, gateway.ports.proxied), /hang up|ECONNRESET/);
  });

  test('checks of HAProxy find the gateway well, and are no failures in its log', async () => {
    for (const name of ['checked', 'checked_secure']) {
      assert.ok(await haproxy.says(new RegExp(`Health check for server ${name}/gateway succeeded`)), haproxy.text);
    }
    const failures = gateway.events.filter(event => /refused|failed/.test(event.message) && event.client === '127.0.0.1');
    assert.deepEqual(failures, []);
  });

  test('the access log has the client', async () => {
    await gateway.event(event => event.message === 'session ended' && event.client === CLIENT, 'a session of the client');
  });
});
