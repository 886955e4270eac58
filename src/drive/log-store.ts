/**
 * The log files of one drive, named from its folder, which the queues have entered. Writes go through a queue of one
 * thread, so their order is that of the calls; reads and the making of files go through others. Writes go past the page
 * cache, which costs less CPU time and leaves it to what is read (bench: `choice.log.buffered`): so they have descriptors
 * of their own.
 */
import { KiB, MiB, alignUp, invariant, limits, type Segments } from '../base/index.js';
import { IoFlag, IoKind, type IoRequest, type IoResult } from '../native/index.js';
import type { DriveFault, DriveResult, LogFileInfo, LogStore } from './drive.js';
import type { DriveCalls } from './drive-calls.js';
import { EEXIST, ENOSPC, EROFS } from './errno.js';
import { OpenFiles } from './open-files.js';
import { freedLogFile, logFileName, logFileNumber, logFolder, newSuffix, ownFolder } from './layout.js';

/** Zeroes of one call: short enough for the time limit on a slow disk and for others to come between. */
const zeroFillBytesMax = 32 * MiB;

/** From here on a file is written past the page cache. */
const pageBytes = 4 * KiB;

export interface LogQueues {
  /** One thread. */
  readonly write: DriveCalls;
  readonly make: DriveCalls;
  readonly read: DriveCalls;
}

type RunStep = (request: Parameters<DriveCalls['run']>[0]['request']) => Promise<DriveResult<IoResult>>;

/** Batches go to one file; a drive that catches up is given the rest of those behind it. */
const writtenFilesOpenMax = 4;

export class LocalLogStore implements LogStore {
  readonly #reading: OpenFiles;
  readonly #writing: OpenFiles;
  readonly #syncFlags: number;

  constructor(
    private readonly drive: { readonly path: string },
    private readonly queues: LogQueues,
    isSynced: boolean,
    filesMax: number = limits.logFilesOpenMax,
  ) {
    const close = (fd: number): void => queues.read.closeDescriptor(fd);
    this.#reading = new OpenFiles(Math.max(filesMax - writtenFilesOpenMax, 1), close);
    this.#writing = new OpenFiles(writtenFilesOpenMax, close);
    this.#syncFlags = isSynced ? IoFlag.sync : 0;
  }

