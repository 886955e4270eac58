/** Versions in the engine: what each record does to the index, in batches and against a model. */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import type { ObjectInfo, WritePrecondition } from '../../../dist/object/index.js';
import { engineOnDrives, type EngineFixture } from '../../support/engine-on-drives.js';
import { finishedUpload } from '../../support/finished-upload.js';
import { filesBelow } from '../../support/running-engine.js';
import { seededRandom } from '../../support/seeded-random.js';
import { VersionWorkload } from '../../support/version-workload.js';
import { Workload, codeOf, readAll } from '../../support/workload.js';

let fixture: EngineFixture;

beforeAll(async () => {
  fixture = await engineOnDrives({ driveCount: 1 });
});

beforeEach(async () => {
  await fixture.engine.createBucket('b', { region: '' });
});

/** Nothing may be left of what a test wrote, once its versions have ended. */
afterEach(async () => {
  vi.restoreAllMocks();
  for (let lines = await listed(); lines.length > 0; lines = await listed()) {
    fixture.journal.batchNext(lines.length);
    const names = lines.map((line) => line.split(' '));
    await Promise.all(names.map(([, key = '', id = '']) => fixture.engine.deleteObject('b', key, id, null)));
  }
  await fixture.engine.deleteBucket('b');
  await expect.poll(blobs).toEqual([]);
  await expect.poll(entryCounts).toEqual({ O: 0, V: 0, N: 0, R: 0, W: 0, P: 0, G: 0, H: 0 });
});

afterAll(async () => {
  await fixture.close();
});

const setTo = (status: 'Enabled' | 'Suspended') =>
  fixture.engine.setVersioning('b', { status, excludedPrefixes: [], excludesFolders: false });

const upload = (key: string, body: Buffer) => finishedUpload(fixture.engine, key, body);

async function put(
  key: string,
  body: Buffer | string,
  precondition: WritePrecondition | null = null,
): Promise<ObjectInfo> {
  const opened = await upload(key, Buffer.from(body as string));
  const metadata = { headers: {}, storageClass: 'STANDARD' };
  return opened.commitObject({ metadata, checksum: null, precondition });
}

async function textOf(key: string, versionId = ''): Promise<string> {
  const snapshot = fixture.engine.open('b', key, versionId);
  return (await readAll(snapshot, 0, snapshot.info.bytes)).toString('latin1');
}

const listed = async () => {
  const all = { prefix: '', delimiter: '', keyMarker: '', versionIdMarker: '', countMax: 1000 };
  return (await fixture.engine.listVersions({ bucket: 'b', ...all })).entries.map(
    ({ key, versionId, isLatest, isMarker }) =>
      `${isMarker ? 'D' : 'V'} ${key} ${versionId}${isLatest ? ' latest' : ''}`,
  );
};
const blobs = () => filesBelow(join(fixture.driveFolder(0), 'blobs'));
const usage = () => {
  const { objects, bytes, versions, deleteMarkers } = fixture.engine.bucketUsage('b');
  return { objects, bytes, noncurrent: versions - objects, markers: deleteMarkers };
};
/** Entries that are read from the index in ranges, until the end of the test. */
const countReads = (): { count: number } => {
  const { catalog } = fixture.engine.index;
  const range = catalog.range.bind(catalog);
  const reads = { count: 0 };
  vi.spyOn(catalog, 'range').mockImplementation(function* (options) {
    for (const entry of range(options)) {
      reads.count++;
      yield entry;
    }
  });
  return reads;
};
/** Index entries of the kinds that objects have. */
const entryCounts = () => {
  const counts: Record<string, number> = {};
  for (const letter of ['O', 'V', 'N', 'R', 'W', 'P', 'G', 'H']) {
    const end = Buffer.from(String.fromCharCode(letter.charCodeAt(0) + 1));
    counts[letter] = [...fixture.engine.index.catalog.range({ start: Buffer.from(letter), end })].length;
  }
  return counts;
};
const codeOfCall = async (act: () => unknown): Promise<string> => {
  try {
    await act();
    return 'fine';
  } catch (error) {
    return codeOf(error);
  }
};

