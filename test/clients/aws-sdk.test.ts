import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import {
  AbortMultipartUploadCommand,
  ChecksumAlgorithm,
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  DeleteBucketCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetBucketVersioningCommand,
  GetObjectAttributesCommand,
  GetObjectCommand,
  GetObjectTaggingCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  ListBucketsCommand,
  ListObjectVersionsCommand,
  ListObjectsV2Command,
  ListPartsCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
  PutObjectTaggingCommand,
  S3Client,
  UploadPartCommand,
  paginateListObjectsV2,
  waitUntilObjectNotExists,
  type S3ClientConfig,
} from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startServerProcess, type ServerProcess } from '../support/server.js';
import { versionPages } from '../support/version-pages.js';
import { differences, filesBelow, makeBigFile, makeTree, patternBytes, sameBytes } from '../support/tree.js';

/** The AWS SDK for JavaScript with its own defaults: a CRC32 with every upload, as a trailer of a stream. */
const Bucket = 'files';
let server: ServerProcess;
let s3: S3Client;
let work: string;
const clients: S3Client[] = [];

function connect(settings: Partial<S3ClientConfig> = {}): S3Client {
  const client = new S3Client({
    endpoint: server.url,
    region: server.region,
    forcePathStyle: true,
    credentials: { accessKeyId: server.accessKey, secretAccessKey: server.secretKey },
    maxAttempts: 1,
    ...settings,
  });
  clients.push(client);
  return client;
}

beforeAll(async () => {
  server = await startServerProcess();
  work = join(server.folder, 'work');
  mkdirSync(work);
  s3 = connect();
  await s3.send(new CreateBucketCommand({ Bucket }));
});
afterAll(async () => {
  for (const client of clients) client.destroy();
  await server.stop();
});

async function read(Key: string, more: { Range?: string; PartNumber?: number } = {}): Promise<Buffer> {
  const { Body } = await s3.send(new GetObjectCommand({ Bucket, Key, ChecksumMode: 'ENABLED', ...more }));
  return Buffer.from((await Body?.transformToByteArray()) ?? []);
}

