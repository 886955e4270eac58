/**
 * The growing end of one set's log: where the next batch goes, who is in S, and the writing of a batch
 * to all of S. It decides nothing about what is acknowledged; the sequencer does.
 */
import { invariant, limits, type Clock } from '../base/index.js';
import { errnoFields, isHarmless, type DriveFault, type LogStore } from '../drive/index.js';
import { scratchBytes, type BatchCodec } from './batch-codec.js';
import { buildBatch, plannedBytes, type BuiltBatch } from './batch-builder.js';
import { bitCount, hasBit, maskOf } from './decide.js';
import type { DriveStateFile } from './drive-state.js';
import type { PreparedRecord, LogPosition } from './journal.js';
import { batchEnd, slotsStart, type BatchHeader } from './layout.js';
import { releaseWhenSettled } from './log-reader.js';

export interface JournalLog {
  info(message: string, details?: Readonly<Record<string, unknown>>): void;
  warn(message: string, details?: Readonly<Record<string, unknown>>): void;
  error(message: string, details?: Readonly<Record<string, unknown>>): void;
}

/** Last batch of the history, and the highest numbers that were ever seen. */
export interface LogHead {
  readonly last: BatchHeader | null;
  readonly epochMax: number;
  readonly sequenceMax: number;
}

/** A log file that was cut short. */
export interface ShortFile {
  readonly fileNumber: number;
  readonly bytes: number;
  /** That it should have. */
  readonly fullBytes: number;
}

/** While so many drives are slow that it must be us, the write is tried again after this. */
const slowRetryMs = 250;
/** So often, each time for as long as a call may take. Then it is not us: they hang, and whoever waits is told. */
const slowRoundsMax = 4;
/** When others have answered again: a call that this machine held up comes back with theirs, give or take this. */
const comeBackMs = 1_000;
/** The wall clock and the one that never steps differ by more than they did: the machine slept, or its clock was set. */
const sleptMsMin = 1_000;
/** A drive without room is asked again after this. */
const fullRetryMs = 1000;

/** A clock that is set back by more than this was wrong before: whoever waited for it would have to for years. */
const stepBackMsMax = limits.clockSkewMsMax;

/** A commit is told of its batch two batches later at the most; a drive that joins is no more than so many behind. */
const recentMax = 512;

const EEXIST = 17;

/**
 * Numbers of batches. Sets of one deployment draw from one: what is decided later, in whichever set, has the higher
 * number.
 */
export class SequenceNumbers {
  #highest = 0;

  get highest(): number {
    return this.#highest;
  }

  note(sequence: number): void {
    this.#highest = Math.max(this.#highest, sequence);
  }
}

async function lists(store: LogStore | null | undefined, fileNumber: number, bytes: number): Promise<boolean> {
  const listed = await store?.listFiles();
  return listed?.ok === true && listed.value.some((file) => file.fileNumber === fileNumber && file.bytes === bytes);
}

export class SetLog {
  head: LogHead = { last: null, epochMax: 0, sequenceMax: 0 };
  /** S as bits. */
  members = 0;
  isClosed = false;
  /** The oldest log file that is needed, as the next batch will say; 0: the first. */
  horizon = 0;
  /** Compaction falls behind: every other batch belongs to what frees space. */
  isCrowded = false;
  /** Called when the log goes on in another file. */
  onNewFile: () => void = () => undefined;
  /** Digests of batches that were dropped or abandoned, and may still lie on a drive. */
  readonly foreign = new Set<string>();
  /** The journal's notes on each drive that was looked at. */
  readonly states = new Map<number, DriveStateFile>();
  /** Log files that each drive is known to have. */
  readonly #files = new Map<number, Map<number, number>>();
  /** By position: the last call that was given up while it was still in the kernel, and the drive that it was for. */
  readonly #hanging = new Map<number, { readonly store: LogStore; readonly ended: Promise<void> }>();
  /** The last batches, oldest first. */
  readonly #recent: BatchHeader[] = [];
  /** Files being made, by drive and number. */
  readonly #making = new Map<string, Promise<DriveFault | null>>();
  /** Between the two clocks, when a batch was last written. */
  #differenceMs: number;

