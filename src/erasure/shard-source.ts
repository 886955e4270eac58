/**
 * Reads the shards of one body, wherever they lie. A source knows drives and offsets; verification,
 * choice of shards and reconstruction are the reader's.
 */
import type { Slab, SlabAllocator } from '../base/index.js';
import type { BlobHandle, DriveFault, DriveResult } from '../drive/index.js';
import { hashBytes, payloadOffset, tableBytes, tableOffset } from './blob-format.js';
import type { Compute } from './compute.js';
import type { DriveSet } from './drive-set.js';
import { checksumBlockCount, positionOfShard, type StripeLayout } from './layout.js';
import { StuckCalls } from './stuck.js';
import { blobName, type Placement, type PlacementId } from './placement.js';

export interface ShardSource {
  readonly id: PlacementId;
  /** Memory that was handed to `read` goes back through here. */
  readonly stuck: StuckCalls;
  readonly layout: StripeLayout;
  /** Whether the shard should be there. */
  mayHave(shardIndex: number): boolean;
  /** Whether it is worth a try when others fail: a repair may have written it since. */
  mightHave(shardIndex: number): boolean;
  /** Bytes [start, …) of the shard's payload into the arena. False: a fault (reported) or a short file. */
  read(shardIndex: number, start: number, segments: Float64Array): Promise<boolean>;
  /** The same on the calling thread when the bytes are in memory. */
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

export class SlotSource implements ShardSource {
  readonly stuck = new StuckCalls();
  readonly id: PlacementId;
  readonly layout: StripeLayout;
  readonly #hashes: Slab;
  readonly #blocks: number;

  constructor(
    private readonly set: DriveSet,
    private readonly placement: Extract<Placement, { kind: 'slots' }>,
    objectBytes: number,
    compute: Compute,
    hashes: Slab,
  ) {
    this.id = placement.id;
    this.layout = { ...placement.geometry, stripeBytes: Math.max(objectBytes, 1), objectBytes };
    this.#hashes = hashes;
    this.#blocks = checksumBlockCount(placement.slotBytes);
    compute.copyIn(hashes.offset, placement.hashes, 0, placement.hashes.length);
  }

  mayHave(shardIndex: number): boolean {
    return this.set.drive(positionOfShard(this.layout, shardIndex)) !== null;
  }

  mightHave(shardIndex: number): boolean {
    return this.mayHave(shardIndex);
  }

  async read(shardIndex: number, start: number, segments: Float64Array): Promise<boolean> {
    const position = positionOfShard(this.layout, shardIndex);
    const drive = this.set.drive(position);
    if (drive === null) return false;
    const result = await drive.log.read(this.placement.fileNumber, this.placement.fileOffset + start, segments);
    return settle(this.set, this.stuck, position, result, segments);
  }

  readNow(shardIndex: number, start: number, arenaOffset: number, bytes: number): boolean {
    const drive = this.set.drive(positionOfShard(this.layout, shardIndex));
    if (drive === null) return false;
    return (
      drive.log.readNow(this.placement.fileNumber, this.placement.fileOffset + start, arenaOffset, bytes) === bytes
    );
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

/** Hashes of one shard kept in memory: a run of table pages. */
interface HashCache {
  readonly slab: Slab;
  firstBlock: number;
  blockCount: number;
}

/** Table bytes read at once: the hashes of 64 stripes when k = 2. */
const hashCacheBytes = 16 * 1024;

export class BlobSource implements ShardSource {
  readonly stuck = new StuckCalls();
  readonly id: PlacementId;
  readonly #handles = new Map<number, Promise<BlobHandle | null>>();
  readonly #caches = new Map<number, HashCache>();
  readonly #name: string;

  constructor(
    private readonly set: DriveSet,
    private readonly placement: Extract<Placement, { kind: 'blob' }>,
    readonly layout: StripeLayout,
    private readonly slabs: SlabAllocator,
  ) {
    this.id = placement.id;
    this.#name = blobName(placement.id);
  }

  mayHave(shardIndex: number): boolean {
    const position = positionOfShard(this.layout, shardIndex);
    return ((this.placement.positions >>> position) & 1) === 1 && this.set.drive(position) !== null;
  }

  mightHave(shardIndex: number): boolean {
    return this.set.drive(positionOfShard(this.layout, shardIndex)) !== null;
  }

  async read(shardIndex: number, start: number, segments: Float64Array): Promise<boolean> {
    return this.#readAt(shardIndex, payloadOffset(this.layout) + start, segments);
  }

  readNow(): boolean {
    return false;
  }

  hashesNow(): null {
    return null;
  }

  async hashes(shardIndex: number, firstBlock: number, count: number): Promise<number | null> {
    let cache = this.#caches.get(shardIndex);
    if (cache === undefined) {
      const bytes = Math.min(tableBytes(this.layout), hashCacheBytes);
      cache = { slab: await this.slabs.allocate(bytes, 'read'), firstBlock: 0, blockCount: 0 };
      this.#caches.set(shardIndex, cache);
    }
    if (firstBlock < cache.firstBlock || firstBlock + count > cache.firstBlock + cache.blockCount) {
      const at = firstBlock * hashBytes;
      const bytes = Math.min(cache.slab.bytes, tableBytes(this.layout) - at);
      if (count * hashBytes > bytes) return null;
      if (!(await this.#readAt(shardIndex, tableOffset + at, Float64Array.of(cache.slab.offset, bytes)))) return null;
      cache.firstBlock = firstBlock;
      cache.blockCount = Math.floor(bytes / hashBytes);
    }
    return cache.slab.offset + (firstBlock - cache.firstBlock) * hashBytes;
  }

  close(): void {
    for (const cache of this.#caches.values()) this.stuck.release(cache.slab);
    this.#caches.clear();
    for (const [position, opening] of this.#handles) {
      void opening.then((handle) => {
        if (handle !== null) this.set.drive(position)?.blobs.close(handle);
      });
    }
    this.#handles.clear();
  }

  async #readAt(shardIndex: number, fileOffset: number, segments: Float64Array): Promise<boolean> {
    const position = positionOfShard(this.layout, shardIndex);
    const drive = this.set.drive(position);
    if (drive === null) return false;
    let opening = this.#handles.get(position);
    if (opening === undefined) {
      opening = drive.blobs.open(this.#name).then((opened) => {
        if (opened.ok) return opened.value;
        this.set.reportRead(position, opened.fault);
        return null;
      });
      this.#handles.set(position, opening);
    }
    const handle = await opening;
    if (handle === null) return false;
    return settle(this.set, this.stuck, position, await drive.blobs.read(handle, fileOffset, segments), segments);
  }
}

function settle(
  set: DriveSet,
  stuck: StuckCalls,
  position: number,
  result: DriveResult<number>,
  segments: Float64Array,
): boolean {
  let wanted = 0;
  for (let at = 1; at < segments.length; at += 2) wanted += segments[at] ?? 0;
  if (!result.ok) {
    stuck.add(result.fault);
    set.reportRead(position, result.fault);
    return false;
  }
  if (result.value === wanted) return true;
  set.reportRead(position, missing('missing', set.drive(position)?.path ?? '', 'read past the end of a shard'));
  return false;
}
