import { createHash } from 'node:crypto';
import { beforeEach, describe, expect, it } from 'vitest';
import { memoryDigest } from '../../support/memory-digests.js';
import { createS3World, type S3World } from '../../support/s3-world.js';

const md5Hex = (bytes: string | Uint8Array) => createHash('md5').update(bytes).digest('hex');
const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64');
const partBytes = 5 * 1024 * 1024;

let world: S3World;

beforeEach(async () => {
  world = createS3World({ highWaterBytes: 100_000, pieceBytes: 30_000 });
  await world.objects.createBucket('photos', { region: '' });
  await world.objects.createBucket('copies', { region: '' });
});

const put = (target: string, body: string | Uint8Array, headers: Record<string, string> = {}) =>
  world.send({ method: 'PUT', target, body: [body], headers });
const copy = (target: string, source: string, headers: Record<string, string> = {}) =>
  world.send({ method: 'PUT', target, headers: { 'x-amz-copy-source': source, ...headers } });

function expectNothingHeld() {
  expect(world.objects.openUploads).toBe(0);
  expect(world.objects.openSnapshots).toBe(0);
}

describe('CopyObject', () => {
  beforeEach(async () => {
    await put('/photos/a%3Fb%20c', 'source bytes', {
      'content-type': 'text/plain',
      'x-amz-meta-a': '1',
      'x-amz-website-redirect-location': '/old',
      'x-amz-storage-class': 'REDUCED_REDUNDANCY',
      'x-amz-checksum-crc32': base64(memoryDigest('crc32', Buffer.from('source bytes'))),
    });
    world.clock.advance(60_000);
  });

  it.each([
    '/photos/a%3Fb%20c',
    'photos/a%3Fb%20c',
    'photos%2Fa%3Fb%20c',
    '/photos/a%3Fb c',
    'photos/a%3Fb%20c?versionId=null',
  ])('copies bytes and metadata of %s', async (source) => {
    const answer = await copy('/copies/k', source);
    expect(answer.status).toBe(200);
    expect(answer.text).toContain(
      '<CopyObjectResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><LastModified>2026-11-24T03:01:00.500Z</LastModified>',
    );
    expect(answer.text).toContain(`<ETag>&quot;${md5Hex('source bytes')}&quot;</ETag>`);
    expect(answer.text).toContain('<ChecksumCRC32>');
    const got = await world.send({ target: '/copies/k' });
    expect(got.text).toBe('source bytes');
    expect(got.headers).toMatchObject({ 'content-type': 'text/plain', 'x-amz-meta-a': '1' });
    // These two always come from the request.
    expect(got.headers['x-amz-storage-class']).toBeUndefined();
    expect(got.headers['x-amz-website-redirect-location']).toBeUndefined();
    expectNothingHeld();
  });

  it('replaces metadata when told to', async () => {
    await copy('/copies/k', '/photos/a%3Fb%20c', {
      'x-amz-metadata-directive': 'REPLACE',
      'content-type': 'a/b',
      'x-amz-meta-b': '2',
    });
    const got = await world.send({ target: '/copies/k' });
    expect(got.headers).toMatchObject({ 'content-type': 'a/b', 'x-amz-meta-b': '2' });
    expect(got.headers['x-amz-meta-a']).toBeUndefined();
  });

  it('copies with back-pressure', async () => {
    const bytes = Buffer.alloc(1_000_000, 'granary');
    await put('/photos/big', bytes);
    expect((await copy('/copies/big', '/photos/big')).status).toBe(200);
    expect((await world.send({ target: '/copies/big' })).bytes.equals(bytes)).toBe(true);
    expectNothingHeld();
  });

  it('computes the checksum that was asked for', async () => {
    const answer = await copy('/copies/k', '/photos/a%3Fb%20c', { 'x-amz-checksum-algorithm': 'sha256' });
    const value = base64(memoryDigest('sha256', Buffer.from('source bytes')));
    expect(answer.text).toContain(`<ChecksumSHA256>${value}</ChecksumSHA256>`);
    expect(await copy('/copies/k', '/photos/a%3Fb%20c', { 'x-amz-checksum-algorithm': 'md4' })).toMatchObject({
      status: 400,
      code: 'InvalidRequest',
    });
  });

  it('refuses a copy onto itself that changes nothing', async () => {
    expect(await copy('/photos/a%3Fb%20c', '/photos/a%3Fb%20c')).toMatchObject({ status: 400, code: 'InvalidRequest' });
    expectNothingHeld();
  });

  it('changes the metadata of what is there when others replace the object meanwhile', async () => {
    const { objects } = world;
    const replace = objects.replaceMetadata.bind(objects);
    let others: (() => Promise<unknown>)[] = [];
    objects.replaceMetadata = async (...call) => {
      await others.shift()?.();
      return replace(...call);
    };
    const headers = { 'x-amz-metadata-directive': 'REPLACE', 'x-amz-meta-new': 'n' };
    await put('/photos/k', 'first');
    others = [() => put('/photos/k', 'second'), () => put('/photos/k', 'third')];
    const answer = await copy('/photos/k', '/photos/k', headers);
    expect(answer).toMatchObject({ status: 200 });
    expect(answer.text).toContain(`<ETag>&quot;${md5Hex('third')}&quot;</ETag>`);
    const got = await world.send({ target: '/photos/k' });
    expect(got.text).toBe('third');
    expect(got.headers).toMatchObject({ 'x-amz-meta-new': 'n' });

    others = [() => world.send({ method: 'DELETE', target: '/photos/k' })];
    expect(await copy('/photos/k', '/photos/k', headers)).toMatchObject({ status: 404, code: 'NoSuchKey' });

    await put('/photos/k', 'again');
    others = Array.from({ length: 100 }, (_, n) => () => put('/photos/k', `${n}`));
    expect(await copy('/photos/k', '/photos/k', headers)).toMatchObject({ status: 503, code: 'SlowDownWrite' });
    expectNothingHeld();
  });

  it('changes metadata in place', async () => {
    const headers = {
      'x-amz-metadata-directive': 'REPLACE',
      'x-amz-meta-new': 'n',
      'x-amz-storage-class': 'REDUCED_REDUNDANCY',
    };
    expect((await copy('/photos/a%3Fb%20c', '/photos/a%3Fb%20c', headers)).status).toBe(200);
    const got = await world.send({ target: '/photos/a%3Fb%20c' });
    expect(got.text).toBe('source bytes');
    expect(got.headers).toMatchObject({ 'x-amz-meta-new': 'n', 'last-modified': 'Tue, 24 Nov 2026 03:01:00 GMT' });
    expect(got.headers['x-amz-meta-a']).toBeUndefined();
    expectNothingHeld();
  });

  it('rewrites the bytes for another storage class', async () => {
    expect((await copy('/photos/a%3Fb%20c', '/photos/a%3Fb%20c', { 'x-amz-storage-class': 'STANDARD' })).status).toBe(
      200,
    );
    const got = await world.send({ target: '/photos/a%3Fb%20c' });
    expect(got.text).toBe('source bytes');
    expect(got.headers['x-amz-storage-class']).toBeUndefined();
    expect(got.headers['x-amz-meta-a']).toBe('1');
    expectNothingHeld();
  });

  it.each([
    ['x-amz-copy-source-if-match', '"x"'],
    ['x-amz-copy-source-if-none-match', `"${md5Hex('source bytes')}"`],
    ['x-amz-copy-source-if-modified-since', 'Tue, 24 Nov 2026 03:00:00 GMT'],
    ['x-amz-copy-source-if-unmodified-since', 'Tue, 24 Nov 2026 02:59:59 GMT'],
  ])('answers 412 when %s does not hold', async (header, value) => {
    expect(await copy('/copies/k', '/photos/a%3Fb%20c', { [header]: value })).toMatchObject({
      status: 412,
      code: 'PreconditionFailed',
    });
    expectNothingHeld();
  });

  it('has conditions on the target too', async () => {
    await put('/copies/k', 'x');
    expect(await copy('/copies/k', '/photos/a%3Fb%20c', { 'if-none-match': '*' })).toMatchObject({ status: 412 });
    expectNothingHeld();
  });

  it.each([
    'photos',
    '/photos/',
    '/',
    '',
    '//k',
    '/photos/%ZZ',
    '/photos/%FF',
    '/photos/a%00b',
    '/photos/k?versionId=',
  ])('refuses the source %j', async (source) => {
    expect(await copy('/copies/k', source)).toMatchObject({ status: 400, code: 'InvalidArgument' });
  });

  it('refuses directives that it does not know', async () => {
    for (const header of ['x-amz-metadata-directive', 'x-amz-tagging-directive']) {
      expect(await copy('/copies/k', '/photos/a%3Fb%20c', { [header]: 'MERGE' })).toMatchObject({
        status: 400,
        code: 'InvalidArgument',
      });
    }
  });

  it('answers what is not there', async () => {
    expect(await copy('/copies/k', '/photos/none')).toMatchObject({ status: 404, code: 'NoSuchKey' });
    expect(await copy('/copies/k', '/nowhere/k')).toMatchObject({ status: 404, code: 'NoSuchBucket' });
    expect(await copy('/nowhere/k', '/photos/a%3Fb%20c')).toMatchObject({ status: 404, code: 'NoSuchBucket' });
    expect(await copy('/copies/k', '/photos/a%3Fb%20c?versionId=v1')).toMatchObject({
      status: 404,
      code: 'NoSuchVersion',
    });
    expectNothingHeld();
  });

  it('needs the right to read the source', async () => {
    const narrow = createS3World({ isAllowed: (_, { action, key }) => action === 's3:PutObject' || key !== 'secret' });
    await narrow.objects.createBucket('photos', { region: '' });
    await narrow.send({ method: 'PUT', target: '/photos/secret', body: ['x'] });
    const answer = await narrow.send({
      method: 'PUT',
      target: '/photos/k',
      headers: { 'x-amz-copy-source': '/photos/secret' },
    });
    expect(answer).toMatchObject({ status: 403, code: 'AccessDenied' });
    expect(narrow.objects.openSnapshots).toBe(0);
  });
});

