/** A log file that is gone from one drive, or cut short, where the history has gone on since: it is told and made anew. */
import { mkdtempSync, readFileSync, rmSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { checks } from '../../dist/wiring/index.js';
import { finishedUpload, plain } from '../support/finished-upload.js';
import { startEngine, type RunningEngine } from '../support/running-engine.js';

let folder = '';
let running: RunningEngine;
let drives: string[] = [];

const fileOne = (position: number): string => join(drives[position] ?? '', 'log', '00000001.log');

async function start(): Promise<void> {
  // No scan begins by itself meanwhile.
  const sweepAfterMs = 600_000;
  running = await startEngine({ drives, indexDirectory: join(folder, 'index'), logFileBytes: 1 << 20, sweepAfterMs });
}

async function fsck(repair = false) {
  const { now } = await checks.fsck({ drives, indexDir: join(folder, 'index'), repair, rebuild: false });
  return now.problems;
}

let whole: Buffer;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'granary-log-file-'));
  drives = [1, 2, 3, 4].map((number) => join(folder, `drive${number}`));
  await start();
  await running.engine.createBucket('b', { region: '' });
  for (let index = 0; index < 30; index++) {
    const upload = await finishedUpload(running.engine, `k${index}`, Buffer.alloc(120_000, index));
    await upload.commitObject(plain);
  }
  expect(Math.max(...running.opened.journal.logFiles())).toBeGreaterThan(1);
  await running.close();
  whole = readFileSync(fileOne(1));
});

afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

const isWhole = (): boolean => {
  try {
    return readFileSync(fileOne(1)).equals(whole);
  } catch {
    return false;
  }
};

describe.each([
  ['gone', (file: string) => rmSync(file), 'log/00000001.log is missing'],
  [
    'cut short',
    (file: string) => truncateSync(file, 300_000),
    'log/00000001.log was cut short: it has 300000 of 1048576 bytes',
  ],
])('a log file that is %s', (_what, harm, fault) => {
  it('is named by fsck, and whole again soon after a start, without anybody reading it', async () => {
    harm(fileOne(1));
    expect((await fsck())[0]).toBe(`${drives[1] ?? ''}: ${fault}`);
    await start();
    try {
      await expect.poll(isWhole, { timeout: 10_000 }).toBe(true);
    } finally {
      await running.close();
    }
    expect(await fsck()).toEqual([]);
  });

  it('is made anew by a repair', async () => {
    harm(fileOne(1));
    expect(await fsck(true)).toEqual([]);
    expect(isWhole()).toBe(true);
  });
});
