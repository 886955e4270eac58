/**
 * Small file operations while a drive is probed or formatted: one at a time, on a native thread of
 * their own, so that a disk that hangs costs one thread and a time limit, never the process's exit.
 * Once the folder is entered all of it is done in that folder, whatever its name leads to meanwhile.
 */
import { dirname } from 'node:path';
import { invariant, limits, systemClock } from '../base/index.js';
import { IoFlag, IoKind, type IoQueue, type IoRequest, type IoResult } from '../native/index.js';
import type { DriveFault } from './drive.js';
import { DriveCalls } from './drive-calls.js';
import { EEXIST, ENOENT, ENOTDIR, EWOULDBLOCK, errnoText } from './errno.js';
import { folderIdOf, type OpenFolder } from './folder-id.js';
import { newSuffix, ownFolder } from './layout.js';
import type { DriveOptions } from './local-drive.js';
import { localSystem, type DriveSystem } from './system.js';

/** How long the end of a probe waits for a call under way. */
const closeGraceMs = 50;

/** A call that failed, inside this room only: probing and formatting end with it. */
export class FolderFault extends Error {
  override readonly name = 'FolderFault';

  constructor(readonly fault: DriveFault) {
    super(`${fault.operation}: ${fault.errno === 0 ? 'it does not answer' : errnoText(fault.errno)}`);
  }
}

export class FolderAccess {
  readonly #arena = new SharedArrayBuffer(limits.formatFileBytesMax);
  readonly #view = Buffer.from(this.#arena);
  readonly #queue: IoQueue;
  readonly #calls: DriveCalls;
  readonly #system: DriveSystem;
  #entered: OpenFolder | null = null;

  /** `folder` is absolute. */
  constructor(
    readonly folder: string,
    options: DriveOptions,
  ) {
    this.#system = options.system ?? localSystem;
    this.#queue = this.#system.createIoQueue(this.#arena, 'drive probe', 1, 16);
    const callMsMax = options.callMsMax ?? limits.driveCallMsDefault;
    const drive = { path: folder, isAway: false };
    this.#calls = new DriveCalls(this.#queue, drive, callMsMax, options.clock ?? systemClock);
  }

