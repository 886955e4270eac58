/** A set's journal in service: commits through the sequencer, and what happens beside it. */
import { Refusal } from '../base/index.js';
import type { LogStore } from '../drive/index.js';
import { bitCount } from './decide.js';
import type { ApplyBatch, CommitPurpose, HealRecord, Journal, JournalHealth, LogRecord, Prepare } from './journal.js';
import { Sequencer } from './sequencer.js';
import type { SetLog } from './set-log.js';

export interface RunningOptions {
  readonly dataShards: number;
  readonly apply: ApplyBatch;
  readonly healRecord: HealRecord;
}

export class RunningJournal implements Journal {
  #sequencer: Sequencer | null;
  #isClosed = false;

  constructor(
    private readonly setLog: SetLog,
    private readonly options: RunningOptions,
    isWritable: boolean,
  ) {
    this.#sequencer = isWritable ? new Sequencer(setLog, options.apply) : null;
  }

  commit(prepare: Prepare, purpose: CommitPurpose = 'grow'): Promise<LogRecord> {
    if (this.#sequencer === null) return Promise.reject(new Refusal('SlowDownWrite', 'The set is read-only.'));
    return this.#sequencer.commit(prepare, purpose);
  }

  async reportFault(position: number, operation: string): Promise<void> {
    this.setLog.log.error('A drive leaves the set', { position, operation });
    await this.#sequencer?.fence(1 << position).catch(() => undefined);
  }

  /** A drive that was not there at the start, or was taken out, is usable now. */
  joinDrive(position: number, store: LogStore): void {
    this.setLog.stores[position] = store;
  }

  health(): JournalHealth {
    const { members, head, epoch } = this.setLog;
    return {
      epoch,
      sequence: head.last?.sequence ?? 0,
      inSync: this.setLog.positions(members),
      canRead: bitCount(members) >= this.options.dataShards,
      canWrite: this.#sequencer?.canWrite === true,
      catchingUp: [],
    };
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.setLog.isClosed = true;
    await this.#sequencer?.close();
  }
}
