/**
 * Every record of version 1, and the index entries around them, byte by byte: once as docs/format/records.md
 * describes them, once as they were written by the release that introduced them.
 */
import { describe, expect, it } from 'vitest';
import type { Placement } from '../../src/erasure/index.js';
import { RecordFormatError } from '../../src/object/binary.js';
import {
  garbageKey,
  healKey,
  objectKey,
  partKey,
  uploadKey,
  usageKey,
  bucketKey,
} from '../../src/object/index-keys.js';
import {
  decodeBucket,
  decodeBucketDelete,
  decodeEntry,
  decodeMoved,
  decodeListing,
  decodeObject,
  decodeObjectDelete,
  decodePart,
  decodeUpload,
  decodeUploadAbort,
  encodeBucket,
  encodeBucketDelete,
  encodeEntry,
  encodeMoved,
  entryBody,
  entrySpace,
  noSpace,
  originalOf,
  encodeObject,
  encodeObjectDelete,
  encodePart,
  encodeUpload,
  encodeUploadAbort,
  type ObjectRecord,
  type PartRecord,
} from '../../src/object/records.js';

// The notation of the document.
const u8 = (value: number): string => value.toString(16).padStart(2, '0');
const little = (value: bigint, bytes: number): string =>
  Array.from({ length: bytes }, (_, index) => u8(Number((value >> BigInt(8 * index)) & 0xffn))).join('');
const u16 = (value: number): string => little(BigInt(value), 2);
const u32 = (value: number): string => little(BigInt(value), 4);
const u53 = (value: number): string => little(BigInt(value), 8);
const text = (value: string): string => u16(Buffer.byteLength(value)) + Buffer.from(value).toString('hex');
const bytes = (hex: string): string => u32(hex.length / 2) + hex;

const uploadId = '00112233445566778899aabbccddeeff';
const etag = '5d41402abc4b2a76b9719d911017c592';
const slots: Placement = {
  kind: 'slots',
  geometry: { dataShards: 2, parityShards: 2, rotation: 3 },
  id: { high: 7, low: 4_294_967_298 },
  slotBytes: 5000,
  hashes: Buffer.alloc(4 * 32, 0xab),
  fileNumber: 12,
  fileOffset: 40_960,
};
const blob: Placement = {
  kind: 'blob',
  geometry: { dataShards: 3, parityShards: 2, rotation: 4 },
  id: { high: 9, low: 300 },
  stripeBytes: 1_048_512,
  positions: 0b11011,
};
const slotsHex =
  u8(2) + u8(2) + u8(3) + u53(7) + u53(4_294_967_298) + u32(5000) + u53(12) + u53(40_960) + bytes('ab'.repeat(128));

const base: ObjectRecord = {
  bucketId: 65_536,
  key: 'a/ü',
  versionId: 'null',
  isMarker: false,
  bytes: 5,
  modifiedMs: 1_700_000_000_123,
  etag,
  checksum: null,
  dataOrder: 0,
  placement: { kind: 'inline', bytes: Buffer.from('hello') },
  metadata: { headers: { 'content-type': 'text/plain', 'x-amz-meta-a': 'ä' }, storageClass: 'STANDARD' },
  multipart: null,
};
const metadataHex = u8(0) + u16(2) + text('content-type') + text('text/plain') + text('x-amz-meta-a') + text('ä');
const part: PartRecord = {
  bucketId: 65_536,
  key: 'm',
  uploadId,
  partNumber: 10_000,
  bytes: 5 * 2 ** 40,
  modifiedMs: 1_700_000_000_123,
  etag,
  checksum: { algorithm: 'CRC64NVME', type: 'FULL_OBJECT', value: 'AAAAAAAAAAA=' },
  placement: blob,
};

const withoutPrototype = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

