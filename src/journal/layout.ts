/**
 * The bytes of a log file, as docs/format/log.md describes them: batches of
 * header | records | slots | padding, each from a 4 KiB boundary on. Everything but the contents of
 * the slots is the same on every drive of the set. Numbers are little-endian.
 */
import { KiB, MiB, alignUp, divCeil, invariant } from '../base/index.js';
import { crc32c } from './crc32c.js';
import type { LogRecord, PreparedRecord, ShardSlots } from './journal.js';

export const formatVersion = 1;
export const pageBytes = 4 * KiB;
export const headerBytes = 256;
export const digestBytes = 32;
export const slotAlignment = 64;
/** The order of a record is its batch's sequence times this, plus its index. */
export const ordersPerBatch = 65_536;
export const recordsPerBatchMax = 1000;
/** Header and records of a batch are put together in one slab, and slabs end at 4 MiB. */
export const commonBytesMax = 4 * MiB - pageBytes;
/** One record's body, with room for what compaction wraps it in; a batch is closed to further ones once it holds `recordsBytesSoftMax`. */
export const bodyBytesMax = 2 * MiB + pageBytes;
export const recordsBytesSoftMax = 1 * MiB;
/** A batch is closed to further records once one drive's slots have this size. */
export const slotsBytesSoftMax = 4 * MiB;
export const slotBytesMax = 4 * MiB;

const magic = Buffer.from('GRNYLOG1', 'latin1');
const recordHeaderBytes = 16;
const slotHeaderBytes = 32;
const recordVersion = 1;
const flagEpochStart = 1;

/** Where the fields of the header lie. */
const at = {
  magic: 0,
  version: 8,
  headerBytes: 10,
  crc: 12,
  deploymentId: 16,
  setIndex: 32,
  members: 36,
  fileNumber: 40,
  flags: 44,
  fileOffset: 48,
  epoch: 56,
  sequence: 64,
  totalBytes: 72,
  recordsBytes: 80,
  recordCount: 84,
  slotsBytes: 88,
  driveCount: 92,
  dataShards: 93,
  committedUpTo: 96,
  timeMs: 104,
  previous: 112,
  digest: 144,
  horizon: 176,
} as const;

/** What every batch of one set has in common. */
export interface SetIdentity {
  /** 16 raw bytes. */
  readonly deploymentId: Uint8Array;
  readonly setIndex: number;
  readonly driveCount: number;
  readonly dataShards: number;
}

export interface BatchHeader {
  readonly fileNumber: number;
  readonly fileOffset: number;
  readonly epoch: number;
  readonly sequence: number;
  readonly isEpochStart: boolean;
  /** S, as bits. */
  readonly members: number;
  readonly totalBytes: number;
  readonly recordsBytes: number;
  readonly slotsBytes: number;
  readonly recordCount: number;
  readonly committedUpTo: number;
  readonly timeMs: number;
  /** 64 hex digits; empty for the first batch of a set. */
  readonly previous: string;
  readonly digest: string;
  /**
   * The oldest log file that is still needed; 0: the first. Whatever is in use of the files before it was written
   * again further on before this batch was put together.
   */
  readonly horizon: number;
}

const noDigest = '0'.repeat(2 * digestBytes);

/** Header and records, from the start of the batch. */
export function commonBytes(header: Pick<BatchHeader, 'recordsBytes'>): number {
  return headerBytes + header.recordsBytes;
}

export function batchEnd(header: Pick<BatchHeader, 'fileOffset' | 'totalBytes'>): number {
  return header.fileOffset + header.totalBytes;
}

