import { describe, expect, it } from 'vitest';
import { Refusal } from '../../../src/base/index.js';
import { checkLengthRange, checkPostPolicy, parsePostPolicy } from '../../../src/s3/post-policy.js';

const base64 = (document: unknown) =>
  Buffer.from(typeof document === 'string' ? document : JSON.stringify(document)).toString('base64');
const expiration = '2026-11-25T00:00:00.000Z';
const nowMs = Date.UTC(2026, 10, 24);

function refusalOf(act: () => unknown): Refusal | null {
  try {
    act();
    return null;
  } catch (error) {
    if (error instanceof Refusal) return error as Refusal;
    throw error;
  }
}

const check = (conditions: readonly unknown[], fields: Record<string, string>, atMs = nowMs) =>
  refusalOf(() =>
    checkPostPolicy(parsePostPolicy(base64({ expiration, conditions })), new Map(Object.entries(fields)), atMs),
  );

describe('a policy', () => {
  it.each([
    ['no base64', '{}'],
    ['no JSON', base64('{')],
    ['not UTF-8', Buffer.from([0x22, 0xff, 0x22]).toString('base64')],
    ['a list', base64([])],
    ['without expiration', base64({ conditions: [] })],
    ['with a date alone', base64({ expiration: '2026-11-25', conditions: [] })],
    ['with an impossible time', base64({ expiration: '2026-13-25T00:00:00Z', conditions: [] })],
    ['without conditions', base64({ expiration })],
    ['with a condition of text', base64({ expiration, conditions: ['key'] })],
    ['with a short condition', base64({ expiration, conditions: [['eq', '$key']] })],
    ['with an unknown operator', base64({ expiration, conditions: [['like', '$key', 'a']] })],
    ['without a dollar sign', base64({ expiration, conditions: [['eq', 'key', 'a']] })],
    ['with an object as value', base64({ expiration, conditions: [{ key: {} }] })],
    ['with a prefix of the bucket', base64({ expiration, conditions: [['starts-with', '$bucket', 'a']] })],
    ['with a negative length', base64({ expiration, conditions: [['content-length-range', -1, 5]] })],
    ['with a length of text', base64({ expiration, conditions: [['content-length-range', 0, 'all']] })],
    ['with too many conditions', base64({ expiration, conditions: Array(1001).fill({ a: 'b' }) })],
  ])('%s is invalid', (_, text) => {
    expect(refusalOf(() => parsePostPolicy(text))?.code).toBe('InvalidPolicyDocument');
  });

  it('expires', () => {
    const fields = { key: 'k' };
    expect(check([{ key: 'k' }], fields, Date.parse(expiration) - 1)).toBeNull();
    expect(check([{ key: 'k' }], fields, Date.parse(expiration))).toMatchObject({
      code: 'AccessDenied',
      message: 'Invalid according to Policy: Policy expired.',
    });
  });

  it.each([
    [[{ key: 'k' }], { key: 'k' }],
    [[{ KEY: 'k' }], { key: 'k' }],
    [[['EQ', '$Key', 'k']], { key: 'k' }],
    [[['starts-with', '$key', 'user/']], { key: 'user/k' }],
    [[['starts-with', '$key', '']], { key: 'anything' }],
    [[['starts-with', '$content-type', '']], {}],
    [[['starts-with', '$content-type', 'image/']], { 'content-type': 'image/png, image/jpeg' }],
    [[{ success_action_status: 201 }], { success_action_status: '201' }],
    [[{ bucket: 'b' }], { bucket: 'b' }],
    [[], { bucket: 'b', policy: 'p', 'x-amz-signature': 's', 'x-ignore-me': '1' }],
    [[['content-length-range', 1, 10]], {}],
  ])('of %j allows %j', (conditions, fields) => {
    expect(check(conditions, fields as unknown as Record<string, string>)).toBeNull();
  });

  it.each([
    [[{ key: 'k' }], { key: 'K' }, 'Policy Condition failed: ["eq", "$key", "k"]'],
    [[{ key: 'k' }], {}, 'Policy Condition failed: ["eq", "$key", "k"]'],
    [
      [['starts-with', '$key', 'user/']],
      { key: 'users/k' },
      'Policy Condition failed: ["starts-with", "$key", "user/"]',
    ],
    [
      [['starts-with', '$content-type', 'image/']],
      { 'content-type': 'image/png, text/html' },
      'Policy Condition failed: ["starts-with", "$content-type", "image/"]',
    ],
    [[{ bucket: 'b' }], { bucket: 'other' }, 'Policy Condition failed: ["eq", "$bucket", "b"]'],
    [[], { key: 'k' }, 'Extra input fields: key'],
    [[{ key: 'k' }], { key: 'k', acl: 'public-read', 'x-amz-meta-a': '1' }, 'Extra input fields: acl, x-amz-meta-a'],
    [
      [{ key: 'k' }, ['starts-with', '$key', 'x']],
      { key: 'k' },
      'Policy Condition failed: ["starts-with", "$key", "x"]',
    ],
  ])('of %j refuses %j', (conditions, fields, text) => {
    expect(check(conditions, fields as unknown as Record<string, string>)).toMatchObject({
      code: 'AccessDenied',
      message: `Invalid according to Policy: ${text}`,
    });
  });

  it('bounds the length, by the narrowest of its ranges', () => {
    const parsed = (...ranges: [unknown, unknown][]) =>
      parsePostPolicy(
        base64({ expiration, conditions: ranges.map(([min, max]) => ['content-length-range', min, max]) }),
      );
    const codes = (policy: ReturnType<typeof parsed>) =>
      [9, 10, 20, 21].map((bytes) => refusalOf(() => checkLengthRange(policy, bytes))?.code ?? null);
    expect(codes(parsed([10, 20]))).toEqual(['EntityTooSmall', null, null, 'EntityTooLarge']);
    expect(codes(parsed(['10', '100'], [0, '20']))).toEqual(['EntityTooSmall', null, null, 'EntityTooLarge']);
    expect(codes(parsed())).toEqual([null, null, null, null]);
    expect(refusalOf(() => checkLengthRange(parsed([10, 20]), 30))?.detail).toEqual({
      ProposedSize: '30',
      MaxSizeAllowed: '20',
    });
  });
});
