import { request as httpRequest } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { adminRoutes } from '../../src/admin/index.js';
import { findAction } from '../../src/policy/index.js';
import { accountsOf, document, type Accounts, type AdminCall } from '../support/accounts.js';
import type { AdminCredentials } from '../support/admin-client.js';
import { startServerProcess, type ServerProcess } from '../support/server.js';
import { sign } from '../support/wire.js';

/**
 * Who may: every route of the administration API. With exactly one of its actions a user is let through; with every
 * other action, and these denied, not. A route without a row fails. Anonymous callers and users without a policy
 * are asked in `admin-access.test.ts`.
 */
let server: ServerProcess;
let accounts: Accounts;
let exact: AdminCredentials;
let victim: AdminCredentials;
let victimKey: AdminCredentials;

beforeAll(async () => {
  server = await startServerProcess();
  accounts = accountsOf(server);
  exact = await accounts.createUser({ Effect: 'Deny', Action: 'admin:*' });
  victim = await accounts.createUser({ Effect: 'Allow', Action: 's3:*', Resource: '*' });
  victimKey = await accounts.createKey(victim);
  await accounts.must({
    method: 'PUT',
    path: 'update-group-members',
    body: '{"group":"staff","members":["account1"]}',
  });
}, 60_000);
afterAll(() => server.stop());

type Route = (typeof adminRoutes)[number];

interface Row {
  /** Any one of them does. */
  readonly actions: readonly string[];
  /** What is asked, about somebody else's account. */
  readonly request?: () => Partial<AdminCall>;
  /** The answer to who may not know whether there is such a thing; AccessDenied otherwise. */
  readonly refusal?: string;
  /** The answer goes on for as long as the client listens. */
  readonly isLive?: true;
}