describe('records of version 1', () => {
  it('1: bucket created', () => {
    const record = { name: 'photos', region: 'eu-west-1', createdMs: 1_700_000_000_000 };
    const described = u8(1) + text('photos') + text('eu-west-1') + u53(1_700_000_000_000);
    const golden = '01060070686f746f730900' + '65752d776573742d31' + '0068e5cf8b010000';
    expect(encodeBucket(record).toString('hex')).toBe(golden);
    expect(described).toBe(golden);
    expect(decodeBucket(Buffer.from(golden, 'hex'))).toEqual(record);
  });

  it('2: bucket deleted', () => {
    const record = { bucketId: 131_072, name: 'photos' };
    const golden = '010000020000000000060070686f746f73';
    expect(encodeBucketDelete(record).toString('hex')).toBe(golden);
    expect(u8(1) + u53(131_072) + text('photos')).toBe(golden);
    expect(decodeBucketDelete(Buffer.from(golden, 'hex'))).toEqual(record);
  });

  const headHex = u53(5) + u53(1_700_000_000_123) + text(etag) + u8(0);
  const tail = (placement: string, multipart: string, dataOrder = 0): string =>
    u53(65_536) + text('a/ü') + u53(dataOrder) + placement + multipart;
  const objects: [string, ObjectRecord, boolean, Placement | null, string][] = [
    ['inline', base, false, null, u8(1) + headHex + metadataHex + tail(u8(1) + bytes('68656c6c6f'), u8(0))],
    [
      'empty',
      { ...base, placement: { kind: 'none' } },
      false,
      null,
      u8(1) + headHex + metadataHex + tail(u8(0), u8(0)),
    ],
    ['slots here', { ...base, placement: slots }, true, slots, u8(1) + headHex + metadataHex + tail(u8(2), u8(0))],
    [
      'slots elsewhere',
      { ...base, placement: slots, dataOrder: 77 },
      false,
      null,
      u8(1) + headHex + metadataHex + tail(u8(4) + slotsHex, u8(0), 77),
    ],
    [
      'blob',
      { ...base, placement: blob, checksum: { algorithm: 'SHA256', type: 'COMPOSITE', value: 'eA==-2' } },
      false,
      null,
      u8(1) +
        u53(5) +
        u53(1_700_000_000_123) +
        text(etag) +
        (u8(5) + u8(1) + text('eA==-2')) +
        metadataHex +
        tail(u8(3) + u8(3) + u8(2) + u8(4) + u53(9) + u53(300) + u32(1_048_512) + u32(0b11011), u8(0)),
    ],
    [
      'multipart',
      {
        ...base,
        metadata: { headers: {}, storageClass: 'REDUCED_REDUNDANCY' },
        placement: { kind: 'none' },
        multipart: {
          uploadId,
          parts: [
            { partNumber: 1, bytes: 5_242_880 },
            { partNumber: 10_000, bytes: 1 },
          ],
        },
      },
      false,
      null,
      u8(1) +
        headHex +
        (u8(1) + u16(0)) +
        tail(u8(0), u8(1) + uploadId + u16(2) + u16(1) + u53(5_242_880) + u16(10_000) + u53(1)),
    ],
  ];
  it.each(objects)('3: object written, %s', (_name, record, isHere, here, described) => {
    expect(encodeObject(record, isHere).toString('hex')).toBe(described);
    expect(withoutPrototype(decodeObject(Buffer.from(described, 'hex'), here))).toEqual(withoutPrototype(record));
    const listed = decodeListing(Buffer.from(described, 'hex'));
    expect(listed).toMatchObject({ bytes: record.bytes, etag, storageClass: record.metadata.storageClass });
  });

  it('3: object written, as its first release wrote it', () => {
    const golden =
      '0105000000000000007b68e5cf8b0100002000356434313430326162633462326137366239373139643931313031376335393200' +
      '0002000c00636f6e74656e742d747970650a00746578742f706c61696e0c00782d616d7a2d6d6574612d610200c3a4' +
      '00000100000000000400612fc3bc0000000000000000010500000068656c6c6f00';
    expect(encodeObject(base, false).toString('hex')).toBe(golden);
    expect(withoutPrototype(decodeObject(Buffer.from(golden, 'hex'), null))).toEqual(withoutPrototype(base));
  });

  it('4: object deleted', () => {
    const record = { bucketId: 65_536, key: 'k', order: 2 ** 53 - 1 };
    const golden = '01000001000000000001006bffffffffffff1f00';
    expect(encodeObjectDelete(record).toString('hex')).toBe(golden);
    expect(u8(1) + u53(65_536) + text('k') + u53(2 ** 53 - 1)).toBe(golden);
    expect(decodeObjectDelete(Buffer.from(golden, 'hex'))).toEqual(record);
  });

  it('5: upload created', () => {
    const record = {
      bucketId: 65_536,
      key: 'm',
      uploadId,
      initiatedMs: 1_700_000_000_000,
      metadata: { headers: { 'cache-control': 'no-store' }, storageClass: 'STANDARD' },
      checksumAlgorithm: 'SHA1',
      checksumType: 'COMPOSITE',
    } as const;
    const golden =
      '01000001000000000001006d00112233445566778899aabbccddeeff0068e5cf8b0100000402' +
      '0001000d0063616368652d636f6e74726f6c08006e6f2d73746f7265';
    expect(encodeUpload(record).toString('hex')).toBe(golden);
    const described =
      u8(1) + u53(65_536) + text('m') + uploadId + u53(1_700_000_000_000) + u8(4) + u8(2) + u8(0) + u16(1);
    expect(described + text('cache-control') + text('no-store')).toBe(golden);
    expect(withoutPrototype(decodeUpload(Buffer.from(golden, 'hex')))).toEqual(record);
    const plain = encodeUpload({ ...record, checksumAlgorithm: null, checksumType: null });
    expect(decodeUpload(plain)).toMatchObject({ checksumAlgorithm: null, checksumType: null });
  });

  it('6: part written', () => {
    const golden =
      '010000000000050000' +
      '7b68e5cf8b01000020003564343134303261626334623261373662393731396439313130313763353932' +
      '03000c0041414141414141414141413d' +
      '000001000000000001006d00112233445566778899aabbccddeeff1027' +
      '0303020409000000000000002c01000000000000c0ff0f001b000000';
    expect(encodePart(part, false).toString('hex')).toBe(golden);
    const described =
      u8(1) + u53(5 * 2 ** 40) + u53(1_700_000_000_123) + text(etag) + (u8(3) + u8(0) + text('AAAAAAAAAAA='));
    const placed = u8(3) + u8(3) + u8(2) + u8(4) + u53(9) + u53(300) + u32(1_048_512) + u32(0b11011);
    expect(described + u53(65_536) + text('m') + uploadId + u16(10_000) + placed).toBe(golden);
    expect(decodePart(Buffer.from(golden, 'hex'), null)).toEqual(part);
  });

  it('7: upload aborted', () => {
    const record = { bucketId: 65_536, key: 'm', uploadId };
    const golden = '01000001000000000001006d00112233445566778899aabbccddeeff';
    expect(encodeUploadAbort(record).toString('hex')).toBe(golden);
    expect(decodeUploadAbort(Buffer.from(golden, 'hex'))).toEqual(record);
  });
});

