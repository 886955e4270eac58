import type { OperationSpec } from '../dispatch/index.js';
import type { S3Deps } from './deps.js';
import { parseUploadId } from './upload-id.js';

/** Its parts are gone for good. An upload that is not there is NoSuchUpload, as at AWS. */
export const abortMultipartUpload: OperationSpec<{ readonly uploadId: string }, S3Deps> = {
  name: 'AbortMultipartUpload',
  parse: ({ query }) => ({ uploadId: parseUploadId(query) }),
  permissions: ({ bucket, key }) => [{ action: 's3:AbortMultipartUpload', bucket, key }],
  async handle(deps, { bucket, key, input }) {
    await deps.objects.abortMultipartUpload(bucket, key, input.uploadId);
    return { status: 204, headers: [], body: { kind: 'empty' } };
  },
};
