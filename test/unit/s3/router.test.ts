import { describe, expect, it } from 'vitest';
import { Refusal } from '../../../src/base/index.js';
import { HeaderMap } from '../../../src/exchange/index.js';
import { route } from '../../../src/s3/router.js';
import { operations } from '../../../src/s3/service.js';
import { exchangeRequest } from '../../support/exchange.js';

function operationOf(method: string, target: string, headers: Record<string, string> = {}): string {
  const [path = '', query = ''] = target.split('?');
  const [, bucket = '', key = ''] = /^\/([^/]*)\/?(.*)$/.exec(path) ?? [];
  const pairs =
    query === '' ? [] : query.split('&').map((pair) => [pair.split('=')[0]!, pair.split('=')[1] ?? ''] as const);
  const request = { ...exchangeRequest({ method, target }), headers: HeaderMap.from(Object.entries(headers)) };
  try {
    return route(operations, { request, bucket, key, query: new Map(pairs) }).name;
  } catch (error) {
    if (error instanceof Refusal) return String(error.code);
    throw error;
  }
}

const copy = { 'x-amz-copy-source': '/a/b' };

describe('routing', () => {
  it.each([
    ['GET', '/', 'ListBuckets'],
    ['GET', '/b', 'ListObjects'],
    ['GET', '/b/', 'ListObjects'],
    ['GET', '/b?list-type=2', 'ListObjectsV2'],
    ['GET', '/b?list-type=1', 'ListObjects'],
    ['GET', '/b?prefix=x&unknown=y', 'ListObjects'],
    ['GET', '/b?policy', 'GetBucketPolicy'],
    ['PUT', '/b?policy', 'PutBucketPolicy'],
    ['DELETE', '/b?policy', 'DeleteBucketPolicy'],
    ['GET', '/b?policyStatus', 'GetBucketPolicyStatus'],
    ['GET', '/b?location', 'GetBucketLocation'],
    ['GET', '/b?location=', 'GetBucketLocation'],
    ['GET', '/b?versioning', 'GetBucketVersioning'],
    ['PUT', '/b?versioning', 'PutBucketVersioning'],
    ['GET', '/b?versions', 'ListObjectVersions'],
    ['GET', '/b?uploads', 'ListMultipartUploads'],
    ['HEAD', '/b', 'HeadBucket'],
    ['PUT', '/b', 'CreateBucket'],
    ['DELETE', '/b', 'DeleteBucket'],
    ['POST', '/b', 'PostObject'],
    ['POST', '/b?delete', 'DeleteObjects'],
    ['GET', '/b/k', 'GetObject'],
    ['GET', '/b/k?partNumber=1&versionId=null', 'GetObject'],
    ['GET', '/b/k?X-Amz-Signature=s&x-id=GetObject', 'GetObject'],
    ['HEAD', '/b/k', 'HeadObject'],
    ['PUT', '/b/k', 'PutObject'],
    ['DELETE', '/b/k', 'DeleteObject'],
    ['POST', '/b/k?uploads', 'CreateMultipartUpload'],
    ['PUT', '/b/k?partNumber=1&uploadId=u', 'UploadPart'],
    ['GET', '/b/k?uploadId=u', 'ListParts'],
    ['POST', '/b/k?uploadId=u', 'CompleteMultipartUpload'],
    ['DELETE', '/b/k?uploadId=u', 'AbortMultipartUpload'],
  ])('%s %s is %s', (method, target, name) => {
    expect(operationOf(method, target)).toBe(name);
  });

  it('tells copies by their header', () => {
    expect(operationOf('PUT', '/b/k', copy)).toBe('CopyObject');
    expect(operationOf('PUT', '/b/k?partNumber=1&uploadId=u', copy)).toBe('UploadPartCopy');
    expect(operationOf('GET', '/b/k', copy)).toBe('GetObject');
  });

  // A base operation in the place of one of these would do something else than was asked.
  it.each([
    ...[
      'acl',
      'policyStatus',
      'lifecycle',
      'tagging',
      'cors',
      'encryption',
      'object-lock',
      'notification',
      'replication',
      'versions',
      'website',
      'events',
      'metadataTable',
    ].map((name) => ['PUT', `/b?${name}`]),
    ...['acl', 'retention', 'legal-hold', 'attributes', 'torrent', 'restore', 'select', 'renameObject', 'append'].map(
      (name) => ['GET', `/b/k?${name}`],
    ),
    ...['acl', 'tagging', 'retention', 'uploads'].map((name) => ['DELETE', `/b/k?${name}`]),
    ['PUT', '/b/k?tagging'],
    ['DELETE', '/b?policyStatus'],
    ['GET', '/b?versions&uploads'],
    ['POST', '/b/k?restore'],
    ['POST', '/b/k?select&select-type=2'],
    ['PUT', '/b/k?acl&uploadId=u'],
    ['GET', '/?events'],
  ])('%s %s is not there yet, and says so', (method, target) => {
    expect(operationOf(method, target)).toBe('NotImplemented');
  });

  it.each(['x-amz-write-offset-bytes', 'x-amz-meta-snowball-auto-extract', 'x-minio-extract', 'x-minio-force-delete'])(
    'does not mistake what %s asks for',
    (header) => {
      expect(operationOf('PUT', '/b/k', { [header]: 'true' })).toBe('NotImplemented');
    },
  );

  it.each([
    ['PATCH', '/b/k'],
    ['POST', '/b/k'],
    ['PUT', '/'],
    ['DELETE', '/'],
    ['TRACE', '/b'],
  ])('%s %s is no operation of S3', (method, target) => {
    expect(operationOf(method, target)).toBe('MethodNotAllowed');
  });

  it('refuses a part without its upload, and a key without a bucket', () => {
    expect(operationOf('PUT', '/b/k?partNumber=1')).toBe('InvalidArgument');
    expect(operationOf('PUT', '//k')).toBe('InvalidBucketName');
  });
});
