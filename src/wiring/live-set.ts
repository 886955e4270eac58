/** The drives of the set as the running server sees them: which are there, which take part in writes. */
import { invariant } from '../base/index.js';
import { errnoFields, isHarmless, type Drive, type DriveFault } from '../drive/index.js';
import type { DriveSet } from '../erasure/index.js';
import type { Journal } from '../journal/index.js';
import type { Logger } from '../telemetry/index.js';

/** One line per drive and minute: a broken drive fails every request. */
const reportEveryMs = 60_000;
/** A drive that left stays away for 15 s at least before it is taken back: no departure goes unseen. */
const watchEveryMs = 2_000;

export interface DriveStatus {
  readonly position: number;
  /** Null while there is none. */
  readonly path: string | null;
  /** `out`: it is there, and waits for its next try. */
  readonly state: 'in-sync' | 'catching-up' | 'out' | 'missing';
  /** From 0 to 1 while it is caught up. */
  readonly progress: number | null;
}

export class LiveSet implements DriveSet {
  readonly driveCount: number;
  #journal: Journal | null = null;
  readonly #departures: number[];
  #epoch = -1;
  #timer: NodeJS.Timeout | undefined;
  #members: readonly number[] = [];
  readonly #reportedAtMs = new Map<string, number>();
  readonly #drives: (Drive | null)[];

  constructor(
    readonly deploymentId: string,
    drives: readonly (Drive | null)[],
    private readonly log: Logger,
    readonly monotonicMs: () => number,
    readonly setIndex = 0,
  ) {
    this.#drives = [...drives];
    this.driveCount = drives.length;
    this.#departures = drives.map(() => 0);
  }

  start(journal: Journal): void {
    this.#journal = journal;
    this.#watch();
    this.#timer = setInterval(() => this.#watch(), watchEveryMs).unref();
  }

  close(): void {
    clearInterval(this.#timer);
  }

  drive(position: number): Drive | null {
    return this.#drives[position] ?? null;
  }

  /** Another drive stands in this place now, or none. Answers the one before, which the caller closes. */
  replace(position: number, drive: Drive | null): Drive | null {
    const before = this.drive(position);
    this.#drives[position] = drive;
    // Who began to write to the one before must not count the new one.
    this.wasAway(position);
    return before;
  }

  /** Who wrote to it before must not count it, although it may be in the set again before anybody looks. */
  wasAway(position: number): void {
    this.#departures[position] = (this.#departures[position] ?? 0) + 1;
  }

  async closeDrives(graceMs: number): Promise<void> {
    await Promise.all(this.#drives.map(async (drive) => drive?.close(graceMs)));
  }

  /** What an operator sees of each place. */
  status(): DriveStatus[] {
    const health = this.#journal?.health() ?? null;
    return this.#drives.map((drive, position) => {
      const progress = health?.catchingUp.find((one) => one.position === position)?.progress ?? null;
      const isWhole = health?.inSync.includes(position) === true;
      const state = isWhole ? 'in-sync' : drive === null ? 'missing' : progress === null ? 'out' : 'catching-up';
      return { position, path: drive?.path ?? null, state, progress };
    });
  }

  departures(position: number): number {
    this.#watch();
    return this.#departures[position] ?? 0;
  }

  inSync(): readonly number[] {
    return this.#watch();
  }

  /** Every change of S is a new epoch: whoever is no longer in it has left since the last look. */
  #watch(): readonly number[] {
    invariant(this.#journal !== null, 'the journal is open before anything is written');
    const { epoch, inSync } = this.#journal.health();
    // Of a set that stopped it shrinks without one.
    if (epoch !== this.#epoch || inSync.length !== this.#members.length) {
      this.#epoch = epoch;
      for (const position of this.#members) {
        if (inSync.includes(position)) continue;
        this.wasAway(position);
        this.drive(position)?.leftSet();
      }
      this.#members = inSync;
    }
    return inSync;
  }

  reportWrite(position: number, fault: DriveFault): void {
    this.#report('a drive does not take writes', position, fault);
    // A full drive still reads and deletes: it stays.
    if (this.#journal === null) return;
    if (fault.kind === 'full') {
      this.#journal.reportFull();
      return;
    }
    if (isHarmless(fault)) return;
    this.#journal.reportFault(position, fault.operation).catch((error: unknown) => {
      this.log.error('a drive could not be taken out of the set', { drive: fault.drive, err: error });
    });
  }

  reportRead(position: number, fault: DriveFault): void {
    this.#report('a drive does not give a shard; others answer in its place', position, fault);
    if (fault.kind === 'slow' && this.#members.includes(position)) void this.suspect();
  }

  async suspect(): Promise<void> {
    await this.#journal?.probe();
  }

  #report(text: string, position: number, fault: DriveFault): void {
    const key = `${position}/${fault.kind}/${text}`;
    const now = this.monotonicMs();
    if (now - (this.#reportedAtMs.get(key) ?? -Infinity) < reportEveryMs) return;
    this.#reportedAtMs.set(key, now);
    const { drive, kind, operation, errno } = fault;
    this.log.warn(text, { drive, fault: kind, operation, ...errnoFields(errno) });
  }
}
