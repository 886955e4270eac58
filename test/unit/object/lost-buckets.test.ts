/** Sets that were restored from copies of different moments: what lies in buckets that the first one does not know. */
import { cpSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { LogRecord } from '../../../dist/journal/index.js';
import type { ObjectInfo } from '../../../dist/object/index.js';
import { objectKey } from '../../../dist/object/index-keys.js';
import { IndexState, restoredName } from '../../../dist/object/index-state.js';
import {
  RecordType,
  encodeBucket,
  encodeBucketDelete,
  encodeBucketDocument,
  encodeMoved,
} from '../../../dist/object/records.js';
import { setOfEntry } from '../../../dist/object/set-router.js';
import { checks } from '../../../dist/wiring/index.js';
import { finishedUpload, plain } from '../../support/finished-upload.js';
import { startEngine, type RunningEngine } from '../../support/running-engine.js';
import { CatalogStates, MemoryCatalog } from '../../support/simulation/memory-catalog.js';
import { readAll } from '../../support/workload.js';

/** Two sets of two drives. */
const names = ['d1', 'd2', 'd3', 'd4'];
const firstSet = names.slice(0, 2);
const secondSet = names.slice(2);
/** So many that chance does not put all of them into one set, nor all that one name of a bucket puts there. */
const keys = Array.from({ length: 48 }, (_, index) => `k${index}`);

let folder = '';
let running: RunningEngine | null = null;

const engine = (): RunningEngine['engine'] => {
  if (running === null) throw new Error('the engine runs');
  return running.engine;
};

async function start(): Promise<readonly string[]> {
  running = await startEngine({
    drives: names.map((name) => join(folder, name)),
    setDriveCount: 2,
    indexDirectory: join(folder, 'index'),
    logFileBytes: 1 << 20,
  });
  return running.restored.map(({ name, isDone }) => (isDone ? name : `${name} is open`));
}

async function stop(): Promise<void> {
  await running?.close();
  running = null;
}

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'granary-lost-'));
  expect(await start()).toEqual([]);
});

afterEach(async () => {
  await stop();
  rmSync(folder, { recursive: true, force: true });
});

/** Of drives that nobody writes to. */
async function keepCopy(of: readonly string[]): Promise<void> {
  await stop();
  for (const name of of) cpSync(join(folder, name), join(folder, 'copy', name), { recursive: true });
  await start();
}

/** These drives as they were then, the others as they are. */
async function restore(those: readonly string[]): Promise<void> {
  await stop();
  for (const name of those) {
    rmSync(join(folder, name), { recursive: true });
    cpSync(join(folder, 'copy', name), join(folder, name), { recursive: true });
  }
}

async function put(bucket: string, key: string, body: string): Promise<ObjectInfo> {
  const upload = await finishedUpload(engine(), key, Buffer.from(body), { bucket });
  return upload.commitObject(plain);
}

async function textOf(bucket: string, key: string, versionId = ''): Promise<string> {
  const snapshot = engine().open(bucket, key, versionId);
  try {
    return (await readAll(snapshot, 0, snapshot.info.bytes)).toString();
  } finally {
    snapshot.close();
  }
}

const listed = async (bucket: string): Promise<string[]> => {
  const all = { prefix: '', delimiter: '', startAfter: '', countMax: 1000 };
  return (await engine().list({ bucket, ...all })).entries.map(({ key }) => key);
};
const idOf = (bucket: string): number => engine().index.buckets.get(bucket)?.bucketId ?? 0;
const bucketNames = (): string[] =>
  engine()
    .listBuckets()
    .map(({ name }) => name);

/** By key: the set that the latest version lies in. */
function setsOf(bucketId: number): Map<string, number> {
  const { catalog } = engine().index;
  return new Map(
    keys.flatMap((key): [string, number][] => {
      const value = catalog.get(objectKey(bucketId, key));
      return value === undefined ? [] : [[key, setOfEntry(value)]];
    }),
  );
}

async function fsck(repair = false) {
  const { now } = await checks.fsck({
    drives: names.map((name) => join(folder, name)),
    indexDir: join(folder, 'index'),
    repair,
    rebuild: false,
  });
  return { lost: now.lostBuckets, problems: now.problems };
}

