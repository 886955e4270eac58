import { request as httpRequest } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { adminPrefixes } from '../../src/admin/index.js';
import { accountsOf, document, type Accounts } from '../support/accounts.js';
import type { AdminCredentials } from '../support/admin-client.js';
import { startServerProcess, type ServerProcess } from '../support/server.js';
import { send, sendSigned, sign, unsigned, unsignedChunks, type Answer, type Request } from '../support/wire.js';

/**
 * What let callers past their policies in servers of S3 before: one test for each advisory. Those of administration
 * are in `admin-advisories.test.ts`.
 */
let server: ServerProcess;
let accounts: Accounts;
let plain: AdminCredentials;
let reader: AdminCredentials;

const root = (): AdminCredentials => ({ accessKey: server.accessKey, secretKey: server.secretKey });
const asRoot = (request: Request): Promise<Answer> => accounts.s3(root(), request);
const target = (as: AdminCredentials) => ({ ...as, port: server.port, region: server.region });
const codeOf = ({ code, status, headers }: Answer) => code ?? headers['x-minio-error-code'] ?? status;

beforeAll(async () => {
  server = await startServerProcess();
  accounts = accountsOf(server);
  plain = await accounts.createUser();
  reader = await accounts.createUser({ Effect: 'Allow', Action: ['s3:GetObject', 's3:ListBucket'], Resource: '*' });
  await asRoot({ method: 'PUT', path: '/files' });
  await asRoot({ method: 'PUT', path: '/files/k', body: 'content' });
}, 60_000);
afterAll(() => server.stop());

/** Over the wire as it is: a client library would tidy the path. */
function raw(method: string, path: string, headers: Record<string, string> = {}): Promise<number> {
  return new Promise((resolve, reject) => {
    const sent = httpRequest({ host: '127.0.0.1', port: server.port, method, path, headers, agent: false });
    sent.once('response', (response) => {
      response.resume();
      response.once('end', () => resolve(response.statusCode ?? 0));
    });
    sent.once('error', reject);
    sent.end();
  });
}

const presigned = (as: AdminCredentials, amzDate: string): string => {
  const scope = `${amzDate.slice(0, 8)}/${server.region}/s3/aws4_request`;
  return new URLSearchParams({
    'X-Amz-Algorithm': 'AWS4-HMAC-SHA256',
    'X-Amz-Credential': `${as.accessKey}/${scope}`,
    'X-Amz-Date': amzDate,
    'X-Amz-Expires': '60',
    'X-Amz-SignedHeaders': 'host',
    'X-Amz-Signature': '0'.repeat(64),
  }).toString();
};
const now = () => new Date().toISOString().replace(/[-:]|\.\d+/g, '');

test('CVE-2021-21362: who may only read uploads by no way', async () => {
  const chunked = {
    method: 'PUT',
    path: '/files/new',
    payload: 'STREAMING-UNSIGNED-PAYLOAD-TRAILER',
    headers: { 'x-amz-decoded-content-length': '1', 'content-encoding': 'aws-chunked' },
    body: unsignedChunks([Buffer.from('x')], {}),
  };
  for (const request of [
    { method: 'PUT', path: '/files/new', body: 'x' },
    { method: 'PUT', path: '/files/new', body: 'x', payload: unsigned },
    { method: 'PUT', path: '/files/new', headers: { 'x-amz-copy-source': '/files/k' } },
    { method: 'POST', path: '/files/new', query: 'uploads' },
    chunked,
  ]) {
    expect(codeOf(await accounts.s3(reader, request))).toBe('AccessDenied');
  }
  expect((await asRoot({ method: 'HEAD', path: '/files/new' })).status).toBe(404);
});

