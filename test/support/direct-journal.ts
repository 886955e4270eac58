/**
 * A journal without batches, epochs or recovery, for tests of the rooms above: each record's slots are
 * written to the drives' log files, and the record is applied at once.
 */
import { shardAtPosition } from '../../dist/erasure/index.js';
import type { Drive } from '../../dist/drive/index.js';
import type {
  ApplyBatch,
  CommitContext,
  Journal,
  JournalHealth,
  LogRecord,
  Prepare,
} from '../../dist/journal/index.js';

export class DirectJournal implements Journal {
  readonly records: LogRecord[] = [];
  canWrite = true;
  #sequence = 0;
  #at = 0;
  #tail: Promise<unknown> = Promise.resolve();
  #isLogMade = false;

  constructor(
    private readonly drives: readonly (Drive | null)[],
    private readonly apply: ApplyBatch,
  ) {}

  commit(prepare: Prepare): Promise<LogRecord> {
    const commit = this.#tail.then(() => this.#commit(prepare));
    this.#tail = commit.catch(() => undefined);
    return commit;
  }

  reportFault(): Promise<void> {
    return Promise.resolve();
  }

  health(): JournalHealth {
    const inSync = this.drives.flatMap((drive, position) => (drive === null ? [] : [position]));
    return { epoch: 1, sequence: this.#sequence, inSync, canRead: true, canWrite: this.canWrite, catchingUp: [] };
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  async #commit(prepare: Prepare): Promise<LogRecord> {
    const context: CommitContext = { order: ++this.#sequence * 65_536, timeMs: Date.now() };
    const prepared = prepare(context);
    let record: LogRecord = { type: prepared.type, body: prepared.body, order: context.order, slots: null };
    if (prepared.slots !== null) {
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
      record = { ...record, slots: { ...slots, fileNumber: 1, fileOffset } };
    }
    this.records.push(record);
    await this.apply([record], {
      fileNumber: 1,
      fileOffset: this.#at,
      epoch: 1,
      sequence: this.#sequence,
      digest: '00'.repeat(32),
    });
    return record;
  }
}
