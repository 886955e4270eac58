/**
 * Unlinks blob files that no record names: of uploads that a crash cut off, and of bodies that were dropped
 * while their drive was away. Once a set takes writes, a record from before the start is in the index or will never be;
 * of this run are left alone the files whose record is on its way. Runs some time after a start and before each cycle
 * of the scan, in small steps. Requires: every set takes writes when a run begins.
 */
import { blobName, epochOfBlob, setOfBlob, type DriveSet } from '../erasure/index.js';
import { bodiesFrom, bodyRanges, decodeIndexedBody, isBodyKey, isInBlob, type IndexedBody } from './bodies.js';
import type { IndexState } from './index-state.js';

/** About 100 bytes each are held during a pass; more names take several passes. */
const namesMax = 500_000;
/** Entries decoded in one go: about 2 ms. */
const entriesPerStep = 500;
const pauseMs = 2;

export const blobNamePattern = /^[0-9a-f]{20,32}$/;
/** Of a repair that a crash cut off. */
export const repairNamePattern = /^([0-9a-f]{20,32})\.0$/;

export interface OrphanSweepOptions {
  readonly index: IndexState;
  readonly sets: readonly DriveSet[];
  readonly epochOf: (setIndex: number) => number;
  readonly log: (text: string) => void;
  readonly isInRepair: (name: string) => boolean;
  /** Its record is on its way. False once the index shows it. */
  readonly isOpen: (name: string) => boolean;
}

export class OrphanSweep {
  #isClosed = false;

  constructor(private readonly options: OrphanSweepOptions) {}

  stop(): void {
    this.#isClosed = true;
  }

  /** Answers how many files were removed. */
  async run(): Promise<number> {
    try {
      return await this.#run();
    } finally {
      this.options.index.onEntry = null;
    }
  }

  async #run(): Promise<number> {
    let removed = 0;
    for (let passes = 1, pass = 0; pass < passes && !this.#isClosed; pass++) {
      const isOfPass = (name: string): boolean => parseInt(name.slice(-8), 16) % passes === pass;
      const live = await this.#liveNames(isOfPass);
      if (live === null) {
        // Too many to hold at once: begin again with fewer in each pass.
        passes *= 2;
        pass = -1;
        continue;
      }
      for (const set of this.options.sets) {
        for (let position = 0; position < set.driveCount && !this.#isClosed; position++) {
          removed += await this.#sweepDrive(set, position, (name) => isOfPass(name) && !live.has(name));
        }
      }
    }
    if (removed > 0) this.options.log(`${removed} leftover files of cut-off uploads and deleted objects were removed`);
    return removed;
  }

  /** Null when there are more than fit. */
  async #liveNames(isOfPass: (name: string) => boolean): Promise<Set<string> | null> {
    const { index } = this.options;
    const names = new Set<string>();
    const note = (indexed: IndexedBody): void => {
      if (!isInBlob(indexed)) return;
      const name = blobName(indexed.body.placement.id);
      if (isOfPass(name)) names.add(name);
    };
    // A version that moves to another place of the index while this goes on must not be missed.
    index.onEntry = (key, value) => {
      if (isBodyKey(key)) note(decodeIndexedBody(key, value));
    };
    let from: Buffer | null = bodyRanges[0]?.start ?? null;
    while (from !== null && !this.#isClosed) {
      const step = bodiesFrom(index.catalog, from, entriesPerStep);
      for (const indexed of step.bodies) note(indexed);
      if (names.size > namesMax) return null;
      from = step.next;
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
    // Dropped while this went on, perhaps, and still being read: the reclaimer's, not ours.
    for (const { target } of index.pendingGarbage()) if (target.kind === 'blob') names.add(target.name);
    return names;
  }

  #isLeftover(setIndex: number, name: string, isOrphan: (name: string) => boolean): boolean {
    const { epochOf, isInRepair, isOpen } = this.options;
    const repaired = repairNamePattern.exec(name)?.[1];
    if (repaired !== undefined) return !isInRepair(repaired);
    if (!blobNamePattern.test(name)) return false;
    // A file with the name of another set was put there by hand: not ours to remove.
    if (setOfBlob(name) !== setIndex) return false;
    // An epoch that has not been was put there by hand, too.
    return epochOfBlob(name) <= epochOf(setIndex) && !isOpen(name) && isOrphan(name);
  }

  async #sweepDrive(set: DriveSet, position: number, isOrphan: (name: string) => boolean): Promise<number> {
    const blobs = set.drive(position)?.blobs;
    if (blobs === undefined) return 0;
    let removed = 0;
    for await (const listed of blobs.list()) {
      if (this.#isClosed || !listed.ok) break;
      const name = listed.value;
      if (!this.#isLeftover(set.setIndex, name, isOrphan)) continue;
      if ((await blobs.unlink(name)).ok) removed++;
    }
    return removed;
  }
}
