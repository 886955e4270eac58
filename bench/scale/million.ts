/**
 * Question: what are a million objects of 1 KiB in one bucket: how fast do they come in, what do they take of the
 * drives, how fast are they listed, and how long does a start take after an orderly stop, a kill and a power loss?
 *
 * Estimate: 15,000 objects a second, as for 4 KiB; a shard of 512 bytes and a record of 400 on each drive, and a
 * twentieth more for batches that are not full pages; listings as in `path.list.1000`, 400,000 keys a second; a start
 * reads the block tables of the index (half a second) and replays what was only in memory, at most 60,000 records (a
 * table that is written and two that wait): a second.
 *
 * Result: docs/performance.md.
 *
 * How: the command on four drives on the disk, keys in no order, requests signed in rounds. `million.*` takes minutes
 * and some 6 GB.
 */
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { fourFiles } from '../anchor/programs.js';
import { beside, perSecond, runOnce } from '../load/figures.js';
import { Plan, type LoadFigures, type LoadTarget } from '../load/load.js';
import type { PlannedRequest } from '../load/plan.js';
import { startGranaryOn, type Server } from '../path/servers.js';
import { figure, type ReportRow } from '../report.js';
import { median } from '../statistics.js';
import type { Workspace } from '../workspace.js';
import { liveLogBytes, usageAtRest } from './drive-usage.js';
import { pageKeys, walkBucket } from './listing.js';
import { losePower } from './power-loss.js';
import { killServer, startAndGet, type TimedStart } from './starts.js';

export interface MillionOptions {
  readonly wants: (name: string) => boolean;
  readonly onProgress: (text: string) => void;
  readonly onFailure: (name: string, error: unknown) => void;
  readonly objects: number;
}

const names = {
  put: 'million.put',
  bytes: 'million.bytes',
  bytesAfterDeletes: 'million.bytes.deleted',
  listOne: 'million.list.c1',
  listMany: 'million.list.c16',
  clean: 'million.start.clean',
  kill: 'million.start.kill',
  power: 'million.start.power',
  rebuild: 'million.start.rebuild',
} as const;
export const millionNames: readonly string[] = Object.values(names);

const KiB = 1024;
const MiB = 1024 * KiB;
const bucket = 'million';
const objectBytes = KiB;
const driveCount = 4;
const connections = 64;
/** Requests of one plan: 60 MB of it. */
const roundObjects = 100_000;
/** A prime above any number of objects here: multiples of it visit all of them, in no order. */
const stride = 15_485_863;
const patternStep = 4093;
const listingsAtOnce = 16;
const listKeysPerSecondMin = 200_000;
const startSecondsMax = 3;
const startRounds = 3;
/** Long enough for the table in memory of the index to be as full as it gets. */
const loadMsBeforeKill = 2500;
const anchorSeconds = 2;
/** docs/engine.md, Compaction: so many log files beyond what is in use are no garbage, and that is bounded by this. */
const freeLogFiles = 7;
const logFileBytes = 64 * MiB;
const garbageFactorMax = 1.8;
const usageRestMs = 8000;
const usagePatienceMs = 240_000;

const objectPath = (index: number): string => `/${bucket}/objects/${index.toString().padStart(8, '0')}`;

function put(index: number): PlannedRequest {
  return {
    method: 'PUT',
    path: objectPath(index),
    bodyBytes: objectBytes,
    expectedStatus: 200,
    patternOffset: (index % 250) * patternStep,
  };
}

const noteOf = (starts: readonly TimedStart[]): string =>
  starts.map(({ seconds, cpuSeconds }) => `${seconds.toFixed(2)} s (${cpuSeconds.toFixed(2)} of CPU)`).join(', ');

class Million {
  readonly rows: ReportRow[] = [];
  readonly #drives: readonly string[];
  /** The one that has the drives; null: none has. */
  #server: Server | null = null;

  constructor(
    private readonly workspace: Workspace,
    private readonly options: MillionOptions,
    /** Of the drives. */
    private readonly folder: string,
    private readonly plans: string,
  ) {
    this.#drives = Array.from({ length: driveCount }, (_, index) => path.join(folder, `drive${index + 1}`));
  }

  async open(): Promise<void> {
    this.#server = await startGranaryOn(this.workspace, this.folder);
    const create: PlannedRequest = { method: 'PUT', path: `/${bucket}`, bodyBytes: 0, expectedStatus: 200 };
    await runOnce(this.workspace, this.#target, this.plans, [create], { connections: 1 });
  }

  async close(): Promise<void> {
    await this.#server?.stop();
    this.#server = null;
  }

  get #running(): Server {
    if (this.#server === null) throw new Error('no server has the drives');
    return this.#server;
  }

  get #target(): LoadTarget {
    return this.#running.target;
  }

