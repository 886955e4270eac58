/** Query parameters that several object operations share. */
import { limits } from '../base/index.js';
import type { ParsedCall } from '../dispatch/index.js';
import { s3Error } from './errors.js';
import { parseUploadId } from './upload-id.js';

/** Empty: the latest. */
export function parseVersionId(call: Pick<ParsedCall, 'query'>): string {
  const versionId = call.query.get('versionId');
  if (versionId === undefined) return '';
  if (versionId === '') {
    throw s3Error('InvalidArgument', 'Version id cannot be the empty string', {
      ArgumentName: 'versionId',
      ArgumentValue: '',
    });
  }
  return versionId;
}

/** 1 to 10,000. */
export function parsePartNumber(text: string): number {
  const partNumber = /^[0-9]{1,9}$/.test(text) ? Number(text) : 0;
  if (partNumber < 1 || partNumber > limits.partNumberMax) {
    throw s3Error(
      'InvalidArgument',
      `Part number must be an integer between 1 and ${limits.partNumberMax}, inclusive`,
      {
        ArgumentName: 'partNumber',
        ArgumentValue: text,
      },
    );
  }
  return partNumber;
}

export interface PartTarget {
  readonly uploadId: string;
  readonly partNumber: number;
}

/** Of UploadPart and UploadPartCopy. */
export function parsePartTarget({ query }: Pick<ParsedCall, 'query'>): PartTarget {
  const partNumber = query.get('partNumber');
  if (partNumber === undefined) {
    throw s3Error('InvalidArgument', 'This operation needs a partNumber beside the uploadId.');
  }
  return { uploadId: parseUploadId(query), partNumber: parsePartNumber(partNumber) };
}
