/** Drives whose blob files lie in memory, and whose calls a test can let fail, hang or come back late. */
import type { CheckedRead, Drive, DriveFault, DriveResult } from '../../dist/drive/index.js';
import type { DriveSet } from '../../dist/erasure/index.js';
import { kernels } from '../../dist/native/index.js';
import type { SlabArena } from '../../dist/pool/index.js';

export interface MemoryCall {
  readonly kind: 'write' | 'read';
  readonly name: string;
  readonly fileOffset: number;
  readonly segments: Float64Array;
}

interface OpenFile {
  readonly name: string;
  readonly fd: number;
}

export class MemoryDrive {
  readonly files = new Map<string, Buffer>();
  readonly calls: MemoryCall[] = [];
  openHandles = 0;
  /** Checked reads on the calling thread, of a file that was cached. */
  readsNow = 0;
  /** Whether the page cache has what is asked for at once. */
  isCached: () => boolean = () => false;
  /** Whether a file of which the page cache has something can be opened at once too. */
  hasNames = true;
  /** It hangs for whoever writes to it. */
  onGiveUp: () => void = () => undefined;
  /** Nothing comes from it; and it is known to hang. */
  isStuck = false;
  isHanging = false;
  onGiveUpReads: () => void = () => undefined;
  /** Waited for before a call does anything. A fault: the call fails with it. */
  onCall: (call: MemoryCall) => Promise<DriveFault | null> = () => Promise.resolve(null);

  constructor(
    private readonly arena: SlabArena,
    readonly path: string,
  ) {}

  fault(kind: DriveFault['kind'], settled?: Promise<void>): DriveFault {
    const fault = { kind, drive: this.path, operation: 'test', errno: 5 };
    return settled === undefined ? fault : { ...fault, settled };
  }

  asDrive(): Drive {
    const isStuck = (): boolean => this.isStuck;
    const isHanging = (): boolean => this.isHanging;
    return {
      path: this.path,
      get areReadsStuck() {
        return isStuck();
      },
      get areWritesStuck() {
        return isStuck();
      },
      get isHanging() {
        return isHanging();
      },
      giveUpReads: () => {
        this.onGiveUpReads();
      },
      blobs: {
        write: (
          name: string,
          write: { handle: OpenFile | null; fileOffset: number; segments: Float64Array; close: boolean },
        ) => this.#write(name, write),
        open: (name: string) => {
          if (!this.files.has(name)) return Promise.resolve({ ok: false, fault: this.fault('missing') });
          this.openHandles++;
          return Promise.resolve({ ok: true, value: { name, fd: 1 } });
        },
        openNow: (name: string) => {
          if (!this.hasNames || !this.isCached() || !this.files.has(name)) return null;
          this.openHandles++;
          return { name, fd: 1 };
        },
        read: (handle: OpenFile, fileOffset: number, segments: Float64Array) =>
          this.#read(handle, fileOffset, segments),
        readChecked: (handle: OpenFile, fileOffset: number, checks: Float64Array) =>
          this.#readChecked(handle, fileOffset, checks),
        readNow: (handle: OpenFile, fileOffset: number, arenaOffset: number, bytes: number) =>
          this.isCached() ? this.#copy(handle.name, fileOffset, Float64Array.of(arenaOffset, bytes)) : -1,
        readCheckedNow: (handle: OpenFile, fileOffset: number, checks: Float64Array) => {
          if (!this.isCached()) return false;
          const segments = segmentsOf(checks);
          let wanted = 0;
          for (let at = 1; at < segments.length; at += 2) wanted += segments[at] ?? 0;
          this.readsNow++;
          return this.#copy(handle.name, fileOffset, segments) === wanted && kernels.verifyBlocks(checks).length === 0;
        },
        giveUpStuck: () => {
          this.onGiveUp();
        },
        close: () => void this.openHandles--,
        unlink: (name: string) => {
          this.files.delete(name);
          return Promise.resolve({ ok: true, value: undefined });
        },
      },
    } as unknown as Drive;
  }

