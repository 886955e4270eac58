/**
 * The contract of this room: accounts, keys, policies and their mappings, as the admin API, STS and the
 * dispatcher use them. Look-ups are synchronous and in memory; changes resolve when they are durable and
 * count from the next request on. Throws `IamRefusal`, whose codes are those of the admin API.
 */
import type { Policy, PolicySet } from '../policy/index.js';
import type { ExternalIdentity } from './external-identity.js';
import type { CredentialStore } from './identity.js';
import type { AccountSource, ClaimValue, ExternalSource, Principal } from './principal.js';

export type AccountStatus = 'enabled' | 'disabled';

export interface UserInfo {
  readonly name: string;
  readonly status: AccountStatus;
  /** Names of the policies attached to the user itself. */
  readonly policies: readonly string[];
  readonly groups: readonly string[];
  readonly updatedMs: number;
}

export interface GroupInfo {
  readonly name: string;
  readonly status: AccountStatus;
  readonly members: readonly string[];
  readonly policies: readonly string[];
  readonly updatedMs: number;
}

export interface PolicyInfo {
  readonly name: string;
  readonly policy: Policy;
  /** Null for a built-in one that was never stored. */
  readonly createdMs: number | null;
  readonly updatedMs: number | null;
}

export interface AccessKeyInfo {
  readonly accessKey: string;
  readonly parent: string;
  readonly parentSource: AccountSource;
  readonly kind: 'service-account' | 'temporary';
  readonly status: AccountStatus;
  readonly name: string;
  readonly description: string;
  /** Null: inherits. */
  readonly policy: Policy | null;
  /** Null: never. */
  readonly expiresMs: number | null;
  readonly claims: ReadonlyMap<string, ClaimValue>;
  /** The tag by which a temporary credential can be ended with others; empty: none. */
  readonly revokeType: string;
  readonly groups: readonly string[];
  /** Of an external parent: what its provider named. */
  readonly policyNames: readonly string[];
  /** Whose policies count in place of those names; empty: none. */
  readonly roleArn: string;
  /** The set-up that vouched for an external parent, by the name of its settings; empty: none. */
  readonly provider: string;
}

/** A parent of elsewhere, as its keys and sessions know it: what its newest session brought counts. */
export interface ExternalAccount {
  readonly account: string;
  readonly source: ExternalSource;
  readonly provider: string;
  readonly claims: ReadonlyMap<string, ClaimValue>;
  readonly groups: readonly string[];
  readonly policyNames: readonly string[];
}

/** Absent fields stay as they are. */
export interface ExternalChange {
  readonly groups?: readonly string[];
  readonly policyNames?: readonly string[];
  /** In place of all that a key has. */
  readonly claims?: ReadonlyMap<string, ClaimValue>;
  /** In place of those of the same name; each key keeps its others. */
  readonly claimChanges?: ReadonlyMap<string, ClaimValue>;
}

/**
 * To whom policies are attached. `user` and `group` are internal ones; the others are external names, of an
 * `entra-group` its object id.
 */
export interface PolicyHolder {
  readonly kind: 'user' | 'group' | 'ldap-user' | 'ldap-group' | 'entra-group' | 'external';
  readonly name: string;
}

export interface CreatedCredentials {
  readonly accessKey: string;
  readonly secretKey: string;
  /** Empty for a service account. */
  readonly sessionToken: string;
  readonly expiresMs: number | null;
}

export interface NewAccessKey {
  /** The account it hangs from, never another derived credential. */
  readonly parent: string;
  readonly parentSource: AccountSource;
  /** Empty: made up. Both or neither. */
  readonly accessKey: string;
  readonly secretKey: string;
  readonly name: string;
  readonly description: string;
  readonly policy: Policy | null;
  readonly expiresMs: number | null;
  /** Of the external session that creates it: groups and claims it keeps. */
  readonly claims: ReadonlyMap<string, ClaimValue>;
  readonly groups: readonly string[];
  /** Of an external parent; when omitted, those of its session that lasts longest. */
  readonly policyNames?: readonly string[];
  /** As in `ExternalIdentity`; empty when omitted. */
  readonly roleArn?: string;
  readonly provider?: string;
}

export interface NewSession {
  readonly parent: string;
  readonly parentSource: AccountSource;
  readonly expiresMs: number;
  readonly policy: Policy | null;
  /** Policies by name that the provider gave; for internal parents the mapping counts instead. */
  readonly policyNames: readonly string[];
  readonly claims: ReadonlyMap<string, ClaimValue>;
  readonly groups: readonly string[];
  /** The client's tag for revocation; empty: none. */
  readonly revokeType: string;
  /** As in `ExternalIdentity`; empty when omitted. */
  readonly roleArn?: string;
  readonly provider?: string;
}

