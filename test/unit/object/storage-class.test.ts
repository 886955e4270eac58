import { randomBytes } from 'node:crypto';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { engineOnDrives, type EngineFixture } from '../../support/engine-on-drives.js';
import { finishedUpload } from '../../support/finished-upload.js';

/** Parity by storage class: how many drives may go, and what it costs. */
const open: EngineFixture[] = [];
afterEach(async () => {
  for (const fixture of open.splice(0)) await fixture.close();
});

async function start(driveCount: number, standard: number, reduced: number): Promise<EngineFixture> {
  const fixture = await engineOnDrives({ driveCount });
  open.push(fixture);
  fixture.engine.parityOf = (storageClass) => (storageClass === 'REDUCED_REDUNDANCY' ? reduced : standard);
  await fixture.engine.createBucket('b', { region: '' });
  return fixture;
}

async function put({ engine }: EngineFixture, key: string, body: Buffer, storageClass: string): Promise<void> {
  const upload = await finishedUpload(engine, key, body, { storageClass });
  await upload.commitObject({ metadata: { headers: {}, storageClass }, checksum: null, precondition: null });
}

async function get({ engine }: EngineFixture, key: string): Promise<Buffer> {
  const snapshot = engine.open('b', key, '');
  const source = snapshot.read(0, snapshot.info.bytes);
  const pieces: Buffer[] = [];
  try {
    for (let piece = await source.next(); piece !== null; piece = await source.next()) {
      pieces.push(Buffer.from(piece.bytes));
      piece.release();
    }
  } finally {
    source.close();
  }
  return Buffer.concat(pieces);
}

function blobBytes({ driveFolder, drives }: EngineFixture): number {
  return drives
    .flatMap((_drive, position) => {
      const folder = join(driveFolder(position), 'blobs');
      const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
      return entries
        .filter((entry) => entry.isFile())
        .map((entry) => statSync(join(entry.parentPath, entry.name)).size);
    })
    .reduce((sum, size) => sum + size, 0);
}

/** Every choice of drives that may go: all of it is still there. */
async function survives(fixture: EngineFixture, body: Buffer, gone: number): Promise<boolean> {
  const kept = [...fixture.drives];
  let isWhole = true;
  for (let first = 0; first < kept.length; first++) {
    for (let n = 0; n < gone; n++) fixture.drives[(first + n) % kept.length] = null;
    isWhole &&= await get(fixture, 'k').then(
      (found) => found.equals(body),
      () => false,
    );
    kept.forEach((drive, position) => (fixture.drives[position] = drive));
  }
  return isWhole;
}

const large = 1_200_000;
const small = 200_000;

describe.each<[string, number, number, number, string, number]>([
  // Drives, standard, reduced: which class, and its parity.
  ['less than the set', 6, 3, 1, 'REDUCED_REDUNDANCY', 1],
  ['none at all', 2, 1, 0, 'REDUCED_REDUNDANCY', 0],
  ['less than the set, for all', 4, 1, 1, 'STANDARD', 1],
])('%s', (_name, driveCount, standard, reduced, storageClass, parity) => {
  test(`a large object of ${storageClass} on ${driveCount} drives has ${parity} parity shards`, async () => {
    const fixture = await start(driveCount, standard, reduced);
    const body = randomBytes(large);
    await put(fixture, 'k', body, storageClass);
    expect(await survives(fixture, body, parity)).toBe(true);
    expect(await survives(fixture, body, parity + 1)).toBe(false);
    const expected = (large * driveCount) / (driveCount - parity);
    expect(blobBytes(fixture)).toBeGreaterThanOrEqual(Math.floor(expected));
    expect(blobBytes(fixture)).toBeLessThan(expected * 1.1);
  });
});

test('a small object lies in the log and never has less parity than the set', async () => {
  const fixture = await start(4, 2, 1);
  const body = randomBytes(small);
  await put(fixture, 'k', body, 'REDUCED_REDUNDANCY');
  expect(blobBytes(fixture)).toBe(0);
  expect(await survives(fixture, body, 2)).toBe(true);
});

test('more parity than the set was formatted with holds for small objects as well', async () => {
  const fixture = await engineOnDrives({ driveCount: 4, parityShards: 1 });
  open.push(fixture);
  fixture.engine.parityOf = () => 2;
  await fixture.engine.createBucket('b', { region: '' });
  const body = randomBytes(small);
  await put(fixture, 'k', body, 'STANDARD');
  expect(await survives(fixture, body, 2)).toBe(true);
});

test('with drives away, what a class spares is not spared', async () => {
  const fixture = await start(6, 3, 0);
  fixture.drives[0] = null;
  const body = randomBytes(large);
  await put(fixture, 'k', body, 'REDUCED_REDUNDANCY');
  fixture.drives[2] = null;
  fixture.drives[3] = null;
  expect((await get(fixture, 'k')).equals(body)).toBe(true);
});
