import { beforeEach, expect, test } from 'vitest';
import { listMultipartUploads } from '../../../src/s3/list-multipart-uploads.js';
import { DocumentFixture, errorCode, plainMetadata, readXml, text, texts, type Sent } from './document-fixture.js';

let fixture: DocumentFixture;

beforeEach(async () => {
  fixture = new DocumentFixture();
  await fixture.bucket();
});

const start = async (key: string) =>
  (
    await fixture.objects.createMultipartUpload({
      bucket: 'bucket',
      key,
      metadata: plainMetadata,
      checksumAlgorithm: 'SHA1',
      checksumType: 'COMPOSITE',
    })
  ).uploadId;
const send = (query: string, options: Partial<Sent> = {}) =>
  fixture.send(listMultipartUploads, { target: `/bucket?uploads&${query}`, ...options });

async function listing(query = '') {
  const answer = await send(query);
  expect(answer).toMatchObject({ status: 200 });
  return readXml(answer.text);
}

const keys = (root: Awaited<ReturnType<typeof listing>>) => texts(root, 'Upload/Key');

test('none', async () => {
  const root = await listing();
  expect(root).toMatchObject({
    name: 'ListMultipartUploadsResult',
    attributes: ' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"',
  });
  expect(Object.fromEntries(root.children.map((child) => [child.name, child.text]))).toEqual({
    Bucket: 'bucket',
    KeyMarker: '',
    UploadIdMarker: '',
    Prefix: '',
    MaxUploads: '1000',
    IsTruncated: 'false',
  });
});

test('an upload', async () => {
  const uploadId = await start('a&b');
  const [upload] = (await listing()).children.filter(({ name }) => name === 'Upload');
  expect(
    Object.fromEntries(upload!.children.map((child) => [child.name, child.text || texts(child, 'ID')[0]])),
  ).toEqual({
    Key: 'a&b',
    UploadId: uploadId,
    Initiator: 'f'.repeat(64),
    Owner: 'f'.repeat(64),
    StorageClass: 'STANDARD',
    Initiated: '2026-11-24T02:40:00.007Z',
    ChecksumAlgorithm: 'SHA1',
    ChecksumType: 'COMPOSITE',
  });
});

test('prefix, delimiter, encoding', async () => {
  for (const key of ['p/a', 'p/d 1/x', 'p/d 1/y', 'p/z', 'q']) await start(key);
  const root = await listing('prefix=p/&delimiter=/&encoding-type=url');
  expect(keys(root)).toEqual(['p/a', 'p/z']);
  expect(texts(root, 'CommonPrefixes/Prefix')).toEqual(['p/d+1/']);
  expect(['Prefix', 'Delimiter', 'EncodingType'].map((name) => text(root, name))).toEqual(['p/', '/', 'url']);
});

test('pages of every size give every upload and prefix once', async () => {
  for (const key of ['b', 'a', 'b', 'd/1', 'd/2', 'b', 'c', 'a']) await start(key);
  const all = (await listing('delimiter=/')).children
    .filter(({ name }) => name === 'Upload')
    .map((upload) => texts(upload, 'UploadId')[0]);
  expect(all).toHaveLength(6);
  for (let size = 1; size <= 8; size++) {
    const found: string[] = [];
    const prefixes: string[] = [];
    let query = '';
    for (let page = 0; page <= 8; page++) {
      const root = await listing(`delimiter=/&max-uploads=${size}${query}`);
      found.push(...texts(root, 'Upload/UploadId'));
      prefixes.push(...texts(root, 'CommonPrefixes/Prefix'));
      if (text(root, 'IsTruncated') === 'false') break;
      query = `&key-marker=${text(root, 'NextKeyMarker')!}&upload-id-marker=${text(root, 'NextUploadIdMarker')!}`;
    }
    expect([found, prefixes]).toEqual([all, ['d/']]);
  }
});

test('markers: an upload id alone means nothing; a key alone skips all its uploads', async () => {
  const first = await start('a');
  await start('a');
  await start('b');
  expect(keys(await listing(`upload-id-marker=${first}`))).toEqual(['a', 'a', 'b']);
  expect(keys(await listing('key-marker=a'))).toEqual(['b']);
  const root = await listing(`key-marker=a&upload-id-marker=${first}`);
  expect(keys(root)).toEqual(['a', 'b']);
  expect([text(root, 'KeyMarker'), text(root, 'UploadIdMarker')]).toEqual(['a', first]);
  // A marker outside the prefix is no mistake.
  expect(keys(await listing('prefix=b&key-marker=a'))).toEqual(['b']);
});

test('max-uploads: 0, 999, 1000, 1001', async () => {
  for (let index = 0; index < 1001; index++) await start('k');
  for (const [asked, count] of [
    ['0', 0],
    ['999', 999],
    ['1000', 1000],
    ['1001', 1000],
  ] as const) {
    const root = await listing(`max-uploads=${asked}`);
    expect(keys(root)).toHaveLength(count);
    expect([text(root, 'IsTruncated'), text(root, 'MaxUploads')]).toEqual([String(count > 0), String(count)]);
  }
});

test.each(['max-uploads=-1', 'max-uploads=x', 'encoding-type=x'])('refuses %s', async (query) => {
  expect(errorCode(await send(query))).toBe('InvalidArgument');
});

test('no such bucket; needs s3:ListBucketMultipartUploads', async () => {
  for (const target of ['/nowhere?uploads', '/nowhere?uploads&max-uploads=0'])
    expect(errorCode(await send('', { target }))).toBe('NoSuchBucket');
  const answer = await send('', { isAllowed: ({ action }) => action !== 's3:ListBucketMultipartUploads' });
  expect(answer.status).toBe(403);
});
