/**
 * Whether pages of other origins may use the S3 interface: the setting `api cors_allow_origin`. Browsers ask
 * first, without credentials, and then look at the answer's headers.
 */
import type { ExchangeHandler, ExchangeRequest, ExchangeResponse, HeaderPairs } from '../exchange/index.js';

const methods = 'GET, PUT, HEAD, POST, DELETE, PATCH';
/** What clients in a page read beside what browsers show them anyway. */
const exposed =
  'Date, ETag, Server, Connection, Accept-Ranges, Content-Range, Content-Encoding, Content-Length, Content-Type, ' +
  'Content-Disposition, Last-Modified, Content-Language, Cache-Control, Retry-After, X-Amz-Bucket-Region, Expires, ' +
  'x-amz-request-id, x-amz-id-2, x-amz-version-id, x-amz-delete-marker, x-amz-expiration, *';
const maxAgeSeconds = '600';
const headerListCharsMax = 4096;

export function withCors(handler: ExchangeHandler, origins: () => readonly string[]): ExchangeHandler {
  return (request) => {
    const origin = request.headers.get('origin');
    if (origin === undefined) return handler(request);
    const headers = headersFor(origin, origins());
    if (isPreflight(request)) return preflightAnswer(request, headers);
    if (headers.length === 0) return handler(request);
    const response = handler(request);
    return response instanceof Promise ? response.then((answer) => added(answer, headers)) : added(response, headers);
  };
}

/** Empty: pages of this origin may not read anything. */
function headersFor(origin: string, patterns: readonly string[]): HeaderPairs {
  const lower = origin.toLowerCase();
  if (patterns.includes('*')) {
    // For any origin, never with what the browser would add by itself.
    return [
      ['Access-Control-Allow-Origin', '*'],
      ['Access-Control-Expose-Headers', exposed],
    ];
  }
  if (!patterns.some((pattern) => matches(lower, pattern)) || !/^[\x21-\x7e]{1,512}$/.test(origin)) return [];
  return [
    ['Access-Control-Allow-Origin', origin],
    ['Access-Control-Allow-Credentials', 'true'],
    ['Access-Control-Expose-Headers', exposed],
  ];
}

/** `*` stands for any text, as in `https://*.example.org`. */
function matches(origin: string, pattern: string): boolean {
  const [head = '', ...rest] = pattern.split('*');
  if (rest.length === 0) return origin === pattern;
  if (!origin.startsWith(head)) return false;
  let at = head.length;
  const tail = rest.pop() ?? '';
  for (const middle of rest) {
    const found = origin.indexOf(middle, at);
    if (found < 0) return false;
    at = found + middle.length;
  }
  return origin.length - tail.length >= at && origin.endsWith(tail);
}

function isPreflight(request: ExchangeRequest): boolean {
  return request.method === 'OPTIONS' && request.headers.has('access-control-request-method');
}

function preflightAnswer(request: ExchangeRequest, allowed: HeaderPairs): ExchangeResponse {
  const asked = request.headers.get('access-control-request-headers') ?? '';
  const isList = asked.length <= headerListCharsMax && /^[\w!#$%&'*+.^`|~, -]*$/.test(asked);
  const headers: (readonly [string, string])[] = [
    ['Vary', 'Origin, Access-Control-Request-Method, Access-Control-Request-Headers'],
    ['x-amz-request-id', request.id],
  ];
  if (allowed.length > 0) {
    headers.push(...allowed.filter(([name]) => name !== 'Access-Control-Expose-Headers'));
    headers.push(['Access-Control-Allow-Methods', methods], ['Access-Control-Max-Age', maxAgeSeconds]);
    if (asked !== '' && isList) headers.push(['Access-Control-Allow-Headers', asked]);
  }
  return { status: 204, headers, body: { kind: 'empty' } };
}

function added(response: ExchangeResponse, headers: HeaderPairs): ExchangeResponse {
  return { ...response, headers: [...response.headers, ...headers] };
}
