/**
 * The object layer in memory, for the tests of the rooms above it. It keeps every promise of the
 * interface that can be kept without drives, and counts what is held open, so that a test can see a leak.
 */
import { createHmac, createHash } from 'node:crypto';
import { limits, Refusal, type Clock, type PieceSource } from '../../src/base/index.js';
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
  ObjectInMemory,
  ObjectInfo,
  ObjectLayer,
  ObjectMetadata,
  ObjectRefusal,
  ObjectSnapshot,
  PartInfo,
  SignedStream,
  Upload,
  UploadDigests,
  UploadOptions,
  VersionEntry,
  VersionListOptions,
  VersionListPage,
  WritePrecondition,
} from '../../src/object/index.js';
import { DeletedByMarker } from '../../src/object/marker-refusal.js';
import { isVersionId, versionIdFor } from '../../src/object/version-id.js';
import { neverVersioned, writeMode } from '../../src/object/versioning.js';
import { memoryDigest, type DigestAlgorithm } from './memory-digests.js';

interface StoredPart {
  readonly info: PartInfo;
  readonly bytes: Buffer;
}

interface StoredObject {
  readonly info: ObjectInfo;
  readonly parts: readonly StoredPart[];
  readonly isMarker: boolean;
}

interface StoredUpload {
  readonly info: MultipartUploadInfo;
  readonly parts: Map<number, StoredPart>;
  completed: ObjectInfo | null;
}

interface StoredBucket {
  readonly info: BucketInfo;
  versioning: BucketVersioning;
  /** Versions of each key, the newest first. */
  readonly objects: Map<string, StoredObject[]>;
  readonly uploads: Map<string, StoredUpload>;
  readonly documents: Map<BucketDocumentKind, BucketDocument>;
}

export interface MemoryOptions {
  readonly clock?: Clock;
  /** Pieces that reads come in. */
  readonly pieceBytes?: number;
  /** `write` answers false once this much is waiting, and drains in a later turn of the event loop. */
  readonly highWaterBytes?: number;
}

const digestNames: Readonly<Record<ChecksumAlgorithm, DigestAlgorithm>> = {
  CRC32: 'crc32',
  CRC32C: 'crc32c',
  CRC64NVME: 'crc64nvme',
  SHA1: 'sha1',
  SHA256: 'sha256',
};

export class MemoryObjectLayer implements ObjectLayer, BucketDocuments {
  readonly #buckets = new Map<string, StoredBucket>();
  readonly #clock: Clock;
  readonly #pieceBytes: number;
  readonly #highWaterBytes: number;
  #nextUploadId = 1;
  #nextOrder = 1;
  /** Snapshots and uploads that are neither closed nor finished. */
  openSnapshots = 0;
  openUploads = 0;
  /** Every object is one that was read lately. */
  keepsInMemory = false;
  canRead = true;
  canWrite = true;
  /** Thrown by the next `openUpload`. */
  nextOpenUploadRefusal: ObjectRefusal | null = null;
  /** Reported through `onFailure` at the next write. */
  nextWriteRefusal: ObjectRefusal | null = null;

  constructor(options: MemoryOptions = {}) {
    this.#clock = options.clock ?? { nowMs: () => Date.now(), monotonicMs: () => performance.now() };
    this.#pieceBytes = options.pieceBytes ?? 64 * 1024;
    this.#highWaterBytes = options.highWaterBytes ?? Infinity;
  }

  async createBucket(name: string, { region }: { region: string }): Promise<BucketInfo> {
    if (this.#buckets.has(name)) throw refusal('BucketAlreadyOwnedByYou');
    const info: BucketInfo = { name, region, createdMs: this.#clock.nowMs() };
    this.#buckets.set(name, {
      info,
      versioning: neverVersioned,
      objects: new Map(),
      uploads: new Map(),
      documents: new Map(),
    });
    return info;
  }

  bucket(name: string): BucketInfo {
    return this.#bucket(name).info;
  }

