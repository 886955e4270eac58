import { beforeEach, describe, expect, test } from 'vitest';
import { deleteBucket } from '../../../src/s3/delete-bucket.js';
import { DocumentFixture, errorCode, plainMetadata, type Sent } from './document-fixture.js';

let fixture: DocumentFixture;

beforeEach(async () => {
  fixture = new DocumentFixture();
  await fixture.bucket();
});

const remove = (options: Omit<Sent, 'target' | 'method'> = {}) =>
  fixture.send(deleteBucket, { method: 'DELETE', target: '/bucket', ...options });
const forced = { 'x-minio-force-delete': 'true' };
const startUpload = (key: string) =>
  fixture.objects.createMultipartUpload({
    bucket: 'bucket',
    key,
    metadata: plainMetadata,
    checksumAlgorithm: null,
    checksumType: null,
  });

test('an empty bucket goes, and then is not there', async () => {
  expect(await remove()).toMatchObject({ status: 204, text: '' });
  const again = await remove();
  expect([again.status, errorCode(again)]).toEqual([404, 'NoSuchBucket']);
});

test('one with an object or an upload stays', async () => {
  await fixture.put('a');
  const answer = await remove();
  expect([answer.status, errorCode(answer)]).toEqual([409, 'BucketNotEmpty']);
  await fixture.objects.deleteObject('bucket', 'a', '', null);
  await startUpload('a');
  expect(errorCode(await remove({ headers: { 'x-minio-force-delete': 'false' } }))).toBe('BucketNotEmpty');
});

test('needs s3:DeleteBucket', async () => {
  expect((await remove({ isAllowed: ({ action }) => action !== 's3:DeleteBucket' })).status).toBe(403);
  expect(fixture.objects.bucket('bucket')).toBeDefined();
});

describe('forced', () => {
  test('its objects and uploads go too, page by page', async () => {
    for (let index = 0; index < 1001; index++) await fixture.put(`key ${index}`, '');
    for (let index = 0; index < 1001; index++) await startUpload(`key ${index % 3}`);
    expect((await remove({ headers: forced })).status).toBe(204);
    expect(fixture.objects.listBuckets()).toEqual([]);
  });

  test('no such bucket', async () => {
    await fixture.objects.deleteBucket('bucket');
    expect(errorCode(await remove({ headers: forced }))).toBe('NoSuchBucket');
  });

  test('needs s3:ForceDeleteBucket beside', async () => {
    await fixture.put('a');
    const isAllowed: Sent['isAllowed'] = ({ action }) => action !== 's3:ForceDeleteBucket';
    expect((await remove({ headers: forced, isAllowed })).status).toBe(403);
    expect(fixture.objects.head('bucket', 'a', '')).toBeDefined();
  });

  test('stops when the client goes away', async () => {
    for (let index = 0; index < 1500; index++) await fixture.put(`key ${String(index).padStart(4, '0')}`, '');
    await remove({ headers: forced, isAborted: () => true });
    const all = { prefix: '', delimiter: '', startAfter: '', countMax: 1000 };
    const left = await fixture.objects.list({ bucket: 'bucket', ...all });
    expect(left.entries).toHaveLength(500);
  });
});
