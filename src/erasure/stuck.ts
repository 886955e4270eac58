/**
 * Memory that a call still inside the kernel may touch must not go back to the arena. A call that hangs on
 * a drive is given up by its caller, but its thread may come back any time (see `DriveFault.settled`).
 */
import type { Slab } from '../base/index.js';
import type { DriveFault } from '../drive/index.js';

export class StuckCalls {
  readonly #calls: Promise<void>[] = [];

  add(fault: DriveFault): void {
    if (fault.settled !== undefined) this.#calls.push(fault.settled);
  }

  /** Releases a slab that calls of this collection were given: at once, or when the last of them has come back. */
  release(slab: Slab): void {
    if (this.#calls.length === 0) {
      slab.release();
      return;
    }
    void Promise.all(this.#calls).then(() => {
      slab.release();
    });
  }
}
