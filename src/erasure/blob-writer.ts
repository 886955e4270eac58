/**
 * Writes the blob files of one body: a stripe at a time, to every drive of the set in parallel, each
 * drive's calls in order. A drive that fails is left out and reported; the body goes on while the write
 * quorum holds. Main thread; owns its hash pages and borrows the stripes until the returned promise settles.
 */
import { Refusal, invariant, limits, type Slab, type SlabAllocator } from '../base/index.js';
import type { BlobHandle, BlobWrite, Drive } from '../drive/index.js';
import { encodeBlobHeader, hashBytes, hashesPerPage, pageBytes, payloadOffset, tableOffset } from './blob-format.js';
import type { Compute } from './compute.js';
import type { DriveSet } from './drive-set.js';
import {
  checksumBlockCount,
  shardAtPosition,
  shardBytes,
  stripeCount,
  stripeLength,
  writeQuorum,
  type StripeLayout,
} from './layout.js';
import { blobName, type PlacementId } from './placement.js';
import { StuckCalls } from './stuck.js';

interface DriveLane {
  readonly position: number;
  readonly shardIndex: number;
  readonly drive: Drive;
  handle: BlobHandle | null;
  /** The calls so far, one after the other. */
  tail: Promise<void>;
  readonly departures: number;
  failed: boolean;
  /** It failed because the drive has no room. */
  isFull: boolean;
  isStarved: boolean;
  created: boolean;
}

export class BlobWriter {
  readonly name: string;
  /** Memory that was handed to `writeStripe` goes back through here. */
  readonly stuck = new StuckCalls();
  readonly #lanes: DriveLane[] = [];
  readonly #quorum: number;
  /**
   * A page of the checksum table for each drive, and for a body of one stripe a header page behind them. All
   * that the writer ever needs: it never waits for memory while it holds a stripe, or all could wait for ever.
   */
  #pages: Slab | null = null;
  #pageIndex = 0;
  #blocksWritten = 0;
  /** The stripes so far: their hashes are taken in order. */
  #stripes: Promise<void> = Promise.resolve();
  #finishing: Promise<void> | null = null;
  #isAborted = false;

