/** Bytes in use by log file: exact after every kind of record, after a restart, and when built from the log anew. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { Readers } from '../../../src/object/readers.js';
import { startEngine, type RunningEngine } from '../../support/running-engine.js';
import { seededRandom } from '../../support/seeded-random.js';
import { Workload, expectExactSpace, readAll, spaceByFile } from '../../support/workload.js';

let running: RunningEngine | null = null;
let folder = '';

afterEach(async () => {
  await running?.close();
  running = null;
  if (folder !== '') rmSync(folder, { recursive: true, force: true });
});

it('is the sum of what the entries keep, whatever was written, replaced, completed, aborted and deleted', async () => {
  folder = mkdtempSync(join(tmpdir(), 'granary-space-'));
  const options = {
    drives: [join(folder, 'a'), join(folder, 'b'), join(folder, 'c')],
    indexDirectory: join(folder, 'index'),
    logFileBytes: 1 << 20,
  };
  running = await startEngine(options);
  const workload = new Workload(seededRandom(7), 7);
  workload.running = running;
  await workload.createBucket('one');
  for (let round = 0; round < 5; round++) {
    await workload.wave(12);
    expectExactSpace(running, 200);
  }
  const { engine } = running;
  await engine.writeSystemRecords([1, 2, 3].map((n) => ({ name: `t/${n}`, value: Buffer.alloc(100 * n) })));
  await engine.writeSystemRecords([{ name: 't/2', value: null }]);
  await engine.setBucketDocument('one', 'tagging', 'text');
  await engine.setBucketDocument('one', 'tagging', null);
  await engine.setBucketDocument('one', 'cors', 'text');
  const info = await engine.createMultipartUpload({
    bucket: 'one',
    key: 'gone',
    metadata: { headers: {}, storageClass: 'STANDARD' },
    checksumAlgorithm: null,
    checksumType: null,
  });
  const part = await workload.feed('one', 'gone', Buffer.alloc(10_000, 1));
  await part.commitPart({ uploadId: info.uploadId, partNumber: 1, checksum: null });
  await engine.abortMultipartUpload('one', 'gone', info.uploadId);
  expectExactSpace(running, 200);
  for (let count = 0; count < 24; count++) {
    const upload = await workload.feed('one', `small${count}`, Buffer.alloc(100_000, count));
    const metadata = { headers: {}, storageClass: 'STANDARD' };
    await upload.commitObject({ metadata, checksum: null, precondition: null });
  }
  expectExactSpace(running, 200);
  const before = spaceByFile(running);
  expect([...before.values()].reduce((sum, bytes) => sum + bytes, 0)).toBeGreaterThan(100_000);
  expect(before.size).toBeGreaterThan(1);

  await running.close();
  running = await startEngine(options);
  expectExactSpace(running, 200);
  expect(spaceByFile(running)).toEqual(before);

  await running.close();
  rmSync(options.indexDirectory, { recursive: true });
  running = await startEngine(options);
  const { index } = running.engine;
  await expect.poll(() => index.isRebuilding, { timeout: 10_000 }).toBe(false);
  expectExactSpace(running, 200);
  expect(spaceByFile(running)).toEqual(before);
}, 60_000);

/** A bucket that keeps versions, on one drive with small log files. */
async function versioned(seed: number) {
  folder = mkdtempSync(join(tmpdir(), 'granary-space-'));
  const options = { drives: [join(folder, 'a')], indexDirectory: join(folder, 'index'), logFileBytes: 1 << 20 };
  const started = (running = await startEngine(options));
  const { engine } = started;
  const workload = new Workload(seededRandom(seed), seed);
  workload.running = started;
  await workload.createBucket('one');
  await engine.setVersioning('one', { status: 'Enabled', excludedPrefixes: [], excludesFolders: false });
  const metadata = { headers: {}, storageClass: 'STANDARD' };
  const put = async (key: string, body: Buffer): Promise<string> => {
    const upload = await workload.feed('one', key, body);
    return (await upload.commitObject({ metadata, checksum: null, precondition: null })).versionId;
  };
  const copyOf = async (versionId: string): Promise<string> => {
    const snapshot = engine.open('one', 'k', versionId);
    try {
      return (await engine.replaceMetadata(snapshot, metadata, null))?.versionId ?? '';
    } finally {
      snapshot.close();
    }
  };
  const { opened } = started;
  /** Until none of the files of now is there any more. */
  const compact = async (): Promise<void> => {
    const head = Math.max(...opened.journal.logFiles());
    const isFreed = (): boolean => Math.min(...opened.journal.logFiles()) > head;
    for (let count = 0; count < 200 && !isFreed(); count++) {
      const versionId = await put('garbage', Buffer.alloc(100_000, count));
      await engine.deleteObject('one', 'garbage', versionId, null);
      if (count > 40) await new Promise((resolve) => setTimeout(resolve, 20));
    }
    expect(started.lines.filter((line) => line.includes('cannot be compacted'))).toEqual([]);
    expect(isFreed()).toBe(true);
  };
  return { running: started, workload, put, copyOf, compact };
}

