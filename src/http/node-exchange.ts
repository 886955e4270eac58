/**
 * One request and its answer over node:http. Same behaviour as over uWebSockets.js, in the plainest form:
 * one piece of a stream at a time, and the library's own buffers.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { limits, type Roster, type RosterMember, type PeerCertificate } from '../base/index.js';
import { AnswerInstead, headersOf } from '../exchange/index.js';
import type {
  BodySource,
  ExchangeHandler,
  ExchangeRequest,
  ExchangeResponse,
  HeaderMap,
  PieceSource,
  ResponseBody,
} from '../exchange/index.js';
import { plainAddress } from './addresses.js';
import { EmptyBody, IncomingBody } from './incoming-body.js';
import { Pace } from './pace.js';
import { type FrontRefusal, refusalAnswer } from './refusals.js';
import { isBodiless, sendable } from './response-head.js';
import type { FrontBounds, FrontLog } from './front.js';
import { peerCertificateOf } from './peer-certificate.js';
import type { OverflowBudget } from './overflow.js';

export interface NodeShared {
  readonly bounds: FrontBounds;
  readonly log: FrontLog;
  readonly serverName: string;
  readonly secure: boolean;
  readonly overflow: OverflowBudget;
  readonly watched: Roster<NodeExchange>;
  readonly isClosing: () => boolean;
  readonly finished: () => void;
}

type Phase = 'handling' | 'draining' | 'lingering' | 'sending' | 'over';

const nothing = new Uint8Array(0);

export class NodeExchange implements ExchangeRequest, RosterMember {
  rosterIndex = -1;
  readonly method: string;
  readonly rawPath: string;
  readonly rawQuery: string;
  readonly remoteAddress: string;
  readonly secure: boolean;
  readonly body: BodySource;
  readonly #incoming: IncomingBody | null;
  #phase: Phase = 'handling';
  #handlerDone = false;
  #counted = true;
  #aborted = false;
  #stopped = false;
  #listeners: (() => void)[] = [];
  #waiting: ExchangeResponse | null = null;
  #timer: NodeJS.Timeout | null = null;
  #droppedBytes = 0;
  #sentBytes = 0;
  #writing = false;
  #wake: () => void = () => {};
  #pace = new Pace();

  constructor(
    readonly shared: NodeShared,
    readonly request: IncomingMessage,
    readonly response: ServerResponse,
    readonly id: string,
    readonly headers: HeaderMap,
    declaredBytes: number | null,
  ) {
    const url = request.url ?? '/';
    const mark = url.indexOf('?');
    this.method = (request.method ?? 'GET').toUpperCase();
    this.rawPath = mark === -1 ? url : url.slice(0, mark);
    this.rawQuery = mark === -1 ? '' : url.slice(mark + 1);
    this.remoteAddress = plainAddress(request.socket.remoteAddress ?? '');
    this.secure = shared.secure;
    this.#incoming =
      declaredBytes === 0
        ? null
        : new IncomingBody(
            declaredBytes,
            { stop: () => this.#read(false), start: () => this.#read(true) },
            shared.overflow,
            (error) => this.#bodyFault(error),
          );
    this.body = this.#incoming ?? new EmptyBody();
  }

  get peerCertificate(): () => PeerCertificate | null {
    return () => peerCertificateOf(this.request.socket);
  }

  get isAborted(): () => boolean {
    return () => this.#aborted;
  }

  get onAborted(): (listener: () => void) => void {
    return (listener) => {
      if (this.#aborted) listener();
      else if (this.#phase !== 'over') this.#listeners.push(listener);
    };
  }

  start(handler: ExchangeHandler): void {
    this.shared.watched.add(this);
    this.response.on('close', () => this.#closed());
    this.response.on('error', () => this.response.destroy());
    if (this.#incoming !== null) {
      this.request.on('data', (chunk: Buffer) => this.#data(chunk, false));
      this.request.on('end', () => this.#data(nothing, true));
      this.request.on('error', () => this.response.destroy());
    } else this.request.resume();
    try {
      Promise.resolve(handler(this)).then(
        (answer) => this.#answer(answer),
        (error: unknown) => this.#handlerFailed(error),
      );
    } catch (error) {
      this.#handlerFailed(error);
    }
  }

  sweep(elapsedMs: number): void {
    const incoming = this.#incoming;
    let movedBytes: number | null = null;
    if (this.#writing) movedBytes = this.#sentBytes + (this.request.socket.bytesWritten || 0);
    else if (incoming !== null && !incoming.complete && !incoming.waitsForConsumer && !this.#stopped) {
      movedBytes = incoming.receivedBytes;
    }
    if (!this.#pace.isTooSlow(movedBytes, elapsedMs, this.shared.bounds)) return;
    this.shared.log.warn({ requestId: this.id, bytes: movedBytes }, 'client too slow; connection closed');
    this.#destroy();
  }

  #read(on: boolean): void {
    this.#stopped = !on;
    if (on) this.request.resume();
    else this.request.pause();
  }

  #data(chunk: Uint8Array, isLast: boolean): void {
    if (this.#phase === 'over') return;
    if (!this.#incoming!.receive(chunk, isLast)) {
      this.shared.log.warn({ requestId: this.id }, 'too many body bytes wait for their consumers');
      this.#giveUp('SlowDown');
      return;
    }
    this.#droppedBytes += this.#phase === 'handling' ? 0 : chunk.length;
    const { drainBytesMax, lingerBytesMax } = this.shared.bounds;
    if (this.#phase === 'draining') {
      if (isLast) this.#send(this.#takeWaiting());
      else if (this.#droppedBytes > drainBytesMax) this.#sendUnread(this.#takeWaiting());
    } else if (this.#phase === 'lingering' && (isLast || this.#droppedBytes > lingerBytesMax)) this.#endLinger();
  }

  #bodyFault(error: unknown): void {
    this.shared.log.warn({ requestId: this.id, err: error }, 'a body consumer failed');
    this.#giveUp('InternalError');
  }

  #handlerFailed(error: unknown): void {
    // A handler whose client has left may well end in an error: nobody is waiting for it.
    if (!this.#aborted) {
      const fields = { requestId: this.id, err: error, method: this.method, path: this.rawPath };
      this.shared.log.warn(fields, 'a request failed');
    }
    this.#answer(refusalAnswer('InternalError', this.id, this.rawPath));
  }

  #giveUp(refusal: FrontRefusal): void {
    if (this.#phase !== 'handling') return;
    this.#incoming?.abort();
    this.#tellListeners();
    this.#respond({ ...refusalAnswer(refusal, this.id, this.rawPath), close: true });
  }

  #answer(answer: ExchangeResponse): void {
    this.#handlerDone = true;
    if (this.#phase !== 'handling') {
      closeSource(answer.body);
      this.#uncount();
      return;
    }
    try {
      this.#respond(answer);
    } catch (error) {
      this.shared.log.warn({ requestId: this.id, err: error }, 'an answer could not be written');
      this.#destroy();
    }
  }

  #respond(answer: ExchangeResponse): void {
    const incoming = this.#incoming;
    if (incoming === null) {
      this.#send(answer);
      return;
    }
    incoming.detach();
    this.#read(true);
    if (incoming.complete) {
      this.#send(answer);
      return;
    }
    const restBytes = incoming.declaredBytes === null ? 0 : incoming.declaredBytes - incoming.receivedBytes;
    if (answer.close === true || restBytes > this.shared.bounds.drainBytesMax) this.#sendUnread(answer);
    else {
      this.#phase = 'draining';
      this.#waiting = answer;
      this.#timer = setTimeout(() => this.#sendUnread(this.#takeWaiting()), this.shared.bounds.drainMsMax);
    }
  }

  #takeWaiting(): ExchangeResponse {
    const answer = this.#waiting!;
    this.#waiting = null;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    return answer;
  }

  /** The answer goes out whole, but `end`, which closes the connection, waits for some more of the body. */
  #sendUnread(answer: ExchangeResponse): void {
    if (answer.body.kind === 'stream' && this.method !== 'HEAD') {
      this.#send({ ...answer, close: true });
      return;
    }
    closeSource(answer.body);
    this.#phase = 'lingering';
    this.#droppedBytes = 0;
    this.#head({ ...answer, close: true });
    if (answer.body.kind === 'bytes' && this.method !== 'HEAD') this.response.write(bytesOf(answer.body.bytes));
    else this.response.flushHeaders();
    this.#timer = setTimeout(() => this.#destroy(), this.shared.bounds.lingerMsMax);
  }

  #endLinger(): void {
    this.#phase = 'sending';
    this.response.end();
  }

  #send(answer: ExchangeResponse): void {
    this.#phase = 'sending';
    const { body, status } = answer;
    const hasBody = this.method !== 'HEAD' && !isBodiless(status);
    if (body.kind === 'stream' && hasBody && body.length !== 0) {
      void this.#stream(answer, body.length, body.source);
      return;
    }
    closeSource(body);
    this.#head(answer);
    this.response.end(body.kind === 'bytes' && hasBody ? bytesOf(body.bytes) : undefined);
  }

  #head(answer: ExchangeResponse): void {
    const { status, body } = answer;
    const raw: string[] = [];
    // The same bytes as the other front: header values go out as UTF-8.
    const headers = headersOf(answer);
    for (const [name, value] of sendable(headers)) raw.push(name, Buffer.from(value, 'utf8').toString('latin1'));
    if (!headers.some(([name]) => name.toLowerCase() === 'server')) raw.push('Server', this.shared.serverName);
    const length = lengthOf(body, this.method === 'HEAD');
    if (!isBodiless(status) && length !== null) raw.push('Content-Length', String(length));
    if (answer.close === true || this.shared.isClosing()) raw.push('Connection', 'close');
    this.response.writeHead(status, raw);
  }

  async #stream(answer: ExchangeResponse, length: number | null, source: PieceSource): Promise<void> {
    let started = false;
    let isClosed = false;
    const close = () => {
      if (!isClosed) source.close();
      isClosed = true;
    };
    // What an open-ended source says next may never come.
    if (length === null) this.onAborted(close);
    try {
      while ((length === null || this.#sentBytes < length) && !this.#aborted) {
        const piece = await source.next();
        if (piece === null && length !== null) throw new Error('the source ended before the announced length');
        try {
          if (!started && !this.#aborted) this.#head(answer);
          started = true;
          if (piece === null) break;
          await this.#writePiece(length === null ? piece.bytes : piece.bytes.subarray(0, length - this.#sentBytes));
        } finally {
          piece?.release();
        }
      }
      if (!this.#aborted) this.response.end();
    } catch (error) {
      if (!this.#aborted) this.#streamBroken(error, started);
    } finally {
      close();
    }
  }

  async #writePiece(bytes: Uint8Array): Promise<void> {
    this.#writing = true;
    for (let from = 0; from < bytes.length && !this.#aborted; from += limits.sendPieceBytesMax) {
      const part = bytes.subarray(from, from + limits.sendPieceBytesMax);
      // The callback does not always run when the socket is destroyed; the close event does.
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        this.response.write(part, () => resolve());
      });
      this.#sentBytes += part.length;
    }
    this.#writing = false;
  }

  #streamBroken(error: unknown, started: boolean): void {
    if (!started && error instanceof AnswerInstead) {
      this.#send(error.answer);
      return;
    }
    this.shared.log.warn({ requestId: this.id, err: error, started }, 'an answer could not be completed');
    if (started) this.#destroy();
    else this.#send({ ...refusalAnswer('InternalError', this.id, this.rawPath), close: true });
  }

  #destroy(): void {
    this.request.socket.destroy();
  }

  /** The answer is out, or the connection is gone. */
  #closed(): void {
    if (this.#phase === 'over') return;
    const complete = this.response.writableFinished || this.#phase === 'lingering';
    if (this.#waiting !== null) closeSource(this.#takeWaiting().body);
    if (!complete) {
      this.#aborted = true;
      this.#incoming?.abort();
      this.#tellListeners();
    }
    this.#phase = 'over';
    this.#wake();
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.shared.watched.delete(this);
    this.#uncount();
  }

  #tellListeners(): void {
    const listeners = this.#listeners;
    this.#listeners = [];
    for (const listener of listeners) {
      try {
        listener();
      } catch (error) {
        this.shared.log.warn({ requestId: this.id, err: error }, 'an abort listener failed');
      }
    }
  }

  #uncount(): void {
    if (!this.#counted || !this.#handlerDone || this.#phase !== 'over') return;
    this.#counted = false;
    this.shared.finished();
  }
}

function closeSource(body: ResponseBody): void {
  if (body.kind === 'stream') body.source.close();
}

/** node:http writes the head in the encoding of a body that is a string: bytes leave it alone. */
function bytesOf(bytes: Uint8Array | string): Uint8Array {
  return typeof bytes === 'string' ? Buffer.from(bytes) : bytes;
}

function lengthOf(body: ResponseBody, isHead: boolean): number | null {
  switch (body.kind) {
    case 'empty':
      return isHead ? (body.length ?? null) : 0;
    case 'bytes':
      return Buffer.byteLength(body.bytes);
    case 'stream':
      return body.length;
  }
}
