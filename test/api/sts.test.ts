import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { accountsOf, allowAdmin, allowS3, policyText, type Accounts } from '../support/accounts.js';
import type { AdminCredentials } from '../support/admin-client.js';
import { startServerProcess, type ServerProcess } from '../support/server.js';
import { formOf, readStsAnswer, stsRequest } from '../support/sts-client.js';
import { send, sendSigned, sign, signedChunks, type Target } from '../support/wire.js';

let server: ServerProcess;
let accounts: Accounts;
let root: AdminCredentials;
const bucket = 'sessions';
const listBuckets = { method: 'GET', path: '/' };

beforeAll(async () => {
  // What it logs is looked at in the end.
  server = await startServerProcess({ environment: { GRANARY_LOG_LEVEL: 'debug' } });
  accounts = accountsOf(server);
  root = accounts.root;
  expect((await accounts.s3(root, { method: 'PUT', path: `/${bucket}` })).status).toBe(200);
}, 60_000);
afterAll(() => server.stop());

const target = (signer: AdminCredentials): Target => ({ ...signer, port: server.port, region: server.region });

test('one port serves S3 and the token service, and neither stands in the way of the other', async () => {
  const anonymous = (path: string, body: string, headers: Record<string, string>) =>
    sendSigned(target(root), { method: 'POST', path, body }, { host: server.host, ...headers });
  const form = { 'content-type': 'application/x-www-form-urlencoded' };
  const refused = await anonymous('/', formOf({ Action: 'AssumeRole' }), form);
  expect(readStsAnswer(refused.status, refused.body.toString())).toMatchObject({ status: 403, code: 'AccessDenied' });
  expect(refused.headers['x-amz-request-id']).toBe(/<RequestId>(.*)<\/RequestId>/.exec(refused.body.toString())?.[1]);
  // A POST to the root that is none of its forms is S3's to refuse.
  const other = await send(target(root), { method: 'POST', path: '/', body: '{}' });
  expect(other).toMatchObject({ status: 405, code: 'MethodNotAllowed' });
  // And the forms of S3 are not its.
  const toBucket = await send(target(root), { method: 'POST', path: `/${bucket}`, body: formOf({}), headers: form });
  expect(toBucket.body.toString()).not.toContain('sts.amazonaws.com');
  const keys = '<Delete><Object><Key>none</Key></Object></Delete>';
  const md5 = { ...form, 'content-md5': createHash('md5').update(keys).digest('base64') };
  const deleted = await send(target(root), {
    method: 'POST',
    path: `/${bucket}`,
    query: 'delete=',
    body: keys,
    headers: md5,
  });
  expect(deleted.status).toBe(200);
});

test('temporary credentials work in headers, signed addresses, signed chunks and forms', async () => {
  const user = await accounts.createUser(allowS3('s3:*'));
  const session = await accounts.session(user);
  const put = await accounts.s3(session, { method: 'PUT', path: `/${bucket}/header`, body: 'by header' });
  expect(put.status).toBe(200);
  expect((await accounts.follow(session, { method: 'GET', path: `/${bucket}/header` })).body.toString()).toBe(
    'by header',
  );
  const chunked = {
    method: 'PUT',
    path: `/${bucket}/chunks`,
    payload: 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD',
    headers: { 'content-encoding': 'aws-chunked', 'x-amz-decoded-content-length': '9' },
  };
  const seed = sign(target(session), chunked);
  const body = signedChunks(seed, [Buffer.from('by chunks')]);
  expect((await sendSigned(target(session), { ...chunked, body }, seed.headers)).status).toBe(200);
  const posted = await accounts.post(session, bucket, 'by-form', 'posted');
  expect(posted.status).toBe(204);
  expect((await accounts.s3(root, { method: 'GET', path: `/${bucket}/by-form` })).body.toString()).toBe('posted');
  // None of them without the token, or with another one.
  const other = await accounts.session(user);
  for (const sessionToken of [undefined, other.sessionToken]) {
    const { sessionToken: _, ...bare } = session;
    const wrong = { ...bare, ...(sessionToken !== undefined && { sessionToken }) };
    const refused = { status: 403, code: 'InvalidTokenId' };
    expect(await accounts.s3(wrong, { method: 'GET', path: `/${bucket}/header` })).toMatchObject(refused);
    expect(await accounts.follow(wrong, { method: 'GET', path: `/${bucket}/header` })).toMatchObject(refused);
    expect(await accounts.post(wrong, bucket, 'not-by-form', 'posted')).toMatchObject(refused);
  }
});

