/**
 * The index as a table in memory over sorted runs on disk (docs/format/index.md). What is on disk is at every
 * moment a state that the index went through: synced, checksummed and named as a whole. What was only in memory
 * when the process ended is replayed from the logs. A damaged index is discarded, at the start or at the start
 * after the damage was met: the logs have everything. When the drive that it lies on has gone, it moves to another.
 */
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmSync,
  rmdirSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { MiB, KiB } from '../base/index.js';
import { indexStores, type IndexStore } from '../native/index.js';
import type { Catalog, CatalogBatch, CatalogEntry, RangeOptions } from './catalog.js';
import { IndexCopy } from './index-copy.js';

/** Found at a start: the index could not be read, and is not looked at again. */
const damagedName = 'damaged';
const runsName = 'runs';

/**
 * A table of this size is written to disk: about 20,000 entries. A start after a crash replays three such tables at the
 * most, the one in use and two that are on their way (bench: `million.start.power`).
 */
const memoryBytesDefault = 8 * MiB;
const cacheBytesDefault = 64 * MiB;
/** Longest time that an entry is only in memory, so that a quiet server starts quickly too. */
const flushMs = 30_000;
/** Whoever writes faster than the disk takes it looks again after this. */
const behindMs = 5;
/** So many tables' worth of entries may wait in memory for a disk that refuses them. */
const refusedTablesMax = 8;
/** How often a flush is looked after. */
const flushLookMs = 5;
/** How often it is looked whether the folder can stay the index's. */
const placeLookMsDefault = 2_000;
/** A disk that writes no table in so long, while more than should be wait, hangs. */
const hangMs = 10_000;
/** After a folder to move to was not to be had either. */
const moveAgainMs = 60_000;

/** A first page for look-ups of one entry, further ones for listings. */
const pageBytesFirst = 4 * KiB;
const pageBytesMax = 256 * KiB;
const pageGrowth = 8;

/** A part of the index could not be read. It is marked: the next one to open it builds it anew. */
export class IndexDamaged extends Error {
  override readonly name = 'IndexDamaged';
}

export interface RunCatalogOptions {
  /** Created when absent. */
  readonly directory: string;
  readonly log: (text: string) => void;
  readonly memoryBytes?: number;
  readonly cacheBytes?: number;
  /** Where the index could lie as things are, the best first. It stays where it is as long as it can. */
  readonly places?: () => readonly string[];
  readonly placeLookMs?: number;
}

export function openRunCatalog(options: RunCatalogOptions): Catalog {
  const { directory, log, memoryBytes = memoryBytesDefault, cacheBytes = cacheBytesDefault } = options;
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const marker = join(directory, damagedName);
  const runs = join(directory, runsName);
  const openIn = (folder: string): IndexStore => indexStores.openIndexStore(folder, memoryBytes, cacheBytes);
  const discard = (why: string): void => {
    log(`the index ${why}: it is rebuilt from the logs`);
    rmSync(runs, { recursive: true, force: true });
    rmSync(marker, { force: true });
  };
  if (existsSync(marker)) discard('could not be read when it was last in use');
  const { places = (): readonly string[] => [directory], placeLookMs = placeLookMsDefault } = options;
  const whole = { directory, log, places, placeLookMs, openIn, refusedBytesMax: refusedTablesMax * memoryBytes };
  try {
    return new RunCatalog(openIn(runs), whole);
  } catch (error) {
    discard(`cannot be opened (${error instanceof Error ? error.message : 'unknown cause'})`);
    return new RunCatalog(openIn(runs), whole);
  }
}

/**
 * For a look at an index that no server uses. A damaged one is built anew by a start; damage within a run is met only
 * where it is read, which throws. Nothing is changed.
 */
export function openExistingCatalog(directory: string): Catalog | 'absent' | 'damaged' {
  const runs = join(directory, runsName);
  if (existsSync(join(directory, damagedName))) return 'damaged';
  if (!existsSync(runs)) return 'absent';
  try {
    return new RunCatalog(indexStores.openIndexStore(runs, memoryBytesDefault, cacheBytesDefault), null);
  } catch {
    return 'damaged';
  }
}

