import type { PeerCertificate, PieceSource } from '../base/index.js';
import type { HeaderMap } from './header-map.js';
import type { HeaderPairs, SharedHeaders } from './shared-headers.js';

/** Consumes a request body. Called on the main thread, never after `aborted` or the last chunk. */
export interface BodySink {
  /**
   * Borrows `bytes` until it returns: copy what must outlive the call.
   * An empty body arrives as one empty chunk with `isLast` set.
   */
  chunk(bytes: Uint8Array, isLast: boolean): void;
  /** The client went away, or sent a body that breaks HTTP. Nothing follows. */
  aborted(): void;
}

export interface BodySource {
  /** From Content-Length; null with chunked transfer coding; 0 without a body. */
  readonly declaredBytes: number | null;
  /**
   * Sets the one consumer. Until then the front holds what arrived and reads no further.
   * Attaching it before the handler's first `await` avoids that copy.
   */
  consume(sink: BodySink): void;
  /** Stop reading the socket; what was received already may still arrive. */
  pause(): void;
  resume(): void;
}

export interface ExchangeRequest {
  /** 16 upper-case hex digits; answered as x-amz-request-id and written to every log line. */
  readonly id: string;
  /** Upper case. */
  readonly method: string;
  /** As sent: percent-encoded, dot segments kept, without the query. */
  readonly rawPath: string;
  /** As sent, without the question mark; empty when there is none. */
  readonly rawQuery: string;
  readonly headers: HeaderMap;
  /** Textual IP address of the peer. */
  readonly remoteAddress: string;
  /** True when the request came over TLS. */
  readonly secure: boolean;
  /** What the client showed in the TLS handshake; absent where the listener does not ask for it. */
  readonly peerCertificate?: () => PeerCertificate | null;
  readonly body: BodySource;
  /** True once the client went away. */
  readonly isAborted: () => boolean;
  /** Runs once when the client goes away before the answer is complete; at once if it already has. */
  readonly onAborted: (listener: () => void) => void;
}

export type ResponseBody =
  /** No body. `length` is what HEAD announces; omitted, no Content-Length beyond what HTTP demands. */
  | { readonly kind: 'empty'; readonly length?: number }
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array | string }
  /**
   * `length` null: open-ended, chunked, until the source ends or the client leaves. Its pieces are short and its
   * `next` may wait for ever, but for the first one, with which the head goes out.
   */
  | { readonly kind: 'stream'; readonly length: number | null; readonly source: PieceSource };

export interface ExchangeResponse {
  readonly status: number;
  /** In order. The front adds Content-Length and Date itself. */
  readonly headers: HeaderPairs;
  /** Headers before those, of many answers. */
  readonly shared?: SharedHeaders;
  readonly body: ResponseBody;
  /** Close the connection afterwards: the request body was not read to its end. */
  readonly close?: boolean;
}

/** Called synchronously for each request; never rejects. */
export type ExchangeHandler = (request: ExchangeRequest) => Promise<ExchangeResponse> | ExchangeResponse;
