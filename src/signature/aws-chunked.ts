/**
 * Takes the `aws-chunked` framing off a body. Main thread. Works at any fragment boundary and never holds
 * payload: ranges of the borrowed fragment go straight to the sink. What it holds is one line.
 *
 *   hex-length[;chunk-signature=64 hex] CRLF payload CRLF … 0[;chunk-signature=…] CRLF trailers CRLF
 *
 * Trailer lines end in CRLF or LF, and an empty line may stand before `x-amz-trailer-signature`: the
 * published examples and the clients differ. Signatures are passed on here, and checked where the bytes are hashed.
 */
import { invariant, limits, Refusal } from '../base/index.js';

export interface ChunkedOptions {
  /** Every chunk carries a signature. */
  readonly signed: boolean;
  /** Trailers follow the last chunk; when `signed`, with a signature of their own. */
  readonly hasTrailer: boolean;
  /** x-amz-decoded-content-length: payload without framing. */
  readonly decodedBytes: number;
  /** From x-amz-trailer, lower case. Exactly these must follow. */
  readonly trailerNames: readonly string[];
}

export interface ChunkedSink {
  /** Borrows [start, end) of `chunk` until it returns. Never empty. */
  data(chunk: Uint8Array, start: number, end: number): void;
  /** Signed chunks only: after each chunk, and for the empty one at the end. Gives away 32 bytes. */
  endChunk(signature: Uint8Array): void;
}

export type ChunkedEnd =
  | {
      readonly trailers: ReadonlyMap<string, string>;
      /** Canonical text that is signed: `name:value\n` for each, in order of arrival. */
      readonly trailerBlock: Uint8Array;
      /** 32 bytes. */
      readonly trailerSignature: Uint8Array;
    }
  | {
      readonly trailers: ReadonlyMap<string, string>;
      readonly trailerBlock: null;
      readonly trailerSignature: null;
    };

type State =
  | 'chunk-line'
  | 'payload'
  | 'payload-cr'
  | 'payload-lf'
  | 'trailer'
  /** The empty line at the very end. */
  | 'last-line'
  | 'done'
  | 'failed';

const CR = 0x0d;
const LF = 0x0a;
const semicolon = 0x3b;
const printable = /^[\x20-\x7e\t]*$/;
const signaturePrefix = Buffer.from(';chunk-signature=', 'latin1');
const signatureHexChars = 64;
const trailerSignatureName = 'x-amz-trailer-signature';
/** Value of a hex digit by character code, 255 for everything else. */
const hexValues = new Uint8Array(256).fill(255);
for (let digit = 0; digit < 16; digit++) {
  const text = digit.toString(16);
  hexValues[text.charCodeAt(0)] = digit;
  hexValues[text.toUpperCase().charCodeAt(0)] = digit;
}

const malformed = () => new Refusal('InvalidRequest', 'The chunk encoding of the request body is malformed.');
const incomplete = () =>
  new Refusal('IncompleteBody', 'The request body ended before the length that x-amz-decoded-content-length declares.');
const excess = () =>
  new Refusal('IncompleteBody', 'The request body is longer than x-amz-decoded-content-length declares.');
const badTrailer = () =>
  new Refusal(
    'MalformedTrailerError',
    'The request contained trailing data that was not well-formed or did not conform to our published schema.',
  );
const badSignature = () =>
  new Refusal(
    'SignatureDoesNotMatch',
    'The request signature we calculated does not match the signature you provided. Check your key and signing method.',
  );

export class AwsChunkedDecoder {
  readonly #options: ChunkedOptions;
  readonly #sink: ChunkedSink;
  #state: State = 'chunk-line';
  /** A line that a fragment boundary cut; grows to the trailer bound at the most. */
  #line: Buffer = Buffer.alloc(0);
  #lineBytes = 0;
  /** Payload bytes still to come: in this chunk, and in all. */
  #chunkBytesLeft = 0;
  #bytesLeft: number;
  #chunkCount = 0;
  #signature: Uint8Array | null = null;
  readonly #trailers = new Map<string, string>();
  #trailerBytes = 0;
  #trailerSignature: Uint8Array | null = null;
  #hasBlankTrailerLine = false;
  /** Of one more CRLF behind unsigned trailers: some clients end with two. */
  #toleratedBytes = 2;

  constructor(options: ChunkedOptions, sink: ChunkedSink) {
    invariant(Number.isSafeInteger(options.decodedBytes) && options.decodedBytes >= 0, 'decoded length is known');
    this.#options = options;
    this.#sink = sink;
    this.#bytesLeft = options.decodedBytes;
  }

