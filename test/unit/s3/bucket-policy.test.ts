import { describe, expect, test } from 'vitest';
import { policyBytesMax } from '../../../src/policy/index.js';
import { deleteBucketPolicy } from '../../../src/s3/delete-bucket-policy.js';
import { getBucketPolicyStatus } from '../../../src/s3/get-bucket-policy-status.js';
import { getBucketPolicy } from '../../../src/s3/get-bucket-policy.js';
import { putBucketPolicy } from '../../../src/s3/put-bucket-policy.js';
import { DocumentFixture, type Answer } from './document-fixture.js';

interface Statement {
  readonly [name: string]: unknown;
}

const open: Statement = {
  Effect: 'Allow',
  Principal: { AWS: ['*'] },
  Action: ['s3:GetObject'],
  Resource: ['arn:aws:s3:::bucket/*'],
};
const document = (...statements: Statement[]) => ({ Version: '2012-10-17', Statement: statements });

async function world() {
  const fixture = new DocumentFixture();
  await fixture.bucket();
  const target = '/bucket?policy';
  return {
    fixture,
    put: (policy: unknown, bucket = 'bucket') =>
      fixture.send(putBucketPolicy, {
        method: 'PUT',
        target: `/${bucket}?policy`,
        body: typeof policy === 'string' ? policy : JSON.stringify(policy),
      }),
    get: (bucket = 'bucket') => fixture.send(getBucketPolicy, { target: `/${bucket}?policy` }),
    remove: () => fixture.send(deleteBucketPolicy, { method: 'DELETE', target }),
    status: (bucket = 'bucket') => fixture.send(getBucketPolicyStatus, { target: `/${bucket}?policyStatus` }),
  };
}

const code = ({ text }: Answer) => /<Code>([^<]+)<\/Code>/.exec(text)?.[1];
const message = ({ text }: Answer) => /<Message>([^<]+)<\/Message>/.exec(text)?.[1];

describe('a policy', () => {
  test('comes back as it was put', async () => {
    const { put, get } = await world();
    const policy = { ...document({ Sid: 'one', ...open }), Id: 'mine' };
    expect(await put(JSON.stringify(policy, null, 4))).toMatchObject({ status: 204, text: '' });
    const answer = await get();
    expect(answer.status).toBe(200);
    expect(answer.headers.get('content-type')).toBe('application/json');
    expect(JSON.parse(answer.text)).toEqual(policy);
  });

  test('is replaced as a whole, and not at all by one that is wrong', async () => {
    const { put, get } = await world();
    await put(document(open));
    const deny = { ...open, Effect: 'Deny' };
    await put(document(deny));
    expect(code(await put(document({ ...open, Effect: 'Maybe' })))).toBe('MalformedPolicy');
    expect(JSON.parse((await get()).text)).toEqual(document(deny));
  });

  test('is gone once it is deleted; deleting again succeeds', async () => {
    const { put, get, remove } = await world();
    expect(code(await get())).toBe('NoSuchBucketPolicy');
    await put(document(open));
    expect(await remove()).toMatchObject({ status: 204, text: '' });
    const answer = await get();
    expect([answer.status, code(answer)]).toEqual([404, 'NoSuchBucketPolicy']);
    expect((await remove()).status).toBe(204);
  });
});

test('a bucket that is not there has none', async () => {
  const { put, get, status } = await world();
  for (const answer of [await put(document(open), 'nowhere'), await get('nowhere'), await status('nowhere')]) {
    expect([answer.status, code(answer)]).toEqual([404, 'NoSuchBucket']);
  }
});

