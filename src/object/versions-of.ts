/** The versions of a key as the index has them, for those who look at all of them. */
import type { IndexState } from './index-state.js';
import type { ObjectRecord } from './records.js';
import { storedVersions } from './versions.js';

export interface KnownVersion {
  readonly record: ObjectRecord;
  readonly versionId: string;
  readonly isLatest: boolean;
  readonly isDeleteMarker: boolean;
}

/** The newest first. */
export function versionsOf(index: IndexState, bucketId: number, key: string): KnownVersion[] {
  return Array.from(storedVersions(index.catalog, bucketId, key), ({ record }) => record).map((record, place) => ({
    record,
    versionId: record.versionId,
    isLatest: place === 0,
    isDeleteMarker: record.isMarker,
  }));
}
