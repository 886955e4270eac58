/**
 * The object-layer interface: what S3 needs of a store, and nothing of how it is kept.
 * Two implementations: the local engine, and the gateway over a remote endpoint.
 * Look-ups answer at once from the index; everything that changes state resolves when it is durable.
 * Throws `Refusal<ObjectErrorCode>`; any other rejection is a fault of ours (InternalError).
 */
import type { PieceSource, Refusal } from '../base/index.js';

export type ObjectErrorCode =
  | 'BadDigest'
  | 'NoSuchBucket'
  | 'NoSuchKey'
  | 'NoSuchVersion'
  | 'NoSuchUpload'
  | 'BucketAlreadyOwnedByYou'
  | 'BucketNotEmpty'
  | 'InvalidPart'
  | 'InvalidPartOrder'
  | 'EntityTooSmall'
  | 'EntityTooLarge'
  | 'PreconditionFailed'
  | 'SignatureDoesNotMatch'
  | 'IncompleteBody'
  | 'SlowDownRead'
  | 'SlowDownWrite'
  | 'XMinioStorageFull'
  | 'RequestTimeout'
  | 'MethodNotAllowed'
  | 'InternalError';

export type ObjectRefusal = Refusal<ObjectErrorCode>;

/** A version that says that there is nothing. */
export interface DeleteMarker {
  readonly versionId: string;
  readonly modifiedMs: number;
}

/** What a look-up meets that ends at a delete marker: the latest version (NoSuchKey), or the one that it named. */
export interface MarkerRefusal extends Refusal<'NoSuchKey' | 'MethodNotAllowed'> {
  readonly marker: DeleteMarker;
}

export interface BucketVersioning {
  /** Null: never enabled. */
  readonly status: 'Enabled' | 'Suspended' | null;
  /** Keys that begin with one of them (`*` stands for any characters) are written as if it were suspended. */
  readonly excludedPrefixes: readonly string[];
  /** So are keys that end with a slash. */
  readonly excludesFolders: boolean;
}

export interface BucketInfo {
  readonly name: string;
  readonly createdMs: number;
  /** As the client asked at creation; empty for the default. */
  readonly region: string;
}

export type ChecksumAlgorithm = 'CRC32' | 'CRC32C' | 'CRC64NVME' | 'SHA1' | 'SHA256';

export interface Checksum {
  readonly algorithm: ChecksumAlgorithm;
  readonly type: 'FULL_OBJECT' | 'COMPOSITE';
  /** Base64, with `-N` appended when COMPOSITE. */
  readonly value: string;
}

/** What the client said about an object, kept and given back. */
export interface ObjectMetadata {
  /**
   * Lower-case header names: content-type, content-encoding, content-language, content-disposition,
   * cache-control, expires, x-amz-website-redirect-location and x-amz-meta-*.
   */
  readonly headers: Readonly<Record<string, string>>;
  /** STANDARD or REDUCED_REDUNDANCY. */
  readonly storageClass: string;
}

export interface PartInfo {
  readonly partNumber: number;
  readonly bytes: number;
  /** Hex MD5, without quotes. */
  readonly etag: string;
  readonly modifiedMs: number;
  readonly checksum: Checksum | null;
}

export interface ObjectInfo {
  readonly bucket: string;
  readonly key: string;
  readonly bytes: number;
  /** Without quotes; `md5` or `md5-N`. */
  readonly etag: string;
  readonly modifiedMs: number;
  /** A UUID, or 'null' for what was written while versioning was not enabled. */
  readonly versionId: string;
  readonly metadata: ObjectMetadata;
  readonly checksum: Checksum | null;
  /** Parts of a multipart object; 0 for a plain one. */
  readonly partCount: number;
}

