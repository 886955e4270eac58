/**
 * The operating system under the drives of a server, in memory: it stands where the addon's native threads stand, so
 * all of `src/drive` and what lies above it runs on it unchanged. Every step that changes a disk is counted, and a
 * plan decides what becomes of it: it is done, it fails, it takes long, it never ends, or the process or the power
 * ends with it. What other drives were doing in that moment is then done, done in part or not done.
 */
import { constants } from 'node:os';
import type { DriveSystem } from '../../../dist/drive/index.js';
import { IoFlag, IoKind, kernels, type IoQueue, type IoRequest, type IoResult } from '../../../dist/native/index.js';
import type { Random } from '../../unit/journal/model/random.js';
import type { SimulatedDisk } from './simulated-disk.js';
import { SimulatedFile, SimulatedFolder, sectorBytes } from './simulated-disk.js';
import type { VirtualTime } from './virtual-time.js';

const { EBADF, ECANCELED, EEXIST, EINPROGRESS, EISDIR, ENOENT, ENOSPC, ENOTDIR, EWOULDBLOCK } = constants.errno;

export type StepKind = 'create' | 'write' | 'sync' | 'rename' | 'unlink' | 'make folder' | 'sync folder' | 'read';

export interface Step {
  readonly kind: StepKind;
  /** Counted from 1; of a read the number of the last step that changed something. */
  readonly number: number;
  /** Position of the drive in `folders`. */
  readonly drive: number;
  readonly path: string;
}

export type Outcome =
  | { readonly kind: 'done' }
  | { readonly kind: 'crash' }
  | { readonly kind: 'fails'; readonly errno: number }
  /** Infinity: the call never comes back. */
  | { readonly kind: 'takes'; readonly ms: number };

interface Action {
  readonly kind: StepKind;
  readonly path: string;
  /** Answers an errno. */
  readonly act: () => number;
  /** Some of it. */
  readonly part?: () => void;
  /** It failed. */
  readonly fail?: () => void;
}

interface OpenFile {
  readonly node: SimulatedFile | SimulatedFolder;
  readonly drive: number;
  path: string;
}

interface Call {
  readonly request: IoRequest;
  readonly requestNumber: number;
  readonly resolve: (result: IoResult) => void;
  readonly steps: Generator<Action, IoResult, number>;
  next: Action | null;
  isGivenUp: boolean;
}

const done: Outcome = { kind: 'done' };

export class SimulatedMachine implements DriveSystem {
  plan: (step: Step) => Outcome = () => done;
  /** Without room: what makes a file longer or makes a new one fails. */
  readonly full = new Set<number>();
  /** Bytes of the files that may be told from the page cache. */
  steps = 0;
  isDead = false;
  readonly #files = new Map<number, OpenFile>();
  readonly #locks = new Map<SimulatedFile, number>();
  /** Locks that queues hold on to, by the queue. */
  readonly #held = new Map<object, SimulatedFile>();
  readonly #calls = new Set<Call>();
  /** Inode numbers. */
  readonly #numbers = new WeakMap<object, number>();
  #numberCount = 0;
  #fdCount = 3;

  /** `folders[i]` is where disk i is mounted. */
  constructor(
    readonly time: VirtualTime,
    readonly random: Random,
    readonly folders: readonly string[],
    public disks: SimulatedDisk[],
  ) {}

  /** A new process on the same disks. */
  boot(): void {
    this.isDead = false;
    this.#files.clear();
    this.#locks.clear();
    this.#held.clear();
    this.#calls.clear();
    this.plan = () => done;
  }

  /** Ends the process: what is under way happened, in part, or not. */
  kill(): void {
    this.isDead = true;
    for (const { next } of this.#calls) {
      if (next === null) continue;
      const fate = this.random.below(3);
      if (fate === 1) next.act();
      if (fate === 2) next.part?.();
    }
    this.#calls.clear();
    this.time.kill();
  }

  losePower(): void {
    this.kill();
    for (const disk of this.disks) disk.lose(this.random);
  }

  isMountPoint(fd: number): boolean {
    const file = this.#files.get(fd);
    const disk = file && this.disks[file.drive];
    return disk?.kind === 'disk' && disk.root === file?.node;
  }

