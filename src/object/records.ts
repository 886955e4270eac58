/**
 * The records of the object room, as they lie in the log and in the index: docs/format/records.md.
 * Every record starts with its own version, so that later releases read what earlier ones wrote.
 */
import { fileId, type Placement } from '../erasure/index.js';
import type { LogRecord } from '../journal/index.js';
import { BinaryReader, BinaryWriter, RecordFormatError } from './binary.js';
import type { BucketDocumentKind, Checksum, ChecksumAlgorithm, ObjectMetadata } from './object-layer.js';
import { nullVersionId, versionIdBytes, versionIdFromBytes, versionIdToBytes } from './version-id.js';

export const RecordType = {
  bucketCreate: 1,
  bucketDelete: 2,
  objectPut: 3,
  objectDelete: 4,
  uploadCreate: 5,
  partPut: 6,
  uploadAbort: 7,
  systemWrite: 8,
  bucketDocument: 9,
  /** Any of the others, written again by compaction. */
  moved: 16,
} as const;

const recordVersion = 1;
/** Of an object record whose version has an id of its own. */
const versionedRecord = 2;
export const uploadIdBytes = 16;

export interface BucketRecord {
  readonly name: string;
  readonly region: string;
  readonly createdMs: number;
}

export interface BucketDeleteRecord {
  readonly bucketId: number;
  readonly name: string;
}

/** What both objects and parts are: bytes with digests at a place. */
export interface BodyRecord {
  readonly bytes: number;
  readonly modifiedMs: number;
  readonly etag: string;
  readonly checksum: Checksum | null;
  readonly placement: Placement;
}

/** One version of a key. */
export interface ObjectRecord extends BodyRecord {
  readonly bucketId: number;
  readonly key: string;
  /** 'null' unless versioning was enabled when it was written. */
  readonly versionId: string;
  /** A delete marker: it says that there is nothing, and has nothing. */
  readonly isMarker: boolean;
  /** Of the record that wrote the bytes; 0: this one. Differs after a change of metadata alone. */
  readonly dataOrder: number;
  readonly metadata: ObjectMetadata;
  /** Set for a multipart object: its bytes are the parts, in this order. */
  readonly multipart: MultipartRecord | null;
}

export interface MultipartRecord {
  /** 32 hex digits. */
  readonly uploadId: string;
  readonly parts: readonly { readonly partNumber: number; readonly bytes: number }[];
}

/** Ends one version of a key, whatever it is; the one before it becomes the latest if that was the latest. */
export interface ObjectDeleteRecord {
  readonly bucketId: number;
  readonly key: string;
  /** Of the version that goes. */
  readonly order: number;
}

export interface UploadRecord {
  readonly bucketId: number;
  readonly key: string;
  readonly uploadId: string;
  readonly initiatedMs: number;
  readonly metadata: ObjectMetadata;
  readonly checksumAlgorithm: ChecksumAlgorithm | null;
  readonly checksumType: 'FULL_OBJECT' | 'COMPOSITE' | null;
}

export interface PartRecord extends BodyRecord {
  readonly bucketId: number;
  readonly key: string;
  readonly uploadId: string;
  readonly partNumber: number;
}

export interface UploadAbortRecord {
  readonly bucketId: number;
  readonly key: string;
  readonly uploadId: string;
}

/** Changes of named records of the server itself, all in one: a crash keeps all of them or none. */
export interface SystemRecord {
  readonly changes: readonly SystemChange[];
}

export interface SystemChange {
  readonly name: string;
  /** Null removes the record. */
  readonly value: Uint8Array | null;
}

export interface BucketDocumentRecord {
  readonly bucketId: number;
  readonly kind: BucketDocumentKind;
  readonly updatedMs: number;
  /** Null removes the document. */
  readonly text: string | null;
}

/** A record that compaction wrote again further on in the log. It counts as the record that it was. */
export interface MovedRecord {
  readonly type: number;
  /** Of the record when it was written first. */
  readonly order: number;
  readonly body: Buffer;
}

