import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { KeptSlab } from '../../../src/base/index.js';
import { GrowingMemory } from '../../../src/pool/kept-memory.js';

describe('memory that is kept', () => {
  it.each([0, 1, (4 << 20) - 1])('there is none of %i bytes', (bytesMax) => {
    expect(new GrowingMemory(bytesMax).tryAllocate(1)).toBeNull();
  });

  it.each([4 << 20, 68 << 20, 200 << 20])('of %i bytes holds that much in slabs of any size', (bytesMax) => {
    for (const bytes of [4 << 20, 1 << 20, 4096]) {
      const memory = new GrowingMemory(bytesMax);
      const slabs: KeptSlab[] = [];
      for (let slab = memory.tryAllocate(bytes); slab !== null; slab = memory.tryAllocate(bytes)) slabs.push(slab);
      expect(slabs.length).toBe(bytesMax / bytes);
      expect(memory.usedBytes).toBe(bytesMax);
      for (const slab of slabs) slab.release();
      expect(memory.usedBytes).toBe(0);
      expect(memory.tryAllocate(4 << 20)?.bytes.length).toBe(4 << 20);
    }
  });

  it('hands no byte out twice', () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ bytes: fc.integer({ min: 1, max: 4 << 20 }), gone: fc.option(fc.nat(20)) })),
        (steps) => {
          const memory = new GrowingMemory(72 << 20);
          const live: { slab: KeptSlab; mark: number }[] = [];
          for (const [mark, { bytes, gone }] of steps.entries()) {
            const slab = memory.tryAllocate(bytes);
            if (slab !== null) {
              expect(slab.bytes.length).toBe(bytes);
              slab.bytes[0] = mark;
              slab.bytes[bytes - 1] = mark;
              live.push({ slab, mark });
            }
            if (gone !== null) live.splice(gone, 1)[0]?.slab.release();
            for (const { slab: other, mark: expected } of live) {
              expect([other.bytes[0], other.bytes.at(-1)]).toEqual([expected & 255, expected & 255]);
            }
          }
        },
      ),
      { numRuns: 50 },
    );
  });
});