  lockFile(fd: number): number {
    const file = this.#files.get(fd);
    if (file === undefined || !(file.node instanceof SimulatedFile)) return EBADF;
    const holder = this.#locks.get(file.node);
    if (holder !== undefined && holder !== fd) return EWOULDBLOCK;
    if (holder === undefined && [...this.#held.values()].includes(file.node)) return EWOULDBLOCK;
    this.#locks.set(file.node, fd);
    return 0;
  }

  createIoQueue(arena: SharedArrayBuffer, _name: string, threads: number): IoQueue {
    const view = Buffer.from(arena);
    const waiting: Call[] = [];
    const running = new Set<Call>();
    let count = 0;
    let isClosing = false;
    /** Calls go by its name: a disk that is taken away is not there for those who hold its folder open either. */
    let entered = '';
    const at = (path: string): string => (path.startsWith('/') ? path : path === '.' ? entered : `${entered}/${path}`);
    let onIdle: (() => void)[] = [];
    const self = {};
    const end = (): void => {
      if (!isClosing || running.size + waiting.length > 0) return;
      this.#held.delete(self);
    };
    const finish = (call: Call, result: IoResult): void => {
      running.delete(call);
      this.#calls.delete(call);
      if (!call.isGivenUp) call.resolve(result);
      pump();
      if (running.size + waiting.length > 0) return;
      end();
      for (const resolve of onIdle) resolve();
      onIdle = [];
    };
    const advance = (call: Call, errno: number): void => {
      const next = call.steps.next(errno);
      if (next.done === true) {
        call.next = null;
        finish(call, next.value);
        return;
      }
      call.next = next.value;
      this.time.after(this.#latencyMs(next.value.kind), () => this.#run(call, advance));
    };
    const pump = (): void => {
      while (running.size < threads && waiting.length > 0) {
        const call = waiting.shift();
        if (call === undefined) break;
        running.add(call);
        this.#calls.add(call);
        advance(call, 0);
      }
    };
    const file = (fd: number): SimulatedFile | null => {
      const found = this.#files.get(fd)?.node;
      return found instanceof SimulatedFile ? found : null;
    };
    return {
      enter: (fd) => {
        const folder = this.#files.get(fd);
        entered = folder?.path ?? '';
        return folder === undefined ? EBADF : 0;
      },
      hold: (fd) => {
        const held = file(fd);
        if (held !== null) this.#held.set(self, held);
        return held === null ? EBADF : 0;
      },
      submit: (asked) =>
        new Promise((resolve) => {
          const { path, toPath } = asked;
          const request = {
            ...asked,
            ...(path !== undefined && { path: at(path) }),
            ...(toPath !== undefined && { toPath: at(toPath) }),
          };
          const requestNumber = ++count;
          if (isClosing && request.kind !== IoKind.close) {
            return resolve({ errno: ECANCELED, bytes: 0, fd: request.fd ?? -1 });
          }
          const steps = this.#perform(request, view);
          waiting.push({ request, requestNumber, resolve, steps, next: null, isGivenUp: false });
          // The native thread takes it from another thread's hand.
          this.time.after(0.01, pump);
        }),
      cancel: (requestNumber) => {
        const at = waiting.findIndex((call) => call.requestNumber === requestNumber);
        if (at < 0) return false;
        const [call] = waiting.splice(at, 1);
        this.time.after(0, () => call?.resolve({ errno: ECANCELED, bytes: 0, fd: call.request.fd ?? -1 }));
        return true;
      },
      openNow: (path) => {
        if (this.isDead || this.random.chance(0.5)) return -1;
        const { disk, inner } = this.#disk(at(path));
        const node = disk.find(inner);
        return node === undefined ? -1 : this.#opened(node, at(path));
      },
      readNow: (fd, fileOffset, arenaOffset, bytes) => {
        if (this.isDead || this.random.chance(0.5)) return -1;
        return file(fd)?.read(fileOffset, view.subarray(arenaOffset, arenaOffset + bytes)) ?? -EBADF - 1;
      },
      readCheckedNow: (fd, fileOffset, checks) => {
        if (this.isDead || this.random.chance(0.5)) return false;
        let at = fileOffset;
        for (let row = 0; row < checks.length; row += 8) {
          const [arenaOffset = 0, bytes = 0] = checks.subarray(row, row + 2);
          if (file(fd)?.read(at, view.subarray(arenaOffset, arenaOffset + bytes)) !== bytes) return false;
          at += bytes;
        }
        return kernels.verifyBlocks(checks).length === 0;
      },
      get depth() {
        return waiting.length + running.size;
      },
      close: (graceMs) => {
        isClosing = true;
        end();
        if (waiting.length + running.size === 0) return Promise.resolve();
        return new Promise((resolve) => {
          onIdle.push(resolve);
          this.time.after(graceMs, () => {
            for (const call of running) {
              if (call.isGivenUp) continue;
              call.isGivenUp = true;
              call.resolve({ errno: EINPROGRESS, bytes: 0, fd: -1 });
            }
            for (const call of waiting.splice(0)) {
              const isClose = call.request.kind === IoKind.close;
              const { fd = -1 } = call.request;
              call.resolve(isClose ? { errno: EINPROGRESS, bytes: 0, fd: -1 } : { errno: ECANCELED, bytes: 0, fd });
              if (isClose) waiting.push({ ...call, isGivenUp: true });
            }
            resolve();
          });
        });
      },
    };
  }

  #latencyMs(kind: StepKind): number {
    return this.random.next() * (kind === 'sync' || kind === 'sync folder' ? 1.5 : 0.2);
  }

  #run(call: Call, advance: (call: Call, errno: number) => void): void {
    const action = call.next;
    if (this.isDead || action === null) return;
    const drive = this.#driveOf(action.path);
    if (action.kind !== 'read') this.steps++;
    const outcome = this.plan({ kind: action.kind, number: this.steps, drive, path: action.path });
    if (outcome.kind === 'crash') {
      // The step itself is among those that may have happened.
      this.isDead = true;
      return;
    }
    if (outcome.kind === 'takes') {
      if (outcome.ms === Infinity) return;
      this.time.after(outcome.ms, () => {
        if (this.isDead) return;
        call.next = null;
        advance(call, action.act());
      });
      return;
    }
    call.next = null;
    if (outcome.kind === 'done') {
      advance(call, action.act());
      return;
    }
    action.fail?.();
    advance(call, outcome.errno);
  }

  #driveOf(path: string): number {
    return this.folders.findIndex((folder) => path === folder || path.startsWith(`${folder}/`));
  }

