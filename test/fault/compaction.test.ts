/**
 * Overwrites and deletes for ever: the log files stay below their bound, everything in use reads back, while the
 * server runs, after a restart, and from an index that is built from the logs alone.
 */
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { startEngine, type RunningEngine } from '../support/running-engine.js';
import { seededRandom } from '../support/seeded-random.js';
import { Workload, expectExactSpace, readAll, spaceByFile } from '../support/workload.js';

const seed = Number(process.env['GRANARY_SEED'] ?? Date.now() % 1_000_000);
const MiB = 1 << 20;
const logFileBytes = 1 * MiB;
/** The file in use, two ahead, one kept for later, two that compaction leaves alone, and one being emptied. */
const floorFiles = 7;

let running: RunningEngine | null = null;
const folder = mkdtempSync(join(tmpdir(), 'granary-compaction-'));

afterEach(async () => {
  await running?.close();
  running = null;
  rmSync(folder, { recursive: true, force: true });
});

function logBytes(drive: string): number {
  const log = join(drive, 'log');
  return readdirSync(log).reduce((sum, name) => sum + statSync(join(log, name)).size, 0);
}

it(`keeps the logs within 1.8 times what is in use (GRANARY_SEED=${seed})`, async () => {
  const random = seededRandom(seed);
  const drives = [1, 2, 3, 4].map((number) => join(folder, `drive${number}`));
  const options = { drives, indexDirectory: join(folder, 'index'), logFileBytes, arenaBytes: 48 * MiB };
  running = await startEngine(options);
  const workload = new Workload(random, seed);
  workload.running = running;
  await workload.createBucket('one');
  const metadata = { headers: {}, storageClass: 'STANDARD' };
  const bodies = new Map<string, Buffer>();
  let written = 0;
  let worst = 0;
  let waves = 0;
  let lateWaves = 0;
  const engineNow = (): RunningEngine => running!;
  const live = (): number => [...spaceByFile(engineNow()).values()].reduce((sum, bytes) => sum + bytes, 0);
  const share = (): number => logBytes(drives[0]!) / (1.8 * live() + floorFiles * logFileBytes);
  const churn = async (bytes: number): Promise<void> => {
    for (const until = written + bytes; written < until;) {
      const wave = new Set(Array.from({ length: 48 }, () => `key${workload.below(300)}`));
      await Promise.all(
        [...wave].map(async (key) => {
          if (random() < 0.2) {
            await engineNow().engine.deleteObject('one', key, '', null);
            bodies.delete(key);
            return;
          }
          const body = workload.newBody(600 + workload.below(30_000));
          const upload = await workload.feed('one', key, body);
          await upload.commitObject({ metadata, checksum: null, precondition: null });
          bodies.set(key, body);
          written += body.length;
        }),
      );
      waves++;
      // Compaction runs beside the writes: where others take the processors it has a moment to come back.
      if (share() >= 1) lateWaves++;
      for (let waits = 0; share() >= 1 && waits < 50; waits++) await new Promise((resolve) => setTimeout(resolve, 100));
      worst = Math.max(worst, share());
    }
  };
  const readBack = async (): Promise<void> => {
    for (const [key, body] of bodies) {
      const snapshot = engineNow().engine.open('one', key, '');
      const found = await readAll(snapshot, 0, snapshot.info.bytes);
      snapshot.close();
      if (!found.equals(body)) throw new Error(`${key} reads back as something else`);
    }
    expect(engineNow().engine.bucketUsage('one').objects).toBe(bodies.size);
    expectExactSpace(engineNow(), 10_000);
  };
  await churn(20 * MiB);
  await readBack();
  const figures = running.opened.journal.space();
  expect(figures?.freedFiles).toBeGreaterThan(3);
  expect(figures?.movedBytes).toBeGreaterThan(0);

  await running.close();
  running = await startEngine(options);
  workload.running = running;
  expect(running.opened.report.replayedBatches).toBeLessThan(20);
  await readBack();
  await churn(4 * MiB);

  await running.close();
  rmSync(options.indexDirectory, { recursive: true });
  running = await startEngine(options);
  workload.running = running;
  await readBack();
  await churn(4 * MiB);
  await readBack();
  console.log(
    `compaction: ${(written / MiB).toFixed(0)} MiB written, at most ${worst.toFixed(2)} of the bound, late ${lateWaves} of ${waves} times`,
  );
  expect(worst).toBeLessThan(1);
  expect(lateWaves).toBeLessThan(waves / 4);
}, 60_000);