  listBuckets(): BucketInfo[] {
    return [...this.#buckets.values()].map(({ info }) => info).sort((a, b) => compareKeys(a.name, b.name));
  }

  async deleteBucket(name: string): Promise<void> {
    const bucket = this.#bucket(name);
    const isPending = [...bucket.uploads.values()].some(({ completed }) => completed === null);
    if (bucket.objects.size > 0 || isPending) throw refusal('BucketNotEmpty');
    this.#buckets.delete(name);
  }

  bucketDocument(bucket: string, kind: BucketDocumentKind): BucketDocument | null {
    return this.#bucket(bucket).documents.get(kind) ?? null;
  }

  async setBucketDocument(bucket: string, kind: BucketDocumentKind, text: string | null): Promise<void> {
    const { documents } = this.#bucket(bucket);
    if (text === null) documents.delete(kind);
    else documents.set(kind, { text, updatedMs: this.#clock.nowMs() });
  }

  versioning(bucket: string): BucketVersioning {
    return this.#bucket(bucket).versioning;
  }

  async setVersioning(bucket: string, versioning: BucketVersioning): Promise<void> {
    this.#bucket(bucket).versioning = versioning;
  }

  openUpload(options: UploadOptions): Upload {
    const bucket = this.#bucket(options.bucket);
    const planned = this.nextOpenUploadRefusal;
    this.nextOpenUploadRefusal = null;
    if (planned !== null) throw planned;
    if (!this.canWrite) throw refusal('SlowDownWrite');
    this.openUploads += 1;
    return new MemoryUpload(this, bucket, options, this.#highWaterBytes);
  }

  open(bucketName: string, key: string, versionId: string): ObjectSnapshot {
    const { info, parts } = this.#object(bucketName, key, versionId);
    this.openSnapshots += 1;
    let isClosed = false;
    const close = () => {
      if (isClosed) return;
      isClosed = true;
      this.openSnapshots -= 1;
    };
    const whole = Buffer.concat(parts.map((part) => part.bytes));
    const startOf = (partNumber: number) =>
      parts.filter((part) => part.info.partNumber < partNumber).reduce((sum, part) => sum + part.info.bytes, 0);
    return {
      info,
      part: (partNumber) => {
        const part = parts.find((candidate) => candidate.info.partNumber === partNumber);
        return part === undefined ? null : { ...part.info, startByte: startOf(partNumber) };
      },
      parts: (marker, countMax) =>
        parts
          .map((part) => part.info)
          .filter((part) => part.partNumber > marker)
          .slice(0, countMax),
      read: (startByte, endByte) => piecesOf(whole.subarray(startByte, endByte), this.#pieceBytes, close),
      close,
    };
  }

  inMemory(bucketName: string, key: string): ObjectInMemory | null {
    const latest = this.#bucket(bucketName).objects.get(key)?.[0];
    if (!this.keepsInMemory || !this.canRead || latest === undefined || latest.isMarker) return null;
    const { info, parts } = latest;
    if (info.bytes === 0 || info.partCount > 0) return null;
    return { info, bytes: Buffer.concat(parts.map((part) => part.bytes)) };
  }

  head(bucket: string, key: string, versionId: string): ObjectInfo {
    return this.#object(bucket, key, versionId).info;
  }

  async deleteObject(
    bucketName: string,
    key: string,
    versionId: string,
    precondition: WritePrecondition | null,
  ): Promise<DeleteOutcome> {
    const bucket = this.#bucket(bucketName);
    if (versionId !== '' && !isVersionId(versionId)) throw refusal('NoSuchVersion');
    const versions = bucket.objects.get(key) ?? [];
    const mode = writeMode(bucket.versioning, key);
    const named = versionId === '' ? versions[0] : versions.find(({ info }) => info.versionId === versionId);
    checkPrecondition(named === undefined || named.isMarker ? null : named.info, precondition);
    if (versionId === '' && mode !== 'unversioned') {
      const { info } = this.#put(bucket, key, (made) => ({
        info: { ...noObject, ...made },
        parts: [],
        isMarker: true,
      }));
      return { versionId: info.versionId, isMarker: true };
    }
    const rest = versions.filter((version) => version !== named);
    if (rest.length > 0) bucket.objects.set(key, rest);
    else bucket.objects.delete(key);
    if (versionId === '') return { versionId: null, isMarker: false };
    return { versionId, isMarker: named?.isMarker ?? false };
  }

  async replaceMetadata(
    snapshot: ObjectSnapshot,
    metadata: ObjectMetadata,
    precondition: WritePrecondition | null,
  ): Promise<ObjectInfo | null> {
    const { bucket: name, key } = snapshot.info;
    const bucket = this.#bucket(name);
    const versions = bucket.objects.get(key) ?? [];
    const stored = versions.find(({ info }) => info === snapshot.info);
    if (stored === undefined) return null;
    checkPrecondition(currentOf(versions), precondition);
    return this.#put(bucket, key, (made) => ({ ...stored, info: { ...stored.info, ...made, metadata } })).info;
  }

  async list(options: ListOptions): Promise<ListPage> {
    return Promise.resolve(this.#list(options));
  }

  async listVersions(options: VersionListOptions): Promise<VersionListPage> {
    return Promise.resolve(this.#listVersions(options));
  }

  async listUploads(options: Parameters<ObjectLayer['listUploads']>[0]): Promise<ListUploadsPage> {
    return Promise.resolve(this.#listUploads(options));
  }

  #list(options: ListOptions): ListPage {
    const { objects } = this.#bucket(options.bucket);
    const present = [...objects].filter(([, versions]) => currentOf(versions) !== null).map(([key]) => key);
    const page = pageOf(present.sort(compareKeys), options);
    return {
      ...page,
      entries: page.keys.map((key) => {
        const { info } = objects.get(key)![0]!;
        const { bytes, etag, modifiedMs, checksum, metadata } = info;
        return { key, bytes, etag, modifiedMs, checksum, storageClass: metadata.storageClass };
      }),
    };
  }

  #listVersions(options: VersionListOptions): VersionListPage {
    const { objects } = this.#bucket(options.bucket);
    const { prefix, delimiter, keyMarker, versionIdMarker, countMax } = options;
    const entries: VersionEntry[] = [];
    const commonPrefixes: string[] = [];
    const last = { nextKeyMarker: '', nextVersionIdMarker: '' };
    const all = [...objects].sort(([a], [b]) => compareKeys(a, b)).flatMap(([, versions]) => versions);
    for (const version of all) {
      if (countMax === 0) break;
      const { key, versionId, bytes, etag, modifiedMs, checksum, metadata } = version.info;
      const common = commonPrefixOf(key, prefix, delimiter);
      if (common === undefined || compareKeys(key, keyMarker) < 0) continue;
      if (common !== null && (commonPrefixes.at(-1) === common || keyMarker.startsWith(common))) continue;
      const siblings = objects.get(key)!;
      const markerIndex = siblings.findIndex(({ info }) => info.versionId === versionIdMarker);
      const isBehind = versionIdMarker !== '' && siblings.indexOf(version) > markerIndex;
      if (key === keyMarker && common === null && !isBehind) continue;
      if (entries.length + commonPrefixes.length === countMax)
        return { entries, commonPrefixes, isTruncated: true, ...last };
      Object.assign(last, { nextKeyMarker: common ?? key, nextVersionIdMarker: common === null ? versionId : '' });
      if (common !== null) {
        commonPrefixes.push(common);
        continue;
      }
      const isLatest = siblings[0] === version;
      const { isMarker } = version;
      const { storageClass } = metadata;
      entries.push({ key, versionId, bytes, etag, modifiedMs, checksum, storageClass, isLatest, isMarker });
    }
    return { entries, commonPrefixes, isTruncated: false, nextKeyMarker: '', nextVersionIdMarker: '' };
  }

  async createMultipartUpload(options: {
    bucket: string;
    key: string;
    metadata: ObjectMetadata;
    checksumAlgorithm: ChecksumAlgorithm | null;
    checksumType: 'FULL_OBJECT' | 'COMPOSITE' | null;
  }): Promise<MultipartUploadInfo> {
    const bucket = this.#bucket(options.bucket);
    const uploadId = `upload-${String(this.#nextUploadId++).padStart(8, '0')}`;
    const info: MultipartUploadInfo = { ...options, uploadId, initiatedMs: this.#clock.nowMs() };
    bucket.uploads.set(uploadId, { info, parts: new Map(), completed: null });
    return info;
  }

  multipartUpload(bucket: string, key: string, uploadId: string): MultipartUploadInfo {
    return this.#pendingUpload(bucket, key, uploadId).info;
  }

  listParts(bucket: string, key: string, uploadId: string, partNumberMarker: number, countMax: number) {
    const { parts } = this.#pendingUpload(bucket, key, uploadId);
    const after = sortedParts(parts).filter((part) => part.info.partNumber > partNumberMarker);
    return { parts: after.slice(0, countMax).map((part) => part.info), isTruncated: after.length > countMax };
  }

  #listUploads(options: Parameters<ObjectLayer['listUploads']>[0]): ListUploadsPage {
    const pending = [...this.#bucket(options.bucket).uploads.values()]
      .filter(({ completed }) => completed === null)
      .map(({ info }) => info)
      .sort((a, b) => compareKeys(a.key, b.key) || compareKeys(a.uploadId, b.uploadId));
    const { prefix, delimiter, keyMarker, uploadIdMarker, countMax } = options;
    const uploads: MultipartUploadInfo[] = [];
    const commonPrefixes: string[] = [];
    let last = { key: '', uploadId: '' };
    for (const info of pending) {
      const common = commonPrefixOf(info.key, prefix, delimiter);
      if (common === undefined) continue;
      const order = compareKeys(info.key, keyMarker);
      if (order < 0 || (order === 0 && (uploadIdMarker === '' || compareKeys(info.uploadId, uploadIdMarker) <= 0)))
        continue;
      if (common !== null && (commonPrefixes.includes(common) || keyMarker.startsWith(common))) continue;
      if (uploads.length + commonPrefixes.length >= countMax) {
        if (countMax === 0) break;
        const { key, uploadId } = last;
        return { uploads, commonPrefixes, isTruncated: true, nextKeyMarker: key, nextUploadIdMarker: uploadId };
      }
      if (common === null) uploads.push(info);
      else commonPrefixes.push(common);
      last = common === null ? info : { key: common, uploadId: '' };
    }
    return { uploads, commonPrefixes, isTruncated: false, nextKeyMarker: '', nextUploadIdMarker: '' };
  }

  async completeMultipartUpload(options: {
    bucket: string;
    key: string;
    uploadId: string;
    parts: readonly CompletedPart[];
    precondition: WritePrecondition | null;
    checksum?: Pick<Checksum, 'algorithm' | 'value'> | null;
  }): Promise<ObjectInfo> {
    const bucket = this.#bucket(options.bucket);
    const upload = bucket.uploads.get(options.uploadId);
    if (upload === undefined || upload.info.key !== options.key) throw refusal('NoSuchUpload');
    if (upload.completed !== null) return upload.completed;
    const chosen = options.parts.map((listed, index) => {
      if (index > 0 && options.parts[index - 1]!.partNumber >= listed.partNumber) throw refusal('InvalidPartOrder');
      const part = upload.parts.get(listed.partNumber);
      if (part === undefined || part.info.etag !== listed.etag) throw refusal('InvalidPart');
      if (listed.checksum !== null && part.info.checksum?.value !== listed.checksum) throw refusal('InvalidPart');
      if (index < options.parts.length - 1 && part.info.bytes < limits.partBytesMin) throw refusal('EntityTooSmall');
      return part;
    });
    checkPrecondition(currentOf(bucket.objects.get(options.key)), options.precondition);
    const checksum = checksumOfParts(upload.info, chosen);
    if (options.checksum && withoutCount(options.checksum.value) !== withoutCount(checksum?.value ?? '')) {
      throw refusal('BadDigest');
    }
    const md5s = Buffer.concat(chosen.map((part) => Buffer.from(part.info.etag, 'hex')));
    const { info } = this.#put(bucket, options.key, (made) => ({
      info: {
        ...made,
        bytes: chosen.reduce((sum, part) => sum + part.info.bytes, 0),
        etag: `${createHash('md5').update(md5s).digest('hex')}-${chosen.length}`,
        metadata: upload.info.metadata,
        checksum,
        partCount: chosen.length,
      },
      parts: chosen,
      isMarker: false,
    }));
    upload.completed = info;
    upload.parts.clear();
    return info;
  }

  async abortMultipartUpload(bucket: string, key: string, uploadId: string): Promise<void> {
    this.#pendingUpload(bucket, key, uploadId);
    this.#bucket(bucket).uploads.delete(uploadId);
  }

  health() {
    return { canRead: this.canRead, canWrite: this.canWrite };
  }

  /** For MemoryUpload. */
  commit(
    bucket: StoredBucket,
    key: string,
    bytes: Buffer,
    metadata: ObjectMetadata,
    checksum: Checksum | null,
    precondition: WritePrecondition | null,
  ): ObjectInfo {
    checkPrecondition(currentOf(bucket.objects.get(key)), precondition);
    const etag = createHash('md5').update(bytes).digest('hex');
    return this.#put(bucket, key, (made) => {
      const info = { ...made, bytes: bytes.length, etag, metadata, checksum, partCount: 0 };
      const { modifiedMs } = info;
      const part: StoredPart = { bytes, info: { partNumber: 1, bytes: bytes.length, etag, modifiedMs, checksum } };
      return { info, parts: [part], isMarker: false };
    }).info;
  }

  /** On top of its key's versions; a null version takes the place of the one before. */
  #put(
    bucket: StoredBucket,
    key: string,
    make: (made: Pick<ObjectInfo, 'bucket' | 'key' | 'versionId' | 'modifiedMs'>) => StoredObject,
  ): StoredObject {
    const versionId = versionIdFor(writeMode(bucket.versioning, key), this.#nextOrder++);
    const stored = make({ bucket: bucket.info.name, key, versionId, modifiedMs: this.#clock.nowMs() });
    const kept = (bucket.objects.get(key) ?? []).filter(
      ({ info }) => versionId !== 'null' || info.versionId !== 'null',
    );
    bucket.objects.set(key, [stored, ...kept]);
    return stored;
  }

  /** For MemoryUpload. */
  commitPart(
    bucket: StoredBucket,
    key: string,
    uploadId: string,
    partNumber: number,
    bytes: Buffer,
    checksum: Checksum | null,
  ): PartInfo {
    const upload = this.#pendingUpload(bucket.info.name, key, uploadId);
    const etag = createHash('md5').update(bytes).digest('hex');
    const info: PartInfo = { partNumber, bytes: bytes.length, etag, modifiedMs: this.#clock.nowMs(), checksum };
    upload.parts.set(partNumber, { info, bytes });
    return info;
  }

  #bucket(name: string): StoredBucket {
    const bucket = this.#buckets.get(name);
    if (bucket === undefined) throw refusal('NoSuchBucket');
    return bucket;
  }

  #object(bucketName: string, key: string, versionId: string): StoredObject {
    if (!this.canRead) throw refusal('SlowDownRead');
    const versions = this.#bucket(bucketName).objects.get(key) ?? [];
    const isNamed = versionId !== '';
    const stored = isNamed ? versions.find(({ info }) => info.versionId === versionId) : versions[0];
    if (stored === undefined) throw refusal(isNamed ? 'NoSuchVersion' : 'NoSuchKey');
    if (stored.isMarker) throw new DeletedByMarker(isNamed ? 'MethodNotAllowed' : 'NoSuchKey', stored.info);
    return stored;
  }

  #pendingUpload(bucketName: string, key: string, uploadId: string): StoredUpload {
    const upload = this.#bucket(bucketName).uploads.get(uploadId);
    if (upload === undefined || upload.info.key !== key || upload.completed !== null) throw refusal('NoSuchUpload');
    return upload;
  }
}

