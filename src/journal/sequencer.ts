/**
 * The one order of things: commits are queued, sealed into a batch when the batch before it is durable,
 * written to all of S, applied and then acknowledged. Changes of S take their turn between batches.
 * Main thread only.
 */
import { Refusal, invariant } from '../base/index.js';
import { errnoFields, isHarmless, type DriveFault } from '../drive/index.js';
import { checkRecord, plannedBytes, type BuiltBatch } from './batch-builder.js';
import { bitCount, hasBit, maskOf } from './decide.js';
import type { ApplyBatch, CommitPurpose, LogRecord, Prepare, PreparedRecord } from './journal.js';
import {
  batchBytes,
  batchEnd,
  logBytesOf,
  ordersPerBatch,
  pageBytes,
  recordBytes,
  recordsBytesSoftMax,
  recordsPerBatchMax,
  slotSpace,
  slotsBytesSoftMax,
  type BatchHeader,
} from './layout.js';
import type { SetLog } from './set-log.js';

interface Waiting {
  readonly prepare: Prepare;
  readonly purpose: CommitPurpose;
  readonly sinceMs: number;
  readonly resolve: (record: LogRecord) => void;
  readonly reject: (error: unknown) => void;
}

interface Sealed {
  readonly waiting: readonly Waiting[];
  readonly prepared: readonly PreparedRecord[];
  readonly sequence: number;
  readonly timeMs: number;
}

/** Nothing comes back for it. */
function isGrowing({ purpose }: Waiting): boolean {
  return purpose !== 'free' && purpose !== 'move';
}

/**
 * A batch waits for most of the records that are under way, because a sync costs the same for one as for all: at most
 * about as long as these take, within these bounds, and for so many records (bench: `path.put.4KiB.c16`).
 */
const gatherMs = { min: 1, max: 5 };
const gatherRecordsMax = 256;
/** One of so many records under way may come with the next batch: nobody waits for the slowest. */
const leftOutOf = 10;
/** The preparation of a log file that found no room is tried again after this. */
const spareRetryMs = 2000;
/** When this process had no descriptor left for a file of the log, for so long as one is waited for. */
const starvedRetryMs = 100;
/**
 * Whole files ahead of the one in use: one to go on in, one that makes sure that compaction can empty a file into the
 * reserve however much deletes have taken of it. A log that has hardly begun has nothing to be compacted.
 */
const filesAheadMax = 2;
const hardlyBegunShare = 1 / 8;
/** Of a log file: what grows waits for the file that is being made rather than to leave less, for it may not fit. */
const growFloorShare = 3 / 2;
/**
 * Of a log file: what each purpose leaves of the reserve of a full set. Markers leave some to the records of the server,
 * both some to deletes: at least what makes so much garbage by itself that compaction begins (`tightGarbageShare`).
 * Deletes leave more than any file holds to moves, and these something to the epoch that frees a file.
 */
export const floorShares = { marker: 23 / 16, system: 11 / 8, free: 5 / 4, move: 1 / 16 } as const;
/** Of a log file, in small ones: what does not fit into the rest of one goes to the next. */
const batchShare = 1 / 8;
/** What finds no room waits so long for compaction to make some: a delete in any case, the rest while it is at it. */
const roomWaitMs = 20_000;
const moveLullMs = 500;
/** How often it is looked whether there is some. */
const heldLookMs = 100;
/** S was written to so lately that another write would show nothing new. */
const probedMsMax = 2_000;
/** How long the end waits for a log file that is being made. */
const spareGraceMs = 2000;

/** How much a batch counts in what is known of the speed of drives and of this thread. */
const paceWeight = 1 / 4;

