/** Texts of records: short ones are written letter by letter, and must come out as all others do. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Placement } from '../../../src/erasure/index.js';
import { BinaryReader, BinaryWriter } from '../../../src/object/binary.js';
import { asDecoded, decodeObject, encodeObject, type ObjectRecord } from '../../../src/object/records.js';

function textBytes(value: string): Buffer {
  const bytes = Buffer.from(value, 'utf8');
  const length = Buffer.alloc(2);
  length.writeUInt16LE(bytes.length);
  return Buffer.concat([length, bytes]);
}

describe('a number', () => {
  it('is a safe integer in eight bytes, the lowest first', () => {
    const numbers = [0, 1, 255, 256, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 32 + 1, 2 ** 48 + 3, Number.MAX_SAFE_INTEGER];
    const writer = new BinaryWriter();
    for (const number of numbers) writer.u53(number);
    const written = writer.finish();
    const expected = Buffer.alloc(8 * numbers.length);
    for (const [index, number] of numbers.entries()) expected.writeBigUInt64LE(BigInt(number), 8 * index);
    expect(written.equals(expected)).toBe(true);
    const reader = new BinaryReader(written);
    for (const number of numbers) expect(reader.u53()).toBe(number);
    for (const wrong of [-1, 0.5, 2 ** 53, Number.NaN]) expect(() => new BinaryWriter().u53(wrong)).toThrow('safe');
    expect(() => new BinaryReader(Buffer.alloc(8, 0xff)).u53()).toThrow('too large');
  });
});

describe('a writer', () => {
  it('keeps nothing of the record before, whatever its size, beside others that are open', () => {
    const [first, second] = [new BinaryWriter(), new BinaryWriter()];
    first.raw(Buffer.alloc(10_000, 1));
    second.text('second');
    const large = first.finish();
    const small = second.finish();
    const third = new BinaryWriter().text('third!').finish();
    expect(large.equals(Buffer.alloc(10_000, 1))).toBe(true);
    expect(small.equals(textBytes('second'))).toBe(true);
    expect(third.equals(textBytes('third!'))).toBe(true);
    expect(() => first.u8(1)).toThrow('before it is finished');
  });
});

describe('a text', () => {
  it('is its UTF-8 behind its length, whatever it holds', () => {
    const lengths = [0, 1, 79, 80, 81, 255, 256, 70_000 / 2];
    const texts = lengths.flatMap((length) => ['a', '\x7f', '\x80', 'é', '€'].map((letter) => letter.repeat(length)));
    for (const text of texts.filter((value) => Buffer.byteLength(value) <= 0xffff)) {
      const written = new BinaryWriter().text('before').text(text).u8(7).finish();
      expect(written.equals(Buffer.concat([textBytes('before'), textBytes(text), Buffer.of(7)]))).toBe(true);
    }
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'binary', maxLength: 90 }), { maxLength: 8 }), (values) => {
        const writer = new BinaryWriter();
        for (const value of values) writer.text(value);
        const bytes = writer.finish();
        expect(bytes.equals(Buffer.concat(values.map(textBytes)))).toBe(true);
        const reader = new BinaryReader(bytes);
        for (const value of values) expect(reader.text()).toBe(Buffer.from(value, 'utf8').toString('utf8'));
      }),
    );
  });
});

describe('an object record whose meaning is at hand', () => {
  it('is what decoding it gives', () => {
    const geometry = { dataShards: 2, parityShards: 2, rotation: 1 };
    const here: Placement = {
      kind: 'slots',
      geometry,
      id: { high: 3, low: 4 },
      slotBytes: 2048,
      fileNumber: 5,
      fileOffset: 4096,
      hashes: Buffer.alloc(128, 1),
    };
    const common: ObjectRecord = {
      ...{ bytes: 4096, modifiedMs: 1_700_000_000_000, etag: 'd41d8cd98f00b204e9800998ecf8427e' },
      checksum: { algorithm: 'CRC32', type: 'FULL_OBJECT', value: 'sOO8/Q==' },
      metadata: { headers: { 'content-type': 'text/plain', 'x-amz-meta-ä': 'ö' }, storageClass: 'STANDARD' },
      ...{ bucketId: 65_536, key: 'k/ü', versionId: 'null', isMarker: false, dataOrder: 0, multipart: null },
      placement: { ...here, fileNumber: 0, fileOffset: 0 },
    };
    const records: readonly (readonly [ObjectRecord, Placement | null])[] = [
      [common, here],
      [{ ...common, placement: { kind: 'none' }, bytes: 0, checksum: null }, null],
      [{ ...common, placement: { kind: 'inline', bytes: Buffer.from('inline') } }, null],
      [
        {
          ...common,
          placement: { kind: 'blob', geometry, id: { high: 1, low: 2 }, stripeBytes: 1 << 20, positions: 7 },
        },
        null,
      ],
    ];
    for (const [record, slots] of records) {
      const decoded = decodeObject(encodeObject(record, slots !== null), slots);
      expect(asDecoded(record, slots)).toEqual(decoded);
      expect(Object.keys(asDecoded(record, slots))).toEqual(Object.keys(decoded));
    }
  });
});
