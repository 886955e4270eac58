/**
 * The command as a process on drives that go away, come back, hold wrong bytes or are no drives any more:
 * what was acknowledged is read back byte for byte, and the server says what is wrong.
 */
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  existsSync,
  fstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  renameSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { S3Client } from '@aws-sdk/client-s3';
import {
  CreateBucketCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3ServiceException,
} from '@aws-sdk/client-s3';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { crashClient } from '../support/crash-workload.js';
import { FaultShim, anyCall, calls } from '../support/fault-shim.js';
import { KillableServers, startServer, type KillableServer } from '../support/killable-server.js';
import { filesBelow } from '../support/running-engine.js';
import { standStill } from '../support/stand-still.js';

const bucket = 'drives';
/** Inline, in the log, in blob files of one stripe, of several, and of many. */
const sizes = [0, 100, 3000, 150_000, 262_145, 1_048_576, 3_333_333, 20_000_001];

let folder = '';
let drives: string[] = [];
const servers = new KillableServers();
let bodies = new Map<string, Buffer>();

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'granary-drives-'));
  drives = [1, 2, 3, 4].map((number) => join(folder, `drive${number}`));
  bodies = new Map();
});

afterEach(async ({ task }) => {
  await servers.killAll(task.result?.state === 'fail');
  rmSync(folder, { recursive: true, force: true });
});

const client = (server: KillableServer): S3Client => crashClient(server.url, 60_000);

async function put(s3: S3Client, key: string, body: Buffer): Promise<void> {
  await s3.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: body }));
  bodies.set(key, body);
}

async function expectAll(s3: S3Client): Promise<void> {
  for (const [key, body] of bodies) {
    const answer = await s3.send(new GetObjectCommand({ Bucket: bucket, Key: key }));
    const found = Buffer.from((await answer.Body?.transformToByteArray()) ?? []);
    expect(found.equals(body), key).toBe(true);
  }
}

/** A server on four new drives with an object of every kind. */
async function startFilled(): Promise<{ server: KillableServer; s3: S3Client }> {
  const server = await servers.start(drives);
  const s3 = client(server);
  await s3.send(new CreateBucketCommand({ Bucket: bucket }));
  for (const bytes of sizes) await put(s3, `size${bytes}`, randomBytes(bytes));
  return { server, s3 };
}

function states(server: KillableServer): string[] {
  const line = server
    .output()
    .split('\n')
    .find((one) => one.includes('"event":"started"'));
  const record = JSON.parse(line ?? '{}') as { sets?: { drives: { state: string }[] }[] };
  return record.sets?.[0]?.drives.map(({ state }) => state) ?? [];
}

