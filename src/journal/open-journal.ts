/**
 * The way in: looks at the drives, recovers, replays into the index, opens a new epoch, and answers the
 * running journal together with what an operator should know about the start.
 */
import { MiB, StartupError, divCeil, invariant, type Clock, type SlabAllocator } from '../base/index.js';
import type { LogStore } from '../drive/index.js';
import { BatchCodec, type JournalKernels } from './batch-codec.js';
import { CommonReader, type CommonResult } from './batch-copier.js';
import { bitCount, hasBit, type ServeVerdict } from './decide.js';
import type { ApplyBatch, CatchUpBodies, HealRecord, LogPosition, LogSpace, NewCatchUpPace } from './journal.js';
import type { BatchHeader } from './layout.js';
import {
  bringUp,
  chainHeaders,
  examine,
  listPositions,
  writeBatchTo,
  type Findings,
  type HollowFile,
  findBehindHole,
} from './recovery.js';
import {
  HistoryEnds,
  findPosition,
  readHistory,
  replayInOrder,
  type HistoryOptions,
  type SetReplay,
} from './replay.js';
import { RunningJournal } from './running-journal.js';
import { SequenceNumbers, SetLog, type JournalLog } from './set-log.js';

export interface JournalOptions {
  /** UUID. */
  readonly deploymentId: string;
  readonly setIndex: number;
  /** By position; null when the drive is not usable. */
  readonly drives: readonly (LogStore | null)[];
  readonly dataShards: number;
  readonly slabs: SlabAllocator;
  /** With the arena attached and the deployment's hash key set. */
  readonly kernels: JournalKernels;
  readonly clock: Clock;
  readonly log: JournalLog;
  /** Where the index stands; null when it is empty. */
  readonly indexPosition: LogPosition | null;
  /** Called before replay when the index is not on the history, or empty: it must be empty afterwards. */
  readonly discardIndex: () => Promise<void>;
  readonly apply: ApplyBatch;
  readonly healRecord: HealRecord;
  /** How fast drives are brought up beside serving; without it as fast as they go. */
  readonly newPace?: NewCatchUpPace;
  /** For the progress of those. */
  readonly bodies?: CatchUpBodies;
  /** What compaction has to know; without it log files are never freed. */
  readonly space?: LogSpace;
  /** Of new log files. */
  readonly logFileBytes?: number;
  /** How often it is looked whether log files are worth compacting. */
  readonly compactEveryMs?: number;
  /** How long a set that lost its write quorum waits before it looks at its drives again. */
  readonly restartMs?: number;
}

export interface StartReport {
  /** Drives outside S after the start, with the reason in words. */
  readonly out: readonly { readonly position: number; readonly reason: string }[];
  readonly isReadOnly: boolean;
  /** More current drives than this may be lost before reads end. */
  readonly toleranceLeft: number;
  readonly replayedBatches: number;
  readonly rolledForwardBatches: number;
  readonly droppedBatches: number;
  readonly unreadableBatches: number;
  /** Places where no drive could read a batch any more. */
  readonly lostPlaces: number;
  /** Cut short, or not there, and to be repaired. */
  readonly hollowFiles: readonly HollowFile[];
}

export interface OpenedJournal {
  readonly journal: RunningJournal;
  readonly report: StartReport;
}

const logFileBytesDefault = 64 * MiB;
/** More wrong copies than this are left to later starts and to those who read them. */
const wrongCopiesMax = 1000;
/** One batch of the largest records fits many times over. */
export const logFileBytesMin = 1 * MiB;

export async function openJournal(options: JournalOptions): Promise<OpenedJournal> {
  const [opened] = await openJournals([options]);
  invariant(opened !== undefined, 'one set has one journal');
  return opened;
}

/**
 * The journals of sets that share one index and one numbering of batches. All of them are looked at before any drive is
 * changed, and all are brought to one end each before the index is: what a record of one set relies on in another was
 * durable before it, so each set's own verdict stands, and replay goes by the numbers.
 */
export async function openJournals(sets: readonly JournalOptions[]): Promise<OpenedJournal[]> {
  const numbers = new SequenceNumbers();
  const openings = sets.map((options) => new Opening(options, numbers, sets.length > 1));
  for (const opening of openings) await opening.look();
  for (const opening of openings) await opening.bringUp();
  await replayAll(openings);
  const journals: OpenedJournal[] = [];
  try {
    for (const opening of openings) journals.push(await opening.finish());
  } catch (error) {
    await Promise.all(journals.map(({ journal }) => journal.close()));
    throw error;
  }
  return journals;
}

