/** A server on simulated drives: it starts, works, is killed or loses its power, and starts again on what is left. */
import { kernels } from '../../../dist/native/index.js';
import { startEngine, type RunningEngine } from '../running-engine.js';
import type { Random } from '../../unit/journal/model/random.js';
import { CatalogStates, MemoryCatalog } from './memory-catalog.js';
import { directCompute } from './direct-compute.js';
import type { SimulatedFile } from './simulated-disk.js';
import { SimulatedDisk } from './simulated-disk.js';
import { SimulatedMachine, type Outcome, type Step } from './simulated-machine.js';
import { VirtualTime } from './virtual-time.js';

const arenaBytes = 32 << 20;
export const logFileBytes = 1 << 20;
/** One process has one server at a time. */
let memory: SharedArrayBuffer | null = null;

const startMsMax = 3_600_000;

/** Of sets: a seed leads a key to the same one every time. */
const placeKey = Buffer.alloc(32, 7);

export type Ending = 'kill' | 'power loss';

export interface Shape {
  /** Drives of each pool. */
  readonly pools: readonly number[];
  /** Of one set; a pool is one set when omitted. */
  readonly setDriveCount?: number;
}

export interface StartOptions {
  readonly plan?: (step: Step) => Outcome;
  /** Drives that are not there and not named, by their place among the folders. */
  readonly absent?: Iterable<number>;
  /** Drives that come and go are seen while it runs. */
  readonly isKept?: boolean;
}

export class SimulatedServer {
  readonly time = new VirtualTime();
  readonly machine: SimulatedMachine;
  readonly folders: readonly string[];
  readonly driveCount: number;
  readonly index = new CatalogStates();
  /** By their place among the folders: what else is there now. */
  readonly #away = new Map<number, SimulatedDisk>();
  running: RunningEngine | null = null;
  /** Of the last start. */
  lines: readonly string[] = [];

  constructor(
    readonly shape: Shape,
    readonly random: Random,
  ) {
    this.driveCount = shape.pools.reduce((sum, count) => sum + count);
    this.folders = Array.from({ length: this.driveCount }, (_, position) => `/drive${position + 1}`);
    const disks = this.folders.map(() => new SimulatedDisk());
    this.machine = new SimulatedMachine(this.time, random, this.folders, disks);
  }

  /** Null: the plan ended it before it was there. Requires: the time is installed. */
  async start({ plan, absent = [], isKept = false }: StartOptions = {}): Promise<RunningEngine | null> {
    this.machine.boot();
    if (plan !== undefined) this.machine.plan = plan;
    const { setDriveCount } = this.shape;
    const [drives = [], ...addedPools] = this.#groups(new Set(absent));
    const soon = (run: () => void): void => {
      this.time.after(this.random.next() * 0.2, () => {
        if (!this.machine.isDead) run();
      });
    };
    let outcome: { running: RunningEngine } | { error: unknown } | null = null;
    startEngine({
      drives,
      addedPools,
      ...(setDriveCount !== undefined && { setDriveCount }),
      isKept,
      indexDirectory: '',
      arenaBytes,
      logFileBytes,
      sweepAfterMs: 20,
      simulated: {
        memory: (memory ??= kernels.createArena(arenaBytes)),
        system: this.machine,
        clock: this.time,
        catalog: new MemoryCatalog(this.index, soon),
        compute: (arena, hashKey) => directCompute(arena, hashKey, soon),
        placeKey,
      },
    }).then(
      (running) => (outcome = { running }),
      (error: unknown) => (outcome = { error }),
    );
    const isOver = await this.time.runUntil(() => outcome !== null || this.machine.isDead, startMsMax);
    if (this.machine.isDead) return null;
    if (!isOver || outcome === null) throw new Error('the server does not come up');
    const result = outcome as { running: RunningEngine } | { error: unknown };
    if ('error' in result) throw result.error;
    // Whatever ended and whenever: what a record relies on in another set was durable before it.
    const { restored } = result.running;
    if (restored.length > 0)
      throw new Error(`${restored.map(({ name }) => name).join(', ')}: no record knew the bucket`);
    this.running = result.running;
    this.lines = result.running.lines;
    return result.running;
  }

