/**
 * A journal without epochs or recovery, for tests of the rooms above: each record's slots are written to the
 * drives' log files, and the record is applied on its own unless a test asks for a batch. As in the real one,
 * the next record is prepared while the one before is still being applied.
 */
import { shardAtPosition } from '../../dist/erasure/index.js';
import type { Drive } from '../../dist/drive/index.js';
import type {
  ApplyBatch,
  CommitContext,
  Journal,
  JournalHealth,
  LogFileReport,
  LogRecord,
  Prepare,
  PreparedRecord,
  VerifyFileOptions,
} from '../../dist/journal/index.js';

interface Waiting {
  readonly record: LogRecord;
  readonly resolve: (record: LogRecord) => void;
  readonly reject: (error: unknown) => void;
}

export class DirectJournal implements Journal {
  readonly records: LogRecord[] = [];
  canWrite = true;
  canGrow = true;
  readonly isWhole = true;
  epoch = 1;
  /** Waited for between the preparation of a record and the writing of its slots. */
  beforeWrite: Promise<void> = Promise.resolve();
  /** Waited for before a record is shown. */
  beforeApply: Promise<void> = Promise.resolve();
  #sequence = 0;
  #at = 0;
  #batchCount = 1;
  #batch: Waiting[] = [];
  #writing: Promise<unknown> = Promise.resolve();
  #applying: Promise<unknown> = Promise.resolve();
  #isLogMade = false;

  constructor(
    private readonly drives: readonly (Drive | null)[],
    private readonly apply: ApplyBatch,
  ) {}

  /** The next `count` records are applied together. */
  batchNext(count: number): void {
    this.#batchCount = count;
  }

  commit(prepare: Prepare): Promise<LogRecord> {
    return new Promise<LogRecord>((resolve, reject) => {
      this.#writing = this.#writing
        .then(() => this.#write(prepare))
        .then((record) => {
          this.#batch.push({ record, resolve, reject });
          if (this.#batch.length < this.#batchCount) return;
          this.#batchCount = 1;
          const batch = this.#batch.splice(0);
          this.#applying = this.#applying.then(() => this.#applyBatch(batch));
        }, reject);
    });
  }

  async settled(): Promise<void> {
    await this.#writing;
    await this.#applying;
  }

  reportFault(): Promise<void> {
    return Promise.resolve();
  }

  probe(): Promise<void> {
    return Promise.resolve();
  }

  reportFull(): void {}

  logFiles(): readonly number[] {
    return [];
  }

  /** There are no batches in its files. */
  verifyFile(_fileNumber: number, { positions }: VerifyFileOptions): Promise<LogFileReport> {
    const none = { batches: 0, bytes: 0, bad: 0, repaired: 0, repairedBytes: 0, unreadable: 0, holes: 0 };
    return Promise.resolve({ sound: positions, ...none });
  }

  unhealed(): ReadonlyMap<number, number> {
    return new Map();
  }

  health(): JournalHealth {
    const inSync = this.drives.flatMap((drive, position) => (drive === null ? [] : [position]));
    return {
      epoch: this.epoch,
      sequence: this.#sequence,
      inSync,
      canRead: true,
      canWrite: this.canWrite,
      catchingUp: [],
    };
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  async #write(prepare: Prepare): Promise<LogRecord> {
    const context: CommitContext = { order: ++this.#sequence * 65_536, timeMs: Date.now() };
    const prepared = prepare(context);
    await this.beforeWrite;
    const record = await this.#writeSlots(prepared, context.order);
    this.records.push(record);
    return record;
  }

  async #writeSlots(prepared: PreparedRecord, order: number): Promise<LogRecord> {
    if (prepared.slots === null) return { type: prepared.type, body: prepared.body, order, slots: null };
    const { shardOffsets, ...slots } = prepared.slots;
    const fileOffset = this.#at;
    this.#at += Math.ceil(slots.slotBytes / 64) * 64;
    const geometry = { dataShards: slots.k, parityShards: this.drives.length - slots.k, rotation: slots.rotation };
    for (const [position, drive] of this.drives.entries()) {
      if (drive === null) continue;
      if (!this.#isLogMade) await drive.log.createFile(1, 8 << 20);
      const offset = shardOffsets[shardAtPosition(geometry, position)] ?? 0;
      const written = await drive.log.write(1, fileOffset, Float64Array.of(offset, slots.slotBytes));
      if (!written.ok) throw new Error(written.fault.operation);
    }
    this.#isLogMade = true;
    return { type: prepared.type, body: prepared.body, order, slots: { ...slots, fileNumber: 1, fileOffset } };
  }

  async #applyBatch(batch: readonly Waiting[]): Promise<void> {
    await this.beforeApply;
    try {
      const place = { fileNumber: 1, fileOffset: this.#at, epoch: this.epoch, sequence: this.#sequence };
      await this.apply(
        batch.map(({ record }) => record),
        { ...place, digest: '00'.repeat(32) },
      );
      for (const { record, resolve } of batch) resolve(record);
    } catch (error) {
      for (const { reject } of batch) reject(error);
    }
  }
}
