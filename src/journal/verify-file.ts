/**
 * Goes through one log file on one drive after the other: header and records of each batch by their digest, the
 * drive's own slots by their hashes. What is wrong is written anew from the other drives; what cannot be rebuilt
 * stays as it is. Stops at the end of the history, so that it never meets a batch that is being written.
 */
import { isHarmless, type LogStore } from '../drive/index.js';
import { CommonReader, copyBatch, spansOf, type Span } from './batch-copier.js';
import { hasBit } from './decide.js';
import type { LogFileReport, LogRecord, VerifyFileOptions } from './journal.js';
import { batchEnd, commonBytes, pageBytes, readRecords, shardAt, type BatchHeader } from './layout.js';
import { LogReader, releaseWhenSettled } from './log-reader.js';
import { scanDrive } from './scan.js';
import type { SetLog } from './set-log.js';

/** Batches are small: the pace is kept after so many bytes. */
const paceBytes = 256 * 1024;

type Counts = { -readonly [name in keyof LogFileReport]: LogFileReport[name] };

/** `onFault`: a repair could not be written. */
export async function verifyLogFile(
  setLog: SetLog,
  fileNumber: number,
  options: VerifyFileOptions,
  onFault: (position: number, operation: string) => void,
): Promise<LogFileReport> {
  const counts: Counts = {
    sound: 0,
    batches: 0,
    bytes: 0,
    bad: 0,
    repaired: 0,
    repairedBytes: 0,
    unreadable: 0,
    holes: 0,
  };
  const common = new CommonReader(setLog.codec, setLog.stores, setLog.foreign);
  /** By order: a record is counted once, however many drives have a bad slot of it. */
  const unreadable = new Set<number>();
  try {
    for (const position of setLog.positions(options.positions)) {
      const store = setLog.stores[position];
      if (!store) continue;
      // Removed since it was asked for, or none of the history yet.
      if (!setLog.hasFile(position, fileNumber) && !isOfHistory(setLog, fileNumber)) {
        counts.sound |= 1 << position;
        continue;
      }
      const walk = new FileWalk(setLog, { position, store, fileNumber }, common, counts, unreadable, options, onFault);
      if (await walk.run()) counts.sound |= 1 << position;
    }
  } finally {
    common.close();
  }
  counts.unreadable = unreadable.size;
  return counts;
}

/** Every drive of S has it, unless it was taken away. */
function isOfHistory(setLog: SetLog, fileNumber: number): boolean {
  return fileNumber >= setLog.firstFile && fileNumber <= (setLog.head.last?.fileNumber ?? 0);
}

interface Place {
  readonly position: number;
  readonly store: LogStore;
  readonly fileNumber: number;
}

interface FoundBatch {
  readonly header: BatchHeader;
  readonly records: readonly LogRecord[];
  /** The drive's own copy of header and records is right. */
  readonly isOwn: boolean;
}

class FileWalk {
  readonly #reader: LogReader;
  #last: BatchHeader | null = null;
  #unpacedBytes = 0;
  #isSound = true;
  #repaired = 0;

  constructor(
    private readonly setLog: SetLog,
    private readonly place: Place,
    private readonly common: CommonReader,
    private readonly counts: Counts,
    private readonly unreadable: Set<number>,
    private readonly options: VerifyFileOptions,
    private readonly onFault: (position: number, operation: string) => void,
  ) {
    this.#reader = new LogReader(setLog.codec, place.store);
  }

  /** True when everything of the history that lies in this file is right on this drive now. */
  async run(): Promise<boolean> {
    try {
      let fileOffset = 0;
      while (this.#isInside(fileOffset)) {
        const found = await this.#find(fileOffset);
        if (found === null) {
          const next = await this.#behind(fileOffset);
          if (next === null) break;
          fileOffset = next;
          continue;
        }
        await this.#verify(found);
        this.#last = found.header;
        fileOffset = batchEnd(found.header);
        await this.#pace(commonBytes(found.header));
      }
      await this.options.pace(this.#unpacedBytes);
      return this.#isSound && this.#isMember && (await this.#isDurable());
    } finally {
      this.#reader.close();
      this.#report();
    }
  }

  /** A repair that was killed before its sync has left what is right in the memory of the machine alone. */
  async #isDurable(): Promise<boolean> {
    if (!this.options.isRepair) return true;
    const { position, store, fileNumber } = this.place;
    const synced = await store.sync(fileNumber);
    // Compaction may have freed it meanwhile.
    if (!synced.ok && synced.fault.kind !== 'missing' && !isHarmless(synced.fault))
      this.onFault(position, synced.fault.operation);
    return synced.ok;
  }

