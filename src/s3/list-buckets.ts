/** ListBuckets: those the caller may list, in byte order of their names. */
import { limits } from '../base/index.js';
import type { Authorized, OperationSpec } from '../dispatch/index.js';
import type { BucketInfo } from '../object/index.js';
import { decodeContinuationToken, encodeContinuationToken } from './continuation-token.js';
import type { S3Deps } from './deps.js';
import { s3Error } from './errors.js';
import { invalidArgument, parseInteger, parseName } from './list-parameters.js';
import { writeOwner } from './owner.js';
import { XmlWriter, xmlResponse } from './xml/index.js';

export interface ListBucketsInput {
  readonly prefix: string;
  readonly bucketsMax: number;
  /** Name after which the page starts; empty on the first. */
  readonly position: string;
  /** Empty: any. */
  readonly region: string;
  /** The caller knows the paged form of this operation. */
  readonly isPaged: boolean;
}

const tokenScope = 'buckets';

export const listBuckets: OperationSpec<ListBucketsInput, S3Deps> = {
  name: 'ListBuckets',
  // As MinIO has it: clients of several regions ask this with the first.
  anyRegion: true,
  parse({ query }) {
    const bucketsMax = parseInteger(query, 'max-buckets', limits.bucketsPageMax);
    if (bucketsMax < 1 || bucketsMax > limits.bucketsPageMax) {
      const range = `an integer between 1 and ${limits.bucketsPageMax}`;
      throw invalidArgument('max-buckets', String(bucketsMax), `Argument max-buckets must be ${range}`);
    }
    const token = query.get('continuation-token');
    return {
      prefix: parseName(query, 'prefix'),
      bucketsMax,
      position: token === undefined ? '' : decodeContinuationToken(tokenScope, token),
      region: query.get('bucket-region') ?? '',
      isPaged: ['prefix', 'max-buckets', 'continuation-token', 'bucket-region'].some((name) => query.has(name)),
    };
  },
  /** None for the whole: without s3:ListAllMyBuckets, the buckets that the caller may list or locate are shown. */
  permissions: () => [],
  async handle(deps, call) {
    const { input } = call;
    const buckets = await visibleBuckets(deps, call);
    const page = buckets.slice(0, input.bucketsMax);
    const xml = new XmlWriter('ListAllMyBucketsResult');
    writeOwner(xml, 'Owner', deps);
    xml.open('Buckets');
    for (const bucket of page) {
      xml.open('Bucket').text('Name', bucket.name).time('CreationDate', bucket.createdMs);
      const region = regionOf(deps, bucket);
      if (input.isPaged && region !== '') xml.text('BucketRegion', region);
      xml.close();
    }
    xml.close();
    const last = page.at(-1);
    if (last !== undefined && page.length < buckets.length) {
      xml.text('ContinuationToken', encodeContinuationToken(tokenScope, last.name));
    }
    if (input.prefix !== '') xml.text('Prefix', input.prefix);
    return xmlResponse(xml.end());
  },
};

async function visibleBuckets(deps: S3Deps, call: Authorized<ListBucketsInput>): Promise<BucketInfo[]> {
  if (call.principal.kind === 'anonymous') throw s3Error('AccessDenied');
  const all = deps.objects.listBuckets();
  const mayListAll = await call.isAllowed({ action: 's3:ListAllMyBuckets', bucket: '', key: '' });
  const allowed = mayListAll ? all : await visibleOf(call, all);
  if (!mayListAll && allowed.length === 0) throw s3Error('AccessDenied');
  const { prefix, position, region } = call.input;
  // Names are ASCII: the order of JavaScript strings is their byte order.
  return allowed.filter(
    (bucket) =>
      bucket.name > position && bucket.name.startsWith(prefix) && (region === '' || regionOf(deps, bucket) === region),
  );
}

async function visibleOf(call: Authorized<ListBucketsInput>, all: readonly BucketInfo[]): Promise<BucketInfo[]> {
  const seen = await Promise.all(all.map(({ name }) => maySee(call, name)));
  return all.filter((_bucket, index) => seen[index] === true);
}

async function maySee(call: Authorized<ListBucketsInput>, bucket: string): Promise<boolean> {
  if (await call.isAllowed({ action: 's3:ListBucket', bucket, key: '' })) return true;
  return await call.isAllowed({ action: 's3:GetBucketLocation', bucket, key: '' });
}

function regionOf(deps: S3Deps, bucket: BucketInfo): string {
  return bucket.region === '' ? deps.region : bucket.region;
}
