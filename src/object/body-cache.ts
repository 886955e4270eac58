/**
 * Verified bytes of small bodies that were read lately, so that a hot object costs no system call and no hash, and of
 * those that were written a moment ago, which is where the first reader finds them. A body never changes under its id,
 * and ids never come back: nothing has to be invalidated. Main thread.
 */
import type { PlacementId } from '../erasure/index.js';
import type { WrittenBodies } from './written-bodies.js';

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
    private readonly written: WrittenBodies,
  ) {}

  get(id: PlacementId): Uint8Array | null {
    const kept = this.find(id);
    return kept === null ? null : this.use(kept);
  }

  /** For whoever asks for the same body time and again: `use` it, until it has left. */
  find(id: PlacementId): KeptBody | null {
    const kept = this.#bodies.get(id.low);
    if (kept?.high === id.high) return kept;
    const bytes = this.written.get(id);
    return bytes === null ? null : this.#keep(id, copyOf(bytes));
  }

  /** A body that has become durable: it takes no room from those that are read before somebody reads it. */
  noteWritten(id: PlacementId, bytes: Uint8Array): void {
    this.written.put(id, bytes);
  }

  use(kept: KeptBody): Uint8Array | null {
    // A mark is cheaper than a place at the end of the row.
    kept.isUsed = true;
    return kept.bytes;
  }

  /** Keeps a copy. */
  put(id: PlacementId, bytes: Uint8Array): Uint8Array {
    const copy = copyOf(bytes);
    this.#keep(id, copy);
    return copy;
  }

  #keep({ high, low }: PlacementId, bytes: Uint8Array): KeptBody {
    const former = this.#bodies.get(low);
    if (former !== undefined) this.#drop(low, former);
    const kept: KeptBody = { high, bytes, isUsed: false };
    this.#bytes += bytes.length;
    this.#bodies.set(low, kept);
    this.#makeRoom();
    return kept;
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

/** Memory of its own: a piece of a shared pool would keep all of it alive. */
function copyOf(bytes: Uint8Array): Uint8Array {
  const copy = new Uint8Array(bytes.length);
  copy.set(bytes);
  return copy;
}