const algorithms: readonly ChecksumAlgorithm[] = ['CRC32', 'CRC32C', 'CRC64NVME', 'SHA1', 'SHA256'];
const checksumTypes = ['FULL_OBJECT', 'COMPOSITE'] as const;
export const storageClasses = ['STANDARD', 'REDUCED_REDUNDANCY'] as const;
const documentKinds: readonly BucketDocumentKind[] = [
  'policy',
  'versioning',
  'tagging',
  'lifecycle',
  'notification',
  'encryption',
  'object-lock',
  'replication',
  'cors',
  'quota',
];
const PlacementCode = { none: 0, inline: 1, slotsHere: 2, blob: 3, slotsElsewhere: 4, marker: 5 } as const;

function writeVersion(writer: BinaryWriter): BinaryWriter {
  return writer.u8(recordVersion);
}

function readVersion(reader: BinaryReader, latest = recordVersion): number {
  const version = reader.u8();
  if (version < recordVersion || version > latest) {
    throw new RecordFormatError(
      `record version ${version} is not known to this release: start the release that wrote it, or a later one`,
    );
  }
  return version;
}

/** Version 2 is version 1 with the id of the object's version in front; an object without one stays version 1. */
function readVersionId(reader: BinaryReader): string {
  if (readVersion(reader, versionedRecord) === recordVersion) return nullVersionId;
  const versionId = versionIdFromBytes(reader.raw(versionIdBytes));
  if (versionId === null) throw new RecordFormatError('a record holds an id that is not one of a version');
  return versionId;
}

function pick<T>(values: readonly T[], index: number, what: string): T {
  const value = values[index];
  if (value === undefined) throw new RecordFormatError(`unknown ${what} ${index} in a record`);
  return value;
}

function writeChecksum(writer: BinaryWriter, checksum: Checksum | null): void {
  if (checksum === null) {
    writer.u8(0);
    return;
  }
  writer
    .u8(1 + algorithms.indexOf(checksum.algorithm))
    .u8(checksumTypes.indexOf(checksum.type))
    .text(checksum.value);
}

function readChecksum(reader: BinaryReader): Checksum | null {
  const code = reader.u8();
  if (code === 0) return null;
  const algorithm = pick(algorithms, code - 1, 'checksum algorithm');
  const type = pick(checksumTypes, reader.u8(), 'checksum type');
  return { algorithm, type, value: reader.text() };
}

function writeMetadata(writer: BinaryWriter, metadata: ObjectMetadata): void {
  const names = Object.keys(metadata.headers);
  writer.u8(metadata.storageClass === 'REDUCED_REDUNDANCY' ? 1 : 0).u16(names.length);
  for (const name of names) writer.text(name).text(metadata.headers[name] ?? '');
}

function readMetadata(reader: BinaryReader): ObjectMetadata {
  const storageClass = pick(storageClasses, reader.u8(), 'storage class');
  const count = reader.u16();
  // Not without a prototype: V8 keeps such objects as slow dictionaries. No header of ours has the name of one of its
  // members.
  const headers: Record<string, string> = {};
  for (let index = 0; index < count; index++) {
    const name = reader.text();
    headers[name] = reader.text();
  }
  return { headers, storageClass };
}

/** Slots of the record's own batch are described by the journal: `here` says so, and stores nothing twice. */
function writePlacement(writer: BinaryWriter, placement: Placement, slotsAreHere: boolean): void {
  switch (placement.kind) {
    case 'none':
      writer.u8(PlacementCode.none);
      return;
    case 'inline':
      writer.u8(PlacementCode.inline).bytes(placement.bytes);
      return;
    case 'slots':
      if (slotsAreHere) {
        writer.u8(PlacementCode.slotsHere);
        return;
      }
      writer.u8(PlacementCode.slotsElsewhere);
      writeSlots(writer, placement);
      return;
    case 'blob':
      writer
        .u8(PlacementCode.blob)
        .u8(placement.geometry.dataShards)
        .u8(placement.geometry.parityShards)
        .u8(placement.geometry.rotation)
        .u53(placement.id.high)
        .u53(placement.id.low)
        .u32(placement.stripeBytes)
        .u32(placement.positions);
      return;
  }
}

