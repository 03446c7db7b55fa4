// HAProxy and nginx behind the gateway: by the PROXY protocol they learn who the client is.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Balancer } from '../lib/balancer.mjs';
import { Gateway } from '../lib/gateway.mjs';
import { Peer } from '../lib/peer.mjs';
import { CLIENT, told } from './told.mjs';

/** In it the servers behind the gateway say whom the PROXY protocol told them. */
const SEEN = 'X-Seen';

describe('behind the gateway', () => {
  let balancers, front, gateway, peer;

  before(async () => {
    peer = await Peer.start();
    const haproxy = await Balancer.haproxy({
      upstream: {
        bind: 'accept-proxy',
        body: `mode http\n  http-request set-header ${SEEN} %[src]\n  server peer 127.0.0.1:${peer.port}`,
      },
    });
    const nginx = await Balancer.nginx({
      http: {
        upstream: {
          bind: 'proxy_protocol',
          body: `location / { proxy_pass ${peer.url.replace('ws', 'http')}; proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "Upgrade";
            proxy_set_header ${SEEN} $proxy_protocol_addr; }`,
        },
      },
    });
    balancers = { haproxy, nginx };
    const upstreams = Object.entries(balancers).flatMap(([kind, { ports }]) => ['v1', 'v2'].map(version => `
      [upstreams.${kind}-${version}]
      endpoints = ["ws://127.0.0.1:${ports.upstream}"]
      proxy_protocol = "${version}"
      [[routes]]
      path = "/${kind}/${version}"
      identity_header = "X-User"
      upstream = "${kind}-${version}"`));
    gateway = await Gateway.start(`
      [server]
      trusted_proxies = ["127.0.0.1"]
      ${['directly', 'proxied', 'headers'].map(name => `
      [[listeners]]
      name = "${name}"
      address = "127.0.0.1:0"
      proxy_protocol = ${name === 'proxied'}`).join('\n')}
      ${upstreams.join('\n')}`);
    const server = name => `server gateway 127.0.0.1:${gateway.ports[name]}`;
    front = await Balancer.haproxy({
      proxied: `${server('proxied')} send-proxy-v2`,
      headers: `mode http\n  http-request del-header x-forwarded- -m beg\n  option forwardfor\n  ${server('headers')}`,
    });
  });
  after(async () => {
    await Promise.all([front, gateway, ...Object.values(balancers ?? {}), peer].map(one => one?.stop()));
  });

  for (const [way, words] of [['directly', 'directly'], ['proxied', 'by the PROXY protocol'], ['headers', 'by headers']]) {
    for (const path of ['/haproxy/v1', '/haproxy/v2', '/nginx/v1', '/nginx/v2']) {
      test(`${path} of a client that came ${words}`, async () => {
        const by = way === 'directly' ? gateway : front;
        const headers = await told(peer, by, by.ports[way], { path });
        assert.equal(headers[SEEN.toLowerCase()], CLIENT);
      });
    }
  }
});
