import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { limits } from '../../../src/base/index.js';
import { AwsChunkedDecoder, type ChunkedEnd, type ChunkedOptions } from '../../../src/signature/aws-chunked.js';
import { refusalOf } from './support.js';

/** A signature that says which chunk it belongs to. */
const signatureOf = (index: number): string => index.toString(16).padStart(64, '0');

const frame = (payload: Uint8Array | string, signature?: string): Buffer => {
  const bytes = Buffer.from(payload);
  const extension = signature === undefined ? '' : `;chunk-signature=${signature}`;
  const head = `${bytes.length.toString(16)}${extension}\r\n`;
  return Buffer.concat([Buffer.from(head), bytes, Buffer.from(bytes.length === 0 ? '' : '\r\n')]);
};

interface Decoded {
  readonly payload: Buffer;
  /** Payload length at the end of each chunk, and its signature. */
  readonly chunks: readonly { readonly end: number; readonly signature: string }[];
  readonly end: ChunkedEnd;
}

/** Pushes `wire` cut at the given places; every fragment is wiped after the call, as the front does. */
function decode(wire: Uint8Array, options: ChunkedOptions, cuts: readonly number[] = []): Decoded {
  const pieces: Buffer[] = [];
  const chunks: { end: number; signature: string }[] = [];
  let length = 0;
  const decoder = new AwsChunkedDecoder(options, {
    data: (chunk, start, end) => {
      expect(end).toBeGreaterThan(start);
      expect(end).toBeLessThanOrEqual(chunk.length);
      pieces.push(Buffer.from(chunk.subarray(start, end)));
      length += end - start;
    },
    endChunk: (signature) => {
      expect(signature).toHaveLength(32);
      chunks.push({ end: length, signature: Buffer.from(signature).toString('hex') });
    },
  });
  const places = [0, ...[...cuts].sort((a, b) => a - b), wire.length];
  places.forEach((from, index) => {
    const fragment = Uint8Array.prototype.slice.call(wire, from, places[index + 1] ?? wire.length);
    decoder.push(fragment);
    fragment.fill(0xee);
  });
  return { payload: Buffer.concat(pieces), chunks, end: decoder.end() };
}

const plain = (decodedBytes: number): ChunkedOptions => ({
  signed: true,
  hasTrailer: false,
  decodedBytes,
  trailerNames: [],
});
const signedTrailer = (decodedBytes: number): ChunkedOptions => ({
  signed: true,
  hasTrailer: true,
  decodedBytes,
  trailerNames: ['x-amz-checksum-crc32c'],
});
const unsignedTrailer = (decodedBytes: number): ChunkedOptions => ({ ...signedTrailer(decodedBytes), signed: false });

const trailerSignature = 'ab'.repeat(32);

/** A stream as a client sends it, for every kind. */
function encode(chunks: readonly Uint8Array[], options: ChunkedOptions): Buffer {
  const parts = [...chunks, new Uint8Array()].map((chunk, index) =>
    frame(chunk, options.signed ? signatureOf(index) : undefined),
  );
  if (options.hasTrailer) {
    for (const name of options.trailerNames) parts.push(Buffer.from(`${name}:value of ${name}\r\n`));
    if (options.signed) parts.push(Buffer.from(`x-amz-trailer-signature:${trailerSignature}\r\n`));
  }
  return Buffer.concat([...parts, Buffer.from('\r\n')]);
}

const streams = fc.record({
  chunks: fc.array(fc.uint8Array({ minLength: 1, maxLength: 40 }), { maxLength: 8 }),
  signed: fc.boolean(),
  hasTrailer: fc.boolean(),
  trailerNames: fc.uniqueArray(fc.constantFrom('x-amz-checksum-crc32', 'x-amz-checksum-sha256', 'x-a'), {
    maxLength: 3,
  }),
});
type Stream = typeof streams extends fc.Arbitrary<infer Value> ? Value : never;

