/**
 * Which operation a request is: method, shape of the path, and the sub-resource it names.
 * A sub-resource that S3 knows and the table does not have is refused: it never falls through to the
 * operation without it. Query names that S3 does not know are ignored, as S3 does.
 */
import type { OperationSpec, ParsedCall } from '../dispatch/index.js';
import type { S3Deps } from './deps.js';
import { s3Error } from './errors.js';

export type S3Operation = OperationSpec<unknown, S3Deps>;

/** By `METHOD` or `METHOD ?sub-resource`; `PUT +copy` and the like when x-amz-copy-source is sent. */
export type OperationTable = Readonly<Record<'service' | 'bucket' | 'object', Readonly<Record<string, S3Operation>>>>;

/** Every query name that selects another operation in S3 or in MinIO, whether we have it or not. */
const subResources: ReadonlySet<string> = new Set([
  'abac',
  'accelerate',
  'acl',
  'analytics',
  'append',
  'attributes',
  'cors',
  'delete',
  'encryption',
  'events',
  'intelligent-tiering',
  'inventory',
  'lambdaArn',
  'legal-hold',
  'lifecycle',
  'location',
  'logging',
  'metadataConfiguration',
  'metadataInventoryTable',
  'metadataJournalTable',
  'metadataTable',
  'metrics',
  'notification',
  'object-lock',
  'ownershipControls',
  'policy',
  'policyStatus',
  'publicAccessBlock',
  'renameObject',
  'replication',
  'replication-check',
  'replication-metrics',
  'replication-reset',
  'replication-reset-status',
  'requestPayment',
  'restore',
  'retention',
  'select',
  'session',
  'tagging',
  'torrent',
  'uploadId',
  'uploads',
  'versioning',
  'versions',
  'website',
]);

/** Headers that ask for something else than the operation their method and path name. */
const refusedHeaders: readonly (readonly [header: string, isHarmless: (value: string) => boolean])[] = [
  ['x-amz-write-offset-bytes', () => false],
  ['x-amz-meta-snowball-auto-extract', (value) => value !== 'true'],
  ['x-minio-extract', (value) => value !== 'true'],
  ['x-minio-force-delete', (value) => value !== 'true'],
];

export function route(table: OperationTable, call: ParsedCall): S3Operation {
  const { request, bucket, key } = call;
  if (bucket === '' && key !== '') throw s3Error('InvalidBucketName');
  for (const [header, isHarmless] of refusedHeaders) {
    // Deleting a bucket or a folder with its content: see `delete-bucket.ts` and `delete-object.ts`.
    if (header === 'x-minio-force-delete' && request.method === 'DELETE') continue;
    const value = request.headers.get(header);
    if (value !== undefined && !isHarmless(value.toLowerCase())) throw s3Error('NotImplemented');
  }
  const shape = bucket === '' ? 'service' : key === '' ? 'bucket' : 'object';
  const operations = table[shape];
  const subResource = subResourceOf(call.query);
  if (subResource === null) return operations[selector(call, shape)] ?? refuseMethod(operations, call);
  const copySource = request.method === 'PUT' && request.headers.has('x-amz-copy-source') ? ' +copy' : '';
  const operation = operations[`${request.method} ?${subResource}${copySource}`];
  if (operation === undefined) throw s3Error('NotImplemented');
  return operation;
}

/** The one sub-resource of a query. Two at once would be two operations: neither is done. */
function subResourceOf(query: ReadonlyMap<string, string>): string | null {
  let found: string | null = null;
  if (query.size === 0) return found;
  for (const name of query.keys()) {
    if (!subResources.has(name)) continue;
    if (found !== null) throw s3Error('NotImplemented', `The query names two sub-resources, ${found} and ${name}.`);
    found = name;
  }
  return found;
}

function selector({ request, query }: ParsedCall, shape: 'service' | 'bucket' | 'object'): string {
  const { method } = request;
  if (shape === 'bucket' && method === 'GET' && query.get('list-type') === '2') return 'GET ?list-type=2';
  if (shape === 'object' && method === 'PUT') {
    // A part without its upload must not become an object.
    if (query.has('partNumber'))
      throw s3Error('InvalidArgument', 'This operation needs an uploadId beside the partNumber.');
    if (request.headers.has('x-amz-copy-source')) return 'PUT +copy';
  }
  return method;
}

function refuseMethod(operations: Readonly<Record<string, S3Operation>>, { request }: ParsedCall): never {
  const allowed = Object.keys(operations).filter((name) => !name.includes(' '));
  throw s3Error('MethodNotAllowed', undefined, { Method: request.method, AllowedMethods: allowed.join(', ') });
}
