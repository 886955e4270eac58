/** What a check of stopped drives is asked for, and what it answers: types of `granary fsck` and `granary inspect`. */
import type { BlobFindings, DamagedBody, LostBucket, OrphanFindings, VersionPlace } from '../object/index.js';
import type { LogOptions } from '../telemetry/index.js';

export interface CheckOptions {
  readonly drives: readonly string[];
  /** Folder of the index; on the first drive when null. */
  readonly indexDir: string | null;
  readonly log?: LogOptions;
  readonly onProgress?: (progress: CheckProgress) => void;
}

export interface FsckOptions extends CheckOptions {
  /** What is damaged is written anew, drives that lag are caught up, files that no record names are removed. */
  readonly repair: boolean;
  /** The index is thrown away and built from the logs. */
  readonly rebuild: boolean;
}

export interface CheckProgress {
  readonly phase: 'history' | 'log' | 'blobs' | 'files' | 'index' | 'repair';
  /** From 0 to 1; null when that is not known. */
  readonly done: number | null;
}

export interface CheckedDrive {
  readonly path: string;
  readonly state: 'current' | 'behind' | 'unreadable' | 'absent';
  /** Batches at the end of the log that a current drive lacks: the next start writes them. */
  readonly lacking: number;
  /**
   * Why there is no drive: its folder is empty, so that a repair fills it; the folder holds no drive that can be used;
   * no folder was named for it. Null: there is one.
   */
  readonly absence: 'empty' | 'unusable' | 'unnamed' | null;
  /** What is wrong with it, one line each. */
  readonly faults: readonly string[];
}

/** A folder that was named and is none of the drives. */
export interface UnusedFolder {
  readonly path: string;
  readonly reason: string;
}

export interface LogFindings {
  readonly files: number;
  /** Copies of batches, on all drives together. */
  readonly batches: number;
  readonly bytes: number;
  readonly bad: number;
  /** Objects and parts whose shards lie in the log and of which too few are sound. */
  readonly unreadableBodies: number;
  /** Those with a damaged shard there; the first of them. */
  readonly damaged: readonly DamagedBody[];
  readonly holes: number;
  /** Batches that the next start finishes, drops, or keeps although they cannot be read. */
  readonly unfinished: number;
  readonly dropped: number;
  readonly unreadableBatches: number;
}

/** What of a drive that holds the whole history is not as it should be. */
export interface DriveDamage {
  /** Copies of batches of the log. */
  readonly batches: number;
  readonly badShards: number;
  readonly missingShards: number;
}

export interface IndexFindings {
  /** `behind`: the next start brings it up to date. `absent`, `damaged`: it is built anew from the logs. */
  readonly state: 'right' | 'behind' | 'absent' | 'damaged' | 'wrong';
  /** Entries that differ from what the logs say. */
  readonly differences: number;
}

export interface CheckReport {
  readonly deploymentId: string;
  /** By index. */
  readonly sets: readonly { readonly dataShards: number; readonly parityShards: number }[];
  /** Of all sets, one behind the other. */
  readonly drives: readonly CheckedDrive[];
  /** Of each of them. */
  readonly damage: readonly DriveDamage[];
  /** Folders that were named beside those of the drives. */
  readonly unused: readonly UnusedFolder[];
  readonly log: LogFindings;
  readonly blobs: BlobFindings;
  readonly orphans: OrphanFindings;
  readonly index: IndexFindings;
  readonly buckets: number;
  readonly objects: number;
  /** Not counted among the buckets: a repair, or the next start, makes them known. */
  readonly lostBuckets: readonly LostBucket[];
  /** What is wrong, one line each, the worst first. Empty: nothing. */
  readonly problems: readonly string[];
}

export interface FsckReport {
  /** As it is now: after the repair, when one was asked for. */
  readonly now: CheckReport;
  /** As it was before the repair; null without one. */
  readonly before: CheckReport | null;
  readonly repairedShards: number;
  /** The index was thrown away: asked for, or because it was damaged. */
  readonly isIndexRebuilt: boolean;
}

export interface InspectReport {
  readonly bucket: string;
  readonly key: string;
  /** Of all sets, one behind the other. */
  readonly drives: readonly CheckedDrive[];
  readonly versions: readonly VersionPlace[];
}

/** Both reject with StartupError when they cannot look at the drives. */
export interface Checks {
  fsck(options: FsckOptions): Promise<FsckReport>;
  inspect(options: CheckOptions & { readonly bucket: string; readonly key: string }): Promise<InspectReport>;
}
