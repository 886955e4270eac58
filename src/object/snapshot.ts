/**
 * A version held open. Its bytes stay readable until it is closed: the reclaimer unlinks nothing that is
 * pinned, and log files are not removed under a reader.
 */
import { Refusal, limits, type Piece, type PieceSource } from '../base/index.js';
import { BlobSource, BodyReader, SlotSource, setOfBody, type ShardSource } from '../erasure/index.js';
import type { EngineContext } from './engine-context.js';
import { partKey, partPrefix, successor, versionKey } from './index-keys.js';
import type { LatestObject } from './latest-objects.js';
import type { ObjectErrorCode, ObjectInfo, ObjectSnapshot, PartInfo } from './object-layer.js';
import {
  decodeEntry,
  decodePart,
  type BodyRecord,
  type IndexEntry,
  type ObjectRecord,
  type PartRecord,
} from './records.js';

export class EngineSnapshot implements ObjectSnapshot {
  readonly info: ObjectInfo;
  readonly entry: IndexEntry;
  readonly record: ObjectRecord;
  readonly dataOrder: number;
  readonly #generation: number;
  #isClosed = false;

  constructor(
    private readonly context: EngineContext,
    { info, entry, record }: LatestObject,
  ) {
    this.info = info;
    this.entry = entry;
    this.record = record;
    this.dataOrder = record.dataOrder === 0 ? entry.order : record.dataOrder;
    context.reclaimer.pin(this.dataOrder);
    this.#generation = context.readers.enter();
  }

