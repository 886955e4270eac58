/**
 * Who reads by what the index said a while ago. A log file that compaction has emptied is removed when all
 * who looked up something before are done: what they were told may lie in it.
 */
import { invariant } from '../base/index.js';

interface Waiting {
  readonly generation: number;
  readonly resolve: () => void;
}

export class Readers {
  #generation = 0;
  /** Readers by the generation in which they began. */
  readonly #counts = new Map<number, number>();
  #waiting: Waiting[] = [];

  /** Answers what `leave` is given once. */
  enter(): number {
    this.#counts.set(this.#generation, (this.#counts.get(this.#generation) ?? 0) + 1);
    return this.#generation;
  }

  leave(generation: number): void {
    const count = this.#counts.get(generation) ?? 0;
    invariant(count > 0, 'a reader leaves as often as it enters');
    if (count > 1) {
      this.#counts.set(generation, count - 1);
      return;
    }
    this.#counts.delete(generation);
    this.#wake();
  }

  /** Resolves when everybody has left who entered before this call. */
  gone(): Promise<void> {
    const generation = this.#generation++;
    return new Promise((resolve) => {
      this.#waiting.push({ generation, resolve });
      this.#wake();
    });
  }

  #wake(): void {
    if (this.#waiting.length === 0) return;
    const oldest = Math.min(Infinity, ...this.#counts.keys());
    const isOver = ({ generation }: Waiting): boolean => generation < oldest;
    const over = this.#waiting.filter(isOver);
    this.#waiting = this.#waiting.filter((waiting) => !isOver(waiting));
    for (const { resolve } of over) resolve();
  }
}
