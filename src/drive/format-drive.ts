/**
 * Makes an empty folder a drive, and gives it its copies of the format. Each step may be the last before
 * a crash: a folder in which formatting did not come to its end counts as empty (see `isHalfFormatted`).
 */
import { resolve } from 'node:path';
import { StartupError, invariant } from '../base/index.js';
import type { Drive, DriveFormat } from './drive.js';
import { ENOSPC } from './errno.js';
import { FolderAccess, FolderFault } from './folder-access.js';
import { encodeFormat, parseFormat, versionFor } from './format-file.js';
import {
  blobFolder,
  blobSubfolders,
  formatCopyFile,
  formatFile,
  lockFile,
  logFolder,
  lostAndFound,
  newSuffix,
  systemFolder,
  unfinishedFile,
} from './layout.js';
import { LocalDrive, type DriveOptions } from './local-drive.js';

/** Bytes of the lock file: a process id, spaces, a newline. Always as long, so that it is overwritten in place. */
const lockFileBytes = 16;

/**
 * Formats a folder that `probeDrive` found empty, and locks it. `format.wasMountPoint` is set from what
 * the folder is now. Throws StartupError when the folder is not empty any more or cannot be written.
 */
export async function formatDrive(folder: string, format: DriveFormat, options: DriveOptions): Promise<Drive> {
  const path = resolve(folder);
  invariant(format.version === versionFor(format), 'a new drive has the format that it needs');
  invariant(format.sets[format.setIndex]?.[format.position] === format.driveId, 'a drive stands in its own place');
  const access = new FolderAccess(path, options);
  try {
    await access.enter();
    return await makeDrive(access, format, options);
  } catch (error) {
    if (!(error instanceof FolderFault)) throw error;
    const remedy = error.fault.errno === ENOSPC ? 'free some space on it' : 'check the disk and its permissions';
    throw new StartupError(`${path} cannot be formatted: ${error.message}`, remedy, error);
  } finally {
    await access.close();
  }
}

async function makeDrive(access: FolderAccess, format: DriveFormat, options: DriveOptions): Promise<Drive> {
  await requireEmpty(access);
  await access.makeDirectory(systemFolder);
  const lockFd = await takeLock(access);
  if (lockFd === null) {
    throw new StartupError(`${access.folder} is being formatted by another server`, 'give each server its own drives');
  }
  try {
    // Another server may have formatted it between the look and the lock.
    await requireEmpty(access);
    // Of a start that was cut off it may be there, and not be synced: a power loss would take it from what is made now.
    if ((await access.stat(unfinishedFile)) === null) await access.createFile(unfinishedFile, Buffer.alloc(0));
    else await access.syncDirectory(systemFolder);
    await access.makeDirectory(logFolder);
    await access.makeDirectory(blobFolder);
    for (const subfolder of blobSubfolders()) await access.makeDirectory(`${blobFolder}/${subfolder}`, false);
    await access.syncDirectory(blobFolder);
    const here = { ...format, wasMountPoint: access.isMountPoint };
    await writeFormatCopies(access, encodeFormat(here));
    await access.unlink(unfinishedFile);
    return new LocalDrive(access.folder, here, access.entered, lockFd, options);
  } catch (error) {
    access.closeDescriptor(lockFd);
    throw error;
  }
}

async function requireEmpty(access: FolderAccess): Promise<void> {
  const entries = await listEntries(access);
  if (entries.length === 0 || (await isHalfFormatted(access, entries))) return;
  throw new StartupError(`${access.folder} is not empty`, 'give an empty folder, or one that Granary formatted');
}

/** What lies in the folder, but for what mkfs put there. */
export async function listEntries(access: FolderAccess): Promise<readonly string[]> {
  return (await access.list('')).filter((name) => name !== lostAndFound);
}

/**
 * Only what formatting makes before it writes the first copy of the format, and nothing that holds data.
 * An empty `.granary`, or one with the lock alone, is the very first step.
 */
