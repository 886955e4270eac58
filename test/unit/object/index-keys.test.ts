/** Keys of the index: short ones are written letter by letter, and must come out as all others do. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import {
  keyOfObjectKey,
  keyOfVersionKey,
  nullVersionKey,
  objectKey,
  placesOfVersion,
  versionKey,
  versionPrefix,
} from '../../../src/object/index-keys.js';

const bucket = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
const key = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 90 }),
  fc.string({ unit: 'grapheme-ascii', minLength: 70, maxLength: 90 }),
);

function numberBytes(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(value));
  return bytes;
}

it('keys are a letter, a number and the bytes of the S3 key', () => {
  fc.assert(
    fc.property(bucket, key, bucket, (bucketId, name, order) => {
      const text = Buffer.from(name, 'utf8');
      const head = (kind: string): Buffer => Buffer.concat([Buffer.from(kind), numberBytes(bucketId), text]);
      const turned = numberBytes(Number.MAX_SAFE_INTEGER - order);
      expect(objectKey(bucketId, name)).toEqual(head('O'));
      expect(nullVersionKey(bucketId, name)).toEqual(head('N'));
      expect(versionPrefix(bucketId, name)).toEqual(Buffer.concat([head('V'), Buffer.of(0)]));
      const version = versionKey(bucketId, name, order);
      expect(version).toEqual(Buffer.concat([head('V'), Buffer.of(0), turned]));
      expect(keyOfObjectKey(objectKey(bucketId, name))).toBe(text.toString('utf8'));
      expect(keyOfVersionKey(version)).toBe(text.toString('utf8'));
      expect(placesOfVersion(version).order).toBe(order);
    }),
  );
});
