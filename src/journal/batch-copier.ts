/**
 * Writes one batch of the history to one drive: the drive-independent part from any drive that has it,
 * and the drive's own slots, rebuilt where it does not hold them. For roll-forward, repair and catch-up.
 */
import { KiB, MiB, type Slab } from '../base/index.js';
import type { DriveFault, LogStore } from '../drive/index.js';
import { scratchBytes, type BatchCodec } from './batch-codec.js';
import { bitCount, hasBit } from './decide.js';
import type { LogRecord } from './journal.js';
import { batchEnd, commonBytes, pageBytes, readRecords, shardAt, slotsStart, type BatchHeader } from './layout.js';
import { LogReader, releaseWhenSettled } from './log-reader.js';

type Slots = NonNullable<LogRecord['slots']>;

/** Slots that are held in the arena at once before they are written. */
const pendingBytesMax = 2 * MiB;
/** Slots that are read from a drive at once; k + 2 times as much is held meanwhile. */
const spanBytesMax = 512 * KiB;

export type CopyResult =
  | { readonly ok: true; readonly records: readonly LogRecord[]; readonly unrebuilt: readonly LogRecord[] }
  /** Null: no drive could give the batch. */
  | { readonly ok: false; readonly fault: DriveFault | null };

export type CommonResult = {
  readonly header: BatchHeader;
  readonly records: readonly LogRecord[];
  readonly offset: number;
};

/** Reads the drive-independent part of batches from whichever drive has it. One call at a time. */
export class CommonReader {
  readonly #readers = new Map<number, LogReader>();

  constructor(
    private readonly codec: BatchCodec,
    private readonly stores: readonly (LogStore | null)[],
    /** Digests of batches that lie on some drive and are not of the history. */
    private readonly foreign: ReadonlySet<string>,
  ) {}

  /**
   * The batch at a place: with `digest`, that very batch; else the one whose predecessor is `previous`.
   * `sources` are tried in order of their positions; `failed` learns of those with a wrong copy.
   */
  async read(
    place: { readonly fileNumber: number; readonly fileOffset: number },
    wanted: { readonly digest?: string; readonly previous?: string },
    sources: number,
    failed: (position: number) => void = () => undefined,
  ): Promise<CommonResult | null> {
    const wrong: number[] = [];
    for (const [position, store] of this.stores.entries()) {
      if (store === null || !hasBit(sources, position)) continue;
      const reader = this.#reader(position, store);
      const read = await reader.readAt(place.fileNumber, place.fileOffset);
      if (read.kind === 'batch') {
        const isWanted =
          (wanted.digest === undefined || read.header.digest === wanted.digest) &&
          !this.foreign.has(read.header.digest) &&
          (wanted.previous === undefined || read.header.previous === wanted.previous);
        const records = isWanted ? readRecords(this.codec.view, read.offset, read.header, this.codec.identity) : null;
        if (records !== null) {
          for (const other of wrong) failed(other);
          return { header: read.header, records, offset: read.offset };
        }
      }
      wrong.push(position);
    }
    return null;
  }

