import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { accountsOf, allowAdmin, allowS3, document, policyText, type Accounts } from '../support/accounts.js';
import type { AdminCredentials } from '../support/admin-client.js';
import { startServerProcess, type ServerProcess } from '../support/server.js';
import { sendSigned, sign, presign, unsignedChunks, type Target } from '../support/wire.js';

/** What went wrong in servers of this API before, where temporary credentials could do it: one test for each advisory. */
let server: ServerProcess;
let accounts: Accounts;
let root: AdminCredentials;
const bucket = 'advisories';

beforeAll(async () => {
  server = await startServerProcess();
  accounts = accountsOf(server);
  root = accounts.root;
  await accounts.s3(root, { method: 'PUT', path: `/${bucket}` });
  await accounts.s3(root, { method: 'PUT', path: `/${bucket}/there`, body: 'content' });
}, 60_000);
afterAll(() => server.stop());

const target = (signer: AdminCredentials): Target => ({ ...signer, port: server.port, region: server.region });
const isStored = async (key: string) =>
  (await accounts.s3(root, { method: 'HEAD', path: `/${bucket}/${key}` })).status === 200;

test('CVE-2018-1000538: the token service does not wait for a body past its bound', async () => {
  const answer = await new Promise<string>((resolve, reject) => {
    const socket = connect(server.port, '127.0.0.1');
    socket.once('error', reject);
    socket.write(
      `POST / HTTP/1.1\r\nHost: ${server.host}\r\nContent-Type: application/x-www-form-urlencoded\r\n` +
        'Content-Length: 1000000000\r\n\r\nVersion=2011-06-15',
    );
    socket.once('data', (data) => {
      socket.destroy();
      resolve(data.toString());
    });
  });
  expect(answer).toMatch(/^HTTP\/1\.1 400 /);
  expect(answer).toContain('<Code>InvalidParameterValue</Code>');
  // One that does not say how long it is ends at the bound as well.
  const body = Buffer.alloc(400 * 1024, 'x');
  const headers = {
    host: server.host,
    'content-type': 'application/x-www-form-urlencoded',
    'transfer-encoding': 'chunked',
  };
  const chunked = await sendSigned(target(root), { method: 'POST', path: '/', body }, headers);
  expect(chunked).toMatchObject({ status: 400, code: 'InvalidParameterValue' });
});

test('CVE-2020-11012: a known access key without its secret gets no credentials', async () => {
  const user = await accounts.createUser(allowS3('s3:*'));
  for (const { accessKey } of [root, user]) {
    const answer = await accounts.assume({ accessKey, secretKey: 'not-the-secret' });
    expect(answer).toMatchObject({ status: 403, code: 'AccessDenied', credentials: null });
  }
});

test('CVE-2021-21362: a form that a session signs stores nothing without s3:PutObject', async () => {
  const user = await accounts.createUser(allowS3('s3:*'));
  const session = await accounts.session(user, { Policy: policyText(allowS3('s3:GetObject')) });
  expect(await accounts.post(session, bucket, 'shared', 'x')).toMatchObject({ status: 403, code: 'AccessDenied' });
  expect(await isStored('shared')).toBe(false);
});

test('CVE-2021-41137: policies count for the sessions of plain users, on every kind of request', async () => {
  const session = await accounts.session(await accounts.createUser());
  const requests = [
    ...[
      listOf('GET', '/'),
      listOf('GET', `/${bucket}`),
      listOf('HEAD', `/${bucket}`),
      listOf('PUT', '/made-by-nobody'),
    ],
    ...[listOf('DELETE', `/${bucket}`), listOf('GET', `/${bucket}/there`), listOf('HEAD', `/${bucket}/there`)],
    ...[listOf('PUT', `/${bucket}/mine`), listOf('DELETE', `/${bucket}/there`)],
    { method: 'POST', path: `/${bucket}/mine`, query: 'uploads=' },
    { method: 'PUT', path: `/${bucket}/mine`, headers: { 'x-amz-copy-source': `/${bucket}/there` } },
    { method: 'GET', path: `/${bucket}`, query: 'uploads=' },
    { method: 'GET', path: `/${bucket}`, query: 'location=' },
  ];
  for (const request of requests) {
    expect((await accounts.s3(session, request)).status, JSON.stringify(request)).toBe(403);
  }
  for (const path of ['list-users', 'list-canned-policies', 'export-iam']) {
    expect(await accounts.as(session, { method: 'GET', path }), path).toMatchObject({ code: 'AccessDenied' });
  }
  expect(await isStored('there')).toBe(true);
  expect(await isStored('mine')).toBe(false);
});

