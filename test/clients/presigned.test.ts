import { createHash } from 'node:crypto';
import {
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  GetBucketLocationCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListBucketsCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
  UploadPartCommand,
  type PutObjectCommandInput,
} from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startServerProcess, type ServerProcess } from '../support/server.js';

/** URLs presigned by the AWS SDK for JavaScript, followed by who knows nothing but the URL. */
let server: ServerProcess;
let s3: S3Client;

const connect = (region: string) =>
  new S3Client({
    endpoint: server.url,
    region,
    forcePathStyle: true,
    credentials: { accessKeyId: server.accessKey, secretAccessKey: server.secretKey },
  });

beforeAll(async () => {
  server = await startServerProcess();
  s3 = connect(server.region);
  await s3.send(new CreateBucketCommand({ Bucket: 'files' }));
});
afterAll(async () => {
  s3.destroy();
  await server.stop();
});

const body = 'what the URL is followed with';
const sha256 = (text: string) => createHash('sha256').update(text).digest('base64');
const code = (text: string) => /<Code>([^<]*)</.exec(text)?.[1];
const head = (Key: string) => s3.send(new HeadObjectCommand({ Bucket: 'files', Key, ChecksumMode: 'ENABLED' }));

async function put(key: string, input: Partial<PutObjectCommandInput>, headers: Record<string, string> = {}) {
  const url = await getSignedUrl(s3, new PutObjectCommand({ Bucket: 'files', Key: key, ...input }), { expiresIn: 60 });
  return fetch(url, { method: 'PUT', body, headers });
}

describe('a presigned PUT', () => {
  test('stores the metadata and the class that its signer chose', async () => {
    const { status } = await put(
      'metadata',
      { Metadata: { color: 'light blue', b: '2' }, StorageClass: 'REDUCED_REDUNDANCY', WebsiteRedirectLocation: '/x' },
      { 'content-type': 'text/x-y', 'cache-control': 'max-age=3' },
    );
    expect(status).toBe(200);
    expect(await head('metadata')).toMatchObject({
      Metadata: { color: 'light blue', b: '2' },
      StorageClass: 'REDUCED_REDUNDANCY',
      WebsiteRedirectLocation: '/x',
      ContentType: 'text/x-y',
      CacheControl: 'max-age=3',
      ContentLength: body.length,
    });
  });

  test('is not held to the checksum of the empty body that the SDK signs unasked', async () => {
    expect((await put('plain', {})).status).toBe(200);
    expect((await put('asked', { ChecksumAlgorithm: 'SHA256' })).status).toBe(200);
    expect(await head('asked')).not.toHaveProperty('ChecksumSHA256');
  });

  test('is held to the checksum that its signer gave', async () => {
    const right = await put('checked', { ChecksumSHA256: sha256(body) });
    expect([right.status, right.headers.get('x-amz-checksum-sha256')]).toEqual([200, sha256(body)]);
    expect(await head('checked')).toMatchObject({ ChecksumSHA256: sha256(body) });
    const wrong = await put('wrong', { ChecksumSHA256: sha256('something else') });
    expect([wrong.status, code(await wrong.text())]).toEqual([400, 'BadDigest']);
    await expect(head('wrong')).rejects.toMatchObject({ name: 'NotFound' });
  });

  test('refuses what would be lost, and headers that were not signed', async () => {
    for (const [input, headers] of [
      [{ ACL: 'public-read' }, {}],
      [{ Tagging: 'a=b' }, {}],
      // The SDK leaves this one to be sent.
      [{ ServerSideEncryption: 'AES256' }, { 'x-amz-server-side-encryption': 'AES256' }],
    ] as const) {
      const answer = await put('lost', input, headers);
      expect([answer.status, code(await answer.text())]).toEqual([501, 'NotImplemented']);
    }
    const added = await put('added', {}, { 'x-amz-meta-added': '1' });
    expect([added.status, code(await added.text())]).toEqual([403, 'AccessDenied']);
  });

  test('keeps its preconditions', async () => {
    expect((await put('once', { IfNoneMatch: '*' }, { 'if-none-match': '*' })).status).toBe(200);
    const again = await put('once', { IfNoneMatch: '*' }, { 'if-none-match': '*' });
    expect([again.status, code(await again.text())]).toEqual([412, 'PreconditionFailed']);
  });
});

test('presigned parts of an upload', async () => {
  const target = { Bucket: 'files', Key: 'parts' };
  const { UploadId } = await s3.send(new CreateMultipartUploadCommand(target));
  const command = new UploadPartCommand({ ...target, UploadId, PartNumber: 1 });
  const answer = await fetch(await getSignedUrl(s3, command), { method: 'PUT', body });
  expect([answer.status, answer.headers.get('etag')]).toEqual([
    200,
    `"${createHash('md5').update(body).digest('hex')}"`,
  ]);
});

test('a presigned GET answers with the headers that its signer chose', async () => {
  await put('shown', {});
  const input = { Bucket: 'files', Key: 'shown', ResponseContentType: 'text/html', ChecksumMode: 'ENABLED' } as const;
  const answer = await fetch(await getSignedUrl(s3, new GetObjectCommand(input)));
  expect([answer.status, answer.headers.get('content-type'), await answer.text()]).toEqual([200, 'text/html', body]);
});

describe('a client with another region', () => {
  test('may ask where a bucket is and which there are, and is told the region on everything else', async () => {
    const far = connect('eu-central-1');
    try {
      const { LocationConstraint } = await far.send(new GetBucketLocationCommand({ Bucket: 'files' }));
      expect(LocationConstraint ?? '').toBe('');
      const { Buckets } = await far.send(new ListBucketsCommand({}));
      expect(Buckets?.map(({ Name }) => Name)).toEqual(['files']);
      const wrongSecret = new S3Client({
        endpoint: server.url,
        region: 'eu-central-1',
        forcePathStyle: true,
        credentials: { accessKeyId: server.accessKey, secretAccessKey: 'not the secret' },
      });
      await expect(wrongSecret.send(new GetBucketLocationCommand({ Bucket: 'files' }))).rejects.toMatchObject({
        name: 'SignatureDoesNotMatch',
      });
      wrongSecret.destroy();
      await expect(far.send(new ListObjectsV2Command({ Bucket: 'files' }))).rejects.toMatchObject({
        name: 'AuthorizationHeaderMalformed',
        Region: 'us-east-1',
      });
    } finally {
      far.destroy();
    }
  });
});
