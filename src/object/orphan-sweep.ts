/**
 * Unlinks blob files that no record names: of uploads that a crash cut off, and of bodies that were dropped
 * while their drive was away. Only files of earlier epochs are looked at: once the set takes writes, a record
 * of an earlier epoch is in the index or will never be. Runs once, some time after a start, in small steps.
 */
import type { CatalogEntry } from '../catalog/index.js';
import { blobName, type DriveSet, type Placement } from '../erasure/index.js';
import { objectRange, partRange } from './index-keys.js';
import type { IndexState } from './index-state.js';
import { decodeEntry, decodeObject, decodePart, type IndexEntry } from './records.js';

/** About 100 bytes each are held during a pass; more names take several passes. */
const namesMax = 500_000;
/** Entries decoded in one go: about 2 ms. */
const entriesPerStep = 500;
const pauseMs = 2;

const counterDigits = 12;
const namePattern = /^[0-9a-f]{20,32}$/;
/** Of a repair that a crash cut off. */
const repairPattern = /^([0-9a-f]{20,32})\.0$/;

export class OrphanSweep {
  #isClosed = false;
  #timer: NodeJS.Timeout | null = null;
  #running: Promise<void> = Promise.resolve();

  constructor(
    private readonly index: IndexState,
    private readonly set: DriveSet,
    /** The set's epoch at the start. */
    private readonly epoch: number,
    private readonly log: (text: string) => void,
    private readonly isInRepair: (name: string) => boolean,
  ) {}

  start(delayMs: number): void {
    this.#timer = setTimeout(() => {
      this.#running = this.#run().catch((error: unknown) => {
        this.log(`leftover files could not be looked for: ${error instanceof Error ? error.message : 'unknown cause'}`);
      });
    }, delayMs);
    this.#timer.unref();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    await this.#running;
  }

  async #run(): Promise<void> {
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
      for (let position = 0; position < this.set.driveCount && !this.#isClosed; position++) {
        removed += await this.#sweepDrive(position, (name) => isOfPass(name) && !live.has(name));
      }
    }
    if (removed > 0) this.log(`${removed} leftover files of cut-off uploads and deleted objects were removed`);
  }

  /** Null when there are more than fit. */
  async #liveNames(isOfPass: (name: string) => boolean): Promise<Set<string> | null> {
    const names = new Set<string>();
    const ranges: [{ start: Buffer; end: Buffer }, (entry: IndexEntry) => Placement][] = [
      [objectRange, ({ body, here }) => decodeObject(body, here).placement],
      [partRange, ({ body, here }) => decodePart(body, here).placement],
    ];
    for (const [{ start, end }, placementOf] of ranges) {
      let from: Buffer | null = start;
      while (from !== null && !this.#isClosed) {
        const step: CatalogEntry[] = [...this.index.catalog.range({ start: from, end, limit: entriesPerStep })];
        for (const { value } of step) {
          const placement = placementOf(decodeEntry(value));
          if (placement.kind !== 'blob') continue;
          const name = blobName(placement.id);
          if (isOfPass(name)) names.add(name);
        }
        if (names.size > namesMax) return null;
        const last = step.at(-1);
        from = last === undefined || step.length < entriesPerStep ? null : Buffer.concat([last.key, Buffer.of(0)]);
        await new Promise((resolve) => setTimeout(resolve, pauseMs));
      }
    }
    // Dropped while this went on, perhaps, and still being read: the reclaimer's, not ours.
    for (const { target } of this.index.pendingGarbage()) if (target.kind === 'blob') names.add(target.name);
    return names;
  }

  #isLeftover(name: string, isOrphan: (name: string) => boolean): boolean {
    const repaired = repairPattern.exec(name)?.[1];
    if (repaired !== undefined) return !this.isInRepair(repaired);
    if (!namePattern.test(name)) return false;
    return parseInt(name.slice(0, -counterDigits), 16) < this.epoch && isOrphan(name);
  }

  async #sweepDrive(position: number, isOrphan: (name: string) => boolean): Promise<number> {
    const blobs = this.set.drive(position)?.blobs;
    if (blobs === undefined) return 0;
    let removed = 0;
    for await (const listed of blobs.list()) {
      if (this.#isClosed || !listed.ok) break;
      const name = listed.value;
      if (!this.#isLeftover(name, isOrphan)) continue;
      if ((await blobs.unlink(name)).ok) removed++;
    }
    return removed;
  }
}
