/** What answers say about delete markers. */
import { Refusal } from '../base/index.js';
import type { DeleteMarker, MarkerRefusal } from '../object/index.js';

type MutablePairs = [name: string, value: string][];

/** The delete marker that a look-up ended at, or null. */
export function markerOf(error: unknown): DeleteMarker | null {
  return isMarkerRefusal(error) ? error.marker : null;
}

function isMarkerRefusal(error: unknown): error is MarkerRefusal {
  return (
    error instanceof Refusal && 'marker' in error && (error.code === 'NoSuchKey' || error.code === 'MethodNotAllowed')
  );
}

/** A marker that was named can be deleted, and nothing else. */
export function markerHeaders({ versionId, modifiedMs }: DeleteMarker, code: string): MutablePairs {
  const headers: MutablePairs = [
    ['x-amz-delete-marker', 'true'],
    ['x-amz-version-id', versionId],
  ];
  if (code !== 'MethodNotAllowed') return headers;
  return [...headers, ['Last-Modified', new Date(modifiedMs).toUTCString()], ['Allow', 'DELETE']];
}
