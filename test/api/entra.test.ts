import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { accountsOf, allowS3, policyText, type Accounts } from '../support/accounts.js';
import { adminAnswer, adminClient, type AdminAnswer, type AdminCredentials } from '../support/admin-client.js';
import { freePort } from '../support/free-port.js';
import { startGraph, type DirectoryGroup, type DirectoryUser, type GraphServer } from '../support/graph.js';
import { startServerProcess, type ServerProcess } from '../support/server.js';
import { claimsOf, formOf, readStsAnswer, type StsAnswer } from '../support/sts-client.js';
import { send } from '../support/wire.js';

/**
 * Microsoft Entra ID from end to end: a server process that is set up for a look-alike of Entra ID and Graph, whose
 * users sign in, work with buckets, and are mapped to policies by the names of their groups.
 */
let graph: GraphServer;
let server: ServerProcess;
let accounts: Accounts;
let root: AdminCredentials;
let alice: DirectoryUser;
let admins: DirectoryGroup;
const bucket = 'shared';

const environmentOf = (more: Readonly<Record<string, string>> = {}) => ({
  GRANARY_LOG_LEVEL: 'debug',
  MINIO_IDENTITY_OPENID_CONFIG_URL: `${graph.url}/${graph.tenantId}/v2.0/.well-known/openid-configuration`,
  MINIO_IDENTITY_OPENID_CLIENT_ID: graph.clientId,
  MINIO_IDENTITY_OPENID_CLIENT_SECRET: graph.clientSecret,
  _MINIO_AZURE_LOGIN_URL: graph.url,
  _MINIO_AZURE_GRAPH_URL: graph.url,
  ...more,
});

beforeAll(async () => {
  graph = await startGraph();
  alice = graph.addUser('alice');
  const inner = graph.addGroup('Inner circle', alice);
  admins = graph.addGroup("Storage O'Admins", inner);
  graph.addGroup('Readers & others', alice);
  server = await startServerProcess({
    driveCount: 1,
    environment: environmentOf({ MINIO_IDENTITY_OPENID_AZURE_TENANT_ID: graph.tenantId }),
  });
  accounts = accountsOf(server);
  root = accounts.root;
  for (const name of [bucket, 'secret']) await accounts.s3(root, { method: 'PUT', path: `/${name}` });
  await accounts.s3(root, { method: 'PUT', path: `/${bucket}/key`, body: 'content' });
  await accounts.s3(root, { method: 'PUT', path: '/secret/key', body: 'content' });
}, 60_000);
afterAll(async () => {
  await server.stop();
  await graph.close();
});

beforeEach(() => {
  Object.assign(graph.mischief, { failing: 0, throttled: 0, delayMs: 0, tooManyGroups: false, foreignNextLink: null });
  graph.granted.add('User.Read.All').add('Group.Read.All');
  alice.accountEnabled = true;
});

/** Of a test at a time: the end of what the server printed is all that is kept. */
afterEach(() => {
  const output = server.output();
  expect(output).toContain('"level"');
  expect(output).not.toContain(graph.clientSecret);
  expect(output).not.toContain('Bearer ');
  for (const { authorization } of graph.calls) expect(output.includes(authorization.slice(7, 60))).toBe(false);
});

/** The path of a route with its version: the client of the tests adds `/minio/admin/v3/`. */
async function azure(
  version: 'v3' | 'v4',
  method: string,
  route: string,
  query: Readonly<Record<string, string>> = {},
  body = '',
  signer = root,
): Promise<AdminAnswer> {
  const answer = await send(
    { ...signer, port: server.port, region: '' },
    {
      method,
      path: `/minio/admin/${version}/idp/openid/${route}`,
      query: new URLSearchParams(query).toString().replaceAll('+', '%20'),
      body,
    },
  );
  return adminAnswer(answer, signer.secretKey);
}

async function mapGroup(name: string, target: string): Promise<void> {
  const body = policyText(allowS3(['s3:GetObject', 's3:PutObject'], `arn:aws:s3:::${target}/*`));
  const answer = await azure('v4', 'PUT', 'add-azure-canned-policy', { name, configName: '_' }, body);
  expect(answer, answer.message ?? '').toMatchObject({ status: 200 });
}

