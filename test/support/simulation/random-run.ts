/**
 * A long random workload on simulated drives: objects, versions, uploads and writers on one key in waves, while the
 * process and the power end at any step, drives go, come back and are exchanged for empty ones, fail, fill up or hang
 * for a while, bits turn over, and the index is lost. After each of these everything is compared with the models. A
 * seed gives the same run every time.
 */
import { constants } from 'node:os';
import { writeQuorum } from '../../../dist/erasure/index.js';
import { Random } from '../../unit/journal/model/random.js';
import type { Outcome, Step } from './simulated-machine.js';
import type { Ending, Shape } from './simulated-server.js';
import { SimulatedWorld, settleMs } from './simulated-world.js';

const shapes: readonly Shape[] = [
  { pools: [4] },
  { pools: [4] },
  { pools: [4] },
  { pools: [6] },
  { pools: [5] },
  { pools: [3] },
  { pools: [2] },
  { pools: [1] },
  { pools: [8], setDriveCount: 4 },
  { pools: [6], setDriveCount: 3 },
  { pools: [4, 4] },
  { pools: [3, 6] },
  { pools: [4, 2] },
];

const troubles = [
  'crash',
  'crash',
  'crash',
  'crash at rest',
  'restart',
  'index lost',
  'damage',
  'damage',
  'drive away',
  'drive exchanged',
  'drive exchanged while it serves',
  'drive fails for a while',
  'drive hangs for a while',
  'drives full for a while',
  'mend',
] as const;
type Trouble = (typeof troubles)[number];

const { EIO } = constants.errno;
const sizes = [
  [0, 513],
  [513, 20_000],
  [20_000, 262_145],
  [262_145, 500_000],
  [1_048_576, 1_300_000],
] as const;
const waveStepsMax = 700;
/** A call that takes so long is past its limit. */
const hangMs = 45_000;
const fullMs = 5_000;
const lastsMs = 60_000;

export interface RandomCounts {
  /** Changes that were asked for. */
  changes: number;
  troubles: number;
  kills: number;
  powerLosses: number;
  inRecovery: number;
  /** Drives that were taken away, exchanged or failed. */
  losses: number;
  damages: number;
  /** Starts without as many drives as may be lost. */
  degraded: number;
  rebuilt: number;
  freedFiles: number;
  repaired: number;
  refusals: number;
  steps: number;
}

export const noRandomCounts = (): RandomCounts => ({
  changes: 0,
  troubles: 0,
  kills: 0,
  powerLosses: 0,
  inRecovery: 0,
  losses: 0,
  damages: 0,
  degraded: 0,
  rebuilt: 0,
  freedFiles: 0,
  repaired: 0,
  refusals: 0,
  steps: 0,
});

export class RandomRun {
  readonly random: Random;
  readonly world: SimulatedWorld;
  readonly counts = noRandomCounts();
  /** Drives that are not there, and what is: the server is started without a name for them, or finds no drive. */
  readonly #away = new Map<number, 'no name' | 'no folder' | 'bare folder'>();
  /** Drives that lack something or hold wrong bytes, those that are away among them: no more of a set than may be lost. */
  readonly #impaired = new Set<number>();

  constructor(readonly seed: number) {
    this.random = new Random(seed);
    this.world = new SimulatedWorld(this.random.pick(shapes), this.random, seed);
    this.world.isKept = true;
    const { workload, versions } = this.world;
    workload.partsMax = 1;
    workload.keysMax = 12;
    versions.keysMax = 5;
    versions.versionsMax = 6;
    workload.size = () => {
      const [from, below] = this.random.pick(sizes.slice(0, this.random.chance(0.1) ? 5 : 4));
      return from + this.random.below(below - from);
    };
  }

  async run(rounds: number): Promise<RandomCounts> {
    const { world, counts } = this;
    const { server, workload, versions } = world;
    server.time.install();
    try {
      await this.#prepare();
      for (let round = 0; round < rounds; round++) {
        await this.#trouble(this.random.pick(troubles));
        counts.troubles++;
      }
      await this.#mend();
      await world.checkRebuilt();
      await world.checkRest();
      await world.checkSpace();
      await world.stop();
      const { degraded, rebuilt, freedFiles, repairedShards: repaired } = world;
      const { refusals } = workload;
      const changes = workload.changes + versions.changes;
      const { steps } = server.machine;
      return Object.assign(counts, { degraded, rebuilt, freedFiles, repaired, refusals, changes, steps });
    } catch (error) {
      const { pools, setDriveCount } = server.shape;
      const drives = `${pools.join(' + ')} drives${setDriveCount === undefined ? '' : ` in sets of ${setDriveCount}`}`;
      const text = `random seed ${this.seed} (${drives}): ${world.story.slice(-20).join('; ')}`;
      throw new Error(`${text}\n${server.lines.slice(-12).join('')}`, { cause: error });
    } finally {
      server.machine.kill();
      server.time.uninstall();
    }
  }

