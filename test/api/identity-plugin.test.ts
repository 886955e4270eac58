import { createHmac } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { accountsOf, policyText, type Accounts } from '../support/accounts.js';
import type { AdminCredentials } from '../support/admin-client.js';
import { brokenReplies, slowReplies, startPluginServer, type PluginServer } from '../support/plugin-server.js';
import { startServerProcess, type ServerProcess } from '../support/server.js';
import { claimsOf, formOf, readStsAnswer, type StsAnswer } from '../support/sts-client.js';
import { sendSigned } from '../support/wire.js';

/** AssumeRoleWithCustomToken against a service that tells the truth, lies, or is not there. */
const roleArn = 'arn:minio:iam:::role/idmp-external-auth-provider';
const grant = { user: 'ann', maxValiditySeconds: 3600, claims: { department: 'ships' } };

let plugin: PluginServer;
let server: ServerProcess;
let accounts: Accounts;

beforeAll(async () => {
  plugin = await startPluginServer();
  server = await startServerProcess({
    driveCount: 1,
    environment: {
      GRANARY_LOG_LEVEL: 'debug',
      MINIO_IDENTITY_PLUGIN_URL: plugin.url,
      MINIO_IDENTITY_PLUGIN_ROLE_POLICY: 'by-department',
      MINIO_IDENTITY_PLUGIN_TOKEN: 'Bearer own-secret',
      MINIO_IDENTITY_PLUGIN_ROLE_ID: 'external-auth-provider',
      MINIO_IDENTITY_PLUGIN_COMMENT: 'External Identity Management using PROVIDER',
    },
  });
  accounts = accountsOf(server);
  await accounts.must({
    method: 'PUT',
    path: 'add-canned-policy',
    query: { name: 'by-department' },
    body: policyText(
      { Effect: 'Allow', Action: 's3:*', Resource: 'arn:aws:s3:::files/${jwt:department}/*' },
      {
        Effect: 'Allow',
        Action: 's3:CreateBucket',
        Resource: 'arn:aws:s3:::captains',
        Condition: { StringEquals: { 'jwt:rank': 'captain' } },
      },
    ),
  });
  expect((await accounts.s3(accounts.root, { method: 'PUT', path: '/files' })).status).toBe(200);
}, 60_000);
afterAll(async () => {
  await server.stop();
  await plugin.stop();
});
beforeEach(() => {
  plugin.calls.length = 0;
  plugin.answer = () => ({ body: grant });
});

type Parameters = Readonly<Record<string, string>>;

async function post(query: string, body: string, headers: Record<string, string>): Promise<StsAnswer> {
  const target = { ...accounts.root, port: server.port, region: server.region };
  const request = { method: 'POST', path: '/', body, ...(query !== '' && { query }) };
  const answer = await sendSigned(target, request, { host: server.host, ...headers });
  return readStsAnswer(answer.status, answer.body.toString());
}

const parametersOf = (parameters: Parameters) => ({
  Action: 'AssumeRoleWithCustomToken',
  Token: 'token-of-ann',
  ...parameters,
});
const byQuery = (parameters: Parameters = {}) => post(formOf(parametersOf(parameters)), '', {});
const byBody = (parameters: Parameters = {}) =>
  post('', formOf(parametersOf(parameters)), { 'content-type': 'application/x-www-form-urlencoded' });

async function sessionCount(): Promise<number> {
  const query = { listType: 'sts-only', users: 'custom:ann' };
  const answer = await accounts.as(accounts.root, { method: 'GET', path: 'list-access-keys-bulk', query });
  if (answer.status !== 200) return 0;
  return JSON.stringify(await answer.json()).split('"accessKey"').length - 1;
}