/** Writes the header without digest and CRC, which `sealHeader` adds: the digest is taken over zeroes there. */
export function writeHeader(view: Buffer, offset: number, identity: SetIdentity, header: BatchHeader): void {
  view.fill(0, offset, offset + headerBytes);
  view.set(magic, offset + at.magic);
  view.writeUInt16LE(formatVersion, offset + at.version);
  view.writeUInt16LE(headerBytes, offset + at.headerBytes);
  view.set(identity.deploymentId, offset + at.deploymentId);
  view.writeUInt32LE(identity.setIndex, offset + at.setIndex);
  view.writeUInt32LE(header.members, offset + at.members);
  view.writeUInt32LE(header.fileNumber, offset + at.fileNumber);
  view.writeUInt32LE(header.isEpochStart ? flagEpochStart : 0, offset + at.flags);
  writeNumber(view, offset + at.fileOffset, header.fileOffset);
  writeNumber(view, offset + at.epoch, header.epoch);
  writeNumber(view, offset + at.sequence, header.sequence);
  writeNumber(view, offset + at.totalBytes, header.totalBytes);
  view.writeUInt32LE(header.recordsBytes, offset + at.recordsBytes);
  view.writeUInt32LE(header.recordCount, offset + at.recordCount);
  view.writeUInt32LE(header.slotsBytes, offset + at.slotsBytes);
  view[offset + at.driveCount] = identity.driveCount;
  view[offset + at.dataShards] = identity.dataShards;
  writeNumber(view, offset + at.committedUpTo, header.committedUpTo);
  writeNumber(view, offset + at.timeMs, header.timeMs);
  writeNumber(view, offset + at.horizon, header.horizon);
  if (header.previous !== '') view.write(header.previous, offset + at.previous, 'hex');
}

/** Adds the digest (32 bytes at `digestOffset`) and the CRC. */
export function sealHeader(view: Buffer, offset: number, digestOffset: number): string {
  view.copyWithin(offset + at.digest, digestOffset, digestOffset + digestBytes);
  view.writeUInt32LE(crc32c(view, offset + at.deploymentId, offset + headerBytes), offset + at.crc);
  return view.toString('hex', offset + at.digest, offset + at.digest + digestBytes);
}

/** Takes digest and CRC out again, so that the digest can be computed as it was when written. */
export function unsealHeader(view: Buffer, offset: number): void {
  view.fill(0, offset + at.crc, offset + at.deploymentId);
  view.fill(0, offset + at.digest, offset + at.digest + digestBytes);
}

/** The counterpart of `unsealHeader`. */
export function resealHeader(view: Buffer, offset: number, header: BatchHeader): void {
  view.write(header.digest, offset + at.digest, 'hex');
  view.writeUInt32LE(crc32c(view, offset + at.deploymentId, offset + headerBytes), offset + at.crc);
}

/** The header at `offset` when it is one of this set, written for this place; else null. */
export function readHeader(
  view: Buffer,
  offset: number,
  identity: SetIdentity,
  fileNumber: number,
  fileOffset: number,
): BatchHeader | null {
  if (view.compare(magic, 0, magic.length, offset, offset + magic.length) !== 0) return null;
  if (view.readUInt32LE(offset + at.crc) !== crc32c(view, offset + at.deploymentId, offset + headerBytes)) return null;
  if (view.readUInt16LE(offset + at.version) !== formatVersion) return null;
  if (view.readUInt16LE(offset + at.headerBytes) !== headerBytes) return null;
  const deployment = view.subarray(offset + at.deploymentId, offset + at.deploymentId + 16);
  if (deployment.compare(identity.deploymentId) !== 0) return null;
  if (view.readUInt32LE(offset + at.setIndex) !== identity.setIndex) return null;
  if (view[offset + at.driveCount] !== identity.driveCount) return null;
  if (view.readUInt32LE(offset + at.fileNumber) !== fileNumber) return null;
  if (readNumber(view, offset + at.fileOffset) !== fileOffset) return null;
  const previous = view.toString('hex', offset + at.previous, offset + at.previous + digestBytes);
  const header: BatchHeader = {
    fileNumber,
    fileOffset,
    epoch: readNumber(view, offset + at.epoch),
    sequence: readNumber(view, offset + at.sequence),
    isEpochStart: (view.readUInt32LE(offset + at.flags) & flagEpochStart) !== 0,
    members: view.readUInt32LE(offset + at.members),
    totalBytes: readNumber(view, offset + at.totalBytes),
    recordsBytes: view.readUInt32LE(offset + at.recordsBytes),
    slotsBytes: view.readUInt32LE(offset + at.slotsBytes),
    recordCount: view.readUInt32LE(offset + at.recordCount),
    committedUpTo: readNumber(view, offset + at.committedUpTo),
    timeMs: readNumber(view, offset + at.timeMs),
    previous: previous === noDigest ? '' : previous,
    digest: view.toString('hex', offset + at.digest, offset + at.digest + digestBytes),
    horizon: readNumber(view, offset + at.horizon),
  };
  return isPlausible(header) ? header : null;
}

