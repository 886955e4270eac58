/**
 * Tells compaction what of a record is in use, and writes it again when its turn comes. A piece is an entry of
 * the index: a record with several is moved in several pieces. Nothing is moved while a record that changes the
 * same entry is on its way; such a piece is left to a later round, and what changed is not moved at all. One for each
 * set: its journal counts the files from 1, the index names them by their set as well.
 */
import { invariant } from '../base/index.js';
import { fileId, type Placement } from '../erasure/index.js';
import {
  RecordChanged,
  type LogRecord,
  type LogSpace,
  type PreparedRecord,
  type RecordMove,
} from '../journal/index.js';
import {
  bucketKey,
  documentKey,
  isObjectKey,
  objectKey,
  partKey,
  systemKey,
  uploadKey,
  versionKey,
} from './index-keys.js';
import type { IndexState } from './index-state.js';
import type { Overlay } from './overlay.js';
import type { Readers } from './readers.js';
import {
  RecordType,
  decodeBucket,
  decodeBucketDocument,
  decodeEntry,
  decodeObject,
  decodePart,
  decodeSystem,
  decodeUpload,
  documentKindCode,
  encodeMoved,
  encodeObject,
  encodeSystem,
  entryBody,
  entrySpace,
  originalOf,
  slotPlacement,
  type ObjectRecord,
} from './records.js';

/** Where in the index a record left something, and who else may be about to change it. */
interface Trace {
  readonly key: Buffer;
  readonly isPending: () => boolean;
  /** The record's body for this entry alone. */
  readonly bodyOf: (value: Buffer) => Buffer;
}

/** Versions that may have the slots of a record, looked for at once. */
const sharersPerLook = 500;

interface Entry {
  readonly value: Buffer;
  readonly hasSlots: boolean;
}

export class LiveRecords implements LogSpace {
  constructor(
    private readonly index: IndexState,
    private readonly overlay: Overlay,
    private readonly readers: Readers,
    private readonly setIndex: number,
    private readonly driveCount: number,
    /** What is freed stays for so long, as dropped blobs do. */
    private readonly reclaimDelayMs = 0,
  ) {}

  liveBytes(fileNumber: number): number {
    return this.index.liveBytes(fileId(this.setIndex, fileNumber));
  }

  keep(): Promise<void> {
    return this.index.catalog.flush();
  }

  hasRoom(isFew = false): boolean {
    return this.index.catalog.hasRoom(isFew);
  }

  async readersGone(): Promise<void> {
    await this.readers.gone();
    const { reclaimDelayMs } = this;
    if (reclaimDelayMs > 0) await new Promise((resolve) => setTimeout(resolve, reclaimDelayMs).unref());
  }

  *movesOf(record: LogRecord, numberInSet: number): Iterable<RecordMove> {
    const fileNumber = fileId(this.setIndex, numberInSet);
    const { type } = originalOf(record);
    for (const trace of this.#traces(record)) {
      const found = this.#inUse(record, trace, fileNumber);
      if (found !== null) yield this.#move(record, type, trace, fileNumber, found);
    }
  }