function writeSlots(writer: BinaryWriter, placement: Extract<Placement, { kind: 'slots' }>): void {
  writer
    .u8(placement.geometry.dataShards)
    .u8(placement.geometry.parityShards)
    .u8(placement.geometry.rotation)
    .u53(placement.id.high)
    .u53(placement.id.low)
    .u32(placement.slotBytes)
    .u53(placement.fileNumber)
    .u53(placement.fileOffset)
    .bytes(placement.hashes);
}

function readSlots(reader: BinaryReader): Placement {
  const geometry = { dataShards: reader.u8(), parityShards: reader.u8(), rotation: reader.u8() };
  const id = { high: reader.u53(), low: reader.u53() };
  const slotBytes = reader.u32();
  const fileNumber = reader.u53();
  const fileOffset = reader.u53();
  return { kind: 'slots', geometry, id, slotBytes, fileNumber, fileOffset, hashes: reader.bytes() };
}

const nowhere: Placement = { kind: 'none' };

function readPlacement(reader: BinaryReader): Placement | 'here' | 'marker' {
  const code = reader.u8();
  switch (code) {
    case PlacementCode.none:
      return { kind: 'none' };
    case PlacementCode.inline:
      return { kind: 'inline', bytes: reader.bytes() };
    case PlacementCode.slotsHere:
      return 'here';
    case PlacementCode.slotsElsewhere:
      return readSlots(reader);
    case PlacementCode.marker:
      return 'marker';
    case PlacementCode.blob: {
      const geometry = { dataShards: reader.u8(), parityShards: reader.u8(), rotation: reader.u8() };
      const id = { high: reader.u53(), low: reader.u53() };
      return { kind: 'blob', geometry, id, stripeBytes: reader.u32(), positions: reader.u32() };
    }
    default:
      throw new RecordFormatError(`unknown placement ${code} in a record`);
  }
}

// What a listing needs comes first, so that a page of keys decodes no more than that.
function writeBody(writer: BinaryWriter, body: BodyRecord): void {
  writer.u53(body.bytes).u53(body.modifiedMs).text(body.etag);
  writeChecksum(writer, body.checksum);
}

function readBody(reader: BinaryReader): Omit<BodyRecord, 'placement'> {
  const bytes = reader.u53();
  const modifiedMs = reader.u53();
  const etag = reader.text();
  return { bytes, modifiedMs, etag, checksum: readChecksum(reader) };
}

export function encodeBucket(record: BucketRecord): Buffer {
  return writeVersion(new BinaryWriter()).text(record.name).text(record.region).u53(record.createdMs).finish();
}

export function decodeBucket(body: Buffer): BucketRecord {
  const reader = new BinaryReader(body);
  readVersion(reader);
  return { name: reader.text(), region: reader.text(), createdMs: reader.u53() };
}

export function encodeBucketDelete(record: BucketDeleteRecord): Buffer {
  return writeVersion(new BinaryWriter()).u53(record.bucketId).text(record.name).finish();
}

export function decodeBucketDelete(body: Buffer): BucketDeleteRecord {
  const reader = new BinaryReader(body);
  readVersion(reader);
  return { bucketId: reader.u53(), name: reader.text() };
}

export function encodeObject(record: ObjectRecord, slotsAreHere: boolean): Buffer {
  const writer = new BinaryWriter();
  if (record.versionId === nullVersionId) writeVersion(writer);
  else writer.u8(versionedRecord).raw(versionIdToBytes(record.versionId));
  writeBody(writer, record);
  writeMetadata(writer, record.metadata);
  writer.u53(record.bucketId).text(record.key).u53(record.dataOrder);
  if (record.isMarker) writer.u8(PlacementCode.marker);
  else writePlacement(writer, record.placement, slotsAreHere);
  if (record.multipart === null) return writer.u8(0).finish();
  writer.u8(1).raw(Buffer.from(record.multipart.uploadId, 'hex')).u16(record.multipart.parts.length);
  for (const part of record.multipart.parts) writer.u16(part.partNumber).u53(part.bytes);
  return writer.finish();
}

