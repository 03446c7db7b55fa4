// Who issues tokens: keys, tokens and the key set by npm's `jose`; the set is published over HTTPS.

import { once } from 'node:events';
import https from 'node:https';
import * as jose from 'jose';
import { contents } from './certificates.mjs';

export const ISSUER = 'https://id.example.com/';
export const AUDIENCE = 'chat';
/** Those of public keys that the gateway knows. */
export const ALGORITHMS = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'EdDSA'];

/** In seconds since 1970, as tokens have it. */
export const now = () => Math.floor(Date.now() / 1000);

/** Of a good token of ann's, for five minutes; a claim that is undefined is left out. */
export const claims = more => ({ iss: ISSUER, aud: AUDIENCE, sub: 'ann', iat: now(), exp: now() + 300, ...more });

export class Key {
  static async make(algorithm, kid = algorithm) {
    const key = new Key();
    const { publicKey, privateKey } = await jose.generateKeyPair(algorithm, { extractable: true });
    Object.assign(key, { algorithm, kid, publicKey, privateKey });
    key.jwk = { ...await jose.exportJWK(publicKey), kid, alg: algorithm, use: 'sig' };
    return key;
  }

  /** A token; `header` is put into its header. */
  sign(more = {}, header = {}) {
    return new jose.SignJWT(claims(more)).setProtectedHeader({ alg: this.algorithm, kid: this.kid, typ: 'JWT', ...header }).sign(this.privateKey);
  }
}

export class Issuer {
  keys = [];
  /** How often the set was asked for. */
  asked = 0;

  /** An HTTPS server at `localhost`, by a certificate of `authority`. */
  static async start(authority, algorithms = ALGORITHMS) {
    const issuer = new Issuer();
    issuer.keys = await Promise.all(algorithms.map(algorithm => Key.make(algorithm)));
    issuer.server = https.createServer(contents(authority.issue('issuer', ['localhost'])), (_, response) => {
      issuer.asked += 1;
      response.setHeader('Content-Type', 'application/jwk-set+json');
      response.end(JSON.stringify({ keys: issuer.keys.map(key => key.jwk) }));
    });
    issuer.server.listen(0, '127.0.0.1');
    await once(issuer.server, 'listening');
    issuer.server.unref();
    issuer.url = `https://localhost:${issuer.server.address().port}/keys`;
    // What a method needs to know of it.
    issuer.method = `
      kind = "jwt"
      algorithms = [${algorithms.map(algorithm => `"${algorithm}"`).join(', ')}]
      jwks = "${issuer.url}"
      ca = "${authority.file('ca.pem')}"
      issuer = "${ISSUER}"
      audience = "${AUDIENCE}"`;
    return issuer;
  }

  key(kid) {
    return this.keys.find(key => key.kid === kid);
  }

  sign(more, header, kid = 'ES256') {
    return this.key(kid).sign(more, header);
  }

  stop() {
    this.server.closeAllConnections();
    this.server.close();
  }
}

/** Waits until `gateway` has the keys of `method`. */
export function hasKeys(gateway, method = 'people') {
  return gateway.event(event => event.message === 'a key set was fetched' && event.method === method, 'a key set');
}

export const bearer = token => ({ Authorization: `Bearer ${token}` });
