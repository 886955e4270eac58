import { beforeEach, describe, expect, test } from 'vitest';
import { createBucket } from '../../../src/s3/create-bucket.js';
import { DocumentFixture, errorCode, md5Base64, type Sent } from './document-fixture.js';

let fixture: DocumentFixture;

beforeEach(() => {
  fixture = new DocumentFixture();
});

const create = (bucket: string, options: Omit<Sent, 'target' | 'method'> = {}) =>
  fixture.send(createBucket, { method: 'PUT', target: `/${bucket}`, ...options });
const location = (constraint: string) =>
  `<CreateBucketConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><LocationConstraint>${constraint}</LocationConstraint></CreateBucketConfiguration>`;
const names = () => fixture.objects.listBuckets().map(({ name }) => name);

test('a new bucket', async () => {
  const answer = await create('first');
  expect(answer).toMatchObject({ status: 200, text: '' });
  expect(answer.headers.get('location')).toBe('/first');
  expect(fixture.objects.bucket('first')).toMatchObject({ region: '' });
});

test('one that is there already', async () => {
  await create('first');
  const answer = await create('first');
  expect([answer.status, errorCode(answer)]).toEqual([409, 'BucketAlreadyOwnedByYou']);
  expect((await create('first', { headers: { 'x-minio-force-create': 'true' } })).status).toBe(200);
});

describe('location', () => {
  test.each([
    ['us-east-1', '', ''],
    ['us-east-1', 'us-east-1', 'us-east-1'],
    ['us-east-1', 'US', 'us-east-1'],
    ['eu-west-1', 'EU', 'eu-west-1'],
    ['eu-west-1', ' eu-west-1\n', 'eu-west-1'],
    ['', 'anywhere-1', 'anywhere-1'],
  ])('server %j takes %j', async (region, constraint, kept) => {
    fixture = new DocumentFixture({ region });
    expect((await create('first', { body: location(constraint) })).status).toBe(200);
    expect(fixture.objects.bucket('first').region).toBe(kept);
  });

  test.each([
    ['us-east-1', 'eu-west-1'],
    ['eu-west-1', 'us-east-1'],
    ['eu-west-1', 'US'],
  ])('server %j refuses %j', async (region, constraint) => {
    fixture = new DocumentFixture({ region });
    const answer = await create('first', { body: location(constraint) });
    expect([answer.status, errorCode(answer)]).toEqual([400, 'InvalidRegion']);
    expect(names()).toEqual([]);
  });

  test('a document without it, or with tags', async () => {
    expect((await create('one', { body: '<CreateBucketConfiguration/>' })).status).toBe(200);
    const tags = '<Tags><Tag><Key>a</Key><Value>b</Value></Tag></Tags>';
    const body = `<CreateBucketConfiguration>${tags}</CreateBucketConfiguration>`;
    expect((await create('two', { body })).status).toBe(200);
  });

  test.each(['x', '<Other/>', '<CreateBucketConfiguration>', location('<b/>'), location('r'.repeat(129))])(
    'MalformedXML: %s',
    async (body) => {
      expect(errorCode(await create('first', { body }))).toBe('MalformedXML');
      expect(names()).toEqual([]);
    },
  );

  test('a document that is not what its digest says', async () => {
    const body = location('us-east-1');
    expect((await create('one', { body, headers: { 'content-md5': md5Base64(body) } })).status).toBe(200);
    expect(errorCode(await create('two', { body, headers: { 'content-md5': md5Base64('x') } }))).toBe('BadDigest');
  });

  test('a document of 1 MiB is read, one byte more is not', async () => {
    const whole = location('us-east-1');
    const padded = (bytes: number) => whole + ' '.repeat(bytes - whole.length);
    expect((await create('one', { body: padded(1024 * 1024) })).status).toBe(200);
    expect(errorCode(await create('two', { body: padded(1024 * 1024 + 1) }))).toBe('EntityTooLarge');
  });
});

describe('names', () => {
  test.each(['abc', 'a1b', '0-0', 'a.b.c', 'a'.repeat(62), 'a'.repeat(63), '1.2.3', '1.2.3.4.5', 'xn-a'])(
    '%s',
    async (name) => {
      expect((await create(name)).status).toBe(200);
    },
  );

  test.each([
    'ab',
    'a'.repeat(64),
    'Abc',
    'a_b',
    '-ab',
    'ab-',
    '.ab',
    'ab.',
    'a..b',
    'a.-b',
    'a-.b',
    '192.168.5.4',
    'a%20b',
    '%C3%A9bc',
    'xn--abc',
    'sthree-abc',
    'amzn-s3-demo-abc',
    'abc-s3alias',
    'abc--ol-s3',
    'abc.mrap',
    'abc--x-s3',
    'abc--table-s3',
  ])('not %s', async (name) => {
    const answer = await create(name);
    expect([answer.status, errorCode(answer)]).toEqual([400, 'InvalidBucketName']);
    expect(names()).toEqual([]);
  });

  test.each(['minio', '.minio.sys'])('reserved: %s', async (name) => {
    const answer = await create(name);
    expect([answer.status, errorCode(answer)]).toEqual([403, 'AllAccessDisabled']);
  });
});

describe('headers', () => {
  test('object lock is not there yet', async () => {
    const header = 'x-amz-bucket-object-lock-enabled';
    expect(errorCode(await create('first', { headers: { [header]: 'true' } }))).toBe('NotImplemented');
    expect(errorCode(await create('first', { headers: { [header]: 'yes' } }))).toBe('InvalidArgument');
    expect(names()).toEqual([]);
    expect((await create('first', { headers: { [header]: 'false' } })).status).toBe(200);
  });

  test('access lists: only what is so anyway', async () => {
    expect((await create('one', { headers: { 'x-amz-acl': 'private' } })).status).toBe(200);
    expect(errorCode(await create('two', { headers: { 'x-amz-acl': 'public-read' } }))).toBe('NotImplemented');
    expect(names()).toEqual(['one']);
  });
});

test('needs s3:CreateBucket', async () => {
  const answer = await create('first', { isAllowed: ({ action }) => action !== 's3:CreateBucket' });
  expect(answer.status).toBe(403);
  expect(names()).toEqual([]);
});
