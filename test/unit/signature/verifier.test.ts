import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { canonicalHeaders, canonicalPath, canonicalQuery, canonicalRequest } from '../../../src/signature/canonical.js';
import type { SigningCredential, VerifyOptions } from '../../../src/signature/signature.js';
import { parseQuery } from '../../../src/signature/uri.js';
import { createSignatureVerifier } from '../../../src/signature/verifier.js';
import {
  deriveKey,
  exampleCredential,
  exampleDate,
  exampleNowMs,
  nodeKernels,
  optionsFor,
  refusalOf,
  request,
  sha256Hex,
  signatureOf,
  type RequestParts,
} from './support.js';

const emptyHash = sha256Hex('');
const verify = createSignatureVerifier(nodeKernels());
const options = optionsFor(exampleCredential);
const minute = 60_000;

interface SigningChanges {
  readonly credential?: SigningCredential;
  readonly scope?: string;
  readonly amzDate?: string;
  readonly signedHeaders?: readonly string[];
  readonly payloadHash?: string;
  /** Authorization as a whole, from the parts of a right one. */
  readonly authorization?: (credential: string, signedHeaders: string, signature: string) => string;
}

const exampleScope = '20130524/us-east-1/s3/aws4_request';

/** Signs as a careful client does, but with whatever the test wants to be different. */
function signed(parts: RequestParts, changes: SigningChanges = {}): ReturnType<typeof request> {
  const credential = changes.credential ?? exampleCredential;
  const scope = changes.scope ?? exampleScope;
  const amzDate = changes.amzDate ?? exampleDate;
  const headers = [
    ...(parts.headers ?? [
      ['host', 'h:9000'],
      ['x-amz-date', amzDate],
    ]),
  ] as [string, string][];
  const values = new Map<string, string>();
  for (const [name, value] of headers) {
    const before = values.get(name.toLowerCase());
    values.set(name.toLowerCase(), before === undefined ? value : `${before},${value}`);
  }
  const signedHeaders = changes.signedHeaders ?? [...values.keys()].sort();
  const canonical = canonicalRequest({
    method: parts.method ?? 'GET',
    path: canonicalPath(parts.rawPath ?? '/'),
    query: canonicalQuery(parseQuery(parts.rawQuery ?? '')),
    headers: canonicalHeaders(signedHeaders, (name) => values.get(name) ?? ''),
    payloadHash: changes.payloadHash ?? values.get('x-amz-content-sha256') ?? emptyHash,
  });
  const [date = '', region = '', service = ''] = scope.split('/');
  const signature = signatureOf(deriveKey(credential.secretKey, date, region, service), amzDate, scope, canonical);
  const authorization =
    changes.authorization ?? ((c, s, g) => `AWS4-HMAC-SHA256 Credential=${c}, SignedHeaders=${s}, Signature=${g}`);
  const value = authorization(`${credential.accessKey}/${scope}`, signedHeaders.join(';'), signature);
  return request({ ...parts, headers: [...headers, ['authorization', value]] });
}

const refused = (input: ReturnType<typeof request>, changes: Partial<VerifyOptions> = {}) =>
  refusalOf(() => verify(input, { ...options, ...changes }));

