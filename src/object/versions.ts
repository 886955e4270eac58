/**
 * Look-ups among the versions of a key: as readers see them, in the index; and in commit order, where what was
 * decided and not yet applied counts too.
 */
import type { Catalog } from '../catalog/index.js';
import { nullVersionKey, objectKey, successor, versionKey, versionPrefix } from './index-keys.js';
import type { IndexState } from './index-state.js';
import type { OrderedVersion, Overlay } from './overlay.js';
import { decodeEntry, decodeObject } from './records.js';
import { decodeNumber, decodeStored, type StoredVersion } from './version-chain.js';
import { nullVersionId, orderOfVersionId } from './version-id.js';

/** All versions of a key, the newest first. */
export function* storedVersions(catalog: Catalog, bucketId: number, key: string): Iterable<StoredVersion> {
  const top = catalog.get(objectKey(bucketId, key));
  if (top !== undefined) yield decodeStored(top);
  const start = versionPrefix(bucketId, key);
  for (const { value } of catalog.range({ start, end: successor(start) })) yield decodeStored(Buffer.from(value));
}

/** The newest version below the latest object. */
export function newestBelow(catalog: Catalog, bucketId: number, key: string): StoredVersion | null {
  const start = versionPrefix(bucketId, key);
  for (const { value } of catalog.range({ start, end: successor(start), limit: 1 })) {
    return decodeStored(Buffer.from(value));
  }
  return null;
}

/** One look-up by the order that the id holds, or by the place of the null version. */
export function findVersion(index: IndexState, bucketId: number, key: string, versionId: string): StoredVersion | null {
  const { catalog } = index;
  const wanted = versionId.toLowerCase();
  const top = catalog.get(objectKey(bucketId, key));
  if (top !== undefined) {
    const version = decodeStored(top);
    if (version.record.versionId === wanted) return version;
  }
  if (!index.hasVersions(bucketId)) return null;
  const order = wanted === nullVersionId ? nullOrder(catalog, bucketId, key) : orderOfVersionId(wanted);
  if (order === null) return null;
  const value = catalog.get(versionKey(bucketId, key, order));
  if (value === undefined) return null;
  const version = decodeStored(value);
  return version.record.versionId === wanted ? version : null;
}

function nullOrder(catalog: Catalog, bucketId: number, key: string): number | null {
  const place = catalog.get(nullVersionKey(bucketId, key));
  return place === undefined ? null : decodeNumber(place);
}

interface CommitOrder {
  readonly index: IndexState;
  readonly overlay: Overlay;
}

/** The latest version in commit order, a delete marker included; null when the key has none. */
export function latestInOrder({ index, overlay }: CommitOrder, bucketId: number, key: string): OrderedVersion | null {
  const pending = overlay.object(bucketId, key);
  if (pending?.put != null) return pending.put;
  if (pending === undefined) {
    const top = index.catalog.get(objectKey(bucketId, key));
    if (top !== undefined) {
      const { order, body, here } = decodeEntry(top);
      const { versionId, etag } = decodeObject(body, here);
      return { order, versionId, etag };
    }
    if (!index.hasVersions(bucketId)) return null;
  }
  for (const version of versionsInOrder({ index, overlay }, bucketId, key)) return version;
  return null;
}

/** The entity tag that a precondition is about: of the latest version, null when that is a marker or there is none. */
export function currentEtag(context: CommitOrder, bucketId: number, key: string): string | null {
  return latestInOrder(context, bucketId, key)?.etag ?? null;
}

export function versionInOrder(
  { index, overlay }: CommitOrder,
  bucketId: number,
  key: string,
  versionId: string,
): OrderedVersion | null {
  const wanted = versionId.toLowerCase();
  const removed = new Set<number>();
  for (let change = overlay.object(bucketId, key) ?? null; change !== null; change = change.before) {
    if (change.removed !== null) removed.add(change.removed);
    if (change.put?.versionId === wanted) return removed.has(change.put.order) ? null : change.put;
  }
  const stored = findVersion(index, bucketId, key, wanted);
  return stored === null || removed.has(stored.order) ? null : ordered(stored);
}

/** Whether a version that was read is still there, in commit order. */
export function isInOrder(context: CommitOrder, bucketId: number, key: string, version: OrderedVersion): boolean {
  return versionInOrder(context, bucketId, key, version.versionId)?.order === version.order;
}

function* versionsInOrder({ index, overlay }: CommitOrder, bucketId: number, key: string): Iterable<OrderedVersion> {
  const gone = new Set<number>();
  let hasNewerNull = false;
  const isThere = ({ order, versionId }: OrderedVersion): boolean =>
    !gone.has(order) && !(hasNewerNull && versionId === nullVersionId);
  for (let change = overlay.object(bucketId, key) ?? null; change !== null; change = change.before) {
    if (change.removed !== null) gone.add(change.removed);
    if (change.put === null) continue;
    if (isThere(change.put)) yield change.put;
    // In the index it may be already.
    gone.add(change.put.order);
    if (change.put.versionId === nullVersionId) hasNewerNull = true;
  }
  for (const stored of storedVersions(index.catalog, bucketId, key)) {
    const version = ordered(stored);
    if (isThere(version)) yield version;
  }
}

function ordered({ order, record }: StoredVersion): OrderedVersion {
  return { order, versionId: record.versionId, etag: record.isMarker ? null : record.etag };
}
