/**
 * Reads the shards of one body, wherever they lie. A source knows drives and offsets; verification,
 * choice of shards and reconstruction are the reader's.
 */
import { invariant, type Segments, type Slab, type SlabAllocator } from '../base/index.js';
import type { BlobHandle, CheckedRead, Drive, DriveFault, DriveResult } from '../drive/index.js';
import { hashBytes, payloadOffset, tableBytes, tableOffset } from './blob-format.js';
import { verifyRows, type Compute, type VerifyJob } from './compute.js';
import type { DriveSet } from './drive-set.js';
import { checksumBlockCount, positionOfShard, type StripeLayout } from './layout.js';
import { fileNumberOf } from './set-numbers.js';
import { StuckCalls } from './stuck.js';
import { blobName, type Placement, type PlacementId } from './placement.js';

export interface ShardSource {
  readonly id: PlacementId;
  /** Memory that was handed to `read` goes back through here. */
  readonly stuck: StuckCalls;
  readonly layout: StripeLayout;
  /** Waits for the memory that the source needs. Before the first `hashes`, and by those who hold none yet. */
  prepare(): Promise<void>;
  /** Whether the shard should be there. */
  mayHave(shardIndex: number): boolean;
  /** Whether it is worth a try when others fail: a repair may have written it since. */
  mightHave(shardIndex: number): boolean;
  /** Its drive hangs: others are asked first. */
  isHanging(shardIndex: number): boolean;
  /** This process had no descriptor or memory for it: that says nothing of the shard. */
  isStarved(shardIndex: number): boolean;
  /** Nothing has come from its drive for a while. */
  isStuck(shardIndex: number): boolean;
  /** Others have answered in its place: what is stuck fails. */
  giveUp(shardIndex: number): void;
  /** Bytes [start, …) of the shard's payload into the arena. False: a fault (reported) or a short file. */
  read(shardIndex: number, start: number, segments: Float64Array): Promise<boolean>;
  /**
   * The same into the memory of the jobs, which follow each other in the payload, and checks them against their
   * hashes. False: a fault (reported), a short file, or bytes that are not what was written.
   */
  readChecked(shardIndex: number, start: number, jobs: readonly VerifyJob[]): Promise<boolean>;
  /** The same on the calling thread, when the page cache has the bytes and they are sound. False says nothing. */
  readCheckedNow(shardIndex: number, start: number, jobs: readonly VerifyJob[]): boolean;
  /** Like `read` on the calling thread when the bytes are in memory. */
  readNow(shardIndex: number, start: number, arenaOffset: number, bytes: number): boolean;
  /** Arena offset of the hashes of blocks [firstBlock, firstBlock + count), or null when they cannot be had. */
  hashes(shardIndex: number, firstBlock: number, count: number): Promise<number | null>;
  hashesNow(shardIndex: number, firstBlock: number, count: number): number | null;
  /** After the last call has settled. */
  close(): void;
}

function missing(kind: DriveFault['kind'], drive: string, operation: string): DriveFault {
  return { kind, drive, operation, errno: 0 };
}

/** What a source knows of the drives below it. */
abstract class DriveSource {
  abstract readonly layout: StripeLayout;
  readonly stuck = new StuckCalls();

  readonly #starved = new Set<number>();

  protected constructor(protected readonly set: DriveSet) {}

  isStarved(shardIndex: number): boolean {
    return this.#starved.has(positionOfShard(this.layout, shardIndex));
  }

  protected report(position: number, fault: DriveFault): void {
    if (fault.kind === 'starved') this.#starved.add(position);
    this.set.reportRead(position, fault);
  }

  /** `touched`: the memory that the call was given. */
  protected settle(position: number, result: DriveResult<number>, wanted: number, touched: () => Segments): boolean {
    if (!result.ok) {
      this.stuck.add(result.fault, touched());
      this.report(position, result.fault);
      return false;
    }
    if (result.value === wanted) return true;
    this.report(position, missing('missing', this.set.drive(position)?.path ?? '', 'read past the end of a shard'));
    return false;
  }