export class Sequencer {
  #queue: Waiting[] = [];
  #turns: (() => Promise<void>)[] = [];
  #wake: (() => void) | null = null;
  /** While a batch waits for its records. */
  #gathering: { readonly wanted: number; readonly done: () => void } | null = null;
  #isClosed = false;
  /** The last turn was taken: nothing that is asked for now would ever get one. */
  #isOver = false;
  /** S fell below w: nothing is committed any more, reads go on. */
  #isStopped = false;
  /** The batch that is applied while the next is written. */
  #applying: Promise<void> = Promise.resolve();
  #isFull = false;
  /** This batch takes only what frees space. */
  #isFreeTurn = false;
  /** For how many records the next batch waits. */
  #wanted = 0;
  /** Of a batch: how long its write takes, and how long this thread works for one record, answer and all. */
  #writeMs = 0;
  #recordMs = 0;
  #lastSealMs = 0;
  #cycleMs = 0;
  /** When the last write began that all of S took. */
  #tookMs = -Infinity;
  #probing: Promise<void> | null = null;
  /** The making of the next log file. */
  #spare: Promise<void> | null = null;
  #spareTimer: NodeJS.Timeout | undefined;
  /** Everything that waits is held until there is room for it. */
  #isHeldUp = false;
  /** What moves took of the log, with their share of headers, padding, and ends of files that were left empty. */
  #movedLogBytes = 0;
  #lastMoveMs = -Infinity;
  readonly #done: Promise<void>;
  /** What the index failed with; then nothing is shown any more that is not in it. */
  #failure: unknown = null;

  constructor(
    private readonly setLog: SetLog,
    private readonly apply: ApplyBatch,
    private readonly onLeave: (position: number) => void,
    private readonly onStop: () => void,
    private readonly hasIndexRoom: (isFew: boolean) => boolean = () => true,
  ) {
    this.#done = this.#run();
    this.#makeSpare();
  }

  get canWrite(): boolean {
    return !this.#isStopped && !this.#isClosed && this.#failure === null;
  }

  /** S fell below w: a start anew may find enough drives. */
  get isStopped(): boolean {
    return this.#isStopped;
  }

