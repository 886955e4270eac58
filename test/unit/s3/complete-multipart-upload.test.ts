import { createHash } from 'node:crypto';
import { beforeEach, describe, expect, test } from 'vitest';
import type { ChecksumAlgorithm, ObjectLayer, PartInfo } from '../../../src/object/index.js';
import { completeMultipartUpload } from '../../../src/s3/complete-multipart-upload.js';
import { memoryDigest } from '../../support/memory-digests.js';
import {
  DocumentFixture,
  errorCode,
  fullChecksum,
  md5Base64,
  plainMetadata,
  readXml,
  text,
  type Sent,
} from './document-fixture.js';

let fixture: DocumentFixture;

beforeEach(async () => {
  fixture = new DocumentFixture();
  await fixture.bucket();
});

const smallest = Buffer.alloc(5 * 1024 * 1024, 'p');
const last = Buffer.from('the end');

async function start(
  checksumAlgorithm: ChecksumAlgorithm | null = null,
  checksumType: 'FULL_OBJECT' | 'COMPOSITE' | null = null,
) {
  const { uploadId } = await fixture.objects.createMultipartUpload({
    bucket: 'bucket',
    key: 'a b',
    metadata: plainMetadata,
    checksumAlgorithm,
    checksumType,
  });
  return uploadId;
}

interface Listed {
  readonly PartNumber: number | string;
  readonly ETag: string;
  readonly [checksum: string]: number | string;
}

const listed = (part: PartInfo, checksums: Record<string, string> = {}): Listed => ({
  PartNumber: part.partNumber,
  ETag: `"${part.etag}"`,
  ...checksums,
});

const documentOf = (parts: readonly Listed[]) => {
  const elements = parts.map((part) =>
    Object.entries(part)
      .map(([name, value]) => `<${name}>${value}</${name}>`)
      .join(''),
  );
  return `<CompleteMultipartUpload>${elements.map((element) => `<Part>${element}</Part>`).join('')}</CompleteMultipartUpload>`;
};

const send = (uploadId: string, body: string, headers: Record<string, string> = {}, options: Partial<Sent> = {}) =>
  fixture.send(completeMultipartUpload, {
    method: 'POST',
    target: `/bucket/a%20b?uploadId=${uploadId}`,
    body,
    headers,
    ...options,
  });
const complete = (uploadId: string, parts: readonly Listed[], headers: Record<string, string> = {}) =>
  send(uploadId, documentOf(parts), headers);
const isThere = () => {
  try {
    return fixture.objects.head('bucket', 'a b', '') !== undefined;
  } catch {
    return false;
  }
};

async function expectCode(
  answer: Promise<{ status: number; text: string; headers: ReadonlyMap<string, string> }>,
  status: number,
  code: string,
) {
  const settled = await answer;
  expect([settled.status, errorCode(settled)]).toEqual([status, code]);
  expect(isThere()).toBe(false);
}

test('two parts become one object; a repeated request gets the same answer', async () => {
  const uploadId = await start();
  const one = await fixture.putPart('a b', uploadId, 3, smallest);
  const two = await fixture.putPart('a b', uploadId, 10_000, last);
  await fixture.putPart('a b', uploadId, 5, last);
  const answer = await complete(uploadId, [listed(one), listed(two)]);
  expect(answer.status).toBe(200);
  const root = readXml(answer.text);
  expect(root).toMatchObject({
    name: 'CompleteMultipartUploadResult',
    attributes: ' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"',
  });
  const md5s = Buffer.concat([smallest, last].map((part) => createHash('md5').update(part).digest()));
  expect(Object.fromEntries(root.children.map((child) => [child.name, child.text]))).toEqual({
    Location: 'http://localhost:9000/bucket/a%20b',
    Bucket: 'bucket',
    Key: 'a b',
    ETag: `"${createHash('md5').update(md5s).digest('hex')}-2"`,
  });
  expect(fixture.objects.head('bucket', 'a b', '')).toMatchObject({
    bytes: smallest.length + last.length,
    partCount: 2,
  });
  const again = await complete(uploadId, [listed(one), listed(two)], {
    'x-amz-mp-object-size': String(smallest.length + last.length),
  });
  expect([again.status, again.text]).toEqual([200, answer.text]);
});

