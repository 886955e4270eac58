/**
 * Snapshots of the drives, each of one moment, taken one after the other while clients write: what is restored from
 * them is the state of one moment between the first and the last, whole; of several sets, one moment for each.
 */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { S3Client } from '@aws-sdk/client-s3';
import {
  CreateBucketCommand,
  DeleteBucketCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  ListBucketsCommand,
  PutObjectCommand,
  S3ServiceException,
} from '@aws-sdk/client-s3';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { crashClient } from '../support/crash-workload.js';
import { startServer, type KillableServer } from '../support/killable-server.js';
import { standStill } from '../support/stand-still.js';

const main = fileURLToPath(new URL('../../dist/main.js', import.meta.url));

/** What a key held from some moment on; null: nothing. */
interface Change {
  readonly body: Buffer | null;
  readonly askedMs: number;
  readonly answeredMs: number;
}

const bucket = 'backup';
let folder = '';
const servers: KillableServer[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'granary-backup-'));
});

afterEach(async ({ task }) => {
  if (task.result?.state === 'fail') for (const server of servers) console.error(server.output().slice(-3000));
  for (const server of servers.splice(0)) await server.kill();
  rmSync(folder, { recursive: true, force: true });
});

async function start(
  drives: readonly string[],
  environment: Record<string, string> = {},
): Promise<{ server: KillableServer; s3: S3Client }> {
  const server = await startServer(drives, { GRANARY_RECLAIM_DELAY: '2m', ...environment });
  servers.push(server);
  const s3 = crashClient(server.url, 60_000);
  return { server, s3 };
}

async function get(s3: S3Client, key: string, of = bucket): Promise<Buffer | null> {
  try {
    const answer = await s3.send(new GetObjectCommand({ Bucket: of, Key: key }));
    return Buffer.from((await answer.Body?.transformToByteArray()) ?? []);
  } catch (error) {
    if (error instanceof S3ServiceException && error.name === 'NoSuchKey') return null;
    throw error;
  }
}

function mend(drives: readonly string[], isRepair = true): Promise<number | null> {
  const flags = isRepair ? ['--repair'] : [];
  const child = spawn(process.execPath, [main, 'fsck', ...flags, ...drives], { stdio: 'ignore' });
  return new Promise((resolve) => child.once('close', resolve));
}

const sizes = [100, 5_000, 150_000, 300_000, 1_200_000];

