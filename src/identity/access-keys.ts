/** Keys that hang from an account: access keys and sessions, made, changed and ended. */
import { limits, type Clock } from '../base/index.js';
import {
  checkEmbeddedPolicy,
  checkExternalName,
  checkKeyTexts,
  checkServiceKey,
  checkServiceSecret,
  makeAccessKey,
  makeSecretKey,
} from './account-rules.js';
import type { ExternalRules } from './external-rules.js';
import type { KeyEntry, KeyFields } from './iam-entries.js';
import { IamRefusal } from './iam-refusal.js';
import type { IamState } from './iam-state.js';
import type { IamWriter } from './iam-writer.js';
import type {
  AccessKeyInfo,
  CreatedCredentials,
  ExternalAccount,
  ExternalChange,
  Iam,
  NewAccessKey,
  NewSession,
} from './iam.js';
import { isExternalSource, type AccountSource, type ClaimValue, type ExternalSource } from './principal.js';
import type { RootCredentialOptions } from './root-credentials.js';
import { isOwnSessionToken, makeSessionToken } from './session-token.js';

export interface AccessKeysOptions {
  readonly state: IamState;
  readonly writer: IamWriter;
  readonly clock: Clock;
  readonly random: (bytes: number) => Uint8Array;
  readonly root: RootCredentialOptions;
  readonly rules: ExternalRules;
}

type KeyChange = Parameters<Iam['updateAccessKey']>[1];

const keyOf = (accessKey: string) => ({ kind: 'key', name: accessKey }) as const;

export class AccessKeys {
  readonly #state: IamState;
  readonly #writer: IamWriter;
  readonly #options: AccessKeysOptions;

  constructor(options: AccessKeysOptions) {
    this.#state = options.state;
    this.#writer = options.writer;
    this.#options = options;
  }

  info(accessKey: string): AccessKeyInfo | null {
    const entry = this.#state.keys.get(accessKey);
    return entry === undefined || this.#isOver(entry) ? null : infoOf(entry);
  }

  ofParent(parent: string): readonly AccessKeyInfo[] {
    const found = this.#state.keysOf(parent).filter((entry) => !this.#isOver(entry));
    return found.map(infoOf).sort((a, b) => (a.accessKey < b.accessKey ? -1 : 1));
  }

  /** Of records as they are read: whether this one still counts. */
  isUsable(key: KeyFields): boolean {
    if (key.kind === 'service-account') return true;
    const isOver = key.expiresMs === null || key.expiresMs <= this.#options.clock.nowMs();
    return !isOver && isOwnSessionToken(key.sessionToken, this.#options.root.secretKey);
  }

  async create(options: NewAccessKey): Promise<CreatedCredentials> {
    return this.#writer.inTurn(async () => {
      this.#checkParent(options.parent, options.parentSource);
      checkKeyTexts(options);
      checkEmbeddedPolicy(options.policy);
      const { accessKey, secretKey } = this.#keyPair(options);
      const nowMs = this.#options.clock.nowMs();
      if (options.expiresMs !== null && options.expiresMs <= nowMs) {
        throw new IamRefusal('XMinioInvalidResource', 'The expiry is in the past.');
      }
      const { parent, parentSource, name, description, policy, expiresMs, claims, groups } = options;
      const isExternal = isExternalSource(parentSource);
      const value: KeyFields = {
        ...{ accessKey, secretKey, kind: 'service-account', parent, parentSource, status: 'enabled' },
        ...{ name, description, policy: policy?.isEmpty === true ? null : policy, expiresMs, claims },
        groups: isExternal ? groups : [],
        policyNames: isExternal ? (options.policyNames ?? this.#policiesOfSession(parent)) : [],
        roleArn: isExternal ? (options.roleArn ?? '') : '',
        provider: isExternal ? (options.provider ?? '') : '',
        revokeType: '',
        sessionToken: '',
      };
      await this.#writer.write({ put: [{ kind: 'key', value }] });
      return { accessKey, secretKey, sessionToken: '', expiresMs };
    });
  }