describe('header form', () => {
  it('is refused for what is wrong with it when the requests before were right', () => {
    for (let time = 0; time < 3; time++) expect(verify(signed({}), options).kind).toBe('header-v4');
    const ending = (change: (signature: string) => string) =>
      signed(
        {},
        { authorization: (c, s, g) => `AWS4-HMAC-SHA256 Credential=${c}, SignedHeaders=${s}, Signature=${change(g)}` },
      );
    const extra = ',Extra=abcdef';
    expect(refused(ending((signature) => signature.slice(extra.length) + extra)).code).toBe(
      'AuthorizationHeaderMalformed',
    );
    expect(refused(ending((signature) => signature.slice(1) + ' ')).code).toBe('SignatureDoesNotMatch');
    expect(refused(ending((signature) => signature.replace(/./, 'x'))).code).toBe('SignatureDoesNotMatch');
    expect(
      verify(
        ending((signature) => `${signature} `),
        options,
      ).kind,
    ).toBe('header-v4');
    // A second signature is one too many, however well the first is known.
    const twice = signed({ rawQuery: 'X-Amz-Signature=1' });
    expect(refused(twice)).toMatchObject({ code: 'InvalidArgument' });
  });

  it('accepts a request without x-amz-content-sha256 as one with an empty body', () => {
    expect(verify(signed({}), options).payload).toEqual({ kind: 'sha256', hex: emptyHash });
  });

  it('takes the digest of a body that was read beforehand', () => {
    const bodySha256Hex = sha256Hex('Action=AssumeRole');
    const input = signed({ method: 'POST' }, { payloadHash: bodySha256Hex });
    expect(verify(input, { ...options, bodySha256Hex }).payload).toEqual({ kind: 'sha256', hex: bodySha256Hex });
    expect(refused(input).code).toBe('SignatureDoesNotMatch');
  });

  it('wants what is said of a body that was read beforehand to be true, and to be its digest', () => {
    const bodySha256Hex = sha256Hex('Action=AssumeRole');
    const said = (text: string) => {
      const headers: [string, string][] = [
        ['host', 'h:9000'],
        ['x-amz-content-sha256', text],
        ['x-amz-date', exampleDate],
      ];
      return () => verify(signed({ method: 'POST', headers }), { ...options, bodySha256Hex });
    };
    expect(said(bodySha256Hex)().payload).toEqual({ kind: 'sha256', hex: bodySha256Hex });
    for (const text of ['UNSIGNED-PAYLOAD', emptyHash, 'STREAMING-UNSIGNED-PAYLOAD-TRAILER']) {
      expect(refusalOf(said(text)).code).toBe('XAmzContentSHA256Mismatch');
    }
  });

  it('accepts components in any order and with any white space', () => {
    const shapes = [
      (c: string, s: string, g: string) => `AWS4-HMAC-SHA256 Signature=${g},SignedHeaders=${s},Credential=${c}`,
      (c: string, s: string, g: string) =>
        `  AWS4-HMAC-SHA256\t Credential=${c}\t, SignedHeaders=${s} ,Signature=${g} `,
    ];
    for (const authorization of shapes) {
      expect(verify(signed({}, { authorization }), options).kind).toBe('header-v4');
    }
  });

  it('accepts an access key with slashes, and any region when none is configured', () => {
    const credential = { ...exampleCredential, accessKey: 'team/app//1' };
    const scope = '20130524/mars-1/s3/aws4_request';
    const result = verify(signed({}, { credential, scope }), optionsFor(credential, { region: '' }));
    expect(result).toMatchObject({ accessKey: 'team/app//1', region: 'mars-1' });
  });

  it('refuses what is no region even when any region will do', () => {
    for (const region of ['a b', 'région', 'a\0', 'a'.repeat(65)]) {
      const input = signed({}, { scope: `20130524/${region}/s3/aws4_request` });
      expect(refused(input, { region: '' }).code).toBe('AuthorizationHeaderMalformed');
    }
    const longest = signed({}, { scope: `20130524/${'a'.repeat(64)}/s3/aws4_request` });
    expect(verify(longest, { ...options, region: '' }).kind).toBe('header-v4');
  });

  it('accepts an empty region, as administration clients sign, only where any region will do', () => {
    const input = signed({}, { scope: '20130524//s3/aws4_request' });
    expect(verify(input, { ...options, region: '' })).toMatchObject({ kind: 'header-v4', region: '' });
    expect(refused(input, { region: 'us-east-1' }).code).toBe('AuthorizationHeaderMalformed');
  });

  it('knows US as the old name of us-east-1', () => {
    const input = signed({}, { scope: '20130524/US/s3/aws4_request' });
    expect(verify(input, options)).toMatchObject({ region: 'US' });
    expect(refused(input, { region: 'eu-west-1' }).code).toBe('AuthorizationHeaderMalformed');
  });

  it('sorts and lowers the names of SignedHeaders as the signer does', () => {
    const authorization = (c: string, s: string, g: string) =>
      `AWS4-HMAC-SHA256 Credential=${c},SignedHeaders=${s.split(';').reverse().join(';').toUpperCase()},Signature=${g}`;
    expect(verify(signed({}, { authorization }), options).kind).toBe('header-v4');
  });

  it('takes the Date header when there is no x-amz-date', () => {
    for (const date of ['Fri, 24 May 2013 00:00:00 GMT', 'Fri, 24 May 2013 00:00:00 +0000', exampleDate]) {
      const headers = [
        ['host', 'h'],
        ['date', date],
      ] as const;
      expect(verify(signed({ headers }), options)).toMatchObject({ signedAtMs: exampleNowMs });
    }
  });

  it('joins duplicates, trims and collapses white space', () => {
    const input = signed({
      headers: [
        ['host', 'h'],
        ['x-amz-date', exampleDate],
        ['x-amz-meta-a', '  b   c '],
        ['x-amz-meta-a', 'd'],
      ],
    });
    expect(verify(input, options).kind).toBe('header-v4');
  });

  it('rebuilds signed headers that the front consumed', () => {
    const headers = [
      ['host', 'h'],
      ['x-amz-date', exampleDate],
    ] as const;
    const consumed = [
      { name: 'content-length', value: '12', declaredBytes: 12 },
      { name: 'transfer-encoding', value: 'chunked', declaredBytes: null },
      { name: 'expect', value: '100-continue', declaredBytes: 12 },
    ];
    for (const { name, value, declaredBytes } of consumed) {
      const whole = signed({ headers: [...headers, [name, value]], declaredBytes });
      const authorization = whole.headers.get('authorization') ?? '';
      const stripped = request({ headers: [...headers, ['authorization', authorization]], declaredBytes });
      expect(verify(stripped, options).kind).toBe('header-v4');
    }
  });

  it('refuses headers that were taken away, whatever their value was', () => {
    const headers = [
      ['host', 'h'],
      ['x-amz-date', exampleDate],
    ] as const;
    const lost = [
      ['x-amz-acl', 'null'],
      ['x-amz-acl', 'undefined'],
      ['transfer-encoding', 'chunked'],
      ['content-length', '12'],
      ['expect', 'something else'],
    ] as const;
    for (const [name, value] of lost) {
      const whole = signed({ headers: [...headers, [name, value]] });
      expect(verify(whole, options).kind).toBe('header-v4');
      const authorization = whole.headers.get('authorization') ?? '';
      const stripped = request({ headers: [...headers, ['authorization', authorization]] });
      expect(refused(stripped).code).toBe('SignatureDoesNotMatch');
    }
  });

  it('refuses a signed header that did not arrive', () => {
    const headers = [
      ['host', 'h'],
      ['x-amz-date', exampleDate],
    ] as const;
    for (const [name, declaredBytes] of [
      ['x-amz-acl', 0],
      ['range', 0],
      ['content-length', null],
      ['transfer-encoding', 0],
    ] as const) {
      const input = signed({ headers, declaredBytes }, { signedHeaders: [name, 'host', 'x-amz-date'].sort() });
      expect(refused(input).code).toBe('SignatureDoesNotMatch');
    }
  });

  it.each(['x-amz-acl', 'x-amz-copy-source', 'x-amz-meta-a', 'x-amz-security-token', 'x-amz-date', 'host'])(
    'refuses a request whose %s is not signed',
    (name) => {
      const headers = new Map([
        ['host', 'h'],
        ['x-amz-date', exampleDate],
        [name, name === 'x-amz-date' ? exampleDate : 'v'],
      ]);
      const signedHeaders = [...headers.keys()].filter((each) => each !== name).sort();
      const refusal = refused(signed({ headers }, { signedHeaders }));
      expect(refusal).toMatchObject({
        code: 'AccessDenied',
        message: 'There were headers present in the request which were not signed',
        detail: { HeadersNotSigned: name },
      });
    },
  );

  it('lets x-amz-content-sha256 be covered by its own line alone', () => {
    const headers = [
      ['host', 'h'],
      ['x-amz-date', exampleDate],
      ['x-amz-content-sha256', 'UNSIGNED-PAYLOAD'],
    ] as const;
    const input = signed({ headers }, { signedHeaders: ['host', 'x-amz-date'] });
    expect(verify(input, options).payload).toEqual({ kind: 'unsigned' });
  });

  it('refuses clocks that differ by more than 15 minutes, either way', () => {
    for (const sign of [1, -1]) {
      expect(verify(signed({}), { ...options, nowMs: exampleNowMs + sign * 15 * minute }).kind).toBe('header-v4');
      const refusal = refused(signed({}), { nowMs: exampleNowMs + sign * (15 * minute + 1) });
      expect(refusal).toMatchObject({
        code: 'RequestTimeTooSkewed',
        message: 'The difference between the request time and the current time is too large.',
        detail: { RequestTime: exampleDate, MaxAllowedSkewMilliseconds: '900000' },
      });
    }
  });

  it.each([
    '',
    'now',
    '20130524',
    '20130231T000000Z',
    '20130524T000000',
    '20130524T240000Z',
    '20130524T006000Z',
    '00000000T000000Z',
    'Fri, 24 May 2013 00:00:00 GMT',
    '20130524T000000Z,20130524T000000Z',
  ])('refuses the date %j', (amzDate) => {
    const refusal = refused(
      signed({
        headers: [
          ['host', 'h'],
          ['x-amz-date', amzDate],
        ],
      }),
    );
    expect(refusal).toMatchObject({
      code: 'AccessDenied',
      message: 'AWS authentication requires a valid Date or x-amz-date header',
    });
  });

  it('refuses a request without a date', () => {
    expect(refused(signed({ headers: [['host', 'h']] })).code).toBe('AccessDenied');
  });

  it.each([
    [
      'AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3',
      'the Credential is mal-formed; expecting "<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request".',
    ],
    ['', 'the Credential is mal-formed; expecting "<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request".'],
    ['/20130524/us-east-1/s3/aws4_request', 'a non-empty Access Key (AKID) must be provided in the credential.'],
    [
      'A/2013-05-24/us-east-1/s3/aws4_request',
      'incorrect date format "2013-05-24". This date in the credential must be in the format "yyyyMMdd".',
    ],
    [
      'A/20130523/us-east-1/s3/aws4_request',
      'Invalid credential date "20130523". This date is not the same as X-Amz-Date: "20130524".',
    ],
    ['A/20130524/us-west-1/s3/aws4_request', "the region 'us-west-1' is wrong; expecting 'us-east-1'"],
    ['A/20130524/us-east-1/ec2/aws4_request', 'incorrect service "ec2". This endpoint belongs to "s3".'],
    ['A/20130524/us-east-1/s3/aws3_request', 'incorrect terminal "aws3_request". This endpoint uses "aws4_request".'],
  ])('refuses the credential %j', (credential, text) => {
    const authorization = (_: string, s: string, g: string) =>
      `AWS4-HMAC-SHA256 Credential=${credential}, SignedHeaders=${s}, Signature=${g}`;
    const refusal = refused(signed({}, { authorization }));
    expect(refusal.code).toBe('AuthorizationHeaderMalformed');
    expect(refusal.message).toBe(`The authorization header is malformed; ${text}`);
  });

  it('names the right region in a detail of its own: SDKs retry with it', () => {
    const input = signed({}, { scope: '20130524/us-west-1/s3/aws4_request' });
    expect(refused(input).detail).toEqual({ Region: 'us-east-1' });
  });

  it.each([
    'AWS4-HMAC-SHA256',
    'AWS4-HMAC-SHA256 ',
    'AWS4-HMAC-SHA256 Credential=A',
    'AWS4-HMAC-SHA256 Credential=A/20130524/us-east-1/s3/aws4_request, SignedHeaders=host',
    'AWS4-HMAC-SHA256 Credential=A/b/c/d/e, SignedHeaders=host, Signature=',
    'AWS4-HMAC-SHA256 a, b, c',
    'AWS4-HMAC-SHA256 Credential=A, Credential=B, Signature=C',
    'AWS4-HMAC-SHA256 Credential=A, SignedHeaders=B, Signature=C, More=D',
    'AWS4-HMAC-SHA256 ' + ','.repeat(30_000),
    'AWS4-HMAC-SHA256 Credential=' + '/'.repeat(30_000) + ',SignedHeaders=host,Signature=a',
  ])('refuses the header %.60s', (authorization) => {
    const headers = [
      ['host', 'h'],
      ['x-amz-date', exampleDate],
      ['authorization', authorization],
    ] as const;
    expect(refused(request({ headers })).code).toBe('AuthorizationHeaderMalformed');
  });

  it.each([
    ['a repeated name', 'host;host;x-amz-date'],
    ['a repeated name out of order', 'host;x-amz-date;HOST'],
    ['an empty name', 'host;;x-amz-date'],
    ['nothing', ''],
    ['a name with a space', 'ho st;x-amz-date'],
    ['a name with a line feed', 'ho\nst;x-amz-date'],
    ['a name that is not ASCII', 'hóst;x-amz-date'],
    ['a name with NUL', 'host\0;x-amz-date'],
    [
      'too many names',
      Array.from({ length: 101 }, (_, index) => `h${index}`)
        .sort()
        .join(';'),
    ],
    ['very many names', 'a;'.repeat(15_000)],
  ])('refuses SignedHeaders with %s', (_, names) => {
    const authorization = (c: string, __: string, g: string) =>
      `AWS4-HMAC-SHA256 Credential=${c}, SignedHeaders=${names}, Signature=${g}`;
    expect(refused(signed({}, { authorization })).code).toBe('AuthorizationHeaderMalformed');
  });

  it.each(['', '0', 'x'.repeat(64), 'é'.repeat(32), '\0', 'f'.repeat(20_000)])(
    'refuses the signature %.20j',
    (signature) => {
      const authorization = (c: string, s: string) =>
        `AWS4-HMAC-SHA256 Credential=${c}, SignedHeaders=${s}, Signature=${signature}`;
      const refusal = refused(signed({}, { authorization }));
      expect(refusal.code).toBe('SignatureDoesNotMatch');
      expect((refusal.detail['SignatureProvided'] ?? '').length).toBeLessThanOrEqual(64);
    },
  );

  it('does not take a signature in upper case for the one of the wire', () => {
    const authorization = (c: string, s: string, g: string) =>
      `AWS4-HMAC-SHA256 Credential=${c}, SignedHeaders=${s}, Signature=${g.toUpperCase()}`;
    expect(refused(signed({}, { authorization })).code).toBe('SignatureDoesNotMatch');
  });

  it('says unknown access keys', () => {
    const refusal = refused(signed({}, { credential: { ...exampleCredential, accessKey: 'NOBODY' } }));
    expect(refusal).toMatchObject({
      code: 'InvalidAccessKeyId',
      message: 'The AWS Access Key Id you provided does not exist in our records.',
      detail: { AWSAccessKeyId: 'NOBODY' },
    });
    const long = refused(signed({}, { credential: { ...exampleCredential, accessKey: 'N'.repeat(20_000) } }));
    expect(long).toMatchObject({ code: 'InvalidAccessKeyId', detail: {} });
  });
});