/** As the documents print it: everything in the query of a POST. */
async function assume(token: string, parameters: Readonly<Record<string, string>> = {}): Promise<StsAnswer> {
  const query = formOf({ Action: 'AssumeRoleWithWebIdentity', WebIdentityToken: token, ...parameters });
  const answer = await fetch(`${server.url}?${query}`, { method: 'POST' });
  return readStsAnswer(answer.status, await answer.text());
}
async function session(token: string): Promise<AdminCredentials & { sessionToken: string }> {
  const { credentials, text } = await assume(token);
  if (credentials === null) throw new Error(text);
  return credentials;
}
const get = async (signer: AdminCredentials, name = bucket) =>
  (await accounts.s3(signer, { method: 'GET', path: `/${name}/key` })).status;

describe('a user who signs in', () => {
  test('has the policies of all groups, direct and through others, as the documents say', async () => {
    await mapGroup("Storage O'Admins", bucket);
    const { credentials } = await assume(await graph.idToken(alice), { DurationSeconds: '86400' });
    expect(credentials).not.toBeNull();
    const signer = credentials as AdminCredentials & { sessionToken: string; expiration: string };
    expect(Date.parse(signer.expiration) - Date.now()).toBeGreaterThan(86_000_000);
    expect(claimsOf(signer.sessionToken).payload).toMatchObject({
      oid: alice.id,
      azure_groups: [...graph.groups.keys()].sort(),
    });
    expect([await get(signer), await get(signer, 'secret')]).toEqual([200, 403]);
    // A policy that comes later counts for who is signed in already.
    await mapGroup('Readers & others', 'secret');
    expect(await get(signer, 'secret')).toBe(200);
    await azure('v4', 'DELETE', 'remove-azure-canned-policy', { name: 'Readers & others' });
    expect(await get(signer, 'secret')).toBe(403);
  });

  test('does so with an id_token, and access tokens of the own API of both versions', async () => {
    await mapGroup("Storage O'Admins", bucket);
    for (const token of [
      await graph.idToken(alice),
      await graph.accessToken(alice),
      await graph.accessToken(alice, { version: 1 }),
      await graph.accessToken(alice, { version: 1, audience: graph.clientId }),
    ]) {
      expect(await get(await session(token))).toBe(200);
    }
  });

  test('is held down by the policy of the request', async () => {
    const Policy = policyText(allowS3('s3:GetObject', `arn:aws:s3:::${bucket}/other`));
    const { credentials } = await assume(await graph.idToken(alice), { Policy });
    expect(await get(credentials as AdminCredentials)).toBe(403);
  });

  test('in none of whose groups there is a policy gets nothing', async () => {
    const bob = graph.addUser('bob');
    expect(await assume(await graph.idToken(bob))).toMatchObject({
      status: 400,
      code: 'InvalidParameterValue',
      message: expect.stringContaining('azure_groups') as unknown,
    });
    // Nor by claims that the token brings along.
    const claims = { policy: 'consoleAdmin', azure_groups: [admins.id], groups: [admins.id], roles: ['consoleAdmin'] };
    expect(await assume(await graph.idToken(bob, { claims }))).toMatchObject({ status: 400 });
  });

  test('who is in more than 200 groups has a small token', async () => {
    await mapGroup("Storage O'Admins", bucket);
    const carol = graph.addUser('carol');
    admins.members.add(carol.id);
    const many = Array.from({ length: 250 }, (_, at) => graph.addGroup(`many ${at}`, carol));
    const signer = await session(await graph.idToken(carol));
    expect(signer.sessionToken.length).toBeLessThan(2000);
    expect(claimsOf(signer.sessionToken).payload).not.toHaveProperty('azure_groups');
    expect(await get(signer)).toBe(200);
    for (const { id } of many) graph.groups.delete(id);
  });
});

test('a browser signs in at Entra ID, and comes back with the groups of its user', async () => {
  await mapGroup("Storage O'Admins", bucket);
  const begun = await fetch(`${server.url}/oauth/login?idp=_`, { redirect: 'manual' });
  const cookie = (begun.headers.get('set-cookie') ?? '').split(';')[0] ?? '';
  const asked = begun.headers.get('location') ?? '';
  expect(asked).toMatch(/^http:.*\/oauth2\/v2\.0\/authorize\?.*code_challenge_method=S256/);
  const signedIn = await fetch(`${asked}&login_hint=alice`, { redirect: 'manual' });
  const back = await fetch(signedIn.headers.get('location') ?? '', { headers: { cookie }, redirect: 'manual' });
  expect(back.status).toBe(200);
  expect(await back.json()).toMatchObject({ provider: '_' });
  // Without what the browser was given in the beginning, nobody comes back.
  const other = await fetch(`${asked}&login_hint=alice`, { redirect: 'manual' });
  expect((await fetch(other.headers.get('location') ?? '', { redirect: 'manual' })).status).toBeGreaterThanOrEqual(400);
});

