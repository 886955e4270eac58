/**
 * The body of one request, freed of its transfer framing (aws-chunked) and counted.
 * Main thread. Bytes are borrowed for the length of a call; whoever wants to keep them copies them.
 */
import { invariant, Refusal } from '../base/index.js';
import type { ExchangeRequest } from '../exchange/index.js';
import { AwsChunkedDecoder, verifyDocument, type PayloadProtection } from '../signature/index.js';
import type { ByteBudget } from './byte-budget.js';

/** What followed the last byte. */
export interface PayloadEnd {
  /** By lower-case name; empty without trailers. */
  readonly trailers: ReadonlyMap<string, string>;
  /** Set when the trailer block is signed: the canonical text and its signature (32 raw bytes). */
  readonly signedTrailer: { readonly block: Uint8Array; readonly signature: Uint8Array } | null;
}

export interface PayloadSink {
  /** Borrows bytes [start, end) of `chunk` until it returns. */
  data(chunk: Uint8Array, start: number, end: number): void;
  /** Signed chunks only: the chunk that ends here carries this signature (32 raw bytes). */
  endChunk(signature: Uint8Array): void;
  /** The body is complete and has its declared length. */
  end(end: PayloadEnd): void;
  /** Nothing follows: the client went away, or broke the framing. */
  failed(reason: Error): void;
}

/** A small body as a whole: bounded, complete, and true to the signature of the request. */
export interface PayloadDocument {
  readonly bytes: Uint8Array;
  readonly trailers: ReadonlyMap<string, string>;
}

const noTrailers: PayloadEnd = { trailers: new Map(), signedTrailer: null };

export class Payload {
  readonly #request: ExchangeRequest;
  readonly #budget: ByteBudget;
  readonly #formBudget: ByteBudget;
  readonly protection: PayloadProtection;
  #received = 0;
  #held = 0;
  #formHeld = 0;
  #isConsumed = false;
  #isDetached = false;
  #isEnded = false;

  constructor(
    request: ExchangeRequest,
    protection: PayloadProtection,
    budget: ByteBudget,
    formBudget: ByteBudget = budget,
  ) {
    this.#request = request;
    this.#budget = budget;
    this.#formBudget = formBudget;
    this.protection = protection;
  }

  /** Bytes received so far, framing included. */
  get receivedBytes(): number {
    return this.#received;
  }

  get isChunked(): boolean {
    return this.protection.kind === 'signed-chunks' || this.protection.kind === 'unsigned-chunks';
  }

  /** Names the client announced in x-amz-trailer, lower case. */
  get trailerNames(): readonly string[] {
    if (!this.isChunked) return [];
    const announced = this.#request.headers.get('x-amz-trailer');
    if (announced === undefined) return [];
    return announced
      .split(',')
      .map((name) => name.trim().toLowerCase())
      .filter((name) => name !== '');
  }

  /** Bytes of content, without framing; null when the client did not say. Throws on a malformed length. */
  contentBytes(): number | null {
    if (!this.isChunked) return this.#request.body.declaredBytes;
    const text = this.#request.headers.get('x-amz-decoded-content-length');
    if (text === undefined) return null;
    if (!/^[0-9]{1,15}$/.test(text)) {
      throw new Refusal('InvalidArgument', 'The x-amz-decoded-content-length header is not a length.');
    }
    return Number(text);
  }

