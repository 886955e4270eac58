/**
 * Objects and delete markers with version ids, and the index entries of versions, byte by byte: as
 * docs/format/records.md describes them, and as the release that introduced them wrote them.
 */
import { describe, expect, it } from 'vitest';
import { RecordFormatError } from '../../src/object/binary.js';
import {
  nullVersionKey,
  objectKey,
  orderOfSharerKey,
  shareKey,
  sharerKey,
  versionKey,
} from '../../src/object/index-keys.js';
import {
  decodeListing,
  decodeObject,
  decodeVersionId,
  encodeEntry,
  encodeObject,
  markerRecord,
  noSpace,
  type ObjectRecord,
} from '../../src/object/records.js';
import { decodeStored } from '../../src/object/version-chain.js';
import { newVersionId, orderOfVersionId } from '../../src/object/version-id.js';

const u8 = (value: number): string => value.toString(16).padStart(2, '0');
const little = (value: bigint, bytes: number): string =>
  Array.from({ length: bytes }, (_, index) => u8(Number((value >> BigInt(8 * index)) & 0xffn))).join('');
const u16 = (value: number): string => little(BigInt(value), 2);
const u32 = (value: number): string => little(BigInt(value), 4);
const u53 = (value: number): string => little(BigInt(value), 8);
const text = (value: string): string => u16(Buffer.byteLength(value)) + Buffer.from(value).toString('hex');
const bytes = (hex: string): string => u32(hex.length / 2) + hex;

/** Of order 65,538. */
const versionId = '0f1e2d3c-4b5a-8978-8700-000000010002';
const versionHex = '0f1e2d3c4b5a89788700000000010002';
const etag = '5d41402abc4b2a76b9719d911017c592';
const object: ObjectRecord = {
  bucketId: 65_536,
  key: 'a/ü',
  versionId,
  isMarker: false,
  bytes: 5,
  modifiedMs: 1_700_000_000_123,
  etag,
  checksum: null,
  dataOrder: 0,
  placement: { kind: 'inline', bytes: Buffer.from('hello') },
  metadata: { headers: { 'content-type': 'text/plain' }, storageClass: 'REDUCED_REDUNDANCY' },
  multipart: null,
};
const objectGolden =
  `02${versionHex}` +
  '05000000000000007b68e5cf8b0100002000356434313430326162633462326137366239373139643931313031376335393200' +
  '0101000c00636f6e74656e742d747970650a00746578742f706c61696e' +
  '00000100000000000400612fc3bc0000000000000000010500000068656c6c6f00';
const marker = markerRecord({ bucketId: 65_536, key: 'a/ü', versionId, modifiedMs: 1_700_000_000_123 });
const markerTail = '00000000000000007b68e5cf8b01000000000000000000000100000000000400612fc3bc00000000000000000500';
const markerGolden = `02${versionHex}${markerTail}`;
const nullMarkerGolden = `01${markerTail}`;
const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