describe('an unversioned bucket', () => {
  it('has one entry for a key, whatever happens to it', async () => {
    for (const text of ['1', '2', '3']) expect((await put('k', text)).versionId).toBe('null');
    expect(entryCounts()).toMatchObject({ O: 1, V: 0, N: 0, R: 0 });
    expect(await listed()).toEqual(['V k null latest']);
    expect(await textOf('k', 'null')).toBe('3');
    expect(await codeOfCall(() => fixture.engine.open('b', 'none', 'null'))).toBe('NoSuchVersion');
    expect(await fixture.engine.deleteObject('b', 'k', '', null)).toEqual({ versionId: null, isMarker: false });
    expect(entryCounts()).toMatchObject({ O: 0, V: 0 });
  });
});

describe('an enabled bucket', () => {
  beforeEach(async () => {
    await setTo('Enabled');
  });

  it('orders versions by sequence and reads each', async () => {
    const ids: string[] = [];
    for (const text of ['1', '2', '3', '4']) ids.push((await put('k', text)).versionId);
    expect(await listed()).toEqual(ids.toReversed().map((id, index) => `V k ${id}${index === 0 ? ' latest' : ''}`));
    for (const [index, id] of ids.entries()) expect(await textOf('k', id)).toBe(String(index + 1));
    expect(await textOf('k', ids[0]?.toUpperCase())).toBe('1');
    expect(usage()).toEqual({ objects: 1, bytes: 4, noncurrent: 3, markers: 0 });
  });

  it('shows nothing of a key under its marker, and all of it without', async () => {
    const { versionId } = await put('k', 'x');
    const made = await fixture.engine.deleteObject('b', 'k', '', null);
    expect(made.isMarker).toBe(true);
    const error = await Promise.resolve()
      .then(() => fixture.engine.head('b', 'k', ''))
      .catch((caught: unknown) => caught);
    expect(error).toMatchObject({ code: 'NoSuchKey', marker: { versionId: made.versionId } });
    expect(await codeOfCall(() => fixture.engine.head('b', 'k', made.versionId ?? ''))).toBe('MethodNotAllowed');
    expect(
      (await fixture.engine.list({ bucket: 'b', prefix: '', delimiter: '', startAfter: '', countMax: 10 })).entries,
    ).toEqual([]);
    expect(await listed()).toEqual([`D k ${made.versionId} latest`, `V k ${versionId}`]);
    expect(usage()).toEqual({ objects: 0, bytes: 1, noncurrent: 1, markers: 1 });
    expect(await fixture.engine.deleteObject('b', 'k', made.versionId ?? '', null)).toEqual({
      versionId: made.versionId,
      isMarker: true,
    });
    expect(await listed()).toEqual([`V k ${versionId} latest`]);
    expect(usage()).toEqual({ objects: 1, bytes: 1, noncurrent: 0, markers: 0 });
  });

  it('keeps the files of every version until that version ends', async () => {
    const big = Buffer.alloc(400_000, 1);
    const first = await put('k', big);
    await put('k', big);
    await fixture.engine.deleteObject('b', 'k', '', null);
    expect(blobs()).toHaveLength(2);
    await fixture.engine.deleteObject('b', 'k', first.versionId, null);
    await expect.poll(blobs).toHaveLength(1);
    expect(entryCounts()).toMatchObject({ O: 0, V: 2 });
  });

  it('shares bytes between versions, and unlinks them with the last one', async () => {
    const big = Buffer.alloc(400_000, 2);
    const first = await put('k', big);
    const copies: string[] = [];
    for (const n of ['1', '2']) {
      const snapshot = fixture.engine.open('b', 'k', first.versionId);
      const metadata = { headers: { 'x-amz-meta-n': n }, storageClass: 'STANDARD' };
      copies.push((await fixture.engine.replaceMetadata(snapshot, metadata, null))?.versionId ?? '');
      snapshot.close();
    }
    expect(entryCounts()).toMatchObject({ O: 1, V: 2, R: 1 });
    expect(blobs()).toHaveLength(1);
    await fixture.engine.deleteObject('b', 'k', first.versionId, null);
    await fixture.engine.deleteObject('b', 'k', copies[1] ?? '', null);
    expect(await textOf('k')).toBe(big.toString('latin1'));
    expect(blobs()).toHaveLength(1);
    await fixture.engine.deleteObject('b', 'k', copies[0] ?? '', null);
    await expect.poll(blobs).toEqual([]);
    await expect.poll(entryCounts).toEqual({ O: 0, V: 0, N: 0, R: 0, W: 0, P: 0, G: 0, H: 0 });
  });

  it('a version that ends under a reader is read to its end', async () => {
    const big = randomBytes(400_000);
    const { versionId } = await put('k', big);
    await put('k', 'new');
    const snapshot = fixture.engine.open('b', 'k', versionId);
    await fixture.engine.deleteObject('b', 'k', versionId, null);
    expect((await readAll(snapshot, 0, big.length)).equals(big)).toBe(true);
    await expect.poll(blobs).toEqual([]);
  });

  it('decides in commit order inside one batch', async () => {
    const first = await put('k', 'one');
    const uploads = await Promise.all(['a', 'b', 'c'].map((text) => upload('k', Buffer.from(text))));
    const commit = (index: number, precondition: WritePrecondition | null) =>
      uploads[index]!.commitObject({
        metadata: { headers: {}, storageClass: 'STANDARD' },
        checksum: null,
        precondition,
      });
    fixture.journal.batchNext(5);
    const outcomes = await Promise.allSettled([
      commit(0, { ifMatch: [first.etag] }),
      fixture.engine.deleteObject('b', 'k', '', null),
      // The marker hides what was there: a first writer may come.
      commit(1, { ifNoneMatch: ['*'] }),
      fixture.engine.deleteObject('b', 'k', first.versionId, null),
      commit(2, { ifMatch: [first.etag] }),
      put('other', 'x'),
    ]);
    expect(outcomes.map(({ status }) => status)).toEqual([
      'fulfilled',
      'fulfilled',
      'fulfilled',
      'fulfilled',
      'rejected',
      'fulfilled',
    ]);
    expect(await textOf('k')).toBe('b');
    expect((await listed()).map((line) => line.slice(0, 3))).toEqual(['V k', 'D k', 'V k', 'V o']);
    expect(usage()).toEqual({ objects: 2, bytes: 3, noncurrent: 1, markers: 1 });
  });

  it('a delete by id is conditional on that version', async () => {
    const first = await put('k', 'one');
    await put('k', 'two');
    const wrong = await codeOfCall(() => fixture.engine.deleteObject('b', 'k', first.versionId, { ifMatch: ['no'] }));
    expect(wrong).toBe('PreconditionFailed');
    await fixture.engine.deleteObject('b', 'k', first.versionId, { ifMatch: [first.etag] });
    expect(await listed()).toHaveLength(1);
    expect(await codeOfCall(() => fixture.engine.deleteObject('b', 'k', 'v1', null))).toBe('NoSuchVersion');
    const foreign = '3b6c7c5e-6f0f-4f8e-9b62-7f3f6a1c2d3e';
    expect(await fixture.engine.deleteObject('b', 'k', foreign, null)).toEqual({ versionId: foreign, isMarker: false });
    expect(await codeOfCall(() => fixture.engine.open('b', 'k', foreign))).toBe('NoSuchVersion');
  });

  it('two that end the same version: one does, both are answered', async () => {
    const { versionId } = await put('k', 'x'.repeat(400_000));
    fixture.journal.batchNext(1);
    const both = await Promise.all([1, 2].map(() => fixture.engine.deleteObject('b', 'k', versionId, null)));
    expect(both).toEqual([1, 2].map(() => ({ versionId, isMarker: false })));
    await expect.poll(blobs).toEqual([]);
    expect(usage()).toEqual({ objects: 0, bytes: 0, noncurrent: 0, markers: 0 });
  });

  it.each([
    ['asked for at once', null],
    ['asked for when the first is decided', 20],
  ])('a second delete of a version is answered when the first is durable: %s', async (_, pauseMs) => {
    const { versionId } = await put('k', 'one');
    let show = (): void => undefined;
    fixture.journal.beforeApply = new Promise((resolve) => (show = resolve));
    const answered: string[] = [];
    const end = async (name: string): Promise<void> => {
      expect(await fixture.engine.deleteObject('b', 'k', versionId, null)).toEqual({ versionId, isMarker: false });
      answered.push(name);
    };
    const first = end('first');
    if (pauseMs !== null) await new Promise((resolve) => setTimeout(resolve, pauseMs));
    const second = end('second');
    await new Promise((resolve) => setTimeout(resolve, 20));
    const before = [...answered];
    show();
    await Promise.all([first, second]);
    fixture.journal.beforeApply = Promise.resolve();
    expect([before, answered]).toEqual([[], ['first', 'second']]);
  });

  it('is not empty while a marker is left or on its way', async () => {
    await fixture.engine.deleteObject('b', 'k', '', null);
    expect(await codeOfCall(() => fixture.engine.deleteBucket('b'))).toBe('BucketNotEmpty');
    for (const line of await listed()) await fixture.engine.deleteObject('b', 'k', line.split(' ')[2] ?? '', null);
    const [, deleted] = await Promise.allSettled([
      fixture.engine.deleteObject('b', 'k', '', null),
      fixture.engine.deleteBucket('b'),
    ]);
    expect(deleted.status === 'rejected' ? codeOf(deleted.reason) : 'fine').toBe('BucketNotEmpty');
  });

  it('completes an upload once, also when others have written since', async () => {
    const { uploadId } = await fixture.engine.createMultipartUpload({
      bucket: 'b',
      key: 'k',
      metadata: { headers: {}, storageClass: 'STANDARD' },
      checksumAlgorithm: null,
      checksumType: null,
    });
    const { etag } = await (
      await upload('k', Buffer.from('part'))
    ).commitPart({ uploadId, partNumber: 1, checksum: null });
    const complete = () =>
      fixture.engine.completeMultipartUpload({
        bucket: 'b',
        key: 'k',
        uploadId,
        parts: [{ partNumber: 1, etag, checksum: null }],
        precondition: null,
      });
    const made = await complete();
    await put('k', 'newer');
    expect(await complete()).toEqual(made);
    expect(await listed()).toHaveLength(2);
    expect(await textOf('k', made.versionId)).toBe('part');
    await fixture.engine.deleteObject('b', 'k', made.versionId, null);
    await expect.poll(() => entryCounts()['P']).toBe(0);
  });

  it('excludes prefixes and folders', async () => {
    await fixture.engine.setVersioning('b', {
      status: 'Enabled',
      excludedPrefixes: ['tmp/', 'a/*/x'],
      excludesFolders: true,
    });
    const ids = new Map<string, string>();
    for (const key of ['tmp/1', 'tmp', 'a/b/c/x1', 'a/x', 'dir/', 'dir/k'])
      ids.set(key, (await put(key, '')).versionId);
    const nulls = [...ids].flatMap(([key, id]) => (id === 'null' ? [key] : []));
    expect(nulls).toEqual(['tmp/1', 'a/b/c/x1', 'dir/']);
  });
});

