/**
 * Rebuilds one drive's blob file of a body from the others. Used by catch-up: a drive that was away, or is
 * new, gets what the records of its missing interval say it should hold.
 */
import { Refusal } from '../base/index.js';
import {
  BlobWriter,
  BodyReader,
  blobName,
  checksumBlockCount,
  shardAtPosition,
  shardBytes,
  stripeCount,
  stripeLength,
  type StripeLayout,
} from '../erasure/index.js';
import type { LogRecord } from '../journal/index.js';
import type { EngineContext } from './engine-context.js';
import type { ObjectErrorCode } from './object-layer.js';
import { objectKey, partKey } from './index-keys.js';
import { RecordType, decodeEntry, decodeObject, decodePart, type BodyRecord } from './records.js';
import { openShards } from './snapshot.js';

/** True when the drive holds its shard now, or the record needs none. */
export async function healRecord(context: EngineContext, record: LogRecord, position: number): Promise<boolean> {
  const body = liveBlobBody(context, record);
  if (body === null) return true;
  const drive = context.set.drive(position);
  if (drive === null) return false;
  if (body.placement.kind !== 'blob') return true;
  const { placement } = body;
  const name = blobName(placement.id);
  const opened = await drive.blobs.open(name);
  if (opened.ok) {
    drive.blobs.close(opened.value);
    if (await isShardSound(context, body, position)) return true;
    const unlinked = await drive.blobs.unlink(name);
    if (!unlinked.ok) return false;
  }
  if (!(await context.repairs.run(() => rebuildBlob(context, body, position)))) return false;
  // The object may have gone meanwhile, and its files with it, before there was one on this drive.
  if (liveBlobBody(context, record) === null) await drive.blobs.unlink(name);
  return true;
}

/** The blob body that a record wrote, if it is still in use. */
function liveBlobBody(context: EngineContext, record: LogRecord): BodyRecord | null {
  const bytes = Buffer.from(record.body.buffer, record.body.byteOffset, record.body.byteLength);
  if (record.slots !== null) return null;
  if (record.type === RecordType.partPut) {
    const part = decodePart(bytes, null);
    if (part.placement.kind !== 'blob') return null;
    const value = context.index.catalog.get(partKey(part.uploadId, part.partNumber));
    return value !== undefined && decodeEntry(value).order === record.order ? part : null;
  }
  if (record.type !== RecordType.objectPut) return null;
  const object = decodeObject(bytes, null);
  if (object.placement.kind !== 'blob') return null;
  const value = context.index.catalog.get(objectKey(object.bucketId, object.key));
  if (value === undefined) return null;
  const entry = decodeEntry(value);
  const current = decodeObject(entry.body, entry.here);
  const isSameBlob =
    current.placement.kind === 'blob' && blobName(current.placement.id) === blobName(object.placement.id);
  return isSameBlob ? object : null;
}

/** Whether the drive's own shard reads back and matches its hashes: it may have been cut off half-way. */
async function isShardSound(context: EngineContext, body: BodyRecord, position: number): Promise<boolean> {
  const { compute, slabs } = context;
  const source = openShards(context, body);
  const { layout, id } = source;
  const shardIndex = shardAtPosition(layout, position);
  const full = layout.stripeBytes / layout.dataShards;
  const blocksPerStripe = checksumBlockCount(full);
  await source.prepare();
  const slab = await slabs.allocate(full, 'pass');
  try {
    for (let stripe = 0; stripe < stripeCount(layout); stripe++) {
      const bytes = shardBytes(layout.dataShards, stripeLength(layout, stripe));
      const firstBlock = stripe * blocksPerStripe;
      const hashesOffset = await source.hashes(shardIndex, firstBlock, checksumBlockCount(bytes));
      if (hashesOffset === null) return false;
      if (!(await source.read(shardIndex, stripe * full, Float64Array.of(slab.offset, bytes)))) return false;
      const job = { dataOffset: slab.offset, bytes, hashesOffset, idHigh: id.high, idLow: id.low };
      if ((await compute.verify([{ ...job, shardIndex, firstBlock }])).length > 0) return false;
    }
    return true;
  } finally {
    source.stuck.release(slab);
    source.close();
  }
}

async function rebuildBlob(context: EngineContext, body: BodyRecord, position: number): Promise<boolean> {
  const { placement } = body;
  if (placement.kind !== 'blob') return true;
  const { compute, slabs, set } = context;
  const layout: StripeLayout = { ...placement.geometry, stripeBytes: placement.stripeBytes, objectBytes: body.bytes };
  const { dataShards, parityShards } = layout;
  const full = shardBytes(dataShards, stripeLength(layout, 0));
  const hashesAt = align64(full * dataShards) + align64(full * parityShards);
  const writer = new BlobWriter(set, slabs, compute, placement.id, layout, position);
  const slab = await slabs.allocate(hashesAt + (dataShards + parityShards) * checksumBlockCount(full) * 32, 'pass');
  await writer.prepare();
  const reader = new BodyReader(openShards(context, body), slabs, compute, 0, body.bytes, () => undefined);
  const parityOffset = slab.offset + align64(full * dataShards);
  const hashesOffset = slab.offset + hashesAt;
  let stripeIndex = 0;
  try {
    for (;;) {
      // A stripe is at most one piece long, so pieces are stripes.
      const piece = await reader.next();
      if (piece === null) break;
      const { length } = piece.bytes;
      compute.copyIn(slab.offset, piece.bytes, 0, length);
      piece.release();
      await compute.pass({
        stateOffset: -1,
        dataOffset: slab.offset,
        dataBytes: length,
        dataShards,
        parityShards,
        shardBytes: shardBytes(dataShards, length),
        parityOffset,
        hashesOffset,
        idHigh: placement.id.high,
        idLow: placement.id.low,
        firstBlock: stripeIndex * checksumBlockCount(layout.stripeBytes / dataShards),
        chunkEnds: [],
        chunkSignatures: [],
      });
      await writer.writeStripe(stripeIndex, slab.offset, parityOffset, hashesOffset);
      if (!writer.hasQuorum) throw new Refusal<ObjectErrorCode>('SlowDownWrite', 'The drive failed again.');
      stripeIndex++;
    }
    await writer.finish();
    return true;
  } catch {
    // Not enough sound shards, or the drive failed again: the caller keeps the record on its list.
    await writer.abort();
    return false;
  } finally {
    reader.close();
    writer.stuck.release(slab);
  }
}

function align64(bytes: number): number {
  return Math.ceil(bytes / 64) * 64;
}
