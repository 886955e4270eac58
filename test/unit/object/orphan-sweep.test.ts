/** Files that no record names, after crashes and absences. */
import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { blobSubfolder } from '../../../src/drive/layout.js';
import { engineOnDrives, type EngineFixture } from '../../support/engine-on-drives.js';
import { finishedUpload, plain } from '../../support/finished-upload.js';
import { filesBelow } from '../../support/running-engine.js';
import { readAll } from '../../support/workload.js';

let fixture: EngineFixture | null = null;

afterEach(async () => {
  await fixture?.close();
  fixture = null;
});

async function store(engine: EngineFixture['engine'], key: string, body: Buffer): Promise<void> {
  await (await finishedUpload(engine, key, body)).commitObject(plain);
}

describe('the sweep after a start', () => {
  it('removes what no record names, and nothing else', async () => {
    fixture = await engineOnDrives({ driveCount: 4 });
    const { engine, journal, driveFolder } = fixture;
    await engine.createBucket('b', { region: '' });
    const bodies = [300_000, 700_001, 1_000_000].map((bytes) => randomBytes(bytes));
    for (const [index, body] of bodies.entries()) await store(engine, `k${index}`, body);
    const { uploadId } = await engine.createMultipartUpload({
      bucket: 'b',
      key: 'm',
      metadata: plain.metadata,
      checksumAlgorithm: null,
      checksumType: null,
    });
    const part = await finishedUpload(engine, 'm', randomBytes(400_000));
    await part.commitPart({ uploadId, partNumber: 1, checksum: null });
    // On its way, and given up.
    const late = randomBytes(500_000);
    const open = await finishedUpload(engine, 'late', late);
    (await finishedUpload(engine, 'not', randomBytes(500_000))).abort();
    // Dropped, and still being read.
    const reader = engine.open('b', 'k0', '');
    await engine.deleteObject('b', 'k0', '', null);
    const files = (): string[] => filesBelow(join(driveFolder(1), 'blobs')).map((file) => basename(file));
    await expect.poll(files).toHaveLength(5);
    const live = files();

    const leave = (name: string): void => {
      const folder = join(driveFolder(1), 'blobs', blobSubfolder(name));
      mkdirSync(folder, { recursive: true });
      writeFileSync(join(folder, name), 'cut off');
    };
    const orphans = ['00000001ffffffffff00', '00000007ffffffffff01'];
    const unborn = '00000008000000000001';
    for (const orphan of orphans) leave(orphan);
    leave(unborn);
    leave('ab.cd');
    leave(`${live[0] ?? ''}.0`);
    journal.epoch = 7;
    engine.start([journal], 0);
    // What has the number of an epoch that has not been, or another kind of name, is not ours.
    await expect.poll(() => files().sort(), { timeout: 10_000 }).toEqual([...live, unborn, 'ab.cd'].sort());
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(files()).toHaveLength(7);
    await open.commitObject(plain);
    expect((await readAll(engine.open('b', 'late', ''), 0, late.length)).equals(late)).toBe(true);
    expect((await readAll(reader, 0, 300_000)).equals(bodies[0] ?? Buffer.alloc(0))).toBe(true);
    for (const [index, body] of bodies.entries()) {
      if (index > 0) expect((await readAll(engine.open('b', `k${index}`, ''), 0, body.length)).equals(body)).toBe(true);
    }
  });
});

describe('an index that cannot be read', () => {
  it('is discarded instead of ending the start', async () => {
    fixture = await engineOnDrives({ driveCount: 1 });
    const { engine } = fixture;
    await engine.createBucket('b', { region: '' });
    const { catalog } = engine.index;
    const { IndexState } = await import('../../../dist/object/index-state.js');
    expect(new IndexState(catalog, [1]).position()).not.toBeNull();
    await catalog.write((batch) => batch.put(Buffer.from('Bb'), Buffer.from('0102', 'hex')));
    const damaged = new IndexState(catalog, [1]);
    expect(damaged.position()).toBeNull();
    expect(damaged.buckets.size).toBe(0);
    await damaged.discard();
    // What is left says that it is built anew.
    const left = [...catalog.range({ start: Buffer.of(0), end: Buffer.of(255) })];
    expect(left.map(({ key }) => key.toString())).toEqual(['MR']);
    expect(damaged.isRebuilding).toBe(true);
    await catalog.write((batch) => batch.put(Buffer.from('M'), Buffer.from('07', 'hex')));
    expect(new IndexState(catalog, [1]).position()).toBeNull();
  });
});
