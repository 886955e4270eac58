/**
 * Damage under load on as many drives as there is parity: everything reads back meanwhile, is written anew without
 * being read, and then carries the data alone. And servers that are killed while they repair.
 */
import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { S3Client } from '@aws-sdk/client-s3';
import { CreateBucketCommand, GetObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { crashClient } from '../support/crash-workload.js';
import { startServer, type KillableServer } from '../support/killable-server.js';
import { filesBelow, startEngine, type RunningEngine } from '../support/running-engine.js';
import { readAll } from '../support/workload.js';

const main = fileURLToPath(new URL('../../dist/main.js', import.meta.url));

let folder = '';
let drives: string[] = [];
let bodies = new Map<string, Buffer>();

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'granary-heal-'));
  drives = [1, 2, 3, 4].map((number) => join(folder, `drive${number}`));
  bodies = new Map();
});

afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

const blobsOf = (drive: number): string[] => filesBelow(join(drives[drive] ?? '', 'blobs'));
const logsOf = (drive: number): string[] => filesBelow(join(drives[drive] ?? '', 'log'));

function flip(file: string, at: number): void {
  const fd = openSync(file, 'r+');
  const there = Buffer.alloc(5);
  const bytes = readSync(fd, there, 0, 5, at);
  writeSync(
    fd,
    there.map((byte) => byte ^ 0xff),
    0,
    bytes,
    at,
  );
  closeSync(fd);
}

describe('damage under load', () => {
  const full = { bytesPerSecondMax: Number.MAX_SAFE_INTEGER, shareMax: 1 };
  let running: RunningEngine | null = null;

  afterEach(async () => {
    await running?.close();
    running = null;
  });

  async function start(folders: readonly string[]): Promise<RunningEngine> {
    running = await startEngine({ drives: folders, indexDirectory: join(folder, 'index'), logFileBytes: 4 << 20 });
    running.engine.setUpkeep({ heal: full, scan: { pace: full, cycleMsMin: 86_400_000 } });
    return running;
  }

  async function put({ engine }: RunningEngine, key: string, body: Buffer): Promise<void> {
    const upload = engine.openUpload({
      bucket: 'box',
      key,
      bytes: body.length,
      sha256: false,
      checksum: null,
      signedStream: null,
      storageClass: 'STANDARD',
    });
    for (let at = 0; at < body.length; at += 1 << 20) {
      const isTaken = upload.write(body, at, Math.min(body.length, at + (1 << 20)));
      if (!isTaken) await new Promise<void>((resolve) => (upload.onDrain = resolve));
    }
    await upload.finish();
    const metadata = { headers: {}, storageClass: 'STANDARD' };
    await upload.commitObject({ metadata, checksum: null, precondition: null });
    bodies.set(key, body);
  }

  async function expectAll({ engine }: RunningEngine): Promise<void> {
    for (const [key, body] of bodies) {
      const found = await readAll(engine.open('box', key, ''), 0, body.length);
      expect(found.equals(body), key).toBe(true);
    }
  }

  const sizes = [100, 5_000, 60_000, 250_000, 300_001, 1_500_003];

  /** Flipped bits, deleted blobs and a log that was cut short. What is being written is left to its writer. */
  function damage(drive: number, round: number, blobs: readonly string[]): void {
    for (const [index, file] of blobs.entries()) {
      if ((index + round) % 3 === 0) rmSync(file, { force: true });
      else if (existsSync(file)) flip(file, Math.floor((statSync(file).size * (1 + (index % 7))) / 8));
    }
    for (const file of logsOf(drive)) {
      if (statSync(file).size < 1 << 20) continue;
      for (let at = 4096 * (1 + round); at < 200_000; at += 13_337) flip(file, at);
    }
    const [log = ''] = logsOf(drive).sort();
    if (round === 0) truncateSync(log, 150_000);
  }

  it('is repaired without a read, and any other two drives may go then', async () => {
    const first = await start(drives);
    await first.engine.createBucket('box', { region: '' });
    for (const bytes of sizes) await put(first, `size${bytes}`, randomBytes(bytes));
    const blobs = [0, 1].map((drive) => blobsOf(drive));
    let isOver = false;
    let writes = 0;
    const load = Array.from({ length: 4 }, async (_, worker) => {
      while (!isOver) {
        const key = `load${worker}/${writes % 5}`;
        await put(first, key, randomBytes(sizes[writes++ % sizes.length] ?? 1));
        const body = bodies.get(key) ?? Buffer.alloc(0);
        const found = await readAll(first.engine.open('box', key, ''), 0, body.length);
        expect(found.equals(body), key).toBe(true);
      }
    });
    for (const round of [0, 1]) {
      await new Promise((resolve) => setTimeout(resolve, 400));
      for (const drive of [0, 1]) damage(drive, round, blobs[drive] ?? []);
    }
    const before = writes;
    await expect.poll(() => writes, { timeout: 20_000 }).toBeGreaterThan(before + 12);
    isOver = true;
    await Promise.all(load);
    expect(first.opened.journal.health().inSync).toEqual([0, 1, 2, 3]);

    await first.engine.upkeepDone();
    const { heal, scan } = first.engine.upkeepStatus();
    expect(heal).toMatchObject({ waiting: 0, running: 0 });
    expect(scan.last).toMatchObject({ unreadableObjects: 0 });
    expect(heal.repairedShards).toBeGreaterThan(5);
    await first.engine.upkeepDone();
    expect(first.engine.upkeepStatus().scan.last).toMatchObject({ badShards: 0, missingShards: 0, badBatches: 0 });
    await expectAll(first);
    await first.close();

    for (const away of [
      [2, 3],
      [0, 1],
      [1, 2],
    ]) {
      for (const drive of away) renameSync(drives[drive] ?? '', `${drives[drive] ?? ''}.away`);
      rmSync(join(folder, 'index'), { recursive: true, force: true });
      await expectAll(await start(drives));
      await running?.close();
      for (const drive of away) renameSync(`${drives[drive] ?? ''}.away`, drives[drive] ?? '');
    }
    running = null;
  }, 60_000);
});

