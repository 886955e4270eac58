/** Which set a key goes to, and that everything of a key stays in one. */
import { describe, expect, it } from 'vitest';
import { Refusal } from '../../../src/base/index.js';
import { fileId } from '../../../src/erasure/index.js';
import { objectKey, uploadKey } from '../../../src/object/index-keys.js';
import { IndexState } from '../../../src/object/index-state.js';
import { encodeEntry, noSpace } from '../../../src/object/records.js';
import { SetRouter, type PoolPlace } from '../../../src/object/set-router.js';
import { CatalogStates, MemoryCatalog } from '../../support/simulation/memory-catalog.js';

const bucketId = 7;

/** The hash is what the test says for each text; without, zero. */
function world(pools: readonly PoolPlace[], hashes: Record<string, readonly [number, number]> = {}) {
  const catalog = new MemoryCatalog(new CatalogStates(), (run) => setImmediate(run));
  const index = new IndexState(catalog, [4, 4, 4]);
  const full = new Set<number>();
  const router = new SetRouter(
    index,
    pools,
    (text) => hashes[text] ?? [0, 0],
    (setIndex) => !full.has(setIndex),
  );
  const put = (key: Buffer, setIndex: number): Promise<void> =>
    catalog.write((batch) => {
      batch.put(key, encodeEntry(1, Buffer.from('x'), null, { ...noSpace, fileNumber: fileId(setIndex, 3) }));
    });
  const remove = (key: Buffer): Promise<void> => catalog.write((batch) => batch.delete(key));
  return { router, put, remove, full };
}

const twoPools = [
  { firstSet: 0, setCount: 2 },
  { firstSet: 2, setCount: 1 },
];
const high = (share: number): number => Math.floor(share * 2 ** 32);

describe('a key', () => {
  it('of one set goes there, and nothing is hashed', () => {
    const { router } = world([{ firstSet: 0, setCount: 1 }]);
    expect(router.setOf('bucket', bucketId, 'key')).toBe(0);
    expect(router.claim(bucketId, 'key', 0)).toBeNull();
  });

  it('of one pool goes where its hash says', () => {
    const { router } = world([{ firstSet: 0, setCount: 3 }], { 'bucket/a': [4, 0], 'bucket/b': [5, 0] });
    expect(router.setOf('bucket', bucketId, 'a')).toBe(1);
    expect(router.setOf('bucket', bucketId, 'b')).toBe(2);
  });

  it('that is new goes to a pool by its free space', () => {
    const { router } = world(twoPools, { 'bucket/a': [1, high(0.2)], 'bucket/b': [1, high(0.3)] });
    router.setWeights([0.5, 0.5, 3]);
    expect(router.setOf('bucket', bucketId, 'a')).toBe(1);
    expect(router.setOf('bucket', bucketId, 'b')).toBe(2);
    router.setWeights([0, 0, 5]);
    expect(router.setOf('bucket', bucketId, 'a')).toBe(2);
    router.setWeights([2, 3, 0]);
    expect(router.setOf('bucket', bucketId, 'b')).toBe(1);
  });

  it('that is new goes past a set without space to another pool, and past one that refuses what grows', () => {
    const { router, full } = world(twoPools, { 'bucket/a': [1, high(0.2)], 'bucket/c': [0, high(0.2)] });
    router.setWeights([8, 0, 1]);
    expect(router.setOf('bucket', bucketId, 'a')).toBe(2);
    expect(router.setOf('bucket', bucketId, 'c')).toBe(0);
    // Noticed before the space is asked for again.
    router.setWeights([8, 8, 1]);
    full.add(1);
    expect(router.setOf('bucket', bucketId, 'a')).toBe(2);
    expect(router.setOf('bucket', bucketId, 'c')).toBe(0);
    full.add(2);
    expect(router.setOf('bucket', bucketId, 'a')).toBe(1);
  });

  it('that is new goes past a set where a body found no room, until its space is told again', () => {
    const { router } = world(twoPools, { 'bucket/a': [1, high(0.2)] });
    router.setWeights([8, 8, 1]);
    expect(router.setOf('bucket', bucketId, 'a')).toBe(1);
    router.noteFull(1);
    expect(router.setOf('bucket', bucketId, 'a')).toBe(2);
    router.setWeights([8, 8, 1]);
    expect(router.setOf('bucket', bucketId, 'a')).toBe(1);
  });

  it('stays where it lies, or where an upload of it was begun', async () => {
    const { router, put, remove } = world(twoPools);
    router.setWeights([0, 0, 1]);
    expect(router.setOf('bucket', bucketId, 'key')).toBe(2);
    await put(objectKey(bucketId, 'key'), 1);
    expect(router.setOf('bucket', bucketId, 'key')).toBe(1);
    await remove(objectKey(bucketId, 'key'));
    expect(router.setOf('bucket', bucketId, 'key')).toBe(2);
    await put(uploadKey(bucketId, 'key', '0'.repeat(32)), 0);
    expect(router.setOf('bucket', bucketId, 'key')).toBe(0);
    // One that only begins like it is another key.
    expect(router.setOf('bucket', bucketId, 'ke')).toBe(2);
  });

  it('belongs to one set while changes of it are on their way', async () => {
    const { router, put, remove } = world(twoPools);
    const first = router.claim(bucketId, 'key', 1);
    const second = router.claim(bucketId, 'key', 1);
    expect(() => router.claim(bucketId, 'key', 2)).toThrow(Refusal);
    router.setWeights([0, 0, 1]);
    expect(router.setOf('bucket', bucketId, 'key')).toBe(1);
    first?.();
    expect(() => router.claim(bucketId, 'key', 2)).toThrow(Refusal);
    await put(objectKey(bucketId, 'key'), 1);
    second?.();
    // Settled, and in the index now.
    expect(() => router.claim(bucketId, 'key', 2)).toThrow(Refusal);
    await remove(objectKey(bucketId, 'key'));
    expect(router.claim(bucketId, 'key', 2)).not.toBeNull();
  });
});
