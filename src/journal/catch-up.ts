/**
 * Brings drives that are outside S up to the history while commits go on, and takes them back into S.
 * What a drive has got is known from its own log, so a break costs nothing. Records without slots are
 * handed to the object layer, which rebuilds their blobs; what fails is noted on the drive and tried
 * again. Main thread only.
 */
import { Refusal } from '../base/index.js';
import type { DriveFault, LogStore } from '../drive/index.js';
import { CommonReader } from './batch-copier.js';
import { hasBit, maskOf } from './decide.js';
import { DriveStateFile, pendingHealsMax, type PendingHeal } from './drive-state.js';
import type {
  BodyProgress,
  CatchUpBodies,
  CatchUpPace,
  CatchUpProgress,
  HealRecord,
  LogRecord,
  NewCatchUpPace,
} from './journal.js';
import type { BatchHeader } from './layout.js';
import { cutBack, noteHeals, writeBatchTo } from './recovery.js';
import { readNext, type HistoryOptions } from './replay.js';
import { lastFileStart, listLogFiles, scanDrive, type DriveScan } from './scan.js';
import type { SetLog } from './set-log.js';

/** With so few batches left the sequencer is held, and the rest is copied: some milliseconds. */
const heldBatchesMin = 8;
/** So many take about a second. */
const heldBatchesMax = 256;
/** Batches copied within reach of the tip before the rest is left to the held stretch: then commits outrun us. */
const nearMax = 512;
/** Batches copied before more of them are copied with the sequencer held. */
const patience = 500;
/** Longest time that commits are held for a drive. */
const heldMsMax = 5_000;
/** Records of one batch that are healed at once. */
const healsAtOnce = 8;
const retryMsMin = 15_000;
const retryMsMax = 600_000;
const healRetryMs = 60_000;

export interface CatchUpOptions {
  readonly healRecord: HealRecord;
  readonly newPace: NewCatchUpPace | undefined;
  readonly bodies: CatchUpBodies | undefined;
  /** The first readable batch behind a hole in the history. */
  readonly findBehindHole: (last: BatchHeader | null, sources: number) => Promise<BatchHeader | null>;
  /**
   * Holds the commits, runs `last`, and takes the drive into S when that answers true. False: the drive
   * is not in S.
   */
  readonly join: (position: number, last: () => Promise<boolean>) => Promise<boolean>;
  /** Called when a drive is in the set again, or is whole in a set that is read-only. */
  readonly onJoined: (position: number) => void;
}

interface Target {
  readonly position: number;
  readonly store: LogStore;
  readonly state: DriveStateFile;
  readonly scan: DriveScan;
  readonly common: CommonReader;
  pending: PendingHeal[];
  /** The last batch of the history that the drive held when this attempt began. */
  readonly start: BatchHeader | null;
  /** Bytes of the log that earlier attempts copied. */
  readonly copiedBefore: number;
  /** The last one that it holds now. */
  last: BatchHeader | null;
  /** The attempt took too long, and was given up. */
  isLate: boolean;
  readonly round: number;
}

interface Reached {
  /** Of the log. */
  readonly copiedBytes: number;
  readonly behindBytes: number;
  readonly progress: number;
}

const nothingReached: Reached = { copiedBytes: 0, behindBytes: 1, progress: 0 };
/** All of it is what a drive in the set has. */
export const catchUpProgressMax = 0.99;
/** Where nobody counts them. */
const noBodies: BodyProgress = { count: 0, bytes: 0, doneBytes: 0 };

const unpaced: CatchUpPace = {
  restart: () => undefined,
  step: () => Promise.resolve(),
  close: () => undefined,
};

/** Stops an attempt; the drive is tried again later. */
class Later extends Error {}

export class CatchUp {
  readonly #running = new Map<number, Promise<void>>();
  /** Drives that are being brought up now. */
  readonly #begun = new Set<number>();
  /** By drive, over all attempts: how far it got, and the bytes of the log that were copied for it. */
  readonly #reached = new Map<number, Reached>();
  readonly #timers = new Set<NodeJS.Timeout>();
  readonly #waits = new Map<number, number>();
  /** By drive: the file that it is being copied from. */
  readonly #at = new Map<number, number>();
  readonly #paces = new Set<CatchUpPace>();
  #isClosed = false;
  /** Counts interruptions: what was begun in an earlier one ends. */
  #round = 0;

  constructor(
    private readonly setLog: SetLog,
    private readonly options: CatchUpOptions,
  ) {}

