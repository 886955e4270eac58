/**
 * How many bodies, and how many bytes of shards, are still to be written to drives that are being brought up: the log
 * alone says little of that, for a batch of a few KiB may stand for a body of GiBs. Counted when a drive begins, a step
 * at a time, and kept by what is committed without it and what is written to it. An estimate: what is deleted meanwhile is
 * counted to the end. Main thread.
 */
import { setOfBlob, setOfBody } from '../erasure/index.js';
import { ordersPerBatch, type BodyProgress } from '../journal/index.js';
import { blobBodyAt, bodiesFrom, bodyRanges, isInBlob, type BlobBody } from './bodies.js';
import type { HealTable } from './heal-table.js';
import type { IndexState } from './index-state.js';

/** Entries decoded in one go: about 2 ms. */
const entriesPerStep = 500;

interface Lacking {
  count: number;
  bytes: number;
  doneBytes: number;
  /** Bodies of records up to this one are on the drive. */
  readonly heldOrder: number;
  isCounted: boolean;
}

export class MissingBodies {
  /** By set and position. */
  readonly #drives = new Map<string, Lacking>();
  #isClosed = false;

  constructor(
    private readonly index: IndexState,
    private readonly table: HealTable,
  ) {}

  close(): void {
    this.#isClosed = true;
  }

  /**
   * The drive holds the history up to this sequence; 0: nothing. When that is not long ago, what was committed without it
   * is in the heal table; else the whole index is gone through.
   */
  begin(setIndex: number, position: number, heldSequence: number, isShort: boolean): Promise<void> {
    const key = keyOf(setIndex, position);
    const before = heldSequence === 0 ? undefined : this.#drives.get(key);
    const heldOrder = heldSequence * ordersPerBatch + ordersPerBatch - 1;
    const lacking = { count: 0, bytes: 0, doneBytes: before?.doneBytes ?? 0, heldOrder, isCounted: false };
    this.#drives.set(key, lacking);
    const isCurrent = (): boolean => !this.#isClosed && this.#drives.get(key) === lacking;
    // What is committed from now on is told by `committedWithout`.
    const lastOrder = ((this.index.position(setIndex)?.sequence ?? 0) + 1) * ordersPerBatch - 1;
    const isLacked = ({ dataOrder }: BlobBody): boolean =>
      dataOrder <= lastOrder && (heldSequence === 0 || dataOrder > heldOrder);
    const found = isShort ? this.#noted(setIndex, position) : this.#all(setIndex);
    return count(found, isLacked, lacking, isCurrent);
  }

  /** Null: it is not known yet. */
  progress(setIndex: number, position: number): BodyProgress | null {
    const lacking = this.#drives.get(keyOf(setIndex, position));
    return lacking?.isCounted === true ? lacking : null;
  }

  end(setIndex: number, position: number): void {
    this.#drives.delete(keyOf(setIndex, position));
  }

  committedWithout(setIndex: number, positions: number, shardBytes: number): void {
    for (const [key, lacking] of this.#drives) {
      const [set = 0, position = 0] = key.split('/').map(Number);
      if (set !== setIndex || (positions & (1 << position)) === 0) continue;
      lacking.count++;
      lacking.bytes += shardBytes;
    }
  }

  /** The drive has the body of this record now. */
  written(setIndex: number, position: number, order: number, shardBytes: number): void {
    const lacking = this.#drives.get(keyOf(setIndex, position));
    if (lacking === undefined || order <= lacking.heldOrder) return;
    lacking.doneBytes += shardBytes;
    lacking.count--;
    lacking.bytes -= shardBytes;
  }

  *#all(setIndex: number): Generator<readonly BlobBody[], void> {
    const { catalog } = this.index;
    for (let from = bodyRanges[0]?.start ?? null; from !== null;) {
      const step = bodiesFrom(catalog, from, entriesPerStep);
      yield step.bodies.filter(isInBlob).filter(({ body }) => setOfBody(body.placement.id) === setIndex);
      from = step.next;
    }
  }

  *#noted(setIndex: number, position: number): Generator<readonly BlobBody[], void> {
    const { catalog } = this.index;
    for (let from: Buffer | null | undefined; from !== null;) {
      const step = this.table.from(from ?? null, entriesPerStep);
      yield step.entries.flatMap(({ target, positions }) => {
        if (target.kind !== 'blob' || setOfBlob(target.name) !== setIndex) return [];
        const body = (positions & (1 << position)) === 0 ? null : blobBodyAt(catalog, target.owner, target.name);
        return body ?? [];
      });
      from = step.next;
    }
  }
}

export function shardBytesOf({ body }: BlobBody): number {
  return Math.ceil(body.bytes / body.placement.geometry.dataShards);
}

async function count(
  found: Generator<readonly BlobBody[], void>,
  isLacked: (body: BlobBody) => boolean,
  lacking: Lacking,
  isCurrent: () => boolean,
): Promise<void> {
  for (const bodies of found) {
    for (const body of bodies.filter(isLacked)) {
      lacking.count++;
      lacking.bytes += shardBytesOf(body);
    }
    await new Promise((resolve) => setImmediate(resolve));
    if (!isCurrent()) return;
  }
  lacking.isCounted = true;
}

function keyOf(setIndex: number, position: number): string {
  return `${setIndex}/${position}`;
}
