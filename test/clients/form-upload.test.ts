import { createHash, createHmac } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { join } from 'node:path';
import { Client } from 'minio';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { awsCli, mustSucceed, python, runProgram, type Program } from '../support/clients.js';
import { startServerProcess, type ServerProcess } from '../support/server.js';
import { patternBytes } from '../support/tree.js';

/** Uploads of a browser's form, with policies that other libraries signed and forms that other programs sent. */
let server: ServerProcess;
let minio: Client;
let aws: (args: readonly string[]) => Promise<string>;
let work: string;

beforeAll(async () => {
  server = await startServerProcess();
  work = join(server.folder, 'work');
  mkdirSync(work);
  aws = mustSucceed(awsCli(server));
  const { accessKey, secretKey, port } = server;
  minio = new Client({ endPoint: '127.0.0.1', port, useSSL: false, accessKey, secretKey, region: server.region });
  await aws(['s3', 'mb', 's3://files']);
});
afterAll(async () => {
  await server.stop();
});

const code = (text: string) => /<Code>([^<]*)</.exec(text)?.[1];
const message = (text: string) => /<Message>([^<]*)</.exec(text)?.[1];
const curl: Program = (args, options) =>
  runProgram('curl', ['--silent', '--show-error', ...args], join(server.folder, 'home'), options);
const head = async (key: string) =>
  JSON.parse(await aws(['s3api', 'head-object', '--bucket', 'files', '--key', key, '--output', 'json'])) as object;

async function read(key: string): Promise<Buffer> {
  await aws(['s3api', 'get-object', '--bucket', 'files', '--key', key, join(work, 'read')]);
  return readFileSync(join(work, 'read'));
}

/** The fields of a form whose policy has one condition for each, and these. */
function signedFields(
  fields: Readonly<Record<string, string>>,
  conditions: readonly unknown[] = [],
  { secretKey = server.secretKey, expiresMs = Date.now() + 60_000 } = {},
): Record<string, string> {
  const amzDate = new Date().toISOString().replace(/[-:]|\.\d{3}/g, '');
  const day = amzDate.slice(0, 8);
  const all: Record<string, string> = {
    ...fields,
    'x-amz-algorithm': 'AWS4-HMAC-SHA256',
    'x-amz-credential': `${server.accessKey}/${day}/${server.region}/s3/aws4_request`,
    'x-amz-date': amzDate,
  };
  const covered = Object.entries(all).map(([name, value]) => ({ [name]: value }));
  const policy = Buffer.from(
    JSON.stringify({ expiration: new Date(expiresMs).toISOString(), conditions: [...covered, ...conditions] }),
  ).toString('base64');
  const hmac = (key: string | Buffer, text: string) => createHmac('sha256', key).update(text).digest();
  const key = ['s3', 'aws4_request'].reduce(hmac, hmac(hmac(`AWS4${secretKey}`, day), server.region));
  return { ...all, policy, 'x-amz-signature': hmac(key, policy).toString('hex') };
}

async function post(
  fields: Readonly<Record<string, string>>,
  file: string | Uint8Array,
  after: Readonly<Record<string, string>> = {},
): Promise<{ status: number; text: string; headers: Headers }> {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) form.append(name, value);
  form.append('file', new Blob([file], { type: 'text/x-browser' }), 'picture.png');
  for (const [name, value] of Object.entries(after)) form.append(name, value);
  const answer = await fetch(`${server.url}/files`, { method: 'POST', body: form, redirect: 'manual' });
  return { status: answer.status, text: await answer.text(), headers: answer.headers };
}

const bytes = patternBytes(300_000, 4);
const etagOf = (body: Uint8Array) => `"${createHash('md5').update(body).digest('hex')}"`;

