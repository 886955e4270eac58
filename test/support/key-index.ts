/** An index of keys for tests of compaction: it knows what is in use where, and writes it again. */
import {
  RecordChanged,
  logBytesOf,
  type LogPosition,
  type LogRecord,
  type LogSpace,
  type PreparedRecord,
  type RecordMove,
} from '../../src/journal/index.js';

export const keyRecord = { plain: 1, slots: 2, moved: 99 } as const;

interface Change {
  readonly key: string;
  /** Null: deleted. */
  readonly value: string | null;
  /** Of a moved record: that of the record when it was written first. */
  readonly order?: number;
}

export interface KeyEntry {
  readonly order: number;
  readonly value: string;
  readonly record: LogRecord;
  readonly fileNumber: number;
}

export function encodeChange(change: Change): Uint8Array {
  return new Uint8Array(Buffer.from(JSON.stringify(change)));
}

function decodeChange(record: LogRecord): Change & { readonly order: number } {
  const change = JSON.parse(Buffer.from(record.body).toString()) as Change;
  return { ...change, order: change.order ?? record.order };
}

export class KeyIndex implements LogSpace {
  position: LogPosition | null = null;
  entries = new Map<string, KeyEntry>();
  /** Keys that a record on its way changes. */
  readonly pending = new Set<string>();
  readers: Promise<void> = Promise.resolve();
  isRoomy = true;
  isRoomyForFew = false;

  readonly apply = async (records: readonly LogRecord[], position: LogPosition): Promise<void> => {
    await Promise.resolve();
    for (const record of records) {
      const { key, value, order } = decodeChange(record);
      const known = this.entries.get(key);
      if (value === null) this.entries.delete(key);
      else if (record.type !== keyRecord.moved || known === undefined || known.order === order) {
        this.entries.set(key, { order, value, record, fileNumber: position.fileNumber });
      } else {
        throw new Error('a moved record meets another one');
      }
    }
    this.position = position;
  };

  readonly discard = async (): Promise<void> => {
    await Promise.resolve();
    this.entries.clear();
    this.position = null;
  };

  liveBytes(fileNumber: number): number {
    let bytes = 0;
    for (const entry of this.entries.values()) if (entry.fileNumber === fileNumber) bytes += logBytesOf(entry.record);
    return bytes;
  }

  movesOf(record: LogRecord, fileNumber: number): RecordMove[] {
    const { key, value, order } = decodeChange(record);
    const isInUse = (): boolean => {
      const entry = this.entries.get(key);
      return entry?.order === order && entry.fileNumber === fileNumber;
    };
    if (value === null || !isInUse()) return [];
    const prepare = (slots: PreparedRecord['slots']): PreparedRecord => {
      if (this.pending.has(key) || !isInUse()) throw new RecordChanged();
      return { type: keyRecord.moved, body: encodeChange({ key, value, order }), slots };
    };
    const liveBytes = logBytesOf(record);
    return [{ hasSlots: record.slots !== null, liveBytes, prepare, settled: () => undefined }];
  }

  keep(): Promise<void> {
    return Promise.resolve();
  }

  hasRoom(isFew = false): boolean {
    return this.isRoomy || (isFew && this.isRoomyForFew);
  }

  readersGone(): Promise<void> {
    return this.readers;
  }
}
