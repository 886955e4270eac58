/**
 * The HTTP front over node:http: the reference in differential tests, and the fallback where uWebSockets.js
 * has no binary. About a third as fast for small requests.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { limits, Roster } from '../base/index.js';
import { HeaderMap, type ExchangeHandler } from '../exchange/index.js';
import { checkCertificate } from './certificate.js';
import { bodyLengthOf } from './framing.js';
import {
  bareHost,
  boundsOf,
  type FrontBounds,
  type FrontLog,
  type FrontTls,
  type HttpFront,
  type HttpFrontOptions,
} from './front.js';
import { listenError } from './listen-fault.js';
import { NodeExchange, type NodeShared } from './node-exchange.js';
import { OverflowBudget } from './overflow.js';
import { type FrontRefusal, refusalAnswer } from './refusals.js';
import { RequestIds } from './request-ids.js';
import { libraryHeaderBytesMax } from './uws-library.js';

/** As long as uWebSockets.js allows for headers, and between two requests of a connection. */
const idleMs = 10_000;

/** Rejects with a StartupError when the port or the certificate cannot be used. */
export async function createNodeHttpFront(options: HttpFrontOptions): Promise<HttpFront> {
  const front = new NodeFront(options);
  await front.listen();
  return front;
}

class NodeFront implements HttpFront {
  readonly #options: HttpFrontOptions;
  readonly #bounds: FrontBounds;
  readonly #server: Server;
  readonly #shared: NodeShared;
  readonly #watched = new Roster<NodeExchange>();
  readonly #ids = new RequestIds();
  #sweeper: NodeJS.Timeout | null = null;
  #port = 0;
  #activeRequests = 0;
  #isClosing = false;
  #closing: Promise<void> | null = null;
  #onIdle: (() => void) | null = null;
  readonly #closed: Promise<void>;

  constructor(options: HttpFrontOptions) {
    const bounds = boundsOf(options);
    this.#options = options;
    this.#bounds = bounds;
    this.#shared = {
      bounds,
      log: options.log,
      serverName: options.serverName,
      secure: options.tls !== null,
      overflow: new OverflowBudget(bounds.overflowBytesMax),
      watched: this.#watched,
      isClosing: () => this.#isClosing,
      finished: () => {
        this.#activeRequests--;
        if (this.#activeRequests === 0) this.#onIdle?.();
      },
    };
    const settings = {
      maxHeaderSize: Math.max(bounds.headerBlockBytesMax, libraryHeaderBytesMax),
      headersTimeout: idleMs,
      requestTimeout: 0,
      keepAliveTimeout: idleMs,
      connectionsCheckingInterval: 2_000,
    };
    const listener = (request: IncomingMessage, response: ServerResponse) => this.#request(request, response);
    this.#server =
      options.tls === null
        ? createServer(settings, listener)
        : createTlsServer({ ...settings, ...tlsSettings(options.tls, options.log) }, listener);
    this.#server.maxConnections = bounds.connectionsMax;
    this.#closed = new Promise((resolve) => this.#server.once('close', () => resolve()));
  }

  get port(): number {
    return this.#port;
  }

  get activeRequests(): number {
    return this.#activeRequests;
  }

  async listen(): Promise<void> {
    const host = bareHost(this.#options.host);
    const { port } = this.#options;
    const error = await new Promise<NodeJS.ErrnoException | null>((resolve) => {
      this.#server.once('error', resolve);
      this.#server.listen({ port, exclusive: true, ...(host === '' ? {} : { host }) }, () => resolve(null));
    });
    if (error !== null) throw listenError(host, port, error);
    this.#port = (this.#server.address() as AddressInfo).port;
    const { sweepMs } = this.#bounds;
    this.#sweeper = setInterval(() => {
      this.#watched.visit((exchange) => exchange.sweep(sweepMs));
    }, sweepMs);
    this.#sweeper.unref();
  }

  stopAccepting(): void {
    if (this.#server.listening) this.#server.close();
  }

  close(graceMs: number): Promise<void> {
    return (this.#closing ??= this.#close(graceMs));
  }

  async #close(graceMs: number): Promise<void> {
    this.#isClosing = true;
    this.stopAccepting();
    this.#server.closeIdleConnections();
    if (this.#activeRequests > 0) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, graceMs);
        this.#onIdle = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      this.#onIdle = null;
    }
    if (this.#sweeper !== null) clearInterval(this.#sweeper);
    this.#server.closeAllConnections();
    await this.#closed;
  }

  #request(request: IncomingMessage, response: ServerResponse): void {
    const headers = new HeaderMap();
    const { rawHeaders } = request;
    let blockBytes = (request.url ?? '').length;
    for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
      const name = rawHeaders[index]!;
      const value = rawHeaders[index + 1]!;
      blockBytes += name.length + value.length + 4;
      // node:http reads Latin-1; the bytes are UTF-8, as over the other front.
      headers.append(name.toLowerCase(), Buffer.from(value, 'latin1').toString('utf8'));
    }
    const bodyLength = bodyLengthOf(headers);
    let handler: ExchangeHandler = this.#options.handler;
    if (bodyLength === 'bad-length') handler = refuse('InvalidContentLength');
    else if (bodyLength === 'unknown-coding') handler = refuse('UnsupportedTransferCoding');
    else if (blockBytes > this.#bounds.headerBlockBytesMax || rawHeaders.length > 2 * limits.headerCountMax) {
      handler = refuse('RequestHeaderSectionTooLarge');
    }
    this.#activeRequests++;
    const declaredBytes = typeof bodyLength === 'string' ? null : bodyLength;
    new NodeExchange(this.#shared, request, response, this.#ids.next(), headers, declaredBytes).start(handler);
  }
}

function tlsSettings(tls: FrontTls, log: FrontLog) {
  const { clientAuthorities } = tls;
  return {
    ...checkCertificate(tls, log),
    // The rest of a chain that does not hold is looked at by whoever asks for the certificate.
    ...(clientAuthorities !== undefined && {
      ...{ requestCert: true, rejectUnauthorized: false, ca: [...clientAuthorities], minVersion: 'TLSv1.2' as const },
    }),
  };
}

function refuse(refusal: FrontRefusal): ExchangeHandler {
  return (request) => refusalAnswer(refusal, request.id, request.rawPath);
}
