/**
 * DeleteBucket. With `x-minio-force-delete: true` (`mc rb --force`) its versions and unfinished uploads go first,
 * page by page and not as one step: what others write meanwhile makes it end in BucketNotEmpty.
 */
import { limits } from '../base/index.js';
import type { Authorized, OperationSpec } from '../dispatch/index.js';
import type { S3Deps } from './deps.js';
import { forEachVersion } from './every-version.js';

export interface DeleteBucketInput {
  readonly isForced: boolean;
}

export const deleteBucket: OperationSpec<DeleteBucketInput, S3Deps> = {
  name: 'DeleteBucket',
  parse: ({ request }) => ({ isForced: request.headers.get('x-minio-force-delete')?.trim().toLowerCase() === 'true' }),
  permissions({ bucket }, { isForced }) {
    const actions = isForced ? ['s3:DeleteBucket', 's3:ForceDeleteBucket'] : ['s3:DeleteBucket'];
    return actions.map((action) => ({ action, bucket, key: '' }));
  },
  async handle(deps, call) {
    if (call.input.isForced) {
      await deleteVersions(deps, call);
      await abortUploads(deps, call);
    }
    await deps.objects.deleteBucket(call.bucket);
    return { status: 204, headers: [], body: { kind: 'empty' } };
  },
};

function deleteVersions({ objects }: S3Deps, call: Authorized<DeleteBucketInput>): Promise<void> {
  return forEachVersion(objects, call, '', async (page) => {
    await Promise.all(page.map(({ key, versionId }) => objects.deleteObject(call.bucket, key, versionId, null)));
    return true;
  });
}

async function abortUploads({ objects }: S3Deps, { bucket, request }: Authorized<DeleteBucketInput>): Promise<void> {
  let marker = { keyMarker: '', uploadIdMarker: '' };
  do {
    const page = await objects.listUploads({
      bucket,
      prefix: '',
      delimiter: '',
      ...marker,
      countMax: limits.listKeysMax,
    });
    await Promise.all(page.uploads.map(({ key, uploadId }) => objects.abortMultipartUpload(bucket, key, uploadId)));
    marker = page.isTruncated
      ? { keyMarker: page.nextKeyMarker, uploadIdMarker: page.nextUploadIdMarker }
      : { keyMarker: '', uploadIdMarker: '' };
  } while (marker.keyMarker !== '' && !request.isAborted());
}
