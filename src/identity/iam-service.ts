/** Accounts, groups and everything that hangs from them: the implementation of `Iam`. */
import type { Clock } from '../base/index.js';
import type { Policy, PolicySet } from '../policy/index.js';
import { AccessKeys } from './access-keys.js';
import { checkGroupName, checkUserName, checkUserSecret } from './account-rules.js';
import type { GroupEntry, UserEntry, UserFields } from './iam-entries.js';
import type { ExternalIdentity } from './external-identity.js';
import type { ExternalRules } from './external-rules.js';
import { IamRefusal } from './iam-refusal.js';
import { mappingName, type RecordSubject } from './iam-records.js';
import type { IamState } from './iam-state.js';
import type { IamWriter } from './iam-writer.js';
import type { AccessKeyInfo, AccountStatus, GroupInfo, Iam, PolicyHolder, UserInfo } from './iam.js';
import type { Credential, CredentialStore } from './identity.js';
import { PolicyMappings } from './policy-mappings.js';
import type { PolicyResolver } from './policy-resolver.js';
import type { Principal } from './principal.js';
import type { RootCredentialOptions } from './root-credentials.js';

export interface IamServiceOptions {
  readonly state: IamState;
  readonly writer: IamWriter;
  readonly resolver: PolicyResolver;
  readonly clock: Clock;
  readonly random: (bytes: number) => Uint8Array;
  readonly root: RootCredentialOptions;
  readonly rootStore: CredentialStore;
  readonly rules: ExternalRules;
}

export class IamService implements Iam {
  readonly credentials: CredentialStore;
  readonly accessKeys: AccessKeys;
  readonly #state: IamState;
  readonly #writer: IamWriter;
  readonly #mappings: PolicyMappings;
  readonly #options: IamServiceOptions;

  constructor(options: IamServiceOptions) {
    this.#state = options.state;
    this.#writer = options.writer;
    this.#options = options;
    this.accessKeys = new AccessKeys(options);
    this.#mappings = new PolicyMappings(options);
    this.credentials = { lookup: (accessKey) => this.#lookup(accessKey) };
  }

  #lookup(accessKey: string): Credential | null {
    const { rootStore, clock, rules } = this.#options;
    const root = rootStore.lookup(accessKey);
    if (root !== null) return root;
    const user = this.#state.users.get(accessKey);
    if (user !== undefined) return user.status === 'enabled' && rules.areInternalAccountsOn ? user : null;
    const key = this.#state.keys.get(accessKey);
    if (key === undefined || key.status !== 'enabled' || key.isExpired(clock.nowMs())) return null;
    if (key.parentSource === 'root') return key;
    if (rules.isRootOnly || (key.parentSource === 'internal' && !rules.areInternalAccountsOn)) return null;
    return key.parentSource === 'internal' ? key.withGroups(this.#state.groupsOf(key.parent)) : key;
  }

  policiesOf(principal: Principal, bucketPolicy: Policy | null): PolicySet {
    return this.#options.resolver.policiesOf(principal, bucketPolicy);
  }

  policyNamesOf({ accessKey }: Pick<AccessKeyInfo, 'accessKey'>): readonly string[] {
    const key = this.#state.keys.get(accessKey);
    return key === undefined ? [] : this.#options.resolver.policyNamesOf(key);
  }

  policiesOfExternal(identity: ExternalIdentity): PolicySet {
    return this.#options.resolver.policiesOfExternal(identity);
  }

  isBarred: Iam['isBarred'] = (principal) => this.#options.resolver.isBarred(principal);

  // ---- users ----

  users(): readonly UserInfo[] {
    return [...this.#state.users.values()].map((entry) => this.#userInfo(entry)).sort(byName);
  }

  user(name: string): UserInfo | null {
    const entry = this.#state.users.get(name);
    return entry === undefined ? null : this.#userInfo(entry);
  }

  async setUser(name: string, { secretKey, status }: { secretKey: string; status: AccountStatus }): Promise<void> {
    this.#requireInternal();
    checkUserName(name);
    checkUserSecret(secretKey);
    return this.#writer.inTurn(async () => {
      if (name === this.#options.root.accessKey || this.#state.keys.has(name)) {
        throw new IamRefusal('XMinioInvalidIAMCredentials');
      }
      const groups = this.#state.groupsOf(name);
      await this.#putUser({ name, secretKey, status, groups, updatedMs: this.#options.clock.nowMs() });
    });
  }

