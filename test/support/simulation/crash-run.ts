/**
 * Crash points of one operation: it is begun again and again on the same drives, and the process or the power ends at
 * its first step, then at its second, until it gets to its end. After each crash the server starts on what is left,
 * sometimes to be ended in the middle of that as well, and everything is compared with the model. Or instead of the
 * process that one step fails, or does not end, and the drive with it for a while; the process ends afterwards.
 */
import { constants } from 'node:os';
import { writeQuorum } from '../../../dist/erasure/index.js';
import { Random } from '../../unit/journal/model/random.js';
import { Workload, type Operation } from '../workload.js';
import type { Outcome, Step } from './simulated-machine.js';
import { SimulatedServer, type Ending } from './simulated-server.js';

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
  degraded: number;
  rebuilt: number;
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
  steps: 0,
});

interface Scenario {
  readonly name: string;
  readonly operation: Operation;
  /** Body sizes from and below. */
  readonly sizes: readonly [number, number];
  readonly partsMax?: number;
  /** Operations at once. */
  readonly count?: number;
  /** On the key with something on it. */
  readonly isOnPresent?: boolean;
}

const small = [513, 60_000] as const;
const large = [262_145, 700_000] as const;

export const scenarios: readonly Scenario[] = [
  { name: 'put inline', operation: 'put', sizes: [0, 513] },
  { name: 'put small', operation: 'put', sizes: small },
  { name: 'put large', operation: 'put', sizes: large },
  { name: 'put of several stripes', operation: 'put', sizes: [1_048_577, 2_600_000] },
  { name: 'overwrite small', operation: 'put', sizes: small, isOnPresent: true },
  { name: 'overwrite large', operation: 'put', sizes: large, isOnPresent: true },
  { name: 'delete', operation: 'delete', sizes: large, isOnPresent: true },
  { name: 'replace metadata', operation: 'replace metadata', sizes: large, isOnPresent: true },
  { name: 'copy', operation: 'copy', sizes: large },
  { name: 'multipart, small', operation: 'multipart', sizes: small, partsMax: 1 },
  { name: 'multipart, large', operation: 'multipart', sizes: large, partsMax: 1 },
  { name: 'multipart of several parts', operation: 'multipart', sizes: large, partsMax: 2 },
  { name: 'upload given up', operation: 'give up', sizes: [1_048_577, 2_600_000] },
  { name: 'writers on one key', operation: 'contend', sizes: [100, 400_000] },
  { name: 'first writers on one key', operation: 'race', sizes: [100, 300_000] },
  { name: 'bucket made and removed', operation: 'bucket', sizes: small },
  { name: 'bucket document', operation: 'document', sizes: small },
  { name: 'system records', operation: 'system', sizes: small },
  { name: 'many at once', operation: 'put', sizes: [0, 400_000], count: 12 },
];

/** Steps that may come after the answer: unlinks, the next log file. */
const afterMs = 40;
const settleMs = 400;
const rebuildsMax = 6;

export class CrashRun {
  readonly random: Random;
  readonly server: SimulatedServer;
  readonly workload: Workload;
  readonly scenario: Scenario;
  readonly counts = noCounts();
  /** What happened last, for the message of a failure. */
  story: string[] = [];

  constructor(
    readonly seed: number,
    scenario: Scenario | undefined,
    private readonly kind: 'crashes' | 'faults',
  ) {
    this.random = new Random(seed);
    this.scenario = scenario ?? this.random.pick(scenarios);
    this.server = new SimulatedServer(this.random.pick([4, 4, 4, 4, 1, 2, 3, 5, 6]), this.random);
    this.workload = new Workload(() => this.random.next(), seed);
    this.workload.partsMax = this.scenario.partsMax ?? 1;
    this.workload.size = () => {
      const [from, below] = this.scenario.sizes;
      return from + this.random.below(below - from);
    };
  }