test('the administration API takes them, with payloads under their own secret', async () => {
  const administrator = await accounts.createUser(allowAdmin('admin:*'));
  const session = await accounts.session(administrator);
  const listed = await accounts.as(session, { method: 'GET', path: 'list-users' });
  expect(Object.keys(await listed.json())).toContain(administrator.accessKey);
  const sealed = { secretKey: 'made-by-a-session', status: 'enabled' };
  const added = await accounts.as(session, {
    method: 'PUT',
    path: 'add-user',
    query: { accessKey: 'madebysession' },
    sealed,
  });
  expect(added.status).toBe(200);
  const { sessionToken: _, ...bare } = session;
  expect(await accounts.as(bare, { method: 'GET', path: 'list-users' })).toMatchObject({
    status: 403,
    code: 'InvalidTokenId',
  });
  const held = await accounts.session(administrator, { Policy: policyText(allowS3('s3:*')) });
  expect(await accounts.as(held, { method: 'GET', path: 'list-users' })).toMatchObject({
    status: 403,
    code: 'AccessDenied',
  });
});

test('a session policy restricts and does not grant', async () => {
  const reader = await accounts.createUser(allowS3(['s3:GetObject', 's3:PutObject'], `arn:aws:s3:::${bucket}/*`));
  const Policy = policyText(
    allowS3('s3:*', `arn:aws:s3:::${bucket}/in/*`),
    allowS3('s3:ListAllMyBuckets'),
    allowAdmin('admin:*'),
  );
  const session = await accounts.session(reader, { Policy });
  const statusOf = async (method: string, path: string) =>
    (await accounts.s3(session, { method, path, body: '' })).status;
  expect(await statusOf('PUT', `/${bucket}/in/key`)).toBe(200);
  expect(await statusOf('GET', `/${bucket}/in/key`)).toBe(200);
  expect(await statusOf('PUT', `/${bucket}/out/key`)).toBe(403);
  expect(await statusOf('DELETE', `/${bucket}/in/key`)).toBe(403);
  expect(await statusOf('PUT', '/another-bucket')).toBe(403);
  expect((await accounts.as(session, { method: 'GET', path: 'list-users' })).status).toBe(403);
});

test('disabling a user stops its temporary credentials, removing it ends them', async () => {
  const user = await accounts.createUser(allowS3('s3:*'));
  const session = await accounts.session(user);
  const setStatus = (status: string) =>
    accounts.must({ method: 'PUT', path: 'set-user-status', query: { accessKey: user.accessKey, status } });
  await setStatus('disabled');
  expect(await accounts.s3(session, listBuckets)).toMatchObject({ status: 403, code: 'AccessDenied' });
  expect(await accounts.assume(user)).toMatchObject({ status: 403, code: 'AccessDenied' });
  await setStatus('enabled');
  expect((await accounts.s3(session, listBuckets)).status).toBe(200);
  await accounts.must({ method: 'DELETE', path: 'remove-user', query: { accessKey: user.accessKey } });
  expect(await accounts.s3(session, listBuckets)).toMatchObject({ status: 403, code: 'InvalidAccessKeyId' });
  expect(await accounts.follow(session, listBuckets)).toMatchObject({ status: 403, code: 'InvalidAccessKeyId' });
});

