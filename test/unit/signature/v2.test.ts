import { createHmac } from 'node:crypto';
import { inspect } from 'node:util';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Refusal } from '../../../src/base/index.js';
import { kernels } from '../../../src/native/index.js';
import type { SigningCredential, VerifyOptions } from '../../../src/signature/signature.js';
import { createSignatureVerifier } from '../../../src/signature/verifier.js';
import { exampleCredential, optionsFor, refusalOf, request, type RequestParts } from './support.js';

const verify = createSignatureVerifier(kernels);
const minute = 60_000;
const at = (date: string) => Date.parse(date);
const sign = (stringToSign: string, secretKey = exampleCredential.secretKey) =>
  createHmac('sha1', secretKey).update(stringToSign).digest('base64');

/** The examples of the documentation "Signing and Authenticating REST Requests" of Amazon S3. */
const documented: readonly {
  readonly title: string;
  readonly signature: string;
  readonly parts: RequestParts;
  readonly hostBucket?: string;
}[] = [
  {
    title: 'Object GET',
    signature: 'bWq2s1WEIj+Ydj0vQ697zp+IXMU=',
    parts: { rawPath: '/photos/puppy.jpg', headers: [['date', 'Tue, 27 Mar 2007 19:36:42 +0000']] },
    hostBucket: 'johnsmith',
  },
  {
    title: 'Object PUT',
    signature: 'MyyxeRY7whkBe+bq8fHCL/2kKUg=',
    parts: {
      method: 'PUT',
      rawPath: '/photos/puppy.jpg',
      headers: [
        ['content-type', 'image/jpeg'],
        ['content-length', '94328'],
        ['date', 'Tue, 27 Mar 2007 21:15:45 +0000'],
      ],
    },
    hostBucket: 'johnsmith',
  },
  {
    title: 'List',
    signature: 'htDYFYduRNen8P9ZfE/s9SuKy0U=',
    parts: {
      rawPath: '/',
      rawQuery: 'prefix=photos&max-keys=50&marker=puppy',
      headers: [
        ['user-agent', 'Mozilla/5.0'],
        ['date', 'Tue, 27 Mar 2007 19:42:41 +0000'],
      ],
    },
    hostBucket: 'johnsmith',
  },
  {
    title: 'Fetch',
    signature: 'c2WLPFtWHVgbEmeEG93a4cG37dM=',
    parts: { rawPath: '/', rawQuery: 'acl', headers: [['date', 'Tue, 27 Mar 2007 19:44:46 +0000']] },
    hostBucket: 'johnsmith',
  },
  {
    title: 'Delete',
    signature: 'R4dJ53KECjStyBO5iTBJZ4XVOaI=',
    parts: {
      method: 'DELETE',
      rawPath: '/johnsmith/photos/puppy.jpg',
      headers: [
        ['user-agent', 'dotnet'],
        ['date', 'Tue, 27 Mar 2007 21:20:27 +0000'],
        ['x-amz-date', 'Tue, 27 Mar 2007 21:20:26 +0000'],
      ],
    },
  },
  {
    title: 'Upload',
    signature: 'ilyl83RwaSoYIEdixDQcA4OnAnc=',
    parts: {
      method: 'PUT',
      rawPath: '/db-backup.dat.gz',
      headers: [
        ['user-agent', 'curl/7.15.5'],
        ['date', 'Tue, 27 Mar 2007 21:06:08 +0000'],
        ['x-amz-acl', 'public-read'],
        ['content-type', 'application/x-download'],
        ['content-md5', '4gJE4saaMU4BqNR0kLY+lw=='],
        ['x-amz-meta-reviewedby', 'joe@johnsmith.net'],
        ['x-amz-meta-reviewedby', 'jane@johnsmith.net'],
        ['x-amz-meta-filechecksum', '0x02661779'],
        ['x-amz-meta-checksumalgorithm', 'crc32'],
        ['content-disposition', 'attachment; filename=database.dat'],
        ['content-encoding', 'gzip'],
        ['content-length', '5913339'],
      ],
    },
    hostBucket: 'static.johnsmith.net',
  },
  {
    title: 'List all my buckets',
    signature: 'qGdzdERIC03wnaRNKh6OqZehG9s=',
    parts: { rawPath: '/', headers: [['date', 'Wed, 28 Mar 2007 01:29:59 +0000']] },
  },
  {
    title: 'Unicode keys',
    signature: 'DNEZGsoieTZ92F3bUfSPQcbGmlM=',
    parts: {
      rawPath: '/dictionary/fran%C3%A7ais/pr%c3%a9f%c3%a8re',
      headers: [['date', 'Wed, 28 Mar 2007 01:49:49 +0000']],
    },
  },
];

