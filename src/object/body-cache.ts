/**
 * Verified bytes of small bodies that were read lately, so that a hot object costs no system call and no hash.
 * A body never changes under its id, and ids never come back: nothing has to be invalidated. Main thread.
 */
import type { PlacementId } from '../erasure/index.js';

export class BodyCache {
  /** The least recently used first. */
  readonly #bodies = new Map<string, Uint8Array>();
  #bytes = 0;

  /** Bodies longer than `bodyBytesMax` are not kept. */
  constructor(
    private readonly bytesMax: number,
    readonly bodyBytesMax: number,
  ) {}

  get(id: PlacementId): Uint8Array | null {
    const key = keyOf(id);
    const bytes = this.#bodies.get(key);
    if (bytes === undefined) return null;
    this.#bodies.delete(key);
    this.#bodies.set(key, bytes);
    return bytes;
  }

  /** Keeps a copy. */
  put(id: PlacementId, bytes: Uint8Array): Uint8Array {
    // Memory of its own: a piece of a shared pool would keep all of it alive.
    const copy = new Uint8Array(bytes.length);
    copy.set(bytes);
    const key = keyOf(id);
    this.#bytes += copy.length - (this.#bodies.get(key)?.length ?? 0);
    this.#bodies.delete(key);
    this.#bodies.set(key, copy);
    for (const [oldest, { length }] of this.#bodies) {
      if (this.#bytes <= this.bytesMax) break;
      this.#bodies.delete(oldest);
      this.#bytes -= length;
    }
    return copy;
  }
}

const keyOf = ({ high, low }: PlacementId): string => `${high}:${low}`;
