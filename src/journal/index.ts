/**
 * journal: the log is the truth. Sequencer, batches, epochs, fencing, recovery, catch-up.
 */
export type * from './journal.js';
export { RecordChanged } from './journal.js';
export { catchUpProgressMax } from './catch-up.js';
export { logBytesOf, ordersPerBatch } from './layout.js';
export {
  logFileBytesMin,
  openJournal,
  openJournals,
  writeQuorumOf,
  type JournalOptions,
  type OpenedJournal,
  type StartReport,
} from './open-journal.js';
export type { RunningJournal } from './running-journal.js';
export type { JournalKernels } from './batch-codec.js';
export type { JournalLog, ShortFile } from './set-log.js';
export {
  checkJournal,
  replayChecked,
  type CheckOptions,
  type CheckedLog,
  type DriveLogState,
} from './check-journal.js';
export type { CopyState, LocatedRecord } from './record-copies.js';
