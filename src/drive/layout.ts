/** Names of everything on a drive, relative to its folder. docs/format/drive.md describes them. */
import { invariant, limits } from '../base/index.js';

/** The drive's folder itself. */
export const ownFolder = '.';
export const systemFolder = '.granary';
export const formatFile = `${systemFolder}/format.json`;
export const formatCopyFile = `${systemFolder}/format.copy.json`;
export const lockFile = `${systemFolder}/lock`;
/** There from the first to the last step of formatting. */
export const unfinishedFile = `${systemFolder}/unfinished`;
export const writeTestFile = `${systemFolder}/write-test`;
export const logFolder = 'log';
export const blobFolder = 'blobs';
/** Made by mkfs; the only entry that an empty folder may have. */
export const lostAndFound = 'lost+found';
/** Of a file that is still being made, beside its final name. */
export const newSuffix = '.new';

/** A log file that is not needed any more; the next one is made of it. At most one. */
export const freedLogFile = `${logFolder}/freed`;

const logFilePattern = /^(\d{8})\.log$/;
const blobNamePattern = /^[0-9a-f][0-9a-f.]{0,127}$/;

export function logFileName(fileNumber: number): string {
  invariant(Number.isSafeInteger(fileNumber) && fileNumber >= 0, 'a log file has a number');
  invariant(fileNumber <= limits.logFileNumberMax, 'a log file number has eight digits');
  return `${logFolder}/${String(fileNumber).padStart(8, '0')}.log`;
}

/** The number in the name of a log file, or null for any other name. */
export function logFileNumber(name: string): number | null {
  const digits = logFilePattern.exec(name)?.[1];
  return digits === undefined ? null : Number(digits);
}

export function isBlobName(name: string): boolean {
  return blobNamePattern.test(name);
}

/** `00` to `ff`: the blob folders. */
export function blobSubfolders(): string[] {
  return Array.from({ length: 256 }, (_, index) => index.toString(16).padStart(2, '0'));
}

/** The top byte of the 32-bit FNV-1a hash of the name: spreads names that differ in one digit only. */
export function blobSubfolder(name: string): string {
  let hash = 0x811c9dc5;
  for (let index = 0; index < name.length; index++) {
    hash = Math.imul(hash ^ name.charCodeAt(index), 0x01000193);
  }
  return (hash >>> 24).toString(16).padStart(2, '0');
}

export function blobFileName(name: string): string {
  invariant(isBlobName(name), 'a blob name is lower-case hex and dots');
  return `${blobFolder}/${blobSubfolder(name)}/${name}`;
}
