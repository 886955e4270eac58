/**
 * The operation table of the S3 protocol. `S3Deps`, what the operations are handed, is in `deps.ts`.
 */
import type { Service } from '../dispatch/index.js';
import { abortMultipartUpload } from './abort-multipart-upload.js';
import { completeMultipartUpload } from './complete-multipart-upload.js';
import { copyObject } from './copy-object.js';
import { createBucket } from './create-bucket.js';
import { createMultipartUpload } from './create-multipart-upload.js';
import { deleteBucketPolicy } from './delete-bucket-policy.js';
import { deleteBucket } from './delete-bucket.js';
import { deleteObject } from './delete-object.js';
import { deleteObjects } from './delete-objects.js';
import type { S3Deps } from './deps.js';
import { errorResponse } from './error-response.js';
import { getBucketLocation } from './get-bucket-location.js';
import { getBucketPolicyStatus } from './get-bucket-policy-status.js';
import { getBucketPolicy } from './get-bucket-policy.js';
import { getBucketVersioning } from './get-bucket-versioning.js';
import { getObjectTagging } from './get-object-tagging.js';
import { getObject } from './get-object.js';
import { headBucket } from './head-bucket.js';
import { headObject } from './head-object.js';
import { listBuckets } from './list-buckets.js';
import { listMultipartUploads } from './list-multipart-uploads.js';
import { listObjectVersions } from './list-object-versions.js';
import { listObjectsV1, listObjectsV2 } from './list-objects.js';
import { listParts } from './list-parts.js';
import { postObject } from './post-object.js';
import { putBucketPolicy } from './put-bucket-policy.js';
import { putBucketVersioning } from './put-bucket-versioning.js';
import { putObject } from './put-object.js';
import { route, type OperationTable } from './router.js';
import { uploadPartCopy } from './upload-part-copy.js';
import { uploadPart } from './upload-part.js';

export const operations: OperationTable = {
  service: {
    GET: listBuckets,
  },
  bucket: {
    GET: listObjectsV1,
    HEAD: headBucket,
    PUT: createBucket,
    DELETE: deleteBucket,
    POST: postObject,
    'GET ?list-type=2': listObjectsV2,
    'GET ?policy': getBucketPolicy,
    'PUT ?policy': putBucketPolicy,
    'DELETE ?policy': deleteBucketPolicy,
    'GET ?policyStatus': getBucketPolicyStatus,
    'GET ?location': getBucketLocation,
    'GET ?uploads': listMultipartUploads,
    'GET ?versioning': getBucketVersioning,
    'PUT ?versioning': putBucketVersioning,
    'GET ?versions': listObjectVersions,
    'POST ?delete': deleteObjects,
  },
  object: {
    GET: getObject,
    HEAD: headObject,
    PUT: putObject,
    DELETE: deleteObject,
    'PUT +copy': copyObject,
    'POST ?uploads': createMultipartUpload,
    'GET ?tagging': getObjectTagging,
    'GET ?uploadId': listParts,
    'PUT ?uploadId': uploadPart,
    'PUT ?uploadId +copy': uploadPartCopy,
    'POST ?uploadId': completeMultipartUpload,
    'DELETE ?uploadId': abortMultipartUpload,
  },
};

export function createS3Service(deps: S3Deps): Service<S3Deps> {
  return {
    deps,
    route: (call) => route(operations, call),
    refuse: (refusal, { request, bucket, key }) =>
      errorResponse(refusal, { request, bucket, key, region: deps.region, hostId: deps.hostId }),
  };
}
