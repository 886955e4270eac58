import type { FrontBounds } from './front.js';

/** Watches one body, or one answer, for a client that is too slow. Only the client's own time counts. */
export class Pace {
  #seenBytes = -1;
  #stalledMs = 0;
  #clientMs = 0;

  /** `movedBytes` so far, or null while the client is not waited for. Called every `elapsedMs`. */
  isTooSlow(movedBytes: number | null, elapsedMs: number, bounds: FrontBounds): boolean {
    if (movedBytes === null) {
      this.#stalledMs = 0;
      return false;
    }
    this.#stalledMs = movedBytes === this.#seenBytes ? this.#stalledMs + elapsedMs : 0;
    this.#seenBytes = movedBytes;
    this.#clientMs += elapsedMs;
    if (this.#stalledMs >= bounds.stallMsMax) return true;
    return this.#clientMs >= bounds.rateGraceMs && (movedBytes * 1000) / this.#clientMs < bounds.bytesPerSecondMin;
  }
}
