/**
 * Tokens of an OpenID provider: signed by one of its keys, by it, for this server, and in force. Each rejection says
 * what does not fit; none repeats the token.
 */
import { compactVerify, type CryptoKey } from 'jose';
import { limits, Refusal } from '../../base/index.js';
import type { IdentityErrorCode } from '../external-identity.js';
import type { JsonObject } from './openid-claims.js';
import { parseJson, signatureAlgorithms } from './openid-source.js';

export interface TokenRules {
  readonly clientId: string;
  /** What a token may be for beside the client id. */
  readonly audiences?: readonly string[];
  /** That of the discovery document; undefined: it names none. */
  readonly issuer: string | undefined;
  /** Accepted beside it. */
  readonly issuers: readonly string[];
  readonly nowMs: number;
  /** Given the claims before anything is verified; throws for a token that cannot be, with a better text. */
  readonly refuseForeign?: (claims: JsonObject) => void;
  /** Null: the provider has no such key. */
  readonly key: (kid: string | undefined, algorithm: string) => Promise<CryptoKey | Uint8Array | null>;
}

export interface VerifiedToken {
  readonly subject: string;
  readonly issuer: string;
  readonly expiresMs: number;
  readonly claims: JsonObject;
}

export function invalid(
  message: string,
  code: IdentityErrorCode = 'InvalidParameterValue',
): Refusal<IdentityErrorCode> {
  return new Refusal<IdentityErrorCode>(code, message);
}

export async function verifyToken(token: string, rules: TokenRules): Promise<VerifiedToken> {
  const { alg, kid } = headerOf(token);
  rules.refuseForeign?.(objectOf(token.split('.', 2)[1] ?? '') ?? {});
  const key = await rules.key(kid, alg);
  if (key === null) {
    const which = kid === undefined ? 'The token names no key, and' : `The token names the key ${quote(kid)};`;
    throw invalid(`${which} the provider has none of that name for ${alg}.`);
  }
  const claims = await signedClaims(token, key, alg);
  const issuer = checkedIssuer(claims, rules);
  checkAudience(claims, rules);
  const expiresMs = checkedExpiry(claims, rules.nowMs);
  const { sub } = claims;
  if (typeof sub !== 'string' || sub === '')
    throw invalid('The token has no subject: its `sub` claim is missing or empty.');
  return { subject: sub, issuer, expiresMs, claims };
}

/** Texts quote what the client sent, so they are kept short. */
function quote(text: string): string {
  return `\`${text.length > 128 ? `${text.slice(0, 128)}…` : text}\``.replace(/[\p{Cc}\p{Cs}]/gu, '?');
}

const base64Url = /^[A-Za-z0-9_-]+$/;
/** For other purposes, signed with the same keys. */
const otherTypes = ['logout+jwt', 'secevent+jwt', 'dpop+jwt', 'oauth-authz-req+jwt'];

function headerOf(token: string): { alg: string; kid: string | undefined } {
  if (token.length > limits.webIdentityTokenCharsMax) {
    throw invalid(`The token has more than ${limits.webIdentityTokenCharsMax} characters.`);
  }
  const parts = token.split('.', 6);
  if (parts.length === 5)
    throw invalid('The token is encrypted, which is not supported: have the provider sign it only.');
  const [head = ''] = parts;
  const header = objectOf(head);
  if (parts.length !== 3 || header === null || !parts.slice(0, 2).every((part) => base64Url.test(part))) {
    throw invalid('The token is not a signed JSON Web Token.');
  }
  const { alg, kid, typ } = header;
  if (typeof alg !== 'string' || !signatureAlgorithms.some((one) => one === alg)) {
    const shown = typeof alg === 'string' ? quote(alg) : 'nothing';
    throw invalid(`The token is signed with ${shown}; accepted are ${signatureAlgorithms.join(', ')}.`);
  }
  if (typeof typ === 'string' && otherTypes.includes(typ.toLowerCase().replace(/^application\//, ''))) {
    throw invalid(`The token is of the type ${quote(typ)}, which does not sign anybody in.`);
  }
  if (kid !== undefined && typeof kid !== 'string')
    throw invalid('The token names its key by something that is not text.');
  return { alg, kid };
}

function objectOf(part: string): JsonObject | null {
  const value = parseJson(Buffer.from(part, 'base64url'));
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonObject) : null;
}

async function signedClaims(token: string, key: CryptoKey | Uint8Array, alg: string): Promise<JsonObject> {
  let payload: Uint8Array;
  try {
    ({ payload } = await compactVerify(token, key, { algorithms: [alg] }));
  } catch {
    // Why exactly is nothing that helps somebody with a good token.
    throw invalid("The token's signature is not that of the provider's key.");
  }
  const claims = parseJson(payload);
  if (typeof claims !== 'object' || claims === null || Array.isArray(claims)) {
    throw invalid('The token holds no claims.');
  }
  return claims as JsonObject;
}

const googleIssuer = 'https://accounts.google.com';
const tenant = '{tenantid}';

function checkedIssuer({ iss, tid }: JsonObject, { issuer, issuers }: TokenRules): string {
  if (typeof iss !== 'string' || iss === '')
    throw invalid('The token has no issuer: its `iss` claim is missing or empty.');
  if (issuer === undefined || iss === issuer || issuers.includes(iss)) return iss;
  // What Google's own documents say: with the scheme or without it.
  if (issuer === googleIssuer && iss === new URL(googleIssuer).host) return googleIssuer;
  // Of Entra, for applications of several tenants: each signs under its own id.
  const isOfTenant = typeof tid === 'string' && /^[0-9a-f-]{36}$/i.test(tid) && issuer.includes(tenant);
  if (isOfTenant && iss === issuer.replace(tenant, tid)) return iss;
  throw invalid(
    `The token's issuer is ${quote(iss)}, the provider's is ${quote(issuer)}; ` +
      'the setting `issuers` of identity_openid (MINIO_IDENTITY_OPENID_ISSUERS) accepts further ones.',
  );
}

function checkAudience({ aud, azp }: JsonObject, { clientId, audiences: others = [] }: TokenRules): void {
  const [audiences, parties] = [textsOf(aud), textsOf(azp)];
  if (audiences === null) throw invalid('The token says nothing about whom it is for: its `aud` claim is missing.');
  if (audiences.includes(clientId) || parties?.includes(clientId) === true) return;
  if (audiences.some((audience) => others.includes(audience))) return;
  const shown = audiences.slice(0, 8).map(quote).join(', ');
  const party = parties === null ? '' : ` (\`azp\` ${parties.slice(0, 8).map(quote).join(', ')})`;
  throw invalid(`The token is for ${shown}${party}, not for this server's client id ${quote(clientId)}.`);
}

function textsOf(value: unknown): readonly string[] | null {
  const texts: unknown = typeof value === 'string' ? [value] : value;
  if (!Array.isArray(texts) || texts.length === 0) return null;
  return texts.every((text): text is string => typeof text === 'string') ? texts : null;
}

function checkedExpiry({ exp, nbf }: JsonObject, nowMs: number): number {
  if (typeof exp !== 'number' || !Number.isFinite(exp)) {
    throw invalid('The token does not say when it ends: its `exp` claim is missing.');
  }
  if (exp * 1000 <= nowMs) throw invalid('The token has expired.', 'ExpiredToken');
  if (nbf === undefined) return exp * 1000;
  // The provider's clock may be ahead of this one.
  if (typeof nbf !== 'number' || nbf * 1000 > nowMs + limits.openId.skewMs) {
    throw invalid('The token is not in force yet: see its `nbf` claim, and the clocks of both sides.');
  }
  return exp * 1000;
}
