import { createHash } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { accountsOf, allowS3, policyText, type Accounts } from '../support/accounts.js';
import type { AdminCredentials } from '../support/admin-client.js';
import { startPluginServer, type PluginReply, type PluginServer } from '../support/plugin-server.js';
import { startServerProcess, type ServerProcess } from '../support/server.js';
import { sendSigned } from '../support/wire.js';

/** A plugin in place of the policies, under the older names of its settings. */
interface Input {
  readonly account: string;
  readonly action: string;
  readonly bucket: string;
  readonly object: string;
  readonly owner: boolean;
  readonly denyOnly: boolean;
}

let plugin: PluginServer;
let server: ServerProcess;
let accounts: Accounts;
let user: AdminCredentials;
const yes: PluginReply = { body: { result: true } };
const no: PluginReply = { body: { result: { allow: false } } };
const inputs = () => plugin.calls.map(({ body }) => (JSON.parse(body) as { input: Input }).input);
const decides = (decide: (input: Input) => boolean) => {
  plugin.answer = ({ body }) => ({ body: { result: { allow: decide((JSON.parse(body) as { input: Input }).input) } } });
};

beforeAll(async () => {
  plugin = await startPluginServer();
  plugin.answer = () => yes;
  server = await startServerProcess({
    driveCount: 1,
    environment: { MINIO_POLICY_OPA_URL: plugin.url, MINIO_POLICY_OPA_AUTH_TOKEN: 'Bearer opa-secret' },
  });
  accounts = accountsOf(server);
  // Whatever its policy says.
  user = await accounts.createUser({ Effect: 'Deny', Action: 's3:*', Resource: '*' });
  for (const bucket of ['files', 'open']) {
    expect((await accounts.s3(accounts.root, { method: 'PUT', path: `/${bucket}` })).status).toBe(200);
  }
  for (const key of ['files/a', 'open/a']) {
    expect((await accounts.s3(accounts.root, { method: 'PUT', path: `/${key}`, body: key })).status).toBe(200);
  }
  const Principal = '*';
  const body = policyText({ Effect: 'Allow', Principal, Action: 's3:GetObject', Resource: 'arn:aws:s3:::open/*' });
  const set = await accounts.s3(accounts.root, { method: 'PUT', path: '/open', query: 'policy=', body });
  expect(set.status).toBe(204);
}, 60_000);
afterAll(async () => {
  await server.stop();
  await plugin.stop();
});
beforeEach(() => {
  plugin.calls.length = 0;
  plugin.answer = () => yes;
});

const get = (signer: AdminCredentials, path = '/files/a') => accounts.s3(signer, { method: 'GET', path });

