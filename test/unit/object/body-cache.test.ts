import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BodyCache } from '../../../src/object/body-cache.js';

describe('the cache of small bodies', () => {
  it('gives back what was put, under its own id', () => {
    const cache = new BodyCache(1000, 100);
    const bytes = randomBytes(100);
    cache.put({ high: 1, low: 2 }, bytes);
    expect(cache.get({ high: 1, low: 2 })).toEqual(new Uint8Array(bytes));
    expect(cache.get({ high: 2, low: 1 })).toBeNull();
    expect(cache.get({ high: 12, low: 0 })).toBeNull();
  });

  it('keeps a copy of its own', () => {
    const cache = new BodyCache(1000, 100);
    const bytes = Buffer.from('what was read');
    cache.put({ high: 0, low: 0 }, bytes);
    bytes.fill(0);
    expect(Buffer.from(cache.get({ high: 0, low: 0 }) ?? []).toString()).toBe('what was read');
  });

  it('forgets the least recently used, and never holds more than it may', () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ low: fc.nat(20), bytes: fc.integer({ min: 0, max: 40 }), isPut: fc.boolean() })),
        (steps) => {
          const bytesMax = 100;
          const cache = new BodyCache(bytesMax, 40);
          const model = new Map<number, number>();
          for (const { low, bytes, isPut } of steps) {
            if (isPut) {
              cache.put({ high: 7, low }, new Uint8Array(bytes).fill(low));
              model.delete(low);
              model.set(low, bytes);
              let total = [...model.values()].reduce((sum, length) => sum + length, 0);
              for (const [oldest, length] of model) {
                if (total <= bytesMax) break;
                model.delete(oldest);
                total -= length;
              }
              continue;
            }
            const found = cache.get({ high: 7, low });
            const expected = model.get(low);
            expect(found?.length).toBe(expected);
            expect(found?.every((byte) => byte === low) ?? true).toBe(true);
            if (expected === undefined) continue;
            model.delete(low);
            model.set(low, expected);
          }
        },
      ),
    );
  });
});