describe('the documented examples', () => {
  it.each(documented)('$title', ({ signature, parts, hostBucket }) => {
    const headers = [...(parts.headers ?? [])];
    const values = new Map(headers);
    const signedAtMs = at(values.get('x-amz-date') ?? values.get('date') ?? '');
    const signed = (text: string) =>
      request({ ...parts, headers: [...headers, ['authorization', `AWS AKIAIOSFODNN7EXAMPLE:${text}`]] });
    const options = optionsFor(exampleCredential, { nowMs: signedAtMs, hostBucket: hostBucket ?? '' });
    expect(verify(signed(signature), options)).toEqual({
      kind: 'header-v2',
      accessKey: 'AKIAIOSFODNN7EXAMPLE',
      region: '',
      signedAtMs,
      payload: { kind: 'unsigned' },
    });
    expect(refusalOf(() => verify(signed(signature), { ...options, hostBucket: 'other' })).code).toBe(
      'SignatureDoesNotMatch',
    );
  });

  it('Query string', () => {
    const rawQuery =
      'AWSAccessKeyId=AKIAIOSFODNN7EXAMPLE&Signature=NpgCjnDzrM%2BWFzoENXmpNDUsSn8%3D&Expires=1175139620';
    const options = optionsFor(exampleCredential, { nowMs: 1_175_139_620_000, hostBucket: 'johnsmith' });
    expect(verify(request({ rawPath: '/photos/puppy.jpg', rawQuery }), options)).toEqual({
      kind: 'presigned-v2',
      accessKey: 'AKIAIOSFODNN7EXAMPLE',
      region: '',
      signedAtMs: null,
      payload: { kind: 'unsigned' },
    });
  });
});

const nowMs = Date.UTC(2026, 10, 24, 4, 0, 0);
const today = 'Tue, 24 Nov 2026 04:00:00 GMT';
const options = optionsFor(exampleCredential, { nowMs });

/** Header form, signed over `stringToSign`. */
function inHeader(
  stringToSign: string,
  parts: RequestParts,
  { accessKey, secretKey }: SigningCredential = exampleCredential,
) {
  const authorization = `AWS ${accessKey}:${sign(stringToSign, secretKey)}`;
  return request({ ...parts, headers: [...(parts.headers ?? []), ['authorization', authorization]] });
}

/** URL form; `changes` replace parameters, null leaves one out. */
function inUrl(stringToSign: string, parts: RequestParts, changes: { readonly [name: string]: string | null } = {}) {
  const expires = /\n(\d+)\n/.exec(stringToSign)?.[1] ?? '';
  const parameters = { AWSAccessKeyId: exampleCredential.accessKey, Expires: expires, Signature: sign(stringToSign) };
  const own = Object.entries({ ...parameters, ...changes })
    .filter((pair): pair is [string, string] => pair[1] !== null)
    .map(([name, value]) => `${name}=${encodeURIComponent(value)}`);
  return request({ ...parts, rawQuery: [...own, ...(parts.rawQuery ? [parts.rawQuery] : [])].join('&') });
}

const refused = (input: ReturnType<typeof request>, changes: Partial<VerifyOptions> = {}) =>
  refusalOf(() => verify(input, { ...options, ...changes }));

