/** What drive folders take of their disk, and what of it is in use. */
import { lstat, readdir } from 'node:fs/promises';
import path from 'node:path';
import { openExistingCatalog } from '../../src/catalog/index.js';

const blockBytes = 512;
const indexFolder = path.join('.granary', 'index');

export interface DriveUsage {
  /** Allocated blocks of all files and folders, without the index. */
  readonly bytes: number;
  readonly indexBytes: number;
}

/** Files may go while they are counted: they count as gone. */
async function allocatedBytes(folder: string, isLeftOut: (file: string) => boolean): Promise<number> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  const parts = await Promise.all(
    entries.map(async (entry) => {
      const file = path.join(folder, entry.name);
      if (isLeftOut(file)) return 0;
      const own = await lstat(file).then(
        ({ blocks }) => blocks * blockBytes,
        () => 0,
      );
      return own + (entry.isDirectory() ? await allocatedBytes(file, isLeftOut) : 0);
    }),
  );
  return parts.reduce((sum, bytes) => sum + bytes, 0);
}

export async function driveUsage(drives: readonly string[]): Promise<DriveUsage> {
  let bytes = 0;
  let indexBytes = 0;
  for (const drive of drives) {
    const index = path.join(drive, indexFolder);
    bytes += await allocatedBytes(drive, (file) => file === index);
    indexBytes += await allocatedBytes(index, () => false);
  }
  return { bytes, indexBytes };
}

/** Entries `L` of the index (docs/format/records.md): bytes in use of each log file, records with their slots. */
const liveEntries = { start: Buffer.from('L'), end: Buffer.from('M') };

/** Bytes in use in the log of each drive. No server has the drives. */
export async function liveLogBytes(firstDrive: string): Promise<number> {
  const catalog = await openExistingCatalog(path.join(firstDrive, indexFolder));
  if (typeof catalog === 'string') throw new Error(`the server left an index behind that is ${catalog}`);
  try {
    let bytes = 0;
    for (const { value } of catalog.range(liveEntries)) bytes += Number(value.readBigUInt64LE(0));
    return bytes;
  } finally {
    await catalog.close();
  }
}

/** Waits until what the folders take has not changed for so long. */
export async function usageAtRest(drives: readonly string[], restMs: number, patienceMs: number): Promise<DriveUsage> {
  const giveUp = performance.now() + patienceMs;
  let last = await driveUsage(drives);
  let since = performance.now();
  while (performance.now() - since < restMs) {
    if (performance.now() > giveUp) throw new Error('compaction has not come to rest');
    await new Promise((resolve) => setTimeout(resolve, 500));
    const now = await driveUsage(drives);
    if (now.bytes !== last.bytes) since = performance.now();
    last = now;
  }
  return last;
}