describe('an access key of such a user', () => {
  test('has the rights of the groups, also when they change with the next sign-in', async () => {
    await mapGroup("Storage O'Admins", bucket);
    const dave = graph.addUser('dave');
    admins.members.add(dave.id);
    const signer = await session(await graph.idToken(dave));
    const made = await adminClient(server, signer)({ method: 'PUT', path: 'add-service-account', sealed: {} });
    expect(made.status).toBe(200);
    const { credentials } = (await made.json()) as unknown as { credentials: AdminCredentials };
    expect(await get(credentials)).toBe(200);
    admins.members.delete(dave.id);
    // Refused for want of a policy, and all the same known from now on.
    expect((await assume(await graph.idToken(dave))).status).toBe(400);
    expect([await get(credentials), await get(signer)]).toEqual([403, 403]);
  });
});

describe('a token that is refused', () => {
  const refused = (text: string, code = 'InvalidParameterValue', status = 400) => ({
    ...{ status, code },
    message: expect.stringContaining(text) as unknown,
  });

  test.each<[string, Parameters<GraphServer['idToken']>[1], ReturnType<typeof refused>]>([
    ['of Graph', { audience: '00000003-0000-0000-c000-000000000000' }, refused('"openid profile"')],
    ['of Graph, by address', { audience: 'https://graph.microsoft.com' }, refused('Expose an API')],
    ['without oid', { claims: { oid: undefined } }, refused('"openid profile"')],
    ['of another tenant', { claims: { tid: crypto.randomUUID() } }, refused('tenant')],
    ['of another issuer', { claims: { iss: 'https://sts.windows.net/common/' } }, refused('issuer')],
    ['for somebody else', { audience: crypto.randomUUID(), claims: { azp: undefined } }, refused('client id')],
    ['that has expired', { expiresInSeconds: -60 }, refused('expired', 'ExpiredToken')],
    ['of an application', { claims: { idtyp: 'app' } }, refused('application')],
    ['of nobody', { claims: { oid: crypto.randomUUID() } }, refused('does not exist', 'AccessDenied', 403)],
  ])('%s', async (_, options, answer) => {
    expect(await assume(await graph.idToken(alice, options))).toMatchObject(answer);
  });

  test('with a signature of somebody else', async () => {
    const other = await startGraph();
    Object.assign(other, { tenantId: graph.tenantId });
    const claims = { iss: `${graph.url}/${graph.tenantId}/v2.0`, tid: graph.tenantId };
    const forged = await other.idToken(alice, { audience: graph.clientId, claims });
    expect(await assume(forged)).toMatchObject({ status: 400, code: 'InvalidParameterValue' });
    await other.close();
  });

  test('of a user who is disabled, or gone', async () => {
    alice.accountEnabled = false;
    expect(await assume(await graph.idToken(alice))).toMatchObject(refused('disabled', 'AccessDenied', 403));
  });
});

describe('while Graph', () => {
  test('wants to be left alone for a moment, a sign-in waits', async () => {
    await mapGroup("Storage O'Admins", bucket);
    Object.assign(graph.mischief, { throttled: 1, retryAfter: 1 });
    const began = Date.now();
    expect(await get(await session(await graph.idToken(alice)))).toBe(200);
    expect(Date.now() - began).toBeGreaterThan(950);
  });

  test.each([
    ['fails', () => (graph.mischief.failing = 100), 'answers 500'],
    ['refuses to tell about users', () => graph.granted.delete('User.Read.All'), 'User.Read.All'],
    ['refuses to tell about groups', () => graph.granted.delete('Group.Read.All'), 'Group.Read.All'],
    [
      'sends elsewhere for the next page',
      () => Object.assign(graph.mischief, { tooManyGroups: true, foreignNextLink: 'http://192.0.2.1' }),
      'another address',
    ],
  ])('%s nobody signs in, and everything else goes on', async (_, change, text) => {
    await mapGroup("Storage O'Admins", bucket);
    const signer = await session(await graph.idToken(alice));
    change();
    const began = Date.now();
    // Pauses of before last until they are over; the clock of the server is its own.
    const answer = await assume(await graph.idToken(alice));
    expect(answer).toMatchObject({
      status: 500,
      code: 'InternalError',
      message: expect.stringContaining(text) as unknown,
    });
    expect(Date.now() - began).toBeLessThan(20_000);
    expect(await get(signer)).toBe(200);
    Object.assign(graph.mischief, { failing: 0, throttled: 0 });
  });
});

