/**
 * What the parts of the journal share: the set's identity, the arena, and the hashing of batches.
 * Main thread only.
 */
import { invariant, type SlabAllocator } from '../base/index.js';
import {
  commonBytes,
  headerBytes,
  readHeader,
  resealHeader,
  sealHeader,
  unsealHeader,
  writeHeader,
  type BatchHeader,
  type SetIdentity,
} from './layout.js';
import type { ShardSlots } from './journal.js';

/** The part of `Kernels` that the journal needs: see src/native/kernels.ts for the contracts. */
export interface JournalKernels {
  hashBlocks(jobs: Float64Array): void;
  verifyBlocks(jobs: Float64Array): number[];
  reconstruct(k: number, m: number, shardBytes: number, offsets: Float64Array, present: number, wanted: number): void;
}

type Writable<T> = { -readonly [Name in keyof T]: T[Name] };

/** Room for one digest behind header and records: callers allocate it with them. */
export const scratchBytes = 64;

export class BatchCodec {
  readonly view: Buffer;

  constructor(
    readonly identity: SetIdentity,
    readonly slabs: SlabAllocator,
    readonly kernels: JournalKernels,
  ) {
    this.view = slabs.view;
  }

  /** Completes header and records at `offset`, and sets the header's digest; `scratchOffset` has room for one. */
  seal(offset: number, header: Writable<BatchHeader>, scratchOffset: number): BatchHeader {
    writeHeader(this.view, offset, this.identity, header);
    this.#digest(offset, commonBytes(header), scratchOffset);
    header.digest = sealHeader(this.view, offset, scratchOffset);
    return header;
  }

  header(offset: number, fileNumber: number, fileOffset: number): BatchHeader | null {
    return readHeader(this.view, offset, this.identity, fileNumber, fileOffset);
  }

  /** Whether header and records at `offset` are what was written. They are as before afterwards. */
  isIntact(offset: number, header: BatchHeader, scratchOffset: number): boolean {
    unsealHeader(this.view, offset);
    this.#digest(offset, commonBytes(header), scratchOffset);
    resealHeader(this.view, offset, header);
    return this.view.toString('hex', scratchOffset, scratchOffset + 32) === header.digest;
  }

  /** Whether the `slots.slotBytes` at `offset` are shard `shard` of the record. Hashes go to `scratchOffset`. */
  isSlotValid(offset: number, slots: ShardSlots, shard: number, scratchOffset: number): boolean {
    const bytes = slots.hashes.length / this.identity.driveCount;
    invariant(Number.isSafeInteger(bytes), 'each shard has as many hashes');
    this.view.set(slots.hashes.subarray(shard * bytes, (shard + 1) * bytes), scratchOffset);
    const { slotBytes, checksumBlockBytes, idHigh, idLow } = slots;
    const job = [offset, slotBytes, scratchOffset, checksumBlockBytes, idHigh, idLow, shard, 0];
    return this.kernels.verifyBlocks(Float64Array.from(job)).length === 0;
  }

  /** HighwayHash-256 under the deployment key: a block hash of the place (0, 0, 0, 0). */
  #digest(offset: number, bytes: number, scratchOffset: number): void {
    invariant(bytes >= headerBytes, 'a digest covers the header');
    this.kernels.hashBlocks(Float64Array.of(offset, bytes, scratchOffset, bytes, 0, 0, 0, 0));
  }
}