describe('in the Authorization header', () => {
  const get = (authorization: string, headers: readonly (readonly [string, string])[] = [['date', today]]) =>
    request({ headers: [...headers, ['authorization', authorization]] });

  it.each(['AWS', 'AWS ', 'AWS key', 'AWS key:', 'AWS :c2ln'])('refuses %s', (authorization) => {
    expect(refused(get(authorization))).toMatchObject({
      code: 'InvalidArgument',
      message: 'AWS authorization header is invalid. Expected AwsAccessKeyId:signature',
    });
  });

  it('needs a date, and one near now', () => {
    const right = `AWS ${exampleCredential.accessKey}:${sign('GET\n\n\n\n/')}`;
    expect(refused(get(right, []))).toMatchObject({ code: 'AccessDenied', message: /Date or x-amz-date/ });
    expect(refused(get(right, [['date', 'yesterday']])).code).toBe('AccessDenied');
    const dated = inHeader(`GET\n\n\n${today}\n/`, { headers: [['date', today]] });
    for (const offset of [-15 * minute, 0, 15 * minute]) {
      expect(verify(dated, { ...options, nowMs: nowMs + offset })).toMatchObject({ signedAtMs: nowMs });
    }
    for (const offset of [-15 * minute - 1, 15 * minute + 1]) {
      const refusal = refused(dated, { nowMs: nowMs + offset });
      expect(refusal).toMatchObject({ code: 'RequestTimeTooSkewed', detail: { RequestTime: today } });
    }
  });

  it.each(['Tue, 24 Nov 2026 04:00:00 +0000', '20261124T040000Z'])('takes x-amz-date before Date: %s', (amzDate) => {
    const headers: [string, string][] = [
      ['date', 'Mon, 01 Jan 2001 00:00:00 GMT'],
      ['x-amz-date', amzDate],
    ];
    expect(verify(inHeader(`GET\n\n\n\nx-amz-date:${amzDate}\n/`, { headers }), options).kind).toBe('header-v2');
  });

  it('knows its keys', () => {
    const stranger = { ...exampleCredential, accessKey: 'NOBODY' };
    expect(refused(inHeader(`GET\n\n\n${today}\n/`, { headers: [['date', today]] }, stranger))).toMatchObject({
      code: 'InvalidAccessKeyId',
      detail: { AWSAccessKeyId: 'NOBODY' },
    });
    const colon = { ...exampleCredential, accessKey: 'a:b' };
    const input = inHeader(`GET\n\n\n${today}\n/`, { headers: [['date', today]] }, colon);
    expect(verify(input, optionsFor(colon, { nowMs }))).toMatchObject({ accessKey: 'a:b' });
  });

  it('is for S3 alone', () => {
    const input = inHeader(`GET\n\n\n${today}\n/`, { headers: [['date', today]] });
    expect(refused(input, { service: 'sts' }).code).toBe('InvalidRequest');
  });

  it.each([
    ['', '/b/k'],
    ['uploads=', '/b/k?uploads'],
    ['uploads', '/b/k?uploads'],
    ['prefix=x&uploadId=U%2F1&partNumber=2&max-parts=5', '/b/k?partNumber=2&uploadId=U/1'],
    ['response-content-type=text%2Fplain%3B%20a&acl', '/b/k?acl&response-content-type=text/plain; a'],
    ['versionId=1&versionId=2', '/b/k?versionId=1&versionId=2'],
    ['Acl&ACL=1', '/b/k'],
  ])('signs of the query %j what belongs to the resource', (rawQuery, resource) => {
    const parts = { rawPath: '/b/k', rawQuery, headers: [['date', today]] as const };
    expect(verify(inHeader(`GET\n\n\n${today}\n${resource}`, parts), options).kind).toBe('header-v2');
  });

  it('takes a bucket with and without its slash for the same', () => {
    const headers = [['date', today]] as const;
    for (const rawPath of ['/b', '/b/']) {
      for (const signedPath of ['/b', '/b/']) {
        const input = inHeader(`GET\n\n\n${today}\n${signedPath}?acl`, { rawPath, rawQuery: 'acl', headers });
        expect(verify(input, options).kind).toBe('header-v2');
      }
    }
    const object = inHeader(`GET\n\n\n${today}\n/b/k`, { rawPath: '/b/k/', headers });
    expect(refused(object).code).toBe('SignatureDoesNotMatch');
    const inHost = inHeader(`GET\n\n\n${today}\n/b`, { rawPath: '/', headers });
    expect(refused(inHost, { hostBucket: 'b' }).code).toBe('SignatureDoesNotMatch');
  });

  it('refuses any change of what is signed', () => {
    const headers: [string, string][] = [
      ['date', today],
      ['content-type', 'text/plain'],
      ['content-md5', 'XrY7u+Ae7tCTyyK7j1rNww=='],
      ['x-amz-meta-a', '1'],
    ];
    const text = `PUT\nXrY7u+Ae7tCTyyK7j1rNww==\ntext/plain\n${today}\nx-amz-meta-a:1\n/b/k?uploadId=1`;
    const parts: RequestParts = { method: 'PUT', rawPath: '/b/k', rawQuery: 'uploadId=1', headers };
    expect(verify(inHeader(text, parts), options).kind).toBe('header-v2');
    const changed: readonly RequestParts[] = [
      { ...parts, method: 'POST' },
      { ...parts, rawPath: '/b/K' },
      { ...parts, rawPath: '/b/%6b' },
      { ...parts, rawQuery: 'uploadId=2' },
      { ...parts, rawQuery: 'uploadId=2&uploadId=1' },
      { ...parts, rawQuery: 'uploadId=1&acl' },
      { ...parts, rawQuery: '' },
      { ...parts, headers: [...headers, ['x-amz-acl', 'public-read']] },
      { ...parts, headers: [...headers, ['x-amz-meta-a', '2']] },
      { ...parts, headers: headers.filter(([name]) => name !== 'x-amz-meta-a') },
      { ...parts, headers: headers.map(([name, value]) => [name, name === 'content-type' ? 'text/html' : value]) },
      { ...parts, headers: headers.filter(([name]) => name !== 'content-md5') },
    ];
    for (const one of changed) expect(refused(inHeader(text, one)).code, inspect(one)).toBe('SignatureDoesNotMatch');
  });

  it('compares bytes, and takes nothing but base64 of twenty', () => {
    const right = sign(`GET\n\n\n${today}\n/`);
    const { accessKey } = exampleCredential;
    expect(verify(get(`AWS ${accessKey}:${right}`), options).kind).toBe('header-v2');
    const last = right.charCodeAt(0) === 0x41 ? 'B' : 'A';
    for (const wrong of [last + right.slice(1), right.slice(1), right.slice(0, -1), right + '=', ` ${right} x`, '='])
      expect(refused(get(`AWS ${accessKey}:${wrong}`)).code).toBe('SignatureDoesNotMatch');
  });

  it('explains what was signed, without secrets', () => {
    const headers: [string, string][] = [
      ['date', today],
      ['x-amz-security-token', 'TOKEN-VALUE'],
    ];
    const refusal = refused(inHeader('something else', { rawPath: '/b/k', headers }));
    expect(refusal.detail).toMatchObject({
      AWSAccessKeyId: exampleCredential.accessKey,
      StringToSign: `GET\n\n\n${today}\nx-amz-security-token:***\n/b/k`,
      SignatureProvided: sign('something else'),
    });
    expect(inspect(refusal)).not.toMatch(/TOKEN-VALUE|wJalrXUtn/);
    expect(inspect(refusal)).not.toContain(sign(`GET\n\n\n${today}\nx-amz-security-token:TOKEN-VALUE\n/b/k`));
  });
});

