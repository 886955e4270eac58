/** Whose account a call is about. */
import type { AdminCall } from './operation.js';

/** The account behind the signer: the parent of a derived credential. */
export function accountOf({ principal }: Pick<AdminCall, 'principal'>): string {
  return principal.kind === 'anonymous' ? '' : principal.account;
}

/** The signer is this very account, signing with its own long-lived key. */
export function isOwnAccount({ principal }: Pick<AdminCall, 'principal'>, name: string): boolean {
  return (principal.kind === 'user' || principal.kind === 'root') && principal.accessKey === name;
}