test('entity tags with quotes, without, as entities', async () => {
  for (const quote of [
    (etag: string) => etag,
    (etag: string) => `&quot;${etag}&quot;`,
    (etag: string) => ` &#34;${etag}&#34; `,
  ]) {
    const uploadId = await start();
    const part = await fixture.putPart('a b', uploadId, 1, last);
    expect((await complete(uploadId, [{ PartNumber: 1, ETag: quote(part.etag) }])).status).toBe(200);
  }
});

describe('documents', () => {
  test.each([
    '',
    'x',
    '<CompleteMultipartUpload/>',
    '<CompleteMultipartUpload></CompleteMultipartUpload>',
    '<Other><Part><PartNumber>1</PartNumber><ETag>x</ETag></Part></Other>',
    '<CompleteMultipartUpload><Part><PartNumber>1</PartNumber></Part></CompleteMultipartUpload>',
    '<CompleteMultipartUpload><Part><ETag>x</ETag></Part></CompleteMultipartUpload>',
    documentOf([{ PartNumber: 'one', ETag: 'x' }]),
    documentOf([{ PartNumber: '1.5', ETag: 'x' }]),
    documentOf([{ PartNumber: '', ETag: 'x' }]),
  ])('MalformedXML: %s', async (body) => {
    await expectCode(send(await start(), body), 400, 'MalformedXML');
  });

  test('part numbers: 1 and 10,000 are fine; 0, -1 and 10,001 are not', async () => {
    const uploadId = await start();
    const first = await fixture.putPart('a b', uploadId, 1, smallest);
    const end = await fixture.putPart('a b', uploadId, 10_000, last);
    for (const PartNumber of [0, -1, 10_001])
      await expectCode(complete(uploadId, [{ PartNumber, ETag: 'x' }]), 400, 'InvalidArgument');
    expect((await complete(uploadId, [listed(first), listed(end)])).status).toBe(200);
  });

  test('order: descending and equal numbers are refused', async () => {
    const uploadId = await start();
    const one = await fixture.putPart('a b', uploadId, 1, smallest);
    const two = await fixture.putPart('a b', uploadId, 2, last);
    await expectCode(complete(uploadId, [listed(two), listed(one)]), 400, 'InvalidPartOrder');
    await expectCode(complete(uploadId, [listed(one), listed(one)]), 400, 'InvalidPartOrder');
  });

  test('10,000 parts are read, 10,001 are refused', async () => {
    const parts = (count: number) =>
      Array.from({ length: count }, (_, index) => ({ PartNumber: index + 1, ETag: 'x' }));
    await expectCode(complete(await start(), parts(10_000)), 400, 'InvalidPart');
    await expectCode(complete(await start(), parts(10_001)), 400, 'MalformedXML');
  });

  test('one of 8 MiB is read, one byte more is not', async () => {
    const uploadId = await start();
    const whole = documentOf([listed(await fixture.putPart('a b', uploadId, 1, last))]);
    const padded = (bytes: number) => whole + ' '.repeat(bytes - whole.length);
    await expectCode(send(uploadId, padded(8 * 1024 * 1024 + 1)), 400, 'EntityTooLarge');
    expect((await send(uploadId, padded(8 * 1024 * 1024))).status).toBe(200);
  });

  test('Content-MD5 is checked', async () => {
    const uploadId = await start();
    const body = documentOf([listed(await fixture.putPart('a b', uploadId, 1, last))]);
    await expectCode(send(uploadId, body, { 'content-md5': md5Base64('x') }), 400, 'BadDigest');
    expect((await send(uploadId, body, { 'content-md5': md5Base64(body) })).status).toBe(200);
  });
});

