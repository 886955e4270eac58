/**
 * Accounts out of an archive: `mc admin cluster iam import`. What is there already is replaced; what cannot
 * be taken over is named in the answer and does not stop the rest.
 */
import { limits, Refusal } from '../base/index.js';
import { isObjectId, type PolicyHolder } from '../identity/index.js';
import { splitNames } from './attachments.js';
import { expiryField, keyStatusField, policyField } from './access-key-input.js';
import { emptyAnswer, jsonAnswer } from './answer.js';
import { badJson, listField, parseObject, plainBody, textField } from './body.js';
import type { AdminDeps } from './deps.js';
import { parentInDirectory } from './access-keys.js';
import { holderInDirectory } from './ldap-accounts.js';
import { adminError } from './errors.js';
import { archiveMembers } from './iam-archive.js';
import { adminOperation, type AdminOperation, type AdminRoute } from './operation.js';
import { parseIdentityPolicy } from './policies.js';
import { statusOf } from './users.js';
import { readZip } from './zip.js';

type Fields = Readonly<Record<string, unknown>>;
type Kind = 'policies' | 'users' | 'groups' | 'serviceAccounts' | 'userPolicies' | 'groupPolicies' | 'stsPolicies';

/** What the client is told; lists of its own types, so failures carry their reason beside what it reads. */
class Outcome {
  readonly added: Partial<Record<Kind, unknown[]>> = {};
  readonly failed: Partial<Record<Kind, unknown[]>> = {};

  /** Runs one of them; a refusal concerns this one alone. */
  async take(kind: Kind, name: string, policies: readonly string[] | null, work: () => Promise<void>): Promise<void> {
    try {
      await work();
      (this.added[kind] ??= []).push(policies === null ? name : { [name]: policies });
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      // The drives, not this account: what follows would fail too.
      if (error.code === 'SlowDownWrite' || error.code === 'XMinioStorageFull') throw error;
      (this.failed[kind] ??= []).push({ name, ...(policies !== null && { policies }), reason: error.message });
    }
  }
}

function importOperation(answersOutcome: boolean): AdminOperation {
  return adminOperation({
    name: 'ImportIAM',
    access: ['ImportIAM'],
    handle: async (deps, call) => {
      const archive = await plainBody(call, limits.adminArchiveBytesMax);
      const members = new Map<string, Fields>();
      for (const { name, bytes } of await readZip(archive, limits.adminArchive)) members.set(name, parseObject(bytes));
      const outcome = await importAll(deps, (name) => Object.entries(members.get(archiveMembers[name]) ?? {}));
      if (!answersOutcome) return emptyAnswer();
      return jsonAnswer({ skipped: {}, removed: {}, added: outcome.added, failed: outcome.failed });
    },
  });
}

type Entries = (name: keyof typeof archiveMembers) => [string, unknown][];

/** In the order in which they need each other. */
async function importAll(deps: AdminDeps, entries: Entries): Promise<Outcome> {
  const { iam } = deps;
  const outcome = new Outcome();
  for (const [name, document] of entries('policies')) {
    await outcome.take('policies', name, null, async () => {
      if (name.includes(',')) throw adminError('PolicyInvalidName');
      await iam.setPolicy(name, parseIdentityPolicy(JSON.stringify(document)));
    });
  }
  for (const [name, value] of entries('users')) {
    await outcome.take('users', name, null, async () => {
      requireNoOther(deps, name);
      const fields = fieldsOf(value);
      await iam.setUser(name, {
        secretKey: textField(fields, 'secretKey'),
        status: statusOf(textField(fields, 'status')),
      });
    });
  }
  for (const [name, value] of entries('groups')) {
    await outcome.take('groups', name, null, async () => {
      const fields = fieldsOf(value);
      await iam.addToGroup(name, listField(fields, 'members'));
      const status = textField(fields, 'status') === 'disabled' ? 'disabled' : 'enabled';
      if (iam.group(name)?.status !== status) await iam.setGroupStatus(name, status);
    });
  }
  for (const [name, value] of entries('accessKeys')) {
    await outcome.take('serviceAccounts', name, null, () => importAccessKey(deps, name, fieldsOf(value)));
  }
  for (const [member, kind, reported] of [
    ['userMappings', 'user', 'userPolicies'],
    ['groupMappings', 'group', 'groupPolicies'],
  ] as const) {
    for (const [name, value] of entries(member)) {
      if (kind === 'group' && isOfDirectory(deps, name)) continue;
      const policies = splitNames([textField(fieldsOf(value), 'policy')]);
      await outcome.take(reported, name, policies, () => importMapping(deps, { kind, name }, policies));
    }
  }
  if (deps.ldap !== null) await importDirectoryMappings(deps, entries, outcome);
  return outcome;
}