describe('a form with a policy of SigV4', () => {
  test('of the MinIO client, sent by fetch', async () => {
    const policy = minio.newPostPolicy();
    policy.setBucket('files');
    policy.setKeyStartsWith('from/');
    policy.setContentTypeStartsWith('image/');
    policy.setContentLengthRange(10, 1_000_000);
    policy.setExpires(new Date(Date.now() + 60_000));
    const { postURL, formData } = await minio.presignedPostPolicy(policy);
    expect(postURL).toBe(`${server.url}/files`);
    const fields = { ...(formData as Record<string, string>), key: 'from/${filename}', 'Content-Type': 'image/png' };
    const answer = await post(fields, bytes);
    expect(answer).toMatchObject({ status: 204, text: '' });
    expect(answer.headers.get('etag')).toBe(etagOf(bytes));
    expect(answer.headers.get('location')).toBe(`${server.url}/files/from/picture.png`);
    expect((await read('from/picture.png')).equals(bytes)).toBe(true);
    expect(await head('from/picture.png')).toMatchObject({ ContentType: 'image/png', ETag: etagOf(bytes) });

    expect(code((await post(fields, 'too short')).text)).toBe('EntityTooSmall');
    expect(code((await post(fields, new Uint8Array(1_000_001))).text)).toBe('EntityTooLarge');
    for (const [changes, text] of [
      [{ key: 'elsewhere' }, /Policy Condition failed: \["starts-with", "\$key", "from\/"\]/],
      [{ 'Content-Type': 'text/html' }, /Policy Condition failed/],
      [{ 'x-amz-meta-a': '1' }, /Extra input fields: x-amz-meta-a/],
    ] as const) {
      const { status, text: body } = await post({ ...fields, ...changes }, bytes);
      expect([status, code(body)]).toEqual([403, 'AccessDenied']);
      expect(message(body)?.replaceAll('&quot;', '"')).toMatch(text);
    }
    await expect(head('elsewhere')).rejects.toThrow('404');
  });

  test('keeps metadata, class and checksum; answers 200, 201 and a redirect', async () => {
    const sha256 = createHash('sha256').update(bytes).digest('base64');
    const fields = {
      key: 'a b/ü&<>.bin',
      'content-type': 'application/x-form',
      'Cache-Control': 'max-age=7',
      'x-amz-meta-color': 'blau',
      'x-amz-storage-class': 'REDUCED_REDUNDANCY',
      'x-amz-checksum-sha256': sha256,
    };
    const created = await post(signedFields({ ...fields, success_action_status: '201' }), bytes);
    expect(created.status).toBe(201);
    const location = `${server.url}/files/a%20b/%C3%BC%26%3C%3E.bin`;
    expect(created.text).toBe(
      `<?xml version="1.0" encoding="UTF-8"?>\n<PostResponse><Location>${location}</Location><Bucket>files</Bucket>` +
        `<Key>a b/ü&amp;&lt;&gt;.bin</Key><ETag>&quot;${etagOf(bytes).slice(1, -1)}&quot;</ETag></PostResponse>`,
    );
    expect(created.headers.get('x-amz-checksum-sha256')).toBe(sha256);
    expect(await head(fields.key)).toMatchObject({
      ContentType: 'application/x-form',
      CacheControl: 'max-age=7',
      Metadata: { color: 'blau' },
      StorageClass: 'REDUCED_REDUNDANCY',
    });
    expect((await post(signedFields({ key: 'k', success_action_status: '200' }), bytes)).status).toBe(200);
    const success_action_redirect = 'https://example.org/done?x=1#part';
    const redirected = await post(signedFields({ key: 'a b', success_action_redirect }), bytes);
    expect(redirected.status).toBe(303);
    const etag = encodeURIComponent(etagOf(bytes));
    expect(redirected.headers.get('location')).toBe(
      `https://example.org/done?x=1&bucket=files&key=a+b&etag=${etag}#part`,
    );
    const wrong = await post(signedFields({ key: 'wrong', 'x-amz-checksum-sha256': sha256 }), 'other');
    expect(code(wrong.text)).toBe('BadDigest');
    await expect(head('wrong')).rejects.toThrow('404');
  });

  test('is refused without a right signature, expired, or with what would be lost', async () => {
    const renamed = (fields: Record<string, string>) => ({
      ...fields,
      'x-amz-credential': (fields['x-amz-credential'] as string).replace(server.accessKey, 'nobody'),
    });
    const refusals: [Record<string, string>, string][] = [
      [{ key: 'k' }, 'AccessDenied'],
      [{}, 'InvalidArgument'],
      [signedFields({ key: 'k' }, [], { secretKey: 'wrong' }), 'SignatureDoesNotMatch'],
      [signedFields({ key: 'k' }, [], { expiresMs: Date.now() - 1000 }), 'AccessDenied'],
      [signedFields({ key: 'k' }, [{ bucket: 'other' }]), 'AccessDenied'],
      [renamed(signedFields({ key: 'k' })), 'InvalidAccessKeyId'],
      [{ ...signedFields({ key: 'k' }), 'x-amz-credential': 'nobody' }, 'InvalidArgument'],
      [{ ...signedFields({ key: 'k' }), 'x-amz-date': '20200101T000000Z' }, 'InvalidArgument'],
      [{ ...signedFields({ key: 'k' }), 'x-amz-algorithm': 'none' }, 'InvalidArgument'],
      [{ ...signedFields({ key: 'k' }), policy: 'e30=' }, 'SignatureDoesNotMatch'],
      [{ key: 'k', policy: signedFields({ key: 'k' })['policy'] as string }, 'InvalidArgument'],
      [signedFields({ key: 'k', acl: 'public-read' }), 'NotImplemented'],
      [signedFields({ key: 'k', tagging: '<Tagging/>' }), 'NotImplemented'],
      [signedFields({ key: 'k'.repeat(1025) }), 'KeyTooLongError'],
    ];
    for (const [fields, expected] of refusals) {
      const { text } = await post(fields, bytes);
      expect(code(text), JSON.stringify(fields)).toBe(expected);
    }
    const region = signedFields({ key: 'k' });
    region['x-amz-credential'] = (region['x-amz-credential'] as string).replace(server.region, 'eu-west-9');
    const far = await post(region, bytes);
    expect(code(far.text)).toBe('AuthorizationQueryParametersError');
    expect(far.text).toContain(`<Region>${server.region}</Region>`);
  });
});

