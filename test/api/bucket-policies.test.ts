import { createHash } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { accountsOf, document, type Accounts } from '../support/accounts.js';
import type { AdminCredentials } from '../support/admin-client.js';
import { startServerProcess, type ServerProcess } from '../support/server.js';
import { sendSigned, type Answer, type Request } from '../support/wire.js';

/** Bucket policies over the wire: who did not sign has them alone; who did has them beside the own policies. */
let server: ServerProcess;
let accounts: Accounts;
let plain: AdminCredentials;
let reader: AdminCredentials;

const root = (): AdminCredentials => ({ accessKey: server.accessKey, secretKey: server.secretKey });
const asRoot = (request: Request): Promise<Answer> => accounts.s3(root(), request);
const codeOf = ({ code, status }: Answer) => code ?? status;

/** Without a signature. */
const anyone = (method: string, path: string, more: Partial<Request> = {}): Promise<Answer> =>
  sendSigned(
    { ...root(), port: server.port, region: server.region },
    { method, path, ...more },
    { host: server.host, ...more.headers },
  );

async function setPolicy(...statements: readonly object[]): Promise<void> {
  const body = JSON.stringify(document(...statements));
  const answer = await asRoot({ method: 'PUT', path: '/open', query: 'policy', body });
  if (answer.status !== 204) throw new Error(`${answer.status} ${answer.body.toString()}`);
}

const allow = (Action: string | readonly string[], path = '/*', more: object = {}): object => ({
  Effect: 'Allow',
  Principal: '*',
  Action,
  Resource: `arn:aws:s3:::open${path}`,
  ...more,
});
const deny = (...args: Parameters<typeof allow>): object => ({ ...allow(...args), Effect: 'Deny' });

beforeAll(async () => {
  server = await startServerProcess();
  accounts = accountsOf(server);
  plain = await accounts.createUser();
  reader = await accounts.createUser({ Effect: 'Allow', Action: 's3:GetObject', Resource: '*' });
  await asRoot({ method: 'PUT', path: '/open' });
  await asRoot({ method: 'PUT', path: '/closed' });
  await asRoot({ method: 'PUT', path: '/closed/k', body: 'closed' });
}, 60_000);
afterAll(() => server.stop());
beforeEach(async () => {
  await asRoot({ method: 'DELETE', path: '/open', query: 'policy' });
  await asRoot({ method: 'PUT', path: '/open/k', body: 'content' });
  await asRoot({ method: 'PUT', path: '/open/dir/k', body: 'deeper' });
});

