/**
 * The Piscina worker pool that drives the addon, behind the `Compute` interface. Work under about 20 µs
 * stays on the calling thread: a hop to a worker costs more (bench: `micro.pool.hop`).
 */
import { availableParallelism } from 'node:os';
import { performance } from 'node:perf_hooks';
import { fileURLToPath } from 'node:url';
import { Piscina } from 'piscina';
import { limits, StartupError } from '../base/index.js';
import {
  verifyRows,
  type ChunkSigningInput,
  type Compute,
  type Md5Stream,
  type PassInput,
  type ReconstructInput,
  type StreamDigest,
  type VerifyJob,
} from '../erasure/index.js';
import { Digest, kernels, streamStateBytes } from '../native/index.js';
import { Md5Gatherer } from './md5-gatherer.js';
import type { PassTask } from './tasks/stripe.task.js';
import type { WorkerSetup } from './worker-setup.js';

export interface ComputePoolOptions {
  readonly arena: SharedArrayBuffer;
  readonly hashKey: Uint8Array;
  readonly threads: number;
}

/** Lanes of the widest MD5 kernel: more passes in one task would only make the others wait. */
const passesPerTaskMax = 16;
const passArgCount = 12;

/** A calling thread that is busier than this leaves to others what they can do. */
const busyShareMax = 0.7;
/** How often that is looked at. */
const lookMs = 20;
const cores = availableParallelism();
const isSingleCore = cores === 1;

interface WaitingPass {
  readonly input: PassInput;
  readonly resolve: (isSound: boolean) => void;
  readonly reject: (error: unknown) => void;
}

/** The addon holds one arena and one hash key per thread: a second server would compute in the memory of the first. */
let isInUse = false;

export class ComputePool implements Compute {
  readonly streamStateBytes = streamStateBytes;
  readonly #pool: Piscina;
  /** More at once would only share the same cores, each with fewer streams side by side. */
  readonly #passTasksMax: number;
  readonly #md5: Md5Gatherer;
  readonly #underWay = new Set<Promise<unknown>>();
  #waiting: WaitingPass[] = [];
  #soon: WaitingPass[] = [];
  #passTasks = 0;
  #isGathering = false;
  #hasTime = true;
  #lookedMs = 0;
  #activeMs = 0;
  #idleMs = 0;

