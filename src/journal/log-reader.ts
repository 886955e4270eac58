/**
 * Reads batches of one drive's log through a window in the arena. Walking forward costs one large read
 * per window. One read at a time; what a read answered is valid until the next. Main thread only.
 */
import { MiB, invariant, type Slab } from '../base/index.js';
import type { DriveFault, LogStore } from '../drive/index.js';
import { scratchBytes, type BatchCodec } from './batch-codec.js';
import type { TailState } from './decide.js';
import { commonBytes, commonBytesMax, pageBytes, type BatchHeader } from './layout.js';

const sectorBytes = 512;
const windowBytesMin = 1 * MiB;

export type BatchRead =
  /** Header and records are right and lie at `offset` in the arena. */
  | { readonly kind: 'batch'; readonly header: BatchHeader; readonly offset: number }
  /** Nothing readable: what the place looks like, and the header when that alone could be read. */
  | { readonly kind: 'none'; readonly state: TailState; readonly header: BatchHeader | null }
  | { readonly kind: 'fault'; readonly fault: DriveFault };

type Range = { readonly offset: number; readonly bytes: number } | DriveFault;

export class LogReader {
  #slab: Slab | null = null;
  #fileNumber = -1;
  #from = 0;
  #bytes = 0;

  constructor(
    private readonly codec: BatchCodec,
    private readonly store: LogStore,
  ) {}

  /** What lies at a place where a batch can begin. */
  async readAt(fileNumber: number, fileOffset: number): Promise<BatchRead> {
    const page = await this.#range(fileNumber, fileOffset, pageBytes);
    if ('kind' in page) return { kind: 'fault', fault: page };
    // The end of a file that is not a whole number of pages: no batch begins there.
    if (page.bytes < pageBytes) return { kind: 'none', state: 'clean', header: null };
    const header = this.codec.header(page.offset, fileNumber, fileOffset);
    if (header === null) return { kind: 'none', state: this.#pageState(page.offset), header: null };
    const bytes = commonBytes(header);
    const common = await this.#range(fileNumber, fileOffset, bytes);
    if ('kind' in common) return { kind: 'fault', fault: common };
    if (common.bytes < bytes) return { kind: 'none', state: 'damaged', header };
    if (this.codec.isIntact(common.offset, header, this.#scratchOffset)) {
      return { kind: 'batch', header, offset: common.offset };
    }
    const state = hasZeroSector(this.codec.view, common.offset, bytes) ? 'torn' : 'damaged';
    return { kind: 'none', state, header };
  }

  /**
   * The first place at or behind `fileOffset` in this file whose page is not all zeroes, or −1.
   * Only the bytes count, not what they mean.
   */
  async nextUsedPage(fileNumber: number, fileOffset: number): Promise<number | DriveFault> {
    for (let at = fileOffset; ;) {
      const range = await this.#range(fileNumber, at, pageBytes, true);
      if ('kind' in range) return range;
      if (range.bytes < pageBytes) return -1;
      for (let page = 0; page + pageBytes <= range.bytes; page += pageBytes) {
        if (!isZero(this.codec.view, range.offset + page, pageBytes)) return at + page;
      }
      at += range.bytes - (range.bytes % pageBytes);
    }
  }

  /** Forgets what was read: the file may have changed. */
  forget(): void {
    this.#bytes = 0;
  }

  close(): void {
    this.#slab?.release();
    this.#slab = null;
    this.#bytes = 0;
  }

  get #scratchOffset(): number {
    invariant(this.#slab !== null, 'something was read');
    return this.#slab.offset + this.#slab.bytes - scratchBytes;
  }

  #pageState(offset: number): TailState {
    const { view } = this.codec;
    if (!isZero(view, offset, sectorBytes)) return 'damaged';
    return isZero(view, offset, pageBytes) ? 'clean' : 'torn';
  }

  /**
   * The bytes from `fileOffset` on: at least `bytes` unless the file ends; all that the window holds
   * with `isGreedy`.
   */
  async #range(fileNumber: number, fileOffset: number, bytes: number, isGreedy = false): Promise<Range> {
    invariant(bytes <= commonBytesMax, 'a window holds header and records');
    const isInside =
      this.#fileNumber === fileNumber && fileOffset >= this.#from && fileOffset + bytes <= this.#from + this.#bytes;
    if (!isInside) {
      const fault = await this.#load(fileNumber, fileOffset, bytes);
      if (fault !== null) return fault;
    }
    invariant(this.#slab !== null, 'a window is loaded');
    const skipped = fileOffset - this.#from;
    const available = this.#bytes - skipped;
    return { offset: this.#slab.offset + skipped, bytes: isGreedy ? available : Math.min(bytes, available) };
  }

  async #load(fileNumber: number, fileOffset: number, bytes: number): Promise<DriveFault | null> {
    const needed = Math.max(bytes + scratchBytes, windowBytesMin);
    if (this.#slab !== null && this.#slab.bytes < needed) this.close();
    const slab = this.#slab ?? (await this.codec.slabs.allocate(needed, 'commit'));
    this.#slab = slab;
    const windowBytes = slab.bytes - pageBytes;
    const wanted = Math.max(bytes, windowBytes - (windowBytes % pageBytes));
    const read = await this.store.read(fileNumber, fileOffset, Float64Array.of(slab.offset, wanted));
    if (!read.ok) {
      this.#abandon(read.fault);
      return read.fault;
    }
    this.#fileNumber = fileNumber;
    this.#from = fileOffset;
    this.#bytes = read.value;
    return null;
  }

  /** A call that hangs may still write into the window: the memory comes back when it has ended. */
  #abandon(fault: DriveFault): void {
    const slab = this.#slab;
    this.#slab = null;
    this.#bytes = 0;
    if (slab !== null) releaseWhenSettled(slab, fault);
  }
}

export function releaseWhenSettled(slab: Slab, ...faults: readonly DriveFault[]): void {
  const pending = faults.flatMap((fault) => (fault.settled === undefined ? [] : [fault.settled]));
  if (pending.length === 0) slab.release();
  else void Promise.all(pending).then(() => slab.release());
}

export function isZero(view: Buffer, offset: number, bytes: number): boolean {
  // The page is compared with itself, shifted by one: a memcmp, and far faster than a loop.
  if (bytes === 0 || view[offset] !== 0) return bytes === 0;
  return view.compare(view, offset, offset + bytes - 1, offset + 1, offset + bytes) === 0;
}

/**
 * Whether a sector of the range was never written. The range may begin and end inside a sector, as
 * told by its offset in the file.
 */
export function hasZeroSector(view: Buffer, offset: number, bytes: number, fileOffset = 0): boolean {
  let at = 0;
  while (at < bytes) {
    const end = Math.min(bytes, at + sectorBytes - ((fileOffset + at) % sectorBytes));
    if (isZero(view, offset + at, end - at)) return true;
    at = end;
  }
  return false;
}
