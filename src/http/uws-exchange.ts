/**
 * One request and its answer over uWebSockets.js, on the main thread.
 *
 * The response object of the library dies with the answer's last byte or with the connection: `#res` is null
 * from then on, and nothing touches it. The library parses inside our callbacks and must not lose its socket
 * there, so the connection is closed, and whatever may close it is written, from a turn of its own.
 */
import { KiB, type Roster, type RosterMember } from '../base/index.js';
import { AnswerInstead } from '../exchange/index.js';
import type {
  BodySource,
  ExchangeHandler,
  ExchangeRequest,
  ExchangeResponse,
  HeaderMap,
  PieceSource,
  ResponseBody,
} from '../exchange/index.js';
import type { AddressTexts } from './addresses.js';
import type { FrontBounds, FrontLog } from './front.js';
import { EmptyBody, IncomingBody } from './incoming-body.js';
import type { OverflowBudget } from './overflow.js';
import { Pace } from './pace.js';
import { OpenSender } from './open-sender.js';
import { type FrontRefusal, refusalAnswer } from './refusals.js';
import { type HeadComposer, isBodiless } from './response-head.js';
import { type NextPiece, type StreamOwner, StreamSender } from './stream-sender.js';
import type { HttpResponse } from './uws-library.js';

/** Longer answers are sent at the client's pace instead of being copied into the library's buffer. */
const bufferedBytesMax = 128 * KiB;

/** What the exchanges of one front share. */
export interface FrontShared {
  readonly bounds: FrontBounds;
  readonly log: FrontLog;
  readonly heads: HeadComposer;
  readonly secure: boolean;
  readonly overflow: OverflowBudget;
  readonly addresses: AddressTexts;
  /** Exchanges with a timer of the library to be fed, or a rate to be watched. */
  readonly watched: Roster<UwsExchange>;
  /** True once the front is closing: every answer closes its connection. */
  readonly isClosing: () => boolean;
  readonly finished: () => void;
}

type Phase = 'handling' | 'draining' | 'lingering' | 'sending' | 'over';

const emptyBody = new EmptyBody();

export class UwsExchange implements ExchangeRequest, RosterMember {
  rosterIndex = -1;
  readonly id: string;
  readonly method: string;
  readonly rawPath: string;
  readonly rawQuery: string;
  readonly headers: HeaderMap;
  readonly secure: boolean;
  readonly body: BodySource;
  readonly #shared: FrontShared;
  readonly #incoming: IncomingBody | null;
  #res: HttpResponse | null;
  #remoteAddress: string | null = null;
  #phase: Phase = 'handling';
  #handlerDone = false;
  #counted = true;
  #aborted = false;
  #corked = false;
  #stopped = false;
  /** The library's timer runs although nothing is expected of the client: the sweep has to feed it. */
  #armed = false;
  #listeners: (() => void)[] | null = null;
  #sender: StreamSender | OpenSender | null = null;
  #waiting: ExchangeResponse | null = null;
  #timer: NodeJS.Timeout | null = null;
  #droppedBytes = 0;
  #pace: Pace | null = null;

