import { expect, test } from 'vitest';
import { getBucketLocation } from '../../../src/s3/get-bucket-location.js';
import { DocumentFixture, errorCode, readXml } from './document-fixture.js';

test.each([
  ['us-east-1', '', ''],
  ['', '', ''],
  ['eu-west-1', '', 'eu-west-1'],
  ['', 'here-1', 'here-1'],
  ['', 'us-east-1', ''],
])('server %j, bucket %j: %j', async (server, bucket, answered) => {
  const fixture = new DocumentFixture({ region: server });
  await fixture.objects.createBucket('bucket', { region: bucket });
  const answer = await fixture.send(getBucketLocation, { target: '/bucket?location' });
  expect(readXml(answer.text)).toMatchObject({
    name: 'LocationConstraint',
    attributes: ' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"',
    text: answered,
    children: [],
  });
});

test('no such bucket, not allowed', async () => {
  const fixture = new DocumentFixture();
  expect(errorCode(await fixture.send(getBucketLocation, { target: '/nowhere?location' }))).toBe('NoSuchBucket');
  const answer = await fixture.send(getBucketLocation, { target: '/nowhere?location', isAnonymous: true });
  expect(errorCode(answer)).toBe('AccessDenied');
});
