/**
 * Looks at the logs of a set that no server uses: what a start would make of them, whether every batch and slot is
 * right, and what the history says. Writes nothing.
 */
import { StartupError, invariant, type Clock, type SlabAllocator } from '../base/index.js';
import type { LogStore } from '../drive/index.js';
import { BatchCodec, type JournalKernels } from './batch-codec.js';
import { CommonReader, type CommonResult } from './batch-copier.js';
import { bitCount, hasBit, type ServeVerdict } from './decide.js';
import type { ApplyBatch, LogFileReport, LogPosition, LogRecord, OnBad } from './journal.js';
import type { BatchHeader } from './layout.js';
import { writeQuorumOf } from './open-journal.js';
import { locateRecords, type LocatedRecord } from './record-copies.js';
import { chainHeaders, examine, findBehindHole, type Findings } from './recovery.js';
import { HistoryEnds, readHistory, replayInOrder, type HistoryOptions, type SetReplay } from './replay.js';
import { SetLog, type JournalLog, type ShortFile } from './set-log.js';
import { verifyLogFile } from './verify-file.js';

export interface CheckOptions {
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
}

/** What a start would do with one drive, in the order of how bad it is. */
export type DriveLogState =
  /** Holds the whole history. */
  | 'current'
  /** Lacks some of it, or has something else: it would be caught up. */
  | 'behind'
  /** Its log cannot be read. */
  | 'unreadable'
  /** No drive. */
  | 'absent';

export interface CheckedLog {
  /** By position. */
  readonly drives: readonly DriveLogState[];
  /** By position: batches at the end of the history that the next start writes to the drive. */
  readonly lacking: readonly number[];
  /** By position: log files that are shorter than they should be. */
  readonly shortFiles: readonly (readonly ShortFile[])[];
  /** Numbers of log files that a current drive should have, by position. */
  readonly missingFiles: readonly (readonly number[])[];
  /** Drives with the whole history, as bits. */
  readonly current: number;
  readonly isWritable: boolean;
  /** No drive holds a log: a set that was never used. */
  readonly isNew: boolean;
  /** Where the history ends; null when there is none. */
  readonly tip: LogPosition | null;
  /** Batches at the end of the log that a start would finish, drop, or keep although they cannot be read. */
  readonly unfinished: number;
  readonly dropped: number;
  readonly unreadable: number;
  readonly files: readonly number[];
  /** Drives that hold a file's copies of everything, and what is wrong in it. */
  verifyFile(fileNumber: number, pace: (bytes: number) => Promise<void>, onBad: OnBad): Promise<LogFileReport>;
  /** Records of the history in this file, with what each drive has of them, in the order in which they lie there. */
  locateRecords(fileNumber: number, isWanted: (record: LogRecord) => boolean): Promise<LocatedRecord[]>;
  /** For `replayChecked`. */
  openReplay(apply: ApplyBatch): CheckedReplay;
  /** Largest part of a file that is in use: for progress. */
  readonly bytes: number;
}

export interface CheckedReplay extends SetReplay {
  begin(): Promise<void>;
  /** Places where no drive has the next batch. */
  readonly holes: number;
  close(): void;
}

/** Applies the histories of all sets, in their one order. Answers, by set, places where no drive has the next batch. */
export async function replayChecked(
  logs: readonly CheckedLog[],
  applyOf: (setIndex: number) => ApplyBatch,
): Promise<number[]> {
  const replays = logs.map((log, setIndex) => log.openReplay(applyOf(setIndex)));
  try {
    for (const replay of replays) await replay.begin();
    await replayInOrder(replays);
    return replays.map(({ holes }) => holes);
  } finally {
    for (const replay of replays) replay.close();
  }
}

/** Throws StartupError when there are too few drives to know the history. */
export async function checkJournal(options: CheckOptions): Promise<CheckedLog> {
  const { drives, dataShards, setIndex } = options;
  const deploymentId = Buffer.from(options.deploymentId.replaceAll('-', ''), 'hex');
  invariant(deploymentId.length === 16, 'a deployment id is a UUID');
  const identity = { deploymentId, setIndex, driveCount: drives.length, dataShards };
  const codec = new BatchCodec(identity, options.slabs, options.kernels);
  const writeQuorum = writeQuorumOf(drives.length, dataShards);
  const setLog = new SetLog(codec, [...drives], writeQuorum, 0, options.clock, options.log);
  const findings = await examine(setLog, dataShards);
  const { verdict } = findings;
  if (verdict.kind === 'refused') {
    const reachable = findings.drives.filter((drive) => drive !== null).length;
    throw new StartupError(
      `set ${setIndex + 1}: ${bitCount(verdict.current)} of ${drives.length} drives hold everything that was acknowledged, ${dataShards} are needed (${reachable} can be read)`,
      'bring back the missing drives',
    );
  }
  const stateOf = (position: number): DriveLogState => {
    if (!drives[position]) return 'absent';
    if (findings.drives[position] === null) return 'unreadable';
    return hasBit(verdict.current, position) ? 'current' : 'behind';
  };
  const states = drives.map((_, position) => stateOf(position));
  if (verdict.kind === 'fresh') {
    const nothing = { unfinished: 0, dropped: 0, unreadable: 0, files: [], bytes: 0 };
    const none: LogFileReport = {
      sound: verdict.current,
      batches: 0,
      bytes: 0,
      bad: 0,
      repaired: 0,
      repairedBytes: 0,
      unreadable: 0,
      holes: 0,
    };
    return {
      ...nothing,
      drives: states,
      lacking: drives.map(() => 0),
      shortFiles: shortFilesOf(setLog),
      missingFiles: drives.map(() => []),
      current: verdict.current,
      isWritable: true,
      isNew: true,
      tip: null,
      verifyFile: () => Promise.resolve(none),
      locateRecords: () => Promise.resolve([]),
      openReplay: () => ({
        holes: 0,
        sequence: null,
        begin: () => Promise.resolve(),
        step: () => Promise.resolve(),
        close: () => undefined,
      }),
    };
  }
  return served(setLog, findings, verdict, states);
}