describe('revocation', () => {
  const revoke = (signer: AdminCredentials, query: Record<string, string> = {}, provider = 'builtin') =>
    accounts.as(signer, { method: 'POST', path: `revoke-tokens/${provider}`, query });
  const isAlive = async (session: AdminCredentials) => (await accounts.s3(session, listBuckets)).status === 200;

  test('by tag ends those with the tag, in full all of them, and never an access key', async () => {
    const user = await accounts.createUser(allowS3('s3:*'));
    const key = await accounts.createKey(user);
    const other = await accounts.session(await accounts.createUser(allowS3('s3:*')), { TokenRevokeType: 'batch' });
    const tagged = await accounts.session(user, { TokenRevokeType: 'batch' });
    const plain = await accounts.session(user);
    expect((await revoke(user, { tokenRevokeType: 'batch' })).status).toBe(204);
    expect(await accounts.s3(tagged, listBuckets)).toMatchObject({ status: 403, code: 'InvalidAccessKeyId' });
    expect(await Promise.all([plain, key, other].map(isAlive))).toEqual([true, true, true]);
    expect((await revoke(root, { user: user.accessKey, fullRevoke: 'true' })).status).toBe(204);
    expect(await Promise.all([plain, key, other].map(isAlive))).toEqual([false, true, true]);
  });

  test('without a parameter, a session ends those that share its tag', async () => {
    const user = await accounts.createUser(allowS3('s3:*'));
    const [one, two] = [
      await accounts.session(user, { TokenRevokeType: 'a' }),
      await accounts.session(user, { TokenRevokeType: 'a' }),
    ];
    const plain = await accounts.session(user, { TokenRevokeType: 'b' });
    expect((await revoke(one)).status).toBe(204);
    expect(await Promise.all([one, two, plain].map(isAlive))).toEqual([false, false, true]);
    const untagged = await accounts.session(user);
    for (const signer of [user, untagged])
      expect(await revoke(signer)).toMatchObject({ status: 400, code: 'InvalidArgument' });
    // Its own key names its account as well.
    expect((await revoke(untagged, { user: untagged.accessKey, fullRevoke: 'true' })).status).toBe(204);
    expect(await Promise.all([plain, untagged].map(isAlive))).toEqual([false, false]);
  });

  test('of another user needs the action', async () => {
    const victim = await accounts.createUser(allowS3('s3:*'));
    const session = await accounts.session(victim);
    const plain = await accounts.createUser(allowS3('s3:*'));
    const query = { user: victim.accessKey, fullRevoke: 'true' };
    expect(await revoke(plain, query)).toMatchObject({ status: 403, code: 'AccessDenied' });
    expect(await isAlive(session)).toBe(true);
    const may = await accounts.createUser(allowAdmin('admin:RemoveServiceAccount'));
    expect((await revoke(may, query)).status).toBe(204);
    expect(await isAlive(session)).toBe(false);
    const denied = await accounts.createUser({ Effect: 'Deny', Action: ['admin:RemoveServiceAccount'] });
    expect((await revoke(denied, { fullRevoke: 'true' })).status).toBe(403);
  });

  test('says what is wrong with the request', async () => {
    const user = (await accounts.createUser()).accessKey;
    for (const query of [{ user }, { user, fullRevoke: 'true', tokenRevokeType: 'x' }]) {
      expect(await revoke(root, query)).toMatchObject({ status: 400, code: 'InvalidRequest' });
    }
    expect(await revoke(root, { user: 'nobody-here', fullRevoke: 'true' })).toMatchObject({ status: 404 });
    expect(await revoke(root, { user, fullRevoke: 'true' }, 'ldap')).toMatchObject({ status: 501 });
    expect(await revoke(root, { user, fullRevoke: 'true' }, 'openid')).toMatchObject({ status: 404 });
  });
});

test('root has temporary credentials too, with all its rights or fewer', async () => {
  const session = await accounts.session(root);
  expect((await accounts.as(session, { method: 'GET', path: 'list-users' })).status).toBe(200);
  const held = await accounts.session(root, { Policy: policyText(allowS3('s3:ListAllMyBuckets')) });
  expect((await accounts.s3(held, listBuckets)).status).toBe(200);
  expect((await accounts.s3(held, { method: 'PUT', path: '/not-by-it' })).status).toBe(403);
  expect((await accounts.as(held, { method: 'GET', path: 'list-users' })).status).toBe(403);
});

test('a hundred at once are a hundred different ones', async () => {
  const user = await accounts.createUser(allowS3('s3:*'));
  const sessions = await Promise.all(Array.from({ length: 100 }, () => accounts.session(user)));
  expect(new Set(sessions.map(({ accessKey }) => accessKey)).size).toBe(100);
  expect(new Set(sessions.map(({ sessionToken }) => sessionToken)).size).toBe(100);
  const statuses = await Promise.all(sessions.map((session) => accounts.s3(session, listBuckets)));
  expect(statuses.every(({ status }) => status === 200)).toBe(true);
});

test('nothing of it is in the log', async () => {
  const user = await accounts.createUser(allowS3('s3:*'));
  const session = await accounts.session(user);
  await accounts.follow(session, listBuckets);
  await accounts.assume({ ...user, secretKey: 'a-wrong-secret' });
  const ldap = { Action: 'AssumeRoleWithLDAPIdentity', LDAPUsername: 'ann', LDAPPassword: 'password-of-ann' };
  await send(target(root), stsRequest(ldap, { query: formOf(ldap) }));
  const output = server.output();
  expect(output).toContain('"AssumeRole"');
  for (const secret of [session.secretKey, session.sessionToken, user.secretKey, 'password-of-ann']) {
    expect(output).not.toContain(secret);
  }
});