  async setUserStatus(name: string, status: AccountStatus): Promise<void> {
    return this.#writer.inTurn(async () => {
      const user = this.#requireUser(name).fields();
      await this.#putUser({ ...user, status, updatedMs: this.#options.clock.nowMs() });
    });
  }

  async removeUser(name: string): Promise<void> {
    return this.#writer.inTurn(async () => {
      this.#requireUser(name);
      // First what could not live without it: a crash on the way leaves an account with fewer keys.
      const remove: RecordSubject[] = this.#state
        .keysOf(name)
        .filter(({ parentSource }) => parentSource === 'internal')
        .map(({ accessKey }) => ({ kind: 'key', name: accessKey }));
      const holder: PolicyHolder = { kind: 'user', name };
      if (this.#state.mapping(holder).length > 0) remove.push({ kind: 'mapping', holder });
      await this.#writer.write({ remove: [...remove, { kind: 'user', name }] });
    });
  }

  // ---- groups ----

  groups(): readonly GroupInfo[] {
    return [...this.#state.groups.values()].map((entry) => this.#groupInfo(entry)).sort(byName);
  }

  group(name: string): GroupInfo | null {
    const entry = this.#state.groups.get(name);
    return entry === undefined ? null : this.#groupInfo(entry);
  }

  async addToGroup(name: string, members: readonly string[]): Promise<void> {
    this.#requireInternal();
    checkGroupName(name);
    return this.#writer.inTurn(async () => {
      const users = this.#requireMembers(members);
      const updatedMs = this.#options.clock.nowMs();
      const status = this.#state.groups.get(name)?.status ?? 'enabled';
      const joining = users.filter(({ groups }) => !groups.includes(name));
      await this.#writer.write({
        put: [
          { kind: 'group', value: { name, status, updatedMs } },
          ...joining.map((user) => {
            const value: UserFields = { ...user.fields(), groups: [...user.groups, name].sort() };
            return { kind: 'user', value } as const;
          }),
        ],
      });
    });
  }

  async removeFromGroup(name: string, members: readonly string[]): Promise<void> {
    return this.#writer.inTurn(async () => {
      const group = this.#requireGroup(name);
      if (members.length === 0) {
        await this.#removeGroup(name);
        return;
      }
      const leaving = this.#requireMembers(members).filter(({ groups }) => groups.includes(name));
      await this.#writer.write({
        put: [
          { kind: 'group', value: { ...group, updatedMs: this.#options.clock.nowMs() } },
          ...leaving.map((user) => {
            const value: UserFields = { ...user.fields(), groups: user.groups.filter((other) => other !== name) };
            return { kind: 'user', value } as const;
          }),
        ],
      });
    });
  }

  async setGroupStatus(name: string, status: AccountStatus): Promise<void> {
    return this.#writer.inTurn(async () => {
      const group = this.#requireGroup(name);
      const value = { ...group, status, updatedMs: this.#options.clock.nowMs() };
      await this.#writer.write({ put: [{ kind: 'group', value }] });
    });
  }

  // ---- policies ----

  policies: Iam['policies'] = () => this.#mappings.all();
  policy: Iam['policy'] = (name) => this.#mappings.one(name);
  setPolicy: Iam['setPolicy'] = (name, policy) => this.#mappings.set(name, policy);
  removePolicy: Iam['removePolicy'] = (name) => this.#mappings.remove(name);
  attach: Iam['attach'] = (holder, policies) => this.#mappings.attach(holder, policies);
  detach: Iam['detach'] = (holder, policies) => this.#mappings.detach(holder, policies);
  attachedPolicies: Iam['attachedPolicies'] = (holder) => this.#mappings.attached(holder);
  mappingUpdatedMs: Iam['mappingUpdatedMs'] = (holder) =>
    this.#state.mappings.get(mappingName(holder))?.value.updatedMs ?? null;
  hasMapping: Iam['hasMapping'] = (holder) => this.#state.mapping(holder).length > 0;
  setPolicies: Iam['setPolicies'] = (holder, policies) => this.#mappings.replace(holder, policies);
  entities: Iam['entities'] = (query) => this.#mappings.entities(query);

  // ---- keys ----

  accessKey: Iam['accessKey'] = (accessKey) => this.accessKeys.info(accessKey);
  accessKeysOf: Iam['accessKeysOf'] = (parent) => this.accessKeys.ofParent(parent);
  parents: Iam['parents'] = () => [...this.#state.parents()].sort();
  exportSecret: Iam['exportSecret'] = (name) =>
    (this.#state.users.get(name) ?? this.#state.keys.get(name))?.secretKey ?? null;
  createAccessKey: Iam['createAccessKey'] = (options) => this.accessKeys.create(options);
  updateAccessKey: Iam['updateAccessKey'] = (accessKey, change) => this.accessKeys.update(accessKey, change);
  removeAccessKey: Iam['removeAccessKey'] = (accessKey) => this.accessKeys.remove(accessKey);
  createSession: Iam['createSession'] = (options) => this.accessKeys.createSession(options);
  revokeSessions: Iam['revokeSessions'] = (parent, revokeType) => this.accessKeys.revoke(parent, revokeType);
  externalAccounts: Iam['externalAccounts'] = (source) => this.accessKeys.externalAccounts(source);
  updateExternal: Iam['updateExternal'] = (account, source, change) =>
    this.accessKeys.updateExternal(account, source, change);
  removeExternal: Iam['removeExternal'] = (account, source) => this.accessKeys.removeExternal(account, source);

  // ---- inside ----

  #requireInternal(): void {
    const { areInternalAccountsOn, whyOff } = this.#options.rules;
    if (!areInternalAccountsOn) throw new IamRefusal('XMinioIAMActionNotAllowed', whyOff);
  }

  async #putUser(value: UserFields): Promise<void> {
    await this.#writer.write({ put: [{ kind: 'user', value }] });
  }

  async #removeGroup(name: string): Promise<void> {
    if (this.#state.membersOf(name).size > 0) throw new IamRefusal('XMinioAdminGroupNotEmpty');
    const holder: PolicyHolder = { kind: 'group', name };
    const remove: RecordSubject[] = [{ kind: 'group', name }];
    if (this.#state.mapping(holder).length > 0) remove.push({ kind: 'mapping', holder });
    await this.#writer.write({ remove });
  }

  #requireUser(name: string): UserEntry {
    const entry = this.#state.users.get(name);
    if (entry !== undefined) return entry;
    if (name === this.#options.root.accessKey || this.#state.keys.has(name)) {
      throw new IamRefusal('XMinioIAMActionNotAllowed');
    }
    throw new IamRefusal('XMinioAdminNoSuchUser');
  }

  #requireGroup(name: string): GroupEntry {
    const entry = this.#state.groups.get(name);
    if (entry === undefined) throw new IamRefusal('XMinioAdminNoSuchGroup');
    return entry;
  }

  #requireMembers(members: readonly string[]): readonly UserEntry[] {
    return [...new Set(members)].map((member) => this.#requireUser(member));
  }

  #userInfo({ accessKey, status, groups, updatedMs }: UserEntry): UserInfo {
    const policies = this.#state.mapping({ kind: 'user', name: accessKey });
    return { name: accessKey, status, policies, groups, updatedMs };
  }

  #groupInfo({ name, status, updatedMs }: GroupEntry): GroupInfo {
    const members = [...this.#state.membersOf(name)].sort();
    return { name, status, members, policies: this.#state.mapping({ kind: 'group', name }), updatedMs };
  }
}

function byName(a: { readonly name: string }, b: { readonly name: string }): number {
  return a.name < b.name ? -1 : 1;
}