describe('is refused', () => {
  const cases: readonly (readonly [what: string, policy: unknown, code: string, message: RegExp])[] = [
    ['without a body', '', 'MalformedPolicy', /^line 1, column 1: expected a JSON value/],
    ['that is not JSON', '{"Version":', 'MalformedPolicy', /line 1, column 12/],
    ['without its version', { Statement: [open] }, 'MalformedPolicy', /Version must be/],
    ['of another version', { Version: '2008-10-17', Statement: [open] }, 'MalformedPolicy', /Version must be/],
    [
      'about another bucket',
      document({ ...open, Resource: 'arn:aws:s3:::other/*' }),
      'MalformedPolicy',
      /^Statement\[0\]\.Resource .*does not match the bucket/,
    ],
    [
      'about a bucket whose name begins alike',
      document({ ...open, Resource: 'arn:aws:s3:::bucket2/*' }),
      'MalformedPolicy',
      /does not match the bucket/,
    ],
    ['without a principal', document({ ...open, Principal: undefined }), 'MalformedPolicy', /has a Principal/],
    ['about administration', document({ ...open, Action: 'admin:*' }), 'MalformedPolicy', /is about s3 actions/],
    [
      'that lists objects',
      document({ ...open, Action: 's3:ListBucket' }),
      'MalformedPolicy',
      /acts on a bucket, which no resource/,
    ],
    ['that is too large', `${JSON.stringify(document(open))}${' '.repeat(policyBytesMax)}`, 'PolicyTooLarge', /20 KiB/],
  ];
  test.each(cases)('%s', async (_what, policy, expected, text) => {
    const { put, get } = await world();
    const answer = await put(policy);
    expect([answer.status, code(answer)]).toEqual([400, expected]);
    expect(message(answer)?.replaceAll('&quot;', '"')).toMatch(text);
    expect(code(await get())).toBe('NoSuchBucketPolicy');
  });

  test('that is not UTF-8', async () => {
    const { fixture } = await world();
    const body = Buffer.from([0x7b, 0xff, 0x7d]);
    const answer = await fixture.send(putBucketPolicy, { method: 'PUT', target: '/bucket?policy', body });
    expect(code(answer)).toBe('MalformedPolicy');
  });

  test('at one byte over the limit; at the limit it is taken', async () => {
    const { put } = await world();
    const text = JSON.stringify(document(open));
    expect((await put(text + ' '.repeat(policyBytesMax - text.length))).status).toBe(204);
    expect(code(await put(text + ' '.repeat(policyBytesMax - text.length + 1)))).toBe('PolicyTooLarge');
  });
});

describe('the status', () => {
  const range = (...values: string[]) => ({ IpAddress: { 'aws:SourceIp': values } });
  test.each<readonly [what: string, isPublic: boolean, statement: Statement]>([
    ['a grant to everybody', true, open],
    ['a grant to everybody, in short', true, { ...open, Principal: '*' }],
    ['a grant to one account', false, { ...open, Principal: { AWS: ['alice'] } }],
    ['a denial', false, { ...open, Effect: 'Deny' }],
    ['a grant to a network', false, { ...open, Condition: range('10.0.0.0/8') }],
    ['a grant to the whole net', true, { ...open, Condition: range('0.0.0.0/0') }],
    ['a grant to a named account among all', false, { ...open, Condition: { StringEquals: { 'aws:username': 'al' } } }],
    ['a grant to whoever has any name', true, { ...open, Condition: { StringLike: { 'aws:username': '*' } } }],
    [
      'a grant by referer, which anybody can send',
      true,
      { ...open, Condition: { StringLike: { 'aws:Referer': 'x' } } },
    ],
  ])('%s', async (_what, isPublic, statement) => {
    const { put, status } = await world();
    expect((await put(document(statement))).status).toBe(204);
    const answer = await status();
    expect(answer.status).toBe(200);
    expect(answer.text).toContain(`<IsPublic>${isPublic}</IsPublic>`);
  });

  test('of a bucket without a policy is that it is not public', async () => {
    expect((await (await world()).status()).text).toContain('<IsPublic>false</IsPublic>');
  });
});

test.each([
  ['PUT', 's3:PutBucketPolicy', putBucketPolicy, 'policy'],
  ['GET', 's3:GetBucketPolicy', getBucketPolicy, 'policy'],
  ['DELETE', 's3:DeleteBucketPolicy', deleteBucketPolicy, 'policy'],
  ['GET', 's3:GetBucketPolicyStatus', getBucketPolicyStatus, 'policyStatus'],
] as const)('%s asks for %s', async (method, action, operation, query) => {
  const { fixture } = await world();
  const asked: unknown[] = [];
  const answer = await fixture.send(operation, {
    method,
    target: `/bucket?${query}`,
    body: method === 'PUT' ? JSON.stringify(document(open)) : '',
    isAllowed: (permission) => {
      asked.push(permission);
      return false;
    },
  });
  expect([answer.status, code(answer)]).toEqual([403, 'AccessDenied']);
  expect(asked).toEqual([{ action, bucket: 'bucket', key: '' }]);
});
