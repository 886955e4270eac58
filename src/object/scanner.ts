/**
 * Verifies everything over and over, at a bounded rate: the logs batch by batch, the blobs shard by shard, the usage
 * counters; before each cycle it looks for files that no record names. What it finds goes to the heal table. Its
 * place is kept in the index, so that a restart costs at most a few seconds of its work. Main thread; the drives'
 * threads read and hash.
 */
import { invariant, type Clock, type SlabAllocator } from '../base/index.js';
import {
  blobName,
  verifyBlob,
  fileId,
  fileNumberOf,
  setOfBody,
  setOfFile,
  type Compute,
  type DriveSet,
  type StripeLayout,
} from '../erasure/index.js';
import type { Journal } from '../journal/index.js';
import { blobBodyAt, bodiesFrom, bodyRanges, isInBlob, type BlobBody } from './bodies.js';
import type { HealQueue } from './heal-queue.js';
import type { IndexState } from './index-state.js';
import type { OrphanSweep } from './orphan-sweep.js';
import { Pacer } from './pacer.js';
import { maskOf } from './positions.js';
import type { Readers } from './readers.js';
import type { Reclaimer } from './reclaimer.js';
import { loadScanState, noCounts, saveScanState, type Cycle, type ScanState } from './scan-state.js';
import type { ScanPhase, ScanSettings, ScanStatus } from './upkeep.js';
import { recountUsage } from './usage-check.js';

export const scanSettingsDefault: ScanSettings = {
  pace: { bytesPerSecondMax: 32 * 1024 * 1024, shareMax: 0.1 },
  cycleMsMin: 24 * 3600 * 1000,
};

/** Bodies decoded at once: less than a millisecond. */
const bodiesPerStep = 50;
/** The place is written down after so long. */
const saveMs = 5_000;
/** How often an idle scan looks whether the next cycle is due. */
const idleMsMax = 60_000;
/** After what could not be done. */
const retryMs = 60_000;
/** How often it is looked whether the sets take writes again, when the look for leftovers waits for it. */
const sweepRetryMs = 10_000;

export interface ScannerOptions {
  readonly index: IndexState;
  /** By set, as the drives. */
  readonly journals: readonly Journal[];
  readonly sets: readonly DriveSet[];
  readonly slabs: SlabAllocator;
  readonly compute: Compute;
  readonly heal: HealQueue;
  readonly readers: Readers;
  readonly reclaimer: Reclaimer;
  readonly sweep: OrphanSweep;
  readonly clock: Clock;
  readonly log: (text: string) => void;
}

export class Scanner {
  #settings = scanSettingsDefault;
  #state: ScanState;
  #phase: ScanPhase = 'idle';
  #isClosed = false;
  #isDue = false;
  /** Leftovers are to be looked for as soon as every set takes writes. */
  #isSweepDue = true;
  #wake: (() => void) | null = null;
  #done: Promise<void> = Promise.resolve();
  readonly #pacer: Pacer;
  /** Whole cycles of this process are counted: by the wall clock one that began later may seem to be the earlier. */
  #begun = 0;
  #ended = 0;
  readonly #waiting: (() => void)[] = [];
  #savedMs = 0;
  /** Of the heal queue, when it was last looked at. */
  #repairedBefore = 0;

  constructor(private readonly options: ScannerOptions) {
    this.#state = loadScanState(options.index.catalog);
    this.#pacer = new Pacer(() => this.#settings.pace, options.clock);
  }

