/**
 * The blob files of one drive, named from its folder, which the queues have entered. A handle counts the calls that use
 * its descriptor, so that the descriptor is closed, and its number free for another file, only after the last of them.
 */
import { invariant, limits, type Segments } from '../base/index.js';
import { IoFlag, IoKind, type IoResult } from '../native/index.js';
import type { BlobHandle, BlobStore, BlobWrite, CheckedRead, DriveResult } from './drive.js';
import type { DriveCalls } from './drive-calls.js';
import { blobFileName, blobFolder, blobSubfolder, blobSubfolders, isBlobName } from './layout.js';
import { Places } from './places.js';

export interface BlobQueues {
  readonly write: DriveCalls;
  readonly read: DriveCalls;
}

class OpenBlob implements BlobHandle {
  users = 0;
  isClosed = false;

  constructor(
    readonly name: string,
    readonly fd: number,
  ) {}
}

export class LocalBlobStore implements BlobStore {
  readonly #open = new Set<OpenBlob>();
  /** The file system is known to be one that opens without asking anybody. */
  #opensNow = false;
  #isShut = false;
  /** One for each blob that is open. */
  readonly #places: Places;

  constructor(
    private readonly queues: BlobQueues,
    private readonly isSynced: boolean,
    openMax = Infinity,
    waitMsMax: number = limits.driveCallMsDefault,
  ) {
    this.#places = new Places(openMax, waitMsMax);
  }

