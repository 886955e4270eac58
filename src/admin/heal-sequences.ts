/**
 * Healings that operators started: each walks the objects of one place in the background, and hands its results to
 * whoever polls with its token. What nobody fetches stops the walk, not the memory. Main thread.
 */
import { randomUUID } from 'node:crypto';
import type { Clock } from '../base/index.js';
import type { ObjectHealResult } from '../object/index.js';
import { adminError } from './errors.js';

/** Under way at once: each reads every byte below its place. */
const runningMax = 4;
/** Results that wait to be fetched; then the walk waits. */
const waitingMax = 1000;
/** A walk whose results nobody fetches ends, and one that has ended is forgotten. */
const idleMsMax = 10 * 60_000;

export interface HealSettings {
  readonly recursive: boolean;
  readonly dryRun: boolean;
  readonly scanMode: number;
}

export interface HealStart {
  readonly bucket: string;
  readonly prefix: string;
  readonly settings: HealSettings;
  readonly clientAddress: string;
  /** An earlier one of the same place is ended. */
  readonly isForced: boolean;
}

export interface HealItem {
  readonly number: number;
  /** Null: the bucket itself. */
  readonly object: ObjectHealResult | null;
  readonly bucket: string;
}

export interface HealSequence {
  readonly token: string;
  readonly path: string;
  readonly clientAddress: string;
  readonly startedMs: number;
  readonly settings: HealSettings;
}

export interface HealProgress extends HealSequence {
  readonly summary: 'running' | 'finished' | 'stopped';
  /** Why it was stopped. */
  readonly detail: string;
  readonly items: readonly HealItem[];
}

export interface HealWalk {
  bucketNames(): readonly string[];
  /** Throws NoSuchBucket. */
  objects(options: {
    readonly bucket: string;
    readonly prefix: string;
    readonly isDryRun: boolean;
    readonly isStopped: () => boolean;
  }): AsyncIterable<ObjectHealResult>;
}

interface Running extends HealSequence {
  summary: HealProgress['summary'];
  detail: string;
  items: HealItem[];
  isStopped: boolean;
  touchedMs: number;
  wake: () => void;
}

export class HealSequences {
  readonly #byPath = new Map<string, Running>();

  constructor(
    private readonly walk: HealWalk,
    private readonly clock: Clock,
  ) {}

  /** Throws XMinioHealAlreadyRunning, XMinioHealOverlappingPaths, NoSuchBucket. */
  start({ bucket, prefix, settings, clientAddress, isForced }: HealStart): HealSequence {
    this.#forgetIdle();
    if (bucket !== '' && !this.walk.bucketNames().includes(bucket)) throw adminError('NoSuchBucket');
    const path = pathOf(bucket, prefix);
    const earlier = this.#byPath.get(path);
    if (earlier?.summary === 'running') {
      if (!isForced) throw adminError('XMinioHealAlreadyRunning');
      this.#end(earlier, 'Another one was started in its place.');
    }
    const running = [...this.#byPath.values()].filter(({ summary }) => summary === 'running');
    if (running.some((other) => other.path.startsWith(path) || path.startsWith(other.path))) {
      throw adminError('XMinioHealOverlappingPaths');
    }
    if (running.length >= runningMax) throw adminError('SlowDown', 'Too many healings are under way already.');
    const sequence: Running = {
      token: randomUUID(),
      path,
      clientAddress,
      startedMs: this.clock.nowMs(),
      settings,
      summary: 'running',
      detail: '',
      items: [],
      isStopped: false,
      touchedMs: this.clock.monotonicMs(),
      wake: () => undefined,
    };
    this.#byPath.set(path, sequence);
    void this.#run(sequence, bucket, prefix);
    return sequence;
  }

  /** What has come since the last time. Throws XMinioHealNoSuchProcess, XMinioHealInvalidClientToken. */
  poll(bucket: string, prefix: string, token: string): HealProgress {
    this.#forgetIdle();
    const sequence = this.#find(bucket, prefix);
    if (sequence.token !== token) throw adminError('XMinioHealInvalidClientToken');
    sequence.touchedMs = this.clock.monotonicMs();
    const { items } = sequence;
    sequence.items = [];
    sequence.wake();
    return { ...sequence, items };
  }

  /** Throws XMinioHealNoSuchProcess. */
  stop(bucket: string, prefix: string): HealSequence {
    const sequence = this.#find(bucket, prefix);
    this.#end(sequence, 'It was asked to stop.');
    return sequence;
  }

  close(): void {
    for (const sequence of this.#byPath.values()) this.#end(sequence, 'The server is stopping.');
  }

  #find(bucket: string, prefix: string): Running {
    const sequence = this.#byPath.get(pathOf(bucket, prefix));
    if (sequence === undefined) throw adminError('XMinioHealNoSuchProcess');
    return sequence;
  }

  async #run(sequence: Running, bucket: string, prefix: string): Promise<void> {
    const isStopped = () => sequence.isStopped;
    try {
      let number = 0;
      for (const name of bucket === '' ? this.walk.bucketNames() : [bucket]) {
        if (isStopped()) return;
        await this.#give(sequence, { number: ++number, object: null, bucket: name });
        if (!sequence.settings.recursive && prefix === '') continue;
        const isDryRun = sequence.settings.dryRun;
        for await (const object of this.walk.objects({ bucket: name, prefix, isDryRun, isStopped })) {
          // Not recursive: this very object.
          if (!sequence.settings.recursive && object.key !== prefix) break;
          await this.#give(sequence, { number: ++number, object, bucket: name });
          if (isStopped()) return;
        }
      }
      if (!sequence.isStopped) sequence.summary = 'finished';
    } catch (error) {
      this.#end(sequence, error instanceof Error ? error.message : 'unknown cause');
    }
  }

  /** Waits while there are too many that nobody has fetched. */
  async #give(sequence: Running, item: HealItem): Promise<void> {
    while (sequence.items.length >= waitingMax && !sequence.isStopped) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 1000);
        timer.unref();
        sequence.wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      if (this.clock.monotonicMs() - sequence.touchedMs > idleMsMax) this.#end(sequence, 'Nobody fetched its results.');
    }
    if (!sequence.isStopped) sequence.items.push(item);
  }

  #end(sequence: Running, detail: string): void {
    if (sequence.summary !== 'running') return;
    sequence.summary = 'stopped';
    sequence.detail = detail;
    sequence.isStopped = true;
    sequence.wake();
  }

  #forgetIdle(): void {
    const sinceMs = this.clock.monotonicMs() - idleMsMax;
    for (const [path, { summary, touchedMs }] of this.#byPath) {
      if (summary !== 'running' && touchedMs < sinceMs) this.#byPath.delete(path);
    }
  }
}

function pathOf(bucket: string, prefix: string): string {
  return prefix === '' ? bucket : `${bucket}/${prefix}`;
}
