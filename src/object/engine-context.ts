/** What the parts of the engine share. Built once, by the engine. */
import type { SlabAllocator } from '../base/index.js';
import type { Compute, DriveSet, Geometry, Placement, PlacementId, ReadCache } from '../erasure/index.js';
import type { CommitContext, CommitPurpose, Journal, LogRecord, PreparedRecord } from '../journal/index.js';
import type { BodyCache } from './body-cache.js';
import type { HealQueue } from './heal-queue.js';
import type { MissingBodies } from './missing-bodies.js';
import type { IndexState } from './index-state.js';
import type { ObjectRefusal } from './object-layer.js';
import type { Overlay } from './overlay.js';
import type { Readers } from './readers.js';
import type { Reclaimer } from './reclaimer.js';
import type { RepairTurns } from './repair-turns.js';

/** Decides in commit order what is written, and hands over what takes its mark in the overlay back. */
export type DecideRecord = (context: CommitContext, onSettled: (undo: () => void) => void) => PreparedRecord;

/** One for each set: what is of the set, and what all of them share. */
export interface KeyPlace {
  readonly bucket: string;
  readonly bucketId: number;
  readonly key: string;
}

export interface EngineContext {
  readonly setIndex: number;
  /** That of another set. */
  of(setIndex: number): EngineContext;
  readonly compute: Compute;
  readonly slabs: SlabAllocator;
  readonly set: DriveSet;
  readonly journal: Journal;
  readonly index: IndexState;
  readonly overlay: Overlay;
  readonly reclaimer: Reclaimer;
  readonly readers: Readers;
  readonly repairs: RepairTurns;
  readonly bodies: BodyCache;
  /** Of bodies that are longer than those in `bodies`. */
  readonly readCache: ReadCache | null;
  /**
   * Names of blobs whose record is on its way: of uploads under way, and of those whose record was handed to a set that
   * stopped, which stay until the next start. No record names their files yet, and they are no leftovers.
   */
  readonly openBlobs: Set<string>;
  readonly dataShards: number;
  readonly parityShards: number;
  /** Bytes held outside slabs because none was free, over all uploads. */
  readonly overflow: { bytes: number };
  /**
   * In commit order: what is written of the key is written in this set. Throws SlowDownWrite when it has come to lie
   * in another.
   */
  claim(bucketId: number, key: string, onSettled: (undo: () => void) => void): void;
  /**
   * A write of the key failed. When that was for want of room, new keys pass the set by from now on; and where this one
   * would go to another set by now, the client is asked to come again.
   */
  whenFull(refusal: ObjectRefusal, of: KeyPlace): ObjectRefusal;
  /** A fresh id for a body, and the geometry that spreads its shards. `isBlob`: it gets files of its own. */
  newPlacement(storageClass: string, isBlob: boolean): { id: PlacementId; geometry: Geometry };
  /** Commits a record; what `onSettled` was given runs whatever happens. */
  commit(prepare: DecideRecord, purpose: CommitPurpose): Promise<LogRecord>;
  readonly heal: HealQueue;
  readonly missingBodies: MissingBodies;
  /** A shard that a reader met missing or wrong. `owner`: index key of the body. */
  reportDamage(owner: Buffer, placement: Placement, shardIndex: number): void;
}
