import { createHash } from 'node:crypto';
import { beforeEach, describe, expect, it } from 'vitest';
import { Refusal } from '../../../src/base/index.js';
import { exchangeRequest } from '../../support/exchange.js';
import { createS3World, type S3World } from '../../support/s3-world.js';
import { memoryDigest } from '../../support/memory-digests.js';

const md5Hex = (text: string | Uint8Array) => createHash('md5').update(text).digest('hex');
const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64');
const digest64 = (algorithm: Parameters<typeof memoryDigest>[0], text: string) =>
  base64(memoryDigest(algorithm, Buffer.from(text)));
const noon = 'Tue, 24 Nov 2026 03:00:00 GMT';

let world: S3World;

beforeEach(async () => {
  world = createS3World();
  await world.objects.createBucket('photos', { region: '' });
});

const put = (target: string, body: string, headers: Record<string, string> = {}) =>
  world.send({ method: 'PUT', target, body: [body], headers });

/** Nothing is left behind by any request. */
function expectNothingHeld() {
  expect(world.objects.openUploads).toBe(0);
  expect(world.objects.openSnapshots).toBe(0);
}

describe('PutObject', () => {
  it('stores the bytes and what was said about them', async () => {
    const answer = await put('/photos/a/b.txt', 'hello', {
      'content-type': 'text/plain',
      'cache-control': 'no-cache',
      'content-encoding': 'aws-chunked,gzip',
      'x-amz-meta-color': 'blue',
      'x-amz-storage-class': 'REDUCED_REDUNDANCY',
    });
    expect(answer.status).toBe(200);
    expect(answer.headers['etag']).toBe(`"${md5Hex('hello')}"`);
    const got = await world.send({ target: '/photos/a/b.txt' });
    expect(got.status).toBe(200);
    expect(got.text).toBe('hello');
    expect(got.headers).toMatchObject({
      etag: `"${md5Hex('hello')}"`,
      'last-modified': noon,
      'content-type': 'text/plain',
      'cache-control': 'no-cache',
      'content-encoding': 'gzip',
      'x-amz-meta-color': 'blue',
      'x-amz-storage-class': 'REDUCED_REDUNDANCY',
      'accept-ranges': 'bytes',
      'x-amz-request-id': '00000000DEADBEEF',
      'x-amz-id-2': 'host-id',
      'x-amz-bucket-region': 'us-east-1',
      'x-content-type-options': 'nosniff',
      vary: 'Origin',
    });
    expectNothingHeld();
  });

  it('stores an empty object, with a content type of its own', async () => {
    expect((await world.send({ method: 'PUT', target: '/photos/empty' })).status).toBe(200);
    const got = await world.send({ target: '/photos/empty' });
    expect(got.bytes).toHaveLength(0);
    expect(got.headers['content-type']).toBe('binary/octet-stream');
    expectNothingHeld();
  });

  it('drops a content encoding that was only how the body travelled', async () => {
    await put('/photos/k', 'x', { 'content-encoding': 'aws-chunked' });
    expect((await world.send({ target: '/photos/k' })).headers['content-encoding']).toBeUndefined();
  });

  it.each([
    '/photos/..',
    '/photos/a//b',
    '/photos//lead',
    '/photos/%2e%2e/x',
    '/photos/dir/',
    '/photos/%F0%9F%98%80',
    '/photos/a%3Fb%25',
  ])('takes the key of %s as it is', async (target) => {
    expect((await put(target, target)).status).toBe(200);
    expect((await world.send({ target })).text).toBe(target);
    const key = decodeURIComponent(target.slice('/photos/'.length));
    expect(world.objects.head('photos', key, '').key).toBe(key);
  });

  it('answers with back-pressure what is slower than the wire', async () => {
    world = createS3World({ highWaterBytes: 1024 });
    await world.objects.createBucket('photos', { region: '' });
    const pieces = Array.from({ length: 20 }, (_, index) => Buffer.alloc(700, index));
    const answer = await world.send({ method: 'PUT', target: '/photos/big', body: pieces });
    expect(answer.status).toBe(200);
    expect(answer.headers['etag']).toBe(`"${md5Hex(Buffer.concat(pieces))}"`);
    expect((await world.send({ target: '/photos/big' })).bytes).toEqual(Buffer.concat(pieces));
    expectNothingHeld();
  });

  it('needs a length', async () => {
    const answer = await world.send({ method: 'PUT', target: '/photos/k', body: ['x'], declaredBytes: null });
    expect(answer.status).toBe(411);
    expect(answer.code).toBe('MissingContentLength');
    expectNothingHeld();
  });

  it('refuses more than one PUT may bring', async () => {
    const answer = await world.send({
      method: 'PUT',
      target: '/photos/k',
      body: ['x'],
      declaredBytes: 5 * 1024 ** 4 + 1,
    });
    expect([answer.status, answer.code]).toEqual([400, 'EntityTooLarge']);
    expectNothingHeld();
  });

  it('frees the upload when the client goes away', async () => {
    await world.send({ method: 'PUT', target: '/photos/k', body: ['aa', 'bb', 'cc'], abortAfterPieces: 2 });
    expectNothingHeld();
    expect((await world.send({ target: '/photos/k' })).status).toBe(404);
    expect(world.records[0]).toMatchObject({ status: 499, operation: 'PutObject', bytesReceived: 4 });
  });

  it('answers what the drives refuse, before and during the body', async () => {
    world.objects.nextOpenUploadRefusal = new Refusal('XMinioStorageFull');
    expect(await put('/photos/k', 'x')).toMatchObject({ status: 507, code: 'XMinioStorageFull' });
    world.objects.nextWriteRefusal = new Refusal('SlowDownWrite');
    const during = await world.send({ method: 'PUT', target: '/photos/k', body: ['x', 'y', 'z'] });
    expect(during).toMatchObject({ status: 503, code: 'SlowDownWrite' });
    expect(during.headers['retry-after']).toBe('60');
    expectNothingHeld();
  });

  it('answers NoSuchBucket with the names it was asked for', async () => {
    const answer = await put('/nowhere/some%26key', 'x');
    expect(answer).toMatchObject({ status: 404, code: 'NoSuchBucket' });
    expect(answer.text).toContain(
      '<Key>some&amp;key</Key><BucketName>nowhere</BucketName><Resource>/nowhere/some%26key</Resource>',
    );
    expect(answer.text).toContain(
      '<Region>us-east-1</Region><RequestId>00000000DEADBEEF</RequestId><HostId>host-id</HostId>',
    );
  });

  it.each([
    [{ 'x-amz-server-side-encryption': 'AES256' }],
    [{ 'x-amz-server-side-encryption-customer-algorithm': 'AES256' }],
    [{ 'x-amz-tagging': 'a=b' }],
    [{ 'x-amz-object-lock-mode': 'GOVERNANCE' }],
    [{ 'x-amz-acl': 'public-read' }],
    [{ 'x-amz-grant-read': 'id=x' }],
    [{ 'x-amz-write-offset-bytes': '0' }],
    [{ 'x-amz-meta-snowball-auto-extract': 'true' }],
  ])('refuses what would be silently lost: %j', async (headers) => {
    expect(await put('/photos/k', 'x', headers)).toMatchObject({ status: 501, code: 'NotImplemented' });
    expectNothingHeld();
  });

  it.each([[{ 'x-amz-acl': 'private' }], [{ 'x-amz-acl': 'bucket-owner-full-control' }], [{ 'x-amz-tagging': '' }]])(
    'tolerates what changes nothing: %j',
    async (headers) => {
      expect((await put('/photos/k', 'x', headers)).status).toBe(200);
    },
  );
});

