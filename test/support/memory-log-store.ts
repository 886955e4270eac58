/**
 * Log files in memory, for tests: writes can fail, hang, be cut short by a crash at any step (each
 * 512-byte sector lost or written on its own), and bits can rot.
 */
import type { DriveFault, DriveFaultKind, DriveResult, LogFileInfo, LogStore } from '../../src/drive/index.js';
import type { Segments } from '../../src/base/index.js';
import type { Random } from '../unit/journal/model/random.js';

const sectorBytes = 512;
const EIO = 5;
const EEXIST = 17;
const outcomes = ['done', 'torn', 'lost'] as const;

/** All drives of a machine: they lose power together. */
export class MemoryMachine {
  isDead = false;
  /** Steps (writes and new files) until the power goes. */
  stepsLeft = Number.POSITIVE_INFINITY;
  steps = 0;

  constructor(
    readonly view: Buffer,
    readonly random: Random,
  ) {}

  /** Power is back: nothing fails until the next `stepsLeft`. */
  revive(): void {
    this.isDead = false;
    this.stepsLeft = Number.POSITIVE_INFINITY;
  }

  /** What becomes of the step that begins now. Calls of the same moment share the end of the power. */
  step(): 'done' | 'torn' | 'lost' {
    this.steps++;
    if (this.isDead) return 'lost';
    if (this.stepsLeft-- > 0) return 'done';
    if (!this.#isDying) {
      this.#isDying = true;
      setImmediate(() => {
        this.isDead = true;
        this.#isDying = false;
      });
    }
    return this.random.pick(outcomes);
  }

  get isDying(): boolean {
    return this.#isDying;
  }

  #isDying = false;
}

export class MemoryLogStore implements LogStore {
  readonly files = new Map<number, Buffer>();
  /** Called before each write: a kind makes it fail; what it did before is random. */
  failWrite: (fileNumber: number, fileOffset: number) => DriveFaultKind | null = () => null;
  /** What a failing write has done all the same; null: at random. */
  failOutcome: 'done' | 'torn' | 'lost' | null = null;
  /** A failing write stays in the kernel until this resolves. */
  hangsUntil: Promise<void> | null = null;
  failCreate: (fileNumber: number) => DriveFaultKind | null = () => null;
  failRead = false;
  failSync = false;
  writes = 0;
  syncs = 0;

  constructor(
    private readonly machine: MemoryMachine,
    private readonly name: string,
  ) {}

  async listFiles(): Promise<DriveResult<readonly LogFileInfo[]>> {
    await Promise.resolve();
    if (this.machine.isDead || this.failRead) return this.#fault('io', 'list');
    const files = [...this.files].map(([fileNumber, bytes]) => ({ fileNumber, bytes: bytes.length }));
    return { ok: true, value: files.sort((a, b) => a.fileNumber - b.fileNumber) };
  }

  async createFile(fileNumber: number, bytes: number): Promise<DriveResult<void>> {
    const kind = this.failCreate(fileNumber);
    if (kind !== null) return this.#fault(kind, 'create');
    if (this.files.has(fileNumber)) return this.#fault('io', 'create', EEXIST);
    const outcome = this.machine.step();
    if (outcome === 'done') this.files.set(fileNumber, Buffer.alloc(bytes));
    await Promise.resolve();
    return outcome === 'done' && !this.machine.isDying ? { ok: true, value: undefined } : this.#fault('io', 'create');
  }

  async extendFile(fileNumber: number, from: number, bytes: number): Promise<DriveResult<void>> {
    const file = this.files.get(fileNumber);
    if (file?.length !== from) return this.#fault('io', 'extend');
    const outcome = this.machine.step();
    if (outcome === 'done') this.files.set(fileNumber, Buffer.concat([file], bytes));
    await Promise.resolve();
    return outcome === 'done' && !this.machine.isDying ? { ok: true, value: undefined } : this.#fault('io', 'extend');
  }

  async freeFile(fileNumber: number, _keep: boolean): Promise<DriveResult<void>> {
    const outcome = this.machine.step();
    // A file that has gone is gone whole.
    if (outcome === 'done') this.files.delete(fileNumber);
    await Promise.resolve();
    return outcome === 'done' && !this.machine.isDying ? { ok: true, value: undefined } : this.#fault('io', 'free');
  }

  async write(fileNumber: number, fileOffset: number, segments: Segments): Promise<DriveResult<void>> {
    this.writes++;
    const file = this.files.get(fileNumber);
    if (file === undefined) return this.#fault('missing', 'write');
    const bytes = this.#gather(segments);
    if (fileOffset + bytes.length > file.length) throw new Error('a write runs over the end of its file');
    const kind = this.failWrite(fileNumber, fileOffset);
    const outcome = kind === null ? this.machine.step() : (this.failOutcome ?? this.machine.random.pick(outcomes));
    if (outcome === 'done') bytes.copy(file, fileOffset);
    else if (outcome === 'torn') this.#tear(file, fileOffset, bytes);
    await Promise.resolve();
    if (kind !== null) {
      const { ok, fault } = this.#fault(kind, 'write');
      return { ok, fault: this.hangsUntil === null ? fault : { ...fault, settled: this.hangsUntil } };
    }
    return outcome === 'done' && !this.machine.isDying ? { ok: true, value: undefined } : this.#fault('io', 'write');
  }

  async sync(fileNumber: number): Promise<DriveResult<void>> {
    this.syncs++;
    await Promise.resolve();
    if (!this.files.has(fileNumber)) return this.#fault('missing', 'sync');
    return this.machine.isDead || this.failSync ? this.#fault('io', 'sync') : { ok: true, value: undefined };
  }

  async read(fileNumber: number, fileOffset: number, segments: Segments): Promise<DriveResult<number>> {
    await Promise.resolve();
    const file = this.files.get(fileNumber);
    if (file === undefined) return this.#fault('missing', 'read');
    if (this.machine.isDead || this.failRead) return this.#fault('io', 'read');
    let at = fileOffset;
    for (let index = 0; index < segments.length && at < file.length; index += 2) {
      at += file.copy(this.machine.view, segments[index], at, at + (segments[index + 1] ?? 0));
    }
    return { ok: true, value: at - fileOffset };
  }

  readNow(): number {
    return -1;
  }

  /** Everything is gone, as after the exchange of a disk. */
  empty(): void {
    this.files.clear();
  }

  #gather(segments: Segments): Buffer {
    const parts: Buffer[] = [];
    for (let index = 0; index < segments.length; index += 2) {
      const from = segments[index] ?? 0;
      parts.push(this.machine.view.subarray(from, from + (segments[index + 1] ?? 0)));
    }
    return Buffer.concat(parts);
  }

  #tear(file: Buffer, fileOffset: number, bytes: Buffer): void {
    for (let at = 0; at < bytes.length; at += sectorBytes) {
      if (this.machine.random.chance(0.5)) bytes.copy(file, fileOffset + at, at, at + sectorBytes);
    }
  }

  #fault(kind: DriveFaultKind, what: string, errno = EIO): { readonly ok: false; readonly fault: DriveFault } {
    return { ok: false, fault: { kind, drive: this.name, operation: what, errno } };
  }
}
