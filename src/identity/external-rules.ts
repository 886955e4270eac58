/** What the set-up of external identity means for accounts; asked at each look-up, in memory. */

export interface ExternalRules {
  /** Internal users, their keys and sessions count. Off while a claim-based OpenID provider or LDAP is set up. */
  readonly areInternalAccountsOn: boolean;
  /** Providers that exclude each other are set up: until one goes, nobody counts but root and what hangs from it. */
  readonly isRootOnly: boolean;
  /** Why not, for whoever adds a user; empty when on. */
  readonly whyOff: string;
  /** Policy names of a role of a provider; null: no such role is set up (any more): the credential may nothing. */
  rolePolicies(roleArn: string): readonly string[] | null;
  /** Whose groups of a provider's accounts are kept up to date; empty: nobody's, and groups give nobody anything. */
  tenantOf(provider: string): string;
}

/** Where nothing external is set up. */
export const internalOnly: ExternalRules = {
  areInternalAccountsOn: true,
  isRootOnly: false,
  whyOff: '',
  rolePolicies: () => null,
  tenantOf: () => '',
};
