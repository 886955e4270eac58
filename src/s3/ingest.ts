/**
 * Streams a request body into an upload: off the wire, through the framing, to the drives, with
 * back-pressure, and checks at its end everything that the client claimed about it.
 */
import { limits, type Refusal } from '../base/index.js';
import type { Payload, PayloadEnd } from '../dispatch/index.js';
import type { HeaderMap } from '../exchange/index.js';
import type { Checksum, ChecksumAlgorithm, Upload, UploadDigests } from '../object/index.js';
import {
  claimedValue,
  fullObjectChecksum,
  parseChecksumClaim,
  parseContentMd5,
  verifyChecksum,
  verifyContentMd5,
  type ChecksumClaim,
} from './checksum.js';
import type { S3Deps } from './deps.js';
import { s3Error } from './errors.js';

/** What is read of a body: of a request, or of the file in a form. */
export type IngestBody = Pick<
  Payload,
  'protection' | 'trailerNames' | 'contentBytes' | 'consume' | 'pause' | 'resume' | 'detach'
>;

export interface IngestCall {
  readonly request: { readonly headers: HeaderMap };
  readonly payload: IngestBody;
  readonly bucket: string;
  readonly key: string;
}

export interface IngestOptions {
  readonly storageClass: string;
  /** Computed when the client claims no checksum; its claim must be of this algorithm. Null: any or none. */
  readonly algorithm: ChecksumAlgorithm | null;
}

/** A body that is with the drives and true to every claim, but not yet visible. */
export interface Ingested {
  readonly upload: Upload;
  readonly checksum: Checksum | null;
}

interface Claims {
  readonly md5: Uint8Array | null;
  readonly checksum: ChecksumClaim | null;
  /** Of the whole body, in hex. */
  readonly sha256Hex: string | null;
}

/**
 * Opens the upload and attaches to the body before it returns. Throws or rejects with
 * MissingContentLength, EntityTooLarge, IncompleteBody, InvalidDigest, BadDigest,
 * XAmzContentSHA256Mismatch, SignatureDoesNotMatch and what the object layer refuses; the upload then
 * holds nothing.
 */
export function ingest(deps: Pick<S3Deps, 'objects'>, call: IngestCall, options: IngestOptions): Promise<Ingested> {
  const { payload, bucket, key } = call;
  const bytes = payload.contentBytes();
  if (bytes === null) throw s3Error('MissingContentLength');
  if (bytes > limits.putBytesMax) throw entityTooLarge(bytes);
  const claims = parseClaims(call, options);
  const algorithm = claims.checksum?.algorithm ?? options.algorithm;
  const { protection } = payload;
  const upload = deps.objects.openUpload({
    bucket,
    key,
    bytes,
    sha256: claims.sha256Hex !== null,
    checksum: algorithm,
    signedStream: protection.kind === 'signed-chunks' ? protection : null,
    storageClass: options.storageClass,
  });
  return pump(call, upload, (digests, end) => conclude(upload, digests, end, claims, algorithm));
}

function parseClaims({ request, payload }: IngestCall, { algorithm }: IngestOptions): Claims {
  const md5 = parseContentMd5(request.headers);
  const checksum = parseChecksumClaim(request.headers, payload.trailerNames);
  if (checksum !== null && algorithm !== null && checksum.algorithm !== algorithm) {
    throw s3Error(
      'InvalidRequest',
      `Checksum Type mismatch occurred, expected checksum Type: ${algorithm.toLowerCase()}, actual checksum Type: ${checksum.algorithm.toLowerCase()}`,
    );
  }
  const { protection } = payload;
  return { md5, checksum, sha256Hex: protection.kind === 'sha256' ? protection.hex : null };
}

function pump<Result>(
  { payload }: IngestCall,
  upload: Upload,
  conclude: (digests: UploadDigests, end: PayloadEnd) => Result,
): Promise<Result> {
  return new Promise((resolve, reject) => {
    const fail = (reason: Error) => {
      payload.detach();
      upload.abort();
      reject(reason);
    };
    upload.onDrain = () => payload.resume();
    upload.onFailure = fail;
    try {
      payload.consume({
        data: (chunk, start, end) => {
          if (!upload.write(chunk, start, end)) payload.pause();
        },
        endChunk: (signature) => upload.endChunk(signature),
        end: (end) => {
          upload.finish().then((digests) => {
            try {
              resolve(conclude(digests, end));
            } catch (error) {
              fail(error as Error);
            }
          }, fail);
        },
        failed: fail,
      });
    } catch (error) {
      fail(error as Error);
    }
  });
}

function conclude(
  upload: Upload,
  digests: UploadDigests,
  end: PayloadEnd,
  claims: Claims,
  algorithm: ChecksumAlgorithm | null,
): Ingested {
  if (end.signedTrailer !== null && !upload.verifyTrailer(end.signedTrailer.block, end.signedTrailer.signature)) {
    throw s3Error('SignatureDoesNotMatch');
  }
  verifyClaims(claims, digests, end);
  const checksum =
    algorithm === null || digests.checksum === null ? null : fullObjectChecksum(algorithm, digests.checksum);
  return { upload, checksum };
}

function verifyClaims(claims: Claims, digests: UploadDigests, end: PayloadEnd): void {
  if (claims.sha256Hex !== null && digests.sha256 !== claims.sha256Hex) {
    throw s3Error('XAmzContentSHA256Mismatch');
  }
  if (claims.md5 !== null) verifyContentMd5(claims.md5, Buffer.from(digests.md5, 'hex'));
  if (claims.checksum !== null && digests.checksum !== null) {
    verifyChecksum(claims.checksum.algorithm, claimedValue(claims.checksum, end.trailers), digests.checksum);
  }
}

function entityTooLarge(bytes: number): Refusal {
  return s3Error('EntityTooLarge', undefined, {
    ProposedSize: String(bytes),
    MaxSizeAllowed: String(limits.putBytesMax),
  });
}
