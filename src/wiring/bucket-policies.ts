/** The policy of a bucket, parsed once for each document that is stored. */
import type { BucketDocument, BucketDocuments, ObjectLayer } from '../object/index.js';
import { parsePolicy, type Policy } from '../policy/index.js';
import type { Logger } from '../telemetry/index.js';
import { Refusal } from '../base/index.js';

/** A document that cannot be read any more denies everything: what it forbade must not become allowed. */
const denyAll = JSON.stringify({
  Version: '2012-10-17',
  Statement: [{ Effect: 'Deny', Principal: '*', Action: ['s3:*'], Resource: ['arn:aws:s3:::*'] }],
});

export function bucketPolicies(
  objects: Pick<ObjectLayer, 'bucket'> & BucketDocuments,
  log: Logger,
): (bucket: string) => Policy | null {
  const parsed = new WeakMap<BucketDocument, Policy>();
  const closed = parsePolicy(denyAll, 'bucket');
  return (bucket) => {
    let document: BucketDocument | null;
    try {
      document = objects.bucketDocument(bucket, 'policy');
    } catch (error) {
      if (error instanceof Refusal && error.code === 'NoSuchBucket') return null;
      throw error;
    }
    if (document === null) return null;
    let policy = parsed.get(document);
    if (policy === undefined) {
      try {
        policy = parsePolicy(document.text, 'bucket');
      } catch (error) {
        log.error('the policy of a bucket cannot be read: until it is set anew, only root may use the bucket', {
          bucket,
          err: error,
        });
        policy = closed;
      }
      parsed.set(document, policy);
    }
    return policy;
  };
}
