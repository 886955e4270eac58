import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Refusal, systemClock } from '../../../dist/base/index.js';
import { HealQueue, type RepairOutcome } from '../../../dist/object/heal-queue.js';
import { HealTable, type HealTarget } from '../../../dist/object/heal-table.js';
import { memorySet } from '../../support/memory-drives.js';
import { CatalogStates, MemoryCatalog } from '../../support/simulation/memory-catalog.js';
import { testArena } from '../../support/journal-set.js';
import type { SlabArena } from '../../../dist/pool/index.js';

const target: HealTarget = { kind: 'blob', name: '00000001000000000001', owner: Buffer.from('owner') };

describe('a repair of what a drive lacks', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it('is made for a drive that came while others were looked at', async () => {
    const table = new HealTable(new MemoryCatalog(new CatalogStates(), (run) => setImmediate(run)));
    let members = [0, 1, 2];
    const set = { ...memorySet(testArena() as unknown as SlabArena, 4), inSync: () => members };
    const queue = new HealQueue({ table, sets: [set], clock: systemClock, log: () => undefined });
    const repaired: number[] = [];
    const blob = async (_: HealTarget, positions: number): Promise<RepairOutcome> => {
      repaired.push(positions);
      // The fourth drive joins just now.
      members = [0, 1, 2, 3];
      await Promise.resolve();
      return { sound: positions, rewritten: positions, unreachable: 0, isFull: false, bytes: 1 };
    };
    const added = table.add(target, 0b1001);
    await vi.runOnlyPendingTimersAsync();
    await added;
    queue.start({ blob, logFile: () => Promise.reject(new Error('none')), canWrite: () => true });
    await vi.advanceTimersByTimeAsync(10_000);
    expect(repaired).toEqual([0b0001, 0b1000]);
    expect(table.count(10)).toBe(0);
    const closed = queue.close();
    await vi.runAllTimersAsync();
    await closed;
  });

  it('that found no room is made as soon as there is some', async () => {
    const table = new HealTable(new MemoryCatalog(new CatalogStates(), (run) => setImmediate(run)));
    let freeBytes = 1 << 20;
    const space = () => Promise.resolve({ ok: true, value: { totalBytes: 1 << 30, freeBytes } });
    const set = { ...memorySet(testArena() as unknown as SlabArena, 4), drive: () => ({ space }) as never };
    const queue = new HealQueue({ table, sets: [set], clock: systemClock, log: () => undefined });
    let attempts = 0;
    const blob = async (_: HealTarget, positions: number): Promise<RepairOutcome> => {
      attempts++;
      await Promise.resolve();
      const isFull = freeBytes < 30 << 20;
      return { sound: isFull ? 0 : positions, rewritten: positions, unreachable: 0, isFull, bytes: 1 };
    };
    const added = table.add(target, 0b0001);
    await vi.runOnlyPendingTimersAsync();
    await added;
    queue.start({ blob, logFile: () => Promise.reject(new Error('none')), canWrite: () => true });
    // By now it is tried every ten minutes.
    await vi.advanceTimersByTimeAsync(3_000_000);
    const before = attempts;
    expect(before).toBeLessThan(12);
    await vi.advanceTimersByTimeAsync(100_000);
    // So little is not worth it.
    freeBytes += 1 << 20;
    await vi.advanceTimersByTimeAsync(5_000);
    expect(attempts).toBe(before);
    freeBytes += 40 << 20;
    await vi.advanceTimersByTimeAsync(5_000);
    expect(attempts).toBe(before + 1);
    expect(table.count(10)).toBe(0);
    const closed = queue.close();
    await vi.runAllTimersAsync();
    await closed;
  });

  it('that finds no room is told once in a while, not for each shard, and other failures by name', () => {
    let nowMs = 5_000;
    const said: string[] = [];
    const table = new HealTable(new MemoryCatalog(new CatalogStates(), (run) => setImmediate(run)));
    const clock = { ...systemClock, monotonicMs: () => nowMs };
    const queue = new HealQueue({ table, sets: [], clock, log: (text) => said.push(text) });
    for (const name of ['aa', 'bb', 'cc']) queue.noteFailure(name, new Refusal('XMinioStorageFull', 'full'));
    queue.noteFailure('dd', new Error('too few sound shards'));
    nowMs += 60_000;
    queue.noteFailure('ee', new Refusal('XMinioStorageFull', 'full'));
    expect(said).toEqual([
      expect.stringContaining('no room'),
      'the shards of dd could not be rebuilt now: too few sound shards',
      expect.stringContaining('no room'),
    ]);
  });
});
