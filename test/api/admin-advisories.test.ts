import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { adminClient, seal, type AdminClient, type AdminCredentials, type Json } from '../support/admin-client.js';
import { startServerProcess, type ServerProcess } from '../support/server.js';
import { send, sign } from '../support/wire.js';
import { writeZip } from '../../src/admin/zip.js';

/** What went wrong in servers of this API before: one test for each advisory. */
let server: ServerProcess;
let root: AdminClient;
let count = 0;

beforeAll(async () => {
  server = await startServerProcess();
  root = adminClient(server, server);
}, 60_000);
afterAll(() => server.stop());

const document = (...statements: object[]) => ({ Version: '2012-10-17', Statement: statements });
const allow = (...Action: string[]) => ({ Effect: 'Allow', Action });
const allowS3 = (Action: string, Resource = 'arn:aws:s3:::*') => ({
  Effect: 'Allow',
  Action: [Action],
  Resource: [Resource],
});

/** A user with a policy of its own. */
async function createUser(...statements: object[]): Promise<AdminCredentials> {
  const user = { accessKey: `user${++count}`, secretKey: `secret-of-user${count}` };
  await must(root, {
    method: 'PUT',
    path: 'add-user',
    query: { accessKey: user.accessKey },
    sealed: { secretKey: user.secretKey, status: 'enabled' },
  });
  if (statements.length === 0) return user;
  const name = `policy-of-${user.accessKey}`;
  await must(root, {
    method: 'PUT',
    path: 'add-canned-policy',
    query: { name },
    body: JSON.stringify(document(...statements)),
  });
  await must(root, {
    method: 'POST',
    path: 'idp/builtin/policy/attach',
    sealed: { policies: [name], user: user.accessKey },
  });
  return user;
}

type Asked = Parameters<AdminClient>[0];

async function must(client: AdminClient, request: Asked): Promise<Json> {
  const answer = await client(request);
  if (answer.status >= 300) throw new Error(`${request.path} answers ${answer.status}: ${answer.message}`);
  return answer.body.length === 0 ? {} : await answer.json();
}

/** With the caller's own secret, since the body is sealed under it. */
const as = (user: AdminCredentials, request: Omit<Asked, 'sealed'> & { sealed?: unknown }) => {
  const { sealed, ...rest } = request;
  const body = sealed === undefined ? {} : { body: seal(user.secretKey, Buffer.from(JSON.stringify(sealed))) };
  return adminClient(server, user)({ ...rest, ...body });
};

async function createKey(owner: AdminCredentials, policy?: object): Promise<AdminCredentials> {
  const key = { accessKey: `key${++count}`, secretKey: `secret-of-key${count}` };
  const answer = await as(owner, {
    method: 'PUT',
    path: 'add-service-account',
    sealed: { ...key, ...(policy && { policy }) },
  });
  if (answer.status !== 200) throw new Error(`no key: ${answer.status} ${answer.message}`);
  return key;
}

const s3 = (user: AdminCredentials, method: string, path: string, query = '') =>
  send({ ...user, port: server.port, region: server.region }, { method, path, ...(query !== '' && { query }) });

test('CVE-2020-11012: a known access key without its secret gets nothing, and its body is not waited for', async () => {
  const target = { port: server.port, accessKey: server.accessKey, secretKey: 'wrong-secret', region: '' };
  const { headers } = sign(target, {
    method: 'PUT',
    path: '/minio/admin/v3/add-user',
    query: 'accessKey=eve',
    body: 'x',
  });
  const head = Object.entries({ ...headers, 'content-length': '100000' })
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join('');
  const answer = await new Promise<string>((resolve, reject) => {
    const socket = connect(server.port, '127.0.0.1');
    socket.once('error', reject);
    // Not one byte of the body is sent.
    socket.write(`PUT /minio/admin/v3/add-user?accessKey=eve HTTP/1.1\r\n${head}\r\n`);
    socket.once('data', (data) => {
      socket.destroy();
      resolve(data.toString());
    });
  });
  expect(answer).toMatch(/^HTTP\/1\.1 403 /);
  expect(await root({ method: 'GET', path: 'user-info', query: { accessKey: 'eve' } })).toMatchObject({ status: 404 });
});