function optionsOf(stream: Stream): ChunkedOptions {
  const hasTrailer = stream.hasTrailer || !stream.signed;
  return {
    signed: stream.signed,
    hasTrailer,
    decodedBytes: stream.chunks.reduce((sum, chunk) => sum + chunk.length, 0),
    trailerNames: hasTrailer ? stream.trailerNames : [],
  };
}

describe('any stream', () => {
  it('decodes to its payload, chunk ends and trailers, wherever it is cut', () => {
    fc.assert(
      fc.property(streams, fc.array(fc.nat(), { maxLength: 12 }), (stream, cuts) => {
        const options = optionsOf(stream);
        const wire = encode(stream.chunks, options);
        const decoded = decode(
          wire,
          options,
          cuts.map((cut) => cut % (wire.length + 1)),
        );
        expect(decoded.payload).toEqual(Buffer.concat(stream.chunks));
        let end = 0;
        const ends = stream.chunks.map((chunk) => (end += chunk.length));
        expect(decoded.chunks).toEqual(
          options.signed ? [...ends, end].map((place, index) => ({ end: place, signature: signatureOf(index) })) : [],
        );
        expect(decoded.end.trailers).toEqual(new Map(options.trailerNames.map((name) => [name, `value of ${name}`])));
        if (options.signed && options.hasTrailer) {
          const block = options.trailerNames.map((name) => `${name}:value of ${name}\n`).join('');
          expect(Buffer.from(decoded.end.trailerBlock ?? 'none').toString()).toBe(block);
          expect(Buffer.from(decoded.end.trailerSignature ?? []).toString('hex')).toBe(trailerSignature);
        } else {
          expect(decoded.end.trailerBlock).toBeNull();
          expect(decoded.end.trailerSignature).toBeNull();
        }
      }),
    );
  });

  it('decodes byte by byte', () => {
    const options = signedTrailer(7);
    const wire = encode([Buffer.from('abc'), Buffer.from('defg')], options);
    const cuts = Array.from({ length: wire.length }, (_, index) => index);
    expect(decode(wire, options, cuts).payload.toString()).toBe('abcdefg');
  });

  it('is IncompleteBody when it ends early', () => {
    fc.assert(
      fc.property(streams, fc.nat(), (stream, place) => {
        const options = optionsOf(stream);
        const wire = encode(stream.chunks, options);
        const cut = wire.subarray(0, place % wire.length);
        // One blank line behind unsigned trailers ends the stream: an optional one more may be missing.
        expect(refusalOf(() => decode(cut, options)).code).toBe('IncompleteBody');
      }),
    );
  });

  it('is refused with anything behind its end', () => {
    fc.assert(
      fc.property(streams, fc.uint8Array({ minLength: 1, maxLength: 5 }), (stream, extra) => {
        const options = optionsOf(stream);
        const wire = Buffer.concat([encode(stream.chunks, options), extra]);
        const isTolerated = !options.signed && '\r\n'.startsWith(Buffer.from(extra).toString('latin1'));
        fc.pre(!isTolerated);
        expect(refusalOf(() => decode(wire, options)).code).toBe('IncompleteBody');
      }),
    );
  });

  it('of signed chunks tolerates no further line', () => {
    for (const options of [plain(3), signedTrailer(3)]) {
      const wire = Buffer.concat([encode([Buffer.from('abc')], options), Buffer.from('\r\n')]);
      expect(refusalOf(() => decode(wire, options)).code).toBe('IncompleteBody');
    }
  });

  it('hands payload over without copying it', () => {
    const wire = encode([Buffer.alloc(100_000, 1)], plain(100_000));
    const seen: Uint8Array[] = [];
    const decoder = new AwsChunkedDecoder(plain(100_000), { data: (chunk) => seen.push(chunk), endChunk: () => {} });
    decoder.push(wire);
    expect(seen).toHaveLength(1);
    expect(seen[0]).toBe(wire);
  });
});