  async update(accessKey: string, change: KeyChange): Promise<void> {
    return this.#writer.inTurn(async () => {
      const before = this.#serviceAccount(accessKey).fields();
      const { secretKey, status, name, description, expiresMs, policy } = change;
      if (secretKey !== undefined) checkServiceSecret(secretKey);
      checkKeyTexts({ name: name ?? before.name, description: description ?? before.description });
      if (expiresMs != null && expiresMs <= this.#options.clock.nowMs()) {
        throw new IamRefusal('XMinioInvalidResource', 'The expiry is in the past.');
      }
      checkEmbeddedPolicy(policy ?? null);
      const value: KeyFields = {
        ...before,
        secretKey: secretKey ?? before.secretKey,
        status: status ?? before.status,
        name: name ?? before.name,
        description: description ?? before.description,
        expiresMs: expiresMs === undefined ? before.expiresMs : expiresMs,
        // Not said is not the same as none: a change of the description must not widen rights.
        policy: policy === undefined ? before.policy : policy?.isEmpty === true ? null : policy,
      };
      await this.#writer.write({ put: [{ kind: 'key', value }] });
    });
  }

  async remove(accessKey: string): Promise<void> {
    return this.#writer.inTurn(async () => {
      if (!this.#state.keys.has(accessKey)) throw missing();
      await this.#writer.write({ remove: [keyOf(accessKey)] });
    });
  }

  /** Not in turn: sessions depend on nothing but their parent, and are made by the hundred. */
  async createSession(options: NewSession): Promise<CreatedCredentials> {
    const { parent, parentSource, policy, policyNames, claims, groups, revokeType } = options;
    this.#checkParent(parent, parentSource);
    const expiresMs = Math.floor(options.expiresMs / 1000) * 1000;
    if (!(expiresMs > this.#options.clock.nowMs())) {
      throw new IamRefusal('XMinioInvalidResource', 'The expiry is in the past.');
    }
    checkEmbeddedPolicy(policy);
    const { accessKey, secretKey } = this.#keyPair({ accessKey: '', secretKey: '', parent });
    const sessionToken = this.#token(accessKey, expiresMs, options);
    const isExternal = isExternalSource(parentSource);
    const { roleArn = '', provider = '' } = isExternal ? options : {};
    const value: KeyFields = {
      ...{ accessKey, secretKey, kind: 'temporary', parent, parentSource, status: 'enabled', name: '' },
      ...{ description: '', policy, policyNames: isExternal ? policyNames : [], expiresMs, claims },
      ...{ groups: isExternal ? groups : [], revokeType, roleArn, provider, sessionToken },
    };
    // All at once, unless that is too much: then what is taken away goes first.
    for (const values of slicesOf([...this.#followers(value), value])) {
      await this.#writer.write({ put: values.map((key) => ({ kind: 'key', value: key })) });
    }
    if (!this.#hasParent(parent, parentSource)) {
      // It was removed while this was written, and what it removed could not hold this one.
      await this.#writer.write({ remove: [keyOf(accessKey)] });
      throw new IamRefusal('XMinioAdminNoSuchUser');
    }
    return { accessKey, secretKey, sessionToken, expiresMs };
  }

  async revoke(parent: string, revokeType: string | null): Promise<number> {
    return this.#writer.inTurn(async () => {
      const found = this.#state
        .keysOf(parent)
        .filter((key) => key.kind === 'temporary' && (revokeType === null || key.revokeType === revokeType));
      await this.#writer.write({ remove: found.map(({ accessKey }) => keyOf(accessKey)) });
      return found.filter((key) => !this.#isOver(key)).length;
    });
  }

  externalAccounts(source: ExternalSource): readonly ExternalAccount[] {
    const newest = new Map<string, KeyEntry>();
    for (const key of this.#state.keys.values()) {
      if (key.parentSource !== source || this.#isOver(key)) continue;
      const name = JSON.stringify([key.parent, key.provider]);
      const known = newest.get(name);
      if (known === undefined || isNewer(key, known)) newest.set(name, key);
    }
    return [...newest.values()].map(({ parent, provider, claims, groups, policyNames }) => {
      return { account: parent, source, provider, claims, groups, policyNames };
    });
  }

  async updateExternal(account: string, source: ExternalSource, change: ExternalChange): Promise<void> {
    return this.#writer.inTurn(async () => {
      const keys = this.#state.keysOf(account).filter((key) => key.parentSource === source && !this.#isOver(key));
      const changed = keys.flatMap((key) => changedBy(key, change) ?? []);
      for (const values of slicesOf(changed)) {
        await this.#writer.write({ put: values.map((value) => ({ kind: 'key', value })) });
      }
    });
  }

  async removeExternal(account: string, source: ExternalSource): Promise<number> {
    return this.#writer.inTurn(async () => {
      const found = this.#state.keysOf(account).filter((key) => key.parentSource === source);
      await this.#writer.write({ remove: found.map(({ accessKey }) => keyOf(accessKey)) });
      return found.filter((key) => !this.#isOver(key)).length;
    });
  }

  /** Removes sessions that are over. Answers how many. */
  async sweep(): Promise<number> {
    const nowMs = this.#options.clock.nowMs();
    const isOver = (key: KeyEntry): boolean => key.kind === 'temporary' && key.isExpired(nowMs);
    return this.#writer.inTurn(async () => {
      const over = [...this.#state.keys.values()].filter(isOver);
      await this.#writer.write({ remove: over.map(({ accessKey }) => keyOf(accessKey)) });
      return over.length;
    });
  }

  #isOver(key: KeyEntry): boolean {
    return key.kind === 'temporary' && key.isExpired(this.#options.clock.nowMs());
  }

  #serviceAccount(accessKey: string): KeyEntry {
    const entry = this.#state.keys.get(accessKey);
    if (entry?.kind !== 'service-account') throw missing();
    return entry;
  }

  #checkParent(parent: string, source: AccountSource): void {
    if (this.#state.keys.has(parent)) throw new IamRefusal('XMinioIAMServiceAccountNotAllowed');
    if (isExternalSource(source)) checkExternalName(parent);
    const { areInternalAccountsOn, whyOff } = this.#options.rules;
    if (source === 'internal' && !areInternalAccountsOn) throw new IamRefusal('XMinioIAMActionNotAllowed', whyOff);
    if (!this.#hasParent(parent, source)) throw new IamRefusal('XMinioAdminNoSuchUser');
  }

  #hasParent(parent: string, source: AccountSource): boolean {
    if (source === 'root') return parent === this.#options.root.accessKey;
    return source !== 'internal' || this.#state.users.has(parent);
  }

  /**
   * Access keys of the same account that its provider now gives other policies or groups: they follow with the
   * session, so that rights which are taken away there do not live on here.
   */
  #followers({ parent, parentSource, provider, roleArn, policyNames, groups }: KeyFields): readonly KeyFields[] {
    if (!isExternalSource(parentSource)) return [];
    const change = { policyNames, groups };
    return this.#state
      .serviceAccountsOf(parent)
      .filter((key) => key.parentSource === parentSource && key.provider === provider && key.roleArn === roleArn)
      .flatMap((key) => changedBy(key, change) ?? []);
  }

  #policiesOfSession(parent: string): readonly string[] {
    let longest: KeyEntry | null = null;
    for (const key of this.#state.keysOf(parent)) {
      if (key.kind === 'temporary' && (key.expiresMs ?? 0) > (longest?.expiresMs ?? 0)) longest = key;
    }
    return longest?.policyNames ?? [];
  }

  #keyPair(asked: { accessKey: string; secretKey: string; parent: string }): { accessKey: string; secretKey: string } {
    const { random, root } = this.#options;
    const { accessKey, secretKey, parent } = asked;
    if (accessKey === '' && secretKey === '') {
      return { accessKey: makeAccessKey(random), secretKey: makeSecretKey(random) };
    }
    if (accessKey === '') throw new IamRefusal('XMinioAdminNoAccessKey');
    if (secretKey === '') throw new IamRefusal('XMinioAdminNoSecretKey');
    checkServiceKey(accessKey);
    checkServiceSecret(secretKey);
    const isTaken = this.#state.users.has(accessKey) || this.#state.keys.has(accessKey);
    if (isTaken || accessKey === root.accessKey || accessKey === parent || accessKey === replicatorKey) {
      throw new IamRefusal('XMinioInvalidIAMCredentials', 'The access key is taken.');
    }
    return { accessKey, secretKey };
  }

  #token(accessKey: string, expiresMs: number, options: NewSession): string {
    const { parent, parentSource, policy, revokeType, roleArn = '' } = options;
    const own = new Map<string, ClaimValue>([
      ['accessKey', accessKey],
      ['exp', expiresMs / 1000],
    ]);
    if (parentSource !== 'openid' && parentSource !== 'ldap') own.set('parent', parent);
    if (policy !== null) own.set('sessionPolicy', Buffer.from(policy.text, 'utf8').toString('base64'));
    if (revokeType !== '') own.set('tokenRevokeType', revokeType);
    if (roleArn !== '') own.set('roleArn', roleArn);
    const { secretKey } = this.#options.root;
    // A provider's claims must not look like what this server says in its tokens.
    const foreign = [...options.claims].filter(([name, value]) => !ownClaims.has(name) && isShort(value));
    const all = makeSessionToken(new Map([...foreign, ...own]), secretKey);
    // Nothing reads claims out of a token: the stored session has them.
    return all.length <= limits.sessionTokenCharsMax ? all : makeSessionToken(own, secretKey);
  }
}

