/** The counters of a bucket: moved by every kind of record, the same after a restart and after a rebuild. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { IndexState } from '../../../src/object/index-state.js';
import { RecordType, encodeMoved } from '../../../src/object/records.js';
import { UsageCounter, noUsage } from '../../../src/object/usage.js';
import { usageSizeBounds } from '../../../src/object/index.js';
import { engineOnDrives } from '../../support/engine-on-drives.js';
import { finishedUpload, plain } from '../../support/finished-upload.js';
import { startEngine, type RunningEngine } from '../../support/running-engine.js';
import { CatalogStates, MemoryCatalog } from '../../support/simulation/memory-catalog.js';

const cleanups: (() => Promise<void> | void)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function put(
  { engine }: Pick<RunningEngine, 'engine'>,
  bucket: string,
  key: string,
  bytes: number,
): Promise<void> {
  await (await finishedUpload(engine, key, Buffer.alloc(bytes, 1), { bucket })).commitObject(plain);
}

async function multipart({ engine }: RunningEngine, bucket: string, key: string, bytes: number): Promise<void> {
  const created = await engine.createMultipartUpload({
    bucket,
    key,
    metadata: plain.metadata,
    checksumAlgorithm: null,
    checksumType: null,
  });
  const { uploadId } = created;
  const upload = await finishedUpload(engine, key, Buffer.alloc(bytes, 1), { bucket });
  const { etag } = await upload.commitPart({ uploadId, partNumber: 1, checksum: null });
  const parts = [{ partNumber: 1, etag, checksum: null }];
  await engine.completeMultipartUpload({ bucket, key, uploadId, parts, precondition: null });
}

describe('what a bucket holds', () => {
  it('is counted through writes, overwrites, copies onto itself and deletes; restart and rebuild agree', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'granary-usage-'));
    cleanups.push(() => {
      rmSync(folder, { recursive: true, force: true });
    });
    const options = { drives: [join(folder, 'a'), join(folder, 'b')], indexDirectory: join(folder, 'index') };
    let running = await startEngine(options);
    cleanups.push(() => running.close());
    await running.engine.createBucket('one', { region: '' });
    await running.engine.createBucket('two', { region: '' });
    expect(running.engine.bucketUsage('one')).toEqual(noUsage);
    // In one batch as well as one after the other.
    await Promise.all([0, 100, 1023, 1024, 70_000].map((bytes) => put(running, 'one', `key-${bytes}`, bytes)));
    await put(running, 'one', 'key-100', 300_000);
    await put(running, 'two', 'other', 5);
    await multipart(running, 'one', 'large', 1_500_000);
    const snapshot = running.engine.open('one', 'key-1024', '');
    await running.engine.replaceMetadata(snapshot, plain.metadata, null);
    snapshot.close();
    await running.engine.deleteObject('one', 'key-1023', '', null);
    await running.engine.deleteObject('one', 'was-never-there', '', null);
    const expected = {
      objects: 5,
      versions: 5,
      deleteMarkers: 0,
      bytes: 0 + 300_000 + 1024 + 70_000 + 1_500_000,
      sizes: [1, 1, 1, 1, 0, 1, 0, 0, 0, 0],
    };
    const two = { objects: 1, versions: 1, deleteMarkers: 0, bytes: 5, sizes: [1, 0, 0, 0, 0, 0, 0, 0, 0, 0] };
    expect(running.engine.bucketUsage('one')).toEqual(expected);
    expect(running.engine.bucketUsage('two')).toEqual(two);
    for (const withoutIndex of [false, true]) {
      await running.close();
      if (withoutIndex) rmSync(options.indexDirectory, { recursive: true });
      running = await startEngine(options);
      expect(running.engine.bucketUsage('one')).toEqual(expected);
      expect(running.engine.bucketUsage('two')).toEqual(two);
    }
    await running.engine.deleteObject('two', 'other', '', null);
    expect(running.engine.bucketUsage('two')).toEqual(noUsage);
    await running.engine.deleteBucket('two');
    expect(() => running.engine.bucketUsage('two')).toThrow(expect.objectContaining({ code: 'NoSuchBucket' }) as Error);
    await running.engine.createBucket('two', { region: '' });
    expect(running.engine.bucketUsage('two')).toEqual(noUsage);
  });

  it('falls into the range that holds its length, at each bound', () => {
    for (const [index, bound] of usageSizeBounds.entries()) {
      const counter = new UsageCounter();
      counter.add({ versions: 1, bytes: bound - 1 });
      counter.add({ versions: 1, bytes: bound });
      const { sizes } = counter.usage();
      expect([sizes[index], sizes[index + 1]]).toEqual([1, 1]);
      expect(sizes.reduce((sum, count) => sum + count)).toBe(2);
    }
  });

  it('delete markers count apart, and a counter is the same after it was stored', () => {
    const counter = new UsageCounter();
    counter.add({ objects: 1, versions: 1, bytes: 2 ** 50 });
    counter.add({ objects: -1, deleteMarkers: 1 });
    const { sizes, ...rest } = UsageCounter.decode(counter.encode()).usage();
    expect(rest).toEqual({ objects: 0, versions: 1, deleteMarkers: 1, bytes: 2 ** 50 });
    expect(sizes.at(-1)).toBe(1);
  });

  it('outlives a restart before the record of its bucket is read, which compaction has moved behind the objects', async () => {
    const fixture = await engineOnDrives({ driveCount: 1 });
    cleanups.push(() => fixture.close());
    await fixture.engine.createBucket('one', { region: '' });
    for (const key of ['a', 'b']) await put(fixture, 'one', key, 100);
    const [bucket, first, second] = fixture.journal.records;
    if (bucket === undefined || first === undefined || second === undefined) throw new Error('there are three records');
    const moved = encodeMoved({ type: bucket.type, order: bucket.order, body: Buffer.from(bucket.body) });
    const batches = [[first], [second], [{ type: RecordType.moved, body: moved, order: 200_000_000, slots: null }]];
    const states = new CatalogStates();
    const reopened = (): IndexState => new IndexState(new MemoryCatalog(states, queueMicrotask), [1]);
    let index = reopened();
    for (const [number, records] of batches.entries()) {
      index = reopened();
      await index.apply(records, { fileNumber: 1, fileOffset: number, epoch: 1, sequence: number + 1, digest: 'd' });
    }
    expect(index.usage(bucket.order)).toMatchObject({ objects: 2, bytes: 200 });
    expect(reopened().usage(bucket.order)).toEqual(index.usage(bucket.order));
  });
});