describe('snapshots of drives', () => {
  it.each([['in an order of their own', [2, 0, 3, 1]]])(
    'one after the other under load, %s, restore to one moment',
    async (_what, order) => {
      const drives = [1, 2, 3, 4].map((number) => join(folder, `drive${number}`));
      const copies = [1, 2, 3, 4].map((number) => join(folder, `copy${number}`));
      const { server, s3 } = await start(drives);
      await s3.send(new CreateBucketCommand({ Bucket: bucket }));
      const history = new Map<string, Change[]>();
      const change = async (key: string, body: Buffer | null): Promise<void> => {
        const askedMs = performance.now();
        const target = { Bucket: bucket, Key: key };
        await (body === null
          ? s3.send(new DeleteObjectCommand(target))
          : s3.send(new PutObjectCommand({ ...target, Body: body })));
        const changes = history.get(key) ?? [];
        changes.push({ body, askedMs, answeredMs: performance.now() });
        history.set(key, changes);
      };
      for (let index = 0; index < 20; index++)
        await change(`kept${index}`, randomBytes(sizes[index % sizes.length] ?? 1));
      let isOver = false;
      const load = Array.from({ length: 4 }, async (_, worker) => {
        for (let turn = 0; !isOver; turn++) {
          const key = `w${worker}/${turn % 6}`;
          const isDelete = turn % 6 === 5 && turn % 4 === 0;
          await change(key, isDelete ? null : randomBytes(sizes[(turn + worker) % sizes.length] ?? 1));
        }
      });
      await new Promise((resolve) => setTimeout(resolve, 500));
      const firstMs = performance.now();
      for (const drive of order) {
        // What a file system's snapshot is: everything of one instant.
        await standStill(server.process);
        cpSync(drives[drive] ?? '', copies[drive] ?? '', { recursive: true });
        server.process.kill('SIGCONT');
        await new Promise((resolve) => setTimeout(resolve, 150));
      }
      const lastMs = performance.now();
      isOver = true;
      await Promise.all(load);
      await server.stop();

      const restored = await start(copies);
      let newer = 0;
      for (const [key, changes] of history) {
        const found = await get(restored.s3, key);
        const before = changes.filter(({ answeredMs }) => answeredMs < firstMs).at(-1);
        const possible: (Buffer | null)[] = changes
          .filter(({ askedMs, answeredMs }) => askedMs <= lastMs && answeredMs >= firstMs)
          .map(({ body }) => body);
        possible.push(before?.body ?? null);
        const isOne = possible.some((body) => (body === null ? found === null : found?.equals(body) === true));
        expect(isOne, `${key} ${found?.length ?? 'absent'}`).toBe(true);
        if (found !== null && before?.body?.equals(found) !== true) newer++;
      }
      // The moment lies behind the first snapshot: not everything is as old as that.
      expect(newer).toBeGreaterThan(0);
      await restored.server.stop();
      // What the other drives have and one has not is written anew; then nothing is wrong.
      expect(await mend(copies)).toBe(0);
    },
    60_000,
  );

  it.each([
    ['first', [0, 1, 2, 3]],
    ['last', [2, 3, 0, 1]],
  ])(
    'of two sets, the one that keeps the buckets %s: nothing is unseen of what the other has',
    async (_, order) => {
      const drives = [1, 2, 3, 4].map((number) => join(folder, `drive${number}`));
      const copies = [1, 2, 3, 4].map((number) => join(folder, `copy${number}`));
      const { server, s3 } = await start(drives, { MINIO_ERASURE_SET_DRIVE_COUNT: '2' });
      const keys = Array.from({ length: 16 }, (__, index) => `k${index}`);
      const fill = async (name: string): Promise<Map<string, Buffer>> => {
        await s3.send(new CreateBucketCommand({ Bucket: name }));
        const contents = new Map<string, Buffer>();
        for (const [index, key] of keys.entries()) {
          const body = randomBytes(sizes[index % sizes.length] ?? 1);
          await s3.send(new PutObjectCommand({ Bucket: name, Key: key, Body: body }));
          contents.set(key, body);
        }
        return contents;
      };
      const kept = await fill(bucket);
      const early = await fill('early');
      let late = new Map<string, Buffer>();
      for (const [index, drive] of order.entries()) {
        await standStill(server.process);
        cpSync(drives[drive] ?? '', copies[drive] ?? '', { recursive: true });
        server.process.kill('SIGCONT');
        if (index !== 1) continue;
        late = await fill('late');
        for (const key of keys) await s3.send(new DeleteObjectCommand({ Bucket: 'early', Key: key }));
        await s3.send(new DeleteBucketCommand({ Bucket: 'early' }));
      }
      await server.stop();

      expect(await mend(copies, false)).toBe(1);
      const restored = await start(copies);
      const names = (await restored.s3.send(new ListBucketsCommand({}))).Buckets?.map(({ Name = '' }) => Name) ?? [];
      for (const [key, body] of kept) expect((await get(restored.s3, key))?.equals(body), key).toBe(true);
      // The first set is of before or behind what came between: of `late` it knows nothing yet, or of `early` any more.
      const lost = order[0] === 0 ? late : early;
      expect(names).toContain(order[0] === 0 ? 'early' : 'late');
      const [name = ''] = names.filter((one) => one.startsWith('restored-'));
      expect(names).toHaveLength(3);
      expect(restored.server.output()).toMatch(new RegExp(`set 1 does not know.* bucket ${name}`));
      let found = 0;
      for (const [key, body] of lost) {
        const is = await get(restored.s3, key, name);
        if (is === null) continue;
        expect(is.equals(body), key).toBe(true);
        found++;
      }
      expect(found).toBeGreaterThan(2);
      await restored.server.stop();
      expect(await mend(copies)).toBe(0);
    },
    60_000,
  );
});
