/**
 * Version ids: a UUID to clients, 16 bytes in records. The last 56 bits are the order of the record that made
 * the version, so that an id leads straight to its place in the index; the rest is random.
 */
import { randomUUID } from 'node:crypto';
import { invariant } from '../base/index.js';
import type { WriteMode } from './versioning.js';

/** Of the version that a bucket without versioning has of each key. */
export const nullVersionId = 'null';
export const versionIdBytes = 16;

const orderDigits = 14;
/** Digits of the order in front of the last hyphen. */
const orderDigitsBefore = 2;
/** Version 8 of RFC 9562: the meaning of the bits is the maker's. */
const uuidVersion = '8';
const uuidVersionAt = 14;
const randomChars = 21;

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

export function newVersionId(order: number): string {
  invariant(Number.isSafeInteger(order) && order >= 0, 'an order is a safe integer');
  const random = randomUUID();
  const digits = order.toString(16).padStart(orderDigits, '0');
  return (
    random.slice(0, uuidVersionAt) +
    uuidVersion +
    random.slice(uuidVersionAt + 1, randomChars) +
    `${digits.slice(0, orderDigitsBefore)}-${digits.slice(orderDigitsBefore)}`
  );
}

/** Of a version that is written now. */
export function versionIdFor(mode: WriteMode, order: number): string {
  return mode === 'enabled' ? newVersionId(order) : nullVersionId;
}

/** Whether it could name a version: 'null', or any UUID, as clients bring them from elsewhere. */
export function isVersionId(text: string): boolean {
  return text === nullVersionId || uuid.test(text);
}

/** Null for an id that was not made here. */
export function orderOfVersionId(versionId: string): number | null {
  if (!uuid.test(versionId) || versionId[uuidVersionAt] !== uuidVersion) return null;
  const order = parseInt(versionId.slice(randomChars).replace('-', ''), 16);
  return Number.isSafeInteger(order) ? order : null;
}

export function versionIdToBytes(versionId: string): Buffer {
  const bytes = Buffer.from(versionId.replaceAll('-', ''), 'hex');
  invariant(bytes.length === versionIdBytes, 'a version id that is stored is a UUID');
  return bytes;
}

export function versionIdFromBytes(bytes: Buffer): string | null {
  const digits = bytes.toString('hex');
  const text = [8, 12, 16, 20, 32].map((end, index, ends) => digits.slice(ends[index - 1] ?? 0, end)).join('-');
  return orderOfVersionId(text) === null ? null : text;
}
