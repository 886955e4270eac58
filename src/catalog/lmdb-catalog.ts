/**
 * The index in LMDB, without syncs. After `kill -9` the page cache still holds every committed page, so
 * the file is consistent; after a power loss it may not be. A marker file, synced before the first write
 * and removed after a clean close, names the boot in which the index was open: found with another boot's
 * id, the index is discarded and replayed from the logs.
 */
import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { open, type RootDatabase } from 'lmdb';
import type { Catalog, CatalogBatch, CatalogEntry, RangeOptions } from './catalog.js';

const markerName = 'open-in-boot';
const dataName = 'index.mdb';

export interface LmdbCatalogOptions {
  /** Created when absent. */
  readonly directory: string;
  /** Of the running kernel. */
  readonly bootId: string;
  readonly log: (text: string) => void;
}

export function openLmdbCatalog(options: LmdbCatalogOptions): Catalog {
  mkdirSync(options.directory, { recursive: true, mode: 0o700 });
  const marker = join(options.directory, markerName);
  if (existsSync(marker) && readFileSync(marker, 'utf8').trim() !== options.bootId) {
    options.log('the index was open when the machine went down: it is rebuilt from the logs');
    removeData(options.directory);
  }
  writeMarker(options.directory, marker, options.bootId);
  try {
    return new LmdbCatalog(options.directory, marker);
  } catch (error) {
    options.log(
      `the index cannot be opened (${error instanceof Error ? error.message : 'unknown cause'}): it is rebuilt from the logs`,
    );
    removeData(options.directory);
    return new LmdbCatalog(options.directory, marker);
  }
}

class LmdbCatalog implements Catalog {
  readonly #db: RootDatabase<Buffer, Buffer>;

  constructor(
    directory: string,
    private readonly marker: string,
  ) {
    this.#db = open<Buffer, Buffer>({
      path: join(directory, dataName),
      encoding: 'binary',
      keyEncoding: 'binary',
      noSync: true,
      // The index is rebuilt from the logs, so the checks of a synced database are not needed.
      overlappingSync: false,
      mapSize: 1 << 30,
      maxReaders: 126,
    });
  }

  get(key: Uint8Array): Buffer | undefined {
    return this.#db.get(key as Buffer);
  }

  *range(options: RangeOptions): Iterable<CatalogEntry> {
    const range = this.#db.getRange(
      options.reverse === true
        ? { start: options.end as Buffer, end: options.start as Buffer, reverse: true, ...limitOf(options) }
        : { start: options.start as Buffer, end: options.end as Buffer, ...limitOf(options) },
    );
    for (const { key, value } of range) yield { key, value };
  }

  async write(fill: (batch: CatalogBatch) => void): Promise<void> {
    const db = this.#db;
    await db.batch(() => {
      fill({
        put: (key, value) => {
          void db.put(key as Buffer, value as Buffer);
        },
        delete: (key) => {
          void db.remove(key as Buffer);
        },
      });
    });
  }

  async clear(): Promise<void> {
    await this.#db.clearAsync();
  }

  async close(): Promise<void> {
    await this.#db.committed;
    await this.#db.close();
    const data = openSync(join(this.marker, '..', dataName), 'r');
    fsyncSync(data);
    closeSync(data);
    rmSync(this.marker, { force: true });
  }
}

function limitOf(options: RangeOptions): { limit?: number } {
  return options.limit === undefined ? {} : { limit: options.limit };
}

function removeData(directory: string): void {
  rmSync(join(directory, dataName), { force: true, recursive: true });
  rmSync(join(directory, `${dataName}-lock`), { force: true });
}

function writeMarker(directory: string, marker: string, bootId: string): void {
  const file = openSync(marker, 'w', 0o600);
  writeSync(file, `${bootId}\n`);
  fsyncSync(file);
  closeSync(file);
  const folder = openSync(directory, 'r');
  fsyncSync(folder);
  closeSync(folder);
}
