/** What a store on full drives still takes, through its ends and starts, and where the rest goes. */
import { afterEach, describe, expect, it } from 'vitest';
import type { Refusal } from '../../../dist/base/index.js';
import { finishedUpload, plain } from '../../support/finished-upload.js';
import type { RunningEngine } from '../../support/running-engine.js';
import { SimulatedServer, type Shape } from '../../support/simulation/simulated-server.js';
import { Random } from '../journal/model/random.js';

const metadata = { headers: {}, storageClass: 'STANDARD' };
let server: SimulatedServer;
let running: RunningEngine;

async function begin(shape: Shape): Promise<void> {
  server = new SimulatedServer(shape, new Random(3));
  server.time.install();
  running = (await server.start())!;
  await taken(running.engine.createBucket('b', { region: '' }));
  // The log files ahead are made.
  await server.passes(1000);
}

afterEach(() => {
  server.machine.kill();
  server.time.uninstall();
});

/** Null: it was taken. */
async function refusalOf(work: Promise<unknown>): Promise<Refusal | null> {
  let refusal: Refusal | null = null;
  const done = work.then(
    () => undefined,
    (error: Refusal) => void (refusal = error),
  );
  expect(await server.settles(done)).toBe(true);
  return refusal;
}

async function taken<T>(work: Promise<T>): Promise<T> {
  expect(await refusalOf(work)).toBeNull();
  return await work;
}

const put = async (key: string, bytes: number, bucket = 'b'): Promise<unknown> =>
  (await finishedUpload(running.engine, key, Buffer.alloc(bytes, key), { bucket })).commitObject(plain);

const remove = (bucket: string, key: string, versionId = ''): ReturnType<RunningEngine['engine']['deleteObject']> =>
  running.engine.deleteObject(bucket, key, versionId, null);

const versioned = (status: 'Enabled' | 'Suspended') => ({ status, excludedPrefixes: [], excludesFolders: false });

/** A log of some files, until there is no room for a further one. Answers what was taken. */
async function fill(): Promise<string[]> {
  const keys: string[] = [];
  for (;;) {
    if (keys.length === 100) for (const drive of server.folders.keys()) server.machine.full.add(drive);
    const key = `full/${keys.length}`;
    const refusal = await refusalOf(put(key, 60_000));
    if (refusal !== null) {
      expect(refusal.code).toBe('XMinioStorageFull');
      return keys;
    }
    keys.push(key);
  }
}

describe('a store on full drives', () => {
  it('takes markers, records of its own and whatever removes something, and keeps them through a power loss', async () => {
    await begin({ pools: [4] });
    const { engine } = running;
    for (const name of ['suspended', 'empty']) await taken(engine.createBucket(name, { region: '' }));
    await taken(put('old', 1000));
    const create = { key: 'upload', metadata, checksumAlgorithm: null, checksumType: null };
    const { uploadId } = await taken(engine.createMultipartUpload({ bucket: 'b', ...create }));
    await taken(engine.writeSystemRecords([{ name: 'user/old', value: Buffer.from('old') }]));
    const keys = await fill();

    await taken(engine.setVersioning('b', versioned('Enabled')));
    await taken(engine.setVersioning('suspended', versioned('Suspended')));
    expect(await taken(remove('b', 'old'))).toMatchObject({ isMarker: true });
    expect(await taken(remove('suspended', 'never there'))).toMatchObject({ isMarker: true });
    await taken(Promise.all(keys.slice(0, 5).map((key) => remove('b', key))));
    await taken(engine.createBucket('new', { region: '' }));
    await taken(engine.deleteBucket('empty'));
    await taken(engine.writeSystemRecords([{ name: 'user/new', value: Buffer.from('new') }]));
    await taken(engine.writeSystemRecords([{ name: 'user/old', value: null }]));
    await taken(engine.abortMultipartUpload('b', 'upload', uploadId));
    await taken(remove('b', keys[7] ?? '', 'null'));
    expect(await refusalOf(put('more', 1000))).toMatchObject({ code: 'XMinioStorageFull' });
    expect(await refusalOf(engine.createMultipartUpload({ bucket: 'b', ...create }))).not.toBeNull();

    server.end('power loss');
    running = (await server.start())!;
    const again = running.engine;
    expect(again.listBuckets().map(({ name }) => name)).toEqual(['b', 'new', 'suspended']);
    expect(again.systemRecord('user/old')).toBeNull();
    expect(Buffer.from(again.systemRecord('user/new') ?? []).toString()).toBe('new');
    expect(again.versioning('b').status).toBe('Enabled');
    const listed = await again.list({ bucket: 'b', prefix: '', delimiter: '', startAfter: '', countMax: 1000 });
    expect(listed.entries.map(({ key }) => key)).toEqual(
      keys
        .slice(5)
        .filter((_, index) => index !== 2)
        .sort(),
    );
  });

  it('takes markers so far, then says why not, and again once versions were deleted', async () => {
    await begin({ pools: [3] });
    const { engine } = running;
    await taken(engine.setVersioning('b', versioned('Enabled')));
    await taken(engine.createBucket('suspended', { region: '' }));
    await taken(put('null version', 1000, 'suspended'));
    await taken(engine.setVersioning('suspended', versioned('Suspended')));
    const keys = await fill();
    let refusal: Refusal | null = null;
    let markers = 0;
    // In batches that fill their pages: nothing of them is garbage.
    for (; refusal === null; markers += 4) {
      const keys = Array.from({ length: 4 }, (_, n) => `absent/${markers + n}/`.padEnd(900, 'x'));
      refusal = await refusalOf(Promise.all(keys.map((key) => remove('b', key))));
    }
    expect(markers).toBeGreaterThan(10);
    expect(refusal).toMatchObject({ code: 'XMinioStorageFull', message: expect.stringContaining('delete markers') });
    expect(await refusalOf(remove('suspended', 'absent'))).toMatchObject({ code: 'XMinioStorageFull' });
    // It replaces one.
    await taken(remove('suspended', 'null version'));
    // The records of the server have a share of their own.
    await taken(engine.createBucket('more', { region: '' }));
    let refused: Refusal | null = null;
    for (let n = 0; refused === null; n++)
      refused = await refusalOf(engine.writeSystemRecords([{ name: `user/${n}`, value: Buffer.alloc(3500) }]));
    expect(refused).toMatchObject({ code: 'XMinioStorageFull', message: expect.stringContaining('first set') });

    for (const key of keys.slice(0, keys.length / 2)) {
      await taken(remove('b', key, engine.head('b', key, '').versionId ?? ''));
    }
    const { journal } = running.opened;
    expect(await server.time.runUntil(() => journal.canGrow, 600_000)).toBe(true);
    await taken(remove('b', 'absent'));
    await taken(engine.writeSystemRecords([{ name: 'user/new', value: Buffer.from('u') }]));
    await taken(put('new', 1000));
  });

  it('of two pools sends what is new to the other, and asks those to come again who were on their way', async () => {
    await begin({ pools: [4, 4] });
    const { engine } = running;
    // All of it lies in the first.
    engine.setSetWeights([1, 1e-9]);
    await taken(put('old', 1000));
    for (const drive of [0, 1, 2, 3]) server.machine.full.add(drive);
    expect(await refusalOf(put('large', 600_000))).toMatchObject({ code: 'SlowDownWrite' });
    // Until the space is told again, whatever it was.
    for (let n = 0; n < 5; n++) await taken(put(`large/${n}`, 600_000));
    await taken(put('large', 600_000));
    // A key that lies there stays there.
    expect(await refusalOf(put('old', 600_000))).toMatchObject({ code: 'XMinioStorageFull' });
  });
});