describe('callers who did not sign', () => {
  test('may do nothing in a bucket without a policy', async () => {
    for (const [method, path] of [
      ['GET', '/'],
      ['GET', '/open'],
      ['GET', '/open/k'],
      ['PUT', '/open/new'],
      ['DELETE', '/open/k'],
      ['POST', '/open/k?uploads'],
      ['PUT', '/another'],
      ['GET', '/open?policy'],
      ['GET', '/nowhere/k'],
    ] as const) {
      const [plainPath = '', query] = path.split('?');
      const answer = await anyone(method, plainPath, query === undefined ? {} : { query });
      expect([method, path, answer.status, answer.code]).toEqual([method, path, 403, 'AccessDenied']);
    }
    expect((await anyone('HEAD', '/open/k')).status).toBe(403);
  });

  test('read what is open, with ranges and conditions, and nothing else', async () => {
    await setPolicy(allow('s3:GetObject', '/dir/*'));
    const answer = await anyone('GET', '/open/dir/k', { headers: { range: 'bytes=0-2' } });
    expect([answer.status, answer.body.toString()]).toEqual([206, 'dee']);
    expect((await anyone('HEAD', '/open/dir/k')).headers['content-length']).toBe('6');
    for (const path of ['/open/k', '/open/dir', '/closed/k'])
      expect(codeOf(await anyone('GET', path))).toBe('AccessDenied');
    expect(codeOf(await anyone('GET', '/open'))).toBe('AccessDenied');
    expect(codeOf(await anyone('PUT', '/open/dir/k', { body: 'x' }))).toBe('AccessDenied');
    const override = await anyone('GET', '/open/dir/k', { query: 'response-content-type=text/html' });
    expect(override.code).toBe('InvalidRequest');
  });

  test('list what the prefix of the policy lets them', async () => {
    await setPolicy(
      allow('s3:ListBucket', '', {
        Condition: { StringEquals: { 's3:prefix': ['dir/', ''] }, StringLike: { 's3:delimiter': '/' } },
      }),
    );
    const list = (query: string) => anyone('GET', '/open', { query });
    expect((await list('prefix=dir/&delimiter=/')).body.toString()).toContain('<Key>dir/k</Key>');
    expect((await list('list-type=2&prefix=&delimiter=/')).status).toBe(200);
    for (const query of [
      'prefix=di&delimiter=/',
      'prefix=dir/',
      'delimiter=/',
      '',
      'prefix=x&prefix=dir/&delimiter=/',
    ]) {
      expect(codeOf(await list(query))).toBe('AccessDenied');
    }
  });

  test('upload in one piece and in parts, and by form, where they may', async () => {
    await setPolicy(allow(['s3:PutObject', 's3:AbortMultipartUpload', 's3:ListMultipartUploadParts'], '/in/*'));
    expect((await anyone('PUT', '/open/in/a', { body: 'a' })).status).toBe(200);
    const started = await anyone('POST', '/open/in/b', { query: 'uploads' });
    const uploadId = /<UploadId>([^<]+)</.exec(started.body.toString())?.[1] ?? '';
    const part = await anyone('PUT', '/open/in/b', { query: `partNumber=1&uploadId=${uploadId}`, body: 'part' });
    const body = `<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>${part.headers.etag}</ETag></Part></CompleteMultipartUpload>`;
    expect((await anyone('POST', '/open/in/b', { query: `uploadId=${uploadId}`, body })).status).toBe(200);
    const form = (key: string) =>
      `--l\r\nContent-Disposition: form-data; name="key"\r\n\r\n${key}\r\n--l\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\nx\r\n--l--\r\n`;
    const headers = { 'content-type': 'multipart/form-data; boundary=l' };
    expect((await anyone('POST', '/open', { headers, body: form('in/form') })).status).toBe(204);
    expect(codeOf(await anyone('POST', '/open', { headers, body: form('out/form') }))).toBe('AccessDenied');
    expect(codeOf(await anyone('PUT', '/open/out', { body: 'a' }))).toBe('AccessDenied');
    // What they put there they cannot read.
    expect(codeOf(await anyone('GET', '/open/in/a'))).toBe('AccessDenied');
    expect((await asRoot({ method: 'GET', path: '/open/in/b' })).body.toString()).toBe('part');
  });

  test('copy only from what they may read', async () => {
    await setPolicy(allow('s3:PutObject'));
    const copy = (source: string) => anyone('PUT', '/open/copy', { headers: { 'x-amz-copy-source': source } });
    expect(codeOf(await copy('/closed/k'))).toBe('AccessDenied');
    expect(codeOf(await copy('/open/k'))).toBe('AccessDenied');
    await setPolicy(allow(['s3:PutObject', 's3:GetObject']));
    expect((await copy('/open/k')).status).toBe(200);
    expect(codeOf(await copy('/closed/k'))).toBe('AccessDenied');
  });

  test('delete many: each key by itself', async () => {
    await setPolicy(allow('s3:DeleteObject', '/dir/*'));
    const body = '<Delete><Object><Key>k</Key></Object><Object><Key>dir/k</Key></Object></Delete>';
    const headers = { 'content-md5': createHash('md5').update(body).digest('base64') };
    const answer = await anyone('POST', '/open', { query: 'delete', body, headers });
    expect(answer.body.toString()).toMatch(/<Deleted><Key>dir\/k<\/Key><\/Deleted>/);
    expect(answer.body.toString()).toMatch(/<Error><Key>k<\/Key><Code>AccessDenied<\/Code>/);
    expect((await asRoot({ method: 'HEAD', path: '/open/k' })).status).toBe(200);
  });

  test('by address, referer and time', async () => {
    const here = { IpAddress: { 'aws:SourceIp': '127.0.0.0/8' } };
    await setPolicy(allow('s3:GetObject', '/*', { Condition: here }));
    expect((await anyone('GET', '/open/k')).status).toBe(200);
    // Neither is an address that a client claims to have.
    await setPolicy(allow('s3:GetObject', '/*', { Condition: { IpAddress: { 'aws:SourceIp': '10.0.0.0/8' } } }));
    const headers = { 'x-forwarded-for': '10.0.0.1', 'x-real-ip': '10.0.0.1', sourceip: '10.0.0.1' };
    expect(codeOf(await anyone('GET', '/open/k', { headers }))).toBe('AccessDenied');
    expect(codeOf(await anyone('GET', '/open/k', { query: 'SourceIp=10.0.0.1&aws:SourceIp=10.0.0.1' }))).toBe(
      'AccessDenied',
    );
    await setPolicy(
      allow('s3:GetObject', '/*', { Condition: { StringLike: { 'aws:Referer': 'https://example.org/*' } } }),
    );
    expect((await anyone('GET', '/open/k', { headers: { referer: 'https://example.org/a' } })).status).toBe(200);
    expect(codeOf(await anyone('GET', '/open/k', { headers: { referer: 'https://example.net/' } }))).toBe(
      'AccessDenied',
    );
    await setPolicy(
      allow('s3:GetObject', '/*', { Condition: { DateLessThan: { 'aws:CurrentTime': '2020-01-01T00:00:00Z' } } }),
    );
    expect(codeOf(await anyone('GET', '/open/k'))).toBe('AccessDenied');
  });

  test('are refused by a Deny beside the Allow, and as soon as the policy is gone', async () => {
    await setPolicy(allow('s3:GetObject'), deny('s3:*', '/dir/*'));
    expect((await anyone('GET', '/open/k')).status).toBe(200);
    expect(codeOf(await anyone('GET', '/open/dir/k'))).toBe('AccessDenied');
    expect(codeOf(await anyone('GET', '/open/dir/k', { query: 'versionId=null' }))).toBe('AccessDenied');
    await asRoot({ method: 'DELETE', path: '/open', query: 'policy' });
    expect(codeOf(await anyone('GET', '/open/k'))).toBe('AccessDenied');
  });

  test('are not whoever a wrong signature says', async () => {
    await setPolicy(allow('s3:*'), allow('s3:*', ''));
    expect((await anyone('GET', '/open/k')).status).toBe(200);
    const forged = { accessKey: plain.accessKey, secretKey: 'not-the-secret' };
    expect(codeOf(await accounts.s3(forged, { method: 'GET', path: '/open/k' }))).toBe('SignatureDoesNotMatch');
    const unknown = { accessKey: 'nobody-here', secretKey: 'not-the-secret' };
    expect(codeOf(await accounts.s3(unknown, { method: 'GET', path: '/open/k' }))).toBe('InvalidAccessKeyId');
  });
});