test('CVE-2021-41137: a user has what a policy gives, from the first request to the last', async () => {
  const user = await accounts.createUser({ Effect: 'Allow', Action: 's3:GetObject', Resource: 'arn:aws:s3:::files/k' });
  const get = (path: string) => accounts.s3(user, { method: 'GET', path });
  expect((await get('/files/k')).status).toBe(200);
  expect(codeOf(await get('/files/other'))).toBe('AccessDenied');
  await accounts.must({
    method: 'POST',
    path: 'idp/builtin/policy/detach',
    sealed: { policies: [`policy-of-${user.accessKey}`], user: user.accessKey },
  });
  expect(codeOf(await get('/files/k'))).toBe('AccessDenied');
});

test('CVE-2023-28432: no path answers to callers without a signature with more than health', async () => {
  const paths = [
    '/minio/bootstrap/v1/verify',
    '/minio/admin/v3/info',
    '/minio/admin/v1/info',
    '/minio/v2/metrics/cluster',
  ]
    .concat('/minio/storage', '/minio/lock/v1', '/minio/peer/v1/serverinfo', '/minio/kms/v1/status', '/minio/webrpc')
    .concat(adminPrefixes.map((prefix) => `${prefix}v3/accountinfo`));
  for (const path of paths) {
    for (const method of ['GET', 'POST']) {
      const status = await raw(method, path);
      expect([method, path, status >= 400 && status !== 500]).toEqual([method, path, true]);
    }
  }
  expect(await raw('GET', '/minio/health/live')).toBe(200);
});

describe('CVE-2023-28434, and the fixes of 2019: what the server keeps for itself is no bucket', () => {
  const names = ['.minio.sys', '.granary', 'minio', '.granary.sys', '.minio.sys/config', '..', '.'];
  test.each(names)('%s', async (name) => {
    const encoded = encodeURIComponent(name).replaceAll('.', '%2e');
    for (const path of [`/${name}`, `/${encoded}`, `/${name}/config/iam/format.json`]) {
      for (const [method, body] of [['GET'], ['PUT', 'x'], ['DELETE'], ['HEAD']] as const) {
        const answer = await asRoot({ method, path, ...(body !== undefined && { body }) });
        expect([method, path, answer.status >= 400]).toEqual([method, path, true]);
        expect(answer.status, `${method} ${path}`).not.toBe(500);
      }
    }
    const copy = await asRoot({
      method: 'PUT',
      path: '/files/stolen',
      headers: { 'x-amz-copy-source': `/${name}/config/iam/format.json` },
    });
    expect(copy.status).toBeGreaterThanOrEqual(400);
  });

  test('also by a form, whatever type it says it is', async () => {
    const body =
      '--l\r\nContent-Disposition: form-data; name="key"\r\n\r\nconfig/x\r\n--l\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\nx\r\n--l--\r\n';
    for (const type of [
      'multipart/form-data; boundary=l',
      'MULTIPART/FORM-DATA; boundary="l"',
      'text/plain, multipart/form-data; boundary=l',
    ]) {
      for (const path of ['/.minio.sys', '/minio', '/files/../.minio.sys']) {
        const headers = { host: server.host, 'content-type': type };
        const answer = await sendSigned(target(root()), { method: 'POST', path, body }, headers);
        expect(answer.status, `${path} ${type}`).toBeGreaterThanOrEqual(400);
      }
    }
  });
});

test('CVE-2023-28433: a backslash, dots and slashes lead out of no bucket', async () => {
  const user = await accounts.createUser({
    Effect: 'Allow',
    Action: 's3:*',
    Resource: ['arn:aws:s3:::own', 'arn:aws:s3:::own/*'],
  });
  await asRoot({ method: 'PUT', path: '/own' });
  for (const key of [
    '..%5cfiles%5ck',
    '../files/k',
    '%2e%2e/files/k',
    '..%2ffiles%2fk',
    '/files/k',
    '.%5c..%5cfiles%5ck',
  ]) {
    const put = await accounts.s3(user, { method: 'PUT', path: `/own/${key}`, body: 'overwritten' });
    expect([key, put.status === 200 || put.status === 400]).toEqual([key, true]);
    expect(codeOf(await accounts.s3(user, { method: 'GET', path: `/${key}` }))).not.toBe(200);
  }
  expect((await asRoot({ method: 'GET', path: '/files/k' })).body.toString()).toBe('content');
});