describe('the body', () => {
  const withHash = (hash: string) =>
    signed({
      method: 'PUT',
      headers: [
        ['host', 'h'],
        ['x-amz-date', exampleDate],
        ['x-amz-content-sha256', hash],
      ],
    });

  it('is protected as the client says', () => {
    expect(verify(withHash('UNSIGNED-PAYLOAD'), options).payload).toEqual({ kind: 'unsigned' });
    expect(verify(withHash(emptyHash.toUpperCase()), options).payload).toEqual({ kind: 'sha256', hex: emptyHash });
    expect(verify(withHash('STREAMING-UNSIGNED-PAYLOAD-TRAILER'), options).payload).toEqual({
      kind: 'unsigned-chunks',
    });
    for (const hasTrailer of [false, true]) {
      const input = withHash('STREAMING-AWS4-HMAC-SHA256-PAYLOAD' + (hasTrailer ? '-TRAILER' : ''));
      const seedSignature = /Signature=(.*)/.exec(input.headers.get('authorization') ?? '')?.[1];
      expect(verify(input, options).payload).toEqual({
        kind: 'signed-chunks',
        hasTrailer,
        signingKey: deriveKey(exampleCredential.secretKey, '20130524', 'us-east-1', 's3'),
        amzDate: exampleDate,
        scope: exampleScope,
        seedSignature,
      });
    }
  });

  it.each(['', 'abc', 'g'.repeat(64), emptyHash + '0', 'unsigned-payload', 'STREAMING', `${emptyHash},${emptyHash}`])(
    'refuses x-amz-content-sha256: %j',
    (hash) => {
      const refusal = refused(withHash(hash));
      expect(refusal.code).toBe('InvalidArgument');
      expect(refusal.message).toMatch(/^x-amz-content-sha256 must be UNSIGNED-PAYLOAD/);
      expect(refusal.detail['ArgumentName']).toBe('x-amz-content-sha256');
    },
  );

  it.each(['STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD', 'STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER'])(
    'does not have %s',
    (hash) => {
      expect(refused(withHash(hash)).code).toBe('NotImplemented');
    },
  );
});

