/**
 * Writes one batch of the history to one drive: the drive-independent part from any drive that has it,
 * and the drive's own slots, rebuilt where it does not hold them. For roll-forward, repair and catch-up.
 */
import { MiB, type Slab } from '../base/index.js';
import type { DriveFault, LogStore } from '../drive/index.js';
import { scratchBytes, type BatchCodec } from './batch-codec.js';
import { bitCount, hasBit } from './decide.js';
import type { LogRecord } from './journal.js';
import { batchEnd, commonBytes, pageBytes, readRecords, shardAt, slotsStart, type BatchHeader } from './layout.js';
import { LogReader, releaseWhenSettled } from './log-reader.js';

type Slots = NonNullable<LogRecord['slots']>;

/** Slots that are held in the arena at once before they are written. */
const pendingBytesMax = 2 * MiB;
const anyDrive = ~0;

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
 * hashes tell what is right.
 */
export async function copyBatch(
  codec: BatchCodec,
  stores: readonly (LogStore | null)[],
  common: CommonReader,
  header: BatchHeader,
  position: number,
): Promise<CopyResult> {
  const target = stores[position] ?? null;
  if (target === null) return { ok: false, fault: null };
  const found = await common.read(header, { digest: header.digest }, anyDrive);
  if (found === null) return { ok: false, fault: null };
  const copy = new Copy(codec, stores, header, position, target);
  // Header and records are copied out: reading slots must not move the window that they lie in.
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
    private readonly header: BatchHeader,
    private readonly position: number,
    private readonly target: LogStore,
  ) {
    this.#from = header.fileOffset;
  }

  async write(slab: Slab, records: readonly LogRecord[]): Promise<DriveFault | null> {
    const ownBytes = records.reduce((sum, { slots }) => sum + (slots?.slotBytes ?? 0), 0);
    const isOneWrite = ownBytes <= pendingBytesMax;
    // In several writes the header comes last: until then the place holds no batch.
    if (isOneWrite) this.#append(slab.offset, commonBytes(this.header));
    else this.#from += slotsStart(this.header.recordsBytes);
    for (const record of records) {
      if (record.slots === null) continue;
      this.#padTo(record.slots.fileOffset);
      await this.#appendSlot(record, record.slots);
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

  async #appendSlot(record: LogRecord, slots: Slots): Promise<void> {
    const rebuilt = await rebuildSlot(this.codec, this.stores, slots, this.position);
    if (rebuilt === null) {
      // Zeroes never pass for the shard: readers take it from the others, if there are enough.
      this.unrebuilt.push(record);
      this.#padTo(slots.fileOffset + slots.slotBytes);
      return;
    }
    this.#held.push(rebuilt);
    this.#heldBytes += rebuilt.bytes;
    this.#append(rebuilt.offset, slots.slotBytes);
  }
}

/** The shard of one position, read or computed from k others; null when fewer than k are right. */
async function rebuildSlot(
  codec: BatchCodec,
  stores: readonly (LogStore | null)[],
  slots: Slots,
  position: number,
): Promise<Slab | null> {
  const { driveCount } = codec.identity;
  const wanted = shardAt(position, slots, driveCount);
  const byShard: (Slab | null)[] = Array.from({ length: driveCount }, () => null);
  const scratch = await codec.slabs.allocate(slots.hashes.length, 'commit');
  let result: Slab | null = null;
  try {
    const others = stores.flatMap((_, other) => (other === position ? [] : [other]));
    let present = 0;
    for (const other of [position, ...others]) {
      const store = stores[other] ?? null;
      if (store === null) continue;
      const shard = shardAt(other, slots, driveCount);
      const slab = await readSlot(codec, store, slots, shard, scratch.offset);
      byShard[shard] = slab;
      if (slab === null) continue;
      present |= 1 << shard;
      // Our own is on its drive already, in the page cache at least: written again, it is synced again.
      if (shard === wanted) return (result = slab);
      if (bitCount(present) >= slots.k) break;
    }
    if (bitCount(present) < slots.k) return null;
    result = await codec.slabs.allocate(slots.slotBytes, 'commit');
    byShard[wanted] = result;
    const anywhere = result.offset;
    const offsets = Float64Array.from(byShard, (slab) => slab?.offset ?? anywhere);
    codec.kernels.reconstruct(slots.k, driveCount - slots.k, slots.slotBytes, offsets, present, 1 << wanted);
    if (codec.isSlotValid(result.offset, slots, wanted, scratch.offset)) return result;
    result = null;
    return null;
  } finally {
    scratch.release();
    for (const slab of byShard) if (slab !== null && slab !== result) slab.release();
  }
}

async function readSlot(
  codec: BatchCodec,
  store: LogStore,
  slots: Slots,
  shard: number,
  scratchOffset: number,
): Promise<Slab | null> {
  const slab = await codec.slabs.allocate(slots.slotBytes, 'commit');
  const read = await store.read(slots.fileNumber, slots.fileOffset, Float64Array.of(slab.offset, slots.slotBytes));
  const isRight =
    read.ok && read.value === slots.slotBytes && codec.isSlotValid(slab.offset, slots, shard, scratchOffset);
  if (isRight) return slab;
  releaseWhenSettled(slab, ...(read.ok ? [] : [read.fault]));
  return null;
}
