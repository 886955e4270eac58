/**
 * object: the object-layer interface and its implementation over erasure-coded drives.
 */
export type * from './object-layer.js';
export type * from './upkeep.js';
export { Engine, type EngineOptions, type RestoredBucket } from './engine.js';
export { storageClasses } from './records.js';
export { usageSizeBounds, type BucketUsage } from './usage.js';
export { StaleUploads, type StaleUploadSettings, type StaleUploadsOptions } from './stale-uploads.js';
export {
  StoreCheck,
  WrongSlots,
  type BlobFindings,
  type BodyPlace,
  type DamagedBody,
  type LostBucket,
  type OrphanFindings,
  type RecordCopy,
  type ShardPlace,
  type StoreCheckOptions,
  type VersionPlace,
} from './store-check.js';
export { formatVersioning, parseVersioning } from './versioning.js';
export type { HeldState, HealObjectsOptions, ObjectHealResult } from './object-healer.js';