  constructor(
    private readonly set: DriveSet,
    private readonly slabs: SlabAllocator,
    private readonly compute: Compute,
    private readonly id: PlacementId,
    private readonly layout: StripeLayout,
    /** Repair writes to some drives alone, and under a name that no reader knows. */
    repair: { readonly positions: readonly number[]; readonly fileName: string } | null = null,
  ) {
    this.name = repair?.fileName ?? blobName(id);
    this.#quorum = repair === null ? writeQuorum(layout.dataShards, layout.parityShards) : 1;
    for (const position of repair?.positions ?? set.inSync()) {
      const drive = set.drive(position);
      if (drive === null) continue;
      this.#lanes.push({
        position,
        shardIndex: shardAtPosition(layout, position),
        drive,
        handle: null,
        tail: Promise.resolve(),
        departures: set.departures(position),
        failed: false,
        isFull: false,
        isStarved: false,
        created: false,
      });
    }
  }

  /** Bit mask of the positions that hold their shard so far: their drive stayed in the set all the time. */
  get positions(): number {
    return this.#lanes.reduce((mask, lane) => (this.#isGood(lane) ? mask | (1 << lane.position) : mask), 0);
  }

  get hasQuorum(): boolean {
    // Of sound drives none is to lack its shard because this process had no descriptor for it.
    if (this.#isStarved) return false;
    return this.#lanes.filter((lane) => this.#isGood(lane)).length >= this.#quorum;
  }

  /** Why the write quorum is lost, for the client. */
  get refusal(): Refusal<'SlowDownWrite' | 'XMinioStorageFull'> {
    if (this.#isStarved) {
      return new Refusal(
        'SlowDownWrite',
        'The server has too few file descriptors or too little memory; try again later.',
      );
    }
    const isFull = this.#lanes.some((lane) => lane.isFull);
    return isFull
      ? new Refusal(
          'XMinioStorageFull',
          'Too few drives have room for the data. Delete something or have drives added, and try again.',
        )
      : new Refusal('SlowDownWrite', 'Too few drives took the data; try again later.');
  }

  get #isStarved(): boolean {
    return this.#lanes.some((lane) => lane.isStarved);
  }

  #isGood(lane: DriveLane): boolean {
    // After a failed sync the system may report the next one as good: what was written before counts as lost.
    return !lane.failed && this.set.departures(lane.position) === lane.departures;
  }

  /** Waits for the memory that the writer works with. Once, before the first stripe. */
  async prepare(): Promise<void> {
    invariant(this.#pages === null, 'a writer is prepared once');
    const pages = await this.slabs.allocate(this.#driveCount * (this.#isOneStripe ? 2 : 1) * pageBytes, 'commit');
    if (this.#isAborted) pages.release();
    else this.#pages = pages;
  }

  /**
   * Stripe `stripeIndex`, in order. Hashes as the pass leaves them: shard by shard, block by block.
   * Resolves when every drive has taken it or failed; the stripe's memory may go then.
   */
  async writeStripe(
    stripeIndex: number,
    dataOffset: number,
    parityOffset: number,
    hashesOffset: number,
  ): Promise<void> {
    const bytes = stripeLength(this.layout, stripeIndex);
    const shard = shardBytes(this.layout.dataShards, bytes);
    // The next stripe may come while the page of this one is full and on its way.
    const kept = this.#stripes.then(() => this.#keepHashes(hashesOffset, checksumBlockCount(shard)));
    this.#stripes = kept;
    await kept;
    if (this.#isAborted) return;
    const fileOffset = payloadOffset(this.layout) + stripeIndex * (this.layout.stripeBytes / this.layout.dataShards);
    const offsetOf = (shardIndex: number): number =>
      shardIndex < this.layout.dataShards
        ? dataOffset + shardIndex * shard
        : parityOffset + (shardIndex - this.layout.dataShards) * shard;
    if (this.#isOneStripe) {
      // One call per drive for the whole file.
      this.#finishing = this.#writeWhole((shardIndex) => [offsetOf(shardIndex), shard]);
      await this.#finishing;
      return;
    }
    await this.#onAll((lane) => ({
      fileOffset,
      segments: Float64Array.of(offsetOf(lane.shardIndex), shard),
      sync: false,
      close: false,
    }));
  }

  /** Header, last page of the table, sync of file and directory, close. Throws `refusal` below the write quorum. */
  async finish(): Promise<void> {
    this.#finishing ??= this.#writeEnd();
    await this.#finishing;
    this.#releasePages();
    if (!this.hasQuorum) throw this.refusal;
  }

  /** Removes what was written. Never throws. */
  async abort(): Promise<void> {
    this.#isAborted = true;
    await Promise.allSettled([this.#stripes, this.#finishing]);
    await Promise.all(this.#lanes.map((lane) => lane.tail));
    this.#releasePages();
    await Promise.all(
      this.#lanes.map(async (lane) => {
        if (lane.handle !== null) lane.drive.blobs.close(lane.handle);
        lane.handle = null;
        if (lane.created) await lane.drive.blobs.unlink(this.name);
      }),
    );
  }

  get #driveCount(): number {
    return this.layout.dataShards + this.layout.parityShards;
  }

  get #isOneStripe(): boolean {
    return stripeCount(this.layout) === 1;
  }

  #pageOffset(shardIndex: number): number {
    invariant(this.#pages !== null, 'a writer is prepared before its first stripe');
    return this.#pages.offset + shardIndex * pageBytes;
  }

  async #writeWhole(payload: (shardIndex: number) => number[]): Promise<void> {
    await this.#onAll((lane) => {
      const headerOffset = this.#pageOffset(this.#driveCount + lane.shardIndex);
      this.#copyHeader(lane, headerOffset);
      const pageOffset = this.#pageOffset(lane.shardIndex);
      return {
        fileOffset: 0,
        segments: Float64Array.from([headerOffset, pageBytes, pageOffset, pageBytes, ...payload(lane.shardIndex)]),
        sync: true,
        close: true,
      };
    });
  }

  async #writeEnd(): Promise<void> {
    await this.#writePage();
    // The header takes the place of the page that is on the drives now.
    await this.#onAll((lane) => {
      const headerOffset = this.#pageOffset(lane.shardIndex);
      this.#copyHeader(lane, headerOffset);
      return { fileOffset: 0, segments: Float64Array.of(headerOffset, pageBytes), sync: true, close: true };
    });
  }

  #copyHeader(lane: DriveLane, headerOffset: number): void {
    const { deploymentId, setIndex } = this.set;
    const { shardIndex } = lane;
    const header = encodeBlobHeader(
      { deploymentId, setIndex, shardIndex, id: this.id, layout: this.layout },
      limits.checksumBlockBytes,
      (bytes) => this.compute.digest('crc32c', bytes),
    );
    this.compute.copyIn(headerOffset, header, 0, pageBytes);
  }

  /** Copies a stripe's hashes to the current table page of each shard; a full page goes to the drives. */
  async #keepHashes(hashesOffset: number, blocks: number): Promise<void> {
    let done = 0;
    while (done < blocks) {
      if (this.#isAborted) return;
      const at = this.#blocksWritten % hashesPerPage;
      if (at === 0) {
        if (this.#blocksWritten > 0) {
          await this.#writePage();
          this.#pageIndex++;
        }
        this.#clearPage();
      }
      const count = Math.min(blocks - done, hashesPerPage - at);
      for (let shard = 0; shard < this.#driveCount; shard++) {
        this.compute.copyWithin(
          this.#pageOffset(shard) + at * hashBytes,
          hashesOffset + (shard * blocks + done) * hashBytes,
          count * hashBytes,
        );
      }
      done += count;
      this.#blocksWritten += count;
    }
  }

  /** A partly filled page is written in full: no bytes of other requests may reach a file. */
  #clearPage(): void {
    for (let shard = 0; shard < this.#driveCount; shard++) {
      this.compute.copyWithin(this.#pageOffset(shard), this.slabs.zeroPageOffset, pageBytes);
    }
  }

  #writePage(): Promise<void> {
    const fileOffset = tableOffset + this.#pageIndex * pageBytes;
    return this.#onAll((lane) => ({
      fileOffset,
      segments: Float64Array.of(this.#pageOffset(lane.shardIndex), pageBytes),
      sync: false,
      close: false,
    }));
  }

  async #onAll(write: (lane: DriveLane) => Omit<BlobWrite, 'handle'>): Promise<void> {
    const open = new Set(this.#lanes);
    let timer: NodeJS.Timeout | undefined;
    // Too many hang for anybody to say here that it is not this machine which stands still.
    const look = setInterval(() => {
      const isShort = this.#lanes.length - open.size < this.#quorum;
      if (isShort && [...open].some(({ drive }) => drive.areWritesStuck)) void this.set.suspect();
    }, limits.driveStuckMs).unref();
    const each = async (lane: DriveLane): Promise<void> => {
      await this.#enqueue(lane, write(lane));
      open.delete(lane);
      if (this.#lanes.length - open.size !== this.#quorum || open.size === 0) return;
      // Enough drives are done: if another one still hangs after this, it is that drive, and not this machine. One that
      // has only begun to hang since is looked at again.
      timer = setInterval(() => {
        for (const late of open) late.drive.blobs.giveUpStuck();
      }, limits.driveLogCallMsMax).unref();
    };
    try {
      await Promise.all(this.#lanes.map(each));
    } finally {
      clearInterval(timer);
      clearInterval(look);
    }
  }

  #enqueue(lane: DriveLane, write: Omit<BlobWrite, 'handle'>): Promise<void> {
    lane.tail = lane.tail.then(async () => {
      if (lane.failed || this.#isAborted) return;
      lane.created = true;
      const result = await lane.drive.blobs.write(this.name, { ...write, handle: lane.handle });
      if (result.ok) {
        lane.handle = result.value;
        return;
      }
      lane.failed = true;
      lane.isFull = result.fault.kind === 'full';
      lane.isStarved = result.fault.kind === 'starved';
      if (!write.close && lane.handle !== null) lane.drive.blobs.close(lane.handle);
      lane.handle = null;
      this.stuck.add(result.fault, write.segments);
      // Another may have taken its place: that one has done nothing.
      if (this.set.drive(lane.position) === lane.drive) this.set.reportWrite(lane.position, result.fault);
    });
    return lane.tail;
  }

  #releasePages(): void {
    if (this.#pages !== null) this.stuck.release(this.#pages);
    this.#pages = null;
  }
}