const rows: Readonly<Record<string, Row>> = {
  'PUT add-user': {
    actions: ['CreateUser'],
    request: () => ({
      query: { accessKey: victim.accessKey },
      sealed: { secretKey: victim.secretKey, status: 'enabled' },
    }),
  },
  'DELETE remove-user': { actions: ['DeleteUser'] },
  'GET list-users': { actions: ['ListUsers'] },
  'GET user-info': { actions: ['GetUser'] },
  'PUT set-user-status': {
    actions: ['EnableUser'],
    request: () => ({ query: { accessKey: victim.accessKey, status: 'enabled' } }),
  },
  'PUT update-group-members': {
    actions: ['AddUserToGroup'],
    request: () => ({ body: JSON.stringify({ group: 'staff', members: [victim.accessKey] }) }),
  },
  'GET group': { actions: ['GetGroup'] },
  'GET groups': { actions: ['ListGroups'] },
  'PUT set-group-status': {
    actions: ['EnableGroup'],
    request: () => ({ query: { group: 'staff', status: 'enabled' } }),
  },
  'PUT add-canned-policy': {
    actions: ['CreatePolicy'],
    request: () => ({ body: JSON.stringify(document({ Effect: 'Deny', Action: 'sts:*' })) }),
  },
  'GET info-canned-policy': { actions: ['GetPolicy'] },
  'GET list-canned-policies': { actions: ['ListUserPolicies'] },
  'DELETE remove-canned-policy': { actions: ['DeletePolicy'] },
  'PUT idp/openid/add-azure-canned-policy': {
    actions: ['CreatePolicy'],
    request: () => ({ body: JSON.stringify(document({ Effect: 'Deny', Action: 'sts:*' })) }),
  },
  'GET idp/openid/info-azure-canned-policy': { actions: ['GetPolicy'] },
  'GET idp/openid/list-azure-canned-policies': { actions: ['ListUserPolicies'] },
  'DELETE idp/openid/remove-azure-canned-policy': { actions: ['DeletePolicy'] },
  'POST idp/builtin/policy/attach': {
    actions: ['UpdatePolicyAssociation', 'AttachUserOrGroupPolicy'],
    request: () => ({ sealed: { policies: ['readonly'], user: victim.accessKey } }),
  },
  'POST idp/builtin/policy/detach': {
    actions: ['UpdatePolicyAssociation', 'AttachUserOrGroupPolicy'],
    request: () => ({ sealed: { policies: ['readonly'], user: victim.accessKey } }),
  },
  'GET idp/builtin/policy-entities': { actions: ['ListGroups', 'ListUsers', 'ListUserPolicies'] },
  'POST idp/ldap/policy/attach': { actions: ['UpdatePolicyAssociation'] },
  'POST idp/ldap/policy/detach': { actions: ['UpdatePolicyAssociation'] },
  'GET idp/ldap/policy-entities': { actions: ['ListGroups', 'ListUsers', 'ListUserPolicies'] },
  'PUT idp/ldap/add-service-account': {
    actions: ['CreateServiceAccount'],
    request: () => ({ sealed: { targetUser: victim.accessKey } }),
  },
  'GET idp/ldap/list-access-keys': {
    actions: ['ListServiceAccounts'],
    request: () => ({ query: { userDN: victim.accessKey, listType: 'all' } }),
  },
  'GET idp/ldap/list-access-keys-bulk': {
    actions: ['ListServiceAccounts'],
    request: () => ({ query: { userDNs: victim.accessKey, listType: 'all' } }),
  },
  'PUT set-user-or-group-policy': {
    actions: ['AttachUserOrGroupPolicy'],
    request: () => ({ query: { policyName: 'readonly', userOrGroup: victim.accessKey, isGroup: 'false' } }),
  },
  'PUT add-service-account': {
    actions: ['CreateServiceAccount'],
    request: () => ({ sealed: { targetUser: victim.accessKey } }),
  },
  'POST update-service-account': {
    actions: ['UpdateServiceAccount'],
    request: () => ({ query: { accessKey: victimKey.accessKey }, sealed: { newDescription: 'new' } }),
  },
  'DELETE delete-service-account': {
    actions: ['RemoveServiceAccount'],
    request: () => ({ query: { accessKey: victimKey.accessKey } }),
    refusal: 'XMinioInvalidIAMCredentials',
  },
  'POST revoke-tokens/{provider}': {
    actions: ['RemoveServiceAccount'],
    request: () => ({ path: 'revoke-tokens/builtin', query: { user: victim.accessKey, fullRevoke: 'true' } }),
  },
  'GET info-service-account': {
    actions: ['ListServiceAccounts'],
    request: () => ({ query: { accessKey: victimKey.accessKey } }),
  },
  'GET temporary-account-info': { actions: ['ListTemporaryAccounts'] },
  'GET info-access-key': {
    actions: ['ListServiceAccounts'],
    request: () => ({ query: { accessKey: victimKey.accessKey } }),
  },
  'GET list-service-accounts': {
    actions: ['ListServiceAccounts'],
    request: () => ({ query: { user: victim.accessKey } }),
  },
  'GET list-access-keys-bulk': {
    actions: ['ListServiceAccounts'],
    request: () => ({ query: { listType: 'all', users: victim.accessKey } }),
  },
  'GET idp/openid/list-access-keys-bulk': {
    actions: ['ListServiceAccounts'],
    request: () => ({ query: { listType: 'all', users: victim.accessKey } }),
  },
  // Everybody may ask about the own account: asked for below.
  'GET accountinfo': { actions: [] },
  'GET export-iam': { actions: ['ExportIAM'] },
  'PUT import-iam': { actions: ['ImportIAM'] },
  'PUT import-iam-v2': { actions: ['ImportIAM'] },
  'GET export-bucket-metadata': { actions: ['ExportBucketMetadata'] },
  'PUT import-bucket-metadata': { actions: ['ImportBucketMetadata'] },
  'POST update': { actions: ['ServerUpdate'] },
  'GET info': { actions: ['ServerInfo'] },
  'GET storageinfo': { actions: ['StorageInfo'] },
  'GET datausageinfo': { actions: ['DataUsageInfo'] },
  'GET metrics': { actions: ['ServerInfo'], isLive: true },
  'POST heal/{path...}': { actions: ['Heal'] },
  'POST background-heal/status': { actions: ['Heal'] },
  'GET log': { actions: ['ConsoleLog'], isLive: true },
  'GET trace': { actions: ['ServerTrace'], isLive: true },
  'GET get-config-kv': { actions: ['ConfigUpdate'] },
  'PUT set-config-kv': { actions: ['ConfigUpdate'] },
  'DELETE del-config-kv': { actions: ['ConfigUpdate'] },
  'GET help-config-kv': { actions: ['ConfigUpdate'] },
  'GET config': { actions: ['ConfigUpdate'] },
  'PUT config': { actions: ['ConfigUpdate'] },
  'GET list-config-history-kv': { actions: ['ConfigUpdate'] },
  'PUT restore-config-history-kv': { actions: ['ConfigUpdate'] },
  'DELETE clear-config-history-kv': { actions: ['ConfigUpdate'] },
  'PUT idp-config/{type}/{name}': { actions: ['ConfigUpdate'] },
  'POST idp-config/{type}/{name}': { actions: ['ConfigUpdate'] },
  'DELETE idp-config/{type}/{name}': { actions: ['ConfigUpdate'] },
  'GET idp-config/{type}/{name}': { actions: ['ConfigUpdate'] },
  'GET idp-config/{type}': { actions: ['ConfigUpdate'] },
  // Of an action that there is not; each of those that there are has its own: see below.
  'POST service': { actions: ['ServiceRestart', 'ServiceStop', 'ServiceFreeze'] },
  // What this server does not have: to those who may, it says so.
  'GET top/locks': { actions: ['TopLocksInfo'] },
  'POST force-unlock': { actions: ['ForceUnlock'] },
  'GET scanner/status/{bucket}': { actions: ['ServerInfo'] },
  'PUT set-bucket-quota': { actions: ['SetBucketQuota'] },
  'GET get-bucket-quota': { actions: ['GetBucketQuota'] },
  'GET list-remote-targets': { actions: ['GetBucketTarget'] },
  'PUT set-remote-target': { actions: ['SetBucketTarget'] },
  'DELETE remove-remote-target': { actions: ['SetBucketTarget'] },
  'POST replication/diff': { actions: ['ReplicationDiff'] },
  'GET replication/mrf': { actions: ['ReplicationDiff'] },
  'PUT tier': { actions: ['SetTier'] },
  'GET tier': { actions: ['ListTier'] },
  'POST tier/{name}': { actions: ['SetTier'] },
  'GET tier/{name}': { actions: ['ListTier'] },
  'DELETE tier/{name}': { actions: ['SetTier'] },
  'GET tier-stats': { actions: ['ListTier'] },
  'POST start-job': { actions: ['StartBatchJob'] },
  'GET list-jobs': { actions: ['ListBatchJobs'] },
  'GET status-job': { actions: ['ListBatchJobs'] },
  'GET describe-job': { actions: ['DescribeBatchJob'] },
  'DELETE cancel-job': { actions: ['CancelBatchJob'] },
  'POST speedtest': { actions: ['OBDInfo'] },
  'POST speedtest/{what...}': { actions: ['OBDInfo'] },
  'POST profile': { actions: ['Profiling'] },
  'POST profiling/start': { actions: ['Profiling'] },
  'GET profiling/download': { actions: ['Profiling'] },
  'GET healthinfo': { actions: ['OBDInfo'] },
  'GET obdinfo': { actions: ['OBDInfo'] },
  'GET inspect-data': { actions: ['InspectData'] },
  'POST inspect-data': { actions: ['InspectData'] },
  'POST pools/decommission': { actions: ['Decommission'] },
  'POST pools/cancel': { actions: ['Decommission'] },
  'GET pools/status': { actions: ['Decommission'] },
  'GET pools/list': { actions: ['Decommission'] },
  'POST rebalance/start': { actions: ['Rebalance'] },
  'GET rebalance/status': { actions: ['Rebalance'] },
  'POST rebalance/stop': { actions: ['Rebalance'] },
  'PUT site-replication/{what...}': { actions: ['SiteReplicationAdd'] },
  'GET site-replication/{what...}': { actions: ['SiteReplicationInfo'] },
  'POST kms/status': { actions: ['KMSKeyStatus'] },
  'POST kms/key/create': { actions: ['KMSCreateKey'] },
  'GET kms/key/status': { actions: ['KMSKeyStatus'] },
};

