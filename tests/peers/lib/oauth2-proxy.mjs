// oauth2-proxy's protocol, as its documentation gives it ("Endpoints", "Integration with nginx" and "with Traefik"):
// its paths, statuses, headers and cookies, with `reverse_proxy`, `set_xauthrequest`, `cookie_refresh` off and sessions on
// its own side; users log in by its own form, as with `htpasswd_file`.

import crypto from 'node:crypto';
import { once } from 'node:events';
import http from 'node:http';

const COOKIE = '_oauth2_proxy';
const CSRF = '_oauth2_proxy_csrf';
const DAY = 24 * 3600;
const NEVER_KEPT = {
  'Cache-Control': 'no-cache, no-store, must-revalidate, max-age=0',
  Expires: 'Thu, 01 Jan 1970 00:00:00 UTC',
  'X-Accel-Expires': '0',
};

export class OAuth2Proxy {
  /** `users` is `{ name: { password, email, groups } }`; `login` is where the provider is. */
  static async start({ users, login = 'https://id.example.com/authorize', skipProviderButton = false }) {
    const proxy = new OAuth2Proxy();
    Object.assign(proxy, { users, login, skipProviderButton });
    proxy.http = http.createServer((request, response) => proxy.#serve(request, response));
    proxy.http.on('connection', () => { proxy.connections += 1; });
    proxy.http.listen(0, '127.0.0.1');
    await once(proxy.http, 'listening');
    proxy.http.unref();
    proxy.address = `127.0.0.1:${proxy.http.address().port}`;
    return proxy;
  }

  /** All requests, as they came. */
  requests = [];
  connections = 0;
  #seed = crypto.randomBytes(32);
  #sessions = new Map();

  stop() {
    this.http.closeAllConnections();
    this.http.close();
  }

  #serve(request, response) {
    this.requests.push(request);
    const url = new URL(request.url, 'http://proxy');
    if (url.pathname.startsWith('/oauth2')) for (const [name, value] of Object.entries(NEVER_KEPT)) response.setHeader(name, value);
    switch (url.pathname) {
      case '/ping': return response.end('OK');
      case '/robots.txt': return response.end('User-agent: *\nDisallow: /\n');
      case '/oauth2/auth': return this.#auth(request, response, url);
      case '/oauth2/userinfo': return this.#userinfo(request, response);
      case '/oauth2/sign_in': return this.#signIn(request, response, url);
      case '/oauth2/sign_out': return this.#signOut(request, response, url);
      case '/oauth2/start': return this.#start(request, response, url);
      default: return this.#proxy(request, response, url);
    }
  }

