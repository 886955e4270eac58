/** A set's journal in service: commits through the sequencer, and beside it the drives that come back. */
import { Refusal, invariant } from '../base/index.js';
import type { LogStore } from '../drive/index.js';
import { CatchUp } from './catch-up.js';
import { Compactor, type SpaceFigures } from './compactor.js';
import { bitCount, hasBit } from './decide.js';
import type {
  ApplyBatch,
  CatchUpBodies,
  CommitPurpose,
  HealRecord,
  Journal,
  JournalHealth,
  LogFileReport,
  LogRecord,
  LogSpace,
  NewCatchUpPace,
  Prepare,
  VerifyFileOptions,
} from './journal.js';
import type { BatchHeader } from './layout.js';
import { Sequencer } from './sequencer.js';
import type { SetLog } from './set-log.js';
import { verifyLogFile } from './verify-file.js';

/** A drive that left the set is asked again after this, and after twice as long each time it leaves again. */
const rejoinMsMin = 30_000;
const rejoinMsMax = 3_600_000;
/** A set that had to stop looks at its drives again after this, then after twice as long. */
const restartMsDefault = 10_000;
/** When a drive has come back to it. */
const restartSoonMs = 1_000;
const restartMsMax = 300_000;

export interface RunningOptions {
  readonly dataShards: number;
  readonly apply: ApplyBatch;
  readonly healRecord: HealRecord;
  readonly newPace: NewCatchUpPace | undefined;
  readonly bodies: CatchUpBodies | undefined;
  readonly findBehindHole: (last: BatchHeader | null, sources: number) => Promise<BatchHeader | null>;
  /** Makes the start anew with the drives there are now. True: an epoch is open, the set is writable. */
  readonly reopen: () => Promise<boolean>;
  /** Every record of the history was read, as often as it was reopened. */
  readonly isWhole: () => boolean;
  readonly restartMs: number | undefined;
  readonly space: LogSpace | undefined;
  readonly compactEveryMs: number | undefined;
}

export class RunningJournal implements Journal {
  #sequencer: Sequencer | null = null;
  readonly #catchUp: CatchUp;
  #compactor: Compactor | null = null;
  /** Log files that are gone through now: they are not removed meanwhile. */
  readonly #verified: number[] = [];
  #reopening: Promise<void> | null = null;
  #isClosed = false;
  #restartTimer: NodeJS.Timeout | undefined;
  /** How often each drive has left. */
  readonly #departures = new Map<number, number>();

