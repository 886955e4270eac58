import { invariant } from '../base/index.js';

/** Bytes held for bodies whose consumer is not ready: one budget for all connections of a front. */
export class OverflowBudget {
  readonly #bytesMax: number;
  #heldBytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get heldBytes(): number {
    return this.#heldBytes;
  }

  tryTake(bytes: number): boolean {
    if (this.#heldBytes + bytes > this.#bytesMax) return false;
    this.#heldBytes += bytes;
    return true;
  }

  give(bytes: number): void {
    this.#heldBytes -= bytes;
    invariant(this.#heldBytes >= 0, 'no more is given back than was taken');
  }
}
