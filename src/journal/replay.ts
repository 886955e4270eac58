/** Goes through the history in order, from a position or from its beginning, reading any good copy. */
import type { CommonReader, CommonResult } from './batch-copier.js';
import type { LogPosition } from './journal.js';
import { batchEnd, type BatchHeader } from './layout.js';

/** No drive gives the next batch, and none has anything behind it: a drive must have failed meanwhile. */
export class HistoryEnds extends Error {
  override readonly name = 'HistoryEnds';
}

export interface HistoryOptions {
  readonly common: CommonReader;
  /** Drives that hold the history and nothing else. */
  readonly sources: number;
  /** The last batch to be read. */
  readonly tip: BatchHeader;
  /** The oldest log file that is needed: the history begins with it. */
  readonly firstFile: number;
  /** The first readable batch behind a place where no drive has one. */
  readonly findBehindHole: (last: BatchHeader | null) => Promise<BatchHeader | null>;
  readonly onWrongCopy: (header: BatchHeader, position: number) => void;
  readonly onHole: (last: BatchHeader | null, next: BatchHeader) => void;
}

/** Whether a position that an index remembers lies on the history: its header, or null. */
export async function findPosition(options: HistoryOptions, position: LogPosition): Promise<BatchHeader | null> {
  if (position.sequence > options.tip.sequence || position.fileNumber > options.tip.fileNumber) return null;
  // What lies before the horizon may be there on one drive, and with a gap behind it.
  if (position.fileNumber < options.firstFile) return null;
  const found = await options.common.read(position, { digest: position.digest }, options.sources);
  return found?.header ?? null;
}

/** Every batch behind `after` (null: from the beginning) up to the tip. What it yields is valid until the next. */
export async function* readHistory(options: HistoryOptions, after: BatchHeader | null): AsyncGenerator<CommonResult> {
  let last = after;
  while (last?.digest !== options.tip.digest) {
    const next = await readNext(options, last);
    if (next === null) throw new HistoryEnds(`the log cannot be read behind batch ${String(last?.sequence ?? 0)}`);
    yield next;
    last = next.header;
  }
}

/** The batch behind `last` (null: the first one); null when no source has it, nor anything behind it. */
export async function readNext(options: HistoryOptions, last: BatchHeader | null): Promise<CommonResult | null> {
  const { common, sources, firstFile } = options;
  const wanted = last === null ? {} : { previous: last.digest };
  const places =
    last === null
      ? [{ fileNumber: firstFile, fileOffset: 0 }]
      : [
          { fileNumber: last.fileNumber, fileOffset: batchEnd(last) },
          { fileNumber: last.fileNumber + 1, fileOffset: 0 },
        ];
  for (const place of places) {
    const wrong: number[] = [];
    const found = await common.read(place, wanted, sources, (position) => wrong.push(position));
    if (found === null) continue;
    for (const position of wrong) options.onWrongCopy(found.header, position);
    return found;
  }
  const behind = await options.findBehindHole(last);
  if (behind === null) return null;
  options.onHole(last, behind);
  return await common.read(behind, { digest: behind.digest }, sources);
}

/** What one set still has to tell the index. */
export interface SetReplay {
  /** Of the batch that is next; null at the end. */
  readonly sequence: number | null;
  /** Applies the batch that is next. */
  step(): Promise<void>;
}

/** The sets share one numbering, and what is decided by what another set holds has the higher number. */
export async function replayInOrder(replays: readonly SetReplay[]): Promise<void> {
  for (;;) {
    let next: SetReplay | null = null;
    for (const replay of replays) {
      if (replay.sequence !== null && replay.sequence < (next?.sequence ?? Infinity)) next = replay;
    }
    if (next === null) return;
    await next.step();
  }
}