const nameOf = ({ method, path }: Route) => `${method} ${path}`;

test('every route has a row', () => {
  expect(Object.keys(rows).sort()).toEqual([...new Set(adminRoutes.map(nameOf))].sort());
});

/** About somebody else, as far as the row does not say more. */
function requestOf(route: Route): AdminCall {
  const query = Object.fromEntries((route.query ?? []).map((name) => [name, 'somebody']));
  return {
    method: route.method,
    path: route.path.replace(/\{[^}]+\}/g, 'something'),
    query,
    ...rows[nameOf(route)]?.request?.(),
  };
}

/** Of an answer that does not end: its head. */
function begin({ method, path, query = {} }: AdminCall): Promise<{ status: number; code: string | null }> {
  const request = {
    method,
    path: `/minio/admin/v3/${path}`,
    query: new URLSearchParams(query).toString(),
  };
  const { headers } = sign({ ...exact, port: server.port, region: '' }, request);
  return new Promise((resolve, reject) => {
    const target = {
      host: '127.0.0.1',
      port: server.port,
      method,
      path: `${request.path}?${request.query}`,
      agent: false,
    };
    const sent = httpRequest({ ...target, headers });
    sent.once('response', ({ statusCode = 0 }) => {
      sent.destroy();
      resolve({ status: statusCode, code: null });
    });
    sent.once('error', reject);
    sent.end();
  });
}

