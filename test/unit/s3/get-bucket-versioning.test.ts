import { expect, test } from 'vitest';
import { getBucketVersioning } from '../../../src/s3/get-bucket-versioning.js';
import { DocumentFixture, errorCode, readXml } from './document-fixture.js';

test('an empty element: never enabled', async () => {
  const fixture = new DocumentFixture();
  await fixture.bucket();
  const answer = await fixture.send(getBucketVersioning, { target: '/bucket?versioning' });
  expect(readXml(answer.text)).toEqual({
    name: 'VersioningConfiguration',
    attributes: ' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"',
    text: '',
    children: [],
  });
});

test('no such bucket, not allowed', async () => {
  const fixture = new DocumentFixture();
  expect(errorCode(await fixture.send(getBucketVersioning, { target: '/nowhere?versioning' }))).toBe('NoSuchBucket');
  const answer = await fixture.send(getBucketVersioning, { target: '/nowhere?versioning', isAnonymous: true });
  expect(errorCode(answer)).toBe('AccessDenied');
});