describe('presigned form', () => {
  const parameters = (changes: Readonly<Record<string, string | null>> = {}): string => {
    const all: Record<string, string | null> = {
      'X-Amz-Algorithm': 'AWS4-HMAC-SHA256',
      'X-Amz-Credential': `${exampleCredential.accessKey}/${exampleScope}`,
      'X-Amz-Date': exampleDate,
      'X-Amz-Expires': '60',
      'X-Amz-SignedHeaders': 'host',
      ...changes,
    };
    return Object.entries(all)
      .flatMap(([name, value]) => (value === null ? [] : [`${name}=${encodeURIComponent(value)}`]))
      .join('&');
  };
  const presigned = (
    query: string,
    parts: RequestParts = {},
    credential = exampleCredential,
    payloadHash = 'UNSIGNED-PAYLOAD',
  ) => {
    const headers = [...(parts.headers ?? [['host', 'h']])] as [string, string][];
    const values = new Map(headers);
    const pairs = parseQuery(query);
    const names = pairs.find(([name]) => name === 'X-Amz-SignedHeaders')?.[1].split(';') ?? ['host'];
    const canonical = canonicalRequest({
      method: parts.method ?? 'GET',
      path: canonicalPath(parts.rawPath ?? '/'),
      query: canonicalQuery(pairs),
      headers: canonicalHeaders(names, (name) => values.get(name) ?? ''),
      payloadHash,
    });
    const key = deriveKey(credential.secretKey, '20130524', 'us-east-1', 's3');
    const signature = signatureOf(key, exampleDate, exampleScope, canonical);
    return request({ ...parts, headers, rawQuery: `${query}&X-Amz-Signature=${signature}` });
  };

  it('holds until it expires, and not before it starts', () => {
    const at = (nowMs: number) => ({ ...options, nowMs });
    const input = presigned(parameters());
    expect(verify(input, at(exampleNowMs)).kind).toBe('presigned-v4');
    expect(verify(input, at(exampleNowMs + 60_000)).kind).toBe('presigned-v4');
    expect(verify(input, at(exampleNowMs - 15 * minute)).kind).toBe('presigned-v4');
    expect(refused(input, at(exampleNowMs + 60_001))).toMatchObject({
      code: 'AccessDenied',
      message: 'Request has expired',
      detail: { 'X-Amz-Expires': '60', Expires: '2013-05-24T00:01:00Z', ServerTime: '2013-05-24T00:01:00Z' },
    });
    expect(refused(input, at(exampleNowMs - 15 * minute - 1))).toMatchObject({
      code: 'AccessDenied',
      message: 'Request is not valid yet',
    });
  });

  it.each([
    ['-1', 'AuthorizationQueryParametersError', 'X-Amz-Expires must be non-negative'],
    ['0', 'AccessDenied', 'Request has expired'],
    ['604801', 'AuthorizationQueryParametersError', /less than a week/],
    ['9'.repeat(400), 'AuthorizationQueryParametersError', /less than a week/],
    ['1e3', 'AuthorizationQueryParametersError', 'X-Amz-Expires should be a number'],
    [' 60', 'AuthorizationQueryParametersError', 'X-Amz-Expires should be a number'],
    ['', 'AuthorizationQueryParametersError', /requires the X-Amz-Algorithm/],
  ])('refuses X-Amz-Expires=%.10s', (expires, code, message) => {
    const refusal = refused(presigned(parameters({ 'X-Amz-Expires': expires })));
    expect(refusal.code).toBe(code);
    expect(refusal.message).toMatch(message);
  });

  it.each(['1', '604800'])('accepts X-Amz-Expires=%s', (expires) => {
    expect(verify(presigned(parameters({ 'X-Amz-Expires': expires })), options).kind).toBe('presigned-v4');
  });

  it.each(['X-Amz-Algorithm', 'X-Amz-Credential', 'X-Amz-Date', 'X-Amz-Expires', 'X-Amz-SignedHeaders'])(
    'refuses a URL without %s, or with two of it',
    (name) => {
      expect(refused(presigned(parameters({ [name]: null }))).code).toBe('AuthorizationQueryParametersError');
      expect(refused(presigned(`${parameters()}&${name}=1`)).code).toBe('AuthorizationQueryParametersError');
    },
  );

  it('refuses a URL without a signature, or with two', () => {
    expect(refused(request({ rawQuery: parameters(), headers: [['host', 'h']] })).code).toBe(
      'AuthorizationQueryParametersError',
    );
    const twice = presigned(parameters());
    const input = request({ rawQuery: `${twice.rawQuery}&X-Amz-Signature=0`, headers: [['host', 'h']] });
    expect(refused(input).code).toBe('AuthorizationQueryParametersError');
  });

  it.each([
    [{ 'X-Amz-Algorithm': 'AWS4-ECDSA-P256-SHA256' }, 'NotImplemented', /not implemented/],
    [{ 'X-Amz-Algorithm': 'AWS3' }, 'AuthorizationQueryParametersError', /X-Amz-Algorithm only supports/],
    [
      { 'X-Amz-Date': '2013-05-24' },
      'AuthorizationQueryParametersError',
      /X-Amz-Date must be in the ISO8601 Long Format/,
    ],
    [{ 'X-Amz-Date': '20130525T000000Z' }, 'AuthorizationQueryParametersError', /^Invalid credential date "20130524"/],
    [
      { 'X-Amz-Credential': 'A/20130524/us-west-1/s3/aws4_request' },
      'AuthorizationQueryParametersError',
      /^Error parsing the X-Amz-Credential parameter; the region 'us-west-1' is wrong; expecting 'us-east-1'$/,
    ],
    [
      { 'X-Amz-Credential': 'A/20130524' },
      'AuthorizationQueryParametersError',
      /^Error parsing the X-Amz-Credential parameter; the Credential is mal-formed/,
    ],
    [{ 'X-Amz-SignedHeaders': 'range' }, 'AccessDenied', /not signed/],
    [{ 'X-Amz-SignedHeaders': ';' }, 'AuthorizationQueryParametersError', /SignedHeaders/],
  ])('refuses %j', (changes, code, message) => {
    const refusal = refused(presigned(parameters(changes)));
    expect(refusal.code).toBe(code);
    expect(refusal.message).toMatch(message);
  });

  it('refuses x-amz-* headers that the URL did not sign', () => {
    const headers = [
      ['host', 'h'],
      ['x-amz-meta-added', '1'],
      ['x-amz-acl', 'public-read'],
    ] as const;
    expect(refused(presigned(parameters(), { headers })).detail).toEqual({
      HeadersNotSigned: 'x-amz-meta-added, x-amz-acl',
    });
    const input = presigned(parameters({ 'X-Amz-SignedHeaders': 'host;x-amz-acl;x-amz-meta-added' }), { headers });
    expect(verify(input, options).kind).toBe('presigned-v4');
  });

  it('takes the payload from the parameter or the header, not from two that differ', () => {
    const hash = sha256Hex('body');
    const query = parameters({ 'X-Amz-Content-Sha256': hash });
    expect(verify(presigned(query, {}, exampleCredential, hash), options).payload).toEqual({
      kind: 'sha256',
      hex: hash,
    });
    const headers = [
      ['host', 'h'],
      ['x-amz-content-sha256', hash],
    ] as const;
    expect(verify(presigned(parameters(), { headers }, exampleCredential, hash), options).payload).toEqual({
      kind: 'sha256',
      hex: hash,
    });
    expect(verify(presigned(query, { headers }, exampleCredential, hash), options).payload).toEqual({
      kind: 'sha256',
      hex: hash,
    });
    const other = [
      ['host', 'h'],
      ['x-amz-content-sha256', 'UNSIGNED-PAYLOAD'],
    ] as const;
    expect(refused(presigned(query, { headers: other }, exampleCredential, hash)).code).toBe(
      'AuthorizationQueryParametersError',
    );
  });

  it('takes the token of a temporary credential from the query or the header', () => {
    const credential = { ...exampleCredential, sessionToken: 'token+/=' };
    const temporary = optionsFor(credential);
    const query = parameters({ 'X-Amz-Security-Token': 'token+/=' });
    expect(verify(presigned(query), temporary).kind).toBe('presigned-v4');
    expect(refusalOf(() => verify(presigned(query), options)).code).toBe('InvalidTokenId');
    expect(refusalOf(() => verify(presigned(parameters()), temporary)).code).toBe('InvalidTokenId');
    const headers = [
      ['host', 'h'],
      ['x-amz-security-token', 'token+/='],
    ] as const;
    const signedHeaders = parameters({ 'X-Amz-SignedHeaders': 'host;x-amz-security-token' });
    expect(verify(presigned(signedHeaders, { headers }), temporary).kind).toBe('presigned-v4');
  });
});