describe('a suspended bucket', () => {
  it('replaces its null version wherever that lies', async () => {
    await put('k', 'null 1');
    await setTo('Enabled');
    const kept = await put('k', 'kept');
    await setTo('Suspended');
    expect((await put('k', 'null 2')).versionId).toBe('null');
    expect(await listed()).toEqual(['V k null latest', `V k ${kept.versionId}`]);
    await setTo('Enabled');
    const newest = await put('k', 'newest');
    await setTo('Suspended');
    expect(await fixture.engine.deleteObject('b', 'k', '', null)).toEqual({ versionId: 'null', isMarker: true });
    expect(await listed()).toEqual(['D k null latest', `V k ${newest.versionId}`, `V k ${kept.versionId}`]);
    expect(await codeOfCall(() => fixture.engine.open('b', 'k', 'null'))).toBe('MethodNotAllowed');
    await put('k', 'null 3');
    expect(await textOf('k', 'null')).toBe('null 3');
    expect(entryCounts()).toMatchObject({ O: 1, V: 2, N: 0 });
    expect(usage()).toMatchObject({ objects: 1, noncurrent: 2, markers: 0 });
  });
});

describe('a delete whose bucket gets another versioning before it is decided', () => {
  /** What the request met when it came, and not what it is when its turn has come. */
  const once = (mode: 'unversioned' | 'enabled' | 'suspended') =>
    vi.spyOn(fixture.engine.index, 'writeMode').mockReturnValueOnce(mode);

  it('covers the version that it would have removed', async () => {
    await setTo('Enabled');
    const { versionId } = await put('k', 'kept');
    const mode = once('unversioned');
    expect(await fixture.engine.deleteObject('b', 'k', '', null)).toMatchObject({ isMarker: true });
    mode.mockRestore();
    expect(await textOf('k', versionId)).toBe('kept');
  });

  it.each(['Enabled', 'Suspended'] as const)('makes a marker as the bucket is by then: %s', async (status) => {
    await setTo(status);
    await put('k', 'body');
    const mode = once(status === 'Enabled' ? 'suspended' : 'enabled');
    const { versionId } = await fixture.engine.deleteObject('b', 'k', '', null);
    mode.mockRestore();
    expect(versionId === 'null').toBe(status === 'Suspended');
    expect(await listed()).toHaveLength(status === 'Suspended' ? 1 : 2);
  });
});