  async #prepare(): Promise<void> {
    const { world } = this;
    world.adopt(await world.server.start({ isKept: true }));
    await world.work(async () => {
      for (const bucket of ['one', 'two']) await world.workload.createBucket(bucket);
      for (const bucket of ['history', 'paused']) {
        await world.versions.createBucket(bucket);
        await world.versions.setStatus(bucket, 'Enabled');
      }
    });
    await this.#waves(2);
    await world.server.passes(settleMs);
  }

  /** False: the server ended meanwhile. */
  async #waves(count: number): Promise<boolean> {
    const { world, random } = this;
    const { workload, versions } = world;
    for (let wave = 0; wave < count; wave++) {
      const isOver = await world.work(async () => {
        const work = [workload.wave(2 + random.below(8)), versions.wave(1 + random.below(4))];
        for (const outcome of await Promise.allSettled(work)) if (outcome.status === 'rejected') throw outcome.reason;
        if (workload.mustWrite && random.chance(0.4)) await versions.burst(2 + random.below(3));
      });
      if (!isOver) return false;
    }
    return true;
  }

  async #trouble(trouble: Trouble): Promise<void> {
    const { world } = this;
    const { server } = world;
    world.story.push(trouble);
    switch (trouble) {
      case 'crash':
        return this.#crash();
      case 'crash at rest':
        await this.#waves(1);
        return this.#recover();
      case 'restart':
      case 'index lost':
        await this.#waves(1);
        await world.stop();
        if (trouble === 'index lost') server.index.states = [[]];
        await this.#start();
        return;
      case 'damage':
        return this.#damage();
      case 'drive away':
      case 'drive exchanged': {
        await this.#waves(1);
        await world.stop();
        const drive = this.#victim();
        if (drive !== null) {
          this.counts.losses++;
          world.story.push(`drive ${drive + 1}`);
          if (trouble === 'drive away' || this.#isOrderUnknown()) this.#takeAway(drive);
          else this.#exchange(drive);
        }
        await this.#start();
        await this.#waves(1);
        return this.#check();
      }
      case 'drive exchanged while it serves':
      case 'drive fails for a while':
      case 'drive hangs for a while':
        return this.#failing(trouble);
      case 'drives full for a while':
        return this.#full();
      case 'mend':
        return this.#mend();
    }
  }

  /** A drive that may be impaired without loss: one that is already, or another while its set bears it. */
  #victim(): number | null {
    const { world, random } = this;
    const possible = world.sets.flatMap((drives) => {
      const impaired = drives.filter((drive) => this.#impaired.has(drive));
      return impaired.length < world.parityOf(drives[0] ?? -1) ? drives : impaired;
    });
    if (possible.length === 0) return null;
    const drive = random.pick(possible);
    this.#impaired.add(drive);
    return drive;
  }

  #takeAway(drive: number): void {
    if (this.#away.has(drive)) return;
    const leaves = this.random.pick(['no name', 'no folder', 'bare folder'] as const);
    this.world.story.push(leaves);
    this.#away.set(drive, leaves);
    if (leaves !== 'no name') this.world.server.takeAway(drive, leaves);
  }

  #exchange(drive: number): void {
    this.#away.delete(drive);
    this.world.server.exchange(drive);
  }

  /** Where not all folders are named an empty one may be taken for a drive that is away, and comes back. */
  #isOrderUnknown(): boolean {
    return this.#unnamed().length > 0;
  }

  #unnamed(): number[] {
    return [...this.#away].flatMap(([drive, leaves]) => (leaves === 'no name' ? [drive] : []));
  }

  /** The process or the power ends at some step of what is going on. */
  async #crash(): Promise<void> {
    const { world, random } = this;
    const { machine } = world.server;
    const number = machine.steps + 1 + random.below(waveStepsMax);
    machine.plan = (step) => this.#crashAt(step, number);
    for (let waves = 0; waves < 8 && (await this.#waves(1)); waves++);
    if (!machine.isDead) await world.server.passes(settleMs);
    await this.#recover();
  }

  #crashAt(step: Step, number: number): Outcome {
    if (step.kind === 'read' || step.number !== number) return { kind: 'done' };
    this.world.story.push(`${step.kind} ${step.path}`);
    return { kind: 'crash' };
  }

  async #recover(): Promise<void> {
    const { world, random, counts } = this;
    const { server } = world;
    for (;;) {
      const ending: Ending = random.chance(0.4) ? 'kill' : 'power loss';
      if (ending === 'kill') counts.kills++;
      else counts.powerLosses++;
      world.story.push(ending);
      world.count();
      server.end(ending);
      server.machine.full.clear();
      const number = server.machine.steps + 1 + random.below(60);
      if (await this.#start(random.chance(0.2) ? (step) => this.#crashAt(step, number) : undefined)) return;
      counts.inRecovery++;
    }
  }

  /** False: it ended before it was there. */
  async #start(plan?: (step: Step) => Outcome): Promise<boolean> {
    const { world } = this;
    const { server } = world;
    const running = await server.start({ absent: this.#unnamed(), isKept: true, ...(plan && { plan }) });
    if (running === null) return false;
    server.machine.plan = () => ({ kind: 'done' });
    world.adopt(running);
    await this.#check();
    return true;
  }

  /** Until a set takes writes, what its last records were is not decided. */
  async #check(): Promise<void> {
    await this.world.checkAll(this.world.running.engine.health().canWrite);
  }

  async #damage(): Promise<void> {
    const { world, random, counts } = this;
    const drive = this.#victim();
    const isAtRest = random.chance(0.5);
    if (isAtRest) await world.stop();
    if (drive !== null) {
      counts.damages++;
      world.story.push(`drive ${drive + 1}${isAtRest ? ' at rest' : ''}`);
      world.server.damage(drive);
    }
    if (isAtRest) await this.#start();
    await this.#waves(1);
    await this.#check();
  }

  /** Its calls fail, or take too long, or another disk stands in its place. Then it is as before, and the work goes on. */
  async #failing(trouble: Trouble): Promise<void> {
    const { world, random, counts } = this;
    const { server, workload } = world;
    const drive = this.#victim();
    if (drive === null || this.#away.has(drive)) return;
    // A start that finds it empty still would have to guess.
    if (trouble === 'drive exchanged while it serves' && this.#isOrderUnknown()) return;
    counts.losses++;
    world.story.push(`drive ${drive + 1}`);
    workload.mustWrite &&= this.#maySpare();
    const first = server.machine.steps + random.below(40);
    let isExchanged = false;
    server.machine.plan = (step) => {
      if (step.drive !== drive || step.number < first) return { kind: 'done' };
      if (trouble === 'drive fails for a while') return { kind: 'fails', errno: EIO };
      if (trouble === 'drive hangs for a while') return { kind: 'takes', ms: hangMs };
      if (!isExchanged) server.exchange(drive);
      isExchanged = true;
      return { kind: 'done' };
    };
    if (!(await this.#waves(2))) throw new Error('the server ended');
    await world.checkAll(false);
    server.machine.plan = () => ({ kind: 'done' });
    if (workload.mustWrite && this.#away.size === 0 && random.chance(0.4)) {
      // It comes to rest without a start, too.
      world.story.push('rest');
      await world.checkSound();
      await world.checkRest();
    } else if (random.chance(0.5)) await server.passes(lastsMs);
    // What was refused is decided by a start.
    await this.#recover();
  }

  /** Those that are impaired may all be out of their set. */
  #maySpare(): boolean {
    const { sets } = this.world.running.deployment;
    return this.world.sets.every((drives, setIndex) => {
      const { dataShards = 0, parityShards = 0 } = sets[setIndex] ?? {};
      const sound = drives.filter((drive) => !this.#impaired.has(drive));
      return sound.length >= writeQuorum(dataShards, parityShards);
    });
  }

  /** A body may come to lack a shard on any drive, until that is repaired: nothing else may be impaired so long. */
  async #full(): Promise<void> {
    if (this.#impaired.size > 0) return;
    const { world, random } = this;
    const { server, workload } = world;
    const { full } = server.machine;
    workload.mustWrite = false;
    const isOne = random.chance(0.5);
    for (const drive of server.folders.keys()) if (!isOne || drive === 0) full.add(drive);
    server.time.after(fullMs, () => full.clear());
    if (!(await this.#waves(2))) throw new Error('the server ended');
    await world.checkAll(false);
    full.clear();
    await this.#recover();
    await world.allBack();
  }

  /** Everything that was away is back, in part as an empty drive; what is damaged is written anew and carries the data. */
  async #mend(): Promise<void> {
    const { world, random } = this;
    const isWhileItServes = this.#away.size > 0 && !this.#isOrderUnknown() && random.chance(0.5);
    if (!isWhileItServes) await world.stop();
    for (const drive of [...this.#away.keys()]) {
      if (random.chance(0.4)) this.#exchange(drive);
      else world.server.bringBack(drive);
    }
    this.#away.clear();
    if (isWhileItServes) {
      world.story.push('back while it serves');
      await world.allBack();
      await world.stop();
    }
    await this.#start();
    await world.allBack();
    await world.checkSound();
    await world.checkRest();
    if (random.chance(0.4) || this.#impaired.size > 0) await world.checkDegraded(this.#impaired);
    this.#impaired.clear();
    if (random.chance(0.3)) await world.checkRebuilt();
  }
}
