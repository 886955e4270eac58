import { describe, expect, test } from 'vitest';
import { HeaderMap, type ExchangeRequest } from '../../../src/exchange/index.js';
import { kernels } from '../../../src/native/index.js';
import { createSignatureVerifier } from '../../../src/signature/index.js';
import { encodeRequest, type PlannedRequest } from '../../../bench/load/plan.js';
import { createHeaderSigner } from '../../../bench/load/sign.js';

const signer = { host: '127.0.0.1:9000', accessKey: 'bench', secretKey: 'bench-secret', region: 'us-east-1' };
const now = new Date(Date.UTC(2026, 10, 24, 4, 30));

function encoded(request: PlannedRequest) {
  const bytes = encodeRequest(request, createHeaderSigner(signer, now));
  const headBytes = bytes.readUInt32LE(0);
  const head = bytes.toString('latin1', 40);
  expect(head).toHaveLength(headBytes);
  return {
    status: bytes.readUInt32LE(4),
    bodyBytes: bytes.readBigUInt64LE(8),
    expectedBytes: bytes.readBigInt64LE(16),
    patternOffset: bytes.readBigUInt64LE(24),
    flags: bytes.readUInt32LE(32),
    head,
  };
}

describe('a record of a plan', () => {
  test('of a PUT', () => {
    const record = encoded({
      method: 'PUT',
      path: '/b/k',
      bodyBytes: 5 * 2 ** 30,
      expectedStatus: 200,
      patternOffset: 7,
    });
    expect(record).toMatchObject({
      status: 200,
      bodyBytes: 5n << 30n,
      expectedBytes: -1n,
      patternOffset: 7n,
      flags: 0,
    });
    expect(record.head).toMatch(/^PUT \/b\/k HTTP\/1\.1\r\nHost: 127\.0\.0\.1:9000\r\n/);
    expect(record.head).toContain('\r\nContent-Length: 5368709120\r\n');
    expect(record.head.endsWith('\r\n\r\n')).toBe(true);
  });

  test('of a GET whose body is known', () => {
    const record = encoded({
      method: 'GET',
      path: '/b',
      query: 'a=1',
      expectedStatus: 206,
      expectedBytes: 12,
      isPattern: true,
    });
    expect(record).toMatchObject({ status: 206, bodyBytes: 0n, expectedBytes: 12n, flags: 2 });
    expect(record.head).toMatch(/^GET \/b\?a=1 HTTP\/1\.1\r\n/);
    expect(record.head).not.toContain('Content-Length');
  });

  test('of a HEAD', () => {
    expect(encoded({ method: 'HEAD', path: '/b/k', expectedStatus: 200 }).flags).toBe(1);
  });
});

describe('its signature', () => {
  const verify = createSignatureVerifier(kernels);
  const credential = { accessKey: signer.accessKey, secretKey: signer.secretKey, sessionToken: null };
  const check = (request: PlannedRequest, secretKey = signer.secretKey) => {
    const [line = '', ...lines] = encoded(request).head.trimEnd().split('\r\n');
    const [method = '', target = ''] = line.split(' ');
    const [rawPath = '', rawQuery = ''] = target.split('?');
    const headers = lines.map((text) => text.split(/: /, 2) as [string, string]);
    const exchange: ExchangeRequest = {
      id: '0000000000000001',
      method,
      rawPath,
      rawQuery,
      headers: HeaderMap.from(headers.map(([name, value]) => [name.toLowerCase(), value])),
      remoteAddress: '127.0.0.1',
      secure: false,
      body: { declaredBytes: 0, consume: () => {}, pause: () => {}, resume: () => {} },
      isAborted: () => false,
      onAborted: () => {},
    };
    const lookup = (accessKey: string) => (accessKey === signer.accessKey ? { ...credential, secretKey } : null);
    return verify(exchange, { service: 's3', region: 'us-east-1', nowMs: now.getTime(), lookup });
  };

  test.each([
    { method: 'PUT', path: '/bucket/4096/000001', bodyBytes: 4096, expectedStatus: 200 },
    { method: 'GET', path: '/bucket/4096/000001', expectedStatus: 200 },
    {
      method: 'GET',
      path: '/bucket',
      query: 'list-type=2&max-keys=1000&prefix=list%2F&start-after=list%2F7',
      expectedStatus: 200,
    },
  ] satisfies PlannedRequest[])('is one that the server accepts: $method $path', (request) => {
    expect(() => check(request)).not.toThrow();
  });

  test('and that it refuses under another secret', () => {
    expect(() => check({ method: 'GET', path: '/b', expectedStatus: 200 }, 'another')).toThrow();
  });
});
