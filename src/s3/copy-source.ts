/** The source of CopyObject and UploadPartCopy: which object, on which conditions, and its bytes. */
import { limits } from '../base/index.js';
import type { Authorized, Permission } from '../dispatch/index.js';
import type { ExchangeRequest, HeaderMap } from '../exchange/index.js';
import type { Checksum, ChecksumAlgorithm, ObjectInfo, ObjectSnapshot, Upload } from '../object/index.js';
import { fullObjectChecksum } from './checksum.js';
import { judgeRead, parseSourceConditions, preconditionFailed, type ReadConditions } from './conditional.js';
import { markerOf } from './delete-marker.js';
import type { S3Deps } from './deps.js';
import { s3Error } from './errors.js';
import type { ByteRange } from './range.js';

export interface CopySource {
  readonly bucket: string;
  readonly key: string;
  /** Empty: the latest. */
  readonly versionId: string;
  readonly conditions: ReadConditions | null;
}

const versionMark = '?versionId=';

/** `[/]bucket/key[?versionId=…]`, percent-encoded once: a question mark of the key is `%3F`. */
export function parseCopySource(headers: HeaderMap): CopySource {
  const header = headers.get('x-amz-copy-source') ?? '';
  const mark = header.indexOf(versionMark);
  const versionId = mark === -1 ? '' : decode(header.slice(mark + versionMark.length));
  const path = decode(mark === -1 ? header : header.slice(0, mark)).replace(/^\//, '');
  const slash = path.indexOf('/');
  if (slash < 1 || slash === path.length - 1) throw invalidSource();
  if (mark !== -1 && versionId === '') throw invalidSource();
  const key = path.slice(slash + 1);
  if (Buffer.byteLength(key) > limits.keyBytesMax) throw s3Error('KeyTooLongError');
  return { bucket: path.slice(0, slash), key, versionId, conditions: parseSourceConditions(headers) };
}

/** What a copy needs. Policies see the source in one spelling, whatever the header encodes. */
export function copyPermissions(bucket: string, key: string, source: CopySource): readonly Permission[] {
  const { versionId } = source;
  return [
    { action: 's3:PutObject', bucket, key, values: { 's3:x-amz-copy-source': [`${source.bucket}/${source.key}`] } },
    {
      action: versionId === '' ? 's3:GetObject' : 's3:GetObjectVersion',
      bucket: source.bucket,
      key: source.key,
      // The query is about the copy, not about its source.
      values: { 's3:versionid': versionId === '' ? [] : [versionId] },
    },
  ];
}

/** Throws NoSuchBucket, NoSuchKey, NoSuchVersion, AccessDenied, PreconditionFailed. The caller closes it. */
export function openCopySource(deps: Pick<S3Deps, 'objects'>, source: CopySource): ObjectSnapshot {
  const snapshot = openSource(deps, source);
  // S3 answers 412 for a copy that a GET would answer 304 to.
  if (source.conditions !== null && judgeRead(source.conditions, snapshot.info) !== 'proceed') {
    snapshot.close();
    throw preconditionFailed('x-amz-copy-source-If-*');
  }
  return snapshot;
}

function openSource({ objects }: Pick<S3Deps, 'objects'>, { bucket, key, versionId }: CopySource): ObjectSnapshot {
  try {
    return objects.open(bucket, key, versionId);
  } catch (error) {
    if (markerOf(error) === null) throw error;
    // Headers about the marker would be taken for those of the target.
    if (versionId === '') throw s3Error('NoSuchKey');
    throw s3Error(
      'InvalidRequest',
      'The source of a copy request may not specifically refer to a delete marker by version id.',
    );
  }
}

/** Which version was copied. */
export function sourceVersionHeaders({ versionId }: Pick<ObjectInfo, 'versionId'>): [string, string][] {
  return versionId === 'null' ? [] : [['x-amz-copy-source-version-id', versionId]];
}

export interface CopyTarget {
  readonly storageClass: string;
  readonly algorithm: ChecksumAlgorithm | null;
}

/**
 * Copies bytes of the snapshot, which it closes, into an upload for the call's own target. The upload
 * is finished, not committed. Ends with an abort when the client goes away.
 */
export async function copyBytes(
  deps: Pick<S3Deps, 'objects'>,
  call: Pick<Authorized<unknown>, 'request' | 'bucket' | 'key'>,
  snapshot: ObjectSnapshot,
  range: ByteRange,
  target: CopyTarget,
): Promise<{ upload: Upload; checksum: Checksum | null }> {
  const { startByte, endByte } = range;
  const { algorithm, storageClass } = target;
  let upload: Upload | null = null;
  try {
    upload = deps.objects.openUpload({
      bucket: call.bucket,
      key: call.key,
      bytes: endByte - startByte,
      sha256: false,
      checksum: algorithm,
      signedStream: null,
      storageClass,
    });
    if (endByte > startByte) await pumpPieces(call.request, snapshot, range, upload);
    const digests = await upload.finish();
    const checksum =
      algorithm === null || digests.checksum === null ? null : fullObjectChecksum(algorithm, digests.checksum);
    return { upload, checksum };
  } catch (error) {
    upload?.abort();
    throw error;
  } finally {
    snapshot.close();
  }
}

/** One piece at a time: it is the upload that has the buffers. */
async function pumpPieces(
  request: Pick<ExchangeRequest, 'onAborted'>,
  snapshot: ObjectSnapshot,
  { startByte, endByte }: ByteRange,
  upload: Upload,
): Promise<void> {
  let wake = () => {};
  let stop: { readonly reason: Error } | null = null;
  const stopWith = (reason: Error) => {
    stop ??= { reason };
    wake();
  };
  let isDrained: boolean;
  upload.onDrain = () => {
    isDrained = true;
    wake();
  };
  upload.onFailure = stopWith;
  request.onAborted(() => stopWith(s3Error('RequestTimeout', 'The client went away.')));
  const failure = () => stop?.reason;
  const source = snapshot.read(startByte, endByte);
  try {
    for (;;) {
      const piece = await source.next();
      if (piece === null) return;
      try {
        const reason = failure();
        if (reason !== undefined) throw reason;
        isDrained = upload.write(piece.bytes, 0, piece.bytes.length);
      } finally {
        piece.release();
      }
      while (!isDrained && failure() === undefined) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    }
  } finally {
    source.close();
  }
}

function decode(text: string): string {
  try {
    const decoded = decodeURIComponent(text);
    if (decoded.includes('\0')) throw invalidSource();
    return decoded;
  } catch {
    throw invalidSource();
  }
}

function invalidSource() {
  return s3Error('InvalidArgument', 'Copy Source must mention the source bucket and key: sourcebucket/sourcekey', {
    ArgumentName: 'x-amz-copy-source',
  });
}
