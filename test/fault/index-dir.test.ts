/**
 * The folder of `--index-dir` fails while the four drives are well: the server goes on with an index on a drive, says so,
 * and has it back in the folder when a start finds that well again. A wrong name is refused.
 */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { CreateBucketCommand, GetObjectCommand, PutObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { crashClient } from '../support/crash-workload.js';
import { anyCall, calls, FaultShim } from '../support/fault-shim.js';
import { startServer, type KillableServer } from '../support/killable-server.js';
import { filesBelow } from '../support/running-engine.js';

const { EIO, EROFS } = constants.errno;
const bucket = 'bucket';
let folder = '';
let drives: string[] = [];
let named = '';
let server: KillableServer | null = null;
let shim: FaultShim | null = null;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'granary-index-dir-'));
  drives = [1, 2, 3, 4].map((number) => join(folder, `drive${number}`));
  named = join(folder, 'named');
});

afterEach(async ({ task }) => {
  if (task.result?.state === 'fail') console.error(server?.output().slice(-4000));
  await server?.kill();
  server = null;
  shim?.close();
  shim = null;
  rmSync(folder, { recursive: true, force: true });
});

async function start(environment: Record<string, string> = {}): Promise<S3Client> {
  server = await startServer(drives, {
    GRANARY_INDEX_DIR: named,
    MINIO_PROMETHEUS_AUTH_TYPE: 'public',
    ...environment,
  });
  return crashClient(server.url);
}

async function stop(): Promise<void> {
  expect(await server?.stop()).toBe(0);
  server = null;
}

async function put(s3: S3Client, ...keys: string[]): Promise<void> {
  for (const Key of keys) await s3.send(new PutObjectCommand({ Bucket: bucket, Key, Body: `of ${Key}` }));
}

async function expectAll(s3: S3Client, ...keys: string[]): Promise<void> {
  for (const Key of keys) {
    const { Body } = await s3.send(new GetObjectCommand({ Bucket: bucket, Key }));
    expect(await Body?.transformToString()).toBe(`of ${Key}`);
  }
}

/** What a scrape says: 1, or 0 when the folder is not in use. */
async function usedMetric(): Promise<string | undefined> {
  const answer = await fetch(`${server?.url ?? ''}/minio/v2/metrics/node`);
  return /^granary_index_dir_used\S* (\d)$/m.exec(await answer.text())?.[1];
}

const isIn = (place: string): boolean => existsSync(join(place, 'runs', 'manifest'));
/** A new one has its folder before it is written. */
const onDrives = (): string[] =>
  drives.map((drive) => join(drive, '.granary', 'index')).filter((place) => existsSync(join(place, 'runs')));

async function expectLeft(cause: RegExp): Promise<void> {
  await expect.poll(() => server?.output(), { timeout: 80_000 }).toContain('the folder of --index-dir is not in use');
  const line =
    server
      ?.output()
      .split('\n')
      .find((one) => one.includes('--index-dir is not in use')) ?? '';
  expect(JSON.parse(line)).toMatchObject({ level: 'error', folder: named, cause: expect.stringMatching(cause) });
  expect(onDrives()).toHaveLength(1);
  expect(await usedMetric()).toBe('0');
}

async function expectBack(...keys: string[]): Promise<void> {
  const s3 = await start();
  await expect.poll(usedMetric, { timeout: 20_000 }).toBe('1');
  await expectAll(s3, ...keys);
  await put(s3, 'at last');
  await stop();
  expect(onDrives()).toEqual([]);
  expect(isIn(named)).toBe(true);
  expect(existsSync(join(named, 'damaged'))).toBe(false);
}

describe('a folder of --index-dir that fails in use', () => {
  it('because it has gone is done without, and used again by the next start', async () => {
    const s3 = await start();
    await s3.send(new CreateBucketCommand({ Bucket: bucket }));
    await put(s3, 'before');
    expect(await usedMetric()).toBe('1');
    rmSync(named, { recursive: true });
    await expectLeft(/its folder has gone/);
    await put(s3, 'later');
    await expectAll(s3, 'before', 'later');
    await stop();
    await expectBack('before', 'later');
  }, 120_000);

  it.each([
    ['errs', { mode: 'fail from then on', value: EIO, kinds: anyCall }, /Input\/output error/],
    ['hangs', { mode: 'delay', value: 600_000, kinds: calls.write }, /does not answer/],
  ] as const)(
    'because its disk %s is done without',
    async (_how, fault, cause) => {
      mkdirSync(named);
      shim = new FaultShim(folder, [...drives, named]);
      const s3 = await start(shim.environment);
      await s3.send(new CreateBucketCommand({ Bucket: bucket }));
      await put(s3, 'before');
      shim.plan({ ...fault, after: 1, root: drives.length + 1 });
      await put(s3, 'meanwhile');
      await expectLeft(cause);
      expect(shim.hits).toBeGreaterThan(0);
      await put(s3, 'later');
      await expectAll(s3, 'before', 'meanwhile', 'later');
      expect(server?.output()).not.toContain('leaves the set');
      await server?.kill();
      server = null;
      await expectBack('before', 'meanwhile', 'later');
    },
    180_000,
  );

  it('because its files were changed is built anew where it is', async () => {
    let s3 = await start();
    await s3.send(new CreateBucketCommand({ Bucket: bucket }));
    const keys = Array.from({ length: 40 }, (_, index) => `key${index}`);
    await put(s3, ...keys);
    await stop();
    for (const run of filesBelow(named).filter((file) => file.endsWith('.run'))) {
      writeFileSync(run, Buffer.from(readFileSync(run).map((byte) => byte ^ 0xff)));
    }
    s3 = await start();
    await expectAll(s3, ...keys);
    expect(await usedMetric()).toBe('1');
    expect(onDrives()).toEqual([]);
  }, 120_000);
});

describe('a start with a folder of --index-dir', () => {
  it.each([
    ['whose disk errs', EIO, anyCall],
    ['that is read-only', EROFS, calls.write | calls.create | calls.makeFolder | calls.rename | calls.unlink],
  ])(
    '%s goes on with a drive',
    async (_what, value, kinds) => {
      let s3 = await start();
      await s3.send(new CreateBucketCommand({ Bucket: bucket }));
      await put(s3, 'before');
      await stop();
      shim = new FaultShim(folder, [...drives, named]);
      shim.plan({ mode: 'fail from then on', after: 1, value, kinds, root: drives.length + 1 });
      s3 = await start(shim.environment);
      await expectLeft(/EIO|EROFS/);
      expect(server?.output()).toContain(`the folder of --index-dir, ${named}, is not in use`);
      await expectAll(s3, 'before');
      await put(s3, 'later');
      await stop();
      await expectBack('before', 'later');
    },
    120_000,
  );

  it.each([
    ['in a folder that is not there', () => join(folder, 'nowhere', 'index'), 'there is no folder'],
    ['that is a file', () => join(folder, 'file'), 'is not a folder'],
    ['below a file', () => join(folder, 'file', 'index'), 'is not a folder'],
    ['where nobody may write', () => '/sys/granary-index', 'must not be written by this user'],
  ])(
    '%s is refused',
    async (_what, path, reason) => {
      writeFileSync(join(folder, 'file'), '');
      named = path();
      const refused = await start().catch((error: unknown) => String(error));
      expect(refused).toContain(`the folder of --index-dir, ${named}, `);
      expect(refused).toContain(reason);
      expect(onDrives()).toEqual([]);
    },
    60_000,
  );
});
