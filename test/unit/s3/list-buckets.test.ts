import { beforeEach, describe, expect, test } from 'vitest';
import { listBuckets } from '../../../src/s3/list-buckets.js';
import { DocumentFixture, errorCode, readXml, startMs, text, texts, type Sent } from './document-fixture.js';

let fixture: DocumentFixture;

beforeEach(() => {
  fixture = new DocumentFixture();
});

async function listing(query = '', options: Omit<Sent, 'target'> = {}) {
  const answer = await fixture.send(listBuckets, { target: `/?${query}`, ...options });
  expect(answer).toMatchObject({ status: 200 });
  return readXml(answer.text);
}

const codeOf = async (query: string, options: Omit<Sent, 'target'> = {}) =>
  errorCode(await fixture.send(listBuckets, { target: `/?${query}`, ...options }));

test('none', async () => {
  const root = await listing();
  expect(root).toMatchObject({
    name: 'ListAllMyBucketsResult',
    attributes: ' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"',
  });
  expect(text(root, 'Buckets')).toBe('');
  expect([text(root, 'Owner/ID'), text(root, 'Owner/DisplayName')]).toEqual(['f'.repeat(64), 'granary']);
});

test('sorted by name, with dates', async () => {
  for (const name of ['zz9', 'a-b', 'a.b', 'a0b']) {
    await fixture.bucket(name);
    fixture.clock.ms += 1000;
  }
  const root = await listing();
  expect(texts(root, 'Buckets/Bucket/Name')).toEqual(['a-b', 'a.b', 'a0b', 'zz9']);
  expect(texts(root, 'Buckets/Bucket/CreationDate')[3]).toBe(new Date(startMs).toISOString());
  expect(texts(root, 'Buckets/Bucket/BucketRegion')).toEqual([]);
  expect(text(root, 'ContinuationToken')).toBeUndefined();
});

describe('pages', () => {
  beforeEach(async () => {
    for (const name of ['a-1', 'a-2', 'a-3', 'b-1']) await fixture.bucket(name);
    await fixture.objects.createBucket('b-2', { region: 'eu-west-1' });
  });

  test('of every size give every bucket once', async () => {
    for (let size = 1; size <= 6; size++) {
      const found: string[] = [];
      let token: string | undefined = '';
      while (token !== undefined) {
        const root = await listing(`max-buckets=${size}${token === '' ? '' : `&continuation-token=${token}`}`);
        found.push(...texts(root, 'Buckets/Bucket/Name'));
        token = text(root, 'ContinuationToken');
      }
      expect(found).toEqual(['a-1', 'a-2', 'a-3', 'b-1', 'b-2']);
    }
  });

  test('by prefix', async () => {
    const root = await listing('prefix=a-&max-buckets=2');
    expect(texts(root, 'Buckets/Bucket/Name')).toEqual(['a-1', 'a-2']);
    expect(text(root, 'Prefix')).toBe('a-');
    const next = await listing(`prefix=a-&continuation-token=${text(root, 'ContinuationToken')!}`);
    expect(texts(next, 'Buckets/Bucket/Name')).toEqual(['a-3']);
    expect(text(next, 'ContinuationToken')).toBeUndefined();
  });

  test('by region, which is shown to who knows about it', async () => {
    const root = await listing('bucket-region=eu-west-1');
    expect(texts(root, 'Buckets/Bucket/Name')).toEqual(['b-2']);
    expect(texts(root, 'Buckets/Bucket/BucketRegion')).toEqual(['eu-west-1']);
    expect(texts(await listing('bucket-region=us-east-1'), 'Buckets/Bucket/Name')).toHaveLength(4);
  });

  test('max-buckets: 1 and 10000 are fine, 0 and 10001 are not', async () => {
    expect(texts(await listing('max-buckets=1'), 'Buckets/Bucket')).toHaveLength(1);
    expect(texts(await listing('max-buckets=10000'), 'Buckets/Bucket')).toHaveLength(5);
    for (const size of ['0', '10001', '-1', 'x']) expect(await codeOf(`max-buckets=${size}`)).toBe('InvalidArgument');
  });

  test('a token that is none of ours', async () => {
    for (const token of ['', 'x', 'YS0x']) expect(await codeOf(`continuation-token=${token}`)).toBe('InvalidArgument');
  });

  test('10,001 buckets come in two pages, also to who did not ask for pages', async () => {
    for (let index = 0; index < 9996; index++) await fixture.bucket(`c${String(index).padStart(5, '0')}`);
    const root = await listing();
    expect(texts(root, 'Buckets/Bucket')).toHaveLength(10_000);
    const rest = await listing(`continuation-token=${text(root, 'ContinuationToken')!}`);
    expect(texts(rest, 'Buckets/Bucket/Name')).toEqual(['c09995']);
  });
});

describe('who may see what', () => {
  beforeEach(async () => {
    for (const name of ['one', 'two', 'three']) await fixture.bucket(name);
  });

  test('nobody unknown', async () => {
    expect(await codeOf('', { isAnonymous: true, isAllowed: () => true })).toBe('AccessDenied');
  });

  test('without s3:ListAllMyBuckets: those that may be listed or located', async () => {
    const allowed = new Set(['s3:ListBucket one', 's3:GetBucketLocation two', 's3:GetObject three']);
    const root = await listing('', { isAllowed: ({ action, bucket }) => allowed.has(`${action} ${bucket}`) });
    expect(texts(root, 'Buckets/Bucket/Name')).toEqual(['one', 'two']);
  });

  test('none at all: refused', async () => {
    expect(await codeOf('', { isAllowed: () => false })).toBe('AccessDenied');
  });

  test('a page of nothing is no refusal', async () => {
    const root = await listing('prefix=x', { isAllowed: ({ bucket }) => bucket === 'one' });
    expect(texts(root, 'Buckets/Bucket')).toEqual([]);
  });
});
