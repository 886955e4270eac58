/**
 * A folder that an operator named for the index. A wrong name is told at once; a folder whose disk is failing is done
 * without, for the index is only a cache.
 */
import { mkdir, open, rm, stat, statfs } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { constants } from 'node:os';
import { ask } from './folder-calls.js';

/** Left by a look that was cut off, it does no harm. */
const probeName = 'probe';
const { EACCES, EDQUOT, EEXIST, ENAMETOOLONG, ELOOP, ENOENT, ENOSPC, ENOTDIR, EPERM } = constants.errno;
const errnoOf = new Map(Object.entries(constants.errno).map(([name, errno]) => [name, errno]));

export interface FolderTrouble {
  /** The name is wrong, or rights are missing: nothing that comes and goes. */
  readonly isMistake: boolean;
  /** Reads well behind the path. */
  readonly reason: string;
}

/** Null: it can be used. Made when only its last name is absent. A full one can: what finds no room waits in memory. */
export async function folderTrouble(directory: string): Promise<FolderTrouble | null> {
  try {
    await ask(directory, async (goOn) => {
      await mkdir(directory, { mode: 0o700 }).catch((error: unknown) => {
        if (codeOf(error) !== EEXIST) throw error;
      });
      goOn();
      if (!(await stat(directory)).isDirectory()) throw Object.assign(new Error('is a file'), { code: 'ENOTDIR' });
      goOn();
      await writeProbe(join(directory, probeName));
    });
    return null;
  } catch (error) {
    return troubleOf(directory, error);
  }
}

/** 0 when that cannot be told. */
export async function freeBytesOf(directory: string): Promise<number> {
  try {
    const { bavail, bsize } = await ask(directory, () => statfs(directory));
    return bavail * bsize;
  } catch {
    return 0;
  }
}

async function writeProbe(path: string): Promise<void> {
  try {
    const file = await open(path, 'w', 0o600);
    try {
      await file.write('The index of a Granary server may lie here.\n');
      await file.sync();
    } finally {
      await file.close();
    }
  } finally {
    await rm(path, { force: true });
  }
}

function troubleOf(directory: string, error: unknown): FolderTrouble | null {
  switch (codeOf(error)) {
    case ENOSPC:
    case EDQUOT:
      return null;
    case ENOENT:
      return { isMistake: true, reason: `cannot be made: there is no folder ${dirname(directory)}` };
    case ENOTDIR:
      return { isMistake: true, reason: 'is not a folder' };
    case EACCES:
    case EPERM:
      return { isMistake: true, reason: 'must not be written by this user' };
    case ENAMETOOLONG:
    case ELOOP:
      return { isMistake: true, reason: causeOf(error) };
    default:
      return { isMistake: false, reason: causeOf(error) };
  }
}

function codeOf(error: unknown): number {
  return error instanceof Error && 'code' in error ? (errnoOf.get(String(error.code)) ?? 0) : 0;
}

function causeOf(error: unknown): string {
  return error instanceof Error ? error.message : 'unknown cause';
}
