/** CreateBucket. The location constraint is checked, since clients pick endpoints by it, and kept for GetBucketLocation. */
import { limits, Refusal } from '../base/index.js';
import type { OperationSpec, ParsedCall } from '../dispatch/index.js';
import type { S3Deps } from './deps.js';
import { s3Error } from './errors.js';
import { checkNewBucketName } from './keys.js';
import { refuseUnsupportedWrite } from './metadata.js';
import { readDocument } from './request-body.js';
import { documentSchema, optionalText, parseXml } from './xml/index.js';

export interface CreateBucketInput {
  /** x-minio-force-create: an existing bucket is as good as a new one. */
  readonly acceptsExisting: boolean;
}

const regionCharsMax = 128;
const configuration = documentSchema({
  root: 'CreateBucketConfiguration',
  fields: { LocationConstraint: optionalText(regionCharsMax) },
  // Tags and the kinds of directory buckets are skipped.
  elementsMax: 500,
});

export const createBucket: OperationSpec<CreateBucketInput, S3Deps> = {
  name: 'CreateBucket',
  parse({ request, bucket }) {
    checkNewBucketName(bucket);
    refuseUnsupportedWrite(request.headers);
    // A bucket that silently keeps nothing locked would be worse than none.
    if (flag(request, 'x-amz-bucket-object-lock-enabled')) {
      throw s3Error('NotImplemented', 'Object lock is not implemented.');
    }
    return { acceptsExisting: flag(request, 'x-minio-force-create') };
  },
  // Policies may ask for the region, which is in the body: decided once that is read.
  permissions: () => [],
  async handle(deps, call) {
    // Nobody but those who signed has a body read for them: no bucket has a policy before it is there.
    if (call.principal.kind === 'anonymous') throw s3Error('AccessDenied');
    const body = await readDocument(deps, call, { bytesMax: limits.configBodyBytesMax, integrity: 'optional' });
    const constraint = body.length === 0 ? null : (await parseXml(body, configuration)).LocationConstraint;
    const asked = constraint?.trim() ?? '';
    const values = { 's3:locationconstraint': [asked === '' ? deps.region : asked].filter((region) => region !== '') };
    if (!(await call.isAllowed({ action: 's3:CreateBucket', bucket: call.bucket, key: '', values }))) {
      throw s3Error('AccessDenied');
    }
    const region = checkLocation(deps.region, asked);
    try {
      await deps.objects.createBucket(call.bucket, { region });
    } catch (error) {
      const isThere = error instanceof Refusal && error.code === 'BucketAlreadyOwnedByYou';
      if (!isThere || !call.input.acceptsExisting) throw error;
    }
    return { status: 200, headers: [['Location', `/${call.bucket}`]], body: { kind: 'empty' } };
  },
};

/** The region to store. Without a region of our own, any is accepted, as in signatures. */
function checkLocation(serverRegion: string, constraint: string): string {
  const region = canonicalRegion(constraint);
  if (region === '' || serverRegion === '' || region === canonicalRegion(serverRegion)) return region;
  throw s3Error(
    'InvalidRegion',
    `The location constraint ${constraint} is not the region of this server, ${serverRegion}.`,
  );
}

/** Names from before there were regions. */
function canonicalRegion(region: string): string {
  if (region === 'US') return 'us-east-1';
  return region === 'EU' ? 'eu-west-1' : region;
}

function flag(request: ParsedCall['request'], header: string): boolean {
  const value = request.headers.get(header)?.trim().toLowerCase() ?? 'false';
  if (value !== 'true' && value !== 'false') {
    throw s3Error('InvalidArgument', `The ${header} header must be true or false.`, {
      ArgumentName: header,
      ArgumentValue: value,
    });
  }
  return value === 'true';
}
