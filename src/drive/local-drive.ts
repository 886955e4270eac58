/** A drive on a local file system: its folder, its lock, its queues of native threads, its stores. */
import { limits, systemClock, type Clock } from '../base/index.js';
import { IoKind, type IoQueue, type IoResult } from '../native/index.js';
import type { Traces } from '../telemetry/index.js';
import { LocalBlobStore } from './blob-store.js';
import { DriveCalls } from './drive-calls.js';
import type { BlobStore, Drive, DriveFormat, DriveResult, DriveStatistics, LogStore } from './drive.js';
import { DriveStatisticsCounter } from './drive-statistics.js';
import { errnoText } from './errno.js';
import { folderIdOf, type OpenFolder } from './folder-id.js';
import { formatFile, ownFolder } from './layout.js';
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
  /** How many log files and blobs are open at a time, at most; what comes above that waits. */
  readonly descriptors?: { readonly logFilesMax: number; readonly blobsMax: number };
  readonly system?: DriveSystem;
}

/** Log writes must keep their order, so they have one thread of their own. */
const logWriteThreads = 1;
/** Apart from the readers: a sync may take long. Two, so that one file's sync overlaps with the next one's write. */
const blobWriteThreads = 2;
const readThreads = 2;

/** A queue could not enter the drive's folder. Never leaves this room. */
export class NoDescriptor extends Error {
  override readonly name = 'NoDescriptor';

  constructor(errno: number) {
    super(`the folder cannot be entered: ${errnoText(errno)}`);
  }
}

export class LocalDrive implements Drive {
  readonly log: LogStore;
  readonly blobs: BlobStore;
  readonly #log: LocalLogStore;
  readonly #blobs: LocalBlobStore;
  readonly #queues: { readonly log: DriveCalls; readonly write: DriveCalls; readonly read: DriveCalls };
  readonly #statistics = new DriveStatisticsCounter();
  /** What all calls and faults say of where it is. */
  readonly #place: { path: string; isAway: boolean };
  readonly folderId: string;
  #closing: Promise<void> | null = null;

  /**
   * Takes over `lockFd`, which holds the drive's lock. Borrows the folder: the queues have descriptors of their own, of
   * the lock too. A call that is left behind may yet write, so nobody else has the drive until it has come back.
   */
  constructor(
    path: string,
    readonly format: DriveFormat,
    folder: OpenFolder,
    private readonly lockFd: number,
    options: DriveOptions,
  ) {
    const clock = options.clock ?? systemClock;
    const callMsMax = options.callMsMax ?? limits.driveCallMsDefault;
    const isSynced = options.isSynced ?? true;
    const system = options.system ?? localSystem;
    const { descriptors = { logFilesMax: limits.logFilesOpenMax, blobsMax: Infinity } } = options;
    const label = `${format.setIndex}.${format.position}`;
    const watch = { statistics: this.#statistics, traces: options.traces ?? null };
    this.#place = { path, isAway: false };
    this.folderId = folder.id;
    const made: IoQueue[] = [];
    const calls = (name: string, threads: number, msMax = callMsMax): DriveCalls => {
      const queue = system.createIoQueue(options.arena, `${name} ${label}`, threads, limits.driveQueueDepthMax);
      made.push(queue);
      const errno = queue.enter(folder.fd) || queue.hold(lockFd);
      if (errno !== 0) throw new NoDescriptor(errno);
      return new DriveCalls(queue, this.#place, msMax, clock, watch);
    };
    try {
      this.#queues = {
        log: calls('log', logWriteThreads, Math.min(callMsMax, limits.driveLogCallMsMax)),
        write: calls('write', blobWriteThreads),
        read: calls('read', readThreads),
      };
    } catch (error) {
      for (const queue of made) void queue.close(0);
      throw error;
    }
    const { log, write, read } = this.#queues;
    this.#log = new LocalLogStore(this.#place, { write: log, make: write, read }, isSynced, descriptors.logFilesMax);
    this.#blobs = new LocalBlobStore({ write, read }, isSynced, descriptors.blobsMax, callMsMax);
    this.log = this.#log;
    this.blobs = this.#blobs;
  }

  get path(): string {
    return this.#place.path;
  }

  get isAway(): boolean {
    return this.#place.isAway;
  }

  seenAt(path: string | null): void {
    this.#place.isAway = path === null;
    this.#place.path = path ?? this.#place.path;
  }

  leftSet(): void {
    this.#queues.write.leaveOut(limits.driveLogCallMsMax);
    this.#queues.read.leaveOut(limits.driveLogCallMsMax);
  }

  get isHanging(): boolean {
    return Object.values(this.#queues).some((calls) => calls.isHanging);
  }

  get areReadsStuck(): boolean {
    return this.#queues.read.isStuckFor(limits.driveStuckMs);
  }

  get areWritesStuck(): boolean {
    return this.#queues.write.isStuckFor(limits.driveStuckMs);
  }

  giveUpReads(): void {
    this.#queues.read.giveUpStuck(limits.driveStuckMs);
  }

  /** By the path, as nothing else is done here: that what is asked for is still reached by it is the question. */
  async check(): Promise<DriveResult<void>> {
    const { path } = this;
    const operation = `look at ${formatFile}`;
    const look = (lookedAt: string): Promise<DriveResult<IoResult>> =>
      this.#queues.read.run({
        request: { kind: IoKind.stat, path: lookedAt },
        describe: () => operation,
        isLook: true,
      });
    const { read } = this.#queues;
    const timer = setInterval(() => read.giveUpStuck(limits.driveLogCallMsMax), limits.driveStuckMs).unref();
    const [folder, file] = await Promise.all([look(path), look(`${path}/${formatFile}`)]).finally(() => {
      clearInterval(timer);
    });
    if (!folder.ok) return folder;
    if (folderIdOf(folder.value) !== this.folderId) {
      const what = `${operation}: another folder is in its place`;
      return { ok: false, fault: { kind: 'missing', drive: path, operation: what, errno: 0 } };
    }
    return file.ok ? { ok: true, value: undefined } : file;
  }

  async space(): Promise<DriveResult<{ readonly totalBytes: number; readonly freeBytes: number }>> {
    const answer = await this.#queues.read.run({
      request: { kind: IoKind.space, path: ownFolder },
      describe: () => 'ask for space',
      repeats: true,
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
    this.#queues.read.closeDescriptor(this.lockFd);
  }
}
