/**
 * The pipeline every request of a protocol goes through: parse → authenticate → authorize → act → answer.
 * Main thread. It stays synchronous as long as the operation does: a small GET is answered in the
 * call that received it.
 */
import { limits, Refusal, type Clock } from '../base/index.js';
import type {
  ExchangeHandler,
  ExchangeRequest,
  ExchangeResponse,
  HeaderPairs,
  PieceSource,
} from '../exchange/index.js';
import type { Logger, RequestObserver } from '../telemetry/index.js';
import type { Authenticated } from './authenticate.js';
import type { IsAllowed } from './authorize.js';
import { ByteBudget } from './byte-budget.js';
import type { Authorized, OperationSpec, ParsedCall, Permission, Service } from './operation.js';
import { Payload } from './payload.js';
import { withQueryHeaders } from './query-headers.js';
import { hostSuffixes, parseQueryMap, parseTarget } from './target.js';

export interface DispatcherOptions<Deps> {
  readonly service: Service<Deps>;
  /** `authenticate`, bound to its options. Throws SignatureRefusal. */
  readonly authenticate: (request: ExchangeRequest) => Authenticated;
  readonly isAllowed: IsAllowed;
  readonly observer: RequestObserver;
  readonly log: Logger;
  readonly clock: Clock;
  /** Empty: none is announced. */
  readonly region: string;
  /** x-amz-id-2. */
  readonly hostId: string;
  /** Base names for virtual-host style. */
  readonly domains: readonly string[];
}

/** What becomes known about a request on its way; for its answer and its record. */
interface Passage {
  readonly request: ExchangeRequest;
  readonly startedMs: number;
  call: Pick<ParsedCall, 'request' | 'bucket' | 'key'>;
  operation: string | null;
  accessKey: string | null;
  payload: Payload | null;
  errorCode: string | null;
}

export function createDispatcher<Deps>(options: DispatcherOptions<Deps>): ExchangeHandler {
  const dispatcher = new Dispatcher(options);
  return (request) => dispatcher.dispatch(request);
}

class Dispatcher<Deps> {
  readonly #options: DispatcherOptions<Deps>;
  readonly #hostSuffixes: readonly string[];
  readonly #headers: HeaderPairs;
  readonly #documentBudget = new ByteBudget(limits.documentBytesMax);

  constructor(options: DispatcherOptions<Deps>) {
    this.#options = options;
    this.#hostSuffixes = hostSuffixes(options.domains);
    this.#headers = commonHeaders(options);
  }

  dispatch(request: ExchangeRequest): Promise<ExchangeResponse> | ExchangeResponse {
    const passage: Passage = {
      request,
      startedMs: this.#options.clock.monotonicMs(),
      call: { request, bucket: '', key: '' },
      operation: null,
      accessKey: null,
      payload: null,
      errorCode: null,
    };
    try {
      const outcome = this.#act(passage);
      if (!(outcome instanceof Promise)) return this.#answer(passage, outcome);
      return outcome.then(
        (response) => this.#answer(passage, response),
        (error: unknown) => this.#answer(passage, this.#refuse(passage, error)),
      );
    } catch (error) {
      return this.#answer(passage, this.#refuse(passage, error));
    }
  }

