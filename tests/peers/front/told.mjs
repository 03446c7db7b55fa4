// A client that claims to be somebody else, and what an upstream is told of it.

import assert from 'node:assert/strict';
import { open } from '../lib/peer.mjs';

/** Of the client; balancers and the gateway have 127.0.0.1. */
export const CLIENT = '127.0.0.2';

const WRONG = '203.0.113.66';

/** Each a way to claim an address, a scheme, a host or an identity that some server believes. */
export const FORGED = {
  'X-Forwarded-For': [WRONG, `127.0.0.1, ${WRONG}`],
  'X_Forwarded_For': WRONG,
  'X.Forwarded.For': WRONG,
  'X-Forwarded-Proto': 'https',
  'X-Forwarded-Host': 'forged.test',
  'X-Forwarded-Port': '66',
  'X-Forwarded-User': 'forged',
  Forwarded: `for=${WRONG};proto=https;host=forged.test;x="`,
  'X-Real-IP': WRONG,
  'X_Real_IP': WRONG,
  'True-Client-IP': WRONG,
  'CF-Connecting-IP': WRONG,
  'X-User': 'forged',
  X_User: 'forged',
  'X-Request-Id': 'forged',
};

/** Headers of the handshake that `peer` gets when the client comes by `port` of `by`. */
export async function told(peer, by, port, { path = '/', tls } = {}) {
  const options = { localAddress: CLIENT, ...(tls ?? { headers: FORGED }) };
  const client = await open(`${tls ? 'wss' : 'ws'}://127.0.0.1:${port}${path}`, [], options).catch(error => {
    throw new Error(`${error.message}\n${by.text}`, { cause: error });
  });
  const { request, socket } = await peer.session();
  assert.equal(await client.echo('through all of them'), 'through all of them');
  client.socket.close();
  await client.close();
  const all = request.rawHeaders.join('\n');
  assert.doesNotMatch(all, /203\.0\.113\.66|forged/);
  socket.terminate();
  return request.headers;
}