export function decodeObject(body: Buffer, here: Placement | null): ObjectRecord {
  const reader = new BinaryReader(body);
  const versionId = readVersionId(reader);
  const head = readBody(reader);
  const metadata = readMetadata(reader);
  const bucketId = reader.u53();
  const key = reader.text();
  const dataOrder = reader.u53();
  const placed = readPlacement(reader);
  const isMarker = placed === 'marker';
  const placement = isMarker ? nowhere : resolvePlacement(placed, here);
  let multipart: MultipartRecord | null = null;
  if (reader.u8() === 1) {
    const uploadId = reader.raw(uploadIdBytes).toString('hex');
    const parts = Array.from({ length: reader.u16() }, () => ({ partNumber: reader.u16(), bytes: reader.u53() }));
    multipart = { uploadId, parts };
  }
  // Field by field: spreading costs a GET and a listing more than all the rest of the decoding.
  const { bytes, modifiedMs, etag, checksum } = head;
  return {
    bytes,
    modifiedMs,
    etag,
    checksum,
    metadata,
    bucketId,
    key,
    versionId,
    isMarker,
    dataOrder,
    placement,
    multipart,
  };
}

/** What `decodeObject` would give, of the same shape to V8, for a record of which everything is at hand. */
export function asDecoded(record: ObjectRecord, here: Placement | null): ObjectRecord {
  const { bytes, modifiedMs, etag, checksum, metadata, bucketId, key, versionId, isMarker, dataOrder, multipart } =
    record;
  const placement = record.placement.kind === 'slots' && here !== null ? here : record.placement;
  return {
    bytes,
    modifiedMs,
    etag,
    checksum,
    metadata,
    bucketId,
    key,
    versionId,
    isMarker,
    dataOrder,
    placement,
    multipart,
  };
}

/** A delete marker is a version without anything. */
export function markerRecord(place: Pick<ObjectRecord, 'bucketId' | 'key' | 'versionId' | 'modifiedMs'>): ObjectRecord {
  return {
    ...place,
    isMarker: true,
    bytes: 0,
    etag: '',
    checksum: null,
    metadata: { headers: {}, storageClass: 'STANDARD' },
    dataOrder: 0,
    placement: nowhere,
    multipart: null,
  };
}

/** The part of an object record that a listing shows. */
export function decodeListing(body: Buffer): Omit<BodyRecord, 'placement'> & { readonly storageClass: string } {
  const reader = new BinaryReader(body);
  // The text of a version id costs more than all the rest: whoever lists versions asks for it.
  if (readVersion(reader, versionedRecord) === versionedRecord) reader.skip(versionIdBytes);
  const { bytes, modifiedMs, etag, checksum } = readBody(reader);
  return { bytes, modifiedMs, etag, checksum, storageClass: pick(storageClasses, reader.u8(), 'storage class') };
}

/** Of an object record. */
export function decodeVersionId(body: Buffer): string {
  return readVersionId(new BinaryReader(body));
}

function resolvePlacement(placement: Placement | 'here' | 'marker', here: Placement | null): Placement {
  if (placement === 'marker') throw new RecordFormatError('a part that is a delete marker');
  if (placement !== 'here') return placement;
  if (here === null) throw new RecordFormatError('a record names slots of its batch that are not there');
  return here;
}

export function encodeObjectDelete(record: ObjectDeleteRecord): Buffer {
  return writeVersion(new BinaryWriter()).u53(record.bucketId).text(record.key).u53(record.order).finish();
}