async function loseIndex(): Promise<void> {
  await stop();
  rmSync(join(folder, 'index'), { recursive: true });
  expect(await start()).toEqual([]);
}

describe('a first set that is older than another', () => {
  let name = '';
  let inSecond: string[] = [];

  beforeEach(async () => {
    await engine().createBucket('known', { region: '' });
    await put('known', 'k0', 'known');
    await keepCopy(firstSet);
    await engine().createBucket('new', { region: '' });
    const bucketId = idOf('new');
    name = restoredName(bucketId);
    for (const key of keys) await put('new', key, `first ${key}`);
    inSecond = [...setsOf(bucketId)].filter(([, setIndex]) => setIndex === 1).map(([key]) => key);
    expect(inSecond.length).toBeGreaterThan(2);
  });

  it('gives what lies in a bucket that it does not know one of its own', async () => {
    await restore(firstSet);
    const objects = inSecond.length;
    const problem = '1 bucket that no record knows has something in it';
    expect(await fsck()).toEqual({ lost: [{ name, objects, versions: objects }], problems: [problem] });
    expect(await start()).toEqual([name]);
    expect(bucketNames()).toEqual(['known', name]);
    expect((await listed(name)).sort()).toEqual([...inSecond].sort());
    for (const key of inSecond) expect(await textOf(name, key)).toBe(`first ${key}`);
    expect(engine().bucketUsage(name)).toMatchObject({ objects, versions: objects });
    expect(engine().versioning(name).status).toBeNull();
    await stop();
    expect(await start()).toEqual([]);
    expect(bucketNames()).toEqual(['known', name]);
    await loseIndex();
    expect((await listed(name)).sort()).toEqual([...inSecond].sort());
    await stop();
    expect(await fsck()).toEqual({ lost: [], problems: [] });
  });

  it('is mended by a repair as well', async () => {
    await restore(firstSet);
    expect(await fsck(true)).toEqual({ lost: [], problems: [] });
    expect(await start()).toEqual([]);
    expect((await listed(name)).sort()).toEqual([...inSecond].sort());
  });

  it('keeps everything of a key in the set where it lies, whatever the name of the bucket', async () => {
    await restore(firstSet);
    await start();
    const bucketId = idOf(name);
    for (const key of keys) await put(name, key, `second ${key}`);
    const sets = setsOf(bucketId);
    expect(inSecond.map((key) => sets.get(key))).toEqual(inSecond.map(() => 1));
    expect(new Set(sets.values())).toEqual(new Set([0, 1]));
    await loseIndex();
    for (const key of keys) expect(await textOf(name, key)).toBe(`second ${key}`);
    for (const key of keys) await engine().deleteObject(name, key, '', null);
    await engine().deleteBucket(name);
    expect(bucketNames()).toEqual(['known']);
    await loseIndex();
    expect(bucketNames()).toEqual(['known']);
  });

  it('keeps versions from being lost, and uploads that are not finished', async () => {
    await engine().setVersioning('new', { status: 'Enabled', excludedPrefixes: [], excludesFolders: false });
    for (const key of keys) await put('new', key, `second ${key}`);
    const common = { metadata: plain.metadata, checksumAlgorithm: null, checksumType: null } as const;
    for (const key of inSecond) await engine().createMultipartUpload({ bucket: 'new', key, ...common });
    await restore(firstSet);
    expect(await start()).toEqual([name]);
    expect(engine().versioning(name).status).toBe('Enabled');
    expect(engine().bucketUsage(name)).toMatchObject({ objects: inSecond.length, versions: 2 * inSecond.length });
    const [key = ''] = inSecond;
    await engine().deleteObject(name, key, '', null);
    expect(await textOf(name, key, 'null')).toBe(`first ${key}`);
    const markers = { keyMarker: '', uploadIdMarker: '' };
    const open = await engine().listUploads({ bucket: name, prefix: '', delimiter: '', ...markers, countMax: 1000 });
    expect(open.uploads.map((upload) => upload.key).sort()).toEqual([...inSecond].sort());
  });

  it('shows a bucket in which there is nothing but an upload', async () => {
    for (const key of keys) await engine().deleteObject('new', key, '', null);
    const common = { metadata: plain.metadata, checksumAlgorithm: null, checksumType: null } as const;
    for (const key of inSecond) await engine().createMultipartUpload({ bucket: 'new', key, ...common });
    await restore(firstSet);
    expect((await fsck()).lost).toEqual([{ name, objects: 0, versions: 0 }]);
    expect(await start()).toEqual([name]);
  });
});

