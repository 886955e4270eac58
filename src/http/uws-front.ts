/** The HTTP front over uWebSockets.js: listening, TLS, the connection bound, and the way to close. */
import { Roster, StartupError } from '../base/index.js';
import { HeaderMap, type ExchangeHandler } from '../exchange/index.js';
import { AddressTexts } from './addresses.js';
import { checkCertificate } from './certificate.js';
import { bodyLengthOf } from './framing.js';
import { bareHost, boundsOf, type HttpFront, type HttpFrontOptions } from './front.js';
import { listenFault } from './listen-fault.js';
import { createNodeHttpFront } from './node-front.js';
import { OverflowBudget } from './overflow.js';
import { type FrontRefusal, refusalAnswer } from './refusals.js';
import { RequestIds } from './request-ids.js';
import { HeadComposer } from './response-head.js';
import { type FrontShared, UwsExchange } from './uws-exchange.js';
import {
  type HttpRequest,
  type HttpResponse,
  type ListenOnHost,
  type ListenSocket,
  loadUws,
  type TemplatedApp,
  type UwsLibrary,
} from './uws-library.js';

/** Answers that the library still has to push out when the last request is done. */
const flushMs = 100;

/** Rejects with a StartupError when the port or the certificate cannot be used. */
export async function createHttpFront(options: HttpFrontOptions): Promise<HttpFront> {
  let uws: UwsLibrary;
  try {
    uws = loadUws();
  } catch (error) {
    options.log.warn({ err: error }, 'uWebSockets.js has no binary for this platform; using the slower node:http');
    return createNodeHttpFront(options);
  }
  if (options.tls?.clientAuthorities !== undefined) return createNodeHttpFront(options);
  if (options.tls !== null) checkCertificate(options.tls, options.log);
  const front = new UwsFront(uws, options);
  await front.listen();
  return front;
}

class UwsFront implements HttpFront {
  readonly #uws: UwsLibrary;
  readonly #options: HttpFrontOptions;
  readonly #app: TemplatedApp;
  readonly #shared: FrontShared;
  readonly #watched = new Roster<UwsExchange>();
  readonly #ids = new RequestIds();
  readonly #onHeader: (name: string, value: string) => void;
  #listenSocket: ListenSocket | null = null;
  #sweeper: NodeJS.Timeout | null = null;
  #port = 0;
  #activeRequests = 0;
  #connections = 0;
  #closing: Promise<void> | null = null;
  #isClosing = false;
  #onIdle: (() => void) | null = null;
  /** The headers being read: the library calls back for each, and a closure per request would be waste. */
  #headers = new HeaderMap();
  #headerBytes = 0;