class MemoryUpload implements Upload {
  readonly #layer: MemoryObjectLayer;
  readonly #bucket: StoredBucket;
  readonly #options: UploadOptions;
  readonly #highWaterBytes: number;
  readonly #chunks: Buffer[] = [];
  #length = 0;
  #waiting = 0;
  #isHeld = true;
  #chunkStart = 0;
  #previousSignature: string;
  #isSignatureWrong = false;
  onDrain: () => void = () => {};
  onFailure: (refusal: ObjectRefusal) => void = () => {};

  constructor(layer: MemoryObjectLayer, bucket: StoredBucket, options: UploadOptions, highWaterBytes: number) {
    this.#layer = layer;
    this.#bucket = bucket;
    this.#options = options;
    this.#highWaterBytes = highWaterBytes;
    this.#previousSignature = options.signedStream?.seedSignature ?? '';
  }

  write(chunk: Uint8Array, start: number, end: number): boolean {
    if (!this.#isHeld) throw new Error('write after the end of the upload');
    const planned = this.#layer.nextWriteRefusal;
    if (planned !== null) {
      this.#layer.nextWriteRefusal = null;
      queueMicrotask(() => this.onFailure(planned));
      return true;
    }
    // A copy: the caller's bytes are borrowed.
    this.#chunks.push(Buffer.from(chunk.slice(start, end)));
    this.#length += end - start;
    this.#waiting += end - start;
    if (this.#waiting < this.#highWaterBytes) return true;
    setImmediate(() => {
      this.#waiting = 0;
      if (this.#isHeld) this.onDrain();
    });
    return false;
  }

  endChunk(signature: Uint8Array): void {
    const stream = this.#options.signedStream;
    if (stream === null) throw new Error('endChunk without signed chunks');
    const chunk = Buffer.concat(this.#chunks).subarray(this.#chunkStart);
    this.#chunkStart = this.#length;
    const lines = [
      'AWS4-HMAC-SHA256-PAYLOAD',
      stream.amzDate,
      stream.scope,
      this.#previousSignature,
      sha256Hex(Buffer.alloc(0)),
      sha256Hex(chunk),
    ];
    this.#previousSignature = memorySign(stream, lines);
    if (this.#previousSignature !== Buffer.from(signature).toString('hex')) this.#isSignatureWrong = true;
  }

  async finish(): Promise<UploadDigests> {
    const bytes = Buffer.concat(this.#chunks);
    const { checksum, sha256 } = this.#options;
    if (this.#isSignatureWrong) return this.#refuse('SignatureDoesNotMatch');
    if (bytes.length !== this.#options.bytes) return this.#refuse('IncompleteBody');
    return {
      md5: Buffer.from(memoryDigest('md5', bytes)).toString('hex'),
      sha256: sha256 ? Buffer.from(memoryDigest('sha256', bytes)).toString('hex') : null,
      checksum: checksum === null ? null : memoryDigest(digestNames[checksum], bytes),
    };
  }

  verifyTrailer(trailerBlock: Uint8Array, signature: Uint8Array): boolean {
    const stream = this.#options.signedStream;
    if (stream === null) throw new Error('verifyTrailer without signed chunks');
    const lines = [
      'AWS4-HMAC-SHA256-TRAILER',
      stream.amzDate,
      stream.scope,
      this.#previousSignature,
      sha256Hex(trailerBlock),
    ];
    return memorySign(stream, lines) === Buffer.from(signature).toString('hex');
  }

  async commitObject(options: {
    metadata: ObjectMetadata;
    checksum: Checksum | null;
    precondition: WritePrecondition | null;
  }): Promise<ObjectInfo> {
    const { metadata, checksum, precondition } = options;
    try {
      return this.#layer.commit(
        this.#bucket,
        this.#options.key,
        Buffer.concat(this.#chunks),
        metadata,
        checksum,
        precondition,
      );
    } finally {
      this.abort();
    }
  }

  async commitPart({
    uploadId,
    partNumber,
    checksum,
  }: {
    uploadId: string;
    partNumber: number;
    checksum: Checksum | null;
  }): Promise<PartInfo> {
    try {
      return this.#layer.commitPart(
        this.#bucket,
        this.#options.key,
        uploadId,
        partNumber,
        Buffer.concat(this.#chunks),
        checksum,
      );
    } finally {
      this.abort();
    }
  }

  abort(): void {
    if (!this.#isHeld) return;
    this.#isHeld = false;
    this.#layer.openUploads -= 1;
  }

  #refuse(code: ObjectErrorCode): never {
    this.abort();
    throw refusal(code);
  }
}

/** Signs like SigV4 with `signingKey` as the raw key of the HMAC. */
export function memorySign(stream: Pick<SignedStream, 'signingKey'>, lines: readonly string[]): string {
  return createHmac('sha256', stream.signingKey).update(lines.join('\n')).digest('hex');
}

/** UTF-8 byte order. */
export function compareKeys(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

/** Undefined: not under the prefix. Null: listed itself. */
function commonPrefixOf(key: string, prefix: string, delimiter: string): string | null | undefined {
  if (!key.startsWith(prefix)) return undefined;
  const at = delimiter === '' ? -1 : key.indexOf(delimiter, prefix.length);
  return at === -1 ? null : key.slice(0, at + delimiter.length);
}

function pageOf(sortedKeys: readonly string[], { prefix, delimiter, startAfter, countMax }: ListOptions) {
  const keys: string[] = [];
  const commonPrefixes: string[] = [];
  let next = '';
  if (countMax === 0) return { keys, commonPrefixes, isTruncated: false, next };
  for (const key of sortedKeys) {
    const common = commonPrefixOf(key, prefix, delimiter);
    if (common === undefined || compareKeys(key, startAfter) <= 0) continue;
    if (common !== null && (commonPrefixes.at(-1) === common || startAfter.startsWith(common))) continue;
    if (keys.length + commonPrefixes.length === countMax) return { keys, commonPrefixes, isTruncated: true, next };
    if (common === null) keys.push(key);
    else commonPrefixes.push(common);
    next = common ?? key;
  }
  return { keys, commonPrefixes, isTruncated: false, next: '' };
}

const noObject = {
  bytes: 0,
  etag: '',
  metadata: { headers: {}, storageClass: 'STANDARD' },
  checksum: null,
  partCount: 0,
};

/** The latest version unless that is a delete marker. */
function currentOf(versions: readonly StoredObject[] | undefined): ObjectInfo | null {
  const latest = versions?.[0];
  return latest === undefined || latest.isMarker ? null : latest.info;
}

function checkPrecondition(current: ObjectInfo | null, precondition: WritePrecondition | null): void {
  if (precondition === null) return;
  const { ifMatch, ifNoneMatch } = precondition;
  if (ifMatch !== undefined) {
    if (current === null) throw refusal('NoSuchKey');
    if (!ifMatch.includes('*') && !ifMatch.includes(current.etag)) throw refusal('PreconditionFailed');
  }
  if (ifNoneMatch !== undefined && current !== null) {
    if (ifNoneMatch.includes('*') || ifNoneMatch.includes(current.etag)) throw refusal('PreconditionFailed');
  }
}

function checksumOfParts(info: MultipartUploadInfo, parts: readonly StoredPart[]): Checksum | null {
  const { checksumAlgorithm: algorithm, checksumType: type } = info;
  if (algorithm === null || type === null) return null;
  const digest = (bytes: Uint8Array) => Buffer.from(memoryDigest(digestNames[algorithm], bytes)).toString('base64');
  if (type === 'FULL_OBJECT') return { algorithm, type, value: digest(Buffer.concat(parts.map((part) => part.bytes))) };
  const values = parts.map((part) => Buffer.from(part.info.checksum?.value ?? '', 'base64'));
  return { algorithm, type, value: `${digest(Buffer.concat(values))}-${parts.length}` };
}

/** Clients send composite values with and without the count of parts. */
function withoutCount(value: string): string {
  return value.replace(/-[0-9]+$/, '');
}

function sortedParts(parts: ReadonlyMap<number, StoredPart>): StoredPart[] {
  return [...parts.values()].sort((a, b) => a.info.partNumber - b.info.partNumber);
}

function piecesOf(bytes: Buffer, pieceBytes: number, close: () => void): PieceSource {
  let at = 0;
  return {
    next: () => {
      if (at >= bytes.length) return null;
      const piece = bytes.subarray(at, at + pieceBytes);
      at += piece.length;
      return { bytes: piece, release: () => {} };
    },
    close,
  };
}

function sha256Hex(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function refusal(code: ObjectErrorCode): ObjectRefusal {
  return new Refusal<ObjectErrorCode>(code);
}
