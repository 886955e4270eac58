/**
 * Hostile input against the signature room. Whatever arrives is verified, anonymous or refused with a code:
 * never another error, never a principal out of noise, never payload beyond what was declared.
 * Replay with FUZZ_SEED; FUZZ_RUNS sets how many.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { limits, Refusal } from '../../src/base/index.js';
import { HeaderMap, type ExchangeRequest } from '../../src/exchange/index.js';
import { kernels } from '../../src/native/index.js';
import { AwsChunkedDecoder, createSignatureVerifier, type ChunkedOptions } from '../../src/signature/index.js';

const seed = Number(process.env['FUZZ_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
const numRuns = Number(process.env['FUZZ_RUNS'] ?? 3000);
console.log(`signature fuzz: FUZZ_SEED=${seed} FUZZ_RUNS=${numRuns}`);
const settings = { seed, numRuns };

const codes = new Set([
  'AccessDenied',
  'AuthorizationHeaderMalformed',
  'AuthorizationQueryParametersError',
  'IncompleteBody',
  'InvalidAccessKeyId',
  'InvalidArgument',
  'InvalidChunkSizeError',
  'InvalidRequest',
  'InvalidTokenId',
  'InvalidURI',
  'MalformedTrailerError',
  'NotImplemented',
  'RequestTimeTooSkewed',
  'SignatureDoesNotMatch',
]);

/** Null when `act` went through; the code when it refused; anything else that it throws fails the test. */
function codeOf(act: () => void): string | null {
  try {
    act();
    return null;
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    expect(codes).toContain(error.code);
    return error.code as string;
  }
}

const accessKey = 'fuzz-access-key';
const secretKey = 'fuzz-secret-key-nobody-knows';
const amzDate = '20261124T023000Z';
const scope = '20261124/us-east-1/s3/aws4_request';
const verify = createSignatureVerifier(kernels);

function verifyNow(request: ExchangeRequest): 'verified' | 'anonymous' {
  const { kind } = verify(request, {
    service: 's3',
    region: 'us-east-1',
    nowMs: Date.UTC(2026, 10, 24, 2, 30),
    lookup: (candidate) => (candidate === accessKey ? { accessKey, secretKey, sessionToken: null } : null),
  });
  return kind === 'anonymous' ? 'anonymous' : 'verified';
}

/** Pieces of well-formed requests and of attacks, glued at random. */
const scrap = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 30 }),
  fc.string({ maxLength: 30 }),
  fc.constantFrom(
    '',
    ' ',
    ',',
    ';',
    '=',
    '/',
    '%',
    '%00',
    '%ff',
    '%2',
    '+',
    '\0',
    '\ud800',
    'é',
    amzDate,
    scope,
    `${accessKey}/${scope}`,
    'Credential=',
    'SignedHeaders=',
    'Signature=',
    'AWS4-HMAC-SHA256',
    'AWS4-HMAC-SHA256 ',
    'AWS ',
    'Bearer ',
    'host',
    'host;x-amz-date',
    'x-amz-date',
    'UNSIGNED-PAYLOAD',
    'STREAMING-AWS4-HMAC-SHA256-PAYLOAD',
    'STREAMING-UNSIGNED-PAYLOAD-TRAILER',
    '0'.repeat(64),
    '9'.repeat(30),
    'x'.repeat(9000),
    ';a'.repeat(4000),
    'X-Amz-Algorithm=AWS4-HMAC-SHA256',
    'X-Amz-Signature=',
    'X-Amz-Expires=60',
    `AWSAccessKeyId=${accessKey}`,
    'Expires=1900000000',
    `AWS ${accessKey}:`,
    'A'.repeat(27) + '=',
    '&',
  ),
);
const glued = fc.array(scrap, { maxLength: 8 }).map((scraps) => scraps.join(''));

const headerName = fc.constantFrom(
  'host',
  'date',
  'x-amz-date',
  'x-amz-content-sha256',
  'x-amz-security-token',
  'x-amz-meta-a',
  'x-amz-copy-source',
  'range',
  'content-length',
);

/** An Authorization header of the right shape with parts of any kind. */
const authorization = fc
  .record({
    credential: fc.oneof(fc.constant(`${accessKey}/${scope}`), glued),
    signedHeaders: fc.oneof(fc.constantFrom('host', 'host;x-amz-date', 'host;range;x-amz-date'), glued),
    signature: fc.oneof(fc.stringMatching(/^[0-9a-f]{64}$/), glued),
  })
  .map((parts) => {
    const { credential, signedHeaders, signature } = parts;
    return `AWS4-HMAC-SHA256 Credential=${credential}, SignedHeaders=${signedHeaders}, Signature=${signature}`;
  });

