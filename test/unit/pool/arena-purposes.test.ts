/** Who waits for whom: what is needed to finish must be had while what began it holds all it may. */
import { describe, expect, it } from 'vitest';
import type { Slab, SlabPurpose } from '../../../src/base/index.js';
import { SlabArena } from '../../../src/pool/arena.js';

function exhaust(arena: SlabArena, purpose: SlabPurpose, bytes = 65_536): Slab[] {
  const held: Slab[] = [];
  for (let slab = arena.tryAllocate(bytes, purpose); slab !== null; slab = arena.tryAllocate(bytes, purpose))
    held.push(slab);
  return held;
}

describe.each([32 << 20, 512 << 20])('an arena of %i bytes', (budget) => {
  it('keeps room for reads behind uploads, for parity behind reads, for a batch behind all', () => {
    const arena = new SlabArena(budget);
    exhaust(arena, 'upload');
    expect(arena.tryAllocate(1 << 20, 'read')).not.toBeNull();
    exhaust(arena, 'read');
    // The parity of a window of four stripes, k = m.
    expect(arena.tryAllocate(4 << 20, 'pass')).not.toBeNull();
    exhaust(arena, 'pass');
    expect(arena.tryAllocate(2 << 20, 'commit')).not.toBeNull();
  });

  it('does not let the urgent queue behind those who wait', () => {
    const arena = new SlabArena(budget);
    exhaust(arena, 'upload');
    void arena.allocate(1 << 20, 'upload');
    expect(arena.tryAllocate(1 << 20, 'upload')).toBeNull();
    expect(arena.tryAllocate(1 << 20, 'read')).not.toBeNull();
    exhaust(arena, 'read');
    void arena.allocate(1 << 20, 'read');
    expect(arena.tryAllocate(65_536, 'pass')).not.toBeNull();
    exhaust(arena, 'pass');
    void arena.allocate(1 << 20, 'pass');
    expect(arena.tryAllocate(4096, 'pass')).toBeNull();
    expect(arena.tryAllocate(65_536, 'commit')).not.toBeNull();
  });

  it('lets the less urgent queue behind the more urgent', async () => {
    const arena = new SlabArena(budget);
    const held = exhaust(arena, 'commit');
    const read = arena.allocate(65_536, 'read');
    expect(arena.tryAllocate(65_536, 'upload')).toBeNull();
    for (const slab of held.splice(0)) slab.release();
    expect((await read).bytes).toBe(65_536);
    expect(arena.tryAllocate(65_536, 'upload')).not.toBeNull();
  });
});

describe('waiting for memory', () => {
  it('does not begin for a signal that has been given already', async () => {
    const arena = new SlabArena(32 << 20);
    await expect(arena.allocate(4096, 'upload', AbortSignal.abort())).rejects.toThrow('given up');
    const held = exhaust(arena, 'upload', 1 << 20);
    const gone = new AbortController();
    const waiting = arena.allocate(1 << 20, 'upload', gone.signal);
    gone.abort();
    await expect(waiting).rejects.toThrow('given up');
    held.pop()?.release();
    // Nobody waits any more.
    expect(arena.tryAllocate(1 << 20, 'upload')).not.toBeNull();
  });
});
