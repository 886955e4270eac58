/** CreateMultipartUpload: everything that is said about the object is said here. */
import type { OperationSpec } from '../dispatch/index.js';
import type { HeaderMap } from '../exchange/index.js';
import type { ChecksumAlgorithm, ObjectMetadata } from '../object/index.js';
import { parseChecksumAlgorithm } from './checksum.js';
import type { S3Deps } from './deps.js';
import { s3Error } from './errors.js';
import { parseObjectMetadata, refuseUnsupportedWrite } from './metadata.js';
import { XmlWriter, xmlResponse } from './xml/index.js';

type ChecksumType = 'FULL_OBJECT' | 'COMPOSITE';

interface ChecksumPlan {
  readonly checksumAlgorithm: ChecksumAlgorithm | null;
  readonly checksumType: ChecksumType | null;
}

export interface CreateMultipartUploadInput extends ChecksumPlan {
  readonly metadata: ObjectMetadata;
}

export const createMultipartUpload: OperationSpec<CreateMultipartUploadInput, S3Deps> = {
  name: 'CreateMultipartUpload',
  parse({ request: { headers } }) {
    refuseUnsupportedWrite(headers);
    return { metadata: parseObjectMetadata(headers), ...parseChecksumPlan(headers) };
  },
  permissions: ({ bucket, key }) => [{ action: 's3:PutObject', bucket, key }],
  async handle(deps, { bucket, key, input }) {
    const { checksumAlgorithm, checksumType } = input;
    const { uploadId } = await deps.objects.createMultipartUpload({ bucket, key, ...input });
    const headers: [string, string][] = [];
    if (checksumAlgorithm !== null) headers.push(['x-amz-checksum-algorithm', checksumAlgorithm]);
    if (checksumType !== null) headers.push(['x-amz-checksum-type', checksumType]);
    const xml = new XmlWriter('InitiateMultipartUploadResult');
    return xmlResponse(xml.text('Bucket', bucket).text('Key', key).text('UploadId', uploadId).end(), headers);
  },
};

function parseChecksumPlan(headers: HeaderMap): ChecksumPlan {
  const type = parseChecksumType(headers);
  const name = headers.get('x-amz-checksum-algorithm')?.trim() ?? '';
  if (name === '') {
    if (type !== null)
      throw s3Error('InvalidRequest', 'The x-amz-checksum-type header needs x-amz-checksum-algorithm.');
    return { checksumAlgorithm: null, checksumType: null };
  }
  const checksumAlgorithm = parseChecksumAlgorithm(name);
  const checksumType = type ?? (checksumAlgorithm === 'CRC64NVME' ? 'FULL_OBJECT' : 'COMPOSITE');
  // Only CRCs of parts can be combined to the one of the whole, and this one has no other form.
  const isCrc = checksumAlgorithm !== 'SHA1' && checksumAlgorithm !== 'SHA256';
  const isPossible = checksumType === 'FULL_OBJECT' ? isCrc : checksumAlgorithm !== 'CRC64NVME';
  if (!isPossible) {
    throw s3Error(
      'InvalidRequest',
      `The ${checksumType} checksum type cannot be used with the ${checksumAlgorithm.toLowerCase()} checksum algorithm.`,
    );
  }
  return { checksumAlgorithm, checksumType };
}

/** Null without the header. */
export function parseChecksumType(headers: HeaderMap): ChecksumType | null {
  const type = headers.get('x-amz-checksum-type')?.trim().toUpperCase() ?? '';
  if (type === '') return null;
  if (type !== 'FULL_OBJECT' && type !== 'COMPOSITE') {
    throw s3Error('InvalidRequest', 'Value for x-amz-checksum-type header is invalid.');
  }
  return type;
}
