/**
 * Turns committed records into the index: live, in replay and in catch-up by the same code. Deterministic
 * in the records and the index before them, so that replay from any position it ever stood at agrees.
 */
import { alignUp, invariant, unreachable } from '../base/index.js';
import type { Catalog } from '../catalog/index.js';
import { blobName, type Placement } from '../erasure/index.js';
import { logBytesOf, type LogPosition, type LogRecord } from '../journal/index.js';
import { BinaryReader, BinaryWriter, RecordFormatError } from './binary.js';
import { encodeHeal, healKeyOf, type HealTarget } from './heal-table.js';
import {
  bucketKey,
  bucketRange,
  documentKey,
  documentPrefix,
  documentRange,
  fileOfLiveKey,
  garbageKey,
  garbageRange,
  liveKey,
  liveRange,
  metaKey,
  objectKey,
  partKey,
  partPrefix,
  successor,
  systemKey,
  uploadKey,
  usageKey,
} from './index-keys.js';
import type { BucketDocument, BucketDocumentKind, BucketInfo } from './object-layer.js';
import {
  RecordType,
  decodeBucket,
  decodeBucketDelete,
  decodeBucketDocument,
  decodeEntry,
  decodeObject,
  decodeObjectDelete,
  decodePart,
  decodeSystem,
  decodeUpload,
  decodeUploadAbort,
  documentKindCode,
  encodeEntry,
  entrySpace,
  noSpace,
  originalOf,
  slotPlacement,
  type BucketDocumentRecord,
  type EntrySpace,
  type ObjectRecord,
} from './records.js';
import { UsageCounter, noUsage, type BucketUsage, type UsageChange } from './usage.js';

export interface BucketState {
  readonly bucketId: number;
  readonly info: BucketInfo;
}

/** Bytes that nobody can reach any more. */
export interface Garbage {
  readonly key: Buffer;
  /** Readers that hold this order still need them. */
  readonly dataOrder: number;
  readonly target:
    { readonly kind: 'blob'; readonly name: string } | { readonly kind: 'upload'; readonly uploadId: string };
}

const indexVersion = 3;
/** Slots lie in the log from one multiple of this to another. */
const slotAlignment = 64;

function encodeGarbage(garbage: Garbage): Buffer {
  const writer = new BinaryWriter(64).u53(garbage.dataOrder);
  return garbage.target.kind === 'blob'
    ? writer.u8(0).text(garbage.target.name).finish()
    : writer.u8(1).text(garbage.target.uploadId).finish();
}

function decodeGarbage(key: Buffer, value: Buffer): Garbage {
  const reader = new BinaryReader(value);
  const dataOrder = reader.u53();
  const isBlob = reader.u8() === 0;
  const name = reader.text();
  return { key, dataOrder, target: isBlob ? { kind: 'blob', name } : { kind: 'upload', uploadId: name } };
}

/** A record as the index takes it: moved ones under the type and the order that they had at first. */
interface Effective {
  readonly type: number;
  readonly order: number;
  readonly body: Buffer;
  readonly here: Placement | null;
  readonly space: EntrySpace;
  /** Written again by compaction: nothing but its place is new to an index that holds it. */
  readonly isMoved: boolean;
}

/** The changes of one batch: reads see what earlier records of the batch did. */
class Staging {
  readonly changes = new Map<string, Buffer | null>();
  readonly garbage: Garbage[] = [];
  readonly usage = new Map<number, UsageCounter>();
  readonly afterwards: (() => void)[] = [];
  /** Change of the bytes in use, by log file. */
  readonly live = new Map<number, number>();
  #garbageOrdinal = 0;
  #garbageOrder = -1;

  constructor(
    private readonly catalog: Catalog,
    private readonly usageBefore: ReadonlyMap<number, UsageCounter>,
  ) {}

  get(key: Buffer): Buffer | undefined {
    const staged = this.changes.get(key.toString('latin1'));
    if (staged !== undefined) return staged ?? undefined;
    return this.catalog.get(key);
  }