describe('lengths', () => {
  it.each([
    ['more', 9],
    ['less', 11],
  ])('refuses a stream of ten bytes when %s was declared', (_, decodedBytes) => {
    const wire = encode([Buffer.alloc(10)], plain(10));
    expect(refusalOf(() => decode(wire, plain(decodedBytes))).code).toBe('IncompleteBody');
  });

  it('refuses a chunk beyond the declared length before any of it is passed on', () => {
    const wire = Buffer.from('ffffffff\r\nabc');
    const decoder = new AwsChunkedDecoder(unsignedTrailer(3), {
      data: () => expect.unreachable(),
      endChunk: () => expect.unreachable(),
    });
    expect(refusalOf(() => decoder.push(wire)).code).toBe('IncompleteBody');
  });

  it('has a bound on signed chunks, and none on unsigned ones', () => {
    const size = limits.signedChunkBytesMax;
    const push = (options: ChunkedOptions, bytes: number) => () => {
      const extension = options.signed ? `;chunk-signature=${signatureOf(1)}` : '';
      const decoder = new AwsChunkedDecoder(options, { data: () => {}, endChunk: () => {} });
      decoder.push(Buffer.from(`${bytes.toString(16)}${extension}\r\n`));
    };
    expect(push(plain(2 * size), size)).not.toThrow();
    expect(refusalOf(push(plain(2 * size), size + 1)).code).toBe('InvalidChunkSizeError');
    expect(push(unsignedTrailer(2 * size), size + 1)).not.toThrow();
  });

  it('refuses a flood of tiny chunks, and takes as many as are useful', () => {
    const wire = (count: number, bytes: number) =>
      Buffer.concat(Array.from({ length: count }, () => frame(Buffer.alloc(bytes))));
    const push = (count: number, bytes: number) => () => {
      const decoder = new AwsChunkedDecoder(unsignedTrailer(count * bytes), { data: () => {}, endChunk: () => {} });
      decoder.push(wire(count, bytes));
    };
    expect(push(limits.smallChunksMax, 1)).not.toThrow();
    expect(refusalOf(push(limits.smallChunksMax * 2, 1)).code).toBe('InvalidChunkSizeError');
    expect(push(limits.smallChunksMax * 4, limits.chunkBytesAverageMin)).not.toThrow();
  });

  it.each(['00000003', '3', '0000000000000000003'])('reads the length %s', (length) => {
    const wire = Buffer.from(`${length}\r\nabc\r\n0\r\n\r\n`);
    expect(decode(wire, { ...unsignedTrailer(3), trailerNames: [] }).payload.toString()).toBe('abc');
  });
});

