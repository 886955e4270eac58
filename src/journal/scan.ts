/**
 * What lies in the log of one drive: a walk from batch to batch, a search behind damage, and the
 * state of the slots of the last batches. Reads only.
 */
import type { DriveFault, LogFileInfo, LogStore } from '../drive/index.js';
import type { BatchCodec } from './batch-codec.js';
import type { SlotState, TailState } from './decide.js';
import type { LogRecord } from './journal.js';
import { batchEnd, pageBytes, readRecords, shardAt, type BatchHeader } from './layout.js';
import { LogReader, hasZeroSector, releaseWhenSettled } from './log-reader.js';

/** The file that holds the journal's notes about the drive itself. Log files begin at 1. */
export const stateFileNumber = 0;

/** A range of a file that is not all zeroes. */
export interface Remains {
  readonly fileNumber: number;
  readonly from: number;
  readonly to: number;
}

export interface DriveScan {
  readonly files: readonly LogFileInfo[];
  readonly batches: readonly BatchHeader[];
  readonly tail: TailState;
  /** What lies behind the last batch, in order. */
  readonly remains: readonly Remains[];
  readonly epochMax: number;
  readonly sequenceMax: number;
}

export type ScanResult<T> =
  { readonly ok: true; readonly value: T } | { readonly ok: false; readonly fault: DriveFault };

/** Carries a fault through the walk; never leaves this file. */
class FaultSignal extends Error {
  constructor(readonly fault: DriveFault) {
    super('drive fault');
  }
}

async function catchFault<T>(act: () => Promise<T>): Promise<ScanResult<T>> {
  try {
    return { ok: true, value: await act() };
  } catch (error) {
    if (error instanceof FaultSignal) return { ok: false, fault: error.fault };
    throw error;
  }
}

/** The log files of a drive, without the journal's own. */
export async function listLogFiles(store: LogStore): Promise<ScanResult<readonly LogFileInfo[]>> {
  const listed = await store.listFiles();
  if (!listed.ok) return listed;
  return { ok: true, value: listed.value.filter((file) => file.fileNumber > stateFileNumber) };
}

/** The last file that begins with a readable batch: its header. Null: the log is empty as far as can be told. */
export async function lastFileStart(
  codec: BatchCodec,
  store: LogStore,
  files: readonly LogFileInfo[],
): Promise<ScanResult<BatchHeader | null>> {
  const reader = new LogReader(codec, store);
  return await catchFault(async () => {
    try {
      for (const file of [...files].reverse()) {
        const read = await reader.readAt(file.fileNumber, 0);
        if (read.kind === 'fault') throw new FaultSignal(read.fault);
        if (read.kind === 'batch') return read.header;
      }
      return null;
    } finally {
      reader.close();
    }
  });
}

/** Walks the log from the start of `firstFile` (or of the oldest file behind it) to its end. */
export async function scanDrive(
  codec: BatchCodec,
  store: LogStore,
  files: readonly LogFileInfo[],
  firstFile: number,
): Promise<ScanResult<DriveScan>> {
  const walk = new Walk(codec, store, files, firstFile);
  return await catchFault(() => walk.run());
}

class Walk {
  readonly #reader: LogReader;
  readonly #files: readonly LogFileInfo[];
  readonly #batches: BatchHeader[] = [];
  readonly #remains: Remains[] = [];
  #epochMax = 0;
  #sequenceMax = 0;

  constructor(
    codec: BatchCodec,
    store: LogStore,
    private readonly allFiles: readonly LogFileInfo[],
    firstFile: number,
  ) {
    this.#reader = new LogReader(codec, store);
    this.#files = allFiles.filter((file) => file.fileNumber >= firstFile);
  }

