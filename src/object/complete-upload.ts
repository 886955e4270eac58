/** The rules of CompleteMultipartUpload: which parts make the object, its ETag and its checksum. */
import { Refusal, limits } from '../base/index.js';
import type { Compute } from '../erasure/index.js';
import type { Checksum, ChecksumAlgorithm, CompletedPart, ObjectErrorCode } from './object-layer.js';
import type { PartRecord, UploadRecord } from './records.js';

export interface AssembledObject {
  readonly bytes: number;
  readonly etag: string;
  readonly checksum: Checksum | null;
  readonly parts: readonly { readonly partNumber: number; readonly bytes: number }[];
}

const crcNames = { CRC32: 'crc32', CRC32C: 'crc32c', CRC64NVME: 'crc64nvme' } as const;

function isCrc(algorithm: ChecksumAlgorithm): algorithm is keyof typeof crcNames {
  return algorithm in crcNames;
}

const hashNames = { ...crcNames, SHA1: 'sha1', SHA256: 'sha256' } as const;

/** Throws InvalidPart, InvalidPartOrder, EntityTooSmall, EntityTooLarge. */
export function assemble(
  compute: Compute,
  upload: UploadRecord,
  stored: ReadonlyMap<number, PartRecord>,
  listed: readonly CompletedPart[],
): AssembledObject {
  const isAscending = listed.every((part, index) => part.partNumber > (listed[index - 1]?.partNumber ?? 0));
  if (!isAscending) throw new Refusal<ObjectErrorCode>('InvalidPartOrder', undefined, { UploadId: upload.uploadId });
  let bytes = 0;
  const parts: PartRecord[] = [];
  for (const [index, wanted] of listed.entries()) {
    const part = stored.get(wanted.partNumber);
    if (part === undefined || part.etag !== wanted.etag || !isSameChecksum(part, wanted)) {
      throw new Refusal<ObjectErrorCode>('InvalidPart', undefined, {
        UploadId: upload.uploadId,
        PartNumber: String(wanted.partNumber),
        ETag: wanted.etag,
      });
    }
    if (index < listed.length - 1 && part.bytes < limits.partBytesMin) {
      throw new Refusal<ObjectErrorCode>('EntityTooSmall', undefined, {
        PartNumber: String(part.partNumber),
        ETag: part.etag,
        ProposedSize: String(part.bytes),
        MinSizeAllowed: String(limits.partBytesMin),
      });
    }
    bytes += part.bytes;
    parts.push(part);
  }
  if (bytes > limits.objectBytesMax) throw new Refusal<ObjectErrorCode>('EntityTooLarge');
  const md5 = Buffer.from(compute.md5(Buffer.concat(parts.map((part) => Buffer.from(part.etag, 'hex'))))).toString(
    'hex',
  );
  return {
    bytes,
    etag: `${md5}-${parts.length}`,
    checksum: objectChecksum(compute, upload, parts),
    parts: parts.map(({ partNumber, bytes: partBytes }) => ({ partNumber, bytes: partBytes })),
  };
}

function isSameChecksum(part: PartRecord, wanted: CompletedPart): boolean {
  return wanted.checksum === null || part.checksum?.value === wanted.checksum;
}

function objectChecksum(compute: Compute, upload: UploadRecord, parts: readonly PartRecord[]): Checksum | null {
  const { checksumAlgorithm: algorithm, checksumType: type } = upload;
  if (algorithm === null || type === null) return null;
  const values: Buffer[] = [];
  for (const part of parts) {
    // A part that came without the checksum leaves nothing to combine.
    if (part.checksum?.algorithm !== algorithm) return null;
    values.push(Buffer.from(part.checksum.value, 'base64'));
  }
  if (type === 'COMPOSITE') {
    const value = Buffer.from(compute.digest(hashNames[algorithm], Buffer.concat(values))).toString('base64');
    return { algorithm, type, value: `${value}-${parts.length}` };
  }
  if (!isCrc(algorithm)) return null;
  let whole: Uint8Array | null = null;
  for (const [index, value] of values.entries()) {
    whole = whole === null ? value : compute.crcCombine(crcNames[algorithm], whole, value, parts[index]?.bytes ?? 0);
  }
  return whole === null ? null : { algorithm, type, value: Buffer.from(whole).toString('base64') };
}

/** The client's claim about the whole object, against what its parts make. Throws BadDigest. */
export function requireChecksum(derived: Checksum | null, claimed: Pick<Checksum, 'algorithm' | 'value'> | null): void {
  if (claimed === null || derived?.algorithm !== claimed.algorithm) return;
  const withoutCount = (value: string): string => value.replace(/-\d+$/, '');
  if (withoutCount(derived.value) === withoutCount(claimed.value)) return;
  throw new Refusal<ObjectErrorCode>(
    'BadDigest',
    `The ${claimed.algorithm} you specified did not match the calculated checksum.`,
  );
}
