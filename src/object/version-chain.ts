/**
 * The versions of a key in the index, and how a record changes them. The latest version is an object entry
 * (`O`), unless it is a delete marker; all the others, markers among them, are version entries (`V`), the
 * newest first. So a key of a bucket without versions costs one entry, and a listing of objects never meets a
 * key whose latest version is a marker. A key has at most one null version; below the top, `N` says where.
 *
 * A version can have the bytes that the record of another one wrote. `R` counts the versions that have them,
 * while there are others than the one whose record wrote them, and `W` names these others: whoever looks for them does not
 * have to go through all versions of the key.
 */
import { alignUp, invariant } from '../base/index.js';
import { blobName } from '../erasure/index.js';
import { BinaryReader, BinaryWriter } from './binary.js';
import { nullVersionKey, objectKey, shareKey, sharerKey, versionKey } from './index-keys.js';
import { decodeEntry, decodeObject, encodeEntry, type EntrySpace, type ObjectRecord } from './records.js';
import type { Effective, Staging } from './staging.js';
import { nullVersionId } from './version-id.js';

export interface StoredVersion {
  readonly order: number;
  readonly record: ObjectRecord;
  readonly entry: Buffer;
}

/** Of an object or a version entry. */
export function decodeStored(entry: Buffer): StoredVersion {
  const { order, body, here } = decodeEntry(entry);
  return { order, record: decodeObject(body, here), entry };
}

/**
 * A new version, on top of its key. A moved record finds its version in the index and replaces the entry (false); an
 * index that is built anew from a log that no longer goes back to where the record lay before takes it as a version
 * that belongs below those that came since, unless it is a null version that has been replaced by then (false).
 */
export function putVersion(staging: Staging, effective: Effective, object: ObjectRecord): boolean {
  const { order, body, here, isMoved } = effective;
  const { bucketId, key, isMarker, versionId } = object;
  const entry = encodeEntry(order, body, here, spaceOf(effective, object));
  const at = objectKey(bucketId, key);
  const topEntry = staging.get(at);
  const top = topEntry === undefined ? null : decodeStored(topEntry);
  if (isMoved && replaceEntry(staging, object, order, entry, top)) return false;
  addHolder(staging, effective, object, top);
  const replaced = versionId === nullVersionId ? takeNullVersion(staging, bucketId, key, top) : null;
  const isNewest = !isMoved || isAboveAll(staging, bucketId, key, order, replaced === top ? null : top);
  if (isNewest && top !== null) {
    staging.count(bucketId, { objects: -1 });
    if (replaced !== top) putBelow(staging, top);
  }
  if (isNewest && !isMarker) {
    staging.putEntry(at, topEntry, entry);
    staging.count(bucketId, { objects: 1 });
  } else {
    if (isNewest) staging.deleteEntry(at, topEntry);
    putBelow(staging, { order, record: object, entry });
  }
  staging.count(bucketId, presence(object, 1));
  if (replaced !== null) release(staging, order, replaced);
  return true;
}

/** Ends the version of this order, if there is one, and makes the one below it the latest when it was that. */
export function endVersion(staging: Staging, order: number, bucketId: number, key: string, ended: number): void {
  const at = objectKey(bucketId, key);
  const topEntry = staging.get(at);
  if (topEntry !== undefined) {
    const top = decodeStored(topEntry);
    if (top.order === ended) {
      staging.deleteEntry(at, topEntry);
      staging.count(bucketId, { objects: -1 });
      staging.count(bucketId, presence(top.record, -1));
      release(staging, order, top);
      raise(staging, bucketId, key);
      return;
    }
  }
  const version = below(staging, bucketId, key, ended);
  if (version === null) return;
  removeBelow(staging, version);
  release(staging, order, version);
  if (topEntry === undefined) raise(staging, bucketId, key);
}

/** True: a moved record needs nothing more than its new place in the entry, or not even that. */
function replaceEntry(
  staging: Staging,
  { bucketId, key, versionId }: ObjectRecord,
  order: number,
  entry: Buffer,
  top: StoredVersion | null,
): boolean {
  if (top?.order === order) {
    staging.putEntry(objectKey(bucketId, key), top.entry, entry);
    return true;
  }
  if (below(staging, bucketId, key, order) !== null) {
    staging.putVersion(bucketId, key, order, entry);
    return true;
  }
  const present = versionId === nullVersionId ? findNullVersion(staging, bucketId, key, top) : null;
  return present !== null && present.order > order;
}

function isAboveAll(
  staging: Staging,
  bucketId: number,
  key: string,
  order: number,
  top: StoredVersion | null,
): boolean {
  if (top !== null) return top.order < order;
  const newest = staging.hasVersions(bucketId) ? staging.newestVersion(bucketId, key) : null;
  return newest === null || decodeEntry(newest.value).order < order;
}

/** The null version gives way to another one. Its bytes are still to be released, and its entry on top to be replaced. */
function takeNullVersion(
  staging: Staging,
  bucketId: number,
  key: string,
  top: StoredVersion | null,
): StoredVersion | null {
  const found = findNullVersion(staging, bucketId, key, top);
  if (found === null) return null;
  if (found === top) staging.count(bucketId, presence(found.record, -1));
  else removeBelow(staging, found);
  return found;
}