  forget(): void {
    for (const reader of this.#readers.values()) reader.forget();
  }

  close(): void {
    for (const reader of this.#readers.values()) reader.close();
    this.#readers.clear();
  }

  #reader(position: number, store: LogStore): LogReader {
    const known = this.#readers.get(position);
    if (known !== undefined) return known;
    const reader = new LogReader(this.codec, store);
    this.#readers.set(position, reader);
    return reader;
  }
}

/**
 * Copies `header`'s batch onto the drive at `position`. Any drive may give its part: the digest and the
 * hashes tell what is right. Those of `preferred` are asked first; others may be slow or gone.
 */
export async function copyBatch(
  codec: BatchCodec,
  stores: readonly (LogStore | null)[],
  common: CommonReader,
  header: BatchHeader,
  position: number,
  preferred: number,
  /** What a slot that cannot be rebuilt becomes: zeroes on a drive that never had it, and else what it was. */
  lost: 'zeroed' | 'kept' = 'zeroed',
): Promise<CopyResult> {
  const target = stores[position] ?? null;
  if (target === null) return { ok: false, fault: null };
  const wanted = { digest: header.digest };
  const found = (await common.read(header, wanted, preferred)) ?? (await common.read(header, wanted, ~preferred));
  if (found === null) return { ok: false, fault: null };
  const others = stores.flatMap((_, other) => (other === position ? [] : [other]));
  const order = [position, ...others.sort((a, b) => Number(hasBit(preferred, b)) - Number(hasBit(preferred, a)))];
  const copy = new Copy(codec, stores, order, header, target, lost);
  // Header and records are copied out: the window that they lie in moves with the next read.
  const slab = await codec.slabs.allocate(commonBytes(header) + scratchBytes, 'commit');
  codec.view.copyWithin(slab.offset, found.offset, found.offset + commonBytes(header));
  const faults: DriveFault[] = [];
  try {
    const fault = await copy.write(slab, found.records);
    if (fault !== null) {
      faults.push(fault);
      return { ok: false, fault };
    }
    return { ok: true, records: found.records, unrebuilt: copy.unrebuilt };
  } finally {
    releaseWhenSettled(slab, ...faults);
  }
}

/** Records whose slots lie side by side, and the bytes of the file that these take. */
export interface Span {
  readonly records: { readonly record: LogRecord; readonly slots: Slots }[];
  readonly from: number;
  to: number;
}

class Copy {
  readonly unrebuilt: LogRecord[] = [];
  readonly #segments: number[] = [];
  readonly #held: Slab[] = [];
  #heldBytes = 0;
  /** Where the segments begin in the file, and how long they are. */
  #from: number;
  #bytes = 0;

  constructor(
    private readonly codec: BatchCodec,
    private readonly stores: readonly (LogStore | null)[],
    /** The target's position first, then those that are asked for their shards. */
    private readonly order: readonly number[],
    private readonly header: BatchHeader,
    private readonly target: LogStore,
    private readonly lost: 'zeroed' | 'kept',
  ) {
    this.#from = header.fileOffset;
  }

  async write(slab: Slab, records: readonly LogRecord[]): Promise<DriveFault | null> {
    const isOneWrite = this.header.slotsBytes <= pendingBytesMax;
    // In several writes the header comes last: until then the place holds no batch.
    if (isOneWrite) this.#append(slab.offset, commonBytes(this.header));
    else this.#from += slotsStart(this.header.recordsBytes);
    for (const span of spansOf(records)) {
      this.#padTo(span.from);
      const rebuilt = await this.#rebuild(span);
      if (rebuilt === null) {
        // Left as it is: whatever is there may be readable one day.
        const fault = await this.#flush();
        if (fault !== null) return fault;
        this.#from = span.to;
        continue;
      }
      this.#held.push(rebuilt);
      this.#heldBytes += rebuilt.bytes;
      this.#append(rebuilt.offset, span.to - span.from);
      if (!isOneWrite && this.#heldBytes >= pendingBytesMax) {
        const fault = await this.#flush();
        if (fault !== null) return fault;
      }
    }
    this.#padTo(batchEnd(this.header));
    const fault = await this.#flush();
    if (fault !== null || isOneWrite) return fault;
    this.#from = this.header.fileOffset;
    this.#append(slab.offset, commonBytes(this.header));
    return await this.#flush();
  }

  async #flush(): Promise<DriveFault | null> {
    if (this.#bytes === 0) return null;
    const written = await this.target.write(this.header.fileNumber, this.#from, Float64Array.from(this.#segments));
    const faults = written.ok ? [] : [written.fault];
    for (const slab of this.#held.splice(0)) releaseWhenSettled(slab, ...faults);
    this.#from += this.#bytes;
    this.#bytes = 0;
    this.#heldBytes = 0;
    this.#segments.length = 0;
    return faults[0] ?? null;
  }

  #append(offset: number, bytes: number): void {
    this.#segments.push(offset, bytes);
    this.#bytes += bytes;
  }

  #padTo(fileOffset: number): void {
    for (let missing = fileOffset - this.#from - this.#bytes; missing > 0; missing -= pageBytes) {
      this.#append(this.codec.slabs.zeroPageOffset, Math.min(missing, pageBytes));
    }
  }