  start(delayMs: number): void {
    this.#done = this.#run(delayMs).catch((error: unknown) => {
      this.options.log(`the scan has ended: ${error instanceof Error ? error.message : 'unknown cause'}`);
    });
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#pacer.close();
    this.options.sweep.stop();
    this.#wake?.();
    await this.#done;
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  configure(settings: ScanSettings): void {
    this.#settings = settings;
    this.#wake?.();
  }

  /** A cycle begins now, unless one is under way. */
  scanNow(): void {
    this.#isDue = true;
    this.#wake?.();
  }

  /** Resolves after a whole cycle that began after this call, or when the scan ends. */
  async cycleDone(): Promise<void> {
    const wanted = this.#begun + 1;
    while (!this.#isClosed && this.#ended < wanted) {
      const done = new Promise<void>((resolve) => this.#waiting.push(resolve));
      this.scanNow();
      await done;
    }
  }

  status(): ScanStatus {
    const { cycles, current, last } = this.#state;
    return {
      phase: this.#phase,
      cycles,
      current: current === null ? null : { ...current.counts, startedMs: current.startedMs },
      last,
    };
  }

  async #run(delayMs: number): Promise<void> {
    const { clock } = this.options;
    const startMs = clock.monotonicMs() + delayMs;
    // Settings that arrive meanwhile do not cut it short.
    while (!this.#isClosed && !this.#isDue && clock.monotonicMs() < startMs) {
      await this.#wait(startMs - clock.monotonicMs());
    }
    // What a crash left is looked for after each start, whether a cycle is due or not.
    this.#isDue ||= this.#isToBegin;
    while (!this.#isClosed) {
      try {
        // A cycle that begins looks for them by itself.
        if (this.#isSweepDue && !this.#isToBegin) await this.#sweep();
        if (this.#isToBegin || this.#state.current !== null) await this.#cycle();
        else await this.#wait(Math.min(this.#isSweepDue ? sweepRetryMs : idleMsMax, this.#dueInMs()));
      } catch (error) {
        const cause = error instanceof Error ? error.message : 'unknown cause';
        this.options.log(`the scan is interrupted and goes on later: ${cause}`);
        this.#phase = 'idle';
        await this.#wait(retryMs);
      }
    }
  }

  get #isToBegin(): boolean {
    return this.#state.current === null && (this.#isDue || this.#dueInMs() <= 0);
  }

  #dueInMs(): number {
    const sinceMs = this.options.clock.nowMs() - (this.#state.last?.startedMs ?? -Infinity);
    // The clock was ahead then, maybe by years, and has been put right.
    if (sinceMs < 0) return 0;
    return this.#settings.cycleMsMin - sinceMs;
  }

  async #sweep(): Promise<number> {
    this.#isSweepDue = true;
    // Until then it is open which records there are.
    if (!this.options.journals.every(({ canWrite, isWhole }) => canWrite && isWhole)) return 0;
    this.#phase = 'orphans';
    const removed = await this.options.sweep.run();
    this.#isSweepDue = false;
    this.#phase = 'idle';
    return removed;
  }

  async #cycle(): Promise<void> {
    const cycle = this.#state.current ?? (await this.#begin());
    this.#repairedBefore = this.options.heal.repaired;
    if (cycle.phase === 'usage' && !this.#isClosed) await this.#checkUsage(cycle);
    if (cycle.phase === 'log' && !this.#isClosed) await this.#checkLog(cycle);
    if (cycle.phase === 'blobs' && !this.#isClosed) await this.#checkBlobs(cycle);
    this.#phase = 'idle';
    await this.#save(cycle, true);
    if (this.#isClosed) return;
    const { counts, startedMs } = cycle;
    const endedMs = Math.floor(this.options.clock.nowMs());
    this.#state = { cycles: this.#state.cycles + 1, current: null, last: { ...counts, startedMs, endedMs } };
    this.#isDue = false;
    this.#ended = this.#begun;
    await saveScanState(this.options.index.catalog, this.#state);
    this.#report(cycle);
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  async #begin(): Promise<Cycle> {
    this.#begun++;
    const counts = noCounts();
    const startedMs = Math.floor(this.options.clock.nowMs());
    const cycle: Cycle = { startedMs, phase: 'usage', logFile: 0, from: null, counts };
    this.#state = { ...this.#state, current: cycle };
    counts.orphansRemoved = await this.#sweep();
    return cycle;
  }

  async #checkUsage(cycle: Cycle): Promise<void> {
    this.#phase = 'usage';
    this.#pacer.restart();
    cycle.counts.usageCorrected += await recountUsage(this.options.index, {
      pace: () => this.#pacer.step(0),
      isOver: () => this.#isClosed,
      log: this.options.log,
    });
    if (!this.#isClosed) cycle.phase = 'log';
  }

  async #checkLog(cycle: Cycle): Promise<void> {
    this.#phase = 'log';
    for (const [setIndex, journal] of this.options.journals.entries()) {
      for (const numberInSet of journal.logFiles()) {
        if (this.#isClosed) return;
        const fileNumber = fileId(setIndex, numberInSet);
        if (fileNumber > cycle.logFile) await this.#checkLogFile(cycle, journal, fileNumber);
      }
    }
    if (!this.#isClosed) cycle.phase = 'blobs';
  }

  async #checkLogFile(cycle: Cycle, journal: Journal, fileNumber: number): Promise<void> {
    const { heal, readers } = this.options;
    const positions = this.#members(setOfFile(fileNumber));
    // Compaction removes no file under a reader.
    const generation = readers.enter();
    this.#pacer.restart();
    const pace = (bytes: number): Promise<void> => this.#pacer.step(bytes);
    const report = await heal
      .exclusively(`log ${fileNumber}`, () =>
        journal.verifyFile(fileNumberOf(fileNumber), { positions, isRepair: true, pace }),
      )
      .finally(() => readers.leave(generation));
    const { counts } = cycle;
    counts.batches += report.batches;
    counts.bytes += report.bytes;
    counts.badBatches += report.bad;
    counts.unreadableObjects += report.unreadable;
    heal.noteRepaired(report.repaired, report.repairedBytes);
    await heal.table.remove({ kind: 'log', fileNumber }, report.sound);
    if (this.#isClosed) return;
    cycle.logFile = fileNumber;
    await this.#save(cycle, false);
  }

  async #checkBlobs(cycle: Cycle): Promise<void> {
    this.#phase = 'blobs';
    const [first] = bodyRanges;
    let from: Buffer | null = cycle.from ?? first?.start ?? null;
    while (from !== null && !this.#isClosed) {
      this.#pacer.restart();
      const step = bodiesFrom(this.options.index.catalog, from, bodiesPerStep);
      for (const indexed of step.bodies) {
        if (this.#isClosed) return;
        if (isInBlob(indexed)) await this.#checkBlob(cycle, indexed);
      }
      from = step.next;
      cycle.from = from;
      await this.#pacer.step(0);
      await this.#save(cycle, false);
    }
  }

  async #checkBlob(cycle: Cycle, indexed: BlobBody): Promise<void> {
    const { index, sets, slabs, compute, heal, reclaimer } = this.options;
    const { counts } = cycle;
    const { body, owner } = indexed;
    const { placement } = body;
    const set = sets[setOfBody(placement.id)];
    invariant(set !== undefined, 'a body lies in a set that is there');
    const name = blobName(placement.id);
    // It may have gone since the step was read.
    if (blobBodyAt(index.catalog, owner, name) === null) return;
    const layout: StripeLayout = { ...placement.geometry, stripeBytes: placement.stripeBytes, objectBytes: body.bytes };
    const members = set.inSync();
    let sound = 0;
    let unknown = set.driveCount - members.length;
    reclaimer.pin(indexed.dataOrder);
    try {
      for (const position of members) {
        let read = 0;
        const pace = async (bytes: number): Promise<void> => {
          read += bytes;
          await this.#pacer.step(bytes);
        };
        const options = { set, slabs, compute, purpose: 'upload', pace } as const;
        const state = await verifyBlob(options, { fileName: name, id: placement.id, layout, position });
        counts.bytes += read;
        counts.shards++;
        if (state === 'sound') sound++;
        if (state === 'unreachable') unknown++;
        if (state !== 'bad' && state !== 'missing') continue;
        if (blobBodyAt(index.catalog, owner, name) === null) return;
        counts[state === 'bad' ? 'badShards' : 'missingShards']++;
        heal.report({ kind: 'blob', name, owner }, position);
      }
    } finally {
      reclaimer.unpin(indexed.dataOrder);
    }
    counts.objects++;
    if (sound + unknown >= placement.geometry.dataShards) return;
    counts.unreadableObjects++;
    this.options.log(`too few shards of ${name} are sound to read it; nothing of it is removed`);
  }

  #members(setIndex: number): number {
    return maskOf(this.options.sets[setIndex]?.inSync() ?? []);
  }

  async #save(cycle: Cycle, isNow: boolean): Promise<void> {
    const { heal, clock, index } = this.options;
    cycle.counts.repaired += heal.repaired - this.#repairedBefore;
    this.#repairedBefore = heal.repaired;
    if (!isNow && clock.monotonicMs() - this.#savedMs < saveMs) return;
    this.#savedMs = clock.monotonicMs();
    await saveScanState(index.catalog, this.#state);
  }

  #report({ counts }: Cycle): void {
    const bad = counts.badShards + counts.missingShards + counts.badBatches;
    if (bad + counts.unreadableObjects + counts.orphansRemoved + counts.usageCorrected === 0) return;
    this.options.log(
      `the scan found ${counts.badShards} bad and ${counts.missingShards} missing shards, ${counts.badBatches} bad ` +
        `batches, ${counts.unreadableObjects} unreadable objects, ${counts.orphansRemoved} leftover files and ` +
        `${counts.usageCorrected} wrong counters; ${counts.repaired} repairs were made meanwhile`,
    );
  }

  /** Until then, or until something else is to be done. */
  async #wait(ms: number): Promise<void> {
    if (this.#isClosed) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      timer.unref();
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#wake = null;
  }
}
