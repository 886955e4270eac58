/** Shards that rot or vanish under a running engine are written anew, byte for byte, and nothing is ever removed. */
import { createHash, randomBytes } from 'node:crypto';
import {
  closeSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
  truncateSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { finishedUpload, plain } from '../../support/finished-upload.js';
import { filesBelow, startEngine, type RunningEngine } from '../../support/running-engine.js';
import { readAll } from '../../support/workload.js';

let folder = '';
let drives: string[] = [];
let running: RunningEngine;
const bodies = new Map<string, Buffer>();

const sizes = { inline: 400, slots: 90_000, one: 700_001, many: 5_300_007 };

async function store(key: string, body: Buffer): Promise<void> {
  await (await finishedUpload(running.engine, key, body)).commitObject(plain);
  bodies.set(key, body);
}

async function expectAll(): Promise<void> {
  for (const [key, body] of bodies) {
    const found = await readAll(running.engine.open('b', key, ''), 0, body.length);
    expect(found.equals(body), key).toBe(true);
  }
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'granary-heal-'));
  drives = [1, 2, 3, 4].map((number) => join(folder, `drive${number}`));
  running = await startEngine({ drives, indexDirectory: join(folder, 'index'), logFileBytes: 2 << 20 });
  await running.engine.createBucket('b', { region: '' });
  bodies.clear();
  for (const [key, bytes] of Object.entries(sizes)) await store(key, randomBytes(bytes));
});

afterAll(async () => {
  await running.close();
  rmSync(folder, { recursive: true, force: true });
});

function blobsOf(drive: number): string[] {
  return filesBelow(join(drives[drive] ?? '', 'blobs'));
}

function largest(drive: number): string {
  return blobsOf(drive).reduce((a, b) => (statSync(a).size >= statSync(b).size ? a : b));
}

function contents(): string[] {
  const digest = (file: string): string => createHash('sha256').update(readFileSync(file)).digest('hex');
  return drives.flatMap((_, drive) => blobsOf(drive).map((file) => `${file} ${digest(file)}`)).sort();
}

function flip(file: string, at: number, bytes = 3): void {
  const fd = openSync(file, 'r+');
  const there = Buffer.alloc(bytes);
  readSync(fd, there, 0, bytes, at);
  writeSync(
    fd,
    there.map((byte) => byte ^ 0xff),
    0,
    bytes,
    at,
  );
  closeSync(fd);
}

async function expectHealed(): Promise<void> {
  await expect
    .poll(() => running.engine.upkeepStatus().heal, { timeout: 10_000 })
    .toMatchObject({
      waiting: 0,
      running: 0,
    });
}

/** One engine for all of them, in this order: each leaves everything sound. */
describe('a read that meets a bad shard', () => {
  it.each([
    ['its payload', (file: string) => flip(file, statSync(file).size - 10)],
    ['its checksum table', (file: string) => flip(file, 4100)],
    ['its end', (file: string) => truncateSync(file, statSync(file).size - 4000)],
    ['the whole file', (file: string) => rmSync(file)],
  ])('has the blob written anew: %s', async (_what, damage) => {
    const before = contents();
    const earlier = running.engine.upkeepStatus().heal;
    for (const drive of [0, 2]) for (const file of blobsOf(drive)) damage(file);
    await expectAll();
    await expectHealed();
    expect(contents()).toEqual(before);
    const { repairedShards, repairedBytes, failedAttempts, lastRepairMs } = running.engine.upkeepStatus().heal;
    // Two blobs on two drives: a read may meet only one of them, and has all shards of the blob looked at.
    expect(repairedShards - earlier.repairedShards).toBe(4);
    expect(repairedBytes - earlier.repairedBytes).toBeGreaterThan(sizes.one + sizes.many);
    expect(failedAttempts).toBe(0);
    expect(lastRepairMs).toBeGreaterThan(Date.now() - 60_000);
    expect(running.lines.join('\n')).toMatch(
      /a shard of b\/(one|many) is missing or damaged on drive [13]: it was read/,
    );
  });

  it('has the slots of the log written anew', async () => {
    const earlier = running.engine.upkeepStatus().heal;
    const log = (drive: number): string => join(drives[drive] ?? '', 'log', '00000001.log');
    const before = drives.map((_, drive) => readFileSync(log(drive)));
    const slot = bodies.get('slots') ?? Buffer.alloc(0);
    // Data shards are the body's own bytes.
    const places = before.map((bytes) => {
      const first = bytes.indexOf(slot.subarray(0, 64));
      return first >= 0 ? first : bytes.indexOf(slot.subarray(slot.length / 2, slot.length / 2 + 64));
    });
    const holders = places.flatMap((at, drive) => (at >= 0 ? [{ drive, at }] : []));
    expect(holders).toHaveLength(2);
    for (const { drive, at } of holders) flip(log(drive), at + 1000);
    await expectAll();
    await expectHealed();
    for (const [drive, bytes] of before.entries()) expect(readFileSync(log(drive)).equals(bytes)).toBe(true);
    expect(running.engine.upkeepStatus().heal.repairedShards - earlier.repairedShards).toBe(2);
  });
});

describe('repairs', () => {
  it('use what is sound in each stripe of shards that are all damaged somewhere', async () => {
    const before = contents();
    const file = (drive: number): string => {
      const name = basename(largest(0));
      return blobsOf(drive).find((one) => basename(one) === name) ?? '';
    };
    // Shards of 512 KiB a stripe; each drive is wrong in another stripe.
    for (const drive of [0, 1, 2, 3]) flip(file(drive), 8192 + drive * 524_288 + 5000);
    await expectAll();
    await expectHealed();
    expect(contents()).toEqual(before);
  });

  it('leave everything as it is when too little is sound', async () => {
    const name = basename(largest(0));
    const files = [0, 1, 2].map((drive) => blobsOf(drive).find((one) => basename(one) === name) ?? '');
    for (const file of files) flip(file, 8192 + 5000);
    const before = contents();
    await expect(readAll(running.engine.open('b', 'many', ''), 0, sizes.many)).rejects.toMatchObject({
      code: 'SlowDownRead',
    });
    await expect.poll(() => running.engine.upkeepStatus().heal.failedAttempts, { timeout: 10_000 }).toBeGreaterThan(0);
    expect(contents()).toEqual(before);
    expect(running.engine.upkeepStatus().heal.waiting).toBe(1);
    expect(running.lines.join('\n')).toContain(`the shards of ${name} could not be rebuilt now`);

    // One of them comes back: enough, at the next look.
    flip(files[0] ?? '', 8192 + 5000);
    await expectAll();
    running.engine.repairNow();
    await expectHealed();
  });

  it('go on after a restart, and are given up for what was deleted', async () => {
    for (const drive of [0, 2]) for (const file of blobsOf(drive)) rmSync(file);
    const leftover = `${largest(1).replace('drive2', 'drive1')}.0`;
    await expectAll();
    await running.close();
    running = await startEngine({ drives, indexDirectory: join(folder, 'index'), logFileBytes: 2 << 20 });
    await expectAll();
    await running.engine.deleteObject('b', 'one', '', null);
    bodies.delete('one');
    await expectHealed();
    await expect.poll(() => drives.map((_, drive) => blobsOf(drive).length)).toEqual([1, 1, 1, 1]);
    expect(filesBelow(folder)).not.toContain(leftover);
    await expectAll();
  });
});
