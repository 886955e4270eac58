/**
 * What the operational half of this API reads of the running server. Wiring builds it from the rooms that
 * this one may not see; every number is measured or counted, none is assumed.
 */
import type { BucketUsage, UpkeepStatus } from '../object/index.js';

export interface DriveFacts {
  /** Of the folder, or a name for a drive whose folder was not found. */
  readonly path: string;
  /** UUID. */
  readonly driveId: string;
  /** 0-based, in the set. */
  readonly position: number;
  /**
   * `ok`: takes part, or is being brought up to date; `faulty`: there, but it failed and does not take part;
   * `offline`: not there.
   */
  readonly state: 'ok' | 'faulty' | 'offline';
  /** From 0 to 1 while it is brought up to date, else null. */
  readonly catchUp: number | null;
  /** Of its file system; null when it did not say in time. */
  readonly space: { readonly totalBytes: number; readonly freeBytes: number } | null;
  readonly statistics: DriveCounts | null;
}

/** Since the start. */
export interface DriveCounts {
  readonly waiting: number;
  readonly calls: ReadonlyMap<string, { readonly calls: number; readonly msTotal: number; readonly bytes: number }>;
  readonly faults: { readonly missing: number; readonly full: number; readonly io: number; readonly slow: number };
}

export interface ServerState {
  /** Wall time. */
  readonly startedMs: number;
  readonly set: {
    readonly dataShards: number;
    readonly parityShards: number;
    readonly readQuorum: number;
    readonly writeQuorum: number;
  };
  /** What new objects of a storage class get. */
  parityOf(storageClass: string): number;
  health(): { readonly canRead: boolean; readonly canWrite: boolean };
  /** In the order of their positions. Waits a moment for what drives have to be asked. */
  drives(): Promise<readonly DriveFacts[]>;
  bucketNames(): readonly string[];
  /** Throws NoSuchBucket. */
  bucketUsage(bucket: string): BucketUsage;
  /** Repairs and the scan. */
  upkeep(): UpkeepStatus;
}

/** Of all buckets together. */
export interface TotalUsage extends BucketUsage {
  readonly buckets: number;
}

export function totalUsage(state: Pick<ServerState, 'bucketNames' | 'bucketUsage'>): TotalUsage {
  const names = state.bucketNames();
  const total = { buckets: names.length, objects: 0, versions: 0, deleteMarkers: 0, bytes: 0, sizes: [] as number[] };
  for (const name of names) {
    const usage = state.bucketUsage(name);
    total.objects += usage.objects;
    total.versions += usage.versions;
    total.deleteMarkers += usage.deleteMarkers;
    total.bytes += usage.bytes;
    for (const [index, count] of usage.sizes.entries()) total.sizes[index] = (total.sizes[index] ?? 0) + count;
  }
  return total;
}

export interface Capacity {
  readonly rawTotalBytes: number;
  readonly rawFreeBytes: number;
  /** What is left of it once parity is taken off. */
  readonly usableTotalBytes: number;
  readonly usableFreeBytes: number;
}

export function capacityOf(drives: readonly DriveFacts[], set: ServerState['set']): Capacity {
  const sum = (of: 'totalBytes' | 'freeBytes') => drives.reduce((bytes, { space }) => bytes + (space?.[of] ?? 0), 0);
  const share = set.dataShards / (set.dataShards + set.parityShards);
  const [rawTotalBytes, rawFreeBytes] = [sum('totalBytes'), sum('freeBytes')];
  return {
    rawTotalBytes,
    rawFreeBytes,
    usableTotalBytes: Math.floor(rawTotalBytes * share),
    usableFreeBytes: Math.floor(rawFreeBytes * share),
  };
}
