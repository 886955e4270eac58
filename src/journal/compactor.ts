/**
 * Gives room of deleted records back. The log is a queue of files: what is still in use in the oldest one is
 * written again at the end, then an epoch says that the log begins behind it, then the file is freed on every
 * drive. Since files go in order, whatever a delete or a newer version made void lay before it in the log and is
 * gone before it: deletes need not be kept. Nothing has to be remembered: a start sees by the bytes in use how far
 * the oldest file has come. Main thread only.
 */
import { MiB } from '../base/index.js';
import { errnoFields, type DriveFault } from '../drive/index.js';
import { CommonReader } from './batch-copier.js';
import type { PendingHeal } from './drive-state.js';
import { RecordChanged, type LogRecord, type LogSpace, type PreparedRecord, type RecordMove } from './journal.js';
import { ordersPerBatch, type BatchHeader } from './layout.js';
import { readNext, type HistoryOptions } from './replay.js';
import { floorShares, type Sequencer } from './sequencer.js';
import type { SetLog } from './set-log.js';
import { SpanShards, slotSpans, type RecordSlots } from './shard-reader.js';

/** Compaction begins when so much of the finished files is not in use, and goes on until it is less than `garbageEnd`. */
const garbageBegin = 0.4;
const garbageEnd = 0.36;
/** Finished files that are always left alone: below this there is nothing to win. */
const finishedFilesMin = 2;
/** From this ratio of bytes to bytes in use on compaction no longer waits for anybody. */
const urgentRatio = 1.75;
const calmRatio = 1 / (1 - garbageBegin);
/** While others write, a step is followed by a pause of so many times its own length, less as it gets urgent. */
const pauseFactorMax = 3;
const pauseMsMax = 500;
/** Of one step: what is held in memory for all drives together, and records that share a few batches. */
const stepBytesMax = 4 * MiB;
const stepRecordsMax = 128;
/** The same when it is urgent. */
const urgentBytesMax = 16 * MiB;
const urgentRecordsMax = 512;
const lookAgainMsDefault = 500;
/** Something could not be moved: a drive may have to come back first. */
const blockedMsMin = 5_000;
const blockedMsMax = 300_000;
/** What was about to change in the first pass has changed by then. */
const passesMax = 3;
const passPauseMs = 50;
/** Of a log file: what emptying one may take of the reserve beside the bytes in use, at the most: ends of files, headers. */
const moveOverheadShare = 3 / 16;
/** In a full set: of a log file, what has to come back for the trouble; so much while the reserve is used. */
const gainShare = 1;
const tightGainShare = 1 / 8;
/** Beside it so much of what is moved for it, unless deletes wait: what is saved by packing alone is hardly more. */
const gainOfMoved = 1 / 256;
/** Of a log file: how far that may go below what deletes leave, when it is they who wait for it. */
const dipShare = 1 / 16;
/** Of how many log files it is remembered how tightly moves are packed; and what is taken for it at first, of a file. */
const packingFiles = 2;
const packingAtFirst = { log: 129 / 2048, live: 1 / 16 };

export interface SpaceFigures {
  /** Finished files, and of their bytes what is in use. */
  readonly finishedBytes: number;
  readonly liveBytes: number;
  readonly isCompacting: boolean;
  /** Since the start. */
  readonly freedFiles: number;
  readonly movedBytes: number;
}

export interface CompactorHooks {
  readonly space: LogSpace;
  /** A drive is being caught up from this file, or it is being gone through. */
  readonly isNeeded: (fileNumber: number) => boolean;
  /** Notes about records of this file name their new places from here on. False: not now. */
  readonly relocateHeals: (fileNumber: number, moved: ReadonlyMap<number, PendingHeal>) => Promise<boolean>;
  readonly findBehindHole: (last: BatchHeader | null, sources: number) => Promise<BatchHeader | null>;
  readonly lookAgainMs: number | undefined;
}

/** A pass over a file has to be given up. */
class Blocked extends Error {}

interface Piece {
  readonly record: LogRecord;
  readonly move: RecordMove;
}

