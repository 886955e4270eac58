/** Session tokens: compact JWTs, HS512 under the root secret, so that a change of it ends all sessions. */
import { createHmac, timingSafeEqual } from 'node:crypto';
import type { ClaimValue } from './principal.js';

const header = Buffer.from(JSON.stringify({ alg: 'HS512', typ: 'JWT' })).toString('base64url');

export type TokenClaims = ReadonlyMap<string, ClaimValue>;

export function makeSessionToken(claims: TokenClaims, signingKey: string): string {
  const payload = Buffer.from(JSON.stringify(Object.fromEntries(claims)), 'utf8').toString('base64url');
  const signed = `${header}.${payload}`;
  return `${signed}.${signatureOf(signed, signingKey).toString('base64url')}`;
}

/** Whether this very server made the token, with this key. Expiry is a matter of the stored credential. */
export function isOwnSessionToken(token: string, signingKey: string): boolean {
  const at = token.lastIndexOf('.');
  if (!token.startsWith(`${header}.`) || at <= header.length) return false;
  const sent = Buffer.from(token.slice(at + 1), 'base64url');
  const expected = signatureOf(token.slice(0, at), signingKey);
  return sent.length === expected.length && timingSafeEqual(sent, expected);
}

function signatureOf(signed: string, signingKey: string): Buffer {
  return createHmac('sha512', signingKey).update(signed).digest();
}
