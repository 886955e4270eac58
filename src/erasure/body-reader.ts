/**
 * Reads bytes [start, end) of one body: windows of up to two stripes, the next one on its way while
 * one is being sent. Every byte is verified before it leaves; a shard that is missing or wrong is
 * replaced by parity. Main thread; owns its windows, lends their stripes out as pieces.
 *
 * What the page cache has is read, checked and sent in one go on this thread while that has time: no other thread
 * is woken, and the bytes are still in this core's cache when they are sent (bench: `path.get.64MiB.c16`).
 */
import {
  Refusal,
  invariant,
  limits,
  type Piece,
  type PieceSource,
  type Slab,
  type SlabAllocator,
} from '../base/index.js';
import type { Compute, ReconstructInput, VerifyJob } from './compute.js';
import { hashBytes } from './blob-format.js';
import { checksumBlockCount, shardBytes, stripeCount, stripeLength } from './layout.js';
import { windowStripes, type ReadCache } from './read-cache.js';
import type { ShardSource } from './shard-source.js';

/** Verified on the calling thread: below this a hop to a worker costs more than the hashing. */
const verifyNowBytesMax = 128 * 1024;

/** Windows that drives read after one that the page cache did not have, before it is asked again. */
const coldWindows = 8;

interface Window {
  readonly slab: Slab;
  readonly pieces: { offset: number; bytes: number }[];
  /** Pieces not yet released, plus one while some are not yet handed out. */
  holds: number;
}

interface WindowPlan {
  readonly firstStripe: number;
  readonly stripes: number;
  /** Body offsets wanted of this window. */
  readonly start: number;
  readonly end: number;
}

type ShardOffsets = (shardIndex: number, stripeInWindow: number) => number;

export type DamageReport = (shardIndex: number) => void;

export class BodyReader implements PieceSource {
  #at: number;
  #window: Window | null = null;
  #pending: Promise<Window> | null = null;
  #closed = false;
  #sourceClosed = false;
  #coldWindows = 0;
  readonly #bad = new Set<number>();

  constructor(
    private readonly source: ShardSource,
    private readonly slabs: SlabAllocator,
    private readonly compute: Compute,
    start: number,
    private readonly end: number,
    private readonly onDamage: DamageReport,
    /** Somebody waits for the bytes: what is in memory is read for him at once. */
    private readonly isUrgent = false,
    /** For bodies that clients read; repairs and checks want what the drives have. */
    private readonly cache: ReadCache | null = null,
  ) {
    invariant(start >= 0 && start <= end && end <= source.layout.objectBytes, 'the range lies in the body');
    this.#at = start;
  }

  next(): Promise<Piece | null> | Piece | null {
    const piece = this.#takePiece();
    if (piece !== null) return piece;
    if (this.#pending === null) {
      if (this.#at >= this.end) return null;
      const kept = this.#keptPiece();
      if (kept !== null) return kept;
      const now = this.#windowNow() ?? this.#windowFromPageCache();
      if (now !== null) {
        this.#window = now;
        return this.#takePiece();
      }
    }
    return this.#nextWindow();
  }

  /** The first piece, when it can be had on this thread without waiting. */
  nextNow(): Piece | null {
    invariant(this.#window === null && this.#pending === null, 'nothing was read yet');
    this.#window = this.#windowNow();
    return this.#takePiece();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#window !== null) this.#drop(this.#window);
    this.#window = null;
    if (this.#pending === null) {
      this.#closeSource();
      return;
    }
    this.#pending.then(
      (window) => {
        this.#drop(window);
        this.#closeSource();
      },
      () => {
        this.#closeSource();
      },
    );
  }

  #closeSource(): void {
    if (this.#sourceClosed) return;
    this.#sourceClosed = true;
    this.source.close();
  }

  async #nextWindow(): Promise<Piece | null> {
    const pending = this.#pending ?? this.#startWindow();
    this.#pending = pending;
    const window = await pending;
    if (this.#closed) return null;
    this.#window = window;
    this.#pending = null;
    if (this.#coldWindows > 0) this.#coldWindows--;
    // Read ahead only once the receiver has come back for more: a short read needs no second window.
    if (this.#at < this.end && !this.#asksPageCache() && !this.#isNextKept()) {
      this.#pending = this.#startWindow();
      this.#pending.catch(() => undefined);
    }
    return this.#takePiece();
  }

  #takePiece(): Piece | null {
    const window = this.#window;
    const piece = window?.pieces.shift();
    if (window === null || piece === undefined) return null;
    if (window.pieces.length === 0) this.#window = null;
    else window.holds++;
    return {
      bytes: this.slabs.view.subarray(piece.offset, piece.offset + piece.bytes),
      release: () => {
        this.#drop(window);
      },
    };
  }

  /** Gives one hold back. Handing out the last piece passes the window's own hold on to that piece. */
  #drop(window: Window): void {
    window.holds--;
    if (window.holds === 0) this.source.stuck.release(window.slab);
  }

