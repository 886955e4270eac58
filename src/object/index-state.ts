/**
 * Turns committed records into the index: live, in replay and in catch-up by the same code. Deterministic
 * in the records and the index before them, so that replay from any position it ever stood at agrees.
 */
import { invariant, limits, unreachable } from '../base/index.js';
import type { Catalog } from '../catalog/index.js';
import { blobName, fileId, setOfBody } from '../erasure/index.js';
import { logBytesOf, type ApplyBatch, type LogPosition, type LogRecord } from '../journal/index.js';
import { BinaryReader, BinaryWriter, RecordFormatError } from './binary.js';
import { encodeHeal, healKeyOf, type HealTarget } from './heal-table.js';
import {
  bucketKey,
  bucketOfKey,
  bucketRange,
  documentKey,
  documentPrefix,
  documentRange,
  fileOfLiveKey,
  garbageKey,
  garbageRange,
  isLatestKey,
  keyOfObjectKey,
  liveKey,
  liveRange,
  metaKey,
  objectKey,
  partKey,
  partPrefix,
  rebuildKey,
  orderOfSharerKey,
  shareKey,
  sharerKey,
  shareRange,
  successor,
  systemKey,
  uploadKey,
  usageKey,
  usageRange,
  versionKey,
} from './index-keys.js';
import { LatestObjects, latestObject, type LatestObject } from './latest-objects.js';
import type { BucketDocument, BucketDocumentKind, BucketInfo, BucketVersioning } from './object-layer.js';
import {
  RecordType,
  decodeBucket,
  decodeBucketDelete,
  decodeBucketDocument,
  decodeEntry,
  asDecoded,
  decodeObject,
  decodeObjectDelete,
  decodePart,
  decodeSystem,
  decodeUpload,
  decodeUploadAbort,
  documentKindCode,
  encodeEntry,
  noSpace,
  originalOf,
  slotPlacement,
  type BodyRecord,
  type BucketDocumentRecord,
  type ObjectRecord,
} from './records.js';
import { Staging, decodeGarbage, type Effective, type Garbage } from './staging.js';
import { UsageCounter, noUsage, type BucketUsage } from './usage.js';
import { endVersion, putVersion } from './version-chain.js';
import { neverVersioned, parseVersioning, writeMode, type WriteMode } from './versioning.js';

export interface BucketState {
  readonly bucketId: number;
  readonly info: BucketInfo;
}

/** Of a bucket whose own name is lost. It says the id, so a bucket that a client made has another one. */
export function restoredName(bucketId: number): string {
  return `restored-${bucketId.toString(16)}`;
}

const indexVersion = 5;

/** A document that cannot be read, from elsewhere: everything is kept, so that nothing is lost over it. */
const keepEverything: BucketVersioning = { ...neverVersioned, status: 'Enabled' };

export class IndexState {
  readonly buckets = new Map<string, BucketState>();
  /** Ids of those whose own name is lost: their keys lie where that name has led them. */
  readonly #restored = new Set<number>();
  readonly #usage = new Map<number, UsageCounter>();
  /** By bucket id. A document is the same object until it is changed. */
  readonly #documents = new Map<number, Map<BucketDocumentKind, BucketDocument>>();
  /** What documents of versioning say. */
  readonly #versioning = new WeakMap<BucketDocument, BucketVersioning>();
  /** Counts of shared bytes in the index. */
  #shareCount = 0;
  /** Bytes in use by log file; those of the catalog, at hand. */
  readonly #live = new Map<number, number>();
  readonly #latest = new LatestObjects(limits.latestObjectsBytesMax);
  /** Uploads whose parts wait for the reclaimer. */
  readonly #droppedUploads = new Set<string>();
  /** Set by the engine: takes what a batch made unreachable. */
  onGarbage: (garbage: readonly Garbage[]) => void = () => undefined;
  /** Set by the engine: a body was committed without the shards of these positions. */
  onDegraded: (setIndex: number, positions: number, shardBytes: number) => void = () => undefined;

  /** Set while somebody goes through all entries: told of those that are written meanwhile. */
  onEntry: ((key: Buffer, value: Buffer) => void) | null = null;

  #isRebuilding: boolean;

  /** False for an index of another release, or one that does not decode: it is built anew from the logs. */
  #isSound = true;