describe('digests of a PUT', () => {
  it('holds the body to Content-MD5', async () => {
    expect((await put('/photos/k', 'hello', { 'content-md5': digest64('md5', 'hello') })).status).toBe(200);
    expect(await put('/photos/k', 'hello', { 'content-md5': digest64('md5', 'other') })).toMatchObject({
      status: 400,
      code: 'BadDigest',
    });
    expect(await put('/photos/k', 'hello', { 'content-md5': 'abc' })).toMatchObject({
      status: 400,
      code: 'InvalidDigest',
    });
    expectNothingHeld();
  });

  it('holds the body to its signed SHA-256', async () => {
    const hex = (text: string) => createHash('sha256').update(text).digest('hex');
    expect((await put('/photos/k', 'hello', { 'x-amz-content-sha256': hex('hello') })).status).toBe(200);
    const wrong = await put('/photos/other', 'hello', { 'x-amz-content-sha256': hex('other') });
    expect(wrong).toMatchObject({ status: 400, code: 'XAmzContentSHA256Mismatch' });
    expect((await world.send({ target: '/photos/other' })).status).toBe(404);
    expectNothingHeld();
  });

  it.each(['crc32', 'crc32c', 'crc64nvme', 'sha1', 'sha256'] as const)(
    'holds the body to x-amz-checksum-%s',
    async (algorithm) => {
      const header = `x-amz-checksum-${algorithm}`;
      const right = digest64(algorithm, 'hello');
      const answer = await put('/photos/k', 'hello', { [header]: right });
      expect(answer.headers).toMatchObject({ [header]: right, 'x-amz-checksum-type': 'FULL_OBJECT' });
      expect(await put('/photos/k2', 'hello', { [header]: digest64(algorithm, 'other') })).toMatchObject({
        status: 400,
        code: 'BadDigest',
      });
      expect(await put('/photos/k2', 'hello', { [header]: 'AAA=' })).toMatchObject({
        status: 400,
        code: 'InvalidRequest',
      });
      const got = await world.send({ target: '/photos/k', headers: { 'x-amz-checksum-mode': 'ENABLED' } });
      expect(got.headers[header]).toBe(right);
      expect((await world.send({ target: '/photos/k' })).headers[header]).toBeUndefined();
      const ranged = await world.send({
        target: '/photos/k',
        headers: { 'x-amz-checksum-mode': 'ENABLED', range: 'bytes=0-4' },
      });
      expect(ranged.status).toBe(206);
      expect(ranged.headers[header]).toBeUndefined();
      expectNothingHeld();
    },
  );

  it('refuses two checksums and unknown ones', async () => {
    const two = { 'x-amz-checksum-crc32': digest64('crc32', 'x'), 'x-amz-checksum-sha1': digest64('sha1', 'x') };
    expect(await put('/photos/k', 'x', two)).toMatchObject({ status: 400, code: 'InvalidRequest' });
    expect(await put('/photos/k', 'x', { 'x-amz-checksum-md4': 'AAAA' })).toMatchObject({
      status: 400,
      code: 'InvalidRequest',
    });
  });
});

