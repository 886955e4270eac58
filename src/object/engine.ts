/**
 * The object layer over erasure-coded drives. Look-ups read the index; every change is a record that the
 * journal commits; decisions (does the bucket exist, does the condition hold) are made in commit order.
 * Main thread.
 */
import { randomBytes } from 'node:crypto';
import { Refusal, invariant, limits, systemClock, type Clock, type SlabAllocator } from '../base/index.js';
import type { Catalog } from '../catalog/index.js';
import {
  blobName,
  fileId,
  fileNumberOf,
  highOf,
  positionOfShard,
  setOfFile,
  writeQuorum,
  type Compute,
  type DriveSet,
  type ReadCache,
} from '../erasure/index.js';
import {
  type CatchUpBodies,
  RecordChanged,
  type CommitContext,
  type CommitPurpose,
  type Journal,
  type JournalOptions,
  type LogRecord,
  type PreparedRecord,
} from '../journal/index.js';
import { ownerOf } from './bodies.js';
import { BodyCache } from './body-cache.js';
import { WrittenBodies } from './written-bodies.js';
import { assemble, requireChecksum, type AssembledObject } from './complete-upload.js';
import type { DecideRecord, EngineContext } from './engine-context.js';
import { objectInfo, type StoredObject } from './stored-object.js';
import { DeferredGarbage } from './deferred-garbage.js';
import { HealQueue } from './heal-queue.js';
import { HealTable, type HealTarget } from './heal-table.js';
import { healRecord, repairBlob } from './heal.js';
import { MissingBodies } from './missing-bodies.js';
import {
  documentKey,
  nameOfSystemKey,
  objectKey,
  objectPrefix,
  successor,
  systemKey,
  uploadKey,
  uploadPrefix,
  versionKey,
  versionsPrefix,
} from './index-keys.js';
import { IndexState, restoredName, type BucketState } from './index-state.js';
import { latestObject, type LatestObject } from './latest-objects.js';
import { isVersioned, lostBuckets } from './lost-buckets.js';
import { listObjects, listUploads, uploadInfo } from './listing.js';
import { DeletedByMarker } from './marker-refusal.js';
import type {
  BucketDocument,
  BucketDocumentKind,
  BucketDocuments,
  BucketInfo,
  BucketVersioning,
  Checksum,
  ChecksumAlgorithm,
  CompletedPart,
  DeleteOutcome,
  ListOptions,
  ListPage,
  ListUploadsPage,
  MultipartUploadInfo,
  ObjectErrorCode,
  ObjectInfo,
  ObjectLayer,
  ObjectMetadata,
  ObjectInMemory,
  ObjectRefusal,
  ObjectSnapshot,
  PartInfo,
  SystemRecords,
  Upload,
  UploadOptions,
  VersionListOptions,
  VersionListPage,
  WritePrecondition,
} from './object-layer.js';
import { healObjects, type HealObjectsOptions, type ObjectHealResult } from './object-healer.js';
import { OrphanSweep } from './orphan-sweep.js';
import { LiveRecords } from './live-records.js';
import { Overlay, type OrderedVersion } from './overlay.js';
import { checkPrecondition } from './precondition.js';
import { Readers } from './readers.js';
import { Reclaimer } from './reclaimer.js';
import {
  RecordType,
  decodeEntry,
  decodeUpload,
  documentKindCode,
  encodeBucket,
  encodeBucketDelete,
  encodeBucketDocument,
  encodeMoved,
  encodeObject,
  encodeObjectDelete,
  encodeSystem,
  encodeUpload,
  encodeUploadAbort,
  entryBody,
  markerRecord,
  type ObjectRecord,
  type PartRecord,
  type SystemChange,
  type UploadRecord,
} from './records.js';
import { settleRebuiltIndex } from './rebuilt-index.js';
import { RepairTurns } from './repair-turns.js';
import { Scanner } from './scanner.js';
import { SetRouter, type PlaceHash, type PoolPlace } from './set-router.js';
import { EngineSnapshot, partInfo, uploadParts } from './snapshot.js';
import { inTurns } from './turns.js';
import { EngineUpload, requireUpload } from './upload.js';
import type { ScanStatus, Upkeep, UpkeepSettings, UpkeepStatus } from './upkeep.js';
import { recountBucket } from './usage-check.js';
import type { BucketUsage } from './usage.js';
import { listVersions } from './version-listing.js';
import { isVersionId, nullVersionId, versionIdFor } from './version-id.js';
import { formatVersioning } from './versioning.js';
import {
  currentEtag,
  findVersion,
  isInOrder,
  latestInOrder,
  newestBelow,
  storedVersions,
  versionInOrder,
} from './versions.js';

export interface EngineSet {
  readonly drives: DriveSet;
  readonly dataShards: number;
  readonly parityShards: number;
}

export interface EngineOptions {
  readonly catalog: Catalog;
  readonly compute: Compute;
  readonly slabs: SlabAllocator;
  /** By index. */
  readonly sets: readonly EngineSet[];
  /** Consecutive sets that were added together; all of them in one pool when omitted. */
  readonly pools?: readonly PoolPlace[];
  /** Keyed, for the choice of a set; one set needs none. */
  readonly placeHash?: PlaceHash;
  readonly log: (text: string) => void;
  readonly clock?: Clock;
  /** For bodies that clients read; none when omitted. */
  readonly readCache?: ReadCache | null;
  /** How long dropped bytes stay on the drives, for snapshots that are taken one after the other; not at all when 0. */
  readonly reclaimDelayMs?: number;
}

/** What ties the journal of a set to the engine. */
export type EnginePart = Required<
  Pick<JournalOptions, 'indexPosition' | 'discardIndex' | 'apply' | 'healRecord' | 'newPace' | 'bodies' | 'space'>
>;

/** A move takes as long as a batch; thousands of them in a row would be a set that stands still. */
const moveWaitMs = 2;
const moveAttemptsMax = 5_000;

/** The bucket has got versions since a delete began: nothing may be removed for good. */
class VersionedMeanwhile extends Error {
  override readonly name = 'VersionedMeanwhile';
}

/** In commit order, what a change is about is not there any more. */
class GoneMeanwhile extends Error {
  override readonly name = 'GoneMeanwhile';
}

