/** What an identity plugin answers, read by schema: whatever is not of the form is a fault of the plugin. */
import { z } from 'zod';
import { limits } from '../../base/index.js';
import type { ClaimValue } from '../principal.js';
import { withoutReserved } from '../reserved-claims.js';

export interface PluginGrant {
  readonly user: string;
  readonly validSeconds: number;
  readonly claims: ReadonlyMap<string, ClaimValue>;
}

const { claimsMax, claimNameCharsMax, userBytesMax, reasonCharsMax } = limits.identityPlugin;
const { min: secondsMin, max: secondsMax } = limits.sessionSeconds;
/** This server says these itself. */
const ownClaims: ReadonlySet<string> = new Set(['exp', 'parent', 'sub', 'rolearn', 'tokenrevoketype']);

const grantSchema = z.object({
  user: z
    .string()
    .min(1)
    .refine((user) => user === user.trim() && !/[\p{Cc}\p{Cs}]/u.test(user))
    .refine((user) => Buffer.byteLength(user) <= userBytesMax),
  maxValiditySeconds: z.number().int().min(secondsMin).max(secondsMax),
  claims: z.union([z.string(), z.record(z.string(), z.unknown())]).nullish(),
});
const refusalSchema = z.object({ reason: z.string() });

/** Null: not of the form that a grant has. */
export function readGrant(body: Buffer): PluginGrant | null {
  const parsed = grantSchema.safeParse(parseJson(body));
  if (!parsed.success) return null;
  const { user, maxValiditySeconds, claims } = parsed.data;
  const read = typeof claims === 'string' ? claimsOfText(claims) : claimsOfObject(claims ?? {});
  if (read === null) return null;
  const kept = [...withoutReserved(read)].filter(([name]) => !ownClaims.has(name.toLowerCase()));
  return { user, validSeconds: maxValiditySeconds, claims: new Map(kept) };
}

/** For the client to read; empty when the plugin gives none. */
export function readReason(body: Buffer): string {
  const parsed = refusalSchema.safeParse(parseJson(body));
  if (!parsed.success) return '';
  return parsed.data.reason
    .replace(/[\p{Cc}\p{Cs}]+/gu, ' ')
    .trim()
    .slice(0, reasonCharsMax);
}

function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body)) as unknown;
  } catch {
    return null;
  }
}

/** `KEY=VALUE,KEY=VALUE`: a key that is given several times has several values. */
function claimsOfText(text: string): ReadonlyMap<string, ClaimValue> | null {
  const claims = new Map<string, string | string[]>();
  if (text.trim() === '') return claims;
  const pairs = text.split(',');
  if (pairs.length > claimsMax) return null;
  for (const pair of pairs) {
    const at = pair.indexOf('=');
    const name = at < 0 ? '' : pair.slice(0, at).trim();
    if (!isClaimName(name)) return null;
    const value = pair.slice(at + 1).trim();
    const before = claims.get(name);
    claims.set(name, before === undefined ? value : [before, value].flat());
  }
  return claims;
}

/** What is nested is left out: no policy could ask for it. */
function claimsOfObject(claims: Readonly<Record<string, unknown>>): ReadonlyMap<string, ClaimValue> | null {
  const entries = Object.entries(claims);
  if (entries.length > claimsMax || !entries.every(([name]) => isClaimName(name))) return null;
  const read = new Map<string, ClaimValue>();
  for (const [name, value] of entries) {
    if (isScalar(value)) read.set(name, value);
    else if (Array.isArray(value) && value.every(isScalar)) read.set(name, value);
  }
  return read;
}

function isClaimName(name: string): boolean {
  return name !== '' && name.length <= claimNameCharsMax && !/[\p{Cc}\p{Cs}]/u.test(name);
}

function isScalar(value: unknown): value is string | number | boolean {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean';
}
