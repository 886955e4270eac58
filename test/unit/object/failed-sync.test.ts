/** After a failed sync the page cache shows what the disk has not, and the next sync says that all is well. */
import { constants } from 'node:os';
import { afterEach, expect, it } from 'vitest';
import { SimulatedServer } from '../../support/simulation/simulated-server.js';
import { Workload } from '../../support/workload.js';
import { Random } from '../journal/model/random.js';

const hour = 3_600_000;
let server: SimulatedServer;
let workload: Workload;

afterEach(() => {
  server.machine.kill();
  server.time.uninstall();
});

/** With each seed the disk has other parts of it. */
it.each([3, 4, 5, 6, 7, 8])('a shard whose sync failed is on the disk before it counts, seed %i', async (seed) => {
  server = new SimulatedServer({ pools: [4] }, new Random(seed));
  workload = new Workload(() => server.random.next(), seed);
  server.time.install();
  workload.running = (await server.start())!;
  workload.size = () => 600_000;
  await server.settles(workload.createBucket('one'));
  let failures = 0;
  server.machine.plan = ({ kind, path }) => {
    if (kind !== 'sync' || !path.startsWith('/drive3/blobs/') || failures++ > 0) return { kind: 'done' };
    return { kind: 'fails', errno: constants.errno.EIO };
  };
  await server.settles(workload.perform('put', 'one', 'key'));
  const [name] = workload.liveBlobs();
  const isBack = (): boolean =>
    workload.running.opened.journal.health().inSync.length === 4 && workload.lackingBlobs().size === 0;
  expect(await server.time.runUntil(isBack, hour)).toBe(true);
  expect(failures).toBeGreaterThan(1);
  server.end('power loss');
  workload.running = (await server.start())!;
  expect(server.blobs(2)).toContain(name);
  await server.stop();
  workload.running = (await server.start({ absent: [0, 1] }))!;
  await server.settles(workload.checkAll(false));
});