const allow = (...actions: readonly string[]): object => ({
  Effect: 'Allow',
  Action: actions.map((action) => `admin:${action}`),
});
const routes = adminRoutes.map((route) => [nameOf(route), route] as const);

describe.each(routes)('%s', (name, route) => {
  const { actions = [], refusal = 'AccessDenied', isLive } = rows[name] ?? {};

  test.each(actions)('lets a user with admin:%s and nothing else through', async (action) => {
    expect(findAction(`admin:${action}`)?.family).toBe('admin');
    await accounts.grant(exact, allow(action));
    const asked = requestOf(route);
    const { status, code } = isLive === true ? await begin(asked) : await accounts.as(exact, asked);
    expect(code).not.toBe('AccessDenied');
    expect(status).not.toBe(403);
    // What goes wrong for another reason is said, and is no fault of ours.
    expect(status === 501 || status < 500, `${status} ${code}`).toBe(true);
  });

  test('refuses a user with every action but these', async () => {
    if (actions.length === 0) return;
    await accounts.grant(exact, allow('*'), { ...allow(...actions), Effect: 'Deny' });
    expect(await accounts.as(exact, requestOf(route))).toMatchObject({ code: refusal });
  });

  test('refuses a user with every action of S3', async () => {
    if (actions.length === 0) return;
    const all = { Effect: 'Allow', Action: 's3:*', Resource: '*' };
    // Every action on a bucket is nothing of administration either.
    await accounts.grant(exact, all, { ...all, Action: '*', Resource: 'arn:aws:s3:::home*' });
    expect(await accounts.as(exact, requestOf(route))).toMatchObject({ code: refusal });
  });
});

test('accountinfo is about whoever asks, and says nothing about others', async () => {
  await accounts.grant(exact, { Effect: 'Deny', Action: 's3:*', Resource: '*' });
  const answer = await accounts.as(exact, { method: 'GET', path: 'accountinfo', query: { user: victim.accessKey } });
  expect(await answer.json()).toMatchObject({ AccountName: exact.accessKey, Buckets: [] });
});

describe('service', () => {
  const actions = {
    restart: 'ServiceRestart',
    stop: 'ServiceStop',
    freeze: 'ServiceFreeze',
    unfreeze: 'ServiceFreeze',
  };
  test.each(Object.entries(actions))('%s needs admin:%s, and no other of them will do', async (action, needed) => {
    const request = { method: 'POST', path: 'service', query: { action, type: '2', 'dry-run': 'true' } };
    await accounts.grant(exact, allow(needed));
    expect((await accounts.as(exact, request)).status).toBe(200);
    await accounts.grant(exact, allow(...Object.values(actions).filter((one) => one !== needed)));
    expect((await accounts.as(exact, request)).code).toBe('AccessDenied');
  });
});