describe('temporary credentials', () => {
  const temporary = { ...exampleCredential, sessionToken: 'TOKEN' };
  const forTemporary = optionsFor(temporary, { nowMs });
  const withToken = (token: string) =>
    inHeader(`GET\n\n\n${today}\nx-amz-security-token:${token}\n/`, {
      headers: [
        ['date', today],
        ['x-amz-security-token', token],
      ],
    });

  it('need their token, in the header or in the URL', () => {
    expect(verify(withToken('TOKEN'), forTemporary).kind).toBe('header-v2');
    const url = inUrl('GET\n\n\n1900000000\nx-amz-security-token:TOKEN\n/b/k', {
      rawPath: '/b/k',
      rawQuery: 'x-amz-security-token=TOKEN',
    });
    expect(verify(url, forTemporary).kind).toBe('presigned-v2');
    const without = inHeader(`GET\n\n\n${today}\n/`, { headers: [['date', today]] });
    for (const input of [withToken('OTHER'), without]) {
      expect(refusalOf(() => verify(input, forTemporary)).code).toBe('InvalidTokenId');
    }
    expect(refused(withToken('TOKEN')).code).toBe('InvalidTokenId');
  });
});

describe('in a URL', () => {
  const expires = nowMs / 1000 + 60;
  const text = `GET\n\n\n${expires}\n/b/k`;
  const parts = { rawPath: '/b/k' };

  it('is good until it expires', () => {
    const url = inUrl(text, parts);
    expect(verify(url, options).kind).toBe('presigned-v2');
    expect(verify(url, { ...options, nowMs: expires * 1000 }).kind).toBe('presigned-v2');
    expect(refused(url, { nowMs: expires * 1000 + 1 })).toMatchObject({
      code: 'AccessDenied',
      message: 'Request has expired',
      detail: { Expires: '2026-11-24T04:01:00Z', ServerTime: '2026-11-24T04:01:00Z' },
    });
  });

  it.each(['soon', '-1', '1e9', '1900000000.5', '9'.repeat(13)])('refuses Expires=%s', (value) => {
    expect(refused(inUrl(text, parts, { Expires: value }))).toMatchObject({
      code: 'AccessDenied',
      message: /^Invalid date \(should be seconds since epoch\)/,
    });
  });

  it.each(['AWSAccessKeyId', 'Signature', 'Expires'])('needs %s, once', (name) => {
    if (name !== 'Expires') {
      const lone = request({ ...parts, rawQuery: `${name}=x` });
      expect(refused(lone)).toMatchObject({ code: 'AccessDenied', message: /requires the Signature, Expires/ });
    }
    for (const value of [null, '']) {
      expect(refused(inUrl(text, parts, { [name]: value }))).toMatchObject({ code: 'AccessDenied' });
    }
    expect(refused(inUrl(text, { ...parts, rawQuery: `${name}=1900000000` })).message).toMatch(/given twice/);
  });

  it('refuses any change of what is signed', () => {
    const codes = [
      refused(inUrl(text, { ...parts, method: 'DELETE' })),
      refused(inUrl(text, { rawPath: '/b/other' })),
      refused(inUrl(text, { ...parts, rawQuery: 'acl' })),
      refused(inUrl(text, { ...parts, rawQuery: 'response-content-type=text%2Fhtml' })),
      refused(inUrl(text, { ...parts, rawQuery: 'x-amz-acl=public-read' })),
      refused(inUrl(text, { ...parts, headers: [['x-amz-acl', 'public-read']] })),
      refused(inUrl(text, { ...parts, headers: [['content-type', 'text/plain']] })),
      refused(inUrl(text, parts, { Expires: String(expires + 1) })),
      refused(inUrl(text, parts, { Signature: sign(text, 'another secret') })),
    ].map(({ code }) => code);
    expect(new Set(codes)).toEqual(new Set(['SignatureDoesNotMatch']));
    expect(refused(inUrl(text, parts, { AWSAccessKeyId: 'NOBODY' })).code).toBe('InvalidAccessKeyId');
  });

  it('does not let its holder choose an operation that is not signed', () => {
    for (const rawQuery of ['attributes', 'events=x', 'renameObject', 'session'])
      expect(refused(inUrl(text, { ...parts, rawQuery })).code).toBe('AccessDenied');
  });

  it('counts headers that its query carries as signed headers, unless they are sent', () => {
    const signedPut = `PUT\n\ntext/plain\n${expires}\nx-amz-meta-a:b c\n/b/k`;
    const inQuery = { method: 'PUT', rawPath: '/b/k', rawQuery: 'content-type=text%2Fplain&x-amz-meta-a=b%20c' };
    expect(verify(inUrl(signedPut, inQuery), options).kind).toBe('presigned-v2');
    const sent = { ...inQuery, headers: [['content-type', 'text/plain']] as const };
    expect(verify(inUrl(signedPut, sent), options).kind).toBe('presigned-v2');
    const differs = { ...inQuery, headers: [['x-amz-meta-a', 'evil']] as const };
    expect(refused(inUrl(signedPut, differs)).code).toBe('SignatureDoesNotMatch');
    const twice = { ...inQuery, rawQuery: `x-amz-meta-a=evil&${inQuery.rawQuery}` };
    expect(refused(inUrl(signedPut, twice)).code).toBe('SignatureDoesNotMatch');
    const otherCase = { ...inQuery, rawQuery: `X-Amz-Meta-A=evil&${inQuery.rawQuery}` };
    expect(refused(inUrl(signedPut, otherCase)).code).toBe('SignatureDoesNotMatch');
  });
});

