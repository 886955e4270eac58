/**
 * Keys of the index. One letter of a kind, then big-endian numbers and raw bytes, so that byte order is
 * the order that S3 lists in. Object keys hold no NUL, which therefore ends a key before what follows it.
 */
import { invariant } from '../base/index.js';
import { shortTextChars, writeAscii } from './binary.js';

const kinds = {
  meta: 'M',
  bucket: 'B',
  object: 'O',
  version: 'V',
  nullVersion: 'N',
  share: 'R',
  sharer: 'W',
  upload: 'U',
  part: 'P',
  garbage: 'G',
  usage: 'C',
  heal: 'H',
  system: 'S',
  document: 'D',
  live: 'L',
  scan: 'X',
} as const;

function kindByte(kind: keyof typeof kinds): number {
  return kinds[kind].charCodeAt(0);
}

function numberOf(indexKey: Buffer): number {
  return indexKey.readUInt32BE(1) * 0x1_0000_0000 + indexKey.readUInt32BE(5);
}

/** The bucket in a key of the index that has it behind its kind: of objects, versions, usage. */
export function bucketOfKey(indexKey: Buffer): number {
  return numberOf(indexKey);
}

/** Kind and number. */
const objectHeadBytes = 9;
/** Kind, number, S3 key, and room for `tail` bytes behind it. */
function withKey(kind: keyof typeof kinds, value: number, key: string, tail: number): Buffer {
  if (key.length <= shortTextChars) {
    const out = withNumber(kind, value, key.length + tail);
    if (writeAscii(out, objectHeadBytes, key)) return out;
  }
  const out = withNumber(kind, value, Buffer.byteLength(key) + tail);
  out.write(key, objectHeadBytes, 'utf8');
  return out;
}

function putNumber(out: Buffer, at: number, value: number): void {
  const low = value >>> 0;
  const high = (value - low) / 0x1_0000_0000;
  out[at] = high >>> 24;
  out[at + 1] = high >>> 16;
  out[at + 2] = high >>> 8;
  out[at + 3] = high;
  out[at + 4] = low >>> 24;
  out[at + 5] = low >>> 16;
  out[at + 6] = low >>> 8;
  out[at + 7] = low;
}

function withNumber(kind: keyof typeof kinds, value: number, tail: number): Buffer {
  invariant(Number.isSafeInteger(value) && value >= 0, 'a number in an index key is a safe integer');
  const key = Buffer.allocUnsafe(9 + tail);
  key[0] = kindByte(kind);
  putNumber(key, 1, value);
  return key;
}

/** The first key after all keys that start with `prefix`. */
export function successor(prefix: Uint8Array): Buffer {
  const end = Buffer.from(prefix);
  for (let index = end.length - 1; index >= 0; index--) {
    const byte = end[index] ?? 0;
    if (byte < 0xff) {
      end[index] = byte + 1;
      return end.subarray(0, index + 1);
    }
  }
  throw new RangeError('no key follows a prefix of 0xff bytes');
}

/** Where the index stands in the log of a set. */
export function metaKey(setIndex: number): Buffer {
  return setIndex === 0 ? Buffer.from(kinds.meta) : Buffer.from([kindByte('meta'), setIndex]);
}

/** There while the index is built anew. */
export const rebuildKey = Buffer.from(`${kinds.meta}R`);

/** Where the scan stands. */
export const scanKey = Buffer.from(kinds.scan);

/** Not decided by the records alone: what is left to be done, and where the scan stands. */
export function isDerivedKey(indexKey: Buffer): boolean {
  return [kinds.meta, kinds.garbage, kinds.heal, kinds.scan].some((kind) => indexKey[0] === kind.charCodeAt(0));
}

export const bucketRange = { start: Buffer.from(kinds.bucket), end: successor(Buffer.from(kinds.bucket)) };

export function bucketKey(name: string): Buffer {
  return Buffer.from(kinds.bucket + name, 'utf8');
}

export function objectKey(bucketId: number, key: string): Buffer {
  return withKey('object', bucketId, key, 0);
}

export function objectPrefix(bucketId: number): Buffer {
  return withNumber('object', bucketId, 0);
}

/** Of an object's version, the latest or below. */
export function isObjectKey(indexKey: Uint8Array): boolean {
  return indexKey[0] === kindByte('object') || indexKey[0] === kindByte('version');
}

/** Of the latest version of a key. */
export function isLatestKey(indexKey: Uint8Array): boolean {
  return indexKey[0] === kindByte('object');
}

/** The S3 key in an object key of the index. */
export function keyOfObjectKey(indexKey: Buffer): string {
  return indexKey.toString('utf8', objectHeadBytes);
}

/** Versions of a key below its latest object, the newest first: those of the key before those of longer keys. */
export function versionPrefix(bucketId: number, key: string): Buffer {
  const out = withKey('version', bucketId, key, 1);
  out[out.length - 1] = 0;
  return out;
}

/** Of all keys that start with `keyPrefix`. */
export function versionsPrefix(bucketId: number, keyPrefix: string): Buffer {
  const prefix = versionPrefix(bucketId, keyPrefix);
  return prefix.subarray(0, prefix.length - 1);
}

const versionOrderBytes = 8;
/** What follows the S3 key in a version key of the index: NUL and the order, turned over. */
export const versionTailBytes = 1 + versionOrderBytes;

export function versionKey(bucketId: number, key: string, order: number): Buffer {
  const out = withKey('version', bucketId, key, versionTailBytes);
  const turned = Number.MAX_SAFE_INTEGER - order;
  invariant(turned >= 0, 'an order is a safe integer');
  const at = out.length - versionOrderBytes;
  out[at - 1] = 0;
  putNumber(out, at, turned);
  return out;
}

