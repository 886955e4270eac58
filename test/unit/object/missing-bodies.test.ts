/** What a drive that is brought up lacks beside the log: counted, kept while it is written, and in its progress. */
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { HealTable } from '../../../dist/object/heal-table.js';
import { MissingBodies } from '../../../dist/object/missing-bodies.js';
import { finishedUpload, plain } from '../../support/finished-upload.js';
import { startEngine, type RunningEngine } from '../../support/running-engine.js';

const bodyBytes = 1_000_000;
const shardBytes = bodyBytes / 2;
let folder = '';
let drives: string[] = [];
let running: RunningEngine;

async function start(): Promise<void> {
  running = await startEngine({ drives, indexDirectory: join(folder, 'index') });
}

async function store(...keys: string[]): Promise<void> {
  for (const key of keys) {
    const bytes = key.startsWith('small') ? 5000 : bodyBytes;
    await (await finishedUpload(running.engine, key, randomBytes(bytes))).commitObject(plain);
  }
}

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'granary-missing-'));
  drives = [1, 2, 3, 4].map((number) => join(folder, `drive${number}`));
  await start();
  await running.engine.createBucket('b', { region: '' });
});

afterEach(async () => {
  await running.close();
  rmSync(folder, { recursive: true, force: true });
});

it('is counted from the heal table or the whole index, and kept by what is written', async () => {
  await store('one', 'two', 'small');
  const { sequence } = running.opened.journal.health();
  await running.close();
  renameSync(drives[3] ?? '', join(folder, 'away'));
  await start();
  await store('three', 'four', 'five', 'small2');
  const { index } = running.engine;
  const missing = new MissingBodies(index, new HealTable(index.catalog));
  const counted = missing.begin(0, 3, sequence, true);
  // Not before it is known.
  expect(missing.progress(0, 3)).toBe(null);
  await counted;
  expect(missing.progress(0, 3)).toMatchObject({ count: 3, bytes: 3 * shardBytes, doneBytes: 0 });
  // From the index: the same, and with nothing on the drive all.
  await missing.begin(0, 3, sequence, false);
  expect(missing.progress(0, 3)).toMatchObject({ count: 3, bytes: 3 * shardBytes });
  const order = (sequence + 1) * 65_536;
  missing.written(0, 3, order, shardBytes);
  missing.written(0, 3, sequence * 65_536, shardBytes);
  missing.committedWithout(0, 0b1000, 70);
  missing.committedWithout(0, 0b0100, 7000);
  expect(missing.progress(0, 3)).toMatchObject({ count: 3, bytes: 2 * shardBytes + 70, doneBytes: shardBytes });
  await missing.begin(0, 3, 0, false);
  expect(missing.progress(0, 3)).toMatchObject({ count: 5, bytes: 5 * shardBytes, doneBytes: 0 });
  missing.end(0, 3);
  expect(missing.progress(0, 3)).toBe(null);
});

it('is told with the progress of an empty drive, which is far from its end while it lacks large objects', async () => {
  await store(...Array.from({ length: 40 }, (_, index) => `small${index}`));
  await store(...Array.from({ length: 8 }, (_, index) => `large${index}`));
  await running.close();
  rmSync(drives[3] ?? '', { recursive: true });
  mkdirSync(drives[3] ?? '');
  await start();
  running.engine.setUpkeep({
    heal: { bytesPerSecondMax: 4_000_000, shareMax: 1 },
    scan: { pace: { bytesPerSecondMax: 1, shareMax: 0.1 }, cycleMsMin: 86_400_000 },
  });
  const seen: { readonly progress: number; readonly left: number }[] = [];
  for (let [one] = running.opened.journal.health().catchingUp; one !== undefined;) {
    if (one.bodies !== null) seen.push({ progress: one.progress, left: one.bodies.bytes });
    await new Promise((resolve) => setTimeout(resolve, 10));
    [one] = running.opened.journal.health().catchingUp;
  }
  expect(running.opened.journal.health().inSync).toEqual([0, 1, 2, 3]);
  expect(seen[0]?.left).toBeGreaterThan(6 * shardBytes);
  expect(new Set(seen.map(({ left }) => left)).size).toBeGreaterThan(4);
  expect(seen.map(({ progress }) => progress)).toEqual(seen.map(({ progress }) => progress).sort((a, b) => a - b));
  for (const { progress, left } of seen) {
    expect(progress).toBeLessThan(1);
    // All of the log is less than one of them.
    if (left >= 4 * shardBytes) expect(progress).toBeLessThan(0.6);
  }
  expect(running.lines.join('\n')).toContain('A drive holds everything again');
});
