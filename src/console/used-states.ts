/** Logins that have come back: each may once. Bounded; the oldest make room, whose codes their provider refuses. */
import type { Clock } from '../base/index.js';

export class UsedStates {
  /** In order of their coming; a Map keeps it. */
  readonly #untilMs = new Map<string, number>();

  constructor(
    private readonly countMax: number,
    private readonly clock: Pick<Clock, 'nowMs'>,
  ) {}

  /** False: it was there before. */
  use(state: string, expiresMs: number): boolean {
    const nowMs = this.clock.nowMs();
    for (const [old, untilMs] of this.#untilMs) {
      if (untilMs > nowMs && this.#untilMs.size < this.countMax) break;
      this.#untilMs.delete(old);
    }
    if (this.#untilMs.has(state)) return false;
    this.#untilMs.set(state, expiresMs);
    return true;
  }

  get size(): number {
    return this.#untilMs.size;
  }
}
