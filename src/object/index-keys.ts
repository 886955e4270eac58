/**
 * Keys of the index. One letter of a kind, then big-endian numbers and raw bytes, so that byte order is
 * the order that S3 lists in. Object keys hold no NUL, which therefore ends a key before what follows it.
 */
import { invariant } from '../base/index.js';

const kinds = {
  meta: 'M',
  bucket: 'B',
  object: 'O',
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

function withNumber(kind: keyof typeof kinds, value: number, tail: number): Buffer {
  invariant(Number.isSafeInteger(value) && value >= 0, 'a number in an index key is a safe integer');
  const key = Buffer.allocUnsafe(9 + tail);
  key[0] = kindByte(kind);
  key.writeUInt32BE(Math.floor(value / 0x1_0000_0000), 1);
  key.writeUInt32BE(value % 0x1_0000_0000, 5);
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

export const metaKey = Buffer.from(kinds.meta);
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

const objectHeadBytes = 9;

export function objectKey(bucketId: number, key: string): Buffer {
  const bytes = Buffer.byteLength(key);
  const out = withNumber('object', bucketId, bytes);
  out.write(key, objectHeadBytes, 'utf8');
  return out;
}

export function objectPrefix(bucketId: number): Buffer {
  return withNumber('object', bucketId, 0);
}

export function isObjectKey(indexKey: Uint8Array): boolean {
  return indexKey[0] === kindByte('object');
}

/** The S3 key in an object key of the index. */
export function keyOfObjectKey(indexKey: Buffer): string {
  return indexKey.toString('utf8', objectHeadBytes);
}

export function uploadPrefix(bucketId: number, keyPrefix: string): Buffer {
  const bytes = Buffer.byteLength(keyPrefix);
  const out = withNumber('upload', bucketId, bytes);
  out.write(keyPrefix, objectHeadBytes, 'utf8');
  return out;
}

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

export const objectRange = { start: Buffer.from(kinds.object), end: successor(Buffer.from(kinds.object)) };
export const partRange = { start: Buffer.from(kinds.part), end: successor(Buffer.from(kinds.part)) };
export const garbageRange = { start: Buffer.from(kinds.garbage), end: successor(Buffer.from(kinds.garbage)) };

export function usageKey(bucketId: number): Buffer {
  return withNumber('usage', bucketId, 0);
}

export function healKey(blobName: string): Buffer {
  return Buffer.from(kinds.heal + blobName, 'latin1');
}

/** Not the key of a blob: those begin with a hex digit. */
export function healLogKey(fileNumber: number): Buffer {
  return Buffer.from(`${kinds.heal}log${String(fileNumber).padStart(8, '0')}`, 'latin1');
}

export const healRange = { start: Buffer.from(kinds.heal), end: successor(Buffer.from(kinds.heal)) };

/** Bytes in use by log file. */
export function liveKey(fileNumber: number): Buffer {
  return withNumber('live', fileNumber, 0);
}

export function fileOfLiveKey(indexKey: Buffer): number {
  return indexKey.readUInt32BE(1) * 0x1_0000_0000 + indexKey.readUInt32BE(5);
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
