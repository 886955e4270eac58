/**
 * The pipeline every request of a protocol goes through: parse → authenticate → authorize → act → answer.
 * Main thread. It stays synchronous as long as the operation does: a small GET is answered in the
 * call that received it.
 */
import { createHash } from 'node:crypto';
import { limits, Refusal, type Clock } from '../base/index.js';
import {
  AllHeaders,
  AnswerInstead,
  SharedHeaders,
  requestIdHeader,
  type ExchangeHandler,
  type ExchangeRequest,
  type ExchangeResponse,
  type HeaderPairs,
  type Piece,
  type PieceSource,
  type ResponseBody,
} from '../exchange/index.js';
import type { Logger, RequestObserver, RequestRecord } from '../telemetry/index.js';
import type { Authenticated, AuthenticationHints } from './authenticate.js';
import type { IsAllowed } from './authorize.js';
import { ByteBudget } from './byte-budget.js';
import type { Service } from './operation.js';
import { Passage, type AuthenticateForm } from './passage.js';
import { withQueryHeaders } from './query-headers.js';
import { RefusalLog } from './refusal-log.js';
import { hostSuffixes, parseQueryMap, parseTarget, withForm } from './target.js';

export interface DispatcherOptions<Deps> {
  readonly service: Service<Deps>;
  /** `authenticate`, bound to its options. Throws SignatureRefusal. */
  readonly authenticate: (request: ExchangeRequest, hints: AuthenticationHints) => Authenticated;
  /** Bound likewise. Without it no form is accepted. */
  readonly authenticateForm?: AuthenticateForm;
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

export function createDispatcher<Deps>(options: DispatcherOptions<Deps>): ExchangeHandler {
  const dispatcher = new Dispatcher(options);
  return (request) => dispatcher.dispatch(request);
}

class Dispatcher<Deps> {
  readonly #options: DispatcherOptions<Deps>;
  readonly #hostSuffixes: readonly string[];
  readonly #shared: SharedHeaders;
  readonly #refusals: RefusalLog;
  readonly #budgets = {
    documents: new ByteBudget(limits.documentBytesMax),
    forms: new ByteBudget(limits.formBytesMax),
  };

  constructor(options: DispatcherOptions<Deps>) {
    this.#options = options;
    this.#hostSuffixes = hostSuffixes(options.domains);
    this.#shared = new SharedHeaders(commonHeaders(options));
    this.#refusals = new RefusalLog(options.log);
  }

  dispatch(request: ExchangeRequest): Promise<ExchangeResponse> | ExchangeResponse {
    const { observer, clock } = this.#options;
    const passage = new Passage(request, clock.monotonicMs());
    // The front cannot tell any more once the client has left.
    if (observer.wantsAddress === undefined || observer.wantsAddress()) passage.keepAddress();
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
    const { service } = this.#options;
    const { request } = passage;
    const query = parseQueryMap(request.rawQuery);
    const target = parseTarget(request, this.#hostSuffixes);
    passage.aim(withQueryHeaders(request, query), target, query);
    const { hostBucket } = target;
    if (service.formBytesMax === undefined) return this.#actOn(passage, request, { hostBucket });
    // Policies may ask for it once the form is there, when the client may have left.
    void request.remoteAddress;
    return passage.readForm(service.formBytesMax, this.#budgets).then((body) => {
      if (isForm(request)) passage.query = withForm(query, body);
      const bodySha256Hex = createHash('sha256').update(body).digest('hex');
      return this.#actOn(passage, request, { hostBucket, bodySha256Hex });
    });
  }