function listOf(method: string, path: string) {
  return { method, path };
}

test('CVE-2022-24842: a session creates no access key for another account, or for root', async () => {
  const victim = await accounts.createUser(allowAdmin('admin:*'));
  const session = await accounts.session(await accounts.createUser(allowS3('s3:*')));
  for (const targetUser of [victim.accessKey, root.accessKey, 'nobody-at-all']) {
    const answer = await accounts.as(session, { method: 'PUT', path: 'add-service-account', sealed: { targetUser } });
    expect(answer).toMatchObject({ status: 403, code: 'AccessDenied' });
  }
});

test('CVE-2023-27589: what a session creates has neither the access key of root nor that of another', async () => {
  const user = await accounts.createUser(allowS3('s3:*'));
  const session = await accounts.session(user);
  const other = await accounts.session(await accounts.createUser());
  for (const accessKey of [root.accessKey, user.accessKey, other.accessKey, session.accessKey]) {
    const sealed = { accessKey, secretKey: 'another-secret' };
    const answer = await accounts.as(session, { method: 'PUT', path: 'add-service-account', sealed });
    expect(answer.status, accessKey).toBe(accessKey.length > 20 ? 400 : 403);
  }
  expect((await accounts.s3(session, { method: 'GET', path: '/' })).status).toBe(200);
});

test('CVE-2024-24747: a restricted session does not widen the access keys of its account', async () => {
  const owner = await accounts.createUser(allowAdmin('admin:*'), allowS3('s3:*'));
  const key = await accounts.createKey(owner, document(allowS3('s3:GetObject')));
  const restricted = await accounts.session(owner, { Policy: policyText(allowS3('s3:*')) });
  const update = { method: 'POST', path: 'update-service-account', query: { accessKey: key.accessKey } };
  const wider = { newPolicy: document(allowS3('s3:*')) };
  for (const sealed of [wider, { newSecretKey: 'taken-over-secret' }]) {
    expect(await accounts.as(restricted, { ...update, sealed })).toMatchObject({ status: 403, code: 'AccessDenied' });
  }
  expect((await accounts.s3(key, { method: 'PUT', path: `/${bucket}/widened`, body: 'x' })).status).toBe(403);
});

test('CVE-2024-36107: who may not read cannot tell by a condition whether something is there', async () => {
  const session = await accounts.session(await accounts.createUser(allowS3('s3:ListAllMyBuckets')));
  for (const method of ['GET', 'HEAD']) {
    const answers = await Promise.all(
      ['there', 'missing'].map((key) =>
        accounts.s3(session, {
          method,
          path: `/${bucket}/${key}`,
          headers: { 'if-modified-since': new Date(Date.now() + 60_000).toUTCString() },
        }),
      ),
    );
    for (const { status, headers } of answers) {
      expect(status).toBe(403);
      expect(headers['etag'] ?? headers['last-modified']).toBeUndefined();
    }
  }
});

