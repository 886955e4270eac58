/**
 * Counts what the buckets hold, and compares it with their counters. A bucket that changes meanwhile is counted
 * again, and after a few times left to the next cycle: an exact answer takes a moment without changes.
 */
import type { Catalog } from '../catalog/index.js';
import { objectPrefix, successor, versionsPrefix } from './index-keys.js';
import type { IndexState } from './index-state.js';
import { decodeEntry, decodeObject } from './records.js';
import { UsageCounter, type UsageChange } from './usage.js';

const attemptsMax = 3;
/** Entries counted in one go: about two milliseconds. */
const entriesPerStep = 500;

export interface RecountOptions {
  readonly pace: () => Promise<void>;
  readonly isOver: () => boolean;
  readonly log: (text: string) => void;
}

/** Answers how many buckets had wrong counters; they are right now. */
export async function recountUsage(index: IndexState, options: RecountOptions): Promise<number> {
  let corrected = 0;
  for (const [name, { bucketId }] of [...index.buckets]) {
    if (await recountBucket(index, name, bucketId, options)) corrected++;
  }
  return corrected;
}

/** Answers whether the counters were wrong; they are right now. */
export async function recountBucket(
  index: IndexState,
  name: string,
  bucketId: number,
  options: RecountOptions,
): Promise<boolean> {
  for (let attempt = 0; attempt < attemptsMax && !options.isOver(); attempt++) {
    const before = index.usageCounter(bucketId);
    const counted = await countBucket(index, bucketId, options);
    if (counted === null || index.usageCounter(bucketId) !== before) continue;
    if (before?.encode().equals(counted.encode()) === true || (before === null && counted.isNothing())) return false;
    // Whoever changed the bucket since has its counter: the next attempt counts again.
    if (!(await index.correctUsage(bucketId, before, counted))) continue;
    options.log(`the counters of bucket ${name} were wrong and are right now`);
    return true;
  }
  return false;
}

/** Null when it was cut short. */
async function countBucket(
  { catalog }: IndexState,
  bucketId: number,
  { pace, isOver }: RecountOptions,
): Promise<UsageCounter | null> {
  const counter = new UsageCounter();
  const ranges = [
    { prefix: objectPrefix(bucketId), isLatest: true },
    { prefix: versionsPrefix(bucketId, ''), isLatest: false },
  ];
  for (const { prefix, isLatest } of ranges) {
    let from: Buffer | null = prefix;
    while (from !== null) {
      if (isOver()) return null;
      from = countFrom(catalog, from, successor(prefix), (value) => counter.add(changeOf(value, isLatest)));
      await pace();
    }
  }
  return counter;
}

function countFrom(catalog: Catalog, from: Buffer, end: Buffer, add: (value: Buffer) => void): Buffer | null {
  let last: Buffer | null = null;
  let count = 0;
  for (const { key, value } of catalog.range({ start: from, end, limit: entriesPerStep })) {
    add(value);
    last = Buffer.from(key);
    count++;
  }
  return last === null || count < entriesPerStep ? null : Buffer.concat([last, Buffer.of(0)]);
}

function changeOf(value: Buffer, isLatest: boolean): UsageChange {
  const { body, here } = decodeEntry(value);
  const { isMarker, bytes } = decodeObject(body, here);
  return isMarker ? { deleteMarkers: 1 } : { objects: isLatest ? 1 : 0, versions: 1, bytes };
}
