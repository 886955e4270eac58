/** Certificates of the test's own, made by openssl. */
import { spawnSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Issued {
  readonly certFile: string;
  readonly keyFile: string;
}

export interface CertificateOptions {
  /** Who signs it; itself when left out. */
  readonly authority?: Issued;
  /** Extended key usage; empty: none. */
  readonly usage?: string;
  /** May sign others. */
  readonly isAuthority?: boolean;
  readonly days?: number;
}

let count = 0;

function openssl(...args: string[]): void {
  const { status, stderr } = spawnSync('openssl', args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`openssl ${args.join(' ')}: ${stderr}`);
}

export function makeAuthority(folder: string, name: string, authority?: Issued): Issued {
  return makeCertificate(folder, `/CN=${name}`, { isAuthority: true, ...(authority && { authority }) });
}

/** `subject` as openssl writes it: `/O=Ships/CN=name`. Valid for a day unless it is said otherwise. */
export function makeCertificate(folder: string, subject: string, options: CertificateOptions = {}): Issued {
  const { authority, usage = 'clientAuth', isAuthority = false, days = 1 } = options;
  const base = join(folder, `certificate${++count}`);
  const issued = { certFile: `${base}.crt`, keyFile: `${base}.key` };
  const extensions = [
    `basicConstraints=critical,CA:${isAuthority ? 'TRUE' : 'FALSE'}`,
    `keyUsage=critical,${isAuthority ? 'keyCertSign,cRLSign' : 'digitalSignature'}`,
    ...(isAuthority || usage === '' ? [] : [`extendedKeyUsage=${usage}`]),
    'subjectAltName=IP:127.0.0.1,DNS:localhost',
  ];
  writeFileSync(`${base}.ext`, extensions.join('\n'));
  openssl('ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', issued.keyFile);
  openssl('req', '-new', '-utf8', '-key', issued.keyFile, '-subj', subject, '-out', `${base}.csr`);
  const signer = authority ?? issued;
  openssl(
    ...[
      'x509',
      '-req',
      '-in',
      `${base}.csr`,
      '-days',
      String(days),
      '-extfile',
      `${base}.ext`,
      '-out',
      issued.certFile,
    ],
    ...(authority === undefined
      ? ['-signkey', signer.keyFile]
      : ['-CA', signer.certFile, '-CAkey', signer.keyFile, '-set_serial', String(1000 + count)]),
  );
  return issued;
}

/** The certificate alone. */
export function derOf({ certFile }: Issued): Buffer {
  return new X509Certificate(readFileSync(certFile)).raw;
}

/** With what stands between it and its authority, as clients show them. */
export function chainOf(...issued: readonly Issued[]): string {
  return issued.map(({ certFile }) => readFileSync(certFile, 'utf8')).join('\n');
}
