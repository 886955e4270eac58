/**
 * A server on simulated drives, the models of what it holds, and what is true of it whenever it has come to rest:
 * everything acknowledged is there, every drive holds what records name and nothing else, all memory is back. And what
 * has to be true as well when drives are taken away, or the index.
 */
import { setOfBlob, setOfFile } from '../../../dist/erasure/index.js';
import type { Random } from '../../unit/journal/model/random.js';
import type { RunningEngine } from '../running-engine.js';
import { VersionWorkload } from '../version-workload.js';
import { Workload, expectExactSpace, spaceByFile } from '../workload.js';
import { SimulatedServer, logFileBytes, type Shape } from './simulated-server.js';

export const settleMs = 400;
const rebuildsMax = 6;
/** Log files of a set at rest: docs/engine.md, "Compaction". */
const logFilesMax = 7;
const logRatioMax = 1.8;
const fullPace = { bytesPerSecondMax: Number.MAX_SAFE_INTEGER, shareMax: 1 };
const dayMs = 86_400_000;
/** More than any run makes. */
const fileNumbersMax = 400;

export class SimulatedWorld {
  readonly server: SimulatedServer;
  readonly workload: Workload;
  /** On buckets of its own. */
  readonly versions: VersionWorkload;
  /** Drives that come and go are seen while the server runs, also after the starts of these checks. */
  isKept = false;
  /** What happened last, for the message of a failure. */
  readonly story: string[] = [];
  degraded = 0;
  rebuilt = 0;
  freedFiles = 0;
  repairedShards = 0;
  /** Places of the drives of each set among the folders. */
  #sets: readonly (readonly number[])[] = [];

  constructor(
    shape: Shape,
    readonly random: Random,
    seed: number,
  ) {
    this.server = new SimulatedServer(shape, random);
    this.workload = new Workload(() => random.next(), seed);
    this.versions = new VersionWorkload(this.workload);
  }

  get running(): RunningEngine {
    return this.workload.running;
  }

  get sets(): readonly (readonly number[])[] {
    return this.#sets;
  }

  adopt(running: RunningEngine | null): void {
    if (running === null) throw new Error('the server did not start');
    this.workload.running = running;
    this.workload.mustWrite = running.engine.health().canWrite;
    if (this.#sets.length > 0) return;
    this.#sets = running.deployment.sets.map(({ places }) =>
      places.map(({ path }) => this.server.folders.indexOf(path ?? '')),
    );
  }

  /** What the process that ends now has done beside serving. */
  count(): void {
    const { server } = this;
    if (server.running === null) return;
    const { journals, engine } = server.running;
    for (const journal of journals) this.freedFiles += journal.space()?.freedFiles ?? 0;
    this.repairedShards += engine.upkeepStatus().heal.repairedShards;
  }

  async stop(): Promise<void> {
    this.count();
    await this.server.stop();
  }

  async work(work: () => Promise<void>): Promise<boolean> {
    return this.server.settles(work());
  }

  async checkAll(isDecided: boolean): Promise<void> {
    await this.work(async () => {
      await this.workload.checkAll(isDecided);
      await this.versions.checkAll(isDecided);
    });
  }

  /** Everything against the models, then whether anything is left behind. */
  async checkRest(): Promise<void> {
    await this.checkAll(true);
    await this.allBack();
    // The sweep, the reclaimer and the next log file.
    await this.server.passes(settleMs);
    await this.#checkLeftovers();
    const { arena } = this.running;
    const isBack = (): boolean => arena.freeBytes === arena.totalBytes - 4096;
    // A call that never ends keeps its memory; there is none here.
    if (!(await this.server.time.runUntil(isBack, 60_000))) {
      throw new Error(`${arena.totalBytes - 4096 - arena.freeBytes} bytes of memory were not given back`);
    }
  }

  /** Every file that a record names is on every drive of its set, and no other. */
  async #checkLeftovers(): Promise<void> {
    const { server } = this;
    let live = this.workload.liveBlobs();
    const isClean = (): boolean => {
      live = this.workload.liveBlobs();
      return server.folders.every((_, drive) => this.#leftoversOf(drive, live).length === 0);
    };
    // What a start looks for goes on behind other work.
    await server.time.runUntil(isClean, 20_000);
    for (const drive of server.folders.keys()) {
      const [found] = this.#leftoversOf(drive, live);
      if (found !== undefined) throw new Error(`drive ${drive + 1}: ${found}`);
    }
  }

  #leftoversOf(drive: number, live: ReadonlySet<string>): string[] {
    const { server } = this;
    const there = server.blobs(drive);
    const left = [...there].filter((name) => !live.has(name)).map((name) => `${name} is left behind`);
    const missing = [...live]
      .filter((name) => this.#sets[setOfBlob(name)]?.includes(drive) === true && !there.has(name))
      .map((name) => `${name} is missing`);
    const unfinished = [...(server.machine.disks[drive]?.files() ?? [])]
      .filter(([path]) => path.endsWith('.new'))
      .map(([path]) => `${path} is left behind`);
    return [...left, ...missing, ...unfinished];
  }