  async close(): Promise<void> {
    await this.#calls.close(closeGraceMs);
    if (this.#entered !== null) this.closeDescriptor(this.#entered.fd);
  }

  /** Opens the folder, to be in it from here on. It is closed with this. */
  async enter(): Promise<void> {
    invariant(this.#entered === null, 'a folder is entered once');
    const fd = await this.open('', 0);
    const errno = this.#queue.enter(fd);
    if (errno !== 0) {
      this.closeDescriptor(fd);
      throw new FolderFault({ kind: 'io', drive: this.folder, operation: 'open the folder', errno });
    }
    this.#entered = { fd, id: '' };
    const found = await this.#run('look at', '', { kind: IoKind.stat, path: ownFolder });
    this.#entered = { fd, id: folderIdOf(found) };
  }

  get entered(): OpenFolder {
    invariant(this.#entered !== null, 'a folder is entered before anything is done in it');
    return this.#entered;
  }

  get enteredId(): string | null {
    const id = this.#entered?.id ?? '';
    return id === '' ? null : id;
  }

  /** Null when there is nothing of that name. */
  async stat(
    name: string,
  ): Promise<{ readonly bytes: number; readonly isDirectory: boolean; readonly id: string } | null> {
    const result = await this.#tryRun('look at', name, { kind: IoKind.stat, path: this.#path(name) }, [
      ENOENT,
      ENOTDIR,
    ]);
    if (result.errno !== 0) return null;
    return { bytes: result.values?.[0] ?? 0, isDirectory: result.values?.[1] === 1, id: folderIdOf(result) };
  }

  async list(name: string): Promise<readonly string[]> {
    return (await this.#run('list', name, { kind: IoKind.list, path: this.#path(name) })).names ?? [];
  }

  /** Null when absent. Longer files come cut to `limits.formatFileBytesMax`. */
  async readFile(name: string): Promise<Buffer | null> {
    const request: IoRequest = {
      kind: IoKind.read,
      path: this.#path(name),
      fileOffset: 0,
      segments: Float64Array.of(0, limits.formatFileBytesMax),
      flags: IoFlag.close,
    };
    const result = await this.#tryRun('read', name, request, [ENOENT]);
    return result.errno === 0 ? Buffer.from(this.#view.subarray(0, result.bytes)) : null;
  }

  /** Replaces the file whole or not at all: a new file, synced, is renamed over it. */
  async replaceFile(name: string, bytes: Buffer): Promise<void> {
    await this.unlink(name + newSuffix);
    await this.createFile(name + newSuffix, bytes);
    const request = { kind: IoKind.rename, path: this.#path(name + newSuffix), toPath: this.#path(name) };
    await this.#run('rename', name, { ...request, flags: IoFlag.syncDirectory });
  }

  /** A synced new file; fails when there is one. */
  async createFile(name: string, bytes: Buffer): Promise<void> {
    const request = { kind: IoKind.write, path: this.#path(name), fileOffset: 0, segments: this.#load(bytes) };
    const flags = IoFlag.create | IoFlag.write | IoFlag.sync | IoFlag.syncDirectory | IoFlag.close;
    await this.#run('create', name, { ...request, flags });
  }

  /** Absent already is fine. */
  async unlink(name: string): Promise<void> {
    await this.#tryRun('remove', name, { kind: IoKind.unlink, path: this.#path(name) }, [ENOENT]);
  }

  /** There already is fine. */
  async makeDirectory(name: string, isSynced = true): Promise<void> {
    const flags = isSynced ? IoFlag.syncDirectory : 0;
    const request = { kind: IoKind.makeDirectory, path: this.#path(name), flags };
    await this.#tryRun('create', name, request, [EEXIST]);
  }

  async syncDirectory(name: string): Promise<void> {
    await this.#run('sync', name, { kind: IoKind.sync, path: this.#path(name), flags: IoFlag.close });
  }

  /** The folder itself, with those above it that are missing. */
  async makeFolder(path = this.folder): Promise<void> {
    const request = { kind: IoKind.makeDirectory, path, flags: IoFlag.syncDirectory };
    const result = await this.#tryRun('create', '', request, [EEXIST, ENOENT]);
    if (result.errno !== ENOENT) return;
    invariant(dirname(path) !== path, 'the root folder exists');
    await this.makeFolder(dirname(path));
    await this.#tryRun('create', '', request, [EEXIST]);
  }

  async open(name: string, flags: number): Promise<number> {
    return (await this.#run('open', name, { kind: IoKind.open, path: this.#path(name), flags })).fd;
  }

  /** A descriptor of a file that is made when it is missing. */
  async openOrCreate(name: string): Promise<number> {
    const path = this.#path(name);
    const found = await this.#tryRun('open', name, { kind: IoKind.open, path, flags: IoFlag.write }, [ENOENT]);
    if (found.errno === 0) return found.fd;
    const flags = IoFlag.write | IoFlag.create;
    const made = await this.#tryRun('create', name, { kind: IoKind.open, path, flags }, [EEXIST]);
    // Somebody else was first.
    return made.errno === 0 ? made.fd : this.open(name, IoFlag.write);
  }

  async writeTo(fd: number, name: string, bytes: Buffer): Promise<void> {
    await this.#run('write', name, { kind: IoKind.write, fd, fileOffset: 0, segments: this.#load(bytes) });
  }

  /** False when another open file holds the lock. */
  lock(fd: number, name: string): boolean {
    const errno = this.#system.lockFile(fd);
    if (errno === 0) return true;
    if (errno === EWOULDBLOCK) return false;
    throw new FolderFault({ kind: 'io', drive: this.folder, operation: `lock ${name}`, errno });
  }

  /** Whether a file system is mounted on the folder that was entered. */
  get isMountPoint(): boolean {
    return this.#system.isMountPoint(this.entered.fd);
  }

  closeDescriptor(fd: number): void {
    this.#calls.closeDescriptor(fd);
  }

  #load(bytes: Buffer): Float64Array {
    invariant(bytes.length <= this.#view.length, 'small files only');
    bytes.copy(this.#view);
    return Float64Array.of(0, bytes.length);
  }

  #path(name: string): string {
    if (this.#entered !== null) return name === '' ? ownFolder : name;
    return name === '' ? this.folder : `${this.folder}/${name}`;
  }

  #run(verb: string, name: string, request: IoRequest): Promise<IoResult> {
    return this.#tryRun(verb, name, request, []);
  }

  async #tryRun(verb: string, name: string, request: IoRequest, allowed: readonly number[]): Promise<IoResult> {
    const describe = (): string => `${verb} ${name === '' ? 'the folder' : name}`;
    const answer = await this.#calls.run({ request, describe });
    if (answer.ok) return answer.value;
    const { errno } = answer.fault;
    if (errno !== 0 && allowed.includes(errno)) return { errno, bytes: 0, fd: -1 };
    throw new FolderFault(answer.fault);
  }
}