describe('what the store refuses', () => {
  test('parts that are not there, or are others', async () => {
    const uploadId = await start();
    await fixture.putPart('a b', uploadId, 1, last);
    await expectCode(complete(uploadId, [{ PartNumber: 1, ETag: 'x' }]), 400, 'InvalidPart');
    await expectCode(complete(uploadId, [{ PartNumber: 2, ETag: 'x' }]), 400, 'InvalidPart');
  });

  test('a part before the last of 5 MiB less one byte', async () => {
    const uploadId = await start();
    const one = await fixture.putPart('a b', uploadId, 1, smallest.subarray(1));
    const two = await fixture.putPart('a b', uploadId, 2, last);
    await expectCode(complete(uploadId, [listed(one), listed(two)]), 400, 'EntityTooSmall');
  });

  test('an upload that is not there', async () => {
    for (const uploadId of ['', 'nothing', 'x'.repeat(257)]) {
      await expectCode(complete(uploadId, [{ PartNumber: 1, ETag: 'x' }]), 404, 'NoSuchUpload');
    }
    const uploadId = await start();
    const part = await fixture.putPart('a b', uploadId, 1, last);
    await expectCode(
      send(uploadId, documentOf([listed(part)]), {}, { target: `/bucket/b?uploadId=${uploadId}` }),
      404,
      'NoSuchUpload',
    );
    await expectCode(
      send(uploadId, documentOf([listed(part)]), {}, { target: `/nowhere/a?uploadId=${uploadId}` }),
      404,
      'NoSuchBucket',
    );
  });

  test('preconditions', async () => {
    const uploadId = await start();
    const part = listed(await fixture.putPart('a b', uploadId, 1, last));
    await expectCode(complete(uploadId, [part], { 'if-match': '"x"' }), 404, 'NoSuchKey');
    const { etag } = await fixture.put('a b');
    for (const headers of [{ 'if-none-match': '*' }, { 'if-match': '"x"' }]) {
      const answer = await complete(uploadId, [part], headers);
      expect([answer.status, errorCode(answer)]).toEqual([412, 'PreconditionFailed']);
    }
    expect(fixture.objects.head('bucket', 'a b', '').etag).toBe(etag);
    expect((await complete(uploadId, [part], { 'if-match': `"${etag}"` })).status).toBe(200);
    // The object is there now, through this very request.
    expect((await complete(uploadId, [part], { 'if-match': `"${etag}"` })).status).toBe(200);
  });
});

test('the size of the object, when it is said', async () => {
  const uploadId = await start();
  const one = listed(await fixture.putPart('a b', uploadId, 1, smallest));
  const two = listed(await fixture.putPart('a b', uploadId, 2, last));
  const bytes = smallest.length + last.length;
  for (const wrong of [bytes - 1, bytes + 1, 'x', '-1', '']) {
    await expectCode(complete(uploadId, [one, two], { 'x-amz-mp-object-size': String(wrong) }), 400, 'InvalidRequest');
  }
  await expectCode(
    complete(uploadId, [one, { PartNumber: 3, ETag: 'x' }], { 'x-amz-mp-object-size': '1' }),
    400,
    'InvalidPart',
  );
  expect((await complete(uploadId, [one, two], { 'x-amz-mp-object-size': String(bytes) })).status).toBe(200);
  expect(errorCode(await complete(uploadId, [one, two], { 'x-amz-mp-object-size': '1' }))).toBe('InvalidRequest');
});