function served(
  setLog: SetLog,
  findings: Findings,
  verdict: ServeVerdict,
  states: readonly DriveLogState[],
): CheckedLog {
  const tip = chainHeaders(findings, verdict).at(-1);
  invariant(tip !== undefined, 'a history has a last batch');
  setLog.members = verdict.current;
  setLog.horizon = tip.horizon;
  // What current drives lack of it yet is left out: a start would write it.
  setLog.advance(lastOnAll(setLog, findings, verdict) ?? tip);
  const files = setLog.fileNumbers(verdict.current).filter((fileNumber) => fileNumber >= setLog.firstFile);
  return {
    drives: states,
    lacking: states.map((_, position) => (hasBit(verdict.current, position) ? lackingOf(verdict, position) : 0)),
    shortFiles: shortFilesOf(setLog),
    missingFiles: states.map((_, position) =>
      hasBit(verdict.current, position) ? files.filter((fileNumber) => !setLog.hasFile(position, fileNumber)) : [],
    ),
    current: verdict.current,
    isWritable: verdict.isWritable,
    isNew: false,
    tip: setLog.position(tip),
    unfinished: verdict.rolledForward.length,
    dropped: verdict.dropped.length,
    unreadable: verdict.unreadable.length,
    files,
    bytes: files.reduce((sum, fileNumber) => sum + setLog.fileBytes(fileNumber), 0) * bitCount(verdict.current),
    verifyFile: (fileNumber, pace, onBad) =>
      verifyLogFile(setLog, fileNumber, { positions: verdict.current, isRepair: false, pace, onBad }, () => undefined),
    locateRecords: (fileNumber, isWanted) => locateRecords(setLog, { fileNumber, tip }, isWanted),
    openReplay: (apply) => new HistoryReplay(setLog, tip, apply),
  };
}

function shortFilesOf(setLog: SetLog): (readonly ShortFile[])[] {
  return setLog.stores.map((_, position) => setLog.shortFiles(position, setLog.firstFile));
}

function lackingOf({ drives, chain }: ServeVerdict, position: number): number {
  const ancestor = drives[position]?.ancestor ?? null;
  return chain.length - 1 - chain.findIndex(({ digest }) => digest === ancestor);
}

/** The last batch that every current drive holds. */
function lastOnAll(setLog: SetLog, findings: Findings, verdict: ServeVerdict): BatchHeader | null {
  const held = setLog
    .positions(verdict.current)
    .map((position) => new Set(findings.drives[position]?.scan.batches.map(({ digest }) => digest) ?? []));
  for (const header of chainHeaders(findings, verdict).reverse()) {
    if (held.every((digests) => digests.has(header.digest))) return header;
  }
  return null;
}

class HistoryReplay implements CheckedReplay {
  holes = 0;
  readonly #common: CommonReader;
  readonly #batches: AsyncGenerator<CommonResult>;
  #next: CommonResult | null = null;

  constructor(
    private readonly setLog: SetLog,
    tip: BatchHeader,
    private readonly apply: ApplyBatch,
  ) {
    this.#common = new CommonReader(setLog.codec, setLog.stores, setLog.foreign);
    const sources = setLog.members;
    const history: HistoryOptions = {
      common: this.#common,
      sources,
      tip,
      firstFile: setLog.firstFile,
      findBehindHole: (last) => findBehindHole(setLog, last, sources),
      onWrongCopy: () => undefined,
      onHole: () => {
        this.holes++;
      },
    };
    this.#batches = readHistory(history, null);
  }

  get sequence(): number | null {
    return this.#next?.header.sequence ?? null;
  }

  begin(): Promise<void> {
    return this.#advance();
  }

  async step(): Promise<void> {
    if (this.#next === null) return;
    await this.apply(this.#next.records, this.setLog.position(this.#next.header));
    await this.#advance();
  }

  close(): void {
    this.#common.close();
  }

  async #advance(): Promise<void> {
    this.#next = null;
    try {
      for (let found = await this.#batches.next(); found.done !== true; found = await this.#batches.next()) {
        if (found.value.records.length === 0) continue;
        this.#next = found.value;
        return;
      }
    } catch (error) {
      if (!(error instanceof HistoryEnds)) throw error;
      this.holes++;
    }
  }
}
