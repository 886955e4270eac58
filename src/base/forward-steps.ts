/**
 * Knows whether the wall clock was set forward while this process ran, which nobody says: what is over by it may
 * then be thrown away before its time. It sees no step that came before the start.
 */
import type { Clock } from './clock.js';

export class ForwardSteps {
  #wallMs: number;
  #monotonicMs: number;
  #steppedAtMs = -Infinity;

  constructor(private readonly clock: Clock) {
    this.#wallMs = clock.nowMs();
    this.#monotonicMs = clock.monotonicMs();
  }

  /**
   * Whether the clock was set forward, by more than `stepMsMax` since the last look, less than `withinMs` ago. To be
   * asked more often than small steps could add up.
   */
  isRecent(stepMsMax: number, withinMs: number): boolean {
    const wallMs = this.clock.nowMs();
    const monotonicMs = this.clock.monotonicMs();
    const stepMs = wallMs - this.#wallMs - (monotonicMs - this.#monotonicMs);
    this.#wallMs = wallMs;
    this.#monotonicMs = monotonicMs;
    if (stepMs > stepMsMax) this.#steppedAtMs = monotonicMs;
    return monotonicMs - this.#steppedAtMs < withinMs;
  }
}