describe('checksums', () => {
  test('composite: of each part, and of the whole made of them', async () => {
    const uploadId = await start('SHA256', 'COMPOSITE');
    const one = await fixture.putPart('a b', uploadId, 1, smallest, 'SHA256');
    const two = await fixture.putPart('a b', uploadId, 2, last, 'SHA256');
    const parts = [one, two].map((part) => listed(part, { ChecksumSHA256: part.checksum!.value }));
    const raw = memoryDigest('sha256', Buffer.concat([smallest, last].map((part) => memoryDigest('sha256', part))));
    const value = Buffer.from(raw).toString('base64');
    await expectCode(complete(uploadId, [parts[0]!, listed(two)]), 400, 'InvalidRequest');
    await expectCode(
      complete(uploadId, [parts[0]!, listed(two, { ChecksumSHA256: one.checksum!.value })]),
      400,
      'InvalidPart',
    );
    await expectCode(complete(uploadId, [parts[0]!, listed(two, { ChecksumCRC32: 'AAAAAA==' })]), 400, 'InvalidPart');
    await expectCode(complete(uploadId, parts, { 'x-amz-checksum-type': 'FULL_OBJECT' }), 400, 'InvalidRequest');
    await expectCode(complete(uploadId, parts, { 'x-amz-checksum-crc32': 'AAAAAA==' }), 400, 'InvalidRequest');
    await expectCode(complete(uploadId, parts, { 'x-amz-checksum-sha256': 'AAAAAA==' }), 400, 'InvalidRequest');
    const answer = await complete(uploadId, parts, {
      'x-amz-checksum-sha256': `${value}-2`,
      'x-amz-checksum-type': 'COMPOSITE',
    });
    expect(answer.status).toBe(200);
    const root = readXml(answer.text);
    expect([text(root, 'ChecksumSHA256'), text(root, 'ChecksumType')]).toEqual([`${value}-2`, 'COMPOSITE']);
    expect((await complete(uploadId, parts, { 'x-amz-checksum-sha256': value })).status).toBe(200);
  });

  test('full object: parts may come without', async () => {
    const uploadId = await start('CRC64NVME', 'FULL_OBJECT');
    const part = await fixture.putPart('a b', uploadId, 1, last, 'CRC64NVME');
    const { value } = fullChecksum('CRC64NVME', last);
    const answer = await complete(uploadId, [listed(part)], { 'x-amz-checksum-crc64nvme': value });
    expect(answer.status).toBe(200);
    const root = readXml(answer.text);
    expect([text(root, 'ChecksumCRC64NVME'), text(root, 'ChecksumType')]).toEqual([value, 'FULL_OBJECT']);
  });

  test('the claim for the whole reaches the store, before it commits', async () => {
    const uploadId = await start('CRC32', 'FULL_OBJECT');
    const part = await fixture.putPart('a b', uploadId, 1, last, 'CRC32');
    const seen: unknown[] = [];
    const commit = fixture.objects.completeMultipartUpload.bind(fixture.objects);
    fixture.objects.completeMultipartUpload = (options: Parameters<ObjectLayer['completeMultipartUpload']>[0]) => {
      seen.push(options.checksum);
      return commit(options);
    };
    const wrong = fullChecksum('CRC32', smallest.subarray(0, 9)).value;
    expect(errorCode(await complete(uploadId, [listed(part)], { 'x-amz-checksum-crc32': wrong }))).toBe('BadDigest');
    expect(seen).toEqual([{ algorithm: 'CRC32', value: wrong }]);
  });

  test('an upload without one: what the parts were sent with may be listed', async () => {
    const uploadId = await start();
    const part = await fixture.putPart('a b', uploadId, 1, last, 'CRC32');
    const { value } = part.checksum!;
    await expectCode(complete(uploadId, [listed(part, { ChecksumCRC32: 'AAAAAA==' })]), 400, 'InvalidPart');
    await expectCode(
      complete(uploadId, [listed(part, { ChecksumCRC32: value, ChecksumSHA1: 'x' })]),
      400,
      'InvalidRequest',
    );
    await expectCode(complete(uploadId, [listed(part)], { 'x-amz-checksum-crc32': value }), 400, 'InvalidRequest');
    expect((await complete(uploadId, [listed(part, { ChecksumCRC32: value })])).status).toBe(200);
  });

  test('two claims at once', async () => {
    const headers = { 'x-amz-checksum-crc32': 'AAAAAA==', 'x-amz-checksum-crc32c': 'AAAAAA==' };
    await expectCode(complete(await start(), [{ PartNumber: 1, ETag: 'x' }], headers), 400, 'InvalidRequest');
  });
});

test('what belongs to Create is refused here', async () => {
  await expectCode(
    complete(await start(), [{ PartNumber: 1, ETag: 'x' }], { 'x-amz-object-lock-mode': 'GOVERNANCE' }),
    501,
    'NotImplemented',
  );
});

test('needs s3:PutObject on the key', async () => {
  const asked: unknown[] = [];
  const answer = await send(await start(), '', {}, { isAllowed: (permission) => asked.push(permission) === 0 });
  expect(answer.status).toBe(403);
  expect(asked).toEqual([{ action: 's3:PutObject', bucket: 'bucket', key: 'a b' }]);
});

test('the location is in the style of the request', async () => {
  const uploadId = await start();
  const part = await fixture.putPart('a b', uploadId, 1, last);
  const body = documentOf([listed(part)]);
  const answer = await send(
    uploadId,
    body,
    { host: 's3.example.org' },
    { target: `/bucket/%61%20b?uploadId=${uploadId}` },
  );
  expect(text(readXml(answer.text), 'Location')).toBe('http://s3.example.org/bucket/%61%20b');
});