export class Compactor {
  #isClosed = false;
  #isCompacting = false;
  /** Some drive had no room: garbage is given back down to what makes no further file. */
  #isReturning = false;
  #freedFiles = 0;
  #movedBytes = 0;
  readonly #sleeping = new Set<() => void>();
  #blockedMs = blockedMsMin;
  readonly #lookAgainMs: number;
  readonly #running: Promise<void>;
  /** Files behind the horizon, oldest first, one after the other. */
  #freeing: Promise<void> = Promise.resolve();
  /** What moves took of the log lately, and what of it had been in use. */
  readonly #packing = { logBytes: 0, liveBytes: 0 };
  #seenLogBytes = 0;
  /** New places of records that some drive has a note about, by their old order. */
  readonly #moved = new Map<number, PendingHeal>();

  constructor(
    private readonly setLog: SetLog,
    private readonly sequencer: Sequencer,
    private readonly hooks: CompactorHooks,
  ) {
    this.#lookAgainMs = hooks.lookAgainMs ?? lookAgainMsDefault;
    setLog.onNewFile = () => {
      if (!this.#isCompacting) this.#wakeAll();
    };
    this.#freeing = this.#freeLeftovers();
    this.#running = this.#run();
  }

  figures(): SpaceFigures {
    const { finishedBytes, liveBytes } = this.#usage();
    const [isCompacting, freedFiles, movedBytes] = [this.#isCompacting, this.#freedFiles, this.#movedBytes];
    return { finishedBytes, liveBytes, isCompacting, freedFiles, movedBytes };
  }

  /** A blob found no room. */
  noteFull(): void {
    this.#isReturning = true;
    if (!this.#isCompacting) this.#wakeAll();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#wakeAll();
    await this.#running;
    await this.#freeing;
  }

  get #isOver(): boolean {
    return this.#isClosed || !this.sequencer.canWrite;
  }

  async #run(): Promise<void> {
    let isGoing = false;
    while (!this.#isOver) {
      const fileNumber = this.#due(isGoing);
      this.#noteCrowd();
      this.#isCompacting = fileNumber !== null;
      isGoing = fileNumber !== null;
      if (fileNumber === null) {
        await this.#sleep(this.#lookAgainMs);
        continue;
      }
      try {
        await this.#empty(fileNumber);
        this.#blockedMs = blockedMsMin;
      } catch (error) {
        if (this.#isOver) break;
        this.setLog.log.warn('A log file cannot be compacted now', { fileNumber, cause: String(error) });
        await this.#sleep(this.#blockedMs);
        this.#blockedMs = Math.min(blockedMsMax, 2 * this.#blockedMs);
      }
    }
    this.#isCompacting = false;
  }

  /** Finished files are those before the one that is being written. */
  #usage(): { files: number; finishedBytes: number; liveBytes: number } {
    const current = this.setLog.head.last?.fileNumber ?? 0;
    let finishedBytes = 0;
    let liveBytes = 0;
    for (let fileNumber = this.setLog.firstFile; fileNumber < current; fileNumber++) {
      finishedBytes += this.setLog.fileBytes(fileNumber);
      liveBytes += this.hooks.space.liveBytes(fileNumber);
    }
    return { files: Math.max(0, current - this.setLog.firstFile), finishedBytes, liveBytes };
  }

  /** The file whose turn it is, or null when it is not worth while. */
  #due(isGoing: boolean): number | null {
    const { files, finishedBytes, liveBytes } = this.#usage();
    const oldest = this.setLog.firstFile;
    if (files === 0) return null;
    const oldestLive = this.hooks.space.liveBytes(oldest);
    if (oldestLive === 0) return oldest;
    if (this.#isReturning || this.sequencer.isFull) {
      this.#isReturning = this.#isWorthwhile();
      if (this.#isReturning) return oldest;
      if (this.sequencer.isFull) return null;
    }
    const share = (finishedBytes - liveBytes) / finishedBytes;
    return files >= finishedFilesMin && share >= (isGoing ? garbageEnd : garbageBegin) ? oldest : null;
  }

  /**
   * Whether the oldest files give back what is worth it, when they are emptied one after the other. What is moved goes
   * into the reserve first; and where files have hardly any garbage, moving them may take more than it gives. So all of
   * it is reckoned up before the first: deletes must not lose what they rely on.
   */
  #isWorthwhile(): boolean {
    const { firstFile, head, logFileBytes, roomLeft, leftInFile } = this.setLog;
    const { isFull, hasWaitingDeletes } = this.sequencer;
    const growth = this.#growth();
    const inUse = head.last?.fileNumber ?? 0;
    const isTight = isFull && roomLeft < logFileBytes * (floorShares.marker + tightGainShare);
    const wanted = logFileBytes * (isTight ? tightGainShare : gainShare);
    const floor = hasWaitingDeletes
      ? logFileBytes * (floorShares.free - dipShare)
      : Math.min(roomLeft, logFileBytes * (floorShares.free + tightGainShare));
    let gain = 0;
    let movedBytes = 0;
    for (let fileNumber = firstFile; fileNumber <= inUse; fileNumber++) {
      // What is moved until then has to finish the file in use, where deletes have left their own garbage.
      if (fileNumber === inUse && movedBytes < leftInFile) return false;
      const liveBytes = this.hooks.space.liveBytes(fileNumber);
      if (liveBytes + logFileBytes * moveOverheadShare >= roomLeft + gain) return false;
      movedBytes += liveBytes * growth;
      gain += logFileBytes - (fileNumber === inUse ? leftInFile : 0) - liveBytes * growth;
      if (roomLeft + gain < floor) return false;
      if (gain >= wanted + (hasWaitingDeletes ? 0 : movedBytes * gainOfMoved)) return true;
    }
    return false;
  }