describe('16: moved', () => {
  it('wraps a record with its type and order', () => {
    const record = { type: 3, order: 65_537, body: Buffer.from('0102', 'hex') };
    const golden = u8(1) + u16(3) + u53(65_537) + bytes('0102');
    expect(encodeMoved(record).toString('hex')).toBe(golden);
    expect(decodeMoved(Buffer.from(golden, 'hex'))).toEqual(record);
    const moved = { type: 16, order: 9 * 65_536, body: Buffer.from(golden, 'hex'), slots: null };
    expect(originalOf(moved)).toEqual(record);
    expect(originalOf({ ...moved, type: 3, body: record.body })).toEqual({ ...record, order: 9 * 65_536 });
  });
});

describe('the index of version 3', () => {
  it('keeps a record with its order, what it takes of the log, and the place of its slots', () => {
    const body = Buffer.from('010203', 'hex');
    const space = { fileNumber: 7, bytes: 4096, slotsFileNumber: 5, slotsBytes: 64 };
    const head = u53(65_537) + u32(7) + u32(4096) + u32(5) + u32(64);
    expect(encodeEntry(65_537, body, null, space).toString('hex')).toBe(head + bytes('010203'));
    expect(encodeEntry(65_537, body, slots, space).toString('hex')).toBe(head + bytes('010203') + slotsHex);
    const golden = Buffer.from(head + bytes('010203') + slotsHex, 'hex');
    expect(decodeEntry(golden)).toEqual({ order: 65_537, body, here: slots });
    expect(entryBody(golden)).toEqual(body);
    expect(entrySpace(golden)).toEqual(space);
  });

  it('has keys in listing order', () => {
    const bucket = '0000000000010000';
    const hex = (value: string): string => Buffer.from(value).toString('hex');
    expect(bucketKey('photos').toString('hex')).toBe(hex('Bphotos'));
    expect(objectKey(65_536, 'a/ü').toString('hex')).toBe(hex('O') + bucket + hex('a/ü'));
    expect(uploadKey(65_536, 'm', uploadId).toString('hex')).toBe(`${hex('U')}${bucket}${hex('m')}00${uploadId}`);
    expect(partKey(uploadId, 10_000).toString('hex')).toBe(`${hex('P')}${uploadId}2710`);
    expect(usageKey(65_536).toString('hex')).toBe(hex('C') + bucket);
    expect(garbageKey(65_536, 2).toString('hex')).toBe(`${hex('G')}${bucket}0002`);
    expect(healKey('0000000900000000012c').toString()).toBe('H0000000900000000012c');
  });
});

