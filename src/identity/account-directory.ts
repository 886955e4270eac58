/**
 * What the administration API asks a directory: which entry a name means, in the one spelling under which policies
 * are attached and keys hang. Rejects with `DirectoryFault` while it cannot be asked.
 */
import type { ClaimValue } from './principal.js';

export interface DirectoryAccount {
  /** Normalised: the account. */
  readonly dn: string;
  readonly groups: readonly string[];
  readonly claims: ReadonlyMap<string, ClaimValue>;
}

export interface AccountDirectory {
  /** By login name or DN in any spelling; null: there is no such user. */
  user(name: string): Promise<DirectoryAccount | null>;
  /** The normalised DN of a group that is there; null: there is none. */
  group(dn: string): Promise<string | null>;
  /** Null when it is not a DN. The directory is not asked. */
  normalise(dn: string): string | null;
  /** For people. */
  readable(dn: string): string;
  /** Below one of the bases of users. The directory is not asked. */
  isUserDn(dn: string): boolean;
  /** Resolves when it can be asked. */
  check(): Promise<void>;
}