describe('the plugin', () => {
  test('decides for users, whatever their policies say', async () => {
    expect((await get(user)).body.toString()).toBe('files/a');
    expect(inputs()).toMatchObject([
      { account: user.accessKey, action: 's3:GetObject', bucket: 'files', object: 'a', owner: false, denyOnly: false },
    ]);
    expect(plugin.calls[0]!.headers.authorization).toBe('Bearer opa-secret');
    plugin.answer = () => no;
    expect(await get(user)).toMatchObject({ status: 403, code: 'AccessDenied' });
  });

  test('decides for root, who is said to be the owner', async () => {
    plugin.answer = () => no;
    expect(await get(accounts.root)).toMatchObject({ status: 403, code: 'AccessDenied' });
    expect((await accounts.as(accounts.root, { method: 'GET', path: 'list-users' })).code).toBe('AccessDenied');
    expect(inputs()).toMatchObject([
      { action: 's3:GetObject', owner: true },
      { action: 'admin:ListUsers', owner: true },
    ]);
  });

  test('is not asked about nobody: that is what policies of buckets are for', async () => {
    plugin.answer = () => no;
    const anonymous = (path: string) =>
      sendSigned({ ...user, port: server.port, region: '' }, { method: 'GET', path }, { host: server.host });
    expect((await anonymous('/open/a')).status).toBe(200);
    expect((await anonymous('/files/a')).code).toBe('AccessDenied');
    expect(plugin.calls).toEqual([]);
  });

  test('decides before a body is taken, for uploads of any size', async () => {
    for (const size of [10, 3_000_000]) {
      const body = Buffer.alloc(size, 7);
      expect((await accounts.s3(user, { method: 'PUT', path: '/files/up', body })).status).toBe(200);
      expect((await get(user, '/files/up')).body.equals(body)).toBe(true);
      plugin.answer = () => no;
      const refused = await accounts.s3(user, { method: 'PUT', path: '/files/never', body });
      expect(refused).toMatchObject({ status: 403, code: 'AccessDenied' });
      plugin.answer = () => yes;
      expect((await get(user, '/files/never')).code).toBe('NoSuchKey');
    }
  });

  test('decides for each key of DeleteObjects, for each bucket of ListBuckets, for forms and for temporary credentials', async () => {
    for (const key of ['x', 'y']) await accounts.s3(user, { method: 'PUT', path: `/files/${key}`, body: key });
    decides(({ object }) => object !== 'y');
    const body = '<Delete><Object><Key>x</Key></Object><Object><Key>y</Key></Object></Delete>';
    const headers = { 'content-md5': createHash('md5').update(body).digest('base64') };
    const deleted = await accounts.s3(user, { method: 'POST', path: '/files', query: 'delete=', body, headers });
    expect(deleted.body.toString()).toMatch(/<Deleted><Key>x<.*<Error><Key>y<\/Key><Code>AccessDenied/);
    decides(({ action, bucket }) => action !== 's3:ListAllMyBuckets' && bucket !== 'open');
    const listed = (await accounts.s3(user, { method: 'GET', path: '/' })).body.toString();
    expect(listed).toContain('<Name>files</Name>');
    expect(listed).not.toContain('<Name>open</Name>');
    decides(({ action }) => action === 's3:PutObject');
    expect((await accounts.post(user, 'files', 'by-form', 'x')).status).toBe(204);
    plugin.answer = () => no;
    expect((await accounts.post(user, 'files', 'by-form-2', 'x')).status).toBe(403);
    expect((await accounts.assume(user)).code).toBe('AccessDenied');
    expect(inputs().at(-1)).toMatchObject({ action: 'sts:AssumeRole', denyOnly: true });
    plugin.answer = () => yes;
    expect((await get(await accounts.session(user))).status).toBe(200);
  });

  test('cannot widen what a session or an access key was held down to, nor revive a disabled account', async () => {
    const Policy = policyText(allowS3('s3:GetObject', 'arn:aws:s3:::open/*'));
    const session = await accounts.session(user, { Policy });
    expect((await get(session, '/open/a')).status).toBe(200);
    expect((await get(session)).code).toBe('AccessDenied');
    const other = await accounts.createUser();
    const key = await accounts.createKey(other);
    expect((await get(key)).status).toBe(200);
    const query = { accessKey: other.accessKey, status: 'disabled' };
    await accounts.must({ method: 'PUT', path: 'set-user-status', query });
    expect((await get(key)).code).toBe('AccessDenied');
  });

  test.each<[string, PluginReply]>([
    ['an error', { status: 500, body: { result: true } }],
    ['garbage', { body: '{"result":tru' }],
    ['another question', { body: { allow: true } }],
    ['a cut connection', (response) => response.destroy()],
  ])('that answers with %s denies, and the server goes on', async (_name, reply) => {
    plugin.answer = () => reply;
    expect(await get(user)).toMatchObject({ status: 403, code: 'AccessDenied' });
    expect(await get(accounts.root)).toMatchObject({ status: 403, code: 'AccessDenied' });
    plugin.answer = () => yes;
    expect((await get(user)).status).toBe(200);
  });

  test('that is slow holds up nobody but those it is asked about', async () => {
    plugin.answer = () => () => undefined;
    const begun = Date.now();
    const slow = Promise.all(Array.from({ length: 40 }, () => get(user)));
    const healthy = await fetch(`${server.url}/minio/health/live`);
    expect(healthy.status).toBe(200);
    const anonymous = await fetch(`${server.url}/open/a`);
    expect(await anonymous.text()).toBe('open/a');
    expect(Date.now() - begun).toBeLessThan(4_000);
    expect(new Set((await slow).map(({ code }) => code))).toEqual(new Set(['AccessDenied']));
    expect(Date.now() - begun).toBeLessThan(12_000);
    plugin.answer = () => yes;
    expect((await get(user)).status).toBe(200);
  }, 30_000);

  test('that is down denies everything; its secret is not printed', async () => {
    await plugin.stop();
    for (const signer of [user, accounts.root]) {
      expect(await get(signer)).toMatchObject({ status: 403, code: 'AccessDenied' });
    }
    expect(server.output()).toContain('decides in place of the policies');
    expect(server.output()).not.toContain('opa-secret');
    plugin = await startPluginServer(plugin.port);
    plugin.answer = () => yes;
    expect((await get(user)).status).toBe(200);
  });
});