describe('policies by the names of groups', () => {
  const policy = policyText(allowS3('s3:GetObject'));

  test.each(['v3', 'v4'] as const)('are added, shown, listed and removed, in %s', async (version) => {
    const group = graph.addGroup(`Team ${version}`);
    const query = { name: group.displayName, configName: '_' };
    expect((await azure(version, 'PUT', 'add-azure-canned-policy', query, policy)).status).toBe(200);
    const shown = await (await azure(version, 'GET', 'info-azure-canned-policy', { name: group.displayName })).json();
    const expected = {
      GroupName: group.displayName,
      PI: { PolicyName: group.id, Policy: JSON.parse(policy) as unknown },
    };
    expect(shown).toMatchObject(expected);
    expect(shown['PI']).toHaveProperty('CreateDate');
    expect(await (await azure(version, 'GET', 'info-azure-canned-policy', { name: group.id })).json()).toEqual(shown);
    // It is a policy as any other.
    const plain = await accounts.must({ method: 'GET', path: 'info-canned-policy', query: { name: group.id, v: '2' } });
    expect(plain).toMatchObject({ PolicyName: group.id });
    const list = async (getAllUUIDs: string) =>
      (await (await azure(version, 'GET', 'list-azure-canned-policies', { getAllUUIDs })).json()) as unknown as {
        GroupName: string;
        PI: { PolicyName: string };
      }[];
    expect(await list('false')).toContainEqual(expect.objectContaining({ GroupName: group.displayName }));
    // A group that is gone is among all ids, and its policy can be removed by its id.
    graph.groups.delete(group.id);
    const ofGroup = (found: Awaited<ReturnType<typeof list>>) => found.find(({ PI }) => PI.PolicyName === group.id);
    expect(ofGroup(await list('false'))).toBeUndefined();
    expect(ofGroup(await list('true'))).toMatchObject({ GroupName: '' });
    expect((await azure(version, 'DELETE', 'remove-azure-canned-policy', { name: group.id })).status).toBe(200);
    expect(ofGroup(await list('true'))).toBeUndefined();
  });

  test('of groups that there are not, or that there are several of, are refused', async () => {
    graph.addGroup('Twins');
    graph.addGroup('twins');
    const routes = [
      ['PUT', 'add-azure-canned-policy', policy],
      ['GET', 'info-azure-canned-policy', ''],
      ['DELETE', 'remove-azure-canned-policy', ''],
    ] as const;
    for (const [method, route, body] of routes) {
      const named = (name: string, more = {}) => azure('v4', method, route, { name, ...more }, body);
      expect(await named('Nobody')).toMatchObject({ status: 404, code: 'XMinioAdminNoSuchGroup' });
      const several = await named('Twins');
      expect(several).toMatchObject({ status: 400, code: 'XMinioAdminInvalidArgument' });
      expect(several.message).toMatch(/2 groups.*object id/);
      expect(await named('')).toMatchObject({ status: 400, code: 'XMinioInvalidResource' });
      const elsewhere = await named('Readers & others', { configName: 'other' });
      expect(elsewhere).toMatchObject({ status: 400, code: 'XMinioAdminNoSuchConfigTarget' });
    }
    const unknown = await azure('v4', 'PUT', 'add-azure-canned-policy', { name: crypto.randomUUID() }, policy);
    expect(unknown).toMatchObject({ status: 404, code: 'XMinioAdminNoSuchGroup' });
    const malformed = await azure('v4', 'PUT', 'add-azure-canned-policy', { name: 'Readers & others' }, '{}');
    expect(malformed.status).toBe(400);
    // While Graph is away, that is what is said; clients do not try for minutes.
    graph.mischief.failing = 100;
    const failed = await azure('v4', 'GET', 'info-azure-canned-policy', { name: 'Readers & others' });
    expect(failed).toMatchObject({ status: 500, code: 'XMinioIdentityProviderFault' });
  });

  test('are there in version 4, and nothing else is', async () => {
    for (const [method, path] of [
      ['GET', 'idp/openid/list-access-keys-bulk'],
      ['GET', 'idp/openid/list-azure-canned-policy'],
      ['GET', 'list-canned-policies'],
      ['GET', 'info'],
      ['GET', ''],
    ] as const) {
      const answer = await send(
        { ...root, port: server.port, region: '' },
        { method, path: `/minio/admin/v4/${path}`, query: 'all=true' },
      );
      expect([path, answer.status]).toEqual([path, 426]);
    }
  });
});