describe('user metadata', () => {
  it('is bounded at 2 KiB of names and values', async () => {
    const headers = (bytes: number) => ({ 'x-amz-meta-a': 'v'.repeat(bytes - 1) });
    expect((await put('/photos/k', 'x', headers(2047))).status).toBe(200);
    expect((await put('/photos/k', 'x', headers(2048))).status).toBe(200);
    expect(await put('/photos/k', 'x', headers(2049))).toMatchObject({ status: 400, code: 'MetadataTooLarge' });
  });

  it('comes back as RFC 2047 words when it is not ASCII', async () => {
    const text = 'grüße '.repeat(20);
    await put('/photos/k', 'x', { 'x-amz-meta-text': text });
    const value = (await world.send({ method: 'HEAD', target: '/photos/k' })).headers['x-amz-meta-text']!;
    const words = value.split(' ');
    for (const word of words) expect(word.length).toBeLessThanOrEqual(75);
    const decoded = words.map((word) =>
      Buffer.from(/^=\?UTF-8\?B\?(.*)\?=$/.exec(word)![1]!, 'base64').toString('utf8'),
    );
    expect(decoded.join('')).toBe(text.trim());
  });

  it('cannot reach the name space of the store, or break a header', async () => {
    expect(await put('/photos/k', 'x', { 'x-minio-internal-a': 'b' })).toMatchObject({
      status: 400,
      code: 'InvalidArgument',
    });
    expect(await put('/photos/k', 'x', { 'x-amz-meta-a': 'b\r\nset-cookie: c' })).toMatchObject({
      status: 400,
      code: 'UnsupportedMetadata',
    });
    expect(await put('/photos/k', 'x', { 'x-amz-storage-class': 'GLACIER' })).toMatchObject({
      status: 400,
      code: 'InvalidStorageClass',
    });
  });
});

describe('conditional PUT', () => {
  it('writes only what is not there', async () => {
    expect((await put('/photos/k', 'one', { 'if-none-match': '*' })).status).toBe(200);
    expect(await put('/photos/k', 'two', { 'if-none-match': '*' })).toMatchObject({
      status: 412,
      code: 'PreconditionFailed',
    });
    expect((await world.send({ target: '/photos/k' })).text).toBe('one');
  });

  it('writes only over what was seen', async () => {
    expect(await put('/photos/k', 'one', { 'if-match': '"x"' })).toMatchObject({ status: 404, code: 'NoSuchKey' });
    await put('/photos/k', 'one');
    expect(await put('/photos/k', 'two', { 'if-match': '"x"' })).toMatchObject({
      status: 412,
      code: 'PreconditionFailed',
    });
    expect((await put('/photos/k', 'two', { 'if-match': `"${md5Hex('one')}"` })).status).toBe(200);
    expectNothingHeld();
  });

  it('decides at the commit when a race was lost during the body', async () => {
    const first = put('/photos/k', 'one', { 'if-none-match': '*' });
    const second = put('/photos/k', 'two', { 'if-none-match': '*' });
    expect([(await first).status, (await second).status].sort()).toEqual([200, 412]);
    expectNothingHeld();
  });
});

