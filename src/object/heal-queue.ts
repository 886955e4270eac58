/**
 * Empties the heal table, continuously: what a reader met first, then whatever lies there. A few repairs run at a
 * time, at a bounded rate. An entry whose drive is away waits for it; one that cannot be repaired now is tried
 * again, later and later, and nothing of it is ever removed. Main thread.
 */
import { Refusal, type Clock } from '../base/index.js';
import { setOfBlob, setOfFile, type DriveSet } from '../erasure/index.js';
import type { LogFileReport } from '../journal/index.js';
import type { HealEntry, HealTable, HealTarget } from './heal-table.js';
import { healKeyOf } from './heal-table.js';
import { Pacer } from './pacer.js';
import { listBits, maskOf } from './positions.js';
import { RoomWatch } from './room-watch.js';
import type { HealStatus, Pace } from './upkeep.js';

/** Repairs at once; the memory they need bounds them further (`RepairTurns`). */
const lanesMax = 4;
/** Entries read from the table at once. */
const entriesPerStep = 64;
/** Reports held in memory; more are in the table alone. */
const freshMax = 1000;
const retryMsMin = 30_000;
const retryMsMax = 600_000;
/** How often the members of the set are looked at while entries wait for a drive, and full drives for room. */
const watchMs = 2_000;
/** Reported shards that are known to be in the table already. */
const knownMax = 10_000;
/** How often it is told that a drive is full. */
const tellFullEveryMs = 60_000;
/** The table is counted for the figures up to this. */
const countMax = 2_000;
/** Repair beside serving: half of the time. */
export const healPaceDefault: Pace = { bytesPerSecondMax: 256 * 1024 * 1024, shareMax: 0.5 };

export interface HealQueueOptions {
  readonly table: HealTable;
  readonly sets: readonly DriveSet[];
  readonly clock: Clock;
  readonly log: (text: string) => void;
}

export interface RepairOutcome {
  /** Positions that hold a sound shard now, as bits. All of them when the body has gone. */
  readonly sound: number;
  /** Those among them whose shard was written anew. */
  readonly rewritten: number;
  /** Positions whose drive cannot be asked now. */
  readonly unreachable: number;
  /** There is no room for a shard. */
  readonly isFull: boolean;
  readonly bytes: number;
}

/** What does the repairs; given when the engine starts. */
export interface Repairer {
  blob(
    target: Extract<HealTarget, { kind: 'blob' }>,
    positions: number,
    pace: Pick<Pacer, 'restart' | 'step'>,
  ): Promise<RepairOutcome>;
  logFile(fileNumber: number, positions: number, pace: (bytes: number) => Promise<void>): Promise<LogFileReport>;
  /** Nothing is written onto the drives of a set that takes no writes. */
  canWrite(setIndex: number): boolean;
}

type Result = 'done' | 'absent' | 'failed';

export class HealQueue {
  readonly table: HealTable;
  readonly #fresh = new Map<string, HealTarget>();
  readonly #known = new Set<string>();
  readonly #locks = new Map<string, Promise<unknown>>();
  readonly #pacers = new Set<Pacer>();
  #pace = healPaceDefault;
  #repairer: Repairer | null = null;
  #needsPass = true;
  #retryMs = retryMsMin;
  #isClosed = false;
  #wake: (() => void) | null = null;
  #retryTimer: NodeJS.Timeout | null = null;
  #watchTimer: NodeJS.Timeout | null = null;
  readonly #room: RoomWatch;
  #roomTimer: NodeJS.Timeout | null = null;
  #done: Promise<void> = Promise.resolve();
  readonly #idle: (() => void)[] = [];
  #running = 0;
  #repairedShards = 0;
  #repairedBytes = 0;
  #failedAttempts = 0;
  #tellFullAtMs = 0;
  #lastRepairMs: number | null = null;

  constructor(private readonly options: HealQueueOptions) {
    this.table = options.table;
    this.#room = new RoomWatch(options.sets);
  }

