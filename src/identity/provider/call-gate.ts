/** Bounds on the calls to one peer outside: so many at once, so many that wait, and for so long. */
import type { Clock } from '../../base/index.js';

export interface CallGateBounds {
  readonly running: number;
  readonly waiting: number;
  /** From the question to the answer, the wait included. */
  readonly timeoutMs: number;
}

interface Waiter {
  readonly deadlineMs: number;
  readonly start: (mayCall: boolean) => void;
}

/** Nobody was asked: too many wait already, or the wait took all the time there was. */
export class GateFull extends Error {
  override readonly name = 'GateFull';
}

export class CallGate {
  readonly #bounds: CallGateBounds;
  readonly #clock: Pick<Clock, 'monotonicMs'>;
  readonly #waiters: Waiter[] = [];
  #running = 0;

  constructor(bounds: CallGateBounds, clock: Pick<Clock, 'monotonicMs'>) {
    this.#bounds = bounds;
    this.#clock = clock;
  }

  /** `call` is told how much time it has. Rejects with GateFull, or as the call does. */
  async run<T>(call: (timeoutMs: number) => Promise<T>): Promise<T> {
    const { running, waiting, timeoutMs } = this.#bounds;
    const deadlineMs = this.#clock.monotonicMs() + timeoutMs;
    if (this.#running < running) {
      this.#running++;
    } else {
      if (this.#waiters.length >= waiting) throw new GateFull('too many calls wait');
      const mayCall = await new Promise<boolean>((resolve) => this.#waiters.push({ deadlineMs, start: resolve }));
      if (!mayCall) throw new GateFull('the call waited too long');
    }
    try {
      return await call(Math.max(1, Math.ceil(deadlineMs - this.#clock.monotonicMs())));
    } finally {
      this.#next();
    }
  }

  /** Gives the place on. Calls end within their time, so that whoever waits too long is told soon after. */
  #next(): void {
    const nowMs = this.#clock.monotonicMs();
    for (let waiter = this.#waiters.shift(); waiter !== undefined; waiter = this.#waiters.shift()) {
      const mayCall = waiter.deadlineMs > nowMs;
      waiter.start(mayCall);
      if (mayCall) return;
    }
    this.#running--;
  }
}
