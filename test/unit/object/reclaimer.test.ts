/** What was dropped goes in its order and once, however much there is. */
import { expect, it } from 'vitest';
import type { Catalog } from '../../../src/catalog/index.js';
import { blobName, type DriveSet } from '../../../src/erasure/index.js';
import { garbageKey, partKey } from '../../../src/object/index-keys.js';
import { Reclaimer } from '../../../src/object/reclaimer.js';
import { encodeEntry, encodePart, noSpace } from '../../../src/object/records.js';
import type { Garbage } from '../../../src/object/staging.js';
import { CatalogStates, MemoryCatalog } from '../../support/simulation/memory-catalog.js';

const garbage = (order: number): Garbage => ({
  key: garbageKey(order, 0),
  dataOrder: order,
  target: { kind: 'blob', name: blobName({ high: 1, low: order }) },
});

function reclaimerOf(onReclaimed: (order: number) => void, within: Catalog | null = null): Reclaimer {
  const catalog = within ?? ({ write: () => Promise.resolve() } as unknown as Catalog);
  const noDrives = { driveCount: 0 } as unknown as DriveSet;
  const log = (text: string): void => {
    throw new Error(text);
  };
  return new Reclaimer(catalog, [noDrives], log, ({ dataOrder }) => onReclaimed(dataOrder));
}

it('takes 500,000 pieces at once without moving the queue up for each', async () => {
  const count = 500_000;
  let reclaimed = 0;
  let isInOrder = true;
  const all = new Promise<void>((resolve) => {
    const reclaimer = reclaimerOf((order) => {
      isInOrder &&= order === reclaimed;
      if (++reclaimed === count) resolve();
    });
    reclaimer.add(Array.from({ length: count }, (_, order) => garbage(order)));
  });
  await all;
  expect([reclaimed, isInOrder]).toEqual([count, true]);
}, 30_000);

it('goes on with what comes meanwhile, and keeps what is read', async () => {
  const reclaimed: number[] = [];
  const reclaimer = reclaimerOf((order) => reclaimed.push(order));
  reclaimer.pin(3);
  for (let order = 0; order < 5000; order++) reclaimer.add([garbage(order)]);
  await expect.poll(() => reclaimed.length).toBe(4999);
  expect(reclaimed).not.toContain(3);
  reclaimer.unpin(3);
  await expect.poll(() => reclaimed.at(-1)).toBe(3);
  await reclaimer.close();
});

it('takes the parts of an upload in steps, and the intent last', async () => {
  const catalog = new MemoryCatalog(new CatalogStates(), (run) => setImmediate(run));
  const uploadId = '0f'.repeat(16);
  const intent = garbageKey(9, 0);
  const part = (partNumber: number): Buffer => {
    const body = { bytes: 0, modifiedMs: 0, etag: '', checksum: null, placement: { kind: 'none' } } as const;
    return encodeEntry(1, encodePart({ ...body, bucketId: 1, key: 'k', uploadId, partNumber }, false), null, noSpace);
  };
  await catalog.write((batch) => {
    for (let number = 1; number <= 1200; number++) batch.put(partKey(uploadId, number), part(number));
    batch.put(intent, Buffer.alloc(0));
  });
  const left: [number, boolean][] = [];
  const write = catalog.write.bind(catalog);
  catalog.write = async (fill) => {
    await write(fill);
    const all = [...catalog.range({ start: Buffer.alloc(0), end: Buffer.of(0xff) })];
    const isIntentThere = catalog.get(intent) !== undefined;
    left.push([all.length - (isIntentThere ? 1 : 0), isIntentThere]);
  };
  await new Promise<void>((resolve) => {
    const reclaimer = reclaimerOf(() => resolve(), catalog);
    reclaimer.add([{ key: intent, dataOrder: 9, target: { kind: 'upload', uploadId } }]);
  });
  expect(left).toEqual([
    [700, true],
    [200, true],
    [0, false],
  ]);
});
