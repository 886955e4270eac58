import { describe, expect, it } from 'vitest';
import { Refusal, type Clock } from '../../../src/base/index.js';
import { authenticate } from '../../../src/dispatch/authenticate.js';
import { HeaderMap, type ExchangeRequest } from '../../../src/exchange/index.js';
import { createRootCredentials, type CredentialStore } from '../../../src/identity/index.js';
import { kernels } from '../../../src/native/index.js';
import { createSignatureVerifier } from '../../../src/signature/index.js';

/** A signed example of the S3 documentation. */
const headers: [string, string][] = [
  ['host', 'examplebucket.s3.amazonaws.com'],
  ['range', 'bytes=0-9'],
  ['x-amz-content-sha256', 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'],
  ['x-amz-date', '20130524T000000Z'],
  [
    'authorization',
    'AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,' +
      'SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,' +
      'Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41',
  ],
];

const clock: Clock = { nowMs: () => Date.UTC(2013, 4, 24), monotonicMs: () => 0 };
const credentials = createRootCredentials({
  accessKey: 'AKIAIOSFODNN7EXAMPLE',
  secretKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
});

function request(pairs: Iterable<readonly [string, string]>): ExchangeRequest {
  return {
    id: '0000000000000001',
    method: 'GET',
    rawPath: '/test.txt',
    rawQuery: '',
    headers: HeaderMap.from(pairs),
    remoteAddress: '127.0.0.1',
    secure: false,
    body: { declaredBytes: 0, consume: () => {}, pause: () => {}, resume: () => {} },
    isAborted: () => false,
    onAborted: () => {},
  };
}

const options = (changes: { credentials?: CredentialStore; clock?: Clock; region?: string } = {}) => ({
  verify: createSignatureVerifier(kernels),
  credentials,
  clock,
  region: 'us-east-1',
  service: 's3' as const,
  ...changes,
});

const codeOf = (act: () => unknown): string => {
  try {
    act();
  } catch (error) {
    if (error instanceof Refusal) return error.code as string;
    throw error;
  }
  return 'accepted';
};

describe('authenticate', () => {
  it('resolves a signature of the root account to the root principal', () => {
    expect(authenticate(request(headers), options())).toMatchObject({
      principal: { kind: 'root', accessKey: 'AKIAIOSFODNN7EXAMPLE' },
      authentication: { kind: 'header-v4', accessKey: 'AKIAIOSFODNN7EXAMPLE', region: 'us-east-1' },
    });
  });

  it('takes an unsigned request for anonymous', () => {
    expect(authenticate(request(headers.slice(0, 2)), options())).toEqual({
      principal: { kind: 'anonymous' },
      authentication: { kind: 'anonymous', payload: { kind: 'unsigned' } },
    });
  });

  it('refuses what does not verify', () => {
    const nobody: CredentialStore = { lookup: () => null };
    const later: Clock = { nowMs: () => clock.nowMs() + 3_600_000, monotonicMs: () => 0 };
    const other = createRootCredentials({ accessKey: 'AKIAIOSFODNN7EXAMPLE', secretKey: 'another secret' });
    expect(codeOf(() => authenticate(request(headers), options({ credentials: nobody })))).toBe('InvalidAccessKeyId');
    expect(codeOf(() => authenticate(request(headers), options({ clock: later })))).toBe('RequestTimeTooSkewed');
    expect(codeOf(() => authenticate(request(headers), options({ region: 'eu-west-1' })))).toBe(
      'AuthorizationHeaderMalformed',
    );
    expect(codeOf(() => authenticate(request(headers), options({ credentials: other })))).toBe('SignatureDoesNotMatch');
  });

  it('speaks for the principal whose secret verified, even when the store changes meanwhile', () => {
    let lookupCount = 0;
    const root = credentials.lookup('AKIAIOSFODNN7EXAMPLE');
    const changing: CredentialStore = { lookup: () => (lookupCount++ === 0 ? root : null) };
    expect(authenticate(request(headers), options({ credentials: changing })).principal.kind).toBe('root');
    expect(lookupCount).toBe(1);
  });
});
