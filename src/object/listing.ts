/**
 * Listings straight from the index: a page costs what it returns. A common prefix is one seek past all
 * the keys that it stands for, and so is what was deleted, once somebody has been through it.
 */
import type { Catalog, Turn } from '../catalog/index.js';
import { keyOfObjectKey, objectKey, objectPrefix, successor, uploadPrefix } from './index-keys.js';
import type { ListEntry, ListOptions, ListPage, ListUploadsPage, MultipartUploadInfo } from './object-layer.js';
import { decodeEntry, decodeListing, decodeUpload, entryBody, type UploadRecord } from './records.js';

/** The common prefix that a key falls under, or null. */
export function commonPrefixOf(key: string, prefix: string, delimiter: string): string | null {
  if (delimiter === '') return null;
  const at = key.indexOf(delimiter, prefix.length);
  return at < 0 ? null : key.slice(0, at + delimiter.length);
}

interface Walk {
  readonly catalog: Catalog;
  readonly turn: Turn;
  readonly prefix: string;
  readonly delimiter: string;
  /** Index key of an S3 key or prefix. */
  readonly toIndexKey: (key: string) => Buffer;
  readonly toKey: (indexKey: Buffer) => string;
  readonly end: Buffer;
  /** False stops the walk. */
  readonly onEntry: (key: string, indexKey: Buffer, value: Buffer) => boolean;
  readonly onPrefix: (commonPrefix: string) => boolean;
}

function walk(options: Walk, from: Buffer): void {
  let start = from;
  for (;;) {
    let skipTo: Buffer | null = null;
    if (Buffer.compare(start, options.end) >= 0) return;
    for (const { key: indexKey, value } of options.catalog.range({ start, end: options.end, turn: options.turn })) {
      const key = options.toKey(indexKey);
      const commonPrefix = commonPrefixOf(key, options.prefix, options.delimiter);
      if (commonPrefix === null) {
        if (!options.onEntry(key, indexKey, value)) return;
        continue;
      }
      if (!options.onPrefix(commonPrefix)) return;
      skipTo = successor(options.toIndexKey(commonPrefix));
      break;
    }
    if (skipTo === null) return;
    start = skipTo;
  }
}

/** Where a walk begins that leaves out everything at or before the marker, and a common prefix that holds it. */
function startKey(
  toIndexKey: (key: string) => Buffer,
  prefix: string,
  delimiter: string,
  marker: string,
  afterMarker: (marker: string) => Buffer,
): Buffer {
  const prefixKey = toIndexKey(prefix);
  if (marker === '') return prefixKey;
  const inside = marker.startsWith(prefix) ? commonPrefixOf(marker, prefix, delimiter) : null;
  const after = inside === null ? afterMarker(marker) : successor(toIndexKey(inside));
  return Buffer.compare(after, prefixKey) > 0 ? after : prefixKey;
}

export function listObjects(catalog: Catalog, bucketId: number, options: ListOptions, turn: Turn): ListPage {
  const entries: ListEntry[] = [];
  const commonPrefixes: string[] = [];
  let last = '';
  let isTruncated = false;
  const isFull = (): boolean => entries.length + commonPrefixes.length >= options.countMax;
  if (options.countMax === 0) return { entries, commonPrefixes, isTruncated, next: '' };
  const toIndexKey = (key: string): Buffer => objectKey(bucketId, key);
  const end = options.prefix === '' ? successor(objectPrefix(bucketId)) : successor(toIndexKey(options.prefix));
  const start = startKey(toIndexKey, options.prefix, options.delimiter, options.startAfter, (marker) =>
    Buffer.concat([toIndexKey(marker), Buffer.of(0)]),
  );
  walk(
    {
      catalog,
      turn,
      prefix: options.prefix,
      delimiter: options.delimiter,
      toIndexKey,
      toKey: keyOfObjectKey,
      end,
      onEntry: (key, _indexKey, value) => {
        if (isFull()) {
          isTruncated = true;
          return false;
        }
        const { bytes, etag, modifiedMs, storageClass, checksum } = decodeListing(entryBody(value));
        entries.push({ key, bytes, etag, modifiedMs, storageClass, checksum });
        last = key;
        return true;
      },
      onPrefix: (commonPrefix) => {
        if (isFull()) {
          isTruncated = true;
          return false;
        }
        commonPrefixes.push(commonPrefix);
        last = commonPrefix;
        return true;
      },
    },
    start,
  );
  return { entries, commonPrefixes, isTruncated, next: isTruncated ? last : '' };
}

const uploadTailBytes = 17;

export function listUploads(
  catalog: Catalog,
  bucketId: number,
  bucket: string,
  options: { prefix: string; delimiter: string; keyMarker: string; uploadIdMarker: string; countMax: number },
  turn: Turn,
): ListUploadsPage {
  const uploads: MultipartUploadInfo[] = [];
  const commonPrefixes: string[] = [];
  let isTruncated = false;
  let nextKeyMarker = '';
  let nextUploadIdMarker = '';
  const isFull = (): boolean => uploads.length + commonPrefixes.length >= options.countMax;
  const toIndexKey = (key: string): Buffer => uploadPrefix(bucketId, key);
  const end = successor(toIndexKey(options.prefix));
  const start = startKey(toIndexKey, options.prefix, options.delimiter, options.keyMarker, (marker) => {
    const ids = Buffer.concat([toIndexKey(marker), Buffer.of(0)]);
    // Uploads of the marker's own key follow only when an upload id marker says from where.
    const isId = /^[0-9a-f]{32}$/.test(options.uploadIdMarker);
    return isId ? Buffer.concat([ids, Buffer.from(options.uploadIdMarker, 'hex'), Buffer.of(0)]) : successor(ids);
  });
  walk(
    {
      catalog,
      turn,
      prefix: options.prefix,
      delimiter: options.delimiter,
      toIndexKey,
      toKey: (indexKey) => keyOfObjectKey(indexKey.subarray(0, indexKey.length - uploadTailBytes)),
      end,
      onEntry: (key, _indexKey, value) => {
        if (isFull()) {
          isTruncated = true;
          return false;
        }
        const upload = uploadInfo(bucket, decodeUpload(decodeEntry(value).body));
        uploads.push(upload);
        nextKeyMarker = key;
        nextUploadIdMarker = upload.uploadId;
        return true;
      },
      onPrefix: (commonPrefix) => {
        if (isFull()) {
          isTruncated = true;
          return false;
        }
        commonPrefixes.push(commonPrefix);
        nextKeyMarker = commonPrefix;
        nextUploadIdMarker = '';
        return true;
      },
    },
    start,
  );
  if (!isTruncated) return { uploads, commonPrefixes, isTruncated, nextKeyMarker: '', nextUploadIdMarker: '' };
  return { uploads, commonPrefixes, isTruncated, nextKeyMarker, nextUploadIdMarker };
}

export function uploadInfo(bucket: string, record: UploadRecord): MultipartUploadInfo {
  const { uploadId, key, initiatedMs, metadata, checksumAlgorithm, checksumType } = record;
  return { uploadId, bucket, key, initiatedMs, metadata, checksumAlgorithm, checksumType };
}
