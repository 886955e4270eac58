import { beforeEach, expect, test } from 'vitest';
import { abortMultipartUpload } from '../../../src/s3/abort-multipart-upload.js';
import { DocumentFixture, errorCode, plainMetadata, type Sent } from './document-fixture.js';

let fixture: DocumentFixture;
let uploadId: string;

beforeEach(async () => {
  fixture = new DocumentFixture();
  await fixture.bucket();
  ({ uploadId } = await fixture.objects.createMultipartUpload({
    bucket: 'bucket',
    key: 'a',
    metadata: plainMetadata,
    checksumAlgorithm: null,
    checksumType: null,
  }));
});

const abort = (target: string, options: Partial<Sent> = {}) =>
  fixture.send(abortMultipartUpload, { method: 'DELETE', target, ...options });

test('the upload is gone; again it is not there', async () => {
  expect(await abort(`/bucket/a?uploadId=${uploadId}`)).toMatchObject({ status: 204, text: '' });
  expect(errorCode(await abort(`/bucket/a?uploadId=${uploadId}`))).toBe('NoSuchUpload');
  await fixture.objects.deleteBucket('bucket');
});

test('an upload that is not there', async () => {
  for (const target of [
    '/bucket/a?uploadId=',
    '/bucket/a?uploadId=x',
    `/bucket/b?uploadId=${uploadId}`,
    `/bucket/a?uploadId=${'x'.repeat(257)}`,
  ]) {
    const answer = await abort(target);
    expect([answer.status, errorCode(answer)]).toEqual([404, 'NoSuchUpload']);
  }
  expect(errorCode(await abort(`/nowhere/a?uploadId=${uploadId}`))).toBe('NoSuchBucket');
});

test('needs s3:AbortMultipartUpload', async () => {
  const answer = await abort(`/bucket/a?uploadId=${uploadId}`, {
    isAllowed: ({ action }) => action !== 's3:AbortMultipartUpload',
  });
  expect(answer.status).toBe(403);
  expect(fixture.objects.multipartUpload('bucket', 'a', uploadId)).toBeDefined();
});
