/**
 * Verified bytes of small bodies that were read lately, so that a hot object costs no system call and no hash.
 * A body never changes under its id, and ids never come back: nothing has to be invalidated. Main thread.
 */
import type { PlacementId } from '../erasure/index.js';

export interface KeptBody {
  readonly high: number;
  /** Null: it has left the cache. */
  bytes: Uint8Array | null;
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

  get(id: PlacementId): Uint8Array | null {
    const kept = this.find(id);
    return kept === null ? null : this.use(kept);
  }

  /** For whoever asks for the same body time and again: `use` it, until it has left. */
  find({ high, low }: PlacementId): KeptBody | null {
    const kept = this.#bodies.get(low);
    return kept?.high === high ? kept : null;
  }

  use(kept: KeptBody): Uint8Array | null {
    // A mark is cheaper than a place at the end of the row.
    kept.isUsed = true;
    return kept.bytes;
  }

  /** Keeps a copy. */
  put({ high, low }: PlacementId, bytes: Uint8Array): Uint8Array {
    // Memory of its own: a piece of a shared pool would keep all of it alive.
    const copy = new Uint8Array(bytes.length);
    copy.set(bytes);
    const former = this.#bodies.get(low);
    if (former !== undefined) this.#drop(low, former);
    this.#bytes += copy.length;
    this.#bodies.set(low, { high, bytes: copy, isUsed: false });
    this.#makeRoom();
    return copy;
  }

  /** Whoever was asked for since the row came to it goes to the end; the first that was not goes. */
  #makeRoom(): void {
    for (const [low, kept] of this.#bodies) {
      if (this.#bytes <= this.bytesMax) return;
      if (!kept.isUsed) {
        this.#drop(low, kept);
        continue;
      }
      kept.isUsed = false;
      this.#bodies.delete(low);
      this.#bodies.set(low, kept);
    }
  }

  /** Whoever holds it must not keep its bytes alive. */
  #drop(low: number, kept: KeptBody): void {
    this.#bodies.delete(low);
    this.#bytes -= kept.bytes?.length ?? 0;
    kept.bytes = null;
  }
}
