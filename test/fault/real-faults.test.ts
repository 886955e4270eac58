/**
 * A real server, as it is shipped, whose files fail on purpose: it ends at the n-th call that changes a file on any
 * drive or of the index, in the middle of a write, also while it starts; or a drive or the index fails, fills up or is
 * slow. What was acknowledged is there and identical, what was not is old, new or absent. A failing run prints its
 * seed; GRANARY_SEED replays its choices (not the machine's timing), GRANARY_FAULT_ROUNDS makes it longer.
 */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { CreateBucketCommand } from '@aws-sdk/client-s3';
import { afterAll, describe, expect, it } from 'vitest';
import { CrashWorkload, crashClient } from '../support/crash-workload.js';
import { FaultShim, anyCall, calls } from '../support/fault-shim.js';
import { startServer, type KillableServer } from '../support/killable-server.js';
import { seededRandom } from '../support/seeded-random.js';
import { roomyFolder } from '../support/server.js';

const seed = Number(process.env['GRANARY_SEED'] ?? randomBytes(4).readUInt32LE());
const rounds = Number(process.env['GRANARY_FAULT_ROUNDS'] ?? 5);
const { EIO, ENOSPC } = constants.errno;

const folder = mkdtempSync(join(roomyFolder, 'granary-faults-'));
const drives = [1, 2, 3, 4].map((n) => join(folder, `drive${n}`));
const index = join(folder, 'index');
let server: KillableServer | null = null;

afterAll(async () => {
  await server?.kill();
  rmSync(folder, { recursive: true, force: true });
});

describe(`faults in the files of a real server (seed ${seed})`, () => {
  it(`loses nothing that was acknowledged in ${rounds} rounds`, async () => {
    const random = seededRandom(seed);
    const below = (bound: number): number => Math.floor(random() * bound);
    const shim = new FaultShim(folder, [...drives, index]);
    const environment = { ...shim.environment, GRANARY_INDEX_DIR: index };
    const workload = new CrashWorkload('faults', 6, 8, random);
    const counts = { stopped: 0, stoppedAtStart: 0, failed: 0, delayed: 0, calls: 0 };
    const said: string[] = [];
    const start = async (): Promise<KillableServer> => {
      shim.rest();
      // Now and then the start itself is cut off, twice in a row at the most.
      for (let attempt = 0; attempt < 2 && counts.calls > 0 && random() < 0.4; attempt++) {
        shim.plan({ mode: 'stop', after: 1 + below(40), seed: below(2 ** 31) });
        const cut = await startServer(drives, environment).catch((error: unknown) => String(error));
        if (typeof cut !== 'string') await cut.kill();
        else counts.stoppedAtStart++;
        shim.rest();
      }
      return await startServer(drives, environment);
    };
    try {
      for (let round = 0; round <= rounds; round++) {
        server = await start();
        let s3 = crashClient(server.url);
        if (round === 0) await s3.send(new CreateBucketCommand({ Bucket: 'faults' }));
        await workload.check(s3);
        if (round === rounds) break;
        let isOver = false;
        const storm = workload.run(s3, () => isOver);
        await new Promise((resolve) => setTimeout(resolve, 150 + random() * 300));
        counts.calls += shim.calls;
        const choice = random();
        if (choice < 0.55) {
          said.push(`round ${round}: stop`);
          shim.plan({ mode: 'stop', after: 1 + below(300), seed: below(2 ** 31) });
          const gone = new Promise((resolve) => server?.process.once('exit', resolve));
          await Promise.race([gone, new Promise((resolve) => setTimeout(resolve, 2500))]);
          counts.stopped += shim.hits > 0 ? 1 : 0;
        } else {
          // One drive, or the index: what fails alone must not be seen by anybody who reads.
          const root = 1 + below(drives.length + 1);
          const errno = random() < 0.5 ? EIO : ENOSPC;
          const isSlow = choice > 0.9;
          const kinds = random() < 0.5 ? anyCall : calls.write | calls.sync;
          const mode = isSlow ? 'delay' : random() < 0.5 ? 'fail once' : 'fail from then on';
          said.push(`round ${round}: ${mode}, root ${root}, errno ${isSlow ? 0 : errno}, kinds ${kinds}`);
          shim.plan({ mode, after: 1 + below(100), value: isSlow ? 1500 : errno, kinds, root });
          await new Promise((resolve) => setTimeout(resolve, 700));
          if (isSlow) counts.delayed += shim.hits > 0 ? 1 : 0;
          else counts.failed += shim.hits > 0 ? 1 : 0;
          isOver = true;
          shim.plan({ mode: 'none', after: 0 });
          await storm;
          expect(server.process.exitCode, 'the server goes on').toBe(null);
          await workload.check(s3, false);
        }
        isOver = true;
        await server.kill();
        await storm;
        s3.destroy();
        s3 = crashClient(server.url);
      }
      // Nothing is left that would not be there without faults: the drives hold everything, and the end is orderly.
      expect(await server?.stop()).toBe(0);
      server = null;
    } catch (error) {
      throw new Error(`seed ${seed}: ${said.join('; ')}; the server said: ${server?.output().slice(-3000) ?? ''}`, {
        cause: error,
      });
    } finally {
      shim.close();
    }
    console.log('real faults:', counts, workload.changes, 'changes');
    expect(counts.calls).toBeGreaterThan(100 * rounds);
    expect(workload.changes).toBeGreaterThan(5 * rounds);
    expect(counts.stopped + counts.failed + counts.delayed).toBeGreaterThan(0);
  });
});
