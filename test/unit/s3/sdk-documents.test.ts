/** The documents as a client reads and writes them that nobody here wrote: the AWS SDK, without a socket between. */
import { Readable } from 'node:stream';
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  DeleteBucketCommand,
  DeleteObjectsCommand,
  GetBucketLocationCommand,
  ListMultipartUploadsCommand,
  ListObjectsCommand,
  ListObjectsV2Command,
  ListPartsCommand,
  paginateListBuckets,
  paginateListObjectsV2,
  S3Client,
} from '@aws-sdk/client-s3';
import { beforeEach, describe, expect, test } from 'vitest';
import { abortMultipartUpload } from '../../../src/s3/abort-multipart-upload.js';
import { completeMultipartUpload } from '../../../src/s3/complete-multipart-upload.js';
import { createBucket } from '../../../src/s3/create-bucket.js';
import { createMultipartUpload } from '../../../src/s3/create-multipart-upload.js';
import { deleteBucket } from '../../../src/s3/delete-bucket.js';
import { deleteObjects } from '../../../src/s3/delete-objects.js';
import { getBucketLocation } from '../../../src/s3/get-bucket-location.js';
import { listBuckets } from '../../../src/s3/list-buckets.js';
import { listMultipartUploads } from '../../../src/s3/list-multipart-uploads.js';
import { listObjectsV1, listObjectsV2 } from '../../../src/s3/list-objects.js';
import { listParts } from '../../../src/s3/list-parts.js';
import type { S3Operation } from '../../../src/s3/router.js';
import { DocumentFixture, fullChecksum } from './document-fixture.js';

interface SdkRequest {
  readonly method: string;
  readonly path: string;
  readonly query?: Readonly<Record<string, string | null>>;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
}

/** The answer goes through the operation under test, whatever the router would say. */
class Sdk {
  readonly fixture = new DocumentFixture();
  operation: S3Operation = listBuckets;
  readonly client = new S3Client({
    region: 'us-east-1',
    endpoint: 'http://localhost:9000',
    forcePathStyle: true,
    maxAttempts: 1,
    credentials: { accessKeyId: 'key', secretAccessKey: 'secret' },
    requestHandler: { handle: (request: SdkRequest) => this.#handle(request) } as never,
  });

  async #handle({ method, path, query, headers, body }: SdkRequest) {
    const pairs = Object.entries(query ?? {}).map(([name, value]) => `${name}=${encodeURIComponent(value ?? '')}`);
    const sent = { method, target: `${path}?${pairs.join('&')}`, headers, ...(body === undefined ? {} : { body }) };
    const answer = await this.fixture.send(this.operation, sent);
    const response = {
      statusCode: answer.status,
      headers: Object.fromEntries(answer.headers),
      body: Readable.from([Buffer.from(answer.text)]),
    };
    return { response };
  }
}

let sdk: Sdk;
const Bucket = 'bucket';
const oddKeys = [
  'a/1',
  'a/2',
  '<&>"\'',
  '\u0001\u001f',
  'line\nfeed\t\r',
  ' space ',
  '\u00e9/\u{1f33e}',
  '\u0085\u2028\ufffe',
  '&amp;&#x1;',
  '0123',
  'true',
  ']]>',
];

beforeEach(async () => {
  sdk = new Sdk();
  await sdk.fixture.bucket();
});

describe('listings', () => {
  beforeEach(async () => {
    for (const key of oddKeys) await sdk.fixture.put(key);
  });

  test('every key comes back as it is', async () => {
    const sorted = [...oddKeys].sort();
    sdk.operation = listObjectsV1;
    const first = await sdk.client.send(new ListObjectsCommand({ Bucket }));
    expect(first.Contents?.map(({ Key }) => Key).sort()).toEqual(sorted);
    sdk.operation = listObjectsV2;
    const found: (string | undefined)[] = [];
    for await (const page of paginateListObjectsV2({ client: sdk.client, pageSize: 5 }, { Bucket })) {
      expect(page.KeyCount).toBe(page.Contents?.length);
      found.push(...(page.Contents ?? []).map(({ Key }) => Key));
    }
    expect(found.sort()).toEqual(sorted);
  });

  test('url-encoded, with prefixes', async () => {
    sdk.operation = listObjectsV2;
    const page = await sdk.client.send(new ListObjectsV2Command({ Bucket, Delimiter: '/', EncodingType: 'url' }));
    expect(page.CommonPrefixes).toEqual([{ Prefix: 'a/' }, { Prefix: '%C3%A9/' }]);
    const names = page.Contents?.map(({ Key }) => decodeURIComponent(Key!.replaceAll('+', ' ')));
    expect(names?.sort()).toEqual(oddKeys.filter((key) => !key.includes('/')).sort());
  });

  test('what the SDK escapes is deleted; what it sends raw and XML cannot carry is refused as a whole', async () => {
    sdk.operation = deleteObjects;

    const isRaw = (key: string) => /[\u0001\ufffe]/.test(key);
    const deleteAll = (keys: string[]) =>
      sdk.client.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects: keys.map((Key) => ({ Key })) } }));
    await expect(deleteAll(oddKeys)).rejects.toMatchObject({ name: 'MalformedXML' });
    const keys = oddKeys.filter((key) => !isRaw(key));
    const { Deleted, Errors } = await deleteAll(keys);
    expect([Deleted?.map(({ Key }) => Key), Errors]).toEqual([keys, undefined]);
    sdk.operation = listObjectsV2;
    const left = await sdk.client.send(new ListObjectsV2Command({ Bucket }));
    expect(left.Contents?.map(({ Key }) => Key).sort()).toEqual(oddKeys.filter(isRaw).sort());
  });
});

