/**
 * What a worker does: one native call per task on ranges of the shared arena. Tasks carry numbers only,
 * and leave no promise behind.
 */
import { workerData } from 'piscina';
import { kernels } from '../../native/index.js';
import type { WorkerSetup } from '../worker-setup.js';

const setup = workerData as WorkerSetup;
kernels.attachArena(setup.arena);
kernels.setHashKey(setup.hashKey);

/** Passes of different streams: their MD5 runs side by side, one stream per vector lane. */
export interface PassTask {
  /** Twelve numbers for each pass. */
  readonly args: Float64Array;
  readonly chunkEnds: readonly (Float64Array | null)[];
  readonly chunkSignatures: readonly (Uint8Array | null)[];
}

export function passes(task: PassTask): number[] {
  return kernels.putPasses(task.args, task.chunkEnds, task.chunkSignatures);
}

/** Runs of [stateOffset, dataOffset, bytes], each of another stream. */
export function hash(runs: Float64Array): void {
  kernels.streamUpdates(runs);
}

export function verify(jobs: Float64Array): number[] {
  return kernels.verifyBlocks(jobs);
}

/** Runs of [k, m, shardBytes, present, wanted, offsets of the k + m shards…]. */
export function reconstruct(runs: Float64Array): number {
  let at = 0;
  let count = 0;
  while (at < runs.length) {
    const [k = 0, m = 0, shardBytes = 0, present = 0, wanted = 0] = runs.subarray(at, at + 5);
    kernels.reconstruct(k, m, shardBytes, runs.slice(at + 5, at + 5 + k + m), present, wanted);
    at += 5 + k + m;
    count++;
  }
  return count;
}
