/** What set-ups of external identity mean to each other: of those that take the place of internal accounts, one. */
import type { CheckTogether, SettingsView } from '../server-settings.js';
import type { Subsystem } from '../subsystem.js';
import { identityLdapSubsystem } from './identity-ldap.js';
import { openIdSetUpName, openIdSubsystem, type OpenIdTarget } from './identity-openid.js';

interface Taker {
  readonly subsystem: Subsystem;
  /** What is set up so that accounts come from there, as operators name it. */
  readonly names: (view: SettingsView) => readonly string[];
}

/** Whoever adds a subsystem from which accounts come puts it here. */
const takers: readonly Taker[] = [
  { subsystem: openIdSubsystem, names: claimBasedNames },
  { subsystem: identityLdapSubsystem, names: (view) => (view(identityLdapSubsystem).size > 0 ? ['LDAP'] : []) },
];

function claimBasedNames(view: SettingsView): readonly string[] {
  return claimBasedOpenId(view(openIdSubsystem)).map(({ name }) => `${openIdSetUpName(name)} (OpenID by claim)`);
}

export function claimBasedOpenId(targets: ReadonlyMap<string, OpenIdTarget>): readonly OpenIdTarget[] {
  return [...targets.values()].filter(({ rolePolicies }) => rolePolicies.length === 0);
}

/** Refuses what would be the second one; what is wrong already does not keep anything else from being set. */
export const checkIdentityTogether: CheckTogether = (next, touched, now) => {
  const concerned = takers.filter(({ subsystem }) => touched.includes(subsystem));
  if (concerned.length === 0) return null;
  return sameClientIds(next(openIdSubsystem)) ?? excludeEachOther(next, now);
};

function excludeEachOther(next: SettingsView, now: SettingsView): string | null {
  const names = takers.flatMap((taker) => taker.names(next));
  if (names.length < 2) return null;
  const before = takers.flatMap((taker) => taker.names(now));
  const [first = ''] = names.filter((name) => before.includes(name));
  const added = names.filter((name) => name !== first);
  // Fewer of them than there were is a step out of the contradiction.
  if (before.length > names.length) return null;
  return (
    `Accounts come from ${first || names[0] || ''}, which excludes ${added.join(' and ')}: ` +
    'remove it first, or give OpenID providers a role_policy'
  );
}

function sameClientIds(targets: ReadonlyMap<string, OpenIdTarget>): string | null {
  const seen = new Map<string, string>();
  for (const { name, clientId } of targets.values()) {
    const other = seen.get(clientId);
    if (other !== undefined) {
      return `${openIdSetUpName(other)} and ${openIdSetUpName(name)} have the same client_id: each needs its own`;
    }
    seen.set(clientId, name);
  }
  return null;
}