  /** Signed in rounds. */
  async #load(what: string, count: number, request: (index: number) => PlannedRequest): Promise<LoadFigures[]> {
    const figures: LoadFigures[] = [];
    for (let from = 0; from < count; from += roundObjects) {
      this.options.onProgress(`${what}: ${figure(from)} of ${figure(count)}`);
      const requests = Array.from({ length: Math.min(roundObjects, count - from) }, (_, index) =>
        request(from + index),
      );
      figures.push(await runOnce(this.workspace, this.#target, this.plans, requests, { connections }));
    }
    return figures;
  }

  /** Number of the i-th object that is written. */
  #scattered(i: number): number {
    return (i * stride) % this.options.objects;
  }

  #note(): { note?: string } {
    return this.options.objects === 1_000_000 ? {} : { note: `with ${this.options.objects} objects` };
  }

  async put(): Promise<void> {
    const { objects, onProgress } = this.options;
    onProgress(`${names.put}: anchor`);
    const anchor = await fourFiles(this.workspace, { bytes: objectBytes, connections, medium: 'disk' }, anchorSeconds);
    await this.workspace.settle(this.folder);
    const rounds = await this.#load(names.put, objects, (i) => put(this.#scattered(i)));
    const elapsed = rounds.reduce((sum, { elapsedMicros }) => sum + elapsedMicros, 0);
    const value = objects / (elapsed / 1e6);
    this.rows.push({
      ...{ name: names.put, unit: 'objects/s', value, ratio: value / anchor },
      anchor: { name: 'four shard files, fdatasync (objects/s)', value: anchor },
      ...beside(rounds),
      ...this.#note(),
    });
  }

  async list(): Promise<void> {
    const { objects, onProgress } = this.options;
    onProgress(`${names.listOne}: following the tokens`);
    const walk = await walkBucket(this.#target, bucket);
    if (walk.keys !== objects) throw new Error(`a listing shows ${walk.keys} of ${objects} objects`);
    const plan = await Plan.write(this.workspace, this.#target, this.plans, walk.pages);
    try {
      const measure = async (name: string, atOnce: number, note: object): Promise<void> => {
        const runs: LoadFigures[] = [];
        for (let round = 1; round <= 2; round++) {
          onProgress(`${name}: round ${round} of 2`);
          runs.push(await plan.run({ connections: atOnce }));
        }
        const value = median(runs.map(perSecond)) * pageKeys;
        this.rows.push({
          ...{ name, unit: 'keys/s', value, ratio: value / listKeysPerSecondMin },
          anchor: { name: 'limit (keys/s)', value: listKeysPerSecondMin },
          ...beside(runs),
          ...note,
        });
      };
      const followed = `followed by a client in JavaScript for the first time: ${figure(walk.keys / walk.seconds)} keys/s`;
      await measure(names.listOne, 1, { note: followed });
      await measure(names.listMany, listingsAtOnce, this.#note());
    } finally {
      await plan.remove();
    }
  }

  /** What the objects take, after compaction. */
  async bytes(name: string, objects: number): Promise<void> {
    this.options.onProgress(`${name}: waiting for compaction`);
    const usage = await usageAtRest(this.#drives, usageRestMs, usagePatienceMs);
    // The index can be read when nobody has it.
    await this.close();
    const live = await liveLogBytes(this.#drives[0] ?? '');
    const floor = freeLogFiles * logFileBytes;
    const perDrive = usage.bytes / driveCount;
    const limit = (garbageFactorMax * live + floor) / objects;
    const beyond = Math.max(0, perDrive - floor) / live;
    const value = perDrive / objects;
    const anchor = live / objects;
    const notes = [
      `limit ${figure(limit)}: ${garbageFactorMax} × what is in use, and ${freeLogFiles} log files of 64 MiB`,
      `beyond those: ${beyond.toFixed(2)} × what is in use`,
      `the index, on one drive: ${figure(usage.indexBytes / objects)} more`,
    ];
    this.rows.push({
      ...{ name, unit: 'bytes per object and drive', value, ratio: anchor / value },
      anchor: { name: 'in use: shard and record (bytes)', value: anchor },
      note: notes.join('; '),
    });
    this.#server = await startGranaryOn(this.workspace, this.folder);
  }

  /** Objects are written over until the server is killed. */
  async #killUnderLoad(round: number): Promise<void> {
    const server = this.#running;
    const count = Math.min(this.options.objects, roundObjects);
    const requests = Array.from({ length: count }, (_, index) => put(this.#scattered(index + round * count)));
    const plan = await Plan.write(this.workspace, server.target, this.plans, requests);
    try {
      // Requests fail when the server is gone: that they do shows that it was under load.
      const hasFailed = plan.run({ connections, seconds: 60, loops: true }).then(
        () => false,
        () => true,
      );
      await new Promise((resolve) => setTimeout(resolve, loadMsBeforeKill));
      await killServer(server);
      if (!(await hasFailed)) throw new Error('the server was not under load when it was killed');
    } finally {
      await plan.remove();
    }
  }

  /** Seconds of starts, each after an end of the server that runs. */
  async #starts(name: string, rounds: number, end: (round: number) => Promise<void>): Promise<TimedStart[]> {
    const starts: TimedStart[] = [];
    for (let round = 1; round <= rounds; round++) {
      this.options.onProgress(`${name}: start ${round} of ${rounds}`);
      await end(round);
      // Another object each time.
      const started = await startAndGet(this.workspace, this.folder, objectPath(this.#scattered(round * 1013)));
      this.#server = started.server;
      starts.push(started);
    }
    return starts;
  }

  async #start(name: string, end: (round: number) => Promise<void>): Promise<void> {
    const starts = await this.#starts(name, startRounds, end);
    const value = median(starts.map(({ seconds }) => seconds));
    this.rows.push({
      ...{ name, unit: 's to the first object', value, ratio: startSecondsMax / value },
      anchor: { name: 'limit (s)', value: startSecondsMax },
      note: noteOf(starts),
    });
  }

  startClean(): Promise<void> {
    return this.#start(names.clean, () => this.#running.stop());
  }

  startAfterKill(): Promise<void> {
    return this.#start(names.kill, (round) => this.#killUnderLoad(round));
  }

  startAfterPowerLoss(): Promise<void> {
    return this.#start(names.power, async (round) => {
      await this.#killUnderLoad(startRounds + round);
      await losePower(this.workspace, this.#drives);
    });
  }

  /** Once: the index is made from the logs alone. No row has to be so bad. */
  async startWithoutIndex(): Promise<void> {
    const starts = await this.#starts(names.rebuild, 1, async () => {
      await killServer(this.#running);
      await rm(path.join(this.#drives[0] ?? '', '.granary', 'index'), { recursive: true });
    });
    this.rows.push({
      ...{ name: names.rebuild, unit: 's to the first object', value: starts[0]?.seconds ?? 0, ratio: Number.NaN },
      anchor: { name: 'none', value: Number.NaN },
      note: noteOf(starts),
    });
  }

  /** Every other object goes: half of what every log file holds. */
  async bytesAfterDeletes(): Promise<void> {
    const count = Math.floor(this.options.objects / 2);
    await this.#load(names.bytesAfterDeletes, count, (i) => ({
      method: 'DELETE',
      path: objectPath(2 * i),
      expectedStatus: 204,
    }));
    await this.bytes(names.bytesAfterDeletes, this.options.objects - count);
  }
}

export async function millionRows(workspace: Workspace, options: MillionOptions): Promise<ReportRow[]> {
  const folder = await workspace.makeFolder('disk', 'million');
  const plans = await workspace.makeFolder('disk', 'plans');
  const million = new Million(workspace, options, folder, plans);
  const steps: readonly { readonly makes: readonly string[]; readonly measure: () => Promise<void> }[] = [
    { makes: [names.listOne, names.listMany], measure: () => million.list() },
    { makes: [names.bytes], measure: () => million.bytes(names.bytes, options.objects) },
    { makes: [names.clean], measure: () => million.startClean() },
    { makes: [names.kill], measure: () => million.startAfterKill() },
    { makes: [names.power], measure: () => million.startAfterPowerLoss() },
    { makes: [names.rebuild], measure: () => million.startWithoutIndex() },
    { makes: [names.bytesAfterDeletes], measure: () => million.bytesAfterDeletes() },
  ];
  try {
    // All others need what this one writes.
    await million.open();
    await million.put();
    for (const { makes, measure } of steps) {
      if (!makes.some(options.wants)) continue;
      await measure().catch((error: unknown) => {
        options.onFailure(makes.join(', '), error);
      });
    }
  } finally {
    await million.close();
    await workspace.removeFolder(plans);
    await workspace.removeFolder(folder);
  }
  return million.rows;
}