/** A version held open: its bytes stay readable until `close`, whatever happens to the key meanwhile. */
export interface ObjectSnapshot {
  readonly info: ObjectInfo;
  /** Part by number (1-based) with the offset of its first byte, or null. A plain object has part 1 only. */
  part(partNumber: number): (PartInfo & { readonly startByte: number }) | null;
  /** Parts in order from after `partNumberMarker`. */
  parts(partNumberMarker: number, countMax: number): PartInfo[];
  /** Bytes [start, end) of the object. The source closes the snapshot when it is closed. */
  read(startByte: number, endByte: number): PieceSource;
  /** Idempotent. Needed when `read` was not called. */
  close(): void;
}

/** Decided in commit order, on the current (latest) version of the key. */
export interface WritePrecondition {
  /** Entity tags without quotes, or '*': the current object must match one. */
  readonly ifMatch?: readonly string[];
  /** '*': there must be no current object; tags: none may match. */
  readonly ifNoneMatch?: readonly string[];
}

/** Verification of an aws-chunked stream whose chunks are signed. */
export interface SignedStream {
  readonly signingKey: Uint8Array;
  readonly amzDate: string;
  readonly scope: string;
  readonly seedSignature: string;
}

export interface UploadOptions {
  readonly bucket: string;
  readonly key: string;
  /** Exact length; fewer or more bytes are refused. */
  readonly bytes: number;
  /** Beside MD5: digests wanted over the decoded bytes. */
  readonly sha256: boolean;
  readonly checksum: ChecksumAlgorithm | null;
  readonly signedStream: SignedStream | null;
  readonly storageClass: string;
}

export interface UploadDigests {
  /** 32 hex digits. */
  readonly md5: string;
  /** 64 hex digits when asked for. */
  readonly sha256: string | null;
  /** Raw bytes of the requested checksum. */
  readonly checksum: Uint8Array | null;
}

/**
 * One incoming body on its way to the drives. Invisible until one of the commits resolves.
 * After any rejection, and after `abort`, it holds nothing.
 */
export interface Upload {
  /**
   * Copies bytes [start, end) of `chunk`. False: stop the source until `onDrain` has been called
   * (what is still in flight may be written meanwhile).
   */
  write(chunk: Uint8Array, start: number, end: number): boolean;
  /** With `signedStream`: the chunk that ends at the current position carries this signature (32 raw bytes). */
  endChunk(signature: Uint8Array): void;
  /** Set by the caller before the first write. */
  onDrain: () => void;
  /** Called when the upload cannot go on (drives gone, a wrong chunk signature): abort and answer. */
  onFailure: (refusal: ObjectRefusal) => void;
  /** All bytes were written: waits for the pass and the drives. Throws SignatureDoesNotMatch, IncompleteBody. */
  finish(): Promise<UploadDigests>;
  /** With `signedStream`: checks the signature of the trailer block (canonical `name:value\n` lines). After `finish`. */
  verifyTrailer(trailerBlock: Uint8Array, signature: Uint8Array): boolean;
  /** After `finish`. */
  commitObject(options: {
    metadata: ObjectMetadata;
    checksum: Checksum | null;
    precondition: WritePrecondition | null;
  }): Promise<ObjectInfo>;
  commitPart(options: { uploadId: string; partNumber: number; checksum: Checksum | null }): Promise<PartInfo>;
  /** Idempotent, at any moment. */
  abort(): void;
}

export interface ListOptions {
  readonly bucket: string;
  readonly prefix: string;
  /** Empty: none. */
  readonly delimiter: string;
  /** Keys and prefixes at or before it are left out. A common prefix equal to it, or containing it, is not repeated. */
  readonly startAfter: string;
  readonly countMax: number;
}

export interface ListEntry {
  readonly key: string;
  readonly bytes: number;
  readonly etag: string;
  readonly modifiedMs: number;
  readonly storageClass: string;
  readonly checksum: Pick<Checksum, 'algorithm' | 'type'> | null;
}

export interface ListPage {
  readonly entries: readonly ListEntry[];
  readonly commonPrefixes: readonly string[];
  readonly isTruncated: boolean;
  /** The last key or common prefix on the page: the `startAfter` of the next. Empty when not truncated. */
  readonly next: string;
}