describe('mappings', () => {
  test('are made and shown with the names of groups', async () => {
    const erin = graph.addUser('erin');
    const team = graph.addGroup('Team of Erin', erin);
    await accounts.must({
      method: 'PUT',
      path: 'add-canned-policy',
      query: { name: 'shared-only' },
      body: policyText(allowS3('s3:GetObject', `arn:aws:s3:::${bucket}/*`)),
    });
    const change = (what: 'attach' | 'detach', group: string) =>
      accounts.as(root, {
        method: 'POST',
        path: `idp/builtin/policy/${what}`,
        sealed: { policies: ['shared-only'], group },
      });
    expect((await change('attach', 'No such team')).code).toBe('XMinioAdminNoSuchGroup');
    expect((await change('attach', 'Team of Erin')).status).toBe(200);
    expect((await change('attach', team.id)).code).toBe('XMinioAdminPolicyChangeAlreadyApplied');
    const entities = async (query: Readonly<Record<string, string>>) => {
      const answer = await accounts.as(root, { method: 'GET', path: 'idp/builtin/policy-entities', query });
      expect(answer.status).toBe(200);
      return await answer.json();
    };
    const mapping = { group: 'Team of Erin', policies: ['shared-only'] };
    expect(await entities({ group: 'Team of Erin' })).toMatchObject({ groupMappings: [mapping] });
    expect(await entities({ group: team.id })).toMatchObject({ groupMappings: [mapping] });
    expect((await entities({}))['groupMappings']).toContainEqual(mapping);
    expect(await entities({ policy: 'shared-only' })).toMatchObject({
      policyMappings: [{ policy: 'shared-only', groups: ['Team of Erin'] }],
    });
    const signer = await session(await graph.idToken(erin));
    expect([await get(signer), await get(signer, 'secret')]).toEqual([200, 403]);
    // An archive of the accounts brings it back.
    const archive = await accounts.as(root, { method: 'GET', path: 'export-iam' });
    expect((await change('detach', 'Team of Erin')).status).toBe(200);
    expect(await get(signer)).toBe(403);
    await accounts.must({ method: 'PUT', path: 'import-iam', body: archive.body });
    expect(await get(signer)).toBe(200);
    // With Graph away, what is attached can be seen, and taken off by id.
    graph.mischief.failing = 100;
    expect((await entities({}))['groupMappings']).toContainEqual({ ...mapping, group: team.id });
    expect((await change('detach', team.id)).status).toBe(200);
    expect(await get(signer)).toBe(403);
  });
});

test('keys of the tenant may change at any time', async () => {
  await mapGroup("Storage O'Admins", bucket);
  await graph.rotateKeys();
  expect(await get(await session(await graph.idToken(alice)))).toBe(200);
});