  part(partNumber: number): (PartInfo & { readonly startByte: number }) | null {
    const { multipart } = this.record;
    if (multipart === null) {
      if (partNumber !== 1) return null;
      const { bytes, etag, modifiedMs, checksum } = this.record;
      return { partNumber: 1, bytes, etag, modifiedMs, checksum, startByte: 0 };
    }
    // A reader asks for the n-th part of the object, whatever number it was uploaded under.
    let startByte = 0;
    for (const [index, listed] of multipart.parts.entries()) {
      if (index + 1 === partNumber)
        return { ...partInfo(this.#loadPart(multipart.uploadId, listed.partNumber)), partNumber, startByte };
      startByte += listed.bytes;
    }
    return null;
  }

  parts(partNumberMarker: number, countMax: number): PartInfo[] {
    const { multipart } = this.record;
    if (multipart === null) return [];
    return multipart.parts
      .filter((listed) => listed.partNumber > partNumberMarker)
      .slice(0, countMax)
      .map((listed) => partInfo(this.#loadPart(multipart.uploadId, listed.partNumber)));
  }

  read(startByte: number, endByte: number): PieceSource {
    const close = (): void => {
      this.close();
    };
    return new RewindableSource((start) => this.#readFrom(start, endByte), startByte, close);
  }

  #readFrom(startByte: number, endByte: number): PieceSource {
    const { multipart } = this.record;
    if (multipart === null) {
      const { bucketId, key } = this.record;
      const owner = (): Buffer => versionKey(bucketId, key, this.entry.order);
      return readBody(this.context, owner, this.record, startByte, endByte);
    }
    const ranges: { partNumber: number; start: number; end: number }[] = [];
    let offset = 0;
    for (const { partNumber, bytes } of multipart.parts) {
      const start = Math.max(startByte, offset);
      const end = Math.min(endByte, offset + bytes);
      if (start < end) ranges.push({ partNumber, start: start - offset, end: end - offset });
      offset += bytes;
    }
    const sources = ranges.map(
      ({ partNumber, start, end }) =>
        () =>
          readBody(
            this.context,
            () => partKey(multipart.uploadId, partNumber),
            this.#loadPart(multipart.uploadId, partNumber),
            start,
            end,
          ),
    );
    return new SequenceSource(sources);
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.context.reclaimer.unpin(this.dataOrder);
    this.context.readers.leave(this.#generation);
  }

  #loadPart(uploadId: string, partNumber: number): PartRecord {
    const value = this.context.index.catalog.get(partKey(uploadId, partNumber));
    if (value === undefined) throw new Error(`part ${partNumber} of a multipart object is not in the index`);
    const entry = decodeEntry(value);
    return decodePart(entry.body, entry.here);
  }
}

export function partInfo(part: PartRecord): PartInfo {
  const { partNumber, bytes, etag, modifiedMs, checksum } = part;
  return { partNumber, bytes, etag, modifiedMs, checksum };
}

/** Parts of an upload in order of their numbers. */
export function* uploadParts(context: EngineContext, uploadId: string, partNumberMarker: number): Iterable<PartRecord> {
  const prefix = partPrefix(uploadId);
  const start = partNumberMarker === 0 ? prefix : partKey(uploadId, partNumberMarker + 1);
  for (const { value } of context.index.catalog.range({ start, end: successor(prefix) })) {
    const entry = decodeEntry(value);
    yield decodePart(entry.body, entry.here);
  }
}

/** The bytes [start, end) of one body, wherever it lies. `owner`: its key in the index, which only damage asks for. */
export function readBody(
  context: EngineContext,
  owner: () => Buffer,
  body: BodyRecord,
  start: number,
  end: number,
): PieceSource {
  const { placement } = body;
  if (placement.kind === 'none' || start === end) return new BytesSource(Buffer.alloc(0));
  if (placement.kind === 'inline') {
    const md5 = Buffer.from(context.compute.md5(placement.bytes)).toString('hex');
    if (md5 !== body.etag) throw new Error('the bytes of a small object in the index do not match their digest');
    return new BytesSource(placement.bytes.subarray(start, end));
  }
  const { bodies, slabs, compute, readCache } = context;
  const isCached = placement.kind === 'slots' && body.bytes <= bodies.bodyBytesMax;
  const cached = isCached ? bodies.get(placement.id) : null;
  if (cached !== null) return new BytesSource(end - start === cached.length ? cached : cached.subarray(start, end));
  const source = openShards(context, body);
  const onDamage = (shardIndex: number): void => {
    context.reportDamage(owner(), placement, shardIndex);
  };
  const reader = new BodyReader(source, slabs, compute, start, end, onDamage, true, isCached ? null : readCache);
  if (!isCached || start !== 0 || end !== body.bytes) return reader;
  const piece = reader.nextNow();
  if (piece === null) return reader;
  const bytes = bodies.put(placement.id, piece.bytes);
  piece.release();
  reader.close();
  return new BytesSource(bytes);
}

export function openShards(context: EngineContext, body: BodyRecord): ShardSource {
  const { placement } = body;
  const { slabs, compute } = context;
  if (placement.kind !== 'slots' && placement.kind !== 'blob')
    throw new Error('only bodies in slots and blobs have shards');
  const { set } = context.of(setOfBody(placement.id));
  if (placement.kind === 'slots') {
    const hashes = slabs.tryAllocate(placement.hashes.length, 'pass');
    if (hashes === null)
      throw new Refusal<ObjectErrorCode>('SlowDownRead', 'The server is out of memory for reads; try again later.');
    return new SlotSource(set, placement, body.bytes, compute, hashes);
  }
  return new BlobSource(
    set,
    placement,
    { ...placement.geometry, stripeBytes: placement.stripeBytes, objectBytes: body.bytes },
    slabs,
  );
}

const nothing = (): void => undefined;

class BytesSource implements PieceSource {
  #at = 0;

  constructor(private readonly bytes: Uint8Array) {}

  next(): Piece | null {
    if (this.#at >= this.bytes.length) return null;
    // Most are one piece as they are: a view costs more than all else here.
    if (this.#at === 0 && this.bytes.length <= limits.sendPieceBytesMax) {
      this.#at = this.bytes.length;
      return { bytes: this.bytes, release: nothing };
    }
    const bytes = this.bytes.subarray(this.#at, this.#at + limits.sendPieceBytesMax);
    this.#at += bytes.length;
    return { bytes, release: nothing };
  }

  close(): void {
    this.#at = this.bytes.length;
  }
}

/** One source behind the other, each opened when the former has ended. */
class SequenceSource implements PieceSource {
  #current: PieceSource | null = null;
  #next = 0;
  #isClosed = false;

  constructor(private readonly sources: readonly (() => PieceSource)[]) {}

  async next(): Promise<Piece | null> {
    while (!this.#isClosed) {
      if (this.#current === null) {
        const open = this.sources[this.#next++];
        if (open === undefined) return null;
        this.#current = open();
      }
      const current = this.#current;
      const piece = await current.next();
      if (piece !== null) return piece;
      // Closed while the piece was under way: `close` has done the rest.
      if (this.#current !== current) return null;
      current.close();
      this.#current = null;
    }
    return null;
  }

  close(): void {
    this.#isClosed = true;
    this.#current?.close();
    this.#current = null;
  }
}

/** Opened when it is first asked, and opened anew behind what was sent when the receiver stood still for long. */
class RewindableSource implements PieceSource {
  #current: PieceSource | null = null;
  #from: number;

  /** The snapshot stays pinned until `onClose`, so that every opening reads the same bytes. */
  constructor(
    private readonly open: (startByte: number) => PieceSource,
    private readonly startByte: number,
    private readonly onClose: () => void,
  ) {
    this.#from = startByte;
  }

  next(): Promise<Piece | null> | Piece | null {
    this.#current ??= this.open(this.#from);
    return this.#current.next();
  }

  rewind(position: number): void {
    this.#current?.close();
    this.#current = null;
    this.#from = this.startByte + position;
  }

  close(): void {
    this.#current?.close();
    this.#current = null;
    this.onClose();
  }
}