  /** From the cache of reads: nothing is opened, read or checked. */
  #keptPiece(): Piece | null {
    if (this.cache === null) return null;
    const { window, start, end } = this.#keptWindow();
    const to = Math.min(this.end, end);
    const piece = this.cache.piece(this.source.id, window, this.#at - start, to - start);
    if (piece !== null) this.#at = to;
    return piece;
  }

  #isNextKept(): boolean {
    return this.cache?.has(this.source.id, this.#keptWindow().window) === true;
  }

  /** Number and body offsets of the window, as the cache keeps it, that the next byte lies in. */
  #keptWindow(): { readonly window: number; readonly start: number; readonly end: number } {
    const { layout } = this.source;
    const bytes = windowStripes * layout.stripeBytes;
    const window = Math.floor(this.#at / bytes);
    return { window, start: window * bytes, end: Math.min(layout.objectBytes, (window + 1) * bytes) };
  }

  /** What was read and checked, if it is a whole window. */
  #offer({ firstStripe, start, end }: WindowPlan, slab: Slab): void {
    if (this.cache === null || firstStripe % windowStripes !== 0) return;
    const { layout } = this.source;
    const windowStart = firstStripe * layout.stripeBytes;
    const windowEnd = Math.min(layout.objectBytes, windowStart + windowStripes * layout.stripeBytes);
    if (start !== windowStart || end !== windowEnd) return;
    const bytes = this.slabs.view.subarray(slab.offset, slab.offset + (end - start));
    this.cache.offer(this.source.id, firstStripe / windowStripes, bytes);
  }

  #plan(stripesMax: number): WindowPlan {
    const { layout } = this.source;
    const firstStripe = Math.floor(this.#at / layout.stripeBytes);
    const stripeStart = firstStripe * layout.stripeBytes;
    const isPartial = this.#at > stripeStart || this.end < stripeStart + stripeLength(layout, firstStripe);
    let stripes = 1;
    if (!isPartial) {
      // Whole stripes only, so that one call per drive reads them all.
      const wholeEnd =
        this.end === layout.objectBytes ? stripeCount(layout) : Math.floor(this.end / layout.stripeBytes);
      stripes = Math.min(stripesMax - (firstStripe % stripesMax), wholeEnd - firstStripe);
    }
    const end = Math.min(this.end, (firstStripe + stripes) * layout.stripeBytes);
    return { firstStripe, stripes, start: this.#at, end };
  }

  /** A small body whose shards are in memory: read, verified and ready without leaving the thread. */
  #windowNow(): Window | null {
    const { layout } = this.source;
    const bytes = this.end - this.#at;
    if (stripeCount(layout) !== 1 || layout.objectBytes > verifyNowBytesMax || this.#bad.size > 0) return null;
    const shard = shardBytes(layout.dataShards, layout.objectBytes);
    const slab = this.slabs.tryAllocate(shard * layout.dataShards, 'read');
    if (slab === null) return null;
    const jobs: VerifyJob[] = [];
    for (let s = 0; s < layout.dataShards; s++) {
      const dataOffset = slab.offset + s * shard;
      const hashesOffset = this.source.hashesNow(s, 0, checksumBlockCount(shard));
      if (hashesOffset === null || !this.source.readNow(s, 0, dataOffset, shard)) {
        slab.release();
        return null;
      }
      jobs.push(this.#job(s, dataOffset, shard, hashesOffset, 0));
    }
    if (this.compute.verifyNow(jobs).length > 0) {
      slab.release();
      return null;
    }
    const window: Window = { slab, pieces: [{ offset: slab.offset + this.#at, bytes }], holds: 1 };
    this.#offer({ firstStripe: 0, stripes: 1, start: this.#at, end: this.end }, slab);
    this.#at = this.end;
    return window;
  }

  #asksPageCache(): boolean {
    return this.isUrgent && this.#coldWindows === 0 && this.compute.hasTime();
  }

  /** Whole stripes, when k of their shards are in the page cache and sound: one piece. */
  #windowFromPageCache(): Window | null {
    if (!this.#asksPageCache()) return null;
    const { layout } = this.source;
    const plan = this.#plan(windowStripes);
    const bytes = plan.end - plan.start;
    if (plan.stripes === 1 && bytes < stripeLength(layout, plan.firstStripe)) return null;
    const slab = this.slabs.tryAllocate(this.#windowBytes(plan), 'read');
    if (slab === null) return null;
    if (!this.#readFromPageCache(plan, slab.offset)) {
      this.#coldWindows = coldWindows;
      slab.release();
      return null;
    }
    this.#offer(plan, slab);
    this.#at = plan.end;
    return { slab, pieces: [{ offset: slab.offset, bytes }], holds: 1 };
  }

  /** Nothing is reported: what is missing here is looked at again by a call that waits. */
  #readFromPageCache(plan: WindowPlan, windowOffset: number): boolean {
    const { layout } = this.source;
    const good: number[] = [];
    for (let s = 0; s < layout.dataShards + layout.parityShards && good.length < layout.dataShards; s++) {
      if (!this.#bad.has(s) && this.source.mayHave(s)) good.push(s);
    }
    if (good.length < layout.dataShards) return false;
    const isRebuilt = good.some((s) => s >= layout.dataShards);
    const parityBytes = layout.parityShards * plan.stripes * shardBytes(layout.dataShards, layout.stripeBytes);
    const parity = isRebuilt ? this.slabs.tryAllocate(parityBytes, 'pass') : null;
    if (isRebuilt && parity === null) return false;
    const offsetOf = this.#shardOffsets(plan, windowOffset, () => parity);
    try {
      const firstBlock = this.#firstBlock(plan.firstStripe);
      for (const s of good) {
        const hashesOffset = this.source.hashesNow(s, firstBlock, this.#blockCount(plan));
        if (hashesOffset === null) return false;
        const jobs = this.#shardJobs(plan, s, hashesOffset, offsetOf);
        if (!this.source.readCheckedNow(s, this.#fileStart(plan), jobs)) return false;
      }
      const inputs = this.#rebuildInputs(plan, new Set(good), offsetOf);
      if (inputs.length > 0) this.compute.reconstructNow(inputs);
      return true;
    } finally {
      parity?.release();
    }
  }

  async #startWindow(): Promise<Window> {
    // What the source needs comes first: nobody waits for memory of a kind that it holds already.
    await this.source.prepare();
    // A window of several stripes is worth a worker's hop; under memory pressure one stripe must do.
    let plan = this.#plan(windowStripes);
    let slab = this.slabs.tryAllocate(this.#windowBytes(plan), 'read');
    if (slab === null) {
      plan = this.#plan(1);
      slab = await this.slabs.allocate(this.#windowBytes(plan), 'read');
    }
    this.#at = plan.end;
    return this.#fill(plan, slab);
  }

  async #fill(plan: WindowPlan, given: Slab): Promise<Window> {
    const { layout, stuck } = this.source;
    let slab = given;
    try {
      const isWhole = plan.stripes > 1 || plan.end - plan.start === stripeLength(layout, plan.firstStripe);
      let stuckBefore = stuck.count;
      let mayRetry = true;
      let isRead = !isWhole && (await this.#readPartialInTime(plan, slab));
      while (!isRead) {
        if (stuck.count !== stuckBefore) {
          // A call that hangs may yet write into this memory, after it was verified.
          stuckBefore = stuck.count;
          stuck.release(slab);
          slab = await this.slabs.allocate(this.#windowBytes(plan), 'pass');
        }
        await this.#readWhole(plan, slab.offset, mayRetry);
        isRead = stuck.count === stuckBefore;
        // What hung once is not waited for again.
        mayRetry = false;
      }
    } catch (error) {
      stuck.release(slab);
      throw error;
    }
    this.#offer(plan, slab);
    // The stripes lie one behind the other, as the body's bytes do.
    const windowStart = plan.firstStripe * layout.stripeBytes;
    const pieceBytesMax = this.isUrgent ? limits.sendPieceBytesMax : layout.stripeBytes;
    const pieces: { offset: number; bytes: number }[] = [];
    for (let at = plan.start; at < plan.end; at += pieceBytesMax) {
      pieces.push({ offset: slab.offset + (at - windowStart), bytes: Math.min(pieceBytesMax, plan.end - at) });
    }
    return { slab, pieces, holds: 1 };
  }

  /** What does not come soon is left to a read of whole stripes, which may take other shards. */
  async #readPartialInTime(plan: WindowPlan, slab: Slab): Promise<boolean> {
    const timer = setInterval(() => {
      for (let s = 0; s < this.source.layout.dataShards; s++) if (this.source.isStuck(s)) this.source.giveUp(s);
    }, limits.driveStuckMs / 2);
    try {
      return await this.#readPartial(plan, slab);
    } finally {
      clearInterval(timer);
    }
  }

  /** Only the checksum blocks that the range touches, when all their shards are sound. */
  async #readPartial(plan: WindowPlan, slab: Slab): Promise<boolean> {
    const { layout } = this.source;
    const stripeStart = plan.firstStripe * layout.stripeBytes;
    const shard = shardBytes(layout.dataShards, stripeLength(layout, plan.firstStripe));
    const firstBlock = this.#firstBlock(plan.firstStripe);
    const fileStart = plan.firstStripe * (layout.stripeBytes / layout.dataShards);
    const from = plan.start - stripeStart;
    const to = plan.end - stripeStart;
    const reads: Promise<boolean>[] = [];
    for (let s = Math.floor(from / shard); s * shard < to; s++) {
      if (this.#bad.has(s) || this.source.isHanging(s) || !this.source.mayHave(s)) {
        await Promise.all(reads);
        return false;
      }
      const block = Math.floor(Math.max(from - s * shard, 0) / limits.checksumBlockBytes);
      const start = block * limits.checksumBlockBytes;
      const blockEnd = Math.min(
        shard,
        Math.ceil(Math.min(to - s * shard, shard) / limits.checksumBlockBytes) * limits.checksumBlockBytes,
      );
      const bytes = blockEnd - start;
      const hashesOffset = await this.source.hashes(s, firstBlock + block, checksumBlockCount(bytes));
      if (hashesOffset === null) {
        // What was asked for before still writes into this memory.
        await Promise.all(reads);
        return false;
      }
      const job = this.#job(s, slab.offset + s * shard + start, bytes, hashesOffset, firstBlock + block);
      reads.push(this.source.readChecked(s, fileStart + start, [job]));
    }
    return (await Promise.all(reads)).every(Boolean);
  }

  /** All data shards of the stripes, from whichever k shards are sound. */
  async #readWhole(plan: WindowPlan, windowOffset: number, mayRetry: boolean): Promise<void> {
    const { layout } = this.source;
    const shardCount = layout.dataShards + layout.parityShards;
    const full = shardBytes(layout.dataShards, layout.stripeBytes);
    const good = new Set<number>();
    const tried = new Set<number>();
    let parity: Slab | null = null;
    const offsetOf = this.#shardOffsets(plan, windowOffset, () => parity);
    const answers = (s: number): boolean => !this.#bad.has(s) && !this.source.isHanging(s);
    const choices = [
      (s: number) => answers(s) && this.source.mayHave(s),
      (s: number) => answers(s) && this.source.mightHave(s),
      (s: number) => !this.#bad.has(s) && this.source.mightHave(s),
      // Bad in another stripe: damage is seldom all over a shard.
      (s: number) => mayRetry && this.source.mightHave(s),
    ];
    /** The best that were not asked yet; with their memory. */
    const choose = async (count: number, from = choices): Promise<number[]> => {
      const batch: number[] = [];
      for (const isWorthIt of from) {
        for (let s = 0; s < shardCount && batch.length < count; s++) {
          if (!tried.has(s) && !batch.includes(s) && isWorthIt(s)) batch.push(s);
        }
      }
      for (const s of batch) tried.add(s);
      if (batch.some((s) => s >= layout.dataShards)) {
        parity ??= await this.slabs.allocate(layout.parityShards * plan.stripes * full, 'pass');
      }
      return batch;
    };
    try {
      while (good.size < layout.dataShards) {
        const batch = await choose(layout.dataShards - good.size);
        if (batch.length === 0 && plan.stripes > 1) {
          // Damage of different shards in different stripes: each stripe may do with others.
          if (parity !== null) this.source.stuck.release(parity);
          parity = null;
          for (let i = 0; i < plan.stripes; i++) {
            const one = { ...plan, firstStripe: plan.firstStripe + i, stripes: 1 };
            await this.#readWhole(one, windowOffset + i * layout.stripeBytes, mayRetry);
          }
          return;
        }
        if (batch.length === 0) {
          throw new Refusal('SlowDownRead', 'Too few sound shards of this object can be read now; try again later.');
        }
        const spares = (count: number): Promise<number[]> => choose(count, choices.slice(0, 1));
        for (const [s, isSound] of await this.#readShards(plan, batch, offsetOf, spares)) {
          if (isSound) good.add(s);
          else if (!this.#bad.has(s)) {
            this.#bad.add(s);
            if (!this.source.isStarved(s)) this.onDamage(s);
          }
        }
      }
      const inputs = this.#rebuildInputs(plan, good, offsetOf);
      if (inputs.length > 0) await this.compute.reconstruct(inputs);
    } finally {
      if (parity !== null) this.source.stuck.release(parity);
    }
  }

  /**
   * Whether each of them is sound. Where disks hang `spares` are asked as well, and when these have answered, nobody waits
   * for those that hang any more: it is not this machine that stands still.
   */
  async #readShards(
    plan: WindowPlan,
    batch: readonly number[],
    offsetOf: ShardOffsets,
    spares: (count: number) => Promise<number[]>,
  ): Promise<ReadonlyMap<number, boolean>> {
    const read = new Map<number, boolean>();
    const waiting = new Set<number>();
    const one = async (s: number): Promise<void> => {
      waiting.add(s);
      try {
        read.set(s, await this.#readShard(plan, s, offsetOf));
      } finally {
        waiting.delete(s);
      }
    };
    const reads = batch.map(one);
    let isChoosing = false;
    const lookAt = async (): Promise<void> => {
      const stuck = [...waiting].filter((s) => this.source.isStuck(s));
      if (stuck.length === 0 || isChoosing) return;
      const sound = [...read.values()].filter(Boolean).length;
      if (sound >= batch.length) for (const s of stuck) this.source.giveUp(s);
      const missing = batch.length - sound - (waiting.size - stuck.length);
      if (missing <= 0) return;
      isChoosing = true;
      for (const s of await spares(missing)) reads.push(one(s));
      isChoosing = false;
    };
    const timer = setInterval(() => reads.push(lookAt()), limits.driveStuckMs / 2);
    try {
      for (let ended = 0; ended < reads.length;) {
        const more = reads.slice(ended);
        ended = reads.length;
        await Promise.all(more);
      }
    } finally {
      clearInterval(timer);
    }
    return read;
  }

  async #readShard(plan: WindowPlan, s: number, offsetOf: ShardOffsets): Promise<boolean> {
    const hashesOffset = await this.source.hashes(s, this.#firstBlock(plan.firstStripe), this.#blockCount(plan));
    if (hashesOffset === null) return false;
    return await this.source.readChecked(s, this.#fileStart(plan), this.#shardJobs(plan, s, hashesOffset, offsetOf));
  }

  /** Where in memory a shard of a stripe of the window lies: data in the window, parity in memory of its own. */
  #shardOffsets(plan: WindowPlan, windowOffset: number, parityOf: () => Slab | null): ShardOffsets {
    const { layout } = this.source;
    const full = shardBytes(layout.dataShards, layout.stripeBytes);
    return (shardIndex, stripeInWindow) => {
      if (shardIndex < layout.dataShards) {
        const bytes = shardBytes(layout.dataShards, stripeLength(layout, plan.firstStripe + stripeInWindow));
        return windowOffset + stripeInWindow * layout.stripeBytes + shardIndex * bytes;
      }
      const parity = parityOf();
      invariant(parity !== null, 'parity has its memory');
      return parity.offset + ((shardIndex - layout.dataShards) * plan.stripes + stripeInWindow) * full;
    };
  }

  /** The reads of one shard, a stripe each: they follow each other in its file. */
  #shardJobs(plan: WindowPlan, shardIndex: number, hashesOffset: number, offsetOf: ShardOffsets): VerifyJob[] {
    const { layout } = this.source;
    const blocksPerStripe = checksumBlockCount(layout.stripeBytes / layout.dataShards);
    const firstBlock = this.#firstBlock(plan.firstStripe);
    const jobs: VerifyJob[] = [];
    for (let i = 0; i < plan.stripes; i++) {
      const bytes = shardBytes(layout.dataShards, stripeLength(layout, plan.firstStripe + i));
      const block = i * blocksPerStripe;
      jobs.push(
        this.#job(shardIndex, offsetOf(shardIndex, i), bytes, hashesOffset + block * hashBytes, firstBlock + block),
      );
    }
    return jobs;
  }

  /** Checksum blocks of each shard of the window. */
  #blockCount(plan: WindowPlan): number {
    const { layout } = this.source;
    const lastBytes = shardBytes(layout.dataShards, stripeLength(layout, plan.firstStripe + plan.stripes - 1));
    const blocksPerStripe = checksumBlockCount(layout.stripeBytes / layout.dataShards);
    return (plan.stripes - 1) * blocksPerStripe + checksumBlockCount(lastBytes);
  }

  /** Of the window, in the payload of each shard. */
  #fileStart(plan: WindowPlan): number {
    const { layout } = this.source;
    return plan.firstStripe * (layout.stripeBytes / layout.dataShards);
  }

  /** What it takes to make the data shards that are not among the good ones; nothing when all are. */
  #rebuildInputs(plan: WindowPlan, good: ReadonlySet<number>, offsetOf: ShardOffsets): ReconstructInput[] {
    const { layout } = this.source;
    const shardCount = layout.dataShards + layout.parityShards;
    let present = 0;
    let wanted = 0;
    for (const s of good) present |= 1 << s;
    for (let s = 0; s < layout.dataShards; s++) if (!good.has(s)) wanted |= 1 << s;
    if (wanted === 0) return [];
    const inputs: ReconstructInput[] = [];
    for (let i = 0; i < plan.stripes; i++) {
      const offsets: number[] = [];
      for (let s = 0; s < shardCount; s++) offsets.push(offsetOf(s, i));
      inputs.push({
        dataShards: layout.dataShards,
        parityShards: layout.parityShards,
        shardBytes: shardBytes(layout.dataShards, stripeLength(layout, plan.firstStripe + i)),
        offsets,
        present,
        wanted,
      });
    }
    return inputs;
  }

  #firstBlock(stripeIndex: number): number {
    const { layout } = this.source;
    return stripeIndex * checksumBlockCount(layout.stripeBytes / layout.dataShards);
  }

  #job(shardIndex: number, dataOffset: number, bytes: number, hashesOffset: number, firstBlock: number): VerifyJob {
    return {
      dataOffset,
      bytes,
      hashesOffset,
      idHigh: this.source.id.high,
      idLow: this.source.id.low,
      shardIndex,
      firstBlock,
    };
  }

  #windowBytes(plan: WindowPlan): number {
    const { layout } = this.source;
    if (plan.stripes > 1) return plan.stripes * layout.stripeBytes;
    // The padding of the last data shard may reach past the object's end.
    return Math.max(shardBytes(layout.dataShards, stripeLength(layout, plan.firstStripe)) * layout.dataShards, 1);
  }
}
