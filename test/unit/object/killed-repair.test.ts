/** A repair that is killed before its sync leaves in the memory of the machine what a power loss takes back. */
import { afterEach, expect, it } from 'vitest';
import { SimulatedServer } from '../../support/simulation/simulated-server.js';
import { Workload } from '../../support/workload.js';
import { Random } from '../journal/model/random.js';

const day = 86_400_000;
let server: SimulatedServer;
let workload: Workload;

afterEach(() => {
  server.machine.kill();
  server.time.uninstall();
});

async function startWith(seed: number, bytes: number): Promise<void> {
  server = new SimulatedServer({ pools: [4] }, new Random(seed));
  workload = new Workload(() => server.random.next(), seed);
  server.time.install();
  workload.running = (await server.start())!;
  workload.size = () => bytes;
  await server.settles(workload.createBucket('one'));
  await server.settles(workload.perform('put', 'one', 'key'));
}

/** Verifies everything, and writes anew what is wrong, as fast as it goes. */
async function upkeep(): Promise<void> {
  const { engine } = workload.running;
  const pace = { bytesPerSecondMax: Number.MAX_SAFE_INTEGER, shareMax: 1 };
  engine.setUpkeep({ heal: pace, scan: { pace, cycleMsMin: day } });
  await engine.upkeepDone();
}

/** What the index has noted is still there after the end. */
async function startAfter(ending: 'kill' | 'power loss', absent: readonly number[]): Promise<void> {
  const noted = server.index.states.at(-1) ?? [];
  server.end(ending);
  server.index.states = [noted];
  workload.running = (await server.start({ absent }))!;
}

/**
 * The first repair is killed at the sync behind its `step` on a path, the next start brings it to its end, and then power
 * is lost.
 */
async function expectDurable(step: string, sync: string, path: RegExp): Promise<void> {
  let isDone = false;
  server.machine.plan = (at) => {
    if (!path.test(at.path)) return { kind: 'done' };
    if (isDone && at.kind === sync) return { kind: 'crash' };
    if (at.kind === step) isDone = true;
    return { kind: 'done' };
  };
  expect(await server.settles(upkeep())).toBe(false);
  expect(isDone).toBe(true);
  server.machine.plan = () => ({ kind: 'done' });
  await startAfter('kill', []);
  expect(await server.settles(upkeep())).toBe(true);
  await startAfter('power loss', [0, 1]);
  await server.settles(workload.checkAll(false));
}

/** One sector of it is another: more than one repair would sync the first with the next. */
function damage(path: RegExp, sector: number): void {
  const [, file] = [...(server.machine.disks[2]?.files() ?? [])].find(([name]) => path.test(name)) ?? [];
  const flipped = Buffer.from(file?.sectors.get(sector) ?? Buffer.alloc(0));
  flipped[7] = (flipped[7] ?? 0) ^ 1;
  file?.sectors.set(sector, flipped);
}

const seeds = [1, 2, 3, 4, 5, 6, 7, 8];

it.each(seeds)('a shard is on the disk under its name before it counts, seed %i', async (seed) => {
  await startWith(seed, 600_000);
  damage(/^blobs\//, 20);
  await expectDurable('rename', 'sync folder', /^\/drive3\/blobs\//);
});

it.each(seeds)('what is mended in the log is on the disk before it counts, seed %i', async (seed) => {
  await startWith(seed, 60_000);
  // The file that is written to is synced by whatever comes next.
  for (let number = 0; workload.running.opened.journal.health().sequence < 45; number++) {
    await server.settles(workload.perform('put', 'one', `key ${number}`));
  }
  damage(/^log\/00000001\.log$/, 800);
  await expectDurable('write', 'sync', /^\/drive3\/log\/00000001\.log$/);
});