  async #write(
    name: string,
    write: { handle: OpenFile | null; fileOffset: number; segments: Float64Array; close: boolean },
  ): Promise<unknown> {
    if (write.handle === null && this.files.has(name)) return { ok: false, fault: this.fault('io') };
    if (write.handle === null) {
      this.files.set(name, Buffer.alloc(0));
      this.openHandles++;
    }
    const call = { kind: 'write', name, fileOffset: write.fileOffset, segments: write.segments } as const;
    this.calls.push(call);
    const fault = await this.onCall(call);
    if (write.close) this.openHandles--;
    if (fault !== null) {
      if (write.handle === null && !write.close) this.openHandles--;
      return { ok: false, fault };
    }
    let end = write.fileOffset;
    for (let at = 1; at < write.segments.length; at += 2) end += write.segments[at] ?? 0;
    const old = this.files.get(name) ?? Buffer.alloc(0);
    const file = grown(old, Math.max(end, old.length));
    let at = write.fileOffset;
    for (let index = 0; index < write.segments.length; index += 2) {
      const offset = write.segments[index] ?? 0;
      at += this.arena.view.copy(file, at, offset, offset + (write.segments[index + 1] ?? 0));
    }
    this.files.set(name, file);
    return { ok: true, value: write.close ? null : { name, fd: 1 } };
  }

  async #read(handle: OpenFile, fileOffset: number, segments: Float64Array): Promise<DriveResult<number>> {
    const call = { kind: 'read', name: handle.name, fileOffset, segments } as const;
    this.calls.push(call);
    const fault = await this.onCall(call);
    if (fault !== null) return { ok: false, fault };
    return { ok: true, value: this.#copy(handle.name, fileOffset, segments) };
  }

  /** Bytes that there were. */
  #copy(name: string, fileOffset: number, segments: Float64Array): number {
    const file = this.files.get(name) ?? Buffer.alloc(0);
    let at = fileOffset;
    for (let index = 0; index < segments.length; index += 2) {
      at += file.copy(this.arena.view, segments[index], at, at + (segments[index + 1] ?? 0));
    }
    return at - fileOffset;
  }

  async #readChecked(handle: OpenFile, fileOffset: number, checks: Float64Array): Promise<DriveResult<CheckedRead>> {
    const read = await this.#read(handle, fileOffset, segmentsOf(checks));
    if (!read.ok) return read;
    return { ok: true, value: { bytes: read.value, wrongRows: kernels.verifyBlocks(checks).length } };
  }
}

/** The file with room behind it, so that a long one is not copied at every write. */
function grown(file: Buffer, bytes: number): Buffer {
  const { buffer, byteOffset } = file;
  if (byteOffset === 0 && buffer.byteLength >= bytes) return Buffer.from(buffer, 0, bytes);
  const larger = Buffer.from(new ArrayBuffer(2 * bytes), 0, bytes);
  file.copy(larger);
  return larger;
}

/** Where the rows of a checked read go. */
function segmentsOf(checks: Float64Array): Float64Array {
  const rows = Array.from({ length: checks.length / 8 }, (_, row) => checks.subarray(row * 8, row * 8 + 2));
  return Float64Array.from(rows.flatMap((row) => [...row]));
}

export interface MemorySet extends DriveSet {
  readonly members: MemoryDrive[];
  readonly writeFaults: number[];
  suspicions: number;
}

export function memorySet(arena: SlabArena, driveCount: number): MemorySet {
  const members = Array.from({ length: driveCount }, (_, position) => new MemoryDrive(arena, `/memory/${position}`));
  const drives = members.map((member) => member.asDrive());
  const writeFaults: number[] = [];
  const set: MemorySet = {
    members,
    writeFaults,
    suspicions: 0,
    setIndex: 0,
    deploymentId: '01234567-89ab-cdef-0123-456789abcdef',
    driveCount,
    drive: (position) => drives[position] ?? null,
    reportWrite: (position) => void writeFaults.push(position),
    reportRead: () => undefined,
    suspect: () => {
      set.suspicions++;
      return Promise.resolve();
    },
    departures: () => 0,
    inSync: () => members.map((_, position) => position),
  };
  return set;
}