describe('parts', () => {
  const start = (algorithm: 'CRC32' | null) =>
    world.objects.createMultipartUpload({
      bucket: 'photos',
      key: 'big',
      metadata: { headers: {}, storageClass: 'STANDARD' },
      checksumAlgorithm: algorithm,
      checksumType: algorithm === null ? null : 'COMPOSITE',
    });

  it('are uploaded, copied and read back by number', async () => {
    const { uploadId } = await start('CRC32');
    const first = Buffer.alloc(partBytes, 'first');
    const source = Buffer.alloc(200_000, 'second');
    await put('/photos/source', source);
    const one = await put(`/photos/big?partNumber=1&uploadId=${uploadId}`, first);
    expect(one.headers['etag']).toBe(`"${md5Hex(first)}"`);
    // The upload has an algorithm: it is computed when the client does not send it.
    const crcOfFirst = base64(memoryDigest('crc32', first));
    expect(one.headers['x-amz-checksum-crc32']).toBe(crcOfFirst);
    const target = `/photos/big?partNumber=3&uploadId=${uploadId}`;
    const second = await copy(target, '/photos/source', { 'x-amz-copy-source-range': 'bytes=100-150099' });
    const slice = source.subarray(100, 150_100);
    expect(second.text).toContain('<CopyPartResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">');
    expect(second.text).toContain(`<ETag>&quot;${md5Hex(slice)}&quot;</ETag>`);
    expect(second.text).toContain(`<ChecksumCRC32>${base64(memoryDigest('crc32', slice))}</ChecksumCRC32>`);
    await world.objects.completeMultipartUpload({
      bucket: 'photos',
      key: 'big',
      uploadId,
      parts: [
        { partNumber: 1, etag: md5Hex(first), checksum: null },
        { partNumber: 3, etag: md5Hex(slice), checksum: null },
      ],
      precondition: null,
      checksum: null,
    });
    const part = await world.send({
      target: '/photos/big?partNumber=3',
      headers: { 'x-amz-checksum-mode': 'ENABLED' },
    });
    expect(part.status).toBe(206);
    expect(part.bytes.equals(slice)).toBe(true);
    expect(part.headers).toMatchObject({
      'content-range': `bytes ${partBytes}-${partBytes + 149_999}/${partBytes + 150_000}`,
      'x-amz-mp-parts-count': '2',
      'x-amz-checksum-crc32': base64(memoryDigest('crc32', slice)),
      'x-amz-checksum-type': 'COMPOSITE',
    });
    const head = await world.send({ method: 'HEAD', target: '/photos/big?partNumber=1' });
    expect([head.status, head.length, head.headers['x-amz-mp-parts-count']]).toEqual([206, partBytes, '2']);
    const across = await world.send({
      target: '/photos/big',
      headers: { range: `bytes=${partBytes - 2}-${partBytes + 1}` },
    });
    expect(across.bytes.equals(Buffer.concat([first.subarray(-2), slice.subarray(0, 2)]))).toBe(true);
    expectNothingHeld();
  });

  it('have numbers from 1 to 10,000', async () => {
    const { uploadId } = await start(null);
    for (const number of ['1', '10000']) {
      expect((await put(`/photos/big?partNumber=${number}&uploadId=${uploadId}`, 'x')).status).toBe(200);
    }
    for (const number of ['0', '10001', '-1', 'x', '', '1.5', '99999999999']) {
      expect(await put(`/photos/big?partNumber=${number}&uploadId=${uploadId}`, 'x')).toMatchObject({
        status: 400,
        code: 'InvalidArgument',
      });
    }
    expect(await put(`/photos/big?uploadId=${uploadId}`, 'x')).toMatchObject({ status: 400, code: 'InvalidArgument' });
    expectNothingHeld();
  });

  it('belong to an upload that is there', async () => {
    expect(await put('/photos/big?partNumber=1&uploadId=none', 'x')).toMatchObject({
      status: 404,
      code: 'NoSuchUpload',
    });
    expect(await put('/photos/big?partNumber=1&uploadId=', 'x')).toMatchObject({ status: 404, code: 'NoSuchUpload' });
    const { uploadId } = await start(null);
    expect(await put(`/photos/other?partNumber=1&uploadId=${uploadId}`, 'x')).toMatchObject({
      status: 404,
      code: 'NoSuchUpload',
    });
    expect(await copy('/photos/big?partNumber=1&uploadId=none', '/photos/x')).toMatchObject({
      status: 404,
      code: 'NoSuchUpload',
    });
    expectNothingHeld();
  });

  it('never become an object by themselves', async () => {
    expect(await put('/photos/big?partNumber=1', 'x')).toMatchObject({ status: 400, code: 'InvalidArgument' });
    expect((await world.send({ target: '/photos/big' })).status).toBe(404);
  });

  it('carry the checksum of their upload, and no other', async () => {
    const { uploadId } = await start('CRC32');
    const target = `/photos/big?partNumber=1&uploadId=${uploadId}`;
    expect(
      (await put(target, 'x', { 'x-amz-checksum-crc32': base64(memoryDigest('crc32', Buffer.from('x'))) })).status,
    ).toBe(200);
    expect(
      await put(target, 'x', { 'x-amz-checksum-sha1': base64(memoryDigest('sha1', Buffer.from('x'))) }),
    ).toMatchObject({ status: 400, code: 'InvalidRequest' });
    expect(await put(target, 'x', { 'content-md5': base64(memoryDigest('md5', Buffer.from('y'))) })).toMatchObject({
      status: 400,
      code: 'BadDigest',
    });
    expectNothingHeld();
  });

  it('are copied from ranges inside the source only', async () => {
    const { uploadId } = await start(null);
    const target = `/photos/big?partNumber=1&uploadId=${uploadId}`;
    await put('/photos/source', '0123456789');
    expect((await copy(target, '/photos/source', { 'x-amz-copy-source-range': 'bytes=0-9' })).status).toBe(200);
    expect(await copy(target, '/photos/source', { 'x-amz-copy-source-range': 'bytes=0-10' })).toMatchObject({
      status: 416,
      code: 'InvalidRange',
    });
    expect(await copy(target, '/photos/source', { 'x-amz-copy-source-range': 'bytes=0-' })).toMatchObject({
      status: 400,
      code: 'InvalidArgument',
    });
    expect(await copy(target, '/photos/source', { 'x-amz-copy-source-if-match': '"x"' })).toMatchObject({
      status: 412,
    });
    expectNothingHeld();
  });
});