/** Removes an index that is not open: its files, and its folder when nothing else is in it. */
export function removeRunCatalog(directory: string): void {
  rmSync(join(directory, runsName), { recursive: true, force: true });
  rmSync(join(directory, damagedName), { force: true });
  if (existsSync(directory) && readdirSync(directory).length === 0) rmdirSync(directory);
}

/** What the index of a server needs to stay. */
interface Upkeep {
  readonly directory: string;
  readonly log: (text: string) => void;
  readonly places: () => readonly string[];
  readonly placeLookMs: number;
  /** In a folder for runs. */
  readonly openIn: (runs: string) => IndexStore;
  readonly refusedBytesMax: number;
}

class RunCatalog implements Catalog {
  readonly #timers: NodeJS.Timeout[];
  #store: IndexStore;
  #into = Buffer.allocUnsafeSlow(64 * KiB);
  #isDirty = false;
  #trouble = '';
  #hasRoom = true;
  #directory: string;
  /** Device and inode of the folder of the runs: under its name there may come to be another. */
  #folder: string | null;
  #copy: IndexCopy | null = null;
  #moving: Promise<void> = Promise.resolve();
  #moveAgainAtMs = 0;
  #mayMove = true;
  /** Whoever writes does not wait for a disk that hangs: as for one that refuses, memory has to do. */
  #isHanging = false;
  #tables = { written: -1, sinceMs: 0 };
  readonly #openRanges = new Map<IndexStore, number>();

