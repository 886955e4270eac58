/** The drives of the set as the running server sees them: which are there, which take part in writes. */
import { invariant } from '../base/index.js';
import type { Drive, DriveFault } from '../drive/index.js';
import type { DriveSet } from '../erasure/index.js';
import type { Journal } from '../journal/index.js';
import type { Logger } from '../telemetry/index.js';

/** One line per drive and minute: a broken drive fails every request. */
const reportEveryMs = 60_000;
/** A drive that left stays away for 15 s at least before it is taken back: no departure goes unseen. */
const watchEveryMs = 2_000;

export class LiveSet implements DriveSet {
  readonly setIndex = 0;
  readonly driveCount: number;
  #journal: Journal | null = null;
  readonly #departures: number[];
  #epoch = -1;
  #timer: NodeJS.Timeout | undefined;
  #members: readonly number[] = [];
  readonly #reportedAtMs = new Map<string, number>();

  constructor(
    readonly deploymentId: string,
    private readonly drives: readonly (Drive | null)[],
    private readonly log: Logger,
    private readonly monotonicMs: () => number,
  ) {
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
    return this.drives[position] ?? null;
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
    if (epoch !== this.#epoch) {
      this.#epoch = epoch;
      for (const position of this.#members) {
        if (!inSync.includes(position)) this.#departures[position] = (this.#departures[position] ?? 0) + 1;
      }
      this.#members = inSync;
    }
    return inSync;
  }

  reportWrite(position: number, fault: DriveFault): void {
    this.#report('a drive does not take writes', position, fault);
    // A full drive still reads and deletes: it stays.
    if (fault.kind === 'full' || this.#journal === null) return;
    this.#journal.reportFault(position, fault.operation).catch((error: unknown) => {
      this.log.error('a drive could not be taken out of the set', { drive: fault.drive, err: error });
    });
  }

  reportRead(position: number, fault: DriveFault): void {
    this.#report('a drive does not give a shard; others answer in its place', position, fault);
  }

  #report(text: string, position: number, fault: DriveFault): void {
    const key = `${position}/${fault.kind}/${text}`;
    const now = this.monotonicMs();
    if (now - (this.#reportedAtMs.get(key) ?? -Infinity) < reportEveryMs) return;
    this.#reportedAtMs.set(key, now);
    this.log.warn(text, { drive: fault.drive, fault: fault.kind, operation: fault.operation, errno: fault.errno });
  }
}
