/**
 * Integrity that a client claims for a body: Content-MD5 and x-amz-checksum-*, as header or trailer.
 */
import type { HeaderMap } from '../exchange/index.js';
import type { Checksum, ChecksumAlgorithm } from '../object/index.js';
import type { DigestAlgorithm } from './deps.js';
import { s3Error } from './errors.js';

interface AlgorithmFacts {
  readonly header: string;
  readonly digest: DigestAlgorithm;
  readonly bytes: number;
}

const facts: Readonly<Record<ChecksumAlgorithm, AlgorithmFacts>> = {
  CRC32: { header: 'x-amz-checksum-crc32', digest: 'crc32', bytes: 4 },
  CRC32C: { header: 'x-amz-checksum-crc32c', digest: 'crc32c', bytes: 4 },
  CRC64NVME: { header: 'x-amz-checksum-crc64nvme', digest: 'crc64nvme', bytes: 8 },
  SHA1: { header: 'x-amz-checksum-sha1', digest: 'sha1', bytes: 20 },
  SHA256: { header: 'x-amz-checksum-sha256', digest: 'sha256', bytes: 32 },
};

export const checksumAlgorithms = Object.keys(facts) as readonly ChecksumAlgorithm[];

const algorithmByHeader = new Map(checksumAlgorithms.map((algorithm) => [facts[algorithm].header, algorithm]));
/** Names of the same prefix that carry no value of a checksum. */
const relatedHeaders = new Set(['x-amz-checksum-algorithm', 'x-amz-checksum-mode', 'x-amz-checksum-type']);

/** What the client says the checksum of this body is, or will say in its trailer. */
export interface ChecksumClaim {
  readonly algorithm: ChecksumAlgorithm;
  /** Raw bytes; null when the value comes in the trailer. */
  readonly value: Uint8Array | null;
}

/** The header of an algorithm, lower case. */
export function checksumHeader(algorithm: ChecksumAlgorithm): string {
  return facts[algorithm].header;
}

export function checksumDigest(algorithm: ChecksumAlgorithm): DigestAlgorithm {
  return facts[algorithm].digest;
}

/** `crc32` in any case; throws on names that are no algorithm. */
export function parseChecksumAlgorithm(name: string): ChecksumAlgorithm {
  const upper = name.toUpperCase();
  const algorithm = checksumAlgorithms.find((known) => known === upper);
  if (algorithm === undefined) {
    throw s3Error(
      'InvalidRequest',
      'Checksum algorithm provided is unsupported. Use one of CRC32, CRC32C, CRC64NVME, SHA1, SHA256.',
    );
  }
  return algorithm;
}

/** Raw bytes of a base64 checksum value. */
export function parseChecksumValue(algorithm: ChecksumAlgorithm, text: string): Uint8Array {
  const bytes = Buffer.from(text, 'base64');
  if (bytes.length !== facts[algorithm].bytes || bytes.toString('base64') !== text) {
    throw s3Error('InvalidRequest', `Value for ${facts[algorithm].header} header is invalid.`);
  }
  return bytes;
}

/** At most one claim: in a header, or announced in x-amz-trailer. */
export function parseChecksumClaim(headers: HeaderMap, trailerNames: readonly string[]): ChecksumClaim | null {
  let claim: ChecksumClaim | null = null;
  const add = (next: ChecksumClaim) => {
    if (claim !== null) {
      throw s3Error(
        'InvalidRequest',
        'Expecting a single x-amz-checksum- header. Multiple checksum types are not allowed.',
      );
    }
    claim = next;
  };
  for (const name of headers.names()) {
    if (!name.startsWith('x-amz-checksum-') || relatedHeaders.has(name)) continue;
    const algorithm = algorithmByHeader.get(name);
    if (algorithm === undefined)
      throw s3Error('InvalidRequest', 'The algorithm type you specified in x-amz-checksum- header is invalid.');
    add({ algorithm, value: parseChecksumValue(algorithm, headers.get(name) ?? '') });
  }
  for (const name of trailerNames) {
    const algorithm = algorithmByHeader.get(name);
    if (algorithm === undefined)
      throw s3Error('InvalidRequest', 'The value specified in the x-amz-trailer header is not supported.');
    add({ algorithm, value: null });
  }
  return claim;
}

/** The claimed value once the body has ended. */
export function claimedValue(claim: ChecksumClaim, trailers: ReadonlyMap<string, string>): Uint8Array {
  if (claim.value !== null) return claim.value;
  const text = trailers.get(facts[claim.algorithm].header);
  if (text === undefined)
    throw s3Error('IncompleteBody', 'The trailer that x-amz-trailer announced did not follow the body.');
  return parseChecksumValue(claim.algorithm, text);
}

/**
 * The answer to a wrong checksum is BadDigest, as AWS gives it and as SDKs know it
 * (MinIO says XAmzContentChecksumMismatch, with the same status).
 */
export function verifyChecksum(algorithm: ChecksumAlgorithm, claimed: Uint8Array, computed: Uint8Array): void {
  if (Buffer.compare(claimed, computed) === 0) return;
  throw s3Error('BadDigest', `The ${algorithm} you specified did not match the calculated checksum.`);
}

/** 16 raw bytes, or null without the header. */
export function parseContentMd5(headers: HeaderMap): Uint8Array | null {
  const text = headers.get('content-md5');
  if (text === undefined) return null;
  const bytes = Buffer.from(text.trim(), 'base64');
  if (bytes.length !== 16 || bytes.toString('base64') !== text.trim()) throw s3Error('InvalidDigest');
  return bytes;
}

export function verifyContentMd5(claimed: Uint8Array, computed: Uint8Array): void {
  if (Buffer.compare(claimed, computed) !== 0) {
    throw s3Error('BadDigest', 'The Content-MD5 you specified did not match what we received.');
  }
}

/** A checksum over a whole body, as it is stored and answered. */
export function fullObjectChecksum(algorithm: ChecksumAlgorithm, value: Uint8Array): Checksum {
  return { algorithm, type: 'FULL_OBJECT', value: Buffer.from(value).toString('base64') };
}