  protected settleSegments(position: number, result: DriveResult<number>, segments: Segments): boolean {
    let wanted = 0;
    for (let at = 1; at < segments.length; at += 2) wanted += segments[at] ?? 0;
    return this.settle(position, result, wanted, () => segments);
  }

  isHanging(shardIndex: number): boolean {
    return this.driveOf(shardIndex)?.isHanging === true;
  }

  isStuck(shardIndex: number): boolean {
    return this.driveOf(shardIndex)?.areReadsStuck === true;
  }

  giveUp(shardIndex: number): void {
    this.driveOf(shardIndex)?.giveUpReads();
  }

  protected driveOf(shardIndex: number): Drive | null {
    return this.set.drive(positionOfShard(this.layout, shardIndex));
  }
}

export class SlotSource extends DriveSource implements ShardSource {
  readonly id: PlacementId;
  readonly layout: StripeLayout;
  readonly #hashes: Slab;
  readonly #blocks: number;
  readonly #fileNumber: number;

  constructor(
    set: DriveSet,
    private readonly placement: Extract<Placement, { kind: 'slots' }>,
    objectBytes: number,
    private readonly compute: Compute,
    hashes: Slab,
  ) {
    super(set);
    this.id = placement.id;
    const { dataShards, parityShards, rotation } = placement.geometry;
    this.layout = { dataShards, parityShards, rotation, stripeBytes: Math.max(objectBytes, 1), objectBytes };
    this.#hashes = hashes;
    this.#blocks = checksumBlockCount(placement.slotBytes);
    this.#fileNumber = fileNumberOf(placement.fileNumber);
    compute.copyIn(hashes.offset, placement.hashes, 0, placement.hashes.length);
  }

  prepare(): Promise<void> {
    return Promise.resolve();
  }

  mayHave(shardIndex: number): boolean {
    return this.driveOf(shardIndex) !== null;
  }

  mightHave(shardIndex: number): boolean {
    return this.mayHave(shardIndex);
  }