const presignedQuery = fc
  .record({
    algorithm: fc.oneof(fc.constant('AWS4-HMAC-SHA256'), glued),
    credential: fc.oneof(fc.constant(encodeURIComponent(`${accessKey}/${scope}`)), glued),
    date: fc.oneof(fc.constant(amzDate), glued),
    expires: fc.oneof(fc.constantFrom('60', '0', '-1', '604800', '604801'), glued),
    signedHeaders: fc.oneof(fc.constant('host'), glued),
    signature: fc.oneof(fc.stringMatching(/^[0-9a-f]{64}$/), glued),
    rest: glued,
  })
  .map(
    (parts) =>
      `X-Amz-Algorithm=${parts.algorithm}&X-Amz-Credential=${parts.credential}&X-Amz-Date=${parts.date}` +
      `&X-Amz-Expires=${parts.expires}&X-Amz-SignedHeaders=${parts.signedHeaders}` +
      `&X-Amz-Signature=${parts.signature}&${parts.rest}`,
  );

const requests = fc
  .record({
    method: fc.constantFrom('GET', 'PUT', 'POST', 'OPTIONS', 'x'),
    rawPath: fc.oneof(fc.constant('/bucket/key'), glued),
    rawQuery: fc.oneof(fc.constant(''), glued, presignedQuery),
    authorization: fc.option(fc.oneof(authorization, glued)),
    headers: fc.array(fc.tuple(headerName, fc.oneof(fc.constant(amzDate), glued)), { maxLength: 6 }),
    hasGoodBase: fc.boolean(),
  })
  .map((parts): ExchangeRequest => {
    const base: [string, string][] = [
      ['host', 'h:9000'],
      ['x-amz-date', amzDate],
    ];
    const headers = [...(parts.hasGoodBase ? base : []), ...parts.headers];
    if (parts.authorization !== null) headers.push(['authorization', parts.authorization]);
    return {
      id: '0000000000000001',
      method: parts.method,
      rawPath: parts.rawPath,
      rawQuery: parts.rawQuery,
      headers: HeaderMap.from(headers),
      remoteAddress: '127.0.0.1',
      secure: false,
      body: { declaredBytes: 0, consume: () => {}, pause: () => {}, resume: () => {} },
      isAborted: () => false,
      onAborted: () => {},
    };
  });

describe('verification', () => {
  it('never lets noise pass for a signature, and never breaks', () => {
    fc.assert(
      fc.property(requests, (request) => {
        let outcome: string | null = null;
        const code = codeOf(() => {
          outcome = verifyNow(request);
        });
        if (code === null) expect(outcome).toBe('anonymous');
      }),
      settings,
    );
  });

  it('is quick on the worst that fits into a header block', () => {
    const most = limits.headerBlockBytesMax;
    const attacks: [string, string][] = [
      ['%41'.repeat(most / 3), ''],
      ['%'.repeat(most), ''],
      ['/é'.repeat(most / 3), ''],
      ['/k', 'a&'.repeat(most / 2)],
      ['/k', '&'.repeat(most)],
      ['/k', Array.from({ length: limits.queryPairsMax }, (_, index) => `${most - index}=%20`).join('&')],
      ['/k', 'X-Amz-Credential=' + '/'.repeat(most)],
      ['/k', 'X-Amz-SignedHeaders=' + 'a;'.repeat(most / 2)],
    ];
    const headers: [string, string][] = [
      ['authorization', 'AWS4-HMAC-SHA256 ' + ' '.repeat(most)],
      ['authorization', 'AWS4-HMAC-SHA256 SignedHeaders=' + 'a;'.repeat(most / 2) + '\0'],
      ['authorization', 'AWS4-HMAC-SHA256 Credential=' + '/'.repeat(most)],
      ['authorization', ' '.repeat(most) + 'x'],
      ['authorization', 'AWS4-HMAC-SHA256 ' + 'Signature=,'.repeat(most / 11)],
    ];
    const base = fc.sample(requests, { seed, numRuns: 1 })[0]!;
    const all = [
      ...attacks.map(([rawPath, rawQuery]) => ({ ...base, rawPath, rawQuery, headers: HeaderMap.from([]) })),
      ...headers.map((header) => ({ ...base, rawPath: '/', rawQuery: '', headers: HeaderMap.from([header]) })),
    ];
    for (const request of all) {
      const took: number[] = [];
      // The machine may do something else for a moment, but hardly each time.
      for (let round = 0; round < 3; round++) {
        const startedMs = performance.now();
        codeOf(() => verifyNow(request));
        took.push(performance.now() - startedMs);
      }
      // Far above what is needed, far below what quadratic text handling would take.
      expect(Math.min(...took)).toBeLessThan(200);
    }
  });
});

interface Wire {
  readonly options: ChunkedOptions;
  readonly bytes: Buffer;
  readonly payload: Buffer;
}