describe('hostile bytes', () => {
  const whole: [string, Buffer, (body: Buffer) => unknown][] = [
    ['bucket', encodeBucket({ name: 'b', region: '', createdMs: 1 }), decodeBucket],
    ['bucket deleted', encodeBucketDelete({ name: 'b', bucketId: 1 }), decodeBucketDelete],
    ['object', encodeObject(base, false), (body) => decodeObject(body, null)],
    ['object in a blob', encodeObject({ ...base, placement: blob }, false), (body) => decodeObject(body, null)],
    ['object in slots', encodeObject({ ...base, placement: slots }, false), (body) => decodeObject(body, null)],
    ['object deleted', encodeObjectDelete({ bucketId: 1, key: 'k', order: 1 }), decodeObjectDelete],
    ['part', encodePart(part, false), (body) => decodePart(body, null)],
    ['aborted', encodeUploadAbort({ bucketId: 1, key: 'k', uploadId }), decodeUploadAbort],
    ['entry', encodeEntry(1, Buffer.from('00', 'hex'), slots, noSpace), decodeEntry],
  ];
  it.each(whole)('a %s that is cut off anywhere is a RecordFormatError', (name, body, decode) => {
    // An entry without its slots is an entry: it may end there.
    for (let length = name === 'entry' ? 30 : 0; length < body.length; length++) {
      expect(() => decode(body.subarray(0, length)), `${length} of ${body.length}`).toThrow(RecordFormatError);
    }
  });

  it.each(whole)('a %s with any byte changed decodes or is a RecordFormatError', (_name, body, decode) => {
    for (let at = 0; at < body.length; at++) {
      for (const value of [0x00, 0x01, 0x7f, 0xff]) {
        const changed = Buffer.from(body);
        changed[at] = value;
        try {
          decode(changed);
        } catch (error) {
          expect(error).toBeInstanceOf(RecordFormatError);
        }
      }
    }
  });

  it('a record of a later version says so', () => {
    const later = encodeBucket({ name: 'b', region: '', createdMs: 1 });
    later[0] = 2;
    expect(() => decodeBucket(later)).toThrow('record version 2 is not known to this release');
  });
});
