/** One set of drives in memory with a journal over it, for tests of the journal. */
import { limits, MiB, type Clock } from '../../src/base/index.js';
import type { LogStore } from '../../src/drive/index.js';
import {
  openJournal,
  type JournalOptions,
  type LogPosition,
  type LogRecord,
  type OpenedJournal,
  type PreparedRecord,
} from '../../src/journal/index.js';
import { kernels } from '../../src/native/index.js';
import { SlabArena } from '../../src/pool/index.js';
import { Random } from '../unit/journal/model/random.js';
import { MemoryLogStore, MemoryMachine } from './memory-log-store.js';

/** One arena per process: the addon is told of it once. */
let arena: SlabArena | null = null;

export function testArena(): SlabArena {
  if (arena === null) {
    arena = new SlabArena(Math.max(limits.arenaBytesMin, 64 * MiB));
    kernels.attachArena(arena.arena);
    kernels.setHashKey(Buffer.alloc(32, 7));
  }
  return arena;
}

export const quietLog = { info: (): void => undefined, warn: (): void => undefined, error: (): void => undefined };

/** A wall clock that a test can set, even backwards. */
export class TestClock implements Clock {
  now = 1_700_000_000_000;

  nowMs(): number {
    return this.now;
  }

  monotonicMs(): number {
    return performance.now();
  }
}

/** An index that remembers the records in order. */
export class TestIndex {
  position: LogPosition | null = null;
  records: LogRecord[] = [];

  readonly apply = async (records: readonly LogRecord[], position: LogPosition): Promise<void> => {
    await Promise.resolve();
    this.records.push(...records);
    this.position = position;
  };

  readonly discard = async (): Promise<void> => {
    await Promise.resolve();
    this.records = [];
    this.position = null;
  };

  get bodies(): string[] {
    return this.records.map((record) => Buffer.from(record.body).toString());
  }
}

export class JournalSet {
  readonly machine: MemoryMachine;
  readonly stores: MemoryLogStore[];
  readonly clock = new TestClock();
  index = new TestIndex();

  constructor(
    driveCount: number,
    readonly dataShards: number,
    readonly random = new Random(1),
    /** Sets of one machine lose power together. */
    machine: MemoryMachine | null = null,
    readonly setIndex = 0,
  ) {
    this.machine = machine ?? new MemoryMachine(testArena().view, random);
    this.stores = Array.from(
      { length: driveCount },
      (_, position) => new MemoryLogStore(this.machine, `/set${setIndex + 1}/drive${position + 1}`),
    );
  }

  open(overrides: Partial<JournalOptions> = {}, reachable = ~0): Promise<OpenedJournal> {
    return openJournal(this.options(overrides, reachable));
  }

  options(overrides: Partial<JournalOptions> = {}, reachable = ~0): JournalOptions {
    const drives: (LogStore | null)[] = this.stores.map((store, position) =>
      (reachable >> position) & 1 ? store : null,
    );
    return {
      deploymentId: '00112233-4455-6677-8899-aabbccddeeff',
      setIndex: this.setIndex,
      drives,
      dataShards: this.dataShards,
      slabs: testArena(),
      kernels,
      clock: this.clock,
      log: quietLog,
      indexPosition: this.index.position,
      discardIndex: this.index.discard,
      apply: this.index.apply,
      healRecord: () => Promise.resolve('healed'),
      logFileBytes: MiB,
      ...overrides,
    };
  }

  /** A record whose shards are really erasure-coded; the slab must be released when the commit has settled. */
  record(text: string, slotBytes = 0): { readonly prepared: PreparedRecord; readonly release: () => void } {
    const body = new Uint8Array(Buffer.from(text));
    if (slotBytes === 0) return { prepared: { type: 1, body, slots: null }, release: () => undefined };
    const n = this.stores.length;
    const k = this.dataShards;
    const stride = Math.ceil(slotBytes / 64) * 64;
    const slab = testArena().tryAllocate(n * stride + n * 32 + 4096, 'commit');
    if (slab === null) throw new Error('no room in the test arena');
    const shardOffsets = Array.from({ length: n }, (_, shard) => slab.offset + shard * stride);
    for (let at = 0; at < k * stride; at++) testArena().view[slab.offset + at] = 1 + this.random.below(255);
    if (n > k) kernels.encode(k, n - k, slotBytes, Float64Array.from(shardOffsets));
    const hashesAt = slab.offset + n * stride;
    const id = { idHigh: 1 + this.random.below(2 ** 31), idLow: this.random.below(2 ** 31) };
    const jobs = shardOffsets.flatMap((offset, shard) => [
      offset,
      slotBytes,
      hashesAt + 32 * shard,
      slotBytes,
      id.idHigh,
      id.idLow,
      shard,
      0,
    ]);
    kernels.hashBlocks(Float64Array.from(jobs));
    const hashes = new Uint8Array(testArena().view.subarray(hashesAt, hashesAt + 32 * n));
    const slots = {
      k,
      rotation: this.random.below(n),
      slotBytes,
      ...id,
      checksumBlockBytes: slotBytes,
      hashes,
      shardOffsets,
    };
    return { prepared: { type: 2, body, slots }, release: () => slab.release() };
  }

  /** Positions whose slot of the record is right. */
  validSlots(record: LogRecord): number[] {
    const { slots } = record;
    if (slots === null) return [];
    const slab = testArena().tryAllocate(slots.slotBytes + 4096, 'commit');
    if (slab === null) throw new Error('no room in the test arena');
    const { view } = testArena();
    const n = this.stores.length;
    const hashAt = slab.offset + slab.bytes - 64;
    const valid = this.stores.flatMap((store, position) => {
      const file = store.files.get(slots.fileNumber);
      if (file === undefined || file.length < slots.fileOffset + slots.slotBytes) return [];
      file.copy(view, slab.offset, slots.fileOffset, slots.fileOffset + slots.slotBytes);
      const shard = (position - slots.rotation + n) % n;
      view.set(slots.hashes.subarray(32 * shard, 32 * shard + 32), hashAt);
      const job = [slab.offset, slots.slotBytes, hashAt, slots.checksumBlockBytes, slots.idHigh, slots.idLow, shard, 0];
      return kernels.verifyBlocks(Float64Array.from(job)).length === 0 ? [position] : [];
    });
    slab.release();
    return valid;
  }
}