/** What lay in a bucket that no record knows has one of this name. */
export interface RestoredBucket {
  readonly name: string;
  /** False: the first set takes no writes, or somebody has a bucket of that name. */
  readonly isDone: boolean;
}

interface CompleteOptions {
  readonly bucket: string;
  readonly key: string;
  readonly uploadId: string;
  readonly parts: readonly CompletedPart[];
  readonly precondition: WritePrecondition | null;
  readonly checksum?: Pick<Checksum, 'algorithm' | 'value'> | null;
}

/** Versions of a key among which a repeated completion looks for what the first one made. */
const completionsRemembered = 100;

type CommitFunction = EngineContext['commit'];

/** Buckets, their documents and the records of the server itself lie in the first set. */
const systemSet = 0;

const elsewhereText = 'The drives that this was on its way to have just become full. Others have room; try again.';
const markerFullText =
  'The drives are full, and so is the room that they keep for delete markers. Delete versions by their ids, and try again.';
const systemFullText =
  'The drives of the first set, where buckets, accounts and settings are kept, are full, and so is the room that they ' +
  'keep for these. Delete objects, and try again.';

function sayingWhatIsFull(text: string): (error: unknown) => never {
  return (error) => {
    if (!(error instanceof Refusal) || error.code !== 'XMinioStorageFull') throw error;
    throw new Refusal<ObjectErrorCode>('XMinioStorageFull', text);
  };
}

