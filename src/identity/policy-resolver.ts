/** From a principal to the policies that have a say about it (I5, I7). Sets are kept until an account changes. */
import { parsePolicy, type Policy, type PolicySet } from '../policy/index.js';
import type { ExternalIdentity } from './external-identity.js';
import type { ExternalRules } from './external-rules.js';
import type { IamState } from './iam-state.js';
import type { KeyEntry } from './iam-entries.js';
import type { PolicyHolder } from './iam.js';
import { isExternalSource, type Principal } from './principal.js';
import { azureGroupsClaim } from './reserved-claims.js';

type Signed = Exclude<Principal, { kind: 'anonymous' }>;

const statement = (effect: string): string =>
  JSON.stringify({
    Version: '2012-10-17',
    Statement: [
      { Effect: effect, Action: ['s3:*'], Resource: ['arn:aws:s3:::*'] },
      ...['admin:*', 'kms:*', 'sts:*'].map((Action) => ({ Effect: effect, Action: [Action] })),
    ],
  });

const noPolicies: readonly Policy[] = [];

export class PolicyResolver {
  /** Of a restricted credential of root: everything, so that its session policy alone decides. */
  readonly #everything = parsePolicy(statement('Allow'), 'identity');
  /** Also where everybody may do what is not denied. */
  readonly nothing = parsePolicy(statement('Deny'), 'identity');
  #sets = new WeakMap<Principal, { readonly generation: number; readonly set: PolicySet }>();

  constructor(
    private readonly state: IamState,
    private readonly rules: ExternalRules,
  ) {}

  policiesOf(principal: Principal, bucket: Policy | null): PolicySet {
    const set = principal.kind === 'anonymous' ? anonymous : this.#setOf(principal);
    return bucket === null ? set : { isRoot: set.isRoot, identity: set.identity, bucket, session: set.session };
  }

  policyNamesOf(key: KeyEntry): readonly string[] {
    const { parent, parentSource, groups } = key;
    if (!isExternalSource(parentSource)) return [];
    return [...this.#namesOf(key, { account: parent, source: parentSource, groups })];
  }

  /** Empty where nothing of what is named is there: whoever needs one asks for it. */
  policiesOfExternal(identity: ExternalIdentity): PolicySet {
    const policies = this.#named(this.#namesOf(identity, identity));
    return { isRoot: false, identity: policies, bucket: null, session: noPolicies };
  }

  isBarred(principal: Principal): boolean {
    if (principal.kind === 'anonymous' || principal.kind === 'root') return false;
    const { accessKey, account, source, kind } = principal;
    if (source === 'internal' && this.state.users.get(account)?.status !== 'enabled') return true;
    if (kind === 'user') return false;
    const key = this.state.keys.get(accessKey);
    return key === undefined || (key.roleArn !== '' && this.rules.rolePolicies(key.roleArn) === null);
  }

  #setOf(principal: Signed): PolicySet {
    const { generation } = this.state;
    const kept = this.#sets.get(principal);
    if (kept?.generation === generation) return kept.set;
    const set = this.#resolve(principal);
    this.#sets.set(principal, { generation, set });
    return set;
  }

  #resolve(principal: Signed): PolicySet {
    switch (principal.kind) {
      case 'root':
        return { isRoot: true, identity: noPolicies, bucket: null, session: noPolicies };
      case 'user':
        return { isRoot: false, identity: this.#ofInternal(principal.account), bucket: null, session: noPolicies };
      case 'service-account':
      case 'temporary':
        return this.#ofDerived(principal);
    }
  }

  #ofDerived({ accessKey, account, source, groups, kind }: Signed): PolicySet {
    const key = this.state.keys.get(accessKey);
    const session = key?.policy == null || isInherited(key.policy, kind) ? noPolicies : [key.policy];
    // Gone meanwhile: the request under way ends here.
    if (key === undefined) return { isRoot: false, identity: [this.nothing], bucket: null, session };
    if (source === 'root') {
      const isRoot = session.length === 0;
      return { isRoot, identity: isRoot ? noPolicies : [this.#everything], bucket: null, session };
    }
    if (source === 'internal') {
      return { isRoot: false, identity: this.#ofInternal(account), bucket: null, session };
    }
    const names = this.#namesOf(key, { account, source, groups });
    const identity = this.#named(names);
    // Nothing of what its provider or its role names is there: it may not even do what everybody may.
    return { isRoot: false, identity: identity.length > 0 ? identity : [this.nothing], bucket: null, session };
  }

  /** Of an external account. */
  #namesOf(
    key: Pick<KeyEntry, 'roleArn' | 'policyNames' | 'claims' | 'provider'>,
    { account, source, groups }: Pick<Signed, 'account' | 'source' | 'groups'>,
  ): Iterable<string> {
    if (key.roleArn !== '') return this.rules.rolePolicies(key.roleArn) ?? [];
    const names = new Set(key.policyNames);
    const holders: PolicyHolder[] =
      source === 'ldap'
        ? [{ kind: 'ldap-user', name: account }, ...groups.map((name) => ({ kind: 'ldap-group', name }) as const)]
        : [];
    const tenant = source === 'openid' ? this.rules.tenantOf(key.provider) : '';
    if (tenant !== '' && key.claims.get('tid') === tenant) {
      // Of Entra ID: a policy applies by its name, or by attachment, from the moment it is there.
      for (const id of listClaim(key, azureGroupsClaim)) {
        names.add(id);
        holders.push({ kind: 'entra-group', name: id });
      }
    }
    for (const holder of [...holders, { kind: 'external', name: account } as const]) {
      for (const name of this.state.mapping(holder)) names.add(name);
    }
    return names;
  }

  /** Of an internal account. One that is disabled or gone may not even do what everybody may. */
  #ofInternal(account: string): readonly Policy[] {
    const { state } = this;
    if (state.users.get(account)?.status !== 'enabled') return [this.nothing];
    const names = new Set(state.mapping({ kind: 'user', name: account }));
    for (const name of state.groupsOf(account)) {
      // As in MinIO: one disabled group takes all policies off its members.
      if (state.groups.get(name)?.status === 'disabled') return noPolicies;
      for (const policy of state.mapping({ kind: 'group', name })) names.add(policy);
    }
    return this.#named(names);
  }

  /** Names of policies that do not exist are passed over. */
  #named(names: Iterable<string>): readonly Policy[] {
    const policies: Policy[] = [];
    for (const name of names) {
      const policy = this.state.policy(name);
      if (policy !== null) policies.push(policy);
    }
    return policies;
  }
}

function listClaim({ claims }: Pick<KeyEntry, 'claims'>, name: string): readonly string[] {
  const value = claims.get(name);
  return Array.isArray(value) ? value.filter((item): item is string => typeof item === 'string') : [];
}

/** An access key with a policy that says nothing inherits; a session with one may do nothing. */
function isInherited(policy: Policy, kind: Signed['kind']): boolean {
  return policy.isEmpty && kind === 'service-account';
}

const anonymous: PolicySet = { isRoot: false, identity: noPolicies, bucket: null, session: noPolicies };
