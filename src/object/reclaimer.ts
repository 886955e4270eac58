/**
 * Unlinks what committed records made unreachable: only after the commit is durable on all of S (the
 * index shows it), and when the last reader of those bytes is gone (I4). The intent lies in the index and
 * is made again by replay, so a crash at any point repeats an unlink at the most.
 */
import { invariant } from '../base/index.js';
import type { Catalog } from '../catalog/index.js';
import { blobName, setOfBlob, type DriveSet } from '../erasure/index.js';
import { healKey, partPrefix, successor } from './index-keys.js';
import { decodeEntry, decodePart } from './records.js';
import type { Garbage } from './staging.js';

const parallelMax = 4;
/** Of an upload, which may have 10,000: others have their turn in between. */
const partsPerStep = 500;
/** So many pieces that were taken are cut off the queue at once, or half of it: to move up a long one for each is dear. */
const takenMin = 1024;

export class Reclaimer {
  readonly #pins = new Map<number, number>();
  readonly #waiting = new Map<number, Garbage[]>();
  readonly #queue: Garbage[] = [];
  /** Of the queue, from its beginning on, how many were taken. */
  #taken = 0;
  #running = 0;
  #closed = false;
  #idle: (() => void)[] = [];

  constructor(
    private readonly catalog: Catalog,
    private readonly sets: readonly DriveSet[],
    private readonly log: (text: string) => void,
    private readonly onReclaimed: (garbage: Garbage) => void = () => undefined,
  ) {}

  /** The bytes of this record stay until the same number of `unpin` calls. */
  pin(dataOrder: number): void {
    this.#pins.set(dataOrder, (this.#pins.get(dataOrder) ?? 0) + 1);
  }

  unpin(dataOrder: number): void {
    const count = (this.#pins.get(dataOrder) ?? 1) - 1;
    if (count > 0) {
      this.#pins.set(dataOrder, count);
      return;
    }
    this.#pins.delete(dataOrder);
    const waiting = this.#waiting.get(dataOrder);
    if (waiting === undefined) return;
    this.#waiting.delete(dataOrder);
    this.add(waiting);
  }

  readonly add = (garbage: Iterable<Garbage>): void => {
    for (const piece of garbage) {
      if (!this.#pins.has(piece.dataOrder)) {
        this.#queue.push(piece);
        continue;
      }
      const waiting = this.#waiting.get(piece.dataOrder);
      if (waiting === undefined) this.#waiting.set(piece.dataOrder, [piece]);
      else waiting.push(piece);
    }
    this.#pump();
  };

  /** Resolves when what was queued is gone. */
  async close(): Promise<void> {
    this.#closed = true;
    if (this.#running > 0) await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  #pump(): void {
    while (!this.#closed && this.#running < parallelMax) {
      const piece = this.#take();
      if (piece === undefined) break;
      this.#running++;
      this.#reclaim(piece)
        .then(() => this.onReclaimed(piece))
        .catch((error: unknown) => {
          // The intent stays in the index: the next start tries again.
          this.log(
            `space of a deleted object could not be freed: ${error instanceof Error ? error.message : 'unknown cause'}`,
          );
        })
        .finally(() => {
          this.#running--;
          this.#pump();
        });
    }
    if (this.#running > 0) return;
    const idle = this.#idle;
    this.#idle = [];
    for (const resolve of idle) resolve();
  }

  #take(): Garbage | undefined {
    const piece = this.#queue[this.#taken];
    if (piece === undefined) return undefined;
    this.#taken++;
    if (this.#taken >= takenMin && 2 * this.#taken >= this.#queue.length) {
      this.#queue.splice(0, this.#taken);
      this.#taken = 0;
    }
    return piece;
  }

  async #reclaim(garbage: Garbage): Promise<void> {
    if (garbage.target.kind === 'blob') {
      const { name } = garbage.target;
      await this.#unlink(name);
      await this.catalog.write((batch) => {
        batch.delete(garbage.key);
        batch.delete(healKey(name));
      });
      return;
    }
    await this.#reclaimParts(garbage.target.uploadId, garbage.key);
  }

  /** The intent goes last. */
  async #reclaimParts(uploadId: string, intent: Buffer): Promise<void> {
    const start = partPrefix(uploadId);
    for (let isMore = true; isMore;) {
      const parts = Array.from(
        this.catalog.range({ start, end: successor(start), limit: partsPerStep }),
        ({ key, value }) => {
          const entry = decodeEntry(value);
          const { placement } = decodePart(entry.body, entry.here);
          return { key: Buffer.from(key), name: placement.kind === 'blob' ? blobName(placement.id) : null };
        },
      );
      for (const { name } of parts) if (name !== null) await this.#unlink(name);
      isMore = parts.length === partsPerStep;
      await this.catalog.write((batch) => {
        for (const { key, name } of parts) {
          batch.delete(key);
          if (name !== null) batch.delete(healKey(name));
        }
        if (!isMore) batch.delete(intent);
      });
      if (isMore) await new Promise((resolve) => setImmediate(resolve));
    }
  }

  async #unlink(name: string): Promise<void> {
    const set = this.sets[setOfBlob(name)];
    invariant(set !== undefined, 'a blob is named after a set that is there');
    await Promise.all(
      Array.from({ length: set.driveCount }, async (_, position) => {
        const drive = set.drive(position);
        const result = await drive?.blobs.unlink(name);
        if (result === undefined || result.ok) return;
        // Another may have taken its place: that one has done nothing.
        if (set.drive(position) === drive) set.reportWrite(position, result.fault);
      }),
    );
  }
}
