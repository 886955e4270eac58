/** The pool of workers at its end: closed while tasks are under way. */
import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { ComputePool, SlabArena } from '../../../dist/pool/index.js';

function passOver(pool: ComputePool, arena: SlabArena): Promise<boolean> {
  const slab = arena.tryAllocate(4 << 20, 'commit');
  if (slab === null) throw new Error('the arena is too small');
  return pool.pass({
    stateOffset: -1,
    dataOffset: slab.offset,
    dataBytes: 1 << 20,
    dataShards: 2,
    parityShards: 2,
    shardBytes: 1 << 19,
    parityOffset: slab.offset + (1 << 20),
    hashesOffset: slab.offset + (2 << 20),
    idHigh: 1,
    idLow: 2,
    firstBlock: 0,
    chunkEnds: [],
    chunkSignatures: [],
  });
}

describe('a pool that is closed with passes under way', () => {
  it('lets them end first', async () => {
    for (let round = 0; round < 6; round++) {
      const arena = new SlabArena(64 << 20);
      const pool = new ComputePool({ arena: arena.arena, hashKey: randomBytes(32), threads: 2 });
      // Started one after the other, so that each worker has some of its own.
      const passes: Promise<boolean>[] = [];
      for (let count = 0; count < 12; count++) {
        passes.push(passOver(pool, arena));
        if (count % 3 === 0) await new Promise((resolve) => setImmediate(resolve));
      }
      const closed = pool.close();
      const outcomes = await Promise.allSettled(passes);
      await closed;
      expect(outcomes.every((outcome) => outcome.status === 'fulfilled' && outcome.value)).toBe(true);
    }
  });

  it('lets one begin and end that still waits for others to join', async () => {
    const arena = new SlabArena(64 << 20);
    const pool = new ComputePool({ arena: arena.arena, hashKey: randomBytes(32), threads: 2 });
    const pass = passOver(pool, arena);
    await Promise.all([expect(pass).resolves.toBe(true), pool.close()]);
  });
});

describe('a second pool in the same thread', () => {
  it('is refused until the first is closed, whose memory it would work in', async () => {
    const open = (): ComputePool =>
      new ComputePool({ arena: new SlabArena(64 << 20).arena, hashKey: randomBytes(32), threads: 1 });
    const first = open();
    expect(open).toThrow('another server runs in this thread');
    await first.close();
    await open().close();
  });
});
