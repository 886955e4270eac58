/**
 * What records decided but not yet applied will change: the newest truth for the next decision in commit
 * order. Readers never look here; they see the index, which shows a change once it is durable.
 */
import type { PartRecord } from './records.js';

/** A version of a key, in commit order. */
export interface OrderedVersion {
  readonly order: number;
  readonly versionId: string;
  /** Null: a delete marker. */
  readonly etag: string | null;
}

/** One change of a key's versions on its way, in front of the changes that were decided before it. */
export interface PendingChange {
  readonly order: number;
  /** A new version, which takes the place of the null version when it is one. */
  readonly put: OrderedVersion | null;
  /** Order of the version that goes, or null. */
  readonly removed: number | null;
  readonly before: PendingChange | null;
}

interface LinkedChange extends PendingChange {
  before: LinkedChange | null;
  after: LinkedChange | null;
}

interface PendingUpload {
  readonly order: number;
  /** Completed or aborted. */
  readonly isGone: boolean;
}

interface PendingPart {
  readonly order: number;
  readonly part: PartRecord;
}

interface PendingBucket {
  readonly order: number;
  /** Null: deleted. */
  readonly bucketId: number | null;
}

export class Overlay {
  readonly #objects = new Map<string, LinkedChange>();
  readonly #uploads = new Map<string, PendingUpload>();
  readonly #buckets = new Map<string, PendingBucket>();
  /** By upload, then part number. */
  readonly #parts = new Map<string, Map<number, PendingPart>>();
  /** How many records that change an entry of the index are on their way; for what has no place above. */
  readonly #touched = new Map<string, number>();
  /** Entries that compaction is moving. */
  readonly #moving = new Set<string>();
  /** Pending versions and uploads by bucket. */
  readonly #inBucket = new Map<number, number>();
  #found = 0;

  /** Look-ups that found something on its way. What was decided while this rose relies on what is not durable yet. */
  get found(): number {
    return this.#found;
  }

  /** The change of the key that was decided last. */
  object(bucketId: number, key: string): PendingChange | undefined {
    return this.#objects.size === 0 ? undefined : this.#noted(this.#objects.get(`${bucketId}/${key}`));
  }

  /** Returns what takes the entry back once the record is applied or refused. */
  putVersion(bucketId: number, key: string, put: OrderedVersion): () => void {
    return this.#change(bucketId, key, { order: put.order, put, removed: null, before: null, after: null });
  }

  removeVersion(bucketId: number, key: string, order: number, removed: number): () => void {
    return this.#change(bucketId, key, { order, put: null, removed, before: null, after: null });
  }

  #change(bucketId: number, key: string, change: LinkedChange): () => void {
    const at = `${bucketId}/${key}`;
    const before = this.#objects.get(at) ?? null;
    change.before = before;
    if (before !== null) before.after = change;
    this.#objects.set(at, change);
    if (change.put !== null) this.#count(bucketId, 1);
    return () => {
      if (change.put !== null) this.#count(bucketId, -1);
      // What was decided earlier is settled too, since records are applied in their order; what came later stays.
      if (change.after !== null) change.after.before = null;
      else if (this.#objects.get(at) === change) this.#objects.delete(at);
    };
  }

  upload(uploadId: string): PendingUpload | undefined {
    return this.#noted(this.#uploads.get(uploadId));
  }

  setUpload(bucketId: number, uploadId: string, pending: PendingUpload): () => void {
    return this.#set(this.#uploads, uploadId, pending, pending.isGone ? null : bucketId);
  }

  /** Parts on their way into an upload. */
  parts(uploadId: string): readonly PartRecord[] {
    return [...(this.#parts.get(uploadId)?.values() ?? [])].map(({ part }) => part);
  }

  setPart(order: number, part: PartRecord): () => void {
    const parts = this.#parts.get(part.uploadId) ?? new Map<number, PendingPart>();
    this.#parts.set(part.uploadId, parts);
    const undo = this.#set(parts, part.partNumber, { order, part }, null);
    return () => {
      undo();
      if (parts.size === 0 && this.#parts.get(part.uploadId) === parts) this.#parts.delete(part.uploadId);
    };
  }

  bucket(name: string): PendingBucket | undefined {
    return this.#buckets.size === 0 ? undefined : this.#noted(this.#buckets.get(name));
  }

  setBucket(name: string, pending: PendingBucket): () => void {
    return this.#set(this.#buckets, name, pending, null);
  }

  touch(indexKeys: readonly Buffer[]): () => void {
    const keys = indexKeys.map((key) => key.toString('latin1'));
    for (const key of keys) this.#touched.set(key, (this.#touched.get(key) ?? 0) + 1);
    return () => {
      for (const key of keys) {
        const count = (this.#touched.get(key) ?? 1) - 1;
        if (count === 0) this.#touched.delete(key);
        else this.#touched.set(key, count);
      }
    };
  }

  isTouched(indexKey: Buffer): boolean {
    return this.#touched.size > 0 && this.#touched.has(indexKey.toString('latin1'));
  }

  /** What the index says about the place of this entry's slots is about to change. */
  setMoving(indexKey: Buffer): () => void {
    const key = indexKey.toString('latin1');
    this.#moving.add(key);
    return () => this.#moving.delete(key);
  }

  isMoving(indexKey: Buffer): boolean {
    return this.#moving.size > 0 && this.#moving.has(indexKey.toString('latin1'));
  }

  /** Whether anything is on its way into the bucket. */
  isFilling(bucketId: number): boolean {
    const isFilling = (this.#inBucket.get(bucketId) ?? 0) > 0;
    if (isFilling) this.#found++;
    return isFilling;
  }

  #noted<T>(pending: T | undefined): T | undefined {
    if (pending !== undefined) this.#found++;
    return pending;
  }

  #set<K, T extends { readonly order: number }>(
    map: Map<K, T>,
    key: K,
    pending: T,
    bucketId: number | null,
  ): () => void {
    map.set(key, pending);
    if (bucketId !== null) this.#count(bucketId, 1);
    return () => {
      // A later record may have taken the place meanwhile.
      if (map.get(key) === pending) map.delete(key);
      if (bucketId !== null) this.#count(bucketId, -1);
    };
  }

  #count(bucketId: number, change: number): void {
    const count = (this.#inBucket.get(bucketId) ?? 0) + change;
    if (count <= 0) this.#inBucket.delete(bucketId);
    else this.#inBucket.set(bucketId, count);
  }
}