  constructor(uws: UwsLibrary, options: HttpFrontOptions) {
    const bounds = boundsOf(options);
    this.#uws = uws;
    this.#options = options;
    this.#shared = {
      bounds,
      log: options.log,
      heads: new HeadComposer(options.serverName),
      secure: options.tls !== null,
      overflow: new OverflowBudget(bounds.overflowBytesMax),
      addresses: new AddressTexts(),
      watched: this.#watched,
      isClosing: () => this.#isClosing,
      finished: () => this.#finished(),
    };
    this.#onHeader = (name, value) => {
      this.#headers.append(name, value);
      // Colon, space and line end stand on the wire too.
      this.#headerBytes += name.length + value.length + 4;
    };
    this.#app = this.#createApp();
    this.#app.filter((res, count) => this.#connection(res, Number(count)));
    this.#app.any('/*', (res, req) => {
      try {
        this.#request(res, req);
      } catch (error) {
        // Returning without an answer or an abort handler would end the process.
        options.log.warn({ err: error }, 'a request could not be taken');
        res.onAborted(() => {});
        setImmediate(() => res.close());
      }
    });
  }

  get port(): number {
    return this.#port;
  }

  get activeRequests(): number {
    return this.#activeRequests;
  }

  async listen(): Promise<void> {
    const { host, port } = this.#options;
    const exclusive = this.#uws.LIBUS_LISTEN_EXCLUSIVE_PORT;
    const bare = bareHost(host);
    const listenSocket = await new Promise<ListenSocket | false>((resolve) => {
      if (bare === '') this.#app.listen(port, exclusive, resolve);
      else (this.#app.listen as unknown as ListenOnHost).call(this.#app, bare, port, exclusive, resolve);
    });
    if (listenSocket === false) {
      this.#app.close();
      throw await listenFault(bare, port);
    }
    this.#listenSocket = listenSocket;
    this.#port = this.#uws.us_socket_local_port(listenSocket);
    const { sweepMs } = this.#shared.bounds;
    this.#sweeper = setInterval(() => this.#sweep(sweepMs), sweepMs);
    this.#sweeper.unref();
  }

  stopAccepting(): void {
    if (this.#listenSocket === null) return;
    this.#uws.us_listen_socket_close(this.#listenSocket);
    this.#listenSocket = null;
  }

  close(graceMs: number): Promise<void> {
    return (this.#closing ??= this.#close(graceMs));
  }

  async #close(graceMs: number): Promise<void> {
    this.#isClosing = true;
    this.stopAccepting();
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
    // A finished answer may still lie in the library's buffer, out of sight.
    if (this.#connections > 0 && graceMs > 0)
      await new Promise((resolve) => setTimeout(resolve, Math.min(flushMs, graceMs)));
    if (this.#sweeper !== null) clearInterval(this.#sweeper);
    // The caller may stand in one of the library's own callbacks.
    await new Promise((resolve) => setImmediate(resolve));
    this.#app.close();
  }

  #createApp(): TemplatedApp {
    const { tls } = this.#options;
    if (tls === null) return this.#uws.App();
    try {
      return this.#uws.SSLApp({ cert_file_name: tls.certFile, key_file_name: tls.keyFile });
    } catch (error) {
      throw new StartupError(
        `the certificate ${tls.certFile} and the key ${tls.keyFile} cannot be used`,
        'both must be PEM files, and belong to each other',
        error,
      );
    }
  }

  #connection(res: HttpResponse, change: number): void {
    this.#connections += change;
    if (change > 0 && this.#connections > this.#shared.bounds.connectionsMax) res.close();
  }

  #request(res: HttpResponse, req: HttpRequest): void {
    const headers = (this.#headers = new HeaderMap());
    this.#headerBytes = 0;
    req.forEach(this.#onHeader);
    const rawPath = req.getUrl();
    const rawQuery = (req.getQuery() as string | undefined) ?? '';
    const bodyLength = bodyLengthOf(headers);
    let handler: ExchangeHandler = this.#options.handler;
    if (typeof bodyLength === 'string') {
      handler = refuse(bodyLength === 'bad-length' ? 'InvalidContentLength' : 'UnsupportedTransferCoding');
    } else if (this.#headerBytes + rawPath.length + rawQuery.length > this.#shared.bounds.headerBlockBytesMax) {
      handler = refuse('RequestHeaderSectionTooLarge');
    }
    this.#activeRequests++;
    new UwsExchange(
      this.#shared,
      res,
      this.#ids.next(),
      methodOf(req.getCaseSensitiveMethod()),
      rawPath,
      rawQuery,
      headers,
      typeof bodyLength === 'string' ? null : bodyLength,
    ).start(handler);
  }

  #finished(): void {
    this.#activeRequests--;
    if (this.#activeRequests === 0) this.#onIdle?.();
  }

  #sweep(elapsedMs: number): void {
    this.#watched.visit((exchange) => exchange.sweep(elapsedMs));
  }
}

/** In upper case. Most are so already, and the change would cost a call out of JavaScript. */
function methodOf(sent: string): string {
  switch (sent) {
    case 'GET':
    case 'PUT':
    case 'HEAD':
    case 'POST':
    case 'DELETE':
      return sent;
    default:
      return sent.toUpperCase();
  }
}

function refuse(refusal: FrontRefusal): ExchangeHandler {
  return (request) => refusalAnswer(refusal, request.id, request.rawPath);
}
