/** The arithmetic of the erasure room on the calling thread: same kernels, no workers, so nothing depends on timing. */
import type { Compute, PassInput, ReconstructInput, VerifyJob } from '../../../dist/erasure/index.js';
import { kernels, streamStateBytes } from '../../../dist/native/index.js';
import { ComputePool, type SlabArena } from '../../../dist/pool/index.js';

/** Borrows the methods of the pool that work at once; `soon` runs a callback a little later, as a worker would answer. */
export function directCompute(arena: SlabArena, hashKey: Uint8Array, soon: (run: () => void) => void): Compute {
  kernels.attachArena(arena.arena);
  kernels.setHashKey(hashKey);
  const later = <T>(work: () => T): Promise<T> =>
    new Promise((resolve, reject) => {
      soon(() => {
        try {
          resolve(work());
        } catch (error) {
          reject(error instanceof Error ? error : new Error(String(error)));
        }
      });
    });
  const direct = Object.create(ComputePool.prototype) as Compute;
  return Object.assign(direct, {
    streamStateBytes,
    pass: (input: PassInput) => later(() => direct.passNow(input)),
    verify: (jobs: readonly VerifyJob[]) => later(() => direct.verifyNow(jobs)),
    reconstruct: (inputs: readonly ReconstructInput[]) => later(() => direct.reconstructNow(inputs)),
  });
}
