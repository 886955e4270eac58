/**
 * The bearer token that scrapes metrics: a JWT that an operator's client makes by itself, signed with the secret
 * key of the account it names. The account is looked up anew for each request, so that disabling it ends the token.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import type { Credential, CredentialStore } from './identity.js';

const issuer = 'prometheus';
const tokenCharsMax = 8 * 1024;
const hashes: Readonly<Record<string, string>> = { HS256: 'sha256', HS384: 'sha384', HS512: 'sha512' };

/** Null: it is not such a token, or not of a credential that is there. */
export function scrapeCredential(token: string, credentials: CredentialStore, nowMs: number): Credential | null {
  if (token.length > tokenCharsMax) return null;
  const [header = '', payload = '', signature = '', ...rest] = token.split('.');
  if (rest.length > 0) return null;
  const alg = jsonObject(header)?.['alg'];
  const hash = typeof alg === 'string' && Object.hasOwn(hashes, alg) ? hashes[alg] : undefined;
  const claims = jsonObject(payload);
  if (hash === undefined || claims === null || claims['iss'] !== issuer) return null;
  if (!isWithin(claims, nowMs / 1000)) return null;
  const name = claims['accessKey'] ?? claims['sub'];
  const credential = typeof name === 'string' && name !== '' ? credentials.lookup(name) : null;
  // A session's secret alone is not enough anywhere: it comes with a token that this one cannot carry.
  if (credential === null || credential.sessionToken !== null) return null;
  const expected = createHmac(hash, credential.secretKey).update(`${header}.${payload}`).digest();
  const sent = Buffer.from(signature, 'base64url');
  return sent.length === expected.length && timingSafeEqual(sent, expected) ? credential : null;
}

function isWithin({ exp, nbf }: Readonly<Record<string, unknown>>, nowSeconds: number): boolean {
  if (typeof exp !== 'number' || exp <= nowSeconds) return false;
  return nbf === undefined || (typeof nbf === 'number' && nbf <= nowSeconds);
}

function jsonObject(part: string): Readonly<Record<string, unknown>> | null {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, 'base64url').toString('utf8'));
    return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : null;
  } catch {
    return null;
  }
}
