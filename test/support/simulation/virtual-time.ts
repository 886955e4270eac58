/**
 * Time that a test moves: while it is installed, timers and immediates wait in one queue, and the clock jumps to the
 * next of them as soon as nothing else can run. With drives and arithmetic that finish through the same queue a
 * program runs the same way every time, and a minute of waiting costs nothing. What `kill` drops never runs: so
 * ends a process.
 */
import type { Clock } from '../../../dist/base/index.js';

interface Event {
  readonly atMs: number;
  readonly number: number;
  readonly run: () => void;
  readonly everyMs: number | null;
  isCancelled: boolean;
}

type Callback = (...values: unknown[]) => void;

const real = { setTimeout, setInterval, setImmediate, clearTimeout, clearInterval, clearImmediate };
const names = Object.keys(real) as (keyof typeof real)[];
const startMs = 1_700_000_000_000;

/** What promises and ticks still have to do is done when this resolves. */
const settled = (): Promise<void> => new Promise((resolve) => real.setImmediate(resolve));

export class VirtualTime implements Clock {
  #events: Event[] = [];
  #count = 0;
  #nowMs = 0;
  #isInstalled = false;

  nowMs(): number {
    return startMs + this.#nowMs;
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  after(delayMs: number, run: () => void, everyMs: number | null = null): Event {
    const event = { atMs: this.#nowMs + delayMs, number: this.#count++, run, everyMs, isCancelled: false };
    // Nearly always the last: a search from the end.
    let at = this.#events.length;
    while (at > 0 && isBefore(event, this.#events[at - 1])) at--;
    this.#events.splice(at, 0, event);
    return event;
  }

  install(): void {
    this.#isInstalled = true;
    const handle = (event: Event): object => {
      const self = Object.assign(event, { ref: () => self, unref: () => self, hasRef: () => true });
      return self;
    };
    const cancel = (event: Event | undefined): void => {
      if (event !== undefined && event !== null) event.isCancelled = true;
    };
    const later =
      (repeats: boolean) =>
      (callback: Callback, delayMs?: number, ...values: unknown[]) => {
        const wait = Math.max(1, delayMs ?? 1);
        return handle(this.after(wait, () => callback(...values), repeats ? wait : null));
      };
    const soon = (callback: Callback, ...values: unknown[]): object => handle(this.after(0, () => callback(...values)));
    Object.assign(globalThis, {
      setTimeout: later(false),
      setInterval: later(true),
      setImmediate: soon,
      clearTimeout: cancel,
      clearInterval: cancel,
      clearImmediate: cancel,
    });
  }

  uninstall(): void {
    if (!this.#isInstalled) return;
    this.#isInstalled = false;
    for (const name of names) Object.assign(globalThis, { [name]: real[name] });
  }

  /** Nothing that waits ever runs. */
  kill(): void {
    this.#events = [];
  }

  /** Runs until `isOver`, or until nothing waits any more, or until `msMax` have passed. Answers whether it is over. */
  async runUntil(isOver: () => boolean, msMax: number): Promise<boolean> {
    const untilMs = this.#nowMs + msMax;
    for (;;) {
      await settled();
      if (isOver()) return true;
      const event = this.#events.shift();
      if (event === undefined) return false;
      if (event.isCancelled) continue;
      if (event.atMs > untilMs) {
        this.#events.unshift(event);
        this.#nowMs = untilMs;
        return false;
      }
      this.#nowMs = Math.max(this.#nowMs, event.atMs);
      event.run();
      if (event.everyMs !== null && !event.isCancelled) this.#repeat(event, event.everyMs);
    }
  }

  #repeat(event: Event, everyMs: number): void {
    const next = this.after(everyMs, event.run, everyMs);
    // The handle that the program holds cancels what comes as well.
    Object.defineProperty(next, 'isCancelled', {
      get: () => event.isCancelled,
      set: (value: boolean) => void (event.isCancelled = value),
    });
  }
}

function isBefore(event: Event, other: Event | undefined): boolean {
  return other !== undefined && event.atMs < other.atMs;
}