it('moves what was made of a version that has slots of its own since it was moved', async () => {
  const { running, workload, put, copyOf, compact } = await versioned(8);
  const { engine } = running;
  const body = workload.newBody(200_000);
  const first = await put('k', body);
  const second = await copyOf(first);
  const others = [await copyOf(first), await copyOf(second), await copyOf(second), await copyOf(first)];
  // Each of them gets slots of its own.
  await compact();
  const third = await copyOf(second);
  await put('k', workload.newBody(1000));
  await compact();
  expectExactSpace(running, 200);
  for (const versionId of [first, second, ...others, third]) {
    const snapshot = engine.open('one', 'k', versionId);
    expect((await readAll(snapshot, 0, body.length)).equals(body)).toBe(true);
  }
}, 60_000);

it('moves each of many versions that share their bytes without a look at all the others', async () => {
  const { running, workload, put, copyOf, compact } = await versioned(11);
  const { engine } = running;
  const { catalog } = engine.index;
  const body = workload.newBody(2000);
  const versions = [await put('k', body)];
  const copies = 300;
  while (versions.length <= copies) versions.push(await copyOf(versions[0] ?? ''));
  let looks = 0;
  const [get, range] = [catalog.get.bind(catalog), catalog.range.bind(catalog)];
  catalog.get = (key) => {
    looks++;
    return get(key);
  };
  catalog.range = function* (options) {
    for (const entry of range(options)) {
      looks++;
      yield entry;
    }
  };
  // Once with the bytes of the first, and once with their own.
  for (let round = 0; round < 2; round++) {
    looks = 0;
    await compact();
    expect(looks).toBeLessThan(copies * 40);
  }
  expectExactSpace(running, 200);
  for (const versionId of versions) {
    const found = engine.open('one', 'k', versionId);
    expect((await readAll(found, 0, body.length)).equals(body)).toBe(true);
    found.close();
  }
}, 60_000);

it('moves a copy that was moved into the log file that it already lay in', async () => {
  const { running, workload, put, copyOf } = await versioned(10);
  const { engine, opened } = running;
  const files = (): readonly number[] => opened.journal.logFiles();
  const fillUpTo = async (fileNumber: number): Promise<string[]> => {
    const versions: string[] = [];
    while (Math.max(...files()) < fileNumber) versions.push(await put('fill', Buffer.alloc(100_000, versions.length)));
    return versions;
  };
  const endAll = async (versions: readonly string[]): Promise<void> => {
    await Promise.all(versions.map((versionId) => engine.deleteObject('one', 'fill', versionId, null)));
  };
  const body = workload.newBody(150_000);
  const original = await put('k', body);
  const first = await fillUpTo(3);
  const copy = await copyOf(original);
  // The record of the copy lies in the third file. Its bytes lie in the first, and come into the third as well.
  await endAll(first);
  await expect.poll(() => Math.min(...files()), { timeout: 10_000 }).toBe(3);
  await endAll(await fillUpTo(5));
  await expect.poll(() => Math.min(...files()), { timeout: 10_000 }).toBeGreaterThan(3);
  expect(opened.journal.canWrite).toBe(true);
  expectExactSpace(running, 200);
  for (const versionId of [original, copy]) {
    const found = engine.open('one', 'k', versionId);
    expect((await readAll(found, 0, body.length)).equals(body)).toBe(true);
    found.close();
  }
}, 60_000);

it('waits for the readers of before, and for no others', async () => {
  const readers = new Readers();
  const [one, two] = [readers.enter(), readers.enter()];
  const order: string[] = [];
  const gone = readers.gone().then(() => order.push('first'));
  const later = readers.enter();
  readers.leave(one);
  await Promise.resolve();
  expect(order).toEqual([]);
  readers.leave(two);
  await gone;
  const last = readers.gone().then(() => order.push('second'));
  await Promise.resolve();
  expect(order).toEqual(['first']);
  readers.leave(later);
  await last;
  await readers.gone();
  expect(order).toEqual(['first', 'second']);
});