describe('a server', () => {
  let servers: KillableServer[] = [];

  afterEach(async ({ task }) => {
    if (task.result?.state === 'fail') for (const server of servers) console.error(server.output().slice(-3000));
    for (const server of servers.splice(0)) await server.kill();
    servers = [];
  });

  async function start(): Promise<{ server: KillableServer; s3: S3Client }> {
    const server = await startServer(drives);
    servers.push(server);
    const s3 = crashClient(server.url);
    return { server, s3 };
  }

  async function put(s3: S3Client, key: string, body: Buffer): Promise<void> {
    await s3.send(new PutObjectCommand({ Bucket: 'box', Key: key, Body: body }));
    bodies.set(key, body);
  }

  async function expectAll(s3: S3Client): Promise<void> {
    for (const [key, body] of bodies) {
      const answer = await s3.send(new GetObjectCommand({ Bucket: 'box', Key: key }));
      expect(Buffer.from((await answer.Body?.transformToByteArray()) ?? []).equals(body), key).toBe(true);
    }
  }

  function mend(): Promise<number | null> {
    const child = spawn(process.execPath, [main, 'fsck', '--repair', ...drives], { stdio: 'ignore' });
    return new Promise((resolve) => child.once('close', resolve));
  }

  const digest = (file: string): string => createHash('sha256').update(readFileSync(file)).digest('hex');
  const contents = (): string[] =>
    drives.flatMap((_, drive) => blobsOf(drive).map((file) => `${file} ${digest(file)}`)).sort();

  it('that is killed while it repairs loses nothing, and goes on where it was', async () => {
    let { server, s3 } = await start();
    await s3.send(new CreateBucketCommand({ Bucket: 'box' }));
    for (let index = 0; index < 8; index++) await put(s3, `k${index}`, randomBytes(1_000_003 + index * 200_000));
    await put(s3, 'small', randomBytes(100_000));
    const whole = contents();
    await server.kill();
    for (const drive of [0, 3]) {
      for (const [index, file] of blobsOf(drive).entries()) {
        if (index % 2 === 0) rmSync(file);
        else flip(file, statSync(file).size - 9_999);
      }
    }
    // Each time a little later, while the reads have repairs made.
    for (const ms of [15, 80, 250]) {
      ({ server, s3 } = await start());
      const reads = expectAll(s3).catch(() => undefined);
      await new Promise((resolve) => setTimeout(resolve, ms));
      await server.kill();
      await reads;
    }
    ({ server, s3 } = await start());
    await expectAll(s3);
    const wrong = (): number => whole.length - contents().filter((line) => whole.includes(line)).length;
    // What nobody reads, such as parity of a shard that is only damaged, is left to the scan.
    await expect.poll(wrong, { timeout: 20_000 }).toBeLessThan(12);
    expect(await server.stop()).toBe(0);
    expect(await mend()).toBe(0);
    expect(contents()).toEqual(whole);
  }, 60_000);

  it('whose drives were deleted under load and replaced by empty ones fills them, and any other two may go', async () => {
    let { server, s3 } = await start();
    await s3.send(new CreateBucketCommand({ Bucket: 'box' }));
    for (const bytes of [0, 100, 30_000, 250_000, 1_048_577, 6_000_001])
      await put(s3, `size${bytes}`, randomBytes(bytes));
    let isOver = false;
    let count = 0;
    const load = Array.from({ length: 3 }, async (_, worker) => {
      while (!isOver) await put(s3, `load${worker}/${count++ % 7}`, randomBytes(1 + ((count * 77_777) % 700_000)));
    });
    await new Promise((resolve) => setTimeout(resolve, 400));
    rmSync(drives[1] ?? '', { recursive: true, force: true });
    await expect.poll(() => server.output().includes('leaves the set'), { timeout: 20_000 }).toBe(true);
    await new Promise((resolve) => setTimeout(resolve, 300));
    isOver = true;
    await Promise.all(load);
    await server.stop();
    // Drive 2 was deleted under load; drive 4 goes now: as many as there is parity.
    rmSync(drives[3] ?? '', { recursive: true, force: true });
    for (const drive of [1, 3]) mkdirSync(drives[drive] ?? '');
    ({ server, s3 } = await start());
    await expectAll(s3);
    const joined = (): number => server.output().split('holds everything again').length - 1;
    await expect.poll(joined, { timeout: 30_000 }).toBe(2);
    await expect.poll(() => blobsOf(1).length, { timeout: 20_000 }).toBe(blobsOf(0).length);
    await expect.poll(() => blobsOf(3).length, { timeout: 20_000 }).toBe(blobsOf(0).length);
    await server.stop();
    for (const drive of [0, 2]) renameSync(drives[drive] ?? '', `${drives[drive] ?? ''}.away`);
    ({ server, s3 } = await start());
    await expectAll(s3);
  }, 60_000);
});