export function decodeObjectDelete(body: Buffer): ObjectDeleteRecord {
  const reader = new BinaryReader(body);
  readVersion(reader);
  return { bucketId: reader.u53(), key: reader.text(), order: reader.u53() };
}

export function encodeUpload(record: UploadRecord): Buffer {
  const writer = writeVersion(new BinaryWriter())
    .u53(record.bucketId)
    .text(record.key)
    .raw(Buffer.from(record.uploadId, 'hex'))
    .u53(record.initiatedMs)
    .u8(record.checksumAlgorithm === null ? 0 : 1 + algorithms.indexOf(record.checksumAlgorithm))
    .u8(record.checksumType === null ? 0 : 1 + checksumTypes.indexOf(record.checksumType));
  writeMetadata(writer, record.metadata);
  return writer.finish();
}

export function decodeUpload(body: Buffer): UploadRecord {
  const reader = new BinaryReader(body);
  readVersion(reader);
  const bucketId = reader.u53();
  const key = reader.text();
  const uploadId = reader.raw(uploadIdBytes).toString('hex');
  const initiatedMs = reader.u53();
  const algorithm = reader.u8();
  const type = reader.u8();
  return {
    bucketId,
    key,
    uploadId,
    initiatedMs,
    checksumAlgorithm: algorithm === 0 ? null : pick(algorithms, algorithm - 1, 'checksum algorithm'),
    checksumType: type === 0 ? null : pick(checksumTypes, type - 1, 'checksum type'),
    metadata: readMetadata(reader),
  };
}

export function encodePart(record: PartRecord, slotsAreHere: boolean): Buffer {
  const writer = writeVersion(new BinaryWriter());
  writeBody(writer, record);
  writer.u53(record.bucketId).text(record.key).raw(Buffer.from(record.uploadId, 'hex')).u16(record.partNumber);
  writePlacement(writer, record.placement, slotsAreHere);
  return writer.finish();
}

export function decodePart(body: Buffer, here: Placement | null): PartRecord {
  const reader = new BinaryReader(body);
  readVersion(reader);
  const head = readBody(reader);
  const bucketId = reader.u53();
  const key = reader.text();
  const uploadId = reader.raw(uploadIdBytes).toString('hex');
  const partNumber = reader.u16();
  return { ...head, bucketId, key, uploadId, partNumber, placement: resolvePlacement(readPlacement(reader), here) };
}

export function encodeUploadAbort(record: UploadAbortRecord): Buffer {
  return writeVersion(new BinaryWriter())
    .u53(record.bucketId)
    .text(record.key)
    .raw(Buffer.from(record.uploadId, 'hex'))
    .finish();
}

export function decodeUploadAbort(body: Buffer): UploadAbortRecord {
  const reader = new BinaryReader(body);
  readVersion(reader);
  return { bucketId: reader.u53(), key: reader.text(), uploadId: reader.raw(uploadIdBytes).toString('hex') };
}

export function encodeSystem({ changes }: SystemRecord): Buffer {
  const writer = writeVersion(new BinaryWriter()).u16(changes.length);
  for (const { name, value } of changes) {
    writer.text(name);
    if (value === null) writer.u8(0);
    else writer.u8(1).bytes(value);
  }
  return writer.finish();
}

export function decodeSystem(body: Buffer): SystemRecord {
  const reader = new BinaryReader(body);
  readVersion(reader);
  const count = reader.u16();
  const changes: SystemChange[] = [];
  for (let index = 0; index < count; index++) {
    const name = reader.text();
    changes.push({ name, value: reader.u8() === 0 ? null : reader.bytes() });
  }
  return { changes };
}

/** Number of a kind in records and index keys; 0 is never used. */
export function documentKindCode(kind: BucketDocumentKind): number {
  return 1 + documentKinds.indexOf(kind);
}

export function encodeBucketDocument({ bucketId, kind, updatedMs, text }: BucketDocumentRecord): Buffer {
  const writer = writeVersion(new BinaryWriter()).u53(bucketId).u8(documentKindCode(kind)).u53(updatedMs);
  if (text === null) return writer.u8(0).finish();
  return writer.u8(1).bytes(Buffer.from(text, 'utf8')).finish();
}

