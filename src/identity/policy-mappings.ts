/** Policies by name, and who has them. */
import { invariant, type Clock } from '../base/index.js';
import type { Policy } from '../policy/index.js';
import { checkExternalName, checkPolicyName } from './account-rules.js';
import { IamRefusal } from './iam-refusal.js';
import type { IamState } from './iam-state.js';
import type { IamWriter } from './iam-writer.js';
import type { PolicyEntities, PolicyHolder, PolicyInfo } from './iam.js';
import type { RootCredentialOptions } from './root-credentials.js';

interface Options {
  readonly state: IamState;
  readonly writer: IamWriter;
  readonly clock: Clock;
  readonly root: RootCredentialOptions;
}

type EntitiesQuery = Parameters<
  (query: {
    users: readonly string[];
    groups: readonly string[];
    policies: readonly string[];
    directory: 'internal' | 'ldap' | 'entra';
  }) => void
>[0];

export interface AppliedChange {
  readonly changed: readonly string[];
  readonly updatedMs: number;
}

export class PolicyMappings {
  readonly #state: IamState;
  readonly #writer: IamWriter;
  readonly #options: Options;

  constructor(options: Options) {
    this.#state = options.state;
    this.#writer = options.writer;
    this.#options = options;
  }

  all(): readonly PolicyInfo[] {
    const names = new Set([...this.#state.builtIn.keys(), ...this.#state.policies.keys()]);
    return [...names].sort().flatMap((name) => this.one(name) ?? []);
  }

  one(name: string): PolicyInfo | null {
    const stored = this.#state.policies.get(name);
    if (stored !== undefined) return stored;
    const policy = this.#state.builtIn.get(name);
    return policy === undefined ? null : { name, policy, createdMs: null, updatedMs: null };
  }

  async set(name: string, policy: Policy): Promise<void> {
    invariant(policy.kind === 'identity', 'a policy that has a name is an identity policy');
    checkPolicyName(name);
    return this.#writer.inTurn(async () => {
      const nowMs = this.#options.clock.nowMs();
      const createdMs = this.#state.policies.get(name)?.createdMs ?? nowMs;
      await this.#writer.write({ put: [{ kind: 'policy', value: { name, policy, createdMs, updatedMs: nowMs } }] });
    });
  }

  async remove(name: string): Promise<void> {
    return this.#writer.inTurn(async () => {
      if (this.#state.policy(name) === null) throw new IamRefusal('XMinioAdminNoSuchPolicy');
      const isStored = this.#state.policies.has(name);
      const isBuiltIn = this.#state.builtIn.has(name);
      if (!isStored) throw new IamRefusal('XMinioIAMActionNotAllowed', 'A built-in policy cannot be removed.');
      // What overrides a built-in one can go at any time: the built-in one is there again.
      if (!isBuiltIn && this.#isInUse(name)) throw new IamRefusal('XMinioIAMPolicyInUse');
      await this.#writer.write({ remove: [{ kind: 'policy', name }] });
    });
  }