  constructor(
    readonly catalog: Catalog,
    /** Drives of each set. */
    private readonly driveCounts: readonly number[],
  ) {
    this.#isRebuilding = catalog.get(rebuildKey) !== undefined;
    try {
      if (driveCounts.some((_, setIndex) => this.position(setIndex) !== null)) this.#load();
    } catch (error) {
      if (!(error instanceof RecordFormatError)) throw error;
      this.#isSound = false;
      this.#forget();
    }
  }

  /** A bucket that was made for what lay in one that no record knows. */
  isRestored(bucketId: number): boolean {
    return this.#restored.has(bucketId);
  }

  usage(bucketId: number): BucketUsage {
    return this.#usage.get(bucketId)?.usage() ?? noUsage;
  }

  document(bucketId: number, kind: BucketDocumentKind): BucketDocument | null {
    return this.#documents.get(bucketId)?.get(kind) ?? null;
  }

  versioning(bucketId: number): BucketVersioning {
    const document = this.#documents.get(bucketId)?.get('versioning');
    if (document === undefined) return neverVersioned;
    let versioning = this.#versioning.get(document);
    if (versioning === undefined) {
      versioning = parseVersioning(document.text) ?? keepEverything;
      this.#versioning.set(document, versioning);
    }
    return versioning;
  }

  /** How a write to the key is kept from now on. */
  writeMode(bucketId: number, key: string): WriteMode {
    const versioning = this.versioning(bucketId);
    return versioning === neverVersioned ? 'unversioned' : writeMode(versioning, key);
  }

  /** Whether anything lies below the latest objects of the bucket: without, there is nothing to look for. */
  hasVersions(bucketId: number): boolean {
    return this.#usage.get(bucketId)?.hasVersions() ?? false;
  }

  /** The latest version of a key; null: there is none, or it is a delete marker. */
  latest({ bucketId, info }: BucketState, key: string): LatestObject | null {
    const known = this.#latest.get(bucketId, key);
    if (known !== null) return known;
    const value = this.catalog.get(objectKey(bucketId, key));
    if (value === undefined) return null;
    // Memory of its own: views of a shared pool would keep all of it alive.
    const own = Buffer.allocUnsafeSlow(value.length);
    value.copy(own);
    const entry = decodeEntry(own);
    const found = latestObject(info.name, { entry, record: decodeObject(entry.body, entry.here) });
    this.#latest.add(bucketId, key, found);
    return found;
  }

  /** Whether other versions than the one that this record wrote have its bytes, or had. */
  isShared(dataOrder: number): boolean {
    return this.#shareCount > 0 && this.catalog.get(shareKey(dataOrder)) !== undefined;
  }