export interface VersionListOptions {
  readonly bucket: string;
  readonly prefix: string;
  /** Empty: none. */
  readonly delimiter: string;
  /** Keys and prefixes at or before it are left out; of the key itself, versions that follow the version marker stay. */
  readonly keyMarker: string;
  /** Empty: none. Means nothing without the key that it belongs to. */
  readonly versionIdMarker: string;
  readonly countMax: number;
}

/** A delete marker has no bytes and an empty ETag. */
export interface VersionEntry extends ListEntry {
  readonly versionId: string;
  readonly isLatest: boolean;
  readonly isMarker: boolean;
}

export interface VersionListPage {
  /** By key, then the newest first. */
  readonly entries: readonly VersionEntry[];
  readonly commonPrefixes: readonly string[];
  readonly isTruncated: boolean;
  /** Of the last entry on the page, or its last common prefix; empty when not truncated. */
  readonly nextKeyMarker: string;
  readonly nextVersionIdMarker: string;
}

export interface DeleteOutcome {
  /** Of the marker that was made, or of the version that went or was asked for; null for neither. */
  readonly versionId: string | null;
  /** A marker was made, or the version that went was one. */
  readonly isMarker: boolean;
}

export interface MultipartUploadInfo {
  readonly uploadId: string;
  readonly bucket: string;
  readonly key: string;
  readonly initiatedMs: number;
  readonly metadata: ObjectMetadata;
  readonly checksumAlgorithm: ChecksumAlgorithm | null;
  readonly checksumType: 'FULL_OBJECT' | 'COMPOSITE' | null;
}

export interface ListUploadsPage {
  readonly uploads: readonly MultipartUploadInfo[];
  readonly commonPrefixes: readonly string[];
  readonly isTruncated: boolean;
  readonly nextKeyMarker: string;
  readonly nextUploadIdMarker: string;
}

export interface CompletedPart {
  readonly partNumber: number;
  /** Without quotes. */
  readonly etag: string;
  /** Base64 as the client listed it, or null. */
  readonly checksum: string | null;
}

export interface ObjectInMemory {
  readonly info: ObjectInfo;
  /** Shared with other readers: not to be written to. */
  readonly bytes: Uint8Array;
}

export interface ObjectLayer {
  createBucket(name: string, options: { region: string }): Promise<BucketInfo>;
  /** Throws NoSuchBucket. */
  bucket(name: string): BucketInfo;
  /** In byte order of the names. */
  listBuckets(): BucketInfo[];
  /** Throws BucketNotEmpty while a version, a delete marker or an unfinished upload is left. */
  deleteBucket(name: string): Promise<void>;
  /** Throws NoSuchBucket. */
  versioning(bucket: string): BucketVersioning;
  /** For what is written from then on; what there is stays. Throws NoSuchBucket. */
  setVersioning(bucket: string, versioning: BucketVersioning): Promise<void>;

  /** Throws NoSuchBucket, SlowDownWrite, XMinioStorageFull at once. */
  openUpload(options: UploadOptions): Upload;
  /**
   * Throws NoSuchBucket, NoSuchKey, NoSuchVersion, MethodNotAllowed for a delete marker that was named.
   * `versionId` empty: the latest.
   */
  open(bucket: string, key: string, versionId: string): ObjectSnapshot;
  /**
   * The latest version where it is small and was read lately: all of it lies in memory, verified, so that nothing is
   * held. Null: `open` it, if it is there. Throws NoSuchBucket.
   */
  inMemory(bucket: string, key: string): ObjectInMemory | null;
  /** Like `open` for HEAD: nothing is held. */
  head(bucket: string, key: string, versionId: string): ObjectInfo;
  /**
   * Without a version id: removes the object, or covers it with a delete marker where versioning is or was enabled.
   * With one: that version ends for good. Deleting what is absent succeeds; a precondition is about the version that
   * was named, or else the latest. Throws NoSuchVersion for what cannot be an id.
   */
  deleteObject(
    bucket: string,
    key: string,
    versionId: string,
    precondition: WritePrecondition | null,
  ): Promise<DeleteOutcome>;
  /**
   * New metadata on the same bytes, as a new modification or a new version (CopyObject onto itself). Null: that version
   * has been replaced or deleted since it was opened, which whoever opens it anew sees; nothing was changed.
   */
  replaceMetadata(
    snapshot: ObjectSnapshot,
    metadata: ObjectMetadata,
    precondition: WritePrecondition | null,
  ): Promise<ObjectInfo | null>;
  list(options: ListOptions): Promise<ListPage>;
  listVersions(options: VersionListOptions): Promise<VersionListPage>;

