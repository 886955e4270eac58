/** Where a deployment's index lies, unless it is told. Any drive can hold it: it is a cache of the logs. */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { ask } from './folder-calls.js';
import { damagedName, isThere, runsName } from './index-files.js';
import { emptyRunCatalog, removeRunCatalog } from './run-catalog.js';

export const indexFolderOf = (drivePath: string): string => join(drivePath, '.granary', 'index');

/**
 * The one that was written last comes first, those without an index last: it moves when its drive goes, and that one may
 * come back, or an empty one in its place. Those whose disk does not answer are left out.
 */
export async function inOrderOfUse(folders: readonly string[]): Promise<string[]> {
  const looked = await Promise.all(folders.map(async (folder) => ({ folder, usedAtMs: await usedAtMs(folder) })));
  return looked
    .flatMap(({ folder, usedAtMs }) => (usedAtMs === null ? [] : [{ folder, usedAtMs }]))
    .sort((a, b) => b.usedAtMs - a.usedAtMs)
    .map(({ folder }) => folder);
}

/** What is left of earlier places only takes room. A folder that an operator `named` stays, empty. */
export async function removeOtherIndexes(
  folders: readonly string[],
  kept: string,
  log: (text: string) => void,
  named: string | null = null,
): Promise<void> {
  await Promise.all(
    folders.map(async (folder) => {
      if (folder === kept) return;
      try {
        await (folder === named ? emptyRunCatalog(folder) : removeRunCatalog(folder));
      } catch (error) {
        const cause = error instanceof Error ? error.message : 'unknown cause';
        log(`an old index cannot be removed from ${folder}: ${cause}`);
      }
    }),
  );
}

/** 0: none is there, or it is of no use. Null: the disk does not answer. */
async function usedAtMs(folder: string): Promise<number | null> {
  const look = async (): Promise<number> => {
    try {
      if (await isThere(join(folder, damagedName))) return 0;
      return (await stat(join(folder, runsName, 'manifest'))).mtimeMs;
    } catch {
      return 0;
    }
  };
  return ask(folder, look).catch(() => null);
}
