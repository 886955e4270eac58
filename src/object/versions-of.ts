/** The versions of a key as the index has them, for those who look at all of them. */
import type { IndexState } from './index-state.js';
import { objectKey } from './index-keys.js';
import { decodeEntry, decodeObject, type ObjectRecord } from './records.js';

export interface KnownVersion {
  readonly record: ObjectRecord;
  readonly versionId: string;
  readonly isLatest: boolean;
  readonly isDeleteMarker: boolean;
}

/** The newest first. */
export function versionsOf(index: IndexState, bucketId: number, key: string): KnownVersion[] {
  const value = index.catalog.get(objectKey(bucketId, key));
  if (value === undefined) return [];
  const entry = decodeEntry(value);
  const record = decodeObject(entry.body, entry.here);
  return [{ record, versionId: 'null', isLatest: true, isDeleteMarker: false }];
}