test('boto3 generate_presigned_post in both versions, sent by curl', async () => {
  const script = `
import boto3, json, os
from botocore.config import Config
for version in ('s3', 's3v4'):
    s3 = boto3.client('s3', endpoint_url=os.environ['GRANARY_ENDPOINT'], config=Config(signature_version=version))
    fields = {'Content-Type': 'text/plain', 'success_action_status': '201'}
    print(json.dumps(s3.generate_presigned_post('files', version + '/\${filename}', Fields=fields,
        Conditions=[{'Content-Type': 'text/plain'}, {'success_action_status': '201'}, ['content-length-range', 0, 100000000]])))
`;
  const posts = (await mustSucceed(python(server))(['-c', script])).trim().split('\n');
  const large = patternBytes(20 * 1024 * 1024 + 3, 6);
  writeFileSync(join(work, 'large file.bin'), large);
  for (const [index, version] of ['s3', 's3v4'].entries()) {
    const { url, fields } = JSON.parse(posts[index] ?? '') as { url: string; fields: Record<string, string> };
    expect('signature' in fields).toBe(version === 's3');
    const form = Object.entries(fields).flatMap(([name, value]) => ['--form-string', `${name}=${value}`]);
    const sent = await curl([...form, '--form', `file=@${join(work, 'large file.bin')}`, url]);
    expect(sent.stdout).toContain(`<Key>${version}/large file.bin</Key>`);
    expect((await read(`${version}/large file.bin`)).equals(large)).toBe(true);
    const tampered = form.map((text) => text.replace('text/plain', 'text/html'));
    const refused = await curl([...tampered, '--form', `file=@${join(work, 'large file.bin')}`, url]);
    expect(code(refused.stdout)).toBe('AccessDenied');
    const forged = form.map((text) => text.replace(/^policy=/, 'policy=IA'));
    expect(code((await curl([...forged, '--form', 'file=x', url])).stdout)).toBe('SignatureDoesNotMatch');
  }
});

