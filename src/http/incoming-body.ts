/**
 * A request body between the socket and its one consumer. What arrives while the consumer is not ready
 * (none yet, or paused) is copied and held, and the socket is stopped; both adapters use it.
 * Chunks are borrowed from the HTTP library for the length of one call.
 */
import { invariant } from '../base/index.js';
import type { BodySink, BodySource } from '../exchange/index.js';
import type { OverflowBudget } from './overflow.js';

/** Stops and starts reading of one socket; both are idempotent. */
export interface SocketGate {
  stop(): void;
  start(): void;
}

const nothing = new Uint8Array(0);

export class IncomingBody implements BodySource {
  readonly declaredBytes: number | null;
  readonly #gate: SocketGate;
  readonly #budget: OverflowBudget;
  readonly #fault: (error: unknown) => void;
  #sink: BodySink | null = null;
  #held: Uint8Array[] = [];
  #receivedBytes = 0;
  #paused = false;
  #complete = false;
  #delivered = false;
  #detached = false;
  #flushing = false;

  /** `fault` learns of an error thrown by the consumer. */
  constructor(declaredBytes: number | null, gate: SocketGate, budget: OverflowBudget, fault: (error: unknown) => void) {
    this.declaredBytes = declaredBytes;
    this.#gate = gate;
    this.#budget = budget;
    this.#fault = fault;
  }

  get receivedBytes(): number {
    return this.#receivedBytes;
  }

  /** True once the last byte has come off the wire, delivered or not. */
  get complete(): boolean {
    return this.#complete;
  }

  /** True while the socket is stopped at the consumer's wish, or for want of a consumer. */
  get waitsForConsumer(): boolean {
    return !this.#detached && !this.#delivered && (this.#sink === null || this.#paused);
  }

  /** Borrows `bytes`. False when they had to be held and the budget is spent. */
  receive(bytes: Uint8Array, isLast: boolean): boolean {
    this.#receivedBytes += bytes.length;
    if (isLast) this.#complete = true;
    if (this.#detached) return true;
    if (this.#sink !== null && !this.#paused && this.#held.length === 0) {
      if (bytes.length > 0 || isLast) this.#deliver(bytes, isLast);
      return true;
    }
    if (bytes.length > 0) {
      if (!this.#budget.tryTake(bytes.length)) return false;
      // Not `slice`: a Buffer's shares its memory.
      this.#held.push(new Uint8Array(bytes));
    }
    if (!this.#complete) this.#gate.stop();
    return true;
  }

  consume(sink: BodySink): void {
    invariant(this.#sink === null, 'a body has one consumer');
    if (this.#detached) {
      queueMicrotask(() => sink.aborted());
      return;
    }
    this.#sink = sink;
    this.#flushSoon();
  }

  pause(): void {
    if (this.#detached || this.#delivered) return;
    this.#paused = true;
    if (!this.#complete) this.#gate.stop();
  }

  resume(): void {
    if (this.#detached || !this.#paused) return;
    this.#paused = false;
    this.#flushSoon();
  }

  /** The client went away, or the body will not be read: the consumer hears of it, what is held is dropped. */
  abort(): void {
    if (this.#detached) return;
    const sink = this.#sink;
    const owed = !this.#delivered;
    this.detach();
    if (sink !== null && owed) sink.aborted();
  }

  /** The answer is ready: the consumer hears nothing more, and what still comes is dropped. */
  detach(): void {
    if (this.#detached) return;
    this.#detached = true;
    this.#sink = null;
    for (const bytes of this.#held) this.#budget.give(bytes.length);
    this.#held = [];
  }

  /** Never within `consume` or `resume`: their caller may not be ready for a chunk. */
  #flushSoon(): void {
    if (this.#flushing) return;
    if (this.#held.length === 0 && !this.#complete) {
      this.#gate.start();
      return;
    }
    this.#flushing = true;
    queueMicrotask(() => {
      this.#flushing = false;
      this.#flush();
    });
  }

  #flush(): void {
    while (!this.#detached && !this.#paused && this.#sink !== null && this.#held.length > 0) {
      const bytes = this.#held.shift()!;
      this.#budget.give(bytes.length);
      this.#deliver(bytes, this.#complete && this.#held.length === 0);
    }
    if (this.#detached || this.#paused || this.#sink === null) return;
    if (this.#complete && !this.#delivered) this.#deliver(nothing, true);
    if (!this.#detached && !this.#paused) this.#gate.start();
  }

  #deliver(bytes: Uint8Array, isLast: boolean): void {
    if (isLast) this.#delivered = true;
    try {
      this.#sink!.chunk(bytes, isLast);
    } catch (error) {
      this.#fault(error);
    }
  }
}

/** The body of a request that has none. */
export class EmptyBody implements BodySource {
  readonly declaredBytes = 0;

  consume(sink: BodySink): void {
    queueMicrotask(() => sink.chunk(nothing, true));
  }

  pause(): void {}

  resume(): void {}
}
