import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ReadCache } from '../../../dist/erasure/index.js';
import { GrowingMemory } from '../../../dist/pool/index.js';

const windowBytes = 1 << 20;

/** Of so many windows of 1 MiB, in multiples of four. */
function cacheOf(windows: number): ReadCache {
  return new ReadCache(new GrowingMemory(windows * windowBytes), windows * windowBytes);
}

const id = (low: number, high = 7) => ({ high, low });
const bodyOf = (low: number, window = 0, bytes = windowBytes): Buffer => Buffer.alloc(bytes, `${low}.${window}|`);

function read(cache: ReadCache, low: number, window = 0, bytes = windowBytes): Buffer | null {
  const piece = cache.piece(id(low), window, 0, bytes);
  if (piece === null) return null;
  const copy = Buffer.from(piece.bytes);
  piece.release();
  return copy;
}

/** What a reader does: true when it came from the cache. */
function ask(cache: ReadCache, low: number, window = 0, bytes = windowBytes): boolean {
  const found = read(cache, low, window, bytes);
  if (found === null) {
    cache.offer(id(low), window, bodyOf(low, window, bytes));
    return false;
  }
  expect(found.equals(bodyOf(low, window, bytes))).toBe(true);
  return true;
}

describe('what is kept of reads', () => {
  it('begins with the second time', () => {
    const cache = cacheOf(8);
    expect([ask(cache, 1), ask(cache, 1), ask(cache, 1)]).toEqual([false, false, true]);
    expect(cache.has(id(1), 0)).toBe(true);
    expect(cache.has(id(1), 1)).toBe(false);
    expect(cache.has(id(1, 8), 0)).toBe(false);
    expect(cache.figures).toMatchObject({ hits: 1, misses: 2, hitBytes: windowBytes, usedBytes: windowBytes });
  });

  it('is a copy, of which any range can be had', () => {
    const cache = cacheOf(4);
    const bytes = randomBytes(windowBytes);
    const before = Buffer.from(bytes);
    cache.offer(id(1), 3, bytes);
    cache.offer(id(1), 3, bytes);
    bytes.fill(0);
    const piece = cache.piece(id(1), 3, 1000, 70_000);
    expect(before.subarray(1000, 70_000).equals(piece?.bytes ?? Buffer.alloc(0))).toBe(true);
    piece?.release();
  });

  it('is not displaced by a walk through everything', () => {
    const cache = cacheOf(8);
    for (let round = 0; round < 3; round++) for (let low = 0; low < 8; low++) ask(cache, low);
    for (let low = 100; low < 1000; low++) ask(cache, low);
    for (let low = 0; low < 8; low++) expect(ask(cache, low), String(low)).toBe(true);
  });

  it.each([9, 12, 16, 40])('keeps a part of a loop over %i windows where eight fit', (windows) => {
    const cache = cacheOf(8);
    for (let round = 0; round < 4; round++) for (let low = 0; low < windows; low++) ask(cache, low);
    for (let round = 0; round < 20; round++) {
      let hits = 0;
      for (let low = 0; low < windows; low++) hits += Number(ask(cache, low));
      expect(hits, String(round)).toBe(8);
    }
  });

  it('follows what is asked for now', () => {
    const cache = cacheOf(8);
    for (let round = 0; round < 100; round++) for (let low = 0; low < 8; low++) ask(cache, low);
    for (let round = 0; round < 60; round++) for (let low = 50; low < 58; low++) ask(cache, low);
    let hits = 0;
    for (let low = 50; low < 58; low++) hits += Number(ask(cache, low));
    expect(hits).toBe(8);
  });

  it('stays whole for who holds it, and its memory goes back after that', () => {
    const cache = cacheOf(4);
    for (let low = 0; low < 4; low++) for (let time = 0; time < 2; time++) ask(cache, low);
    const held = [0, 1, 2, 3].map((low) => cache.piece(id(low), 0, 0, windowBytes));
    for (let round = 0; round < 60; round++) for (let low = 10; low < 14; low++) ask(cache, low);
    for (const [low, piece] of held.entries()) {
      expect(bodyOf(low).equals(piece?.bytes ?? Buffer.alloc(0))).toBe(true);
    }
    expect(cache.figures.usedBytes).toBe(4 * windowBytes);
    for (const piece of held) piece?.release();
    for (let round = 0; round < 60; round++) for (let low = 10; low < 14; low++) ask(cache, low);
    for (let low = 10; low < 14; low++) expect(ask(cache, low)).toBe(true);
  });

  it('is what was offered, and never more than fits, whatever is asked for', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.record({
            low: fc.nat(30),
            window: fc.nat(2),
            isHeld: fc.boolean(),
          }),
          { maxLength: 400 },
        ),
        (steps) => {
          const bytesMax = 8 << 20;
          const cache = new ReadCache(new GrowingMemory(bytesMax), bytesMax);
          const sizeOf = (low: number): number => ((low * 7919) % 2000) * 1024 + 1;
          const held: { piece: { bytes: Uint8Array; release: () => void }; expected: Buffer }[] = [];
          for (const { low, window, isHeld } of steps) {
            const bytes = sizeOf(low);
            ask(cache, low, window, bytes);
            const piece = isHeld ? cache.piece(id(low), window, 0, bytes) : null;
            if (piece !== null) held.push({ piece, expected: bodyOf(low, window, bytes) });
            if (held.length > 3) held.shift()?.piece.release();
            expect(cache.figures.usedBytes).toBeLessThanOrEqual(bytesMax);
          }
          for (const { piece, expected } of held) {
            expect(expected.equals(piece.bytes)).toBe(true);
            piece.release();
          }
        },
      ),
      { numRuns: 40 },
    );
  });
});
