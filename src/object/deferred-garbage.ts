/**
 * Keeps what was dropped for a while before the reclaimer gets it, so that snapshots of the drives that are taken
 * one after the other have it on all of them. The list is the index's own; here are only a few marks in it: which
 * record was the last one at which time. Main thread.
 */
import type { Clock } from '../base/index.js';
import { orderOfGarbageKey } from './index-keys.js';
import type { IndexState } from './index-state.js';
import type { Garbage } from './staging.js';

/** Marks over the delay: what was dropped waits at most a tenth longer than it has to. */
const marksPerDelay = 10;
const tickMsMin = 50;

interface Mark {
  readonly atMs: number;
  readonly order: number;
}

export class DeferredGarbage {
  readonly #marks: Mark[] = [];
  #timer: NodeJS.Timeout | null = null;
  #released = -1;

  constructor(
    private readonly index: IndexState,
    private readonly delayMs: number,
    private readonly clock: Clock,
    private readonly release: (garbage: Iterable<Garbage>) => void,
    /** Of the last record that was dropped, or of a later one. */
    private latestOrder: number,
  ) {}

  start(): void {
    this.#tick();
    this.#timer = setInterval(() => this.#tick(), Math.max(tickMsMin, this.delayMs / marksPerDelay)).unref();
  }

  readonly add = (garbage: readonly Garbage[]): void => {
    for (const { key } of garbage) this.latestOrder = Math.max(this.latestOrder, orderOfGarbageKey(key));
  };

  close(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
  }

  #tick(): void {
    const nowMs = this.clock.monotonicMs();
    let due: number | null = null;
    for (let mark = this.#marks[0]; mark !== undefined && mark.atMs <= nowMs - this.delayMs; mark = this.#marks[0]) {
      due = mark.order;
      this.#marks.shift();
    }
    if (due !== null && due > this.#released) {
      this.release(this.index.garbageBetween(this.#released, due));
      this.#released = due;
    }
    this.#marks.push({ atMs: nowMs, order: this.latestOrder });
  }
}
