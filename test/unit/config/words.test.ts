import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  editDistance,
  parseAddress,
  parseDurationMs,
  parseSize,
  parseSwitch,
  splitWords,
} from '../../../src/config/words.js';

describe('splitWords', () => {
  test.each([
    ['', []],
    ['  \t\n', []],
    ['/mnt/a /mnt/b', ['/mnt/a', '/mnt/b']],
    ['  "/mnt/with space"   /b ', ['/mnt/with space', '/b']],
    [`--address ':9000' --json`, ['--address', ':9000', '--json']],
    [`a"b c"d`, ['ab cd']],
    [`""`, ['']],
    [`"it's"`, ["it's"]],
  ])('%j', (text, words) => expect(splitWords(text)).toEqual(words));

  test.each([`"open`, `it's`])('an open quote in %j has no words', (text) => expect(splitWords(text)).toBeNull());
});

describe('parseSize', () => {
  test.each([
    ['0', 0],
    ['4096', 4096],
    ['1k', 1000],
    ['1KiB', 1024],
    ['1.5MiB', 1_572_864],
    ['2 GB', 2_000_000_000],
    ['1gi', 1_073_741_824],
    ['1TiB', 1_099_511_627_776],
  ])('%s', (text, bytes) => expect(parseSize(text)).toBe(bytes));

  test.each(['', 'MiB', '-1', '1.2.3', '1XB', '1e9', '99999999999TiB', '0x10', 'constructor', '1constructor'])(
    'refuses %j',
    (text) => expect(parseSize(text)).toBeNull(),
  );
});

describe('parseDurationMs', () => {
  test.each([
    ['0', 0],
    ['10s', 10_000],
    ['1m30s', 90_000],
    ['500ms', 500],
    ['1.5h', 5_400_000],
  ])('%s', (text, ms) => expect(parseDurationMs(text)).toBe(ms));

  test.each(['', '10', 's', '-1s', '1d', '10 s'])('refuses %j', (text) => expect(parseDurationMs(text)).toBeNull());
});

describe('parseSwitch', () => {
  test.each(['on', 'ON', 'true', '1', 'yes', 'enabled'])('%s is on', (text) => expect(parseSwitch(text)).toBe(true));
  test.each(['off', 'False', '0', 'no', ''])('%j is off', (text) => expect(parseSwitch(text)).toBe(false));
  test.each(['maybe', '2'])('%s is neither', (text) => expect(parseSwitch(text)).toBeNull());
});

describe('parseAddress', () => {
  test.each([
    [':9000', '', 9000],
    ['9000', '', 9000],
    ['127.0.0.1:0', '127.0.0.1', 0],
    ['localhost:65535', 'localhost', 65_535],
    ['[::1]:9000', '::1', 9000],
    ['s3.example.org:443', 's3.example.org', 443],
  ])('%s', (text, host, port) => expect(parseAddress(text)).toEqual({ host, port }));

  test.each([
    '',
    ':',
    'host',
    'host:',
    ':65536',
    '::1:9000',
    'http://host:9000',
    'a b:9000',
    '-x:9000',
    ':9000/',
    ':+1',
  ])('refuses %j', (text) => expect(parseAddress(text)).toBeNull());
});

describe('editDistance', () => {
  test.each([
    ['', '', 0],
    ['REGION', 'REGION', 0],
    ['REGION', 'REGOIN', 2],
    ['kitten', 'sitting', 3],
  ])('%s to %s', (left, right, distance) => expect(editDistance(left, right, 9)).toBe(distance));

  test('is symmetric, zero only for equals, and stops at its bound', () => {
    const word = fc.stringMatching(/^[ab]{0,8}$/);
    fc.assert(
      fc.property(word, word, fc.nat(8), (left, right, max) => {
        const distance = editDistance(left, right, 20);
        expect(editDistance(right, left, 20)).toBe(distance);
        expect(distance === 0).toBe(left === right);
        expect(editDistance(left, right, max)).toBe(Math.min(distance, max + 1));
      }),
    );
  });
});