  /** Until the operation came to its end, or `pointsMax` points are made; from one to the next up to `strideMax` steps. */
  async run({ pointsMax, strideMax }: { pointsMax: number; strideMax: number }): Promise<CrashCounts> {
    const { server } = this;
    server.time.install();
    try {
      await this.#prepare();
      let step = 1 + this.random.below(strideMax);
      while (this.counts.points < pointsMax) {
        const isCrashed = this.kind === 'crashes' ? await this.#point(step) : await this.#faultPoint(step);
        if (!isCrashed) break;
        step += 1 + this.random.below(strideMax);
      }
      await this.#finish();
      this.counts.steps = server.machine.steps;
      return this.counts;
    } catch (error) {
      const text = `seed ${this.seed} (${this.kind}, ${this.scenario.name}, ${server.driveCount} drives): ${this.story.slice(-6).join('; ')}`;
      throw new Error(`${text}\n${server.lines.slice(-12).join('')}`, { cause: error });
    } finally {
      server.machine.kill();
      server.time.uninstall();
    }
  }

  async #prepare(): Promise<void> {
    await this.#firstStart();
    await this.#work(async () => {
      for (const bucket of ['one', 'two']) await this.workload.createBucket(bucket);
      for (const key of ['a', 'b', 'c/d']) await this.workload.perform('put', 'one', key);
      await this.workload.perform('multipart', 'two', 'm');
      await this.workload.perform('system', 'two', '');
    });
    await this.server.passes(settleMs);
  }

  /** Sometimes it takes several: the folders are formatted in part then. */
  async #firstStart(): Promise<void> {
    const { server, random, counts } = this;
    for (let tries = random.chance(0.5) ? 0 : 1 + random.below(4); tries > 0; tries--) {
      const number = server.machine.steps + 1 + random.below(330 * server.driveCount);
      if ((await server.start((step) => this.#crashAt(step, number))) !== null) break;
      this.story.push('first start cut off');
      counts.points++;
      counts.firstStarts++;
      server.end(random.chance(0.4) ? 'kill' : 'power loss');
    }
    if (server.running !== null) server.machine.plan = () => ({ kind: 'done' });
    this.#adopt(server.running ?? (await server.start()));
  }

  #adopt(running: SimulatedServer['running']): void {
    if (running === null) throw new Error('the server did not start');
    this.workload.running = running;
    this.workload.mustWrite = running.opened.journal.health().canWrite;
  }

  async #work(work: () => Promise<void>): Promise<boolean> {
    return this.server.settles(work());
  }

  /** True: the crash came before the operation and what follows it were over. */
  async #point(step: number): Promise<boolean> {
    const { server } = this;
    const { machine } = server;
    const first = machine.steps;
    machine.plan = (at) => this.#crashAt(at, first + step);
    const isSettled = await this.#work(() => this.#act());
    if (isSettled) await server.passes(afterMs);
    if (!machine.isDead) return false;
    this.story.push(`step ${step}, ${isSettled ? 'after' : 'before'} the answer`);
    this.counts.points++;
    await this.#recover();
    await this.#check();
    return true;
  }

  /** True: the step came. */
  async #faultPoint(step: number): Promise<boolean> {
    const { server, random, workload } = this;
    const { machine } = server;
    const { n, w } = this.#quorum();
    const fault = random.pick(['EIO', 'EIO', 'ENOSPC', 'late', 'never'] as const);
    // One drive may fail for good, if the others are enough.
    const isLasting = random.chance(0.5);
    const number = machine.steps + step;
    let hit = -1;
    machine.plan = (at) => {
      const isIt = at.kind !== 'read' && at.number === number;
      if (isIt) {
        hit = at.drive;
        this.story.push(`step ${step}: ${fault}${isLasting ? ' from then on' : ''} at ${at.kind} ${at.path}`);
        if (fault === 'ENOSPC') machine.full.add(hit);
      }
      if (!isIt && !(isLasting && at.drive === hit)) return { kind: 'done' };
      if (fault === 'late') return { kind: 'takes', ms: 45_000 };
      if (fault === 'never') return { kind: 'takes', ms: isIt ? Infinity : 1 };
      return { kind: 'fails', errno: fault === 'EIO' ? EIO : ENOSPC };
    };
    // Alone, a full drive is not left out: whoever writes is told, or waits.
    workload.mustWrite = n > w && fault !== 'ENOSPC';
    const isSettled = await this.server.settles(this.#act(), fault === 'ENOSPC' ? 20_000 : 600_000);
    if (isSettled) await server.passes(afterMs);
    if (!isSettled && fault !== 'ENOSPC') throw new Error('the operation does not end');
    if (hit < 0) return false;
    this.counts.points++;
    this.counts.faults++;
    // Without parity nothing can be read around the drive that fails.
    const isReadable = !isLasting || workload.running.deployment.parityShards > 0;
    if (isSettled && isReadable) await this.#work(() => workload.checkAll(false));
    machine.full.clear();
    machine.plan = () => ({ kind: 'done' });
    // A call that never ends keeps its drive out; else it comes back by itself, sometimes before the end.
    if (isSettled && fault !== 'never' && random.chance(0.5)) await this.#allBack();
    await this.#recover();
    await this.#check();
    return true;
  }

  #quorum(): { readonly n: number; readonly w: number } {
    const [{ dataShards, parityShards } = { dataShards: 0, parityShards: 0 }] = this.workload.running.deployment.sets;
    return { n: dataShards + parityShards, w: writeQuorum(dataShards, parityShards) };
  }

  #crashAt(step: Step, number: number): Outcome {
    if (step.kind === 'read' || step.number !== number) return { kind: 'done' };
    this.story.push(`${step.kind} ${step.path}`);
    return { kind: 'crash' };
  }

  async #act(): Promise<void> {
    const { operation, count = 1, isOnPresent = false } = this.scenario;
    const { workload } = this;
    const keyOf = (number: number): string => {
      // The first on a key needs a new one.
      if (operation === 'race') return `key ${this.counts.points}`;
      if (!isOnPresent) return `key ${number} ${this.random.below(6)}`;
      return workload.presentKey('one') ?? 'a';
    };
    const keys = new Set(Array.from({ length: count }, (_, number) => keyOf(number)));
    // What an operation on something needs, when the one before took it away.
    if (isOnPresent && workload.presentKey('one') === null) await workload.perform('put', 'one', 'a');
    await Promise.all([...keys].map((key) => workload.perform(operation, 'one', key)));
  }

  async #recover(): Promise<void> {
    const { server, random } = this;
    for (;;) {
      const ending: Ending = random.chance(0.4) ? 'kill' : 'power loss';
      if (ending === 'kill') this.counts.kills++;
      else this.counts.powerLosses++;
      this.story.push(ending);
      server.end(ending);
      const number = server.machine.steps + 1 + random.below(60);
      const isHit = random.chance(0.15);
      const running = await server.start(isHit ? (step) => this.#crashAt(step, number) : null);
      if (running === null) {
        this.counts.inRecovery++;
        this.counts.points++;
        continue;
      }
      server.machine.plan = () => ({ kind: 'done' });
      this.#adopt(running);
      return;
    }
  }

  async #check(): Promise<void> {
    const { server, workload } = this;
    await this.#work(() => workload.checkAll(true));
    await this.#allBack();
    // The sweep, the reclaimer and the next log file.
    await server.passes(settleMs);
    this.#checkLeftovers();
    const { arena } = workload.running;
    const isBack = (): boolean => arena.freeBytes === arena.totalBytes - 4096;
    // A call that never ends keeps its memory; there is none here.
    if (!(await server.time.runUntil(isBack, 60_000))) {
      throw new Error(`${arena.totalBytes - 4096 - arena.freeBytes} bytes of memory were not given back`);
    }
    const also = this.random.next();
    if (also < 0.06) await this.#checkDegraded();
    else if (also < 0.12) await this.#checkRebuilt();
  }

  /** Every file that a record names is on every drive, and no other. */
  #checkLeftovers(): void {
    const { server, workload } = this;
    const live = workload.liveBlobs();
    for (const position of server.folders.keys()) {
      const found = server.blobs(position);
      for (const name of found) if (!live.has(name)) throw new Error(`drive ${position + 1}: ${name} is left behind`);
      for (const name of live) if (!found.has(name)) throw new Error(`drive ${position + 1}: ${name} is missing`);
      for (const [path] of server.machine.disks[position]?.files() ?? []) {
        if (path.endsWith('.new')) throw new Error(`drive ${position + 1}: ${path} is left behind`);
      }
    }
  }

  /** As many drives as may be lost are away: everything can be read. */
  async #checkDegraded(): Promise<void> {
    const { server, workload } = this;
    const { parityShards } = workload.running.deployment;
    if (parityShards === 0) return;
    this.counts.degraded++;
    await server.stop();
    const absent = [...server.folders.keys()].sort(() => this.random.next() - 0.5).slice(0, parityShards);
    this.story.push(`without drives ${absent.map((position) => position + 1).join()}`);
    this.#adopt(await server.start(null, absent));
    await this.#work(() => workload.checkAll(false));
    await server.stop();
    this.#adopt(await server.start());
    await this.#allBack();
    await this.#work(() => workload.checkAll(true));
  }

  async #allBack(): Promise<void> {
    const { server } = this;
    const isBack = (): boolean => {
      const { inSync, catchingUp, canWrite } = this.workload.running.opened.journal.health();
      return inSync.length === server.driveCount && catchingUp.length === 0 && canWrite;
    };
    if (!(await server.time.runUntil(isBack, 3_600_000))) throw new Error('drives do not come back');
    const isHealed = (): boolean => this.workload.lackingBlobs().size === 0;
    if (!(await server.time.runUntil(isHealed, 3_600_000))) {
      const lacking = [...this.workload.lackingBlobs()].map(([name, mask]) => `${name} (${mask.toString(2)})`);
      const status = JSON.stringify(this.workload.running.engine.upkeepStatus());
      throw new Error(`what drives lack is not repaired: ${lacking.join()} ${status}`);
    }
    await server.passes(settleMs);
    this.workload.mustWrite = true;
  }

  /** The index that the logs alone give is the one that grew with the work. */
  async #checkRebuilt(): Promise<void> {
    const { server } = this;
    this.counts.rebuilt++;
    let before = new Map<string, string>();
    let after = before;
    // Compaction may begin with the start, and move records meanwhile: then it has less to do at the next.
    for (let attempt = 0, isStill = false; !isStill; attempt++) {
      if (attempt === rebuildsMax) throw new Error('compaction does not come to rest');
      await server.stop();
      before = this.#indexText();
      server.index.states = [[]];
      this.#adopt(await server.start());
      await server.passes(settleMs);
      after = this.#indexText();
      isStill = (this.workload.running.opened.journal.space()?.movedBytes ?? 0) === 0;
    }
    for (const [key, value] of before) {
      if (after.get(key) !== value)
        throw new Error(`a rebuilt index has ${after.get(key) ?? 'nothing'} at ${key}, not ${value}`);
    }
    for (const key of after.keys())
      if (!before.has(key)) throw new Error(`a rebuilt index has ${key}, which was not there`);
  }

  /** Without what is being worked off, the place it stands at and how far the scan is. */
  #indexText(): Map<string, string> {
    const entries = this.server.index.current.map(
      ({ key, value }) => [key.toString('latin1'), value.toString('hex')] as const,
    );
    return new Map(entries.filter(([key]) => !/^[MGHX]/.test(key)));
  }

  async #finish(): Promise<void> {
    const { server, workload } = this;
    await this.#work(() => workload.checkAll(true));
    await this.#checkDegraded();
    await this.#checkRebuilt();
    await this.#work(() => workload.checkAll(true));
    await server.stop();
  }
}
