import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { WrittenBodies } from '../../../src/object/written-bodies.js';

describe('the ring of written bodies', () => {
  it('holds the last ones, whole, and nothing else', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 200 }), { minLength: 1, maxLength: 60 }), (lengths) => {
        const bytesMax = 1024;
        const ring = new WrittenBodies(bytesMax, 32);
        for (const [low, length] of lengths.entries()) ring.put({ high: 9, low }, new Uint8Array(length).fill(low));
        let behind = 0;
        for (let low = lengths.length - 1; low >= 0; low--) {
          const length = lengths[low] ?? 0;
          const found = ring.get({ high: 9, low });
          behind += Math.ceil(length / 64) * 64;
          // Up to a body that did not fit is lost at the end of each lap.
          if (lengths.length - low <= 32 && behind <= bytesMax - 256) expect(found).not.toBeNull();
          if (behind > bytesMax || lengths.length - low > 32) expect(found).toBeNull();
          if (found === null) continue;
          expect(found.length).toBe(length);
          expect(found.every((byte) => byte === low)).toBe(true);
        }
      }),
    );
  });

  it('does not take one id for another', () => {
    const ring = new WrittenBodies(1024, 16);
    expect(ring.get({ high: 0, low: 0 })).toBeNull();
    ring.put({ high: 1, low: 2 }, Uint8Array.of(7));
    expect(ring.get({ high: 1, low: 2 })).toEqual(Uint8Array.of(7));
    expect(ring.get({ high: 2, low: 2 })).toBeNull();
    expect(ring.get({ high: 1, low: 18 })).toBeNull();
    ring.put({ high: 1, low: 18 }, Uint8Array.of(8));
    expect(ring.get({ high: 1, low: 2 })).toBeNull();
    expect(ring.get({ high: 1, low: 18 })).toEqual(Uint8Array.of(8));
  });

  it('keeps a copy', () => {
    const ring = new WrittenBodies(1024, 16);
    const bytes = Uint8Array.of(1, 2, 3);
    ring.put({ high: 0, low: 1 }, bytes);
    bytes.fill(0);
    expect(ring.get({ high: 0, low: 1 })).toEqual(Uint8Array.of(1, 2, 3));
  });
});