  /** Borrows `fragment` until it returns. After a refusal nothing more may be pushed. */
  push(fragment: Uint8Array): void {
    invariant(this.#state !== 'failed', 'nothing is pushed after a refusal');
    try {
      this.#decode(fragment);
    } catch (error) {
      this.#state = 'failed';
      throw error;
    }
  }

  /** The body is complete. Throws IncompleteBody when it is not. */
  end(): ChunkedEnd {
    invariant(this.#state !== 'failed', 'no end after a refusal');
    if (this.#state !== 'done') throw incomplete();
    const trailers = this.#trailers;
    if (this.#trailerSignature === null) return { trailers, trailerBlock: null, trailerSignature: null };
    let block = '';
    for (const [name, value] of trailers) block += `${name}:${value}\n`;
    return { trailers, trailerBlock: Buffer.from(block, 'utf8'), trailerSignature: this.#trailerSignature };
  }

  #decode(fragment: Uint8Array): void {
    let at = 0;
    while (at < fragment.length) {
      switch (this.#state) {
        case 'payload':
          at = this.#takePayload(fragment, at);
          break;
        case 'payload-cr':
          if (fragment[at++] !== CR) throw malformed();
          this.#state = 'payload-lf';
          break;
        case 'payload-lf':
          if (fragment[at++] !== LF) throw malformed();
          this.#state = 'chunk-line';
          break;
        case 'done':
          at = this.#takeTolerated(fragment, at);
          break;
        default:
          at = this.#takeLine(fragment, at);
      }
    }
  }

  #takePayload(fragment: Uint8Array, start: number): number {
    const bytes = Math.min(this.#chunkBytesLeft, fragment.length - start);
    this.#chunkBytesLeft -= bytes;
    this.#bytesLeft -= bytes;
    if (this.#chunkBytesLeft === 0) this.#state = 'payload-cr';
    this.#sink.data(fragment, start, start + bytes);
    if (this.#chunkBytesLeft === 0) this.#endChunk();
    return start + bytes;
  }

  #endChunk(): void {
    if (this.#signature === null) return;
    const signature = this.#signature;
    this.#signature = null;
    this.#sink.endChunk(signature);
  }

  #takeTolerated(fragment: Uint8Array, at: number): number {
    const expected = this.#toleratedBytes === 2 ? CR : LF;
    if (this.#options.signed || this.#toleratedBytes === 0 || fragment[at] !== expected) throw excess();
    this.#toleratedBytes--;
    return at + 1;
  }

  /** Takes one line, or the part of it that is here. */
  #takeLine(fragment: Uint8Array, start: number): number {
    const isChunkLine = this.#state === 'chunk-line';
    const bytesMax = isChunkLine ? limits.chunkHeaderBytesMax : limits.trailerBytesMax;
    // The end of the line is looked for within its bound only.
    const window = fragment.subarray(start, start + bytesMax - this.#lineBytes);
    const found = window.indexOf(LF);
    if (found === -1) {
      if (this.#lineBytes + window.length === bytesMax) throw isChunkLine ? malformed() : badTrailer();
      this.#keep(window);
      return start + window.length;
    }
    const next = start + found + 1;
    if (this.#lineBytes === 0) {
      this.#takeWholeLine(fragment, start, next);
    } else {
      this.#keep(window.subarray(0, found + 1));
      const lineBytes = this.#lineBytes;
      this.#lineBytes = 0;
      this.#takeWholeLine(this.#line, 0, lineBytes);
    }
    return next;
  }

  #keep(bytes: Uint8Array): void {
    const needed = this.#lineBytes + bytes.length;
    if (needed > this.#line.length) {
      const grown = Buffer.alloc(
        needed <= limits.chunkHeaderBytesMax ? limits.chunkHeaderBytesMax : limits.trailerBytesMax,
      );
      grown.set(this.#line.subarray(0, this.#lineBytes));
      this.#line = grown;
    }
    this.#line.set(bytes, this.#lineBytes);
    this.#lineBytes = needed;
  }

  /** A line with its line feed: bytes [start, end). */
  #takeWholeLine(bytes: Uint8Array, start: number, end: number): void {
    const hasCarriageReturn = end - start >= 2 && bytes[end - 2] === CR;
    const textEnd = hasCarriageReturn ? end - 2 : end - 1;
    if (this.#state === 'chunk-line') {
      if (!hasCarriageReturn) throw malformed();
      this.#takeChunkLine(bytes, start, textEnd);
    } else if (this.#state === 'trailer') {
      this.#trailerBytes += end - start;
      if (this.#trailerBytes > limits.trailerBytesMax) throw badTrailer();
      this.#takeTrailerLine(bytes, start, textEnd);
    } else {
      if (textEnd !== start) throw malformed();
      this.#state = 'done';
    }
  }

  #takeChunkLine(bytes: Uint8Array, start: number, end: number): void {
    let at = start;
    let chunkBytes = 0;
    for (; at < end; at++) {
      const digit = hexValues[bytes[at]!]!;
      if (digit > 15) break;
      chunkBytes = chunkBytes * 16 + digit;
      if (chunkBytes > Number.MAX_SAFE_INTEGER) throw malformed();
    }
    if (at === start) throw malformed();
    // Extensions of unsigned chunks mean nothing to S3.
    if (this.#options.signed) this.#signature = parseChunkSignature(bytes, at, end);
    else if (at !== end && bytes[at] !== semicolon) throw malformed();
    if (chunkBytes === 0) this.#takeLastChunk();
    else this.#startChunk(chunkBytes);
  }

  #startChunk(chunkBytes: number): void {
    const receivedBytes = this.#options.decodedBytes - this.#bytesLeft;
    this.#chunkCount++;
    if (this.#chunkCount > limits.smallChunksMax + receivedBytes / limits.chunkBytesAverageMin) {
      throw new Refusal('InvalidChunkSizeError', 'Only the last chunk is allowed to have a size less than 8192 bytes');
    }
    // Unsigned chunks need no bound of their own: nothing is held or decided by chunk.
    if (this.#options.signed && chunkBytes > limits.signedChunkBytesMax) {
      throw new Refusal('InvalidChunkSizeError', `A signed chunk has at most ${limits.signedChunkBytesMax} bytes`);
    }
    if (chunkBytes > this.#bytesLeft) throw excess();
    this.#chunkBytesLeft = chunkBytes;
    this.#state = 'payload';
  }

  #takeLastChunk(): void {
    if (this.#bytesLeft > 0) throw incomplete();
    this.#state = this.#options.hasTrailer ? 'trailer' : 'last-line';
    this.#endChunk();
  }

  #takeTrailerLine(bytes: Uint8Array, start: number, end: number): void {
    if (start === end) {
      this.#takeBlankTrailerLine();
      return;
    }
    const text = Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString('latin1');
    const separator = text.indexOf(':');
    if (separator <= 0 || !printable.test(text)) throw badTrailer();
    const name = text.slice(0, separator).trim().toLowerCase();
    const value = text.slice(separator + 1).trim();
    if (name === trailerSignatureName && this.#options.signed) {
      this.#checkTrailersComplete();
      this.#trailerSignature = parseHexSignature(value);
      this.#state = 'last-line';
      return;
    }
    const isExpected = this.#options.trailerNames.includes(name) && !this.#trailers.has(name);
    if (!isExpected || this.#hasBlankTrailerLine) throw badTrailer();
    this.#trailers.set(name, value);
  }

  #takeBlankTrailerLine(): void {
    if (!this.#options.signed) {
      this.#checkTrailersComplete();
      this.#state = 'done';
      return;
    }
    if (this.#hasBlankTrailerLine) throw badTrailer();
    this.#hasBlankTrailerLine = true;
  }

  #checkTrailersComplete(): void {
    if (this.#options.trailerNames.some((name) => !this.#trailers.has(name))) throw badTrailer();
  }
}

function parseChunkSignature(bytes: Uint8Array, start: number, end: number): Uint8Array {
  const hexStart = start + signaturePrefix.length;
  if (end - hexStart !== signatureHexChars) throw badSignature();
  for (let index = 0; index < signaturePrefix.length; index++) {
    if (bytes[start + index] !== signaturePrefix[index]) throw badSignature();
  }
  return decodeHex(bytes, hexStart);
}

function parseHexSignature(text: string): Uint8Array {
  if (text.length !== signatureHexChars) throw badSignature();
  return decodeHex(Buffer.from(text, 'latin1'), 0);
}

/** 64 hex digits from `start` on as 32 bytes. */
function decodeHex(bytes: Uint8Array, start: number): Uint8Array {
  const signature = new Uint8Array(signatureHexChars / 2);
  let anyBits = 0;
  for (let index = 0; index < signature.length; index++) {
    const high = hexValues[bytes[start + 2 * index]!]!;
    const low = hexValues[bytes[start + 2 * index + 1]!]!;
    anyBits |= high | low;
    signature[index] = (high << 4) | low;
  }
  // A character that is no hex digit has value 255.
  if (anyBits > 15) throw badSignature();
  return signature;
}