  /**
   * The target's bytes of a span. Where a shard cannot be had: zeroes, which never pass for one, or what is there.
   * Null when that cannot be read.
   */
  async #rebuild(span: Span): Promise<Slab | null> {
    const { slabs, view } = this.codec;
    const result = await slabs.allocate(span.to - span.from, 'commit');
    view.fill(0, result.offset, result.offset + span.to - span.from);
    const scratch = await slabs.allocate(Math.max(...span.records.map(({ slots }) => slots.hashes.length)), 'commit');
    const sources = new Map<number, Slab | null>();
    try {
      for (const { record, slots } of span.records) {
        const isDone = await this.#rebuildSlot(slots, span, result, sources, scratch.offset);
        if (isDone) continue;
        this.unrebuilt.push(record);
        if (this.lost === 'zeroed') continue;
        const there = await this.#source(this.order[0] ?? 0, span, sources);
        if (there === null) {
          result.release();
          return null;
        }
        const delta = slots.fileOffset - span.from;
        view.copyWithin(result.offset + delta, there.offset + delta, there.offset + delta + slots.slotBytes);
      }
    } finally {
      scratch.release();
      for (const slab of sources.values()) slab?.release();
    }
    return result;
  }

  async #rebuildSlot(
    slots: Slots,
    span: Span,
    result: Slab,
    sources: Map<number, Slab | null>,
    scratchOffset: number,
  ): Promise<boolean> {
    const { driveCount } = this.codec.identity;
    const { view, kernels } = this.codec;
    const delta = slots.fileOffset - span.from;
    const wantedAt = result.offset + delta;
    const wanted = shardAt(this.order[0] ?? 0, slots, driveCount);
    const offsets = new Float64Array(driveCount).fill(wantedAt);
    let present = 0;
    for (const position of this.order) {
      const slab = await this.#source(position, span, sources);
      const shard = shardAt(position, slots, driveCount);
      if (slab === null || !this.codec.isSlotValid(slab.offset + delta, slots, shard, scratchOffset)) continue;
      offsets[shard] = slab.offset + delta;
      present |= 1 << shard;
      if (shard === wanted) {
        // On its drive already, in the page cache at least: written again, it is synced again.
        view.copyWithin(wantedAt, slab.offset + delta, slab.offset + delta + slots.slotBytes);
        return true;
      }
      if (bitCount(present) >= slots.k) break;
    }
    if (bitCount(present) < slots.k) return false;
    kernels.reconstruct(slots.k, driveCount - slots.k, slots.slotBytes, offsets, present, 1 << wanted);
    if (this.codec.isSlotValid(wantedAt, slots, wanted, scratchOffset)) return true;
    view.fill(0, wantedAt, wantedAt + slots.slotBytes);
    return false;
  }

  /** The bytes of a span as a drive holds them, read once. */
  async #source(position: number, span: Span, sources: Map<number, Slab | null>): Promise<Slab | null> {
    const known = sources.get(position);
    if (known !== undefined) return known;
    sources.set(position, null);
    const store = this.stores[position] ?? null;
    if (store === null) return null;
    const slab = await this.codec.slabs.allocate(span.to - span.from, 'commit');
    const segments = Float64Array.of(slab.offset, span.to - span.from);
    const read = await store.read(this.header.fileNumber, span.from, segments);
    if (read.ok && read.value === span.to - span.from) sources.set(position, slab);
    else releaseWhenSettled(slab, ...(read.ok ? [] : [read.fault]));
    return sources.get(position) ?? null;
  }
}

export function spansOf(records: readonly LogRecord[]): Span[] {
  const spans: Span[] = [];
  for (const record of records) {
    const { slots } = record;
    if (slots === null) continue;
    const end = slots.fileOffset + slots.slotBytes;
    const last = spans.at(-1);
    if (last !== undefined && end - last.from <= spanBytesMax) {
      last.records.push({ record, slots });
      last.to = end;
    } else {
      spans.push({ records: [{ record, slots }], from: slots.fileOffset, to: end });
    }
  }
  return spans;
}