  constructor(
    private readonly setLog: SetLog,
    private readonly options: RunningOptions,
    isWritable: boolean,
  ) {
    this.#catchUp = new CatchUp(setLog, {
      healRecord: options.healRecord,
      newPace: options.newPace,
      bodies: options.bodies,
      findBehindHole: options.findBehindHole,
      join: async (position, last) => {
        const sequencer = this.#isReadOnly ? null : this.#sequencer;
        return await (sequencer === null ? last() : sequencer.join(position, last));
      },
      onJoined: (position) => this.#onJoined(position),
    });
    if (isWritable) this.#beginWriting();
    this.#startOthers();
  }

  commit(prepare: Prepare, purpose: CommitPurpose = 'grow'): Promise<LogRecord> {
    if (this.#sequencer === null) return Promise.reject(new Refusal('SlowDownWrite', 'The set is read-only.'));
    return this.#sequencer.commit(prepare, purpose);
  }

  settled(): Promise<void> {
    if (this.#sequencer === null) return Promise.reject(new Refusal('SlowDownWrite', 'The set is read-only.'));
    return this.#sequencer.settled();
  }

  async reportFault(position: number, operation: string): Promise<void> {
    if (!hasBit(this.setLog.members, position)) return;
    this.setLog.log.error('A drive leaves the set', { position, operation });
    if (this.canWrite) await this.#sequencer?.fence(1 << position).catch(() => undefined);
    // While nothing can be written, nothing relies on S; but what has gone must not be taken for there.
    if (!this.canWrite) this.setLog.members &= ~(1 << position);
  }

  async probe(): Promise<void> {
    if (this.canWrite) await this.#sequencer?.probe().catch(() => undefined);
  }

  reportFull(): void {
    this.#compactor?.noteFull();
  }

  /** A drive that was not there at the start, or had left the set, is usable now: it is caught up and joins. */
  joinDrive(position: number, store: LogStore): void {
    invariant(position >= 0 && position < this.setLog.stores.length, 'a drive has a position in its set');
    if (this.#isClosed || hasBit(this.setLog.members, position)) return;
    this.setLog.stores[position] = store;
    this.#catchUp.start(position);
    // With too few others to copy from it may still be one of enough.
    if (this.#isReadOnly) this.#restartLater(Math.min(restartSoonMs, this.#restartMs));
  }

  logFiles(): readonly number[] {
    return this.setLog.fileNumbers(this.setLog.members);
  }

  async verifyFile(fileNumber: number, options: VerifyFileOptions): Promise<LogFileReport> {
    // Without a sequencer the drives are not written to: what is wrong is only reported.
    const isRepair = options.isRepair && this.canWrite;
    const { members } = this.setLog;
    const asked = { ...options, isRepair, positions: options.positions & members };
    this.#verified.push(fileNumber);
    try {
      return await verifyLogFile(this.setLog, fileNumber, asked, (position, operation) => {
        void this.reportFault(position, operation);
      });
    } finally {
      this.#verified.splice(this.#verified.indexOf(fileNumber), 1);
    }
  }

  get epoch(): number {
    return this.setLog.epoch;
  }

  get canWrite(): boolean {
    return this.#sequencer?.canWrite === true;
  }

  get canGrow(): boolean {
    return this.canWrite && this.#sequencer?.canGrow === true;
  }

  get isWhole(): boolean {
    return this.options.isWhole();
  }

  /** Too few drives for writes: a look at all of them may find enough. */
  get #isReadOnly(): boolean {
    return this.#sequencer === null || this.#sequencer.isStopped;
  }

  get #restartMs(): number {
    return this.options.restartMs ?? restartMsDefault;
  }

  health(): JournalHealth {
    const { members, head } = this.setLog;
    return {
      epoch: this.epoch,
      sequence: head.last?.sequence ?? 0,
      inSync: this.setLog.positions(members),
      canRead: bitCount(members) >= this.options.dataShards,
      canWrite: this.canWrite,
      catchingUp: this.#catchUp.progress,
    };
  }

  unhealed(): ReadonlyMap<number, number> {
    const found = new Map<number, number>();
    for (const position of this.setLog.positions(this.setLog.members)) {
      const count = this.setLog.states.get(position)?.state.pendingHeals.length ?? 0;
      if (count > 0) found.set(position, count);
    }
    return found;
  }

  /** How much of the log is in use, and what compaction does about the rest; null while nothing can be written. */
  space(): SpaceFigures | null {
    return this.#compactor?.figures() ?? null;
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const compacted = this.#compactor?.close();
    const caughtUp = this.#catchUp.close();
    this.setLog.isClosed = true;
    clearTimeout(this.#restartTimer);
    await this.#sequencer?.close();
    await compacted;
    await caughtUp;
    await this.#reopening;
  }

  /**
   * S fell below w. What was under way is decided as at a start, as soon as there are enough drives:
   * until then the set is read-only.
   */
  #restartLater(waitMs: number): void {
    clearTimeout(this.#restartTimer);
    if (this.#isClosed) return;
    this.#restartTimer = setTimeout(() => {
      // Whoever is being brought up tells when it is whole.
      const restarted = this.#catchUp.progress.length > 0 ? Promise.resolve() : this.#restart();
      void restarted.then(() => {
        if (!this.#isReadOnly || this.#isClosed) return;
        // Those that failed once, and did not vanish, may be well again.
        this.setLog.setHangingAside();
        this.#startOthers();
        this.#restartLater(Math.min(restartMsMax, 2 * waitMs));
      });
    }, waitMs);
    this.#restartTimer.unref();
  }

  /** One at a time, and only of a set that is read-only. */
  #restart(): Promise<void> {
    this.#reopening ??= this.#restartNow()
      .catch((error: unknown) => {
        this.setLog.log.error('The set stays read-only', { cause: String(error) });
      })
      .finally(() => {
        this.#reopening = null;
      });
    return this.#reopening;
  }

  async #restartNow(): Promise<void> {
    if (!this.#isReadOnly) return;
    const stopped = this.#sequencer;
    if (stopped !== null) {
      const compacted = this.#compactor?.close();
      await stopped.close();
      await compacted;
      this.#compactor = null;
      this.#sequencer = null;
    }
    // A drive that takes hours must not keep those that are whole from being written.
    const interrupted = await this.#catchUp.interrupt();
    if (this.#isClosed) return;
    this.setLog.setHangingAside();
    const before = this.setLog.head.last;
    const isWritable = await this.options.reopen().finally(() => {
      for (const position of interrupted) this.#catchUp.start(position);
    });
    if (this.#isClosed) return;
    if (isWritable) {
      this.#beginWriting();
      this.setLog.log.info('The set takes writes again');
    }
    // Those that were whole, and were not enough, are brought up to what counts now.
    if (isWritable || this.setLog.head.last?.digest !== before?.digest) this.#startOthers();
  }

  #beginWriting(): void {
    clearTimeout(this.#restartTimer);
    const onLeave = (position: number): void => {
      // A call that hangs must have ended before: it would write over what catch-up copies.
      void this.setLog.settled(position).then(() => this.#rejoinLater(position));
    };
    const onStop = (): void => this.#restartLater(this.#restartMs);
    const hasIndexRoom = (isFew: boolean): boolean => this.options.space?.hasRoom(isFew) ?? true;
    this.#sequencer = new Sequencer(this.setLog, this.options.apply, onLeave, onStop, hasIndexRoom);
    const { space, findBehindHole, compactEveryMs } = this.options;
    if (space !== undefined) {
      this.#compactor = new Compactor(this.setLog, this.#sequencer, {
        space,
        findBehindHole,
        lookAgainMs: compactEveryMs,
        isNeeded: (fileNumber) => this.#catchUp.isNeeded(fileNumber) || this.#verified.includes(fileNumber),
        relocateHeals: (fileNumber, moved) => this.#catchUp.relocateHeals(fileNumber, moved),
      });
    }
    for (const position of this.setLog.positions(this.setLog.members)) this.#catchUp.heal(position);
  }

  #rejoinLater(position: number): void {
    const departures = this.#departures.get(position) ?? 0;
    this.#departures.set(position, departures + 1);
    this.#catchUp.start(position, Math.min(rejoinMsMax, rejoinMsMin * 2 ** departures));
  }

  #startOthers(): void {
    for (const position of this.setLog.positions(~this.setLog.members)) this.#catchUp.start(position);
  }

  #onJoined(position: number): void {
    if (this.#isClosed) return;
    // A read-only set has got another whole drive: it may be enough for a final verdict.
    if (this.#isReadOnly) void this.#restart();
    else this.#catchUp.heal(position);
  }
}
