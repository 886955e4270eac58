/**
 * Reads the slots of records for all drives of the set at once, to be written again: what a drive does not have,
 * or has wrong, is rebuilt from the others. Main thread only.
 */
import { KiB, type Slab } from '../base/index.js';
import type { DriveFault, LogStore } from '../drive/index.js';
import type { BatchCodec } from './batch-codec.js';
import { bitCount, hasBit } from './decide.js';
import type { LogRecord } from './journal.js';
import { shardAt } from './layout.js';
import { releaseWhenSettled } from './log-reader.js';

export type RecordSlots = NonNullable<LogRecord['slots']>;

/** Memory for the same bytes of every drive is taken at once, or not at all: nobody waits while holding some of it. */
const memoryWaitMs = 20;
/** Between slots that are read together; reading over a gap costs less than another call. */
const gapBytesMax = 32 * KiB;

/** Slots that lie side by side, and the bytes of the file that these take. */
export interface SlotSpan {
  readonly slots: RecordSlots[];
  readonly fileNumber: number;
  readonly from: number;
  to: number;
}

/** In order of their places; a slot that is longer than `bytesMax` has a span of its own. */
export function slotSpans(slots: readonly RecordSlots[], bytesMax: number): SlotSpan[] {
  const spans: SlotSpan[] = [];
  for (const one of slots) {
    const end = one.fileOffset + one.slotBytes;
    const last = spans.at(-1);
    const isNear =
      last?.fileNumber === one.fileNumber &&
      one.fileOffset >= last.to &&
      one.fileOffset - last.to <= gapBytesMax &&
      end - last.from <= bytesMax;
    if (last !== undefined && isNear) {
      last.slots.push(one);
      last.to = end;
    } else {
      spans.push({ slots: [one], fileNumber: one.fileNumber, from: one.fileOffset, to: end });
    }
  }
  return spans;
}

export class SpanShards {
  readonly #slabs: readonly Slab[];
  readonly #scratch: Slab;
  readonly #faults: DriveFault[][];
  #read = 0;

  private constructor(
    private readonly codec: BatchCodec,
    private readonly stores: readonly (LogStore | null)[],
    private readonly span: SlotSpan,
    slabs: readonly Slab[],
    scratch: Slab,
  ) {
    this.#slabs = slabs;
    this.#scratch = scratch;
    this.#faults = slabs.map(() => []);
  }

  /** Null when `isOver` says so before there was memory. */
  static async open(
    codec: BatchCodec,
    stores: readonly (LogStore | null)[],
    span: SlotSpan,
    isOver: () => boolean,
  ): Promise<SpanShards | null> {
    const bytes = span.to - span.from;
    const hashes = Math.max(...span.slots.map((slots) => slots.hashes.length));
    while (!isOver()) {
      const slabs: Slab[] = [];
      for (const wanted of [hashes, ...stores.map(() => bytes)]) {
        const slab = codec.slabs.tryAllocate(wanted, 'commit');
        if (slab === null) break;
        slabs.push(slab);
      }
      const [scratch, ...rest] = slabs;
      if (scratch !== undefined && rest.length === stores.length) {
        return new SpanShards(codec, stores, span, rest, scratch);
      }
      for (const slab of slabs) slab.release();
      await new Promise((resolve) => setTimeout(resolve, memoryWaitMs));
    }
    return null;
  }

  /** Reads what these drives have. */
  async read(positions: readonly number[]): Promise<void> {
    const { fileNumber, from, to } = this.span;
    const one = async (position: number): Promise<void> => {
      const slab = this.#slabs[position];
      const store = this.stores[position] ?? null;
      if (slab === undefined || store === null || hasBit(this.#read, position)) return;
      const read = await store.read(fileNumber, from, Float64Array.of(slab.offset, to - from));
      if (!read.ok) this.#faults[position]?.push(read.fault);
      else if (read.value === to - from) this.#read |= 1 << position;
    };
    await Promise.all(positions.map(one));
  }

  /** Arena offsets by shard, each shard right; null when too few drives have theirs. */
  shardsOf(slots: RecordSlots): number[] | null {
    const { driveCount } = this.codec.identity;
    const scratch = this.#scratch.offset;
    const offsets = new Float64Array(driveCount);
    let present = 0;
    for (const [position, slab] of this.#slabs.entries()) {
      const shard = shardAt(position, slots, driveCount);
      const offset = slab.offset + slots.fileOffset - this.span.from;
      offsets[shard] = offset;
      if (hasBit(this.#read, position) && this.codec.isSlotValid(offset, slots, shard, scratch)) present |= 1 << shard;
    }
    const missing = (2 ** driveCount - 1) & ~present;
    if (missing === 0) return [...offsets];
    // A drive whose call hangs may yet write into the memory that its shard would be rebuilt in.
    if (bitCount(present) < slots.k || this.#hasHanging(missing, slots)) return null;
    this.codec.kernels.reconstruct(slots.k, driveCount - slots.k, slots.slotBytes, offsets, present, missing);
    for (let shard = 0; shard < driveCount; shard++) {
      if (hasBit(present, shard)) continue;
      if (!this.codec.isSlotValid(offsets[shard] ?? 0, slots, shard, scratch)) return null;
    }
    return [...offsets];
  }

  close(): void {
    this.#scratch.release();
    for (const [position, slab] of this.#slabs.entries()) releaseWhenSettled(slab, ...(this.#faults[position] ?? []));
  }

  #hasHanging(missing: number, slots: RecordSlots): boolean {
    return this.#faults.some(
      (faults, position) =>
        hasBit(missing, shardAt(position, slots, this.codec.identity.driveCount)) &&
        faults.some((fault) => fault.settled !== undefined),
    );
  }
}