describe.each([false, true])('GetObject and HeadObject (read lately: %s)', (isInMemory) => {
  beforeEach(() => {
    world.objects.keepsInMemory = isInMemory;
  });

  beforeEach(async () => {
    await put('/photos/k', '0123456789', {
      'content-type': 'text/plain',
      'cache-control': 'max-age=1',
      'x-amz-meta-a': '1',
    });
  });

  it('answers a small object in the call that received it', () => {
    const response = world.handler(exchangeRequest({ target: '/photos/k' }));
    expect(response).not.toBeInstanceOf(Promise);
    if (!(response instanceof Promise) && response.body.kind === 'stream') response.body.source.close();
    expectNothingHeld();
  });

  it('answers HEAD like GET, without the body', async () => {
    const got = await world.send({ target: '/photos/k' });
    const head = await world.send({ method: 'HEAD', target: '/photos/k' });
    expect(head.status).toBe(200);
    expect(head.bytes).toHaveLength(0);
    expect(head.length).toBe(10);
    expect(head.headers).toEqual(got.headers);
    expectNothingHeld();
  });

  it.each(['GET', 'HEAD'])('answers a range of %s', async (method) => {
    const part = await world.send({ method, target: '/photos/k', headers: { range: 'bytes=2-4' } });
    expect(part.status).toBe(206);
    expect(part.headers['content-range']).toBe('bytes 2-4/10');
    expect(part.length).toBe(3);
    if (method === 'GET') expect(part.text).toBe('234');
    expectNothingHeld();
  });

  it('answers 416 with the true size', async () => {
    const answer = await world.send({ target: '/photos/k', headers: { range: 'bytes=10-' } });
    expect(answer).toMatchObject({ status: 416, code: 'InvalidRange' });
    expect(answer.headers['content-range']).toBe('bytes */10');
    expect(answer.text).toContain('<ActualObjectSize>10</ActualObjectSize><RangeRequested>bytes=10-</RangeRequested>');
    const head = await world.send({ method: 'HEAD', target: '/photos/k', headers: { range: 'bytes=10-' } });
    expect(head.status).toBe(416);
    expect(head.bytes).toHaveLength(0);
    expect(head.headers['x-minio-error-code']).toBe('InvalidRange');
    expectNothingHeld();
  });

  it('answers the whole of a range that it does not understand', async () => {
    expect((await world.send({ target: '/photos/k', headers: { range: 'bytes=0-1,4-5' } })).text).toBe('0123456789');
  });

  it('continues a range only on what the client has a part of', async () => {
    const at = async (ifRange: string) =>
      (await world.send({ target: '/photos/k', headers: { range: 'bytes=2-4', 'if-range': ifRange } })).text;
    expect(await at(`"${md5Hex('0123456789')}"`)).toBe('234');
    expect(await at(noon)).toBe('234');
    expect(await at('"other"')).toBe('0123456789');
    expect(await at(`W/"${md5Hex('0123456789')}"`)).toBe('0123456789');
    expect(await at('Tue, 24 Nov 2026 02:00:00 GMT')).toBe('0123456789');
  });

  it('answers part 1 of a plain object as the object', async () => {
    const part = await world.send({ target: '/photos/k?partNumber=1' });
    expect([part.status, part.text, part.headers['content-range']]).toEqual([206, '0123456789', 'bytes 0-9/10']);
    expect(part.headers['x-amz-mp-parts-count']).toBeUndefined();
    expect(await world.send({ target: '/photos/k?partNumber=2' })).toMatchObject({
      status: 416,
      code: 'InvalidPartNumber',
    });
    expect(await world.send({ target: '/photos/k?partNumber=0' })).toMatchObject({
      status: 400,
      code: 'InvalidArgument',
    });
    expect(await world.send({ target: '/photos/k?partNumber=1', headers: { range: 'bytes=0-1' } })).toMatchObject({
      status: 400,
      code: 'InvalidRequest',
    });
    expectNothingHeld();
  });

  it('answers 304 and 412 with what a cache needs', async () => {
    const etag = `"${md5Hex('0123456789')}"`;
    const unchanged = await world.send({ target: '/photos/k', headers: { 'if-none-match': etag } });
    expect(unchanged.status).toBe(304);
    expect(unchanged.headers).toMatchObject({ etag, 'last-modified': noon, 'cache-control': 'max-age=1' });
    expect(unchanged.bytes).toHaveLength(0);
    const failed = await world.send({ target: '/photos/k', headers: { 'if-match': '"x"' } });
    expect(failed).toMatchObject({ status: 412, code: 'PreconditionFailed' });
    expect(failed.headers).toMatchObject({ etag, 'last-modified': noon });
    expectNothingHeld();
  });

  it('replaces response headers for signed requests only', async () => {
    const target =
      '/photos/k?response-content-type=a/b&response-content-disposition=attachment%3B%20filename%3D%22x%22';
    const got = await world.send({ target });
    expect(got.headers['content-type']).toBe('a/b');
    expect(got.headers['content-disposition']).toBe('attachment; filename="x"');
    expect(await world.send({ target: '/photos/k?response-content-type=a%0D%0Ab' })).toMatchObject({
      status: 400,
      code: 'InvalidArgument',
    });
    const open = createS3World({ isAllowed: () => true });
    await open.objects.createBucket('photos', { region: '' });
    await open.send({ method: 'PUT', target: '/photos/k', body: ['x'] });
    expect(await open.send({ target, headers: { 'x-test-anonymous': '1' } })).toMatchObject({
      status: 400,
      code: 'InvalidRequest',
    });
  });

  it('answers what is not there', async () => {
    expect(await world.send({ target: '/photos/none' })).toMatchObject({ status: 404, code: 'NoSuchKey' });
    expect(await world.send({ target: '/photos/k?versionId=v1' })).toMatchObject({
      status: 404,
      code: 'NoSuchVersion',
    });
    expect(await world.send({ target: '/photos/k?versionId=' })).toMatchObject({
      status: 400,
      code: 'InvalidArgument',
    });
    const head = await world.send({ method: 'HEAD', target: '/photos/none' });
    expect([head.status, head.text]).toEqual([404, '']);
    world.objects.canRead = false;
    expect(await world.send({ target: '/photos/k' })).toMatchObject({ status: 503, code: 'SlowDownRead' });
  });

  it('hides which keys are absent from whoever may not list', async () => {
    const narrow = createS3World({ isAllowed: (_, { action }) => action !== 's3:ListBucket' });
    await narrow.objects.createBucket('photos', { region: '' });
    expect(await narrow.send({ target: '/photos/none' })).toMatchObject({ status: 403, code: 'AccessDenied' });
    expect((await narrow.send({ method: 'HEAD', target: '/photos/none' })).status).toBe(403);
  });
});

