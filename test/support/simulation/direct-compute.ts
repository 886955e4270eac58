/** The arithmetic of the erasure room on the calling thread: same kernels, no workers, so nothing depends on timing. */
import { limits } from '../../../dist/base/index.js';
import type { Compute, Md5Stream, PassInput, ReconstructInput, VerifyJob } from '../../../dist/erasure/index.js';
import { kernels, streamStateBytes } from '../../../dist/native/index.js';
import { ComputePool, type SlabArena } from '../../../dist/pool/index.js';

const nothing = (): void => undefined;

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
    pass: (input: PassInput) => later(() => passNow(input)),
    passSoon: (input: PassInput) => later(() => passNow(input)),
    openMd5: (stateOffset: number): Md5Stream => {
      // One after the other, however late each is.
      let last: Promise<void> = Promise.resolve();
      return {
        add: (dataOffset, bytes) => {
          const update = () => kernels.streamUpdates(Float64Array.of(stateOffset, dataOffset, bytes));
          last = last.then(() => later(update));
          return last;
        },
        hurry: nothing,
        close: nothing,
      };
    },
    hurryMd5: nothing,
    verify: (jobs: readonly VerifyJob[]) => later(() => direct.verifyNow(jobs)),
    hasTime: () => true,
    reconstruct: (inputs: readonly ReconstructInput[]) => later(() => direct.reconstructNow(inputs)),
  });
}

/** The arguments of `Kernels.putPass`. */
function passNow(input: PassInput): boolean {
  const { chunkEnds, chunkSignatures } = input;
  const args = Float64Array.of(
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
  );
  const isSigned = chunkEnds.length > 0;
  const signatures = isSigned ? Buffer.concat(chunkSignatures) : null;
  return kernels.putPass(args, isSigned ? Float64Array.from(chunkEnds) : null, signatures) === 1;
}
