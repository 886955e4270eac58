/** The records of accounts, before they are sealed: docs/format/iam.md. JSON, each with its version. */
import { StartupError } from '../base/index.js';
import { parsePolicy, type Policy, type PolicyKind } from '../policy/index.js';
import type { GroupEntry, KeyFields, MappingEntry, PolicyEntry, UserFields } from './iam-entries.js';
import type { PolicyHolder } from './iam.js';

export const iamPrefix = 'iam/';

const version = 1;

export type IamRecord =
  | { readonly kind: 'user'; readonly value: UserFields }
  | { readonly kind: 'group'; readonly value: GroupEntry }
  | { readonly kind: 'policy'; readonly value: PolicyEntry }
  | { readonly kind: 'mapping'; readonly holder: PolicyHolder; readonly value: MappingEntry }
  | { readonly kind: 'key'; readonly value: KeyFields };

/** What a record is about, as its name says. */
export type RecordSubject =
  | { readonly kind: 'user' | 'group' | 'policy' | 'key'; readonly name: string }
  | { readonly kind: 'mapping'; readonly holder: PolicyHolder };

const holderKinds: readonly PolicyHolder['kind'][] = [
  ...(['user', 'group', 'ldap-user', 'ldap-group', 'entra-group', 'external'] as const),
];
const folders = { user: 'iam/users/', group: 'iam/groups/', policy: 'iam/policies/', key: 'iam/keys/' } as const;
const mappingFolder = 'iam/mappings/';

export function recordName(kind: keyof typeof folders, name: string): string {
  return folders[kind] + name;
}

export function mappingName({ kind, name }: PolicyHolder): string {
  return `${mappingFolder}${kind}/${name}`;
}

/** Null for a name of another release, which is left alone. */
export function subjectOf(recordName: string): RecordSubject | null {
  for (const kind of ['user', 'key', 'group', 'policy'] as const) {
    if (recordName.startsWith(folders[kind])) return { kind, name: recordName.slice(folders[kind].length) };
  }
  if (!recordName.startsWith(mappingFolder)) return null;
  const rest = recordName.slice(mappingFolder.length);
  const kind = holderKinds.find((candidate) => rest.startsWith(`${candidate}/`));
  return kind === undefined ? null : { kind: 'mapping', holder: { kind, name: rest.slice(kind.length + 1) } };
}

export function encodeRecord(record: IamRecord): Buffer {
  return Buffer.from(JSON.stringify({ v: version, ...bodyOf(record) }), 'utf8');
}

function bodyOf(record: IamRecord): object {
  switch (record.kind) {
    case 'user': {
      const { secretKey, status, groups, updatedMs } = record.value;
      return { secretKey, status, updatedMs, ...(groups.length > 0 && { groups }) };
    }
    case 'group': {
      const { status, updatedMs } = record.value;
      return { status, updatedMs };
    }
    case 'policy': {
      const { policy, createdMs, updatedMs } = record.value;
      return { policy: policy.text, createdMs, updatedMs };
    }
    case 'mapping':
      return { policies: record.value.policies, updatedMs: record.value.updatedMs };
    case 'key': {
      const { policy, claims, ...fields } = record.value;
      return {
        ...withoutEmpty(fields),
        ...(policy && { policy: policy.text }),
        ...(claims.size && { claims: [...claims] }),
      };
    }
  }
}

/** Most of an access key's fields are empty: a hundred thousand of them are read at each start. */
function withoutEmpty(fields: object): object {
  const isEmpty = (value: unknown): boolean =>
    value === '' || value === null || (Array.isArray(value) && value.length === 0);
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => !isEmpty(value)));
}

/** `onBadPolicy` gives what stands in for a policy that this release cannot read: it must allow nothing. */
export function decodeRecord(
  subject: RecordSubject,
  bytes: Buffer,
  onBadPolicy: (what: string, error: unknown) => Policy,
): IamRecord {
  // Sealed by this server, so the fields are what `encodeRecord` wrote.
  const body = JSON.parse(bytes.toString('utf8')) as Record<string, unknown> & { v: unknown; policy?: string };
  if (body.v !== version) {
    throw new StartupError(
      'The stored accounts are in a form that this release does not know.',
      'Start the release that wrote them, or a later one.',
    );
  }
  const policyOf = (kind: PolicyKind, what: string): Policy => {
    try {
      return parsePolicy(body.policy ?? '', kind);
    } catch (error) {
      return onBadPolicy(what, error);
    }
  };
  switch (subject.kind) {
    case 'user':
      return { kind: 'user', value: userOf(body as unknown as Partial<UserFields>, subject.name) };
    case 'group': {
      const { status, updatedMs } = body as unknown as GroupEntry;
      return { kind: 'group', value: { name: subject.name, status, updatedMs } };
    }
    case 'policy': {
      const { createdMs, updatedMs } = body as unknown as PolicyEntry;
      const policy = policyOf('identity', `policy ${subject.name}`);
      return { kind: 'policy', value: { name: subject.name, policy, createdMs, updatedMs } };
    }
    case 'mapping': {
      const { policies, updatedMs } = body as unknown as MappingEntry;
      return { kind: 'mapping', holder: subject.holder, value: { policies, updatedMs } };
    }
    case 'key': {
      const stored = body as unknown as Partial<Omit<KeyFields, 'claims' | 'policy'>> & {
        claims?: Iterable<[string, string]>;
      };
      const policy = body.policy === undefined ? null : policyOf('session', `the policy of ${subject.name}`);
      return { kind: 'key', value: keyOf(stored, subject.name, policy) };
    }
  }
}

const none: readonly string[] = [];
const noClaims: KeyFields['claims'] = new Map();

function userOf(stored: Partial<UserFields>, name: string): UserFields {
  return {
    name,
    secretKey: stored.secretKey ?? '',
    status: stored.status === 'enabled' ? 'enabled' : 'disabled',
    groups: stored.groups ?? none,
    updatedMs: stored.updatedMs ?? 0,
  };
}

function keyOf(
  stored: Partial<Omit<KeyFields, 'claims' | 'policy'>> & { claims?: Iterable<[string, string]> },
  accessKey: string,
  policy: Policy | null,
): KeyFields {
  return {
    accessKey,
    secretKey: stored.secretKey ?? '',
    kind: stored.kind === 'temporary' ? 'temporary' : 'service-account',
    parent: stored.parent ?? '',
    parentSource: stored.parentSource ?? 'internal',
    status: stored.status === 'enabled' ? 'enabled' : 'disabled',
    name: stored.name ?? '',
    description: stored.description ?? '',
    policy,
    policyNames: stored.policyNames ?? none,
    expiresMs: stored.expiresMs ?? null,
    claims: stored.claims === undefined ? noClaims : new Map(stored.claims),
    groups: stored.groups ?? none,
    revokeType: stored.revokeType ?? '',
    roleArn: stored.roleArn ?? '',
    provider: stored.provider ?? '',
    sessionToken: stored.sessionToken ?? '',
  };
}