  /** A line for each batch would be hundreds for one file. */
  #report(): void {
    if (this.#repaired === 0) return;
    const { position, fileNumber } = this.place;
    const details = { position, fileNumber, batches: this.#repaired };
    this.setLog.log.info('Damaged batches of the log were written anew', details);
  }

  get #isMember(): boolean {
    return hasBit(this.setLog.members, this.place.position);
  }

  #isInside(fileOffset: number): boolean {
    const { last } = this.setLog.head;
    const { fileNumber } = this.place;
    if (last === null || !this.#isMember || this.setLog.isClosed) return false;
    // Compaction has emptied it meanwhile, and waits for us before it removes it.
    if (fileNumber < this.setLog.firstFile) return false;
    const end = last.fileNumber === fileNumber ? batchEnd(last) : this.setLog.fileBytes(fileNumber);
    return fileNumber <= last.fileNumber && fileOffset + pageBytes <= end;
  }

  async #find(fileOffset: number): Promise<FoundBatch | null> {
    const { members } = this.setLog;
    const { fileNumber, position } = this.place;
    const previous = this.#last?.digest;
    const own = await this.#findOwn(fileOffset);
    if (own !== null) return own;
    const wanted = previous === undefined ? {} : { previous };
    const others = members & ~(1 << position);
    this.common.forget();
    const found = await this.common.read({ fileNumber, fileOffset }, wanted, others);
    return found === null ? null : { header: found.header, records: found.records, isOwn: false };
  }

  /** Read anew before it counts as wrong: the reader's window may be older than the batch, which was written behind us. */
  async #findOwn(fileOffset: number): Promise<FoundBatch | null> {
    const own = await this.#readOwn(fileOffset);
    if (own !== null) return own;
    this.#reader.forget();
    return this.#readOwn(fileOffset);
  }

  async #readOwn(fileOffset: number): Promise<FoundBatch | null> {
    const { codec, foreign } = this.setLog;
    const read = await this.#reader.readAt(this.place.fileNumber, fileOffset);
    if (read.kind !== 'batch' || foreign.has(read.header.digest)) return null;
    const previous = this.#last?.digest;
    if (previous !== undefined && read.header.previous !== previous) return null;
    const records = readRecords(codec.view, read.offset, read.header, codec.identity);
    return records === null ? null : { header: read.header, records, isOwn: true };
  }

  /** No drive has the next batch here. Where the file goes on, or null at its end. */
  async #behind(fileOffset: number): Promise<number | null> {
    const { codec, stores, members } = this.setLog;
    const { fileNumber } = this.place;
    let isUsed = false;
    let next: number | null = null;
    for (const position of this.setLog.positions(members)) {
      const store = stores[position];
      // Who has lost the file says nothing of what is in it.
      if (!store || !this.setLog.hasFile(position, fileNumber)) continue;
      const reader = new LogReader(codec, store);
      const used = await reader.nextUsedPage(fileNumber, fileOffset);
      reader.close();
      if (used === -1) continue;
      if (typeof used !== 'number') {
        this.#isSound = false;
        continue;
      }
      isUsed = true;
      const files = [{ fileNumber, bytes: this.setLog.fileBytes(fileNumber) }];
      const scan = await scanDrive(codec, store, files, fileNumber);
      const behind = scan.ok
        ? scan.value.batches.find((header) => header.fileOffset > fileOffset && header.sequence > this.#sequence)
        : undefined;
      if (behind !== undefined && (next === null || behind.fileOffset < next)) next = behind.fileOffset;
    }
    if (!isUsed || (await this.#goesOnInNextFile())) return null;
    this.#isSound = false;
    this.counts.holes++;
    // Its predecessor is what is missing.
    this.#last = null;
    return next;
  }

  /**
   * What lies behind the last batch was given up after a crash, and lies there until the file is freed: the history
   * goes on in the next file from the very batch that is the last here.
   */
  async #goesOnInNextFile(): Promise<boolean> {
    if (this.#last === null) return false;
    const next = { fileNumber: this.place.fileNumber + 1, fileOffset: 0 };
    this.common.forget();
    return (await this.common.read(next, { previous: this.#last.digest }, this.setLog.members)) !== null;
  }

  get #sequence(): number {
    return this.#last?.sequence ?? 0;
  }

  async #verify({ header, records, isOwn }: FoundBatch): Promise<void> {
    const { position } = this.place;
    this.counts.batches++;
    const bad = await this.#badSlots(records);
    if (!isOwn) this.options.onWrongRecords?.(position, records);
    if (isOwn && bad.length === 0) return;
    this.counts.bad++;
    this.options.onBad?.(position, bad);
    if (!this.options.isRepair) {
      this.#isSound = false;
      return;
    }
    const { codec, stores, members } = this.setLog;
    if (!(await this.#hasFile())) {
      this.#isSound = false;
      return;
    }
    const preferred = members & ~(1 << position);
    const copied = await copyBatch(codec, stores, this.common, header, position, preferred, 'kept');
    this.#reader.forget();
    this.common.forget();
    if (!copied.ok) {
      if (copied.fault !== null && !isHarmless(copied.fault)) this.onFault(position, copied.fault.operation);
      this.#isSound = false;
      return;
    }
    for (const { order } of copied.unrebuilt) this.unreadable.add(order);
    if (copied.unrebuilt.length > 0 || !(await this.#isRight(header))) {
      this.#isSound = false;
      return;
    }
    this.counts.repaired++;
    this.counts.repairedBytes += header.totalBytes;
    this.#repaired++;
  }

  /** Made anew, empty, when it was taken away: a crash leaves what is as wrong as before. */
  async #hasFile(): Promise<boolean> {
    const { position, fileNumber } = this.place;
    if (this.setLog.hasFile(position, fileNumber)) return true;
    const fault = (await this.setLog.ensureFile(fileNumber, 1 << position)).get(position);
    if (fault !== undefined && !isHarmless(fault)) this.onFault(position, fault.operation);
    return fault === undefined;
  }

  /** Read back after it was written. */
  async #isRight(header: BatchHeader): Promise<boolean> {
    const { codec } = this.setLog;
    const read = await this.#reader.readAt(header.fileNumber, header.fileOffset);
    if (read.kind !== 'batch' || read.header.digest !== header.digest) return false;
    const records = readRecords(codec.view, read.offset, read.header, codec.identity);
    return records !== null && (await this.#badSlots(records)).length === 0;
  }

  async #badSlots(records: readonly LogRecord[]): Promise<LogRecord[]> {
    const bad: LogRecord[] = [];
    for (const span of spansOf(records)) {
      bad.push(...(await this.#badSlotsOf(span)));
      await this.#pace(span.to - span.from);
    }
    return bad;
  }

  async #badSlotsOf(span: Span): Promise<LogRecord[]> {
    const { codec } = this.setLog;
    const { position, store, fileNumber } = this.place;
    const bytes = span.to - span.from;
    const slab = await codec.slabs.allocate(bytes, 'upload');
    const scratch = await codec.slabs.allocate(
      Math.max(...span.records.map(({ slots }) => slots.hashes.length)),
      'pass',
    );
    const read = await store.read(fileNumber, span.from, Float64Array.of(slab.offset, bytes));
    const isRead = read.ok && read.value === bytes;
    const bad = span.records.filter(({ slots }) => {
      if (!isRead) return true;
      const shard = shardAt(position, slots, codec.identity.driveCount);
      return !codec.isSlotValid(slab.offset + slots.fileOffset - span.from, slots, shard, scratch.offset);
    });
    scratch.release();
    releaseWhenSettled(slab, ...(read.ok ? [] : [read.fault]));
    return bad.map(({ record }) => record);
  }

  async #pace(bytes: number): Promise<void> {
    this.counts.bytes += bytes;
    this.#unpacedBytes += bytes;
    if (this.#unpacedBytes < paceBytes) return;
    const paced = this.#unpacedBytes;
    this.#unpacedBytes = 0;
    await this.options.pace(paced);
  }
}
