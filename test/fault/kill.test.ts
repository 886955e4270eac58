/**
 * `kill -9` under load: what was acknowledged is there and identical, what was not is wholly old, wholly
 * new or absent. The seed of a failing run is printed; GRANARY_SEED replays its choices (not the machine's
 * timing), GRANARY_KILL_ROUNDS makes it longer.
 */
import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  CompleteMultipartUploadCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import { afterAll, describe, expect, it } from 'vitest';
import { startServer, type KillableServer } from '../support/killable-server.js';
import { seededRandom } from '../support/seeded-random.js';

const seed = Number(process.env['GRANARY_SEED'] ?? randomBytes(4).readUInt32LE());
const rounds = Number(process.env['GRANARY_KILL_ROUNDS'] ?? 6);
const bucket = 'crash';
const writers = 10;
const keysPerWriter = 12;

/** What a key may hold: after an acknowledgement exactly one thing, with a change under way also the next. */
interface KeyState {
  acknowledged: string | null;
  underWay: string | null | undefined;
}

const folder = mkdtempSync(join(tmpdir(), 'granary-kill-'));
let server: KillableServer | null = null;

afterAll(async () => {
  await server?.kill();
  rmSync(folder, { recursive: true, force: true });
});

function client(url: string): S3Client {
  return new S3Client({
    endpoint: url,
    region: 'us-east-1',
    forcePathStyle: true,
    maxAttempts: 1,
    credentials: { accessKeyId: 'tester', secretAccessKey: 'tester-secret' },
    requestHandler: new NodeHttpHandler({ connectionTimeout: 5_000, requestTimeout: 30_000 }),
  });
}

const sum = (body: Uint8Array): string => createHash('sha256').update(body).digest('hex');

async function contentOf(s3: S3Client, key: string): Promise<string | null> {
  try {
    const answer = await s3.send(new GetObjectCommand({ Bucket: bucket, Key: key }));
    return sum((await answer.Body?.transformToByteArray()) ?? new Uint8Array());
  } catch (error) {
    if (error instanceof Error && error.name === 'NoSuchKey') return null;
    throw new Error(`${key} cannot be read; the server said: ${server?.output().slice(-2000) ?? ''}`, { cause: error });
  }
}

async function change(s3: S3Client, random: () => number, key: string, state: KeyState): Promise<void> {
  const choice = random();
  if (choice < 0.15) {
    state.underWay = null;
    await s3.send(new DeleteObjectCommand({ Bucket: bucket, Key: key }));
    state.acknowledged = null;
    state.underWay = undefined;
    return;
  }
  // Inline, in the log, in blob files, and multipart.
  const sizes = [random() * 600, random() * 20_000, random() * 300_000, 262_145 + random() * 3_000_000];
  const bytes = Math.floor(sizes[Math.floor(random() * sizes.length)] ?? 0);
  const body = randomBytes(bytes);
  if (choice > 0.93) {
    const parts = [randomBytes(5 << 20), body];
    const { UploadId } = await s3.send(new CreateMultipartUploadCommand({ Bucket: bucket, Key: key }));
    const listed = [];
    for (const [index, part] of parts.entries()) {
      const { ETag } = await s3.send(
        new UploadPartCommand({ Bucket: bucket, Key: key, UploadId, PartNumber: index + 1, Body: part }),
      );
      listed.push({ PartNumber: index + 1, ETag });
    }
    const whole = sum(Buffer.concat(parts));
    state.underWay = whole;
    await s3.send(
      new CompleteMultipartUploadCommand({ Bucket: bucket, Key: key, UploadId, MultipartUpload: { Parts: listed } }),
    );
    state.acknowledged = whole;
  } else {
    state.underWay = sum(body);
    await s3.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: body }));
    state.acknowledged = state.underWay;
  }
  state.underWay = undefined;
}

describe(`kill -9 under load (seed ${seed})`, () => {
  it(`loses nothing that was acknowledged in ${rounds} rounds`, async () => {
    const random = seededRandom(seed);
    const drives = [1, 2, 3, 4].map((n) => join(folder, `drive${n}`));
    const states = new Map<string, KeyState>();
    let changes = 0;
    for (let round = 0; round <= rounds; round++) {
      server = await startServer(drives);
      const s3 = client(server.url);
      if (round === 0) await s3.send(new CreateBucketCommand({ Bucket: bucket }));
      // Everything as it must be, before the next storm.
      for (const [key, state] of states) {
        const content = await contentOf(s3, key);
        const allowed = state.underWay === undefined ? [state.acknowledged] : [state.acknowledged, state.underWay];
        expect(allowed, `round ${round}, ${key}, seed ${seed}`).toContain(content);
        state.acknowledged = content;
        state.underWay = undefined;
      }
      const listed = new Set<string>();
      let token: string | undefined;
      do {
        const page = await s3.send(new ListObjectsV2Command({ Bucket: bucket, ContinuationToken: token, MaxKeys: 50 }));
        for (const { Key } of page.Contents ?? []) listed.add(Key ?? '');
        token = page.NextContinuationToken;
      } while (token !== undefined);
      const present = [...states].flatMap(([key, state]) => (state.acknowledged === null ? [] : [key]));
      expect([...listed].sort()).toEqual(present.sort());
      if (round === rounds) break;

      let isOver = false;
      const storm = Array.from({ length: writers }, async (_, writer) => {
        while (!isOver) {
          const key = `w${writer}/k${Math.floor(random() * keysPerWriter)}`;
          const state = states.get(key) ?? { acknowledged: null, underWay: undefined };
          states.set(key, state);
          try {
            await change(s3, random, key, state);
            changes++;
          } catch {
            // Cut off: the key stays under way until the next start tells.
            return;
          }
        }
      });
      await new Promise((resolve) => setTimeout(resolve, 600 + random() * 1500));
      await server.kill();
      isOver = true;
      await Promise.all(storm);
      s3.destroy();
    }
    expect(await server?.stop()).toBe(0);
    server = null;
    expect(changes).toBeGreaterThan(rounds * writers);
  });

  it('reads it all back with any two drives gone', async () => {
    const drives = [1, 2, 3, 4].map((n) => join(folder, `drive${n}`));
    const before = new Map<string, string | null>();
    server = await startServer(drives);
    let s3 = client(server.url);
    const page = await s3.send(new ListObjectsV2Command({ Bucket: bucket }));
    for (const { Key } of page.Contents ?? []) before.set(Key ?? '', await contentOf(s3, Key ?? ''));
    await server.stop();
    expect(before.size).toBeGreaterThan(10);
    for (const gone of [0, 1]) {
      // Positions gone and gone + 2: both halves of the set are used.
      const left = drives.filter((_, index) => index !== gone && index !== gone + 2);
      server = await startServer(left);
      s3 = client(server.url);
      for (const [key, content] of before) expect(await contentOf(s3, key), key).toBe(content);
      await server.stop();
    }
    server = null;
  });
});