describe('listing versions', () => {
  it('goes on after a version that has gone since', async () => {
    await setTo('Enabled');
    const ids: string[] = [];
    for (const text of ['1', '2', '3', '4']) ids.push((await put('k', text)).versionId);
    await put('l', 'x');
    const after = async (versionIdMarker: string) => {
      const from = { prefix: '', delimiter: '', keyMarker: 'k', versionIdMarker, countMax: 1000 };
      const { entries } = await fixture.engine.listVersions({ bucket: 'b', ...from });
      return entries.map(({ versionId, isLatest }) => `${ids.indexOf(versionId) + 1}${isLatest ? ' latest' : ''}`);
    };
    expect(await after(ids[3] ?? '')).toEqual(['3', '2', '1', '0 latest']);
    await fixture.engine.deleteObject('b', 'k', ids[2] ?? '', null);
    expect(await after(ids[2] ?? '')).toEqual(['2', '1', '0 latest']);
    await fixture.engine.deleteObject('b', 'k', ids[3] ?? '', null);
    // The next one has come to the top meanwhile.
    expect(await after(ids[3] ?? '')).toEqual(['2 latest', '1', '0 latest']);
    expect(await after('')).toEqual(['0 latest']);
  });

  it('finds the next one when the newest go in one batch, without a look at each that goes', async () => {
    await setTo('Enabled');
    const ids: string[] = [];
    for (let index = 0; index < 300; index++) ids.unshift((await put('k', `${index}`)).versionId);
    const reads = countReads();
    fixture.journal.batchNext(290);
    await Promise.all(ids.slice(0, 290).map((id) => fixture.engine.deleteObject('b', 'k', id, null)));
    expect(reads.count).toBeLessThan(290 * 8);
    expect(await listed()).toEqual(ids.slice(290).map((id, index) => `V k ${id}${index === 0 ? ' latest' : ''}`));
  });

  it('costs what it returns: 5,000 deleted keys do not slow a listing of objects', async () => {
    await setTo('Enabled');
    await put('zzz', 'x');
    for (let batch = 0; batch < 5; batch++) {
      fixture.journal.batchNext(1000);
      await Promise.all(
        Array.from({ length: 1000 }, (_, index) =>
          fixture.engine.deleteObject('b', `gone/${batch}/${index}`, '', null),
        ),
      );
    }
    expect(usage()).toMatchObject({ markers: 5000, objects: 1 });
    const reads = countReads();
    const page = await fixture.engine.list({ bucket: 'b', prefix: '', delimiter: '/', startAfter: '', countMax: 1000 });
    expect([page.entries.map(({ key }) => key), page.commonPrefixes, reads.count]).toEqual([['zzz'], [], 1]);
    reads.count = 0;
    const versions = await fixture.engine.listVersions({
      bucket: 'b',
      prefix: '',
      delimiter: '/',
      keyMarker: '',
      versionIdMarker: '',
      countMax: 1000,
    });
    expect([versions.commonPrefixes, reads.count < 10]).toEqual([['gone/'], true]);
  });
});

