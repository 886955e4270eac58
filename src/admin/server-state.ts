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
  /** Of `ServerState.sets`. */
  readonly setIndex: number;
  /** 0-based, in the set. */
  readonly position: number;
  /**
   * `ok`: takes part, or is being brought up to date; `faulty`: there, but it failed and does not take part;
   * `offline`: not there.
   */
  readonly state: 'ok' | 'faulty' | 'offline';
  /** While it is brought up to date, else null. */
  readonly catchUp: CatchUpFacts | null;
  /** Of its file system; null when it did not say in time. */
  readonly space: { readonly totalBytes: number; readonly freeBytes: number } | null;
  readonly statistics: DriveCounts | null;
}

export interface CatchUpFacts {
  /** From 0 to below 1, of the log and of bodies together. */
  readonly progress: number;
  /** Bodies of large objects that are still to be rebuilt on the drive, and bytes of its shards; null: not known. */
  readonly bodies: number | null;
  readonly bodyBytes: number | null;
}

/** Since the start. */
export interface DriveCounts {
  readonly waiting: number;
  readonly calls: ReadonlyMap<string, { readonly calls: number; readonly msTotal: number; readonly bytes: number }>;
  readonly faults: { readonly missing: number; readonly full: number; readonly io: number; readonly slow: number };
}

export interface SetFacts {
  /** 0-based, over all pools. */
  readonly setIndex: number;
  readonly poolIndex: number;
  /** 0-based, in its pool. */
  readonly indexInPool: number;
  readonly dataShards: number;
  readonly parityShards: number;
  readonly readQuorum: number;
  readonly writeQuorum: number;
}

export interface SetHealth {
  readonly canRead: boolean;
  readonly canWrite: boolean;
}

/** Of what is kept of reads, since the start: pieces of bodies, of 2 MiB at the most. */
export interface ReadCacheCounts {
  readonly hits: number;
  readonly misses: number;
  readonly hitBytes: number;
  readonly usedBytes: number;
  readonly bytesMax: number;
}

export interface IndexFacts {
  /** The folder that it lies in. */
  readonly directory: string;
  /** That of `--index-dir`. */
  readonly named: string | null;
  /** Why the one is not the other, else null. */
  readonly trouble: string | null;
}

export interface ServerState {
  /** Wall time. */
  readonly startedMs: number;
  /** Whatever was done to the wall clock since. */
  uptimeMs(): number;
  /** By index. */
  readonly sets: readonly SetFacts[];
  /** What new objects of a storage class get in a set. */
  parityOf(storageClass: string, setIndex: number): number;
  /** Of all sets together. */
  health(): SetHealth;
  setHealth(setIndex: number): SetHealth;
  /** In the order of the sets and of their positions. Waits a moment for what drives have to be asked. */
  drives(): Promise<readonly DriveFacts[]>;
  bucketNames(): readonly string[];
  /** Throws NoSuchBucket. */
  bucketUsage(bucket: string): BucketUsage;
  /** Repairs and the scan. */
  upkeep(): UpkeepStatus;
  /** Null: nothing is kept. */
  readCache(): ReadCacheCounts | null;
  index(): IndexFacts;
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

export function capacityOf(drives: readonly DriveFacts[], sets: readonly SetFacts[]): Capacity {
  const capacity = { rawTotalBytes: 0, rawFreeBytes: 0, usableTotalBytes: 0, usableFreeBytes: 0 };
  for (const { setIndex, dataShards, parityShards } of sets) {
    const own = drives.filter((drive) => drive.setIndex === setIndex);
    const sum = (of: 'totalBytes' | 'freeBytes') => own.reduce((bytes, { space }) => bytes + (space?.[of] ?? 0), 0);
    const [total, free] = [sum('totalBytes'), sum('freeBytes')];
    const share = dataShards / (dataShards + parityShards);
    capacity.rawTotalBytes += total;
    capacity.rawFreeBytes += free;
    capacity.usableTotalBytes += Math.floor(total * share);
    capacity.usableFreeBytes += Math.floor(free * share);
  }
  return capacity;
}

/** What new objects of a storage class have at least, wherever they come to lie. */
export function leastParity(state: Pick<ServerState, 'sets' | 'parityOf'>, storageClass: string): number {
  return Math.min(...state.sets.map(({ setIndex }) => state.parityOf(storageClass, setIndex)));
}

/** How many sets each pool has, and how many drives each of its sets. */
export function poolsOf(sets: readonly SetFacts[]): { readonly sets: readonly number[]; readonly drives: number[] } {
  const counts: number[] = [];
  const drives: number[] = [];
  for (const { poolIndex, dataShards, parityShards } of sets) {
    counts[poolIndex] = (counts[poolIndex] ?? 0) + 1;
    drives[poolIndex] = dataShards + parityShards;
  }
  return { sets: counts, drives };
}