  /** `request`: as it was sent, which is what its signature is over. */
  #actOn(
    passage: Passage,
    request: ExchangeRequest,
    known: Omit<AuthenticationHints, 'anyRegion'>,
  ): Promise<ExchangeResponse> | ExchangeResponse {
    const { service, authenticate, authenticateForm = noForms, isAllowed } = this.#options;
    const operation = service.route(passage);
    passage.operation = operation.name;
    this.#options.observer.begun?.(operation.name, passage.bucket);
    const { hostBucket, bodySha256Hex } = known;
    const hints = { hostBucket, bodySha256Hex, anyRegion: operation.anyRegion === true };
    const authenticated = authenticate(request, hints);
    const call = passage.authorize(operation, authenticated, {
      isAllowed,
      authenticateForm,
      budgets: this.#budgets,
    });
    if (!(call instanceof Promise)) return operation.handle(service.deps, call);
    return call.then((authorized) => operation.handle(service.deps, authorized));
  }

  #refuse(passage: Passage, error: unknown): ExchangeResponse {
    const { service } = this.#options;
    const refusal = isRefusal(error) ? error : new Refusal('InternalError', undefined, undefined, error);
    passage.errorCode = refusal.code;
    const response = service.refuse(refusal, passage);
    // What went wrong on our side is said here, and nowhere but here.
    if (response.status >= 500 && response.status !== 501 && !passage.request.isAborted()) {
      this.#refusals.note(refusal, { requestId: passage.request.id, operation: passage.operation });
    }
    return response;
  }

  #answer(passage: Passage, response: ExchangeResponse): ExchangeResponse {
    const { request } = passage;
    passage.releasePayload();
    const head = this.#headOf(request, response);
    const body = response.body;
    const answeredMs = this.#options.clock.monotonicMs();
    if (body.kind !== 'stream') {
      const bytesSent = body.kind === 'bytes' ? body.bytes.length : 0;
      this.#observe(passage, head, bytesSent, answeredMs, answeredMs);
      return answerOf(head, body);
    }
    let sent = head;
    const source = countSource(
      body.source,
      (bytesSent) => {
        this.#observe(passage, sent, bytesSent, answeredMs, this.#options.clock.monotonicMs());
      },
      (error) => {
        const instead = this.#refuse(passage, error);
        sent = this.#headOf(request, instead);
        return new AnswerInstead(answerOf(sent, instead.body), error);
      },
    );
    return answerOf(head, { kind: 'stream', length: body.length, source });
  }

  #headOf({ id }: ExchangeRequest, { status, headers, shared, close }: ExchangeResponse): AnswerHead {
    const own: HeaderPairs = headers.length === 0 ? [[requestIdHeader, id]] : [[requestIdHeader, id], ...headers];
    return { status, headers: own, shared: shared === undefined ? this.#shared : shared.behind(this.#shared), close };
  }

  #observe(passage: Passage, head: AnswerHead, bytesSent: number, answeredMs: number, endedMs: number): void {
    const { request, startedMs } = passage;
    const { observer } = this.#options;
    const record: RequestRecord = {
      requestId: request.id,
      operation: passage.operation,
      bucket: passage.bucket,
      method: request.method,
      rawPath: request.rawPath,
      status: request.isAborted() ? 499 : head.status,
      errorCode: passage.errorCode,
      bytesReceived: passage.receivedBytes,
      bytesSent,
      durationMs: endedMs - startedMs,
      timeToFirstByteMs: answeredMs - startedMs,
      remoteAddress: passage.remoteAddress,
      accessKey: passage.accessKey,
      account: passage.account,
      claims: passage.claims,
      userAgent: request.headers.get('user-agent') ?? null,
    };
    observer.observe(record, request, new AllHeaders(head));
  }
}

function isForm({ headers }: ExchangeRequest): boolean {
  return /^application\/x-www-form-urlencoded\s*(;|$)/i.test(headers.get('content-type') ?? '');
}

type AnswerHead = Pick<ExchangeResponse, 'status' | 'headers'> & {
  readonly shared: SharedHeaders;
  readonly close: boolean | undefined;
};

/** By name: V8 gives what is spread a shape of its own each time, and every later look at it is slow. */
function answerOf({ status, headers, shared, close }: AnswerHead, body: ResponseBody): ExchangeResponse {
  return close === undefined ? { status, headers, shared, body } : { status, headers, shared, body, close };
}

const noForms: AuthenticateForm = () => {
  throw new Refusal('NotImplemented');
};

function isRefusal(error: unknown): error is Refusal {
  return error instanceof Refusal;
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

/** Tells how much of a body was handed over once it is over; what fails before the first piece is still answered. */
function countSource(
  source: PieceSource,
  onClose: (bytes: number) => void,
  answerInstead: (error: unknown) => AnswerInstead,
): PieceSource {
  let bytes = 0;
  let isFirst = true;
  let rewindCount = 0;
  const count = (piece: Piece | null, asked: number): Piece | null => {
    isFirst = false;
    if (asked === rewindCount) bytes += piece?.bytes.length ?? 0;
    return piece;
  };
  const fail = (error: unknown): never => {
    throw isFirst ? answerInstead(error) : error;
  };
  return {
    next() {
      try {
        const asked = rewindCount;
        const piece = source.next();
        return piece instanceof Promise ? piece.then((found) => count(found, asked), fail) : count(piece, asked);
      } catch (error) {
        return fail(error);
      }
    },
    close() {
      source.close();
      onClose(bytes);
    },
    ...(source.rewind !== undefined && {
      rewind(position: number) {
        bytes = position;
        rewindCount++;
        source.rewind?.(position);
      },
    }),
  };
}