  start(repairer: Repairer): void {
    this.#repairer = repairer;
    this.#done = this.#run().catch((error: unknown) => {
      this.options.log(`repairs have ended: ${error instanceof Error ? error.message : 'unknown cause'}`);
    });
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    for (const timer of [this.#retryTimer, this.#watchTimer, this.#roomTimer]) if (timer !== null) clearTimeout(timer);
    for (const pacer of this.#pacers) pacer.close();
    this.#wakeUp();
    await this.#done;
    for (const resolve of this.#idle.splice(0)) resolve();
    await this.table.settled();
  }

  setPace(pace: Pace): void {
    this.#pace = pace;
  }

  /** Of other repairs, each with its part of the bytes; whoever asks closes it. */
  newPacer(lanes: number): Pacer {
    const pace = (): Pace => ({ ...this.#pace, bytesPerSecondMax: this.#pace.bytesPerSecondMax / lanes });
    return new Pacer(pace, this.options.clock);
  }

  status(): HealStatus {
    return {
      waiting: this.table.count(countMax),
      running: this.#running,
      repairedShards: this.#repairedShards,
      repairedBytes: this.#repairedBytes,
      failedAttempts: this.#failedAttempts,
      lastRepairMs: this.#lastRepairMs,
    };
  }

  /** A reader or the scan has met a shard that is missing or wrong. True when nobody had said so before. */
  report(target: HealTarget, position: number): boolean {
    const key = healKeyOf(target).toString('latin1');
    const known = `${key} ${position}`;
    if (this.#known.has(known) || this.#isClosed) return false;
    if (this.#known.size >= knownMax) this.#known.clear();
    this.#known.add(known);
    // Where one shard of a blob is bad, parity that nobody reads may be, too.
    const positions = target.kind === 'blob' ? this.#members(setOfTarget(target)) | (1 << position) : 1 << position;
    void this.table.add(target, positions).then(
      () => {
        if (this.#fresh.size < freshMax) this.#fresh.set(key, target);
        else this.#needsPass = true;
        this.#wakeUp();
      },
      (error: unknown) => {
        this.#known.delete(known);
        this.options.log(`a repair could not be noted: ${error instanceof Error ? error.message : 'unknown cause'}`);
      },
    );
    return true;
  }

  /** A record was committed without the shards of these positions: its entry is in the table. */
  readonly noteDegraded = (setIndex: number, positions: number): void => {
    if (this.#repairer === null) return;
    // A drive that is there has no room, most likely; one that is not is waited for.
    if ((positions & this.#members(setIndex)) === 0) this.#passWhenMembersChange(this.#allMembers());
    else this.#passLater(retryMsMin);
  };

  /** Goes through the whole table as soon as possible. */
  passNow(): void {
    this.#needsPass = true;
    this.#wakeUp();
  }

  /** Resolves when everything in the table was tried. */
  async passDone(): Promise<void> {
    await this.table.settled();
    if (this.#isClosed) return;
    const done = new Promise<void>((resolve) => this.#idle.push(resolve));
    this.passNow();
    await done;
  }

  /** One at a time for each name. */
  async exclusively<T>(name: string, act: () => Promise<T>): Promise<T> {
    for (let other = this.#locks.get(name); other !== undefined; other = this.#locks.get(name)) await other;
    const run = act();
    const ended = run.then(
      () => undefined,
      () => undefined,
    );
    this.#locks.set(name, ended);
    try {
      return await run;
    } finally {
      this.#locks.delete(name);
    }
  }

  /** Shards written anew since the start. */
  get repaired(): number {
    return this.#repairedShards;
  }

  /** Repairs that were made elsewhere. */
  noteRepaired(shards: number, bytes: number): void {
    this.#count(shards, bytes);
  }

  /** Whether something of this name is being repaired. */
  isBusy(name: string): boolean {
    return this.#locks.has(name);
  }

  noteFailure(name: string, error: unknown): void {
    if (error instanceof Refusal && error.code === 'XMinioStorageFull') {
      this.#tellFull();
      return;
    }
    const cause = error instanceof Error ? error.message : 'unknown cause';
    this.options.log(`the shards of ${name} could not be rebuilt now: ${cause}`);
  }

  /** On a full drive it is the same with everything that is to be written there. */
  #tellFull(): void {
    const now = this.options.clock.monotonicMs();
    if (now < this.#tellFullAtMs) return;
    this.#tellFullAtMs = now + tellFullEveryMs;
    this.options.log('a drive has no room for shards that are to be rebuilt: they are tried again from time to time');
  }

  async #run(): Promise<void> {
    while (!this.#isClosed) {
      const [next] = this.#fresh;
      if (next !== undefined) {
        await this.#repairFresh();
      } else if (this.#needsPass) {
        this.#needsPass = false;
        await this.#pass();
      } else {
        for (const resolve of this.#idle.splice(0)) resolve();
        await new Promise<void>((resolve) => (this.#wake = resolve));
      }
    }
  }

  async #repairFresh(): Promise<void> {
    const members = this.#allMembers();
    const entries: HealEntry[] = [];
    for (const [key, target] of this.#fresh) {
      if (entries.length === entriesPerStep) break;
      this.#fresh.delete(key);
      const entry = this.table.get(target);
      if (entry !== null) entries.push(entry);
    }
    this.#plan(await this.#repairAll(entries), members);
  }

  async #pass(): Promise<void> {
    const members = this.#allMembers();
    let worst: Result = 'done';
    let from: Buffer | null = null;
    do {
      const step = this.table.from(from, entriesPerStep);
      worst = worse(worst, await this.#repairAll(step.entries));
      from = step.next;
      if (this.#fresh.size > 0) await this.#repairFresh();
    } while (from !== null && !this.#isClosed);
    if (worst === 'done') this.#retryMs = retryMsMin;
    this.#plan(worst, members);
  }

  /**
   * What is left is tried again: when its drive is there, or after a while. `members` as they were before the first
   * repair: a drive that came meanwhile is a change.
   */
  #plan(result: Result, members: string): void {
    if (result === 'failed') {
      this.#passLater(this.#retryMs);
      this.#retryMs = Math.min(retryMsMax, 2 * this.#retryMs);
    } else if (result === 'absent') {
      this.#passWhenMembersChange(members);
    }
  }

  /** A few at a time; answers the worst of them. */
  async #repairAll(entries: readonly HealEntry[]): Promise<Result> {
    let worst: Result = 'done';
    let next = 0;
    const lane = async (): Promise<void> => {
      const pacer = new Pacer(() => this.#pace, this.options.clock);
      this.#pacers.add(pacer);
      for (let entry = entries[next++]; entry !== undefined && !this.#isClosed; entry = entries[next++]) {
        pacer.restart();
        this.#running++;
        const result = await this.#repairOne(entry, pacer).finally(() => this.#running--);
        worst = worse(worst, result);
      }
      this.#pacers.delete(pacer);
    };
    await Promise.all(Array.from({ length: Math.min(lanesMax, entries.length) }, lane));
    return worst;
  }

  async #repairOne(entry: HealEntry, pacer: Pacer): Promise<Result> {
    // A drive outside S is caught up, which brings its shards along, or is away.
    const present = entry.positions & this.#members(setOfTarget(entry.target));
    if (present === 0) return 'absent';
    let result: Result = present === entry.positions ? 'done' : 'absent';
    try {
      const sound = await this.#repair(entry.target, present, pacer);
      if (sound !== 0) await this.table.remove(entry.target, sound);
      const key = entry.key.toString('latin1');
      for (const position of listBits(sound)) this.#known.delete(`${key} ${position}`);
      if (sound !== present) result = 'failed';
    } catch (error) {
      this.noteFailure(entry.key.toString('latin1').slice(1), error);
      result = 'failed';
    }
    if (result === 'failed') this.#failedAttempts++;
    return result;
  }

  /** Answers the positions that are sound now. */
  async #repair(target: HealTarget, positions: number, pacer: Pacer): Promise<number> {
    const repairer = this.#repairer;
    if (repairer === null) return 0;
    if (target.kind === 'log') {
      const report = await this.exclusively(`log ${target.fileNumber}`, () =>
        repairer.logFile(target.fileNumber, positions, (read) => pacer.step(read)),
      );
      this.#count(report.repaired, report.repairedBytes);
      return report.sound;
    }
    const { sound, rewritten, unreachable, isFull, bytes } = await repairer.blob(target, positions, pacer);
    if (isFull) await this.#waitForRoom(setOfTarget(target), positions & ~(sound | unreachable));
    this.#count(listBits(rewritten).length, bytes);
    await pacer.step(0);
    return sound;
  }

  #count(shards: number, bytes: number): void {
    if (shards === 0) return;
    this.#repairedShards += shards;
    this.#repairedBytes += bytes;
    this.#lastRepairMs = Math.floor(this.options.clock.nowMs());
  }

  /** Drives of a set that may be written to, as bits. */
  #members(setIndex: number): number {
    if (this.#repairer?.canWrite(setIndex) !== true) return 0;
    return maskOf(this.options.sets[setIndex]?.inSync() ?? []);
  }

  /** Of all sets: to see whether they change. */
  #allMembers(): string {
    return this.options.sets.map((_, setIndex) => this.#members(setIndex)).join(' ');
  }

  #passLater(delayMs: number): void {
    if (this.#isClosed || this.#retryTimer !== null) return;
    this.#retryTimer = setTimeout(() => {
      this.#retryTimer = null;
      this.passNow();
    }, delayMs).unref();
  }

  #passWhenMembersChange(members: string): void {
    if (this.#watchTimer === null) this.#watch(members);
  }

  #watch(before: string): void {
    if (this.#isClosed) return;
    this.#watchTimer = setTimeout(() => {
      this.#watchTimer = null;
      if (this.#allMembers() === before) this.#watch(before);
      else this.passNow();
    }, watchMs).unref();
  }

  async #waitForRoom(setIndex: number, positions: number): Promise<void> {
    await this.#room.note(setIndex, positions);
    if (this.#roomTimer === null) this.#watchRoom();
  }

  #watchRoom(): void {
    if (this.#isClosed || !this.#room.isNeeded) return;
    this.#roomTimer = setTimeout(() => {
      void this.#room.isBack().then((isBack) => {
        this.#roomTimer = null;
        if (!isBack) {
          this.#watchRoom();
          return;
        }
        this.#retryMs = retryMsMin;
        this.passNow();
      });
    }, watchMs).unref();
  }

  #wakeUp(): void {
    this.#wake?.();
    this.#wake = null;
  }
}

function setOfTarget(target: HealTarget): number {
  return target.kind === 'blob' ? setOfBlob(target.name) : setOfFile(target.fileNumber);
}

function worse(a: Result, b: Result): Result {
  if (a === 'failed' || b === 'failed') return 'failed';
  return a === 'absent' || b === 'absent' ? 'absent' : 'done';
}
