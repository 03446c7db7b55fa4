// A service decides: oauth2-proxy's protocol before `ws`, as with nginx's `auth_request` and as with Traefik's ForwardAuth;
// and services that are down, slow, or talk too much.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { after, before, describe, test } from 'node:test';
import { Gateway } from '../lib/gateway.mjs';
import { OAuth2Proxy } from '../lib/oauth2-proxy.mjs';
import { Peer, open, refused } from '../lib/peer.mjs';

const USERS = {
  ann: { password: 'secret of ann', email: 'ann@example.com', groups: ['staff', 'admins'] },
  bob: { password: 'secret of bob', email: 'bob@example.com', groups: ['staff'] },
};

describe('oauth2-proxy', () => {
  let gateway, leading, peer, proxy;

  before(async () => {
    [proxy, leading, peer] = [await OAuth2Proxy.start({ users: USERS }), await OAuth2Proxy.start({ users: USERS, skipProviderButton: true }), await Peer.start()];
    const method = (name, url, more = '') => `
      [auth.${name}]
      kind = "forward_auth"
      url = "http://${url}"
      identity_header = "X-Auth-Request-User"
      copy_headers = ["X-Auth-Request-Email", "X-Auth-Request-Groups"]
      ${more}`;
    const route = name => `
      [[routes]]
      path = "/${name}"
      auth = ["${name}"]
      upstream = "${peer.url}"`;
    // Each worker keeps connections of its own.
    gateway = await Gateway.start(`
      [server]
      workers = 1
      ${method('portal', `${proxy.address}/oauth2/auth`)}
      ${method('admins', `${proxy.address}/oauth2/auth?allowed_groups=admins`)}
      ${method('asked', `${proxy.address}/oauth2/auth`, 'recheck = "1s"')}
      ${method('kept', `${proxy.address}/oauth2/auth`, 'cache = "1m"')}
      ${method('traefik', `${leading.address}/`)}

      [route_defaults]
      identity_header = "X-Who"
      ${['portal', 'admins', 'asked', 'kept', 'traefik'].map(route).join('')}

      [[routes]]
      path = "/oauth2/*"
      http_requests = "proxy"
      upstream = "ws://${proxy.address}"`);
  });
  after(() => Promise.all([gateway, leading, peer, proxy].map(one => one?.stop())));

  const page = path => `http://127.0.0.1:${gateway.port}${path}`;

  /** Logs in by the form, through the gateway: the cookie. */
  async function logIn(name, at = page('')) {
    const body = new URLSearchParams({ username: name, password: USERS[name].password, rd: '/chat' });
    const answer = await fetch(`${at}/oauth2/sign_in`, { method: 'POST', body, redirect: 'manual' });
    assert.equal(answer.status, 302);
    assert.equal(answer.headers.get('location'), '/chat');
    return answer.headers.getSetCookie()[0].split(';')[0];
  }

  /** Opens a session with a cookie: what the upstream was told. */
  async function admitted(path, Cookie, headers = {}) {
    const client = await open(gateway.url(path), [], { headers: { Cookie, ...headers } });
    const end = await peer.session();
    assert.equal(await client.echo('hello'), 'hello');
    return { client, end, told: end.request.headers };
  }

  test('who is logged in enters, and the upstream is told who it is', async () => {
    const { client, told } = await admitted('/portal?room=1', await logIn('ann'), {
      'X-Auth-Request-Email': 'root@example.com', 'X_Auth_Request_Email': 'root@example.com', 'X-Auth-Request-User': 'root', 'X-Who': 'portal:root',
    });
    assert.deepEqual([told['x-who'], told['x-auth-request-email'], told['x-auth-request-groups']], ['portal:ann', 'ann@example.com', 'staff,admins']);
    assert.ok(!JSON.stringify(told).includes('root'), JSON.stringify(told));
    assert.equal(told['gap-auth'], undefined);
    client.socket.terminate();
  });

  test('it is asked as nginx and Traefik ask', async () => {
    const cookie = await logIn('ann');
    const { client } = await admitted('/portal?room=1&b=%2F', cookie, { Authorization: 'Bearer theirs', 'User-Agent': 'chat/1', Origin: page('') });
    const { headers, method, url } = proxy.requests.at(-1);
    assert.deepEqual([method, url], ['GET', '/oauth2/auth']);
    const expected = {
      host: proxy.address, cookie, authorization: 'Bearer theirs', 'user-agent': 'chat/1', origin: page(''),
      'x-forwarded-method': 'GET', 'x-forwarded-proto': 'http', 'x-forwarded-host': `127.0.0.1:${gateway.port}`,
      'x-forwarded-uri': '/portal?room=1&b=%2F', 'x-forwarded-for': '127.0.0.1', 'x-real-ip': '127.0.0.1',
      'x-original-method': 'GET', 'x-original-uri': '/portal?room=1&b=%2F', 'x-original-url': page('/portal?room=1&b=%2F'),
    };
    assert.deepEqual(Object.fromEntries(Object.keys(expected).map(name => [name, headers[name]])), expected);
    for (const name of ['sec-websocket-key', 'sec-websocket-version', 'upgrade', 'content-length', 'transfer-encoding', 'x-auth-request-redirect']) {
      assert.equal(headers[name], undefined, name);
    }
    client.socket.terminate();
  });

  test('one connection serves many questions', async () => {
    const cookie = await logIn('ann');
    (await admitted('/portal', cookie)).client.socket.terminate();
    const before = proxy.connections;
    for (let round = 0; round < 5; round += 1) (await admitted('/portal', cookie)).client.socket.terminate();
    assert.equal(proxy.connections, before);
  });

  test('who is not logged in gets the answer of the service', async () => {
    const cookie = await logIn('ann');
    for (const Cookie of ['', 'theme=dark', cookie.replace('|', 'x|'), `${cookie}x`]) {
      const answer = await refused(gateway.url('/portal'), [], { headers: { Cookie } });
      assert.deepEqual([answer.status, answer.body], [401, 'Unauthorized\n']);
      assert.match(answer.headers['cache-control'], /no-store/);
      assert.equal(answer.headers['x-accel-expires'], undefined);
    }
  });

  test('who is not of the group gets its 403', async () => {
    const answer = await refused(gateway.url('/admins'), [], { headers: { Cookie: await logIn('bob') } });
    assert.deepEqual([answer.status, answer.body], [403, 'Forbidden\n']);
    (await admitted('/admins', await logIn('ann'))).client.socket.terminate();
  });

  test('as Traefik has it, who is not logged in is led to the login and back', async () => {
    const answer = await refused(gateway.url('/traefik?room=1'));
    assert.equal(answer.status, 302);
    const place = new URL(answer.headers.location);
    assert.equal(place.origin + place.pathname, 'https://id.example.com/authorize');
    assert.equal(place.searchParams.get('state').split(/:(.*)/s)[1], page('/traefik?room=1'));
    assert.match(answer.headers['set-cookie'][0], /^_oauth2_proxy_csrf=.*HttpOnly; SameSite=Lax$/);
    const { client, told } = await admitted('/traefik', await logIn('bob', `http://${leading.address}`));
    assert.deepEqual([told['x-who'], told['x-auth-request-email']], ['traefik:bob', 'bob@example.com']);
    client.socket.terminate();
  });

  test('a session ends after the logout, and not before', async () => {
    const [cookie, other] = [await logIn('ann'), await logIn('bob')];
    const { client, end } = await admitted('/asked', cookie);
    const staying = await admitted('/asked', other);
    const questions = proxy.requests.length;
    while (proxy.requests.length < questions + 2) await once(proxy.http, 'request');
    assert.equal(await client.echo('still here'), 'still here');
    const answer = await fetch(page('/oauth2/sign_out'), { headers: { Cookie: cookie }, redirect: 'manual' });
    assert.equal(answer.status, 302);
    assert.equal((await client.close()).code, 3000);
    assert.equal((await end.close()).code, 1001);
    assert.equal(await staying.client.echo('still here'), 'still here');
    staying.client.socket.terminate();
    assert.equal((await refused(gateway.url('/asked'), [], { headers: { Cookie: cookie } })).status, 401);
  });

  test('what it forbids to keep is not kept', async () => {
    const cookie = await logIn('ann');
    for (let round = 0; round < 3; round += 1) (await admitted('/kept', cookie)).client.socket.terminate();
    assert.equal(proxy.requests.filter(({ headers }) => headers['x-forwarded-uri'] === '/kept').length, 3);
  });

  test('pages of the service pass through the gateway', async () => {
    const answer = await fetch(page('/oauth2/sign_in?rd=/chat'));
    assert.equal(answer.status, 200);
    assert.match(await answer.text(), /name="rd" value="\/chat"/);
  });
});