test('buckets', async () => {
  sdk.operation = createBucket;
  await sdk.client.send(
    new CreateBucketCommand({
      Bucket: 'second',
      CreateBucketConfiguration: { LocationConstraint: 'us-east-1' as never },
    }),
  );
  sdk.operation = getBucketLocation;
  await expect(sdk.client.send(new GetBucketLocationCommand({ Bucket: 'second' }))).resolves.not.toHaveProperty(
    'LocationConstraint',
  );
  sdk.operation = listBuckets;
  const names: (string | undefined)[] = [];
  for await (const page of paginateListBuckets({ client: sdk.client, pageSize: 1 }, {})) {
    names.push(...(page.Buckets ?? []).map(({ Name }) => Name));
  }
  expect(names).toEqual(['bucket', 'second']);
  await sdk.fixture.put('a');
  sdk.operation = deleteBucket;
  await expect(sdk.client.send(new DeleteBucketCommand({ Bucket }))).rejects.toMatchObject({ name: 'BucketNotEmpty' });
});

test('a multipart upload from its start to its end', async () => {
  const Key = 'm&m';
  sdk.operation = createMultipartUpload;
  const created = await sdk.client.send(new CreateMultipartUploadCommand({ Bucket, Key, ChecksumAlgorithm: 'CRC32' }));
  expect(created).toMatchObject({ Bucket, Key, ChecksumAlgorithm: 'CRC32', ChecksumType: 'COMPOSITE' });
  const UploadId = created.UploadId!;
  const part = await sdk.fixture.putPart(Key, UploadId, 1, Buffer.from('hello'), 'CRC32');
  const checksum = fullChecksum('CRC32', Buffer.from('hello')).value;
  sdk.operation = listParts;
  const { Parts } = await sdk.client.send(new ListPartsCommand({ Bucket, Key, UploadId }));
  expect(Parts).toEqual([
    {
      PartNumber: 1,
      LastModified: new Date(sdk.fixture.clock.ms),
      ETag: `"${part.etag}"`,
      Size: 5,
      ChecksumCRC32: checksum,
    },
  ]);
  sdk.operation = listMultipartUploads;
  const { Uploads } = await sdk.client.send(new ListMultipartUploadsCommand({ Bucket }));
  expect(Uploads).toMatchObject([{ Key, UploadId, ChecksumAlgorithm: 'CRC32' }]);
  sdk.operation = completeMultipartUpload;
  const MultipartUpload = { Parts: [{ PartNumber: 1, ETag: `"${part.etag}"`, ChecksumCRC32: checksum }] };
  const done = await sdk.client.send(
    new CompleteMultipartUploadCommand({ Bucket, Key, UploadId, MultipartUpload, MpuObjectSize: 5 }),
  );
  expect(done).toMatchObject({
    Bucket,
    Key,
    Location: 'http://localhost:9000/bucket/m%26m',
    ChecksumType: 'COMPOSITE',
  });
  expect([done.ETag, done.ChecksumCRC32]).toEqual([
    expect.stringMatching(/^"[0-9a-f]{32}-1"$/),
    expect.stringMatching(/==-1$/),
  ]);
  sdk.operation = abortMultipartUpload;
  const again = sdk.client.send(new AbortMultipartUploadCommand({ Bucket, Key, UploadId }));
  await expect(again).rejects.toMatchObject({ name: 'NoSuchUpload', $metadata: { httpStatusCode: 404 } });
});