describe('a token that the plugin knows', () => {
  test.each([
    ['by query', byQuery],
    ['by body', byBody],
  ])('%s gives credentials that may what the role may, as its claims say', async (_name, assume) => {
    const answer = await assume();
    expect(answer.status).toBe(200);
    expect(answer.text).toContain(
      '<AssumeRoleWithCustomTokenResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">',
    );
    expect(answer.text).toContain('<AssumedUser>custom:ann</AssumedUser>');
    const ann = answer.credentials!;
    expect(claimsOf(ann.sessionToken).payload).toMatchObject({
      sub: 'custom:ann',
      parent: 'custom:ann',
      department: 'ships',
      roleArn,
    });
    const put = (path: string) => accounts.s3(ann, { method: 'PUT', path, body: '' });
    expect((await put('/files/ships/a')).status).toBe(200);
    expect((await put('/files/docks/a')).code).toBe('AccessDenied');
    expect((await put('/captains')).code).toBe('AccessDenied');
    expect(plugin.calls).toHaveLength(1);
    expect(plugin.calls[0]).toMatchObject({ method: 'POST', path: '/auth', body: '' });
    expect(plugin.calls[0]!.query.get('token')).toBe('token-of-ann');
    expect(plugin.calls[0]!.headers.authorization).toBe('Bearer own-secret');
  });

  test('claims as text count the same, as variables and as conditions', async () => {
    plugin.answer = () => ({ body: { ...grant, claims: 'department=docks,rank=captain,parent=root,exp=1' } });
    const { credentials } = await byBody();
    const put = (path: string) => accounts.s3(credentials!, { method: 'PUT', path, body: '' });
    expect((await put('/files/docks/a')).status).toBe(200);
    expect((await put('/files/ships/a')).code).toBe('AccessDenied');
    expect((await put('/captains')).status).toBe(200);
    const { payload } = claimsOf(credentials!.sessionToken);
    expect(payload).toMatchObject({ parent: 'custom:ann', sub: 'custom:ann', rank: 'captain' });
    expect(payload['exp']).toBeGreaterThan(Date.now() / 1000 + 3000);
  });

  test('a role may be named, when it is the one there is', async () => {
    expect(await byQuery({ RoleArn: roleArn })).toMatchObject({ status: 200 });
    expect(server.output()).toContain(`"roleArns":["${roleArn}"]`);
    for (const other of ['arn:minio:iam:::role/idmp-other', 'arn:xxx:xxx:xxx:xxxx', 'x']) {
      expect(await byQuery({ RoleArn: other })).toMatchObject({ status: 400, code: 'InvalidParameterValue' });
    }
    expect(plugin.calls).toHaveLength(1);
  });

  test('an inline policy holds the credentials down', async () => {
    const Policy = policyText({ Effect: 'Allow', Action: 's3:GetObject', Resource: 'arn:aws:s3:::files/*' });
    const { credentials } = await byBody({ Policy });
    const s3 = (method: string) => accounts.s3(credentials!, { method, path: '/files/ships/a' });
    expect((await s3('GET')).status).toBe(200);
    expect((await s3('DELETE')).code).toBe('AccessDenied');
    expect(await byBody({ Policy: '{"Version":"2012-10-17"' })).toMatchObject({ code: 'InvalidParameterValue' });
  });

  test.each([
    ['900', 900],
    ['1800', 1800],
    ['7200', 3600],
    ['', 3600],
  ])('asked for %s seconds, it gives %d', async (DurationSeconds, seconds) => {
    const begun = Date.now();
    const { credentials } = await byQuery({ DurationSeconds });
    const lasts = Date.parse(credentials!.expiration) - begun;
    expect(lasts).toBeGreaterThan((seconds - 2) * 1000);
    expect(lasts).toBeLessThan((seconds + 10) * 1000);
  });

  test.each(['899', '0', '-900', '1.5e3', 'x', '31536001'])(
    '%s seconds are refused, and nobody is asked',
    async (time) => {
      expect(await byQuery({ DurationSeconds: time })).toMatchObject({ status: 400, code: 'InvalidParameterValue' });
      expect(await byBody({ DurationSeconds: time })).toMatchObject({ status: 400, code: 'InvalidParameterValue' });
      expect(plugin.calls).toEqual([]);
    },
  );

  test('without a token nobody is asked', async () => {
    expect(await byQuery({ Token: '' })).toMatchObject({ status: 400, code: 'MissingParameter' });
    expect(plugin.calls).toEqual([]);
  });
});