describe('services that are no help', () => {
  const GIBIBYTE = 1 << 30;
  /** More than any buffers on the way hold. */
  const MUCH = 32 << 20;
  const HEAD = 'HTTP/1.1 401 Unauthorized\r\nContent-Type: text/plain\r\n';
  const ANN = 'X-Auth-Request-User: ann\r\n';
  let gateway, peer;
  const services = [];

  /** Answers each connection by `answer`, once it has asked. */
  async function service(answer) {
    const server = net.createServer(socket => {
      socket.on('error', () => {});
      socket.once('data', () => answer(socket));
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    server.unref();
    services.push(server);
    return server.address().port;
  }

  /** A body that goes on for as long as somebody reads. */
  const written = {};
  const endless = (name, head, chunk) => socket => {
    written[name] = 0;
    const more = () => {
      while (!socket.destroyed && written[name] < GIBIBYTE) {
        written[name] += chunk.length;
        if (!socket.write(chunk)) return void socket.once('drain', more);
      }
      socket.end();
    };
    socket.write(head);
    more();
  };

  before(async () => {
    peer = await Peer.start();
    const block = Buffer.alloc(64 << 10, 'x');
    const chunk = Buffer.concat([Buffer.from('10000\r\n'), block, Buffer.from('\r\n')]);
    const closed = net.createServer();
    closed.listen(0, '127.0.0.1');
    await once(closed, 'listening');
    const ports = {
      down: closed.address().port,
      silent: await service(() => {}),
      slow: await service(socket => socket.write('HTTP/1.1 202 Accepted\r\nX-Auth-Request-User: ann\r\n')),
      gigabyte: await service(endless('gigabyte', `${HEAD}Content-Length: ${GIBIBYTE}\r\n\r\n`, block)),
      chunked: await service(endless('chunked', `${HEAD}Transfer-Encoding: chunked\r\n\r\n`, chunk)),
      headers: await service(endless('headers', HEAD, Buffer.from(`X-More: ${'x'.repeat(8000)}\r\n`))),
      admits: await service(endless('admits', `HTTP/1.1 200 OK\r\n${ANN}Content-Length: ${GIBIBYTE}\r\n\r\n`, block)),
      short: await service(socket => socket.end(`HTTP/1.1 200 OK\r\n${ANN}Content-Length: 100\r\n\r\nx`)),
      nameless: await service(socket => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')),
      failing: await service(socket => socket.end('HTTP/1.1 500 Internal Server Error\r\nContent-Length: 4\r\n\r\nfoo\n')),
      upgrading: await service(socket => socket.end('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n')),
      noise: await service(socket => socket.end('SSH-2.0-OpenSSH_9.2\r\n')),
      gone: await service(socket => socket.destroy()),
    };
    closed.close();
    gateway = await Gateway.start(Object.entries(ports).map(([name, port]) => `
      [auth.${name}]
      kind = "forward_auth"
      url = "http://127.0.0.1:${port}/auth"
      identity_header = "X-Auth-Request-User"
      timeout = "1s"
      [[routes]]
      path = "/${name}"
      auth = ["${name}"]
      upstream = "${peer.url}"`).join(''));
  });
  after(async () => {
    await Promise.all([gateway, peer].map(one => one?.stop()));
    services.forEach(server => server.close());
  });

  for (const name of ['down', 'silent', 'slow', 'gigabyte', 'chunked', 'headers', 'admits', 'short', 'nameless', 'failing', 'upgrading', 'noise', 'gone']) {
    test(`${name}: nobody enters`, async () => {
      const answer = await refused(gateway.url(`/${name}`));
      assert.equal(answer.status, 503);
      assert.ok(Number(answer.headers['retry-after']) >= 1);
      assert.ok(answer.body.length < 1000);
      assert.equal(peer.connections, 0);
      if (name in written) assert.ok(written[name] < MUCH, `${written[name]} bytes were taken`);
      const { detail } = await gateway.event(event => event.path === `/${name}` && event.status === 503, 'a line that says why');
      assert.match(detail, /the service/);
    });
  }
});
