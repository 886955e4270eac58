/** Who watches figures that are sampled for them, bounded in number, and let go when the server stops. */

const watchersMax = 16;

export class Watchers {
  readonly #wakes = new Set<() => void>();
  #isClosed = false;

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Answers how to leave; null when there are as many as may be. `wake`: called when the server stops. */
  enter(wake: () => void): (() => void) | null {
    if (this.#isClosed || this.#wakes.size >= watchersMax) return null;
    this.#wakes.add(wake);
    return () => this.#wakes.delete(wake);
  }

  close(): void {
    this.#isClosed = true;
    for (const wake of this.#wakes) wake();
  }
}