  async read(shardIndex: number, start: number, segments: Float64Array): Promise<boolean> {
    const position = positionOfShard(this.layout, shardIndex);
    const drive = this.set.drive(position);
    if (drive === null) return false;
    const result = await drive.log.read(this.#fileNumber, this.placement.fileOffset + start, segments);
    return this.settleSegments(position, result, segments);
  }

  async readChecked(shardIndex: number, start: number, jobs: readonly VerifyJob[]): Promise<boolean> {
    if (!(await this.read(shardIndex, start, segmentsOf(jobs)))) return false;
    const bytes = jobs.reduce((sum, job) => sum + job.bytes, 0);
    const wrong = bytes <= verifyNowBytesMax ? this.compute.verifyNow(jobs) : await this.compute.verify(jobs);
    return wrong.length === 0;
  }

  readCheckedNow(): boolean {
    return false;
  }

  readNow(shardIndex: number, start: number, arenaOffset: number, bytes: number): boolean {
    const drive = this.driveOf(shardIndex);
    if (drive === null) return false;
    return drive.log.readNow(this.#fileNumber, this.placement.fileOffset + start, arenaOffset, bytes) === bytes;
  }

  hashes(shardIndex: number, firstBlock: number): Promise<number> {
    return Promise.resolve(this.hashesNow(shardIndex, firstBlock));
  }

  hashesNow(shardIndex: number, firstBlock: number): number {
    return this.#hashes.offset + (shardIndex * this.#blocks + firstBlock) * hashBytes;
  }

  close(): void {
    this.#hashes.release();
  }
}

/** Checked on the calling thread: below this a hop to a worker costs more than the hashing. */
const verifyNowBytesMax = 128 * 1024;

function segmentsOf(jobs: readonly VerifyJob[]): Segments {
  return Float64Array.from(jobs.flatMap((job) => [job.dataOffset, job.bytes]));
}

/** Memory that a checked read touches: the data, and the hashes. */
function touchedBy(jobs: readonly VerifyJob[]): Segments {
  return Float64Array.from(
    jobs.flatMap((job) => [job.dataOffset, job.bytes, job.hashesOffset, checksumBlockCount(job.bytes) * hashBytes]),
  );
}

/** With the drive that it belongs to: another may take its place, and knows nothing of it. */
interface OpenedBlob {
  readonly drive: Drive;
  readonly handle: BlobHandle;
}

interface OpeningBlob {
  readonly drive: Drive;
  readonly handle: Promise<BlobHandle | null>;
}

/** Table bytes of one shard that are read and kept at once: the hashes of 64 stripes when k = 2. */
const hashCacheBytes = 16 * 1024;

export class BlobSource extends DriveSource implements ShardSource {
  readonly id: PlacementId;
  readonly #opening = new Map<number, OpeningBlob>();
  /** Those of `#opening` that are there. */
  readonly #opened = new Map<number, OpenedBlob>();
  /** A run of blocks for each shard whose hashes were read; they lie in `#tables`. */
  readonly #cached = new Map<number, { readonly firstBlock: number; readonly blockCount: number }>();
  readonly #cacheBytes: number;
  readonly #name: string;
  #tables: Slab | null = null;

  constructor(
    set: DriveSet,
    private readonly placement: Extract<Placement, { kind: 'blob' }>,
    readonly layout: StripeLayout,
    private readonly slabs: SlabAllocator,
  ) {
    super(set);
    this.id = placement.id;
    this.#name = blobName(placement.id);
    this.#cacheBytes = Math.min(tableBytes(layout), hashCacheBytes);
  }

  async prepare(): Promise<void> {
    this.#tables ??= await this.slabs.allocate(this.#tablesBytes, 'read');
  }

  mayHave(shardIndex: number): boolean {
    const position = positionOfShard(this.layout, shardIndex);
    return ((this.placement.positions >>> position) & 1) === 1 && this.set.drive(position) !== null;
  }

  mightHave(shardIndex: number): boolean {
    return this.driveOf(shardIndex) !== null;
  }

  async read(shardIndex: number, start: number, segments: Float64Array): Promise<boolean> {
    return this.#readAt(shardIndex, payloadOffset(this.layout) + start, segments);
  }

  /** By the thread that reads: the bytes are in its cache, and no worker has to be woken. */
  async readChecked(shardIndex: number, start: number, jobs: readonly VerifyJob[]): Promise<boolean> {
    const position = positionOfShard(this.layout, shardIndex);
    const drive = this.set.drive(position);
    const handle = drive === null ? null : await this.#open(position, drive);
    if (drive === null || handle === null) return false;
    const fileOffset = payloadOffset(this.layout) + start;
    const result = await drive.blobs.readChecked(handle, fileOffset, verifyRows(jobs));
    const answer: DriveResult<number> = result.ok ? { ok: true, value: result.value.bytes } : result;
    const wanted = jobs.reduce((sum, job) => sum + job.bytes, 0);
    return this.settle(position, answer, wanted, () => touchedBy(jobs)) && wrongRows(result) === 0;
  }

  /** Only of files that are open, or opened without waiting. */
  readCheckedNow(shardIndex: number, start: number, jobs: readonly VerifyJob[]): boolean {
    const opened = this.#openedNow(shardIndex);
    if (opened === null) return false;
    return opened.drive.blobs.readCheckedNow(opened.handle, payloadOffset(this.layout) + start, verifyRows(jobs));
  }

  readNow(): boolean {
    return false;
  }

  /** Only of files that are open, or opened without waiting. */
  hashesNow(shardIndex: number, firstBlock: number, count: number): number | null {
    this.#tables ??= this.slabs.tryAllocate(this.#tablesBytes, 'read');
    const known = this.#knownHashes(shardIndex, firstBlock, count);
    const run = this.#hashRun(shardIndex, firstBlock, count);
    if (known !== null || run === null) return known;
    const opened = this.#openedNow(shardIndex);
    if (opened === null) return null;
    const { drive, handle } = opened;
    this.#cached.delete(shardIndex);
    if (drive.blobs.readNow(handle, run.fileOffset, run.cacheOffset, run.bytes) !== run.bytes) return null;
    this.#cached.set(shardIndex, { firstBlock, blockCount: Math.floor(run.bytes / hashBytes) });
    return run.cacheOffset;
  }

  async hashes(shardIndex: number, firstBlock: number, count: number): Promise<number | null> {
    invariant(this.#tables !== null, 'a source is prepared before its hashes are asked for');
    const known = this.#knownHashes(shardIndex, firstBlock, count);
    const run = this.#hashRun(shardIndex, firstBlock, count);
    if (known !== null || run === null) return known;
    this.#cached.delete(shardIndex);
    const segments = Float64Array.of(run.cacheOffset, run.bytes);
    if (!(await this.#readAt(shardIndex, run.fileOffset, segments))) return null;
    this.#cached.set(shardIndex, { firstBlock, blockCount: Math.floor(run.bytes / hashBytes) });
    return run.cacheOffset;
  }

  close(): void {
    if (this.#tables !== null) this.stuck.release(this.#tables);
    this.#tables = null;
    for (const opening of this.#opening.values()) closeOpening(opening);
    this.#opening.clear();
    this.#opened.clear();
  }

  #knownHashes(shardIndex: number, firstBlock: number, count: number): number | null {
    const cached = this.#cached.get(shardIndex);
    if (this.#tables === null || cached === undefined || firstBlock < cached.firstBlock) return null;
    if (firstBlock + count > cached.firstBlock + cached.blockCount) return null;
    return this.#tables.offset + shardIndex * this.#cacheBytes + (firstBlock - cached.firstBlock) * hashBytes;
  }

  /** What is read of the table when hashes from there on are wanted, and where to. Null: they do not fit. */
  #hashRun(shardIndex: number, firstBlock: number, count: number) {
    const at = firstBlock * hashBytes;
    const bytes = Math.min(this.#cacheBytes, tableBytes(this.layout) - at);
    if (this.#tables === null || count * hashBytes > bytes) return null;
    return { fileOffset: tableOffset + at, cacheOffset: this.#tables.offset + shardIndex * this.#cacheBytes, bytes };
  }

  get #tablesBytes(): number {
    return (this.layout.dataShards + this.layout.parityShards) * this.#cacheBytes;
  }

  #openedNow(shardIndex: number): OpenedBlob | null {
    const position = positionOfShard(this.layout, shardIndex);
    const drive = this.set.drive(position);
    if (drive === null) return null;
    const opened = this.#opened.get(position);
    if (opened !== undefined) return drive === opened.drive ? opened : null;
    if (this.#opening.has(position)) return null;
    const handle = drive.blobs.openNow(this.#name);
    if (handle === null) return null;
    const now: OpenedBlob = { drive, handle };
    this.#opened.set(position, now);
    this.#opening.set(position, { drive, handle: Promise.resolve(handle) });
    return now;
  }

  async #readAt(shardIndex: number, fileOffset: number, segments: Float64Array): Promise<boolean> {
    const position = positionOfShard(this.layout, shardIndex);
    const drive = this.set.drive(position);
    const handle = drive === null ? null : await this.#open(position, drive);
    if (drive === null || handle === null) return false;
    return this.settleSegments(position, await drive.blobs.read(handle, fileOffset, segments), segments);
  }

  #open(position: number, drive: Drive): Promise<BlobHandle | null> {
    const known = this.#opening.get(position);
    if (known?.drive === drive) return known.handle;
    // Another drive has taken the place of that one: it may well have the shard, too.
    if (known !== undefined) closeOpening(known);
    this.#opened.delete(position);
    const handle = drive.blobs.open(this.#name).then((opened) => {
      if (opened.ok) {
        // A source that was closed meanwhile closes the handle when it learns of it.
        if (this.#opening.get(position) === opening) this.#opened.set(position, { drive, handle: opened.value });
        return opened.value;
      }
      this.report(position, opened.fault);
      return null;
    });
    const opening: OpeningBlob = { drive, handle };
    this.#opening.set(position, opening);
    return handle;
  }
}

function closeOpening({ drive, handle }: OpeningBlob): void {
  void handle.then((opened) => {
    if (opened !== null) drive.blobs.close(opened);
  });
}

function wrongRows(result: DriveResult<CheckedRead>): number {
  return result.ok ? result.value.wrongRows : 0;
}
