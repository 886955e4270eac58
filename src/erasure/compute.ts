/**
 * What the erasure and object rooms ask of the machine's arithmetic. The pool implements it: methods
 * named `…Now` run on the calling thread and are for small things, the others run on a worker.
 * All offsets are bytes in the slab arena.
 */
import { limits } from '../base/index.js';

export type StreamDigest = 'md5' | 'sha256' | 'sha1' | 'crc32' | 'crc32c' | 'crc64nvme';

export interface ChunkSigningInput {
  readonly signingKey: Uint8Array;
  readonly amzDate: string;
  readonly scope: string;
  readonly seedSignature: string;
}

export interface PassInput {
  /** Of the running stream state, or −1. */
  readonly stateOffset: number;
  readonly dataOffset: number;
  readonly dataBytes: number;
  readonly dataShards: number;
  readonly parityShards: number;
  readonly shardBytes: number;
  readonly parityOffset: number;
  readonly hashesOffset: number;
  readonly idHigh: number;
  readonly idLow: number;
  /** Checksum blocks of each shard before this stripe. */
  readonly firstBlock: number;
  /** Stripe-relative ends of signed chunks, and their signatures of 32 bytes. */
  readonly chunkEnds: readonly number[];
  readonly chunkSignatures: readonly Uint8Array[];
}

export interface VerifyJob {
  readonly dataOffset: number;
  readonly bytes: number;
  readonly hashesOffset: number;
  readonly idHigh: number;
  readonly idLow: number;
  readonly shardIndex: number;
  readonly firstBlock: number;
}

export interface ReconstructInput {
  readonly dataShards: number;
  readonly parityShards: number;
  readonly shardBytes: number;
  /** Of each shard of k + m. */
  readonly offsets: readonly number[];
  readonly present: number;
  readonly wanted: number;
}

/** The MD5 of one body that comes in stripes. */
export interface Md5Stream {
  /** The next bytes, in their order; they stay as they are until this resolves. */
  add(dataOffset: number, bytes: number): Promise<void>;
  /** Its sender waits for what was added, and for what will be. */
  hurry(): void;
  /** Nothing more comes, and nothing that has not begun is wanted: it resolves undone. */
  close(): void;
}

export interface Compute {
  /** Bytes that a stream state needs. */
  readonly streamStateBytes: number;
  copyIn(arenaOffset: number, source: Uint8Array, start: number, bytes: number): void;
  copyWithin(to: number, from: number, bytes: number): void;
  streamInit(stateOffset: number, digests: readonly StreamDigest[], signing: ChunkSigningInput | null): void;
  streamDigest(stateOffset: number, digest: StreamDigest): Uint8Array;
  streamDigestHex(stateOffset: number, digest: StreamDigest): string;
  streamTrailerSignature(stateOffset: number, trailerBlock: Uint8Array, signature: Uint8Array): boolean;
  /** Feeds the digests and chunk signatures only. False when a chunk signature did not match. */
  streamUpdateNow(
    stateOffset: number,
    dataOffset: number,
    dataBytes: number,
    chunkEnds: readonly number[],
    chunkSignatures: readonly Uint8Array[],
  ): boolean;
  /** Of a stream that was begun with MD5 and nothing else. It ends with `close`. */
  openMd5(stateOffset: number): Md5Stream;
  /** Memory is short: what was added to any of these streams is wanted at once. */
  hurryMd5(): void;
  /** On a worker. False when a chunk signature did not match. */
  pass(input: PassInput): Promise<boolean>;
  /** On the calling thread, at the end of this round of the event loop: for bodies that are not worth a worker. */
  passSoon(input: PassInput): Promise<boolean>;
  /** Whether the calling thread has time to do itself what a worker or the thread of a drive could do for it. */
  hasTime(): boolean;
  /** Indices of the jobs whose bytes do not match their hashes. */
  verifyNow(jobs: readonly VerifyJob[]): number[];
  verify(jobs: readonly VerifyJob[]): Promise<number[]>;
  hashNow(jobs: readonly VerifyJob[]): void;
  reconstructNow(inputs: readonly ReconstructInput[]): void;
  reconstruct(inputs: readonly ReconstructInput[]): Promise<void>;
  /** MD5 of plain memory, on the calling thread. */
  md5(bytes: Uint8Array): Uint8Array;
  digest(digest: StreamDigest, bytes: Uint8Array): Uint8Array;
  crcCombine(digest: 'crc32' | 'crc32c' | 'crc64nvme', a: Uint8Array, b: Uint8Array, bBytes: number): Uint8Array;
}

/** The jobs as the addon takes them: eight numbers each (`Kernels.verifyBlocks`). */
export function verifyRows(jobs: readonly VerifyJob[]): Float64Array {
  const rows = new Float64Array(jobs.length * 8);
  let at = 0;
  for (const job of jobs) {
    rows[at] = job.dataOffset;
    rows[at + 1] = job.bytes;
    rows[at + 2] = job.hashesOffset;
    rows[at + 3] = limits.checksumBlockBytes;
    rows[at + 4] = job.idHigh;
    rows[at + 5] = job.idLow;
    rows[at + 6] = job.shardIndex;
    rows[at + 7] = job.firstBlock;
    at += 8;
  }
  return rows;
}
