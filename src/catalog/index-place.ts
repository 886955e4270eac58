/** Where a deployment's index lies, unless it is told. Any drive can hold it: it is a cache of the logs. */
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { damagedName, runsName } from './index-files.js';
import { removeRunCatalog } from './run-catalog.js';

export const indexFolderOf = (drivePath: string): string => join(drivePath, '.granary', 'index');

/**
 * The one that was written last comes first, those without an index last: it moves when its drive goes, and that one may
 * come back, or an empty one in its place.
 */
export function inOrderOfUse(folders: readonly string[]): string[] {
  const used = new Map(folders.map((folder) => [folder, usedAtMs(folder)]));
  return [...folders].sort((a, b) => (used.get(b) ?? 0) - (used.get(a) ?? 0));
}

/** What is left of earlier places only takes room. */
export function removeOtherIndexes(folders: readonly string[], kept: string, log: (text: string) => void): void {
  for (const folder of folders) {
    if (folder === kept) continue;
    try {
      removeRunCatalog(folder);
    } catch (error) {
      log(`an old index cannot be removed from ${folder}: ${error instanceof Error ? error.message : 'unknown cause'}`);
    }
  }
}

/** 0: none is there, or it is of no use. */
function usedAtMs(folder: string): number {
  try {
    if (existsSync(join(folder, damagedName))) return 0;
    return statSync(join(folder, runsName, 'manifest'), { throwIfNoEntry: false })?.mtimeMs ?? 0;
  } catch {
    return 0;
  }
}