  createMultipartUpload(options: {
    bucket: string;
    key: string;
    metadata: ObjectMetadata;
    checksumAlgorithm: ChecksumAlgorithm | null;
    checksumType: 'FULL_OBJECT' | 'COMPOSITE' | null;
  }): Promise<MultipartUploadInfo>;
  /** Throws NoSuchUpload, also when bucket or key do not fit the id. */
  multipartUpload(bucket: string, key: string, uploadId: string): MultipartUploadInfo;
  /** Parts in order from after `partNumberMarker`. */
  listParts(
    bucket: string,
    key: string,
    uploadId: string,
    partNumberMarker: number,
    countMax: number,
  ): { parts: PartInfo[]; isTruncated: boolean };
  listUploads(options: {
    bucket: string;
    prefix: string;
    delimiter: string;
    keyMarker: string;
    uploadIdMarker: string;
    countMax: number;
  }): Promise<ListUploadsPage>;
  /**
   * Makes the parts one object in one record; a repeated call answers as the first did.
   * Throws NoSuchUpload, InvalidPart, InvalidPartOrder, EntityTooSmall, PreconditionFailed.
   * `checksum`: over the whole object as the client claimed it, compared with the one derived from the parts
   * before anything is committed (throws BadDigest; InvalidPart when a listed part checksum differs).
   */
  completeMultipartUpload(options: {
    bucket: string;
    key: string;
    uploadId: string;
    parts: readonly CompletedPart[];
    precondition: WritePrecondition | null;
    checksum?: Pick<Checksum, 'algorithm' | 'value'> | null;
  }): Promise<ObjectInfo>;
  abortMultipartUpload(bucket: string, key: string, uploadId: string): Promise<void>;

  /** For health probes: whether reads and writes have their quorum now. */
  health(): { readonly canRead: boolean; readonly canWrite: boolean };
}

/** A bucket's sub-resource documents; gone with the bucket. */
export type BucketDocumentKind =
  | 'policy'
  | 'versioning'
  | 'tagging'
  | 'lifecycle'
  | 'notification'
  | 'encryption'
  | 'object-lock'
  | 'replication'
  | 'cors'
  | 'quota';

/** The same object until it is changed: what was parsed from it can be kept in a WeakMap. */
export interface BucketDocument {
  readonly text: string;
  readonly updatedMs: number;
}

export interface BucketDocuments {
  /** Throws NoSuchBucket. Null: never set, or removed. Synchronous, from memory. */
  bucketDocument(bucket: string, kind: BucketDocumentKind): BucketDocument | null;
  /** Null removes it. Throws NoSuchBucket. */
  setBucketDocument(bucket: string, kind: BucketDocumentKind, text: string | null): Promise<void>;
}

/** Records of the server itself (identity, settings), on every drive and as durable as objects. */
export interface SystemRecords {
  systemRecord(name: string): Uint8Array | null;
  /** In byte order of the names. */
  systemRecords(prefix: string, visit: (name: string, value: Uint8Array) => void): void;
  /** All or nothing, in one batch. */
  writeSystemRecords(changes: readonly { readonly name: string; readonly value: Uint8Array | null }[]): Promise<void>;
}