describe('a presigned URL', () => {
  it('may carry the headers of an upload in its query', async () => {
    const query = 'X-Amz-Signature=s&x-amz-meta-a=1&x-amz-checksum-crc32=AAAAAA%3D%3D';
    expect((await put(`/photos/k?${query}`, 'x')).status).toBe(200);
    expect((await world.send({ target: '/photos/k' })).headers['x-amz-meta-a']).toBe('1');
    expect(await put('/photos/k?X-Amz-Signature=s&x-amz-acl=public-read', 'x')).toMatchObject({ status: 501 });
  });
});

describe('DeleteObject', () => {
  it('deletes, and succeeds on what is absent', async () => {
    await put('/photos/k', 'x');
    expect((await world.send({ method: 'DELETE', target: '/photos/k' })).status).toBe(204);
    expect((await world.send({ method: 'DELETE', target: '/photos/k' })).status).toBe(204);
    expect((await world.send({ target: '/photos/k' })).status).toBe(404);
  });

  it('keeps what the condition does not match', async () => {
    await put('/photos/k', 'x');
    expect(await world.send({ method: 'DELETE', target: '/photos/k', headers: { 'if-match': '"y"' } })).toMatchObject({
      status: 412,
    });
    expect(
      await world.send({ method: 'DELETE', target: '/photos/k', headers: { 'x-amz-if-match-size': '1' } }),
    ).toMatchObject({ status: 501 });
    expect(
      (await world.send({ method: 'DELETE', target: '/photos/k', headers: { 'if-match': `"${md5Hex('x')}"` } })).status,
    ).toBe(204);
  });
});
