/**
 * Small request bodies as a whole: XML documents. Bounded by the caller's limit and by a budget over
 * all requests, true to the request's signature, and to every digest that the client sent with them.
 */
import type { Authorized } from '../dispatch/index.js';
import {
  checksumDigest,
  claimedValue,
  parseChecksumClaim,
  parseContentMd5,
  verifyChecksum,
  verifyContentMd5,
} from './checksum.js';
import type { S3Deps } from './deps.js';
import { s3Error } from './errors.js';

export interface DocumentOptions {
  readonly bytesMax: number;
  /** Required: S3 demands Content-MD5 or any x-amz-checksum-* for this operation. */
  readonly integrity: 'required' | 'optional';
}

/**
 * Reads the body to its end; empty when there is none. Call it before the first await of the handler.
 * Throws MissingContentMD5, InvalidDigest, BadDigest, XAmzContentSHA256Mismatch, SignatureDoesNotMatch,
 * EntityTooLarge, IncompleteBody, ServerBusy.
 */
export async function readDocument(
  deps: Pick<S3Deps, 'digest'>,
  call: Pick<Authorized<unknown>, 'request' | 'payload'>,
  options: DocumentOptions,
): Promise<Uint8Array> {
  const { headers } = call.request;
  const md5 = parseContentMd5(headers);
  const claim = parseChecksumClaim(headers, call.payload.trailerNames);
  if (options.integrity === 'required' && md5 === null && claim === null) throw s3Error('MissingContentMD5');
  const { bytes, trailers } = await call.payload.collect(options.bytesMax);
  if (md5 !== null) verifyContentMd5(md5, deps.digest('md5', bytes));
  if (claim !== null) {
    verifyChecksum(claim.algorithm, claimedValue(claim, trailers), deps.digest(checksumDigest(claim.algorithm), bytes));
  }
  return bytes;
}
