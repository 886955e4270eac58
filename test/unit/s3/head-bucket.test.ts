import { expect, test } from 'vitest';
import { headBucket } from '../../../src/s3/head-bucket.js';
import { DocumentFixture } from './document-fixture.js';

const send = (fixture: DocumentFixture, target: string, isAnonymous = false) =>
  fixture.send(headBucket, { method: 'HEAD', target, isAnonymous });

test('there, with its region', async () => {
  const fixture = new DocumentFixture({ region: 'eu-west-1' });
  await fixture.bucket();
  const answer = await send(fixture, '/bucket');
  expect(answer).toMatchObject({ status: 200, text: '' });
  expect(answer.headers.get('x-amz-bucket-region')).toBe('eu-west-1');
});

test('not there, not allowed: a status and no body', async () => {
  const fixture = new DocumentFixture();
  await fixture.bucket();
  const absent = await send(fixture, '/nowhere');
  expect(absent).toMatchObject({ status: 404, text: '' });
  expect(absent.headers.get('x-minio-error-code')).toBe('NoSuchBucket');
  expect(await send(fixture, '/bucket', true)).toMatchObject({ status: 403, text: '' });
});
