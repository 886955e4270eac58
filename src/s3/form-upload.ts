/**
 * The body of a form upload in two steps: its fields, then its file as a body of known length. A form does not
 * say how long its file is. A small one is held until its end is there (form budget); of a large one the length
 * follows from the length of the request, provided that nothing but the usual closing line stands behind it.
 */
import { invariant, limits } from '../base/index.js';
import type { Payload, PayloadSink } from '../dispatch/index.js';
import { s3Error } from './errors.js';
import { closingBytes, FormScanner, type FormHead } from './form-data.js';
import type { IngestBody } from './ingest.js';

/** Handed on at once of a file that was held. */
const sliceBytes = 256 * 1024;
const noTrailers = { trailers: new Map<string, string>(), signedTrailer: null };

/** Takes the file of a form. */
interface FileSink {
  data(chunk: Uint8Array, start: number, end: number): void;
  end(): void;
  failed(reason: Error): void;
}

interface Settler<Value> {
  resolve(value: Value): void;
  reject(reason: Error): void;
}

/** Parts of `IngestBody` that a file in a form has no use for. */
abstract class FileBody {
  readonly protection = { kind: 'unsigned' } as const;
  readonly trailerNames: readonly string[] = [];
}

export class FormUpload {
  readonly #payload: Payload;
  readonly #scanner: FormScanner;
  readonly #boundary: string;
  readonly #requestBytes: number;
  #head: FormHead | null = null;
  #onHead: Settler<FormHead> | null = null;
  /** Of the file, and not yet asked for: no more than what was under way when the head was complete. */
  #early: Uint8Array[] = [];
  #fileSink: FileSink | null = null;
  #isFileComplete = false;
  #isOver = false;
  #failure: Error | null = null;

