/** The login with a browser as a handler of requests, on the port of S3. */
import { systemClock } from '../base/index.js';
import { createLoginService, isLoginRequest, type AssumeRequest, type LoginServiceOptions } from '../console/index.js';
import { bucketOfHost, hostSuffixes } from '../dispatch/index.js';
import { HeaderMap, type BodySource, type ExchangeHandler, type ExchangeRequest } from '../exchange/index.js';
import { boundedFetch, type Iam } from '../identity/index.js';
import { readAnswer } from '../sts/index.js';

export interface ConsoleHandlerOptions extends Omit<LoginServiceOptions, 'assume' | 'endSession' | 'clock' | 'fetch'> {
  readonly iam: Pick<Iam, 'removeAccessKey'>;
  /** The security token service, as clients reach it. */
  readonly sts: ExchangeHandler;
  readonly domains: readonly string[];
  /** PEM certificates that are trusted beside those of the system. */
  readonly authorities: readonly string[];
}

export interface ConsoleHandler {
  /** Nothing while there is nobody to sign in with: the paths belong to S3 then. */
  isFor(request: ExchangeRequest): boolean;
  readonly handle: ExchangeHandler;
}

export function createConsoleHandler(options: ConsoleHandlerOptions): ConsoleHandler {
  const { iam, sts, domains, authorities, ...parts } = options;
  const suffixes = hostSuffixes(domains);
  return {
    isFor: (request) =>
      parts.providers.length > 0 &&
      isLoginRequest(request) &&
      bucketOfHost(request.headers.get('host') ?? '', suffixes) === null,
    handle: createLoginService({
      ...parts,
      clock: systemClock,
      fetch: async (url, { method, headers, body }) => {
        const answer = await boundedFetch(url, {
          method: method === 'POST' ? 'POST' : 'GET',
          headers,
          authorities,
          // A form is all that a login sends.
          ...(body instanceof URLSearchParams && { body: body.toString() }),
        });
        return new Response(new Uint8Array(answer.body), { status: answer.status, headers: [...answer.headers] });
      },
      endSession: (accessKey) => iam.removeAccessKey(accessKey),
      assume: async (parameters, request) => readAnswer(await sts(stsRequest(parameters, request))),
    }),
  };
}

/** Checks, audit and traces are those of every client's call. */
function stsRequest(parameters: ReadonlyMap<string, string>, { id, ...of }: AssumeRequest): ExchangeRequest {
  const form = new URLSearchParams([['Action', 'AssumeRoleWithWebIdentity'], ['Version', '2011-06-15'], ...parameters]);
  const bytes = Buffer.from(form.toString(), 'utf8');
  return {
    id,
    method: 'POST',
    rawPath: '/',
    rawQuery: '',
    headers: HeaderMap.from([
      ['Content-Type', 'application/x-www-form-urlencoded'],
      ['Content-Length', String(bytes.length)],
      ['User-Agent', of.userAgent],
    ]),
    remoteAddress: of.remoteAddress,
    secure: of.secure,
    body: bodyOf(bytes),
    // Once asked for, the credentials are made: a browser that leaves does not know of them, and they end by themselves.
    isAborted: () => false,
    onAborted: () => undefined,
  };
}

function bodyOf(bytes: Uint8Array): BodySource {
  return {
    declaredBytes: bytes.length,
    consume: (sink) => {
      sink.chunk(bytes, true);
    },
    pause: () => undefined,
    resume: () => undefined,
  };
}