describe('a token that gives nothing', () => {
  test('because the plugin says no, with its reason', async () => {
    plugin.answer = () => ({ status: 403, body: { reason: 'Unknown <token> & user' } });
    for (const assume of [byQuery, byBody]) {
      const answer = await assume();
      expect(answer).toMatchObject({ status: 403, code: 'AccessDenied', credentials: null });
      expect(answer.text).toContain('<Message>Unknown &lt;token&gt; &amp; user</Message>');
    }
  });

  test.each(Object.entries(brokenReplies))('because the plugin answers %s', async (_name, reply) => {
    const before = await sessionCount();
    expect(before).toBeGreaterThan(0);
    plugin.answer = () => reply;
    expect(await byBody()).toMatchObject({ status: 500, code: 'InternalError', credentials: null });
    expect(await sessionCount()).toBe(before);
  });

  test('because the plugin is slow; others are served meanwhile', async () => {
    const before = await sessionCount();
    plugin.answer = ({ query }) => slowReplies[query.get('token') ?? ''] ?? { status: 500 };
    const begun = Date.now();
    const slow = Promise.all(Object.keys(slowReplies).flatMap((Token) => [byBody({ Token }), byQuery({ Token })]));
    expect((await accounts.s3(accounts.root, { method: 'GET', path: '/files/ships/a' })).status).toBe(200);
    expect(Date.now() - begun).toBeLessThan(4_000);
    for (const answer of await slow) {
      expect(answer).toMatchObject({
        status: 500,
        code: 'InternalError',
        message: 'The identity plugin did not answer within 5 s.',
      });
    }
    expect(Date.now() - begun).toBeLessThan(10_000);
    expect(await sessionCount()).toBe(before);
  }, 30_000);

  test('because the plugin is down; it works again when it is there', async () => {
    await plugin.stop();
    const down = await byBody();
    expect(down).toMatchObject({
      status: 500,
      code: 'InternalError',
      message: 'The identity plugin refuses connections.',
    });
    plugin = await startPluginServer(plugin.port);
    plugin.answer = () => ({ body: grant });
    expect(await byBody()).toMatchObject({ status: 200 });
  });
});

test('access keys of such an account have its role and its claims, and outlive its session', async () => {
  plugin.answer = () => ({ body: { ...grant, user: 'bob' } });
  const { credentials } = await byBody();
  const key = await accounts.createKey(credentials!);
  const end = (tag: string) =>
    accounts.must({
      method: 'POST',
      path: 'revoke-tokens/builtin',
      query: { user: 'custom:bob', tokenRevokeType: tag },
    });
  await end('none');
  const put = (signer: AdminCredentials, path: string) => accounts.s3(signer, { method: 'PUT', path, body: 'x' });
  expect((await put(credentials!, '/files/ships/a')).status).toBe(200);
  const query = { user: 'custom:bob', fullRevoke: 'true' };
  await accounts.must({ method: 'POST', path: 'revoke-tokens/builtin', query });
  expect((await put(credentials!, '/files/ships/a')).code).toBe('InvalidAccessKeyId');
  expect((await put(key, '/files/ships/a')).status).toBe(200);
  expect((await put(key, '/files/docks/a')).code).toBe('AccessDenied');
});

test('sessions are ended by their tag, by those who have them and by those who may', async () => {
  plugin.answer = () => ({ body: { ...grant, user: 'carol' } });
  const [first, second, third] = await Promise.all(
    ['nightly', 'nightly', 'daily'].map(async (TokenRevokeType) => (await byBody({ TokenRevokeType })).credentials!),
  );
  const isLive = async (signer: AdminCredentials) =>
    (await accounts.s3(signer, { method: 'PUT', path: '/files/ships/a', body: 'x' })).status === 200;
  const ended = await accounts.as(first!, { method: 'POST', path: 'revoke-tokens/builtin' });
  expect(ended.status).toBe(204);
  expect([await isLive(first!), await isLive(second!), await isLive(third!)]).toEqual([false, false, true]);
  const query = { user: 'custom:nobody', fullRevoke: 'true' };
  const unknown = await accounts.as(accounts.root, { method: 'POST', path: 'revoke-tokens/builtin', query });
  expect(unknown.code).toBe('XMinioAdminNoSuchUser');
});

test('the metrics tell how calls went', async () => {
  const { accessKey, secretKey } = accounts.root;
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const exp = Math.floor(Date.now() / 1000) + 60;
  const text = `${part({ alg: 'HS512', typ: 'JWT' })}.${part({ iss: 'prometheus', sub: accessKey, exp })}`;
  const token = `${text}.${createHmac('sha512', secretKey).update(text).digest('base64url')}`;
  for (const [path, head] of [
    ['v2/metrics/node', 'minio_node_iam'],
    ['metrics/v3/cluster/iam', 'minio_cluster_iam'],
  ]) {
    const answer = await fetch(`${server.url}/minio/${path}`, { headers: { authorization: `Bearer ${token}` } });
    const body = await answer.text();
    expect(answer.status).toBe(200);
    for (const name of ['last_succ_seconds', 'last_fail_seconds', 'total_requests_minute', 'succ_avg_rtt_ms_minute']) {
      expect(body).toMatch(new RegExp(`^${head}_plugin_authn_service_${name}(\\{.*\\})? [0-9.e+-]+$`, 'm'));
    }
  }
});

test('neither tokens nor credentials are in what the server prints', () => {
  const output = server.output();
  expect(output).toContain('AssumeRoleWithCustomToken');
  for (const secret of ['token-of-ann', 'own-secret']) expect(output).not.toContain(secret);
});
