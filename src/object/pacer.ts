/**
 * Keeps background work within its share: so many bytes a second at the most, and at the most so much of the time,
 * measured by what the work itself takes. Under load every step takes longer, and the pauses grow with it: what
 * clients wait for comes first.
 */
import type { Clock } from '../base/index.js';
import type { Pace } from './upkeep.js';

/** Shorter pauses are put together: a timer is about this exact. */
const pauseMsMin = 2;
/** Longer ones are cut, so that an end or other settings are soon seen. */
const pauseMsMax = 1000;

export class Pacer {
  #owedMs = 0;
  #lastMs: number;
  #isClosed = false;
  #wake: (() => void) | null = null;

  constructor(
    private readonly pace: () => Pace,
    private readonly clock: Clock,
  ) {
    this.#lastMs = clock.monotonicMs();
  }

  /** A break in the work that owes no pause. */
  restart(): void {
    this.#lastMs = this.clock.monotonicMs();
  }

  /** After a step that read or wrote so many bytes: waits as long as it has to. */
  async step(bytes: number): Promise<void> {
    const { bytesPerSecondMax, shareMax } = this.pace();
    const tookMs = this.clock.monotonicMs() - this.#lastMs;
    const byTime = tookMs / shareMax - tookMs;
    const byBytes = (bytes / bytesPerSecondMax) * 1000 - tookMs;
    this.#owedMs = Math.max(0, this.#owedMs + Math.max(byTime, byBytes));
    if (this.#owedMs >= pauseMsMin) await this.#pause();
    else await new Promise((resolve) => setImmediate(resolve));
    this.#lastMs = this.clock.monotonicMs();
  }

  /** Ends the pause under way; later ones are none. */
  close(): void {
    this.#isClosed = true;
    this.#wake?.();
  }

  async #pause(): Promise<void> {
    const startMs = this.clock.monotonicMs();
    while (!this.#isClosed) {
      const leftMs = this.#owedMs - (this.clock.monotonicMs() - startMs);
      if (leftMs < pauseMsMin) break;
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, Math.min(leftMs, pauseMsMax));
        timer.unref();
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      this.#wake = null;
    }
    this.#owedMs -= this.clock.monotonicMs() - startMs;
  }
}