  async run(): Promise<DriveScan> {
    try {
      const tail = await this.#walk();
      const numbers = { epochMax: this.#epochMax, sequenceMax: this.#sequenceMax };
      return { files: this.allFiles, batches: this.#batches, tail, remains: this.#remains, ...numbers };
    } finally {
      this.#reader.close();
    }
  }

  async #walk(): Promise<TailState> {
    let fileIndex = 0;
    let fileOffset = 0;
    for (;;) {
      const file = this.#files[fileIndex];
      if (file === undefined) return 'clean';
      if (fileOffset + pageBytes > file.bytes) {
        fileIndex++;
        fileOffset = 0;
        continue;
      }
      const read = await this.#read(file.fileNumber, fileOffset);
      if (read.kind === 'batch' && this.#isNext(read.header)) {
        this.#batches.push(read.header);
        fileOffset = batchEnd(read.header);
        continue;
      }
      // The rest of a file stays unused when the next batch did not fit.
      const nextFile = this.#files[fileIndex + 1];
      const next = nextFile === undefined ? null : await this.#read(nextFile.fileNumber, 0);
      if (next?.kind === 'batch' && next.header.previous === this.#batches.at(-1)?.digest) {
        fileIndex++;
        fileOffset = 0;
        continue;
      }
      const found = await this.#search(fileIndex, fileOffset);
      if (found === null) return this.#tailState(read.kind === 'none' ? read.state : 'damaged');
      fileIndex = this.#files.findIndex((candidate) => candidate.fileNumber === found.fileNumber);
      fileOffset = found.fileOffset;
    }
  }

  /** Behind damage, a batch is ours when it is younger: what a cut left behind is older than what follows it. */
  #isNext(header: BatchHeader): boolean {
    const last = this.#batches.at(-1);
    return last === undefined || header.previous === last.digest || header.sequence > last.sequence;
  }

  /** The next readable batch of this log at or behind a place; notes everything that is not zero on the way. */
  async #search(fileIndex: number, fileOffset: number): Promise<BatchHeader | null> {
    const noted: Remains[] = [];
    for (const [index, file] of this.#files.entries()) {
      if (index < fileIndex) continue;
      let at = index === fileIndex ? fileOffset : 0;
      let first = -1;
      let last = -1;
      for (;;) {
        const used = await this.#reader.nextUsedPage(file.fileNumber, at);
        if (typeof used !== 'number') throw new FaultSignal(used);
        if (used < 0) break;
        const read = await this.#read(file.fileNumber, used);
        if (read.kind === 'batch' && this.#isNext(read.header)) return read.header;
        if (first < 0) first = used;
        last = used + pageBytes;
        at = last;
      }
      if (first >= 0) noted.push({ fileNumber: file.fileNumber, from: first, to: last });
    }
    this.#remains.push(...noted);
    return null;
  }

  #tailState(state: TailState): TailState {
    return state === 'clean' && this.#remains.length > 0 ? 'torn' : state;
  }

  async #read(
    fileNumber: number,
    fileOffset: number,
  ): Promise<Exclude<Awaited<ReturnType<LogReader['readAt']>>, { kind: 'fault' }>> {
    const read = await this.#reader.readAt(fileNumber, fileOffset);
    if (read.kind === 'fault') throw new FaultSignal(read.fault);
    if (read.header !== null) {
      this.#epochMax = Math.max(this.#epochMax, read.header.epoch);
      this.#sequenceMax = Math.max(this.#sequenceMax, read.header.sequence);
    }
    return read;
  }
}

/** The records of a batch as this drive holds them, and the state of its own slot of each record with slots. */
export async function readSlotStates(
  codec: BatchCodec,
  store: LogStore,
  position: number,
  header: BatchHeader,
): Promise<ScanResult<{ readonly records: readonly LogRecord[]; readonly states: readonly SlotState[] }>> {
  const reader = new LogReader(codec, store);
  return await catchFault(async () => {
    try {
      const read = await reader.readAt(header.fileNumber, header.fileOffset);
      if (read.kind === 'fault') throw new FaultSignal(read.fault);
      const records =
        read.kind === 'batch' ? (readRecords(codec.view, read.offset, read.header, codec.identity) ?? []) : [];
      const states: SlotState[] = [];
      for (const { slots } of records) {
        if (slots !== null) states.push(await slotState(codec, store, position, slots));
      }
      return { records, states };
    } finally {
      reader.close();
    }
  });
}

async function slotState(
  codec: BatchCodec,
  store: LogStore,
  position: number,
  slots: NonNullable<LogRecord['slots']>,
): Promise<SlotState> {
  const shard = shardAt(position, slots, codec.identity.driveCount);
  const slab = await codec.slabs.allocate(slots.slotBytes, 'commit');
  const scratch = await codec.slabs.allocate(slots.hashes.length, 'commit');
  const faults: DriveFault[] = [];
  try {
    const read = await store.read(slots.fileNumber, slots.fileOffset, Float64Array.of(slab.offset, slots.slotBytes));
    if (!read.ok) {
      faults.push(read.fault);
      throw new FaultSignal(read.fault);
    }
    if (read.value < slots.slotBytes) return 'damaged';
    if (codec.isSlotValid(slab.offset, slots, shard, scratch.offset)) return 'valid';
    return hasZeroSector(codec.view, slab.offset, slots.slotBytes, slots.fileOffset) ? 'torn' : 'damaged';
  } finally {
    scratch.release();
    releaseWhenSettled(slab, ...faults);
  }
}
