import type { ParsedCall } from '../dispatch/index.js';
import { s3Error } from './errors.js';

/** Longer than any id of ours. */
const uploadIdCharsMax = 256;

/** The id is opaque here: whether there is such an upload, the object layer says. */
export function parseUploadId(query: ParsedCall['query']): string {
  const uploadId = query.get('uploadId') ?? '';
  if (uploadId === '' || uploadId.length > uploadIdCharsMax) throw s3Error('NoSuchUpload');
  return uploadId;
}