test('the fields of a form are what its policy is asked about, not the headers beside it', async () => {
  const standard = { StringEquals: { 's3:x-amz-storage-class': 'STANDARD' } };
  await setPolicy(allow('s3:PutObject', '/*', { Condition: standard }));
  const form = (storageClass: string) =>
    ['key', 'x-amz-storage-class', 'file']
      .map((name, index) => {
        const file = name === 'file' ? '; filename="f"' : '';
        return `--l\r\nContent-Disposition: form-data; name="${name}"${file}\r\n\r\n${['form', storageClass, 'x'][index] ?? ''}\r\n`;
      })
      .join('') + '--l--\r\n';
  const headers = { 'content-type': 'multipart/form-data; boundary=l', 'x-amz-storage-class': 'STANDARD' };
  const post = (storageClass: string) => anyone('POST', '/open', { headers, body: form(storageClass) });
  expect(codeOf(await post('REDUCED_REDUNDANCY'))).toBe('AccessDenied');
  expect((await post('STANDARD')).status).toBe(204);
});

describe('callers who signed', () => {
  test('have what the bucket gives to everybody, or to them', async () => {
    const get = (as: AdminCredentials) => accounts.s3(as, { method: 'GET', path: '/open/k' });
    expect(codeOf(await get(plain))).toBe('AccessDenied');
    await setPolicy(allow('s3:GetObject'));
    expect((await get(plain)).status).toBe(200);
    await setPolicy(allow('s3:GetObject', '/*', { Principal: { AWS: [plain.accessKey] } }));
    expect((await get(plain)).status).toBe(200);
    expect(codeOf(await anyone('GET', '/open/k'))).toBe('AccessDenied');
    await setPolicy(allow('s3:GetObject', '/*', { Principal: { AWS: [reader.accessKey] } }));
    expect(codeOf(await get(plain))).toBe('AccessDenied');
  });

  test('are bound by its Deny; root is not', async () => {
    const get = (as: AdminCredentials) => accounts.s3(as, { method: 'GET', path: '/open/k' });
    expect((await get(reader)).status).toBe(200);
    await setPolicy(deny('s3:GetObject'));
    expect(codeOf(await get(reader))).toBe('AccessDenied');
    expect((await get(root())).status).toBe(200);
    await setPolicy(deny('s3:GetObject', '/*', { Principal: { AWS: plain.accessKey } }));
    expect((await get(reader)).status).toBe(200);
    // Nor is root kept from taking back what closes the bucket.
    await setPolicy(deny('s3:*'), deny('s3:*', ''));
    expect((await asRoot({ method: 'DELETE', path: '/open', query: 'policy' })).status).toBe(204);
    expect((await get(reader)).status).toBe(200);
  });

  test('with an access key are the account behind it', async () => {
    const key = await accounts.createKey(plain);
    await setPolicy(allow('s3:GetObject', '/*', { Principal: { AWS: plain.accessKey } }));
    expect((await accounts.s3(key, { method: 'GET', path: '/open/k' })).status).toBe(200);
    await setPolicy(allow('s3:GetObject', '/*', { Principal: { AWS: key.accessKey } }));
    expect(codeOf(await accounts.s3(key, { method: 'GET', path: '/open/k' }))).toBe('AccessDenied');
  });
});

