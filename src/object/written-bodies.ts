/**
 * Small bodies that were written a moment ago, for whoever reads them next: the log, where they lie, was written past
 * the page cache. A ring of bytes: what comes takes the place of what has been there longest. Main thread.
 */
import { invariant } from '../base/index.js';
import type { PlacementId } from '../erasure/index.js';

/** Copies are fastest between aligned places. */
const alignment = 64;

export class WrittenBodies {
  readonly #bytesMax: number;
  /** Made with the first body. */
  #ring: Uint8Array | null = null;
  /** Bytes that ever went into the ring: where the next body begins, laps included. */
  #written = 0;
  /** By the low half of the id, which counts, modulo their length. */
  readonly #lows: Float64Array;
  readonly #highs: Float64Array;
  readonly #starts: Float64Array;
  readonly #lengths: Uint32Array;

  /** Holds so many bytes at the most, and so many bodies. Both are powers of two. */
  constructor(bytesMax: number, countMax: number) {
    invariant(Number.isInteger(Math.log2(bytesMax)) && bytesMax >= alignment, 'the ring is a power of two');
    invariant(Number.isInteger(Math.log2(countMax)), 'the table is a power of two');
    this.#bytesMax = bytesMax;
    this.#lows = new Float64Array(countMax).fill(-1);
    this.#highs = new Float64Array(countMax);
    this.#starts = new Float64Array(countMax);
    this.#lengths = new Uint32Array(countMax);
  }

  /** Keeps a copy of a body that is not longer than the ring. */
  put({ high, low }: PlacementId, bytes: Uint8Array): void {
    this.#ring ??= new Uint8Array(this.#bytesMax);
    let at = this.#written % this.#bytesMax;
    if (at + bytes.length > this.#bytesMax) {
      // It lies in one piece.
      this.#written += this.#bytesMax - at;
      at = 0;
    }
    this.#ring.set(bytes, at);
    const place = low % this.#lows.length;
    this.#lows[place] = low;
    this.#highs[place] = high;
    this.#starts[place] = this.#written;
    this.#lengths[place] = bytes.length;
    this.#written += Math.ceil(bytes.length / alignment) * alignment;
  }

  /** A view of it, good until the next `put`; null when it is not there, or not any more. */
  get({ high, low }: PlacementId): Uint8Array | null {
    const place = low % this.#lows.length;
    if (this.#ring === null || this.#lows[place] !== low || this.#highs[place] !== high) return null;
    const start = this.#starts[place] ?? 0;
    if (this.#written - start > this.#bytesMax) return null;
    const at = start % this.#bytesMax;
    return this.#ring.subarray(at, at + (this.#lengths[place] ?? 0));
  }
}
