/** The certs folder: `public.crt` and `private.key`, checked here so that a bad pair is a sentence and not a stack. */
import { X509Certificate, createPrivateKey, type KeyObject } from 'node:crypto';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { StartupError } from '../base/index.js';
import { readSmallFile } from './environment-file.js';

export interface TlsFiles {
  readonly certificateFile: string;
  readonly keyFile: string;
}

export interface CheckedTls {
  readonly files: TlsFiles;
  readonly warnings: readonly string[];
}

const soonMs = 14 * 24 * 3_600_000;

/**
 * Null when the folder holds neither file: plain HTTP.
 * `isExplicit`: the operator named the folder, so that a missing one is a mistake.
 */
export function checkCertificates(folder: string, isExplicit: boolean, nowMs: number): CheckedTls | null {
  const files = { certificateFile: join(folder, 'public.crt'), keyFile: join(folder, 'private.key') };
  const certificateText = readSmallFile(files.certificateFile, 'the certificate');
  const keyText = readSmallFile(files.keyFile, 'the private key');
  if (certificateText === null && keyText === null) {
    if (isExplicit && !isFolder(folder)) {
      throw new StartupError(
        `the certs folder ${folder} does not exist`,
        'Create it, or leave out --certs-dir for plain HTTP.',
      );
    }
    return null;
  }
  if (certificateText === null || keyText === null) {
    const missing = certificateText === null ? 'public.crt' : 'private.key';
    throw new StartupError(
      `${folder} holds only one half of a certificate: ${missing} is missing`,
      'Put both public.crt and private.key there, or neither for plain HTTP.',
    );
  }
  const certificate = parseCertificate(certificateText, files.certificateFile);
  const key = parseKey(keyText, files.keyFile);
  if (!certificate.checkPrivateKey(key)) {
    throw new StartupError(
      `${files.keyFile} is not the private key of ${files.certificateFile}`,
      'Put the two files of the same pair there.',
    );
  }
  const [fromMs, toMs] = [Date.parse(certificate.validFrom), Date.parse(certificate.validTo)];
  if (toMs < nowMs) {
    throw new StartupError(`${files.certificateFile} expired on ${certificate.validTo}`, 'Renew the certificate.');
  }
  const warnings: string[] = [];
  if (fromMs > nowMs) warnings.push(`${files.certificateFile} is not valid before ${certificate.validFrom}.`);
  if (toMs - nowMs < soonMs) warnings.push(`${files.certificateFile} expires on ${certificate.validTo}.`);
  if ((statSync(files.keyFile).mode & 0o004) !== 0) {
    warnings.push(
      `${files.keyFile} can be read by every user of this machine; take that away with: chmod o-r ${files.keyFile}`,
    );
  }
  return { files, warnings };
}

/** PEM texts of its folder `CAs`, trusted beside the system's own. Throws for a file that holds no certificate. */
export function readAuthorities(folder: string): readonly string[] {
  const path = join(folder, 'CAs');
  if (!isFolder(path)) return [];
  const files = readdirSync(path, { withFileTypes: true }).filter((entry) => !entry.isDirectory());
  return files.map(({ name }) => {
    const file = join(path, name);
    const text = readSmallFile(file, 'the certificate') ?? '';
    parseCertificate(text, file);
    return text;
  });
}

function isFolder(path: string): boolean {
  try {
    return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
  } catch (error) {
    throw new StartupError(
      `the certs folder cannot be looked into: ${error instanceof Error ? error.message : 'unknown cause'}`,
      'Let this user read it, or name another with --certs-dir; without one it is looked for in the home folder.',
      error,
    );
  }
}

function parseCertificate(text: string, path: string): X509Certificate {
  try {
    return new X509Certificate(text);
  } catch (error) {
    throw new StartupError(`${path} is not a PEM certificate`, 'It begins with -----BEGIN CERTIFICATE-----.', error);
  }
}

function parseKey(text: string, path: string): KeyObject {
  if (text.includes('ENCRYPTED')) {
    throw new StartupError(
      `${path} is protected by a password`,
      'Put a key without a password there, readable only by this user.',
    );
  }
  try {
    return createPrivateKey(text);
  } catch (error) {
    throw new StartupError(`${path} is not a PEM private key`, 'It begins with -----BEGIN PRIVATE KEY-----.', error);
  }
}