/** The S3 key in a version key of the index. */
export function keyOfVersionKey(indexKey: Buffer): string {
  return indexKey.toString('utf8', objectHeadBytes, indexKey.length - versionTailBytes);
}

/**
 * From the index key of an object's version, the latest or below: where the latest object of its key is, what those
 * below begin with, and the version's order if the key says it.
 */
export function placesOfVersion(indexKey: Buffer): { top: Buffer; versions: Buffer; order: number | null } {
  const isBelow = indexKey[0] === kindByte('version');
  const top = Buffer.from(isBelow ? indexKey.subarray(0, indexKey.length - versionTailBytes) : indexKey);
  top[0] = kindByte('object');
  const versions = Buffer.concat([top, Buffer.of(0)]);
  versions[0] = kindByte('version');
  if (!isBelow) return { top, versions, order: null };
  const at = indexKey.length - versionOrderBytes;
  const turned = indexKey.readUInt32BE(at) * 0x1_0000_0000 + indexKey.readUInt32BE(at + 4);
  return { top, versions, order: Number.MAX_SAFE_INTEGER - turned };
}

export const versionRange = { start: Buffer.from(kinds.version), end: successor(Buffer.from(kinds.version)) };

/** Where the null version of a key is when it is not its latest object. */
export function nullVersionKey(bucketId: number, key: string): Buffer {
  return withKey('nullVersion', bucketId, key, 0);
}

/** How many versions have the bytes that this record wrote. */
export function shareKey(dataOrder: number): Buffer {
  return withNumber('share', dataOrder, 0);
}

export const shareRange = { start: Buffer.from(kinds.share), end: successor(Buffer.from(kinds.share)) };

/** A version that has the bytes which another record, of a lower order, wrote. */
export function sharerKey(dataOrder: number, order: number): Buffer {
  const key = withNumber('sharer', dataOrder, 8);
  putNumber(key, objectHeadBytes, order);
  return key;
}

export function orderOfSharerKey(indexKey: Buffer): number {
  return indexKey.readUInt32BE(objectHeadBytes) * 0x1_0000_0000 + indexKey.readUInt32BE(objectHeadBytes + 4);
}

export function uploadPrefix(bucketId: number, keyPrefix: string): Buffer {
  return withKey('upload', bucketId, keyPrefix, 0);
}

export const uploadRange = { start: Buffer.from(kinds.upload), end: successor(Buffer.from(kinds.upload)) };

export function uploadKey(bucketId: number, key: string, uploadId: string): Buffer {
  return Buffer.concat([uploadPrefix(bucketId, key), Buffer.of(0), Buffer.from(uploadId, 'hex')]);
}

export function partPrefix(uploadId: string): Buffer {
  return Buffer.concat([Buffer.from(kinds.part), Buffer.from(uploadId, 'hex')]);
}

export function partKey(uploadId: string, partNumber: number): Buffer {
  const key = Buffer.allocUnsafe(19);
  key[0] = kindByte('part');
  key.write(uploadId, 1, 'hex');
  key.writeUInt16BE(partNumber, 17);
  return key;
}

export function isPartKey(indexKey: Buffer): boolean {
  return indexKey[0] === kindByte('part');
}

/** `ordinal`: several pieces of garbage can come from one record. */
export function garbageKey(order: number, ordinal: number): Buffer {
  const key = withNumber('garbage', order, 2);
  key.writeUInt16BE(ordinal, 9);
  return key;
}

export function orderOfGarbageKey(indexKey: Buffer): number {
  return indexKey.readUInt32BE(1) * 0x1_0000_0000 + indexKey.readUInt32BE(5);
}

export const objectRange = { start: Buffer.from(kinds.object), end: successor(Buffer.from(kinds.object)) };
export const partRange = { start: Buffer.from(kinds.part), end: successor(Buffer.from(kinds.part)) };
export const garbageRange = { start: Buffer.from(kinds.garbage), end: successor(Buffer.from(kinds.garbage)) };

export function usageKey(bucketId: number): Buffer {
  return withNumber('usage', bucketId, 0);
}

export const usageRange = { start: Buffer.from(kinds.usage), end: successor(Buffer.from(kinds.usage)) };

export function healKey(blobName: string): Buffer {
  return Buffer.from(kinds.heal + blobName, 'latin1');
}

/** Not the key of a blob: those begin with a hex digit. The number says the set, too: eight digits or more. */
export function healLogKey(fileNumber: number): Buffer {
  return Buffer.from(`${kinds.heal}log${String(fileNumber).padStart(8, '0')}`, 'latin1');
}

export const healRange = { start: Buffer.from(kinds.heal), end: successor(Buffer.from(kinds.heal)) };

/** Bytes in use by log file. */
export function liveKey(fileNumber: number): Buffer {
  return withNumber('live', fileNumber, 0);
}

export function fileOfLiveKey(indexKey: Buffer): number {
  return numberOf(indexKey);
}

export const liveRange = { start: Buffer.from(kinds.live), end: successor(Buffer.from(kinds.live)) };

/** A prefix of names gives a prefix of keys. */
export function systemKey(name: string): Buffer {
  return Buffer.from(kinds.system + name, 'utf8');
}

/** The name in a system key of the index. */
export function nameOfSystemKey(indexKey: Buffer): string {
  return indexKey.toString('utf8', 1);
}

export function documentPrefix(bucketId: number): Buffer {
  return withNumber('document', bucketId, 0);
}

export function documentKey(bucketId: number, kindCode: number): Buffer {
  const key = withNumber('document', bucketId, 1);
  key[9] = kindCode;
  return key;
}

export const documentRange = { start: Buffer.from(kinds.document), end: successor(Buffer.from(kinds.document)) };
