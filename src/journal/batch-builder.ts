/**
 * Puts the records of one batch together: header and records in a slab that all drives share, and for
 * each drive the list of what is written to it. The slots stay where their owner has them.
 */
import { invariant, type Slab } from '../base/index.js';
import { scratchBytes, type BatchCodec } from './batch-codec.js';
import type { LogRecord, PreparedRecord } from './journal.js';
import {
  batchBytes,
  bodyBytesMax,
  commonBytes,
  commonBytesMax,
  hashesBytes,
  headerBytes,
  ordersPerBatch,
  pageBytes,
  recordBytes,
  shardAt,
  slotBytesMax,
  slotSpace,
  slotsStart,
  writeRecord,
  type BatchHeader,
} from './layout.js';

/** What the header says beyond what follows from the records. */
export type BatchPlan = Pick<
  BatchHeader,
  'epoch' | 'sequence' | 'isEpochStart' | 'members' | 'committedUpTo' | 'timeMs' | 'previous' | 'horizon'
>;

export interface BuiltBatch {
  readonly header: BatchHeader;
  readonly records: readonly LogRecord[];
  /** What is written to the drive at a position. */
  segmentsFor(position: number): Float64Array;
  readonly slab: Slab;
}

/** Bytes a batch of these records takes in the file. */
export function plannedBytes(records: readonly PreparedRecord[]): {
  recordsBytes: number;
  slotsBytes: number;
  totalBytes: number;
} {
  let recordsBytes = 0;
  let slotsBytes = 0;
  for (const record of records) {
    recordsBytes += recordBytes(record);
    slotsBytes += slotSpace(record.slots);
  }
  return { recordsBytes, slotsBytes, totalBytes: batchBytes(recordsBytes, slotsBytes) };
}

export function checkRecord(record: PreparedRecord, driveCount: number): void {
  const { slots, body, type } = record;
  invariant(Number.isInteger(type) && type >= 0 && type < 65_536, 'a record type has 16 bits');
  invariant(body.length <= bodyBytesMax, 'a record body is within its bound');
  if (slots === null) return;
  invariant(slots.k >= 1 && slots.k <= driveCount, 'a record has k of n shards');
  invariant(slots.shardOffsets.length === driveCount, 'there is a shard for every drive');
  invariant(slots.rotation >= 0 && slots.rotation < driveCount, 'the rotation is a drive position');
  invariant(slots.slotBytes >= 1 && slots.slotBytes <= slotBytesMax, 'a slot is within its bound');
  invariant(slots.checksumBlockBytes >= 1, 'a checksum covers something');
  invariant(slots.hashes.length === hashesBytes(slots, driveCount), 'every block of every shard has its hash');
}

export function buildBatch(
  codec: BatchCodec,
  slab: Slab,
  plan: BatchPlan,
  place: { readonly fileNumber: number; readonly fileOffset: number },
  prepared: readonly PreparedRecord[],
): BuiltBatch {
  const { view, identity } = codec;
  const { recordsBytes, slotsBytes, totalBytes } = plannedBytes(prepared);
  const slotsAt = slotsStart(recordsBytes);
  invariant(commonBytes({ recordsBytes }) <= commonBytesMax, 'header and records fit into a slab');
  invariant(slotsAt + scratchBytes <= slab.bytes, 'the slab was sized for this batch');
  const records: LogRecord[] = [];
  let recordAt = slab.offset + headerBytes;
  let slotAt = slotsAt;
  for (const [index, record] of prepared.entries()) {
    writeRecord(view, recordAt, record, record.slots === null ? 0 : slotAt);
    records.push(asLogRecord(codec, record, plan.sequence * ordersPerBatch + index, place, slotAt));
    recordAt += recordBytes(record);
    slotAt += slotSpace(record.slots);
  }
  view.fill(0, recordAt, slab.offset + slotsAt);
  const facts = {
    fileNumber: place.fileNumber,
    fileOffset: place.fileOffset,
    epoch: plan.epoch,
    sequence: plan.sequence,
    isEpochStart: plan.isEpochStart,
    members: plan.members,
    totalBytes,
    recordsBytes,
    slotsBytes,
    recordCount: prepared.length,
    committedUpTo: plan.committedUpTo,
    timeMs: plan.timeMs,
    previous: plan.previous,
    horizon: plan.horizon,
    digest: '',
  };
  const header = codec.seal(slab.offset, facts, slab.offset + slotsAt);
  const withSlots = prepared.flatMap(({ slots }) => (slots === null ? [] : [slots]));
  const padding = totalBytes - slotsAt - slotsBytes;
  const zeroes = codec.slabs.zeroPageOffset;
  const segmentsFor = (position: number): Float64Array => {
    const segments = new Float64Array(2 * (2 + 2 * withSlots.length));
    segments[0] = slab.offset;
    segments[1] = slotsAt;
    let count = 2;
    for (const slots of withSlots) {
      segments[count++] = slots.shardOffsets[shardAt(position, slots, identity.driveCount)] ?? 0;
      segments[count++] = slots.slotBytes;
      const gap = slotSpace(slots) - slots.slotBytes;
      if (gap === 0) continue;
      segments[count++] = zeroes;
      segments[count++] = gap;
    }
    if (padding > 0) {
      invariant(padding < pageBytes, 'padding is less than a page');
      segments[count++] = zeroes;
      segments[count++] = padding;
    }
    return segments.subarray(0, count);
  };
  return { header, records, segmentsFor, slab };
}

function asLogRecord(
  { view }: BatchCodec,
  record: PreparedRecord,
  order: number,
  place: { readonly fileNumber: number; readonly fileOffset: number },
  slotAt: number,
): LogRecord {
  const { slots, type, body, meaning = null } = record;
  if (slots === null) return { type, body, order, meaning, slots: null };
  const { k, rotation, slotBytes, idHigh, idLow, checksumBlockBytes } = slots;
  // In the arena they do not stay.
  const hashes = slots.hashes.buffer === view.buffer ? new Uint8Array(slots.hashes) : slots.hashes;
  const { fileNumber, fileOffset } = place;
  return {
    type,
    body,
    order,
    meaning,
    slots: {
      k,
      rotation,
      slotBytes,
      idHigh,
      idLow,
      checksumBlockBytes,
      hashes,
      fileNumber,
      fileOffset: fileOffset + slotAt,
    },
  };
}