/** Every batch behind what the index holds of each set, in the order of their numbers. */
async function replayAll(openings: readonly Opening[]): Promise<void> {
  const replays: OpeningReplay[] = [];
  try {
    for (const opening of openings) replays.push(await opening.replay());
    // An index that is not on one of the histories is worth nothing; one that is new has to be empty.
    const isUseless = replays.some(({ isLost }) => isLost) || openings.every(({ isUnknown }) => isUnknown);
    const [first] = openings;
    if (isUseless) await first?.options.discardIndex();
    for (const replay of replays) await replay.begin(isUseless);
    await replayInOrder(replays);
  } finally {
    for (const replay of replays) replay.close();
  }
}

interface OpeningReplay extends SetReplay {
  /** The index stands where this set's history has never been. */
  readonly isLost: boolean;
  begin(fromStart: boolean): Promise<void>;
  close(): void;
}

/** k of n shards; with as many parity shards as data shards one more drive makes writes unambiguous. */
export function writeQuorumOf(driveCount: number, dataShards: number): number {
  return driveCount === 2 * dataShards ? dataShards + 1 : dataShards;
}

class Opening {
  readonly #setLog: SetLog;
  #replayed = 0;
  /** Copies inside the history that turned out wrong; they are written anew once the set is writable. */
  readonly #wrongCopies: { readonly header: BatchHeader; readonly position: number }[] = [];
  #lost = 0;
  readonly #reasons = new Map<number, string>();
  readonly #hollow: HollowFile[] = [];

  readonly #hasOthers: boolean;
  #findings: Findings | null = null;
  /** Of what was read since the start: the start itself is in its report. */
  #isWhole = true;
  #chain: readonly BatchHeader[] = [];
  #members = 0;

  constructor(
    readonly options: JournalOptions,
    numbers: SequenceNumbers,
    hasOthers: boolean,
  ) {
    this.#hasOthers = hasOthers;
    const { drives, dataShards, setIndex } = options;
    const logFileBytes = options.logFileBytes ?? logFileBytesDefault;
    invariant(drives.length >= 1 && drives.length <= 16, 'a set has 1 to 16 drives');
    invariant(
      dataShards >= divCeil(drives.length, 2) && dataShards <= drives.length,
      'at most half of the shards are parity',
    );
    invariant(
      logFileBytes >= logFileBytesMin && logFileBytes % 4096 === 0,
      'a log file is whole pages, and large enough',
    );
    const deploymentId = Buffer.from(options.deploymentId.replaceAll('-', ''), 'hex');
    invariant(deploymentId.length === 16, 'a deployment id is a UUID');
    const identity = { deploymentId, setIndex, driveCount: drives.length, dataShards };
    const codec = new BatchCodec(identity, options.slabs, options.kernels);
    this.#applied = options.indexPosition;
    const writeQuorum = writeQuorumOf(drives.length, dataShards);
    this.#setLog = new SetLog(codec, [...drives], writeQuorum, logFileBytes, options.clock, options.log, numbers);
  }