test('CVE-2021-43858: a policy in the body of add-user is not given to the user', async () => {
  const creator = await createUser(allow('admin:CreateUser'));
  const secret = { secretKey: 'mallory-secret', status: 'enabled', policy: 'consoleAdmin', policyName: 'consoleAdmin' };
  expect(
    (await as(creator, { method: 'PUT', path: 'add-user', query: { accessKey: 'mallory' }, sealed: secret })).status,
  ).toBe(200);
  const info = await must(root, { method: 'GET', path: 'user-info', query: { accessKey: 'mallory' } });
  expect(info.policyName).toBeUndefined();
  // Nor by setting one's own secret.
  const plain = await createUser();
  await as(plain, {
    method: 'PUT',
    path: 'add-user',
    query: { accessKey: plain.accessKey },
    sealed: { ...secret, secretKey: plain.secretKey },
  });
  expect(
    (await must(root, { method: 'GET', path: 'user-info', query: { accessKey: plain.accessKey } })).policyName,
  ).toBeUndefined();
});

test('CVE-2022-24842: an access key for another account, or for root, needs the action', async () => {
  const plain = await createUser(allowS3('s3:*'));
  const victim = await createUser(allow('admin:*'));
  for (const targetUser of [victim.accessKey, server.accessKey, 'nobody-at-all']) {
    const answer = await as(plain, { method: 'PUT', path: 'add-service-account', sealed: { targetUser } });
    expect(answer).toMatchObject({ status: 403, code: 'AccessDenied' });
  }
  const may = await createUser(allow('admin:CreateServiceAccount'));
  const answer = await as(may, {
    method: 'PUT',
    path: 'add-service-account',
    sealed: { targetUser: victim.accessKey },
  });
  expect(answer.status).toBe(200);
});

test('CVE-2022-35919: an update tells nothing of what is at its URL', async () => {
  for (const updateURL of ['/etc/passwd', 'file:///etc/passwd', `${server.url}/x`]) {
    const answer = await root({ method: 'POST', path: 'update', query: { updateURL, type: '2' } });
    expect(answer).toMatchObject({ status: 405, code: 'MethodNotAllowed' });
    expect(answer.message).not.toMatch(/root:/);
  }
});

test('CVE-2023-27589: no user, key or imported account has the access key of root', async () => {
  const { accessKey } = server;
  const refused = { status: 403, code: 'XMinioInvalidIAMCredentials' };
  const user = { secretKey: 'another-secret', status: 'enabled' };
  expect(await root({ method: 'PUT', path: 'add-user', query: { accessKey }, sealed: user })).toMatchObject(refused);
  const key = { accessKey, secretKey: 'another-secret' };
  expect(await root({ method: 'PUT', path: 'add-service-account', sealed: key })).toMatchObject(refused);
  const body = await writeZip([
    { name: 'iam-assets/users.json', bytes: Buffer.from(JSON.stringify({ [accessKey]: user, imported: user })) },
    {
      name: 'iam-assets/svcaccts.json',
      bytes: Buffer.from(JSON.stringify({ [accessKey]: { ...key, parent: 'imported' } })),
    },
  ]);
  const outcome = await must(root, { method: 'PUT', path: 'import-iam-v2', body });
  expect(outcome.added).toEqual({ users: ['imported'] });
  expect(outcome.failed?.users).toMatchObject([{ name: accessKey }]);
  expect(outcome.failed?.serviceAccounts).toMatchObject([{ name: accessKey }]);
  expect((await root({ method: 'GET', path: 'accountinfo' })).status).toBe(200);
});