async function importAccessKey(deps: AdminDeps, accessKey: string, fields: Fields): Promise<void> {
  const { iam, rootAccessKey } = deps;
  if (accessKey === rootAccessKey || iam.user(accessKey) !== null) throw adminError('XMinioInvalidIAMCredentials');
  const named = textField(fields, 'parent');
  const isInternal = named === rootAccessKey || iam.user(named) !== null;
  if (!isInternal && deps.ldap === null) throw adminError('XMinioAdminNoSuchUser');
  const account = isInternal ? null : await parentInDirectory(deps, named);
  const parent = account?.account ?? named;
  const policy = policyField(fields, 'sessionPolicy') ?? null;
  const expiresMs = expiryField(fields, 'expiration', deps.clock.nowMs());
  const status = keyStatusField(fields, 'status') ?? 'enabled';
  const existing = iam.accessKey(accessKey);
  if (existing !== null && (existing.parent !== parent || existing.kind !== 'service-account')) {
    throw adminError('XMinioInvalidIAMCredentials', 'The access key belongs to another account.');
  }
  const secretKey = textField(fields, 'secretKey');
  const name = textField(fields, 'name');
  const description = textField(fields, 'description');
  if (existing === null) {
    await iam.createAccessKey({
      parent,
      parentSource: account?.source ?? (parent === rootAccessKey ? 'root' : 'internal'),
      accessKey,
      secretKey,
      name,
      description,
      policy,
      expiresMs,
      claims: account?.directory?.claims ?? new Map(),
      groups: account?.directory?.groups ?? [],
      ...(account !== null && { provider: '_' }),
    });
    if (status === 'disabled') await iam.updateAccessKey(accessKey, { status });
    return;
  }
  await iam.updateAccessKey(accessKey, { secretKey, name, description, policy, expiresMs, status });
}

function isOfDirectory({ iam, ldap }: AdminDeps, group: string): boolean {
  return ldap !== null && iam.group(group) === null && ldap.normalise(group) !== null;
}

/** Under the one spelling of each DN: two of them that say different things are a contradiction, not a choice. */
async function importDirectoryMappings(deps: AdminDeps, entries: Entries, outcome: Outcome): Promise<void> {
  for (const [member, kind, reported] of [
    ['sessionMappings', 'user', 'stsPolicies'],
    ['groupMappings', 'group', 'groupPolicies'],
  ] as const) {
    const taken = new Map<string, string>();
    for (const [name, value] of entries(member)) {
      if (kind === 'group' && !isOfDirectory(deps, name)) continue;
      const policies = splitNames([textField(fieldsOf(value), 'policy')]);
      await outcome.take(reported, name, policies, async () => {
        const holder = await holderInDirectory(deps, { kind, name });
        const text = [...policies].sort().join(',');
        const other = taken.get(holder.name);
        if (other !== undefined && other !== text) {
          throw adminError('XMinioAdminInvalidArgument', `Another spelling of this DN has other policies: ${other}.`);
        }
        taken.set(holder.name, text);
        await deps.iam.setPolicies(holder, policies);
      });
    }
  }
}

async function importMapping({ iam }: AdminDeps, holder: PolicyHolder, policies: readonly string[]): Promise<void> {
  const isThere = holder.kind === 'user' ? iam.user(holder.name) : iam.group(holder.name);
  if (isThere === null && holder.kind === 'group' && isObjectId(holder.name)) {
    // Of Entra ID, by its object id.
    await iam.setPolicies({ kind: 'entra-group', name: holder.name.toLowerCase() }, policies);
    return;
  }
  if (isThere === null) throw adminError(holder.kind === 'user' ? 'XMinioAdminNoSuchUser' : 'XMinioAdminNoSuchGroup');
  await iam.setPolicies(holder, policies);
}

/** CVE-2023-27589: the root account, and what hangs from another account, are not to be replaced by a user. */
function requireNoOther({ iam, rootAccessKey }: AdminDeps, name: string): void {
  if (name === rootAccessKey || iam.accessKey(name) !== null) throw adminError('XMinioInvalidIAMCredentials');
}

function fieldsOf(value: unknown): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw badJson();
  return value as Fields;
}

export const iamImportRoutes: readonly AdminRoute[] = [
  { method: 'PUT', path: 'import-iam-v2', operation: importOperation(true) },
  { method: 'PUT', path: 'import-iam', operation: importOperation(false) },
];