export async function isHalfFormatted(access: FolderAccess, entries: readonly string[]): Promise<boolean> {
  if (!entries.includes(systemFolder)) return false;
  const known = [lockFile, unfinishedFile, formatFile + newSuffix].map((name) => name.slice(systemFolder.length + 1));
  const system = await access.list(systemFolder);
  if (!system.every((name) => known.includes(name))) return false;
  const others = entries.filter((name) => name !== systemFolder);
  if ((await access.stat(unfinishedFile)) === null) return others.length === 0;
  if (!others.every((name) => name === logFolder || name === blobFolder)) return false;
  if (others.includes(logFolder) && (await access.list(logFolder)).length > 0) return false;
  if (!others.includes(blobFolder)) return true;
  const subfolders = blobSubfolders();
  for (const name of await access.list(blobFolder)) {
    if (!subfolders.includes(name) || (await access.list(`${blobFolder}/${name}`)).length > 0) return false;
  }
  return true;
}

/** A descriptor that holds the lock, or null when another server holds it. */
export async function takeLock(access: FolderAccess): Promise<number | null> {
  const fd = await access.openOrCreate(lockFile);
  try {
    if (!access.lock(fd, lockFile)) {
      access.closeDescriptor(fd);
      return null;
    }
    // For people only: the lock is the kernel's, and a full disk must not keep a server from starting.
    await access
      .writeTo(fd, lockFile, Buffer.from(`${String(process.pid).padEnd(lockFileBytes - 1)}\n`))
      .catch(ignoreFull);
    return fd;
  } catch (error) {
    access.closeDescriptor(fd);
    throw error;
  }
}

/** The process id that the lock's holder wrote, for a message. */
export async function lockHolder(access: FolderAccess): Promise<string> {
  const text = (await access.readFile(lockFile))?.toString('latin1').trim() ?? '';
  return /^\d{1,10}$/.test(text) ? ` (process ${text})` : '';
}

/**
 * Gives an open drive the format that the others have: sets were added since. Throws StartupError when it cannot be
 * written.
 */
export async function rewriteFormat(
  { path, folderId }: Drive,
  format: DriveFormat,
  options: DriveOptions,
): Promise<void> {
  const access = new FolderAccess(path, options);
  try {
    await access.enter();
    if (access.entered.id !== folderId) {
      throw new StartupError(`${path} is not the folder of its drive any more`, 'leave the folders where they are');
    }
    await writeFormatCopies(access, encodeFormat(format));
  } catch (error) {
    if (!(error instanceof FolderFault)) throw error;
    throw new StartupError(
      `${path} cannot be told of the sets that were added: ${error.message}`,
      error.fault.errno === ENOSPC ? 'free some space on it' : 'check the disk and its permissions',
      error,
    );
  } finally {
    await access.close();
  }
}

/** The first copy is the newer one when a crash comes between them. */
export async function writeFormatCopies(access: FolderAccess, bytes: Buffer): Promise<void> {
  const parsed = parseFormat(bytes);
  invariant(parsed.kind === 'good', 'what is written as a format can be read');
  try {
    await access.replaceFile(formatFile, bytes);
    await access.replaceFile(formatCopyFile, bytes);
  } catch (error) {
    ignoreFull(error);
    await writeInRoomOfCopies(access, bytes);
  }
}

/**
 * It is when drives are full that others are added. The room of one copy is enough for the first, as long as the other
 * is good; one that finds none is written at the next start.
 */
async function writeInRoomOfCopies(access: FolderAccess, bytes: Buffer): Promise<void> {
  const isFirstGood = await hasGoodFormat(access, formatFile);
  await access.unlink(isFirstGood ? formatCopyFile : formatFile);
  await access.unlink(formatCopyFile + newSuffix);
  await access.replaceFile(formatFile, bytes);
  await access.unlink(formatCopyFile);
  await access.replaceFile(formatCopyFile, bytes).catch(ignoreFull);
}

async function hasGoodFormat(access: FolderAccess, name: string): Promise<boolean> {
  const bytes = await access.readFile(name);
  return bytes !== null && parseFormat(bytes).kind === 'good';
}

export function ignoreFull(error: unknown): void {
  if (!(error instanceof FolderFault) || error.fault.kind !== 'full') throw error;
}
