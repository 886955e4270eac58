/** Claims of a token as sessions keep them, and the names of policies among them. */
import { limits } from '../../base/index.js';
import type { ClaimValue } from '../principal.js';

export type JsonObject = Readonly<Record<string, unknown>>;

/**
 * Scalars and lists of scalars by name. What lies in objects is found by its path, `realm_access.roles`; a name
 * that the token has itself goes before a path that reads the same.
 */
export function flatClaims(claims: JsonObject): Map<string, ClaimValue> {
  const flat = new Map<string, ClaimValue>();
  const nested: (readonly [path: string, value: JsonObject, depth: number])[] = [];
  const add = (name: string, value: unknown, depth: number): void => {
    if (flat.size >= limits.openId.claimsMax || flat.has(name)) return;
    if (isScalar(value)) flat.set(name, value);
    else if (Array.isArray(value)) {
      if (value.every(isScalar)) flat.set(name, value);
    } else if (typeof value === 'object' && value !== null && depth < limits.openId.claimDepthMax) {
      nested.push([name, value as JsonObject, depth + 1]);
    }
  };
  for (const [name, value] of Object.entries(claims)) add(name, value, 0);
  for (let next = nested.shift(); next !== undefined; next = nested.shift()) {
    const [path, value, depth] = next;
    for (const [name, inner] of Object.entries(value)) add(`${path}.${name}`, inner, depth);
  }
  return flat;
}

function isScalar(value: unknown): value is string | number | boolean {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean';
}

/** A text with commas, or a list of such texts. Null: there is no such claim, or it is none of both. */
export function namesOf(value: ClaimValue | undefined): readonly string[] | null {
  const texts = typeof value === 'string' ? [value] : value;
  if (typeof texts !== 'object' || !texts.every((text) => typeof text === 'string')) return null;
  const names = texts.flatMap((text) => text.split(',')).map((name) => name.trim());
  return [...new Set(names.filter((name) => name !== ''))].slice(0, limits.openId.policiesMax);
}
