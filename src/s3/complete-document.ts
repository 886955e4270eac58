/** The body of CompleteMultipartUpload: which parts, in which order, with which digests. */
import { limits } from '../base/index.js';
import type { ChecksumAlgorithm, CompletedPart, MultipartUploadInfo } from '../object/index.js';
import { checksumAlgorithms } from './checksum.js';
import { withoutQuotes } from './entity-tag.js';
import { s3Error } from './errors.js';
import { documentSchema, list, optionalText, parseXml, requiredText } from './xml/index.js';

const valueCharsMax = 256;

const schema = documentSchema({
  root: 'CompleteMultipartUpload',
  fields: {
    Part: list(
      {
        PartNumber: requiredText(valueCharsMax),
        ETag: requiredText(valueCharsMax),
        ChecksumCRC32: optionalText(valueCharsMax),
        ChecksumCRC32C: optionalText(valueCharsMax),
        ChecksumCRC64NVME: optionalText(valueCharsMax),
        ChecksumSHA1: optionalText(valueCharsMax),
        ChecksumSHA256: optionalText(valueCharsMax),
      },
      limits.partNumberMax,
    ),
  },
  // Each part, its elements of today, and as many of tomorrow.
  elementsMax: 16 * limits.partNumberMax,
});

export interface ListedPart {
  readonly partNumber: number;
  /** Without quotes. */
  readonly etag: string;
  readonly checksums: ReadonlyMap<ChecksumAlgorithm, string>;
}

/** Throws MalformedXML, InvalidArgument, InvalidPartOrder. */
export async function parseCompleteDocument(body: Uint8Array): Promise<ListedPart[]> {
  const { Part: elements } = await parseXml(body, schema);
  if (elements.length === 0) throw s3Error('MalformedXML');
  const parts: ListedPart[] = [];
  let previousNumber = 0;
  for (const element of elements) {
    const partNumber = parsePartNumber(element.PartNumber);
    if (partNumber <= previousNumber) throw s3Error('InvalidPartOrder');
    previousNumber = partNumber;
    const checksums = new Map<ChecksumAlgorithm, string>();
    for (const algorithm of checksumAlgorithms) {
      const value = element[`Checksum${algorithm}`]?.trim() ?? '';
      if (value !== '') checksums.set(algorithm, value);
    }
    parts.push({ partNumber, etag: withoutQuotes(element.ETag), checksums });
  }
  return parts;
}

function parsePartNumber(text: string): number {
  const trimmed = text.trim();
  if (!/^-?[0-9]{1,10}$/.test(trimmed)) throw s3Error('MalformedXML');
  const partNumber = Number(trimmed);
  if (partNumber < 1 || partNumber > limits.partNumberMax) {
    throw s3Error(
      'InvalidArgument',
      `PartNumber must be an integer between 1 and ${limits.partNumberMax}, inclusive.`,
      {
        ArgumentName: 'PartNumber',
        ArgumentValue: trimmed,
      },
    );
  }
  return partNumber;
}

/**
 * The parts as the object layer takes them. `upload` null: it is completed already, or was never there.
 * Throws InvalidRequest, InvalidPart.
 */
export function completedParts(parts: readonly ListedPart[], upload: MultipartUploadInfo | null): CompletedPart[] {
  return parts.map(({ partNumber, etag, checksums }) => ({
    partNumber,
    etag,
    checksum: partChecksum(partNumber, checksums, upload),
  }));
}

function partChecksum(
  partNumber: number,
  checksums: ReadonlyMap<ChecksumAlgorithm, string>,
  upload: MultipartUploadInfo | null,
): string | null {
  const algorithm = upload?.checksumAlgorithm ?? null;
  if (checksums.size > 1) {
    throw s3Error(
      'InvalidRequest',
      `Only one checksum may be given for a part; part ${partNumber} has ${checksums.size}.`,
    );
  }
  const [only] = checksums;
  if (algorithm === null) return only?.[1] ?? null;
  if (only === undefined) {
    // The checksum of the whole is made of these: AWS and MinIO insist.
    if (upload?.checksumType !== 'COMPOSITE') return null;
    throw s3Error(
      'InvalidRequest',
      `The upload was created using a ${algorithm.toLowerCase()} checksum. ` +
        'The complete request must include the checksum for each part. ' +
        `It was missing for part ${partNumber} in the request.`,
    );
  }
  if (only[0] !== algorithm) throw s3Error('InvalidPart', undefined, { PartNumber: String(partNumber) });
  return only[1];
}