describe('malformed framing', () => {
  const unsigned: ChunkedOptions = { signed: false, hasTrailer: true, decodedBytes: 3, trailerNames: [] };

  it.each([
    '\r\nabc\r\n0\r\n\r\n',
    'x\r\nabc\r\n0\r\n\r\n',
    '-3\r\nabc\r\n0\r\n\r\n',
    '0x3\r\nabc\r\n0\r\n\r\n',
    '3 \r\nabc\r\n0\r\n\r\n',
    ' 3\r\nabc\r\n0\r\n\r\n',
    '3\nabc\r\n0\r\n\r\n',
    '3\r\nabc0\r\n\r\n',
    '3\r\nabc\n0\r\n\r\n',
    '3\r\nabc\r0\r\n\r\n',
    '3\r\nabc\rX0\r\n\r\n',
    '3\r\nabcX\n0\r\n\r\n',
    '20000000000000\r\nabc',
    'f'.repeat(300) + '\r\nabc',
    '0'.repeat(limits.chunkHeaderBytesMax),
    '3;' + 'x'.repeat(limits.chunkHeaderBytesMax),
  ])('%.40j is InvalidRequest', (wire) => {
    expect(refusalOf(() => decode(Buffer.from(wire), unsigned)).code).toBe('InvalidRequest');
    const cuts = Array.from({ length: wire.length }, (_, index) => index);
    expect(refusalOf(() => decode(Buffer.from(wire), unsigned, cuts)).code).toBe('InvalidRequest');
  });

  it('ignores extensions of unsigned chunks', () => {
    expect(decode(Buffer.from('3;a=b;c\r\nabc\r\n0;d\r\n\r\n'), unsigned).payload.toString()).toBe('abc');
  });

  it.each([
    '3\r\nabc',
    '3;\r\nabc',
    `3;chunk-signature=${'a'.repeat(63)}\r\nabc`,
    `3;chunk-signature=${'a'.repeat(65)}\r\nabc`,
    `3;chunk-signature=${'g'.repeat(64)}\r\nabc`,
    `3;chunk-signature=${'a'.repeat(63)}é\r\nabc`,
    `3;Chunk-Signature=${'a'.repeat(64)}\r\nabc`,
    `3;chunk-signature=${'a'.repeat(64)};a=b\r\nabc`,
    `3; chunk-signature=${'a'.repeat(64)}\r\nabc`,
  ])('a signed chunk %.30j is SignatureDoesNotMatch', (wire) => {
    expect(refusalOf(() => decode(Buffer.from(wire, 'latin1'), plain(3))).code).toBe('SignatureDoesNotMatch');
  });

  it('takes signatures in either case', () => {
    const wire = Buffer.concat([frame('abc', 'AB'.repeat(32)), frame('', 'cd'.repeat(32)), Buffer.from('\r\n')]);
    expect(decode(wire, plain(3)).chunks).toEqual([
      { end: 3, signature: 'ab'.repeat(32) },
      { end: 3, signature: 'cd'.repeat(32) },
    ]);
  });

  it('passes no more on after a refusal', () => {
    const decoder = new AwsChunkedDecoder(unsigned, { data: () => {}, endChunk: () => {} });
    expect(() => decoder.push(Buffer.from('x'))).not.toThrow();
    expect(() => decoder.push(Buffer.from('\r\n'))).toThrow();
    expect(() => decoder.push(Buffer.from('3\r\nabc'))).toThrow(/invariant/);
    expect(() => decoder.end()).toThrow(/invariant/);
  });

  it('stops where the sink refuses', () => {
    const decoder = new AwsChunkedDecoder(unsigned, {
      data: () => {
        throw new Error('full');
      },
      endChunk: () => {},
    });
    expect(() => decoder.push(Buffer.from('3\r\nabc'))).toThrow('full');
    expect(() => decoder.push(Buffer.from('\r\n'))).toThrow(/invariant/);
  });
});