  get progress(): CatchUpProgress[] {
    return [...this.#begun].map((position) => {
      const bodies = this.#bodiesOf(position);
      // Bodies are written between one batch and the next.
      this.#reach(position, this.#reachedBy(position));
      const left = bodies === null ? null : { count: Math.max(0, bodies.count), bytes: Math.max(0, bodies.bytes) };
      return { position, progress: this.#reachedBy(position).progress, bodies: left };
    });
  }

  /** A drive is being copied that has not got past this file. One that waits for its next try needs nothing. */
  isNeeded(fileNumber: number): boolean {
    return [...this.#at.values()].some((at) => at <= fileNumber);
  }

  /**
   * Before a log file goes: notes about its records name the places that these were moved to, and those about
   * records that are gone end. False when a drive's notes are in use now.
   */
  async relocateHeals(fileNumber: number, moved: ReadonlyMap<number, PendingHeal>): Promise<boolean> {
    for (const position of this.setLog.positions(this.setLog.members)) {
      const state = this.setLog.states.get(position);
      if (state === undefined || !state.state.pendingHeals.some((heal) => heal.fileNumber <= fileNumber)) continue;
      if (this.#running.has(position)) return false;
      const pendingHeals = state.state.pendingHeals.flatMap((heal) =>
        heal.fileNumber > fileNumber ? [heal] : (moved.get(heal.order) ?? []),
      );
      const writing = state.write({ ...state.state, pendingHeals });
      const done = (): void => void this.#running.delete(position);
      this.#running.set(position, writing.then(done, done));
      if ((await writing) !== null) return false;
    }
    return true;
  }

  /** Begins, or begins again after a while. Does nothing for a drive that is being caught up already. */
  start(position: number, delayMs = 0): void {
    if (this.#isClosed) return;
    if (delayMs > 0) {
      this.#after(delayMs, () => this.start(position));
      return;
    }
    if (this.#running.has(position) || hasBit(this.setLog.members, position)) return;
    const store = this.setLog.stores[position] ?? null;
    if (store === null) return;
    this.#begun.add(position);
    const run = this.#run(position, store).then((isJoined) => {
      this.#running.delete(position);
      this.#begun.delete(position);
      if (isJoined) this.options.onJoined(position);
    });
    this.#running.set(position, run);
  }

  /** Ends what runs at the next batch. Answers the drives that were being brought up: they have to be started again. */
  async interrupt(): Promise<number[]> {
    const positions = [...this.#begun];
    this.#round++;
    for (const pace of this.#paces) pace.close();
    await Promise.all(this.#running.values());
    return positions;
  }

  /** Goes on with what could not be healed before. */
  heal(position: number): void {
    const state = this.setLog.states.get(position);
    if (this.#isClosed || state === undefined || state.state.pendingHeals.length === 0) return;
    if (this.#running.has(position)) return;
    const run = this.#healPending(position, state).finally(() => this.#running.delete(position));
    this.#running.set(position, run);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    for (const pace of this.#paces) pace.close();
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
    await Promise.all(this.#running.values());
  }

  #after(delayMs: number, act: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      act();
    }, delayMs);
    timer.unref();
    this.#timers.add(timer);
  }

  async #run(position: number, store: LogStore): Promise<boolean> {
    const { log } = this.setLog;
    const round = this.#round;
    try {
      await this.#catchUp(position, store);
      this.#waits.delete(position);
      this.#reached.delete(position);
      this.options.bodies?.end(position);
      const left = this.setLog.states.get(position)?.state.pendingHeals.length ?? 0;
      if (left === 0) log.info('A drive holds everything again', { position });
      else log.info('A drive takes part again; bodies are still to be rebuilt on it', { position, bodies: left });
      return true;
    } catch (error) {
      if (this.#isClosed || round !== this.#round) return false;
      // That of the sequencer, when the set stops in this moment.
      if (error instanceof Later || error instanceof Refusal)
        log.warn(`Catch-up is interrupted: ${error.message}`, { position });
      else log.error('Catch-up failed', { position, cause: String(error) });
      const wait = Math.min(retryMsMax, this.#waits.get(position) ?? retryMsMin);
      this.#waits.set(position, wait * 2);
      this.#after(wait, () => this.start(position));
      return false;
    }
  }

  async #catchUp(position: number, store: LogStore): Promise<void> {
    const common = new CommonReader(this.setLog.codec, this.setLog.stores, this.setLog.foreign);
    // Nothing may go from under our feet, wherever the drive turns out to be.
    this.#at.set(position, 0);
    try {
      const target = await this.#open(position, store, common, this.#round);
      const batches = this.setLog.batchesBehind(target.last);
      const known = Number.isFinite(batches) ? { batches } : {};
      this.setLog.log.info('Catch-up begins', { position, ...known, bytes: this.setLog.bytesBehind(target.last) });
      this.options.bodies?.begin(position, target.last?.sequence ?? 0, Number.isFinite(batches));
      await this.#prepare(target);
      await this.#copyHistory(target);
      const isIn = await this.options.join(position, () => this.#copyRestInTime(target));
      if (!isIn) throw new Later('the drive could not join');
    } finally {
      this.#at.delete(position);
      common.close();
    }
  }

  /** Scans the drive back to the last batch that it shares with the history. */
  async #open(position: number, store: LogStore, common: CommonReader, round: number): Promise<Target> {
    const { codec } = this.setLog;
    const tip = this.setLog.head.last;
    // Unless the others can be read now, what the drive has would be taken for foreign, and be cut off.
    if (tip !== null && (await common.read(tip, { digest: tip.digest }, this.#sources(position))) === null) {
      throw new Later('the other drives cannot be read');
    }
    const state = valueOf(await DriveStateFile.open(codec, store));
    this.setLog.states.set(position, state);
    const files = valueOf(await listLogFiles(store));
    this.setLog.noteFiles(position, files);
    const start = valueOf(await lastFileStart(codec, store, files));
    const { firstFile } = this.setLog;
    const oldest = Math.max(files[0]?.fileNumber ?? 1, firstFile);
    let from = Math.max(start?.fileNumber ?? 1, oldest);
    for (;;) {
      const scan = valueOf(await scanDrive(codec, store, files, from));
      const pending = [...state.state.pendingHeals];
      // Notes from before the horizon name records that may lie anywhere by now: only going through all of them helps.
      const isBehind = pending.some((heal) => heal.fileNumber < firstFile);
      const last = isBehind ? null : await this.#lastShared(scan, position, common);
      if (last !== null || from <= oldest || isBehind) {
        this.#at.set(position, last?.fileNumber ?? firstFile);
        const isFull = last === null;
        // Whatever was reached before, this is another drive, or one that is to get everything anew.
        if (isFull) this.#reach(position, nothingReached);
        const copiedBefore = this.#reachedBy(position).copiedBytes;
        const begun = { position, store, state, scan, common, round, copiedBefore };
        return { ...begun, pending: isFull ? [] : pending, start: last, last, isLate: false };
      }
      from--;
    }
  }

  async #lastShared(scan: DriveScan, position: number, common: CommonReader): Promise<BatchHeader | null> {
    const tip = this.setLog.head.last;
    for (const header of [...scan.batches].reverse()) {
      if (tip === null || header.sequence > tip.sequence) continue;
      const found = await common.read(header, { digest: header.digest }, this.#sources(position));
      if (found !== null) return header;
    }
    return null;
  }

  /** Marks the drive where what it lacks must prove nothing, and cuts what is not of the history. */
  async #prepare(target: Target): Promise<void> {
    const { position, scan, state, last } = target;
    const isEmptied = last === null;
    if (state.state.isWitness && (isEmptied || scan.tail === 'damaged')) {
      done(await state.write({ ...state.state, isWitness: false }));
    }
    this.setLog.noteNumbers(scan.epochMax, scan.sequenceMax);
    const files = this.setLog.filesOf(position);
    if (last === null) {
      // Nothing in common, or nothing any more: the drive gets the log as it is now. The newest file goes first.
      for (const fileNumber of files.reverse()) done(await this.setLog.freeFile(position, fileNumber, false));
      return;
    }
    done(await cutBack(this.setLog, position, scan.remains, scan.batches.slice(scan.batches.indexOf(last) + 1)));
    // Its last batch may never have been synced, whatever the page cache shows.
    await this.#copy(target, last);
    for (const fileNumber of files) {
      if (fileNumber < this.setLog.horizon) done(await this.setLog.freeFile(position, fileNumber, false));
    }
  }

  async #copyHistory(target: Target): Promise<void> {
    await this.#paced(1, ([pace = unpaced]) => this.#copyAtPace(target, pace));
  }

  async #copyAtPace(target: Target, pace: CatchUpPace): Promise<void> {
    let heldMax = heldBatchesMin;
    let near = 0;
    let bytesBefore = this.setLog.bytesBehind(target.last);
    let isOutrun = false;
    for (let copied = 1; ; copied++) {
      if (this.#isClosed) throw new Later('the server stops');
      if (target.round !== this.#round) throw new Later('the set is looked at anew');
      const tip = this.setLog.head.last;
      const behind = this.setLog.batchesBehind(target.last);
      // To the very tip while that can be had: what is left for the held stretch joins with its blobs unhealed.
      if (tip === null || behind === 0) return;
      if (behind <= heldMax && ++near > nearMax) return;
      // Under a load that grows the log as fast as it is copied, the last stretch must get longer.
      if (copied % patience === 0) {
        heldMax = Math.min(2 * heldMax, heldBatchesMax);
        // A drive that never gets there bears no loss: then it has to be faster than those who write.
        const bytes = this.setLog.bytesBehind(target.last);
        isOutrun = bytes >= bytesBefore;
        bytesBefore = bytes;
      }
      pace.restart();
      const { header, records } = await this.#next(target, tip);
      // Blobs have a pace of their own.
      if (await this.#healBatch(target, header, records)) pace.restart();
      await this.#copy(target, header);
      if (!isOutrun && behind > heldMax) await pace.step(header.totalBytes);
      target.last = header;
      this.#at.set(target.position, header.fileNumber);
      this.#noteProgress(target);
    }
  }

  /** Of what it lacked at first and what has come to that since. It never falls, however much comes. */
  #noteProgress({ position, last, start, copiedBefore }: Target): void {
    const copiedBytes = copiedBefore + this.setLog.bytesBetween(start, last);
    const { progress } = this.#reachedBy(position);
    this.#reach(position, { copiedBytes, behindBytes: this.setLog.bytesBehind(last), progress });
  }

  #reach(position: number, { copiedBytes, behindBytes, progress: before }: Reached): void {
    const bodies = this.#bodiesOf(position);
    let progress = before;
    if (bodies !== null) {
      const doneBytes = copiedBytes + bodies.doneBytes;
      const all = Math.max(1, doneBytes + behindBytes + Math.max(0, bodies.bytes));
      progress = Math.min(catchUpProgressMax, Math.max(progress, doneBytes / all));
    }
    this.#reached.set(position, { copiedBytes, behindBytes, progress });
  }

  #bodiesOf(position: number): BodyProgress | null {
    const { bodies } = this.options;
    return bodies === undefined ? noBodies : bodies.progress(position);
  }

  #reachedBy(position: number): Reached {
    return this.#reached.get(position) ?? nothingReached;
  }

  /** Commits wait for this: a drive that hangs now must not hold them. */
  async #copyRestInTime(target: Target): Promise<boolean> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<boolean>((resolve) => {
      timer = setTimeout(() => {
        target.isLate = true;
        resolve(false);
      }, heldMsMax);
    });
    const isWhole = await Promise.race([this.#copyRest(target), late]);
    clearTimeout(timer);
    return isWhole;
  }

  /** Nothing is committed meanwhile. What would take long is left for afterwards, and noted. */
  async #copyRest(target: Target): Promise<boolean> {
    try {
      const tip = this.setLog.head.last;
      target.common.forget();
      while (tip !== null && target.last?.digest !== tip.digest) {
        const { header, records } = await this.#next(target, tip);
        const blobless = records.filter((record) => record.slots === null);
        await this.#noteHeals(target, header, blobless);
        await this.#copy(target, header);
        target.last = header;
        if (target.isLate) throw new Later('it is too slow');
      }
      await this.#writeState(target, true);
      return !target.isLate;
    } catch (error) {
      if (!(error instanceof Later)) throw error;
      this.setLog.log.warn(`A drive cannot join: ${error.message}`, { position: target.position });
      return false;
    }
  }

  async #next(target: Target, tip: BatchHeader): Promise<{ header: BatchHeader; records: readonly LogRecord[] }> {
    const sources = this.#sources(target.position);
    const history: HistoryOptions = {
      common: target.common,
      sources,
      tip,
      firstFile: this.setLog.firstFile,
      findBehindHole: (last) => this.options.findBehindHole(last, sources),
      onWrongCopy: () => undefined,
      onHole: (last, next) =>
        this.setLog.log.error('Batches that no drive can read are skipped', {
          after: last?.sequence ?? 0,
          before: next.sequence,
        }),
    };
    // What was read ahead of the end of the log has been written since.
    const near = await readNext({ ...history, findBehindHole: () => Promise.resolve(null) }, target.last);
    if (near !== null) return near;
    target.common.forget();
    const next = await readNext(history, target.last);
    if (next === null) throw new Later('the history cannot be read');
    return next;
  }