  /** What a byte in use takes of the log once it is moved, as it was lately. */
  #growth(): number {
    const { movedLogBytes } = this.sequencer;
    const { logFileBytes } = this.setLog;
    const seen = this.#packing;
    seen.logBytes += movedLogBytes - this.#seenLogBytes;
    this.#seenLogBytes = movedLogBytes;
    if (seen.liveBytes > packingFiles * logFileBytes) {
      seen.logBytes /= 2;
      seen.liveBytes /= 2;
    }
    const [logBytes, liveBytes] = [packingAtFirst.log * logFileBytes, packingAtFirst.live * logFileBytes];
    return (seen.logBytes + logBytes) / (seen.liveBytes + liveBytes);
  }

  /** Moves what is in use, and puts the beginning of the log behind the file. */
  async #empty(fileNumber: number): Promise<void> {
    const { space } = this.hooks;
    this.#moved.clear();
    for (let pass = 1; space.liveBytes(fileNumber) > 0; pass++) {
      await this.#pass(fileNumber);
      if (this.#isOver) return;
      const left = space.liveBytes(fileNumber);
      if (left > 0 && pass === passesMax) throw new Blocked(`${String(left)} bytes in it could not be moved`);
      if (left > 0) await this.#sleep(passPauseMs);
    }
    if (!(await this.hooks.relocateHeals(fileNumber, this.#moved))) throw new Blocked('a drive is being healed');
    // Otherwise a start after a crash would find an index from before the horizon, and build it anew. That is only
    // slow, so a disk that takes nothing for the index must not keep this from making room.
    await space.keep().catch((error: unknown) => {
      this.setLog.log.warn('The index cannot be written', { cause: String(error) });
    });
    if (this.#isOver) return;
    if (!(await this.sequencer.raiseHorizon(fileNumber + 1))) return;
    const gone = space.readersGone();
    this.#freeing = this.#freeing.then(() => this.#free(fileNumber, gone));
  }

  async #pass(fileNumber: number): Promise<void> {
    const { codec, stores, foreign } = this.setLog;
    const common = new CommonReader(codec, stores, foreign);
    try {
      let last: BatchHeader | null = null;
      let pieces: Piece[] = [];
      let bytes = 0;
      for (;;) {
        const next = await readNext(this.#history(common, fileNumber), last);
        if (this.#isOver || next === null || next.header.fileNumber !== fileNumber) break;
        last = next.header;
        for (const record of next.records) {
          for (const move of this.hooks.space.movesOf(record, fileNumber)) {
            pieces.push({ record, move });
            bytes += record.body.length + (record.slots?.slotBytes ?? 0) * stores.length;
            // In a full set they are packed as tightly as can be.
            const isUrgent = this.setLog.isCrowded || this.sequencer.isFull;
            const recordsMax = isUrgent ? urgentRecordsMax : stepRecordsMax;
            if (pieces.length < recordsMax && bytes < (isUrgent ? urgentBytesMax : stepBytesMax)) continue;
            await this.#step(pieces);
            pieces = [];
            bytes = 0;
          }
        }
        if (this.hooks.space.liveBytes(fileNumber) === 0) break;
      }
      await this.#step(pieces);
    } finally {
      common.close();
    }
  }

  #history(common: CommonReader, fileNumber: number): HistoryOptions {
    const sources = this.setLog.members;
    const tip = this.setLog.head.last;
    if (tip === null) throw new Blocked('there is no history');
    return {
      common,
      sources,
      tip,
      firstFile: fileNumber,
      findBehindHole: (last) => this.hooks.findBehindHole(last, sources),
      onWrongCopy: () => undefined,
      onHole: (last, next) => {
        const place = { fileNumber, after: last?.sequence ?? 0, before: next.sequence };
        this.setLog.log.error('Compaction found batches that no drive can read', place);
      },
    };
  }

  /** Moves some pieces, and gives way to others afterwards. */
  async #step(pieces: readonly Piece[]): Promise<void> {
    if (pieces.length === 0 || this.#isOver) return;
    const { clock, head } = this.setLog;
    const beganMs = clock.monotonicMs();
    const sequence = head.last?.sequence ?? 0;
    const slotless = pieces.filter(({ move }) => !move.hasSlots);
    const moving = [this.#commitAll(slotless.map((piece) => ({ piece, slots: null })))];
    const withSlots = new Map<RecordSlots, Piece[]>();
    for (const piece of pieces) {
      const { slots } = piece.record;
      if (!piece.move.hasSlots || slots === null) continue;
      const sharing = withSlots.get(slots);
      if (sharing === undefined) withSlots.set(slots, [piece]);
      else sharing.push(piece);
    }
    const spanBytesMax = stepBytesMax / this.setLog.stores.length;
    for (const span of slotSpans([...withSlots.keys()], spanBytesMax)) moving.push(this.#moveSpan(span, withSlots));
    for (const outcome of await Promise.allSettled(moving)) if (outcome.status === 'rejected') throw outcome.reason;
    const tookMs = clock.monotonicMs() - beganMs;
    const batches = (this.setLog.head.last?.sequence ?? 0) - sequence;
    this.#noteCrowd();
    // Nobody else has written anything: there is nobody to wait for.
    if (batches > 2 + pieces.length / stepRecordsMax)
      await this.#sleep(Math.min(pauseMsMax, tookMs * this.#pauseFactor()));
  }

  async #moveSpan(
    span: ReturnType<typeof slotSpans>[number],
    piecesOf: ReadonlyMap<RecordSlots, readonly Piece[]>,
  ): Promise<void> {
    const { codec, stores } = this.setLog;
    const shards = await SpanShards.open(codec, stores, span, () => this.#isOver);
    if (shards === null) return;
    try {
      const members = this.setLog.positions(this.setLog.members);
      await shards.read(members);
      const found: { piece: Piece; slots: PreparedRecord['slots'] }[] = [];
      let isIncomplete = false;
      for (const slots of span.slots) {
        let shardOffsets = shards.shardsOf(slots);
        if (shardOffsets === null) {
          // A drive outside S may have what the others lost.
          await shards.read(this.setLog.positions(~this.setLog.members));
          shardOffsets = shards.shardsOf(slots);
        }
        if (shardOffsets === null) isIncomplete = true;
        else for (const piece of piecesOf.get(slots) ?? []) found.push({ piece, slots: { ...slots, shardOffsets } });
      }
      await this.#commitAll(found);
      if (isIncomplete) throw new Blocked('some of its records have too few readable shards');
    } finally {
      shards.close();
    }
  }

  /** The memory of the slots is needed until all of them have settled. */
  async #commitAll(found: readonly { piece: Piece; slots: PreparedRecord['slots'] }[]): Promise<void> {
    const outcomes = await Promise.allSettled(
      found.map(async ({ piece, slots }) => {
        try {
          const record = await this.sequencer.commit(() => piece.move.prepare(slots), 'move');
          this.#noteMove(piece.record, record);
          this.#packing.liveBytes += piece.move.liveBytes;
          this.#movedBytes += record.body.length + (record.slots?.slotBytes ?? 0);
        } finally {
          piece.move.settled();
        }
      }),
    );
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected' && !(outcome.reason instanceof RecordChanged)) throw outcome.reason;
    }
  }

  #noteMove(old: LogRecord, moved: LogRecord): void {
    const isNoted = [...this.setLog.states.values()].some(({ state }) => state.pendingHeals.length > 0);
    if (!isNoted) return;
    const place = this.setLog.recentPlace(Math.floor(moved.order / ordersPerBatch));
    if (place === null) return;
    this.#moved.set(old.order, { order: moved.order, fileNumber: place.fileNumber, fileOffset: place.fileOffset });
  }

  /** So much of the log is not in use that new records have to wait for old ones that move. */
  #noteCrowd(): void {
    const { files, finishedBytes, liveBytes } = this.#usage();
    this.setLog.isCrowded = files > finishedFilesMin && finishedBytes > urgentRatio * liveBytes;
  }

  #pauseFactor(): number {
    if (this.sequencer.isFull) return 0;
    const { finishedBytes, liveBytes } = this.#usage();
    const urgency = (finishedBytes / Math.max(1, liveBytes) - calmRatio) / (urgentRatio - calmRatio);
    return pauseFactorMax * Math.max(0, Math.min(1, 1 - urgency));
  }

  /** After a crash between the epoch and this, or for a drive that failed at it. */
  async #freeLeftovers(): Promise<void> {
    const { members, horizon } = this.setLog;
    for (const position of this.setLog.positions(members)) {
      for (const fileNumber of this.setLog.filesOf(position)) {
        if (fileNumber >= horizon || this.#isClosed) break;
        this.#report(await this.setLog.freeFile(position, fileNumber, false));
      }
    }
  }

  /** Not before the last reader has gone who may have been sent there. */
  async #free(fileNumber: number, gone: Promise<void>): Promise<void> {
    let isGone = false;
    void gone.then(() => (isGone = true));
    await Promise.resolve();
    while ((!isGone || this.hooks.isNeeded(fileNumber)) && !this.#isClosed) await this.#sleep(this.#lookAgainMs);
    // What is left is freed by the next start.
    if (this.#isClosed) return;
    const { members } = this.setLog;
    for (const position of this.setLog.positions(members)) {
      if (this.setLog.hasFile(position, fileNumber))
        this.#report(await this.setLog.freeFile(position, fileNumber, true));
    }
    this.#freedFiles++;
    this.sequencer.noteRoom();
  }

  #wakeAll(): void {
    for (const wake of this.#sleeping) wake();
  }

  /** Cut short by the end. */
  async #sleep(ms: number): Promise<void> {
    if (this.#isClosed || ms <= 0) return;
    await new Promise<void>((resolve) => {
      const wake = (): void => {
        clearTimeout(timer);
        this.#sleeping.delete(wake);
        resolve();
      };
      const timer = setTimeout(wake, ms);
      timer.unref();
      this.#sleeping.add(wake);
    });
  }

  #report(fault: DriveFault | null): void {
    if (fault === null) return;
    const { drive, operation, kind, errno } = fault;
    this.setLog.log.warn('A log file could not be freed', { drive, operation, kind, ...errnoFields(errno) });
  }
}