test('groups are looked up again when it is time, whatever restarts there are, and rights go', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'granary-clock-'));
  const clock = join(folder, 'shift');
  const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
  const advance = async (minutes: number) => {
    writeFileSync(clock, String(minutes * 60_000));
    await pause(100);
  };
  await advance(0);
  const other = await startGraph();
  const grace = other.addUser('grace');
  const team = other.addGroup('Team of Grace', grace);
  const aged = await startServerProcess({
    driveCount: 1,
    port: await freePort(),
    environment: {
      NODE_OPTIONS: `--import=${join(import.meta.dirname, '..', 'support', 'shifted-clock.mjs')}`,
      GRANARY_TEST_CLOCK_SHIFT_FILE: clock,
      MINIO_IDENTITY_OPENID_CONFIG_URL: `${other.url}/${other.tenantId}/v2.0/.well-known/openid-configuration`,
      MINIO_IDENTITY_OPENID_CLIENT_ID: other.clientId,
      MINIO_IDENTITY_OPENID_CLIENT_SECRET: other.clientSecret,
      MINIO_IDENTITY_OPENID_AZURE_TENANT_ID: other.tenantId,
      _MINIO_AZURE_LOGIN_URL: other.url,
      _MINIO_AZURE_GRAPH_URL: other.url,
    },
  });
  try {
    const its = accountsOf(aged);
    const sealed = { policies: ['readwrite'], group: 'Team of Grace' };
    await its.must({ method: 'POST', path: 'idp/builtin/policy/attach', sealed });
    const token = await other.idToken(grace);
    const query = formOf({
      ...{ Action: 'AssumeRoleWithWebIdentity', WebIdentityToken: token, DurationSeconds: '86400' },
    });
    const { credentials } = readStsAnswer(200, await (await fetch(`${aged.url}?${query}`, { method: 'POST' })).text());
    const list = async (minutes: number) => {
      const date = new Date(Date.now() + minutes * 60_000);
      return (await its.s3(credentials as AdminCredentials, { method: 'GET', path: '/', date })).status;
    };
    expect(await list(0)).toBe(200);
    team.members.clear();
    const { length } = other.calls;
    await advance(29);
    const date = new Date(Date.now() + 29 * 60_000);
    const restart = { method: 'POST', path: '/minio/admin/v3/service', query: 'action=restart&type=2', date };
    expect((await send({ ...its.root, port: aged.port, region: '' }, restart)).status).toBe(200);
    await aged.ready(1);
    expect(await list(29)).toBe(200);
    await pause(500);
    expect(other.calls).toHaveLength(length);
    await advance(91);
    const deadline = Date.now() + 30_000;
    while ((await list(91)) === 200 && Date.now() < deadline) await pause(250);
    expect(await list(91)).toBe(403);
    expect(other.calls.length).toBeGreaterThan(length);
  } finally {
    await aged.stop();
    await other.close();
    rmSync(folder, { recursive: true });
  }
}, 120_000);

describe('settings of before', () => {
  test('turn that provider off, say what to do, and leave root and other providers as they are', async () => {
    const other = await startGraph();
    const old = await startServerProcess({
      driveCount: 1,
      environment: environmentOf({
        MINIO_IDENTITY_OPENID_AZURE_USE_GROUP_ID: 'on',
        MINIO_IDENTITY_OPENID_CONFIG_URL_other: `${other.url}/${other.tenantId}/v2.0/.well-known/openid-configuration`,
        MINIO_IDENTITY_OPENID_CLIENT_ID_other: other.clientId,
        MINIO_IDENTITY_OPENID_ROLE_POLICY_other: 'readonly',
      }),
    });
    try {
      expect(old.output()).toMatch(/azure_use_group_id.*azure_tenant_id.*User\.Read\.All and Group\.Read\.All/);
      const { length } = graph.calls;
      const ask = async (parameters: Record<string, string>) => {
        const query = formOf({ Action: 'AssumeRoleWithWebIdentity', ...parameters });
        const answer = await fetch(`${old.url}?${query}`, { method: 'POST' });
        return readStsAnswer(answer.status, await answer.text());
      };
      expect(await ask({ WebIdentityToken: await graph.idToken(alice) })).toMatchObject({ status: 400 });
      expect(graph.calls).toHaveLength(length);
      const RoleArn = /arn:minio:iam:[^"]*/.exec(old.output())?.[0] ?? '';
      const token = await other.idToken(other.addUser('frank'));
      expect(await ask({ WebIdentityToken: token, RoleArn })).toMatchObject({ status: 200 });
      const itsAccounts = accountsOf(old);
      const info = await itsAccounts.must({ method: 'GET', path: 'idp-config/openid/_' });
      expect(info['info']).toContainEqual({
        ...{ key: 'migration', isCfg: false, isEnv: false },
        value: expect.stringMatching(
          /is off.*azure_tenant_id.*User\.Read\.All and Group\.Read\.All.*restart/,
        ) as unknown,
      });
      expect(info['info']).toContainEqual({ key: 'enable', value: 'off', isCfg: false, isEnv: false });
      const all = (await itsAccounts.must({ method: 'GET', path: 'idp-config/openid' })) as unknown as object[];
      expect(all).toContainEqual(expect.objectContaining({ name: '_', enabled: false }));
      expect(all).toContainEqual(expect.objectContaining({ name: 'other', enabled: true }));
      expect((await itsAccounts.s3(itsAccounts.root, { method: 'PUT', path: '/works' })).status).toBe(200);
    } finally {
      await old.stop();
      await other.close();
    }
  });
});