function openIfThere(file: string): number | null {
  try {
    return openSync(file, 'r+');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

/** Turns bytes over all over the blobs and the used part of the logs. A server may be mending them meanwhile. */
function damage(drive: string): void {
  for (const file of filesBelow(drive)) {
    const isLog = file.endsWith('.log');
    if (!isLog && !file.includes('/blobs/')) continue;
    const fd = openIfThere(file);
    // A repair that is under way has its blob beside the old one, and a moment later in its place.
    if (fd === null) continue;
    const end = isLog ? 1 << 20 : fstatSync(fd).size;
    for (let at = 4500; at < end; at += 70_001) writeSync(fd, Buffer.from([0x11, 0xee, 0x77]), 0, 3, at);
    closeSync(fd);
  }
}

async function refusalOf(act: Promise<unknown>): Promise<{ name: string; status: number | undefined }> {
  try {
    await act;
  } catch (error) {
    if (error instanceof S3ServiceException) return { name: error.name, status: error.$metadata.httpStatusCode };
    throw error;
  }
  return { name: 'none', status: 200 };
}

describe('within parity', () => {
  it.each([
    [0, 1],
    [1, 3],
  ])('reads everything with drives %i and %i gone, and emptied ones are filled again', async (a, b) => {
    const { server } = await startFilled();
    await servers.stop(server);
    const away = [a, b].map((index) => drives[index] ?? '');
    for (const drive of away) renameSync(drive, `${drive}.away`);
    const short = await servers.start(drives);
    expect(states(short).filter((state) => state === 'offline')).toHaveLength(2);
    expect(short.output()).toContain('does not exist');
    await expectAll(client(short));
    await servers.stop(short);

    // One comes back as it was, the other empty.
    renameSync(`${away[0]}.away`, away[0] ?? '');
    mkdirSync(away[1] ?? '');
    const again = await servers.start(drives);
    const s3 = client(again);
    await expectAll(s3);
    await put(s3, 'later', randomBytes(2_000_000));
    const blobs = (drive: string): number => filesBelow(join(drive, 'blobs')).length;
    await expect.poll(() => again.output().includes('holds everything again'), { timeout: 30_000 }).toBe(true);
    for (const drive of away) await expect.poll(() => blobs(drive), { timeout: 30_000 }).toBe(blobs(drives[2] ?? ''));
    // The last of them may still be written.
    await new Promise((resolve) => setTimeout(resolve, 500));
    await servers.stop(again);

    // What was rebuilt carries the data alone, with one other.
    const rebuilt = [away[1] ?? '', away[0] ?? ''];
    const half = await servers.start(rebuilt);
    await expectAll(client(half));
  });

  it.each(['while the server runs', 'at the next start'])(
    'an empty disk takes its own place beside a drive that is away and comes back %s',
    async (when) => {
      const { server } = await startFilled();
      await servers.stop(server);
      const [first = '', , third = ''] = drives;
      renameSync(first, `${first}.away`);
      rmSync(third, { recursive: true });
      mkdirSync(third);
      let again = await servers.start(drives);
      expect(states(again)[0]).toBe('offline');
      expect(['formatted', 'catching-up']).toContain(states(again)[2]);
      expect(again.output()).toContain(`${third} was empty: it is formatted as drive 3 and rebuilt`);
      await expectAll(client(again));
      await expect.poll(() => again.output().includes('takes writes again'), { timeout: 60_000 }).toBe(true);
      await put(client(again), 'meanwhile', randomBytes(1_500_000));
      if (when === 'at the next start') await servers.stop(again);
      renameSync(`${first}.away`, first);
      if (when === 'at the next start') again = await servers.start(drives);
      await put(client(again), 'later', randomBytes(700_000));
      await expectAll(client(again));
      // Two while this server runs; of one that starts anew at least the one that was away.
      const filled = (): number => again.output().split('holds everything again').length - 1;
      const awaited = when === 'at the next start' ? 1 : 2;
      await expect.poll(filled, { timeout: 60_000 }).toBeGreaterThanOrEqual(awaited);
      const blobs = (drive: string): number => filesBelow(join(drive, 'blobs')).length;
      for (const drive of [first, third])
        await expect.poll(() => blobs(drive), { timeout: 60_000 }).toBe(blobs(drives[1] ?? ''));
      // The last of them may still be written.
      await new Promise((resolve) => setTimeout(resolve, 500));
      await servers.stop(again);

      // The one that came back and the new one carry the data alone.
      const half = await servers.start([first, third]);
      expect(states(half)).toEqual(['online', 'offline', 'online', 'offline']);
      await expectAll(client(half));
    },
  );

  it('decodes around wrong bytes on two drives', async () => {
    const { server } = await startFilled();
    await servers.stop(server);
    for (const index of [0, 2]) damage(drives[index] ?? '');
    const again = await servers.start(drives);
    await expectAll(client(again));
    for (const index of [0, 2]) damage(drives[index] ?? '');
    await expectAll(client(again));
  });

  it('starts with a file in place of a drive, and with the drives in another order', async () => {
    const { server } = await startFilled();
    await servers.stop(server);
    rmSync(drives[2] ?? '', { recursive: true });
    writeFileSync(drives[2] ?? '', 'not a folder');
    const again = await servers.start([3, 1, 2, 0].map((index) => drives[index] ?? ''));
    expect(again.output()).toContain('not a folder');
    expect(states(again).filter((state) => state === 'online')).toHaveLength(3);
    const s3 = client(again);
    await put(s3, 'later', randomBytes(500_000));
    await expectAll(s3);
  });
});

describe('the index', () => {
  /** More of the index than of data: a few thousand fill what it keeps in memory. */
  async function putMany(s3: S3Client, name: string, count: number): Promise<void> {
    const Metadata = { long: 'm'.repeat(1900) };
    let next = 0;
    const one = async (): Promise<void> => {
      for (let index = next++; index < count; index = next++) {
        const Key = `${name}${index}-`.padEnd(900, 'k');
        await s3.send(new PutObjectCommand({ Bucket: bucket, Key, Body: 'x', Metadata }));
      }
    };
    await Promise.all(Array.from({ length: 32 }, one));
  }

  async function hasMoved(server: KillableServer): Promise<void> {
    for (let tries = 0; !server.output().includes('the index lies in'); tries++) {
      expect(tries, server.output().slice(-3000)).toBeLessThan(400);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  it('moves to another drive when its own goes, and is there at the next start', async () => {
    const server = await servers.start(drives);
    const s3 = client(server);
    await s3.send(new CreateBucketCommand({ Bucket: bucket }));
    await putMany(s3, 'before', 500);
    const lost = drives[0] ?? '';
    renameSync(lost, `${lost}-gone`);
    await putMany(s3, 'behind', 4000);
    await hasMoved(server);
    await putMany(s3, 'later', 500);
    await server.kill();
    // With what it has of the index: less than the other by now.
    renameSync(`${lost}-gone`, lost);
    const again = await servers.start(drives);
    expect(again.output()).not.toContain('rebuilt from the logs');
    expect(existsSync(join(lost, '.granary', 'index'))).toBe(false);
    const after = client(again);
    let found = 0;
    for (let ContinuationToken: string | undefined, isMore = true; isMore;) {
      const page = await after.send(new ListObjectsV2Command({ Bucket: bucket, ContinuationToken }));
      found += page.KeyCount ?? 0;
      ContinuationToken = page.NextContinuationToken;
      isMore = page.IsTruncated === true;
    }
    expect(found).toBe(5000);
    await servers.stop(again);
  });

  it('ends no write while its disk hangs, and moves when the drive is out', async () => {
    const shim = new FaultShim(folder, drives);
    const server = await startServer(drives, shim.environment);
    try {
      const s3 = client(server);
      await s3.send(new CreateBucketCommand({ Bucket: bucket }));
      await putMany(s3, 'before', 100);
      // The next file that is made there is a table's, with objects that make none.
      shim.plan({ mode: 'delay', after: 1, value: 600_000, kinds: calls.create, root: 1 });
      await putMany(s3, 'while it hangs', 12_000);
      expect(server.output()).toContain('does not answer');
      const lost = drives[0] ?? '';
      renameSync(lost, `${lost}-gone`);
      await hasMoved(server);
      await putMany(s3, 'later', 100);
    } finally {
      await server.kill();
      shim.close();
    }
  });
});

describe('under load', () => {
  it('goes on with one of four drives deleted, and refuses writes with two', async () => {
    const { server, s3 } = await startFilled();
    let isOver = false;
    let count = 0;
    const load = Array.from({ length: 6 }, async (_, worker) => {
      while (!isOver) {
        const key = `load${worker}/${count++ % 20}`;
        await put(s3, key, randomBytes(1 + ((count * 77_777) % 900_000)));
      }
    });
    await new Promise((resolve) => setTimeout(resolve, 500));
    const before = count;
    rmSync(drives[1] ?? '', { recursive: true, force: true });
    await new Promise((resolve) => setTimeout(resolve, 2000));
    isOver = true;
    // Not one write was refused.
    await Promise.all(load);
    expect(count).toBeGreaterThan(before + 6);
    await expectAll(s3);

    rmSync(drives[3] ?? '', { recursive: true, force: true });
    const known = new Map(bodies);
    // The first to notice may be the one whose outcome stays open.
    await refusalOf(put(s3, 'open', randomBytes(400_000)));
    bodies = known;
    for (const bytes of [10, 5000, 700_000]) {
      expect(
        await refusalOf(s3.send(new PutObjectCommand({ Bucket: bucket, Key: 'no', Body: randomBytes(bytes) }))),
      ).toEqual({
        name: 'SlowDownWrite',
        status: 503,
      });
    }
    await expectAll(s3);
    expect((await fetch(`${server.url}/minio/health/live`)).status).toBe(200);
  });
});

describe('two of four disks that hang in the same moment', () => {
  it('are out within seconds: writes are refused, what was being read goes on', async () => {
    const hung = join(folder, 'hung');
    mkdirSync(hung);
    // The others first: one of them has the index.
    drives = [...drives.slice(2), ...[1, 2].map((number) => join(hung, `drive${number}`))];
    const shim = new FaultShim(folder, [hung]);
    const server = await startServer(drives, shim.environment);
    try {
      const s3 = client(server);
      await s3.send(new CreateBucketCommand({ Bucket: bucket }));
      for (const bytes of sizes) await put(s3, `size${bytes}`, randomBytes(bytes));
      const startedMs = performance.now();
      shim.plan({ mode: 'hang', after: 1, kinds: anyCall | calls.read });
      const tookMs = async (request: Promise<unknown>): Promise<number> => {
        await request;
        return performance.now() - startedMs;
      };
      const refused = [3_000, 3_333_333].map((bytes) => tookMs(refusalOf(put(s3, `no${bytes}`, randomBytes(bytes)))));
      // Some of it the page cache does not have.
      const reading = tookMs(expectAll(s3));
      expect((await fetch(`${server.url}/minio/health/live`)).status).toBe(200);
      for (const ms of await Promise.all(refused)) expect(ms).toBeLessThan(20_000);
      expect(await reading).toBeLessThan(20_000);
      expect((await refusalOf(put(s3, 'no', randomBytes(10)))).name).toBe('SlowDownWrite');
      expect((await fetch(`${server.url}/minio/health/cluster`)).status).toBe(503);
    } finally {
      shim.rest();
      await server.kill();
      shim.close();
    }
    const again = await servers.start(drives);
    await expectAll(client(again));
    await put(client(again), 'later', randomBytes(400_000));
  });
});

describe('as many drives as may be lost', () => {
  it.each(['at once', 'one after the other'])(
    'deleted %s under load and replaced by empty folders: rebuilt without a restart, and any two carry the data',
    async (how) => {
      const { server, s3 } = await startFilled();
      let isOver = false;
      let count = 0;
      let acknowledged = 0;
      // A key whose write was refused may hold either: it is not written again.
      const load = Array.from({ length: 3 }, async (_, worker) => {
        while (!isOver) {
          const key = `load${worker}/${count++}`;
          const body = randomBytes(1 + ((count * 77_777) % 400_000));
          const isDone = await put(s3, key, body).then(
            () => true,
            (error: unknown) => {
              expect((error as Error).name).toBe('SlowDownWrite');
              return false;
            },
          );
          if (isDone) acknowledged++;
          else await new Promise((resolve) => setTimeout(resolve, 50));
        }
      });
      await new Promise((resolve) => setTimeout(resolve, 400));
      const victims = [drives[1] ?? '', drives[2] ?? ''];
      for (const victim of victims) {
        rmSync(victim, { recursive: true, force: true });
        if (how === 'one after the other') await new Promise((resolve) => setTimeout(resolve, 5000));
      }
      await expect.poll(() => server.output().includes('Too few drives'), { timeout: 15_000 }).toBe(true);
      // One of them takes the set below the write quorum; with either back it has enough.
      await new Promise((resolve) => setTimeout(resolve, 1500));
      for (const victim of victims) mkdirSync(victim);
      await expect.poll(() => server.output().includes('The set takes writes again'), { timeout: 40_000 }).toBe(true);
      const before = acknowledged;
      await expect.poll(() => acknowledged, { timeout: 20_000 }).toBeGreaterThan(before + 20);
      isOver = true;
      await Promise.all(load);
      const isWhole = (path: string): boolean =>
        server
          .output()
          .split('\n')
          .some((line) => line.includes('holds everything again') && line.includes(`"${path}"`));
      for (const victim of victims) await expect.poll(() => isWhole(victim), { timeout: 60_000 }).toBe(true);
      await expectAll(s3);
      const names = new Set(filesBelow(join(drives[0] ?? '', 'blobs')).map((file) => file.split('/').at(-1)));
      for (const victim of victims) {
        const missing = (): number => {
          const there = new Set(filesBelow(join(victim, 'blobs')).map((file) => file.split('/').at(-1)));
          return [...names].filter((name) => !there.has(name)).length;
        };
        await expect.poll(missing, { timeout: 60_000 }).toBeLessThanOrEqual(0);
      }
      await servers.stop(server);
      for (const pair of [
        [1, 2],
        [0, 3],
        [0, 1],
        [2, 3],
      ]) {
        const half = await servers.start(pair.map((index) => drives[index] ?? ''));
        await expectAll(client(half));
        await servers.stop(half);
      }
    },
    240_000,
  );
});

describe('while the server runs', () => {
  const blobs = (drive: string): number => filesBelow(join(drive, 'blobs')).length;
  const back = 'holds everything again';

  it('an empty folder in the place of a lost drive is filled, and carries the data with one other', async () => {
    const { server, s3 } = await startFilled();
    const victim = drives[1] ?? '';
    rmSync(victim, { recursive: true, force: true });
    // Nobody writes, and it is noticed all the same.
    await expect.poll(() => server.output().includes('leaves the set'), { timeout: 15_000 }).toBe(true);
    await put(s3, 'meanwhile', randomBytes(700_000));
    mkdirSync(victim);
    await expect.poll(() => server.output().includes(back), { timeout: 40_000 }).toBe(true);
    await put(s3, 'later', randomBytes(900_000));
    await expect.poll(() => blobs(victim), { timeout: 10_000 }).toBe(blobs(drives[2] ?? ''));
    await servers.stop(server);
    const half = await servers.start([victim, drives[3] ?? '']);
    await expectAll(client(half));
  });

  it('a drive that was away at the start comes back, in whichever folder it is found', async () => {
    const { server } = await startFilled();
    await servers.stop(server);
    const [one, two] = [drives[0] ?? '', drives[1] ?? ''];
    renameSync(one, `${one}.away`);
    renameSync(two, `${two}.away`);
    const short = await servers.start(drives);
    const s3 = client(short);
    expect((await refusalOf(put(s3, 'no', randomBytes(10)))).name).toBe('SlowDownWrite');
    bodies.delete('no');
    // Swapped.
    renameSync(`${one}.away`, two);
    renameSync(`${two}.away`, one);
    await expect.poll(() => short.output().includes('takes writes again'), { timeout: 40_000 }).toBe(true);
    await put(s3, 'later', randomBytes(400_000));
    await expectAll(s3);
  });

  it('a machine that stands still takes nobody out', async () => {
    const { server, s3 } = await startFilled();
    let isOver = false;
    let count = 0;
    const load = Array.from({ length: 4 }, async (_, worker) => {
      while (!isOver) await put(s3, `load${worker}/${count++ % 10}`, randomBytes(1 + ((count * 7_777) % 300_000)));
    });
    await new Promise((resolve) => setTimeout(resolve, 300));
    await standStill(server.process);
    // Longer than a write to the log may take.
    await new Promise((resolve) => setTimeout(resolve, 10_000));
    server.process.kill('SIGCONT');
    const before = count;
    await expect.poll(() => count, { timeout: 20_000 }).toBeGreaterThan(before + 8);
    isOver = true;
    await Promise.all(load);
    expect(server.output()).not.toContain('leaves the set');
    await expectAll(s3);
  });
});

describe('refused starts', () => {
  it('a second server on the same drives, too few drives, drives of two deployments', async () => {
    const { server, s3 } = await startFilled();
    await expect(startServer(drives)).rejects.toThrow(/in use by another server/);
    await expect(startServer([...drives].reverse())).rejects.toThrow(/in use by another server/);
    await expectAll(s3);
    await servers.stop(server);

    const others = [1, 2, 3, 4].map((number) => join(folder, `other${number}`));
    await servers.stop(await servers.start(others));
    const mixed = [drives[0] ?? '', drives[1] ?? '', others[2] ?? '', others[3] ?? ''];
    await expect(startServer(mixed)).rejects.toThrow(/belong to two deployments/);

    await expect(startServer(drives.slice(0, 1))).rejects.toThrow(/only 1 of 4 drives/);
    await expect(startServer([drives[0] ?? '', drives[0] ?? '', drives[1] ?? '', drives[2] ?? ''])).rejects.toThrow();
    // Nothing of this did harm.
    const again = await servers.start(drives);
    expect(states(again)).toEqual(['online', 'online', 'online', 'online']);
    await expectAll(client(again));
  });
});
