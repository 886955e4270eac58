import type { OperationSpec } from '../dispatch/index.js';
import type { S3Deps } from './deps.js';

/** Says whether the bucket is there and may be listed. The region header is on every answer. */
export const headBucket: OperationSpec<null, S3Deps> = {
  name: 'HeadBucket',
  parse: () => null,
  permissions: ({ bucket }) => [{ action: 's3:ListBucket', bucket, key: '' }],
  handle(deps, { bucket }) {
    deps.objects.bucket(bucket);
    return { status: 200, headers: [], body: { kind: 'empty' } };
  },
};