  /** Where the index stands. */
  #applied: LogPosition | null;
  readonly #apply: ApplyBatch = async (records, position) => {
    await this.options.apply(records, position);
    this.#applied = position;
  };

  /** The index has never seen anything of this set. */
  get isUnknown(): boolean {
    return this.#applied === null;
  }

  /** Changes nothing; throws when the set cannot be served. */
  async look(): Promise<void> {
    const findings = await examine(this.#setLog, this.options.dataShards);
    for (const [position, reason] of findings.out) this.#leaveOut(position, reason);
    if (findings.verdict.kind === 'refused') throw this.#refusal(findings, findings.verdict.current);
    if (findings.verdict.kind === 'fresh' && !this.isUnknown && this.#hasOthers) {
      // The other sets go on without its objects only if somebody says so, by removing the index.
      throw new StartupError(
        `Set ${String(this.options.setIndex + 1)}: the index knows of its objects, and none of its drives has a log.`,
        'Bring its drives back and start again. Nothing was changed.',
      );
    }
    this.#findings = findings;
  }

  /** Brings the drives to one end. */
  async bringUp(): Promise<void> {
    const findings = this.#looked();
    const { verdict } = findings;
    // Drives that were not asked for the verdict count here: no number may be used twice.
    for (const drive of findings.drives) {
      if (drive !== null) this.#setLog.noteNumbers(drive.scan.epochMax, drive.scan.sequenceMax);
    }
    if (verdict.kind === 'fresh') {
      const blank = findings.drives.map(() => ({ ancestor: null, abandoned: [], isCurrent: true }));
      const { current } = verdict;
      this.#members = await this.#bringUpAll(findings, { current, drives: blank, isTailSuspect: false }, []);
      return;
    }
    invariant(verdict.kind === 'serve', 'a set that is refused was refused before');
    this.#setLog.noteNumbers(verdict.nextEpoch - 1, verdict.nextSequence - 1);
    this.#chain = chainHeaders(findings, verdict);
    this.#setLog.horizon = this.#tip().horizon;
    this.#members = verdict.isWritable ? await this.#bringUpAll(findings, verdict, this.#chain) : 0;
  }

  /** Opens an epoch when there are enough drives; the set is in service then. */
  async finish(): Promise<OpenedJournal> {
    const findings = this.#looked();
    const { verdict } = findings;
    if (verdict.kind === 'fresh') {
      if (!(await this.#setLog.openEpoch(this.#members))) throw this.#refusal(findings, this.#members);
      return this.#open(true, null);
    }
    invariant(verdict.kind === 'serve', 'a set that is refused was refused before');
    return this.#open(await this.#serve(verdict), verdict);
  }

  /** Where the index has to go on. The set of a first start has nothing to tell. */
  async replay(): Promise<OpeningReplay> {
    const findings = this.#looked();
    const { verdict } = findings;
    if (verdict.kind !== 'serve') {
      const nothing = { sequence: null, begin: () => Promise.resolve(), step: () => Promise.resolve() };
      return { ...nothing, isLost: !this.isUnknown, close: () => undefined };
    }
    const { codec, stores, foreign } = this.#setLog;
    const common = new CommonReader(codec, stores, foreign);
    const history = this.#history(common, this.#tip(), this.#sources(verdict));
    const position = this.#applied;
    const after = position === null ? null : await findPosition(history, position);
    let batches: AsyncGenerator<CommonResult> | null = null;
    let next: CommonResult | null = null;
    const advance = async (): Promise<void> => {
      for (next = null; next === null;) {
        const found = await this.#orEnd(async () => await batches?.next());
        if (found === undefined || found.done === true) return;
        // A batch without records changes nothing that an index knows.
        if (found.value.records.length > 0) next = found.value;
      }
    };
    return {
      isLost: position !== null && after === null,
      get sequence() {
        return next?.header.sequence ?? null;
      },
      begin: async (fromStart) => {
        batches = readHistory(history, fromStart ? null : after);
        await advance();
      },
      step: async () => {
        if (next === null) return;
        await this.#apply(next.records, this.#setLog.position(next.header));
        this.#replayed++;
        await advance();
      },
      close: () => {
        common.close();
      },
    };
  }

  async #orEnd<T>(read: () => Promise<T>): Promise<T> {
    try {
      return await read();
    } catch (error) {
      if (!(error instanceof HistoryEnds)) throw error;
      throw new StartupError(
        `Set ${String(this.options.setIndex + 1)}: ${error.message}.`,
        'Check the drives and start again.',
      );
    }
  }

  /** Ends the log where the verdict says, and opens an epoch when there are enough drives. */
  async #serve(verdict: ServeVerdict): Promise<boolean> {
    const members = this.#members;
    this.#setLog.advance(this.#tip());
    const isWritable = bitCount(members) >= this.#setLog.writeQuorum && (await this.#setLog.openEpoch(members));
    if (isWritable) await this.#repair();
    else this.#setLog.members = this.#sources(verdict);
    return isWritable;
  }

  /**
   * A read-only set looks again. What it shows already is not taken back: that takes a new start. Even when there are
   * too few drives to be written the end of the history may be another than before: of the batch that was under way when
   * the set stopped, and those that come back are brought up to it.
   */
  async #reopen(): Promise<boolean> {
    const findings = await examine(this.#setLog, this.options.dataShards);
    const { verdict } = findings;
    if (verdict.kind !== 'serve') return false;
    this.#findings = findings;
    await this.bringUp();
    const lostBefore = this.#lost;
    const replay = await this.replay();
    try {
      if (replay.isLost) {
        this.options.log.error('A batch that was shown is not part of the history: restart the server');
        return false;
      }
      await replay.begin(false);
      while (replay.sequence !== null) await replay.step();
      this.#isWhole &&= this.#lost === lostBefore && verdict.unreadable.length === 0 && !verdict.isTailSuspect;
    } finally {
      replay.close();
    }
    return await this.#serve(verdict);
  }

  #looked(): Findings {
    invariant(this.#findings !== null, 'the drives were looked at');
    return this.#findings;
  }

  #tip(): BatchHeader {
    const tip = this.#chain.at(-1);
    invariant(tip !== undefined, 'a history has a last batch');
    return tip;
  }

  /** Drives that hold the history and nothing else. */
  #sources(verdict: ServeVerdict): number {
    return bitCount(this.#members) >= this.#setLog.writeQuorum ? this.#members : verdict.current;
  }

  async #bringUpAll(
    findings: Findings,
    { current, drives, isTailSuspect }: Pick<ServeVerdict, 'current' | 'drives' | 'isTailSuspect'>,
    chain: readonly BatchHeader[],
  ): Promise<number> {
    let members = 0;
    const one = async (position: number): Promise<void> => {
      const found = findings.drives[position];
      const verdict = drives[position];
      if (!found || !verdict) return;
      const fault = await bringUp(
        this.#setLog,
        found,
        position,
        verdict,
        chain,
        findings.headers,
        isTailSuspect,
        this.#hollow,
      );
      if (fault === null) members |= 1 << position;
      else
        this.#leaveOut(
          position,
          fault === 'unreadable' ? 'its log could not be brought up' : `${fault.operation}: ${fault.kind}`,
        );
    };
    await Promise.all(this.#setLog.positions(current).map(one));
    return members;
  }

  #history(common: CommonReader, tip: BatchHeader, sources: number): HistoryOptions {
    const { log } = this.options;
    return {
      common,
      sources,
      tip,
      firstFile: this.#setLog.firstFile,
      findBehindHole: (last) => findBehindHole(this.#setLog, last, sources),
      onWrongCopy: (header, position) => {
        log.warn('A damaged batch was read from another drive', { position, sequence: header.sequence });
        if (this.#wrongCopies.length < wrongCopiesMax) this.#wrongCopies.push({ header, position });
      },
      onHole: (last, next) => {
        this.#lost++;
        const lost = { after: last?.sequence ?? 0, before: next.sequence };
        log.error('Batches that no drive can read any more were skipped', lost);
      },
    };
  }

  /** Whoever fails at this is found out with the next batch. */
  async #repair(): Promise<void> {
    const common = new CommonReader(this.#setLog.codec, this.#setLog.stores, this.#setLog.foreign);
    try {
      for (const { header, position } of this.#wrongCopies.splice(0)) {
        if (hasBit(this.#setLog.members, position)) await writeBatchTo(this.#setLog, common, header, position);
      }
    } finally {
      common.close();
    }
  }

  #open(isWritable: boolean, verdict: ServeVerdict | null): OpenedJournal {
    const { members, stores } = this.#setLog;
    const { dataShards, healRecord, newPace, bodies, restartMs, space, compactEveryMs } = this.options;
    const apply = this.#apply;
    const reopen = (): Promise<boolean> => this.#reopen();
    const hooks = {
      dataShards,
      apply,
      healRecord,
      newPace,
      bodies,
      findBehindHole: (last: BatchHeader | null, sources: number) => findBehindHole(this.#setLog, last, sources),
      reopen,
      isWhole: () => this.#isWhole,
      restartMs,
      space,
      compactEveryMs,
    };
    const journal = new RunningJournal(this.#setLog, hooks, isWritable);
    const out = listPositions(~members, stores.length).map((position) => ({
      position,
      reason: this.#reasons.get(position) ?? (!stores[position] ? 'not usable' : 'behind: it is being caught up'),
    }));
    const report: StartReport = {
      out,
      isReadOnly: !isWritable,
      toleranceLeft: Math.max(0, bitCount(members) - this.options.dataShards),
      replayedBatches: this.#replayed,
      rolledForwardBatches: verdict?.rolledForward.length ?? 0,
      droppedBatches: verdict?.dropped.length ?? 0,
      unreadableBatches: verdict?.unreadable.length ?? 0,
      lostPlaces: this.#lost + (verdict?.isTailSuspect === true ? 1 : 0),
      hollowFiles: this.#hollow.filter(({ position }) => hasBit(members, position)),
    };
    return { journal, report };
  }

  #leaveOut(position: number, reason: string): void {
    this.#reasons.set(position, reason);
  }

  #refusal(findings: Findings, current: number): StartupError {
    const { stores } = this.#setLog;
    const reachable = findings.drives.filter((drive) => drive !== null).length;
    const needed =
      findings.verdict.kind === 'refused' && findings.headers.size > 0
        ? this.options.dataShards
        : this.#setLog.writeQuorum;
    return new StartupError(
      `Set ${String(this.options.setIndex + 1)}: ${String(bitCount(current))} of ${String(stores.length)} drives hold everything that was acknowledged, ${String(needed)} are needed (${String(reachable)} can be read).`,
      'Bring back the missing drives and start again. Nothing was changed.',
    );
  }
}
