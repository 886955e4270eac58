/**
 * One HTTP request to a provider of identity: bounded in time and in bytes, whatever the other side does. It
 * rejects with `ProviderFault` alone, whose text names the host and the cause and never what was sent or came.
 */
import { Agent as HttpAgent, request as httpRequest, type IncomingMessage, type RequestOptions } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { rootCertificates } from 'node:tls';
import { Deadline, limits } from '../../base/index.js';

export interface BoundedRequest {
  readonly method?: 'GET' | 'POST' | 'HEAD';
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
  /** From the look-up of the name to the last byte of the answer. */
  readonly timeoutMs?: number;
  readonly bytesMax?: number;
  /** Same scheme and same host only, and never with a body; 0 when omitted. */
  readonly redirectsMax?: number;
  readonly signal?: AbortSignal;
  /** PEM certificates that are trusted beside those of the system. */
  readonly authorities?: readonly string[];
}

export interface BoundedResponse {
  readonly status: number;
  /** Lower-case names; of several of one name, joined by commas. */
  readonly headers: ReadonlyMap<string, string>;
  readonly body: Buffer;
}

export type BoundedFetch = (url: string, request?: BoundedRequest) => Promise<BoundedResponse>;

/** The provider did not answer, or not with what can be used. */
export class ProviderFault extends Error {
  constructor(
    readonly host: string,
    /** Without a dot at the end: `did not answer within 10 s`. */
    readonly reason: string,
    cause?: unknown,
  ) {
    super(`${host} ${reason}`, { cause });
    this.name = 'ProviderFault';
  }
}

const { timeoutMs: timeoutMsDefault, bytesMax: bytesMaxDefault, socketsMax, idleMs } = limits.providerHttp;

const plainAgent = new HttpAgent({ keepAlive: true, maxSockets: socketsMax, timeout: idleMs });
/** By the authorities they trust: one list per server, as a rule. */
const secureAgents = new WeakMap<readonly string[], HttpsAgent>();
const systemTrust: readonly string[] = [];

export async function boundedFetch(url: string, request: BoundedRequest = {}): Promise<BoundedResponse> {
  if (!URL.canParse(url)) throw new ProviderFault('the provider', 'is named by something that is not a URL');
  const deadline = new Deadline(request.timeoutMs ?? timeoutMsDefault, request.signal);
  try {
    return await follow(new URL(url), request, deadline);
  } finally {
    deadline.clear();
  }
}

async function follow(url: URL, request: BoundedRequest, deadline: Deadline): Promise<BoundedResponse> {
  let target = url;
  for (let redirects = request.redirectsMax ?? 0; ; redirects--) {
    const answer = await exchange(target, request, deadline);
    const location = answer.headers.get('location');
    if (answer.status < 300 || answer.status > 399 || answer.status === 304 || location === undefined) return answer;
    const next = URL.canParse(location, target.href) ? new URL(location, target) : null;
    const isSame = next !== null && next.protocol === target.protocol && next.host === target.host;
    if (!isSame) throw new ProviderFault(target.host, 'redirects to another scheme or host, which is not followed');
    if (redirects <= 0 || request.body !== undefined) {
      throw new ProviderFault(target.host, `redirects to ${next.pathname}, which is not followed`);
    }
    target = next;
  }
}

function exchange(url: URL, request: BoundedRequest, deadline: Deadline): Promise<BoundedResponse> {
  const { method = 'GET', headers = {}, body, bytesMax = bytesMaxDefault } = request;
  const isSecure = url.protocol === 'https:';
  if (!isSecure && url.protocol !== 'http:') {
    throw new ProviderFault(url.host, 'is named with a scheme other than http and https');
  }
  const options: RequestOptions = {
    method,
    agent: isSecure ? secureAgent(request.authorities ?? systemTrust) : plainAgent,
    headers: {
      accept: 'application/json',
      'user-agent': 'granary',
      ...headers,
      ...(body !== undefined && { 'content-length': Buffer.byteLength(body) }),
    },
    signal: deadline.signal,
  };
  return new Promise((resolve, reject) => {
    const fail = (cause: unknown): void => {
      reject(
        cause instanceof ProviderFault ? cause : new ProviderFault(url.host, reasonOf(cause, request, deadline), cause),
      );
    };
    try {
      const sent = (isSecure ? httpsRequest : httpRequest)(url, options, (response) => {
        collect(response, bytesMax, url.host).then(resolve, (error: unknown) => {
          sent.destroy();
          fail(error);
        });
      });
      sent.on('error', (error) => {
        // A kept connection that the other side closed meanwhile says nothing about whether it is there.
        if (sent.reusedSocket && codeOf(error) === 'ECONNRESET') resolve(exchange(url, request, deadline));
        else fail(error);
      });
      sent.end(body);
    } catch (error) {
      // What cannot be sent, such as a header with a line break.
      fail(error);
    }
  });
}

async function collect(response: IncomingMessage, bytesMax: number, host: string): Promise<BoundedResponse> {
  const tooLarge = (): ProviderFault => new ProviderFault(host, `answered with more than ${bytesMax} bytes`);
  if (Number(response.headers['content-length'] ?? 0) > bytesMax) throw tooLarge();
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > bytesMax) throw tooLarge();
    chunks.push(chunk);
  }
  const headers = new Map(
    Object.entries(response.headers).map(([name, value]) => [
      name,
      Array.isArray(value) ? value.join(', ') : (value ?? ''),
    ]),
  );
  return { status: response.statusCode ?? 0, headers, body: Buffer.concat(chunks, bytes) };
}

function secureAgent(authorities: readonly string[]): HttpsAgent {
  const known = secureAgents.get(authorities);
  if (known !== undefined) return known;
  const agent = new HttpsAgent({
    ...{ keepAlive: true, maxSockets: socketsMax, timeout: idleMs, minVersion: 'TLSv1.2' },
    ...(authorities.length > 0 && { ca: [...rootCertificates, ...authorities] }),
  });
  secureAgents.set(authorities, agent);
  return agent;
}

const reasons: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'refuses connections',
  ECONNRESET: 'closed the connection',
  EHOSTUNREACH: 'cannot be reached',
  ENETUNREACH: 'cannot be reached',
  ENOTFOUND: 'has a name that cannot be resolved',
  EAI_AGAIN: 'has a name that cannot be resolved now',
  EPROTO: 'does not speak TLS as it should',
};

function reasonOf(cause: unknown, { timeoutMs = timeoutMsDefault }: BoundedRequest, deadline: Deadline): string {
  if (deadline.isOver) return `did not answer within ${timeoutMs / 1000} s`;
  if (deadline.signal.aborted) return 'was not waited for any longer';
  const code = codeOf(cause);
  const known = reasons[code];
  if (known !== undefined) return known;
  if (code.startsWith('HPE_')) return 'does not speak HTTP';
  if (/CERT|SSL|TLS|SELF_SIGNED|ISSUER|VERIFY/.test(code)) return `has a certificate that is not trusted (${code})`;
  return code === '' ? 'could not be asked' : `could not be asked (${code})`;
}

/** Several addresses of one name fail together, each with its own error. */
function codeOf(cause: unknown): string {
  const first: unknown = cause instanceof AggregateError ? cause.errors[0] : cause;
  const code = first instanceof Error && 'code' in first ? first.code : undefined;
  return typeof code === 'string' ? code : '';
}