  /**
   * A process that was killed between the naming of a file and the sync of its folder leaves a name that a power loss
   * takes back, with everything that is written to the file until then: what is listed has a durable name.
   */
  async listFiles(): Promise<DriveResult<readonly LogFileInfo[]>> {
    const listed = await this.queues.read.run({
      request: { kind: IoKind.list, path: logFolder },
      describe: () => `list ${logFolder}`,
      repeats: true,
    });
    if (!listed.ok) return listed;
    const files: LogFileInfo[] = [];
    for (const name of listed.value.names ?? []) {
      const fileNumber = logFileNumber(name);
      if (fileNumber === null) continue;
      const found = await this.queues.read.run({
        request: { kind: IoKind.stat, path: logFileName(fileNumber) },
        describe: () => `stat ${logFileName(fileNumber)}`,
      });
      if (!found.ok) return found;
      files.push({ fileNumber, bytes: found.value.values?.[0] ?? 0 });
    }
    files.sort((a, b) => a.fileNumber - b.fileNumber);
    const [first] = files;
    if (first !== undefined && this.#directorySync !== 0) {
      const synced = await this.queues.read.run({
        request: { kind: IoKind.stat, path: logFileName(first.fileNumber), flags: this.#directorySync },
        describe: () => `sync ${logFolder}`,
        repeats: true,
      });
      // Freed in between: what is left is listed anew.
      if (!synced.ok && synced.fault.kind === 'missing') return this.listFiles();
      // Nothing is written to a file system that can only be read.
      if (!synced.ok && synced.fault.errno !== EROFS) return synced;
    }
    return { ok: true, value: files };
  }

  async createFile(fileNumber: number, bytes: number): Promise<DriveResult<void>> {
    invariant(Number.isSafeInteger(bytes) && bytes > 0, 'a log file has a length');
    const path = logFileName(fileNumber);
    const newPath = path + newSuffix;
    const describe = (): string => `create ${path}`;
    const run: RunStep = (request) => this.queues.make.run({ request, describe, repeats: true });
    const existing = await run({ kind: IoKind.stat, path });
    if (existing.ok) return { ok: false, fault: this.#fault('io', describe(), EEXIST) };
    if (existing.fault.kind !== 'missing') return existing;
    // Left by a start that did not get to its end.
    const removed = await run({ kind: IoKind.unlink, path: newPath });
    if (!removed.ok && removed.fault.kind !== 'missing') return removed;
    const isRecycled = await this.#recycle(newPath, bytes, run);
    if (!isRecycled) {
      // Zeroes up to the last byte, only to be thrown away, would take the room of others and wear the disk.
      const room = await this.#findRoom(bytes, describe, run);
      if (!room.ok) return room;
    }
    const flags = (isRecycled ? 0 : IoFlag.create) | IoFlag.write;
    const opened = await run({ kind: IoKind.open, path: newPath, flags });
    if (!opened.ok) return opened;
    const fd = opened.value.fd;
    const filled = await this.#fillWithZeroes(fd, 0, bytes, describe);
    const renamed = filled.ok
      ? await run({ kind: IoKind.rename, path: newPath, toPath: path, flags: this.#directorySync })
      : filled;
    if (renamed.ok) {
      this.#writing.adopt(fileNumber, fd);
      return { ok: true, value: undefined };
    }
    this.#closeAfter(fd, renamed.fault);
    // The call that hangs may be the very one that uses the file: it is removed at the next start.
    if (renamed.fault.kind !== 'slow') await run({ kind: IoKind.unlink, path: newPath });
    return renamed;
  }

  async extendFile(fileNumber: number, from: number, bytes: number): Promise<DriveResult<void>> {
    invariant(from < bytes, 'a file that is extended gets longer');
    const name = logFileName(fileNumber);
    const describe = (): string => `extend ${name}`;
    const run: RunStep = (request) => this.queues.make.run({ request, describe, repeats: true });
    const room = await this.#findRoom(bytes - from, describe, run);
    if (!room.ok) return room;
    const opened = await run({ kind: IoKind.open, path: name, flags: IoFlag.write });
    if (!opened.ok) return opened;
    const { fd } = opened.value;
    // Up to the next page through the page cache, and past it from there on.
    const aligned = Math.min(bytes, alignUp(from, pageBytes));
    const head = await this.#fillWithZeroes(fd, from, aligned, describe);
    const filled = head.ok ? await this.#fillWithZeroes(fd, aligned, bytes, describe) : head;
    if (!filled.ok) {
      this.#closeAfter(fd, filled.fault);
      return filled;
    }
    this.queues.make.closeDescriptor(fd);
    return { ok: true, value: undefined };
  }

  async freeFile(fileNumber: number, keep: boolean): Promise<DriveResult<void>> {
    const path = logFileName(fileNumber);
    this.#reading.retire(fileNumber);
    this.#writing.retire(fileNumber);
    // The one that was kept before goes by being written over.
    const step = keep ? { kind: IoKind.rename, toPath: freedLogFile } : { kind: IoKind.unlink };
    const request = { ...step, path, flags: this.#directorySync };
    const freed = await this.queues.make.run({ request, describe: () => `free ${path}`, repeats: true });
    return freed.ok || freed.fault.kind === 'missing' ? { ok: true, value: undefined } : freed;
  }

  write(fileNumber: number, fileOffset: number, segments: Segments): Promise<DriveResult<void>> {
    const flags = this.#syncFlags | IoFlag.write | IoFlag.named | IoFlag.direct;
    const request = { kind: IoKind.write, fileOffset, segments, flags };
    return this.#transfer(this.queues.write, this.#writing, fileNumber, request, () => undefined);
  }

  async sync(fileNumber: number): Promise<DriveResult<void>> {
    if (this.#syncFlags === 0) return { ok: true, value: undefined };
    const request = { kind: IoKind.sync, flags: IoFlag.write | IoFlag.named };
    return this.#transfer(this.queues.write, this.#writing, fileNumber, request, () => undefined);
  }

  read(fileNumber: number, fileOffset: number, segments: Segments): Promise<DriveResult<number>> {
    const request = { kind: IoKind.read, fileOffset, segments };
    return this.#transfer(this.queues.read, this.#reading, fileNumber, request, (got) => got.bytes);
  }

  readNow(fileNumber: number, fileOffset: number, arenaOffset: number, bytes: number): number {
    const file = this.#reading.find(fileNumber);
    return file === null ? -1 : this.queues.read.readNow(file.fd, fileOffset, arenaOffset, bytes);
  }

  /** Closes every descriptor, those in use when their calls end. */
  closeFiles(): void {
    this.#reading.close();
    this.#writing.close();
  }

  /**
   * A file that is not open is opened by the very call that uses it: an open in front of it would let
   * later calls on open files overtake it. One that waits for a descriptor may be overtaken all the same, but by no write
   * to the same place: there is one at a time.
   */
  async #transfer<T>(
    calls: DriveCalls,
    files: OpenFiles,
    fileNumber: number,
    request: Pick<IoRequest, 'kind' | 'fileOffset' | 'segments' | 'flags'>,
    value: (result: IoResult) => T,
  ): Promise<DriveResult<T>> {
    const path = logFileName(fileNumber);
    const isRead = request.kind === IoKind.read;
    const describe = (): string =>
      request.kind === IoKind.sync ? `sync ${path}` : `${isRead ? 'read' : 'write'} ${path} at ${request.fileOffset}`;
    const file = files.find(fileNumber);
    if (file === null) {
      const answer = await calls.run({ request: { ...request, path }, describe, repeats: true });
      if (!answer.ok) return answer;
      files.adopt(fileNumber, answer.value.fd);
      return { ok: true, value: value(answer.value) };
    }
    file.users++;
    const onEnd = (): void => files.release(file);
    const answer = await calls.run({ request: { ...request, fd: file.fd }, describe, onEnd });
    if (answer.ok) return { ok: true, value: value(answer.value) };
    // A file that has lost its name may have come back under it: the next call looks again.
    if (answer.fault.kind === 'missing') files.retire(fileNumber);
    return answer;
  }

  /**
   * A file that was freed becomes the new one: its room is there already. It is as good as any other until it is filled.
   * That it is not the freed one any more has to be durable before it is anything else: a power loss that takes this name
   * back and leaves the next would have one file under both, and what comes to be made of the freed one would write over
   * a log file in use.
   */
  async #recycle(newPath: string, bytes: number, run: RunStep): Promise<boolean> {
    const flags = this.#directorySync;
    const renamed = await run({ kind: IoKind.rename, path: freedLogFile, toPath: newPath, flags });
    if (!renamed.ok) return false;
    const found = await run({ kind: IoKind.stat, path: newPath });
    if (found.ok && found.value.values?.[0] === bytes) return true;
    await run({ kind: IoKind.unlink, path: newPath });
    return false;
  }

  async #findRoom(bytes: number, describe: () => string, run: RunStep): Promise<DriveResult<void>> {
    const space = await run({ kind: IoKind.space, path: ownFolder });
    if (!space.ok) return space;
    if ((space.value.values?.[1] ?? 0) < bytes) return { ok: false, fault: this.#fault('full', describe(), ENOSPC) };
    return { ok: true, value: undefined };
  }

  async #fillWithZeroes(
    fd: number,
    from: number,
    bytes: number,
    describe: () => string,
  ): Promise<DriveResult<IoResult | null>> {
    for (let fileOffset = from; fileOffset < bytes; fileOffset += zeroFillBytesMax) {
      const piece = Math.min(zeroFillBytesMax, bytes - fileOffset);
      const request = { kind: IoKind.zeroFill, fd, fileOffset, bytes: piece, flags: this.#syncFlags };
      const filled = await this.queues.make.run({ request, describe });
      if (!filled.ok) return filled;
    }
    return { ok: true, value: null };
  }

  /** A descriptor must not be closed, and its number given to another file, while a thread uses it. */
  #closeAfter(fd: number, fault: DriveFault): void {
    if (fault.settled === undefined) this.queues.make.closeDescriptor(fd);
    else void fault.settled.then(() => this.queues.make.closeDescriptor(fd));
  }

  get #directorySync(): number {
    return this.#syncFlags === 0 ? 0 : IoFlag.syncDirectory;
  }

  #fault(kind: DriveFault['kind'], operation: string, errno: number): DriveFault {
    return { kind, drive: this.drive.path, operation, errno };
  }
}
