/**
 * The changes of one batch on their way into the index. Reads see what earlier records of the batch did.
 */
import type { Catalog, CatalogEntry } from '../catalog/index.js';
import type { Placement } from '../erasure/index.js';
import { BinaryReader, BinaryWriter } from './binary.js';
import { garbageKey, partPrefix, successor, versionKey, versionPrefix } from './index-keys.js';
import { entrySpace, type EntrySpace, type ObjectRecord } from './records.js';
import { UsageCounter, type UsageChange } from './usage.js';

/** Bytes that nobody can reach any more. */
export interface Garbage {
  readonly key: Buffer;
  /** Readers that hold this order still need them. */
  readonly dataOrder: number;
  readonly target:
    { readonly kind: 'blob'; readonly name: string } | { readonly kind: 'upload'; readonly uploadId: string };
}

function encodeGarbage(garbage: Garbage): Buffer {
  const writer = new BinaryWriter().u53(garbage.dataOrder);
  return garbage.target.kind === 'blob'
    ? writer.u8(0).text(garbage.target.name).finish()
    : writer.u8(1).text(garbage.target.uploadId).finish();
}

export function decodeGarbage(key: Buffer, value: Buffer): Garbage {
  const reader = new BinaryReader(value);
  const dataOrder = reader.u53();
  const isBlob = reader.u8() === 0;
  const name = reader.text();
  return { key, dataOrder, target: isBlob ? { kind: 'blob', name } : { kind: 'upload', uploadId: name } };
}

/** A record as the index takes it: moved ones under the type and the order that they had at first. */
export interface Effective {
  readonly type: number;
  readonly order: number;
  readonly body: Buffer;
  /** Of an object that was committed here: what the body says. */
  readonly meaning: ObjectRecord | null;
  readonly here: Placement | null;
  readonly space: EntrySpace;
  /** Written again by compaction: nothing but its place is new to an index that holds it. */
  readonly isMoved: boolean;
}

interface StagedChange {
  readonly key: Buffer;
  /** Null: the entry goes. */
  readonly value: Buffer | null;
}

export class Staging {
  /** By the key as text. */
  readonly changes = new Map<string, StagedChange>();
  readonly garbage: Garbage[] = [];
  readonly usage = new Map<number, UsageCounter>();
  readonly afterwards: (() => void)[] = [];
  /** Change of the bytes in use, by log file. */
  readonly live = new Map<number, number>();
  /** Staged entries of versions by their key's prefix, so that the newest is found in a large batch. */
  readonly #versions = new Map<string, Set<string>>();
  /** By the same prefix: in front of this key the index has nothing that this batch has not ended. */
  readonly #newestFrom = new Map<string, Buffer>();
  /** An entry is looked at and then written under the same key, which is made text once. */
  #lastKey: Buffer | null = null;
  #lastText = '';
  #garbageOrdinal = 0;
  #garbageOrder = -1;

  constructor(
    private readonly catalog: Catalog,
    private readonly usageBefore: ReadonlyMap<number, UsageCounter>,
    /** Counts of shared bytes that the index holds: without any, none is looked for. */
    public shareCount: number,
    /** The index is built anew: what is given up may be in use by a version that was moved behind this record. */
    private readonly isRebuilding = false,
  ) {}

  get(key: Buffer): Buffer | undefined {
    const staged = this.changes.get(this.#textOf(key));
    if (staged !== undefined) return staged.value ?? undefined;
    return this.catalog.get(key);
  }

  #textOf(key: Buffer): string {
    if (key !== this.#lastKey) {
      this.#lastKey = key;
      this.#lastText = key.toString('latin1');
    }
    return this.#lastText;
  }

  /** In no order; a copy, so that changes may be made on the way. */
  startingWith(prefix: Buffer): { readonly key: Buffer; readonly value: Buffer }[] {
    const found = new Map<string, Buffer>();
    for (const { key, value } of this.catalog.range({ start: prefix, end: successor(prefix) })) {
      found.set(key.toString('latin1'), Buffer.from(value));
    }
    const text = prefix.toString('latin1');
    for (const [key, { value }] of this.changes) {
      if (!key.startsWith(text)) continue;
      if (value === null) found.delete(key);
      else found.set(key, value);
    }
    return [...found].map(([key, value]) => ({ key: Buffer.from(key, 'latin1'), value }));
  }

