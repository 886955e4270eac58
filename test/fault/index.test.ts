/** The index of a running server turns bad on its one drive, or hangs: the server goes on without anybody's help. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CreateBucketCommand, GetObjectCommand, PutObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { crashClient } from '../support/crash-workload.js';
import { calls, FaultShim } from '../support/fault-shim.js';
import { KillableServers, startServer, type KillableServer } from '../support/killable-server.js';
import { filesBelow } from '../support/running-engine.js';

/** So much of it that what a start reads of the index is not all of it. */
const Metadata = { much: 'm'.repeat(1900) };
const keys = Array.from({ length: 40 }, (_, index) => `key-${index}`);
const servers = new KillableServers();
let folder = '';
let drives: string[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'granary-index-'));
  drives = [1, 2, 3, 4].map((number) => join(folder, `drive${number}`));
});

afterEach(async ({ task }) => {
  await servers.killAll(task.result?.state === 'fail');
  rmSync(folder, { recursive: true, force: true });
});

async function read(s3: S3Client, key: string): Promise<string | undefined> {
  const { Body } = await s3.send(new GetObjectCommand({ Bucket: 'bucket', Key: key }));
  return Body?.transformToString();
}

/** Where it serves now: after a start in place the port is another. */
function addresses(server: KillableServer): string[] {
  return [...server.output().matchAll(/"api":\["(https?:[^"]+)"/g)].map(([, url]) => url ?? '');
}

/** By a server that has stopped since. */
async function writeAll(): Promise<void> {
  const server = await servers.start(drives);
  const s3 = crashClient(server.url);
  await s3.send(new CreateBucketCommand({ Bucket: 'bucket' }));
  for (const Key of keys) {
    await s3.send(new PutObjectCommand({ Bucket: 'bucket', Key, Body: `of ${Key}`, Metadata }));
  }
  await servers.stop(server);
}

async function servesAllAnew(server: KillableServer): Promise<void> {
  const s3 = crashClient(addresses(server)[1] ?? '');
  for (const key of keys) expect(await read(s3, key)).toBe(`of ${key}`);
  await s3.send(new PutObjectCommand({ Bucket: 'bucket', Key: 'later', Body: 'written later' }));
}

it('that cannot be read is built anew, and everything is there', async () => {
  await writeAll();
  // Nothing of it is in memory.
  const server = await servers.start(drives);
  const runs = filesBelow(join(drives[0] ?? '', '.granary', 'index')).filter((file) => file.endsWith('.run'));
  expect(runs).not.toEqual([]);
  for (const run of runs) writeFileSync(run, Buffer.from(readFileSync(run).map((byte) => byte ^ 0xff)));
  const refused = await read(crashClient(server.url), keys[20] ?? '').catch((error: unknown) => error);
  expect(refused).toMatchObject({ name: 'SlowDownRead', $metadata: { httpStatusCode: 503 } });
  await expect.poll(() => addresses(server).length, { timeout: 30_000 }).toBe(2);
  await servesAllAnew(server);
  await servers.stop(server);
}, 90_000);

it('whose disk hangs when it is read does not hold up the server, which starts anew', async () => {
  await writeAll();
  const shim = new FaultShim(folder, drives);
  const server = await startServer(drives, shim.environment);
  try {
    shim.plan({ mode: 'delay', after: 1, value: 600_000, kinds: calls.read, root: 1 });
    const refused = await read(crashClient(server.url), keys[20] ?? '').catch((error: unknown) => error);
    expect(refused).toMatchObject({ name: 'SlowDownRead', $metadata: { httpStatusCode: 503 } });
    expect(shim.hits).toBe(1);
    await expect.poll(() => addresses(server).length, { timeout: 60_000 }).toBe(2);
    await servesAllAnew(server);
  } finally {
    await server.kill();
    shim.close();
  }
}, 120_000);