  async #copy(target: Target, header: BatchHeader): Promise<void> {
    const written = await writeBatchTo(this.setLog, target.common, header, target.position);
    if (!written.ok) throw written.fault === null ? new Later('a batch cannot be read') : laterFor(written.fault);
    await this.#noteHeals(target, header, written.unrebuilt);
  }

  /** Whether there was anything to be looked at. */
  async #healBatch(target: Target, header: BatchHeader, records: readonly LogRecord[]): Promise<boolean> {
    const slotless = records.filter((record) => record.slots === null);
    const { failed, isFull } = await this.#healAll(slotless, target.position);
    // In the set it would end the writes of all, and not hold what it counts for.
    if (isFull) throw new Later('it has no room for what the others hold');
    await this.#noteHeals(target, header, failed);
    return slotless.length > 0;
  }

  async #healAll(
    records: readonly LogRecord[],
    position: number,
  ): Promise<{ readonly failed: LogRecord[]; readonly isFull: boolean }> {
    const failed: LogRecord[] = [];
    let isFull = false;
    await this.#paced(healsAtOnce, async (paces) => {
      let next = 0;
      const lane = async (pace: CatchUpPace): Promise<void> => {
        for (let record = records[next++]; record !== undefined; record = records[next++]) {
          pace.restart();
          const outcome = await this.options.healRecord(record, position, pace).catch(() => 'later');
          if (outcome !== 'healed') failed.push(record);
          isFull ||= outcome === 'full';
        }
      };
      await Promise.all(paces.slice(0, records.length).map(lane));
    });
    return { failed, isFull };
  }

  async #paced<T>(lanes: number, act: (paces: readonly CatchUpPace[]) => Promise<T>): Promise<T> {
    const { newPace } = this.options;
    const paces = Array.from({ length: lanes }, () => newPace?.(lanes) ?? unpaced);
    for (const pace of paces) {
      this.#paces.add(pace);
      if (this.#isClosed) pace.close();
    }
    try {
      return await act(paces);
    } finally {
      for (const pace of paces) this.#paces.delete(pace);
    }
  }

  /** Durable on the drive before the batch counts as copied. */
  async #noteHeals(target: Target, header: BatchHeader, records: readonly LogRecord[]): Promise<void> {
    noteHeals(target.pending, header, records);
    if (target.pending.length > pendingHealsMax) throw new Later('too much of this drive cannot be rebuilt now');
    await this.#writeState(target, target.state.state.isWitness);
  }

  async #writeState(target: Target, isWitness: boolean): Promise<void> {
    const { state } = target;
    const isSame = state.state.isWitness === isWitness && state.state.pendingHeals.length === target.pending.length;
    if (!isSame) done(await state.write({ isWitness, pendingHeals: [...target.pending] }));
  }

  async #healPending(position: number, state: DriveStateFile): Promise<void> {
    const common = new CommonReader(this.setLog.codec, this.setLog.stores, this.setLog.foreign);
    const left: PendingHeal[] = [];
    try {
      const pending = [...state.state.pendingHeals];
      const round = this.#round;
      for (const heal of pending) {
        if (this.#isClosed || round !== this.#round) return;
        const read = await common.read(heal, {}, this.#sources(-1));
        const record = read?.records.find(({ order }) => order === heal.order);
        if (read === null || record === undefined || !(await this.#healOne(common, read.header, record, position))) {
          left.push(heal);
        }
      }
      if (left.length < pending.length) {
        const fault = await state.write({ ...state.state, pendingHeals: left });
        if (fault !== null) this.setLog.log.warn('The notes about a drive could not be written', { position });
      }
    } catch (error) {
      this.setLog.log.error('Healing failed', { position, cause: String(error) });
    } finally {
      common.close();
    }
    if (left.length === 0) this.setLog.log.info('A drive holds everything again', { position });
    else this.#after(healRetryMs, () => this.heal(position));
  }

  async #healOne(common: CommonReader, header: BatchHeader, record: LogRecord, position: number): Promise<boolean> {
    if (record.slots === null) return (await this.#healAll([record], position)).failed.length === 0;
    const written = await writeBatchTo(this.setLog, common, header, position);
    return written.ok && !written.unrebuilt.some(({ order }) => order === record.order);
  }

  #sources(position: number): number {
    return this.setLog.members & ~maskOf(position < 0 ? [] : [position]);
  }
}

function valueOf<T>(result: { ok: true; value: T } | { ok: false; fault: DriveFault }): T {
  if (!result.ok) throw laterFor(result.fault);
  return result.value;
}

function done(fault: DriveFault | null): void {
  if (fault !== null) throw laterFor(fault);
}

function laterFor(fault: DriveFault): Later {
  return new Later(`${fault.operation}: ${fault.kind}`);
}
