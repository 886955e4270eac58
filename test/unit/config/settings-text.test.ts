import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { numberKey, switchKey, textKey } from '../../../src/config/setting-key.js';
import {
  decodeSettingsText,
  parseAssignments,
  parsePlace,
  parseResets,
  printLine,
  requirePrintable,
} from '../../../src/config/settings-text.js';
import { defineSubsystem } from '../../../src/config/subsystem.js';

const single = defineSubsystem({
  name: 'single',
  description: 'one',
  takesEffect: 'at once',
  keys: {
    url: textKey('where'),
    token: textKey('secret', { isSecret: true }),
    role_id: textKey('which'),
    count: numberKey('how many', { initial: 3, min: 0, max: 9 }),
  },
  absentKeys: ['queue_dir'],
  read: (values) => values,
});
const several = defineSubsystem({
  name: 'several',
  description: 'more',
  hasTargets: true,
  takesEffect: 'at once',
  keys: { endpoint: textKey('where'), is_fast: switchKey('fast', 'off') },
  read: (values) => values,
});
const schema = [single, several];

const values = (text: string) => Object.fromEntries(parseAssignments(text, schema)[0]?.values ?? []);

describe('a line of settings', () => {
  test.each<[string, Record<string, string>]>([
    ['single url=http://x count=4', { url: 'http://x', count: '4' }],
    // The shell took the quotes away: values run to the next known key.
    [
      'single url=http://x token=Bearer TOKEN role_id=the role',
      { url: 'http://x', token: 'Bearer TOKEN', role_id: 'the role' },
    ],
    ['single token="Bearer TOKEN" role_id=r', { token: 'Bearer TOKEN', role_id: 'r' }],
    ["single token='Bearer TOKEN' role_id=r", { token: 'Bearer TOKEN', role_id: 'r' }],
    ['single token="has role_id=inside" url=u', { token: 'has role_id=inside', url: 'u' }],
    // A key inside a word is none.
    ['single url=http://x/?count=3&role_id=4 count=5', { url: 'http://x/?count=3&role_id=4', count: '5' }],
    ['single token=a"b url=c', { token: 'a"b', url: 'c' }],
    ['single token="open url=c', { token: '"open', url: 'c' }],
    ['single url= count=1', { url: '', count: '1' }],
    ['single url=a=b=c', { url: 'a=b=c' }],
    ['  single\turl=a \t ', { url: 'a' }],
    ['single comment=see queue_dir=/x', { comment: 'see queue_dir=/x' }],
    ['several endpoint=x', { endpoint: 'x', enable: 'on' }],
    ['several endpoint=x enable=off', { endpoint: 'x', enable: 'off' }],
    ['several:one is_fast=on', { is_fast: 'on', enable: 'on' }],
  ])('%j', (line, expected) => {
    expect(values(line)).toEqual(expected);
  });

  test.each([
    ['nothing url=x', 'unknown sub-system nothing'],
    ['single', 'No key of "single" is given'],
    ['single:x url=x', 'has no targets'],
    ['several:a:b endpoint=x', 'does not name a target'],
    ['several:-a endpoint=x', 'does not name a target'],
    [`several:${'a'.repeat(65)} endpoint=x`, 'does not name a target'],
    ['single nope=1 url=x', 'The key "nope" of the sub-system "single" is not known'],
    ['single queue_dir=/x url=y', 'is not supported by this server'],
    ['single url=y queue_dir=/x', 'is not supported by this server'],
    ['single url=1 url=2', 'given twice'],
    ['single plain words', 'KEY=VALUE'],
    ['single url=1\nsingle count=1', 'stands on two lines'],
    ['single __proto__=1', 'is not known'],
  ])('%j is refused: %s', (line, part) => {
    expect(() => parseAssignments(line, schema)).toThrow(part);
    expect(() => parseAssignments(line, schema)).toThrow(expect.objectContaining({ code: 'XMinioConfigError' }));
  });

  test('what is refused is not repeated when it may be the rest of a secret', () => {
    expect(() => parseAssignments('single hunter2', schema)).toThrow(/^(?!.*hunter2)/);
  });

  test('comments and empty lines are passed over', () => {
    const text = '\n# MINIO_SINGLE_URL=x\n  # several endpoint=y\nsingle url=z\r\n\nseveral:b endpoint=w\n';
    expect(parseAssignments(text, schema).map(({ subsystem, target }) => `${subsystem.name}:${target}`)).toEqual([
      'single:_',
      'several:b',
    ]);
  });

  test('a reset names keys, or none', () => {
    expect(parseResets('single url count=\nseveral:x', schema).map(({ target, keys }) => [target, keys])).toEqual([
      ['_', ['url', 'count']],
      ['x', []],
    ]);
    expect(() => parseResets('single nope', schema)).toThrow('is not known');
  });

  test('a colon at the end is the target without a name', () => {
    expect(parsePlace('several:', schema)).toMatchObject({ target: '_', isTargetNamed: true });
    expect(parsePlace('several', schema)).toMatchObject({ target: '_', isTargetNamed: false });
  });

  test('text that is no UTF-8, or too long, is refused', () => {
    expect(() => decodeSettingsText(Buffer.from([0x61, 0xff]))).toThrow('not UTF-8');
    expect(() => decodeSettingsText(Buffer.alloc(256 * 1024 + 1))).toThrow('too large');
    expect(decodeSettingsText(Buffer.alloc(256 * 1024, 0x61))).toHaveLength(256 * 1024);
  });
});

describe('property', () => {
  const word = fc.stringMatching(/^[a-z"'= _]{0,12}$/);
  const anyText = fc.oneof(word, fc.string({ unit: 'grapheme', maxLength: 20 }));
  const set = fc.dictionary(fc.constantFrom('url', 'token', 'role_id', 'comment'), anyText, { minKeys: 1 });

  test('what can be printed reads back as it was', () => {
    let printable = 0;
    fc.assert(
      fc.property(set, (given) => {
        const own = new Map(Object.entries(given));
        const place = { subsystem: single, target: '_' };
        try {
          requirePrintable(place, own);
        } catch {
          return;
        }
        printable++;
        expect(values(printLine(place, own))).toEqual(given);
      }),
      { numRuns: 2000 },
    );
    expect(printable).toBeGreaterThan(500);
  });

  test('no text makes the reader do anything but read or refuse', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 200 }), (text) => {
        try {
          parseAssignments(`single ${text}`, schema);
        } catch (error) {
          expect(error).toMatchObject({ name: 'Refusal' });
        }
      }),
      { numRuns: 2000 },
    );
  });
});