  /** All drives do, with everything there is. */
  #takePart(): boolean {
    return this.running.journals.every((journal, setIndex) => {
      const { inSync, catchingUp, canWrite } = journal.health();
      return inSync.length === this.#sets[setIndex]?.length && catchingUp.length === 0 && canWrite;
    });
  }

  /** Drives that were away or behind take part again, and what they lack is repaired. */
  async allBack(): Promise<void> {
    const { server } = this;
    if (!(await server.time.runUntil(() => this.#takePart(), 3_600_000))) throw new Error('drives do not come back');
    const isHealed = (): boolean => this.workload.lackingBlobs().size === 0;
    if (!(await server.time.runUntil(isHealed, 3_600_000))) {
      const lacking = [...this.workload.lackingBlobs()].map(([name, mask]) => `${name} (${mask.toString(2)})`);
      const status = JSON.stringify(this.running.engine.upkeepStatus());
      throw new Error(`what drives lack is not repaired: ${lacking.join()} ${status}`);
    }
    await server.passes(settleMs);
    this.workload.mustWrite = true;
  }

  /** As fast as it goes: everything is verified, and what is damaged written anew. */
  async upkeep(): Promise<void> {
    const { engine } = this.running;
    engine.setUpkeep({ heal: fullPace, scan: { pace: fullPace, cycleMsMin: dayMs } });
    await engine.upkeepDone();
  }

  /**
   * Nothing is damaged any more after one scan. A drive whose fault shows only during it is out meanwhile: that scan
   * does not count.
   */
  async checkSound(): Promise<void> {
    await this.work(() => this.upkeep());
    const isSeen = this.#takePart();
    await this.allBack();
    if (!isSeen) await this.work(() => this.upkeep());
    await this.work(() => this.upkeep());
    const { last } = this.running.engine.upkeepStatus().scan;
    const { badShards = -1, missingShards = -1, badBatches = -1, unreadableObjects = -1 } = last ?? {};
    if (badShards === 0 && missingShards === 0 && badBatches === 0 && unreadableObjects === 0) return;
    throw new Error(`the last scan still finds damage: ${JSON.stringify(last)}`);
  }

  /** How many drives the set of this one may lose. */
  parityOf(drive: number): number {
    const setIndex = this.#sets.findIndex((drives) => drives.includes(drive));
    return this.running.deployment.sets[setIndex]?.parityShards ?? 0;
  }

  /** Of each set as many drives as it may lose, less those to be `kept` of them; none that is `spared`. */
  absentees(spared: ReadonlySet<number> = new Set(), kept = 0): number[] {
    return this.#sets.flatMap((drives) => {
      const count = Math.max(0, this.parityOf(drives[0] ?? -1) - kept);
      return drives
        .filter((drive) => !spared.has(drive))
        .sort(() => this.random.next() - 0.5)
        .slice(0, count);
    });
  }

  /** As many drives as may be lost are away: everything can be read. */
  async checkDegraded(spared: ReadonlySet<number> = new Set()): Promise<void> {
    const { server } = this;
    const absent = this.absentees(spared);
    if (absent.length === 0) return;
    this.degraded++;
    await this.stop();
    this.story.push(`without drives ${absent.map((drive) => drive + 1).join()}`);
    this.adopt(await server.start({ absent, isKept: this.isKept }));
    await this.checkAll(false);
    await this.stop();
    this.adopt(await server.start({ isKept: this.isKept }));
    await this.allBack();
    await this.checkAll(true);
  }

  /** The index that the logs alone give is the one that grew with the work. */
  async checkRebuilt(): Promise<void> {
    const { server } = this;
    this.rebuilt++;
    let before = new Map<string, string>();
    let after = before;
    // Compaction may begin with the start, and move records meanwhile: then it has less to do at the next.
    for (let attempt = 0, isStill = false; !isStill; attempt++) {
      if (attempt === rebuildsMax) throw new Error('compaction does not come to rest');
      await this.stop();
      before = this.#indexText();
      server.index.states = [[]];
      this.adopt(await server.start({ isKept: this.isKept }));
      await server.passes(settleMs);
      after = this.#indexText();
      isStill = this.running.journals.every((journal) => (journal.space()?.movedBytes ?? 0) === 0);
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

  /** What the logs take comes down to what is in use, and the counters of every file are exact. */
  async checkSpace(): Promise<void> {
    const isSmall = (): boolean => this.server.folders.every((_, drive) => this.#excessFiles(drive) <= 0);
    if (!(await this.server.time.runUntil(isSmall, 600_000))) {
      const excess = [...this.server.folders.keys()].map((drive) => this.#excessFiles(drive));
      const figures = this.running.journals.map((journal) => journal.space());
      throw new Error(`log files that do not go: ${excess.join()} ${JSON.stringify(figures)}`);
    }
    expectExactSpace(this.running, fileNumbersMax);
  }

  #excessFiles(drive: number): number {
    const disk = this.server.machine.disks[drive];
    const files = [...(disk?.files() ?? [])].filter(([path]) => path.startsWith('log/')).length;
    const set = this.#sets.findIndex((drives) => drives.includes(drive));
    let used = 0;
    for (const [file, bytes] of spaceByFile(this.running)) if (setOfFile(file) === set) used += bytes;
    return files - logFilesMax - (logRatioMax * used) / logFileBytes;
  }
}