export class Engine implements ObjectLayer, BucketDocuments, SystemRecords, Upkeep {
  readonly index: IndexState;
  readonly #overlay = new Overlay();
  readonly #readers = new Readers();
  readonly #reclaimer: Reclaimer;
  readonly #repairs: RepairTurns;
  readonly #heal: HealQueue;
  readonly #missingBodies: MissingBodies;
  readonly #bodies = new BodyCache(
    limits.bodyCacheBytesMax,
    limits.cachedBodyBytesMax,
    new WrittenBodies(limits.writtenBodiesBytesMax, limits.writtenBodiesCountMax),
  );
  readonly #openBlobs = new Set<string>();
  /** By set; empty until the engine is started. */
  #journals: readonly Journal[] = [];
  #contexts: readonly EngineContext[] = [];
  readonly #router: SetRouter;
  /**
   * By set: what takes marks of records back whose outcome is open, since their set stopped while it wrote them. Other
   * sets go on, and must not decide as if these had never been.
   */
  readonly #undecided = new Map<number, (() => void)[]>();
  /** Sets that have not taken writes since the start: what their last records were is not final. */
  readonly #provisional = new Set<number>();
  /** Completions under way, by upload: a client that repeats one gets its answer. */
  readonly #completing = new Map<string, Promise<ObjectInfo>>();
  #placementCount = 0;
  #scanner: Scanner | null = null;
  #deferred: DeferredGarbage | null = null;
  /** While an index that was built anew is looked through. */
  #settling: Promise<void> = Promise.resolve();
  #isClosed = false;
  /** Parity of new bodies by storage class; at most half of the set's drives. That of the set unless it is set. */
  parityOf: (storageClass: string, setIndex: number) => number;

  constructor(private readonly options: EngineOptions) {
    const { sets, catalog } = options;
    invariant(sets.length > 0, 'there is a set');
    invariant(
      sets.every(({ drives }, setIndex) => drives.setIndex === setIndex),
      'sets come in their order',
    );
    const drives = sets.map((set) => set.drives);
    this.parityOf = (_storageClass, setIndex) => sets[setIndex]?.parityShards ?? 0;
    this.index = new IndexState(
      catalog,
      drives.map(({ driveCount }) => driveCount),
    );
    const pools = options.pools ?? [{ firstSet: 0, setCount: sets.length }];
    const canGrow = (setIndex: number): boolean => this.#journals[setIndex]?.canGrow !== false;
    this.#router = new SetRouter(this.index, pools, options.placeHash ?? (() => [0, 0]), canGrow);
    this.#repairs = new RepairTurns(options.slabs.view.length);
    this.#reclaimer = new Reclaimer(catalog, drives, options.log, (garbage) => {
      this.index.noteReclaimed(garbage);
    });
    this.#heal = new HealQueue({
      table: new HealTable(catalog),
      sets: drives,
      clock: options.clock ?? systemClock,
      log: options.log,
    });
    this.#missingBodies = new MissingBodies(this.index, this.#heal.table);
    this.index.onDegraded = (setIndex, positions, shardBytes) => {
      this.#missingBodies.committedWithout(setIndex, positions, shardBytes);
      this.#heal.noteDegraded(setIndex, positions);
    };
  }

  #missingBodiesOf(setIndex: number): CatchUpBodies {
    const missing = this.#missingBodies;
    return {
      begin: (position, heldSequence, isShort) => {
        missing.begin(setIndex, position, heldSequence, isShort).catch((error: unknown) => {
          // It is only what is told of the progress.
          const cause = error instanceof Error ? error.message : 'unknown cause';
          this.options.log(`what a drive lacks could not be counted: ${cause}`);
        });
      },
      progress: (position) => missing.progress(setIndex, position),
      end: (position) => {
        missing.end(setIndex, position);
      },
    };
  }

  /** What the journal of a set has to be given. */
  partOf(setIndex: number): EnginePart {
    const { reclaimDelayMs = 0, sets } = this.options;
    const driveCount = sets[setIndex]?.drives.driveCount ?? 0;
    return {
      indexPosition: this.index.position(setIndex),
      discardIndex: () => this.index.discard(),
      apply: this.index.applyOf(setIndex),
      healRecord: (record, position, pace) => healRecord(this.#contextOf(setIndex), record, position, pace),
      newPace: (lanes) => this.#heal.newPacer(Math.min(lanes, this.#repairs.atOnce)),
      bodies: this.#missingBodiesOf(setIndex),
      space: new LiveRecords(this.index, this.#overlay, this.#readers, setIndex, driveCount, reclaimDelayMs),
    };
  }

  /**
   * Once the journals have recovered and replayed: from here on the engine answers. `sweepAfterMs`: when to
   * look for files that no record names; null when records may be missing from the history.
   */
  start(journals: readonly Journal[], sweepAfterMs: number | null = null): void {
    invariant(journals.length === this.options.sets.length, 'every set has its journal');
    this.#journals = journals;
    for (const [setIndex, journal] of journals.entries()) if (!journal.canWrite) this.#provisional.add(setIndex);
    this.#contexts = this.#buildContexts(journals);
    if (this.index.isRebuilding) {
      this.#settling = settleRebuiltIndex(this.index).then(
        () => this.#collect(journals),
        (error: unknown) => {
          // The next start tries again; until then nothing is freed.
          const cause = error instanceof Error ? error.message : 'unknown cause';
          this.options.log(`what the index built anew gives up could not be told: ${cause}`);
        },
      );
    } else {
      this.#collect(journals);
    }
    const context = this.#running(systemSet);
    const journalOf = (setIndex: number): Journal => this.#running(setIndex).journal;
    this.#heal.start({
      blob: (target, positions, pace) => this.#repairs.run(() => repairBlob(context, target, positions, pace)),
      logFile: async (fileNumber, positions, pace) => {
        // Compaction removes no file under a reader.
        const generation = this.#readers.enter();
        try {
          const journal = journalOf(setOfFile(fileNumber));
          return await journal.verifyFile(fileNumberOf(fileNumber), { positions, isRepair: true, pace });
        } finally {
          this.#readers.leave(generation);
        }
      },
      canWrite: (setIndex) => journalOf(setIndex).canWrite,
    });
    if (sweepAfterMs === null) return;
    const { log, slabs, compute } = this.options;
    const sets = this.options.sets.map(({ drives }) => drives);
    const epochOf = (setIndex: number): number => journalOf(setIndex).epoch;
    const isInRepair = (name: string): boolean => this.#heal.isBusy(name);
    const isOpen = (name: string): boolean => this.#openBlobs.has(name);
    this.#scanner = new Scanner({
      index: this.index,
      journals,
      sets,
      slabs,
      compute,
      heal: this.#heal,
      readers: this.#readers,
      reclaimer: this.#reclaimer,
      sweep: new OrphanSweep({ index: this.index, sets, epochOf, log, isInRepair, isOpen }),
      clock: this.options.clock ?? systemClock,
      log,
    });
    this.#scanner.start(sweepAfterMs);
  }

  #collect(journals: readonly Journal[]): void {
    if (this.#isClosed) return;
    const { reclaimDelayMs = 0, clock = systemClock } = this.options;
    if (reclaimDelayMs === 0) {
      this.index.onGarbage = this.#reclaimer.add;
      this.#reclaimer.add(this.index.pendingGarbage());
      return;
    }
    const latest = (Math.max(...journals.map((journal) => journal.health().sequence)) + 1) * 65_536;
    this.#deferred = new DeferredGarbage(this.index, reclaimDelayMs, clock, this.#reclaimer.add, latest);
    this.index.onGarbage = this.#deferred.add;
    this.#deferred.start();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#settling;
    this.#deferred?.close();
    await this.#scanner?.close();
    this.#missingBodies.close();
    await this.#heal.close();
    await this.#reclaimer.close();
  }

  // ---- buckets ----

  async createBucket(name: string, options: { region: string }): Promise<BucketInfo> {
    let info: BucketInfo | null = null;
    await this.#commit(({ order, timeMs }, onSettled) => {
      if (this.#bucketIdInOrder(name) !== null) {
        throw new Refusal<ObjectErrorCode>('BucketAlreadyOwnedByYou', undefined, { BucketName: name });
      }
      info = { name, region: options.region, createdMs: timeMs };
      onSettled(this.#overlay.setBucket(name, { order, bucketId: order }));
      return { type: RecordType.bucketCreate, body: encodeBucket(info), slots: null };
    });
    invariant(info !== null, 'a committed record was prepared');
    return info;
  }

  bucket(name: string): BucketInfo {
    return this.#bucket(name).info;
  }

  listBuckets(): BucketInfo[] {
    const names = [...this.index.buckets.values()].map(({ info }) => info);
    return names.sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /**
   * Gives what lies in buckets that no record knows buckets of its own, before the engine has clients. Where it has had
   * versions they are enabled, so that nothing of it gets lost by being written or deleted.
   */
  async restoreBuckets(): Promise<readonly RestoredBucket[]> {
    const restored: RestoredBucket[] = [];
    for (const bucketId of lostBuckets(this.index)) {
      const name = restoredName(bucketId);
      const { log } = this.options;
      if (this.#journals[systemSet]?.canWrite !== true || this.index.buckets.has(name)) {
        restored.push({ name, isDone: false });
        continue;
      }
      await recountBucket(this.index, name, bucketId, { pace: () => Promise.resolve(), isOver: () => false, log });
      // Before the bucket: a start that ends in between does both again.
      if (isVersioned(this.index, bucketId)) {
        const text = formatVersioning({ status: 'Enabled', excludedPrefixes: [], excludesFolders: false });
        await this.#commit(({ timeMs }) => {
          const body = encodeBucketDocument({ bucketId, kind: 'versioning', updatedMs: timeMs, text });
          return { type: RecordType.bucketDocument, body, slots: null };
        });
      }
      await this.#commit(({ timeMs }) => {
        const body = encodeBucket({ name, region: '', createdMs: timeMs });
        // As if it had been moved: the bucket keeps its id, which what lies in it names.
        const moved = encodeMoved({ type: RecordType.bucketCreate, order: bucketId, body });
        return { type: RecordType.moved, body: moved, slots: null };
      });
      restored.push({ name, isDone: true });
    }
    return restored;
  }

  async deleteBucket(name: string): Promise<void> {
    this.#bucket(name);
    // It would rely on an absence in every set.
    if (this.#journals.some((journal) => !journal.canWrite)) throw new Refusal<ObjectErrorCode>('SlowDownWrite');
    let isFilling = false;
    const prepare: DecideRecord = ({ order }, onSettled) => {
      const bucketId = this.#bucketIdInOrder(name);
      if (bucketId === null) throw new Refusal<ObjectErrorCode>('NoSuchBucket', undefined, { BucketName: name });
      isFilling = this.#overlay.isFilling(bucketId);
      const isEmpty =
        !isFilling &&
        this.#hasNone(objectPrefix(bucketId)) &&
        this.#hasNone(versionsPrefix(bucketId, '')) &&
        this.#hasNone(uploadPrefix(bucketId, ''));
      if (!isEmpty) throw new Refusal<ObjectErrorCode>('BucketNotEmpty', undefined, { BucketName: name });
      onSettled(this.#overlay.setBucket(name, { order, bucketId: null }));
      return { type: RecordType.bucketDelete, body: encodeBucketDelete({ bucketId, name }), slots: null };
    };
    try {
      await this.#commit(prepare, 'free');
    } catch (error) {
      // What is on its way into it may be so in any set: nobody hears of it before it is durable there.
      if (isFilling) await Promise.all(this.#journals.map((journal) => journal.settled()));
      throw error;
    }
  }

  versioning(bucket: string): BucketVersioning {
    return this.index.versioning(this.#bucket(bucket).bucketId);
  }

  async setVersioning(bucket: string, versioning: BucketVersioning): Promise<void> {
    await this.setBucketDocument(bucket, 'versioning', formatVersioning(versioning));
  }

  bucketDocument(bucket: string, kind: BucketDocumentKind): BucketDocument | null {
    return this.index.document(this.#bucket(bucket).bucketId, kind);
  }

  async setBucketDocument(bucket: string, kind: BucketDocumentKind, text: string | null): Promise<void> {
    const { bucketId } = this.#bucket(bucket);
    await this.#commit(
      ({ timeMs }, onSettled) => {
        if (this.#bucketIdInOrder(bucket) !== bucketId) {
          throw new Refusal<ObjectErrorCode>('NoSuchBucket', undefined, { BucketName: bucket });
        }
        onSettled(this.#overlay.touch([documentKey(bucketId, documentKindCode(kind))]));
        const body = encodeBucketDocument({ bucketId, kind, updatedMs: timeMs, text });
        return { type: RecordType.bucketDocument, body, slots: null };
      },
      text === null ? 'free' : 'system',
    );
    // What other sets have decided as the bucket was before would show behind this answer. One that has stopped decides
    // when it starts again.
    if (kind === 'versioning') await Promise.allSettled(this.#journals.map((journal) => journal.settled()));
  }

  // ---- records of the server itself ----

  systemRecord(name: string): Uint8Array | null {
    const value = this.index.catalog.get(systemKey(name));
    return value === undefined ? null : Uint8Array.from(entryBody(value));
  }

  systemRecords(prefix: string, visit: (name: string, value: Uint8Array) => void): void {
    const start = systemKey(prefix);
    for (const { key, value } of this.index.catalog.range({ start, end: successor(start) })) {
      visit(nameOfSystemKey(key), new Uint8Array(entryBody(value)));
    }
  }

  async writeSystemRecords(changes: readonly SystemChange[]): Promise<void> {
    if (changes.length === 0) return;
    const names = new Set(changes.map(({ name }) => name));
    invariant(names.size === changes.length, 'a system record is changed once at a time');
    for (const name of names) {
      const bytes = Buffer.byteLength(name);
      invariant(
        bytes > 0 && bytes <= limits.systemRecordNameBytesMax,
        'the name of a system record is within its bound',
      );
    }
    const body = encodeSystem({ changes });
    invariant(body.length <= limits.systemChangeBytesMax, 'changes of system records are within their bound');
    const isRemoval = changes.every(({ value }) => value === null);
    const keys = [...names].map(systemKey);
    await this.#commit(
      (_, onSettled) => {
        onSettled(this.#overlay.touch(keys));
        return { type: RecordType.systemWrite, body, slots: null };
      },
      isRemoval ? 'free' : 'system',
    );
  }

  // ---- objects ----

  openUpload(options: UploadOptions): Upload {
    const bucket = this.#bucket(options.bucket);
    const context = this.#running(this.#setOf(options.bucket, bucket.bucketId, options.key));
    if (!context.journal.canWrite) throw new Refusal<ObjectErrorCode>('SlowDownWrite');
    return new EngineUpload(context, bucket, options);
  }

  open(bucket: string, key: string, versionId: string): ObjectSnapshot {
    return new EngineSnapshot(this.#running(), this.#load(bucket, key, versionId));
  }

  head(bucket: string, key: string, versionId: string): ObjectInfo {
    return this.#load(bucket, key, versionId).info;
  }

  inMemory(bucket: string, key: string): ObjectInMemory | null {
    const latest = this.index.latest(this.#bucket(bucket), key);
    if (latest === null) return null;
    if (latest.body === null || latest.body.bytes === null) {
      const { placement } = latest.record;
      latest.body = placement.kind === 'slots' ? this.#bodies.find(placement.id) : null;
      if (latest.body === null) return null;
    }
    const bytes = this.#bodies.use(latest.body);
    return bytes === null ? null : { info: latest.info, bytes };
  }

  async deleteObject(
    bucket: string,
    key: string,
    versionId: string,
    precondition: WritePrecondition | null,
  ): Promise<DeleteOutcome> {
    const { bucketId } = this.#bucket(bucket);
    if (versionId !== '') return this.#endVersion(bucket, bucketId, key, versionId, precondition);
    if (this.index.writeMode(bucketId, key) === 'unversioned') {
      try {
        return await this.#removeLatest(bucket, bucketId, key, precondition);
      } catch (error) {
        if (!(error instanceof VersionedMeanwhile)) throw error;
      }
    }
    return this.#putMarker(bucket, key, precondition);
  }

  async #removeLatest(
    bucket: string,
    bucketId: number,
    key: string,
    precondition: WritePrecondition | null,
  ): Promise<DeleteOutcome> {
    const isAbsent =
      this.#overlay.object(bucketId, key) === undefined &&
      this.index.catalog.get(objectKey(bucketId, key)) === undefined;
    if (isAbsent) {
      this.#requireDecided(bucket, bucketId, key);
      checkPrecondition(precondition, null, key);
      return { versionId: null, isMarker: false };
    }
    await this.#remove(bucket, bucketId, key, precondition, () => {
      if (this.index.writeMode(bucketId, key) !== 'unversioned') throw new VersionedMeanwhile();
      const latest = latestInOrder(this.#running(), bucketId, key);
      return latest?.etag === null ? null : latest;
    });
    return { versionId: null, isMarker: false };
  }

  async #endVersion(
    bucket: string,
    bucketId: number,
    key: string,
    versionId: string,
    precondition: WritePrecondition | null,
  ): Promise<DeleteOutcome> {
    if (!isVersionId(versionId)) {
      throw new Refusal<ObjectErrorCode>('NoSuchVersion', undefined, { Key: key, VersionId: versionId });
    }
    const find = () => versionInOrder(this.#running(), bucketId, key, versionId);
    if (find() === null) {
      this.#requireDecided(bucket, bucketId, key);
      checkPrecondition(precondition, null, key);
      // What has ended it may be on its way: nobody hears of it before it is durable.
      if (this.#overlay.object(bucketId, key) !== undefined) await this.#settled(bucket, bucketId, key);
      return { versionId, isMarker: false };
    }
    const ended = await this.#remove(bucket, bucketId, key, precondition, find);
    return { versionId, isMarker: ended !== null && ended.etag === null };
  }

  /** Ends the version that is found in commit order. Null: somebody else's delete came first. */
  async #remove(
    bucket: string,
    bucketId: number,
    key: string,
    precondition: WritePrecondition | null,
    find: () => OrderedVersion | null,
  ): Promise<OrderedVersion | null> {
    let ended: OrderedVersion | null = null;
    try {
      await this.#commitKey(bucket, bucketId, key, 'free', ({ order }, onSettled) => {
        ended = find();
        checkPrecondition(precondition, ended?.etag ?? null, key);
        if (ended === null) throw new GoneMeanwhile();
        onSettled(this.#overlay.removeVersion(bucketId, key, order, ended.order));
        const body = encodeObjectDelete({ bucketId, key, order: ended.order });
        return { type: RecordType.objectDelete, body, slots: null };
      });
    } catch (error) {
      if (!(error instanceof GoneMeanwhile)) throw error;
    }
    return ended;
  }

  /** What was decided before in this set, and about buckets, is durable. */
  async #settledFor(journal: Journal): Promise<void> {
    const { journal: ofBuckets } = this.#running(systemSet);
    await Promise.all([journal.settled(), ofBuckets === journal ? undefined : ofBuckets.settled()]);
  }

  /** What was decided about the key before is durable. */
  #settled(bucket: string, bucketId: number, key: string): Promise<void> {
    return this.#running(this.#setOf(bucket, bucketId, key)).journal.settled();
  }

  async #putMarker(bucket: string, key: string, precondition: WritePrecondition | null): Promise<DeleteOutcome> {
    const { bucketId } = this.#bucket(bucket);
    const mode = this.index.writeMode(bucketId, key);
    let versionId = '';
    // A null version, which a null marker replaces, gives its room back; other markers only take some.
    const isReplacing = mode === 'suspended' && findVersion(this.index, bucketId, key, nullVersionId) !== null;
    const purpose = isReplacing ? 'free' : 'marker';
    const prepare: DecideRecord = ({ order, timeMs }, onSettled) => {
      if (this.#bucketIdInOrder(bucket) !== bucketId) {
        throw new Refusal<ObjectErrorCode>('NoSuchBucket', undefined, { BucketName: bucket });
      }
      if (precondition !== null) checkPrecondition(precondition, currentEtag(this.#running(), bucketId, key), key);
      // In commit order, as for any other version: it may have changed since the request came.
      versionId = versionIdFor(this.index.writeMode(bucketId, key), order);
      onSettled(this.#overlay.putVersion(bucketId, key, { order, versionId, etag: null }));
      const body = encodeObject(markerRecord({ bucketId, key, versionId, modifiedMs: timeMs }), false);
      return { type: RecordType.objectPut, body, slots: null };
    };
    await this.#commitKey(bucket, bucketId, key, purpose, prepare).catch(sayingWhatIsFull(markerFullText));
    return { versionId, isMarker: true };
  }

  /** A write that was left open when the set stopped may yet appear: nobody may rely on an absence until then. */
  #requireDecided(bucket: string, bucketId: number, key: string): void {
    const { journal } = this.#running(this.#setOf(bucket, bucketId, key));
    if (!journal.canWrite) throw new Refusal<ObjectErrorCode>('SlowDownWrite');
  }

  async replaceMetadata(
    snapshot: ObjectSnapshot,
    metadata: ObjectMetadata,
    precondition: WritePrecondition | null,
  ): Promise<ObjectInfo | null> {
    invariant(snapshot instanceof EngineSnapshot, 'a snapshot of this layer');
    const { bucket, key } = snapshot.info;
    const { bucketId, etag, versionId: sourceId } = snapshot.record;
    const source = { order: snapshot.entry.order, versionId: sourceId, etag };
    const places = [objectKey(bucketId, key), versionKey(bucketId, key, source.order)];
    let stored: ObjectRecord | null = null;
    const prepare: DecideRecord = ({ order, timeMs }, onSettled) => {
      // The bytes of a version that has gone meanwhile are about to be unlinked.
      if (!isInOrder(this.#running(), bucketId, key, source)) throw new GoneMeanwhile();
      if (precondition !== null) checkPrecondition(precondition, currentEtag(this.#running(), bucketId, key), key);
      if (places.some((at) => this.#overlay.isMoving(at))) throw new RecordChanged();
      // Compaction may have moved the slots since the snapshot was opened.
      const { placement } = this.#load(bucket, key, sourceId).record;
      const versionId = versionIdFor(this.index.writeMode(bucketId, key), order);
      const { dataOrder } = snapshot;
      stored = { ...snapshot.record, versionId, placement, metadata, modifiedMs: timeMs, dataOrder };
      onSettled(this.#overlay.putVersion(bucketId, key, { order, versionId, etag }));
      return { type: RecordType.objectPut, body: encodeObject(stored, false), slots: null };
    };
    try {
      await this.#commitOnceStill(bucket, bucketId, key, prepare);
    } catch (error) {
      if (error instanceof GoneMeanwhile) return null;
      throw error;
    }
    invariant(stored !== null, 'a committed record was prepared');
    return objectInfo(bucket, stored);
  }

  /** Repeats a commit that met compaction in the middle of moving what it refers to: a batch later it is done. */
  async #commitOnceStill(bucket: string, bucketId: number, key: string, prepare: DecideRecord): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        await this.#commitKey(bucket, bucketId, key, 'grow', prepare);
        return;
      } catch (error) {
        if (!(error instanceof RecordChanged) || attempt === moveAttemptsMax) throw error;
        await new Promise((resolve) => setTimeout(resolve, moveWaitMs));
      }
    }
  }

  list(options: ListOptions): Promise<ListPage> {
    return inTurns((turn) => listObjects(this.index.catalog, this.#bucket(options.bucket).bucketId, options, turn));
  }

  listVersions(options: VersionListOptions): Promise<VersionListPage> {
    return inTurns((turn) => listVersions(this.index, this.#bucket(options.bucket).bucketId, options, turn));
  }

  // ---- multipart ----

  async createMultipartUpload(options: {
    bucket: string;
    key: string;
    metadata: ObjectMetadata;
    checksumAlgorithm: ChecksumAlgorithm | null;
    checksumType: 'FULL_OBJECT' | 'COMPOSITE' | null;
  }): Promise<MultipartUploadInfo> {
    const { bucketId } = this.#bucket(options.bucket);
    let upload: UploadRecord | null = null;
    await this.#commitKey(options.bucket, bucketId, options.key, 'grow', ({ order, timeMs }, onSettled) => {
      if (this.#bucketIdInOrder(options.bucket) !== bucketId) {
        throw new Refusal<ObjectErrorCode>('NoSuchBucket', undefined, { BucketName: options.bucket });
      }
      // Ids of one key sort by their beginning, which is the order that S3 lists them in.
      const uploadId = order.toString(16).padStart(16, '0') + randomBytes(8).toString('hex');
      upload = { ...options, bucketId, uploadId, initiatedMs: timeMs };
      onSettled(this.#overlay.setUpload(bucketId, uploadId, { order, isGone: false }));
      return { type: RecordType.uploadCreate, body: encodeUpload(upload), slots: null };
    });
    invariant(upload !== null, 'a committed record was prepared');
    return uploadInfo(options.bucket, upload);
  }

  multipartUpload(bucket: string, key: string, uploadId: string): MultipartUploadInfo {
    return uploadInfo(bucket, this.#upload(bucket, key, uploadId));
  }

  listParts(
    bucket: string,
    key: string,
    uploadId: string,
    partNumberMarker: number,
    countMax: number,
  ): { parts: PartInfo[]; isTruncated: boolean } {
    this.#upload(bucket, key, uploadId);
    const parts: PartInfo[] = [];
    for (const part of uploadParts(this.#running(), uploadId, partNumberMarker)) {
      if (parts.length === countMax) return { parts, isTruncated: true };
      parts.push(partInfo(part));
    }
    return { parts, isTruncated: false };
  }

  listUploads(options: {
    bucket: string;
    prefix: string;
    delimiter: string;
    keyMarker: string;
    uploadIdMarker: string;
    countMax: number;
  }): Promise<ListUploadsPage> {
    const { bucket } = options;
    return inTurns((turn) => listUploads(this.index.catalog, this.#bucket(bucket).bucketId, bucket, options, turn));
  }

  async completeMultipartUpload(options: CompleteOptions): Promise<ObjectInfo> {
    const { bucket, key, uploadId } = options;
    const id = `${uploadId} ${bucket}/${key}`;
    for (let first = this.#completing.get(id); first !== undefined; first = this.#completing.get(id)) {
      const info = await first.catch(() => null);
      if (info !== null) return info;
      if (this.#completing.get(id) === first) this.#completing.delete(id);
    }
    const completion = this.#complete(options);
    this.#completing.set(id, completion);
    try {
      return await completion;
    } finally {
      if (this.#completing.get(id) === completion) this.#completing.delete(id);
    }
  }

  async #complete(options: CompleteOptions): Promise<ObjectInfo> {
    const { bucket, key, uploadId } = options;
    const { bucketId } = this.#bucket(bucket);
    const repeated = this.#completedBefore(bucket, key, uploadId);
    if (repeated !== null) return repeated;
    const upload = this.#upload(bucket, key, uploadId);
    let stored: ObjectRecord | null = null;
    await this.#commitKey(bucket, bucketId, key, 'grow', ({ order, timeMs }, onSettled) => {
      requireUpload(this.#running(), bucketId, key, uploadId);
      checkPrecondition(options.precondition, currentEtag(this.#running(), bucketId, key), key);
      // In commit order: a part may have been replaced a moment ago.
      const assembled = this.#assemble(upload, options.parts);
      requireChecksum(assembled.checksum, options.checksum ?? null);
      const versionId = versionIdFor(this.index.writeMode(bucketId, key), order);
      stored = {
        bucketId,
        key,
        versionId,
        isMarker: false,
        bytes: assembled.bytes,
        modifiedMs: timeMs,
        etag: assembled.etag,
        checksum: assembled.checksum,
        metadata: upload.metadata,
        dataOrder: 0,
        placement: { kind: 'none' },
        multipart: { uploadId, parts: assembled.parts },
      };
      const undoObject = this.#overlay.putVersion(bucketId, key, { order, versionId, etag: assembled.etag });
      const undoUpload = this.#overlay.setUpload(bucketId, uploadId, { order, isGone: true });
      onSettled(() => {
        undoObject();
        undoUpload();
      });
      return { type: RecordType.objectPut, body: encodeObject(stored, false), slots: null };
    });
    invariant(stored !== null, 'a committed record was prepared');
    return objectInfo(bucket, stored);
  }

  async abortMultipartUpload(bucket: string, key: string, uploadId: string): Promise<void> {
    const { bucketId } = this.#upload(bucket, key, uploadId);
    await this.#commitKey(bucket, bucketId, key, 'free', ({ order }, onSettled) => {
      requireUpload(this.#running(), bucketId, key, uploadId);
      onSettled(this.#overlay.setUpload(bucketId, uploadId, { order, isGone: true }));
      return { type: RecordType.uploadAbort, body: encodeUploadAbort({ bucketId, key, uploadId }), slots: null };
    });
  }

  /** Throws NoSuchBucket. */
  bucketUsage(bucket: string): BucketUsage {
    return this.index.usage(this.#bucket(bucket).bucketId);
  }

  /** Verifies and repairs the objects below a prefix, one by one. Throws NoSuchBucket. */
  healObjects(options: Omit<HealObjectsOptions, 'bucketId'>): AsyncGenerator<ObjectHealResult, void, void> {
    const { bucketId } = this.#bucket(options.bucket);
    return healObjects(this.#running(), { ...options, bucketId });
  }

  /** Of log files that have lost something, with the drives: they are repaired beside serving. */
  repairLogFiles(setIndex: number, files: readonly { readonly position: number; readonly fileNumber: number }[]): void {
    for (const { position, fileNumber } of files) {
      this.#heal.report({ kind: 'log', fileNumber: fileId(setIndex, fileNumber) }, position);
    }
  }

  repairNow(): void {
    this.#heal.passNow();
  }

  scanNow(): void {
    this.#scanner?.scanNow();
  }

  /** Resolves when everything was verified once from now on, and what is damaged was tried to be repaired. */
  async upkeepDone(): Promise<void> {
    await this.#scanner?.cycleDone();
    await this.#heal.passDone();
  }

  setUpkeep(settings: UpkeepSettings): void {
    this.#heal.setPace(settings.heal);
    this.#scanner?.configure(settings.scan);
  }

  upkeepStatus(): UpkeepStatus {
    const none: ScanStatus = { phase: 'idle', cycles: 0, current: null, last: null };
    return { heal: this.#heal.status(), scan: this.#scanner?.status() ?? none };
  }

  /** Of all sets together. */
  health(): { readonly canRead: boolean; readonly canWrite: boolean } {
    const health = this.#journals.map((journal) => journal.health());
    if (health.length === 0) return { canRead: false, canWrite: false };
    return { canRead: health.every(({ canRead }) => canRead), canWrite: health.every(({ canWrite }) => canWrite) };
  }

  /** Free bytes of each set: new keys go to the pools where there is space. */
  setSetWeights(weights: readonly number[]): void {
    this.#router.setWeights(weights);
  }

  // ---- inside ----

  #running(setIndex = systemSet): EngineContext {
    const context = this.#contexts[setIndex];
    invariant(context !== undefined, 'the engine was started');
    return context;
  }

  /** Catch-up may begin before the journals are handed over; it commits nothing. */
  #contextOf(setIndex: number): EngineContext {
    const context = this.#contexts[setIndex] ?? this.#buildContexts([])[setIndex];
    invariant(context !== undefined, 'the set is there');
    return context;
  }

  #buildContexts(journals: readonly Journal[]): EngineContext[] {
    const contexts: EngineContext[] = [];
    const of = (setIndex: number): EngineContext => {
      const context = contexts[setIndex];
      invariant(context !== undefined, 'the set is there');
      return context;
    };
    for (const set of this.options.sets) contexts.push(this.#buildContext(set, journals[contexts.length] ?? null, of));
    return contexts;
  }

  #buildContext(
    { drives: set, dataShards, parityShards }: EngineSet,
    journal: Journal | null,
    of: EngineContext['of'],
  ): EngineContext {
    const { compute, slabs, log } = this.options;
    const { setIndex } = set;
    // No async function: on the way of every small body, what its machinery costs can be seen.
    const commit: CommitFunction = (prepare, purpose) => {
      const undos: (() => void)[] = [];
      const onSettled = (undo: () => void): void => {
        undos.push(undo);
      };
      invariant(journal !== null, 'the engine was started');
      this.#settleDecided();
      let isRelying = false;
      const decide = (context: CommitContext): PreparedRecord => {
        const found = this.#overlay.found;
        try {
          return prepare(context, onSettled);
        } catch (error) {
          isRelying = this.#overlay.found !== found;
          throw error;
        }
      };
      return journal.commit(decide, purpose).then(
        (record) => {
          for (const undo of undos) undo();
          return record;
        },
        (error: unknown) => {
          if (this.#isOpen(error)) this.#keepMarks(setIndex, undos);
          else for (const undo of undos) undo();
          if (!isRelying) throw error;
          // Refused for what is on its way, such as a second abort of an upload: nobody hears of that before it is
          // durable.
          return this.#settledFor(journal).then(() => {
            throw error;
          });
        },
      );
    };
    return {
      setIndex,
      of,
      compute,
      slabs,
      set,
      get journal(): Journal {
        invariant(journal !== null, 'the engine was started');
        return journal;
      },
      index: this.index,
      overlay: this.#overlay,
      reclaimer: this.#reclaimer,
      readers: this.#readers,
      repairs: this.#repairs,
      heal: this.#heal,
      missingBodies: this.#missingBodies,
      bodies: this.#bodies,
      readCache: this.options.readCache ?? null,
      openBlobs: this.#openBlobs,
      dataShards,
      parityShards,
      overflow: { bytes: 0 },
      claim: (bucketId, key, onSettled) => {
        const release = this.#router.claim(bucketId, key, setIndex);
        if (release !== null) onSettled(release);
      },
      whenFull: (refusal, { bucket, bucketId, key }) => {
        if (refusal.code !== 'XMinioStorageFull') return refusal;
        this.#router.noteFull(setIndex);
        const isElsewhere = this.#router.setOf(bucket, bucketId, key) !== setIndex;
        return isElsewhere ? new Refusal<ObjectErrorCode>('SlowDownWrite', elsewhereText) : refusal;
      },
      newPlacement: (storageClass, isBlob) => {
        const low = this.#placementCount++;
        const driveCount = dataShards + parityShards;
        const rotation = low % driveCount;
        const parity = this.#parityFor(set, parityShards, storageClass, isBlob);
        // The set opens an epoch of its own before it takes writes, at the start or later, so ids never come back.
        const high = highOf(setIndex, journal?.epoch ?? 0);
        return { id: { high, low }, geometry: { dataShards: driveCount - parity, parityShards: parity, rotation } };
      },
      commit,
      reportDamage: (owner, placement, shardIndex) => {
        if (placement.kind !== 'blob' && placement.kind !== 'slots') return;
        const position = positionOfShard(placement.geometry, shardIndex);
        const target: HealTarget =
          placement.kind === 'blob'
            ? { kind: 'blob', name: blobName(placement.id), owner }
            : { kind: 'log', fileNumber: placement.fileNumber };
        // One that is out has nothing wrong with it: it was not there, and is brought up to date.
        if (!this.#heal.report(target, position) || !set.inSync().includes(position)) return;
        const { high, low } = placement.id;
        const name = this.#nameOf(owner) ?? `body ${high}-${low}`;
        log(`a shard of ${name} is missing or damaged on drive ${position + 1}: it was read around`);
      },
    };
  }

  /** Bucket and key of the object that has a body. */
  #nameOf(owner: Buffer): string | null {
    const found = ownerOf(this.index.catalog, owner);
    if (found === null) return null;
    for (const [bucket, { bucketId }] of this.index.buckets) {
      if (bucketId === found.bucketId) return `${bucket}/${found.key}`;
    }
    return null;
  }

  /**
   * A batch of the log is acknowledged by as few drives as the set's own parity allows: bodies that lie in it
   * never get less. Files of a body count for themselves; with drives away they get the set's parity, too.
   */
  #parityFor(set: DriveSet, parityShards: number, storageClass: string, isBlob: boolean): number {
    const asked = this.parityOf(storageClass, set.setIndex);
    invariant(asked >= 0 && 2 * asked <= set.driveCount, 'parity is at most half of the drives');
    if (asked >= parityShards) return asked;
    if (!isBlob) return parityShards;
    const needed = writeQuorum(set.driveCount - asked, asked);
    return set.inSync().length >= needed ? asked : parityShards;
  }

  /** Of a bucket, or of the server itself. */
  #commit(prepare: DecideRecord, purpose: 'system' | 'free' = 'system'): Promise<LogRecord> {
    return this.#running(systemSet).commit(prepare, purpose).catch(sayingWhatIsFull(systemFullText));
  }

  /** Of a key: in the set that it lies in, or is to lie in. */
  #commitKey(
    bucket: string,
    bucketId: number,
    key: string,
    purpose: CommitPurpose,
    prepare: DecideRecord,
  ): Promise<LogRecord> {
    const context = this.#running(this.#setOf(bucket, bucketId, key));
    const decide: DecideRecord = (commit, onSettled) => {
      context.claim(bucketId, key, onSettled);
      return prepare(commit, onSettled);
    };
    const committed = context.commit(decide, purpose);
    if (purpose === 'free') return committed;
    return committed.catch((error: unknown) => {
      throw error instanceof Refusal ? context.whenFull(error as ObjectRefusal, { bucket, bucketId, key }) : error;
    });
  }

  #setOf(bucket: string, bucketId: number, key: string): number {
    const isAnyOpen = this.#provisional.size > 0 && !this.#areAllFinal();
    return this.#router.setOf(bucket, bucketId, key, isAnyOpen);
  }

  #areAllFinal(): boolean {
    for (const setIndex of this.#provisional) {
      if (this.#journals[setIndex]?.canWrite === true) this.#provisional.delete(setIndex);
    }
    return this.#provisional.size === 0;
  }

  /** Whether a commit that failed like this may yet turn out to have happened, when its set starts again. */
  #isOpen(error: unknown): boolean {
    return this.options.sets.length > 1 && error instanceof Refusal && error.code === 'SlowDownWrite';
  }

  #keepMarks(setIndex: number, undos: readonly (() => void)[]): void {
    if (undos.length === 0) return;
    const kept = this.#undecided.get(setIndex) ?? [];
    this.#undecided.set(setIndex, kept);
    kept.push(...undos);
  }

  /** A set that takes writes again has decided, and the index shows it. */
  #settleDecided(): void {
    if (this.#undecided.size === 0) return;
    for (const [setIndex, undos] of this.#undecided) {
      if (this.#journals[setIndex]?.canWrite !== true) continue;
      this.#undecided.delete(setIndex);
      for (const undo of undos) undo();
    }
  }

  #bucket(name: string): BucketState {
    const bucket = this.index.buckets.get(name);
    if (bucket === undefined) throw new Refusal<ObjectErrorCode>('NoSuchBucket', undefined, { BucketName: name });
    return bucket;
  }

  #bucketIdInOrder(name: string): number | null {
    const pending = this.#overlay.bucket(name);
    return pending === undefined ? (this.index.buckets.get(name)?.bucketId ?? null) : pending.bucketId;
  }

  #load(bucket: string, key: string, versionId: string): LatestObject {
    const state = this.#bucket(bucket);
    if (versionId !== '') return latestObject(bucket, this.#loadVersion(state.bucketId, key, versionId));
    const latest = this.index.latest(state, key);
    if (latest === null) throw this.#absence(state.bucketId, key);
    return latest;
  }

  #absence(bucketId: number, key: string): Refusal {
    const newest = this.index.hasVersions(bucketId) ? newestBelow(this.index.catalog, bucketId, key) : null;
    if (newest?.record.isMarker === true) return new DeletedByMarker('NoSuchKey', newest.record);
    return new Refusal<ObjectErrorCode>('NoSuchKey', undefined, { Key: key });
  }

  #loadVersion(bucketId: number, key: string, versionId: string): StoredObject {
    const version = findVersion(this.index, bucketId, key, versionId);
    if (version === null) {
      throw new Refusal<ObjectErrorCode>('NoSuchVersion', undefined, { Key: key, VersionId: versionId });
    }
    if (version.record.isMarker) throw new DeletedByMarker('MethodNotAllowed', version.record);
    return { entry: decodeEntry(version.entry), record: version.record };
  }

  #upload(bucket: string, key: string, uploadId: string): UploadRecord {
    const { bucketId } = this.#bucket(bucket);
    const isId = /^[0-9a-f]{32}$/.test(uploadId);
    const value = isId ? this.index.catalog.get(uploadKey(bucketId, key, uploadId)) : undefined;
    if (value === undefined) throw new Refusal<ObjectErrorCode>('NoSuchUpload', undefined, { UploadId: uploadId });
    return decodeUpload(decodeEntry(value).body);
  }

  #assemble(upload: UploadRecord, listed: readonly CompletedPart[]): AssembledObject {
    const stored = new Map<number, PartRecord>();
    for (const part of uploadParts(this.#running(), upload.uploadId, 0)) stored.set(part.partNumber, part);
    for (const part of this.#overlay.parts(upload.uploadId)) stored.set(part.partNumber, part);
    return assemble(this.options.compute, upload, stored, listed);
  }

  /** A repeated completion after a lost answer: the same answer. */
  #completedBefore(bucket: string, key: string, uploadId: string): ObjectInfo | null {
    const { bucketId } = this.#bucket(bucket);
    let looked = 0;
    for (const version of storedVersions(this.index.catalog, bucketId, key)) {
      if (version.record.multipart?.uploadId === uploadId) {
        return objectInfo(bucket, version.record);
      }
      if (++looked === completionsRemembered) break;
    }
    return null;
  }

  #hasNone(prefix: Buffer): boolean {
    for (const entry of this.index.catalog.range({ start: prefix, end: successor(prefix), limit: 1 })) {
      invariant(entry.key.length > 0, 'an index entry has a key');
      return false;
    }
    return true;
  }
}
