/**
 * The index as a table in memory over sorted runs on disk (docs/format/index.md). What is on disk is at every
 * moment a state that the index went through: synced, checksummed and named as a whole. What was only in memory
 * when the process ended is replayed from the logs. A damaged index is discarded, at the start or at the start
 * after the damage was met: the logs have everything. When the drive that it lies on has gone, or has taken nothing for a
 * while, it moves to another.
 */
import { mkdir, readdir, rm, rmdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { KiB, MiB, Refusal } from '../base/index.js';
import {
  deletionsPerPause,
  indexStores,
  isNoAnswer,
  isShortage,
  onlyDeleted,
  type IndexStore,
} from '../native/index.js';
import type { Catalog, CatalogBatch, CatalogEntry, RangeOptions } from './catalog.js';
import { ask, isSilent } from './folder-calls.js';
import { IndexCopy } from './index-copy.js';
import { damagedName, isThere, removeRuns, runsName } from './index-files.js';
import { IndexTarget } from './index-target.js';

/**
 * A table of this size is written to disk: about 20,000 entries. A start after a crash replays three such tables at the
 * most, the one in use and two that are on their way (bench: `million.start.power`).
 */
const memoryBytesDefault = 8 * MiB;
const cacheBytesDefault = 64 * MiB;
/** Longest time that an entry is only in memory, so that a quiet server starts quickly too. */
const flushMsDefault = 30_000;
/** Whoever writes faster than the disk takes it looks again after this. */
const behindMs = 5;
/** So many tables' worth of entries may wait in memory for a disk that refuses them. */
const refusedTablesMax = 8;
/** What comes in small numbers may fill so much more. */
const fewShare = 5 / 4;
/** How often a flush is looked after. */
const flushLookMs = 5;
/** How often it is looked whether the folder can stay the index's. */
const placeLookMsDefault = 2_000;
/** A disk that does not answer for so long takes nothing for now: commits go on without it. */
const stuckMsDefault = 8_000;
/** After a folder to move to was not to be had either. */
const moveAgainMs = 60_000;
/** How often it is told that a disk takes nothing. */
const tellAgainMs = 60_000;
/**
 * A disk in use that takes nothing for so long is left when another has room. Compaction often makes some sooner; and who
 * writes 4 MB of entries a second has not filled the memory by then.
 */
const refusedMsMaxDefault = 10_000;
/**
 * What has to be free beside twice the index, which is copied and then merged: the log files ahead of the drive's set.
 * The index does not come back before its old drive has as much, more than it gains by the move: what is written for
 * moves is less than what others wrote or freed in between.
 */
const spareBytesMinDefault = 256 * MiB;

/** Keys are shorter than the end, and begin with the number of their kind. */
const everything = { start: Buffer.alloc(0), end: Buffer.alloc(16, 0xff) };

/** A first page for look-ups of one entry, further ones for listings. */
const pageBytesFirst = 4 * KiB;
const pageBytesMax = 256 * KiB;
const pageGrowth = 8;

/** A part of the index could not be read. Why is in the log, once; what asked for it is to come again. */
export class IndexDamaged extends Refusal<'SlowDownRead'> {
  constructor() {
    super('SlowDownRead', 'The index of this server cannot be read and is built anew; try again later.');
  }
}

/** A folder that the index could lie in. */
export interface IndexPlace {
  readonly directory: string;
  /** On its disk; 0 when that cannot be told. */
  freeBytes(): Promise<number>;
  /** Its disk takes nothing although there is room. Absent: one that does so is no place any more. */
  isFailing?(): Promise<boolean>;
}

export interface RunCatalogOptions {
  /** Created when absent. */
  readonly directory: string;
  readonly log: (text: string) => void;
  /** A part of it could not be read, told once. `isNoted`: whatever looks for an index next knows of it. */
  readonly onDamage?: (isNoted: boolean) => void;
  /** How often what was written lately goes to disk. */
  readonly flushMs?: number;
  readonly memoryBytes?: number;
  readonly cacheBytes?: number;
  readonly stuckMs?: number;
  /** Where the index could lie as things are, the best first. It stays where it is as long as it can. */
  readonly places?: () => readonly IndexPlace[];
  /** Where it should lie: opened elsewhere, it moves there once, when there is room. */
  readonly home?: IndexPlace | null;
  readonly onMove?: (directory: string, why: string) => void;
  readonly placeLookMs?: number;
  readonly refusedMsMax?: number;
  readonly spareBytesMin?: number;
}

/** Rejects when the folder cannot have it, or its disk does not answer. */
export async function openRunCatalog(options: RunCatalogOptions): Promise<Catalog> {
  const { directory, log, memoryBytes = memoryBytesDefault, cacheBytes = cacheBytesDefault } = options;
  const { stuckMs = stuckMsDefault, flushMs = flushMsDefault, placeLookMs = placeLookMsDefault } = options;
  const { refusedMsMax = refusedMsMaxDefault, spareBytesMin = spareBytesMinDefault } = options;
  const { onDamage = () => undefined, onMove = () => undefined, home = null } = options;
  const { places = () => [{ directory, freeBytes: () => Promise.resolve(0) }] } = options;
  const runs = join(directory, runsName);
  const openIn = (folder: string): IndexStore => indexStores.openIndexStore(folder, memoryBytes, cacheBytes, stuckMs);
  const discard = async (why: string): Promise<void> => {
    log(`the index ${why}: it is rebuilt from the logs`);
    await ask(directory, () => removeIndex(directory));
  };
  const isDamaged = await ask(directory, async () => {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    return isThere(join(directory, damagedName));
  });
  if (isDamaged) await discard('could not be read when it was last in use');
  let store: IndexStore;
  try {
    store = openIn(runs);
  } catch (error) {
    // What hangs is not to be removed, but left alone; and what could not be looked at may be whole.
    if (isNoAnswer(error) || isShortage(error)) throw error;
    await discard(`cannot be opened (${causeOf(error)})`);
    store = openIn(runs);
  }
  const refusedBytesMax = refusedTablesMax * memoryBytes;
  const toMove = { places, home, onMove, placeLookMs, refusedMsMax, spareBytesMin, stuckMs };
  const upkeep = { directory, log, onDamage, flushMs, openIn, refusedBytesMax, ...toMove };
  return new RunCatalog(store, upkeep, await folderAt(directory));
}

/**
 * For a look at an index that no server uses. A damaged one is built anew by a start; damage within a run is met only
 * where it is read, which throws. Nothing is changed.
 */
export async function openExistingCatalog(directory: string): Promise<Catalog | 'absent' | 'damaged'> {
  const runs = join(directory, runsName);
  if (await ask(directory, () => isThere(join(directory, damagedName)))) return 'damaged';
  if (!(await ask(directory, () => isThere(runs)))) return 'absent';
  try {
    const store = indexStores.openIndexStore(runs, memoryBytesDefault, cacheBytesDefault, stuckMsDefault);
    return new RunCatalog(store, null, null);
  } catch (error) {
    if (isShortage(error)) throw error;
    return 'damaged';
  }
}

/** Removes an index that is not open: its files, and its folder when nothing else is in it. */
export async function removeRunCatalog(directory: string): Promise<void> {
  await ask(directory, async () => {
    if (!(await isThere(directory))) return;
    await removeIndex(directory);
    if ((await readdir(directory)).length === 0) await rmdir(directory);
  });
}

/** The same of a folder that is not ours to remove. */
export async function emptyRunCatalog(directory: string): Promise<void> {
  await ask(directory, () => removeIndex(directory));
}

async function removeIndex(directory: string): Promise<void> {
  await removeRuns(directory);
  await rm(join(directory, damagedName), { recursive: true, force: true });
}

/** What the index of a server needs to stay. */
interface Upkeep {
  readonly directory: string;
  readonly log: (text: string) => void;
  readonly onDamage: (isNoted: boolean) => void;
  readonly places: () => readonly IndexPlace[];
  readonly home: IndexPlace | null;
  readonly onMove: (directory: string, why: string) => void;
  readonly placeLookMs: number;
  readonly refusedMsMax: number;
  readonly spareBytesMin: number;
  readonly stuckMs: number;
  readonly flushMs: number;
  /** In a folder for runs. */
  readonly openIn: (runs: string) => IndexStore;
  readonly refusedBytesMax: number;
}

class RunCatalog implements Catalog {
  readonly #timers: NodeJS.Timeout[];
  #store: IndexStore;
  #into = Buffer.allocUnsafeSlow(64 * KiB);
  #isDirty = false;
  #tellAgainAtMs = 0;
  /** When the disk was first seen to take nothing; null: it does. */
  #refusedSinceMs: number | null = null;
  #hasRoom = true;
  #directory: string;
  /** Device and inode of the folder of the runs: under its name there may come to be another. */
  #folder: string | null;
  #copy: IndexCopy | null = null;
  #moving: Promise<void> = Promise.resolve();
  #moveAgainAtMs = 0;
  #mayMove = true;
  #isMoving = false;
  /** Where it is to go although it could stay. */
  #home: IndexPlace | null;
  #isLooking = false;
  #isClosed = false;
  #isDamageMet = false;
  #marking: Promise<unknown> = Promise.resolve();
  readonly #openRanges = new Map<IndexStore, number>();

  /** Without `upkeep` nothing is ever changed. */
  constructor(
    store: IndexStore,
    private readonly upkeep: Upkeep | null,
    folder: string | null,
  ) {
    this.#store = store;
    this.#directory = upkeep?.directory ?? '';
    this.#folder = folder;
    this.#home = upkeep === null || upkeep.home?.directory === upkeep.directory ? null : upkeep.home;
    this.#timers =
      upkeep === null
        ? []
        : [
            setInterval(() => {
              this.#flushWhatIsNew();
            }, upkeep.flushMs).unref(),
            setInterval(() => {
              this.#lookAfterPlace(upkeep);
            }, upkeep.placeLookMs).unref(),
          ];
  }

  get(key: Uint8Array): Buffer | undefined {
    let bytes = this.#reading(() => this.#store.get(key, this.#into));
    if (bytes < 0) return undefined;
    if (bytes > this.#into.length) {
      this.#into = Buffer.allocUnsafeSlow(2 * bytes);
      bytes = this.#reading(() => this.#store.get(key, this.#into));
    }
    const value = Buffer.allocUnsafe(bytes);
    this.#into.copy(value, 0, 0, bytes);
    return value;
  }

  *range({ start, end, limit = Number.MAX_SAFE_INTEGER, reverse = false, turn }: RangeOptions): Iterable<CatalogEntry> {
    if (limit < 1) return;
    // The one that it was opened in: the index may move before it comes to its end.
    const store = this.#store;
    const range = this.#reading(() => store.openRange(start, end, reverse ? 1 : 0));
    this.#openRanges.set(store, (this.#openRanges.get(store) ?? 0) + 1);
    try {
      let left = limit;
      let pageBytes = pageBytesFirst;
      while (left > 0) {
        // A page of its own each time: its entries are given away.
        const page = Buffer.allocUnsafeSlow(pageBytes);
        const used = this.#reading(() => store.readRange(range, page, left));
        if (used === 0) return;
        if (used === onlyDeleted) {
          turn?.pass(deletionsPerPause);
          continue;
        }
        if (used < 0) {
          pageBytes = -used;
          continue;
        }
        for (let at = 0; at < used; left--) {
          const keyAt = at + 8;
          const valueAt = keyAt + page.readUInt32LE(at);
          const next = valueAt + page.readUInt32LE(at + 4);
          yield { key: page.subarray(keyAt, valueAt), value: page.subarray(valueAt, next) };
          at = next;
        }
        pageBytes = Math.max(pageBytes, Math.min(pageBytes * pageGrowth, pageBytesMax));
      }
    } finally {
      store.closeRange(range);
      const left = (this.#openRanges.get(store) ?? 1) - 1;
      if (left > 0) this.#openRanges.set(store, left);
      else this.#openRanges.delete(store);
      if (left === 0 && store !== this.#store) store.leave();
    }
  }

  async write(fill: (batch: CatalogBatch) => void): Promise<void> {
    const changes: { readonly key: Uint8Array; readonly value: Uint8Array | null }[] = [];
    fill({
      put: (key, value) => changes.push({ key, value }),
      delete: (key) => changes.push({ key, value: null }),
    });
    for (const { key, value } of changes) {
      if (value === null) this.#store.delete(key);
      else this.#store.put(key, value);
      this.#copy?.change(key, value);
    }
    this.#isDirty = true;
    let isBehind = this.#endBatch();
    while (isBehind) {
      await new Promise((resolve) => setTimeout(resolve, behindMs));
      isBehind = this.#store.isBehind() || this.#copy?.store.isBehind() === true;
    }
    this.#hasRoom = this.#looksRoomy();
  }

  /** True: whoever writes has to wait for a disk. */
  #endBatch(): boolean {
    const isCopyBehind = this.#copy?.store.endBatch() === true;
    return this.#store.endBatch() || isCopyBehind;
  }

  hasRoom(isFew = false): boolean {
    // Nothing more may come to be written by the time that there is room again.
    if (!this.#hasRoom) this.#hasRoom = this.#looksRoomy();
    return this.#hasRoom || (isFew && this.#looksRoomy(fewShare));
  }

  async flush(): Promise<void> {
    const store = this.#store;
    const ticket = store.flush();
    this.#isDirty = false;
    while (this.#store === store) {
      if (store.isFlushed(ticket)) return;
      await new Promise((resolve) => setTimeout(resolve, flushLookMs));
      const trouble = this.#store === store ? store.trouble() : '';
      if (trouble !== '') throw new Error(trouble);
    }
    // It moved meanwhile, and what was to be flushed with it.
    await this.flush();
  }

  async clear(): Promise<void> {
    await this.#stopMoving();
    this.#store.clear();
    this.#mayMove = true;
  }

  async close(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    await this.#stopMoving();
    await this.#marking;
    this.#isClosed = true;
    this.#store.close();
  }

  #flushWhatIsNew(): void {
    if (this.#isDirty) this.#store.flush();
    this.#isDirty = false;
  }

  /**
   * A disk without room is waited for, and left when another has some: other sets may have, and without an index none
   * takes writes. A drive that is out for a while does no harm, unless its folder has gone: then it may have to be
   * unmounted, or may not come back.
   */
  #lookAfterPlace(upkeep: Upkeep): void {
    const trouble = this.#store.trouble();
    const nowMs = performance.now();
    this.#tellTrouble(trouble, nowMs, upkeep);
    this.#refusedSinceMs = trouble === '' ? null : (this.#refusedSinceMs ?? nowMs);
    const damage = this.#store.damage();
    if (damage !== '') this.#meetDamage(damage, false);
    if (this.#isMoving || this.#isDamageMet || nowMs < this.#moveAgainAtMs) return;
    const places = upkeep.places();
    // Not under the name that it has: what is open would go on writing there.
    const place = places.find(({ directory }) => directory === this.#directory);
    const others = places.filter(({ directory }) => directory !== this.#directory && !isSilent(directory));
    if (others.length === 0) return;
    const home = others.find(({ directory }) => directory === this.#home?.directory);
    if (trouble !== '' && place === undefined) this.#startMoving(this.#moveToOneOf(others, trouble, upkeep));
    else if (place !== undefined && this.#isRefusedForLong(nowMs, upkeep))
      this.#startMoving(this.#moveToRoom(place, others, trouble, upkeep));
    else if (trouble === '' && home !== undefined) this.#startMoving(this.#moveHome(home, upkeep));
    else if (!this.#isLooking) void this.#lookAtFolder(others, upkeep);
  }

  /** Each try names another file. */
  #tellTrouble(trouble: string, nowMs: number, { log }: Upkeep): void {
    if (trouble === '' || nowMs < this.#tellAgainAtMs) return;
    log(`the index cannot be written: ${trouble}`);
    this.#tellAgainAtMs = nowMs + tellAgainMs;
  }

  #isRefusedForLong(nowMs: number, { refusedMsMax }: Upkeep): boolean {
    return this.#refusedSinceMs !== null && nowMs - this.#refusedSinceMs >= refusedMsMax;
  }

  async #lookAtFolder(others: readonly IndexPlace[], upkeep: Upkeep): Promise<void> {
    const directory = this.#directory;
    this.#isLooking = true;
    const folder = await folderAt(directory);
    this.#isLooking = false;
    if (folder === this.#folder || directory !== this.#directory || this.#isMoving || !this.#mayMove) return;
    this.#startMoving(this.#moveToOneOf(others, 'its folder has gone', upkeep));
  }

  #startMoving(moving: Promise<void>): void {
    this.#moveAgainAtMs = performance.now() + moveAgainMs;
    this.#isMoving = true;
    this.#moving = moving.finally(() => (this.#isMoving = false));
  }

  /** Where there is most, if that is clearly enough. The old drive is in use, and gets its room back. */
  async #moveToRoom(from: IndexPlace, places: readonly IndexPlace[], trouble: string, upkeep: Upkeep): Promise<void> {
    // What fails is left for any drive, as one that is out of its set is.
    const isFailing = (await from.isFailing?.()) === true;
    const wanted = isFailing ? 0 : this.#bytesWanted() + upkeep.spareBytesMin;
    const asked = await Promise.all(places.map(async (place) => ({ place, free: await place.freeBytes() })));
    const roomy = asked.filter(({ free }) => free >= wanted).sort((a, b) => b.free - a.free);
    await this.#leaveFor(
      roomy.map(({ place }) => place),
      trouble,
      upkeep,
    );
    if (roomy.length === 0) this.#moveAgainAtMs = performance.now() + upkeep.refusedMsMax;
  }

  /** Once: what it left it for may go on. */
  async #moveHome(home: IndexPlace, upkeep: Upkeep): Promise<void> {
    this.#home = null;
    const free = await home.freeBytes();
    // No log grows there.
    if (free >= this.#bytesWanted()) await this.#leaveFor([home], 'that one is as it should be again', upkeep);
    else upkeep.log(`the index does not move to ${home.directory}: there is no room for it`);
  }

  #bytesWanted(): number {
    const { runBytes, memoryBytes } = this.#store.figures();
    return 2 * (runBytes + memoryBytes);
  }

  /** What has it now can be reached, and gets its room back. */
  async #leaveFor(places: readonly IndexPlace[], why: string, upkeep: Upkeep): Promise<void> {
    const before = this.#directory;
    await this.#moveToOneOf(places, why, upkeep);
    if (this.#directory === before) return;
    await ask(before, () => removeRuns(before)).catch((error: unknown) => {
      upkeep.log(`what is left of the index in ${before} goes at the next start: ${causeOf(error)}`);
    });
  }

  async #moveToOneOf(places: readonly IndexPlace[], why: string, upkeep: Upkeep): Promise<void> {
    for (const { directory } of places) {
      if (!this.#mayMove) return;
      const before = this.#directory;
      try {
        await this.#moveTo(directory, upkeep);
        if (this.#directory === before) return;
        this.#moveAgainAtMs = 0;
        this.#tellAgainAtMs = 0;
        this.#refusedSinceMs = null;
        upkeep.log(`the index lies in ${directory} now, not in ${before}: ${why}`);
        upkeep.onMove(directory, why);
        return;
      } catch (error) {
        // Nor to any other: it is built anew instead.
        if (error instanceof IndexDamaged) return;
        upkeep.log(`the index cannot move to ${directory}: ${causeOf(error)}`);
      }
    }
  }

  async #moveTo(directory: string, { openIn, stuckMs, log }: Upkeep): Promise<void> {
    const target = new IndexTarget(directory, stuckMs);
    await target.prepare();
    if (!this.#mayMove) return;
    const from = this.#store;
    const store = openIn(target.runs);
    let isWhole = false;
    try {
      // What is written until it has the place of the other goes to both.
      const copy = new IndexCopy(this.range(everything), store);
      this.#copy = copy;
      const isCopied = await copy.run();
      if (isCopied) await target.complete();
      isWhole = isCopied;
    } finally {
      this.#copy = null;
      if (!isWhole) {
        store.leave();
        await target.discard().catch((error: unknown) => {
          log(`an unfinished copy of the index cannot be removed from ${directory}: ${causeOf(error)}`);
        });
      }
    }
    if (!isWhole) return;
    this.#store = store;
    this.#directory = directory;
    if (!this.#openRanges.has(from)) from.leave();
    this.#folder = await folderAt(directory);
  }

  async #stopMoving(): Promise<void> {
    this.#mayMove = false;
    this.#copy?.giveUp();
    await this.#moving;
  }

  #looksRoomy(share = 1): boolean {
    const { refusedBytesMax = 0 } = this.upkeep ?? {};
    return this.#store.trouble() === '' || this.#store.figures().memoryBytes < refusedBytesMax * share;
  }

  #reading<T>(read: () => T): T {
    try {
      return read();
    } catch (error) {
      // A wrong argument, or one who comes too late, says nothing of the index.
      if (this.#isClosed || error instanceof RangeError || error instanceof TypeError) throw error;
      this.#meetDamage(causeOf(error), isNoAnswer(error));
      throw new IndexDamaged();
    }
  }

  /** Every read of it is one more: once is enough to build it anew. */
  #meetDamage(cause: string, isSilent: boolean): void {
    if (this.upkeep === null || this.#isDamageMet) return;
    this.#isDamageMet = true;
    const { log, onDamage } = this.upkeep;
    log(`the index cannot be read: ${cause}`);
    // A disk that does not answer tells by that.
    const marked = isSilent ? Promise.resolve(true) : this.#markDamaged(this.#directory);
    this.#marking = marked.then(onDamage);
  }

  /** False when that was not possible. */
  async #markDamaged(directory: string): Promise<boolean> {
    try {
      await ask(directory, () => writeFile(join(directory, damagedName), ''));
      return true;
    } catch (error) {
      this.upkeep?.log(`that the index is damaged cannot be noted: ${causeOf(error)}`);
      return false;
    }
  }
}

function causeOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** What tells the folder of the runs from another that has its name; null: none is there. */
async function folderAt(directory: string): Promise<string | null> {
  try {
    const { dev, ino } = await ask(directory, () => stat(join(directory, runsName), { bigint: true }));
    return `${dev}-${ino}`;
  } catch {
    // Whatever keeps it from being looked at keeps the index from being written.
    return null;
  }
}