describe('bodies', () => {
  const put = (headers: readonly (readonly [string, string])[]) => {
    const amz = headers.filter(([name]) => name.startsWith('x-amz-')).map(([name, value]) => `${name}:${value}\n`);
    const text = `PUT\n\n\n${today}\n${amz.sort().join('')}/b/k`;
    return inHeader(text, { method: 'PUT', rawPath: '/b/k', headers: [['date', today], ...headers] });
  };

  it('may come in aws-chunked framing', () => {
    const framed = put([
      ['content-encoding', 'gzip, aws-chunked'],
      ['x-amz-decoded-content-length', '5'],
      ['x-amz-trailer', 'x-amz-checksum-crc32'],
    ]);
    expect(verify(framed, options).payload).toEqual({ kind: 'unsigned-chunks' });
    const named = put([['x-amz-content-sha256', 'STREAMING-UNSIGNED-PAYLOAD-TRAILER']]);
    expect(verify(named, options).payload).toEqual({ kind: 'unsigned-chunks' });
    expect(verify(put([['x-amz-decoded-content-length', '5']]), options).payload).toEqual({ kind: 'unsigned' });
    expect(verify(put([['content-encoding', 'aws-chunked']]), options).payload).toEqual({ kind: 'unsigned' });
  });

  it('are held to a digest that is signed with the headers', () => {
    const hex = 'ab'.repeat(32);
    expect(verify(put([['x-amz-content-sha256', hex]]), options).payload).toEqual({ kind: 'sha256', hex });
    expect(refused(put([['x-amz-content-sha256', 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD']])).code).toBe('InvalidRequest');
  });
});

describe('any input', () => {
  it('gets a refusal, never an accident', () => {
    const text = fc.string({ unit: 'binary', maxLength: 40 });
    fc.assert(
      fc.property(text, text, text, text, (authorization, date, path, query) => {
        const inputs = [
          request({
            rawPath: `/${path}`,
            headers: [
              ['date', date],
              ['authorization', `AWS ${authorization}`],
            ],
          }),
          request({
            rawPath: `/${path}`,
            rawQuery: `AWSAccessKeyId=${query}&Signature=${date}&Expires=${authorization}`,
          }),
        ];
        for (const input of inputs) {
          try {
            verify(input, options);
            expect.unreachable();
          } catch (error) {
            expect(error).toBeInstanceOf(Refusal);
          }
        }
      }),
    );
  });
});