  #groups(absent: ReadonlySet<number>): string[][] {
    let first = 0;
    return this.shape.pools.map((count) => {
      const group = this.folders.slice(first, first + count).filter((_, index) => !absent.has(first + index));
      first += count;
      return group;
    });
  }

  /** Ends the process as it stands; with the power goes what was not synced. */
  end(how: Ending): void {
    if (how === 'kill') this.machine.kill();
    else this.machine.losePower();
    // The index is gone now and then; else it is what was durable, or any state since.
    const { states } = this.index;
    const kept = this.random.pick([0, 0, states.length - 1, this.random.below(states.length)]);
    this.index.states = this.random.chance(0.25) ? [[]] : [states[kept] ?? []];
    this.running = null;
  }

  /** A clean stop. False: it was ended before. */
  async stop(): Promise<boolean> {
    const { running } = this;
    if (running === null) return false;
    let isDone = false;
    void running.close().then(() => (isDone = true));
    await this.time.runUntil(() => isDone || this.machine.isDead, startMsMax);
    if (this.machine.isDead) return false;
    if (!isDone) throw new Error('the server does not stop');
    this.running = null;
    return true;
  }

  /** Lets the server work until what is asked has settled. False: it did not, within `msMax` or before its end. */
  async settles(work: Promise<unknown>, msMax = startMsMax): Promise<boolean> {
    let outcome: { error?: unknown } | null = null;
    work.then(
      () => (outcome = {}),
      (error: unknown) => (outcome = { error }),
    );
    const isOver = await this.time.runUntil(() => outcome !== null || this.machine.isDead, msMax);
    const result = outcome as { error?: unknown } | null;
    if (result !== null && 'error' in result) throw result.error;
    return isOver && result !== null;
  }

  async passes(ms: number): Promise<void> {
    await this.time.runUntil(() => this.machine.isDead, ms);
  }

  /** Names of the blob files on each drive. */
  blobs(position: number): Set<string> {
    const names = new Set<string>();
    for (const [path] of this.machine.disks[position]?.files() ?? []) {
      if (path.startsWith('blobs/')) names.add(path.slice(path.lastIndexOf('/') + 1));
    }
    return names;
  }

  /** Its folder is not there, or nothing is mounted on it. */
  takeAway(position: number, leaves: 'bare folder' | 'no folder'): void {
    const disk = this.machine.disks[position];
    if (disk === undefined || this.#away.has(position)) return;
    this.#away.set(position, disk);
    this.machine.disks[position] = new SimulatedDisk(leaves);
  }

  bringBack(position: number): void {
    const disk = this.#away.get(position);
    if (disk === undefined) return;
    this.machine.disks[position] = disk;
    this.#away.delete(position);
  }

  /** Another disk stands in this place, empty. */
  exchange(position: number): void {
    this.#away.delete(position);
    this.machine.disks[position] = new SimulatedDisk();
  }

  /** Turns over some bits of blobs and of what is written of the logs, and takes a blob file away now and then. */
  damage(position: number): void {
    const { random } = this;
    const disk = this.#away.get(position) ?? this.machine.disks[position];
    for (let count = 1 + random.below(6); disk !== undefined && count > 0; count--) {
      const files = [...disk.files()].filter(
        ([path, { sectors }]) => (path.startsWith('blobs/') || path.startsWith('log/')) && sectors.size > 0,
      );
      if (files.length === 0) return;
      const [path, file] = random.pick(files);
      const place = path.startsWith('blobs/') && random.chance(0.25) ? disk.place(path) : null;
      if (place === null) flipSector(file, random);
      else place.folder.entries.delete(place.name);
    }
  }
}

function flipSector(file: SimulatedFile, random: Random): void {
  const index = random.pick([...file.sectors.keys()]);
  const sector = Buffer.from(file.sectors.get(index) ?? Buffer.alloc(0));
  const at = random.below(sector.length);
  sector[at] = (sector[at] ?? 0) ^ (1 << random.below(8));
  file.sectors.set(index, sector);
}
