/**
 * Crash points of one operation: it is begun again and again on the same drives, and the process or the power ends at
 * its first step, then at its second, until it gets to its end. After each crash the server starts on what is left,
 * sometimes to be ended in the middle of that as well, and everything is compared with the model. Or instead of the
 * process that one step fails, or does not end, and the drive with it for a while; the process ends afterwards.
 */
import { constants } from 'node:os';
import { writeQuorum } from '../../../dist/erasure/index.js';
import { Random } from '../../unit/journal/model/random.js';
import { scenarios, type Scenario } from './scenarios.js';
import type { Outcome, Step } from './simulated-machine.js';
import type { Ending } from './simulated-server.js';
import { SimulatedWorld, settleMs } from './simulated-world.js';

const { EIO, ENOSPC } = constants.errno;

export interface CrashCounts {
  points: number;
  kills: number;
  powerLosses: number;
  /** Crashes while the server started. */
  inRecovery: number;
  /** Crashes while new folders were formatted. */
  firstStarts: number;
  /** Steps that failed or did not end in time. */
  faults: number;
  /** Starts without as many drives as may be lost. */
  degraded: number;
  rebuilt: number;
  /** Log files that compaction freed. */
  freedFiles: number;
  /** Shards and pieces of logs that were written anew. */
  repaired: number;
  /** Writes, syncs and changes of names on all drives. */
  steps: number;
}

export const noCounts = (): CrashCounts => ({
  points: 0,
  kills: 0,
  powerLosses: 0,
  inRecovery: 0,
  firstStarts: 0,
  faults: 0,
  degraded: 0,
  rebuilt: 0,
  freedFiles: 0,
  repaired: 0,
  steps: 0,
});

/** Steps that may come after the answer: unlinks, the next log file. */
const afterMs = 40;
/** Compaction looks every half second whether it is worth while, and frees a file when nobody reads in it. */
const compactionMs = 1_600;
const churnKeys = 8;
/** As much as goes into the log; a few of them are a log file. */
const fillBytes = 40_000;
const fillsMax = 500;
const roomMs = 5_000;

export interface CrashRunOptions {
  readonly pointsMax: number;
  readonly strideMax: number;
  readonly passes: number;
}

export class CrashRun {
  readonly random: Random;
  readonly world: SimulatedWorld;
  readonly scenario: Scenario;
  readonly counts = noCounts();
  readonly kind: 'crashes' | 'faults';
  /** Drives that are away. */
  #absent: readonly number[] = [];
  /** Drives that were damaged and are not known to be sound again. */
  readonly #damaged = new Set<number>();
  #churns = 0;
  /** Keys of what filled the drives. */
  readonly #fillings = new Set<string>();

  constructor(
    readonly seed: number,
    scenario: Scenario | undefined,
    kind: 'crashes' | 'faults',
  ) {
    this.random = new Random(seed);
    this.scenario = scenario ?? this.random.pick(scenarios);
    // A drive that is away and one that fails may be more than can be spared; full drives are a fault of their own.
    this.kind = this.scenario.isShort === true || this.scenario.isFull === true ? 'crashes' : kind;
    this.world = new SimulatedWorld(this.random.pick(this.scenario.shapes), this.random, seed);
    const { workload } = this.world;
    workload.partsMax = this.scenario.partsMax ?? 1;
    workload.size = () => {
      const [from, below] = this.scenario.sizes;
      return from + this.random.below(below - from);
    };
  }

  /**
   * Until the operation came to its end so many times, or `pointsMax` points are made; from one to the next up to
   * `strideMax` steps.
   */
  async run({ pointsMax, strideMax, passes }: CrashRunOptions): Promise<CrashCounts> {
    const { world, counts } = this;
    const { server } = world;
    server.time.install();
    try {
      await this.#prepare();
      let step = 1 + this.random.below(strideMax);
      for (let ends = 0; ends < passes && counts.points < pointsMax;) {
        await this.#stage();
        const isCrashed = this.kind === 'crashes' ? await this.#point(step) : await this.#faultPoint(step);
        if (!isCrashed) {
          // The operation came to its end. What of it is done when it is cut off differs from one pass to the next.
          ends++;
          await this.#check();
        }
        step = (isCrashed ? step : 0) + 1 + this.random.below(strideMax);
      }
      await this.#finish();
      const { degraded, rebuilt, freedFiles, repairedShards: repaired } = world;
      return Object.assign(counts, { degraded, rebuilt, freedFiles, repaired, steps: server.machine.steps });
    } catch (error) {
      const { pools, setDriveCount } = server.shape;
      const drives = `${pools.join(' + ')} drives${setDriveCount === undefined ? '' : ` in sets of ${setDriveCount}`}`;
      const text = `seed ${this.seed} (${this.kind}, ${this.scenario.name}, ${drives}): ${world.story.slice(-8).join('; ')}`;
      throw new Error(`${text}\n${server.lines.slice(-12).join('')}`, { cause: error });
    } finally {
      server.machine.kill();
      server.time.uninstall();
    }
  }