function isShort(value: ClaimValue): boolean {
  return !Array.isArray(value) || value.length <= limits.tokenListMax;
}

/** What a token says in this server's own name. */
const ownClaims: ReadonlySet<string> = new Set(
  'accessKey exp parent roleArn sa-policy sessionPolicy sessionPolicy-extracted tokenRevokeType'.split(' '),
);

/** Of site replication elsewhere: never somebody's key. */
const replicatorKey = 'site-replicator-0';

function missing(): IamRefusal {
  return new IamRefusal('XMinioInvalidIAMCredentials', 'The access key does not exist.', 404);
}

function infoOf(entry: KeyEntry): AccessKeyInfo {
  const { accessKey, parent, parentSource, kind, status, name, description, policy, expiresMs, claims } = entry;
  const { revokeType, groups, policyNames, roleArn, provider } = entry;
  return {
    ...{ accessKey, parent, parentSource, kind, status, name, description, policy, expiresMs, claims },
    ...{ revokeType, groups, policyNames, roleArn, provider },
  };
}

/** A session goes before an access key, and among sessions the one that lasts longer. */
function isNewer(key: KeyEntry, other: KeyEntry): boolean {
  if (key.kind !== other.kind) return key.kind === 'temporary';
  return (key.expiresMs ?? Infinity) > (other.expiresMs ?? Infinity);
}

