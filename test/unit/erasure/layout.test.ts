import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  checksumBlockCount,
  defaultParity,
  positionOfShard,
  shardAtPosition,
  shardBytes,
  shardFileBlocks,
  shardFileBytes,
  stripeBytesFor,
  stripeCount,
  stripeLength,
  writeQuorum,
} from '../../../src/erasure/layout.js';
import { payloadOffset, tableBytes } from '../../../src/erasure/blob-format.js';

const layouts = fc.record({
  dataShards: fc.integer({ min: 1, max: 16 }),
  parityShards: fc.integer({ min: 0, max: 8 }),
  rotation: fc.nat({ max: 15 }),
  // Up to the largest object, and around the ends of stripes.
  objectBytes: fc.oneof(
    fc.integer({ min: 1, max: 50 * 2 ** 40 }),
    fc.tuple(fc.integer({ min: 1, max: 1000 }), fc.integer({ min: -3, max: 3 })).map(([n, d]) => n * 1_048_512 + d),
  ),
});

describe('stripe arithmetic', () => {
  it('has full stripes of at most 1 MiB whose shards are aligned', () => {
    for (let k = 1; k <= 16; k++) {
      const bytes = stripeBytesFor(k);
      expect(bytes % (4096 * k)).toBe(0);
      expect(bytes).toBeLessThanOrEqual(1 << 20);
      expect(bytes).toBeGreaterThan((1 << 20) - 4096 * k);
      // The padding of any tail stays within a full stripe.
      for (const tail of [1, bytes - 1, bytes - k, bytes >> 1]) {
        expect(shardBytes(k, tail) * k).toBeLessThanOrEqual(bytes);
        expect(shardBytes(k, tail) * k - tail).toBeLessThan(k);
      }
    }
  });

  it('adds up, for objects of any size', () => {
    fc.assert(
      fc.property(layouts, (shape) => {
        const layout = { ...shape, stripeBytes: stripeBytesFor(shape.dataShards) };
        const count = stripeCount(layout);
        const last = stripeLength(layout, count - 1);
        expect(last).toBeGreaterThan(0);
        expect(last).toBeLessThanOrEqual(layout.stripeBytes);
        expect((count - 1) * layout.stripeBytes + last).toBe(layout.objectBytes);
        const full = layout.stripeBytes / layout.dataShards;
        expect(shardFileBytes(layout)).toBe((count - 1) * full + shardBytes(layout.dataShards, last));
        const blocks = (count - 1) * checksumBlockCount(full) + checksumBlockCount(shardBytes(layout.dataShards, last));
        expect(shardFileBlocks(layout)).toBe(blocks);
        expect(tableBytes(layout)).toBe(Math.ceil((blocks * 32) / 4096) * 4096);
        expect(Number.isSafeInteger(payloadOffset(layout) + shardFileBytes(layout))).toBe(true);
      }),
    );
  });

  it('puts every shard on a drive of its own', () => {
    fc.assert(
      fc.property(layouts, (shape) => {
        const n = shape.dataShards + shape.parityShards;
        const geometry = { ...shape, rotation: shape.rotation % n };
        const positions = Array.from({ length: n }, (_, shard) => positionOfShard(geometry, shard));
        expect(new Set(positions).size).toBe(n);
        for (const [shard, position] of positions.entries()) expect(shardAtPosition(geometry, position)).toBe(shard);
      }),
    );
  });

  it('has two write quorums that always meet in k drives', () => {
    for (let n = 1; n <= 16; n++) {
      const m = defaultParity(n);
      const k = n - m;
      const w = writeQuorum(k, m);
      expect(w).toBeLessThanOrEqual(n);
      // Any two sets of w drives share one, and any w drives less the m that may be lost hold a readable copy.
      expect(2 * w).toBeGreaterThan(n);
      expect(w).toBeGreaterThanOrEqual(k);
    }
  });
});
