import { beforeEach, expect, test } from 'vitest';
import { listParts } from '../../../src/s3/list-parts.js';
import { DocumentFixture, errorCode, fullChecksum, readXml, text, texts, type Sent } from './document-fixture.js';

let fixture: DocumentFixture;
let uploadId: string;

beforeEach(async () => {
  fixture = new DocumentFixture();
  await fixture.bucket();
  ({ uploadId } = await fixture.objects.createMultipartUpload({
    bucket: 'bucket',
    key: 'a&b',
    metadata: { headers: {}, storageClass: 'REDUCED_REDUNDANCY' },
    checksumAlgorithm: 'CRC32',
    checksumType: 'COMPOSITE',
  }));
});

const send = (query: string, options: Partial<Sent> = {}) =>
  fixture.send(listParts, { target: `/bucket/a%26b?${query}`, ...options });

async function listing(query = '') {
  const answer = await send(`uploadId=${uploadId}${query}`);
  expect(answer).toMatchObject({ status: 200 });
  return readXml(answer.text);
}

const head = (root: Awaited<ReturnType<typeof listing>>) =>
  ['PartNumberMarker', 'NextPartNumberMarker', 'MaxParts', 'IsTruncated'].map((name) => text(root, name));

test('an upload without parts', async () => {
  const root = await listing();
  expect(root).toMatchObject({
    name: 'ListPartsResult',
    attributes: ' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"',
  });
  expect(head(root)).toEqual(['0', '0', '1000', 'false']);
  expect(['Bucket', 'Key', 'UploadId', 'StorageClass'].map((name) => text(root, name))).toEqual([
    'bucket',
    'a&b',
    uploadId,
    'REDUCED_REDUNDANCY',
  ]);
  expect([text(root, 'Initiator/ID'), text(root, 'Owner/DisplayName')]).toEqual(['f'.repeat(64), 'granary']);
  expect([text(root, 'ChecksumAlgorithm'), text(root, 'ChecksumType')]).toEqual(['CRC32', 'COMPOSITE']);
  expect(texts(root, 'Part')).toEqual([]);
});

test('a part', async () => {
  const content = Buffer.from('hello');
  await fixture.putPart('a&b', uploadId, 7, content, 'CRC32');
  const [part] = (await listing()).children.filter(({ name }) => name === 'Part');
  expect(Object.fromEntries(part!.children.map((child) => [child.name, child.text]))).toEqual({
    PartNumber: '7',
    LastModified: '2026-11-24T02:40:00.007Z',
    ETag: '"5d41402abc4b2a76b9719d911017c592"',
    Size: '5',
    ChecksumCRC32: fullChecksum('CRC32', content).value,
  });
});

test('pages: max-parts 0, 1, 1000, 1001, after a marker', async () => {
  for (let number = 1; number <= 1001; number++) await fixture.putPart('a&b', uploadId, number * 2, Buffer.alloc(0));
  expect(head(await listing('&max-parts=0'))).toEqual(['0', '0', '0', 'false']);
  expect(head(await listing('&max-parts=1'))).toEqual(['0', '2', '1', 'true']);
  for (const asked of ['1000', '1001', '10000']) {
    const root = await listing(`&max-parts=${asked}`);
    expect(head(root)).toEqual(['0', '2000', '1000', 'true']);
    expect(texts(root, 'Part/PartNumber')).toHaveLength(1000);
  }
  expect(head(await listing('&max-parts=999'))).toEqual(['0', '1998', '999', 'true']);
  const rest = await listing('&part-number-marker=1999');
  expect(head(rest)).toEqual(['1999', '2002', '1000', 'false']);
  expect(texts(rest, 'Part/PartNumber')).toEqual(['2000', '2002']);
  expect(texts(await listing('&part-number-marker=2002'), 'Part')).toEqual([]);
});

test.each(['max-parts=-1', 'max-parts=x', 'part-number-marker=-1', 'part-number-marker=1.5'])(
  'refuses %s',
  async (query) => {
    expect(errorCode(await send(`uploadId=${uploadId}&${query}`))).toBe('InvalidArgument');
  },
);

test('an upload that is not there; needs s3:ListMultipartUploadParts', async () => {
  for (const query of ['uploadId=', 'uploadId=x', 'uploadId=x&max-parts=0']) {
    const answer = await send(query);
    expect([answer.status, errorCode(answer)]).toEqual([404, 'NoSuchUpload']);
  }
  const answer = await send(`uploadId=${uploadId}`, {
    isAllowed: ({ action }) => action !== 's3:ListMultipartUploadParts',
  });
  expect(answer.status).toBe(403);
});