  /** Orders above `after` of the versions that have them without having written them, in their order. */
  sharers(dataOrder: number, after: number, countMax: number): number[] {
    const start = sharerKey(dataOrder, after + 1);
    const end = successor(sharerKey(dataOrder, Number.MAX_SAFE_INTEGER));
    return Array.from(this.catalog.range({ start, end, limit: countMax }), ({ key }) => orderOfSharerKey(key));
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

  /** Where the index stands in the log of a set, or null for one that is new, or has to be discarded. */
  position(setIndex = 0): LogPosition | null {
    const value = this.catalog.get(metaKey(setIndex));
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

  /** Of records behind the first order, up to the second. */
  *garbageBetween(after: number, last: number): Iterable<Garbage> {
    const range = { start: garbageKey(after + 1, 0), end: garbageKey(last + 1, 0) };
    for (const { key, value } of this.catalog.range(range)) yield decodeGarbage(Buffer.from(key), value);
  }

  /** Forgets everything: the index is built anew from here on, until it is settled. */
  async discard(): Promise<void> {
    await this.catalog.clear();
    await this.catalog.write((batch) => batch.put(rebuildKey, Buffer.alloc(0)));
    this.#isRebuilding = true;
    this.#isSound = true;
    this.#forget();
  }

  /** It is built anew from the logs, or was: what records gave up on the way has not been looked through yet. */
  get isRebuilding(): boolean {
    return this.#isRebuilding;
  }

  /** Ends the rebuilding, with what `decide` makes of it; batches wait meanwhile. */
  settle(decide: (staging: Staging) => Promise<void>): Promise<void> {
    const settled = this.#turn.then(async () => {
      const staging = new Staging(this.catalog, this.#usage, this.#shareCount);
      await decide(staging);
      staging.delete(rebuildKey);
      await this.#write(staging);
      this.#isRebuilding = false;
    });
    this.#turn = settled.catch(() => undefined);
    return settled;
  }

  /** One after the other: batches, and what is put right between two of them. */
  #turn: Promise<unknown> = Promise.resolve();

  readonly apply = (records: readonly LogRecord[], position: LogPosition, setIndex = 0): Promise<void> => {
    const applied = this.#turn.then(() => this.#apply(records, position, setIndex));
    this.#turn = applied.catch(() => undefined);
    return applied;
  };

  /** Takes the batches of one set. Those of another may come in between: they have nothing in common. */
  applyOf(setIndex: number): ApplyBatch {
    return (records, position) => this.apply(records, position, setIndex);
  }

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

  async #apply(records: readonly LogRecord[], position: LogPosition, setIndex: number): Promise<void> {
    const staging = new Staging(this.catalog, this.#usage, this.#shareCount, this.#isRebuilding);
    const file = fileId(setIndex, position.fileNumber);
    for (const record of records) this.#applyRecord(staging, this.#effective(record, setIndex, file));
    staging.put(
      metaKey(setIndex),
      new BinaryWriter()
        .u8(indexVersion)
        .u53(position.fileNumber)
        .u53(position.fileOffset)
        .u53(position.epoch)
        .u53(position.sequence)
        .text(position.digest)
        .finish(),
    );
    await this.#write(staging);
  }

  async #write(staging: Staging): Promise<void> {
    for (const [bucketId, usage] of staging.usage) {
      staging.put(usageKey(bucketId), usage.encode());
    }
    const live = [...staging.live].flatMap(([fileNumber, change]): [number, number][] =>
      change === 0 ? [] : [[fileNumber, this.liveBytes(fileNumber) + change]],
    );
    for (const [fileNumber, bytes] of live) {
      invariant(bytes >= 0, 'no more is freed in a log file than is in use');
      if (bytes === 0) staging.delete(liveKey(fileNumber));
      else staging.put(liveKey(fileNumber), new BinaryWriter().u53(bytes).finish());
    }
    await this.catalog.write((batch) => {
      for (const { key, value } of staging.changes.values()) {
        if (isLatestKey(key)) this.#latest.forget(bucketOfKey(key), keyOfObjectKey(key));
        if (value === null) batch.delete(key);
        else {
          batch.put(key, value);
          this.onEntry?.(key, value);
        }
      }
    });
    this.#shareCount = staging.shareCount;
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
      this.#keepBucket(order, info);
    }
    // Also of buckets whose record is still to come: compaction may have moved it behind those of its objects.
    for (const { key, value } of this.catalog.range(usageRange)) {
      this.#usage.set(bucketOfKey(key), UsageCounter.decode(value));
    }
    for (const { value } of this.catalog.range(documentRange)) {
      this.#keepDocument(decodeBucketDocument(decodeEntry(value).body));
    }
    for (const { key, value } of this.catalog.range(liveRange)) {
      this.#setLive(fileOfLiveKey(key), new BinaryReader(value).u53());
    }
    this.#shareCount = [...this.catalog.range(shareRange)].length;
    for (const garbage of this.pendingGarbage()) {
      if (garbage.target.kind === 'upload') this.#droppedUploads.add(garbage.target.uploadId);
    }
  }

  #hasOtherName(name: string, bucketId: number): boolean {
    return [...this.buckets].some(([other, state]) => other !== name && state.bucketId === bucketId);
  }

  #keepBucket(bucketId: number, info: BucketInfo): void {
    this.buckets.set(info.name, { bucketId, info });
    if (info.name === restoredName(bucketId)) this.#restored.add(bucketId);
  }

  #setLive(fileNumber: number, bytes: number): void {
    if (bytes === 0) this.#live.delete(fileNumber);
    else this.#live.set(fileNumber, bytes);
  }

  #forget(): void {
    this.buckets.clear();
    this.#restored.clear();
    this.#usage.clear();
    this.#documents.clear();
    this.#live.clear();
    this.#droppedUploads.clear();
    this.#latest.clear();
    this.#shareCount = 0;
  }

  #keepDocument({ bucketId, kind, text, updatedMs }: BucketDocumentRecord): void {
    const documents = this.#documents.get(bucketId) ?? new Map<BucketDocumentKind, BucketDocument>();
    this.#documents.set(bucketId, documents);
    if (text === null) documents.delete(kind);
    else documents.set(kind, { text, updatedMs });
  }

  #effective(record: LogRecord, setIndex: number, fileNumber: number): Effective {
    const here = slotPlacement(record, this.driveCounts[setIndex] ?? 0, setIndex);
    // By name: V8 gives what is spread a shape of its own each time, and every later look at it is slow.
    const { slotsFileNumber, slotsBytes } = noSpace;
    const space = { fileNumber, bytes: logBytesOf(record), slotsFileNumber, slotsBytes };
    const { type, order, body } = originalOf(record);
    const meaning = type === RecordType.objectPut ? ((record.meaning ?? null) as ObjectRecord | null) : null;
    return { type, order, body, meaning, here, space, isMoved: record.type === RecordType.moved };
  }

  #applyRecord(staging: Staging, record: Effective): void {
    const { order, body, here, space } = record;
    const type = record.type as Exclude<(typeof RecordType)[keyof typeof RecordType], typeof RecordType.moved>;
    switch (type) {
      case RecordType.bucketCreate: {
        const info = decodeBucket(body);
        const at = bucketKey(info.name);
        if (!this.#keep(staging, at, staging.get(at), record, encodeEntry(order, body, null, space))) return;
        staging.afterwards.push(() => {
          this.#keepBucket(order, info);
        });
        return;
      }
      case RecordType.bucketDelete: {
        const { name, bucketId } = decodeBucketDelete(body);
        staging.deleteEntry(bucketKey(name), staging.get(bucketKey(name)));
        // It has another name still, if its record was found again after all.
        if (this.isRestored(bucketId) && this.#hasOtherName(name, bucketId)) {
          staging.afterwards.push(() => {
            this.buckets.delete(name);
          });
          return;
        }
        // Its objects went before it. Where sets are of different moments some are there still, and count.
        const isEmpty = staging.isNothingIn(bucketId);
        if (isEmpty) staging.delete(usageKey(bucketId));
        if (isEmpty) staging.usage.delete(bucketId);
        for (const { key, value } of staging.startingWith(documentPrefix(bucketId))) staging.deleteEntry(key, value);
        staging.afterwards.push(() => {
          this.buckets.delete(name);
          this.#restored.delete(bucketId);
          if (isEmpty) this.#usage.delete(bucketId);
          this.#documents.delete(bucketId);
        });
        return;
      }
      case RecordType.objectPut:
        this.#applyObject(staging, record);
        return;
      case RecordType.objectDelete: {
        const deleted = decodeObjectDelete(body);
        endVersion(staging, order, deleted.bucketId, deleted.key, deleted.order);
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
        this.#noteDegraded(staging, at, part);
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
    const { order, body, here, meaning } = record;
    const object = meaning === null ? decodeObject(body, here) : asDecoded(meaning, here);
    if (!putVersion(staging, record, object)) return;
    this.#noteDegraded(staging, versionKey(object.bucketId, object.key, order), object);
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

  #dropPart(staging: Staging, order: number, old: Buffer): void {
    const entry = decodeEntry(old);
    const part = decodePart(entry.body, entry.here);
    if (part.placement.kind !== 'blob') return;
    staging.discard(order, entry.order, { kind: 'blob', name: blobName(part.placement.id) });
  }

  /** A blob that some drive lacks goes to the heal table. */
  #noteDegraded(staging: Staging, owner: Buffer, { placement, bytes }: BodyRecord): void {
    if (placement.kind !== 'blob') return;
    const setIndex = setOfBody(placement.id);
    const all = 2 ** (this.driveCounts[setIndex] ?? 0) - 1;
    const missing = all & ~placement.positions;
    if (missing === 0) return;
    const target: HealTarget = { kind: 'blob', name: blobName(placement.id), owner };
    staging.put(healKeyOf(target), encodeHeal(target, missing));
    staging.afterwards.push(() => {
      this.onDegraded(setIndex, missing, Math.ceil(bytes / placement.geometry.dataShards));
    });
  }
}
