/** The string to sign of SigV2. */
import type { QueryPair } from './uri.js';

export interface SignedPartsV2 {
  readonly method: string;
  /** The Date line: empty where x-amz-date is signed, the seconds of Expires in a presigned URL. */
  readonly date: string;
  /** Value of a header by lower-case name. */
  readonly header: (name: string) => string | undefined;
  readonly headerNames: readonly string[];
  /** Empty in path style. */
  readonly hostBucket: string;
  /** As sent. */
  readonly rawPath: string;
  readonly pairs: readonly QueryPair[];
}

/**
 * Query parameters that are part of the resource. Clients differ in the rare ones; this is what AWS documents
 * and what botocore and MinIO add, so that no parameter that selects an operation stays unsigned.
 */
const signedParameters: ReadonlySet<string> = new Set([
  'accelerate',
  'acl',
  'analytics',
  'cors',
  'defaultObjectAcl',
  'delete',
  'encryption',
  'inventory',
  'legal-hold',
  'lifecycle',
  'location',
  'logging',
  'metrics',
  'notification',
  'object-lock',
  'partNumber',
  'policy',
  'replication',
  'requestPayment',
  'response-cache-control',
  'response-content-disposition',
  'response-content-encoding',
  'response-content-language',
  'response-content-type',
  'response-expires',
  'restore',
  'retention',
  'select',
  'select-type',
  'storageClass',
  'tagging',
  'torrent',
  'uploadId',
  'uploads',
  'versionId',
  'versioning',
  'versions',
  'website',
]);

export function stringToSignV2(parts: SignedPartsV2, path = pathOf(parts)): string {
  const line = (name: string) => (parts.header(name) ?? '').trim() + '\n';
  return (
    `${parts.method}\n${line('content-md5')}${line('content-type')}${parts.date}\n` +
    amzHeaderLines(parts) +
    path +
    signedQuery(parts.pairs)
  );
}

/**
 * Every string that may have been signed for the request. `/bucket` and `/bucket/` are one resource: clients
 * send the one and sign the other (botocore in path style), as S3 lets them.
 */
export function stringsToSignV2(parts: SignedPartsV2): readonly string[] {
  const path = pathOf(parts);
  const [, bucket] = bareBucket.exec(path) ?? [];
  if (bucket === undefined || parts.hostBucket !== '') return [stringToSignV2(parts, path)];
  return [path, path === bucket ? `${bucket}/` : bucket].map((one) => stringToSignV2(parts, one));
}

const bareBucket = /^(\/[^/]+)\/?$/;

function pathOf({ hostBucket, rawPath }: SignedPartsV2): string {
  return (hostBucket === '' ? '' : `/${hostBucket}`) + (rawPath === '' ? '/' : rawPath);
}

function amzHeaderLines({ header, headerNames }: SignedPartsV2): string {
  const names = headerNames.filter((name) => name.startsWith('x-amz-')).sort();
  return names.map((name) => `${name}:${(header(name) ?? '').trim()}\n`).join('');
}

function signedQuery(pairs: readonly QueryPair[]): string {
  const signed = pairs.filter(([name]) => signedParameters.has(name));
  if (signed.length === 0) return '';
  // The sort is stable: repeated names keep their order, and the first is the one that counts.
  signed.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  return `?${signed.map(([name, value]) => (value === '' ? name : `${name}=${value}`)).join('&')}`;
}
