/**
 * Verified bytes of small bodies that were read lately, so that a hot object costs no system call and no hash.
 * A body never changes under its id, and ids never come back: nothing has to be invalidated. Main thread.
 */
import type { PlacementId } from '../erasure/index.js';

interface KeptBody {
  readonly high: number;
  readonly bytes: Uint8Array;
  /** Since it was last passed over: it is passed over once more. */
  isUsed: boolean;
}

export class BodyCache {
  /**
   * By the low half of the id, which counts: of two bodies that have it in common, and were written by different
   * starts of the server, the later read stays. In the order in which they are next to go.
   */
  readonly #bodies = new Map<number, KeptBody>();
  #bytes = 0;

  /** Bodies longer than `bodyBytesMax` are not kept. */
  constructor(
    private readonly bytesMax: number,
    readonly bodyBytesMax: number,
  ) {}

  get({ high, low }: PlacementId): Uint8Array | null {
    const kept = this.#bodies.get(low);
    if (kept?.high !== high) return null;
    // A mark is cheaper than a place at the end of the row.
    kept.isUsed = true;
    return kept.bytes;
  }

  /** Keeps a copy. */
  put({ high, low }: PlacementId, bytes: Uint8Array): Uint8Array {
    // Memory of its own: a piece of a shared pool would keep all of it alive.
    const copy = new Uint8Array(bytes.length);
    copy.set(bytes);
    this.#bytes += copy.length - (this.#bodies.get(low)?.bytes.length ?? 0);
    this.#bodies.delete(low);
    this.#bodies.set(low, { high, bytes: copy, isUsed: false });
    this.#makeRoom();
    return copy;
  }

  /** Whoever was asked for since the row came to it goes to the end; the first that was not goes. */
  #makeRoom(): void {
    for (const [low, kept] of this.#bodies) {
      if (this.#bytes <= this.bytesMax) return;
      this.#bodies.delete(low);
      if (kept.isUsed) {
        kept.isUsed = false;
        this.#bodies.set(low, kept);
      } else {
        this.#bytes -= kept.bytes.length;
      }
    }
  }
}
