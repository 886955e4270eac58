/**
 * Looks at a store that no server uses: every blob that its records name, files that none names, the index it has
 * against the one that its logs give, and where the shards of one object lie. Writes nothing but the index that it
 * is given, which it fills from the logs.
 */
import { invariant, type SlabAllocator } from '../base/index.js';
import type { Catalog } from '../catalog/index.js';
import {
  blobName,
  fileId,
  fileNumberOf,
  payloadOffset,
  positionOfShard,
  setOfBody,
  setOfFile,
  shardFileBytes,
  verifyBlob,
  verifySlot,
  type BlobState,
  type Compute,
  type DriveSet,
  type Placement,
  type PlacementId,
  type StripeLayout,
} from '../erasure/index.js';
import type { ApplyBatch, CheckedLog, LocatedRecord, LogPosition, LogRecord } from '../journal/index.js';
import { bodiesFrom, bodyRanges, isInBlob, type BlobBody, type IndexedBody } from './bodies.js';
import { IndexState, restoredName } from './index-state.js';
import { isDerivedKey, partKey } from './index-keys.js';
import { lostBuckets } from './lost-buckets.js';
import { blobNamePattern, repairNamePattern } from './orphan-sweep.js';
import { listBits } from './positions.js';
import { settleRebuiltIndex } from './rebuilt-index.js';
import { decodeEntry, decodePart, entrySpace, originalOf, type BodyRecord, type ObjectRecord } from './records.js';
import { versionsOf } from './versions-of.js';

export interface StoreCheckOptions {
  /** Empty at first. */
  readonly catalog: Catalog;
  /** By index. */
  readonly sets: readonly DriveSet[];
  readonly compute: Compute;
  readonly slabs: SlabAllocator;
}

export interface DamagedBody {
  readonly bucket: string;
  readonly key: string;
  /** A blob by its name, or the number of a log file: the same on each drive. */
  readonly file: string;
  /** Where in the log file; null for a blob. */
  readonly offset: number | null;
  /** Drives, counted over all sets. */
  readonly bad: readonly number[];
  readonly missing: readonly number[];
  readonly isReadable: boolean;
}

export interface BlobFindings {
  readonly bodies: number;
  readonly shards: number;
  readonly badShards: number;
  readonly missingShards: number;
  readonly unreadable: number;
  /** By drive, counted over all sets. */
  readonly byDrive: readonly { readonly bad: number; readonly missing: number }[];
  /** The first of them. */
  readonly damaged: readonly DamagedBody[];
}

export interface SlotFindings {
  readonly unreadable: number;
  /** The first of them. */
  readonly damaged: readonly DamagedBody[];
}

/** What lies in a bucket that no record knows. */
export interface LostBucket {
  /** Of the bucket that it gets. */
  readonly name: string;
  readonly objects: number;
  readonly versions: number;
}

export interface OrphanFindings {
  readonly count: number;
  /** The first of them. */
  readonly files: readonly { readonly position: number; readonly name: string }[];
}

export interface ShardPlace {
  readonly shard: number;
  readonly kind: 'data' | 'parity';
  /** Of the drive, counted over all sets. */
  readonly position: number;
  /** Name of the blob, or number of the log file. */
  readonly file: string;
  readonly offset: number;
  readonly bytes: number;
  readonly state: BlobState;
}

/** What one drive has of a record. All of them should have the same. */
export interface RecordCopy {
  /** Of the drive, counted over all sets. */
  readonly position: number;
  /** Number of the log file. */
  readonly file: string;
  readonly offset: number;
  readonly bytes: number;
  readonly state: BlobState;
}

export interface BodyPlace {
  /** Null: the object itself. */
  readonly partNumber: number | null;
  readonly bytes: number;
  readonly kind: Placement['kind'];
  readonly dataShards: number;
  readonly parityShards: number;
  readonly shards: readonly ShardPlace[];
  /** Of a part's record, in which a small part has its bytes. Empty for the object itself: its record is the version's. */
  readonly copies: readonly RecordCopy[];
  readonly isReadable: boolean;
}

