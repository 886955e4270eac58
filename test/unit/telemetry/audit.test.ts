import { describe, expect, test } from 'vitest';
import { auditEntry } from '../../../src/telemetry/index.js';
import { record } from './support.js';

const names = { deploymentId: 'deployment', endpoint: '127.0.0.1:9000', siteName: 'here' };
const headersOf = (pairs: Record<string, string>) => ({
  names: () => Object.keys(pairs),
  get: (name: string) => pairs[name],
});

function entry(changes: Partial<typeof record> = {}, rawQuery = '', headers: Record<string, string> = {}) {
  const request = { rawQuery, headers: headersOf(headers) };
  const text = auditEntry({ ...record, ...changes }, request, [['ETag', '"x"']], names, 1_700_000_000_000);
  return { text, json: JSON.parse(text) as Record<string, unknown> & { api: Record<string, unknown> } };
}

describe('an audit entry', () => {
  test('has the names that collectors know', () => {
    const { json } = entry({
      operation: 'PutObject',
      bucket: 'b',
      rawPath: '/b/a%20key/x',
      status: 200,
      errorCode: null,
      accessKey: 'key-of-alice',
      account: 'alice',
      claims: new Map([['sub', 'alice']]),
      durationMs: 2.5,
      timeToFirstByteMs: 1.25,
    });
    expect(json).toMatchObject({
      version: '1',
      deploymentid: 'deployment',
      siteName: 'here',
      time: '2023-11-14T22:13:20.000Z',
      event: '',
      trigger: 'incoming',
      requestPath: '/b/a%20key/x',
      requestNode: '127.0.0.1:9000',
      requestClaims: { sub: 'alice' },
      responseHeader: { Etag: '"x"' },
      accessKey: 'key-of-alice',
      parentUser: 'alice',
    });
    expect(json.api).toMatchObject({
      name: 'PutObject',
      bucket: 'b',
      object: 'a key/x',
      status: 'OK',
      statusCode: 200,
      timeToFirstByte: '1250000ns',
      timeToFirstByteInNS: '1250000',
      timeToResponse: '2500000ns',
      timeToResponseInNS: '2500000',
    });
    expect(json).not.toHaveProperty('error');
  });

  test.each([
    ['path style', '/b/k', 'k'],
    ['a bucket', '/b', undefined],
    ['a bucket with a slash', '/b/', undefined],
    ['virtual-host style', '/k/l', 'k/l'],
    ['a path that cannot be decoded', '/b/%zz', '%zz'],
  ])('of %s names its object', (_style, rawPath, object) => {
    const { json } = entry({ bucket: 'b', rawPath });
    expect(json.api['object']).toBe(rawPath === '/b/%zz' ? '%zz' : object);
  });

  test('of a refusal says which', () => {
    const { json } = entry({
      status: 403,
      errorCode: 'AccessDenied',
      accessKey: null,
      account: null,
      claims: new Map(),
    });
    expect(json.api).toMatchObject({ status: 'AccessDenied', statusCode: 403 });
    expect(json['error']).toBe('AccessDenied');
    for (const name of ['accessKey', 'parentUser', 'requestClaims']) expect(json).not.toHaveProperty(name);
  });

  test('holds no secret', () => {
    const query = ['X-Amz-Signature', 'X-Amz-Security-Token', 'Signature', 'LDAPPassword', 'Token', 'WebIdentityToken']
      .map((name) => `${name}=hunter2`)
      .join('&');
    const headers = {
      authorization: 'AWS4-HMAC-SHA256 Credential=AK/20240101/r/s3/aws4_request, SignedHeaders=host, Signature=hunter2',
      'x-amz-security-token': 'hunter2',
      'x-amz-server-side-encryption-customer-key': 'hunter2',
      'x-amz-copy-source-server-side-encryption-customer-key': 'hunter2',
      cookie: 'token=hunter2',
    };
    const { text, json } = entry({}, `${query}&prefix=a%20b`, headers);
    expect(text).not.toContain('hunter2');
    expect(json['requestQuery']).toMatchObject({ prefix: 'a b', 'X-Amz-Signature': '*REDACTED*' });
    expect((json['requestHeader'] as Record<string, string>)['Authorization']).toContain('Credential=AK/');
  });
});