  async attach(holder: PolicyHolder, policies: readonly string[]): Promise<AppliedChange> {
    return this.#change(holder, (before) => {
      this.#checkHolder(holder);
      for (const name of policies) this.#checkPolicy(name);
      const changed = [...new Set(policies)].filter((name) => !before.includes(name));
      return { changed, after: [...before, ...changed] };
    });
  }

  async detach(holder: PolicyHolder, policies: readonly string[]): Promise<AppliedChange> {
    return this.#change(holder, (before) => {
      // An entry of a directory may be gone, and a policy as well: what is attached can be detached.
      if (before.length === 0) this.#checkHolder(holder);
      for (const name of policies) if (!before.includes(name)) this.#checkPolicy(name);
      const changed = [...new Set(policies)].filter((name) => before.includes(name));
      return { changed, after: before.filter((name) => !changed.includes(name)) };
    });
  }

  attached(holder: PolicyHolder): readonly string[] {
    return this.#state.mapping(holder).filter((name) => this.#state.policy(name) !== null);
  }

  async replace(holder: PolicyHolder, policies: readonly string[]): Promise<void> {
    return this.#writer.inTurn(async () => {
      this.#checkHolder(holder);
      for (const name of policies) this.#checkPolicy(name);
      await this.#write(holder, [...new Set(policies)], this.#options.clock.nowMs());
    });
  }

  entities({ users, groups, policies, directory }: EntitiesQuery): PolicyEntities {
    const kinds = kindsOf[directory];
    const [userKind, groupKind] = kinds;
    const isAll = users.length + groups.length + policies.length === 0;
    const holders = [...this.#state.mappings.values()].filter(({ value }) => value.policies.length > 0);
    const named = (kind: PolicyHolder['kind']): string[] =>
      holders.flatMap(({ holder }) => (holder.kind === kind ? [holder.name] : [])).sort();
    const attached = (kind: PolicyHolder['kind'], name: string): readonly string[] =>
      [...this.#state.mapping({ kind, name })].sort();
    const groupsOf = (user: string): PolicyEntities['groups'] =>
      directory === 'internal'
        ? [...this.#state.groupsOf(user)].sort().map((group) => ({ group, policies: attached('group', group) }))
        : [];
    const of = (kind: PolicyHolder['kind'], policy: string): string[] =>
      named(kind).filter((name) => attached(kind, name).includes(policy));
    const inUse = [
      ...new Set(holders.flatMap(({ holder, value }) => (isOneOf(kinds, holder.kind) ? value.policies : []))),
    ];
    return {
      users: (isAll ? named(userKind) : [...users].sort())
        .map((user) => ({ user, policies: attached(userKind, user), groups: groupsOf(user) }))
        .filter((found) => found.policies.length > 0 || found.groups.some((group) => group.policies.length > 0)),
      groups: (isAll ? named(groupKind) : [...groups].sort())
        .map((group) => ({ group, policies: attached(groupKind, group) }))
        .filter((found) => found.policies.length > 0),
      policies: (isAll ? inUse.sort() : [...policies].sort())
        .map((policy) => ({ policy, users: of(userKind, policy), groups: of(groupKind, policy) }))
        .filter((found) => found.users.length + found.groups.length > 0),
    };
  }

  async #change(
    holder: PolicyHolder,
    decide: (before: readonly string[]) => { changed: readonly string[]; after: readonly string[] },
  ): Promise<AppliedChange> {
    return this.#writer.inTurn(async () => {
      const { changed, after } = decide(this.#state.mapping(holder));
      if (changed.length === 0) throw new IamRefusal('XMinioAdminPolicyChangeAlreadyApplied');
      const updatedMs = this.#options.clock.nowMs();
      await this.#write(holder, after, updatedMs);
      return { changed, updatedMs };
    });
  }

  async #write(holder: PolicyHolder, policies: readonly string[], updatedMs: number): Promise<void> {
    if (policies.length > 0) {
      await this.#writer.write({ put: [{ kind: 'mapping', holder, value: { policies, updatedMs } }] });
    } else if (this.#state.mapping(holder).length > 0) {
      await this.#writer.write({ remove: [{ kind: 'mapping', holder }] });
    }
  }

  #checkPolicy(name: string): void {
    if (this.#state.policy(name) === null) throw new IamRefusal('XMinioAdminNoSuchPolicy');
  }

  #checkHolder({ kind, name }: PolicyHolder): void {
    switch (kind) {
      case 'user':
        if (name === this.#options.root.accessKey || this.#state.keys.has(name)) {
          throw new IamRefusal('XMinioIAMActionNotAllowed');
        }
        if (!this.#state.users.has(name)) throw new IamRefusal('XMinioAdminNoSuchUser');
        return;
      case 'group':
        if (!this.#state.groups.has(name)) throw new IamRefusal('XMinioAdminNoSuchGroup');
        return;
      case 'ldap-user':
      case 'ldap-group':
      case 'entra-group':
      case 'external':
        checkExternalName(name);
    }
  }

  /** By what a person attached; what a provider names for its sessions does not hold a policy. */
  #isInUse(policy: string): boolean {
    for (const { holder, value } of this.#state.mappings.values()) {
      if (holder.kind !== 'external' && value.policies.includes(policy)) return true;
    }
    return false;
  }
}

/** Whose users and groups a question is about. */
const kindsOf = {
  internal: ['user', 'group'],
  ldap: ['ldap-user', 'ldap-group'],
  entra: ['external', 'entra-group'],
} as const;

function isOneOf<T>(values: readonly T[], value: unknown): boolean {
  return values.some((candidate) => candidate === value);
}
