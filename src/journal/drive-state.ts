/**
 * What the journal notes about a drive on that drive, in log file 0: whether its log is being copied
 * onto it (then what it lacks proves nothing), and records whose blobs could not be healed yet.
 * Two copies are written in turn; the younger intact one counts. docs/format/log.md has the bytes.
 */
import { KiB } from '../base/index.js';
import type { DriveFault, LogFileInfo, LogStore } from '../drive/index.js';
import type { BatchCodec } from './batch-codec.js';
import { crc32c } from './crc32c.js';
import { readNumber, writeNumber } from './layout.js';
import { isZero, releaseWhenSettled } from './log-reader.js';
import { stateFileNumber, type ScanResult } from './scan.js';

/** Where a record lies whose blob is missing on this drive. */
export interface PendingHeal {
  readonly order: number;
  readonly fileNumber: number;
  readonly fileOffset: number;
}

export interface DriveState {
  readonly isWitness: boolean;
  readonly pendingHeals: readonly PendingHeal[];
}

interface StoredState extends DriveState {
  readonly generation: number;
}

const magic = Buffer.from('GRNYDRV1', 'latin1');
const version = 1;
const copyBytes = 256 * KiB;
const fileBytes = 2 * copyBytes;
const fixedBytes = 32;
const entryBytes = 24;
const flagCopying = 1;
export const pendingHealsMax = Math.floor((copyBytes - fixedBytes) / entryBytes);

export class DriveStateFile {
  #generation = 0;
  #hasFile: boolean;
  #state: DriveState = { isWitness: true, pendingHeals: [] };

  private constructor(
    private readonly codec: BatchCodec,
    private readonly store: LogStore,
    hasFile: boolean,
  ) {
    this.#hasFile = hasFile;
  }

  static async open(codec: BatchCodec, store: LogStore): Promise<ScanResult<DriveStateFile>> {
    const listed = await store.listFiles();
    if (!listed.ok) return listed;
    const hasFile = listed.value.some((file: LogFileInfo) => file.fileNumber === stateFileNumber);
    const state = new DriveStateFile(codec, store, hasFile);
    const fault = hasFile ? await state.#read() : null;
    return fault === null ? { ok: true, value: state } : { ok: false, fault };
  }

  get state(): DriveState {
    return this.#state;
  }

  /** Durable when it answers null. */
  async write(state: DriveState): Promise<DriveFault | null> {
    if (!this.#hasFile) {
      const created = await this.store.createFile(stateFileNumber, fileBytes);
      if (!created.ok) return created.fault;
      this.#hasFile = true;
    }
    const generation = this.#generation + 1;
    const { view, slabs } = this.codec;
    const bytes = fixedBytes + state.pendingHeals.length * entryBytes;
    const slab = await slabs.allocate(bytes, 'commit');
    encode(view, slab.offset, state, generation);
    const place = (generation % 2) * copyBytes;
    const written = await this.store.write(stateFileNumber, place, Float64Array.of(slab.offset, bytes));
    releaseWhenSettled(slab, ...(written.ok ? [] : [written.fault]));
    if (!written.ok) return written.fault;
    this.#generation = generation;
    this.#state = state;
    return null;
  }

  async #read(): Promise<DriveFault | null> {
    const slab = await this.codec.slabs.allocate(fileBytes, 'commit');
    const read = await this.store.read(stateFileNumber, 0, Float64Array.of(slab.offset, fileBytes));
    if (!read.ok) {
      releaseWhenSettled(slab, read.fault);
      return read.fault;
    }
    const { view } = this.codec;
    const copies = [0, 1].map((copy) => decode(view, slab.offset + copy * copyBytes));
    const isUnused = isZero(view, slab.offset, fileBytes);
    slab.release();
    const best = copies.reduce((a, b) => (a === null || (b !== null && b.generation > a.generation) ? b : a));
    if (best !== null) {
      this.#generation = best.generation;
      this.#state = best;
    } else if (!isUnused) {
      // Whatever it said: what this drive lacks must not count until its log was gone through again.
      this.#state = { isWitness: false, pendingHeals: [] };
    }
    return null;
  }
}

function encode(view: Buffer, offset: number, state: DriveState, generation: number): void {
  const end = offset + fixedBytes + state.pendingHeals.length * entryBytes;
  view.fill(0, offset, end);
  view.set(magic, offset);
  view.writeUInt16LE(version, offset + 8);
  writeNumber(view, offset + 16, generation);
  view.writeUInt32LE(state.isWitness ? 0 : flagCopying, offset + 24);
  view.writeUInt32LE(state.pendingHeals.length, offset + 28);
  state.pendingHeals.forEach((heal, index) => {
    const at = offset + fixedBytes + index * entryBytes;
    writeNumber(view, at, heal.order);
    view.writeUInt32LE(heal.fileNumber, at + 8);
    writeNumber(view, at + 16, heal.fileOffset);
  });
  view.writeUInt32LE(crc32c(view, offset + 16, end), offset + 12);
}

function decode(view: Buffer, offset: number): StoredState | null {
  if (view.compare(magic, 0, magic.length, offset, offset + magic.length) !== 0) return null;
  const count = view.readUInt32LE(offset + 28);
  if (view.readUInt16LE(offset + 8) !== version || count > pendingHealsMax) return null;
  const end = offset + fixedBytes + count * entryBytes;
  if (view.readUInt32LE(offset + 12) !== crc32c(view, offset + 16, end)) return null;
  const pendingHeals = Array.from({ length: count }, (_, index) => {
    const at = offset + fixedBytes + index * entryBytes;
    const order = readNumber(view, at);
    return { order, fileNumber: view.readUInt32LE(at + 8), fileOffset: readNumber(view, at + 16) };
  });
  const isWitness = (view.readUInt32LE(offset + 24) & flagCopying) === 0;
  return { isWitness, pendingHeals, generation: readNumber(view, offset + 16) };
}