describe('session tokens', () => {
  const temporary = { ...exampleCredential, sessionToken: 'a-session-token' };
  const withToken = (token: string | null, credential: SigningCredential) =>
    signed(
      {
        headers: [
          ['host', 'h'],
          ['x-amz-date', exampleDate],
          ...(token === null ? [] : [['x-amz-security-token', token] as const]),
        ],
      },
      { credential },
    );

  it('must be the very one of the credential', () => {
    expect(verify(withToken('a-session-token', temporary), optionsFor(temporary)).kind).toBe('header-v4');
    for (const token of [null, '', 'a-session-tokem', 'a-session-token2']) {
      const refusal = refusalOf(() => verify(withToken(token, temporary), optionsFor(temporary)));
      expect(refusal.code).toBe('InvalidTokenId');
    }
  });

  it('do not go with a permanent credential', () => {
    expect(refused(withToken('a-session-token', exampleCredential)).code).toBe('InvalidTokenId');
    expect(verify(withToken(null, exampleCredential), options).kind).toBe('header-v4');
  });

  it('are told apart from a wrong signature only by who knows the secret', () => {
    const liar = { ...temporary, secretKey: 'another-secret' };
    expect(refusalOf(() => verify(withToken('wrong', liar), optionsFor(temporary))).code).toBe('SignatureDoesNotMatch');
  });
});