  constructor(
    readonly codec: BatchCodec,
    readonly stores: (LogStore | null)[],
    readonly writeQuorum: number,
    readonly logFileBytes: number,
    readonly clock: Clock,
    readonly log: JournalLog,
    private readonly numbers = new SequenceNumbers(),
  ) {
    this.#differenceMs = this.#clockDifferenceMs();
  }

  get epoch(): number {
    return this.head.last?.epoch ?? 0;
  }

  positions(mask: number): number[] {
    const found: number[] = [];
    for (let position = 0; position < this.stores.length; position++) {
      if (this.stores[position] !== null && hasBit(mask, position)) found.push(position);
    }
    return found;
  }

  noteFiles(position: number, files: readonly { readonly fileNumber: number; readonly bytes: number }[]): void {
    this.#files.set(position, new Map(files.map((file) => [file.fileNumber, file.bytes])));
  }

  /**
   * Size of a log file that exists on some drive, else of those to come. It is the same on all of them: where one
   * differs it was damaged, and what most have counts; the largest when that is not clear.
   */
  fileBytes(fileNumber: number): number {
    let found = 0;
    let holders = 0;
    let isSame = true;
    for (const files of this.#files.values()) {
      const bytes = files.get(fileNumber);
      if (bytes === undefined) continue;
      isSame &&= holders === 0 || bytes === found;
      found = bytes;
      holders++;
    }
    // With one alone there is only the size of new ones to compare it with.
    if (holders < 2) return Math.max(found, this.logFileBytes);
    return isSame ? found : this.#usualBytes(fileNumber);
  }