describe('a session never exceeds its account', () => {
  const ways = [
    { method: 'PUT', path: '/open/k', body: 'x' },
    { method: 'GET', path: '/open' },
    { method: 'GET', path: '/open', query: 'policy' },
  ];
  test('whatever policy it asks for', async () => {
    const Policy = JSON.stringify(document({ Effect: 'Allow', Action: 's3:*', Resource: '*' }));
    for (const parameters of [{}, { Policy }]) {
      const session = await accounts.session(reader, parameters);
      expect((await accounts.s3(session, { method: 'GET', path: '/open/k' })).status).toBe(200);
      for (const request of ways) expect(codeOf(await accounts.s3(session, request))).toBe('AccessDenied');
    }
  });

  test('and one that restricts itself has no more of what the bucket gives', async () => {
    const Policy = JSON.stringify(
      document({ Effect: 'Allow', Action: 's3:GetObject', Resource: 'arn:aws:s3:::open/k' }),
    );
    const session = await accounts.session(reader, { Policy });
    await setPolicy(allow('s3:*'), allow('s3:*', ''));
    expect((await accounts.s3(session, { method: 'GET', path: '/open/k' })).status).toBe(200);
    expect(codeOf(await accounts.s3(session, { method: 'GET', path: '/open/dir/k' }))).toBe('AccessDenied');
    for (const request of ways) expect(codeOf(await accounts.s3(session, request))).toBe('AccessDenied');
    await setPolicy(deny('s3:GetObject', '/*', { Principal: { AWS: reader.accessKey } }));
    expect(codeOf(await accounts.s3(session, { method: 'GET', path: '/open/k' }))).toBe('AccessDenied');
  });
});

