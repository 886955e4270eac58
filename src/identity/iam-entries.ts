/**
 * Accounts and keys in memory. Each is its own `Credential`, so that a look-up makes nothing. Secrets are
 * private fields: nothing that prints an entry shows them.
 */
import type { Policy } from '../policy/index.js';
import type { AccountStatus } from './iam.js';
import type { Credential } from './identity.js';
import type { AccountSource, ClaimValue, Principal } from './principal.js';

export interface UserFields {
  readonly name: string;
  readonly secretKey: string;
  readonly status: AccountStatus;
  /** Kept with the user, so that a change of a group of any size is a small one. */
  readonly groups: readonly string[];
  readonly updatedMs: number;
}

export interface GroupEntry {
  readonly name: string;
  readonly status: AccountStatus;
  readonly updatedMs: number;
}

export interface PolicyEntry {
  readonly name: string;
  readonly policy: Policy;
  readonly createdMs: number;
  readonly updatedMs: number;
}

export interface MappingEntry {
  readonly policies: readonly string[];
  readonly updatedMs: number;
}

export interface KeyFields {
  readonly accessKey: string;
  readonly secretKey: string;
  readonly kind: 'service-account' | 'temporary';
  readonly parent: string;
  readonly parentSource: AccountSource;
  readonly status: AccountStatus;
  readonly name: string;
  readonly description: string;
  readonly policy: Policy | null;
  /** What a provider gave the session; for service accounts what its creator had. */
  readonly policyNames: readonly string[];
  readonly expiresMs: number | null;
  readonly claims: ReadonlyMap<string, ClaimValue>;
  readonly groups: readonly string[];
  readonly revokeType: string;
  /** The role whose policies count in place of `policyNames`; empty: none. */
  readonly roleArn: string;
  /** The set-up that vouched, by the name of its settings; empty: none. */
  readonly provider: string;
  /** Empty for a service account. */
  readonly sessionToken: string;
}

const noClaims: ReadonlyMap<string, ClaimValue> = new Map();

export class UserEntry implements Credential {
  readonly accessKey: string;
  readonly sessionToken = null;
  readonly status: AccountStatus;
  readonly groups: readonly string[];
  readonly updatedMs: number;
  readonly #secretKey: string;
  #principal: Principal | null = null;

  constructor({ name, secretKey, status, groups, updatedMs }: UserFields) {
    this.accessKey = name;
    this.#secretKey = secretKey;
    this.status = status;
    this.groups = groups;
    this.updatedMs = updatedMs;
  }

  get secretKey(): string {
    return this.#secretKey;
  }

  /** Made when it is asked for: most accounts are not used most of the time. */
  get principal(): Principal {
    const { accessKey, groups } = this;
    this.#principal ??= { kind: 'user', accessKey, account: accessKey, source: 'internal', claims: noClaims, groups };
    return this.#principal;
  }

  /** All of it, to be written again with changes. */
  fields(): UserFields {
    const { accessKey, status, groups, updatedMs } = this;
    return { name: accessKey, secretKey: this.#secretKey, status, groups, updatedMs };
  }
}

export class KeyEntry implements Credential {
  readonly accessKey: string;
  readonly #secretKey: string;
  readonly #sessionToken: string;
  #principal: Principal | null = null;
  readonly kind: KeyFields['kind'];
  readonly parent: string;
  readonly parentSource: AccountSource;
  readonly status: AccountStatus;
  readonly name: string;
  readonly description: string;
  readonly policy: Policy | null;
  readonly policyNames: readonly string[];
  readonly expiresMs: number | null;
  readonly claims: ReadonlyMap<string, ClaimValue>;
  readonly groups: readonly string[];
  readonly revokeType: string;
  readonly roleArn: string;
  readonly provider: string;

  constructor(fields: KeyFields) {
    this.accessKey = fields.accessKey;
    this.#secretKey = fields.secretKey;
    this.#sessionToken = fields.sessionToken;
    this.kind = fields.kind;
    this.parent = fields.parent;
    this.parentSource = fields.parentSource;
    this.status = fields.status;
    this.name = fields.name;
    this.description = fields.description;
    this.policy = fields.policy;
    this.policyNames = fields.policyNames;
    this.expiresMs = fields.expiresMs;
    this.claims = fields.claims.size === 0 ? noClaims : fields.claims;
    this.groups = fields.groups;
    this.revokeType = fields.revokeType;
    this.roleArn = fields.roleArn;
    this.provider = fields.provider;
  }

  get secretKey(): string {
    return this.#secretKey;
  }

  get sessionToken(): string | null {
    return this.kind === 'temporary' ? this.#sessionToken : null;
  }

  get principal(): Principal {
    return (this.#principal ??= this.#makePrincipal(this.groups));
  }

  /** The credential, once its internal parent has these groups. */
  withGroups(groups: readonly string[]): this {
    if (this.#principal === null || ('groups' in this.#principal && this.#principal.groups !== groups)) {
      this.#principal = this.#makePrincipal(groups);
    }
    return this;
  }

  /** All of it, to be written again with changes. */
  fields(): KeyFields {
    const { accessKey, kind, parent, parentSource, status, name, description, policy, policyNames } = this;
    const { expiresMs, claims, groups, revokeType, roleArn, provider } = this;
    return {
      ...{ accessKey, kind, parent, parentSource, status, name, description, policy, policyNames },
      ...{ expiresMs, claims, groups, revokeType, roleArn, provider },
      ...{ secretKey: this.#secretKey, sessionToken: this.#sessionToken },
    };
  }

  isExpired(nowMs: number): boolean {
    return this.expiresMs !== null && this.expiresMs <= nowMs;
  }

  #makePrincipal(groups: readonly string[]): Principal {
    const { kind, accessKey, parent, parentSource, claims } = this;
    return { kind, accessKey, account: parent, source: parentSource, claims, groups };
  }
}