describe('the length of the file', () => {
  const boundary = 'the-boundary';
  const limit = 8 * 1024 * 1024;

  const body = (key: string, file: Uint8Array, closing: string) => {
    const fields = Object.entries(signedFields({ key })).map(
      ([name, value]) => `--${boundary}\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`,
    );
    const fileHead = `--${boundary}\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n`;
    return Buffer.concat([Buffer.from(fields.join('') + fileHead), file, Buffer.from(closing)]);
  };

  const send = (data: Buffer, headers: Record<string, string | number> = { 'content-length': data.length }) =>
    new Promise<{ status: number; text: string }>((resolve, reject) => {
      const call = httpRequest(`${server.url}/files/`, {
        method: 'POST',
        headers: { 'content-type': `multipart/form-data; boundary=${boundary}`, ...headers },
      });
      let isAnswered = false;
      call.on('error', (error) => isAnswered || reject(error));
      call.once('response', (response) => {
        isAnswered = true;
        let text = '';
        response.on('data', (data: Buffer) => (text += data.toString()));
        response.once('end', () => resolve({ status: response.statusCode ?? 0, text }));
        response.once('error', reject);
      });
      call.end(data);
    });

  const usual = `\r\n--${boundary}--\r\n`;
  const withoutLineBreak = `\r\n--${boundary}--`;
  const submit = `\r\n--${boundary}\r\nContent-Disposition: form-data; name="submit"\r\n\r\nUpload${usual}`;

  test.each([
    [0, usual],
    [0, submit],
    [1, withoutLineBreak],
    [65_537, submit],
    [1024 * 1024, withoutLineBreak],
    [limit - 1000, submit],
    [limit - 20, usual],
    [limit + 1, usual],
    [limit + 5 * 1024 * 1024, usual],
  ])('of %i bytes is found in front of %j', async (length, closing) => {
    const file = patternBytes(length, 8);
    expect(await send(body('sized', file, closing))).toMatchObject({ status: 204 });
    expect((await read('sized')).equals(file)).toBe(true);
  });

  test.each([withoutLineBreak, submit, `\r\n--${boundary}--\r\nmore`])(
    'of a large one must follow from the length of the request: %j is refused',
    async (closing) => {
      const { status, text } = await send(body('unsized', patternBytes(limit + 1000, 9), closing));
      expect([status, code(text)]).toEqual([400, 'InvalidRequest']);
      expect(message(text)).toMatch(/^The length of the file is not known: a file of more than 8388608 bytes must/);
      await expect(head('unsized')).rejects.toThrow('404');
    },
  );

  test('cannot be known of a chunked request', async () => {
    const { status, text } = await send(body('unsized', bytes, usual), { 'transfer-encoding': 'chunked' });
    expect([status, code(text)]).toEqual([411, 'MissingContentLength']);
  });

  test('forms that are no forms', async () => {
    for (const [data, expected] of [
      [Buffer.from('nothing'), 'MalformedPOSTRequest'],
      [Buffer.from(`--${boundary}--\r\n`), 'IncorrectNumberOfFilesInPostRequest'],
      [body('cut', bytes, ''), 'MalformedPOSTRequest'],
      [Buffer.alloc(200_000, 'x'), 'MaxPostPreDataLengthExceeded'],
    ] as const) {
      expect(code((await send(data)).text)).toBe(expected);
    }
    const { status, text } = await send(bytes, { 'content-type': 'text/plain', 'content-length': bytes.length });
    expect([status, code(text)]).toEqual([412, 'PreconditionFailed']);
  });
});
