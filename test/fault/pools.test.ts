/**
 * Pools whose sets differ in size and parity, in a server that is expanded and killed: every set bears the loss of as many
 * drives as its own parity says, and takes writes with its own quorum.
 */
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  CopyObjectCommand,
  CreateBucketCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  PutObjectCommand,
  type S3Client,
  type StorageClass,
} from '@aws-sdk/client-s3';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { checks } from '../../dist/wiring/index.js';
import { adminClient } from '../support/admin-client.js';
import { crashClient, keysIn } from '../support/crash-workload.js';
import { startServer, type KillableServer } from '../support/killable-server.js';
import { parsePrometheus, valueOf } from '../support/prometheus.js';

const bucket = 'pools';
let folder = '';
let server: KillableServer | null = null;
let s3: S3Client;
/** By key, the SHA-256 of what was acknowledged. */
const contents = new Map<string, string>();

beforeEach(() => {
  folder = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'granary-pools-'));
  contents.clear();
});

afterEach(async () => {
  s3.destroy();
  await server?.kill();
  server = null;
  rmSync(folder, { recursive: true, force: true });
});

const group = (letter: string, count: number): string => join(folder, `${letter}{1...${count}}`);
const drives = (letter: string, ...numbers: readonly number[]): string[] =>
  numbers.map((number) => join(folder, `${letter}${number}`));
const sum = (body: Uint8Array): string => createHash('sha256').update(body).digest('hex');

async function start(groups: readonly string[], environment: Record<string, string> = {}): Promise<KillableServer> {
  server = await startServer(groups, { MINIO_PROMETHEUS_AUTH_TYPE: 'public', ...environment });
  s3 = crashClient(server.url);
  return server;
}

async function put(key: string, bytes: number, storageClass: StorageClass = 'STANDARD'): Promise<void> {
  const body = randomBytes(bytes);
  await s3.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: body, StorageClass: storageClass }));
  contents.set(key, sum(body));
}

/** In the log and in blob files; new keys, overwritten ones, a copy, a delete. */
async function work(name: string): Promise<void> {
  for (let index = 0; index < 12; index++) await put(`${name}/${index}`, [0, 3_000, 90_000, 400_000][index % 4] ?? 0);
  const [first = '', second = '', third = ''] = [...contents.keys()].sort();
  await put(first, 300_000);
  await s3.send(new CopyObjectCommand({ Bucket: bucket, Key: `${name}/copy`, CopySource: `${bucket}/${second}` }));
  contents.set(`${name}/copy`, contents.get(second) ?? '');
  await s3.send(new DeleteObjectCommand({ Bucket: bucket, Key: third }));
  contents.delete(third);
}

async function expectAll(): Promise<void> {
  for (const [key, content] of contents) {
    const answer = await s3.send(new GetObjectCommand({ Bucket: bucket, Key: key }));
    expect(sum((await answer.Body?.transformToByteArray()) ?? new Uint8Array()), key).toBe(content);
  }
  expect(await keysIn(s3, bucket)).toEqual([...contents.keys()].sort());
}

