import type { ObjectInfo } from './object-layer.js';
import type { IndexEntry, ObjectRecord } from './records.js';

export interface StoredObject {
  readonly entry: IndexEntry;
  readonly record: ObjectRecord;
}

export function objectInfo(bucket: string, record: ObjectRecord): ObjectInfo {
  return {
    bucket,
    key: record.key,
    bytes: record.bytes,
    etag: record.etag,
    modifiedMs: record.modifiedMs,
    versionId: record.versionId,
    metadata: record.metadata,
    checksum: record.checksum,
    partCount: record.multipart?.parts.length ?? 0,
  };
}