async function forEach<T>(items: readonly T[], atOnce: number, visit: (item: T) => Promise<unknown>): Promise<void> {
  const rest = [...items];
  const worker = async () => {
    for (let item = rest.pop(); item !== undefined; item = rest.pop()) await visit(item);
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
}

/** Name and HTTP status of the refusal. */
async function refusal(sent: Promise<unknown>): Promise<string> {
  try {
    await sent;
  } catch (error) {
    const { name, $metadata } = error as { name: string; $metadata?: { httpStatusCode?: number } };
    return `${name} ${$metadata?.httpStatusCode}`;
  }
  return 'accepted';
}

test('a tree goes in and out unchanged, as streams', async () => {
  const tree = join(work, 'tree');
  const copy = join(work, 'copy');
  makeTree(tree, { control: true });
  const paths = filesBelow(tree);
  await forEach(paths, 16, (path) =>
    s3.send(
      new PutObjectCommand({
        Bucket,
        Key: `tree/${path}`,
        Body: createReadStream(join(tree, path)),
        ContentLength: readFileSync(join(tree, path)).length,
      }),
    ),
  );
  const listed: string[] = [];
  for await (const page of paginateListObjectsV2({ client: s3, pageSize: 300 }, { Bucket, EncodingType: 'url' })) {
    for (const { Key = '' } of page.Contents ?? []) listed.push(decodeURIComponent(Key.replaceAll('+', ' ')));
  }
  expect(listed).toEqual(paths.map((path) => `tree/${path}`));
  await forEach(paths, 16, async (path) => {
    const { Body } = await s3.send(new GetObjectCommand({ Bucket, Key: `tree/${path}` }));
    mkdirSync(dirname(join(copy, path)), { recursive: true });
    await pipeline(Body as Readable, createWriteStream(join(copy, path)));
  });
  expect(differences(tree, copy)).toEqual([]);
  await forEach(paths, 16, (path) => s3.send(new DeleteObjectCommand({ Bucket, Key: `tree/${path}` })));
  expect((await s3.send(new ListObjectsV2Command({ Bucket }))).KeyCount).toBe(0);
  for (const path of [tree, copy]) rmSync(path, { recursive: true });
});

test('a file of over 1 GiB, in parallel parts, in and out', async () => {
  const big = join(work, 'big');
  makeBigFile(big);
  const upload = new Upload({
    client: s3,
    params: { Bucket, Key: 'big', Body: createReadStream(big, { highWaterMark: 1024 * 1024 }) },
    partSize: 32 * 1024 * 1024,
    queueSize: 4,
  });
  await upload.done();
  const { Body } = await s3.send(new GetObjectCommand({ Bucket, Key: 'big' }));
  await pipeline(Body as Readable, createWriteStream(`${big}-copy`));
  expect(sameBytes(big, `${big}-copy`)).toBe(true);
  await s3.send(new DeleteObjectCommand({ Bucket, Key: 'big' }));
  for (const path of [big, `${big}-copy`]) rmSync(path);
});

describe('bodies', () => {
  const lengths = [0, 1, 8191, 8192, 65_536, 131_073, 1_048_576, 3_000_001];

  test.each(lengths)('%i bytes, as bytes and as a stream', async (length) => {
    const body = patternBytes(length, length);
    const { ETag } = await s3.send(new PutObjectCommand({ Bucket, Key: 'bytes', Body: body }));
    expect(ETag).toBe(`"${createHash('md5').update(body).digest('hex')}"`);
    expect((await read('bytes')).equals(body)).toBe(true);
    const stream = Readable.from([body]);
    await s3.send(new PutObjectCommand({ Bucket, Key: 'stream', Body: stream, ContentLength: length }));
    expect((await read('stream')).equals(body)).toBe(true);
  });

  test.each(Object.values(ChecksumAlgorithm).filter((name) => /^(CRC|SHA1$|SHA256$)/.test(name)))(
    '%s as a header and as a trailer',
    async (algorithm) => {
      const member = `Checksum${algorithm}` as 'ChecksumCRC32';
      const body = patternBytes(300_000, 1);
      const asHeader = await s3.send(
        new PutObjectCommand({ Bucket, Key: 'sum', Body: body, ChecksumAlgorithm: algorithm }),
      );
      const want = asHeader[member];
      expect(want).toMatch(/^[A-Za-z0-9+/]+=*$/);
      const asTrailer = await s3.send(
        new PutObjectCommand({
          Bucket,
          Key: 'sum',
          Body: Readable.from([body.subarray(0, 100_000), body.subarray(100_000)]),
          ContentLength: body.length,
          ChecksumAlgorithm: algorithm,
        }),
      );
      expect(asTrailer[member]).toBe(want);
      const head = await s3.send(new HeadObjectCommand({ Bucket, Key: 'sum', ChecksumMode: 'ENABLED' }));
      expect(head[member]).toBe(want);
      expect(head.ChecksumType).toBe('FULL_OBJECT');
      // The SDK compares what it reads with that.
      expect((await read('sum')).equals(body)).toBe(true);
      const wrong = Buffer.from(want ?? '', 'base64')
        .reverse()
        .toString('base64');
      const refused = s3.send(new PutObjectCommand({ Bucket, Key: 'sum', Body: body, [member]: wrong }));
      expect(await refusal(refused)).toBe('BadDigest 400');
    },
  );

  test.each([
    ['CRC32', 'COMPOSITE'],
    ['CRC32C', 'COMPOSITE'],
    ['SHA1', 'COMPOSITE'],
    ['SHA256', 'COMPOSITE'],
    ['CRC32', 'FULL_OBJECT'],
    ['CRC32C', 'FULL_OBJECT'],
    ['CRC64NVME', 'FULL_OBJECT'],
  ] as const)('%s of a multipart upload, %s', async (algorithm, type) => {
    const member = `Checksum${algorithm}` as 'ChecksumCRC32';
    const parts = [patternBytes(5 * 1024 * 1024, 1), patternBytes(5 * 1024 * 1024, 2), patternBytes(77, 3)];
    const target = { Bucket, Key: `parts-${algorithm}-${type}` };
    const { UploadId, ChecksumType } = await s3.send(
      new CreateMultipartUploadCommand({ ...target, ChecksumAlgorithm: algorithm, ChecksumType: type }),
    );
    expect(ChecksumType).toBe(type);
    const Parts = await Promise.all(
      parts.map(async (Body, index) => {
        const part = { ...target, UploadId, PartNumber: index + 1, Body, ChecksumAlgorithm: algorithm };
        const answer = await s3.send(new UploadPartCommand(part));
        return { PartNumber: index + 1, ETag: answer.ETag, [member]: answer[member] };
      }),
    );
    const listed = await s3.send(new ListPartsCommand({ ...target, UploadId }));
    expect(listed.Parts?.map((part) => part[member])).toEqual(Parts.map((part) => part[member]));
    const done = await s3.send(
      new CompleteMultipartUploadCommand({ ...target, UploadId, MultipartUpload: { Parts }, ChecksumType: type }),
    );
    expect(done.ChecksumType).toBe(type);
    if (type === 'COMPOSITE') expect(done[member]).toMatch(/-3$/);
    else {
      const whole = Buffer.concat(parts);
      const single = await s3.send(
        new PutObjectCommand({ Bucket, Key: 'single', Body: whole, ChecksumAlgorithm: algorithm }),
      );
      expect(done[member]).toBe(single[member]);
    }
    expect((await read(target.Key)).equals(Buffer.concat(parts))).toBe(true);
    expect((await read(target.Key, { PartNumber: 2 })).equals(parts[1] as Buffer)).toBe(true);
  });

  test('checksums only when they are required, and an MD5', async () => {
    const quiet = connect({ requestChecksumCalculation: 'WHEN_REQUIRED', responseChecksumValidation: 'WHEN_REQUIRED' });
    const body = patternBytes(100_000, 5);
    const ContentMD5 = createHash('md5').update(body).digest('base64');
    await quiet.send(new PutObjectCommand({ Bucket, Key: 'quiet', Body: body, ContentMD5 }));
    expect((await read('quiet')).equals(body)).toBe(true);
    const other = quiet.send(new PutObjectCommand({ Bucket, Key: 'quiet', Body: body.subarray(1), ContentMD5 }));
    expect(await refusal(other)).toBe('BadDigest 400');
    expect((await read('quiet')).equals(body)).toBe(true);
  });

  test('2 MiB wait for 100-continue', async () => {
    const body = patternBytes(2 * 1024 * 1024, 6);
    const client = connect({ requestChecksumCalculation: 'WHEN_REQUIRED' });
    client.middlewareStack.add(
      (next) => (args) => {
        (args.request as { headers: Record<string, string> }).headers['expect'] = '100-continue';
        return next(args);
      },
      { step: 'build' },
    );
    await client.send(new PutObjectCommand({ Bucket, Key: 'expect', Body: body }));
    expect((await read('expect')).equals(body)).toBe(true);
    const refused = client.send(new PutObjectCommand({ Bucket: 'no-such-bucket', Key: 'expect', Body: body }));
    expect(await refusal(refused)).toBe('NoSuchBucket 404');
  });
});

describe('objects', () => {
  test('ranges, metadata and conditions', async () => {
    const body = patternBytes(2_500_000, 7);
    const { ETag } = await s3.send(
      new PutObjectCommand({ Bucket, Key: 'object', Body: body, Metadata: { a: 'b' }, ContentType: 'text/x-odd' }),
    );
    for (const [first, last] of [
      [0, 0],
      [1_048_575, 1_048_576],
      [524_287, 2_097_153],
      [2_499_999, 2_499_999],
    ] as const) {
      expect((await read('object', { Range: `bytes=${first}-${last}` })).equals(body.subarray(first, last + 1))).toBe(
        true,
      );
    }
    const head = await s3.send(new HeadObjectCommand({ Bucket, Key: 'object', IfMatch: ETag }));
    expect(head).toMatchObject({ ContentLength: body.length, Metadata: { a: 'b' }, ContentType: 'text/x-odd', ETag });
    expect(await refusal(s3.send(new GetObjectCommand({ Bucket, Key: 'object', IfNoneMatch: ETag })))).toContain('304');
    expect(await refusal(s3.send(new GetObjectCommand({ Bucket, Key: 'object', IfMatch: '"x"' })))).toContain('412');
    const onlyNew = { Bucket, Key: 'object', Body: 'x', IfNoneMatch: '*' };
    expect(await refusal(s3.send(new PutObjectCommand(onlyNew)))).toBe('PreconditionFailed 412');
    await s3.send(new PutObjectCommand({ ...onlyNew, Key: 'new' }));
    await s3.send(new PutObjectCommand({ Bucket, Key: 'object', Body: 'y', IfMatch: ETag }));
    expect(String(await read('object'))).toBe('y');
    const attributes = s3.send(
      new GetObjectAttributesCommand({ Bucket, Key: 'object', ObjectAttributes: ['ETag', 'ObjectSize'] }),
    );
    expect(await refusal(attributes)).toBe('NotImplemented 501');
  });

  test('a key beside keys below it; markers of folders; dots', async () => {
    const keys = ['a', 'a/b', 'a/c/', 'a//d', '/leading', 'trailing/', './x', 'x/../y', '..', '.', '//', 'a b+c%20'];
    for (const Key of keys) await s3.send(new PutObjectCommand({ Bucket, Key, Body: `at ${Key}` }));
    for (const Key of keys) expect(String(await read(Key))).toBe(`at ${Key}`);
    const { Deleted } = await s3.send(
      new DeleteObjectsCommand({ Bucket, Delete: { Objects: keys.map((Key) => ({ Key })) } }),
    );
    expect(Deleted?.map(({ Key }) => Key).sort()).toEqual([...keys].sort());
    for (const Key of keys) await waitUntilObjectNotExists({ client: s3, maxWaitTime: 10 }, { Bucket, Key });
  });

  test('copies on the server', async () => {
    const body = patternBytes(1_300_000, 8);
    await s3.send(new PutObjectCommand({ Bucket, Key: 'from + ü', Body: body, Metadata: { a: 'b' } }));
    const CopySource = `${Bucket}/${encodeURIComponent('from + ü')}`;
    await s3.send(new CopyObjectCommand({ Bucket, Key: 'to', CopySource }));
    expect((await read('to')).equals(body)).toBe(true);
    const head = await s3.send(new HeadObjectCommand({ Bucket, Key: 'to' }));
    expect(head.Metadata).toEqual({ a: 'b' });
  });

  test('an upload that is given up leaves nothing', async () => {
    const { UploadId } = await s3.send(new CreateMultipartUploadCommand({ Bucket, Key: 'gone' }));
    await s3.send(new UploadPartCommand({ Bucket, Key: 'gone', UploadId, PartNumber: 1, Body: 'x' }));
    await s3.send(new AbortMultipartUploadCommand({ Bucket, Key: 'gone', UploadId }));
    const parts = s3.send(new ListPartsCommand({ Bucket, Key: 'gone', UploadId }));
    expect(await refusal(parts)).toBe('NoSuchUpload 404');
  });

  test('an upload that is cut off leaves the object as it was', async () => {
    await s3.send(new PutObjectCommand({ Bucket, Key: 'kept', Body: 'as it was' }));
    const cut = new AbortController();
    const body = Readable.from(
      (async function* () {
        yield patternBytes(3_000_000, 1);
        cut.abort();
        await new Promise((resolve) => setTimeout(resolve, 50));
      })(),
    );
    const sent = s3.send(new PutObjectCommand({ Bucket, Key: 'kept', Body: body, ContentLength: 9_000_000 }), {
      abortSignal: cut.signal,
    });
    expect(await refusal(sent)).toContain('AbortError');
    expect(String(await read('kept'))).toBe('as it was');
  });
});

describe('signed addresses', () => {
  test('to read and to write', async () => {
    const put = await getSignedUrl(s3, new PutObjectCommand({ Bucket, Key: 'signed ü+', ContentType: 'a/b' }), {
      expiresIn: 60,
    });
    const sent = await fetch(put, { method: 'PUT', body: 'by an address', headers: { 'content-type': 'a/b' } });
    expect(sent.status, await sent.text()).toBe(200);
    const get = await getSignedUrl(s3, new GetObjectCommand({ Bucket, Key: 'signed ü+' }), { expiresIn: 60 });
    expect(await (await fetch(get)).text()).toBe('by an address');
    expect((await fetch(get, { method: 'DELETE' })).status).toBe(403);
    const late = await getSignedUrl(s3, new GetObjectCommand({ Bucket, Key: 'signed ü+' }), {
      expiresIn: 60,
      signingDate: new Date(Date.now() - 120_000),
    });
    const answer = await fetch(late);
    expect(answer.status).toBe(403);
    expect(await answer.text()).toContain('Request has expired');
  });
});

describe('buckets and refusals', () => {
  test('buckets come and go', async () => {
    await s3.send(new CreateBucketCommand({ Bucket: 'another' }));
    expect((await s3.send(new HeadBucketCommand({ Bucket: 'another' }))).BucketRegion).toBe(server.region);
    const { Buckets } = await s3.send(new ListBucketsCommand());
    expect(Buckets?.map(({ Name }) => Name)).toEqual(['another', Bucket]);
    expect((await s3.send(new GetBucketVersioningCommand({ Bucket: 'another' }))).Status).toBe(undefined);
    expect(await refusal(s3.send(new CreateBucketCommand({ Bucket: 'another' })))).toBe('BucketAlreadyOwnedByYou 409');
    await s3.send(new PutObjectCommand({ Bucket: 'another', Key: 'x' }));
    expect(await refusal(s3.send(new DeleteBucketCommand({ Bucket: 'another' })))).toBe('BucketNotEmpty 409');
    await s3.send(new DeleteObjectCommand({ Bucket: 'another', Key: 'x' }));
    await s3.send(new DeleteBucketCommand({ Bucket: 'another' }));
  });

  test('versions: pages of them, markers, null versions, many ended at once', async () => {
    const versions = { Bucket: 'versions' };
    await s3.send(new CreateBucketCommand(versions));
    await s3.send(new PutObjectCommand({ ...versions, Key: 'a', Body: 'before' }));
    const setTo = (Status: 'Enabled' | 'Suspended') =>
      s3.send(new PutBucketVersioningCommand({ ...versions, VersioningConfiguration: { Status } }));
    await setTo('Enabled');
    expect((await s3.send(new GetBucketVersioningCommand(versions))).Status).toBe('Enabled');
    for (const Key of ['a', 'b/1', 'b/2', 'c']) {
      for (const Body of ['one', 'two']) await s3.send(new PutObjectCommand({ ...versions, Key, Body }));
    }
    const marker = await s3.send(new DeleteObjectCommand({ ...versions, Key: 'a' }));
    expect(marker.DeleteMarker).toBe(true);
    await setTo('Suspended');
    const suspended = await s3.send(new PutObjectCommand({ ...versions, Key: 'a', Body: 'null again' }));
    expect(suspended.VersionId).toBe(undefined);
    const before = await s3.send(new GetObjectCommand({ ...versions, Key: 'a', VersionId: 'null' }));
    expect(await before.Body?.transformToString()).toBe('null again');
    const byMarker = new GetObjectCommand({ ...versions, Key: 'a', VersionId: marker.VersionId });
    expect(await refusal(s3.send(byMarker))).toBe('MethodNotAllowed 405');
    const found: string[] = [];
    for await (const page of versionPages(s3, { ...versions, Delimiter: '/', MaxKeys: 3 })) {
      for (const { Key, IsLatest, Size } of page.Versions ?? [])
        found.push(`${Key} ${Size}${IsLatest ? ' latest' : ''}`);
      for (const { Key, IsLatest } of page.DeleteMarkers ?? []) found.push(`${Key} marker${IsLatest ? ' latest' : ''}`);
      for (const { Prefix } of page.CommonPrefixes ?? []) found.push(Prefix ?? '');
    }
    expect(found.sort()).toEqual(['a 10 latest', 'a 3', 'a 3', 'a marker', 'b/', 'c 3', 'c 3 latest']);
    const { Versions = [], DeleteMarkers = [] } = await s3.send(new ListObjectVersionsCommand(versions));
    const Objects = [...Versions, ...DeleteMarkers].map(({ Key, VersionId }) => ({ Key, VersionId }));
    const { Deleted = [] } = await s3.send(new DeleteObjectsCommand({ ...versions, Delete: { Objects } }));
    expect(Deleted.map(({ VersionId }) => VersionId).sort()).toEqual(Objects.map(({ VersionId }) => VersionId).sort());
    await s3.send(new DeleteBucketCommand(versions));
  });

  test('codes and statuses', async () => {
    expect(await refusal(s3.send(new GetObjectCommand({ Bucket, Key: 'nothing' })))).toBe('NoSuchKey 404');
    expect(await refusal(s3.send(new HeadObjectCommand({ Bucket, Key: 'nothing' })))).toBe('NotFound 404');
    expect(await refusal(s3.send(new ListObjectsV2Command({ Bucket: 'nowhere' })))).toBe('NoSuchBucket 404');
    await s3.send(new PutObjectCommand({ Bucket, Key: 'kept', Body: 'as it was' }));
    expect((await s3.send(new GetObjectTaggingCommand({ Bucket, Key: 'kept' }))).TagSet).toEqual([]);
    expect(await refusal(s3.send(new GetObjectTaggingCommand({ Bucket, Key: 'no' })))).toBe('NoSuchKey 404');
    const tagging = { Bucket, Key: 'kept', Tagging: { TagSet: [] } };
    expect(await refusal(s3.send(new PutObjectTaggingCommand(tagging)))).toBe('NotImplemented 501');
    const wrong = { accessKeyId: server.accessKey, secretAccessKey: 'wrong' };
    const stranger = { accessKeyId: 'stranger', secretAccessKey: 'wrong' };
    const list = new ListBucketsCommand();
    expect(await refusal(connect({ credentials: wrong }).send(list))).toBe('SignatureDoesNotMatch 403');
    expect(await refusal(connect({ credentials: stranger }).send(list))).toBe('InvalidAccessKeyId 403');
    const skewed = connect({ systemClockOffset: 20 * 60_000 });
    expect(await refusal(skewed.send(new ListBucketsCommand()))).toBe('RequestTimeTooSkewed 403');
  });
});