  /** Once. Requires a known content length when the body is aws-chunked. */
  consume(sink: PayloadSink): void {
    invariant(!this.#isConsumed, 'a body has one consumer');
    this.#isConsumed = true;
    const decoder = this.#createDecoder(sink);
    this.#request.body.consume({
      chunk: (bytes, isLast) => {
        this.#received += bytes.length;
        if (isLast) this.#isEnded = true;
        if (this.#isDetached) return;
        let end: PayloadEnd | null = null;
        try {
          if (decoder === null) {
            if (bytes.length > 0) sink.data(bytes, 0, bytes.length);
            if (isLast) end = noTrailers;
          } else {
            if (bytes.length > 0) decoder.push(bytes);
            if (isLast) end = readEnd(decoder.end());
          }
        } catch (error) {
          this.#fail(sink, error);
          return;
        }
        if (end !== null && !this.#isDetached) sink.end(end);
      },
      aborted: () => {
        this.#isEnded = true;
        if (!this.#isDetached) this.#fail(sink, new Refusal('IncompleteBody'));
      },
    });
  }

  /** Counts bytes of a form that a consumer keeps until the answer. Throws ServerBusy when forms hold too many already. */
  holdForm(bytes: number): void {
    if (!this.#formBudget.tryTake(bytes)) throw new Refusal('ServerBusy');
    this.#formHeld += bytes;
  }

  pause(): void {
    if (!this.#isDetached) this.#request.body.pause();
  }

  resume(): void {
    if (!this.#isDetached) this.#request.body.resume();
  }

  /** Nothing more reaches the sink; what still arrives is thrown away. Idempotent. */
  detach(): void {
    if (this.#isDetached) return;
    this.#isDetached = true;
    if (this.#isConsumed && !this.#isEnded) this.#request.body.resume();
  }

  /**
   * Reads a small body to its end and holds it until the answer. Throws EntityTooLarge past `bytesMax`,
   * ServerBusy when too many documents are held already, and what a wrong signature or digest is called.
   */
  collect(bytesMax: number): Promise<PayloadDocument> {
    const contentBytes = this.contentBytes();
    if (contentBytes === null && this.isChunked) throw new Refusal('MissingContentLength');
    if (contentBytes !== null && contentBytes > bytesMax) throw new Refusal('EntityTooLarge');
    return new Promise((resolve, reject) => {
      const pieces: Uint8Array[] = [];
      const chunkEnds: number[] = [];
      const chunkSignatures: Uint8Array[] = [];
      let length = 0;
      const fail = (reason: Error) => {
        this.detach();
        reject(reason);
      };
      this.consume({
        data: (chunk, start, end) => {
          const bytes = end - start;
          if (length + bytes > bytesMax) throw new Refusal('EntityTooLarge');
          // Twice: the pieces and the whole live side by side for a moment, and parsed forms follow.
          if (!this.#budget.tryTake(2 * bytes)) throw new Refusal('ServerBusy');
          this.#held += 2 * bytes;
          length += bytes;
          // Whatever the front lends: `slice` of a Buffer would not copy.
          pieces.push(Uint8Array.prototype.slice.call(chunk, start, end));
        },
        endChunk: (signature) => {
          chunkEnds.push(length);
          chunkSignatures.push(signature.slice());
        },
        end: (end) => {
          try {
            const bytes = pieces.length === 1 && pieces[0] !== undefined ? pieces[0] : Buffer.concat(pieces, length);
            verifyDocument(this.protection, { bytes, chunkEnds, chunkSignatures, signedTrailer: end.signedTrailer });
            resolve({ bytes, trailers: end.trailers });
          } catch (error) {
            fail(toError(error));
          }
        },
        failed: fail,
      });
    });
  }

  /**
   * The answer is made: what was held for it is free again, and nothing more reaches the sink. What is
   * left of the body is the front's to read or to cut off.
   */
  release(): void {
    this.#budget.give(this.#held);
    this.#held = 0;
    this.#formBudget.give(this.#formHeld);
    this.#formHeld = 0;
    this.#isDetached = true;
  }

  #createDecoder(sink: PayloadSink): AwsChunkedDecoder | null {
    const { protection } = this;
    if (protection.kind !== 'signed-chunks' && protection.kind !== 'unsigned-chunks') return null;
    const contentBytes = this.contentBytes();
    if (contentBytes === null) throw new Refusal('MissingContentLength');
    return new AwsChunkedDecoder(
      {
        signed: protection.kind === 'signed-chunks',
        hasTrailer: protection.kind === 'unsigned-chunks' || protection.hasTrailer,
        decodedBytes: contentBytes,
        trailerNames: this.trailerNames,
      },
      sink,
    );
  }

  #fail(sink: PayloadSink, reason: unknown): void {
    this.detach();
    sink.failed(toError(reason));
  }
}

function toError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error(String(reason));
}

function readEnd(end: ReturnType<AwsChunkedDecoder['end']>): PayloadEnd {
  const signedTrailer =
    end.trailerSignature === null ? null : { block: end.trailerBlock, signature: end.trailerSignature };
  return { trailers: end.trailers, signedTrailer };
}