describe('trailers', () => {
  const head = (signed: boolean) =>
    Buffer.concat([frame('abc', signed ? signatureOf(0) : undefined), frame('', signed ? signatureOf(1) : undefined)]);
  const withTrailer = (signed: boolean, text: string) => Buffer.concat([head(signed), Buffer.from(text, 'latin1')]);
  const signature = `x-amz-trailer-signature:${trailerSignature}`;

  it.each([
    `x-amz-checksum-crc32c:sOO8/Q==\r\n${signature}\r\n\r\n`,
    `x-amz-checksum-crc32c:sOO8/Q==\n\r\n${signature}\r\n\r\n`,
    `x-amz-checksum-crc32c:sOO8/Q==\n${signature}\r\n\r\n`,
    `x-amz-checksum-crc32c:sOO8/Q==\r\n\r\n${signature}\r\n\r\n`,
    `X-Amz-Checksum-Crc32c:  sOO8/Q==  \r\nX-Amz-Trailer-Signature: ${trailerSignature}\r\n\r\n`,
    `x-amz-checksum-crc32c:sOO8/Q==\n${signature}\n\n`,
  ])('signed as %j', (text) => {
    const { end } = decode(withTrailer(true, text), signedTrailer(3));
    expect(end.trailers).toEqual(new Map([['x-amz-checksum-crc32c', 'sOO8/Q==']]));
    expect(Buffer.from(end.trailerBlock ?? []).toString()).toBe('x-amz-checksum-crc32c:sOO8/Q==\n');
    expect(Buffer.from(end.trailerSignature ?? []).toString('hex')).toBe(trailerSignature);
  });

  it.each([
    'x-amz-checksum-crc32c:sOO8/Q==\r\n\r\n',
    'x-amz-checksum-crc32c:sOO8/Q==\n\r\n',
    'x-amz-checksum-crc32c:sOO8/Q==\n\r\n\r\n',
    'x-amz-checksum-crc32c: sOO8/Q==\r\n\r\n\r\n',
    'x-amz-checksum-crc32c:sOO8/Q==\n\n',
  ])('unsigned as %j', (text) => {
    const wire = withTrailer(false, text);
    const cuts = Array.from({ length: wire.length }, (_, index) => index);
    for (const places of [[], cuts]) {
      const { end } = decode(wire, unsignedTrailer(3), places);
      expect(end.trailers).toEqual(new Map([['x-amz-checksum-crc32c', 'sOO8/Q==']]));
    }
  });

  it.each([
    ['one that was not announced', 'x-amz-checksum-crc32c:a\r\nx-amz-checksum-sha1:b\r\n'],
    ['one twice', 'x-amz-checksum-crc32c:a\r\nx-amz-checksum-crc32c:a\r\n'],
    ['none where one was announced', ''],
    ['no colon', 'x-amz-checksum-crc32c\r\n'],
    ['no name', ':a\r\n'],
    ['a control character', 'x-amz-checksum-crc32c:a\0b\r\n'],
    ['a bare carriage return', 'x-amz-checksum-crc32c:a\rb\r\n'],
    ['bytes beyond ASCII', 'x-amz-checksum-crc32c:\xe9\r\n'],
    ['a line too long', `x-amz-checksum-crc32c:${'a'.repeat(limits.trailerBytesMax)}\r\n`],
  ])('with %s are MalformedTrailerError', (_, text) => {
    expect(refusalOf(() => decode(withTrailer(false, `${text}\r\n`), unsignedTrailer(3))).code).toBe(
      'MalformedTrailerError',
    );
    const signedText = `${text}${signature}\r\n\r\n`;
    expect(refusalOf(() => decode(withTrailer(true, signedText), signedTrailer(3))).code).toBe('MalformedTrailerError');
  });

  it('have a bound as a whole', () => {
    const names = Array.from({ length: 400 }, (_, index) => `x-amz-meta-number-${index}`);
    const text = names.map((name) => `${name}:v\r\n`).join('') + '\r\n';
    expect(text.length).toBeGreaterThan(limits.trailerBytesMax);
    const options = { ...unsignedTrailer(3), trailerNames: names };
    expect(refusalOf(() => decode(withTrailer(false, text), options)).code).toBe('MalformedTrailerError');
  });

  it('keep no trailer behind the blank line, nor behind their signature', () => {
    const late = 'x-amz-checksum-crc32c:a\r\n';
    const options = { ...signedTrailer(3), trailerNames: [] };
    expect(refusalOf(() => decode(withTrailer(true, `\r\n${late}${signature}\r\n\r\n`), signedTrailer(3))).code).toBe(
      'MalformedTrailerError',
    );
    expect(refusalOf(() => decode(withTrailer(true, `\r\n\r\n${signature}\r\n\r\n`), options)).code).toBe(
      'MalformedTrailerError',
    );
    expect(refusalOf(() => decode(withTrailer(true, `${signature}\r\n${late}\r\n`), options)).code).toBe(
      'InvalidRequest',
    );
  });

  it('need a well-formed signature when the stream is signed, and have none otherwise', () => {
    const trailer = 'x-amz-checksum-crc32c:a\r\n';
    for (const value of ['', 'ab', 'g'.repeat(64), trailerSignature + '00']) {
      const wire = withTrailer(true, `${trailer}x-amz-trailer-signature:${value}\r\n\r\n`);
      expect(refusalOf(() => decode(wire, signedTrailer(3))).code).toBe('SignatureDoesNotMatch');
    }
    expect(refusalOf(() => decode(withTrailer(true, `${trailer}\r\n`), signedTrailer(3))).code).toBe('IncompleteBody');
    const wire = withTrailer(false, `${trailer}${signature}\r\n\r\n`);
    expect(refusalOf(() => decode(wire, unsignedTrailer(3))).code).toBe('MalformedTrailerError');
  });
});
