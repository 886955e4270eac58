import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BodyCache } from '../../../src/object/body-cache.js';
import { WrittenBodies } from '../../../src/object/written-bodies.js';

const newCache = (bytesMax: number, bodyBytesMax: number): BodyCache =>
  new BodyCache(bytesMax, bodyBytesMax, new WrittenBodies(256, 16));

describe('the cache of small bodies', () => {
  it('gives back what was put, under its own id', () => {
    const cache = newCache(1000, 100);
    const bytes = randomBytes(100);
    cache.put({ high: 1, low: 2 }, bytes);
    expect(cache.get({ high: 1, low: 2 })).toEqual(new Uint8Array(bytes));
    expect(cache.get({ high: 2, low: 1 })).toBeNull();
    expect(cache.get({ high: 12, low: 0 })).toBeNull();
  });

  it('keeps a copy of its own', () => {
    const cache = newCache(1000, 100);
    const bytes = Buffer.from('what was read');
    cache.put({ high: 0, low: 0 }, bytes);
    bytes.fill(0);
    expect(Buffer.from(cache.get({ high: 0, low: 0 }) ?? []).toString()).toBe('what was read');
  });

  it('takes nothing for a body of another start that has half of its id', () => {
    const cache = newCache(1000, 100);
    cache.put({ high: 1, low: 5 }, Buffer.from('before'));
    expect(cache.get({ high: 2, low: 5 })).toBeNull();
    cache.put({ high: 2, low: 5 }, Buffer.from('after'));
    expect(cache.get({ high: 1, low: 5 })).toBeNull();
    expect(Buffer.from(cache.get({ high: 2, low: 5 }) ?? []).toString()).toBe('after');
  });

  it('never holds more than it may, nor anything else than was put', () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ low: fc.nat(20), bytes: fc.integer({ min: 0, max: 40 }), isPut: fc.boolean() })),
        (steps) => {
          const bytesMax = 100;
          const cache = newCache(bytesMax, 40);
          const last = new Map<number, number>();
          for (const { low, bytes, isPut } of steps) {
            if (isPut) {
              cache.put({ high: 7, low }, new Uint8Array(bytes).fill(low));
              last.set(low, bytes);
            } else {
              const found = cache.get({ high: 7, low });
              if (found === null) continue;
              expect(found.length).toBe(last.get(low));
              expect(found.every((byte) => byte === low)).toBe(true);
            }
          }
          const held = [...last.keys()].map((low) => cache.get({ high: 7, low })?.length ?? 0);
          expect(held.reduce((sum, length) => sum + length, 0)).toBeLessThanOrEqual(bytesMax);
        },
      ),
    );
  });

  it('keeps what is asked for time and again', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 40 }), { minLength: 1, maxLength: 60 }), (others) => {
        const cache = newCache(100, 40);
        cache.put({ high: 7, low: 1000 }, new Uint8Array(40));
        for (const [low, bytes] of others.entries()) {
          expect(cache.get({ high: 7, low: 1000 })).not.toBeNull();
          cache.put({ high: 7, low }, new Uint8Array(bytes));
        }
      }),
    );
  });

  it('gives whoever asks first what was written a moment ago, and keeps it from then on', () => {
    const cache = newCache(1000, 100);
    const id = { high: 3, low: 4 };
    cache.noteWritten(id, Buffer.from('written'));
    const kept = cache.find(id);
    for (let low = 5; low < 30; low++) cache.noteWritten({ high: 3, low }, new Uint8Array(64));
    expect(Buffer.from(cache.get(id) ?? []).toString()).toBe('written');
    expect(cache.find(id)).toBe(kept);
    expect(cache.get({ high: 3, low: 5 })).toBeNull();
  });
});
