import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { withQueryHeaders } from '../../../src/dispatch/query-headers.js';
import { parseQueryMap } from '../../../src/dispatch/target.js';
import { exchangeRequest } from '../../support/exchange.js';

function headersOf(rawQuery: string, headers: Record<string, string> = {}): Record<string, string> {
  const request = exchangeRequest({ method: 'PUT', target: `/b/k?${rawQuery}`, headers });
  const lifted = withQueryHeaders(request, parseQueryMap(rawQuery)).headers;
  return Object.fromEntries(
    [...lifted.names()].filter((name) => name !== 'host').map((name) => [name, lifted.get(name)!]),
  );
}

const signed =
  'X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=c&X-Amz-Date=d&X-Amz-Expires=60&X-Amz-SignedHeaders=host&X-Amz-Signature=s';

describe('headers in the query of a presigned URL', () => {
  it('count as headers', () => {
    expect(
      headersOf(`${signed}&x-amz-meta-color=light%20blue&X-Amz-Storage-Class=STANDARD&x-amz-checksum-mode=ENABLED`),
    ).toEqual({
      'x-amz-meta-color': 'light blue',
      'x-amz-storage-class': 'STANDARD',
      'x-amz-checksum-mode': 'ENABLED',
    });
  });

  it('do not replace a header that was sent', () => {
    expect(headersOf(`${signed}&x-amz-acl=private`, { 'x-amz-acl': 'public-read' })).toEqual({
      'x-amz-acl': 'public-read',
    });
  });

  it('are nothing without a signature that covers them', () => {
    expect(headersOf('x-amz-meta-color=blue')).toEqual({});
  });

  it('are neither the signature nor how the body travels', () => {
    const query =
      'X-Amz-Security-Token=t&x-amz-sdk-checksum-algorithm=CRC32&x-amz-trailer=a&x-amz-decoded-content-length=1';
    expect(headersOf(`${signed}&${query}`)).toEqual({});
  });

  it('may be the checksum of the body, unless it is that of the empty one that SDKs sign', () => {
    const digest = (algorithm: string, text: string) => createHash(algorithm).update(text).digest('base64');
    const empty = {
      crc32: 'AAAAAA==',
      crc32c: 'AAAAAA==',
      crc64nvme: 'AAAAAAAAAAA=',
      sha1: digest('sha1', ''),
      sha256: digest('sha256', ''),
    };
    for (const [algorithm, value] of Object.entries(empty)) {
      expect(headersOf(`${signed}&x-amz-checksum-${algorithm}=${encodeURIComponent(value)}`)).toEqual({});
    }
    const value = digest('sha256', 'body');
    expect(headersOf(`${signed}&x-amz-checksum-sha256=${encodeURIComponent(value)}`)).toEqual({
      'x-amz-checksum-sha256': value,
    });
  });

  it('come with SigV2 too, which signs a type and a digest among them', () => {
    const v2 = 'AWSAccessKeyId=a&Expires=1900000000&Signature=s';
    const query = 'x-amz-meta-color=blue&content-type=text%2Fplain&content-md5=m&X-Amz-Security-Token=t&prefix=p';
    expect(headersOf(`${v2}&${query}`)).toEqual({
      'x-amz-meta-color': 'blue',
      'content-type': 'text/plain',
      'content-md5': 'm',
    });
    expect(headersOf(`${signed}&content-type=text%2Fplain`)).toEqual({});
  });
});
