/** What a tenant of Entra ID adds to the verified token of an OpenID provider: groups, and what comes of them. */
import type { Iam } from '../iam.js';
import type { ClaimValue } from '../principal.js';
import { azureGroupsClaim } from '../reserved-claims.js';
import type { EntraMemberships } from './entra-memberships.js';
import type { TokenClaims } from './entra-token.js';
import type { Entra } from './entra.js';

/** For a provider of tokens whose accounts are looked up in a directory beside. */
export interface TokenDirectory {
  /** Accepted beside what the provider's own set-up accepts. */
  readonly issuers: readonly string[];
  readonly audiences: readonly string[];
  /** With claims that nobody has verified yet; throws Refusal for a token that cannot be. */
  refuseForeign(claims: TokenClaims): void;
  /** Requires: the token was verified. Rejects with a Refusal whose text the client reads. */
  signIn(account: string, claims: TokenClaims): Promise<TokenDirectoryMember>;
}

export interface TokenDirectoryMember {
  /** What the session gets beside the token's own; of this server, so reserved names are among them. */
  readonly claims: ReadonlyMap<string, ClaimValue>;
  /** That apply by those claims for as long as they hold: not to be kept with the session. */
  readonly policyNames: readonly string[];
  /** A sentence for whoever has no policy. */
  readonly whyNoPolicy: string;
}

export interface EntraTenantOptions {
  readonly entra: Pick<Entra, 'provider' | 'tenantId' | 'issuers' | 'audiences' | 'refuseForeign' | 'signIn'>;
  readonly memberships: Pick<EntraMemberships, 'signedIn'>;
  readonly iam: Pick<Iam, 'policy' | 'entities'>;
}

export class EntraTenant implements TokenDirectory {
  readonly issuers: readonly string[];
  readonly audiences: readonly string[];

  constructor(private readonly options: EntraTenantOptions) {
    this.issuers = options.entra.issuers;
    this.audiences = options.entra.audiences;
  }

  refuseForeign(claims: TokenClaims): void {
    this.options.entra.refuseForeign(claims);
  }

  async signIn(account: string, claims: TokenClaims): Promise<TokenDirectoryMember> {
    const { entra, memberships } = this.options;
    const member = await entra.signIn(claims);
    await memberships.signedIn(account, entra, member);
    const { objectId, groups } = member;
    return {
      claims: new Map<string, ClaimValue>([
        ['oid', objectId],
        ['tid', entra.tenantId],
        [azureGroupsClaim, groups],
      ]),
      policyNames: this.#policiesOf(groups),
      whyNoPolicy:
        groups.length === 0
          ? 'The user is in no group of Microsoft Entra ID, so that no policy applies (claim azure_groups).'
          : `None of the ${groups.length} groups that the user is in has a policy (claim azure_groups): make one for ` +
            'a group, or attach one to it.',
    };
  }

  /** Named after a group, or attached to one. */
  #policiesOf(groups: readonly string[]): readonly string[] {
    // Nothing asked about would mean everything.
    if (groups.length === 0) return [];
    const { iam } = this.options;
    const attached = iam.entities({ users: [], groups, policies: [], directory: 'entra' }).groups;
    const names = new Set([...groups, ...attached.flatMap(({ policies }) => policies)]);
    return [...names].filter((name) => iam.policy(name) !== null);
  }
}
