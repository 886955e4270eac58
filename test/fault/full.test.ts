/**
 * Drives without room, on real file systems: what grows is refused with 507, reads and deletes go on, nobody is taken
 * out of the set, and the room of what was deleted comes back by itself.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { appendFileSync, existsSync, readFileSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  AbortMultipartUploadCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  DeleteBucketCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  ListBucketsCommand,
  ListObjectVersionsCommand,
  ListObjectsV2Command,
  PutBucketVersioningCommand,
  PutObjectCommand,
  S3Client,
  S3ServiceException,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import { afterEach, describe, expect, it } from 'vitest';
import { adminClient } from '../support/admin-client.js';
import { startServer, type KillableServer } from '../support/killable-server.js';
import { seededRandom } from '../support/seeded-random.js';
import { mountSmall, type SmallFileSystems } from '../support/small-file-systems.js';

const main = fileURLToPath(new URL('../../dist/main.js', import.meta.url));
const MiB = 2 ** 20;
const bucket = 'full';
const atOnce = 12;

let small: SmallFileSystems | null = null;
let server: KillableServer | null = null;

afterEach(async () => {
  await server?.kill();
  await small?.close();
  server = null;
  small = null;
});

function client(url: string): S3Client {
  return new S3Client({
    endpoint: url,
    region: 'us-east-1',
    forcePathStyle: true,
    maxAttempts: 1,
    requestChecksumCalculation: 'WHEN_REQUIRED',
    credentials: { accessKeyId: 'tester', secretAccessKey: 'tester-secret' },
    requestHandler: new NodeHttpHandler({ connectionTimeout: 5_000, requestTimeout: 60_000 }),
  });
}

/** The same bytes for the same key, and others for every other. */
function bodyOf(key: string, bytes: number): Buffer {
  const seed = createHash('sha256').update(key).digest();
  const body = Buffer.alloc(bytes);
  for (let at = 0; at < bytes; at += seed.length) seed.copy(body, at);
  body.write(key);
  return body;
}

const put = (s3: S3Client, key: string, bytes: number): Promise<unknown> =>
  s3.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: bodyOf(key, bytes) }));

async function isThere(s3: S3Client, key: string, bytes: number): Promise<boolean> {
  const answer = await s3.send(new GetObjectCommand({ Bucket: bucket, Key: key }));
  return bodyOf(key, bytes).equals((await answer.Body?.transformToByteArray()) ?? new Uint8Array());
}

/** Until it is refused: then with 507, and nothing else. Answers the keys that were taken. */
async function fill(s3: S3Client, prefix: string, bytes: number): Promise<string[]> {
  const taken: string[] = [];
  let refusal: unknown = null;
  let count = 0;
  const writers = Array.from({ length: atOnce }, async () => {
    while (refusal === null) {
      const key = `${prefix}${count++}`;
      try {
        await put(s3, key, bytes);
        taken.push(key);
      } catch (error) {
        refusal = error;
      }
    }
  });
  await Promise.all(writers);
  expectFull(refusal);
  return taken;
}

function expectFull(error: unknown): void {
  expect(error).toBeInstanceOf(S3ServiceException);
  const { name, $metadata } = error as S3ServiceException;
  expect([name, $metadata.httpStatusCode]).toEqual(['XMinioStorageFull', 507]);
}

/** At the latest when it has been written so often: the index frees room for some more when it merges its files. */
async function becomesFull(act: () => Promise<unknown>): Promise<void> {
  let refusal: unknown = null;
  for (let turn = 0; turn < 5000 && refusal === null; turn++) refusal = await refusalOf(act());
  expectFull(refusal);
}

const refusalOf = (request: Promise<unknown>): Promise<unknown> =>
  request.then(
    () => null,
    (error: unknown) => error,
  );

async function forAll(keys: readonly string[], act: (key: string) => Promise<void>): Promise<void> {
  const left = [...keys];
  const one = async (): Promise<void> => {
    for (let key = left.pop(); key !== undefined; key = left.pop()) await act(key);
  };
  await Promise.all(Array.from({ length: atOnce }, one));
}

async function listed(s3: S3Client): Promise<string[]> {
  const keys: string[] = [];
  let token: string | undefined;
  do {
    const page = await s3.send(new ListObjectsV2Command({ Bucket: bucket, ContinuationToken: token }));
    for (const { Key } of page.Contents ?? []) keys.push(Key ?? '');
    token = page.NextContinuationToken;
  } while (token !== undefined);
  return keys.sort();
}

