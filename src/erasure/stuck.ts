/**
 * Memory that a call still inside the kernel may touch must not go back to the arena. A call that hangs on
 * a drive is given up by its caller, but its thread may come back any time (see `DriveFault.settled`).
 */
import type { Segments, Slab } from '../base/index.js';
import type { DriveFault } from '../drive/index.js';

interface StuckCall {
  readonly segments: Segments;
  readonly settled: Promise<void>;
}

export class StuckCalls {
  readonly #calls = new Set<StuckCall>();

  /** How often a call got stuck so far. */
  count = 0;

  /** `segments`: the memory that the call was given. */
  add(fault: DriveFault, segments: Segments): void {
    if (fault.settled === undefined) return;
    this.count++;
    const call = { segments, settled: fault.settled };
    this.#calls.add(call);
    void fault.settled.then(() => this.#calls.delete(call));
  }

  /** Releases a slab: at once, or when the last call that was given memory of it has come back. */
  release(slab: Slab): void {
    const touching = [...this.#calls].filter((call) => overlaps(call.segments, slab));
    if (touching.length === 0) {
      slab.release();
      return;
    }
    void Promise.all(touching.map((call) => call.settled)).then(() => {
      slab.release();
    });
  }
}

function overlaps(segments: Segments, slab: Slab): boolean {
  for (let at = 0; at + 1 < segments.length; at += 2) {
    const start = segments[at] ?? 0;
    const end = start + (segments[at + 1] ?? 0);
    if (start < slab.offset + slab.bytes && slab.offset < end) return true;
  }
  return false;
}
