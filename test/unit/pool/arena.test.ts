import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Slab } from '../../../src/base/index.js';
import { SlabArena } from '../../../src/pool/arena.js';

const budget = 32 << 20;

describe('SlabArena', () => {
  it('hands out disjoint, aligned slabs and takes all of them back', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.integer({ min: 1, max: 4 << 20 }), fc.boolean()), { maxLength: 200 }),
        (steps) => {
          const arena = new SlabArena(budget);
          const free = arena.freeBytes;
          const live: Slab[] = [];
          for (const [bytes, releaseOne] of steps) {
            if (releaseOne) live.splice(Math.floor(live.length / 2), 1)[0]?.release();
            const slab = arena.tryAllocate(bytes, 'commit');
            if (slab === null) continue;
            expect(slab.bytes).toBeGreaterThanOrEqual(bytes);
            expect(slab.bytes).toBeLessThanOrEqual(Math.max(4096, 2 * bytes));
            expect(slab.offset % slab.bytes).toBe(0);
            expect(slab.offset + slab.bytes).toBeLessThanOrEqual(arena.totalBytes);
            live.push(slab);
          }
          const ordered = [...live].sort((a, b) => a.offset - b.offset);
          for (const [index, slab] of ordered.entries()) {
            const next = ordered[index + 1];
            if (next !== undefined) expect(slab.offset + slab.bytes).toBeLessThanOrEqual(next.offset);
          }
          for (const slab of live) slab.release();
          expect(arena.freeBytes).toBe(free);
          // Whole again: the largest slabs can be had.
          const large = Array.from({ length: 7 }, () => arena.tryAllocate(4 << 20, 'commit'));
          expect(large.every((slab) => slab !== null)).toBe(true);
        },
      ),
      { numRuns: 200 },
    );
  });

  it('keeps a reserve that uploads cannot take', () => {
    const arena = new SlabArena(budget);
    while (arena.tryAllocate(1 << 20, 'upload') !== null);
    expect(arena.freeBytes).toBeGreaterThan(budget * 0.3);
    expect(arena.tryAllocate(1 << 20, 'read')).not.toBeNull();
    while (arena.tryAllocate(1 << 20, 'read') !== null);
    expect(arena.tryAllocate(1 << 20, 'commit')).not.toBeNull();
  });

  it('serves those who wait in order, and drops those who give up', async () => {
    const arena = new SlabArena(budget);
    const held: Slab[] = [];
    for (let slab = arena.tryAllocate(1 << 20, 'upload'); slab !== null; slab = arena.tryAllocate(1 << 20, 'upload'))
      held.push(slab);
    const order: number[] = [];
    const giveUp = new AbortController();
    const first = arena.allocate(1 << 20, 'upload').then((slab) => (order.push(1), slab));
    const second = arena.allocate(1 << 20, 'upload', giveUp.signal);
    const third = arena.allocate(1 << 20, 'upload').then((slab) => (order.push(3), slab));
    giveUp.abort();
    await expect(second).rejects.toThrow('given up');
    held.pop()?.release();
    held.pop()?.release();
    (await first).release();
    (await third).release();
    expect(order).toEqual([1, 3]);
  });

  it('refuses a second release', () => {
    const slab = new SlabArena(budget).tryAllocate(10, 'commit');
    slab?.release();
    expect(() => slab?.release()).toThrow('released once');
  });
});
