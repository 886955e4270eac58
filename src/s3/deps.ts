import type { Clock } from '../base/index.js';
import type { BucketDocuments, ObjectLayer } from '../object/index.js';

export type DigestAlgorithm = 'md5' | 'sha1' | 'sha256' | 'crc32' | 'crc32c' | 'crc64nvme';

/** What the operations are handed. A file of its own, so that operations and the table do not form a circle. */
export interface S3Deps {
  readonly objects: ObjectLayer;
  /** Policies and other sub-resources of buckets. */
  readonly documents: BucketDocuments;
  /** Answered as the region of this server; empty: none is set. */
  readonly region: string;
  readonly clock: Clock;
  /** Owner element: 64 hex digits and a name. */
  readonly ownerId: string;
  readonly ownerDisplayName: string;
  /** x-amz-id-2 and HostId. */
  readonly hostId: string;
  /** One-shot digest of a small document, on the calling thread. Raw bytes; CRCs big-endian. */
  readonly digest: (algorithm: DigestAlgorithm, bytes: Uint8Array) => Uint8Array;
}
