import { describe, expect, test } from 'vitest';
import { normalizeArguments } from '../../../src/cli/arguments.js';

const flags = [
  { name: 'address', takesValue: true },
  { name: 'certs-dir', takesValue: true },
  { name: 'json', takesValue: false },
];

describe('normalizeArguments', () => {
  test.each([
    [
      ['-address', ':9000'],
      ['--address', ':9000'],
    ],
    [['-address=:9000'], ['--address=:9000']],
    [['-certs-dir=/a=b'], ['--certs-dir=/a=b']],
    [['--json=true'], ['--json']],
    [['--json=false'], []],
    [['-json'], ['--json']],
    [['--json=perhaps'], ['--json=perhaps']],
    [
      ['-S', '/certs'],
      ['-S', '/certs'],
    ],
    [['-unknown'], ['-unknown']],
    [
      ['/a', '--', '-json', '--address=x'],
      ['/a', '--', '-json', '--address=x'],
    ],
    [['-addressx'], ['-addressx']],
  ])('%j', (given, expected) => expect(normalizeArguments(given, flags)).toEqual(expected));
});