export interface PolicyEntities {
  readonly users: readonly {
    readonly user: string;
    readonly policies: readonly string[];
    readonly groups: readonly { readonly group: string; readonly policies: readonly string[] }[];
  }[];
  readonly groups: readonly { readonly group: string; readonly policies: readonly string[] }[];
  readonly policies: readonly {
    readonly policy: string;
    readonly users: readonly string[];
    readonly groups: readonly string[];
  }[];
}

export interface Iam {
  readonly credentials: CredentialStore;
  /** All policies that have a say; `bucketPolicy` is the caller's to look up. O(attached policies). */
  policiesOf(principal: Principal, bucketPolicy: Policy | null): PolicySet;
  /** The account, the credential or its role is gone or disabled: it may nothing, whoever decides in place of policies. */
  isBarred(principal: Principal): boolean;

  /** Of an external parent: what its provider named, its role has, or was attached, whether it exists or not. */
  policyNamesOf(key: Pick<AccessKeyInfo, 'accessKey'>): readonly string[];
  /** Of somebody whom a provider vouches for, before there are credentials. */
  policiesOfExternal(identity: ExternalIdentity): PolicySet;

  users(): readonly UserInfo[];
  user(name: string): UserInfo | null;
  /** Creates the user or sets its secret and status; keeps its policies. */
  setUser(name: string, options: { secretKey: string; status: AccountStatus }): Promise<void>;
  setUserStatus(name: string, status: AccountStatus): Promise<void>;
  /** With its access keys, sessions and mappings. */
  removeUser(name: string): Promise<void>;

  groups(): readonly GroupInfo[];
  group(name: string): GroupInfo | null;
  addToGroup(name: string, members: readonly string[]): Promise<void>;
  /** Without members: removes the group, which must be empty. */
  removeFromGroup(name: string, members: readonly string[]): Promise<void>;
  setGroupStatus(name: string, status: AccountStatus): Promise<void>;

  policies(): readonly PolicyInfo[];
  policy(name: string): PolicyInfo | null;
  setPolicy(name: string, policy: Policy): Promise<void>;
  removePolicy(name: string): Promise<void>;

  /** Answers what changed; throws XMinioAdminPolicyChangeAlreadyApplied when nothing would. */
  attach(holder: PolicyHolder, policies: readonly string[]): Promise<{ changed: readonly string[]; updatedMs: number }>;
  detach(holder: PolicyHolder, policies: readonly string[]): Promise<{ changed: readonly string[]; updatedMs: number }>;
  /** Of those that are attached to it the ones that exist. */
  attachedPolicies(holder: PolicyHolder): readonly string[];
  /** Something is attached to it, be it names of policies that are gone. */
  hasMapping(holder: PolicyHolder): boolean;
  /** When that was changed last; null: nothing is attached. */
  mappingUpdatedMs(holder: PolicyHolder): number | null;
  /** Replaces the mapping. */
  setPolicies(holder: PolicyHolder, policies: readonly string[]): Promise<void>;
  entities(query: {
    users: readonly string[];
    groups: readonly string[];
    policies: readonly string[];
    directory: 'internal' | 'ldap' | 'entra';
  }): PolicyEntities;

  accessKey(accessKey: string): AccessKeyInfo | null;
  /** Of one parent; both kinds. */
  accessKeysOf(parent: string): readonly AccessKeyInfo[];
  /** Every parent that has derived credentials. */
  parents(): readonly string[];
  /** For an export by those who may: the secret of a user or access key, whatever its status. Null: no such name. */
  exportSecret(name: string): string | null;
  createAccessKey(options: NewAccessKey): Promise<CreatedCredentials>;
  /** Absent fields stay as they are; `policy: null` makes it inherit again. */
  updateAccessKey(
    accessKey: string,
    change: {
      readonly secretKey?: string;
      readonly status?: AccountStatus;
      readonly name?: string;
      readonly description?: string;
      readonly expiresMs?: number | null;
      readonly policy?: Policy | null;
    },
  ): Promise<void>;
  removeAccessKey(accessKey: string): Promise<void>;

  createSession(options: NewSession): Promise<CreatedCredentials>;
  /** Ends sessions of a parent: all, or those with the tag. Answers how many. */
  revokeSessions(parent: string, revokeType: string | null): Promise<number>;

  /** One for each parent and provider that has keys or sessions. O(keys). */
  externalAccounts(source: ExternalSource): readonly ExternalAccount[];
  /** On all its keys and live sessions; counts from the next request on. What changes nothing writes nothing. */
  updateExternal(account: string, source: ExternalSource, change: ExternalChange): Promise<void>;
  /** Ends its keys and sessions. Answers how many. */
  removeExternal(account: string, source: ExternalSource): Promise<number>;
}
