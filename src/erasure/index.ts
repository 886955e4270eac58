/**
 * erasure: stripe arithmetic, writing and reading of shards over the drives of one set.
 */
export {
  verifyRows,
  type ChunkSigningInput,
  type Compute,
  type Md5Stream,
  type PassInput,
  type ReconstructInput,
  type StreamDigest,
  type VerifyJob,
} from './compute.js';
export type { DriveSet } from './drive-set.js';
export {
  checksumBlockCount,
  defaultParity,
  positionOfShard,
  shardAtPosition,
  shardBytes,
  shardFileBytes,
  stripeBytesFor,
  stripeCount,
  stripeLength,
  writeQuorum,
  type Geometry,
  type StripeLayout,
} from './layout.js';
export { blobName, type Placement, type PlacementId } from './placement.js';
export { epochOfBlob, fileId, fileNumberOf, highOf, setOfBlob, setOfBody, setOfFile } from './set-numbers.js';
export { BlobWriter } from './blob-writer.js';
export { payloadOffset } from './blob-format.js';
export { verifySlot } from './verify-slot.js';
export { copyStateAfter } from '../drive/index.js';
export { verifyBlob, type BlobState, type BlobToVerify, type VerifyOptions } from './verify-blob.js';
export { BlobSource, SlotSource, type ShardSource } from './shard-source.js';
export { BodyReader, type DamageReport } from './body-reader.js';
export { ReadCache, type ReadCacheFigures } from './read-cache.js';