  /** Requires a payload of known length that nobody has begun to read. */
  constructor(payload: Payload, boundary: string) {
    const bytes = payload.contentBytes();
    invariant(bytes !== null, 'the length of the request is known');
    this.#payload = payload;
    this.#boundary = boundary;
    this.#requestBytes = bytes;
    this.#scanner = new FormScanner(boundary, {
      head: (head) => {
        this.#head = head;
      },
      data: (chunk, start, end) => this.#data(chunk, start, end),
      fileEnd: () => {
        this.#isFileComplete = true;
      },
    });
  }

  /** Attaches to the body before it returns. The body is paused once the fields are there. */
  fields(): Promise<FormHead> {
    this.#payload.holdForm(limits.formFieldsBytesMax);
    return new Promise((resolve, reject) => {
      this.#onHead = { resolve, reject };
      this.#payload.consume(this.#sink());
    });
  }

  /** After `fields`: the file. Rejects with ServerBusy, MalformedPOSTRequest and what breaks the body. */
  file(): Promise<IngestBody> | IngestBody {
    invariant(this.#head !== null, 'the fields were read');
    const bytesMax = this.#requestBytes - this.#head.fileOffset;
    if (bytesMax > limits.formBufferBytesMax) return new StreamedFile(this, bytesMax - closingBytes(this.#boundary));
    return this.#collect(bytesMax);
  }

  /** Hands on the file to one sink. */
  attach(sink: FileSink): void {
    this.#fileSink = sink;
    try {
      for (const bytes of this.#early.splice(0)) sink.data(bytes, 0, bytes.length);
    } catch (error) {
      this.#fail(error as Error);
      return;
    }
    if (this.#failure !== null) sink.failed(this.#failure);
    else if (this.#isOver) sink.end();
    else this.#payload.resume();
  }

  get payload(): Payload {
    return this.#payload;
  }

  #sink(): PayloadSink {
    return {
      data: (chunk, start, end) => {
        this.#scanner.push(chunk, start, end);
        this.#settleHead();
      },
      endChunk: () => undefined,
      end: () => {
        try {
          this.#scanner.end();
        } catch (error) {
          this.#fail(error as Error);
          return;
        }
        this.#isOver = true;
        this.#fileSink?.end();
      },
      failed: (reason) => this.#fail(reason),
    };
  }

  #data(chunk: Uint8Array, start: number, end: number): void {
    if (this.#fileSink === null) this.#early.push(copyOf(chunk, start, end));
    else this.#fileSink.data(chunk, start, end);
  }

  #settleHead(): void {
    if (this.#head === null || this.#onHead === null) return;
    this.#payload.pause();
    this.#onHead.resolve(this.#head);
    this.#onHead = null;
  }

  #fail(reason: Error): void {
    this.#failure = reason;
    this.#payload.detach();
    this.#onHead?.reject(reason);
    this.#onHead = null;
    this.#fileSink?.failed(reason);
  }

  async #collect(bytesMax: number): Promise<IngestBody> {
    this.#payload.holdForm(bytesMax);
    const pieces: Uint8Array[] = [];
    await new Promise<void>((resolve, reject) => {
      this.attach({
        data: (chunk, start, end) => pieces.push(copyOf(chunk, start, end)),
        end: resolve,
        failed: reject,
      });
    });
    invariant(this.#isFileComplete, 'a form that ended well has its file');
    return new HeldFile(pieces);
  }
}

/** Of the bytes themselves: `slice` of a Buffer would share the memory that is only lent. */
function copyOf(chunk: Uint8Array, start: number, end: number): Uint8Array {
  return Uint8Array.prototype.slice.call(chunk, start, end);
}

/** A file that passes through. Its length is a claim until its end is there. */
class StreamedFile extends FileBody implements IngestBody {
  readonly #form: FormUpload;
  readonly #bytes: number;
  #received = 0;

  constructor(form: FormUpload, bytes: number) {
    super();
    this.#form = form;
    this.#bytes = bytes;
  }

  contentBytes(): number {
    return this.#bytes;
  }

  consume(sink: PayloadSink): void {
    this.#form.attach({
      data: (chunk, start, end) => {
        this.#received += end - start;
        if (this.#received > this.#bytes) throw lengthUnknown();
        sink.data(chunk, start, end);
      },
      end: () => {
        if (this.#received === this.#bytes) sink.end(noTrailers);
        else sink.failed(lengthUnknown());
      },
      failed: (reason) => sink.failed(reason),
    });
  }

  pause(): void {
    this.#form.payload.pause();
  }

  resume(): void {
    this.#form.payload.resume();
  }

  detach(): void {
    this.#form.payload.detach();
  }
}

function lengthUnknown(): Error {
  return s3Error(
    'InvalidRequest',
    `The length of the file is not known: a file of more than ${limits.formBufferBytesMax} bytes must be the last ` +
      'field of its form, and the form must end with a line break behind its closing boundary.',
  );
}

/** A file that is there as a whole. */
class HeldFile extends FileBody implements IngestBody {
  readonly #pieces: Uint8Array[];
  readonly #bytes: number;
  #offset = 0;
  #sink: PayloadSink | null = null;
  #isPaused = false;
  #isDelivering = false;

  constructor(pieces: Uint8Array[]) {
    super();
    this.#pieces = pieces;
    this.#bytes = pieces.reduce((sum, piece) => sum + piece.length, 0);
  }

  contentBytes(): number {
    return this.#bytes;
  }

  consume(sink: PayloadSink): void {
    this.#sink = sink;
    this.#deliver();
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    this.#deliver();
  }

  detach(): void {
    this.#sink = null;
  }

  #deliver(): void {
    // The sink may resume while it is handed something.
    if (this.#isDelivering) return;
    this.#isDelivering = true;
    try {
      while (this.#sink !== null && !this.#isPaused) {
        const sink: PayloadSink = this.#sink;
        const [piece] = this.#pieces;
        if (piece === undefined) {
          this.#sink = null;
          sink.end(noTrailers);
          return;
        }
        const end = Math.min(this.#offset + sliceBytes, piece.length);
        const start = this.#offset;
        this.#offset = end === piece.length ? 0 : end;
        if (this.#offset === 0) this.#pieces.shift();
        sink.data(piece, start, end);
      }
    } catch (error) {
      const sink = this.#sink;
      this.#sink = null;
      sink?.failed(error as Error);
    } finally {
      this.#isDelivering = false;
    }
  }
}