/** A file system in memory has room for whole pages only. */
function takeAllRoom(folder: string): void {
  for (const bytes of [MiB, 4096]) {
    const piece = Buffer.alloc(bytes, 1);
    for (;;) {
      try {
        appendFileSync(`${folder}/filler`, piece);
      } catch (error) {
        if (error instanceof Error && 'code' in error && error.code === 'ENOSPC') break;
        throw error;
      }
    }
  }
}

/** Finds nothing wrong. */
function fsck(within: readonly string[], drives: readonly string[], ...flags: string[]): void {
  const [command = '', ...words] = [...within, process.execPath, main, 'fsck', ...flags, ...drives];
  const { status, stdout, stderr } = spawnSync(command, words, { encoding: 'utf8' });
  expect(status, `${stdout}${stderr}`).toBe(0);
}

/** What was freed comes back when the log files that held it have been compacted. */
async function becomesPossible(act: () => Promise<unknown>): Promise<void> {
  let refused: unknown;
  for (let turn = 0; turn < 120; turn++) {
    refused = await refusalOf(act());
    if (refused === null) return;
    expectFull(refused);
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
  throw new Error(`no room came back; the server said: ${server?.output().slice(-2000) ?? ''}`);
}

async function addUser(accessKey: string): Promise<void> {
  const port = Number(new URL(server?.url ?? '').port);
  const admin = adminClient({ port }, { accessKey: 'tester', secretKey: 'tester-secret' });
  const sealed = { secretKey: 'a-secret-key', status: 'enabled' };
  const answer = await admin({ method: 'PUT', path: 'add-user', query: { accessKey }, sealed });
  expect([answer.status, answer.message]).toEqual([200, null]);
}

const health = async (): Promise<number> => (await fetch(`${server?.url ?? ''}/minio/health/cluster`)).status;

describe('drives without room', () => {
  it('refuse writes with 507, serve the rest, and take writes again when space was freed', async () => {
    const random = seededRandom(7);
    small = await mountSmall([448 * MiB, 448 * MiB]);
    const { folders, within } = small;
    const drives = folders.map((folder) => `${folder}/drive`);
    server = await startServer(drives, {}, within);
    let s3 = client(server.url);
    await s3.send(new CreateBucketCommand({ Bucket: bucket }));

    const smallBytes = 200_000;
    let keys = await fill(s3, 'small/', smallBytes);
    expect(keys.length).toBeGreaterThan(800);
    // Without warning, and started again as it is.
    await server.kill();
    server = await startServer(drives, {}, within);
    s3 = client(server.url);
    expect(await listed(s3)).toEqual([...keys].sort());
    expectFull(await refusalOf(put(s3, 'more', smallBytes)));
    expect(await isThere(s3, keys[0] ?? '', smallBytes)).toBe(true);
    expect(await health()).toBe(200);

    const gone = keys.filter(() => random() < 0.6);
    await forAll(gone, async (key) => {
      await s3.send(new DeleteObjectCommand({ Bucket: bucket, Key: key }));
    });
    const left = new Set(keys);
    for (const key of gone) left.delete(key);
    await becomesPossible(() => put(s3, 'again', smallBytes));
    left.add('again');
    expect(await listed(s3)).toEqual([...left].sort());
    await forAll([...left], async (key) => {
      if (!(await isThere(s3, key, smallBytes))) throw new Error(`${key} is not what it was`);
    });

    // What lies in files of its own takes the last byte, the index's as well.
    const largeBytes = 5 * MiB;
    keys = await fill(s3, 'large/', largeBytes);
    expect(keys.length).toBeGreaterThan(4);
    for (const key of keys.slice(0, 3)) expect(await isThere(s3, key, largeBytes)).toBe(true);
    await forAll([...keys, ...left], async (key) => {
      await s3.send(new DeleteObjectCommand({ Bucket: bucket, Key: key }));
    });
    expect(await listed(s3)).toEqual([]);
    await becomesPossible(() => put(s3, 'large again', largeBytes));
    await becomesPossible(() => put(s3, 'again', smallBytes));
    // The first room is enough for a write; the rest comes as logs are compacted and files removed.
    for (const folder of folders.map((one) => small?.seen(one) ?? one)) {
      const free = (): number => {
        const { bavail, bsize } = statfsSync(folder);
        return bavail * bsize;
      };
      await expect.poll(free, { timeout: 30_000 }).toBeGreaterThan(64 * MiB);
    }
    expect(await health()).toBe(200);
    expect(server.output()).not.toContain('leaves the set');
    expect(await server.stop()).toBe(0);
  }, 240_000);

  it('take markers, and what an operator has to change, beside a pool that was added', async () => {
    small = await mountSmall([300, 300, 600, 600].map((size) => size * MiB));
    const { folders, within } = small;
    const [root = ''] = folders.map((folder) => join(folder, '..'));
    const pools = [`${root}/fs{1...2}/drive`, `${root}/fs{3...4}/drive`];
    server = await startServer(pools.slice(0, 1), {}, within);
    let s3 = client(server.url);
    for (const Bucket of [bucket, 'gone']) await s3.send(new CreateBucketCommand({ Bucket }));
    const VersioningConfiguration = { Status: 'Enabled' as const };
    const of = { Bucket: bucket, Key: 'upload' };
    const { UploadId } = await s3.send(new CreateMultipartUploadCommand(of));
    await s3.send(new UploadPartCommand({ ...of, UploadId, PartNumber: 1, Body: bodyOf('part', 5 * MiB) }));
    const keys = await fill(s3, 'small/', 100_000);
    await s3.send(new PutBucketVersioningCommand({ Bucket: bucket, VersioningConfiguration }));
    expect(await s3.send(new DeleteObjectCommand({ Bucket: bucket, Key: keys[0] }))).toMatchObject({
      DeleteMarker: true,
    });
    const Objects = keys.slice(0, 1000).map((Key) => ({ Key }));
    const { Errors } = await s3.send(new DeleteObjectsCommand({ Bucket: bucket, Delete: { Objects } }));
    expect(Errors).toBeUndefined();
    await becomesFull(() => put(s3, 'more', 100_000));
    // They have a share of the reserve. Then a refusal says what to do.
    let message: string | undefined;
    for (let n = 0; n < 200 && message === undefined; n++) {
      const Objects = Array.from({ length: 1000 }, (_, index) => ({ Key: `${'long'.repeat(240)}${n}/${index}` }));
      const { Errors = [] } = await s3.send(
        new DeleteObjectsCommand({ Bucket: bucket, Delete: { Objects, Quiet: true } }),
      );
      message = Errors[0]?.Message;
    }
    expect(message).toContain('delete markers');

    await server.kill();
    server = await startServer(pools, {}, within);
    s3 = client(server.url);
    await addUser('new-user');
    await s3.send(new CreateBucketCommand({ Bucket: 'new' }));
    await s3.send(new PutBucketVersioningCommand({ Bucket: 'new', VersioningConfiguration }));
    await s3.send(new DeleteBucketCommand({ Bucket: 'gone' }));
    // What is new goes to the other pool; what lies in the full one stays there.
    await s3.send(new PutObjectCommand({ Bucket: 'new', Key: 'new', Body: bodyOf('new', 300) }));
    await becomesFull(() => put(s3, keys.at(-1) ?? '', 100_000));
    await s3.send(new AbortMultipartUploadCommand({ ...of, UploadId }));

    // What frees something makes room for markers again.
    for (const Key of keys.slice(0, 300))
      await s3.send(new DeleteObjectCommand({ Bucket: bucket, Key, VersionId: 'null' }));
    const { Versions = [] } = await s3.send(new ListObjectVersionsCommand({ Bucket: bucket, Prefix: keys[0] }));
    expect(Versions).toEqual([]);
    await becomesPossible(() => s3.send(new DeleteObjectCommand({ Bucket: bucket, Key: keys[0] })));

    await server.kill();
    server = await startServer(pools, {}, within);
    s3 = client(server.url);
    const { Buckets = [] } = await s3.send(new ListBucketsCommand({}));
    expect(Buckets.map(({ Name }) => Name)).toEqual([bucket, 'new']);
    expect(await isThere(s3, keys.at(-1) ?? '', 100_000)).toBe(true);
    expect(server.output()).not.toContain('leaves the set');
    expect(await server.stop()).toBe(0);
    fsck(within, pools);
  }, 240_000);

  it('can be checked, and have their index built anew, without room for it', async () => {
    small = await mountSmall([200 * MiB, 200 * MiB]);
    const { folders, within } = small;
    const drives = folders.map((folder) => `${folder}/drive`);
    server = await startServer(drives, {}, within);
    let s3 = client(server.url);
    await s3.send(new CreateBucketCommand({ Bucket: bucket }));
    const keys = Array.from({ length: 100 }, (_, n) => `${n}`);
    await forAll(keys, async (key) => {
      await put(s3, key, 300);
    });
    for (const folder of folders) takeAllRoom(small.seen(folder));
    await server.kill();
    for (const flags of [[], ['--repair'], ['--rebuild'], []]) fsck(within, drives, ...flags);
    server = await startServer(drives, {}, within);
    s3 = client(server.url);
    expect(await listed(s3)).toEqual([...keys].sort());
    expect(await server.stop()).toBe(0);
  }, 120_000);

  it('get a pool beside them, and leave new objects and the index to it, at a start and while it runs', async () => {
    small = await mountSmall([300, 300, 600, 600].map((size) => size * MiB));
    const { folders, within } = small;
    const [root = ''] = folders.map((folder) => join(folder, '..'));
    const pools = [`${root}/fs{1...2}/drive`, `${root}/fs{3...4}/drive`];
    const [one = '', two = '', three = '', four = ''] = folders.map((folder) => small?.seen(folder) ?? folder);
    server = await startServer(pools.slice(0, 1), {}, within);
    let s3 = client(server.url);
    await s3.send(new CreateBucketCommand({ Bucket: bucket }));
    await put(s3, 'before', 300);
    for (const folder of [one, two]) takeAllRoom(folder);
    // Nothing of the index is on its drive yet.
    await server.kill();
    server = await startServer(pools, {}, within);
    s3 = client(server.url);
    expect(await isThere(s3, 'before', 300)).toBe(true);
    for (const folder of [one, two]) {
      const copies = ['format.json', 'format.copy.json'].map((name) =>
        readFileSync(`${folder}/drive/.granary/${name}`),
      );
      expect(copies[0]?.equals(copies[1] ?? Buffer.alloc(0))).toBe(true);
      expect(String(copies[0])).toContain('"pools":[1,1]');
    }

    const large = Array.from({ length: 12 }, (_, n) => `large/${n}`);
    for (const key of large) await put(s3, key, 2 * MiB);
    // More than the index keeps in memory at first.
    const keys = Array.from({ length: 5000 }, (_, n) => `small/${n}`);
    const Metadata = { much: 'm'.repeat(1900) };
    await forAll(keys, async (Key) => {
      await s3.send(new PutObjectCommand({ Bucket: bucket, Key, Body: 'small', Metadata }));
    });
    const hasIndex = (folder: string): boolean => existsSync(`${folder}/drive/.granary/index/runs/manifest`);
    await expect.poll(() => [three, four].filter(hasIndex), { timeout: 60_000 }).toHaveLength(1);
    expect([one, two].filter(hasIndex)).toEqual([]);
    await put(s3, 'later', 2 * MiB);
    expect(await server.stop()).toBe(0);
    expect(server.output()).not.toContain('XMinioStorageFull');

    fsck(within, pools);
    server = await startServer(pools, {}, within);
    s3 = client(server.url);
    expect(await listed(s3)).toEqual(['before', 'later', ...large, ...keys].sort());
    for (const key of ['later', ...large]) expect(await isThere(s3, key, 2 * MiB)).toBe(true);
    expect(server.output()).not.toContain('leaves the set');
  }, 240_000);

  it('an index without room waits in memory, and costs nothing at the next start', async () => {
    small = await mountSmall([448 * MiB, 128 * 1024]);
    const [drive = '', index = ''] = small.folders;
    const environment = { GRANARY_INDEX_DIR: `${index}/index` };
    server = await startServer([`${drive}/drive`], environment, small.within);
    let s3 = client(server.url);
    await s3.send(new CreateBucketCommand({ Bucket: bucket }));
    const keys = Array.from({ length: 1500 }, (_, n) => `key with a name of some length that fills the index ${n}`);
    await forAll(keys, async (key) => {
      await put(s3, key, 300);
    });
    // The end writes the index, and cannot.
    expect(await server.stop()).toBe(0);
    expect(server.output()).toContain('No space left on device');
    for (const isKilled of [false, true]) {
      server = await startServer([`${drive}/drive`], environment, small.within);
      s3 = client(server.url);
      expect(await listed(s3)).toEqual([...keys].sort());
      expect(await isThere(s3, keys[7] ?? '', 300)).toBe(true);
      await put(s3, keys[8] ?? '', 300);
      if (isKilled) await server.kill();
      else await server.stop();
    }
  }, 120_000);
});
