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

  it('are neither the signature nor a checksum of a body that was not there yet', () => {
    expect(
      headersOf(
        `${signed}&X-Amz-Security-Token=t&x-amz-checksum-crc32=AAAAAA%3D%3D&x-amz-sdk-checksum-algorithm=CRC32`,
      ),
    ).toEqual({});
  });
});
