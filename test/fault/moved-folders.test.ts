/**
 * Folders of drives that are renamed and exchanged for each other under a real server with clients at work: no byte
 * goes to another drive, nobody notices but the log, and what was acknowledged can be read from any drives that suffice.
 */
import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { S3Client } from '@aws-sdk/client-s3';
import { CreateBucketCommand, GetObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { crashClient } from '../support/crash-workload.js';
import { KillableServers, type KillableServer } from '../support/killable-server.js';
import { filesBelow } from '../support/running-engine.js';

const main = fileURLToPath(new URL('../../dist/main.js', import.meta.url));
const bucket = 'moved';
/** Inline, in the log, in blob files of one stripe and of several. */
const sizes = [90, 3_000, 30_000, 150_000, 400_001, 1_500_000];
const workers = 6;

let folder = '';
let drives: string[] = [];
const servers = new KillableServers();
/** SHA-256 of what was acknowledged. */
let acknowledged = new Map<string, string>();

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'granary-moved-'));
  drives = [1, 2, 3, 4].map((number) => join(folder, `d${number}`));
  acknowledged = new Map();
});

afterEach(async ({ task }) => {
  await servers.killAll(task.result?.state === 'fail');
  rmSync(folder, { recursive: true, force: true });
});

const client = (server: KillableServer): S3Client => crashClient(server.url, 60_000);

const hash = (body: Buffer): string => createHash('sha256').update(body).digest('hex');

interface Load {
  readonly count: () => number;
  /** Every request was answered well. */
  end(): Promise<void>;
}

function load(s3: S3Client): Load {
  let count = 0;
  let isOver = false;
  const done = Promise.all(
    Array.from({ length: workers }, async () => {
      while (!isOver) {
        const number = count++;
        const body = randomBytes((sizes[number % sizes.length] ?? 1) + number);
        await s3.send(new PutObjectCommand({ Bucket: bucket, Key: `object${number}`, Body: body }));
        acknowledged.set(`object${number}`, hash(body));
        // The machine has other things to do than to see how many there can be.
        await passes(60);
      }
    }),
  );
  // A test that ends before has another failure to tell of.
  done.catch(() => undefined);
  return {
    count: () => count,
    end: async () => {
      isOver = true;
      await done;
    },
  };
}

const passes = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

async function expectAll(server: KillableServer): Promise<void> {
  const s3 = client(server);
  const wrong: string[] = [];
  const keys = [...acknowledged];
  const read = async (): Promise<void> => {
    for (let next = keys.pop(); next !== undefined; next = keys.pop()) {
      const [key, expected] = next;
      const answer = await s3.send(new GetObjectCommand({ Bucket: bucket, Key: key })).catch(() => null);
      const body = await answer?.Body?.transformToByteArray().catch(() => null);
      if (!body || hash(Buffer.from(body)) !== expected) wrong.push(key);
    }
  };
  await Promise.all(Array.from({ length: workers }, read));
  expect(wrong, `of ${acknowledged.size} objects`).toEqual([]);
}

async function expectClean(): Promise<void> {
  const child = spawn(process.execPath, [main, 'fsck', '--json', ...drives], { stdio: ['ignore', 'pipe', 'pipe'] });
  let out = '';
  child.stdout.on('data', (data: Buffer) => (out += data.toString()));
  child.stderr.on('data', (data: Buffer) => (out += data.toString()));
  const code = await new Promise((resolve) => child.once('close', resolve));
  expect(code, out.slice(-3000)).toBe(0);
}

/** Each pair of drives is away in turn: what they have is in the others as well. */
async function expectAnyTwoSuffice(): Promise<void> {
  for (const [index, first] of drives.entries()) {
    for (const second of drives.slice(index + 1)) {
      const server = await servers.start([first, second]);
      await expectAll(server);
      await servers.stop(server);
    }
  }
}

/** The folder named first gets the name of the second, that one the third's, and the last the first's. */
function rotate(positions: readonly number[]): void {
  const names = positions.map((position) => drives[position] ?? '');
  const last = names.at(-1) ?? '';
  renameSync(last, `${last}.aside`);
  for (let index = names.length - 2; index >= 0; index--) renameSync(names[index] ?? '', names[index + 1] ?? '');
  renameSync(`${last}.aside`, names[0] ?? '');
}

function said(server: KillableServer, text: string): number {
  return server.output().split(text).length - 1;
}

it.each([
  ['two folders exchanged, and exchanged again', [1, 2], 2],
  ['three folders in turn', [1, 2, 3], 1],
])(
  '%s while clients write: nothing is lost or refused, and any two drives have all of it',
  async (_what, positions, times) => {
    const server = await servers.start(drives);
    const s3 = client(server);
    await s3.send(new CreateBucketCommand({ Bucket: bucket }));
    const writing = load(s3);
    await passes(1_500);
    for (let time = 0; time < times; time++) {
      rotate(positions);
      // Longer than two looks at the drives.
      await passes(7_500);
    }
    await writing.end();
    expect(writing.count()).toBeGreaterThan(100);
    await expectAll(server);
    await servers.stop(server);
    await expectClean();
    await expectAnyTwoSuffice();
    const output = server.output();
    expect(said(server, 'the folder of a drive was given another name: the drive goes on in it')).toBe(
      times * positions.length,
    );
    for (const position of positions) {
      expect(output).toContain(`"drive":"${drives[position]}","before":"`);
    }
    expect(output).not.toContain('leaves the set');
  },
);

it('a folder that is away for a while leaves the set, and is caught up in the place of another', async () => {
  const [, second = '', third = ''] = drives;
  const server = await servers.start(drives);
  const s3 = client(server);
  await s3.send(new CreateBucketCommand({ Bucket: bucket }));
  const writing = load(s3);
  await passes(1_500);
  renameSync(second, `${second}.away`);
  await expect.poll(() => said(server, 'leaves the set'), { timeout: 15_000 }).toBeGreaterThan(0);
  expect(server.output()).toContain('look at .granary/format.json');
  await passes(1_000);
  // Once for each write that was under way.
  const departures = said(server, 'leaves the set');
  renameSync(third, second);
  await expect.poll(() => said(server, 'was given another name'), { timeout: 15_000 }).toBe(1);
  renameSync(`${second}.away`, third);
  await expect.poll(() => said(server, 'a drive is there again'), { timeout: 15_000 }).toBe(1);
  await passes(2_000);
  await writing.end();
  await expectAll(server);
  // It goes at the pace of repairs, and the last blobs come after it.
  await expect.poll(() => said(server, 'holds everything again'), { timeout: 120_000 }).toBe(1);
  const blobs = (drive: string): number => filesBelow(join(drive, 'blobs')).length;
  await expect.poll(() => blobs(third), { timeout: 60_000 }).toBe(blobs(second));
  // The last of them may still be written.
  await passes(500);
  expect(said(server, 'leaves the set')).toBe(departures);
  await servers.stop(server);
  await expectClean();
  await expectAnyTwoSuffice();
});