describe('against a model', () => {
  const seedGiven = process.env['GRANARY_SEED'];
  const seed = seedGiven === undefined ? randomBytes(4).readUInt32LE() : Number(seedGiven);

  it(`random changes, alone and in batches, agree in every version, listing and counter (seed ${seed})`, async () => {
    const workload = new Workload(seededRandom(seed), seed);
    const { engine, journal } = fixture;
    workload.running = { engine, opened: { journal }, journals: [journal] } as unknown as typeof workload.running;
    const versions = new VersionWorkload(workload);
    try {
      for (const name of ['v1', 'v2']) await versions.createBucket(name);
      for (let round = 0; round < 25; round++) {
        await versions.wave(6);
        await versions.burst(5);
        if (round % 3 === 0) await versions.checkAll(true);
      }
      await versions.checkAll(true);
      expect(versions.changes).toBeGreaterThan(100);
      const live = workload.liveBlobs();
      await expect.poll(() => blobs().length).toBe(live.size);
      await versions.endAll();
    } catch (error) {
      throw new Error(`seed ${seed}`, { cause: error });
    }
    await expect.poll(blobs, { timeout: 5000 }).toEqual([]);
    await expect.poll(entryCounts).toEqual({ O: 0, V: 0, N: 0, R: 0, W: 0, P: 0, G: 0, H: 0 });
  });
});
