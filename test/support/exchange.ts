/** Requests and answers of the exchange room as a test makes and reads them, without a socket. */
import {
  HeaderMap,
  headersOf,
  type BodySink,
  type BodySource,
  type ExchangeHandler,
  type ExchangeRequest,
  type ExchangeResponse,
} from '../../src/exchange/index.js';

export interface RequestShape {
  readonly method?: string;
  /** Path and query as on the wire. */
  readonly target: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent in these pieces. */
  readonly body?: readonly (string | Uint8Array)[];
  /** Null: chunked transfer. The true length when omitted. */
  readonly declaredBytes?: number | null;
  /** The client goes away after this many pieces. */
  readonly abortAfterPieces?: number;
}

/** A body that is delivered piece by piece in later turns, and keeps what it must: one consumer, pause, resume. */
export class TestBody implements BodySource {
  readonly declaredBytes: number | null;
  readonly #pieces: Uint8Array[];
  readonly #abortAfterPieces: number;
  #isPaused = false;
  #isOver = false;
  #delivered = 0;
  #sink: BodySink | null = null;
  pauseCount = 0;
  onAborted: () => void = () => {};

  constructor(pieces: readonly Uint8Array[], declaredBytes: number | null, abortAfterPieces: number) {
    this.#pieces = [...pieces];
    this.declaredBytes = declaredBytes;
    this.#abortAfterPieces = abortAfterPieces;
  }

  /** Every piece reached the consumer. */
  get isOver(): boolean {
    return this.#isOver;
  }

  consume(sink: BodySink): void {
    if (this.#sink !== null) throw new Error('a body has one consumer');
    this.#sink = sink;
    this.#schedule();
  }

  pause(): void {
    this.#isPaused = true;
    this.pauseCount += 1;
  }

  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#schedule();
  }

  #schedule(): void {
    setImmediate(() => this.#deliver());
  }

  #deliver(): void {
    if (this.#isPaused || this.#isOver || this.#sink === null) return;
    if (this.#delivered === this.#abortAfterPieces) {
      this.#isOver = true;
      this.#sink.aborted();
      this.onAborted();
      return;
    }
    const piece = this.#pieces.shift() ?? new Uint8Array(0);
    this.#delivered += 1;
    this.#isOver = this.#pieces.length === 0;
    // The front reuses its buffer: what is not copied in time is overwritten.
    const lent = new Uint8Array(piece);
    this.#sink.chunk(lent, this.#isOver);
    lent.fill(0xee);
    if (!this.#isOver) this.#schedule();
  }
}

export interface TestRequest extends ExchangeRequest {
  readonly body: TestBody;
}

export function exchangeRequest(shape: RequestShape): TestRequest {
  const [rawPath = '/', ...queryParts] = shape.target.split('?');
  const pieces = (shape.body ?? []).map((piece) => (typeof piece === 'string' ? Buffer.from(piece) : piece));
  const length = pieces.reduce((sum, piece) => sum + piece.length, 0);
  const declaredBytes = shape.declaredBytes === undefined ? length : shape.declaredBytes;
  const body = new TestBody(pieces, declaredBytes, shape.abortAfterPieces ?? Infinity);
  const listeners: (() => void)[] = [];
  let isAborted = false;
  body.onAborted = () => {
    isAborted = true;
    for (const listener of listeners) listener();
  };
  return {
    id: '00000000DEADBEEF',
    method: shape.method ?? 'GET',
    rawPath,
    rawQuery: queryParts.join('?'),
    headers: HeaderMap.from(Object.entries({ host: 'localhost:9000', ...shape.headers })),
    remoteAddress: '127.0.0.1',
    secure: false,
    body,
    isAborted: () => isAborted,
    onAborted: (listener) => {
      if (isAborted) listener();
      else listeners.push(listener);
    },
  };
}

export interface TestResponse {
  readonly status: number;
  /** By lower-case name; a repeated name fails the test. */
  readonly headers: Readonly<Record<string, string>>;
  readonly bytes: Buffer;
  readonly text: string;
  /** Content-Length as the front would send it. */
  readonly length: number;
  /** Of an error document. */
  readonly code: string | null;
}

export async function readResponse(response: ExchangeResponse): Promise<TestResponse> {
  const headers: Record<string, string> = {};
  for (const [name, value] of headersOf(response)) {
    if (headers[name.toLowerCase()] !== undefined) throw new Error(`the header ${name} is there twice`);
    headers[name.toLowerCase()] = value;
  }
  const { body } = response;
  const bytes = await bodyBytes(body);
  const length = body.kind === 'empty' ? (body.length ?? 0) : bytes.length;
  if (body.kind === 'stream' && body.length !== bytes.length) throw new Error('a stream does not have its length');
  const text = bytes.toString('utf8');
  const code = /<Error><Code>([^<]*)<\/Code>/.exec(text)?.[1] ?? null;
  return { status: response.status, headers, bytes, text, length, code };
}

/** Sends a request through a handler and reads the whole answer. */
export async function exchange(handler: ExchangeHandler, shape: RequestShape): Promise<TestResponse> {
  return readResponse(await handler(exchangeRequest(shape)));
}

async function bodyBytes(body: ExchangeResponse['body']): Promise<Buffer> {
  if (body.kind === 'empty') return Buffer.alloc(0);
  if (body.kind === 'bytes') return Buffer.from(body.bytes as Uint8Array);
  const pieces: Buffer[] = [];
  for (;;) {
    const piece = await body.source.next();
    if (piece === null) break;
    pieces.push(Buffer.from(piece.bytes));
    piece.release();
  }
  body.source.close();
  return Buffer.concat(pieces);
}
