/** The operations whose every step a crash run ends, and on what they are done. */
import type { VersionOperation } from '../version-workload.js';
import type { Operation } from '../workload.js';
import type { Shape } from './simulated-server.js';

export interface Scenario {
  readonly name: string;
  readonly operation: Operation;
  /** On a bucket whose versioning is on, or suspended, in place of the operation. */
  readonly versions?: { readonly bucket: 'history' | 'paused'; readonly operation: VersionOperation };
  /** Body sizes from and below. */
  readonly sizes: readonly [number, number];
  readonly partsMax?: number;
  /** Operations at once. */
  readonly count?: number;
  /** On the key with something on it. */
  readonly isOnPresent?: boolean;
  /** What the server does by itself is waited for, and ended in the middle. */
  readonly upkeep?: 'compaction' | 'heal';
  /** A drive of the last set is away, and comes back or is exchanged afterwards. */
  readonly isShort?: boolean;
  /** No drive has room for a further log file. */
  readonly isFull?: boolean;
  readonly shapes: readonly Shape[];
}

const inOneSet = (...driveCounts: readonly number[]): Shape[] => driveCounts.map((count) => ({ pools: [count] }));

const anyDrives = inOneSet(4, 4, 4, 4, 1, 2, 3, 5, 6);
/** Something can be lost. */
const redundant = inOneSet(4, 4, 4, 2, 3, 5, 6);
/** One drive less, and the set still takes writes. */
const writableWithOneLess = inOneSet(4, 4, 3, 5, 6);
const twoSets: readonly Shape[] = [
  { pools: [8], setDriveCount: 4 },
  { pools: [6], setDriveCount: 3 },
];
/** With one parity, and each with its own; of the last any drive may be away, and writes go on. */
const twoPools: readonly Shape[] = [
  [4, 4],
  [3, 3],
  [4, 5],
  [4, 3],
  [2, 4],
  [3, 6],
].map((pools) => ({ pools }));
const narrowPools: readonly Shape[] = [
  [2, 2],
  [4, 2],
  [1, 3],
  [4, 1],
].map((pools) => ({ pools }));
const severalSets: readonly Shape[] = [...twoSets, ...twoPools, { pools: [4], setDriveCount: 2 }, ...narrowPools];

const small = [513, 60_000] as const;
const large = [262_145, 700_000] as const;
const several = [1_048_577, 2_600_000] as const;
/** Ten of them fill a log file. */
const bulky = [120_000, 262_145] as const;
const mixed = [0, 400_000] as const;

const onHistory = (
  name: string,
  operation: VersionOperation,
  sizes: Scenario['sizes'],
  bucket: 'history' | 'paused' = 'history',
): Scenario => ({ name, operation: 'put', versions: { bucket, operation }, sizes, shapes: anyDrives });