describe('CVE-2024-36107: conditions tell nothing to those who may not read', () => {
  const conditions = [
    {},
    { 'if-modified-since': 'Mon, 01 Jan 2001 00:00:00 GMT' },
    { 'if-modified-since': new Date(Date.now() - 1000).toUTCString() },
    { 'if-unmodified-since': 'Mon, 01 Jan 2001 00:00:00 GMT' },
    { 'if-none-match': '*' },
    { 'if-match': '"9a0364b9e99bb480dd25e1f0284c8555"' },
    { range: 'bytes=100-' },
  ];
  test.each(conditions)('%j', async (headers) => {
    for (const method of ['GET', 'HEAD']) {
      const ask = (path: string, as: AdminCredentials | null) => {
        const request = { method, path, headers };
        if (as !== null) return accounts.s3(as, request);
        return sendSigned(target(plain), request, { host: server.host, ...headers });
      };
      for (const as of [null, plain]) {
        const [there, absent] = [await ask('/files/k', as), await ask('/files/absent', as)];
        for (const answer of [there, absent]) {
          expect([answer.status, codeOf(answer)]).toEqual([403, 'AccessDenied']);
          expect(answer.headers).not.toHaveProperty('etag');
          expect(answer.headers).not.toHaveProperty('last-modified');
        }
        expect(Object.keys(there.headers).sort()).toEqual(Object.keys(absent.headers).sort());
      }
    }
  });
});

describe('CVE-2025-31489, CVE-2026-40344, CVE-2026-41145: a body without signed chunks is not a request without a signature', () => {
  const body = unsignedChunks([Buffer.from('forged')], { 'x-amz-checksum-crc32': 'AAAAAA==' });
  const headers = {
    'x-amz-decoded-content-length': '6',
    'content-encoding': 'aws-chunked',
    'x-amz-trailer': 'x-amz-checksum-crc32',
  };
  const request = (more: Partial<Request> = {}): Request => ({
    method: 'PUT',
    path: '/files/forged',
    payload: 'STREAMING-UNSIGNED-PAYLOAD-TRAILER',
    body,
    ...more,
    headers: { ...headers, ...more.headers },
  });

  test('signed with a wrong secret, or with a key that is not there', async () => {
    const wrong = { accessKey: server.accessKey, secretKey: 'not-the-secret' };
    expect(codeOf(await send(target(wrong), request()))).toBe('SignatureDoesNotMatch');
    const unknown = { accessKey: 'nobody-here', secretKey: 'not-the-secret' };
    expect(codeOf(await send(target(unknown), request()))).toBe('InvalidAccessKeyId');
  });

  test('with a credential in the query that nobody signed for', async () => {
    const query = presigned(root(), now());
    const plainHeaders = {
      host: server.host,
      'x-amz-content-sha256': 'STREAMING-UNSIGNED-PAYLOAD-TRAILER',
      ...headers,
    };
    const answer = await sendSigned(target(root()), request({ query }), plainHeaders);
    expect(answer.status).toBeGreaterThanOrEqual(400);
    // Half of it in the query, half in a header.
    const half = new URLSearchParams({
      'X-Amz-Credential': `${server.accessKey}/${now().slice(0, 8)}/us-east-1/s3/aws4_request`,
    });
    expect(
      (await sendSigned(target(root()), request({ query: half.toString() }), plainHeaders)).status,
    ).toBeGreaterThanOrEqual(400);
    const both = await sendSigned(target(plain), request({ query }), sign(target(plain), request()).headers);
    expect(both.status).toBeGreaterThanOrEqual(400);
  });

  test('that asks to be unpacked', async () => {
    const wrong = { accessKey: server.accessKey, secretKey: 'not-the-secret' };
    const answer = await send(target(wrong), request({ headers: { 'x-amz-meta-snowball-auto-extract': 'true' } }));
    expect(answer.status).toBeGreaterThanOrEqual(400);
  });

  test('and nothing of it was stored', async () => {
    expect((await asRoot({ method: 'HEAD', path: '/files/forged' })).status).toBe(404);
  });
});

