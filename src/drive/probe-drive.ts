/**
 * Finds out what a folder is that the operator named, and takes it when it is a drive. Nothing is ever
 * written to a folder that holds something else.
 */
import { resolve } from 'node:path';
import type { DriveFinding, DriveFormat, DriveProbe } from './drive.js';
import { EACCES, EPERM, EROFS } from './errno.js';
import { FolderAccess, FolderFault } from './folder-access.js';
import { ignoreFull, isHalfFormatted, listEntries, lockHolder, takeLock } from './format-drive.js';
import { latestFormatVersion, parseFormat } from './format-file.js';
import {
  blobFolder,
  blobSubfolders,
  formatCopyFile,
  formatFile,
  logFolder,
  newSuffix,
  systemFolder,
  unfinishedFile,
  writeTestFile,
} from './layout.js';
import { LocalDrive, NoDescriptor, type DriveOptions } from './local-drive.js';

export interface ProbeOptions extends DriveOptions {
  /** A folder that does not exist is made, with the folders above it. */
  readonly createFolder: boolean;
  /** Nothing is changed but the lock file: what a start would put right is answered in `faults`. */
  readonly isCheck?: boolean;
}

/** Ends a probe with its answer; never leaves this file. */
class Unusable extends Error {
  override readonly name = 'Unusable';

  constructor(
    reason: string,
    readonly isLocked = false,
  ) {
    super(reason);
  }
}

interface FormatCopies {
  readonly format: DriveFormat;
  /** The copies as they should be. */
  readonly bytes: Buffer;
  /** Names of copies that are not. */
  readonly toRepair: readonly string[];
}

export async function probeDrive(folder: string, options: ProbeOptions): Promise<DriveProbe> {
  const path = resolve(folder);
  const access = new FolderAccess(path, options);
  let settled: Promise<void> | undefined;
  try {
    const finding = await probe(access, options).catch((error: unknown): DriveFinding => {
      if (error instanceof Unusable) return { kind: 'unusable', reason: error.message, isLocked: error.isLocked };
      if (!(error instanceof FolderFault)) throw error;
      ({ settled } = error.fault);
      return { kind: 'unusable', reason: reasonOf(error), isLocked: false, ...(settled && { settled }) };
    });
    return { path, folderId: access.enteredId, ...finding };
  } finally {
    // Closed before, nobody would hear of the call that hangs, nor would the lock be given back behind it.
    if (settled === undefined) await access.close();
    else void settled.then(() => access.close());
  }
}

/** Which folder is at this path now; null when there is none, or it does not answer. */
export async function folderIdAt(folder: string, options: DriveOptions): Promise<string | null> {
  const access = new FolderAccess(resolve(folder), options);
  try {
    return (await access.stat(''))?.id ?? null;
  } catch (error) {
    // That it is not there must not be said of one that could not be looked at.
    if (!(error instanceof FolderFault) || error.fault.kind === 'starved') throw error;
    return null;
  } finally {
    await access.close();
  }
}

function reasonOf(error: FolderFault): string {
  const { errno } = error.fault;
  if (errno === EROFS) return 'on a read-only file system';
  if (errno === EACCES || errno === EPERM) return `no permission to ${error.fault.operation}`;
  if (error.fault.kind === 'slow') return `the disk does not answer (${error.fault.operation})`;
  return `cannot ${error.message}`;
}

async function probe(access: FolderAccess, options: ProbeOptions): Promise<DriveFinding> {
  const found = await access.stat('');
  if (found === null) {
    if (!options.createFolder) throw new Unusable('does not exist');
    await access.makeFolder();
  } else if (!found.isDirectory) {
    throw new Unusable('not a folder');
  }
  await access.enter();
  const entries = await listEntries(access);
  if (entries.length === 0) return { kind: 'empty', isMountPoint: access.isMountPoint };
  if (!entries.includes(systemFolder)) throw new Unusable(strangeFolder(entries));
  if (!(await access.stat(systemFolder))?.isDirectory) throw new Unusable(strangeFolder(entries));
  const copies = await readFormatCopies(access);
  if (copies === null) return probeWithoutFormat(access, entries);
  if (copies.format.wasMountPoint && !access.isMountPoint) {
    throw new Unusable('was a mount point and is not now: is the disk mounted?');
  }
  const lockFd = await takeLock(access);
  if (lockFd === null) throw new Unusable(`in use by another server${await lockHolder(access)}`, true);
  try {
    if (options.isCheck === true) {
      const faults = await findFaults(access, copies);
      return { kind: 'ready', drive: openLocalDrive(access, copies.format, lockFd, options), faults };
    }
    await requireWritable(access);
    await requireStructure(access);
    for (const name of copies.toRepair) await access.replaceFile(name, copies.bytes).catch(ignoreFull);
    await removeLeftovers(access);
    return { kind: 'ready', drive: openLocalDrive(access, copies.format, lockFd, options), faults: [] };
  } catch (error) {
    access.closeDescriptor(lockFd);
    throw error;
  }
}

function strangeFolder(entries: readonly string[]): string {
  if (entries.includes('.minio.sys')) return 'holds a MinIO drive: give Granary an empty folder';
  return 'not empty and not a Granary drive: give an empty folder';
}