  constructor(
    shared: FrontShared,
    res: HttpResponse,
    id: string,
    method: string,
    rawPath: string,
    rawQuery: string,
    headers: HeaderMap,
    declaredBytes: number | null,
  ) {
    this.#shared = shared;
    this.#res = res;
    this.id = id;
    this.method = method;
    this.rawPath = rawPath;
    this.rawQuery = rawQuery;
    this.headers = headers;
    this.secure = shared.secure;
    if (declaredBytes === 0) {
      this.#incoming = null;
      this.body = emptyBody;
    } else {
      const gate = { stop: () => this.#stopReading(), start: () => this.#startReading() };
      this.#incoming = new IncomingBody(declaredBytes, gate, shared.overflow, (error) => this.#bodyFault(error));
      this.body = this.#incoming;
    }
  }

  /**
   * Asked of the library when first wanted: it costs a system call. Whoever wants it after the answer, or after the
   * client has left, has to read it once before.
   */
  get remoteAddress(): string {
    if (this.#remoteAddress === null && this.#res !== null) {
      this.#remoteAddress = this.#shared.addresses.text(this.#res.getRemoteAddress());
    }
    return this.#remoteAddress ?? '';
  }

  // Closures on demand: these may be handed on without their object, but seldom are used at all.
  get isAborted(): () => boolean {
    return () => this.#aborted;
  }

  get onAborted(): (listener: () => void) => void {
    return (listener) => {
      if (this.#aborted) listener();
      else if (this.#phase !== 'over') (this.#listeners ??= []).push(listener);
    };
  }

  /** Called once, inside the library's request callback, where its socket is corked. */
  start(handler: ExchangeHandler): void {
    const res = this.#res!;
    if (this.#incoming !== null) {
      res.onAborted(() => this.#gone());
      res.onData((chunk, isLast) => this.#data(chunk, isLast));
      this.#shared.watched.add(this);
    }
    this.#corked = true;
    try {
      const answer = handler(this);
      if (answer instanceof Promise) {
        if (this.#incoming === null) res.onAborted(() => this.#gone());
        answer.then(
          (response) => this.#answer(response),
          (error: unknown) => this.#handlerFailed(error),
        );
      } else {
        this.#answer(answer);
        // An answer that is sent at the client's pace outlives this callback.
        if (this.#incoming === null && this.#res !== null) res.onAborted(() => this.#gone());
      }
    } catch (error) {
      if (this.#incoming === null && this.#res !== null) res.onAborted(() => this.#gone());
      this.#handlerFailed(error);
    } finally {
      this.#corked = false;
    }
  }

  /** Feeds the library's timer, and cuts off a client that keeps us waiting. Called every `elapsedMs`. */
  sweep(elapsedMs: number): void {
    const res = this.#res;
    if (res === null || this.#phase === 'lingering') return;
    const sender = this.#sender;
    const incoming = this.#incoming;
    let movedBytes: number | null = null;
    if (sender !== null) {
      if (sender.blocked) movedBytes = sender.sentBytes + sender.progressCount;
    } else if (incoming !== null && !incoming.complete && !incoming.waitsForConsumer && !this.#stopped) {
      movedBytes = incoming.receivedBytes;
    }
    if ((this.#pace ??= new Pace()).isTooSlow(movedBytes, elapsedMs, this.#shared.bounds)) {
      this.#shared.log.warn({ requestId: this.id, bytes: movedBytes }, 'client too slow; connection closed');
      res.close();
      return;
    }
    if (!this.#stopped && (movedBytes !== null || this.#armed)) {
      // The one way to arm the library's timer anew; it fires ten seconds later.
      res.pause();
      res.resume();
      this.#armed = true;
    }
  }

  #stopReading(): void {
    if (this.#stopped || this.#res === null) return;
    this.#stopped = true;
    this.#res.pause();
  }

  #startReading(): void {
    if (!this.#stopped || this.#res === null) return;
    this.#stopped = false;
    this.#armed = true;
    this.#res.resume();
  }

  #data(chunk: ArrayBuffer, isLast: boolean): void {
    if (this.#res === null || this.#phase === 'sending') return;
    const incoming = this.#incoming!;
    // The library stops its timer at the end of a body.
    if (isLast && !this.#stopped) this.#armed = false;
    if (!incoming.receive(new Uint8Array(chunk), isLast)) {
      this.#shared.log.warn({ requestId: this.id }, 'too many body bytes wait for their consumers');
      this.#giveUp('SlowDown');
      return;
    }
    if (this.#phase === 'handling') return;
    this.#droppedBytes += chunk.byteLength;
    if (this.#phase === 'draining') {
      if (isLast) this.#sendSoon(this.#takeWaiting());
      else if (this.#droppedBytes > this.#shared.bounds.drainBytesMax) this.#sendUnread(this.#takeWaiting());
    } else if (this.#phase === 'lingering') {
      if (isLast || this.#droppedBytes > this.#shared.bounds.lingerBytesMax) this.#closeSoon();
    }
  }

  #bodyFault(error: unknown): void {
    this.#shared.log.warn({ requestId: this.id, err: error }, 'a body consumer failed');
    this.#giveUp('InternalError');
  }

  #handlerFailed(error: unknown): void {
    // A handler whose client has left may well end in an error: nobody is waiting for it.
    if (!this.#aborted) {
      const fields = { requestId: this.id, err: error, method: this.method, path: this.rawPath };
      this.#shared.log.warn(fields, 'a request failed');
    }
    this.#answer(refusalAnswer('InternalError', this.id, this.rawPath));
  }

  /** Answers in the handler's stead; what the handler says later is dropped. */
  #giveUp(refusal: FrontRefusal): void {
    if (this.#phase !== 'handling') return;
    this.#incoming?.abort();
    this.#tellListeners();
    this.#respond({ ...refusalAnswer(refusal, this.id, this.rawPath), close: true });
  }

  #answer(response: ExchangeResponse): void {
    this.#handlerDone = true;
    if (this.#phase !== 'handling') {
      closeSource(response.body);
      this.#uncount();
      return;
    }
    try {
      this.#respond(response);
    } catch (error) {
      this.#shared.log.warn({ requestId: this.id, err: error }, 'an answer could not be written');
      this.#closeSoon();
    }
  }

  #respond(response: ExchangeResponse): void {
    const incoming = this.#incoming;
    if (incoming === null) {
      this.#send(response);
      return;
    }
    incoming.detach();
    this.#startReading();
    if (incoming.complete) {
      this.#sendSoon(response);
      return;
    }
    const { drainBytesMax, drainMsMax } = this.#shared.bounds;
    const restBytes = incoming.declaredBytes === null ? 0 : incoming.declaredBytes - incoming.receivedBytes;
    if (response.close === true || restBytes > drainBytesMax) {
      this.#sendUnread(response);
      return;
    }
    this.#phase = 'draining';
    this.#waiting = response;
    this.#timer = setTimeout(() => this.#sendUnread(this.#takeWaiting()), drainMsMax);
  }

  #takeWaiting(): ExchangeResponse {
    const response = this.#waiting!;
    this.#waiting = null;
    this.#phase = 'sending';
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    return response;
  }

  /** After a body: where the library may close the socket on writing, its parser must have returned first. */
  #sendSoon(response: ExchangeResponse): void {
    this.#phase = 'sending';
    const mayClose =
      this.body.declaredBytes === null ||
      response.close === true ||
      this.#shared.isClosing() ||
      // The library takes any value of five letters for `close`.
      this.headers.get('connection')?.length === 5;
    if (!mayClose) {
      this.#send(response);
      return;
    }
    this.#waiting = response;
    setImmediate(() => {
      this.#waiting = null;
      if (this.#res === null) closeSource(response.body);
      else this.#send(response);
    });
  }

  /**
   * The answer of a request whose body is not wholly read. Closing at once would send a reset that can
   * overtake the answer, so reading goes on for a while. The library considers a response done, and lets go
   * of it, when its last byte is written through `end`; written as part of the status line it stays ours.
   */
  #sendUnread(response: ExchangeResponse): void {
    this.#phase = 'sending';
    const body = response.body;
    if (body.kind === 'stream' && this.method !== 'HEAD' && !isBodiless(response.status)) {
      this.#send({ ...response, close: true });
      return;
    }
    this.#waiting = response;
    setImmediate(() => {
      this.#waiting = null;
      closeSource(body);
      const res = this.#res;
      if (res === null) return;
      this.#phase = 'lingering';
      this.#droppedBytes = 0;
      this.#timer = setTimeout(() => this.#close(), this.#shared.bounds.lingerMsMax);
      const text = this.#wholeText(response);
      res.cork(() => res.writeStatus(text));
      if (this.#incoming!.complete) this.#closeSoon();
    });
  }

  /** Head and body in one; the line end that the library adds to a status line is counted as body. */
  #wholeText(response: ExchangeResponse): Uint8Array {
    const { status, body } = response;
    let head = `${this.#shared.heads.compose(response)}\r\nDate: ${new Date().toUTCString()}\r\nConnection: close`;
    if (this.method === 'HEAD' || isBodiless(status)) {
      const length = announcedLength(body);
      if (length !== null && !isBodiless(status)) head += `\r\nContent-Length: ${length}`;
      return Buffer.from(`${head}\r\n`);
    }
    const bytes = body.kind === 'bytes' ? Buffer.from(body.bytes as string) : Buffer.alloc(0);
    return Buffer.concat([Buffer.from(`${head}\r\nContent-Length: ${bytes.length + 2}\r\n\r\n`), bytes]);
  }

  #send(response: ExchangeResponse): void {
    this.#phase = 'sending';
    const { status, body } = response;
    const { heads } = this.#shared;
    const close = response.close === true || this.#shared.isClosing();
    if (this.method === 'HEAD' || isBodiless(status)) {
      let head = heads.compose(response);
      const length = isBodiless(status) ? null : announcedLength(body);
      closeSource(body);
      // Given a length, the library of this version never considers the answer done; so it is told none.
      if (length !== null) head += `\r\nContent-Length: ${length}`;
      if (close) head += '\r\nConnection: close';
      this.#write((res) => res.writeStatus(head).endWithoutBody());
      return;
    }
    if (body.kind === 'bytes' && body.bytes.length <= bufferedBytesMax) {
      this.#end(heads.again(response) ?? heads.compose(response), body.bytes, close);
      return;
    }
    const head = heads.compose(response);
    if (body.kind === 'empty' || (body.kind === 'stream' && body.length === 0)) {
      closeSource(body);
      this.#end(head, '', close);
    } else if (body.kind === 'bytes') {
      const bytes = typeof body.bytes === 'string' ? Buffer.from(body.bytes) : body.bytes;
      this.#stream(head, bytes.length, onePiece(bytes), close);
    } else if (body.length === null) this.#streamOpen(head, body.source, close);
    else this.#sendStream(head, body.length, body.source, close);
  }

  /** A short stream whose bytes are there at once goes out like an answer in memory. */
  #sendStream(head: string, length: number, source: PieceSource, close: boolean): void {
    if (length > bufferedBytesMax) {
      this.#stream(head, length, source, close);
      return;
    }
    let first: NextPiece;
    try {
      first = source.next();
    } catch (error) {
      source.close();
      this.#streamBroken(error, false);
      return;
    }
    if (first === null || first instanceof Promise || first.bytes.length !== length) {
      this.#stream(head, length, source, close, first);
      return;
    }
    this.#end(head, first.bytes, close);
    first.release();
    source.close();
  }

  /** Writes all of an answer, corked; afterwards the response object is gone. */
  #write(write: (res: HttpResponse) => void): void {
    const res = this.#res!;
    if (this.#corked) write(res);
    else res.cork(() => write(res));
    this.#res = null;
    this.#over();
  }

  #end(head: string | Uint8Array, bytes: Uint8Array | string, close: boolean): void {
    const res = this.#res!;
    if (this.#corked) res.writeStatus(head).end(bytes, close);
    else res.cork(() => res.writeStatus(head).end(bytes, close));
    this.#res = null;
    this.#over();
  }

  #stream(head: string, length: number, source: PieceSource, close: boolean, first?: NextPiece): void {
    this.#runSender((res) => new StreamSender(res, length, source, this.#ownerOf(res, head, close), first));
  }

  #streamOpen(head: string, source: PieceSource, close: boolean): void {
    // The library's timer runs from every write on, and the source may have nothing to say for longer.
    this.#armed = true;
    this.#runSender((res) => new OpenSender(res, source, this.#ownerOf(res, head, close), close));
  }

  #runSender(create: (res: HttpResponse) => StreamSender | OpenSender): void {
    this.#pace = null;
    const sender = create(this.#res!);
    this.#sender = sender;
    sender.run();
    if (this.#res !== null) this.#shared.watched.add(this);
  }

  #ownerOf(res: HttpResponse, head: string, close: boolean): StreamOwner {
    const whole = close ? `${head}\r\nConnection: close` : head;
    let headWritten = false;
    return {
      corked: (write) => {
        const all = () => {
          if (!headWritten) res.writeStatus(whole);
          headWritten = true;
          write();
        };
        if (this.#corked) all();
        else res.cork(all);
      },
      sent: () => {
        this.#res = null;
        this.#over();
      },
      broken: (error, started) => this.#streamBroken(error, started),
    };
  }

  #streamBroken(error: unknown, started: boolean): void {
    this.#sender = null;
    if (!started && error instanceof AnswerInstead) {
      this.#send(error.answer);
      return;
    }
    this.#shared.log.warn({ requestId: this.id, err: error, started }, 'an answer could not be completed');
    // A cut connection is the one way to tell the client that the rest is missing.
    if (started) this.#closeSoon();
    else this.#send({ ...refusalAnswer('InternalError', this.id, this.rawPath), close: true });
  }

  #closeSoon(): void {
    setImmediate(() => this.#close());
  }

  /** Not from within the library's parser. The abort callback runs inside. */
  #close(): void {
    this.#res?.close();
  }

  /** The library's word that the connection is gone. */
  #gone(): void {
    if (this.#phase === 'over') return;
    this.#res = null;
    if (this.#phase !== 'lingering') {
      this.#aborted = true;
      this.#sender?.abort();
      if (this.#waiting !== null && this.#phase === 'draining') closeSource(this.#takeWaiting().body);
      this.#incoming?.abort();
      this.#tellListeners();
    }
    this.#over();
  }

  #tellListeners(): void {
    const listeners = this.#listeners;
    this.#listeners = null;
    if (listeners === null) return;
    for (const listener of listeners) {
      try {
        listener();
      } catch (error) {
        this.#shared.log.warn({ requestId: this.id, err: error }, 'an abort listener failed');
      }
    }
  }

  #over(): void {
    this.#phase = 'over';
    this.#sender = null;
    this.#listeners = null;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#shared.watched.delete(this);
    this.#uncount();
  }

  /** The request is active until its answer is out and its handler has returned. */
  #uncount(): void {
    if (!this.#counted || !this.#handlerDone || this.#phase !== 'over') return;
    this.#counted = false;
    this.#shared.finished();
  }
}

function closeSource(body: ResponseBody): void {
  if (body.kind === 'stream') body.source.close();
}

/** What a GET would send, as far as the answer says. */
function announcedLength(body: ResponseBody): number | null {
  switch (body.kind) {
    case 'empty':
      return body.length ?? null;
    case 'bytes':
      return typeof body.bytes === 'string' ? Buffer.byteLength(body.bytes) : body.bytes.length;
    case 'stream':
      return body.length;
  }
}

function onePiece(bytes: Uint8Array): PieceSource {
  let rest: Uint8Array | null = bytes;
  return {
    next: () => {
      const piece = rest === null ? null : { bytes: rest, release: () => {} };
      rest = null;
      return piece;
    },
    close: () => {
      rest = null;
    },
  };
}
