import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import { StartupError } from '../base/index.js';
import type { FrontLog } from './front.js';

export interface TlsFiles {
  readonly certFile: string;
  readonly keyFile: string;
}

/** Reads and checks the pair, so that a mistake is named before anything listens. */
export function checkCertificate(files: TlsFiles, log: FrontLog): { cert: Buffer; key: Buffer } {
  const cert = read(files.certFile, 'certificate');
  const key = read(files.keyFile, 'private key');
  let certificate: X509Certificate;
  try {
    certificate = new X509Certificate(cert);
  } catch (error) {
    throw new StartupError(
      `${files.certFile} holds no certificate that can be read`,
      'put the certificate there in PEM form, followed by its intermediates',
      error,
    );
  }
  try {
    createSecureContext({ cert, key });
  } catch (error) {
    throw new StartupError(
      `${files.keyFile} is not the private key of ${files.certFile}`,
      'put the matching key there in PEM form, without a passphrase',
      error,
    );
  }
  if (Date.parse(certificate.validTo) < Date.now()) {
    log.warn({ certFile: files.certFile, validTo: certificate.validTo }, 'the certificate has expired');
  }
  return { cert, key };
}

function read(file: string, what: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    throw new StartupError(`the ${what} ${file} cannot be read`, 'check that the file is there and readable', error);
  }
}
