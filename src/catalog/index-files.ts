/** What lies in the folder of an index (docs/format/index.md). */
import { open, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';

export const runsName = 'runs';
/** The index could not be read, or is not all there, and is not looked at again. */
export const damagedName = 'damaged';

/** A thread that was left may be making its last file. */
const removeTriesMax = 5;

export async function removeRuns(directory: string): Promise<void> {
  await rm(join(directory, runsName), { recursive: true, force: true, maxRetries: removeTriesMax });
}

export async function isThere(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch {
    return false;
  }
}

/** Before what comes later can be: a part must never be there without its mark. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