test('CVE-2026-34204: headers of replication and of the server itself become nothing that is stored', async () => {
  const writer = await accounts.createUser({
    Effect: 'Allow',
    Action: ['s3:PutObject', 's3:GetObject'],
    Resource: '*',
  });
  const hidden = {
    'x-minio-replication-server-side-encryption-sealed-key': 'AAAA',
    'x-minio-replication-server-side-encryption-iv': 'AAAA',
    'x-minio-source-mtime': '2001-01-01T00:00:00Z',
    'x-minio-source-etag': '00000000000000000000000000000000',
  };
  const put = await accounts.s3(writer, { method: 'PUT', path: '/files/replica', body: 'plain', headers: hidden });
  if (put.status === 200) {
    const got = await accounts.s3(writer, { method: 'GET', path: '/files/replica' });
    expect([got.status, got.body.toString()]).toEqual([200, 'plain']);
    expect(got.headers['last-modified']).not.toContain('2001');
    expect(got.headers.etag).not.toContain('00000000000000000000000000000000');
    for (const name of Object.keys(got.headers)) expect(name).not.toMatch(/replication|sealed|x-minio/);
  } else expect(put.status).toBeLessThan(500);
  const internal = { 'x-minio-internal-server-side-encryption-iv': 'AAAA' };
  const refused = await accounts.s3(writer, {
    method: 'PUT',
    path: '/files/internal',
    body: 'plain',
    headers: internal,
  });
  expect(refused.code).toBe('InvalidArgument');
});

test('names of condition keys in headers and query change no decision', async () => {
  const only = { StringEquals: { 'aws:username': 'somebody-else' } };
  const user = await accounts.createUser({ Effect: 'Allow', Action: 's3:GetObject', Resource: '*', Condition: only });
  const names = ['username', 'userid', 'groups', 'aws:username', 'principaltype', 'jwt:username'];
  const headers = Object.fromEntries(
    names.filter((name) => !name.includes(':')).map((name) => [name, 'somebody-else']),
  );
  const query = names.map((name) => `${encodeURIComponent(name)}=somebody-else`).join('&');
  expect(codeOf(await accounts.s3(user, { method: 'GET', path: '/files/k', headers, query }))).toBe('AccessDenied');
});

test('a user whose name is a pattern is nobody else', async () => {
  const policy = document({
    Effect: 'Allow',
    Action: 's3:GetObject',
    Resource: 'arn:aws:s3:::files/home/${aws:username}/*',
  });
  await accounts.must({
    method: 'PUT',
    path: 'add-canned-policy',
    query: { name: 'own-home' },
    body: JSON.stringify(policy),
  });
  await asRoot({ method: 'PUT', path: '/files/home/alice/secret', body: 'of alice' });
  for (const accessKey of ['***', 'a?ice', 'alice*', 'alice']) {
    const user = { accessKey, secretKey: 'secret-of-a-pattern' };
    await accounts.must({
      method: 'PUT',
      path: 'add-user',
      query: { accessKey },
      sealed: { secretKey: user.secretKey, status: 'enabled' },
    });
    await accounts.must({
      method: 'POST',
      path: 'idp/builtin/policy/attach',
      sealed: { policies: ['own-home'], user: accessKey },
    });
    const answer = await accounts.s3(user, { method: 'GET', path: '/files/home/alice/secret' });
    expect([accessKey, answer.status]).toEqual([accessKey, accessKey === 'alice' ? 200 : 403]);
  }
});