  #move(record: LogRecord, type: number, trace: Trace, fileNumber: number, entry: Entry): RecordMove {
    const { hasSlots } = entry;
    const { bytes, slotsBytes, ...space } = entrySpace(entry.value);
    const liveBytes =
      (space.fileNumber === fileNumber ? bytes : 0) + (space.slotsFileNumber === fileNumber ? slotsBytes : 0);
    let undo: (() => void) | null = null;
    const prepare = (slots: PreparedRecord['slots']): PreparedRecord => {
      // An index that was built anew may hold parts that are about to go.
      const isOpen = this.index.isRebuilding || trace.isPending();
      const found = isOpen ? null : this.#inUse(record, trace, fileNumber);
      if (found?.hasSlots !== hasSlots) throw new RecordChanged();
      const { order, here } = decodeEntry(found.value);
      invariant(hasSlots || here === null, 'what has its slots beside it is moved with them');
      undo = this.overlay.setMoving(trace.key);
      return { type: RecordType.moved, body: encodeMoved({ type, order, body: trace.bodyOf(found.value) }), slots };
    };
    return { hasSlots, liveBytes, prepare, settled: () => undo?.() };
  }

  /** The entry, when it still keeps this record, or this record's slots, in this file. */
  #inUse(record: LogRecord, { key }: Trace, fileNumber: number): Entry | null {
    const value = this.index.catalog.get(key);
    if (value === undefined) return null;
    const space = entrySpace(value);
    const { order, here } = decodeEntry(value);
    const isRecordHere = space.fileNumber === fileNumber && order === originalOf(record).order;
    const { slots } = record;
    if (slots === null) {
      // With slots of its own it is the moved record, which may lie in the same file, that the entry keeps by now.
      const areSlotsElsewhere = here === null && space.slotsFileNumber !== fileNumber;
      return isRecordHere && areSlotsElsewhere ? { value, hasSlots: false } : null;
    }
    const placement = placementOf(key, value);
    const areSlotsHere =
      placement?.kind === 'slots' &&
      placement.fileNumber === fileId(this.setIndex, slots.fileNumber) &&
      placement.fileOffset === slots.fileOffset;
    return areSlotsHere ? { value, hasSlots: true } : null;
  }

  #traces(record: LogRecord): Iterable<Trace> {
    const { overlay, index } = this;
    const { type, body } = originalOf(record);
    const here = slotPlacement(record, this.driveCount, this.setIndex);
    switch (type) {
      case RecordType.bucketCreate: {
        const { name } = decodeBucket(body);
        return [{ key: bucketKey(name), isPending: () => overlay.bucket(name) !== undefined, bodyOf: entryBody }];
      }
      case RecordType.objectPut: {
        const object = decodeObject(body, here);
        const { bucketId, key } = object;
        const isPending = (): boolean => overlay.object(bucketId, key) !== undefined;
        const bodyOf = (value: Buffer): Buffer => objectBody(value, here !== null);
        return this.#placesOf(record, object, { isPending, bodyOf });
      }
      case RecordType.uploadCreate: {
        const { bucketId, key, uploadId } = decodeUpload(body);
        const isPending = (): boolean => overlay.upload(uploadId) !== undefined;
        return [{ key: uploadKey(bucketId, key, uploadId), isPending, bodyOf: entryBody }];
      }
      case RecordType.partPut: {
        const { bucketId, key, uploadId, partNumber } = decodePart(body, here);
        if (index.isDropped(uploadId)) return [];
        // Whatever becomes of the upload, or of the object that it has become, becomes of its parts.
        const isPending = (): boolean =>
          index.isDropped(uploadId) ||
          overlay.upload(uploadId) !== undefined ||
          overlay.object(bucketId, key) !== undefined ||
          overlay.parts(uploadId).some((part) => part.partNumber === partNumber);
        return [{ key: partKey(uploadId, partNumber), isPending, bodyOf: entryBody }];
      }
      case RecordType.systemWrite:
        return decodeSystem(body).changes.flatMap(({ name, value }) => {
          const key = systemKey(name);
          const bodyOf = (kept: Buffer): Buffer => encodeSystem({ changes: [{ name, value: entryBody(kept) }] });
          return value === null ? [] : [{ key, isPending: () => overlay.isTouched(key), bodyOf }];
        });
      case RecordType.bucketDocument: {
        const { bucketId, kind, text } = decodeBucketDocument(body);
        const key = documentKey(bucketId, documentKindCode(kind));
        return text === null ? [] : [{ key, isPending: () => overlay.isTouched(key), bodyOf: entryBody }];
      }
      default:
        // Deletes leave nothing behind. What they deleted lay before them in the log, and is gone before they are.
        return [];
    }
  }

  /**
   * Where the version that a record wrote can be, and other versions that have its slots. A version that shares the bytes
   * of another has slots of its own once it was moved, and only those that were made of it since have these.
   */
  *#placesOf(record: LogRecord, object: ObjectRecord, common: Omit<Trace, 'key'>): Iterable<Trace> {
    const { index } = this;
    const { bucketId, key } = object;
    const { order } = originalOf(record);
    yield { key: objectKey(bucketId, key), ...common };
    if (!index.hasVersions(bucketId)) return;
    yield { key: versionKey(bucketId, key, order), ...common };
    const dataOrder = object.dataOrder === 0 ? order : object.dataOrder;
    if (record.slots === null || !index.isShared(dataOrder)) return;
    for (let after = record.order, isMore = true; isMore;) {
      const orders = index.sharers(dataOrder, after, sharersPerLook);
      for (const other of orders) yield { key: versionKey(bucketId, key, other), ...common };
      isMore = orders.length === sharersPerLook;
      after = orders.at(-1) ?? after;
    }
  }
}

/** An object whose slots lay elsewhere has them beside its record again once it was moved. */
function objectBody(value: Buffer, hasSlots: boolean): Buffer {
  const entry = decodeEntry(value);
  if (!hasSlots || entry.here !== null) return entry.body;
  return encodeObject(decodeObject(entry.body, null), true);
}

/** Where the slots lie that an entry keeps, if it keeps any. */
function placementOf(key: Buffer, value: Buffer): Placement | null {
  const { body, here } = decodeEntry(value);
  // Only a change of an object's metadata leaves the slots where another record has them.
  return here ?? (isObjectKey(key) ? decodeObject(body, null).placement : null);
}
