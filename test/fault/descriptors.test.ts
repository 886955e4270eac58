/**
 * A server that runs out of file descriptors, threads or memory: that says nothing of its drives. None of them leaves the
 * set, nothing is lost, and it goes on as soon as there are some again; a start says what there is too little of.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CreateBucketCommand, GetObjectCommand, PutObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { crashClient } from '../support/crash-workload.js';
import { limitDescriptors } from '../support/descriptor-limit.js';
import { startServer, type KillableServer } from '../support/killable-server.js';

const main = fileURLToPath(new URL('../../dist/main.js', import.meta.url));
const bucket = 'descriptors';
const writers = 8;
const enough = 4096;
/** In the log, in blobs of one stripe and of several. */
const sizes = [20_000, 300_000, 2_500_000];

let folder = '';
let drives: string[] = [];
let server: KillableServer | null = null;
const sockets: Socket[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'granary-descriptors-'));
  drives = [1, 2, 3, 4].map((number) => join(folder, `drive${number}`));
});

afterEach(async ({ task }) => {
  for (const socket of sockets.splice(0)) socket.destroy();
  if (task.result?.state === 'fail') console.error(server?.output().slice(-4000));
  await server?.kill();
  server = null;
  rmSync(folder, { recursive: true, force: true });
});

async function startWith(count: number): Promise<{ readonly pid: number; readonly s3: S3Client; readonly url: URL }> {
  server = await startServer(drives, {}, ['prlimit', `--nofile=${count}`]);
  const s3 = crashClient(server.url, 60_000);
  await s3.send(new CreateBucketCommand({ Bucket: bucket }));
  return { pid: server.process.pid ?? 0, s3, url: new URL(server.url) };
}

async function expectBodies(s3: S3Client, bodies: ReadonlyMap<string, Buffer>): Promise<void> {
  for (const [key, body] of bodies) {
    const answer = await s3.send(new GetObjectCommand({ Bucket: bucket, Key: key }));
    expect(body.equals(await (answer.Body?.transformToByteArray() ?? Promise.resolve(Buffer.of())))).toBe(true);
  }
}

async function expectSound(): Promise<void> {
  expect(server?.output()).not.toMatch(/leaves the set|writes stop|missing or damaged/);
  expect(await server?.stop()).toBe(0);
  const fsck = spawnSync(process.execPath, [main, 'fsck', '--quiet', ...drives], { encoding: 'utf8' });
  expect(fsck.status, fsck.stdout + fsck.stderr).toBe(0);
}

const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

it('keeps its drives and all that is in them, and goes on', async () => {
  const { pid, s3 } = await startWith(enough);
  const bodies = new Map<string, Buffer>();
  let isOver = false;
  const write = async (writer: number): Promise<void> => {
    for (let number = 0; !isOver; number++) {
      const key = `${writer}/${number}`;
      const body = randomBytes(sizes[(writer + number) % sizes.length] ?? 0);
      const isTaken = await s3.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: body })).then(
        () => true,
        () => false,
      );
      if (isTaken) bodies.set(key, body);
    }
  };
  const writing = Array.from({ length: writers }, (_, writer) => write(writer));
  for (let round = 0; round < 12; round++) {
    await wait(300);
    const open = readdirSync(`/proc/${pid}/fd`).length;
    limitDescriptors(pid, open - round);
    await wait(500);
    limitDescriptors(pid, enough);
  }
  isOver = true;
  await Promise.all(writing);
  expect(bodies.size).toBeGreaterThan(writers);
  await expectBodies(s3, bodies);
  await expectSound();
});

it('serves its clients although others connect with more than it has', async () => {
  const { s3, url } = await startWith(256);
  let isRefused = false;
  for (let count = 0; count < 300; count++) {
    const socket = connect(Number(url.port), url.hostname);
    socket.on('error', () => undefined).on('close', () => (isRefused = true));
    sockets.push(socket);
  }
  await expect.poll(() => isRefused).toBe(true);
  // Idle ones are closed after ten seconds: until then the client comes again.
  const bodies = new Map<string, Buffer>();
  const deadline = performance.now() + 40_000;
  while (bodies.size < 6 && performance.now() < deadline) {
    const body = randomBytes(sizes[bodies.size % sizes.length] ?? 0);
    const key = String(bodies.size);
    const isTaken = await s3.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: body })).then(
      () => true,
      () => false,
    );
    if (isTaken) bodies.set(key, body);
    else await wait(200);
  }
  expect(bodies.size).toBe(6);
  await expectBodies(s3, bodies);
  await expectSound();
});

it.each([
  ['--nofile=64', 'open files .* at least 256 are needed', 'Raise it \\(ulimit -n'],
  ['--nofile=300', 'with 16 drives 5\\d\\d are needed', 'Raise it \\(ulimit -n'],
  ['--as=5368709120', 'no address space for 4096 MiB', 'Give less with --memory'],
])('does not start with %s, and says what to do', (limit, text, remedy) => {
  const many = join(folder, 'drive{1...16}');
  const words = [limit, process.execPath, main, 'server', '--address', '127.0.0.1:0', '--memory', '4GiB', many];
  const { status, stderr } = spawnSync('prlimit', words, {
    encoding: 'utf8',
    env: { ...process.env, MINIO_ROOT_USER: 'tester', MINIO_ROOT_PASSWORD: 'tester-secret' },
  });
  expect(status).toBe(1);
  expect(stderr).toMatch(new RegExp(`^ERROR: .*${text}.*\\n {7}${remedy}`));
  // Before anything is formatted.
  expect(readdirSync(folder)).toEqual([]);
});

it('says of a check without descriptors that nothing was looked at', () => {
  const checked = spawnSync('prlimit', ['--nofile=64', process.execPath, main, 'fsck', folder], { encoding: 'utf8' });
  expect([checked.status, checked.stderr]).toEqual([2, expect.stringContaining('at least 256 are needed')]);
});

it('says that it has too few threads, whenever that shows', async () => {
  const source = fileURLToPath(new URL('../native/thread-shim.c', import.meta.url));
  const shim = join(folder, 'thread-shim.so');
  execFileSync('gcc', ['-shared', '-fPIC', '-O1', '-Wall', '-Wextra', '-Werror', '-o', shim, source, '-ldl']);
  const { s3 } = await startWith(enough);
  const bodies = new Map(sizes.map((bytes, index) => [`key ${index}`, randomBytes(bytes)]));
  for (const [key, body] of bodies) await s3.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: body }));
  expect(await server?.stop()).toBe(0);
  const words = [main, 'server', '--threads', '2', '--address', '127.0.0.1:0', ...drives];
  // The runtime needs ten, the drives some thirty.
  for (const count of [12, 20, 30]) {
    const { status, stderr } = spawnSync(process.execPath, words, {
      encoding: 'utf8',
      env: {
        ...{ ...process.env, MINIO_ROOT_USER: 'tester', MINIO_ROOT_PASSWORD: 'tester-secret' },
        ...{ LD_PRELOAD: shim, THREAD_SHIM_MAX: String(count) },
      },
    });
    expect([status, stderr]).toEqual([1, expect.stringMatching(/^ERROR: [^]*thread/)]);
  }
  server = await startServer(drives);
  await expectBodies(crashClient(server.url, 60_000), bodies);
  await expectSound();
});