test('CVE-2024-24747: a restricted key does not rid itself of its policy', async () => {
  const owner = await createUser(allow('admin:*'), allowS3('s3:*'));
  const key = await createKey(owner, document(allowS3('s3:GetObject', 'arn:aws:s3:::only/*')));
  const wider = document(allow('admin:*'), allowS3('s3:*'));
  const update = (newPolicy: object) => ({
    method: 'POST',
    path: 'update-service-account',
    query: { accessKey: key.accessKey },
    sealed: { newPolicy },
  });
  expect(await as(key, update(wider))).toMatchObject({ status: 403, code: 'AccessDenied' });
  expect(await as(key, update({}))).toMatchObject({ status: 403, code: 'AccessDenied' });
  // Even when its own policy names the action.
  const proud = await createKey(owner, document(allow('admin:UpdateServiceAccount')));
  const itself = { method: 'POST', path: 'update-service-account', query: { accessKey: proud.accessKey } };
  expect(await as(proud, { ...itself, sealed: { newPolicy: wider } })).toMatchObject({ status: 403 });
  // The owner without the action is refused as well.
  const plain = await createUser(allowS3('s3:*'));
  const own = await createKey(plain, document(allowS3('s3:GetObject')));
  const ofOwn = { method: 'POST', path: 'update-service-account', query: { accessKey: own.accessKey } };
  expect(await as(plain, { ...ofOwn, sealed: { newPolicy: {} } })).toMatchObject({ status: 403 });
});

test('a change of secret, status or description keeps the policy of a key', async () => {
  const owner = await createUser(allowS3('s3:*'));
  const key = await createKey(owner, document(allowS3('s3:ListAllMyBuckets')));
  const request = { method: 'POST', path: 'update-service-account', query: { accessKey: key.accessKey } };
  for (const sealed of [
    { newDescription: 'other' },
    { newSecretKey: 'secret-that-is-new' },
    { newStatus: 'off' },
    { newStatus: 'on' },
  ]) {
    expect((await root({ ...request, sealed })).status).toBe(204);
    const info = await must(root, { method: 'GET', path: 'info-service-account', query: { accessKey: key.accessKey } });
    expect(info.impliedPolicy).toBe(false);
    expect(info.policy).toContain('ListAllMyBuckets');
  }
  expect((await s3({ ...key, secretKey: 'secret-that-is-new' }, 'PUT', '/not-by-this-key')).status).toBe(403);
  expect((await root({ ...request, sealed: { newPolicy: {} } })).status).toBe(204);
  expect((await s3({ ...key, secretKey: 'secret-that-is-new' }, 'PUT', '/by-this-key-now')).status).toBe(200);
});

test('CVE-2024-55949: accounts are neither exported nor imported without the action', async () => {
  const plain = await createUser(allowS3('s3:*'), allow('admin:ServerInfo'));
  const body = await writeZip([
    {
      name: 'iam-assets/user_mappings.json',
      bytes: Buffer.from(JSON.stringify({ [plain.accessKey]: { policy: 'consoleAdmin' } })),
    },
  ]);
  for (const request of [
    { method: 'GET', path: 'export-iam' },
    { method: 'PUT', path: 'import-iam', body },
    { method: 'PUT', path: 'import-iam-v2', body },
  ]) {
    expect(await as(plain, request)).toMatchObject({ status: 403, code: 'AccessDenied' });
  }
  const info = await must(root, { method: 'GET', path: 'user-info', query: { accessKey: plain.accessKey } });
  expect(info.policyName).toBe(`policy-of-${plain.accessKey}`);
});

