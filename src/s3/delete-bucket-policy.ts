import type { OperationSpec } from '../dispatch/index.js';
import type { S3Deps } from './deps.js';

/** Removing what is not there succeeds. */
export const deleteBucketPolicy: OperationSpec<null, S3Deps> = {
  name: 'DeleteBucketPolicy',
  parse: () => null,
  permissions: ({ bucket }) => [{ action: 's3:DeleteBucketPolicy', bucket, key: '' }],
  async handle({ documents }, { bucket }) {
    if (documents.bucketDocument(bucket, 'policy') !== null) {
      await documents.setBucketDocument(bucket, 'policy', null);
    }
    return { status: 204, headers: [], body: { kind: 'empty' } };
  },
};