describe('a first set that takes no writes', () => {
  it('leaves what it does not know until it does, and says so', async () => {
    await keepCopy(firstSet);
    await engine().createBucket('new', { region: '' });
    const name = restoredName(idOf('new'));
    for (const key of keys) await put('new', key, `first ${key}`);
    await restore(firstSet);
    renameSync(join(folder, 'd1'), join(folder, 'away'));
    expect(await start()).toEqual([`${name} is open`]);
    expect(bucketNames()).toEqual([]);
    await stop();
    renameSync(join(folder, 'away'), join(folder, 'd1'));
    expect(await start()).toEqual([name]);
    expect((await listed(name)).length).toBeGreaterThan(0);
  });
});

describe('a bucket whose record is found after all', () => {
  const order = 5 * 65_536;
  const other = restoredName(order);
  const record = (type: number, body: Buffer, at: number): LogRecord => ({ type, body, order: at, slots: null });
  const creation = (name: string): Buffer => encodeBucket({ name, region: '', createdMs: 1 });
  const moved = encodeMoved({ type: RecordType.bucketCreate, order, body: creation(other) });
  const deletion = (name: string): Buffer => encodeBucketDelete({ bucketId: order, name });

  it('has both names, and its documents until the last one goes', async () => {
    const index = new IndexState(new MemoryCatalog(new CatalogStates(), (run) => setImmediate(run)), [2, 2]);
    let sequence = 5;
    const apply = (type: number, body: Buffer): Promise<void> => {
      const position = { fileNumber: 1, fileOffset: 0, epoch: 1, sequence, digest: '' };
      return index.apply([record(type, body, sequence++ * 65_536)], position);
    };
    await apply(RecordType.bucketCreate, creation('known'));
    await apply(RecordType.moved, moved);
    const document = { bucketId: order, kind: 'policy', updatedMs: 1, text: '{}' } as const;
    await apply(RecordType.bucketDocument, encodeBucketDocument(document));
    expect([...index.buckets].map(([name, { bucketId }]) => [name, bucketId])).toEqual([
      ['known', order],
      [other, order],
    ]);
    await apply(RecordType.bucketDelete, deletion(other));
    expect([...index.buckets.keys()]).toEqual(['known']);
    expect(index.document(order, 'policy')?.text).toBe('{}');
    await apply(RecordType.bucketDelete, deletion('known'));
    expect(index.buckets.size).toBe(0);
    expect(index.document(order, 'policy')).toBeNull();
  });
});

describe('a first set that is newer than another', () => {
  it('gives what is left of a deleted bucket one of its own', async () => {
    await engine().createBucket('gone', { region: '' });
    const bucketId = idOf('gone');
    const name = restoredName(bucketId);
    for (const key of keys) await put('gone', key, `first ${key}`);
    const inSecond = [...setsOf(bucketId)].filter(([, setIndex]) => setIndex === 1).map(([key]) => key);
    await keepCopy(secondSet);
    for (const key of keys) await engine().deleteObject('gone', key, '', null);
    await engine().deleteBucket('gone');
    await engine().createBucket('gone', { region: '' });
    await put('gone', 'k0', 'again');
    await restore(secondSet);
    const objects = inSecond.length;
    expect((await fsck()).lost).toEqual([{ name, objects, versions: objects }]);
    expect(await start()).toEqual([name]);
    expect(bucketNames()).toEqual(['gone', name]);
    expect((await listed(name)).sort()).toEqual([...inSecond].sort());
    expect(engine().bucketUsage(name)).toMatchObject({ objects, versions: objects });
    await loseIndex();
    expect(engine().bucketUsage(name)).toMatchObject({ objects, versions: objects });
    for (const key of inSecond) await engine().deleteObject(name, key, '', null);
    await engine().deleteBucket(name);
    expect(bucketNames()).toEqual(['gone']);
  });
});