  #act(passage: Passage): Promise<ExchangeResponse> | ExchangeResponse {
    const { service, authenticate, isAllowed } = this.#options;
    const { request } = passage;
    const { bucket, key } = parseTarget(request, this.#hostSuffixes);
    const query = parseQueryMap(request.rawQuery);
    const call: ParsedCall = { request: withQueryHeaders(request, query), bucket, key, query };
    passage.call = call;
    const operation = service.route(call);
    passage.operation = operation.name;
    const { principal, authentication } = authenticate(request);
    passage.accessKey = authentication.kind === 'anonymous' ? null : authentication.accessKey;
    const allows = (permission: Permission): boolean => isAllowed(principal, permission) === true;
    const input = authorize(operation, call, allows);
    passage.payload = new Payload(request, authentication.payload, this.#documentBudget);
    const authorized = { ...call, input, principal, authentication, payload: passage.payload, isAllowed: allows };
    return operation.handle(service.deps, authorized as Authorized<unknown>);
  }

  #refuse(passage: Passage, error: unknown): ExchangeResponse {
    const { service, log } = this.#options;
    const refusal = isRefusal(error) ? error : new Refusal('InternalError', undefined, undefined, error);
    passage.errorCode = refusal.code;
    const response = service.refuse(refusal, passage.call);
    // What went wrong on our side is said here, and nowhere but here.
    if (response.status >= 500 && response.status !== 501 && !passage.request.isAborted()) {
      const fields = { requestId: passage.request.id, operation: passage.operation, code: refusal.code };
      if (refusal.cause !== undefined || refusal.code === 'InternalError') {
        log.error('request failed', { ...fields, err: refusal.cause ?? refusal });
      } else {
        log.warn('request refused', fields);
      }
    }
    return response;
  }

  #answer(passage: Passage, response: ExchangeResponse): ExchangeResponse {
    const { request } = passage;
    passage.payload?.release();
    const headers: HeaderPairs = [...this.#headers, ['x-amz-request-id', request.id], ...response.headers];
    const body = response.body;
    const answeredMs = this.#options.clock.monotonicMs();
    if (body.kind !== 'stream') {
      this.#observe(passage, response.status, body.kind === 'bytes' ? body.bytes.length : 0, answeredMs);
      return { ...response, headers };
    }
    const source = countSource(body.source, (bytesSent) => {
      this.#observe(passage, response.status, bytesSent, answeredMs);
    });
    return { ...response, headers, body: { kind: 'stream', length: body.length, source } };
  }

  #observe(passage: Passage, status: number, bytesSent: number, answeredMs: number): void {
    const { request, startedMs } = passage;
    const { observer, clock } = this.#options;
    observer.observe({
      requestId: request.id,
      operation: passage.operation,
      method: request.method,
      rawPath: request.rawPath,
      status: request.isAborted() ? 499 : status,
      errorCode: passage.errorCode,
      bytesReceived: passage.payload?.receivedBytes ?? 0,
      bytesSent,
      durationMs: clock.monotonicMs() - startedMs,
      timeToFirstByteMs: answeredMs - startedMs,
      remoteAddress: request.remoteAddress,
      accessKey: passage.accessKey,
      userAgent: request.headers.get('user-agent') ?? null,
    });
  }
}

function isRefusal(error: unknown): error is Refusal {
  return error instanceof Refusal;
}

/** The input of an operation, once everything it needs is allowed. */
function authorize<Input, Deps>(
  operation: OperationSpec<Input, Deps>,
  call: ParsedCall,
  allows: (permission: Permission) => boolean,
): Input {
  const input = operation.parse(call);
  for (const permission of operation.permissions(call, input)) {
    if (!allows(permission)) throw new Refusal('AccessDenied');
  }
  return input;
}

function commonHeaders({ region, hostId }: { region: string; hostId: string }): HeaderPairs {
  const headers: [string, string][] = [
    ['x-amz-id-2', hostId],
    ['Accept-Ranges', 'bytes'],
    ['X-Content-Type-Options', 'nosniff'],
    ['X-XSS-Protection', '1; mode=block'],
    ['Strict-Transport-Security', 'max-age=31536000; includeSubDomains'],
    ['Vary', 'Origin'],
  ];
  if (region !== '') headers.push(['x-amz-bucket-region', region]);
  return headers;
}

/** Tells how much of a body was handed over once it is over. */
function countSource(source: PieceSource, onClose: (bytes: number) => void): PieceSource {
  let bytes = 0;
  return {
    next() {
      const piece = source.next();
      if (piece instanceof Promise) {
        return piece.then((later) => {
          bytes += later?.bytes.length ?? 0;
          return later;
        });
      }
      bytes += piece?.bytes.length ?? 0;
      return piece;
    },
    close() {
      source.close();
      onClose(bytes);
    },
  };
}
