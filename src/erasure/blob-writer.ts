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
  created: boolean;
}

export class BlobWriter {
  readonly name: string;
  /** Memory that was handed to `writeStripe` goes back through here. */
  readonly stuck = new StuckCalls();
  readonly #lanes: DriveLane[] = [];
  readonly #quorum: number;
  #page: Slab | null = null;
  #pageIndex = 0;
  #blocksWritten = 0;
  #finished = false;

  constructor(
    private readonly set: DriveSet,
    private readonly slabs: SlabAllocator,
    private readonly compute: Compute,
    private readonly id: PlacementId,
    private readonly layout: StripeLayout,
    /** Repair writes to one drive alone. */
    only: number | null = null,
  ) {
    this.name = blobName(id);
    this.#quorum = only === null ? writeQuorum(layout.dataShards, layout.parityShards) : 1;
    for (const position of only === null ? set.inSync() : [only]) {
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
        created: false,
      });
    }
  }

  /** Bit mask of the positions that hold their shard so far: their drive stayed in the set all the time. */
  get positions(): number {
    return this.#lanes.reduce((mask, lane) => (this.#isGood(lane) ? mask | (1 << lane.position) : mask), 0);
  }

  get hasQuorum(): boolean {
    return this.#lanes.filter((lane) => this.#isGood(lane)).length >= this.#quorum;
  }

  #isGood(lane: DriveLane): boolean {
    // After a failed sync the system may report the next one as good: what was written before counts as lost.
    return !lane.failed && this.set.departures(lane.position) === lane.departures;
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
    const blocks = checksumBlockCount(shard);
    await this.#keepHashes(hashesOffset, blocks);
    const isOnly = stripeCount(this.layout) === 1;
    const fileOffset = payloadOffset(this.layout) + stripeIndex * (this.layout.stripeBytes / this.layout.dataShards);
    const offsetOf = (shardIndex: number): number =>
      shardIndex < this.layout.dataShards
        ? dataOffset + shardIndex * shard
        : parityOffset + (shardIndex - this.layout.dataShards) * shard;
    if (isOnly) {
      // One call per drive for the whole file.
      await this.#writeClosing((lane) => [offsetOf(lane.shardIndex), shard]);
      return;
    }
    await Promise.all(
      this.#lanes.map((lane) =>
        this.#enqueue(lane, {
          fileOffset,
          segments: Float64Array.of(offsetOf(lane.shardIndex), shard),
          sync: false,
          close: false,
        }),
      ),
    );
  }

  /** Header, last page of the table, sync of file and directory, close. Throws SlowDownWrite below the write quorum. */
  async finish(): Promise<void> {
    if (!this.#finished) await this.#writeClosing(() => []);
    this.#releasePage();
    if (!this.hasQuorum) throw new Refusal('SlowDownWrite', 'Too few drives took the data; try again later.');
  }

  /** Removes what was written. Never throws. */
  async abort(): Promise<void> {
    this.#finished = true;
    await Promise.all(this.#lanes.map((lane) => lane.tail));
    this.#releasePage();
    await Promise.all(
      this.#lanes.map(async (lane) => {
        if (lane.handle !== null) lane.drive.blobs.close(lane.handle);
        lane.handle = null;
        if (lane.created) await lane.drive.blobs.unlink(this.name);
      }),
    );
  }

  async #writeClosing(payload: (lane: DriveLane) => number[]): Promise<void> {
    this.#finished = true;
    const page = this.#page;
    invariant(page !== null, 'a body has at least one stripe');
    const driveCount = this.layout.dataShards + this.layout.parityShards;
    const headers = await this.slabs.allocate(driveCount * pageBytes, 'commit');
    const pageIndex = this.#pageIndex;
    try {
      await Promise.all(
        this.#lanes.map(async (lane) => {
          const header = encodeBlobHeader(
            {
              deploymentId: this.set.deploymentId,
              setIndex: this.set.setIndex,
              shardIndex: lane.shardIndex,
              id: this.id,
              layout: this.layout,
            },
            limits.checksumBlockBytes,
            (bytes) => this.compute.digest('crc32c', bytes),
          );
          const headerOffset = headers.offset + lane.shardIndex * pageBytes;
          this.compute.copyIn(headerOffset, header, 0, pageBytes);
          const pageOffset = page.offset + lane.shardIndex * pageBytes;
          if (pageIndex === 0) {
            await this.#enqueue(lane, {
              fileOffset: 0,
              segments: Float64Array.from([headerOffset, pageBytes, pageOffset, pageBytes, ...payload(lane)]),
              sync: true,
              close: true,
            });
            return;
          }
          await this.#enqueue(lane, {
            fileOffset: tableOffset + pageIndex * pageBytes,
            segments: Float64Array.of(pageOffset, pageBytes),
            sync: false,
            close: false,
          });
          await this.#enqueue(lane, {
            fileOffset: 0,
            segments: Float64Array.of(headerOffset, pageBytes),
            sync: true,
            close: true,
          });
        }),
      );
    } finally {
      this.stuck.release(headers);
    }
  }

  /** Copies a stripe's hashes to the current table page of each shard; a full page goes to the drives. */
  async #keepHashes(hashesOffset: number, blocks: number): Promise<void> {
    const driveCount = this.layout.dataShards + this.layout.parityShards;
    let done = 0;
    while (done < blocks) {
      this.#page ??= await this.#newPage(driveCount);
      const page = this.#page;
      const at = this.#blocksWritten % hashesPerPage;
      const count = Math.min(blocks - done, hashesPerPage - at);
      for (let shard = 0; shard < driveCount; shard++) {
        this.compute.copyWithin(
          page.offset + shard * pageBytes + at * hashBytes,
          hashesOffset + (shard * blocks + done) * hashBytes,
          count * hashBytes,
        );
      }
      done += count;
      this.#blocksWritten += count;
      // The last page stays for the closing write.
      const isLastBlock = this.#blocksWritten === this.#blockTotal;
      if (this.#blocksWritten % hashesPerPage === 0 && !isLastBlock) this.#flushPage(page);
    }
  }

  get #blockTotal(): number {
    const full = Math.floor(this.layout.objectBytes / this.layout.stripeBytes);
    const tail = this.layout.objectBytes - full * this.layout.stripeBytes;
    const k = this.layout.dataShards;
    return full * checksumBlockCount(this.layout.stripeBytes / k) + checksumBlockCount(shardBytes(k, tail));
  }

  async #newPage(driveCount: number): Promise<Slab> {
    const page = await this.slabs.allocate(driveCount * pageBytes, 'commit');
    // A partly filled page is written in full: no bytes of other requests may reach a file.
    for (let shard = 0; shard < driveCount; shard++) {
      this.compute.copyWithin(page.offset + shard * pageBytes, this.slabs.zeroPageOffset, pageBytes);
    }
    return page;
  }

  #flushPage(page: Slab): void {
    const fileOffset = tableOffset + this.#pageIndex * pageBytes;
    this.#page = null;
    this.#pageIndex++;
    void Promise.all(
      this.#lanes.map((lane) =>
        this.#enqueue(lane, {
          fileOffset,
          segments: Float64Array.of(page.offset + lane.shardIndex * pageBytes, pageBytes),
          sync: false,
          close: false,
        }),
      ),
    ).then(() => {
      this.stuck.release(page);
    });
  }

  #enqueue(lane: DriveLane, write: Omit<BlobWrite, 'handle'>): Promise<void> {
    lane.tail = lane.tail.then(async () => {
      if (lane.failed) return;
      lane.created = true;
      const result = await lane.drive.blobs.write(this.name, { ...write, handle: lane.handle });
      if (result.ok) {
        lane.handle = result.value;
        return;
      }
      lane.failed = true;
      if (!write.close && lane.handle !== null) lane.drive.blobs.close(lane.handle);
      lane.handle = null;
      this.stuck.add(result.fault);
      this.set.reportWrite(lane.position, result.fault);
    });
    return lane.tail;
  }

  #releasePage(): void {
    if (this.#page !== null) this.stuck.release(this.#page);
    this.#page = null;
  }
}