  #disk(path: string): { readonly disk: SimulatedDisk; readonly drive: number; readonly inner: string } {
    const drive = this.#driveOf(path);
    const disk = this.disks[drive];
    if (disk === undefined) throw new Error(`no disk holds ${path}`);
    return { disk, drive, inner: path.slice(this.folders[drive]?.length) };
  }

  /** The steps of one request, as native/io/operation.cc takes them. Each `yield` answers an errno. */
  *#perform(request: IoRequest, view: Buffer): Generator<Action, IoResult, number> {
    const { kind } = request;
    const isOnNames = [IoKind.unlink, IoKind.rename, IoKind.list, IoKind.stat, IoKind.space, IoKind.makeDirectory];
    if ((isOnNames as number[]).includes(kind)) return yield* this.#performOnNames(request);
    const flags = request.flags ?? 0;
    let fd = request.fd ?? -1;
    let errno = 0;
    let bytes = 0;
    let values: number[] | undefined;
    const isOpenedHere = fd < 0;
    if (isOpenedHere) [errno, fd] = yield* this.#open(request.path ?? '', flags);
    if (kind === IoKind.open) values = [1, 0];
    const file = this.#files.get(fd);
    if (errno === 0 && file === undefined) errno = EBADF;
    if (errno === 0 && file !== undefined && (flags & IoFlag.named) !== 0) {
      const { disk, inner } = this.#disk(file.path);
      if (disk.find(inner) !== file.node) errno = ENOENT;
    }
    if (errno === 0 && file?.node instanceof SimulatedFile) {
      const { node } = file;
      const at = request.fileOffset ?? 0;
      if (kind === IoKind.write) {
        const source = gather(view, request.segments ?? new Float64Array());
        errno = yield this.#writing(file, node, at, source);
        if (errno === 0) bytes = source.length;
      } else if (kind === IoKind.zeroFill) {
        const count = request.bytes ?? 0;
        errno = yield this.#zeroing(file, node, at, count);
        if (errno === 0) bytes = count;
      } else if (kind === IoKind.read) {
        errno = yield { kind: 'read', path: file.path, act: () => 0 };
        if (errno === 0) [bytes, values] = read(node, at, request, view);
      }
    }
    if (
      errno === 0 &&
      (kind === IoKind.sync || kind === IoKind.settle || (flags & IoFlag.sync) !== 0) &&
      file !== undefined
    ) {
      errno = yield this.#syncing(file);
    }
    if (errno === 0 && (flags & IoFlag.syncDirectory) !== 0) {
      errno = yield this.#syncingFolder(folderOf(request.path ?? ''));
    }
    if (errno === 0 && kind === IoKind.settle && file?.node instanceof SimulatedFile) {
      file.node.forget(this.random);
      values = [1, 0];
    }
    if (kind === IoKind.close || (flags & IoFlag.close) !== 0 || (isOpenedHere && errno !== 0)) {
      this.#close(fd);
      fd = -1;
    }
    return { errno, bytes, fd, ...(values && { values }) };
  }

  *#performOnNames(request: IoRequest): Generator<Action, IoResult, number> {
    const path = request.path ?? '';
    const answer: { errno: number; bytes: number; fd: number; names?: string[]; values?: number[] } = {
      errno: 0,
      bytes: 0,
      fd: -1,
    };
    const { disk, drive, inner } = this.#disk(path);
    switch (request.kind) {
      case IoKind.unlink:
        answer.errno = yield {
          kind: 'unlink',
          path,
          act: () => {
            const place = disk.place(inner);
            const node = place?.folder.entries.get(place.name);
            if (place === null || node === undefined) return ENOENT;
            if (node instanceof SimulatedFolder) return EISDIR;
            disk.change({ ...place, after: undefined });
            return 0;
          },
        };
        break;
      case IoKind.rename:
        answer.errno = yield {
          kind: 'rename',
          path,
          act: () => {
            const from = disk.place(inner);
            const to = disk.place(this.#disk(request.toPath ?? '').inner);
            const node = from?.folder.entries.get(from.name);
            if (from === null || to === null || node === undefined) return ENOENT;
            disk.change({ ...from, after: undefined }, { ...to, after: node });
            for (const file of this.#files.values()) if (file.node === node) file.path = request.toPath ?? '';
            return 0;
          },
        };
        break;
      case IoKind.makeDirectory:
        answer.errno = yield {
          kind: 'make folder',
          path,
          act: () => {
            if (inner === '') return EEXIST;
            const place = disk.place(inner);
            if (place === null) return ENOENT;
            if (place.folder.entries.has(place.name)) return EEXIST;
            if (this.full.has(drive)) return ENOSPC;
            disk.change({ ...place, after: new SimulatedFolder() });
            return 0;
          },
        };
        break;
      default:
        answer.errno = yield { kind: 'read', path, act: () => 0 };
        if (answer.errno === 0) this.#look(request.kind, disk, inner, answer);
    }
    if (answer.errno === 0 && ((request.flags ?? 0) & IoFlag.syncDirectory) !== 0) {
      answer.errno = yield this.#syncingFolder(folderOf(path));
    }
    return answer;
  }

  #look(
    kind: number,
    disk: SimulatedDisk,
    inner: string,
    answer: { errno: number; names?: string[]; values?: number[] },
  ): void {
    const node = disk.find(inner);
    if (kind === IoKind.space) answer.values = [1e12, 5e11];
    else if (node === undefined) answer.errno = ENOENT;
    else if (kind === IoKind.stat) {
      const number = this.#numbers.get(node) ?? ++this.#numberCount;
      this.#numbers.set(node, number);
      answer.values = [...(node instanceof SimulatedFile ? [node.bytes, 0] : [4096, 1]), 1, 0, number];
    } else if (node instanceof SimulatedFile) answer.errno = ENOTDIR;
    else answer.names = [...node.entries.keys()];
  }

  *#open(path: string, flags: number): Generator<Action, [number, number], number> {
    const { disk, drive, inner } = this.#disk(path);
    let errno: number;
    if ((flags & IoFlag.create) !== 0) {
      errno = yield {
        kind: 'create',
        path,
        act: () => {
          const place = disk.place(inner);
          if (place === null) return ENOENT;
          if (place.folder.entries.has(place.name)) return EEXIST;
          if (this.full.has(drive)) return ENOSPC;
          disk.change({ ...place, after: new SimulatedFile() });
          return 0;
        },
      };
    } else {
      errno = yield { kind: 'read', path, act: () => 0 };
    }
    if (errno !== 0) return [errno, -1];
    const node = disk.find(inner);
    return node === undefined ? [ENOENT, -1] : [0, this.#opened(node, path)];
  }

  #opened(node: OpenFile['node'], path: string): number {
    const fd = this.#fdCount++;
    this.#files.set(fd, { node, drive: this.#driveOf(path), path });
    return fd;
  }

  #close(fd: number): void {
    const file = this.#files.get(fd);
    if (file === undefined) return;
    this.#files.delete(fd);
    if (file.node instanceof SimulatedFile && this.#locks.get(file.node) === fd) this.#locks.delete(file.node);
  }

  #writing({ path, drive }: OpenFile, node: SimulatedFile, at: number, source: Buffer): Action {
    const part = (): void => {
      const first = Math.floor(at / sectorBytes);
      const count = Math.ceil((at + source.length) / sectorBytes) - first;
      // Cut off at some sector, or each sector by itself.
      const end = first + this.random.below(count + 1);
      const isCut = this.random.chance(0.5);
      node.write(at, source, (index) => (isCut ? index < end : this.random.chance(0.5)));
    };
    return {
      kind: 'write',
      path,
      act: () => {
        if (this.full.has(drive) && at + source.length > node.bytes) return ENOSPC;
        node.write(at, source);
        return 0;
      },
      part,
      fail: part,
    };
  }

  #zeroing({ path, drive }: OpenFile, node: SimulatedFile, at: number, bytes: number): Action {
    return {
      kind: 'write',
      path,
      act: () => {
        if (this.full.has(drive) && at + bytes > node.bytes) return ENOSPC;
        node.zero(at, bytes);
        return 0;
      },
      part: () => node.zero(at, this.random.below(bytes + 1)),
    };
  }

  #syncing({ node, path }: OpenFile): Action {
    if (node instanceof SimulatedFolder) return this.#syncingFolder(path);
    return {
      kind: 'sync',
      path,
      act: () => {
        node.sync();
        return 0;
      },
      part: () => node.syncInPart(this.random),
      fail: () => node.syncFailed(),
    };
  }

  #syncingFolder(path: string): Action {
    return {
      kind: 'sync folder',
      path,
      act: () => {
        // The folder that holds the mount is not on a simulated disk, and always durable.
        if (this.#driveOf(path) < 0) return 0;
        const { disk, inner } = this.#disk(path);
        const folder = disk.find(inner);
        if (!(folder instanceof SimulatedFolder)) return ENOENT;
        disk.syncFolder(folder);
        return 0;
      },
    };
  }
}

function folderOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/')) || '/';
}

function gather(view: Buffer, segments: Float64Array): Buffer {
  const pieces: Buffer[] = [];
  for (let index = 0; index < segments.length; index += 2) {
    const from = segments[index] ?? 0;
    pieces.push(view.subarray(from, from + (segments[index + 1] ?? 0)));
  }
  return Buffer.concat(pieces);
}

function read(node: SimulatedFile, at: number, request: IoRequest, view: Buffer): [number, number[] | undefined] {
  const { checks, segments } = request;
  const step = checks === undefined ? 2 : 8;
  const rows = checks ?? segments ?? new Float64Array();
  let bytes = 0;
  for (let index = 0; index < rows.length; index += step) {
    const from = rows[index] ?? 0;
    bytes += node.read(at + bytes, view.subarray(from, from + (rows[index + 1] ?? 0)));
  }
  return [bytes, checks === undefined ? undefined : [kernels.verifyBlocks(checks).length, 0]];
}
