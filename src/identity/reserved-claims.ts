/**
 * Claims that this server says of its credentials itself. One that a provider sends under such a name is
 * dropped: it could widen rights, or pass for what the server says.
 */
import type { ClaimValue } from './principal.js';

/** Object ids of a user's groups in Entra ID, as this server learned them; policies apply by them. */
export const azureGroupsClaim = 'azure_groups';

const reserved: ReadonlySet<string> = new Set(
  [
    ...['accessKey', 'parent', 'roleArn', 'tokenRevokeType'],
    ...['sa-policy', 'sessionPolicy', 'sessionPolicy-extracted'],
    azureGroupsClaim,
    ...['ldapUser', 'ldapActualUser', 'ldapUsername'],
  ].map((name) => name.toLowerCase()),
);

/** In any spelling: policies do not tell upper from lower case in names of claims. */
export function isReservedClaimName(name: string): boolean {
  const lower = name.toLowerCase();
  return reserved.has(lower) || lower.startsWith('ldapattrib_');
}

export function withoutReserved(claims: ReadonlyMap<string, ClaimValue>): ReadonlyMap<string, ClaimValue> {
  for (const name of claims.keys()) {
    if (isReservedClaimName(name)) return new Map([...claims].filter(([other]) => !isReservedClaimName(other)));
  }
  return claims;
}
