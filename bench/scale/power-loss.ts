/**
 * What a power loss does to the drives of a server that was killed, as far as ordinary folders can show it:
 *
 * - what the index had not made durable is gone: files that its manifest does not name;
 * - the last batch of the log never got to one of the drives, whose sync had not come to an end;
 * - nothing of the drives is in the page cache.
 *
 * The other drives keep their last batch, whether it was synced or not: here nobody knows, and to take away one that was
 * acknowledged would be more than a power loss can do. (test/fault/crash-points.test.ts knows.)
 */
import { open, readFile, readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { outputOf } from '../load/load.js';
import type { Workspace } from '../workspace.js';

const pageBytes = 4096;
const batchMagic = Buffer.from('GRNYLOG1');
const runsFolder = path.join('.granary', 'index', 'runs');
const manifestName = 'manifest';

/** Of the names in the folder of an index, those of files that were not durable yet. */
export function unsyncedIndexFiles(manifest: string, names: readonly string[]): string[] {
  const runs = [...manifest.matchAll(/^run (\d+) level \d+$/gm)].map(([, id = '']) => `${id.padStart(12, '0')}.run`);
  const durable = new Set([manifestName, ...runs]);
  return names.filter((name) => !durable.has(name));
}

/** Where the last batch of a log file begins, or −1 when there is none. */
export function lastBatchOffset(log: Buffer): number {
  for (let at = Math.floor((log.length - 1) / pageBytes) * pageBytes; at >= 0; at -= pageBytes) {
    if (log.subarray(at, at + batchMagic.length).equals(batchMagic)) return at;
  }
  return -1;
}

async function loseLastBatch(drive: string): Promise<void> {
  const folder = path.join(drive, 'log');
  const names = (await readdir(folder)).filter((name) => /^\d{8}\.log$/.test(name) && name !== '00000000.log');
  for (const name of names.sort().reverse()) {
    const file = path.join(folder, name);
    const log = await readFile(file);
    const at = lastBatchOffset(log);
    if (at < 0) continue;
    const handle = await open(file, 'r+');
    try {
      await handle.write(Buffer.alloc(log.length - at), 0, log.length - at, at);
    } finally {
      await handle.close();
    }
    return;
  }
  throw new Error(`there is no batch in ${folder}`);
}

/** Of an index that no server has, in its folder `runs`. */
export async function loseUnsyncedRuns(folder: string): Promise<void> {
  const manifest = await readFile(path.join(folder, manifestName), 'utf8');
  for (const name of unsyncedIndexFiles(manifest, await readdir(folder))) await rm(path.join(folder, name));
}

/** Throws what lies in these folders out of the page cache. */
export async function forgetPages(workspace: Workspace, folders: readonly string[]): Promise<void> {
  // Only what is on the disk already can be forgotten.
  for (const folder of folders) await workspace.settle(folder);
  const program = await workspace.compile('choice/files.cc');
  const child = workspace.start(null, program, ['forget', ...folders], { stdio: ['ignore', 'pipe', 'pipe'] });
  const { output, errors } = await outputOf(child);
  if (output === '') throw new Error(`the page cache could not be emptied: ${errors.trim()}`);
}

/** Of drives that no server has. The index is on the first, the last one loses its last batch. */
export async function losePower(workspace: Workspace, drives: readonly string[]): Promise<void> {
  const [first = '', last = ''] = [drives[0], drives.at(-1)];
  await loseUnsyncedRuns(path.join(first, runsFolder));
  await loseLastBatch(last);
  await forgetPages(workspace, drives);
}
