/**
 * The index as a table in memory over sorted runs on disk (docs/format/index.md). What is on disk is at every
 * moment a state that the index went through: synced, checksummed and named as a whole. What was only in memory
 * when the process ended is replayed from the logs. A damaged index is discarded, at the start or at the start
 * after the damage was met: the logs have everything.
 */
import { existsSync, mkdirSync, readdirSync, rmSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { MiB, KiB } from '../base/index.js';
import { indexStores, type IndexStore } from '../native/index.js';
import type { Catalog, CatalogBatch, CatalogEntry, RangeOptions } from './catalog.js';

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
/** A disk that does not answer for so long takes nothing for now: commits go on without it. */
const stuckMsDefault = 8_000;
/** How often a flush is looked after. */
const flushLookMs = 5;

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
  /** A part of the index could not be read, the first time. `isNoted`: whatever opens it next builds it anew. */
  readonly onDamage?: (isNoted: boolean) => void;
  readonly memoryBytes?: number;
  readonly cacheBytes?: number;
  readonly stuckMs?: number;
}

export function openRunCatalog(options: RunCatalogOptions): Catalog {
  const { directory, log, memoryBytes = memoryBytesDefault, cacheBytes = cacheBytesDefault } = options;
  const { stuckMs = stuckMsDefault } = options;
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const marker = join(directory, damagedName);
  const runs = join(directory, runsName);
  const open = (): IndexStore => indexStores.openIndexStore(runs, memoryBytes, cacheBytes, stuckMs);
  const discard = (why: string): void => {
    log(`the index ${why}: it is rebuilt from the logs`);
    rmSync(runs, { recursive: true, force: true });
    rmSync(marker, { force: true });
  };
  if (existsSync(marker)) discard('could not be read when it was last in use');
  let isMet = false;
  const onDamage = (cause: string): void => {
    // Every read of it is one more: once is enough to build it anew.
    if (isMet) return;
    isMet = true;
    log(`the index cannot be read: ${cause}`);
    try {
      writeFileSync(marker, '');
    } catch (error) {
      log(`that the index is damaged cannot be noted: ${error instanceof Error ? error.message : 'unknown cause'}`);
      options.onDamage?.(false);
      return;
    }
    options.onDamage?.(true);
  };
  try {
    return new RunCatalog(open(), onDamage, log, refusedTablesMax * memoryBytes);
  } catch (error) {
    discard(`cannot be opened (${error instanceof Error ? error.message : 'unknown cause'})`);
    return new RunCatalog(open(), onDamage, log, refusedTablesMax * memoryBytes);
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
  const ignore = (): void => undefined;
  try {
    const store = indexStores.openIndexStore(runs, memoryBytesDefault, cacheBytesDefault, stuckMsDefault);
    return new RunCatalog(store, ignore, ignore, 0);
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

class RunCatalog implements Catalog {
  readonly #timer: NodeJS.Timeout;
  #into = Buffer.allocUnsafeSlow(64 * KiB);
  #isDirty = false;
  #trouble = '';
  #hasRoom = true;

  constructor(
    private readonly store: IndexStore,
    private readonly onDamage: (cause: string) => void,
    private readonly log: (text: string) => void,
    private readonly refusedBytesMax: number,
  ) {
    this.#timer = setInterval(() => {
      this.#look();
    }, flushMs).unref();
  }

  get(key: Uint8Array): Buffer | undefined {
    let bytes = this.#reading(() => this.store.get(key, this.#into));
    if (bytes < 0) return undefined;
    if (bytes > this.#into.length) {
      this.#into = Buffer.allocUnsafeSlow(2 * bytes);
      bytes = this.#reading(() => this.store.get(key, this.#into));
    }
    const value = Buffer.allocUnsafe(bytes);
    this.#into.copy(value, 0, 0, bytes);
    return value;
  }

  *range({ start, end, limit = Number.MAX_SAFE_INTEGER, reverse = false }: RangeOptions): Iterable<CatalogEntry> {
    if (limit < 1) return;
    const range = this.#reading(() => this.store.openRange(start, end, reverse ? 1 : 0));
    try {
      let left = limit;
      let pageBytes = pageBytesFirst;
      while (left > 0) {
        // A page of its own each time: its entries are given away.
        const page = Buffer.allocUnsafeSlow(pageBytes);
        const used = this.#reading(() => this.store.readRange(range, page, left));
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
      this.store.closeRange(range);
    }
  }

  async write(fill: (batch: CatalogBatch) => void): Promise<void> {
    const changes: { readonly key: Uint8Array; readonly value: Uint8Array | null }[] = [];
    fill({
      put: (key, value) => changes.push({ key, value }),
      delete: (key) => changes.push({ key, value: null }),
    });
    for (const { key, value } of changes) {
      if (value === null) this.store.delete(key);
      else this.store.put(key, value);
    }
    this.#isDirty = true;
    let isBehind = this.store.endBatch();
    while (isBehind) {
      await new Promise((resolve) => setTimeout(resolve, behindMs));
      isBehind = this.store.isBehind();
    }
    this.#hasRoom = this.#looksRoomy();
  }

  hasRoom(): boolean {
    // Nothing more may come to be written by the time that there is room again.
    if (!this.#hasRoom) this.#hasRoom = this.#looksRoomy();
    return this.#hasRoom;
  }

  async flush(): Promise<void> {
    const ticket = this.store.flush();
    this.#isDirty = false;
    while (!this.store.isFlushed(ticket)) {
      await new Promise((resolve) => setTimeout(resolve, flushLookMs));
      const trouble = this.store.trouble();
      if (trouble !== '') throw new Error(trouble);
    }
  }

  clear(): Promise<void> {
    this.store.clear();
    return Promise.resolve();
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await Promise.resolve();
    this.store.close();
  }

  /** From time to time: what was written lately goes to disk, and whoever operates this hears of a disk that refuses. */
  #look(): void {
    const trouble = this.store.trouble();
    if (trouble !== '' && trouble !== this.#trouble) this.log(`the index cannot be written: ${trouble}`);
    this.#trouble = trouble;
    if (this.#isDirty) this.store.flush();
    this.#isDirty = false;
  }

  #looksRoomy(): boolean {
    return this.store.trouble() === '' || this.store.figures().memoryBytes < this.refusedBytesMax;
  }

  #reading<T>(read: () => T): T {
    try {
      return read();
    } catch (error) {
      const cause = error instanceof Error ? error.message : String(error);
      this.onDamage(cause);
      throw new IndexDamaged(cause, { cause: error });
    }
  }
}
