/**
 * Rebuilds one drive's blob file of a body from the others. Used by catch-up: a drive that was away, or is
 * new, gets what the records of its missing interval say it should hold.
 */
import {
  BlobWriter,
  BodyReader,
  blobName,
  checksumBlockCount,
  shardBytes,
  type StripeLayout,
} from '../erasure/index.js';
import type { LogRecord } from '../journal/index.js';
import type { EngineContext } from './engine-context.js';
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
    // Whole and synced before its record was committed: only a file that the record does not count is suspect.
    if (((placement.positions >>> position) & 1) === 1) return true;
    const unlinked = await drive.blobs.unlink(name);
    if (!unlinked.ok) return false;
  }
  return rebuildBlob(context, body, position);
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

async function rebuildBlob(context: EngineContext, body: BodyRecord, position: number): Promise<boolean> {
  const { placement } = body;
  if (placement.kind !== 'blob') return true;
  const { compute, slabs, set } = context;
  const layout: StripeLayout = { ...placement.geometry, stripeBytes: placement.stripeBytes, objectBytes: body.bytes };
  const reader = new BodyReader(openShards(context, body), slabs, compute, 0, body.bytes, () => undefined);
  const writer = new BlobWriter(set, slabs, compute, placement.id, layout, position);
  let stripeIndex = 0;
  try {
    for (;;) {
      // A stripe is at most one piece long, so pieces are stripes.
      const piece = await reader.next();
      if (piece === null) break;
      const shard = shardBytes(layout.dataShards, piece.bytes.length);
      const shardCount = layout.dataShards + layout.parityShards;
      const data = await slabs.allocate(shard * layout.dataShards, 'commit');
      const auxBytes = layout.parityShards * shard + 64 + shardCount * checksumBlockCount(shard) * 32;
      const aux = await slabs.allocate(auxBytes, 'commit');
      try {
        compute.copyIn(data.offset, piece.bytes, 0, piece.bytes.length);
        const hashesOffset = aux.offset + Math.ceil((layout.parityShards * shard) / 64) * 64;
        await compute.pass({
          stateOffset: -1,
          dataOffset: data.offset,
          dataBytes: piece.bytes.length,
          dataShards: layout.dataShards,
          parityShards: layout.parityShards,
          shardBytes: shard,
          parityOffset: aux.offset,
          hashesOffset,
          idHigh: placement.id.high,
          idLow: placement.id.low,
          firstBlock: stripeIndex * checksumBlockCount(layout.stripeBytes / layout.dataShards),
          chunkEnds: [],
          chunkSignatures: [],
        });
        await writer.writeStripe(stripeIndex, data.offset, aux.offset, hashesOffset);
      } finally {
        piece.release();
        writer.stuck.release(data);
        writer.stuck.release(aux);
      }
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
  }
}
