/**
 * In a placement, a log file and a body say by their number in which set they lie, so that records and the index need
 * no field for it: docs/format/records.md. Those of the first set have the numbers that the journal and the epochs
 * give them.
 */
import { invariant, limits } from '../base/index.js';
import type { PlacementId } from './placement.js';

/** A file has at most eight decimal digits; 32 sets of them fit into the 32 bits that the index keeps. */
const filesPerSet = 2 ** 27;
/** Epochs of a set are far below this. */
const epochsPerSet = 2 ** 40;
/** Of a blob's name: the counter. What is before it is the high part of the id. */
const counterDigits = 12;

invariant(filesPerSet > 99_999_999, 'every number of a log file fits');
invariant(limits.setsMax * filesPerSet <= 2 ** 32, 'the numbers of all sets fit into 32 bits');
invariant(limits.setsMax * epochsPerSet < Number.MAX_SAFE_INTEGER, 'a high part is a safe integer');

export function fileId(setIndex: number, fileNumber: number): number {
  return setIndex * filesPerSet + fileNumber;
}

export function setOfFile(file: number): number {
  return Math.floor(file / filesPerSet);
}

/** As the journal of its set knows it. */
export function fileNumberOf(file: number): number {
  return file % filesPerSet;
}

/** High part of the ids that a set gives in one epoch. */
export function highOf(setIndex: number, epoch: number): number {
  return setIndex * epochsPerSet + epoch;
}

export function setOfBody({ high }: Pick<PlacementId, 'high'>): number {
  return Math.floor(high / epochsPerSet);
}

/** Of the body whose blobs have this name. */
export function setOfBlob(name: string): number {
  return setOfBody({ high: parseInt(name.slice(0, -counterDigits), 16) });
}

/** In which the body with this name was begun. */
export function epochOfBlob(name: string): number {
  return parseInt(name.slice(0, -counterDigits), 16) % epochsPerSet;
}
