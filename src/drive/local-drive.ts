/** A drive on a local file system: its lock, its queues of native threads, its stores. */
import { limits, systemClock, type Clock } from '../base/index.js';
import { IoKind } from '../native/index.js';
import type { Traces } from '../telemetry/index.js';
import { LocalBlobStore } from './blob-store.js';
import { DriveCalls } from './drive-calls.js';
import type { BlobStore, Drive, DriveFormat, DriveResult, DriveStatistics, LogStore } from './drive.js';
import { DriveStatisticsCounter } from './drive-statistics.js';
import { formatFile } from './layout.js';
import { LocalLogStore } from './log-store.js';
import { localSystem, type DriveSystem } from './system.js';

export interface DriveOptions {
  /** Every offset of a call lies in it. */
  readonly arena: SharedArrayBuffer;
  /** Time limit of one call; `limits.driveCallMsDefault` when absent. */
  readonly callMsMax?: number;
  /** False: nothing is ever synced, so a power loss takes the latest writes. For tests and caches. */
  readonly isSynced?: boolean;
  readonly clock?: Clock;
  /** Told about every call while somebody listens. */
  readonly traces?: Pick<Traces, 'isWanted' | 'drive'>;
  readonly system?: DriveSystem;
}

/** Log writes must keep their order, so they have one thread of their own. */
const logWriteThreads = 1;
/** Apart from the readers: a sync may take long. Two, so that one file's sync overlaps with the next one's write. */
const blobWriteThreads = 2;
const readThreads = 2;

export class LocalDrive implements Drive {
  readonly log: LogStore;
  readonly blobs: BlobStore;
  readonly #log: LocalLogStore;
  readonly #blobs: LocalBlobStore;
  readonly #queues: { readonly log: DriveCalls; readonly write: DriveCalls; readonly read: DriveCalls };
  readonly #statistics = new DriveStatisticsCounter();
  #closing: Promise<void> | null = null;

  /** Takes over `lockFd`, which holds the drive's lock. */
  constructor(
    readonly path: string,
    readonly format: DriveFormat,
    private readonly lockFd: number,
    options: DriveOptions,
  ) {
    const clock = options.clock ?? systemClock;
    const callMsMax = options.callMsMax ?? limits.driveCallMsDefault;
    const isSynced = options.isSynced ?? true;
    const system = options.system ?? localSystem;
    const label = `${format.setIndex}.${format.position}`;
    const watch = { statistics: this.#statistics, traces: options.traces ?? null };
    const calls = (name: string, threads: number, msMax = callMsMax): DriveCalls => {
      const queue = system.createIoQueue(options.arena, `${name} ${label}`, threads, limits.driveQueueDepthMax);
      return new DriveCalls(queue, path, msMax, clock, watch);
    };
    this.#queues = {
      log: calls('log', logWriteThreads, Math.min(callMsMax, limits.driveLogCallMsMax)),
      write: calls('write', blobWriteThreads),
      read: calls('read', readThreads),
    };
    const { log, write, read } = this.#queues;
    this.#log = new LocalLogStore(path, { write: log, make: write, read }, isSynced);
    this.#blobs = new LocalBlobStore(path, { write, read }, isSynced);
    this.log = this.#log;
    this.blobs = this.#blobs;
  }

  async check(): Promise<DriveResult<void>> {
    const answer = await this.#queues.read.run({
      request: { kind: IoKind.stat, path: `${this.path}/${formatFile}` },
      describe: () => `look at ${formatFile}`,
    });
    return answer.ok ? { ok: true, value: undefined } : answer;
  }

  async space(): Promise<DriveResult<{ readonly totalBytes: number; readonly freeBytes: number }>> {
    const answer = await this.#queues.read.run({
      request: { kind: IoKind.space, path: this.path },
      describe: () => 'ask for space',
    });
    if (!answer.ok) return answer;
    const [totalBytes = 0, freeBytes = 0] = answer.value.values ?? [];
    return { ok: true, value: { totalBytes, freeBytes } };
  }

  statistics(): DriveStatistics {
    const waiting = Object.values(this.#queues).reduce((sum, queue) => sum + queue.waiting, 0);
    return this.#statistics.statistics(waiting);
  }

  close(graceMs: number): Promise<void> {
    this.#closing ??= this.#close(graceMs);
    return this.#closing;
  }

  async #close(graceMs: number): Promise<void> {
    const queues = Object.values(this.#queues);
    await Promise.all(queues.map((queue) => queue.close(graceMs)));
    this.#log.closeFiles();
    this.#blobs.closeFiles();
    // A call that was left behind may yet write: nobody else may have the drive while this process lives.
    if (!queues.some((queue) => queue.hasLeftCalls)) this.#queues.read.closeDescriptor(this.lockFd);
  }
}