describe('a signature that is wrong counts, whatever the body says of itself', () => {
  const payload = 'STREAMING-UNSIGNED-PAYLOAD-TRAILER';
  const body = unsignedChunks([Buffer.from('content')], { 'x-amz-checksum-crc32': 'AAAAAA==' });
  const headers = {
    'x-amz-decoded-content-length': '7',
    'x-amz-trailer': 'x-amz-checksum-crc32',
    'content-encoding': 'aws-chunked',
  };

  test('CVE-2025-31489: in the Authorization header', async () => {
    const session = await accounts.session(await accounts.createUser(allowS3('s3:*')));
    const request = { method: 'PUT', path: `/${bucket}/forged`, payload, headers, body };
    const forged = sign(target({ ...session, secretKey: 'not-the-secret' }), request);
    const answer = await sendSigned(target(session), request, forged.headers);
    expect(answer).toMatchObject({ status: 403, code: 'SignatureDoesNotMatch' });
    expect(await isStored('forged')).toBe(false);
  });

  test('CVE-2026-40344: on the way of archives that are unpacked', async () => {
    const session = await accounts.session(await accounts.createUser(allowS3('s3:*')));
    const extracting = { ...headers, 'x-amz-meta-snowball-auto-extract': 'true' };
    const request = { method: 'PUT', path: `/${bucket}/forged.tar`, payload, headers: extracting, body };
    const forged = sign(target({ ...session, secretKey: 'not-the-secret' }), request);
    const answer = await sendSigned(target(session), request, forged.headers);
    expect(answer.status).toBeGreaterThanOrEqual(400);
    expect(await isStored('forged.tar')).toBe(false);
  });

  test('CVE-2026-41145: in the query, or in both places', async () => {
    const session = await accounts.session(await accounts.createUser(allowS3('s3:*')));
    const forger = target({ ...session, secretKey: 'not-the-secret' });
    const [path = '', query = ''] = presign(forger, { method: 'PUT', path: `/${bucket}/forged`, payload }).split('?');
    const inQuery = { host: server.host, 'x-amz-content-sha256': payload, ...headers };
    const request = { method: 'PUT', path, query, body };
    const answer = await sendSigned(forger, request, inQuery);
    expect(answer.status).toBe(403);
    const both = sign(target(session), { method: 'PUT', path, payload, headers });
    expect(await sendSigned(forger, request, both.headers)).toMatchObject({ status: 400, code: 'InvalidArgument' });
    expect(await isStored('forged')).toBe(false);
  });
});

test('CVE-2025-62506: a restricted session creates no access key that is wider than itself', async () => {
  const owner = await accounts.createUser(allowAdmin('admin:*'), allowS3('s3:*'));
  const add = { method: 'PUT', path: 'add-service-account' };
  for (const signer of [owner, root]) {
    const restricted = await accounts.session(signer, { Policy: policyText(allowS3('s3:GetObject')) });
    expect(await accounts.as(restricted, { ...add, sealed: {} })).toMatchObject({ status: 403, code: 'AccessDenied' });
    const Policy = policyText(allowAdmin('admin:CreateServiceAccount'), allowS3('s3:ListAllMyBuckets'));
    const creating = await accounts.session(signer, { Policy });
    const wide = { policy: document(allowS3('s3:*'), allowAdmin('admin:*')) };
    expect((await accounts.as(creating, { ...add, sealed: wide })).status).toBe(403);
    const child = { accessKey: `child-of-${signer.accessKey}`.slice(-20), secretKey: 'secret-of-the-child' };
    expect((await accounts.as(creating, { ...add, sealed: child })).status).toBe(200);
    expect((await accounts.s3(child, { method: 'PUT', path: '/not-by-the-child' })).status).toBe(403);
    expect((await accounts.s3(child, { method: 'GET', path: '/' })).status).toBe(200);
    expect((await accounts.as(child, { method: 'GET', path: 'list-users' })).status).toBe(403);
  }
});

test('what a session creates hangs from its account and goes with it', async () => {
  const owner = await accounts.createUser(allowS3('s3:*'));
  const session = await accounts.session(owner);
  const key = await accounts.createKey(session);
  const info = await accounts.must({ method: 'GET', path: 'info-access-key', query: { accessKey: key.accessKey } });
  expect(info).toMatchObject({ parentUser: owner.accessKey });
  const url = { method: 'GET', path: `/${bucket}/there` };
  for (const signer of [session, key, owner]) expect((await accounts.follow(signer, url)).status).toBe(200);
  await accounts.must({ method: 'DELETE', path: 'remove-user', query: { accessKey: owner.accessKey } });
  for (const signer of [session, key, owner]) {
    expect(await accounts.follow(signer, url)).toMatchObject({ status: 403, code: 'InvalidAccessKeyId' });
    expect(await accounts.assume(signer)).toMatchObject({ status: 403, code: 'AccessDenied' });
  }
});

test('access keys and sessions get no temporary credentials', async () => {
  const owner = await accounts.createUser(allowS3('s3:*'));
  for (const signer of [await accounts.createKey(owner), await accounts.session(owner), await accounts.session(root)]) {
    expect(await accounts.assume(signer)).toMatchObject({ status: 403, code: 'AccessDenied', credentials: null });
  }
});
