/**
 * An index that cannot be read while the server runs: its disk fails, or some of its bytes have changed. One drive has it,
 * and the set bears the loss of that drive, so the server must too. Nothing is lost, for the logs have everything: started
 * anew it makes another index, on another drive when that one is of no use. Until then what needs the index is refused.
 */
import type { Clock } from '../base/index.js';
import type { Logger } from '../telemetry/index.js';

/** Damage that the next start does not know of may be met again at once: so long a server runs before it gives up. */
const runsMsMin = 30_000;

export class IndexDamage {
  #met: { readonly isNoted: boolean } | null = null;
  #running: { readonly startAnew: (() => void) | null; readonly sinceMs: number } | null = null;
  #timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly log: Pick<Logger, 'error'>,
    private readonly clock: Pick<Clock, 'monotonicMs'>,
  ) {}

  /** The first time. Whoever looks for an index next knows of it when it `isNoted`. */
  met(isNoted: boolean): void {
    this.#met = { isNoted };
    this.#act();
  }

  /** The server is in use: until now, what met damage began again by itself. Null: nobody can start it anew. */
  start(startAnew: (() => void) | null): void {
    this.#running = { startAnew, sinceMs: this.clock.monotonicMs() };
    this.#act();
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#running = null;
  }

  #act(): void {
    if (this.#met === null || this.#running === null) return;
    const { startAnew, sinceMs } = this.#running;
    if (startAnew === null) {
      this.log.error('the index cannot be read any more: start the server anew, and it is built from the logs');
      return;
    }
    this.log.error('the index cannot be read any more: the server starts anew, and builds it from the logs');
    const ranMs = this.clock.monotonicMs() - sinceMs;
    this.#timer = setTimeout(startAnew, this.#met.isNoted ? 0 : Math.max(0, runsMsMin - ranMs)).unref();
  }
}
