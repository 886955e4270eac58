/** Stop requests of the operator: the first asks for an orderly stop, a later one insists. */
import type { Clock } from '../base/index.js';

export type StopSignal = 'SIGINT' | 'SIGTERM';

/** The part of `process` that delivers signals. */
export interface SignalSource {
  on(signal: StopSignal, listener: () => void): unknown;
  off(signal: StopSignal, listener: () => void): unknown;
}

/**
 * One Ctrl-C often arrives twice: from the terminal, which signals the whole process group, and from npm,
 * which passes on what it received. Only what comes later than this is a second wish.
 */
const echoMs = 500;

const stopSignals = ['SIGINT', 'SIGTERM'] as const;

export class StopRequests {
  /** Resolves with the first signal. */
  readonly first: Promise<StopSignal>;
  /** Resolves with a signal that comes after the first was heard. */
  readonly second: Promise<StopSignal>;
  readonly #remove: () => void;
  #isHeard = false;

  constructor(source: SignalSource, clock: Clock) {
    let resolveFirst: (signal: StopSignal) => void;
    let resolveSecond: (signal: StopSignal) => void;
    this.first = new Promise((resolve) => (resolveFirst = resolve));
    this.second = new Promise((resolve) => (resolveSecond = resolve));
    let firstMs: number | null = null;
    const listeners = stopSignals.map((signal) => {
      const listener = () => {
        const nowMs = clock.monotonicMs();
        if (firstMs === null) {
          firstMs = nowMs;
          this.#isHeard = true;
          resolveFirst(signal);
        } else if (nowMs - firstMs > echoMs) {
          resolveSecond(signal);
        }
      };
      source.on(signal, listener);
      return [signal, listener] as const;
    });
    this.#remove = () => listeners.forEach(([signal, listener]) => source.off(signal, listener));
  }

  get isHeard(): boolean {
    return this.#isHeard;
  }

  dispose(): void {
    this.#remove();
  }
}
