/**
 * What the engine does for its drives beside serving, in figures for operators: repairs from the heal table, and
 * the scan that verifies everything over and over.
 */

export interface HealStatus {
  /** Entries of the heal table: blobs and log files of which some drive lacks sound bytes. */
  readonly waiting: number;
  readonly running: number;
  /** Shards and damaged pieces of logs that were written anew since the start, and their bytes. */
  readonly repairedShards: number;
  readonly repairedBytes: number;
  /** Attempts since the start that came to nothing: too few sound shards, or a drive that took no writes. */
  readonly failedAttempts: number;
  /** Wall time in milliseconds; null: none since the start. */
  readonly lastRepairMs: number | null;
}

/** What one cycle of the scan has found. */
export interface ScanCounts {
  /** Bodies (objects, and parts of multipart objects) whose shards were verified in blob files. */
  readonly objects: number;
  /** Batches of the log that were verified, on all drives together. */
  readonly batches: number;
  /** Bytes that were read from the drives. */
  readonly bytes: number;
  readonly shards: number;
  readonly badShards: number;
  readonly missingShards: number;
  /** Damaged batches of the log, or slots in them. */
  readonly badBatches: number;
  /** Bodies of which fewer shards are sound than it takes to read them. Nothing of them is removed. */
  readonly unreadableObjects: number;
  /** Shards and batches that were written anew. */
  readonly repaired: number;
  /** Files that no record names. */
  readonly orphansRemoved: number;
  /** Usage counters of buckets that were wrong and are right now. */
  readonly usageCorrected: number;
}

export type ScanPhase = 'idle' | 'log' | 'blobs' | 'orphans' | 'usage';

export interface ScanStatus {
  readonly phase: ScanPhase;
  /** Complete cycles since the drives were formatted, as far as the index remembers. */
  readonly cycles: number;
  /** Of the cycle under way; null between two cycles. */
  readonly current: (ScanCounts & { readonly startedMs: number }) | null;
  /** Of the last complete cycle; null when there was none. */
  readonly last: (ScanCounts & { readonly startedMs: number; readonly endedMs: number }) | null;
}

export interface UpkeepStatus {
  readonly heal: HealStatus;
  readonly scan: ScanStatus;
}

/** For administration and metrics. */
export interface Upkeep {
  upkeepStatus(): UpkeepStatus;
  /** Looks at the whole heal table at once, whatever waits for another attempt. */
  repairNow(): void;
  /** A cycle of the scan begins now, unless one is under way. */
  scanNow(): void;
  /** From now on. */
  setUpkeep(settings: UpkeepSettings): void;
}

export interface Pace {
  readonly bytesPerSecondMax: number;
  /** Of the time, above 0 and at most 1: the rest is slept. */
  readonly shareMax: number;
}

export interface ScanSettings {
  readonly pace: Pace;
  /** From the start of one cycle to that of the next, at least. */
  readonly cycleMsMin: number;
}

export interface UpkeepSettings {
  readonly heal: Pace;
  readonly scan: ScanSettings;
}