/** Null: nothing would change. */
function changedBy(key: KeyEntry, change: ExternalChange): KeyFields | null {
  const { groups = key.groups, policyNames = key.policyNames, claimChanges = noChanges } = change;
  const claims = new Map([...(change.claims ?? key.claims), ...claimChanges]);
  const textOf = (...values: unknown[]): string => JSON.stringify(values);
  const before = textOf(key.groups, key.policyNames, [...key.claims]);
  return textOf(groups, policyNames, [...claims]) === before ? null : { ...key.fields(), groups, policyNames, claims };
}

const noChanges: ReadonlyMap<string, ClaimValue> = new Map();

/** What can be written together: claims of a thousand groups and as many sessions are more than one change may hold. */
function slicesOf(values: readonly KeyFields[]): KeyFields[][] {
  const slices: KeyFields[][] = [];
  let bytes = Infinity;
  for (const value of values) {
    const ownBytes = recordHeadBytes + 2 * JSON.stringify([[...value.claims], value.groups, value.policyNames]).length;
    bytes += ownBytes;
    if (bytes > limits.systemChangeBytesMax / 2) {
      slices.push([]);
      bytes = ownBytes;
    }
    slices.at(-1)?.push(value);
  }
  return slices;
}

/** Of a key without its lists: secret, token, policy. */
const recordHeadBytes = 32 * 1024;
