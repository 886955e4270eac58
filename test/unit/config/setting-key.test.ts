import { expect, it } from 'vitest';
import { durationKey } from '../../../src/config/setting-key.js';

it.each([
  [60_000, 31_536_000_000, 'a duration from 1m to 8760h, such as 1h30m'],
  [100, 60_000, 'a duration from 100ms to 1m, such as 30s'],
  [0, 86_400_000, 'a duration from 0ms to 24h, such as 30s or 1h30m'],
  [1, 1000, 'a duration from 1ms to 1s, such as 1s'],
])('a duration from %i to %i ms is explained with examples that it takes', (minMs, maxMs, expected) => {
  const key = durationKey('a time', { initial: '1s', minMs, maxMs });
  expect(key.expects).toBe(expected);
  for (const example of /such as (.*)$/.exec(key.expects)?.[1]?.split(' or ') ?? [])
    expect(key.parse(example)).toBeTypeOf('number');
});
