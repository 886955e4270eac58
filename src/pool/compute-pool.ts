/**
 * The Piscina worker pool that drives the addon, behind the `Compute` interface. Work under about 20 µs
 * stays on the calling thread: a hop to a worker costs more (bench: `micro.pool.hop`).
 */
import { fileURLToPath } from 'node:url';
import { Piscina } from 'piscina';
import { limits } from '../base/index.js';
import type {
  ChunkSigningInput,
  Compute,
  PassInput,
  ReconstructInput,
  StreamDigest,
  VerifyJob,
} from '../erasure/index.js';
import { Digest, kernels, streamStateBytes } from '../native/index.js';
import type { PassTask } from './tasks/stripe.task.js';
import type { WorkerSetup } from './worker-setup.js';

export interface ComputePoolOptions {
  readonly arena: SharedArrayBuffer;
  readonly hashKey: Uint8Array;
  readonly threads: number;
}

export class ComputePool implements Compute {
  readonly streamStateBytes = streamStateBytes;
  readonly #pool: Piscina;

  constructor(options: ComputePoolOptions) {
    kernels.attachArena(options.arena);
    kernels.setHashKey(options.hashKey);
    const setup: WorkerSetup = { arena: options.arena, hashKey: options.hashKey };
    this.#pool = new Piscina({
      filename: fileURLToPath(new URL('./tasks/stripe.task.js', import.meta.url)),
      minThreads: options.threads,
      maxThreads: options.threads,
      // Passes of one worker wait in its queue instead of for a round trip through the main thread.
      concurrentTasksPerWorker: 2,
      workerData: setup,
      atomics: 'async',
      recordTiming: false,
    });
  }

  copyIn(arenaOffset: number, source: Uint8Array, start: number, bytes: number): void {
    kernels.copyToArena(arenaOffset, source, start, bytes);
  }

  copyWithin(to: number, from: number, bytes: number): void {
    kernels.copyWithinArena(to, from, bytes);
  }

  streamInit(stateOffset: number, digests: readonly StreamDigest[], signing: ChunkSigningInput | null): void {
    kernels.streamInit(
      stateOffset,
      digests.reduce((bits, name) => bits | Digest[name], 0),
      signing,
    );
  }

  streamDigest(stateOffset: number, digest: StreamDigest): Uint8Array {
    return kernels.streamDigest(stateOffset, Digest[digest]);
  }

  streamTrailerSignature(stateOffset: number, trailerBlock: Uint8Array, signature: Uint8Array): boolean {
    return kernels.streamTrailerSignature(stateOffset, trailerBlock, signature) === 1;
  }

  streamUpdateNow(
    stateOffset: number,
    dataOffset: number,
    dataBytes: number,
    chunkEnds: readonly number[],
    chunkSignatures: readonly Uint8Array[],
  ): boolean {
    const hasChunks = chunkEnds.length > 0;
    return (
      kernels.streamUpdate(
        stateOffset,
        dataOffset,
        dataBytes,
        hasChunks ? Float64Array.from(chunkEnds) : null,
        hasChunks ? Buffer.concat(chunkSignatures) : null,
      ) === 1
    );
  }

  passNow(input: PassInput): boolean {
    const task = passTask(input);
    return kernels.putPass(task.args, task.chunkEnds, task.chunkSignatures) === 1;
  }

  async pass(input: PassInput): Promise<boolean> {
    return ((await this.#pool.run(passTask(input), { name: 'pass' })) as number) === 1;
  }

  verifyNow(jobs: readonly VerifyJob[]): number[] {
    return kernels.verifyBlocks(verifyArgs(jobs));
  }

  async verify(jobs: readonly VerifyJob[]): Promise<number[]> {
    return (await this.#pool.run(verifyArgs(jobs), { name: 'verify' })) as number[];
  }

  hashNow(jobs: readonly VerifyJob[]): void {
    kernels.hashBlocks(verifyArgs(jobs));
  }

  reconstructNow(inputs: readonly ReconstructInput[]): void {
    for (const input of inputs) {
      kernels.reconstruct(
        input.dataShards,
        input.parityShards,
        input.shardBytes,
        Float64Array.from(input.offsets),
        input.present,
        input.wanted,
      );
    }
  }

  async reconstruct(inputs: readonly ReconstructInput[]): Promise<void> {
    const runs = inputs.flatMap((input) => [
      input.dataShards,
      input.parityShards,
      input.shardBytes,
      input.present,
      input.wanted,
      ...input.offsets,
    ]);
    await this.#pool.run(Float64Array.from(runs), { name: 'reconstruct' });
  }

  md5(bytes: Uint8Array): Uint8Array {
    return kernels.digest(Digest.md5, bytes);
  }

  digest(digest: StreamDigest, bytes: Uint8Array): Uint8Array {
    return kernels.digest(Digest[digest], bytes);
  }

  crcCombine(digest: 'crc32' | 'crc32c' | 'crc64nvme', a: Uint8Array, b: Uint8Array, bBytes: number): Uint8Array {
    return kernels.crcCombine(Digest[digest], a, b, bBytes);
  }

  async close(): Promise<void> {
    await this.#pool.close({ force: true });
  }
}

function passTask(input: PassInput): PassTask {
  const hasChunks = input.chunkEnds.length > 0;
  return {
    args: Float64Array.of(
      input.stateOffset,
      input.dataOffset,
      input.dataBytes,
      input.dataShards,
      input.parityShards,
      input.shardBytes,
      input.parityOffset,
      input.hashesOffset,
      limits.checksumBlockBytes,
      input.idHigh,
      input.idLow,
      input.firstBlock,
    ),
    chunkEnds: hasChunks ? Float64Array.from(input.chunkEnds) : null,
    chunkSignatures: hasChunks ? Buffer.concat(input.chunkSignatures) : null,
  };
}

function verifyArgs(jobs: readonly VerifyJob[]): Float64Array {
  const args = new Float64Array(jobs.length * 8);
  let at = 0;
  for (const job of jobs) {
    args[at] = job.dataOffset;
    args[at + 1] = job.bytes;
    args[at + 2] = job.hashesOffset;
    args[at + 3] = limits.checksumBlockBytes;
    args[at + 4] = job.idHigh;
    args[at + 5] = job.idLow;
    args[at + 6] = job.shardIndex;
    args[at + 7] = job.firstBlock;
    at += 8;
  }
  return args;
}
