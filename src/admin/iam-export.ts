/** All accounts as one archive: `mc admin cluster iam export`. Secrets are in it: whoever may, may read them. */
import type { Iam } from '../identity/index.js';
import type { AdminDeps } from './deps.js';
import { archiveMembers } from './iam-archive.js';
import { adminOperation, type AdminRoute } from './operation.js';
import { documentOf } from './policies.js';
import { expiryText, timeText } from './time.js';
import { writeZip } from './zip.js';

const exportIam = adminOperation({
  name: 'ExportIAM',
  access: ['ExportIAM'],
  handle: async (deps) => {
    const documents = describeAccounts(deps);
    const members = Object.entries(documents).map(([name, content]) => ({
      name,
      bytes: Buffer.from(JSON.stringify(content)),
    }));
    const bytes = await writeZip(members);
    return { status: 200, headers: [['Content-Type', 'application/zip']], body: { kind: 'bytes', bytes } };
  },
});

function describeAccounts({ iam, clock, rootAccessKey }: AdminDeps): Record<string, unknown> {
  return {
    [archiveMembers.policies]: Object.fromEntries(
      iam
        .policies()
        .filter(({ createdMs, updatedMs }) => createdMs !== null || updatedMs !== null)
        .map(({ name, policy }) => [name, documentOf(policy)]),
    ),
    [archiveMembers.users]: Object.fromEntries(
      iam.users().map(({ name, status }) => [name, { secretKey: iam.exportSecret(name) ?? '', status }]),
    ),
    [archiveMembers.groups]: Object.fromEntries(
      iam
        .groups()
        .map(({ name, status, members, updatedMs }) => [
          name,
          { version: 1, status, members, updatedAt: timeText(updatedMs) },
        ]),
    ),
    [archiveMembers.accessKeys]: Object.fromEntries(
      [...new Set([rootAccessKey, ...iam.parents()])].flatMap((parent) => accessKeysOf(iam, parent)),
    ),
    [archiveMembers.userMappings]: mappings(iam.users()),
    [archiveMembers.groupMappings]: mappings([
      ...iam.groups(),
      ...entraMappings(iam, clock.nowMs()),
      ...directoryMappings(iam, 'ldap-group'),
    ]),
    [archiveMembers.sessionMappings]: mappings(directoryMappings(iam, 'ldap-user')),
  };
}

function accessKeysOf(iam: Iam, parent: string): [string, unknown][] {
  const keys = iam.accessKeysOf(parent).filter(({ kind }) => kind === 'service-account');
  return keys.map((key) => [
    key.accessKey,
    {
      parent: key.parent,
      accessKey: key.accessKey,
      secretKey: iam.exportSecret(key.accessKey) ?? '',
      groups: null,
      claims: Object.fromEntries(key.claims),
      sessionPolicy: key.policy === null ? null : documentOf(key.policy),
      status: key.status === 'enabled' ? 'on' : 'off',
      name: key.name,
      description: key.description,
      ...(key.expiresMs !== null && { expiration: expiryText(key.expiresMs) }),
    },
  ]);
}

/** Of groups of Entra ID, by object id. */
function entraMappings(iam: Iam, nowMs: number) {
  const { groups } = iam.entities({ users: [], groups: [], policies: [], directory: 'entra' });
  return groups.map(({ group, policies }) => ({ name: group, policies, updatedMs: nowMs }));
}

/** Of DNs, also of those that left the directory. */
function directoryMappings(iam: Iam, kind: 'ldap-user' | 'ldap-group') {
  const { users, groups } = iam.entities({ users: [], groups: [], policies: [], directory: 'ldap' });
  const holders =
    kind === 'ldap-user'
      ? users.map(({ user, policies }) => ({ name: user, policies }))
      : groups.map(({ group, policies }) => ({ name: group, policies }));
  return holders.map((holder) => ({ ...holder, updatedMs: iam.mappingUpdatedMs({ kind, name: holder.name }) ?? 0 }));
}

function mappings(holders: readonly { name: string; policies: readonly string[]; updatedMs: number }[]) {
  return Object.fromEntries(
    holders
      .filter(({ policies }) => policies.length > 0)
      .map(({ name, policies, updatedMs }) => [
        name,
        { version: 1, policy: policies.join(','), updatedAt: timeText(updatedMs) },
      ]),
  );
}

export const iamExportRoutes: readonly AdminRoute[] = [{ method: 'GET', path: 'export-iam', operation: exportIam }];
