import { expect, test } from 'vitest';
import { getObjectTagging } from '../../../src/s3/get-object-tagging.js';
import { DocumentFixture, errorCode, readXml } from './document-fixture.js';

test('an empty set for an object that is there', async () => {
  const fixture = new DocumentFixture();
  await fixture.bucket();
  await fixture.put('key');
  const answer = await fixture.send(getObjectTagging, { target: '/bucket/key?tagging' });
  expect(answer.status).toBe(200);
  expect(readXml(answer.text)).toMatchObject({
    name: 'Tagging',
    children: [{ name: 'TagSet', text: '', children: [] }],
  });
});

test('no such bucket, no such key, not allowed', async () => {
  const fixture = new DocumentFixture();
  expect(errorCode(await fixture.send(getObjectTagging, { target: '/nowhere/key?tagging' }))).toBe('NoSuchBucket');
  await fixture.bucket();
  expect(errorCode(await fixture.send(getObjectTagging, { target: '/bucket/key?tagging' }))).toBe('NoSuchKey');
  const answer = await fixture.send(getObjectTagging, { target: '/bucket/key?tagging', isAnonymous: true });
  expect(errorCode(answer)).toBe('AccessDenied');
});