describe('records of versions', () => {
  it('3: object written, with its version id', () => {
    const described =
      u8(2) +
      versionHex +
      (u53(5) + u53(1_700_000_000_123) + text(etag) + u8(0)) +
      (u8(1) + u16(1) + text('content-type') + text('text/plain')) +
      (u53(65_536) + text('a/ü') + u53(0) + u8(1) + bytes('68656c6c6f') + u8(0));
    expect(encodeObject(object, false).toString('hex')).toBe(objectGolden);
    expect(described).toBe(objectGolden);
    const body = Buffer.from(objectGolden, 'hex');
    expect(plain(decodeObject(body, null))).toEqual(plain(object));
    expect(decodeListing(body)).toMatchObject({ bytes: 5, etag, storageClass: 'REDUCED_REDUNDANCY' });
    expect(decodeVersionId(body)).toBe(versionId);
  });

  it('3: delete marker, with a version id and as the null version', () => {
    const described =
      u53(0) +
      u53(1_700_000_000_123) +
      text('') +
      u8(0) +
      (u8(0) + u16(0)) +
      (u53(65_536) + text('a/ü') + u53(0) + u8(5) + u8(0));
    expect(described).toBe(markerTail);
    expect(encodeObject(marker, false).toString('hex')).toBe(markerGolden);
    expect(plain(decodeObject(Buffer.from(markerGolden, 'hex'), null))).toEqual(plain(marker));
    const unversioned = { ...marker, versionId: 'null' };
    expect(encodeObject(unversioned, false).toString('hex')).toBe(nullMarkerGolden);
    expect(plain(decodeObject(Buffer.from(nullMarkerGolden, 'hex'), null))).toEqual(plain(unversioned));
  });

  it('version ids hold the order of their record', () => {
    expect(orderOfVersionId(versionId)).toBe(65_538);
    for (const order of [0, 1, 65_536, 2 ** 32, 2 ** 53 - 1]) expect(orderOfVersionId(newVersionId(order))).toBe(order);
    // Of others: UUIDs of version 4, orders that no record has, no UUIDs.
    for (const foreign of [
      '0f1e2d3c-4b5a-4978-8765-000000010002',
      '0f1e2d3c-4b5a-8978-87ff-ffffffffffff',
      'null',
      '',
    ]) {
      expect(orderOfVersionId(foreign)).toBeNull();
    }
  });
});

describe('the index of versions', () => {
  const hex = (value: string): string => Buffer.from(value).toString('hex');
  const bucket = '0000000000010000';

  it('has keys in listing order, the newest version first', () => {
    expect(versionKey(65_536, 'a/ü', 65_538).toString('hex')).toBe(
      `${hex('V')}${bucket}${hex('a/ü')}00001ffffffffefffd`,
    );
    expect(nullVersionKey(65_536, 'k').toString('hex')).toBe(`${hex('N')}${bucket}${hex('k')}`);
    expect(shareKey(65_536).toString('hex')).toBe(hex('R') + bucket);
    expect(sharerKey(65_536, 65_540).toString('hex')).toBe(`${hex('W')}${bucket}0000000000010004`);
    expect(orderOfSharerKey(sharerKey(1, 2 ** 53 - 1))).toBe(2 ** 53 - 1);
    const sorted = [
      versionKey(1, 'a', 9),
      versionKey(1, 'a', 8),
      versionKey(1, 'a\u0001', 9),
      versionKey(1, 'a/', 2 ** 53 - 1),
      versionKey(2, '', 0),
    ];
    expect(sorted.toSorted(Buffer.compare)).toEqual(sorted);
    expect(objectKey(1, 'a').compare(objectKey(1, 'a/'))).toBe(-1);
  });

  it('keeps objects and markers alike', () => {
    for (const [golden, record] of [
      [objectGolden, object],
      [markerGolden, marker],
    ] as const) {
      const entry = encodeEntry(65_538, Buffer.from(golden, 'hex'), null, noSpace);
      expect(plain(decodeStored(entry))).toMatchObject({ order: 65_538, record: plain(record) });
    }
  });
});

describe('hostile bytes', () => {
  const whole: [string, string, (body: Buffer) => unknown][] = [
    ['object', objectGolden, (body) => decodeObject(body, null)],
    ['marker', markerGolden, (body) => decodeObject(body, null)],
    ['null marker', nullMarkerGolden, (body) => decodeObject(body, null)],
  ];
  it.each(whole)('%s: cut off anywhere, or with any byte changed', (_name, golden, decode) => {
    const body = Buffer.from(golden, 'hex');
    for (let at = 0; at < body.length; at++) {
      expect(() => decode(body.subarray(0, at)), `${at} of ${body.length}`).toThrow(RecordFormatError);
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

  it('a later version says so', () => {
    const later = Buffer.from(`03${objectGolden.slice(2)}`, 'hex');
    expect(() => decodeObject(later, null)).toThrow('record version 3 is not known to this release');
    expect(() => decodeListing(later)).toThrow('record version 3 is not known to this release');
  });
});