  constructor(options: ComputePoolOptions) {
    if (isInUse) {
      throw new StartupError(
        'another server runs in this thread of the process',
        'close it first, or give each server a process or a worker thread of its own',
      );
    }
    isInUse = true;
    this.#passTasksMax = Math.min(options.threads, cores);
    this.#md5 = new Md5Gatherer((runs) => this.#run(runs, { name: 'hash' }), this.#passTasksMax);
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

  streamDigestHex(stateOffset: number, digest: StreamDigest): string {
    return kernels.streamDigestHex(stateOffset, Digest[digest]);
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

  openMd5(stateOffset: number): Md5Stream {
    return this.#md5.open(stateOffset);
  }

  hurryMd5(): void {
    this.#md5.hurry();
  }

  /**
   * Passes share a task: MD5, which is most of a pass, costs about as much for sixteen streams as for one
   * (bench: `pass.put.4+2.x16`). A stream has one pass at a time.
   */
  pass(input: PassInput): Promise<boolean> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ input, resolve, reject });
      this.#gather();
    });
  }

  /**
   * For the next task: what arrives in the rest of this round of the event loop and in one more. Nothing is waited
   * for in them: with nothing to read a round is over at once.
   */
  #gather(): void {
    if (this.#passTasks >= this.#passTasksMax || this.#waiting.length === 0) return;
    if (this.#waiting.length >= passesPerTaskMax) {
      this.#dispatch();
      return;
    }
    if (this.#isGathering) return;
    this.#isGathering = true;
    setImmediate(() => {
      setImmediate(() => {
        this.#isGathering = false;
        this.#dispatch();
      });
    });
  }

  /** Whatever arrives in the same round goes side by side: the MD5 of sixteen costs little more than that of one. */
  passSoon(input: PassInput): Promise<boolean> {
    return new Promise((resolve, reject) => {
      this.#soon.push({ input, resolve, reject });
      if (this.#soon.length === 1) setImmediate(this.#passWhatCame);
      // All lanes have work: whoever came first goes on while the rest of the round is still being read.
      else if (this.#soon.length === passesPerTaskMax) this.#passWhatCame();
    });
  }

  readonly #passWhatCame = (): void => {
    const batch = this.#soon;
    if (batch.length === 0) return;
    this.#soon = [];
    try {
      const { args, chunkEnds: ends, chunkSignatures } = passTask(batch.map(({ input }) => input));
      const sound = kernels.putPasses(args, ends, chunkSignatures);
      for (const [index, { resolve }] of batch.entries()) resolve(sound[index] === 1);
    } catch (error) {
      for (const { reject } of batch) reject(error);
    }
  };

  #dispatch(): void {
    while (this.#passTasks < this.#passTasksMax && this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, passesPerTaskMax);
      this.#passTasks++;
      this.#runPasses(batch).then(
        (sound) => {
          for (const [index, { resolve }] of batch.entries()) resolve(sound[index] === 1);
        },
        (error: unknown) => {
          for (const { reject } of batch) reject(error);
        },
      );
    }
  }

  async #runPasses(batch: readonly WaitingPass[]): Promise<number[]> {
    const task = passTask(batch.map(({ input }) => input));
    try {
      return (await this.#run(task, { name: 'passes' })) as number[];
    } finally {
      this.#passTasks--;
      this.#gather();
    }
  }

  /** By how busy the event loop was lately; with a single core, whatever others do is time of this thread. */
  hasTime(): boolean {
    if (isSingleCore) return true;
    const nowMs = performance.now();
    if (nowMs - this.#lookedMs >= lookMs) {
      const { idle, active } = performance.eventLoopUtilization();
      const activeMs = active - this.#activeMs;
      const idleMs = idle - this.#idleMs;
      this.#hasTime = activeMs <= busyShareMax * (activeMs + idleMs);
      this.#activeMs = active;
      this.#idleMs = idle;
      this.#lookedMs = nowMs;
    }
    return this.#hasTime;
  }

  verifyNow(jobs: readonly VerifyJob[]): number[] {
    return kernels.verifyBlocks(verifyRows(jobs));
  }

  async verify(jobs: readonly VerifyJob[]): Promise<number[]> {
    return (await this.#run(verifyRows(jobs), { name: 'verify' })) as number[];
  }

  hashNow(jobs: readonly VerifyJob[]): void {
    kernels.hashBlocks(verifyRows(jobs));
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
    await this.#run(Float64Array.from(runs), { name: 'reconstruct' });
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

  async #run(task: unknown, options: { readonly name: string }): Promise<unknown> {
    const run: Promise<unknown> = this.#pool.run(task, options);
    this.#underWay.add(run);
    try {
      return await run;
    } finally {
      this.#underWay.delete(run);
    }
  }

  async close(): Promise<void> {
    // A worker that is ended inside a native call takes the process with it, and the pool's own close does not
    // always wait for the tasks under way.
    while (this.#underWay.size > 0 || this.#waiting.length > 0 || this.#md5.isBusy) {
      this.#md5.hurry();
      await Promise.allSettled([...this.#underWay]);
      // What is still being gathered starts within two rounds.
      await new Promise((resolve) => setImmediate(resolve));
    }
    await this.#pool.close({ force: true });
    isInUse = false;
  }
}

function passTask(inputs: readonly PassInput[]): PassTask {
  return {
    args: passArgs(inputs),
    chunkEnds: inputs.map(chunkEnds),
    chunkSignatures: inputs.map((input) => (input.chunkEnds.length > 0 ? Buffer.concat(input.chunkSignatures) : null)),
  };
}

function passArgs(inputs: readonly PassInput[]): Float64Array {
  const args = new Float64Array(inputs.length * passArgCount);
  let at = 0;
  for (const input of inputs) {
    args[at] = input.stateOffset;
    args[at + 1] = input.dataOffset;
    args[at + 2] = input.dataBytes;
    args[at + 3] = input.dataShards;
    args[at + 4] = input.parityShards;
    args[at + 5] = input.shardBytes;
    args[at + 6] = input.parityOffset;
    args[at + 7] = input.hashesOffset;
    args[at + 8] = limits.checksumBlockBytes;
    args[at + 9] = input.idHigh;
    args[at + 10] = input.idLow;
    args[at + 11] = input.firstBlock;
    at += passArgCount;
  }
  return args;
}

function chunkEnds(input: PassInput): Float64Array | null {
  return input.chunkEnds.length > 0 ? Float64Array.from(input.chunkEnds) : null;
}