function findNullVersion(
  staging: Staging,
  bucketId: number,
  key: string,
  top: StoredVersion | null,
): StoredVersion | null {
  if (top?.record.versionId === nullVersionId) return top;
  const place = staging.hasVersions(bucketId) ? staging.get(nullVersionKey(bucketId, key)) : undefined;
  if (place === undefined) return null;
  const version = below(staging, bucketId, key, decodeNumber(place));
  invariant(version !== null, 'the null version is where the index says');
  return version;
}

/** The version of this order among those that are not the latest object. */
function below(staging: Staging, bucketId: number, key: string, order: number): StoredVersion | null {
  if (!staging.hasVersions(bucketId)) return null;
  const entry = staging.get(versionKey(bucketId, key, order));
  return entry === undefined ? null : decodeStored(entry);
}

function putBelow(staging: Staging, { order, record, entry }: StoredVersion): void {
  const { bucketId, key, versionId } = record;
  staging.putVersion(bucketId, key, order, entry);
  if (versionId === nullVersionId) staging.put(nullVersionKey(bucketId, key), encodeNumber(order));
}

function removeBelow(staging: Staging, { order, record, entry }: StoredVersion): void {
  const { bucketId, key, versionId } = record;
  staging.deleteEntry(versionKey(bucketId, key, order), entry);
  if (versionId === nullVersionId) staging.delete(nullVersionKey(bucketId, key));
  staging.count(bucketId, presence(record, -1));
}

/** The newest version below an empty top becomes the latest object; a marker stays where it is. */
function raise(staging: Staging, bucketId: number, key: string): void {
  const newest = staging.hasVersions(bucketId) ? staging.newestVersion(bucketId, key) : null;
  if (newest === null) return;
  const { record } = decodeStored(newest.value);
  if (record.isMarker) return;
  staging.deleteEntry(newest.key, newest.value);
  if (record.versionId === nullVersionId) staging.delete(nullVersionKey(bucketId, key));
  staging.putEntry(objectKey(bucketId, key), undefined, newest.value);
  staging.count(bucketId, { objects: 1 });
}

const presence = ({ isMarker, bytes }: ObjectRecord, sign: 1 | -1) =>
  isMarker ? { deleteMarkers: sign } : { versions: sign, bytes };

/** Slots lie in the log from one multiple of this to another. */
const slotAlignment = 64;

function spaceOf({ here, space }: Effective, { placement }: ObjectRecord): EntrySpace {
  if (here !== null || placement.kind !== 'slots') return space;
  return {
    ...space,
    slotsFileNumber: placement.fileNumber,
    slotsBytes: alignUp(placement.slotBytes, slotAlignment),
  };
}

// ---- bytes ----

function holdsBytes({ placement, multipart }: ObjectRecord): boolean {
  return placement.kind === 'slots' || placement.kind === 'blob' || multipart !== null;
}

function dataOrderOf({ order, record }: StoredVersion): number {
  return record.dataOrder === 0 ? order : record.dataOrder;
}

/** Counts a version that has bytes of another record, or one whose bytes others have already. */
function addHolder(
  staging: Staging,
  { order, isMoved }: Effective,
  object: ObjectRecord,
  top: StoredVersion | null,
): void {
  if (!holdsBytes(object)) return;
  const { bucketId, key, dataOrder } = object;
  const isSharing = dataOrder !== 0;
  if (isSharing) staging.put(sharerKey(dataOrder, order), Buffer.alloc(0));
  if (!isSharing && !isMoved) return;
  const at = shareKey(isSharing ? dataOrder : order);
  const counted = staging.shareCount === 0 ? undefined : staging.get(at);
  if (counted !== undefined) {
    staging.put(at, encodeNumber(decodeNumber(counted) + 1));
    return;
  }
  if (!isSharing) return;
  const isOriginalThere = top?.order === dataOrder || below(staging, bucketId, key, dataOrder) !== null;
  staging.put(at, encodeNumber(isOriginalThere ? 2 : 1));
  staging.shareCount++;
}

/** One version less has its bytes: the last one takes them along. */
function release(staging: Staging, order: number, version: StoredVersion): void {
  const { record } = version;
  if (!holdsBytes(record)) return;
  const dataOrder = dataOrderOf(version);
  if (dataOrder !== version.order) staging.delete(sharerKey(dataOrder, version.order));
  const counted = staging.shareCount === 0 ? undefined : staging.get(shareKey(dataOrder));
  if (counted !== undefined) {
    const left = decodeNumber(counted) - 1;
    if (left > 1 || (left === 1 && !isThere(staging, record, dataOrder))) {
      staging.put(shareKey(dataOrder), encodeNumber(left));
      return;
    }
    staging.delete(shareKey(dataOrder));
    staging.shareCount--;
    if (left === 1) return;
  }
  if (record.multipart !== null) {
    staging.discard(order, dataOrder, { kind: 'upload', uploadId: record.multipart.uploadId });
  } else if (record.placement.kind === 'blob') {
    staging.discard(order, dataOrder, { kind: 'blob', name: blobName(record.placement.id) });
  }
}

/** Whether the key of `record` has the version of this order. */
function isThere(staging: Staging, { bucketId, key }: ObjectRecord, order: number): boolean {
  const top = staging.get(objectKey(bucketId, key));
  return (top !== undefined && decodeEntry(top).order === order) || below(staging, bucketId, key, order) !== null;
}

function encodeNumber(value: number): Buffer {
  return new BinaryWriter().u53(value).finish();
}

export function decodeNumber(value: Buffer): number {
  return new BinaryReader(value).u53();
}