  /** In no order; a copy, so that changes may be made on the way. */
  startingWith(prefix: Buffer): { readonly key: Buffer; readonly value: Buffer }[] {
    const found = new Map<string, Buffer>();
    for (const { key, value } of this.catalog.range({ start: prefix, end: successor(prefix) })) {
      found.set(key.toString('latin1'), Buffer.from(value));
    }
    const text = prefix.toString('latin1');
    for (const [key, value] of this.changes) {
      if (!key.startsWith(text)) continue;
      if (value === null) found.delete(key);
      else found.set(key, value);
    }
    return [...found].map(([key, value]) => ({ key: Buffer.from(key, 'latin1'), value }));
  }

  put(key: Buffer, value: Buffer): void {
    this.changes.set(key.toString('latin1'), value);
  }

  delete(key: Buffer): void {
    this.changes.set(key.toString('latin1'), null);
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

  count(bucketId: number, change: UsageChange): void {
    let counter = this.usage.get(bucketId);
    if (counter === undefined) {
      counter = this.usageBefore.get(bucketId)?.copy() ?? new UsageCounter();
      this.usage.set(bucketId, counter);
    }
    counter.add(change);
  }

  discard(order: number, dataOrder: number, target: Garbage['target']): void {
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

export class IndexState {
  readonly buckets = new Map<string, BucketState>();
  readonly #usage = new Map<number, UsageCounter>();
  /** By bucket id. A document is the same object until it is changed. */
  readonly #documents = new Map<number, Map<BucketDocumentKind, BucketDocument>>();
  /** Bytes in use by log file; those of the catalog, at hand. */
  readonly #live = new Map<number, number>();
  /** Uploads whose parts wait for the reclaimer. */
  readonly #droppedUploads = new Set<string>();
  /** Set by the engine: takes what a batch made unreachable. */
  onGarbage: (garbage: readonly Garbage[]) => void = () => undefined;
  /** Set by the engine: a body was committed without the shards of these positions. */
  onDegraded: (positions: number) => void = () => undefined;

  /** Set while somebody goes through all entries: told of those that are written meanwhile. */
  onEntry: ((key: Buffer, value: Buffer) => void) | null = null;

  /** False for an index of another release, or one that does not decode: it is built anew from the logs. */
  #isSound = true;

  constructor(
    readonly catalog: Catalog,
    private readonly driveCount: number,
  ) {
    try {
      if (this.position() !== null) this.#load();
    } catch (error) {
      if (!(error instanceof RecordFormatError)) throw error;
      this.#isSound = false;
      this.#forget();
    }
  }

  usage(bucketId: number): BucketUsage {
    return this.#usage.get(bucketId)?.usage() ?? noUsage;
  }

  document(bucketId: number, kind: BucketDocumentKind): BucketDocument | null {
    return this.#documents.get(bucketId)?.get(kind) ?? null;
  }

  /** Of entries whose record, or whose slots, lie in this log file: exact at every batch. */
  liveBytes(fileNumber: number): number {
    return this.#live.get(fileNumber) ?? 0;
  }

  /** Parts of an upload that was aborted, or of an object that is gone: nothing refers to them any more. */
  isDropped(uploadId: string): boolean {
    return this.#droppedUploads.has(uploadId);
  }

  /** The reclaimer has removed what `garbage` names. */
  noteReclaimed({ target }: Garbage): void {
    if (target.kind === 'upload') this.#droppedUploads.delete(target.uploadId);
  }

  /** Where the index stands, or null for one that is new, or has to be discarded. */
  position(): LogPosition | null {
    const value = this.catalog.get(metaKey);
    if (value === undefined || !this.#isSound) return null;
    const reader = new BinaryReader(value);
    if (reader.u8() !== indexVersion) return null;
    return {
      fileNumber: reader.u53(),
      fileOffset: reader.u53(),
      epoch: reader.u53(),
      sequence: reader.u53(),
      digest: reader.text(),
    };
  }

  /** Whatever was dropped and not yet unlinked, from before the start. */
  *pendingGarbage(): Iterable<Garbage> {
    for (const { key, value } of this.catalog.range(garbageRange)) yield decodeGarbage(Buffer.from(key), value);
  }

  async discard(): Promise<void> {
    await this.catalog.clear();
    this.#isSound = true;
    this.#forget();
  }

  /** One after the other: batches, and what is put right between two of them. */
  #turn: Promise<unknown> = Promise.resolve();

  readonly apply = (records: readonly LogRecord[], position: LogPosition): Promise<void> => {
    const applied = this.#turn.then(() => this.#apply(records, position));
    this.#turn = applied.catch(() => undefined);
    return applied;
  };

  /** The counters of a bucket: another object after every change. */
  usageCounter(bucketId: number): UsageCounter | null {
    return this.#usage.get(bucketId) ?? null;
  }

  /** Sets the counters of a bucket that were counted while they were `seen`. False: they have changed since. */
  correctUsage(bucketId: number, seen: UsageCounter | null, counted: UsageCounter): Promise<boolean> {
    const corrected = this.#turn.then(async () => {
      if (this.usageCounter(bucketId) !== seen) return false;
      await this.catalog.write((batch) => batch.put(usageKey(bucketId), counted.encode()));
      this.#usage.set(bucketId, counted);
      return true;
    });
    this.#turn = corrected.catch(() => undefined);
    return corrected;
  }

  async #apply(records: readonly LogRecord[], position: LogPosition): Promise<void> {
    const staging = new Staging(this.catalog, this.#usage);
    for (const record of records) this.#applyRecord(staging, this.#effective(record, position.fileNumber));
    staging.put(
      metaKey,
      new BinaryWriter(128)
        .u8(indexVersion)
        .u53(position.fileNumber)
        .u53(position.fileOffset)
        .u53(position.epoch)
        .u53(position.sequence)
        .text(position.digest)
        .finish(),
    );
    for (const [bucketId, usage] of staging.usage) {
      staging.put(usageKey(bucketId), usage.encode());
    }
    const live = [...staging.live].flatMap(([fileNumber, change]): [number, number][] =>
      change === 0 ? [] : [[fileNumber, this.liveBytes(fileNumber) + change]],
    );
    for (const [fileNumber, bytes] of live) {
      invariant(bytes >= 0, 'no more is freed in a log file than is in use');
      if (bytes === 0) staging.delete(liveKey(fileNumber));
      else staging.put(liveKey(fileNumber), new BinaryWriter(8).u53(bytes).finish());
    }
    await this.catalog.write((batch) => {
      for (const [key, value] of staging.changes) {
        const bytes = Buffer.from(key, 'latin1');
        if (value === null) batch.delete(bytes);
        else {
          batch.put(bytes, value);
          this.onEntry?.(bytes, value);
        }
      }
    });
    for (const [bucketId, usage] of staging.usage) this.#usage.set(bucketId, usage);
    for (const [fileNumber, bytes] of live) this.#setLive(fileNumber, bytes);
    for (const { target } of staging.garbage) if (target.kind === 'upload') this.#droppedUploads.add(target.uploadId);
    for (const action of staging.afterwards) action();
    if (staging.garbage.length > 0) this.onGarbage(staging.garbage);
  }

  #load(): void {
    for (const { value } of this.catalog.range(bucketRange)) {
      const { order, body } = decodeEntry(value);
      const info = decodeBucket(body);
      this.buckets.set(info.name, { bucketId: order, info });
      const usage = this.catalog.get(usageKey(order));
      if (usage !== undefined) this.#usage.set(order, UsageCounter.decode(usage));
    }
    for (const { value } of this.catalog.range(documentRange)) {
      this.#keepDocument(decodeBucketDocument(decodeEntry(value).body));
    }
    for (const { key, value } of this.catalog.range(liveRange)) {
      this.#setLive(fileOfLiveKey(key), new BinaryReader(value).u53());
    }
    for (const garbage of this.pendingGarbage()) {
      if (garbage.target.kind === 'upload') this.#droppedUploads.add(garbage.target.uploadId);
    }
  }

  #setLive(fileNumber: number, bytes: number): void {
    if (bytes === 0) this.#live.delete(fileNumber);
    else this.#live.set(fileNumber, bytes);
  }