  async #prepare(): Promise<void> {
    const { world, scenario } = this;
    const { workload, versions } = world;
    await this.#firstStart();
    await world.work(async () => {
      for (const bucket of ['one', 'two']) await workload.createBucket(bucket);
      for (const key of ['a', 'b', 'c/d']) await workload.perform('put', 'one', key);
      await workload.perform('multipart', 'two', 'm');
      await workload.perform('system', 'two', '');
      const bucket = scenario.versions?.bucket;
      if (bucket === undefined) return;
      await versions.createBucket(bucket);
      // Written before versioning was on: it is the null version.
      for (const key of ['v', 'w']) await versions.perform('put', bucket, key);
      await versions.setStatus(bucket, 'Enabled');
      for (const key of ['v', 'w', 'x/y']) await versions.perform('put', bucket, key);
      if (bucket === 'paused') await versions.setStatus(bucket, 'Suspended');
    });
    await world.server.passes(settleMs);
  }

  /** Sometimes it takes several: the folders are formatted in part then. */
  async #firstStart(): Promise<void> {
    const { random, counts, world } = this;
    const { server } = world;
    for (let tries = random.chance(0.5) ? 0 : 1 + random.below(4); tries > 0; tries--) {
      const number = server.machine.steps + 1 + random.below(330 * server.driveCount);
      if ((await server.start({ plan: (step) => this.#crashAt(step, number) })) !== null) break;
      world.story.push('first start cut off');
      counts.points++;
      counts.firstStarts++;
      server.end(random.chance(0.4) ? 'kill' : 'power loss');
    }
    if (server.running !== null) server.machine.plan = () => ({ kind: 'done' });
    world.adopt(server.running ?? (await server.start()));
  }

  /** What has to be there before each point: nothing ends here. */
  async #stage(): Promise<void> {
    const { scenario, world, random } = this;
    const { workload, versions, server } = world;
    // What an operation on something needs, when the one before took it away.
    if (scenario.isOnPresent === true && workload.presentKey('one') === null) {
      await world.work(() => workload.perform('put', 'one', 'a'));
    }
    if (scenario.versions !== undefined) {
      const { bucket, operation } = scenario.versions;
      await world.work(async () => {
        if (operation === 'suspend') await versions.setStatus(bucket, 'Enabled');
        // Chains stay short, and are never gone.
        if (versions.keyWith(bucket, 5) !== null) await versions.perform('end several', bucket, 'v');
        for (const key of ['v', 'x/y'])
          if (versions.keyWith(bucket, 2) === null) await versions.perform('put', bucket, key);
      });
    }
    if (scenario.isShort === true) {
      await world.stop();
      this.#absent = [random.pick(world.sets.at(-1) ?? [])];
      world.story.push(`without drive ${this.#absent.map((drive) => drive + 1).join()}`);
      world.adopt(await server.start({ absent: this.#absent }));
    }
    if (scenario.upkeep === 'heal') this.#damage();
    if (scenario.isFull === true) await this.#fill();
  }

  /** Until no log file can be made: only what has a part of the reserve goes through. */
  async #fill(): Promise<void> {
    const { workload, server } = this.world;
    for (const drive of server.folders.keys()) server.machine.full.add(drive);
    this.world.story.push('full');
    const { size, refusals } = workload;
    workload.size = () => fillBytes;
    workload.mustWrite = false;
    await this.world.work(async () => {
      for (let n = 0; n < fillsMax && workload.refusals === refusals; n++) {
        this.#fillings.add(`fill ${n}`);
        await workload.perform('put', 'one', `fill ${n}`);
      }
    });
    if (workload.refusals === refusals) throw new Error('the drives do not get full');
    workload.size = size;
    workload.mustWrite = true;
  }

  async #makeRoom(): Promise<void> {
    const { workload, server } = this.world;
    server.machine.full.clear();
    await this.world.work(async () => {
      for (const key of this.#fillings) await workload.perform('delete', 'one', key);
    });
    this.#fillings.clear();
    // The log files ahead are made again.
    await server.passes(roomMs);
  }

  /** Not more drives of a set than may be lost, those that fail among them. */
  #damage(): void {
    const { world, random } = this;
    if (this.#damaged.size === 0) {
      const kept = this.kind === 'faults' ? 1 : 0;
      for (const drive of world.absentees(new Set(), kept)) if (random.chance(0.7)) this.#damaged.add(drive);
    }
    for (const drive of this.#damaged) world.server.damage(drive);
    world.story.push(`damage on ${[...this.#damaged].map((drive) => drive + 1).join()}`);
  }

  /** True: the crash came before the operation and what follows it were over. */
  async #point(step: number): Promise<boolean> {
    const { world } = this;
    const { machine } = world.server;
    const first = machine.steps;
    machine.plan = (at) => this.#crashAt(at, first + step);
    const isSettled = await world.work(() => this.#act());
    if (isSettled) await world.server.passes(afterMs);
    if (!machine.isDead) {
      machine.plan = () => ({ kind: 'done' });
      return false;
    }
    world.story.push(`step ${step}, ${isSettled ? 'after' : 'before'} the answer`);
    this.counts.points++;
    await this.#recover();
    await this.#check();
    return true;
  }

  /** True: the step came. */
  async #faultPoint(step: number): Promise<boolean> {
    const { random, world } = this;
    const { server, workload } = world;
    const { machine } = server;
    const fault = random.pick(['EIO', 'EIO', 'ENOSPC', 'late', 'never'] as const);
    // One drive may fail for good, if the others are enough.
    const isLasting = random.chance(0.5);
    const number = machine.steps + step;
    let hit = -1;
    machine.plan = (at) => {
      const isIt = at.kind !== 'read' && at.number === number;
      if (isIt) {
        hit = at.drive;
        world.story.push(`step ${step}: ${fault}${isLasting ? ' from then on' : ''} at ${at.kind} ${at.path}`);
        if (fault === 'ENOSPC') machine.full.add(hit);
      }
      if (!isIt && !(isLasting && at.drive === hit)) return { kind: 'done' };
      if (fault === 'late') return { kind: 'takes', ms: 45_000 };
      if (fault === 'never') return { kind: 'takes', ms: isIt ? Infinity : 1 };
      return { kind: 'fails', errno: fault === 'EIO' ? EIO : ENOSPC };
    };
    // Alone, a full drive is not left out: whoever writes is told, or waits.
    workload.mustWrite = this.#maySpare() && fault !== 'ENOSPC';
    const isSettled = await server.settles(this.#act(), fault === 'ENOSPC' ? 20_000 : 600_000);
    if (isSettled) await server.passes(afterMs);
    if (!isSettled && fault !== 'ENOSPC') throw new Error('the operation does not end');
    if (hit < 0) {
      machine.plan = () => ({ kind: 'done' });
      workload.mustWrite = true;
      return false;
    }
    this.counts.points++;
    this.counts.faults++;
    // Without parity nothing can be read around the drive that fails.
    const isReadable = !isLasting || world.parityOf(hit) > this.#absent.length;
    if (isSettled && isReadable) await world.checkAll(false);
    machine.full.clear();
    machine.plan = () => ({ kind: 'done' });
    // A call that never ends keeps its drive out; else it comes back by itself, sometimes before the end.
    if (isSettled && this.#absent.length === 0 && fault !== 'never' && random.chance(0.5)) await world.allBack();
    await this.#recover();
    await this.#check();
    return true;
  }

  /** One drive fails, and its set still takes writes. */
  #maySpare(): boolean {
    return this.world.running.deployment.sets.every(({ dataShards, parityShards }) => {
      const left = dataShards + parityShards - this.#absent.length - 1;
      return left >= writeQuorum(dataShards, parityShards);
    });
  }

  #crashAt(step: Step, number: number): Outcome {
    if (step.kind === 'read' || step.number !== number) return { kind: 'done' };
    this.world.story.push(`${step.kind} ${step.path}`);
    return { kind: 'crash' };
  }

  async #act(): Promise<void> {
    const { operation, count = 1, isOnPresent = false, upkeep, versions: onVersions } = this.scenario;
    const { workload, versions } = this.world;
    if (upkeep === 'compaction') return this.#churn();
    if (onVersions !== undefined) {
      const { bucket } = onVersions;
      const known = this.random.chance(0.8) ? versions.keyWith(bucket, 1) : null;
      return versions.perform(onVersions.operation, bucket, known ?? `v${this.random.below(3)}`);
    }
    const keyOf = (number: number): string => {
      // The first on a key needs a new one.
      if (operation === 'race') return `key ${this.counts.points}`;
      if (!isOnPresent) return `key ${number} ${this.random.below(6)}`;
      return workload.presentKey('one') ?? 'a';
    };
    const keys = new Set(Array.from({ length: count }, (_, number) => keyOf(number)));
    const work = [...keys].map((key) => workload.perform(operation, 'one', key));
    if (upkeep === 'heal') work.push(this.world.upkeep());
    await Promise.all(work);
  }

  /** Makes garbage in the log until some file of it is worth emptying, and waits until that is over. */
  async #churn(): Promise<void> {
    const { workload } = this.world;
    const keys = Array.from({ length: churnKeys }, (_, number) => `churn ${number}`);
    await Promise.all(keys.map((key) => workload.perform(this.random.chance(0.85) ? 'put' : 'delete', 'one', key)));
    this.#churns++;
    await new Promise((resolve) => setTimeout(resolve, compactionMs));
  }

  async #recover(): Promise<void> {
    const { random, world } = this;
    const { server } = world;
    for (;;) {
      const ending: Ending = random.chance(0.4) ? 'kill' : 'power loss';
      if (ending === 'kill') this.counts.kills++;
      else this.counts.powerLosses++;
      world.story.push(ending);
      world.count();
      server.end(ending);
      // The drive that was away is there again, or another in its place, or still away.
      if (this.#absent.length > 0 && random.chance(0.5)) {
        if (random.chance(0.4)) for (const drive of this.#absent) server.exchange(drive);
        this.#absent = [];
      }
      const number = server.machine.steps + 1 + random.below(60);
      const plan = (step: Step): Outcome => this.#crashAt(step, number);
      const isHit = random.chance(0.15);
      const running = await server.start({ absent: this.#absent, ...(isHit && { plan }) });
      if (running === null) {
        this.counts.inRecovery++;
        this.counts.points++;
        continue;
      }
      server.machine.plan = () => ({ kind: 'done' });
      world.adopt(running);
      return;
    }
  }

  async #check(): Promise<void> {
    const { world, scenario } = this;
    if (this.#absent.length > 0) {
      await world.checkAll(world.running.engine.health().canWrite);
      await world.stop();
      this.#absent = [];
      world.adopt(await world.server.start());
    }
    if (this.#damaged.size > 0) await this.#mend();
    if (scenario.isFull === true) {
      await world.checkAll(world.running.engine.health().canWrite);
      await this.#makeRoom();
    }
    await world.checkRest();
    if (scenario.upkeep === 'compaction') await world.checkSpace();
    const also = this.random.next();
    if (also < 0.06) await world.checkDegraded();
    else if (also < 0.12) await world.checkRebuilt();
  }

  /** What was damaged is sound, and carries the data alone. */
  async #mend(): Promise<void> {
    const { world } = this;
    await world.checkAll(world.running.engine.health().canWrite);
    await world.allBack();
    await world.checkSound();
    if (this.random.chance(0.25)) await world.checkDegraded(this.#damaged);
    this.#damaged.clear();
  }

  async #finish(): Promise<void> {
    const { world } = this;
    await world.checkDegraded();
    await world.checkRebuilt();
    await world.checkAll(true);
    await world.stop();
    if (this.scenario.upkeep === 'compaction' && this.#churns > 6 && world.freedFiles === 0) {
      throw new Error('nothing was compacted');
    }
  }
}