function isPlausible(header: BatchHeader): boolean {
  return (
    commonBytes(header) <= commonBytesMax &&
    header.recordCount <= recordsPerBatchMax &&
    Number.isFinite(header.epoch) &&
    Number.isFinite(header.sequence) &&
    Number.isFinite(header.timeMs) &&
    header.horizon <= header.fileNumber &&
    header.totalBytes === batchBytes(header.recordsBytes, header.slotsBytes)
  );
}

/** Slots begin at the next 64-byte boundary behind the records. */
export function slotsStart(recordsBytes: number): number {
  return alignUp(headerBytes + recordsBytes, slotAlignment);
}

export function batchBytes(recordsBytes: number, slotsBytes: number): number {
  return alignUp(slotsStart(recordsBytes) + slotsBytes, pageBytes);
}

/** Bytes of a record without its slot. */
export function recordBytes(record: { readonly body: Uint8Array; readonly slots: ShardSlots | null }): number {
  const slots = record.slots === null ? 0 : slotHeaderBytes + record.slots.hashes.length;
  return alignUp(recordHeaderBytes + slots + record.body.length, 8);
}

/** Bytes of a record's slot on one drive, with the padding that aligns the next. */
export function slotSpace(slots: ShardSlots | null): number {
  return slots === null ? 0 : alignUp(slots.slotBytes, slotAlignment);
}

/** What a record takes of a log file on each drive, its slot included. */
export function logBytesOf(record: { readonly body: Uint8Array; readonly slots: ShardSlots | null }): number {
  return recordBytes(record) + slotSpace(record.slots);
}

export function hashesBytes(slots: Pick<ShardSlots, 'slotBytes' | 'checksumBlockBytes'>, driveCount: number): number {
  return driveCount * divCeil(slots.slotBytes, slots.checksumBlockBytes) * digestBytes;
}

/** Writes a record at `offset`; its slot lies `slotOffset` bytes behind the start of the batch. */
export function writeRecord(view: Buffer, offset: number, record: PreparedRecord, slotOffset: number): void {
  const { slots, body } = record;
  const slotPart = slots === null ? 0 : slotHeaderBytes + slots.hashes.length;
  const total = recordBytes(record);
  view.writeUInt32LE(total, offset);
  view.writeUInt16LE(record.type, offset + 4);
  view[offset + 6] = recordVersion;
  view[offset + 7] = 0;
  view.writeUInt32LE(body.length, offset + 8);
  view.writeUInt32LE(slotPart, offset + 12);
  const slotAt = offset + recordHeaderBytes;
  if (slots !== null) {
    view[slotAt] = slots.k;
    view[slotAt + 1] = slots.rotation;
    view.writeUInt16LE(0, slotAt + 2);
    view.writeUInt32LE(slots.slotBytes, slotAt + 4);
    view.writeUInt32LE(slots.checksumBlockBytes, slotAt + 8);
    view.writeUInt32LE(slotOffset, slotAt + 12);
    writeNumber(view, slotAt + 16, slots.idHigh);
    writeNumber(view, slotAt + 24, slots.idLow);
    view.set(slots.hashes, slotAt + slotHeaderBytes);
  }
  view.set(body, slotAt + slotPart);
  view.fill(0, slotAt + slotPart + body.length, offset + total);
}

