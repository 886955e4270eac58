/** Files that no record names any more are removed while the server runs, and no other. */
import { constants } from 'node:os';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { SimulatedServer } from '../../support/simulation/simulated-server.js';
import { Workload } from '../../support/workload.js';
import { Random } from '../journal/model/random.js';

const hour = 3_600_000;
const full = { bytesPerSecondMax: Number.MAX_SAFE_INTEGER, shareMax: 1 };
let server: SimulatedServer;
let workload: Workload;

beforeEach(async () => {
  server = new SimulatedServer({ pools: [4] }, new Random(5));
  workload = new Workload(() => server.random.next(), 5);
  workload.size = () => 600_000;
  server.time.install();
  workload.running = (await server.start({ isKept: true }))!;
  await server.settles(workload.createBucket('one'));
});

afterEach(() => {
  server.machine.kill();
  server.time.uninstall();
});

async function scan(): Promise<void> {
  const { engine } = workload.running;
  engine.setUpkeep({ heal: full, scan: { pace: full, cycleMsMin: 24 * hour } });
  expect(await server.settles(engine.upkeepDone())).toBe(true);
}

const isBack = (): boolean => workload.running.opened.journal.health().inSync.length === 4;

/** Every drive has the files that records name. */
function expectClean(): void {
  for (const drive of server.folders.keys())
    expect(server.blobs(drive), `drive ${drive + 1}`).toEqual(workload.liveBlobs());
}

it('of a drive that was away when they were dropped, once it is back', async () => {
  for (const key of ['first', 'second', 'third']) await server.settles(workload.perform('put', 'one', key));
  const [name = ''] = workload.liveBlobs();
  server.machine.plan = ({ drive }) => (drive === 2 ? { kind: 'fails', errno: constants.errno.EIO } : { kind: 'done' });
  for (const key of ['first', 'second']) await server.settles(workload.perform('delete', 'one', key));
  await server.passes(5_000);
  server.machine.plan = () => ({ kind: 'done' });
  expect(await server.time.runUntil(isBack, hour)).toBe(true);
  expect(server.blobs(2)).toContain(name);
  await scan();
  expectClean();
  expect(server.blobs(2).size).toBe(1);
  await server.settles(workload.checkAll(true));
});

it('of the last epoch before a start without enough drives to write', async () => {
  await server.settles(workload.perform('put', 'one', 'key'));
  const [leftover = ''] = workload.liveBlobs();
  const disk = server.machine.disks[0]!;
  const [path, file] = [...disk.files()].find(([at]) => at.endsWith(leftover))!;
  await server.settles(workload.perform('put', 'one', 'key'));
  expect(await server.time.runUntil(() => !server.blobs(0).has(leftover), 10_000)).toBe(true);
  expect(await server.stop()).toBe(true);
  // A power loss takes an unlink back.
  disk.change({ ...disk.place(path)!, after: file });
  expect(server.blobs(0)).toContain(leftover);
  for (const drive of [2, 3]) server.exchange(drive);
  workload.running = (await server.start({ isKept: true }))!;
  expect(workload.running.engine.health().canWrite).toBe(false);
  expect(await server.time.runUntil(() => isBack() && workload.lackingBlobs().size === 0, hour)).toBe(true);
  // What a start looks for, it looks for as soon as it may.
  expect(await server.time.runUntil(() => !server.blobs(0).has(leftover), 60_000)).toBe(true);
  expectClean();
  await server.settles(workload.checkAll(true));
});

it('but not of an upload under way, nor of one that a set left open when it stopped', async () => {
  const { engine } = workload.running;
  const upload = engine.openUpload({
    bucket: 'one',
    key: 'slow',
    bytes: 2_000_000,
    sha256: false,
    checksum: null,
    signedStream: null,
    storageClass: 'STANDARD',
  });
  const body = workload.newBody(2_000_000);
  upload.write(body, 0, 1_500_000);
  await server.passes(1_000);
  const [slow = ''] = server.blobs(0);
  expect(slow).not.toBe('');
  // Its record is on two drives of three that it takes, when the set stops.
  workload.mustWrite = false;
  const first = server.machine.steps;
  server.machine.plan = ({ drive, kind, path }) =>
    drive >= 2 && kind === 'sync' && path.includes('/log/')
      ? { kind: 'fails', errno: constants.errno.EIO }
      : { kind: 'done' };
  await server.settles(workload.perform('put', 'one', 'open'));
  expect(server.machine.steps).toBeGreaterThan(first);
  expect(workload.refusals).toBe(1);
  server.machine.plan = () => ({ kind: 'done' });
  expect(await server.time.runUntil(() => engine.health().canWrite && isBack(), hour)).toBe(true);
  await scan();
  expect(server.blobs(0)).toContain(slow);
  expect(server.blobs(0).size).toBe(2);
  await server.settles(workload.checkAll(true));
  upload.abort();
  await server.passes(1_000);
  await scan();
  expect(server.blobs(0)).not.toContain(slow);
});