  /** 202 or 401, and 403 for who is not among `allowed_groups`. */
  #auth(request, response, url) {
    const session = this.#session(request);
    if (!session) return plain(response, 401, 'Unauthorized\n');
    const allowed = url.searchParams.get('allowed_groups')?.split(',');
    if (allowed && !allowed.some(group => session.groups.includes(group))) return plain(response, 403, 'Forbidden\n');
    this.#tell(response, session);
    response.writeHead(202).end();
  }

  /** What Traefik asks with `static://202` as the upstream: admits, or leads to the login. */
  #proxy(request, response, url) {
    const session = this.#session(request);
    if (session) {
      this.#tell(response, session);
      return plain(response, 202, 'Authenticated');
    }
    if (/^application\/json/.test(request.headers.accept ?? '')) return plain(response, 401, '{}', 'application/json');
    if (this.skipProviderButton) return this.#start(request, response, url);
    this.#page(response, 403, redirect(request, url));
  }

  #userinfo(request, response) {
    const session = this.#session(request);
    if (!session) return plain(response, 401, 'Unauthorized\n');
    plain(response, 200, JSON.stringify({ user: session.user, email: session.email, groups: session.groups }), 'application/json');
  }

  #start(request, response, url) {
    const nonce = crypto.randomBytes(32).toString('base64url');
    setCookie(request, response, CSRF, this.#signed(CSRF, nonce), 15 * 60);
    const state = `${nonce}:${redirect(request, url)}`;
    const callback = `${origin(request)}/oauth2/callback`;
    const query = new URLSearchParams({ client_id: 'chat', redirect_uri: callback, response_type: 'code', scope: 'openid email', state });
    found(response, `${this.login}?${query}`);
  }

  /** The page with the form, and what it sends. */
  async #signIn(request, response, url) {
    if (request.method !== 'POST') return this.#page(response, 200, redirect(request, url));
    const form = new URLSearchParams((await request.setEncoding('utf8').toArray()).join(''));
    const user = form.get('username');
    if (this.users[user]?.password !== form.get('password')) return this.#page(response, 200, form.get('rd') ?? '/');
    const ticket = crypto.randomBytes(16).toString('hex');
    this.#sessions.set(ticket, { user, email: this.users[user].email, groups: this.users[user].groups ?? [] });
    setCookie(request, response, COOKIE, this.#signed(COOKIE, ticket), 7 * DAY);
    found(response, safe(form.get('rd')) ?? '/');
  }

  #signOut(request, response, url) {
    this.#sessions.delete(this.#ticket(request));
    setCookie(request, response, COOKIE, '', -3600);
    found(response, redirect(request, url));
  }

  #page(response, status, rd) {
    plain(response, status, `<!DOCTYPE html><title>Sign In</title><form method="POST" action="/oauth2/sign_in">
      <input type="hidden" name="rd" value="${rd.replaceAll('&', '&amp;').replaceAll('"', '&quot;')}">
      <input name="username"><input name="password" type="password"><button>Sign in</button></form>`, 'text/html; charset=utf-8');
  }

  #tell(response, session) {
    response.setHeader('X-Auth-Request-User', session.user);
    response.setHeader('X-Auth-Request-Email', session.email);
    if (session.groups.length) response.setHeader('X-Auth-Request-Groups', session.groups.join(','));
    response.setHeader('Gap-Auth', session.email);
  }

  #session(request) {
    return this.#sessions.get(this.#ticket(request));
  }

  #ticket(request) {
    const [value, time, signature] = (cookie(request, COOKIE) ?? '').split('|');
    if (!signature || signature !== this.#signature(COOKIE, value, time)) return undefined;
    const age = Date.now() / 1000 - Number(time);
    return age < 7 * DAY && age > -5 * 60 ? Buffer.from(value, 'base64url').toString() : undefined;
  }

  /** `value|time|signature`, as its cookies are. */
  #signed(name, text) {
    const [value, time] = [Buffer.from(text).toString('base64url'), String(Math.floor(Date.now() / 1000))];
    return [value, time, this.#signature(name, value, time)].join('|');
  }

  #signature(...parts) {
    return crypto.createHmac('sha256', this.#seed).update(parts.join('')).digest('base64url');
  }
}

/** Where to after a login: `rd`, a header, or what was asked for, as whoever stands before it tells. */
function redirect(request, url) {
  const { headers } = request;
  const wanted = url.searchParams.get('rd') ?? headers['x-auth-request-redirect'];
  if (safe(wanted)) return wanted;
  if (headers['x-forwarded-uri']) return `${origin(request)}${headers['x-forwarded-uri']}`;
  return url.pathname.startsWith('/oauth2') ? '/' : request.url;
}

function origin({ headers }) {
  return `${headers['x-forwarded-proto'] ?? 'http'}://${headers['x-forwarded-host'] ?? headers.host}`;
}

/** A path, and of no other host. */
function safe(place) {
  return /^\/(?![/\\])/.test(place ?? '') ? place : undefined;
}

function cookie(request, name) {
  const pairs = (request.headers.cookie ?? '').split(/; */).map(pair => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)]);
  return pairs.find(([own]) => own === name)?.[1];
}

function setCookie(request, response, name, value, seconds) {
  const expires = new Date(Date.now() + seconds * 1000).toUTCString();
  const secure = request.headers['x-forwarded-proto'] === 'https' ? '; Secure' : '';
  response.appendHeader('Set-Cookie', `${name}=${value}; Path=/; Expires=${expires}; HttpOnly${secure}; SameSite=Lax`);
}

function found(response, place) {
  response.writeHead(302, { Location: place }).end(`<a href="${place.replaceAll('&', '&amp;')}">Found</a>.\n`);
}

function plain(response, status, text, type = 'text/plain; charset=utf-8') {
  response.writeHead(status, { 'Content-Type': type }).end(text);
}