describe('an access key never exceeds its account', () => {
  const everything = document(
    { Effect: 'Allow', Action: 's3:*', Resource: '*' },
    { Effect: 'Allow', Action: 'admin:*' },
  );
  const ways = [
    { method: 'PUT', path: '/open/k', body: 'x' },
    { method: 'DELETE', path: '/open/k' },
    { method: 'GET', path: '/open' },
    { method: 'GET', path: '/open', query: 'policy' },
    { method: 'PUT', path: '/mine' },
  ];
  test.each([
    ['that inherits', undefined],
    ['with a policy of its own that allows everything', everything],
  ])('%s', async (_what, policy) => {
    const key = await accounts.createKey(reader, policy);
    expect((await accounts.s3(key, { method: 'GET', path: '/open/k' })).status).toBe(200);
    for (const request of ways) expect(codeOf(await accounts.s3(key, request))).toBe('AccessDenied');
    const admin = await accounts.as(key, { method: 'GET', path: 'list-users' });
    expect(admin.code).toBe('AccessDenied');
    // What the account loses, the key loses.
    await accounts.grant(reader, { Effect: 'Allow', Action: 's3:PutObject', Resource: '*' });
    expect(codeOf(await accounts.s3(key, { method: 'GET', path: '/open/k' }))).toBe('AccessDenied');
    expect((await accounts.s3(key, { method: 'PUT', path: '/open/k', body: 'x' })).status).toBe(200);
    await accounts.grant(reader, { Effect: 'Allow', Action: 's3:GetObject', Resource: '*' });
  });

  test('that restricts is restricted, also against what the bucket gives', async () => {
    const only = document({ Effect: 'Allow', Action: 's3:GetObject', Resource: 'arn:aws:s3:::open/dir/*' });
    const key = await accounts.createKey(reader, only);
    expect((await accounts.s3(key, { method: 'GET', path: '/open/dir/k' })).status).toBe(200);
    expect(codeOf(await accounts.s3(key, { method: 'GET', path: '/open/k' }))).toBe('AccessDenied');
    await setPolicy(allow('s3:*'), allow('s3:*', ''));
    for (const request of [{ method: 'GET', path: '/open/k' }, ...ways.slice(0, -1)]) {
      expect(codeOf(await accounts.s3(key, request))).toBe('AccessDenied');
    }
  });

  test('of root, restricted, is restricted', async () => {
    const only = document({ Effect: 'Allow', Action: 's3:GetObject', Resource: '*' });
    const key = await accounts.createKey(root(), only);
    expect((await accounts.s3(key, { method: 'GET', path: '/open/k' })).status).toBe(200);
    for (const request of ways) expect(codeOf(await accounts.s3(key, request))).toBe('AccessDenied');
    expect((await accounts.as(key, { method: 'GET', path: 'list-users' })).code).toBe('AccessDenied');
    await setPolicy(deny('s3:GetObject'));
    expect(codeOf(await accounts.s3(key, { method: 'GET', path: '/open/k' }))).toBe('AccessDenied');
  });
});

test('how long a key may live is for policies to say', async () => {
  const expiration = (hours: number) => new Date(Date.now() + hours * 3_600_000).toISOString();
  const condition = { NumericGreaterThan: { 'svc:DurationSeconds': '7200' } };
  const user = await accounts.createUser({
    Effect: 'Deny',
    Action: 'admin:CreateServiceAccount',
    Condition: condition,
  });
  const create = (hours: number) =>
    accounts.as(user, { method: 'PUT', path: 'add-service-account', sealed: { expiration: expiration(hours) } });
  expect((await create(1)).status).toBe(200);
  expect((await create(3)).code).toBe('AccessDenied');
});

test('a policy comes back as it was put; one that is wrong changes nothing', async () => {
  const statement = allow('s3:GetObject', '/*', { Sid: 'ünï' });
  await setPolicy(statement);
  const answer = await asRoot({ method: 'GET', path: '/open', query: 'policy' });
  expect(answer.headers['content-type']).toBe('application/json');
  expect(JSON.parse(answer.body.toString())).toEqual(document(statement));
  const wrong = await asRoot({
    method: 'PUT',
    path: '/open',
    query: 'policy',
    body: '{"Version":"2012-10-17","Statement":[{}]}',
  });
  expect([wrong.status, wrong.code]).toEqual([400, 'MalformedPolicy']);
  expect(wrong.body.toString()).toContain('Statement[0] (line 1, column 38): a statement has an Effect');
  expect((await anyone('GET', '/open/k')).status).toBe(200);
});
