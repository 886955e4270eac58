/**
 * The bodies that the index knows: objects and parts, each under its own key. For whatever goes through all of them:
 * repairs, the scan, the sweep.
 */
import { blobName, type Placement } from '../erasure/index.js';
import type { Catalog, CatalogEntry } from '../catalog/index.js';
import {
  bucketOfKey,
  isObjectKey,
  isPartKey,
  keyOfObjectKey,
  objectRange,
  partRange,
  placesOfVersion,
  shareKey,
  successor,
  versionKey,
  versionRange,
} from './index-keys.js';
import { decodeEntry, decodeObject, decodePart, type BodyRecord } from './records.js';

export interface IndexedBody {
  /** Index key under which the body is found again: of the part, or the `V` key of the version, wherever it lies. */
  readonly owner: Buffer;
  readonly bucketId: number;
  /** The S3 key. */
  readonly key: string;
  readonly body: BodyRecord;
  /** Readers of the bytes pin this order. */
  readonly dataOrder: number;
}

export interface BlobBody extends IndexedBody {
  readonly body: BodyRecord & { readonly placement: Extract<Placement, { kind: 'blob' }> };
}

/** Throws RecordFormatError for a value that is none. */
export function decodeIndexedBody(indexKey: Buffer, value: Buffer): IndexedBody {
  const entry = decodeEntry(value);
  if (isPartKey(indexKey)) {
    const body = decodePart(entry.body, entry.here);
    return { owner: indexKey, bucketId: body.bucketId, key: body.key, body, dataOrder: entry.order };
  }
  const body = decodeObject(entry.body, entry.here);
  const { bucketId, key } = body;
  const dataOrder = body.dataOrder === 0 ? entry.order : body.dataOrder;
  return { owner: versionKey(bucketId, key, entry.order), bucketId, key, body, dataOrder };
}

/** The object whose body this is, by its own key or that of a part; null when it has gone. */
export function ownerOf(catalog: Catalog, owner: Buffer): Pick<IndexedBody, 'bucketId' | 'key'> | null {
  if (isObjectKey(owner)) {
    const { top } = placesOfVersion(owner);
    return { bucketId: bucketOfKey(top), key: keyOfObjectKey(top) };
  }
  const value = catalog.get(owner);
  return value === undefined ? null : decodeIndexedBody(owner, value);
}

export function isInBlob(indexed: IndexedBody): indexed is BlobBody {
  return indexed.body.placement.kind === 'blob';
}

/**
 * The body of a blob while the index names it; null when it has gone. A version of an object is found wherever it
 * lies by now, and so is another version that has its bytes.
 */
export function blobBodyAt(catalog: Catalog, owner: Buffer, name: string): BlobBody | null {
  const value = catalog.get(owner);
  const found = value === undefined ? null : namedBlob(owner, value, name);
  return found ?? (isObjectKey(owner) ? blobOfVersion(catalog, owner, name) : null);
}

function namedBlob(indexKey: Buffer, value: Buffer, name: string): BlobBody | null {
  const indexed = decodeIndexedBody(indexKey, value);
  return isInBlob(indexed) && blobName(indexed.body.placement.id) === name ? indexed : null;
}

function blobOfVersion(catalog: Catalog, owner: Buffer, name: string): BlobBody | null {
  const { top, versions, order } = placesOfVersion(owner);
  const topValue = catalog.get(top);
  const found = topValue === undefined ? null : namedBlob(top, topValue, name);
  if (found !== null) return found;
  // The version itself would have been at its key: only others can have its bytes.
  if (order !== null && catalog.get(shareKey(order)) === undefined) return null;
  for (const entry of catalog.range({ start: versions, end: successor(versions) })) {
    const other = namedBlob(Buffer.from(entry.key), Buffer.from(entry.value), name);
    if (other !== null) return other;
  }
  return null;
}

/** Where bodies are in the index. */
export const bodyRanges: readonly { readonly start: Buffer; readonly end: Buffer }[] = [
  objectRange,
  partRange,
  versionRange,
];

export function isBodyKey(indexKey: Buffer): boolean {
  return bodyRanges.some(({ start }) => indexKey[0] === start[0]);
}

/**
 * The next bodies from `from` on, in the order of their keys, and where to go on; null when all were seen. What
 * changes in between is seen or not, wherever it is.
 */
export function bodiesFrom(
  catalog: Catalog,
  from: Buffer,
  countMax: number,
): { readonly bodies: readonly IndexedBody[]; readonly next: Buffer | null } {
  for (const [index, range] of bodyRanges.entries()) {
    if (Buffer.compare(from, range.end) >= 0) continue;
    const start = Buffer.compare(from, range.start) < 0 ? range.start : from;
    const entries: CatalogEntry[] = [...catalog.range({ start, end: range.end, limit: countMax })];
    const bodies = entries.map(({ key, value }) => decodeIndexedBody(Buffer.from(key), value));
    const last = entries.at(-1);
    const isWhole = entries.length < countMax || last === undefined;
    const next = isWhole ? (bodyRanges[index + 1]?.start ?? null) : Buffer.concat([last.key, Buffer.of(0)]);
    return { bodies, next };
  }
  return { bodies: [], next: null };
}
