import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeContinuationToken, encodeContinuationToken } from '../../../src/s3/continuation-token.js';

const refused = expect.objectContaining({ code: 'InvalidArgument' }) as Error;
const decode = (token: string) => () => decodeContinuationToken('objects/b', token);

test('gives the position back, for any key', () => {
  const keys = fc
    .string({ unit: 'binary', minLength: 1, maxLength: 300 })
    .filter((key) => Buffer.byteLength(key) <= 1024);
  fc.assert(
    fc.property(keys, (key) => {
      const token = encodeContinuationToken('objects/b', key);
      expect(token).toMatch(/^[A-Za-z0-9_-]+$/);
      expect(decodeContinuationToken('objects/b', token)).toBe(key);
    }),
    { verbose: 1 },
  );
});

test('is what it was in earlier versions: tokens outlive an update', () => {
  expect(encodeContinuationToken('objects/b', 'a/key')).toBe('AVnOT2-Z9EXcYS9rZXk');
});

test.each(['', 'AA', '!', 'YS9rZXk=', 'AVnOT2-Z9EXcYS9rZXk=', 'AVnOT2-Z9EXcYS9rZXo', 'AlnOT2-Z9EXcYS9rZXk'])(
  'refuses %j',
  (token) => {
    expect(decode(token)).toThrow(refused);
  },
);

test('refuses the token of another bucket', () => {
  expect(decode(encodeContinuationToken('objects/c', 'a'))).toThrow(refused);
});

test('refuses every token with one character changed', () => {
  const token = encodeContinuationToken('objects/b', 'some/key');
  for (let index = 0; index < token.length; index++) {
    const other = token[index] === 'A' ? 'B' : 'A';
    expect(decode(token.slice(0, index) + other + token.slice(index + 1))).toThrow(refused);
  }
});

test('takes positions of 1,023 and 1,024 bytes, refuses 1,025', () => {
  for (const length of [1023, 1024]) {
    const key = 'k'.repeat(length);
    expect(decodeContinuationToken('objects/b', encodeContinuationToken('objects/b', key))).toBe(key);
  }
  expect(decode(encodeContinuationToken('objects/b', 'k'.repeat(1025)))).toThrow(refused);
});