export function decodeBucketDocument(body: Buffer): BucketDocumentRecord {
  const reader = new BinaryReader(body);
  readVersion(reader);
  const bucketId = reader.u53();
  const kind = pick(documentKinds, reader.u8() - 1, 'kind of bucket document');
  const updatedMs = reader.u53();
  return { bucketId, kind, updatedMs, text: reader.u8() === 0 ? null : reader.bytes().toString('utf8') };
}

export function encodeMoved({ type, order, body }: MovedRecord): Buffer {
  return writeVersion(new BinaryWriter()).u16(type).u53(order).bytes(body).finish();
}

export function decodeMoved(body: Buffer): MovedRecord {
  const reader = new BinaryReader(body);
  readVersion(reader);
  return { type: reader.u16(), order: reader.u53(), body: reader.bytes() };
}

/** The record as it was written first, whether it was moved since or not. */
export function originalOf(record: LogRecord): MovedRecord {
  const body = Buffer.from(record.body.buffer, record.body.byteOffset, record.body.byteLength);
  return record.type === RecordType.moved ? decodeMoved(body) : { type: record.type, order: record.order, body };
}

/** Placement of the slots that the journal describes beside a record of the given set. */
export function slotPlacement(record: LogRecord, driveCount: number, setIndex: number): Placement | null {
  const { slots } = record;
  if (slots === null) return null;
  return {
    kind: 'slots',
    geometry: { dataShards: slots.k, parityShards: driveCount - slots.k, rotation: slots.rotation },
    id: { high: slots.idHigh, low: slots.idLow },
    slotBytes: slots.slotBytes,
    hashes: slots.hashes,
    fileNumber: fileId(setIndex, slots.fileNumber),
    fileOffset: slots.fileOffset,
  };
}

/** What an entry of the index keeps in the log files. */
export interface EntrySpace {
  /** Where its record lies, and what it takes there, with its slot. */
  readonly fileNumber: number;
  readonly bytes: number;
  /** Slots of another record that it refers to; 0 and 0 without. */
  readonly slotsFileNumber: number;
  readonly slotsBytes: number;
}

export const noSpace: EntrySpace = { fileNumber: 0, bytes: 0, slotsFileNumber: 0, slotsBytes: 0 };

const spaceAt = 8;
const bodyAt = 24;

/**
 * Index value of whatever a record leaves behind: order of the record, what it keeps in the log, the record's
 * body, and where its slots lie.
 */
export function encodeEntry(order: number, body: Uint8Array, here: Placement | null, space: EntrySpace): Buffer {
  const writer = new BinaryWriter()
    .u53(order)
    .u32(space.fileNumber)
    .u32(space.bytes)
    .u32(space.slotsFileNumber)
    .u32(space.slotsBytes)
    .bytes(body);
  if (here?.kind === 'slots') writeSlots(writer, here);
  return writer.finish();
}

export interface IndexEntry {
  readonly order: number;
  readonly body: Buffer;
  readonly here: Placement | null;
}

export function decodeEntry(value: Buffer): IndexEntry {
  const reader = new BinaryReader(value);
  const order = reader.u53();
  reader.skip(bodyAt - spaceAt);
  const body = reader.bytes();
  return { order, body, here: reader.rest > 0 ? readSlots(reader) : null };
}

/** The body alone: cheaper when the placement does not matter. */
export function entryBody(value: Buffer): Buffer {
  const reader = new BinaryReader(value);
  reader.skip(bodyAt);
  return reader.bytes();
}

export function entrySpace(value: Buffer): EntrySpace {
  const reader = new BinaryReader(value);
  reader.skip(spaceAt);
  return {
    fileNumber: reader.u32(),
    bytes: reader.u32(),
    slotsFileNumber: reader.u32(),
    slotsBytes: reader.u32(),
  };
}
