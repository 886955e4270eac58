/**
 * A random workload on versioned buckets with starts in between: after a close, without the index, and with a drive
 * away. GRANARY_SEED replays the choices of a failing run; GRANARY_WORKLOAD_SECONDS makes the runs longer. Log files
 * are small, so that they are compacted all the time.
 */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { filesBelow, startEngine, type RunningEngine } from '../support/running-engine.js';
import { seededRandom } from '../support/seeded-random.js';
import { VersionWorkload } from '../support/version-workload.js';
import { Workload, expectExactSpace } from '../support/workload.js';

const seedGiven = process.env['GRANARY_SEED'];
const seconds = Number(process.env['GRANARY_WORKLOAD_SECONDS'] ?? 4);
const logFilesMax = 1000;

let folder = '';
let running: RunningEngine | null = null;

afterEach(async () => {
  await running?.close();
  running = null;
  rmSync(folder, { recursive: true, force: true });
});

describe.each([4, 2, 1])('versions on %i drives', (driveCount) => {
  const seed = seedGiven === undefined ? randomBytes(4).readUInt32LE() : Number(seedGiven);

  it(`agree with the model through every start (seed ${seed})`, async () => {
    folder = mkdtempSync(join(tmpdir(), 'granary-versions-'));
    const drives = Array.from({ length: driveCount }, (_, index) => join(folder, `drive${index + 1}`));
    const indexDirectory = join(folder, 'index');
    const workload = new Workload(seededRandom(seed + driveCount), seed);
    const versions = new VersionWorkload(workload);
    const events: string[] = [];
    const start = async (): Promise<void> => {
      running = await startEngine({
        drives,
        indexDirectory,
        arenaBytes: 48 << 20,
        readCacheBytes: 8 << 20,
        logFileBytes: 1 << 20,
      });
      workload.running = running;
      workload.mustWrite = running.opened.journal.health().canWrite;
    };
    const stop = async (): Promise<void> => {
      await running?.close();
      running = null;
    };
    const check = async (isDecided: boolean): Promise<void> => {
      await versions.checkAll(isDecided);
      expectExactSpace(running!, logFilesMax);
    };
    const trouble = async (): Promise<void> => {
      const kind = workload.pick(['restart', 'rebuild', ...(driveCount > 1 ? ['away'] : [])]);
      events.push(kind);
      await stop();
      if (kind === 'rebuild') rmSync(indexDirectory, { recursive: true });
      if (kind !== 'away') return start();
      const drive = workload.pick(drives);
      renameSync(drive, `${drive}.away`);
      try {
        await start();
        await versions.wave(8);
        await check(false);
        await stop();
      } finally {
        await stop();
        rmSync(drive, { recursive: true, force: true });
        renameSync(`${drive}.away`, drive);
      }
      return start();
    };
    try {
      await start();
      for (const bucket of ['one', 'two']) await versions.createBucket(bucket);
      for (const until = Date.now() + seconds * 1000; Date.now() < until || events.length < 4;) {
        for (let round = 0; round < 3; round++) {
          await versions.wave(8);
          if (workload.mustWrite) await versions.burst(5);
        }
        await check(true);
        await trouble();
        await check(true);
      }
      await stop();
      rmSync(indexDirectory, { recursive: true });
      await start();
      await check(true);
      await versions.endAll();
    } catch (error) {
      throw new Error(`seed ${seed}, ${driveCount} drives, after ${events.join(', ')}`, { cause: error });
    }
    expect(versions.changes).toBeGreaterThan(50);
    const blobs = (): string[] => drives.flatMap((drive) => filesBelow(join(drive, 'blobs')));
    await expect.poll(blobs, { timeout: 20_000 }).toEqual([]);
  }, 240_000);
});
