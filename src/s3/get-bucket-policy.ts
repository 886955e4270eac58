import type { OperationSpec } from '../dispatch/index.js';
import type { S3Deps } from './deps.js';
import { s3Error } from './errors.js';

/** The document as it was put, without white space and repeated statements. */
export const getBucketPolicy: OperationSpec<null, S3Deps> = {
  name: 'GetBucketPolicy',
  parse: () => null,
  permissions: ({ bucket }) => [{ action: 's3:GetBucketPolicy', bucket, key: '' }],
  handle({ documents }, { bucket }) {
    const document = documents.bucketDocument(bucket, 'policy');
    if (document === null) throw s3Error('NoSuchBucketPolicy');
    const headers = [['Content-Type', 'application/json'] as const];
    return { status: 200, headers, body: { kind: 'bytes', bytes: document.text } };
  },
};