  commit(prepare: Prepare, purpose: CommitPurpose): Promise<LogRecord> {
    return new Promise((resolve, reject) => {
      if (!this.canWrite) {
        reject(this.#refusal());
        return;
      }
      const entry = { prepare, purpose, sinceMs: this.setLog.clock.monotonicMs(), resolve, reject };
      const isRefused = purpose === 'grow' && this.#isFull;
      if (isRefused || (isGrowing(entry) && !this.hasIndexRoom(purpose === 'system'))) {
        reject(new Refusal('XMinioStorageFull'));
        return;
      }
      this.#queue.push(entry);
      this.#isHeldUp = false;
      this.#wakeUp();
    });
  }

  /** Takes drives out of S; resolves when that is durable, or when nothing can be written any more. */
  fence(mask: number): Promise<void> {
    return this.exclusively(async () => {
      const rest = this.setLog.members & ~mask;
      if (rest !== this.setLog.members) await this.#changeMembers(rest);
    });
  }

  /**
   * A drive does not answer somebody: whether it hangs shows when all of S is written to, as every commit does. Resolves
   * when that is known.
   */
  probe(): Promise<void> {
    this.#probing ??= this.exclusively(async () => {
      // The room that is left belongs to what makes more of it.
      if (this.#isFull || this.setLog.clock.monotonicMs() - this.#tookMs < probedMsMax) return;
      await this.#changeMembers(this.setLog.members);
    }).finally(() => (this.#probing = null));
    return this.#probing;
  }

  /** Holds the commits for `last`, and takes a drive into S when that answers true. */
  join(position: number, last: () => Promise<boolean>): Promise<boolean> {
    return this.exclusively(async () => {
      if (!(await last())) return false;
      if (!(await this.#changeMembers(this.setLog.members | (1 << position)))) return false;
      this.#makeSpare();
      return hasBit(this.setLog.members, position);
    });
  }

  /**
   * Writes down that nothing before this log file is needed: true when that is durable on all of S. It takes an
   * epoch, so that a start which finds it on one drive decides about it as about any other.
   */
  raiseHorizon(fileNumber: number): Promise<boolean> {
    return this.exclusively(async () => {
      invariant(fileNumber >= this.setLog.horizon, 'the horizon never falls');
      this.setLog.horizon = fileNumber;
      return await this.#changeMembers(this.setLog.members);
    });
  }

  /** There is no room for a further log file: only what frees space is accepted. */
  get isFull(): boolean {
    return this.#isFull;
  }

  /** Deletes wait for room. */
  get hasWaitingDeletes(): boolean {
    return this.#isFull && this.#isHeldUp && this.#queue.some(({ purpose }) => purpose === 'free');
  }

  /** What moves have taken of the log since the start. */
  get movedLogBytes(): number {
    return this.#movedLogBytes;
  }

  /** Some room has come back. */
  noteRoom(): void {
    if (this.canWrite) this.#makeSpare();
  }

  /** False: there is no room, in the log or for the index. */
  get canGrow(): boolean {
    return !this.#isFull && this.hasIndexRoom(false);
  }

  /** Everything that was prepared before is durable and applied. */
  settled(): Promise<void> {
    return this.exclusively(() => Promise.resolve());
  }

  /** Runs `act` between two batches: nothing is in flight, and everything is applied. */
  exclusively<T>(act: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.#isOver) {
        reject(this.#refusal());
        return;
      }
      this.#turns.push(async () => {
        if (!this.canWrite) {
          reject(this.#refusal());
          return;
        }
        await this.#applying;
        await act().then(resolve, reject);
      });
      this.#wakeUp();
    });
  }

  /** Waits for what is under way; nothing is committed afterwards. */
  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#spareTimer);
    this.#wakeUp();
    await this.#done;
    // A file half made is removed by the next start; a drive that hangs must not hold the end up.
    if (this.#spare !== null)
      await Promise.race([this.#spare, new Promise((resolve) => setTimeout(resolve, spareGraceMs))]);
  }

  /** Opens an epoch of `members`; below w the set stops. */
  async #changeMembers(members: number): Promise<boolean> {
    const before = this.setLog.members;
    const begunMs = this.setLog.clock.monotonicMs();
    if (!(await this.setLog.openEpoch(members))) {
      this.#stop();
      return false;
    }
    this.#tookMs = begunMs;
    for (const position of this.setLog.positions(before & ~this.setLog.members)) this.onLeave(position);
    return true;
  }

  async #run(): Promise<void> {
    for (;;) {
      const turn = this.#turns.shift();
      if (turn !== undefined) {
        await turn();
      } else if (this.#queue.length > 0 && this.canWrite && !this.#isHeldUp) {
        await this.#commitBatch();
      } else if (this.#isClosed) {
        break;
      } else {
        await new Promise<void>((resolve) => (this.#wake = resolve));
        // Whatever else arrives in this round of the event loop shares the batch.
        await new Promise((resolve) => setImmediate(resolve));
      }
    }
    await this.#applying;
    this.#rejectAll(this.#queue.splice(0));
    for (let turn = this.#turns.shift(); turn !== undefined; turn = this.#turns.shift()) await turn();
    this.#isOver = true;
  }

  /** What waits is looked at again when there may be room, or when it has waited enough. */
  #holdUp(): void {
    this.#isHeldUp = true;
    setTimeout(() => this.#goOn(), heldLookMs).unref();
  }

  #goOn(): void {
    this.#isHeldUp = false;
    this.#wakeUp();
  }

  #wakeUp(): void {
    const gathering = this.#gathering;
    if (gathering !== null) {
      if (this.#queue.length >= gathering.wanted || this.#turns.length > 0 || this.#isClosed) gathering.done();
      return;
    }
    this.#wake?.();
    this.#wake = null;
  }

  /** Whoever was answered by the last batch has probably sent the next request already. */
  async #gather(): Promise<void> {
    const wanted = Math.min(this.#wanted, gatherRecordsMax);
    if (this.#queue.length >= wanted || this.#turns.length > 0 || this.#isClosed) return;
    await new Promise<void>((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#gathering = null;
        resolve();
      };
      // A small batch is over soon: it says little about how long those of a large one are on their way.
      const patienceMs = Math.max(this.#cycleMs, 2 * wanted * this.#recordMs);
      const timer = setTimeout(done, Math.min(Math.max(patienceMs, gatherMs.min), gatherMs.max));
      this.#gathering = { wanted, done };
    });
  }

  async #commitBatch(): Promise<void> {
    await this.#gather();
    const sealed = this.#seal();
    if (sealed === null) return;
    const { clock } = this.setLog;
    const sealedMs = clock.monotonicMs();
    this.#cycleMs = sealedMs - this.#lastSealMs;
    this.#lastSealMs = sealedMs;
    try {
      await this.#write(sealed);
      this.#notePace(sealed.prepared.length, clock.monotonicMs() - sealedMs, sealedMs);
      const underWay = sealed.prepared.length + this.#queue.length;
      this.#wanted = underWay - this.#leftOut(underWay);
    } catch (error) {
      // A broken promise of our own on the way to the drives: what is in flight is decided at the next start.
      this.#failure = error;
      this.setLog.log.error('The journal stops', { cause: String(error) });
      for (const { reject } of sealed.waiting) reject(error);
      this.#rejectAll(this.#queue.splice(0));
    }
  }

  #notePace(records: number, writeMs: number, sealedMs: number): void {
    const lastMs = Math.max(0, (this.#queue.at(-1)?.sinceMs ?? 0) - sealedMs);
    // What is left out comes at once when this thread has nothing else to do; then it waits for the drives.
    const idleMs = Math.max(0, writeMs - lastMs);
    const recordMs = Math.max(0, this.#cycleMs - idleMs) / records;
    this.#writeMs += (writeMs - this.#writeMs) * paceWeight;
    this.#recordMs += (recordMs - this.#recordMs) * paceWeight;
  }

  /** Not where the write takes longer than all the work for them: there, one write for all is worth the wait. */
  #leftOut(underWay: number): number {
    return this.#writeMs >= underWay * this.#recordMs ? 0 : Math.floor(underWay / leftOutOf);
  }

  /** Calls `prepare` in order until the batch is large enough. Null: every one of them threw. */
  #seal(): Sealed | null {
    const sequence = this.setLog.sequence + 1;
    const timeMs = this.setLog.nextTimeMs();
    const fileBytes = this.setLog.logFileBytes;
    const recordsMax = Math.min(recordsBytesSoftMax, fileBytes * batchShare);
    const slotsMax = Math.min(slotsBytesSoftMax, fileBytes * batchShare);
    const waiting: Waiting[] = [];
    const prepared: PreparedRecord[] = [];
    let recordsBytes = 0;
    let slotsBytes = 0;
    let largestBytes = 0;
    let taken = 0;
    const held: Waiting[] = [];
    const nowMs = this.setLog.clock.monotonicMs();
    const mayBeShort = !this.#isFull && this.#spare !== null;
    this.#isFreeTurn = this.setLog.isCrowded && !this.#isFreeTurn && !this.#queue.every(isGrowing);
    for (const entry of this.#queue) {
      if (prepared.length >= recordsPerBatchMax || recordsBytes >= recordsMax || slotsBytes >= slotsMax) break;
      if (this.#isFull && this.#isFileFilled(batchBytes(recordsBytes, slotsBytes), largestBytes)) break;
      taken++;
      const isSpareAwaited = mayBeShort && this.#isShort(growFloorShare, recordsBytes + slotsBytes);
      if ((this.#isFreeTurn || isSpareAwaited) && isGrowing(entry)) {
        held.push(entry);
        continue;
      }
      if (this.#isFull && !this.#hasRoomFor(entry, recordsBytes + slotsBytes)) {
        if (this.#mayWait(entry, nowMs)) held.push(entry);
        else entry.reject(new Refusal('XMinioStorageFull'));
        continue;
      }
      try {
        const record = entry.prepare({ order: sequence * ordersPerBatch + prepared.length, timeMs });
        checkRecord(record, this.setLog.codec.identity.driveCount);
        waiting.push(entry);
        prepared.push(record);
        recordsBytes += recordBytes(record);
        slotsBytes += slotSpace(record.slots);
        largestBytes = Math.max(largestBytes, logBytesOf(record));
      } catch (error) {
        entry.reject(error);
      }
    }
    this.#queue = [...held, ...this.#queue.slice(taken)];
    if (prepared.length === 0) {
      if (held.length > 0 && held.length === this.#queue.length) this.#holdUp();
      return null;
    }
    // No other set has taken it since: nothing was waited for.
    invariant(this.setLog.takeSequence() === sequence, 'a number is taken once');
    return { waiting, prepared, sequence, timeMs };
  }

  /** Less is left behind the batch than this share of a log file, in a log that needs a reserve. */
  #isShort(share: number, batchBytes = 0): boolean {
    const { roomLeft, logFileBytes } = this.setLog;
    return this.#aheadWanted() === filesAheadMax && roomLeft - batchBytes < logFileBytes * share;
  }

  #mayWait({ purpose, sinceMs }: Waiting, nowMs: number): boolean {
    const isMoving = nowMs - this.#lastMoveMs < moveLullMs;
    return nowMs - sinceMs < roomWaitMs && (purpose === 'free' || (purpose !== 'grow' && isMoving));
  }

  /** One more record would leave the rest of the file empty: in a full set there is nothing to be lost like that. */
  #isFileFilled(totalBytes: number, largestBytes: number): boolean {
    const left = this.setLog.leftInFile;
    return largestBytes > 0 && totalBytes <= left && totalBytes + largestBytes + pageBytes > left;
  }

  /** In a full set, behind what the batch has already. */
  #hasRoomFor({ purpose }: Waiting, batchBytes: number): boolean {
    const { firstFile, head, logFileBytes, roomLeft } = this.setLog;
    if (purpose === 'grow') return false;
    // Without a finished file there is nothing that could be moved.
    const isLone = (head.last?.fileNumber ?? 1) <= firstFile;
    const share = purpose === 'free' && isLone ? floorShares.move : floorShares[purpose];
    return roomLeft - batchBytes > logFileBytes * share;
  }

  async #write(sealed: Sealed): Promise<void> {
    const { waiting, prepared, sequence, timeMs } = sealed;
    const place = this.setLog.placeFor(plannedBytes(prepared).totalBytes);
    if (!(await this.#ensureFile(place.fileNumber))) {
      this.#rejectAll(waiting);
      return;
    }
    const { members } = this.setLog;
    const batch = await this.setLog.build(prepared, { sequence, timeMs, isEpochStart: false, members });
    const onFull = (): void => {
      // What comes next is refused. This batch goes on as soon as there is room; its callers wait for that,
      // because the slots that are written are still their memory.
      this.#noteFull(true);
      const [growing, freeing] = [this.#queue.filter(isGrowing), this.#queue.filter((entry) => !isGrowing(entry))];
      this.#queue = freeing;
      this.#rejectAll(growing);
    };
    const begunMs = this.setLog.clock.monotonicMs();
    this.#noteMoves(batch, waiting);
    const faults = await this.setLog.write(batch, members, onFull);
    if (faults.size > 0 && !(await this.#leave(faults, batch.header))) {
      for (const { reject } of waiting) reject(this.#refusal());
      return;
    }
    if (faults.size === 0) {
      this.setLog.advance(batch.header);
      this.#tookMs = begunMs;
    }
    this.#makeSpare();
    await this.#applying;
    this.#applying = this.#applyAndAnswer(batch.records, batch.header, waiting);
  }

  /** Before it counts as the end of the log. */
  #noteMoves({ header, records }: BuiltBatch, waiting: readonly Waiting[]): void {
    let allBytes = 0;
    let movedBytes = 0;
    for (const [index, record] of records.entries()) {
      const bytes = logBytesOf(record);
      allBytes += bytes;
      if (waiting[index]?.purpose === 'move') movedBytes += bytes;
    }
    if (movedBytes === 0) return;
    this.#lastMoveMs = this.setLog.clock.monotonicMs();
    this.#movedLogBytes += (this.setLog.bytesBetween(this.setLog.head.last, header) * movedBytes) / allBytes;
  }

  /** The batch is on all of S but these: the rest becomes S before anything in it is acknowledged. */
  async #leave(faults: ReadonlyMap<number, DriveFault>, header: BatchHeader): Promise<boolean> {
    for (const [position, { drive, operation, kind, errno }] of faults) {
      const text = `Drive ${drive} leaves the set: ${operation}: ${kind}`;
      this.setLog.log.error(text, { position, ...errnoFields(errno) });
    }
    const rest = this.setLog.members & ~maskOf([...faults.keys()]);
    if (bitCount(rest) < this.setLog.writeQuorum) {
      // What has gone is not to be taken for there; whether the batch counts is decided as at a start.
      this.setLog.members = rest;
      this.#stop();
      return false;
    }
    this.setLog.advance(header);
    return await this.#changeMembers(rest);
  }

  async #applyAndAnswer(
    records: readonly LogRecord[],
    header: BatchHeader,
    waiting: readonly Waiting[],
  ): Promise<void> {
    try {
      invariant(records.length === waiting.length, 'every record has its caller');
      await this.apply(records, this.setLog.position(header));
      records.forEach((record, index) => waiting[index]?.resolve(record));
    } catch (error) {
      this.#failure = error;
      this.setLog.log.error('The index did not take a batch; nothing is committed any more', { cause: String(error) });
      for (const { reject } of waiting) reject(error);
      this.#rejectAll(this.#queue.splice(0));
      this.#wakeUp();
    }
  }

  /** Every member has the file, or has left S for it. False: there is no room, or S is too small. */
  async #ensureFile(fileNumber: number): Promise<boolean> {
    for (;;) {
      const missing = await this.setLog.ensureFile(fileNumber, this.setLog.members);
      if (missing.size === 0) return true;
      const broken = [...missing].filter(([, fault]) => !isHarmless(fault));
      if (broken.length === 0 && [...missing.values()].some(({ kind }) => kind === 'full')) {
        this.#noteFull(true, missing);
        return false;
      }
      if (broken.length === 0) {
        if (this.#isClosed) return false;
        await new Promise((resolve) => setTimeout(resolve, starvedRetryMs));
        continue;
      }
      const rest = this.setLog.members & ~maskOf(broken.map(([position]) => position));
      if (!(await this.#changeMembers(rest))) return false;
    }
  }

  /**
   * Files ahead of the one in use: they are there when they are needed, and are the reserve that lets deletes and
   * compaction go on when the drives are full.
   */
  #makeSpare(): void {
    const { last } = this.setLog.head;
    const ahead = this.setLog.filesAhead;
    const isThere = ahead >= this.#aheadWanted();
    if (isThere) this.#noteFull(false);
    // A set that has stopped may have no drive left that a file could be made on.
    if (isThere || this.#spare !== null || !this.canWrite) return;
    clearTimeout(this.#spareTimer);
    const next = (last?.fileNumber ?? 1) + ahead + 1;
    this.#spare = this.#makeOneByOne(next, this.setLog.members).then((faults) => {
      this.#spare = null;
      this.#goOn();
      const isFull = [...faults.values()].some((fault) => fault.kind === 'full');
      this.#noteFull(isFull, faults);
      const broken = [...faults].filter(([, fault]) => !isHarmless(fault)).map(([position]) => position);
      if (broken.length > 0 && this.canWrite) void this.fence(maskOf(broken)).catch(() => undefined);
      if (!this.canWrite) return;
      if (faults.size === 0) this.#makeSpare();
      else if (broken.length === 0) this.#spareTimer = setTimeout(() => this.#makeSpare(), spareRetryMs).unref();
    });
  }

  /** `faults`: of the drives that were asked, when it is known which. */
  #noteFull(isFull: boolean, faults: ReadonlyMap<number, DriveFault> = new Map()): void {
    if (isFull === this.#isFull) return;
    this.#isFull = isFull;
    const drives = [...faults.values()].flatMap(({ kind, drive }) => (kind === 'full' ? [drive] : []));
    if (isFull) this.setLog.log.warn('No room for the next log file: only what frees space is accepted', { drives });
    else this.setLog.log.info('There is room for the log again: all writes are accepted');
  }

  #aheadWanted(): number {
    const { last } = this.setLog.head;
    if (last === null) return 1;
    const isBegun = last.fileNumber > this.setLog.firstFile;
    return isBegun || batchEnd(last) > this.setLog.logFileBytes * hardlyBegunShare ? filesAheadMax : 1;
  }

  /** While there is time: one drive after another disturbs the commits less than all at once. */
  async #makeOneByOne(fileNumber: number, members: number): Promise<Map<number, DriveFault>> {
    const faults = new Map<number, DriveFault>();
    let left = members;
    for (const position of this.setLog.positions(members)) {
      if (this.#isClosed || left === 0) break;
      const some = this.#isShort(growFloorShare) ? left : 1 << position;
      for (const [key, fault] of await this.setLog.ensureFile(fileNumber, some)) faults.set(key, fault);
      left &= ~some;
      // Nobody uses the reserve up while the others are looked at.
      if ([...faults.values()].some((fault) => fault.kind === 'full')) break;
    }
    return faults;
  }

  #stop(): void {
    this.#isStopped = true;
    this.setLog.log.error('Too few drives: writes stop, reads go on');
    this.#rejectAll(this.#queue.splice(0));
    this.onStop();
  }

  #rejectAll(entries: readonly Waiting[]): void {
    const refusal = this.#isFull && this.canWrite ? new Refusal('XMinioStorageFull') : this.#refusal();
    for (const { reject } of entries) reject(refusal);
  }

  #refusal(): Refusal {
    return new Refusal('SlowDownWrite', 'The set cannot take writes now.', {}, this.#failure ?? undefined);
  }
}