  /** Without `upkeep` nothing is ever changed. */
  constructor(
    store: IndexStore,
    private readonly upkeep: Upkeep | null,
  ) {
    this.#store = store;
    this.#directory = upkeep?.directory ?? '';
    this.#folder = upkeep === null ? null : folderAt(join(this.#directory, runsName));
    this.#timers =
      upkeep === null
        ? []
        : [
            setInterval(() => {
              this.#look();
            }, flushMs).unref(),
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

  *range({ start, end, limit = Number.MAX_SAFE_INTEGER, reverse = false }: RangeOptions): Iterable<CatalogEntry> {
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
      if (left === 0 && store !== this.#store) leave(store);
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
    this.#copy?.store.endBatch();
    let isBehind = this.#store.endBatch();
    while (isBehind && !this.#isHanging) {
      await new Promise((resolve) => setTimeout(resolve, behindMs));
      isBehind = this.#store.isBehind();
    }
    this.#hasRoom = this.#looksRoomy();
  }

  hasRoom(): boolean {
    // Nothing more may come to be written by the time that there is room again.
    if (!this.#hasRoom) this.#hasRoom = this.#looksRoomy();
    return this.#hasRoom;
  }

  async flush(): Promise<void> {
    const store = this.#store;
    const ticket = store.flush();
    this.#isDirty = false;
    while (this.#store === store && !store.isFlushed(ticket)) {
      if (this.#isHanging) throw new Error('the disk of the index does not answer');
      await new Promise((resolve) => setTimeout(resolve, flushLookMs));
      const trouble = this.#store.trouble();
      if (trouble !== '') throw new Error(trouble);
    }
    // It moved meanwhile, and what was to be flushed with it.
    if (this.#store !== store) await this.flush();
  }

  async clear(): Promise<void> {
    await this.#stopMoving();
    this.#store.clear();
    this.#mayMove = true;
  }

  async close(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    await this.#stopMoving();
    this.#store.close();
  }

  /** From time to time: what was written lately goes to disk, and whoever operates this hears of a disk that refuses. */
  #look(): void {
    const trouble = this.#store.trouble();
    if (trouble !== '' && trouble !== this.#trouble) this.upkeep?.log(`the index cannot be written: ${trouble}`);
    this.#trouble = trouble;
    if (this.#isDirty) this.#store.flush();
    this.#isDirty = false;
  }

  /** A full disk is waited for. A drive that went may not come back, and an index that is only in memory ends all writes. */
  #lookAfterPlace(upkeep: Upkeep): void {
    this.#lookWhetherItHangs();
    if (this.#copy !== null || performance.now() < this.#moveAgainAtMs) return;
    const places = upkeep.places();
    const isPlace = places.includes(this.#directory);
    // A drive that is out for a while does no harm, and one that hangs is not to be asked.
    if (!isPlace && this.#store.trouble() === '' && !this.#isHanging) return;
    if (isPlace && folderAt(join(this.#directory, runsName)) === this.#folder) return;
    // Not under the name that it has: what is open would go on writing there.
    const others = places.filter((place) => place !== this.#directory);
    if (others.length === 0) return;
    this.#moveAgainAtMs = performance.now() + moveAgainMs;
    this.#moving = this.#moveToOneOf(others, upkeep);
  }

  #lookWhetherItHangs(): void {
    const nowMs = performance.now();
    const { flushes } = this.#store.figures();
    if (flushes !== this.#tables.written || !this.#store.isBehind())
      this.#tables = { written: flushes, sinceMs: nowMs };
    const isHanging = nowMs - this.#tables.sinceMs > hangMs;
    if (isHanging && !this.#isHanging) this.upkeep?.log('the index cannot be written: its disk does not answer');
    this.#isHanging = isHanging;
  }

  async #moveToOneOf(places: readonly string[], upkeep: Upkeep): Promise<void> {
    for (const directory of places) {
      if (!this.#mayMove) return;
      const before = this.#directory;
      try {
        await this.#moveTo(directory, upkeep);
        if (this.#directory === before) return;
        this.#moveAgainAtMs = 0;
        upkeep.log(`the index lies in ${directory} now: it could not stay in ${before}`);
        return;
      } catch (error) {
        const why = error instanceof Error ? error.message : 'unknown cause';
        upkeep.log(`the index cannot move to ${directory}: ${why}`);
      }
    }
  }

  async #moveTo(directory: string, { openIn }: Upkeep): Promise<void> {
    const runs = join(directory, runsName);
    const marker = join(directory, damagedName);
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    writeFileSync(marker, '');
    syncFolder(directory);
    // One of an earlier start.
    rmSync(runs, { recursive: true, force: true });
    const from = this.#store;
    const store = openIn(runs);
    this.#copy = new IndexCopy(from, store);
    let isWhole = false;
    try {
      isWhole = await this.#copy.run();
      if (isWhole) rmSync(marker);
    } finally {
      this.#copy = null;
      if (!isWhole) {
        leave(store);
        rmSync(runs, { recursive: true, force: true });
      }
    }
    if (!isWhole) return;
    const before = { directory: this.#directory, folder: this.#folder };
    this.#store = store;
    this.#directory = directory;
    this.#folder = folderAt(runs);
    // To close one whose disk hangs would hang as well.
    if (this.#isHanging) this.#openRanges.set(from, Number.POSITIVE_INFINITY);
    this.#isHanging = false;
    if (!this.#openRanges.has(from)) leave(from);
    // The folder of another drive had its name: what was written there is of two.
    const stranger = folderAt(join(before.directory, runsName));
    if (stranger !== null && stranger !== before.folder) this.#markDamaged(before.directory);
  }

  async #stopMoving(): Promise<void> {
    this.#mayMove = false;
    this.#copy?.giveUp();
    await this.#moving;
  }

  #looksRoomy(): boolean {
    return (
      (this.#store.trouble() === '' && !this.#isHanging) ||
      this.#store.figures().memoryBytes < (this.upkeep?.refusedBytesMax ?? 0)
    );
  }

  #reading<T>(read: () => T): T {
    try {
      return read();
    } catch (error) {
      this.#markDamaged(this.#directory);
      throw new IndexDamaged(error instanceof Error ? error.message : String(error), { cause: error });
    }
  }

  #markDamaged(directory: string): void {
    if (this.upkeep === null) return;
    try {
      writeFileSync(join(directory, damagedName), '');
    } catch (error) {
      const why = error instanceof Error ? error.message : 'unknown cause';
      this.upkeep.log(`the index is damaged, and that cannot be noted: ${why}`);
    }
  }
}

/** What tells a folder from another that has its name; null: none is there. */
function folderAt(path: string): string | null {
  try {
    const { dev, ino } = statSync(path, { bigint: true });
    return `${dev}-${ino}`;
  } catch {
    // Whatever keeps it from being looked at keeps the index from being written.
    return null;
  }
}

/** Before what comes later can be: a part must never be there without its mark. */
function syncFolder(path: string): void {
  const folder = openSync(path, 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

/** Of a folder that has gone: what could not be written there is elsewhere. */
function leave(store: IndexStore): void {
  try {
    store.close();
  } catch {
    // It is closed all the same.
  }
}
