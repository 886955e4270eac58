import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LatestObjects, latestObject, type LatestObject } from '../../../src/object/latest-objects.js';
import type { ObjectRecord } from '../../../src/object/records.js';

const bodyBytes = 100;

function object(key: string, order: number, change: Partial<ObjectRecord> = {}): LatestObject {
  const record: ObjectRecord = {
    bucketId: 1,
    key,
    bytes: 1,
    modifiedMs: 0,
    etag: String(order),
    checksum: null,
    metadata: { headers: {}, storageClass: 'STANDARD' },
    versionId: 'null',
    isMarker: false,
    dataOrder: 0,
    placement: { kind: 'none' },
    multipart: null,
    ...change,
  };
  return latestObject('bucket', { entry: { order, body: Buffer.alloc(bodyBytes), here: null }, record });
}

/** By the account of the cache, of a key with one character. */
const objectBytes = 3072 + 2 * (bodyBytes + 1);

describe('latest objects kept decoded', () => {
  it('are found by bucket and key, with what answers say of them', () => {
    const latest = new LatestObjects(1e6);
    latest.add(1, 'a', object('a', 7));
    expect(latest.get(1, 'a')?.info).toMatchObject({ bucket: 'bucket', key: 'a', etag: '7' });
    expect(latest.get(2, 'a')).toBeNull();
    expect(latest.get(1, 'b')).toBeNull();
  });

  it('do not include those whose record lists parts', () => {
    const latest = new LatestObjects(1e6);
    latest.add(1, 'a', object('a', 7, { multipart: { uploadId: '', parts: [] } }));
    expect(latest.get(1, 'a')).toBeNull();
  });

  it('stay while they are asked for, and go otherwise', () => {
    const latest = new LatestObjects(8 * objectBytes);
    latest.add(1, 'a', object('a', 0));
    for (let index = 0; index < 100; index++) {
      expect(latest.get(1, 'a')).not.toBeNull();
      latest.add(1, String.fromCharCode(0x100 + index), object('x', index));
    }
    expect(latest.get(1, String.fromCharCode(0x100))).toBeNull();
  });

  it('never are others than were added, nor more than may be held', () => {
    const keys = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'];
    const step = fc.record({
      what: fc.constantFrom('add', 'add', 'get', 'get', 'forget', 'clear'),
      key: fc.constantFrom(...keys),
      bucket: fc.constantFrom(1, 2),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const held = 4;
        const latest = new LatestObjects(held * objectBytes);
        const model = new Map<string, LatestObject>();
        for (const [order, { what, key, bucket }] of steps.entries()) {
          const name = `${bucket}/${key}`;
          if (what === 'add') {
            const added = object(key, order);
            latest.add(bucket, key, added);
            model.set(name, added);
          } else if (what === 'forget') {
            latest.forget(bucket, key);
            model.delete(name);
          } else if (what === 'clear') {
            latest.clear();
            model.clear();
          } else {
            const found = latest.get(bucket, key);
            if (found !== null) expect(found).toBe(model.get(name));
          }
        }
        const kept = [1, 2].flatMap((bucket) => keys.filter((key) => latest.get(bucket, key) !== null));
        expect(kept.length).toBeLessThanOrEqual(held + 2);
      }),
    );
  });
});
