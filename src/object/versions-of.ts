/** The versions of a key as the index has them, for those who look at all of them. */
import type { IndexState } from './index-state.js';
import { entrySpace, type ObjectRecord } from './records.js';
import { storedVersions } from './versions.js';

export interface KnownVersion {
  readonly record: ObjectRecord;
  readonly versionId: string;
  readonly isLatest: boolean;
  readonly isDeleteMarker: boolean;
  /** Of its record, as it was written first. */
  readonly order: number;
  /** Log file in which its record lies, by its number in all sets. */
  readonly fileNumber: number;
}

/** The newest first. */
export function versionsOf(index: IndexState, bucketId: number, key: string): KnownVersion[] {
  return Array.from(storedVersions(index.catalog, bucketId, key), ({ record, order, entry }, place) => ({
    record,
    versionId: record.versionId,
    isLatest: place === 0,
    isDeleteMarker: record.isMarker,
    order,
    fileNumber: entrySpace(entry).fileNumber,
  }));
}
