import fc from 'fast-check';
import { expect, it } from 'vitest';
import { httpDate } from '../../../src/base/index.js';

it('a date says what the platform says of it', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 8_000_000_000_000 }), { minLength: 1, maxLength: 5 }), (times) => {
      for (const ms of times) expect(httpDate(ms)).toBe(new Date(ms).toUTCString());
    }),
  );
  for (const ms of [0, 86_399_999, 86_400_000, 1_709_164_800_000]) {
    expect(httpDate(ms)).toBe(new Date(ms).toUTCString());
  }
});
