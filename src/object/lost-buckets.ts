/**
 * Buckets that something lies in and that no record knows. A running server makes none: they come from sets that were
 * restored from snapshots of different moments, when the first set, which keeps the buckets, does not know of one yet or
 * of one any more, and from places of its log that no drive can read. What lies in them is kept; it gets a bucket of its
 * own, in which it can be seen, copied and deleted.
 */
import {
  bucketOfKey,
  objectPrefix,
  objectRange,
  successor,
  uploadPrefix,
  uploadRange,
  versionRange,
  versionsPrefix,
} from './index-keys.js';
import type { IndexState } from './index-state.js';
import { nullVersionId } from './version-id.js';
import { decodeStored } from './version-chain.js';

/** Of objects that are looked at for a version id: in a bucket that has had versions, hardly any is without one. */
const objectsLookedAtMax = 1000;

const places = [
  { range: objectRange, prefixOf: objectPrefix },
  { range: versionRange, prefixOf: (bucketId: number) => versionsPrefix(bucketId, '') },
  { range: uploadRange, prefixOf: (bucketId: number) => uploadPrefix(bucketId, '') },
];

/** Their ids, in order. One look into the index for each bucket and kind of entry. */
export function lostBuckets(index: IndexState): number[] {
  const known = new Set([...index.buckets.values()].map(({ bucketId }) => bucketId));
  const lost = new Set<number>();
  for (const { range, prefixOf } of places) {
    for (let start: Buffer | null = range.start; start !== null;) {
      let bucketId: number | null = null;
      for (const { key } of index.catalog.range({ start, end: range.end, limit: 1 })) bucketId = bucketOfKey(key);
      if (bucketId !== null && !known.has(bucketId)) lost.add(bucketId);
      start = bucketId === null ? null : successor(prefixOf(bucketId));
    }
  }
  return [...lost].sort((a, b) => a - b);
}

/** Whether the bucket has, or had, versions. */
export function isVersioned(index: IndexState, bucketId: number): boolean {
  if (index.hasVersions(bucketId)) return true;
  const start = objectPrefix(bucketId);
  for (const { value } of index.catalog.range({ start, end: successor(start), limit: objectsLookedAtMax })) {
    if (decodeStored(value).record.versionId !== nullVersionId) return true;
  }
  return false;
}
