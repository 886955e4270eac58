/**
 * MD5 of bodies that come in stripes, apart from the rest of their pass: sixteen streams side by side cost about as much
 * as one (bench: `pass.md5.x16`), so streams wait for each other, as long as it holds none of them up. One that has a
 * second stripe to hash, or that has nothing else to do, starts the next task at once, with whatever the others have.
 * Main thread.
 */
import { performance } from 'node:perf_hooks';
import { invariant } from '../base/index.js';
import type { Md5Stream } from '../erasure/index.js';

/** Lanes of the widest kernel. */
const lanesMax = 16;
/** Streams in one task: two turns of all lanes. */
const streamsPerTaskMax = 32;
/** A stream with so much to hash is held up by it. */
const stripesWaitingMax = 2;
/** Whoever has sent no stripe for so long is not waited for: the memory of a stripe is worth more than a lane. */
const silentMsMax = 100;

interface Wanted {
  readonly dataOffset: number;
  readonly bytes: number;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** Hashes runs of [stateOffset, dataOffset, bytes], each of another stream. */
export type HashRuns = (runs: Float64Array) => Promise<unknown>;

class GatheredStream implements Md5Stream {
  readonly waiting: Wanted[] = [];
  isRunning = false;
  isHurried = false;
  isClosed = false;
  heardMs = performance.now();

  constructor(
    readonly stateOffset: number,
    private readonly owner: Md5Gatherer,
  ) {}

  get isReady(): boolean {
    return this.waiting.length > 0 && !this.isRunning;
  }

  add(dataOffset: number, bytes: number): Promise<void> {
    if (this.isClosed) return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.heardMs = performance.now();
      this.waiting.push({ dataOffset, bytes, resolve, reject });
      this.owner.changed();
    });
  }

  hurry(): void {
    if (this.isHurried) return;
    this.isHurried = true;
    this.owner.changed();
  }

  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    for (const { resolve } of this.waiting.splice(0)) resolve();
    this.owner.closed(this);
  }
}

export class Md5Gatherer {
  readonly #open = new Set<GatheredStream>();
  #tasks = 0;
  #isScheduled = false;
  #isHurried = false;
  #timer: NodeJS.Timeout | null = null;

  /** `tasksMax`: more at once would only share the same cores, each with fewer streams side by side. */
  constructor(
    private readonly hash: HashRuns,
    private readonly tasksMax: number,
  ) {}

  open(stateOffset: number): Md5Stream {
    const stream = new GatheredStream(stateOffset, this);
    this.#open.add(stream);
    return stream;
  }

  /** Whether something was added and is not hashed yet. */
  get isBusy(): boolean {
    for (const { waiting, isRunning } of this.#open) if (isRunning || waiting.length > 0) return true;
    return this.#tasks > 0;
  }

  /** Whatever was added so far is wanted at once. */
  hurry(): void {
    this.#isHurried = true;
    this.changed();
  }

  /** Called by a stream. */
  closed(stream: GatheredStream): void {
    this.#open.delete(stream);
    // It may have been the one that all others waited for.
    this.changed();
  }

  /** Called by a stream. */
  changed(): void {
    if (this.#isScheduled || this.#tasks >= this.tasksMax) return;
    const ready = this.#ready();
    if (ready.length === 0) {
      this.#isHurried = false;
      this.#stopTimer();
      return;
    }
    if (!this.#isWorthIt(ready)) {
      this.#timer ??= setTimeout(() => {
        this.#timer = null;
        this.hurry();
      }, silentMsMax);
      return;
    }
    // What comes in this round of the event loop goes with it.
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      this.#start();
    });
  }

  #ready(): GatheredStream[] {
    return [...this.#open].filter(({ isReady }) => isReady);
  }

  #isWorthIt(ready: readonly GatheredStream[]): boolean {
    if (this.#isHurried || ready.length >= lanesMax) return true;
    if (ready.some(({ isHurried, waiting }) => isHurried || waiting.length >= stripesWaitingMax)) return true;
    // Nobody else is about to come.
    const heardMsMin = performance.now() - silentMsMax;
    for (const { isReady, isRunning, heardMs } of this.#open) {
      if (!isReady && !isRunning && heardMs >= heardMsMin) return false;
    }
    return true;
  }

  #start(): void {
    const streams = this.#ready().slice(0, streamsPerTaskMax);
    if (streams.length === 0) {
      this.changed();
      return;
    }
    this.#stopTimer();
    const batch = streams.map((stream) => {
      const wanted = stream.waiting.shift();
      invariant(wanted !== undefined, 'a stream that is ready has something to hash');
      stream.isRunning = true;
      return { stream, wanted };
    });
    const runs = new Float64Array(batch.length * 3);
    for (const [index, { stream, wanted }] of batch.entries()) {
      runs.set([stream.stateOffset, wanted.dataOffset, wanted.bytes], index * 3);
    }
    this.#tasks++;
    const ended = (): void => {
      this.#tasks--;
      for (const { stream } of batch) stream.isRunning = false;
      this.changed();
    };
    this.hash(runs).then(
      () => {
        ended();
        for (const { wanted } of batch) wanted.resolve();
      },
      (error: unknown) => {
        ended();
        for (const { wanted } of batch) wanted.reject(error);
      },
    );
    this.changed();
  }

  #stopTimer(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }
}
