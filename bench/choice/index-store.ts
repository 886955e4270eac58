/** The stores that could be the index of a server, behind the part of its interface that is measured. */
import { closeSync, fsyncSync, mkdirSync, openSync, readdirSync, rmSync, truncateSync } from 'node:fs';
import path from 'node:path';
import { open, type RootDatabase } from 'lmdb';
import { openRunCatalog, type Catalog } from '../../src/catalog/index.js';
import { loseUnsyncedRuns } from '../scale/power-loss.js';

export type IndexStore = Pick<Catalog, 'get' | 'range' | 'write' | 'close'>;

/**
 * - `native`: as the server has it. No batch waits for the disk; what is on it is at any moment a state of the index.
 * - `unsynced`: LMDB as the server had it first. Asynchronous commits, nothing synced: the log is the truth, and only so
 *   is it as quick as it can be. After a power loss nothing in its file can be trusted.
 * - `flushed`: LMDB as it has to be in order to be of use after one. Commits are synced behind the writer's back
 *   (`overlappingSync`); nobody waits for that, but every one of them is.
 */
export const indexKinds = ['native', 'unsynced', 'flushed'] as const;
export type IndexKind = (typeof indexKinds)[number];

const dataName = 'index.mdb';
const runsName = 'runs';

export async function openIndex(kind: IndexKind, folder: string): Promise<IndexStore> {
  return kind === 'native'
    ? await openRunCatalog({ directory: folder, log: () => undefined })
    : new LmdbIndex(folder, kind === 'flushed');
}

/** What a power loss takes of the index of a process that was killed, as far as a folder can show it. */
export async function losePowerOf(kind: IndexKind, folder: string): Promise<void> {
  switch (kind) {
    case 'native':
      await loseUnsyncedRuns(path.join(folder, runsName));
      return;
    case 'unsynced':
      // Which pages had been written nobody knows: a start discards it.
      for (const name of readdirSync(folder)) rmSync(path.join(folder, name), { recursive: true });
      return;
    case 'flushed':
      // Opened again it takes the last commit that it knows to be synced (`safeRestore`), whatever else is there.
      return;
  }
}

/**
 * The end of its files goes away beneath an open store: a read gets an error (EIO), a touch of a mapped page SIGBUS, just
 * as they do from a disk that cannot read a sector.
 */
export function loseData(kind: IndexKind, folder: string): void {
  if (kind !== 'native') {
    // Its two pages of meta data stay: it is not that they were damaged.
    truncateSync(path.join(folder, dataName), 2 * 4096);
    return;
  }
  const runs = path.join(folder, runsName);
  const names = readdirSync(runs).filter((name) => name.endsWith('.run'));
  if (names.length === 0) throw new Error('the index has nothing on the disk yet');
  for (const name of names) truncateSync(path.join(runs, name), 0);
}

class LmdbIndex implements IndexStore {
  readonly #db: RootDatabase<Buffer, Buffer>;
  readonly #file: string;

  constructor(
    folder: string,
    private readonly isFlushed: boolean,
  ) {
    mkdirSync(folder, { recursive: true });
    this.#file = path.join(folder, dataName);
    this.#db = open<Buffer, Buffer>({
      ...{ path: this.#file, encoding: 'binary', keyEncoding: 'binary', mapSize: 2 ** 30 },
      ...(isFlushed
        ? { overlappingSync: true, separateFlushed: true, safeRestore: true }
        : { noSync: true, overlappingSync: false }),
    });
  }

  get(key: Uint8Array): Buffer | undefined {
    return this.#db.get(key as Buffer);
  }

  range(options: Parameters<IndexStore['range']>[0]): ReturnType<IndexStore['range']> {
    const { start, end, limit } = options;
    const bounds = { start: start as Buffer, end: end as Buffer };
    return this.#db.getRange(limit === undefined ? bounds : { ...bounds, limit });
  }

  async write(fill: Parameters<IndexStore['write']>[0]): Promise<void> {
    const db = this.#db;
    await db.batch(() => {
      fill({
        put: (key, value) => void db.put(key as Buffer, value as Buffer),
        delete: (key) => void db.remove(key as Buffer),
      });
    });
  }

  async close(): Promise<void> {
    await (this.isFlushed ? this.#db.flushed : this.#db.committed);
    await this.#db.close();
    // A clean end is durable, so that the next start may trust it.
    const file = openSync(this.#file, 'r');
    fsyncSync(file);
    closeSync(file);
  }
}