  #forget(): void {
    this.buckets.clear();
    this.#usage.clear();
    this.#documents.clear();
    this.#live.clear();
    this.#droppedUploads.clear();
  }

  #keepDocument({ bucketId, kind, text, updatedMs }: BucketDocumentRecord): void {
    const documents = this.#documents.get(bucketId) ?? new Map<BucketDocumentKind, BucketDocument>();
    this.#documents.set(bucketId, documents);
    if (text === null) documents.delete(kind);
    else documents.set(kind, { text, updatedMs });
  }

  #effective(record: LogRecord, fileNumber: number): Effective {
    const here = slotPlacement(record, this.driveCount);
    // By name: V8 gives what is spread a shape of its own each time, and every later look at it is slow.
    const { slotsFileNumber, slotsBytes } = noSpace;
    const space = { fileNumber, bytes: logBytesOf(record), slotsFileNumber, slotsBytes };
    const { type, order, body } = originalOf(record);
    return { type, order, body, here, space, isMoved: record.type === RecordType.moved };
  }

  #applyRecord(staging: Staging, record: Effective): void {
    const { order, body, here, space } = record;
    const type = record.type as Exclude<(typeof RecordType)[keyof typeof RecordType], typeof RecordType.moved>;
    switch (type) {
      case RecordType.bucketCreate: {
        const info = decodeBucket(body);
        const at = bucketKey(info.name);
        if (!this.#keep(staging, at, staging.get(at), record, encodeEntry(order, body, null, space))) return;
        staging.afterwards.push(() => this.buckets.set(info.name, { bucketId: order, info }));
        return;
      }
      case RecordType.bucketDelete: {
        const { name, bucketId } = decodeBucketDelete(body);
        staging.deleteEntry(bucketKey(name), staging.get(bucketKey(name)));
        staging.delete(usageKey(bucketId));
        staging.usage.delete(bucketId);
        for (const { key, value } of staging.startingWith(documentPrefix(bucketId))) staging.deleteEntry(key, value);
        staging.afterwards.push(() => {
          this.buckets.delete(name);
          this.#usage.delete(bucketId);
          this.#documents.delete(bucketId);
        });
        return;
      }
      case RecordType.objectPut:
        this.#applyObject(staging, record);
        return;
      case RecordType.objectDelete: {
        const deleted = decodeObjectDelete(body);
        const at = objectKey(deleted.bucketId, deleted.key);
        const old = staging.get(at);
        if (old === undefined || decodeEntry(old).order !== deleted.order) return;
        staging.deleteEntry(at, old);
        this.#dropVersion(staging, order, old, -1);
        return;
      }
      case RecordType.uploadCreate: {
        const upload = decodeUpload(body);
        const at = uploadKey(upload.bucketId, upload.key, upload.uploadId);
        this.#keep(staging, at, staging.get(at), record, encodeEntry(order, body, null, space));
        return;
      }
      case RecordType.partPut: {
        const part = decodePart(body, here);
        const at = partKey(part.uploadId, part.partNumber);
        const old = staging.get(at);
        if (!this.#keep(staging, at, old, record, encodeEntry(order, body, here, space))) return;
        if (old !== undefined) this.#dropPart(staging, order, old);
        this.#noteDegraded(staging, at, part.placement);
        return;
      }
      case RecordType.uploadAbort: {
        const { bucketId, key, uploadId } = decodeUploadAbort(body);
        const at = uploadKey(bucketId, key, uploadId);
        staging.deleteEntry(at, staging.get(at));
        staging.discard(order, order, { kind: 'upload', uploadId });
        return;
      }
      case RecordType.systemWrite:
        this.#applySystem(staging, record);
        return;
      case RecordType.bucketDocument: {
        const document = decodeBucketDocument(body);
        const at = documentKey(document.bucketId, documentKindCode(document.kind));
        const old = staging.get(at);
        if (document.text === null) staging.deleteEntry(at, old);
        else if (!this.#keep(staging, at, old, record, encodeEntry(order, body, null, space))) return;
        staging.afterwards.push(() => {
          this.#keepDocument(document);
        });
        return;
      }
      default:
        unreachable(type, 'a record type of this release');
    }
  }

  /**
   * Puts an entry in the place of `old`. False: a moved record that the index holds already, of which only the
   * place is new, or one whose key has something else by now. An index that is built from the log anew meets
   * moved records first, when the log no longer goes back to where they lay before.
   */
  #keep(staging: Staging, key: Buffer, old: Buffer | undefined, { isMoved, order }: Effective, value: Buffer): boolean {
    const isKnown = isMoved && old !== undefined;
    if (!isKnown || decodeEntry(old).order === order) staging.putEntry(key, old, value);
    return !isKnown;
  }

  #applySystem(staging: Staging, record: Effective): void {
    const { changes } = decodeSystem(record.body);
    const written = changes.filter(({ value }) => value !== null).length;
    // The entries share what the record takes: one that is left alone still keeps its own part only.
    let rest = record.space.bytes;
    for (const { name, value } of changes) {
      const at = systemKey(name);
      const old = staging.get(at);
      if (value === null) {
        staging.deleteEntry(at, old);
        continue;
      }
      const share = Math.ceil(record.space.bytes / written);
      const bytes = Math.min(rest, share);
      rest -= bytes;
      this.#keep(staging, at, old, record, encodeEntry(record.order, value, null, { ...record.space, bytes }));
    }
  }

  #applyObject(staging: Staging, record: Effective): void {
    const { order, body, here } = record;
    const object = decodeObject(body, here);
    const { placement } = object;
    const at = objectKey(object.bucketId, object.key);
    const old = staging.get(at);
    const isElsewhere = here === null && placement.kind === 'slots';
    const space = isElsewhere
      ? {
          ...record.space,
          slotsFileNumber: placement.fileNumber,
          slotsBytes: alignUp(placement.slotBytes, slotAlignment),
        }
      : record.space;
    if (!this.#keep(staging, at, old, record, encodeEntry(order, body, here, space))) return;
    staging.count(object.bucketId, { objects: 1, versions: 1, bytes: object.bytes });
    if (old !== undefined) this.#dropVersion(staging, order, old, object.dataOrder === 0 ? order : object.dataOrder);
    this.#noteDegraded(staging, at, placement);
    // The completion of an upload did the rest when it was new.
    if (record.isMoved) return;
    if (object.multipart !== null && object.dataOrder === 0) this.#finishUpload(staging, order, object);
  }

  /** Parts that the completion did not list go; those it listed now belong to the object. */
  #finishUpload(staging: Staging, order: number, object: ObjectRecord): void {
    if (object.multipart === null) return;
    const { uploadId, parts } = object.multipart;
    const upload = uploadKey(object.bucketId, object.key, uploadId);
    staging.deleteEntry(upload, staging.get(upload));
    const listed = new Set(parts.map((part) => part.partNumber));
    for (const { key, value } of staging.startingWith(partPrefix(uploadId))) {
      if (listed.has(key.readUInt16BE(17))) continue;
      staging.deleteEntry(key, value);
      this.#dropPart(staging, order, value);
    }
  }

  #dropVersion(staging: Staging, order: number, old: Buffer, keptDataOrder: number): void {
    const entry = decodeEntry(old);
    const object = decodeObject(entry.body, entry.here);
    staging.count(object.bucketId, { objects: -1, versions: -1, bytes: object.bytes });
    const dataOrder = object.dataOrder === 0 ? entry.order : object.dataOrder;
    if (dataOrder === keptDataOrder) return;
    if (object.multipart !== null) {
      staging.discard(order, dataOrder, { kind: 'upload', uploadId: object.multipart.uploadId });
    } else if (object.placement.kind === 'blob') {
      staging.discard(order, dataOrder, { kind: 'blob', name: blobName(object.placement.id) });
    }
  }

  #dropPart(staging: Staging, order: number, old: Buffer): void {
    const entry = decodeEntry(old);
    const part = decodePart(entry.body, entry.here);
    if (part.placement.kind !== 'blob') return;
    staging.discard(order, entry.order, { kind: 'blob', name: blobName(part.placement.id) });
  }

  /** A blob that some drive lacks goes to the heal table. */
  #noteDegraded(staging: Staging, owner: Buffer, placement: Placement): void {
    if (placement.kind !== 'blob') return;
    const all = 2 ** this.driveCount - 1;
    const missing = all & ~placement.positions;
    if (missing === 0) return;
    const target: HealTarget = { kind: 'blob', name: blobName(placement.id), owner };
    staging.put(healKeyOf(target), encodeHeal(target, missing));
    staging.afterwards.push(() => {
      this.onDegraded(missing);
    });
  }
}
