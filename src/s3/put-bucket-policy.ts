import type { OperationSpec } from '../dispatch/index.js';
import { parsePolicy, policyBytesMax } from '../policy/index.js';
import type { S3Deps } from './deps.js';
import { s3Error } from './errors.js';
import { readDocument } from './request-body.js';

/** From the next request on, the policy has its say about the bucket. One that does not parse changes nothing. */
export const putBucketPolicy: OperationSpec<null, S3Deps> = {
  name: 'PutBucketPolicy',
  parse: () => null,
  permissions: ({ bucket }) => [{ action: 's3:PutBucketPolicy', bucket, key: '' }],
  async handle(deps, call) {
    const { bucket, payload } = call;
    deps.objects.bucket(bucket);
    if ((payload.contentBytes() ?? 0) > policyBytesMax) throw s3Error('PolicyTooLarge');
    const body = await readDocument(deps, call, { bytesMax: policyBytesMax, integrity: 'optional' });
    const { text } = parsePolicy(decode(body), 'bucket', { bucket, isVersionRequired: true });
    await deps.documents.setBucketDocument(bucket, 'policy', text);
    return { status: 204, headers: [], body: { kind: 'empty' } };
  },
};

function decode(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    // The one thing that a decoder complains about.
    throw s3Error('MalformedPolicy', 'The policy is not text in UTF-8.');
  }
}