  #usualBytes(fileNumber: number): number {
    const counts = new Map<number, number>();
    for (const files of this.#files.values()) {
      const bytes = files.get(fileNumber);
      if (bytes !== undefined) counts.set(bytes, (counts.get(bytes) ?? 0) + 1);
    }
    const [usual] = [...counts].sort(([a, countA], [b, countB]) => countB - countA || b - a);
    return usual?.[0] ?? this.logFileBytes;
  }

  isShort(position: number, fileNumber: number): boolean {
    const bytes = this.#files.get(position)?.get(fileNumber);
    return bytes !== undefined && bytes < this.fileBytes(fileNumber);
  }

  /** Log files of a drive, from `first` on, that were cut short. */
  shortFiles(position: number, first: number): ShortFile[] {
    return this.filesOf(position)
      .filter((fileNumber) => fileNumber >= first && this.isShort(position, fileNumber))
      .map((fileNumber) => ({
        fileNumber,
        bytes: this.#files.get(position)?.get(fileNumber) ?? 0,
        fullBytes: this.fileBytes(fileNumber),
      }));
  }

  /** Log files from `first` to `last` that other drives have and this one does not. */
  missingFiles(position: number, first: number, last: number): number[] {
    const isLost = (number: number): boolean => number >= first && number <= last && !this.hasFile(position, number);
    return this.#filesOn(~0).filter(isLost);
  }

  /**
   * Brings a file that was cut short back to its length; null when it has it. Nobody may write to the file meanwhile.
   * A drive without room for that goes on as it is until the next start: only the reserve is missing.
   */
  async restoreFile(position: number, fileNumber: number): Promise<DriveFault | null> {
    if (!this.isShort(position, fileNumber)) return null;
    const from = this.#files.get(position)?.get(fileNumber) ?? 0;
    const bytes = this.fileBytes(fileNumber);
    const extended = await this.stores[position]?.extendFile(fileNumber, from, bytes);
    if (extended?.ok === false && extended.fault.kind !== 'full') return extended.fault;
    this.#note(position, fileNumber, bytes);
    const details = { position, fileNumber, from, bytes };
    if (extended?.ok === false) this.log.warn('A log file was cut short, and there is no room to fill it up', details);
    else this.log.warn('A log file was cut short: it has its full length again', details);
    return null;
  }

  /** Where the history begins: what lies before it is there by accident, or not at all. */
  get firstFile(): number {
    return Math.max(1, this.horizon);
  }

  /** Log files of a drive, oldest first. */
  filesOf(position: number): number[] {
    return [...(this.#files.get(position)?.keys() ?? [])].sort((a, b) => a - b);
  }

  /** Takes a file off one drive. Null when that is durable. */
  async freeFile(position: number, fileNumber: number, keep: boolean): Promise<DriveFault | null> {
    // From here on nobody may believe that it is there.
    this.#files.get(position)?.delete(fileNumber);
    const freed = await this.stores[position]?.freeFile(fileNumber, keep);
    return freed?.ok === false ? freed.fault : null;
  }

  /** Log files of the given drives up to the end of the history, oldest first. */
  fileNumbers(mask: number): number[] {
    const last = this.head.last?.fileNumber ?? 0;
    return this.#filesOn(mask).filter((fileNumber) => fileNumber <= last);
  }

  #filesOn(mask: number): number[] {
    const numbers = new Set<number>();
    for (const position of this.positions(mask)) {
      for (const fileNumber of this.#files.get(position)?.keys() ?? []) numbers.add(fileNumber);
    }
    return [...numbers].sort((a, b) => a - b);
  }

  hasFile(position: number, fileNumber: number): boolean {
    return this.#files.get(position)?.has(fileNumber) === true;
  }

  /** Makes a log file on the drives that lack it, or have it cut short. Answers the faults by position. */
  async ensureFile(fileNumber: number, mask: number): Promise<Map<number, DriveFault>> {
    const bytes = this.fileBytes(fileNumber);
    const faults = new Map<number, DriveFault>();
    // The one in use is written to: it was filled up before its drive was in S.
    const isAhead = fileNumber > (this.head.last?.fileNumber ?? 0);
    const make = async (position: number): Promise<void> => {
      if (this.hasFile(position, fileNumber) && !(isAhead && this.isShort(position, fileNumber))) return;
      const fault = await this.#makeOnce(position, fileNumber, bytes);
      if (fault !== null) faults.set(position, fault);
    };
    await Promise.all(this.positions(mask).map(make));
    return faults;
  }

  /** The next file may be on its way already when it is needed: two calls must not make it twice. */
  #makeOnce(position: number, fileNumber: number, bytes: number): Promise<DriveFault | null> {
    const key = `${String(position)}/${String(fileNumber)}`;
    const known = this.#making.get(key);
    if (known !== undefined) return known;
    const make = async (): Promise<DriveFault | null> => {
      if (this.hasFile(position, fileNumber)) return this.restoreFile(position, fileNumber);
      const store = this.stores[position];
      const created = await store?.createFile(fileNumber, bytes);
      // A call that was given up as slow may have made the file after all.
      const isThere =
        created?.ok === true || (created?.fault.errno === EEXIST && (await lists(store, fileNumber, bytes)));
      if (isThere) this.#note(position, fileNumber, bytes);
      return isThere ? null : (created?.fault ?? null);
    };
    const making = make().finally(() => this.#making.delete(key));
    this.#making.set(key, making);
    return making;
  }

  /** Resolves when no write that was given up can reach the drive any more. */
  async settled(position: number): Promise<void> {
    await this.#hanging.get(position)?.ended;
  }

  /**
   * Leaves out the drives that a hanging write may still reach, until it has ended: they must not be
   * judged, and nothing may be written to them meanwhile. A drive that has taken the place of such a one stays.
   */
  setHangingAside(): void {
    for (const [position, { store, ended }] of this.#hanging) {
      if (this.stores[position] !== store) continue;
      this.stores[position] = null;
      void ended.then(() => (this.stores[position] ??= store));
    }
  }

  #noteHanging(position: number, store: LogStore, ended: Promise<void>): void {
    this.#hanging.set(position, { store, ended });
    void ended.then(() => {
      if (this.#hanging.get(position)?.ended === ended) this.#hanging.delete(position);
    });
  }

  /** Where a batch of so many bytes goes. */
  placeFor(totalBytes: number): { fileNumber: number; fileOffset: number } {
    const { last } = this.head;
    if (last === null) return { fileNumber: 1, fileOffset: 0 };
    const end = batchEnd(last);
    if (end + totalBytes <= this.fileBytes(last.fileNumber)) return { fileNumber: last.fileNumber, fileOffset: end };
    invariant(totalBytes <= this.fileBytes(last.fileNumber + 1), 'a batch fits into a log file');
    return { fileNumber: last.fileNumber + 1, fileOffset: 0 };
  }

  /** Whole files behind the one in use that all of S have. */
  get filesAhead(): number {
    const members = this.positions(this.members);
    let next = (this.head.last?.fileNumber ?? 1) + 1;
    const isThere = (fileNumber: number): boolean => {
      const bytes = this.fileBytes(fileNumber);
      return members.every((position) => (this.#files.get(position)?.get(fileNumber) ?? -1) >= bytes);
    };
    while (members.length > 0 && isThere(next)) next++;
    return next - 1 - (this.head.last?.fileNumber ?? 1);
  }

  /** Of the file in use. */
  get leftInFile(): number {
    const { last } = this.head;
    return this.fileBytes(last?.fileNumber ?? 1) - (last === null ? 0 : batchEnd(last));
  }

  /** Bytes that can be written without the making of a file: of the one in use, and those ahead of it. */
  get roomLeft(): number {
    const inUse = this.head.last?.fileNumber ?? 1;
    let room = this.leftInFile;
    for (let ahead = this.filesAhead; ahead > 0; ahead--) room += this.fileBytes(inUse + ahead);
    return room;
  }

  /** Highest sequence so far, of all sets that share the numbers; the next batch has a higher one. */
  get sequence(): number {
    return Math.max(this.head.sequenceMax, this.head.last?.sequence ?? 0, this.numbers.highest);
  }

  /** For the next batch of this set. Nobody else gets it. */
  takeSequence(): number {
    const sequence = this.sequence + 1;
    this.numbers.note(sequence);
    return sequence;
  }

  /**
   * Wall time, for people and clients: nothing is ordered by it. It waits for a clock that is put right by a little, so
   * that no version looks older than the one before it.
   */
  nextTimeMs(): number {
    const nowMs = Math.floor(this.clock.nowMs());
    const lastMs = this.head.last?.timeMs ?? 0;
    return lastMs - nowMs > stepBackMsMax ? nowMs : Math.max(nowMs, lastMs);
  }

  /** Puts a batch together for the end of the log. */
  async build(
    prepared: readonly PreparedRecord[],
    plan: {
      readonly sequence: number;
      readonly timeMs: number;
      readonly isEpochStart: boolean;
      readonly members: number;
    },
  ): Promise<BuiltBatch> {
    const { recordsBytes, totalBytes } = plannedBytes(prepared);
    const bytes = slotsStart(recordsBytes) + scratchBytes;
    const slab = this.codec.slabs.tryAllocate(bytes, 'commit') ?? (await this.codec.slabs.allocate(bytes, 'commit'));
    const { last, epochMax } = this.head;
    const epoch = plan.isEpochStart ? Math.max(epochMax, this.epoch) + 1 : this.epoch;
    const { sequence, timeMs, isEpochStart, members } = plan;
    const facts = {
      epoch,
      sequence,
      isEpochStart,
      members,
      committedUpTo: last?.sequence ?? 0,
      timeMs,
      previous: last?.digest ?? '',
      horizon: this.horizon,
    };
    return buildBatch(this.codec, slab, facts, this.placeFor(totalBytes), prepared);
  }

  /**
   * Writes and syncs a batch on all of `mask`. Answers the members that failed: they have to leave S.
   * A drive without room does not; it is asked again until it has some, and so it is when this process has run out of
   * what a write takes. Takes the batch's slab.
   */
  async write(
    batch: BuiltBatch,
    mask: number,
    onFull: () => void = () => undefined,
  ): Promise<ReadonlyMap<number, DriveFault>> {
    const faults = new Map<number, DriveFault>();
    const seen: DriveFault[] = [];
    const ofKind = (kind: DriveFault['kind']): number =>
      maskOf([...faults].flatMap(([position, fault]) => (fault.kind === kind ? [position] : [])));
    let pending = mask;
    let slowRounds = 0;
    while (pending !== 0) {
      for (const position of this.positions(pending)) faults.delete(position);
      await this.#writeOn(pending, batch, faults, seen);
      let isUs = false;
      if (bitCount(ofKind('slow')) > this.stores.length - this.writeQuorum && !this.isClosed) {
        isUs = !(await this.#othersAnswer(batch, mask, faults, seen)) && ++slowRounds <= slowRoundsMax;
      }
      if (this.isClosed) break;
      const full = ofKind('full');
      pending = full;
      if (isUs) {
        const slow = ofKind('slow');
        this.log.warn('Waiting for drives: too many are slow at once', { positions: this.positions(slow) });
        pending |= slow;
      }
      if (full !== 0) onFull();
      const starved = ofKind('starved');
      if (starved !== 0) this.log.warn('Waiting for descriptors or memory: this process has run out of them');
      pending |= starved;
      const isSoon = full === 0 && starved === 0;
      if (pending !== 0) await new Promise((resolve) => setTimeout(resolve, isSoon ? slowRetryMs : fullRetryMs));
    }
    this.#differenceMs = this.#clockDifferenceMs();
    releaseWhenSettled(batch.slab, ...seen);
    return faults;
  }

  async #writeOn(mask: number, batch: BuiltBatch, faults: Map<number, DriveFault>, seen: DriveFault[]): Promise<void> {
    const { fileNumber, fileOffset } = batch.header;
    const writeOne = async (position: number): Promise<void> => {
      const store = this.stores[position];
      const result = await store?.write(fileNumber, fileOffset, batch.segmentsFor(position));
      if (!store || result === undefined || result.ok) return;
      seen.push(result.fault);
      faults.set(position, result.fault);
      if (result.fault.settled !== undefined) this.#noteHanging(position, store, result.fault.settled);
    };
    await Promise.all(this.positions(mask).map(writeOne));
  }

  /**
   * More drives than may be lost do not fail in the same moment, as a rule: this machine stood still, and all that it
   * asked of its disks with it. It did not when drives that have the batch take it once more (the same bytes in the
   * same place) and the slow ones hang all the same.
   */
  async #othersAnswer(
    batch: BuiltBatch,
    mask: number,
    faults: Map<number, DriveFault>,
    seen: DriveFault[],
  ): Promise<boolean> {
    const slow = this.positions(maskOf([...faults].flatMap(([at, { kind }]) => (kind === 'slow' ? [at] : []))));
    const others = this.positions(mask & ~maskOf([...faults.keys()]));
    if (others.length === 0) return false;
    await this.#writeOn(maskOf(others), batch, faults, seen);
    if (others.every((position) => faults.has(position))) return false;
    const calls = slow.flatMap((position) => this.#hangingCall(position) ?? []);
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise((resolve) => (timer = setTimeout(resolve, comeBackMs)));
    await Promise.race([Promise.all(calls), late]);
    clearTimeout(timer);
    // What came back while this process did not run is told first.
    await new Promise((resolve) => setImmediate(resolve));
    const hanging = slow.filter((position) => this.#hangingCall(position) !== null);
    const answers = hanging.length > this.stores.length - this.writeQuorum;
    return answers && !this.#hasSlept();
  }

  /** Resolves when the call that was given up comes back; null when none is left. */
  #hangingCall(position: number): Promise<void> | null {
    const hanging = this.#hanging.get(position);
    return hanging?.store === this.stores[position] ? (hanging?.ended ?? null) : null;
  }

  /** Since the batch before this one. Disks take their time to wake up, and some more than others. */
  #hasSlept(): boolean {
    return Math.abs(this.#clockDifferenceMs() - this.#differenceMs) > sleptMsMin;
  }

  #clockDifferenceMs(): number {
    return this.clock.nowMs() - this.clock.monotonicMs();
  }

  /** The batch is on every drive of `mask`: it ends the log now. */
  advance(header: BatchHeader): void {
    const { epochMax, sequenceMax, last } = this.head;
    this.head = {
      last: header,
      epochMax: Math.max(epochMax, header.epoch),
      sequenceMax: Math.max(sequenceMax, header.sequence),
    };
    // A start made anew may have dropped the last.
    while ((this.#recent.at(-1)?.sequence ?? 0) >= header.sequence) this.#recent.pop();
    this.#recent.push(header);
    if (this.#recent.length > recentMax) this.#recent.shift();
    if (last !== null && last.fileNumber !== header.fileNumber) this.onNewFile();
  }

  /** Where a batch lies that was committed a moment ago. */
  recentPlace(sequence: number): { readonly fileNumber: number; readonly fileOffset: number } | null {
    return this.#recent.findLast((header) => header.sequence === sequence) ?? null;
  }

  /**
   * How many batches follow this one (null: the beginning); Infinity where that is more than are remembered. Numbers do
   * not say it, as other sets draw from them too.
   */
  batchesBehind(header: BatchHeader | null): number {
    const sequence = header?.sequence ?? 0;
    if (sequence >= (this.head.last?.sequence ?? 0)) return 0;
    const [oldest] = this.#recent;
    if (oldest === undefined || oldest.sequence > sequence) return Infinity;
    return this.#recent.reduce((count, one) => count + (one.sequence > sequence ? 1 : 0), 0);
  }

  /** How much of the log follows this batch. */
  bytesBehind(header: BatchHeader | null): number {
    return this.bytesBetween(header, this.head.last);
  }

  /** How much of the log lies between two batches, about: what is left over at the end of a file counts too. */
  bytesBetween(from: BatchHeader | null, to: BatchHeader | null): number {
    return Math.max(0, this.#endInLog(to) - this.#endInLog(from));
  }

  #endInLog(header: BatchHeader | null): number {
    if (header === null) return this.firstFile * this.logFileBytes;
    return header.fileNumber * this.logFileBytes + batchEnd(header);
  }

  /** A drive may come with higher numbers from a history that was never committed. */
  noteNumbers(epochMax: number, sequenceMax: number): void {
    this.head = {
      last: this.head.last,
      epochMax: Math.max(this.head.epochMax, epochMax),
      sequenceMax: Math.max(this.head.sequenceMax, sequenceMax),
    };
    this.numbers.note(sequenceMax);
  }

  /**
   * Writes S down on all of S. Who fails is left out of the next try. Answers whether an epoch of at
   * least w members is durable; S and the end of the log have changed then. If not, S is what is left.
   */
  async openEpoch(wanted: number): Promise<boolean> {
    let mask = wanted;
    while (bitCount(mask) >= this.writeQuorum && !this.isClosed) {
      const plan = { sequence: this.takeSequence(), timeMs: this.nextTimeMs(), isEpochStart: true, members: mask };
      const { totalBytes } = plannedBytes([]);
      const missing = await this.ensureFile(this.placeFor(totalBytes).fileNumber, mask);
      if (missing.size > 0) {
        const broken = new Map([...missing].filter(([, fault]) => !isHarmless(fault)));
        if (broken.size === 0) await new Promise((resolve) => setTimeout(resolve, fullRetryMs));
        else mask &= ~this.#report(broken, 'leaves the set');
        continue;
      }
      const batch = await this.build([], plan);
      const faults = await this.write(batch, mask);
      if (faults.size === bitCount(mask)) break;
      // Whoever did not fail holds it: it stays in the history, whether it counts or not.
      this.advance(batch.header);
      if (faults.size === 0) {
        this.members = mask;
        return true;
      }
      mask &= ~this.#report(faults, 'leaves the set');
    }
    this.members = mask;
    return false;
  }

  position(header: BatchHeader): LogPosition {
    const { fileNumber, fileOffset, epoch, sequence, digest } = header;
    return { fileNumber, fileOffset, epoch, sequence, digest };
  }

  #report(faults: ReadonlyMap<number, DriveFault>, what: string): number {
    for (const [position, { drive, operation, kind, errno }] of faults) {
      this.log.error(`Drive ${drive} ${what}: ${operation}: ${kind}`, { position, ...errnoFields(errno) });
    }
    return maskOf([...faults.keys()]);
  }

  #note(position: number, fileNumber: number, bytes: number): void {
    const files = this.#files.get(position) ?? new Map<number, number>();
    files.set(fileNumber, bytes);
    this.#files.set(position, files);
  }
}