  async write(name: string, request: BlobWrite): Promise<DriveResult<BlobHandle | null>> {
    if (this.#isShut) return this.queues.write.refusal(`write ${blobFileName(name)}`);
    return request.handle === null
      ? this.#create(name, request)
      : this.#append(name, this.#usable(request.handle), request);
  }

  giveUpStuck(): void {
    this.queues.write.giveUpStuck(limits.driveLogCallMsMax);
  }

  async open(name: string): Promise<DriveResult<BlobHandle>> {
    const describe = (): string => `open ${blobFileName(name)}`;
    if (!this.#places.tryTake() && !(await this.#places.take())) return this.queues.read.starved(describe());
    const opened = await this.queues.read.run({
      request: { kind: IoKind.open, path: blobFileName(name) },
      describe,
      repeats: true,
    });
    if (!opened.ok) {
      this.#places.give();
      return opened;
    }
    this.#opensNow = opened.value.values?.[0] === 1;
    return { ok: true, value: this.#adopt(name, opened.value.fd) };
  }

  openNow(name: string): BlobHandle | null {
    if (this.#isShut || !this.#opensNow || !this.#places.tryTake()) return null;
    const fd = this.queues.read.openNow(blobFileName(name));
    if (fd >= 0) return this.#adopt(name, fd);
    this.#places.give();
    return null;
  }

  async read(handle: BlobHandle, fileOffset: number, segments: Segments): Promise<DriveResult<number>> {
    const answer = await this.#read(handle, { fileOffset, segments });
    return answer.ok ? { ok: true, value: answer.value.bytes } : answer;
  }

  async readChecked(handle: BlobHandle, fileOffset: number, checks: Float64Array): Promise<DriveResult<CheckedRead>> {
    const answer = await this.#read(handle, { fileOffset, checks });
    if (!answer.ok) return answer;
    return { ok: true, value: { bytes: answer.value.bytes, wrongRows: answer.value.values?.[0] ?? 0 } };
  }

  readNow(handle: BlobHandle, fileOffset: number, arenaOffset: number, bytes: number): number {
    return this.#isShut ? -1 : this.queues.read.readNow(this.#usable(handle).fd, fileOffset, arenaOffset, bytes);
  }

  readCheckedNow(handle: BlobHandle, fileOffset: number, checks: Float64Array): boolean {
    return !this.#isShut && this.queues.read.readCheckedNow(this.#usable(handle).fd, fileOffset, checks);
  }

  close(handle: BlobHandle): void {
    // Whoever gives up a file while the drive goes comes too late: it is closed already.
    if (this.#isShut) return;
    this.#close(this.#usable(handle));
  }

  async rename(name: string, toName: string): Promise<DriveResult<void>> {
    const answer = await this.queues.write.run({
      request: {
        kind: IoKind.rename,
        path: blobFileName(name),
        toPath: blobFileName(toName),
        flags: this.isSynced ? IoFlag.syncDirectory : 0,
      },
      describe: () => `rename ${blobFileName(name)} to ${blobFileName(toName)}`,
    });
    return answer.ok ? { ok: true, value: undefined } : answer;
  }

  async settle(name: string): Promise<DriveResult<boolean>> {
    if (!this.isSynced) return { ok: true, value: true };
    const answer = await this.queues.write.run({
      request: { kind: IoKind.settle, path: blobFileName(name), flags: IoFlag.syncDirectory | IoFlag.close },
      describe: () => `settle ${blobFileName(name)}`,
      repeats: true,
    });
    return answer.ok ? { ok: true, value: answer.value.values?.[0] === 1 } : answer;
  }

  async unlink(name: string): Promise<DriveResult<void>> {
    const answer = await this.queues.write.run({
      request: { kind: IoKind.unlink, path: blobFileName(name) },
      describe: () => `unlink ${blobFileName(name)}`,
    });
    if (answer.ok || answer.fault.kind === 'missing') return { ok: true, value: undefined };
    return answer;
  }

  async *list(): AsyncIterable<DriveResult<string>> {
    for (const subfolder of blobSubfolders()) {
      const folder = `${blobFolder}/${subfolder}`;
      const listed = await this.queues.read.run({
        request: { kind: IoKind.list, path: folder },
        describe: () => `list ${folder}`,
        repeats: true,
      });
      if (!listed.ok) {
        yield listed;
        continue;
      }
      for (const name of listed.value.names ?? []) {
        // In another folder it is not found under its name: it is nobody's.
        if (isBlobName(name) && blobSubfolder(name) === subfolder) yield { ok: true, value: name };
      }
    }
  }

  /** Closes what callers left open, handles in use when their calls end. */
  closeFiles(): void {
    this.#isShut = true;
    for (const blob of this.#open) if (!blob.isClosed) this.#close(blob);
  }

  async #create(name: string, write: BlobWrite): Promise<DriveResult<BlobHandle | null>> {
    const describe = (): string => `create ${blobFileName(name)}`;
    if (!this.#places.tryTake() && !(await this.#places.take())) return this.queues.write.starved(describe());
    const answer = await this.queues.write.run({
      request: {
        kind: IoKind.write,
        path: blobFileName(name),
        fileOffset: write.fileOffset,
        segments: write.segments,
        flags:
          IoFlag.create | IoFlag.write | this.#writeFlags | this.#syncFlags(write) | (write.close ? IoFlag.close : 0),
      },
      describe,
      repeats: true,
    });
    if (answer.ok && !write.close) return { ok: true, value: this.#adopt(name, answer.value.fd) };
    this.#places.give();
    return answer.ok ? { ok: true, value: null } : answer;
  }

  async #append(name: string, blob: OpenBlob, write: BlobWrite): Promise<DriveResult<BlobHandle | null>> {
    invariant(blob.name === name, 'a handle is used under its own name');
    const closesHere = write.close && blob.users === 0;
    blob.users++;
    // From here on the handle is closed for its owner, whatever the drive answers.
    if (write.close) blob.isClosed = true;
    const answer = await this.queues.write.run({
      request: {
        kind: IoKind.write,
        path: blobFileName(name),
        fd: blob.fd,
        fileOffset: write.fileOffset,
        segments: write.segments,
        flags: IoFlag.named | this.#writeFlags | this.#syncFlags(write) | (closesHere ? IoFlag.close : 0),
      },
      describe: () => `write ${blobFileName(name)} at ${write.fileOffset}`,
      repeats: true,
      onEnd: (result) => {
        // A refused call did not get to its close.
        if (closesHere && result.fd < 0) this.#forget(blob);
        else this.#release(blob);
      },
    });
    return answer.ok ? { ok: true, value: write.close ? null : blob } : answer;
  }

  async #read(
    handle: BlobHandle,
    what: { readonly fileOffset: number; readonly segments?: Segments; readonly checks?: Float64Array },
  ): Promise<DriveResult<IoResult>> {
    // A slow reader may come back to a drive that was let go meanwhile.
    if (this.#isShut) return this.queues.read.refusal('read a blob');
    const blob = this.#usable(handle);
    blob.users++;
    return this.queues.read.run({
      request: { kind: IoKind.read, fd: blob.fd, ...what },
      describe: () => `read ${blobFileName(blob.name)} at ${what.fileOffset}`,
      onEnd: () => this.#release(blob),
    });
  }

  #adopt(name: string, fd: number): OpenBlob {
    invariant(fd >= 0, 'a call that opened a file answers its descriptor');
    const blob = new OpenBlob(name, fd);
    this.#open.add(blob);
    return blob;
  }

  #usable(handle: BlobHandle): OpenBlob {
    invariant(handle instanceof OpenBlob && this.#open.has(handle), 'a blob handle comes from its own drive');
    invariant(!handle.isClosed, 'a blob handle is not used after it was closed');
    return handle;
  }

  #close(blob: OpenBlob): void {
    blob.isClosed = true;
    if (blob.users > 0) return;
    this.#forget(blob);
    this.queues.read.closeDescriptor(blob.fd);
  }

  #forget(blob: OpenBlob): void {
    this.#open.delete(blob);
    this.#places.give();
  }

  #release(blob: OpenBlob): void {
    blob.users--;
    invariant(blob.users >= 0, 'a handle is released as often as it is used');
    if (blob.isClosed) this.#close(blob);
  }

  /**
   * Large shards go to the drive from where they lie: through the page cache they cost many times the CPU time, and push
   * out what is read again (bench: `choice.blob.buffered`).
   */
  get #writeFlags(): number {
    return this.isSynced ? IoFlag.direct : 0;
  }

  #syncFlags(write: BlobWrite): number {
    return write.sync && this.isSynced ? IoFlag.sync | IoFlag.syncDirectory : 0;
  }
}