/**
 * The records of a batch whose header and records lie at `offset`, checked by digest before.
 * Null when they are not what this version writes.
 */
export function readRecords(
  view: Buffer,
  offset: number,
  header: BatchHeader,
  identity: SetIdentity,
): LogRecord[] | null {
  const records: LogRecord[] = [];
  const end = offset + commonBytes(header);
  let from = offset + headerBytes;
  for (let index = 0; index < header.recordCount; index++) {
    if (from + recordHeaderBytes > end) return null;
    const total = view.readUInt32LE(from);
    const bodyBytes = view.readUInt32LE(from + 8);
    const slotPart = view.readUInt32LE(from + 12);
    if (view[from + 6] !== recordVersion) return null;
    if (total !== alignUp(recordHeaderBytes + slotPart + bodyBytes, 8) || from + total > end) return null;
    const slots = slotPart === 0 ? null : readSlots(view, from + recordHeaderBytes, slotPart, header, identity);
    if (slotPart > 0 && slots === null) return null;
    const bodyAt = from + recordHeaderBytes + slotPart;
    records.push({
      type: view.readUInt16LE(from + 4),
      body: new Uint8Array(view.subarray(bodyAt, bodyAt + bodyBytes)),
      order: header.sequence * ordersPerBatch + index,
      meaning: null,
      slots,
    });
    from += total;
  }
  return from === end ? records : null;
}

function readSlots(
  view: Buffer,
  offset: number,
  slotPart: number,
  header: BatchHeader,
  identity: SetIdentity,
): LogRecord['slots'] {
  if (slotPart < slotHeaderBytes) return null;
  const k = view[offset] ?? 0;
  const rotation = view[offset + 1] ?? 0;
  const slotBytes = view.readUInt32LE(offset + 4);
  const checksumBlockBytes = view.readUInt32LE(offset + 8);
  const slotOffset = view.readUInt32LE(offset + 12);
  if (k < 1 || k > identity.driveCount || rotation >= identity.driveCount || checksumBlockBytes < 1) return null;
  if (slotBytes < 1 || slotOffset + slotBytes > header.totalBytes) return null;
  if (slotPart !== slotHeaderBytes + hashesBytes({ slotBytes, checksumBlockBytes }, identity.driveCount)) return null;
  return {
    k,
    rotation,
    slotBytes,
    idHigh: readNumber(view, offset + 16),
    idLow: readNumber(view, offset + 24),
    checksumBlockBytes,
    hashes: new Uint8Array(view.subarray(offset + slotHeaderBytes, offset + slotPart)),
    fileNumber: header.fileNumber,
    fileOffset: header.fileOffset + slotOffset,
  };
}

/** The shard that a drive position holds of a record. */
export function shardAt(position: number, slots: Pick<ShardSlots, 'rotation'>, driveCount: number): number {
  return (position - slots.rotation + driveCount) % driveCount;
}

/** Safe integers as 64 bits. */
export function writeNumber(view: Buffer, offset: number, value: number): void {
  invariant(Number.isSafeInteger(value) && value >= 0, 'a number in the log is a safe integer');
  view.writeUInt32LE(value >>> 0, offset);
  view.writeUInt32LE(Math.floor(value / 2 ** 32), offset + 4);
}

/** What cannot be exact reads as infinity, and fails every comparison with a place. */
export function readNumber(view: Buffer, offset: number): number {
  const value = view.readUInt32LE(offset + 4) * 2 ** 32 + view.readUInt32LE(offset);
  return Number.isSafeInteger(value) ? value : Number.POSITIVE_INFINITY;
}