export interface VersionPlace {
  readonly versionId: string;
  readonly isLatest: boolean;
  readonly isDeleteMarker: boolean;
  readonly bytes: number;
  readonly etag: string;
  readonly modifiedMs: number;
  /** Of its record, in which a small object has its bytes. */
  readonly copies: readonly RecordCopy[];
  readonly bodies: readonly BodyPlace[];
}

interface KnownRecord {
  readonly order: number;
  /** In all sets. */
  readonly fileNumber: number;
}

interface KnownPart extends KnownRecord {
  readonly partNumber: number;
  readonly body: BodyRecord;
}

const listedMax = 1000;
const bodiesPerStep = 50;
/** Bodies that are verified at once. */
const lanes = 4;

type Mutable<T> = { -readonly [name in keyof T]: T[name] };
type MutableFindings = Omit<Mutable<BlobFindings>, 'byDrive' | 'damaged'> & {
  readonly byDrive: { bad: number; missing: number }[];
  readonly damaged: DamagedBody[];
};

/** Where a body has its shards in the log. `fileNumber`: over all sets. */
function slotPlace({ fileNumber, fileOffset }: { readonly fileNumber: number; readonly fileOffset: number }): string {
  return `${fileNumber}/${fileOffset}`;
}

/** Places in the logs where some drive's shards are wrong, whoever they belong to. */
export class WrongSlots {
  readonly #places = new Set<string>();

  get isEmpty(): boolean {
    return this.#places.size === 0;
  }

  add(setIndex: number, records: readonly LogRecord[]): void {
    for (const { slots } of records) {
      if (slots === null) continue;
      const { fileNumber, fileOffset } = slots;
      this.#places.add(slotPlace({ fileNumber: fileId(setIndex, fileNumber), fileOffset }));
    }
  }

  has(placement: Extract<Placement, { kind: 'slots' }>): boolean {
    return this.#places.has(slotPlace(placement));
  }
}

export class StoreCheck {
  readonly index: IndexState;
  readonly #driveCounts: readonly number[];