function openLocalDrive(access: FolderAccess, format: DriveFormat, lockFd: number, options: DriveOptions): LocalDrive {
  try {
    return new LocalDrive(access.folder, format, access.entered, lockFd, options);
  } catch (error) {
    if (error instanceof NoDescriptor) throw new Unusable(error.message);
    if (!(error instanceof Error && 'code' in error && error.code === 'EAGAIN')) throw error;
    throw new Unusable('no thread could be started for it: raise the limit on processes (ulimit -u)');
  }
}

/** Null when both copies are absent. */
async function readFormatCopies(access: FolderAccess): Promise<FormatCopies | null> {
  const damages: string[] = [];
  const good: { name: string; bytes: Buffer; format: DriveFormat }[] = [];
  let isPresent = false;
  for (const name of [formatFile, formatCopyFile]) {
    const bytes = await readCopy(access, name);
    if (bytes === null) continue;
    isPresent = true;
    const parsed =
      bytes instanceof FolderFault ? ({ kind: 'damaged', what: bytes.message } as const) : parseFormat(bytes);
    if (parsed.kind === 'unknown-version') {
      throw new Unusable(
        `format version ${parsed.version}, and this Granary knows versions up to ${latestFormatVersion}: ` +
          (parsed.version > latestFormatVersion ? 'use a newer Granary' : 'upgrade the drive with an older Granary'),
      );
    }
    if (parsed.kind === 'damaged') damages.push(`${name}: ${parsed.what}`);
    else if (!(bytes instanceof FolderFault)) good.push({ name, bytes, format: parsed.format });
  }
  const [first] = good;
  if (first !== undefined) {
    const isRight = (name: string): boolean =>
      good.some((copy) => copy.name === name && copy.bytes.equals(first.bytes));
    const toRepair = [formatFile, formatCopyFile].filter((name) => !isRight(name));
    return { format: first.format, bytes: first.bytes, toRepair };
  }
  if (!isPresent) return null;
  throw new Unusable(
    `no good copy of its format (${damages.join('; ')}): ` +
      'restore one, or empty the folder to have the drive rebuilt',
  );
}

/** A copy on a bad sector is a damaged copy; a drive that does not answer at all is not probed further. */
async function readCopy(access: FolderAccess, name: string): Promise<Buffer | FolderFault | null> {
  try {
    return await access.readFile(name);
  } catch (error) {
    if (error instanceof FolderFault && error.fault.kind === 'io' && !isPermission(error)) return error;
    throw error;
  }
}

function isPermission(error: FolderFault): boolean {
  return error.fault.errno === EACCES || error.fault.errno === EPERM;
}

async function probeWithoutFormat(access: FolderAccess, entries: readonly string[]): Promise<DriveFinding> {
  if (!(await isHalfFormatted(access, entries))) {
    throw new Unusable(`has a ${systemFolder} folder without its format: restore ${formatFile}, or empty the folder`);
  }
  const lockFd = await takeLock(access);
  if (lockFd === null) {
    throw new Unusable(`being formatted by another server${await lockHolder(access)}`, true);
  }
  access.closeDescriptor(lockFd);
  return { kind: 'empty', isMountPoint: access.isMountPoint };
}

/** Permission bits and mount flags do not tell for sure; a write does. A full drive can still be used. */
async function requireWritable(access: FolderAccess): Promise<void> {
  await access.unlink(writeTestFile);
  await access.createFile(writeTestFile, Buffer.from('Granary writes this to see whether it can.\n')).catch(ignoreFull);
  await access.unlink(writeTestFile);
}

/** A subfolder of blobs that is gone is made anew, and what was in it is healed; more is not guessed. */
async function requireStructure(access: FolderAccess): Promise<void> {
  for (const name of [logFolder, blobFolder]) {
    if ((await access.stat(name))?.isDirectory === true) continue;
    throw new Unusable(`has lost its ${name} folder: restore it, or empty the drive's folder to have it rebuilt`);
  }
  const present = new Set(await access.list(blobFolder));
  for (const subfolder of blobSubfolders()) {
    if (!present.has(subfolder)) await access.makeDirectory(`${blobFolder}/${subfolder}`).catch(ignoreFull);
  }
}

/** What the next start makes good, in words. */
async function findFaults(access: FolderAccess, copies: FormatCopies): Promise<string[]> {
  const faults = copies.toRepair.map((name) => `${name} is missing, damaged or out of date`);
  for (const name of [logFolder, blobFolder]) {
    if ((await access.stat(name))?.isDirectory === true) continue;
    throw new Unusable(`has lost its ${name} folder: restore it, or empty the drive's folder to have it rebuilt`);
  }
  const present = new Set(await access.list(blobFolder));
  const lost = blobSubfolders().filter((subfolder) => !present.has(subfolder)).length;
  if (lost > 0) faults.push(`${lost} folders of ${blobFolder} are missing`);
  return faults;
}

/** Log files whose making did not come to its end, and the mark of a formatting that did but for this. */
async function removeLeftovers(access: FolderAccess): Promise<void> {
  await access.unlink(unfinishedFile);
  for (const name of await access.list(logFolder)) {
    if (name.endsWith(newSuffix)) await access.unlink(`${logFolder}/${name}`);
  }
}
