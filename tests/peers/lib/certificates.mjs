// A certificate authority and server certificates made by openssl for one run.

import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { folder } from './gateway.mjs';

function openssl(dir, ...args) {
  execFileSync('openssl', args, { cwd: dir, stdio: ['ignore', 'ignore', 'pipe'] });
}

const KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];

export class Authority {
  constructor() {
    this.dir = folder();
    openssl(this.dir, 'req', '-x509', ...KEY, '-keyout', 'ca.key', '-out', 'ca.pem', '-days', '2', '-subj', '/CN=wsgate test CA');
    this.ca = fs.readFileSync(this.file('ca.pem'), 'utf8');
  }

  file(name) {
    return path.join(this.dir, name);
  }

  /** A certificate for `names` (IP addresses included): `{ cert, key }` as files. */
  issue(label, names) {
    const alternatives = names.map(name => `${/^[\d.]+$/.test(name) ? 'IP' : 'DNS'}:${name}`).join(',');
    return this.#sign(label, names[0], `subjectAltName=${alternatives}\nextendedKeyUsage=serverAuth\n`);
  }

  /** A certificate for a client called `name`: `{ cert, key }` as files. */
  issueClient(label, name) {
    return this.#sign(label, name, 'extendedKeyUsage=clientAuth\n');
  }

  #sign(label, name, extensions) {
    fs.writeFileSync(this.file(`${label}.ext`), extensions);
    openssl(this.dir, 'req', ...KEY, '-keyout', `${label}.key`, '-out', `${label}.csr`, '-subj', `/CN=${name}`);
    openssl(this.dir, 'x509', '-req', '-in', `${label}.csr`, '-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial',
      '-days', '2', '-extfile', `${label}.ext`, '-out', `${label}.pem`);
    return { cert: this.file(`${label}.pem`), key: this.file(`${label}.key`) };
  }

  /** The PEM of a list that revokes `revoked` (`{ cert }` files), and all that were revoked before. */
  revoke(...revoked) {
    const database = this.file('index.txt');
    if (!fs.existsSync(database)) {
      fs.writeFileSync(database, '');
      fs.writeFileSync(this.file('crlnumber'), '01\n');
      fs.writeFileSync(this.file('crl.conf'), '[ca]\ndefault_ca = own\n[own]\ndatabase = index.txt\ncrlnumber = crlnumber\ncrl_extensions = extensions\ndefault_md = sha256\ndefault_crl_days = 2\n' +
        '[extensions]\nauthorityKeyIdentifier = keyid\n');
    }
    const ca = ['ca', '-config', 'crl.conf', '-keyfile', 'ca.key', '-cert', 'ca.pem'];
    for (const { cert } of revoked) openssl(this.dir, ...ca, '-revoke', cert);
    openssl(this.dir, ...ca, '-gencrl', '-out', 'crl.pem');
    return fs.readFileSync(this.file('crl.pem'), 'utf8');
  }

  remove() {
    fs.rmSync(this.dir, { recursive: true, force: true });
  }
}

/** The contents of `{ cert, key }` files, as Node's servers want them. */
export function contents({ cert, key }) {
  return { cert: fs.readFileSync(cert), key: fs.readFileSync(key) };
}
