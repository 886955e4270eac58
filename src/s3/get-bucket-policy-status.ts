import { Refusal } from '../base/index.js';
import type { OperationSpec } from '../dispatch/index.js';
import { isPublic, parsePolicy } from '../policy/index.js';
import type { S3Deps } from './deps.js';
import { XmlWriter, xmlResponse } from './xml/index.js';

/** Whether the policy opens the bucket to everybody. Without one it does not: a status, as at MinIO, not an error. */
export const getBucketPolicyStatus: OperationSpec<null, S3Deps> = {
  name: 'GetBucketPolicyStatus',
  parse: () => null,
  permissions: ({ bucket }) => [{ action: 's3:GetBucketPolicyStatus', bucket, key: '' }],
  handle({ documents }, { bucket }) {
    const document = documents.bucketDocument(bucket, 'policy');
    // SDKs read lower case, though the documentation of S3 spells it TRUE.
    const xml = new XmlWriter('PolicyStatus').boolean('IsPublic', document !== null && opens(document.text));
    return xmlResponse(xml.end());
  },
};

function opens(text: string): boolean {
  try {
    return isPublic(parsePolicy(text, 'bucket'));
  } catch (error) {
    // What cannot be read any more closes its bucket.
    if (error instanceof Refusal) return false;
    throw error;
  }
}
