/** The directory behind the accounts, as operations ask it: a fault of its is an answer, and names are DNs. */
import { DirectoryFault, type AccountDirectory, type PolicyHolder } from '../identity/index.js';
import type { AdminDeps } from './deps.js';
import { adminError } from './errors.js';

/** Throws XMinioLDAPNotEnabled. */
export function requireDirectory({ ldap }: Pick<AdminDeps, 'ldap'>): AccountDirectory {
  if (ldap === null) throw adminError('XMinioLDAPNotEnabled');
  return ldap;
}

export async function askDirectory<T>(
  deps: Pick<AdminDeps, 'ldap'>,
  ask: (directory: AccountDirectory) => Promise<T>,
): Promise<T> {
  const directory = requireDirectory(deps);
  try {
    return await ask(directory);
  } catch (error) {
    if (!(error instanceof DirectoryFault)) throw error;
    throw adminError('XMinioLDAPUnavailable', `The directory cannot be asked at the moment: ${error.message}.`);
  }
}

/**
 * The account that a login name or a DN means. One that left the directory is still known by what it left here;
 * throws XMinioAdminNoSuchUser for one that nobody knows.
 */
export async function directoryUser(deps: Pick<AdminDeps, 'ldap' | 'iam'>, name: string): Promise<string> {
  const directory = requireDirectory(deps);
  const dn = directory.isUserDn(name) ? directory.normalise(name) : null;
  if (dn !== null && isKnownHere(deps, dn)) return dn;
  const found = await askDirectory(deps, (asked) => asked.user(name));
  if (found === null) throw adminError('XMinioAdminNoSuchUser', 'The directory has no such user.');
  return found.dn;
}

function isKnownHere({ iam }: Pick<AdminDeps, 'iam'>, dn: string): boolean {
  return iam.attachedPolicies({ kind: 'ldap-user', name: dn }).length > 0 || iam.accessKeysOf(dn).length > 0;
}

/** Throws when there is no such user or group in the directory. */
export async function holderInDirectory(
  deps: Pick<AdminDeps, 'ldap'>,
  { kind, name }: PolicyHolder,
): Promise<PolicyHolder> {
  if (kind === 'group') {
    const dn = await askDirectory(deps, (directory) => directory.group(name));
    if (dn === null) throw adminError('XMinioAdminNoSuchGroup', 'The directory has no such group.');
    return { kind: 'ldap-group', name: dn };
  }
  const user = await askDirectory(deps, (directory) => directory.user(name));
  if (user === null) throw adminError('XMinioAdminNoSuchUser', 'The directory has no such user.');
  return { kind: 'ldap-user', name: user.dn };
}

/** Also of an entry that is gone: what is attached to it can be detached. */
export async function holderHere(deps: Pick<AdminDeps, 'ldap' | 'iam'>, holder: PolicyHolder): Promise<PolicyHolder> {
  const dn = requireDirectory(deps).normalise(holder.name);
  const here: PolicyHolder = { kind: holder.kind === 'group' ? 'ldap-group' : 'ldap-user', name: dn ?? '' };
  if (dn !== null && deps.iam.hasMapping(here)) return here;
  return holderInDirectory(deps, holder);
}
