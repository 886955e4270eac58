/**
 * `kill -9` under load: what was acknowledged is there and identical, what was not is wholly old, wholly
 * new or absent. The seed of a failing run is printed; GRANARY_SEED replays its choices (not the machine's
 * timing), GRANARY_KILL_ROUNDS makes it longer.
 */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CreateBucketCommand } from '@aws-sdk/client-s3';
import { afterAll, describe, expect, it } from 'vitest';
import { CrashWorkload, crashClient, keysIn } from '../support/crash-workload.js';
import { startServer, type KillableServer } from '../support/killable-server.js';
import { seededRandom } from '../support/seeded-random.js';

const seed = Number(process.env['GRANARY_SEED'] ?? randomBytes(4).readUInt32LE());
const rounds = Number(process.env['GRANARY_KILL_ROUNDS'] ?? 6);
const bucket = 'crash';
const writers = 10;
const keysPerWriter = 12;

const folder = mkdtempSync(join(tmpdir(), 'granary-kill-'));
const drives = [1, 2, 3, 4].map((n) => join(folder, `drive${n}`));
const random = seededRandom(seed);
const workload = new CrashWorkload(bucket, writers, keysPerWriter, random);
let server: KillableServer | null = null;

afterAll(async () => {
  await server?.kill();
  rmSync(folder, { recursive: true, force: true });
});

describe(`kill -9 under load (seed ${seed})`, () => {
  it(`loses nothing that was acknowledged in ${rounds} rounds`, async () => {
    for (let round = 0; round <= rounds; round++) {
      server = await startServer(drives);
      const s3 = crashClient(server.url);
      if (round === 0) await s3.send(new CreateBucketCommand({ Bucket: bucket }));
      // Everything as it must be, before the next storm.
      await workload.check(s3).catch((error: unknown) => {
        const said = server?.output().slice(-2000) ?? '';
        throw new Error(`round ${round}, seed ${seed}; the server said: ${said}`, { cause: error });
      });
      if (round === rounds) break;
      let isOver = false;
      const storm = workload.run(s3, () => isOver);
      await new Promise((resolve) => setTimeout(resolve, 600 + random() * 1500));
      await server.kill();
      isOver = true;
      await storm;
      s3.destroy();
    }
    expect(await server?.stop()).toBe(0);
    server = null;
    expect(workload.changes).toBeGreaterThan(rounds * writers);
  });

  it('reads it all back with any two drives gone', async () => {
    const before = new Map<string, string | null>();
    server = await startServer(drives);
    let s3 = crashClient(server.url);
    for (const key of await keysIn(s3, bucket)) before.set(key, await workload.contentOf(s3, key));
    await server.stop();
    expect(before.size).toBeGreaterThan(10);
    for (const gone of [0, 1]) {
      // Positions gone and gone + 2: both halves of the set are used.
      const left = drives.filter((_, index) => index !== gone && index !== gone + 2);
      server = await startServer(left);
      s3 = crashClient(server.url);
      for (const [key, content] of before) expect(await workload.contentOf(s3, key), key).toBe(content);
      await server.stop();
    }
    server = null;
  });
});