  constructor(private readonly options: StoreCheckOptions) {
    this.#driveCounts = options.sets.map(({ driveCount }) => driveCount);
    this.index = new IndexState(options.catalog, this.#driveCounts);
  }

  /** Before and after the index is filled with what the logs say. */
  begin(): Promise<void> {
    return this.index.discard();
  }

  settle(): Promise<void> {
    return settleRebuiltIndex(this.index);
  }

  /** Fills the index with what the log of a set says. */
  applyOf(setIndex: number): ApplyBatch {
    return this.index.applyOf(setIndex);
  }

  /** Bytes of all shards in blob files, of which `verifyBlobs` tells how far it is. */
  blobBytes(): number {
    let bytes = 0;
    for (const { body } of this.#blobs()) {
      const { geometry } = body.placement;
      bytes += Math.ceil(body.bytes / geometry.dataShards) * (geometry.dataShards + geometry.parityShards);
    }
    return bytes;
  }

  /** All shards on these drives: bits, by set. */
  async verifyBlobs(positions: readonly number[], onProgress: (bytes: number) => void): Promise<BlobFindings> {
    const damaged: DamagedBody[] = [];
    const driveCount = this.#driveCounts.reduce((sum, count) => sum + count, 0);
    const byDrive = Array.from({ length: driveCount }, () => ({ bad: 0, missing: 0 }));
    const findings = { bodies: 0, shards: 0, badShards: 0, missingShards: 0, unreadable: 0, byDrive, damaged };
    const bodies = this.#blobs();
    const lane = async (): Promise<void> => {
      for (let next = bodies.next(); next.done !== true; next = bodies.next()) {
        await this.#verifyBody(next.value, positions, findings, onProgress);
      }
    };
    await Promise.all(Array.from({ length: lanes }, lane));
    return findings;
  }

  /** Objects and parts that have their shards in the log, at the places where some are wrong. */
  async verifySlots(wrong: WrongSlots): Promise<SlotFindings> {
    const damaged: DamagedBody[] = [];
    let unreadable = 0;
    if (wrong.isEmpty) return { unreadable, damaged };
    for (const { body, bucketId, key } of this.#bodies()) {
      const { placement } = body;
      if (placement.kind !== 'slots' || !wrong.has(placement)) continue;
      const { shards, isReadable } = await this.#place(body, null, []);
      if (!isReadable) unreadable++;
      if (damaged.length >= listedMax) continue;
      const those = (wanted: BlobState): number[] =>
        shards.flatMap(({ position, state }) => (state === wanted ? [position] : [])).sort((a, b) => a - b);
      const file = String(fileNumberOf(placement.fileNumber));
      const place = { bucket: this.#bucketName(bucketId), key, file, offset: placement.fileOffset };
      damaged.push({ ...place, bad: those('bad'), missing: those('missing'), isReadable });
    }
    return { unreadable, damaged };
  }

  /** Files on these drives (bits, by set) that no record names. */
  async findOrphans(positions: readonly number[]): Promise<OrphanFindings> {
    const live = new Set<string>();
    for (const { body } of this.#blobs()) live.add(blobName(body.placement.id));
    // Dropped, and not yet unlinked: a start does that.
    for (const { target } of this.index.pendingGarbage()) if (target.kind === 'blob') live.add(target.name);
    const files: { position: number; name: string }[] = [];
    let count = 0;
    for (const { set, position } of this.#drivesOf(positions)) {
      const drive = set.drive(position);
      if (drive === null) continue;
      for await (const listed of drive.blobs.list()) {
        if (!listed.ok || live.has(listed.value)) continue;
        // Another name is not ours.
        if (!blobNamePattern.test(listed.value) && !repairNamePattern.test(listed.value)) continue;
        count++;
        if (files.length < listedMax)
          files.push({ position: this.#driveIndex(set.setIndex, position), name: listed.value });
      }
    }
    return { count, files };
  }

  lostBuckets(): LostBucket[] {
    return lostBuckets(this.index).map((bucketId) => {
      const { objects, versions } = this.index.usage(bucketId);
      return { name: restoredName(bucketId), objects, versions };
    });
  }

  /** Entries in which another index differs. Null: it stands elsewhere in the log, so that it may differ. */
  differencesTo(catalog: Catalog): number | null {
    const other = new IndexState(catalog, this.#driveCounts);
    const isSame = this.#driveCounts.every((_, setIndex) =>
      isSamePosition(this.index.position(setIndex), other.position(setIndex)),
    );
    if (!isSame) return null;
    const mine = entriesOf(this.options.catalog);
    const theirs = entriesOf(catalog);
    let differences = 0;
    let a = mine.next();
    let b = theirs.next();
    while (a.done !== true || b.done !== true) {
      const order = a.done === true ? 1 : b.done === true ? -1 : Buffer.compare(a.value.key, b.value.key);
      if (order !== 0 || a.done === true || b.done === true || !a.value.value.equals(b.value.value)) differences++;
      if (order <= 0) a = mine.next();
      if (order >= 0) b = theirs.next();
    }
    return differences;
  }

  /**
   * The versions of a key, the newest first, with every shard and every copy of the record of each. `logs` by set.
   * Null: there is no such bucket.
   */
  async locate(bucket: string, key: string, logs: readonly CheckedLog[]): Promise<VersionPlace[] | null> {
    const state = this.index.buckets.get(bucket);
    if (state === undefined) return null;
    const versions = versionsOf(this.index, state.bucketId, key).map((version) => ({
      ...version,
      parts: this.#parts(version.record),
    }));
    const copies = await this.#copies(
      versions.flatMap((version) => [version, ...version.parts]),
      logs,
    );
    const places: VersionPlace[] = [];
    for (const { record, versionId, isDeleteMarker, isLatest, order, parts } of versions) {
      const { bytes, etag, modifiedMs } = record;
      const bodies: BodyPlace[] = [];
      if (record.multipart === null) bodies.push(await this.#place(record, null, []));
      for (const part of parts)
        bodies.push(await this.#place(part.body, part.partNumber, copies.get(part.order) ?? []));
      const ofRecord = copies.get(order) ?? [];
      places.push({ versionId, isLatest, isDeleteMarker, bytes, etag, modifiedMs, copies: ofRecord, bodies });
    }
    return places;
  }

  #parts({ multipart }: ObjectRecord): KnownPart[] {
    if (multipart === null) return [];
    return multipart.parts.flatMap(({ partNumber }) => {
      const value = this.options.catalog.get(partKey(multipart.uploadId, partNumber));
      if (value === undefined) return [];
      const { order, body, here } = decodeEntry(value);
      return [{ partNumber, body: decodePart(body, here), order, fileNumber: entrySpace(value).fileNumber }];
    });
  }

  /** By the order of the record. Each log file is gone through once. */
  async #copies(records: readonly KnownRecord[], logs: readonly CheckedLog[]): Promise<Map<number, RecordCopy[]>> {
    const wanted = new Map<number, Set<number>>();
    for (const { fileNumber, order } of records) {
      const orders = wanted.get(fileNumber) ?? new Set();
      wanted.set(fileNumber, orders.add(order));
    }
    const copies = new Map<number, RecordCopy[]>();
    for (const [fileNumber, orders] of wanted) {
      const setIndex = setOfFile(fileNumber);
      const isWanted = (record: LogRecord): boolean => orders.has(originalOf(record).order);
      const located = (await logs[setIndex]?.locateRecords(fileNumberOf(fileNumber), isWanted)) ?? [];
      // Of a record that was moved within its file the last one counts.
      for (const one of located) copies.set(originalOf(one.record).order, this.#copiesOf(one, setIndex));
    }
    return copies;
  }

  #copiesOf({ fileNumber, fileOffset, bytes, copies }: LocatedRecord, setIndex: number): RecordCopy[] {
    return copies.map((state, position) => ({
      position: this.#driveIndex(setIndex, position),
      file: String(fileNumber),
      offset: fileOffset,
      bytes,
      state,
    }));
  }

  async #place(body: BodyRecord, partNumber: number | null, copies: readonly RecordCopy[]): Promise<BodyPlace> {
    const { placement, bytes } = body;
    const head = { partNumber, bytes, kind: placement.kind, copies };
    if (placement.kind !== 'blob' && placement.kind !== 'slots') {
      // The index has it from a copy of the record that is right.
      return { ...head, dataShards: 1, parityShards: 0, shards: [], isReadable: true };
    }
    const { dataShards, parityShards } = placement.geometry;
    const shards: ShardPlace[] = [];
    for (let shard = 0; shard < dataShards + parityShards; shard++) {
      const position = positionOfShard(placement.geometry, shard);
      const kind = shard < dataShards ? 'data' : 'parity';
      const at =
        placement.kind === 'blob'
          ? { file: blobName(placement.id), ...payloadOf(body, placement) }
          : {
              file: String(fileNumberOf(placement.fileNumber)),
              offset: placement.fileOffset,
              bytes: placement.slotBytes,
            };
      const state =
        placement.kind === 'blob'
          ? await this.#blobState({ ...body, placement }, position, () => undefined)
          : await verifySlot({ ...this.options, set: this.#setOf(placement.id) }, placement, position);
      shards.push({ shard, kind, position: this.#driveIndex(setOfBody(placement.id), position), ...at, state });
    }
    const isReadable = shards.filter(({ state }) => state === 'sound').length >= dataShards;
    return { ...head, dataShards, parityShards, shards, isReadable };
  }

  async #verifyBody(
    { body, key, bucketId }: BlobBody,
    current: readonly number[],
    findings: MutableFindings,
    onProgress: (bytes: number) => void,
  ): Promise<void> {
    const bad: number[] = [];
    const missing: number[] = [];
    let sound = 0;
    const setIndex = setOfBody(body.placement.id);
    const positions = listBits(current[setIndex] ?? 0);
    for (const position of positions) {
      const state = await this.#blobState(body, position, onProgress);
      if (state === 'sound') sound++;
      if (state === 'bad') bad.push(this.#driveIndex(setIndex, position));
      if (state === 'missing') missing.push(this.#driveIndex(setIndex, position));
    }
    findings.bodies++;
    findings.shards += positions.length;
    findings.badShards += bad.length;
    findings.missingShards += missing.length;
    for (const [drive, counts] of findings.byDrive.entries()) {
      if (bad.includes(drive)) counts.bad++;
      if (missing.includes(drive)) counts.missing++;
    }
    const isReadable = sound >= body.placement.geometry.dataShards;
    if (!isReadable) findings.unreadable++;
    if ((isReadable && bad.length + missing.length === 0) || findings.damaged.length >= listedMax) return;
    const bucket = this.#bucketName(bucketId);
    findings.damaged.push({ bucket, key, file: blobName(body.placement.id), offset: null, bad, missing, isReadable });
  }

  #blobState(body: BlobBody['body'], position: number, onProgress: (bytes: number) => void): Promise<BlobState> {
    const { placement } = body;
    const layout: StripeLayout = { ...placement.geometry, stripeBytes: placement.stripeBytes, objectBytes: body.bytes };
    const pace = (bytes: number): Promise<void> => {
      onProgress(bytes);
      return Promise.resolve();
    };
    return verifyBlob(
      { ...this.options, set: this.#setOf(placement.id), purpose: 'pass', pace },
      { fileName: blobName(placement.id), id: placement.id, layout, position },
    );
  }

  #setOf(id: PlacementId): DriveSet {
    const set = this.options.sets[setOfBody(id)];
    invariant(set !== undefined, 'a body lies in a set that is there');
    return set;
  }

  /** Among the drives of all sets, one set behind the other. */
  #driveIndex(setIndex: number, position: number): number {
    return this.#driveCounts.slice(0, setIndex).reduce((sum, count) => sum + count, 0) + position;
  }

  #drivesOf(positions: readonly number[]): { readonly set: DriveSet; readonly position: number }[] {
    return this.options.sets.flatMap((set) =>
      listBits(positions[set.setIndex] ?? 0).map((position) => ({ set, position })),
    );
  }

  #bucketName(bucketId: number): string {
    for (const [name, state] of this.index.buckets) if (state.bucketId === bucketId) return name;
    return restoredName(bucketId);
  }

  *#bodies(): Generator<IndexedBody, void> {
    let from: Buffer | null = bodyRanges[0]?.start ?? null;
    while (from !== null) {
      const step = bodiesFrom(this.options.catalog, from, bodiesPerStep);
      yield* step.bodies;
      from = step.next;
    }
  }

  *#blobs(): Generator<BlobBody, void> {
    for (const indexed of this.#bodies()) if (isInBlob(indexed)) yield indexed;
  }
}

/** Where the shard's bytes lie in its file. */
function payloadOf(
  body: BodyRecord,
  placement: Extract<Placement, { kind: 'blob' }>,
): { readonly offset: number; readonly bytes: number } {
  const layout: StripeLayout = { ...placement.geometry, stripeBytes: placement.stripeBytes, objectBytes: body.bytes };
  return { offset: payloadOffset(layout), bytes: shardFileBytes(layout) };
}

function isSamePosition(a: LogPosition | null, b: LogPosition | null): boolean {
  return a?.digest === b?.digest && a?.sequence === b?.sequence;
}

/** What the records alone decide. */
function* entriesOf(catalog: Catalog): Generator<{ key: Buffer; value: Buffer }, void> {
  for (const { key, value } of catalog.range({ start: Buffer.of(0), end: Buffer.of(0xff) })) {
    if (!isDerivedKey(key)) yield { key: Buffer.from(key), value: Buffer.from(value) };
  }
}
