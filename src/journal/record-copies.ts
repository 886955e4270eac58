/**
 * Finds records in one log file, and says what each drive has of them: the record itself is the same on every drive,
 * and right where the batch around it has its digest. Reads only.
 */
import { copyStateAfter } from '../drive/index.js';
import { CommonReader } from './batch-copier.js';
import type { LogRecord } from './journal.js';
import { headerBytes, recordBytes, type BatchHeader } from './layout.js';
import { LogReader } from './log-reader.js';
import { findBehindHole } from './recovery.js';
import { readNext, type HistoryOptions } from './replay.js';
import type { SetLog } from './set-log.js';

/** `missing`: nothing was ever written there. `unreachable`: the drive is not there. */
export type CopyState = 'sound' | 'bad' | 'missing' | 'unreachable';

export interface LocatedRecord {
  readonly record: LogRecord;
  readonly fileNumber: number;
  readonly fileOffset: number;
  /** Without its slot. */
  readonly bytes: number;
  /** By position. */
  readonly copies: readonly CopyState[];
}

/** Goes through the history in this file up to `tip`; in the order in which the records lie there. */
export async function locateRecords(
  setLog: SetLog,
  place: { readonly fileNumber: number; readonly tip: BatchHeader },
  isWanted: (record: LogRecord) => boolean,
): Promise<LocatedRecord[]> {
  const { fileNumber, tip } = place;
  const common = new CommonReader(setLog.codec, setLog.stores, setLog.foreign);
  const sources = setLog.members;
  const history: HistoryOptions = {
    common,
    sources,
    tip,
    firstFile: fileNumber,
    findBehindHole: (last) => findBehindHole(setLog, last ?? { fileNumber, sequence: 0 }, sources),
    onWrongCopy: () => undefined,
    onHole: () => undefined,
  };
  const located: LocatedRecord[] = [];
  try {
    let last: BatchHeader | null = null;
    while (last?.digest !== tip.digest) {
      const next = await readNext(history, last);
      if (next === null || next.header.fileNumber !== fileNumber) break;
      const { header, records } = next;
      const found = placed(header, records).filter(({ record }) => isWanted(record));
      const copies = found.length === 0 ? [] : await copiesOf(setLog, header);
      located.push(...found.map((one) => ({ ...one, copies })));
      last = header;
    }
  } finally {
    common.close();
  }
  return located;
}

function placed(header: BatchHeader, records: readonly LogRecord[]): Omit<LocatedRecord, 'copies'>[] {
  const { fileNumber } = header;
  let fileOffset = header.fileOffset + headerBytes;
  return records.map((record) => {
    const place = { record, fileNumber, fileOffset, bytes: recordBytes(record) };
    fileOffset += place.bytes;
    return place;
  });
}

/** What each drive has where this batch lies. */
function copiesOf(setLog: SetLog, header: BatchHeader): Promise<CopyState[]> {
  const stateOf = async (position: number): Promise<CopyState> => {
    const store = setLog.stores[position] ?? null;
    if (store === null) return 'unreachable';
    const reader = new LogReader(setLog.codec, store);
    try {
      const read = await reader.readAt(header.fileNumber, header.fileOffset);
      if (read.kind === 'batch') return read.header.digest === header.digest ? 'sound' : 'bad';
      if (read.kind === 'none') return read.state === 'clean' ? 'missing' : 'bad';
      return copyStateAfter(read.fault);
    } finally {
      reader.close();
    }
  };
  return Promise.all(setLog.stores.map((_, position) => stateOf(position)));
}
