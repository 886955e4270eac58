import { beforeEach, describe, expect, test } from 'vitest';
import { createMultipartUpload } from '../../../src/s3/create-multipart-upload.js';
import { DocumentFixture, errorCode, readXml, text, type Sent } from './document-fixture.js';

let fixture: DocumentFixture;

beforeEach(async () => {
  fixture = new DocumentFixture();
  await fixture.bucket();
});

const create = (headers: Record<string, string> = {}, options: Partial<Sent> = {}) =>
  fixture.send(createMultipartUpload, { method: 'POST', target: '/bucket/a%26b?uploads', headers, ...options });
const only = async () => {
  const { uploads } = await fixture.objects.listUploads({
    bucket: 'bucket',
    prefix: '',
    delimiter: '',
    keyMarker: '',
    uploadIdMarker: '',
    countMax: 10,
  });
  expect(uploads).toHaveLength(1);
  return uploads[0]!;
};

test('answers with the id, and keeps what was said about the object', async () => {
  const answer = await create({
    'content-type': 'text/plain',
    'x-amz-meta-a': 'b',
    'x-amz-storage-class': 'REDUCED_REDUNDANCY',
  });
  expect(answer.status).toBe(200);
  const root = readXml(answer.text);
  expect(root).toMatchObject({
    name: 'InitiateMultipartUploadResult',
    attributes: ' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"',
  });
  expect([text(root, 'Bucket'), text(root, 'Key')]).toEqual(['bucket', 'a&b']);
  expect(await only()).toMatchObject({
    uploadId: text(root, 'UploadId'),
    key: 'a&b',
    metadata: { headers: { 'content-type': 'text/plain', 'x-amz-meta-a': 'b' }, storageClass: 'REDUCED_REDUNDANCY' },
    checksumAlgorithm: null,
    checksumType: null,
  });
  expect([...answer.headers.keys()].filter((name) => name.startsWith('x-amz-checksum'))).toEqual([]);
});

describe('checksums', () => {
  test.each([
    ['CRC32', undefined, 'COMPOSITE'],
    ['crc32c', undefined, 'COMPOSITE'],
    ['SHA1', undefined, 'COMPOSITE'],
    ['SHA256', 'COMPOSITE', 'COMPOSITE'],
    ['CRC64NVME', undefined, 'FULL_OBJECT'],
    ['CRC64NVME', 'FULL_OBJECT', 'FULL_OBJECT'],
    ['CRC32', 'FULL_OBJECT', 'FULL_OBJECT'],
    ['CRC32C', 'full_object', 'FULL_OBJECT'],
  ])('%s with type %s is %s', async (algorithm, type, expected) => {
    const answer = await create({
      'x-amz-checksum-algorithm': algorithm,
      ...(type === undefined ? {} : { 'x-amz-checksum-type': type }),
    });
    expect(answer.status).toBe(200);
    expect(await only()).toMatchObject({ checksumAlgorithm: algorithm.toUpperCase(), checksumType: expected });
    expect(answer.headers.get('x-amz-checksum-algorithm')).toBe(algorithm.toUpperCase());
    expect(answer.headers.get('x-amz-checksum-type')).toBe(expected);
  });

  test.each([
    ['SHA1', 'FULL_OBJECT'],
    ['SHA256', 'FULL_OBJECT'],
    ['CRC64NVME', 'COMPOSITE'],
    ['MD5', undefined],
    ['CRC32', 'OTHER'],
    [undefined, 'FULL_OBJECT'],
  ])('%s with type %s is refused', async (algorithm, type) => {
    const answer = await create({
      ...(algorithm === undefined ? {} : { 'x-amz-checksum-algorithm': algorithm }),
      ...(type === undefined ? {} : { 'x-amz-checksum-type': type }),
    });
    expect([answer.status, errorCode(answer)]).toEqual([400, 'InvalidRequest']);
  });
});

test.each([
  ['x-amz-storage-class', 'GLACIER', 'InvalidStorageClass'],
  ['x-amz-server-side-encryption', 'AES256', 'NotImplemented'],
  ['x-amz-object-lock-mode', 'GOVERNANCE', 'NotImplemented'],
  ['x-amz-tagging', 'a=b', 'NotImplemented'],
  ['x-minio-internal-x', 'y', 'InvalidArgument'],
  ['x-amz-meta-big', 'x'.repeat(2046), 'MetadataTooLarge'],
])('refuses %s: %s', async (header, value, code) => {
  expect(errorCode(await create({ [header]: value }))).toBe(code);
});

test('no such bucket; needs s3:PutObject on the key', async () => {
  expect(errorCode(await create({}, { target: '/nowhere/a?uploads' }))).toBe('NoSuchBucket');
  const asked: unknown[] = [];
  const answer = await create({}, { isAllowed: (permission) => asked.push(permission) === 0 });
  expect(answer.status).toBe(403);
  expect(asked).toEqual([{ action: 's3:PutObject', bucket: 'bucket', key: 'a&b' }]);
});