describe('CVE-2025-62506', () => {
  test('a restricted key creates no access key that is wider than itself', async () => {
    const owner = await createUser(allow('admin:*'), allowS3('s3:*'));
    const restricted = await createKey(owner, document(allowS3('s3:GetObject')));
    const add = { method: 'PUT', path: 'add-service-account' };
    expect(await as(restricted, { ...add, sealed: {} })).toMatchObject({ status: 403, code: 'AccessDenied' });
    // Its policy lets it create keys: they are restricted as it is.
    const creating = await createKey(
      owner,
      document(allow('admin:CreateServiceAccount'), allowS3('s3:ListAllMyBuckets')),
    );
    const wide = document(allowS3('s3:*'), allow('admin:*'));
    expect(await as(creating, { ...add, sealed: { policy: wide } })).toMatchObject({ status: 403 });
    const child = { accessKey: `key${++count}`, secretKey: `secret-of-child${count}` };
    expect((await as(creating, { ...add, sealed: child })).status).toBe(200);
    expect((await s3(child, 'PUT', '/not-by-the-child')).status).toBe(403);
    expect((await s3(child, 'GET', '/')).status).toBe(200);
    expect((await as(child, { method: 'GET', path: 'list-users' })).status).toBe(403);
  });

  test('what everybody may do to the own account is denied by a denial', async () => {
    const user = await createUser(allowS3('s3:*'), { Effect: 'Deny', Action: ['admin:CreateServiceAccount'] });
    const answer = await as(user, { method: 'PUT', path: 'add-service-account', sealed: {} });
    expect(answer).toMatchObject({ status: 403, code: 'AccessDenied' });
  });
});

describe('access keys', () => {
  test('never own further ones: what they create hangs from their account', async () => {
    const owner = await createUser(allowS3('s3:*'));
    const key = await createKey(owner);
    const child = await createKey(key);
    const info = await must(root, { method: 'GET', path: 'info-access-key', query: { accessKey: child.accessKey } });
    expect(info).toMatchObject({
      AccessKey: child.accessKey,
      parentUser: owner.accessKey,
      userType: 'Service Account',
      userProvider: 'builtin',
    });
    // With the account, both go.
    await must(root, { method: 'DELETE', path: 'remove-user', query: { accessKey: owner.accessKey } });
    for (const user of [owner, key, child]) expect((await s3(user, 'GET', '/')).status).toBe(403);
  });

  test('of others are not told from those that do not exist', async () => {
    const one = await createUser();
    const other = await createKey(await createUser());
    const remove = (accessKey: string) =>
      as(one, { method: 'DELETE', path: 'delete-service-account', query: { accessKey } });
    const [foreign, missing] = [await remove(other.accessKey), await remove('no-such-key')];
    expect(foreign).toMatchObject({ status: 404, code: 'XMinioInvalidIAMCredentials' });
    expect(missing).toMatchObject({ status: foreign.status, code: foreign.code, message: foreign.message });
    for (const accessKey of [other.accessKey, 'no-such-key']) {
      const info = await as(one, { method: 'GET', path: 'info-service-account', query: { accessKey } });
      expect(info).toMatchObject({ status: 403, code: 'AccessDenied' });
    }
  });
});

test('no account sets its own status, and no key of it changes its secret', async () => {
  const user = await createUser(allowS3('s3:ListAllMyBuckets'));
  const key = await createKey(user);
  const sealed = { secretKey: 'taken-over-secret', status: 'enabled' };
  const answer = await as(key, { method: 'PUT', path: 'add-user', query: { accessKey: user.accessKey }, sealed });
  expect(answer.status).toBe(403);
  const status = { accessKey: user.accessKey, status: 'enabled' };
  expect((await as(user, { method: 'PUT', path: 'set-user-status', query: status })).status).toBe(403);
  expect((await s3(user, 'GET', '/')).status).toBe(200);
});

test('secrets are in no answer but the one that creates a key', async () => {
  const user = await createUser(allowS3('s3:*'));
  const key = await createKey(user);
  for (const request of [
    { method: 'GET', path: 'list-users' },
    { method: 'GET', path: 'user-info', query: { accessKey: user.accessKey } },
    { method: 'GET', path: 'info-service-account', query: { accessKey: key.accessKey } },
    { method: 'GET', path: 'info-access-key', query: { accessKey: key.accessKey } },
    { method: 'GET', path: 'list-service-accounts', query: { user: user.accessKey } },
    { method: 'GET', path: 'list-access-keys-bulk', query: { listType: 'all', all: 'true' } },
    { method: 'GET', path: 'accountinfo' },
  ]) {
    const text = JSON.stringify(await must(root, request));
    expect(text).not.toContain(user.secretKey);
    expect(text).not.toContain(key.secretKey);
  }
});