describe('mechanisms', () => {
  const get = (authorization: string, rawQuery = '') =>
    request({
      rawQuery,
      headers: [
        ['host', 'h'],
        ['x-amz-date', exampleDate],
        ['authorization', authorization],
      ],
    });
  const unsupported = 'The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.';

  it('is anonymous without any', () => {
    expect(verify(request({}), options)).toEqual({ kind: 'anonymous', payload: { kind: 'unsigned' } });
    expect(verify(get(''), options).kind).toBe('anonymous');
    expect(verify(get('  '), options).kind).toBe('anonymous');
    expect(verify(request({ rawQuery: 'x-amz-signature=1&list-type=2' }), options).kind).toBe('anonymous');
  });

  it('holds anonymous bodies to what they claim', () => {
    const put = (hash: string) => request({ method: 'PUT', headers: [['x-amz-content-sha256', hash]] });
    expect(verify(put(emptyHash), options).payload).toEqual({ kind: 'sha256', hex: emptyHash });
    expect(verify(put('STREAMING-UNSIGNED-PAYLOAD-TRAILER'), options).payload).toEqual({ kind: 'unsigned-chunks' });
    expect(refused(put('STREAMING-AWS4-HMAC-SHA256-PAYLOAD')).code).toBe('AccessDenied');
    expect(refused(put('nonsense')).code).toBe('InvalidArgument');
  });

  it('refuses other schemes without repeating what they carried', () => {
    expect(refused(get('AWS4-ECDSA-P256-SHA256 Credential=A')).code).toBe('NotImplemented');
    expect(refused(get('AWS4-HMAC-SHA512 Credential=A'))).toMatchObject({
      code: 'InvalidRequest',
      message: unsupported,
    });
    for (const authorization of [
      'Bearer eyJhbGciOiJub25lIn0',
      'Basic dXNlcjpwYXNz',
      '\x07',
      'aws4-hmac-sha256 Credential=A',
    ]) {
      const refusal = refused(get(authorization));
      expect(refusal.code).toBe('InvalidArgument');
      expect(inspect(refusal)).not.toContain(authorization);
    }
  });

  it.each([
    'X-Amz-Algorithm=AWS4-HMAC-SHA256',
    'X-Amz-Signature=1',
    'X-Amz-Credential=A',
    'Signature=1',
    'AWSAccessKeyId=A',
  ])('refuses an Authorization header beside %s', (rawQuery) => {
    expect(refused(get('AWS4-HMAC-SHA256 Credential=A', rawQuery)).message).toMatch(/^Only one auth mechanism allowed/);
  });

  it('refuses two kinds of presigned URL in one', () => {
    expect(refused(request({ rawQuery: 'X-Amz-Signature=1&Signature=1' })).code).toBe('InvalidArgument');
  });

  it('refuses a broken query and a broken path', () => {
    expect(refused(request({ rawQuery: 'a=%zz' })).code).toBe('InvalidURI');
    const { headers } = signed({ rawPath: '/ok' });
    const authorization = headers.get('authorization') ?? '';
    const broken = {
      rawPath: '/%',
      headers: [
        ['host', 'h:9000'],
        ['x-amz-date', exampleDate],
        ['authorization', authorization],
      ] as const,
    };
    expect(refused(request(broken)).code).toBe('InvalidURI');
  });
});