async function expectAllBack(driveCount: number): Promise<void> {
  for (let tries = 0; ; tries++) {
    const samples = parsePrometheus(await (await fetch(`${server?.url ?? ''}/minio/metrics/v3`)).text());
    const of = (name: string): number =>
      samples.filter((sample) => sample.name === name).reduce((total, { value }) => total + value, 0);
    const online = of('minio_cluster_erasure_set_online_drives_count');
    if (online === driveCount && of('minio_cluster_erasure_set_healing_drives_count') === 0) return;
    expect(tries, server?.output().slice(-2000)).toBeLessThan(300);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

const away = (paths: readonly string[]): void => {
  for (const path of paths) renameSync(path, `${path}.away`);
};
const back = (paths: readonly string[]): void => {
  for (const path of paths) renameSync(`${path}.away`, path);
};

describe('a deployment of four drives, expanded by eight and by three', () => {
  it('bears in each set what its own parity says, before and after drives are exchanged', async () => {
    const groups = [group('a', 4), group('b', 8), group('c', 3)];
    await start(groups.slice(0, 1));
    await s3.send(new CreateBucketCommand({ Bucket: bucket }));
    await work('one');
    await server?.kill();
    // The first drive is away, and does not know of the pool when it is back.
    away(drives('a', 1));
    await start(groups.slice(0, 2));
    await work('two');
    await server?.stop();
    back(drives('a', 1));
    const ofTwo = [...drives('a', 1, 2, 3, 4), ...drives('b', 1, 2, 3, 4, 5, 6, 7, 8)];
    const found = await checks.fsck({ drives: ofTwo, indexDir: null, repair: false, rebuild: false });
    expect(found.now.sets).toEqual([
      { dataShards: 2, parityShards: 2 },
      { dataShards: 4, parityShards: 4 },
    ]);
    expect(found.now.blobs).toMatchObject({ badShards: 0, unreadable: 0 });
    await start(groups);
    await expectAll();
    await work('three');
    // The drive that was away is brought up beside that, at its pace; then a start has all of them at once.
    await expectAllBack(15);
    await server?.kill();
    const { output } = await start(groups);
    const shapes = /"sets":(\[.*\]),"startMs"/.exec(output())?.[1] ?? '[]';
    expect(JSON.parse(shapes)).toMatchObject([
      { dataShards: 2, parityShards: 2, mayFailForReads: 2, mayFailForWrites: 1 },
      { dataShards: 4, parityShards: 4, mayFailForReads: 4, mayFailForWrites: 3 },
      { dataShards: 2, parityShards: 1, mayFailForReads: 1, mayFailForWrites: 1 },
    ]);
    await server?.kill();

    // With as few as each set may be written with.
    const spare = [...drives('a', 1), ...drives('b', 1, 2, 3), ...drives('c', 2)];
    away(spare);
    await start(groups);
    await work('four');
    await expectAll();
    await server?.kill();
    back(spare);
    await start(groups);
    await expectAllBack(15);

    for (const path of [...drives('a', 2), ...drives('b', 8), ...drives('c', 3)]) {
      rmSync(path, { recursive: true });
      mkdirSync(path);
    }
    await server?.kill();
    await start([...groups].reverse());
    await expectAllBack(15);
    await server?.kill();

    // Others than those that were written anew.
    const lost = [...drives('a', 1, 3), ...drives('b', 4, 5, 6, 7), ...drives('c', 1)];
    away(lost);
    await start(groups);
    await expectAll();
    await server?.kill();
    back(lost);
    const options = { drives: [...ofTwo, ...drives('c', 1, 2, 3)], indexDir: null };
    const repaired = await checks.fsck({ ...options, repair: true, rebuild: true });
    expect(repaired.now).toMatchObject({ blobs: { badShards: 0, missingShards: 0 }, index: { differences: 0 } });
    expect(repaired.now.sets.map(({ dataShards, parityShards }) => [dataShards, parityShards])).toEqual([
      [2, 2],
      [4, 4],
      [2, 1],
    ]);
    // From the logs alone.
    await start(groups);
    await expectAll();
  }, 120_000);
});

describe('what operators are told of pools that differ', () => {
  it('is the parity of each where there is one for each, and the least else; an EC:N that does not fit formats nothing', async () => {
    const groups = [group('a', 8), group('b', 2)];
    await start(groups.slice(0, 1));
    await server?.stop();
    for (const [name, parity] of [
      ['STANDARD', 2],
      ['RRS', 2],
    ] as const) {
      const refused = start(groups, { [`MINIO_STORAGE_CLASS_${name}`]: `EC:${parity}` });
      await expect(refused, name).rejects.toThrow(name === 'RRS' ? 'at least 4 drives in every set' : 'EC:1 or less');
      // The deployment is as it was: it starts without the pool.
      await start(groups.slice(0, 1));
      await server?.stop();
    }
    const { url } = await start(groups);
    const credentials = { accessKey: 'tester', secretKey: 'tester-secret' };
    const admin = adminClient({ port: Number(new URL(url).port) }, credentials);
    const json = async (path: string): Promise<unknown> => (await admin({ method: 'GET', path })).json();
    expect(await json('info')).toMatchObject({
      backend: { standardSCParity: 1, rrSCParity: 1, totalSets: [1, 1], totalDrivesPerSet: [8, 2] },
    });
    expect(await json('storageinfo')).toMatchObject({
      Backend: {
        ...{ StandardSCParity: 1, StandardSCData: [4, 1], StandardSCParities: [4, 1], DrivesPerSet: [8, 2] },
        ...{ RRSCParity: 1, RRSCData: [7, 1], RRSCParities: [1, 1] },
      },
    });
    const samples = parsePrometheus(await (await fetch(`${url}/minio/metrics/v3`)).text());
    const inPool = (pool: number, name: string, more: Record<string, string> = {}): number | undefined =>
      valueOf(samples, `minio_cluster_erasure_set_${name}`, { pool_id: String(pool), set_id: '0', ...more });
    const told = (pool: number): unknown[] => [
      inPool(pool, 'read_tolerance'),
      inPool(pool, 'write_tolerance'),
      inPool(pool, 'class_read_tolerance', { storage_class: 'STANDARD' }),
      inPool(pool, 'class_read_tolerance', { storage_class: 'REDUCED_REDUNDANCY' }),
    ];
    expect([told(0), told(1)]).toEqual([
      [4, 3, 4, 1],
      [1, 0, 1, 1],
    ]);
    expect(valueOf(samples, 'minio_cluster_config_standard_parity')).toBe(1);
  }, 60_000);
});
