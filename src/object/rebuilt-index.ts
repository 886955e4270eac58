/**
 * An index that is built anew meets records in another order than they were written in, since compaction has moved
 * those that are in use. A version and its copies share their bytes: when the last of them that was met ends, another
 * one may still come, moved behind that record. So nothing is given up on the way; when the log was gone through, all
 * entries are looked through once, and they say what is in use.
 */
import { blobName } from '../erasure/index.js';
import { ordersPerBatch } from '../journal/index.js';
import { bodiesFrom, bodyRanges, isInBlob, type IndexedBody } from './bodies.js';
import { isPartKey, uploadKey } from './index-keys.js';
import type { IndexState } from './index-state.js';
import { decodeEntry, decodePart, type PartRecord } from './records.js';
import type { Staging } from './staging.js';
import { storedVersions } from './versions.js';

/** Entries decoded in one go: about 2 ms. */
const entriesPerStep = 500;

/** Of the orders of a batch records take the first thousand; a garbage key counts up to 65,535 for one order. */
const firstFreeOrder = 2_000;
const garbagePerOrder = 60_000;

export async function settleRebuiltIndex(index: IndexState): Promise<void> {
  if (!index.isRebuilding) return;
  await index.settle(async (staging) => {
    /** By the name of the file: what a record gave up. */
    const givenUp = new Map<string, Buffer>();
    for (const { key, target } of index.pendingGarbage()) if (target.kind === 'blob') givenUp.set(target.name, key);
    const parts = new Parts(index, staging);
    for (let from = bodyRanges[0]?.start ?? null; from !== null;) {
      const step = bodiesFrom(index.catalog, from, entriesPerStep);
      for (const indexed of step.bodies) {
        if (parts.drop(indexed) || !isInBlob(indexed)) continue;
        const key = givenUp.get(blobName(indexed.body.placement.id));
        if (key !== undefined) staging.delete(key);
      }
      from = step.next;
      await new Promise((resolve) => setImmediate(resolve));
    }
  });
}

/** Parts of which neither an upload nor an object is left. */
class Parts {
  #dropped = 0;
  /** Parts follow each other by upload. */
  #last: { readonly uploadId: string; readonly listed: ReadonlySet<number> | 'all' } | null = null;

  constructor(
    private readonly index: IndexState,
    private readonly staging: Staging,
  ) {}

  /** False: it is in use, or no part. */
  drop({ owner, dataOrder }: IndexedBody): boolean {
    const value = isPartKey(owner) ? this.index.catalog.get(owner) : undefined;
    if (value === undefined) return false;
    const entry = decodeEntry(value);
    const part = decodePart(entry.body, entry.here);
    const listed = this.#listed(part);
    if (listed === 'all' || listed.has(part.partNumber)) return false;
    this.staging.deleteEntry(owner, value);
    if (part.placement.kind !== 'blob') return true;
    const sequence = this.index.position()?.sequence ?? 0;
    const order = sequence * ordersPerBatch + firstFreeOrder + Math.floor(this.#dropped++ / garbagePerOrder);
    this.staging.discard(order, dataOrder, { kind: 'blob', name: blobName(part.placement.id) });
    return true;
  }

  /** Numbers of the parts that are in use: all of an upload that is open, else those that an object lists. */
  #listed({ bucketId, key, uploadId }: PartRecord): ReadonlySet<number> | 'all' {
    if (this.#last?.uploadId === uploadId) return this.#last.listed;
    const { catalog } = this.index;
    const listed = new Set<number>();
    for (const { record } of storedVersions(catalog, bucketId, key)) {
      if (record.multipart?.uploadId !== uploadId) continue;
      for (const { partNumber } of record.multipart.parts) listed.add(partNumber);
    }
    const isOpen = catalog.get(uploadKey(bucketId, key, uploadId)) !== undefined;
    this.#last = { uploadId, listed: isOpen ? 'all' : listed };
    return this.#last.listed;
  }
}