const signature = 'ab'.repeat(32);
const wires = fc
  .record({
    chunks: fc.array(fc.uint8Array({ minLength: 1, maxLength: 50 }), { maxLength: 6 }),
    isSigned: fc.boolean(),
    hasTrailer: fc.boolean(),
  })
  .map(({ chunks, isSigned, hasTrailer: wantsTrailer }): Wire => {
    const hasTrailer = wantsTrailer || !isSigned;
    const extension = isSigned ? `;chunk-signature=${signature}` : '';
    const parts = chunks.map((chunk) =>
      Buffer.concat([Buffer.from(`${chunk.length.toString(16)}${extension}\r\n`), chunk, Buffer.from('\r\n')]),
    );
    parts.push(Buffer.from(`0${extension}\r\n`));
    if (hasTrailer) parts.push(Buffer.from('x-amz-checksum-crc32:AAAAAA==\r\n'));
    if (hasTrailer && isSigned) parts.push(Buffer.from(`x-amz-trailer-signature:${signature}\r\n`));
    parts.push(Buffer.from('\r\n'));
    const payload = Buffer.concat(chunks);
    const trailerNames = hasTrailer ? ['x-amz-checksum-crc32'] : [];
    return {
      options: { signed: isSigned, hasTrailer, decodedBytes: payload.length, trailerNames },
      bytes: Buffer.concat(parts),
      payload,
    };
  });

type Edit = readonly [place: number, kind: number, byte: number];
const edits = fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 3 }), fc.integer({ min: 0, max: 255 })), {
  minLength: 1,
  maxLength: 3,
});

function edit(bytes: Buffer, [place, kind, byte]: Edit): Buffer {
  const at = place % (bytes.length + 1);
  const [before, after] = [bytes.subarray(0, at), bytes.subarray(at)];
  if (kind === 0) return Buffer.concat([before, Buffer.from([byte]), after]);
  if (kind === 1) return Buffer.concat([before, after.subarray(1)]);
  if (kind === 2) return Buffer.concat([before, Buffer.from([byte]), after.subarray(1)]);
  // Doubles a stretch: repeated chunks, headers and trailers.
  return Buffer.concat([before, bytes.subarray(Math.max(0, at - byte), at), after]);
}

interface Outcome {
  readonly code: string | null;
  readonly payload: Buffer;
  readonly signatureCount: number;
}

function decode(bytes: Buffer, options: ChunkedOptions, cuts: readonly number[]): Outcome {
  const pieces: Buffer[] = [];
  let signatureCount = 0;
  const decoder = new AwsChunkedDecoder(options, {
    data: (chunk, start, end) => {
      expect(start).toBeLessThan(end);
      pieces.push(Buffer.from(chunk.subarray(start, end)));
    },
    endChunk: () => {
      signatureCount++;
    },
  });
  const places = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
  const code = codeOf(() => {
    for (let index = 1; index < places.length; index++) {
      decoder.push(Buffer.from(bytes.subarray(places[index - 1], places[index])));
    }
    decoder.end();
  });
  return { code, payload: Buffer.concat(pieces), signatureCount };
}

describe('aws-chunked decoding', () => {
  it('of a damaged stream is the same at every fragment boundary, and stays within the declared length', () => {
    fc.assert(
      fc.property(wires, edits, fc.array(fc.nat(), { maxLength: 8 }), (wire, changes, cuts) => {
        const damaged = changes.reduce<Buffer>(edit, wire.bytes);
        const whole = decode(damaged, wire.options, []);
        const pieces = decode(damaged, wire.options, cuts);
        const single = decode(damaged, wire.options, Array.from(damaged.keys()));
        for (const outcome of [pieces, single]) expect(outcome.code).toBe(whole.code);
        for (const outcome of [whole, pieces, single]) {
          expect(outcome.payload.length).toBeLessThanOrEqual(wire.options.decodedBytes);
          if (outcome.code !== null) continue;
          expect(outcome.payload).toHaveLength(wire.options.decodedBytes);
          expect(outcome.payload).toEqual(whole.payload);
          expect(outcome.signatureCount).toBe(whole.signatureCount);
          // No payload byte without a signature behind it.
          if (wire.options.signed) expect(outcome.signatureCount).toBeGreaterThan(0);
        }
      }),
      settings,
    );
  });

  it('of an undamaged stream gives its payload', () => {
    fc.assert(
      fc.property(wires, fc.array(fc.nat(), { maxLength: 8 }), (wire, cuts) => {
        const outcome = decode(wire.bytes, wire.options, cuts);
        expect(outcome.code).toBeNull();
        expect(outcome.payload).toEqual(wire.payload);
      }),
      settings,
    );
  });

  it('of noise is a refusal', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 200 }),
        fc.boolean(),
        fc.nat({ max: 100 }),
        (bytes, isSigned, declared) => {
          const options = { signed: isSigned, hasTrailer: true, decodedBytes: declared + 1, trailerNames: [] };
          expect(decode(Buffer.from(bytes), options, []).code).not.toBeNull();
        },
      ),
      settings,
    );
  });
});
