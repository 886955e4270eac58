/** Files that no record names, after crashes and absences. */
import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { blobSubfolder } from '../../../src/drive/layout.js';
import { engineOnDrives, type EngineFixture } from '../../support/engine-on-drives.js';
import { filesBelow } from '../../support/running-engine.js';
import { readAll } from '../../support/workload.js';

let fixture: EngineFixture | null = null;

afterEach(async () => {
  await fixture?.close();
  fixture = null;
});

const plain = { metadata: { headers: {}, storageClass: 'STANDARD' }, checksum: null, precondition: null };

async function store(engine: EngineFixture['engine'], key: string, body: Buffer): Promise<void> {
  const upload = engine.openUpload({
    bucket: 'b',
    key,
    bytes: body.length,
    sha256: false,
    checksum: null,
    signedStream: null,
    storageClass: 'STANDARD',
  });
  upload.write(body, 0, body.length);
  await upload.finish();
  await upload.commitObject(plain);
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
    const part = engine.openUpload({
      bucket: 'b',
      key: 'm',
      bytes: 400_000,
      sha256: false,
      checksum: null,
      signedStream: null,
      storageClass: 'STANDARD',
    });
    part.write(randomBytes(400_000), 0, 400_000);
    await part.finish();
    await part.commitPart({ uploadId, partNumber: 1, checksum: null });
    // Dropped, and still being read.
    const reader = engine.open('b', 'k0', '');
    await engine.deleteObject('b', 'k0', '', null);
    const files = (): string[] => filesBelow(join(driveFolder(1), 'blobs')).map((file) => basename(file));
    const live = files();
    expect(live).toHaveLength(4);

    const leave = (name: string): void => {
      const folder = join(driveFolder(1), 'blobs', blobSubfolder(name));
      mkdirSync(folder, { recursive: true });
      writeFileSync(join(folder, name), 'cut off');
    };
    const orphan = '00000001ffffffffff00';
    const young = '00000007000000000001';
    leave(orphan);
    leave(young);
    leave('ab.cd');
    leave(`${live[0] ?? ''}.0`);
    journal.epoch = 7;
    engine.start([journal], 0);
    await expect.poll(files, { timeout: 10_000 }).not.toContain(orphan);
    await new Promise((resolve) => setTimeout(resolve, 100));
    // What later epochs wrote may be an upload under way; what has another kind of name is not ours.
    expect(files().sort()).toEqual([...live, young, 'ab.cd'].sort());
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