describe('a refusal', () => {
  it('explains what was signed, without secrets', () => {
    const credential = { ...exampleCredential, sessionToken: 'SESSION-TOKEN-VALUE' };
    const headers = [
      ['host', 'h'],
      ['x-amz-date', exampleDate],
      ['x-amz-meta-a', 'visible'],
      ['x-amz-security-token', 'SESSION-TOKEN-VALUE'],
      ['x-amz-server-side-encryption-customer-key', 'CUSTOMER-KEY-VALUE'],
    ] as const;
    const liar = { ...credential, secretKey: 'not the secret' };
    const input = signed(
      { headers, rawPath: '/b/k', rawQuery: 'X-Amz-Security-Token=QUERY-TOKEN-VALUE' },
      { credential: liar },
    );
    const refusal = refusalOf(() => verify(input, optionsFor(credential)));
    expect(refusal.code).toBe('SignatureDoesNotMatch');
    expect(refusal.message).toBe(
      'The request signature we calculated does not match the signature you provided. Check your key and signing method.',
    );
    expect(refusal.detail['AWSAccessKeyId']).toBe(exampleCredential.accessKey);
    expect(refusal.detail['SignatureProvided']).toMatch(/^[0-9a-f]{64}$/);
    expect(refusal.detail['StringToSign']).toMatch(
      new RegExp(`^AWS4-HMAC-SHA256\n${exampleDate}\n${exampleScope}\n[0-9a-f]{64}$`),
    );
    expect(refusal.detail['CanonicalRequest']).toBe(
      'GET\n/b/k\nX-Amz-Security-Token=%2A%2A%2A\nhost:h\n' +
        `x-amz-date:${exampleDate}\nx-amz-meta-a:visible\nx-amz-security-token:***\n` +
        'x-amz-server-side-encryption-customer-key:***\n\n' +
        'host;x-amz-date;x-amz-meta-a;x-amz-security-token;x-amz-server-side-encryption-customer-key\n' +
        emptyHash,
    );
    const everything = inspect(refusal, { depth: null }) + JSON.stringify(refusal.detail);
    for (const secret of [
      'SESSION-TOKEN-VALUE',
      'QUERY-TOKEN-VALUE',
      'CUSTOMER-KEY-VALUE',
      exampleCredential.secretKey,
    ]) {
      expect(everything).not.toContain(secret);
    }
  });

  it('never tells the right signature', () => {
    const authorization = (c: string, s: string) => `AWS4-HMAC-SHA256 Credential=${c}, SignedHeaders=${s}, Signature=0`;
    const right = /Signature=(.*)/.exec(signed({}).headers.get('authorization') ?? '')?.[1] ?? 'missing';
    const refusal = refused(signed({}, { authorization }));
    expect(inspect(refusal, { depth: null })).not.toContain(right);
  });

  it('leaves a long canonical request out', () => {
    const headers = [
      ['host', 'h'],
      ['x-amz-date', exampleDate],
      ['x-amz-meta-a', 'x'.repeat(9000)],
    ] as const;
    const refusal = refused(signed({ headers }, { credential: { ...exampleCredential, secretKey: 'wrong-secret' } }));
    expect(Object.keys(refusal.detail)).toEqual(['AWSAccessKeyId', 'StringToSign', 'SignatureProvided']);
  });
});

describe('signing keys', () => {
  it('are derived once, and again when the secret changes', () => {
    const kernels = nodeKernels();
    const cached = createSignatureVerifier(kernels);
    for (let round = 0; round < 3; round++) cached(signed({}), options);
    expect(kernels.derivationCount).toBe(1);
    const changed = { ...exampleCredential, secretKey: 'a new secret' };
    cached(signed({}, { credential: changed }), optionsFor(changed));
    expect(kernels.derivationCount).toBe(2);
    expect(refusalOf(() => cached(signed({}), optionsFor(changed))).code).toBe('SignatureDoesNotMatch');
  });

  it('of wrong signatures are not kept', () => {
    const kernels = nodeKernels();
    const cached = createSignatureVerifier(kernels);
    const wrong = { ...exampleCredential, secretKey: 'wrong-secret' };
    for (let round = 0; round < 3; round++) refusalOf(() => cached(signed({}, { credential: wrong }), options));
    expect(kernels.derivationCount).toBe(3);
  });
});
