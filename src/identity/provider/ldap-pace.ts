/**
 * Lets failed logins take one time. A directory answers at once when there is no such entry, and later when it has
 * to work out the hash of a password: that must not tell the one from the other. So no failure is answered before
 * the slowest one lately would have been.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock } from '../../base/index.js';

/** In steps, so that the last milliseconds say nothing either. */
const stepMs = 100;
const firstMs = 200;
const longestMs = 3_000;
/** So many wrong passwords are remembered. */
const remembered = 32;

export class FailurePace {
  readonly #tookMs: number[] = [];

  constructor(private readonly clock: Pick<Clock, 'monotonicMs'>) {}

  /** `isKnown`: there was an entry, whose password the directory compared. */
  async failed(startedMs: number, isKnown: boolean): Promise<void> {
    const tookMs = this.clock.monotonicMs() - startedMs;
    if (isKnown) {
      this.#tookMs.push(Math.min(tookMs, longestMs));
      if (this.#tookMs.length > remembered) this.#tookMs.shift();
    }
    const targetMs = this.targetMs();
    // Whoever is later than that waits for the next step.
    const untilMs = tookMs <= targetMs ? targetMs : Math.ceil(tookMs / stepMs) * stepMs;
    if (untilMs > tookMs) await sleep(untilMs - tookMs);
  }

  targetMs(): number {
    const slowest = Math.max(firstMs, ...this.#tookMs);
    return Math.ceil(slowest / stepMs) * stepMs;
  }
}
