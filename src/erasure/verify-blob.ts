/**
 * Verifies one blob file from its first byte to its last: header, checksum table, payload. Reads in pieces, so that
 * it holds little memory; whoever calls sets the pace between them. Main thread; the drive's own threads hash.
 */
import { invariant, limits, type Slab, type SlabAllocator, type SlabPurpose } from '../base/index.js';
import { copyStateAfter, type BlobHandle, type Drive } from '../drive/index.js';
import { encodeBlobHeader, hashBytes, pageBytes, payloadOffset, tableOffset } from './blob-format.js';
import { verifyRows, type Compute, type VerifyJob } from './compute.js';
import type { DriveSet } from './drive-set.js';
import {
  checksumBlockCount,
  shardAtPosition,
  shardBytes,
  shardFileBytes,
  stripeCount,
  stripeLength,
  type StripeLayout,
} from './layout.js';
import type { PlacementId } from './placement.js';
import { StuckCalls } from './stuck.js';

/** `unreachable`: the drive did not answer in time, or is not there: nothing is known about the file. */
export type BlobState = 'sound' | 'bad' | 'missing' | 'unreachable';

/** Payload that is read at once. */
const pieceBytesMax = 1024 * 1024;

export interface BlobToVerify {
  readonly fileName: string;
  readonly id: PlacementId;
  readonly layout: StripeLayout;
  readonly position: number;
}

export interface VerifyOptions {
  readonly set: DriveSet;
  readonly slabs: SlabAllocator;
  readonly compute: Compute;
  readonly purpose: SlabPurpose;
  /** Called after so many bytes were read; the next piece waits for it. */
  readonly pace: (bytes: number) => Promise<void>;
}

export async function verifyBlob(options: VerifyOptions, blob: BlobToVerify): Promise<BlobState> {
  const drive = options.set.drive(blob.position);
  if (drive === null) return 'unreachable';
  const opened = await drive.blobs.open(blob.fileName);
  if (!opened.ok) return copyStateAfter(opened.fault);
  const check = new BlobCheck(options, blob, drive, opened.value);
  try {
    return await check.run();
  } finally {
    drive.blobs.close(opened.value);
    check.release();
  }
}

class BlobCheck {
  readonly #stuck = new StuckCalls();
  readonly #blocksPerStripe: number;
  readonly #shardBytes: number;
  readonly #shardIndex: number;
  /** Payload, and the hashes of it. */
  #data: Slab | null = null;
  #hashes: Slab | null = null;

  constructor(
    private readonly options: VerifyOptions,
    private readonly blob: BlobToVerify,
    private readonly drive: Drive,
    private readonly handle: BlobHandle,
  ) {
    const { layout, position } = blob;
    this.#shardBytes = layout.stripeBytes / layout.dataShards;
    this.#blocksPerStripe = checksumBlockCount(this.#shardBytes);
    this.#shardIndex = shardAtPosition(layout, position);
  }

  async run(): Promise<BlobState> {
    const { layout } = this.blob;
    const stripesAtOnce = Math.max(1, Math.floor(pieceBytesMax / this.#shardBytes));
    const tableBytesMax = Math.max(pageBytes, stripesAtOnce * this.#blocksPerStripe * hashBytes);
    const dataBytesMax = Math.min(stripesAtOnce * this.#shardBytes, shardFileBytes(layout));
    const { slabs, purpose } = this.options;
    this.#hashes = await slabs.allocate(tableBytesMax, purpose);
    this.#data = await slabs.allocate(dataBytesMax, purpose);
    const header = await this.#readHeader();
    if (header !== 'sound') return header;
    for (let stripe = 0; stripe < stripeCount(layout); stripe += stripesAtOnce) {
      const state = await this.#checkStripes(stripe, Math.min(stripesAtOnce, stripeCount(layout) - stripe));
      if (state !== 'sound') return state;
    }
    return 'sound';
  }

  release(): void {
    for (const slab of [this.#data, this.#hashes]) if (slab !== null) this.#stuck.release(slab);
    this.#data = null;
    this.#hashes = null;
  }

  async #readHeader(): Promise<BlobState> {
    const { set, slabs, compute } = this.options;
    const { id, layout } = this.blob;
    const expected = encodeBlobHeader(
      { deploymentId: set.deploymentId, setIndex: set.setIndex, shardIndex: this.#shardIndex, id, layout },
      limits.checksumBlockBytes,
      (bytes) => compute.digest('crc32c', bytes),
    );
    const { offset } = held(this.#hashes);
    const state = await this.#read(0, offset, pageBytes);
    if (state !== 'sound') return state;
    return slabs.view.compare(expected, 0, pageBytes, offset, offset + pageBytes) === 0 ? 'sound' : 'bad';
  }

  async #checkStripes(firstStripe: number, count: number): Promise<BlobState> {
    const { id, layout } = this.blob;
    const data = held(this.#data);
    const hashes = held(this.#hashes);
    const firstBlock = firstStripe * this.#blocksPerStripe;
    const jobs: VerifyJob[] = [];
    let bytes = 0;
    let blocks = 0;
    for (let index = 0; index < count; index++) {
      const part = shardBytes(layout.dataShards, stripeLength(layout, firstStripe + index));
      jobs.push({
        dataOffset: data.offset + bytes,
        bytes: part,
        hashesOffset: hashes.offset + blocks * hashBytes,
        idHigh: id.high,
        idLow: id.low,
        shardIndex: this.#shardIndex,
        firstBlock: firstBlock + blocks,
      });
      bytes += part;
      blocks += checksumBlockCount(part);
    }
    const table = await this.#read(tableOffset + firstBlock * hashBytes, hashes.offset, blocks * hashBytes);
    if (table !== 'sound') return table;
    const fileOffset = payloadOffset(layout) + firstStripe * this.#shardBytes;
    const result = await this.drive.blobs.readChecked(this.handle, fileOffset, verifyRows(jobs));
    if (!result.ok) {
      this.#stuck.add(result.fault, Float64Array.of(data.offset, data.bytes, hashes.offset, hashes.bytes));
      return copyStateAfter(result.fault);
    }
    await this.options.pace(bytes + blocks * hashBytes);
    return result.value.bytes === bytes && result.value.wrongRows === 0 ? 'sound' : 'bad';
  }

  async #read(fileOffset: number, arenaOffset: number, bytes: number): Promise<BlobState> {
    const segments = Float64Array.of(arenaOffset, bytes);
    const result = await this.drive.blobs.read(this.handle, fileOffset, segments);
    if (result.ok) return result.value === bytes ? 'sound' : 'bad';
    this.#stuck.add(result.fault, segments);
    return copyStateAfter(result.fault);
  }
}

function held(slab: Slab | null): Slab {
  invariant(slab !== null, 'a check has its memory');
  return slab;
}
