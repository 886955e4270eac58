/**
 * journal: the log is the truth. Sequencer, batches, epochs, fencing, recovery, catch-up.
 */
export type * from './journal.js';
