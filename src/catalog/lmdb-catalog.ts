/**
 * The index in LMDB, without syncs. After `kill -9` the page cache still holds every committed page, so
 * the file is consistent; after a power loss it may not be. A marker file, synced before the first write
 * and removed after a clean close, names the boot in which the index was open: found with another boot's
 * id, the index is discarded and replayed from the logs.
 *
 * LMDB maps its file and trusts it: a damaged one ends the process with a signal. What can be seen from
 * outside is looked at before it is opened; and an index with which several starts in a row ended early is
 * not opened again.
 */
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { open, type RootDatabase } from 'lmdb';
import type { Catalog, CatalogBatch, CatalogEntry, RangeOptions } from './catalog.js';

const markerName = 'open-in-boot';
const dataName = 'index.mdb';
/** Size of the file at its last clean close. */
const closedName = 'closed-with-bytes';
const earlyEndsMax = 2;
/** A process that has run for so long does not end because of its index. */
const settledMs = 10_000;

export interface LmdbCatalogOptions {
  /** Created when absent. */
  readonly directory: string;
  /** Of the running kernel. */
  readonly bootId: string;
  readonly log: (text: string) => void;
}

export function openLmdbCatalog(options: LmdbCatalogOptions): Catalog {
  mkdirSync(options.directory, { recursive: true, mode: 0o700 });
  const { directory, bootId } = options;
  const marker = join(directory, markerName);
  const [openInBoot, earlyEnds] = existsSync(marker) ? readFileSync(marker, 'utf8').split('\n') : [bootId, '0'];
  let earlyEndCount = Number(earlyEnds) || 0;
  const doubt =
    openInBoot !== bootId
      ? 'was open when the machine went down'
      : earlyEndCount >= earlyEndsMax
        ? `was open when the server ended early, ${earlyEndCount} times in a row`
        : whatIsWrong(directory);
  if (doubt !== null) {
    options.log(`the index ${doubt}: it is rebuilt from the logs`);
    removeData(directory);
    earlyEndCount = 0;
  }
  rmSync(join(directory, closedName), { force: true });
  writeMarker(directory, marker, bootId, earlyEndCount + 1);
  const onSettled = (): void => {
    writeMarker(directory, marker, bootId, 0);
  };
  try {
    return new LmdbCatalog(directory, marker, onSettled);
  } catch (error) {
    options.log(
      `the index cannot be opened (${error instanceof Error ? error.message : 'unknown cause'}): it is rebuilt from the logs`,
    );
    removeData(directory);
    return new LmdbCatalog(directory, marker, onSettled);
  }
}

const headBytes = 64;
const magicOffset = 24;
const magic = 0xbeefc0de;
const pageSizeOffset = 48;

/** What LMDB would stumble over, in words that follow "the index"; null when nothing can be seen. */
function whatIsWrong(directory: string): string | null {
  const path = join(directory, dataName);
  if (!existsSync(path)) return null;
  const { size } = statSync(path);
  const closed = join(directory, closedName);
  if (existsSync(closed) && Number(readFileSync(closed, 'utf8')) !== size)
    return 'has changed its size since it was closed';
  if (size === 0) return null;
  const file = openSync(path, 'r');
  try {
    const head = Buffer.alloc(headBytes);
    readSync(file, head, 0, headBytes, 0);
    const pageSize = head.readUInt32LE(pageSizeOffset);
    const second = Buffer.alloc(headBytes);
    readSync(file, second, 0, headBytes, pageSize);
    const isIndex = [head, second].every((page) => page.readUInt32LE(magicOffset) === magic);
    return isIndex ? null : 'is damaged';
  } finally {
    closeSync(file);
  }
}

class LmdbCatalog implements Catalog {
  readonly #db: RootDatabase<Buffer, Buffer>;
  readonly #settling: NodeJS.Timeout;

  constructor(
    private readonly directory: string,
    private readonly marker: string,
    onSettled: () => void,
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
    this.#settling = setTimeout(onSettled, settledMs).unref();
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
    clearTimeout(this.#settling);
    await this.#db.committed;
    await this.#db.close();
    const path = join(this.directory, dataName);
    const data = openSync(path, 'r');
    fsyncSync(data);
    closeSync(data);
    writeFileSync(join(this.directory, closedName), String(statSync(path).size));
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

function writeMarker(directory: string, marker: string, bootId: string, earlyEnds: number): void {
  const file = openSync(marker, 'w', 0o600);
  writeSync(file, `${bootId}\n${earlyEnds}\n`);
  fsyncSync(file);
  closeSync(file);
  const folder = openSync(directory, 'r');
  fsyncSync(folder);
  closeSync(folder);
}