  put(key: Buffer, value: Buffer): void {
    this.changes.set(this.#textOf(key), { key, value });
  }

  delete(key: Buffer): void {
    this.changes.set(this.#textOf(key), { key, value: null });
  }

  /** An entry that keeps something in the log takes the place of `old`. */
  putEntry(key: Buffer, old: Buffer | undefined, value: Buffer): void {
    if (old !== undefined) this.#account(entrySpace(old), -1);
    this.#account(entrySpace(value), 1);
    this.put(key, value);
  }

  deleteEntry(key: Buffer, old: Buffer | undefined): void {
    if (old === undefined) return;
    this.#account(entrySpace(old), -1);
    this.delete(key);
  }

  #account({ fileNumber, bytes, slotsFileNumber, slotsBytes }: EntrySpace, sign: number): void {
    this.live.set(fileNumber, (this.live.get(fileNumber) ?? 0) + sign * bytes);
    if (slotsBytes > 0) this.live.set(slotsFileNumber, (this.live.get(slotsFileNumber) ?? 0) + sign * slotsBytes);
  }

  putVersion(bucketId: number, key: string, order: number, value: Buffer): void {
    const at = versionKey(bucketId, key, order);
    this.putEntry(at, this.get(at), value);
    const prefix = versionPrefix(bucketId, key).toString('latin1');
    const staged = this.#versions.get(prefix);
    if (staged === undefined) this.#versions.set(prefix, new Set([at.toString('latin1')]));
    else staged.add(at.toString('latin1'));
  }

  /** The newest entry among the versions of a key that lie below its latest object. */
  newestVersion(bucketId: number, key: string): CatalogEntry | null {
    const prefix = versionPrefix(bucketId, key);
    const prefixText = prefix.toString('latin1');
    const end = successor(prefix);
    let newest: CatalogEntry | null = null;
    for (const stored of this.catalog.range({ start: this.#newestFrom.get(prefixText) ?? prefix, end })) {
      const text = stored.key.toString('latin1');
      const change = this.changes.get(text);
      if (change?.value === null) continue;
      newest = { key: Buffer.from(text, 'latin1'), value: change?.value ?? Buffer.from(stored.value) };
      break;
    }
    this.#newestFrom.set(prefixText, newest?.key ?? end);
    for (const text of this.#versions.get(prefixText) ?? []) {
      const value = this.changes.get(text)?.value ?? null;
      const at = Buffer.from(text, 'latin1');
      if (value !== null && (newest === null || Buffer.compare(at, newest.key) < 0)) newest = { key: at, value };
    }
    return newest;
  }

  /** Whether anything lies below the latest objects of the bucket. */
  hasVersions(bucketId: number): boolean {
    return (this.usage.get(bucketId) ?? this.usageBefore.get(bucketId))?.hasVersions() ?? false;
  }

  /** By the counters of the bucket. */
  isNothingIn(bucketId: number): boolean {
    return (this.usage.get(bucketId) ?? this.usageBefore.get(bucketId))?.isNothing() ?? true;
  }

  count(bucketId: number, change: UsageChange): void {
    let counter = this.usage.get(bucketId);
    if (counter === undefined) {
      counter = this.usageBefore.get(bucketId)?.copy() ?? new UsageCounter();
      this.usage.set(bucketId, counter);
    }
    counter.add(change);
  }

  discard(order: number, dataOrder: number, target: Garbage['target']): void {
    if (this.isRebuilding && target.kind === 'upload') return;
    if (order !== this.#garbageOrder) {
      this.#garbageOrder = order;
      this.#garbageOrdinal = 0;
    }
    const garbage: Garbage = { key: garbageKey(order, this.#garbageOrdinal++), dataOrder, target };
    this.put(garbage.key, encodeGarbage(garbage));
    this.garbage.push(garbage);
    if (target.kind === 'blob') return;
    // Its parts stay in the index until their files are unlinked, but nothing of them is in use any more.
    for (const { value } of this.startingWith(partPrefix(target.uploadId))) this.#account(entrySpace(value), -1);
  }
}