export const scenarios: readonly Scenario[] = [
  { name: 'put inline', operation: 'put', sizes: [0, 513], shapes: anyDrives },
  { name: 'put small', operation: 'put', sizes: small, shapes: anyDrives },
  { name: 'put large', operation: 'put', sizes: large, shapes: anyDrives },
  { name: 'put of several stripes', operation: 'put', sizes: several, shapes: anyDrives },
  { name: 'overwrite small', operation: 'put', sizes: small, isOnPresent: true, shapes: anyDrives },
  { name: 'overwrite large', operation: 'put', sizes: large, isOnPresent: true, shapes: anyDrives },
  { name: 'delete', operation: 'delete', sizes: large, isOnPresent: true, shapes: anyDrives },
  { name: 'replace metadata', operation: 'replace metadata', sizes: large, isOnPresent: true, shapes: anyDrives },
  { name: 'copy', operation: 'copy', sizes: large, shapes: anyDrives },
  { name: 'multipart, small', operation: 'multipart', sizes: small, partsMax: 1, shapes: anyDrives },
  { name: 'multipart, large', operation: 'multipart', sizes: large, partsMax: 1, shapes: anyDrives },
  { name: 'multipart of several parts', operation: 'multipart', sizes: large, partsMax: 2, shapes: anyDrives },
  { name: 'upload given up', operation: 'give up', sizes: several, shapes: anyDrives },
  { name: 'writers on one key', operation: 'contend', sizes: [100, 400_000], shapes: anyDrives },
  { name: 'first writers on one key', operation: 'race', sizes: [100, 300_000], shapes: anyDrives },
  { name: 'bucket made and removed', operation: 'bucket', sizes: small, shapes: anyDrives },
  { name: 'bucket document', operation: 'document', sizes: small, shapes: anyDrives },
  { name: 'system records', operation: 'system', sizes: small, shapes: anyDrives },
  { name: 'many at once', operation: 'put', sizes: mixed, count: 12, shapes: anyDrives },
  onHistory('version put, small', 'put', small),
  onHistory('version put, large', 'put', large),
  onHistory('version put in parts', 'multipart', large),
  onHistory('delete marker', 'delete', small),
  onHistory('version ended', 'end', large),
  onHistory('versions ended together', 'end several', mixed),
  onHistory('version copied up', 'copy up', large),
  onHistory('changes of one version chain', 'burst', mixed),
  onHistory('versioning suspended', 'suspend', small),
  onHistory('null version replaced', 'put', large, 'paused'),
  onHistory('null version covered', 'delete', large, 'paused'),
  onHistory('null version ended', 'end', small, 'paused'),
  onHistory('null versions ended together', 'end several', mixed, 'paused'),
  { name: 'compaction', operation: 'put', sizes: bulky, upkeep: 'compaction', shapes: anyDrives },
  { name: 'heal', operation: 'put', sizes: [400, 700_000], upkeep: 'heal', shapes: redundant },
  { name: 'put, a drive away', operation: 'put', sizes: mixed, count: 3, isShort: true, shapes: writableWithOneLess },
  {
    name: 'delete, a drive away',
    operation: 'delete',
    sizes: large,
    isOnPresent: true,
    isShort: true,
    shapes: redundant,
  },
  { name: 'put in several sets', operation: 'put', sizes: mixed, count: 3, shapes: severalSets },
  { name: 'delete in several sets', operation: 'delete', sizes: large, isOnPresent: true, shapes: severalSets },
  { name: 'multipart in several sets', operation: 'multipart', sizes: large, partsMax: 1, shapes: severalSets },
  { name: 'versions in several sets', ...versionsIn(severalSets) },
  { name: 'bucket in several sets', operation: 'bucket', sizes: small, shapes: severalSets },
  {
    name: 'compaction in several sets',
    operation: 'put',
    sizes: bulky,
    upkeep: 'compaction',
    shapes: [...twoSets, ...twoPools],
  },
  {
    name: 'heal in several sets',
    operation: 'put',
    sizes: [400, 700_000],
    upkeep: 'heal',
    shapes: [...twoSets, ...twoPools],
  },
  {
    name: 'put, a drive of the second set away',
    operation: 'put',
    sizes: mixed,
    count: 3,
    isShort: true,
    shapes: [...twoSets, ...twoPools],
  },
  { ...onHistory('delete marker on full drives', 'delete', small), isFull: true },
  { ...onHistory('null version covered on full drives', 'delete', small, 'paused'), isFull: true },
  {
    name: 'delete on full drives',
    operation: 'delete',
    sizes: small,
    isOnPresent: true,
    isFull: true,
    shapes: anyDrives,
  },
  { name: 'bucket on full drives', operation: 'bucket', sizes: small, isFull: true, shapes: anyDrives },
  { name: 'system records on full drives', operation: 'system', sizes: small, isFull: true, shapes: anyDrives },
];

function versionsIn(shapes: readonly Shape[]): Omit<Scenario, 'name'> {
  return { operation: 'put', versions: { bucket: 'history', operation: 'end several' }, sizes: mixed, shapes };
}
