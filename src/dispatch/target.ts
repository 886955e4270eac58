/**
 * Which bucket and key a request is about. Keys are taken as they are: `..`, `//` and a leading slash
 * are ordinary text of a name. What no name may hold (NUL, bytes that are not UTF-8) is refused by the
 * decoding, which is the one that the signature is computed over.
 */
import { limits, Refusal } from '../base/index.js';
import type { ExchangeRequest } from '../exchange/index.js';
import { decodePath, parseQuery } from '../signature/index.js';

export interface Target {
  readonly bucket: string;
  readonly key: string;
  /** The bucket when the Host header names it (virtual-host style), else empty. */
  readonly hostBucket: string;
}

/** Base names for virtual-host style requests, as `parseTarget` wants them: lower case, with a dot in front. */
export function hostSuffixes(domains: readonly string[]): string[] {
  return domains.map((domain) => `.${domain.toLowerCase()}`);
}

/** Throws InvalidURI, KeyTooLongError. */
export function parseTarget(
  request: Pick<ExchangeRequest, 'rawPath' | 'headers'>,
  suffixes: readonly string[],
): Target {
  const path = decodePath(request.rawPath);
  if (!path.startsWith('/')) throw new Refusal('InvalidURI');
  const hostBucket = suffixes.length === 0 ? null : bucketOfHost(request.headers.get('host') ?? '', suffixes);
  if (hostBucket !== null) return { bucket: hostBucket, key: checkKey(path.slice(1)), hostBucket };
  // Some clients double the slash of the root.
  if (path === '/' || path === '//') return { bucket: '', key: '', hostBucket: '' };
  const slash = path.indexOf('/', 1);
  if (slash === -1) return { bucket: path.slice(1), key: '', hostBucket: '' };
  return { bucket: path.slice(1, slash), key: checkKey(path.slice(slash + 1)), hostBucket: '' };
}

/** The first value of a repeated name. Throws InvalidURI. */
export function parseQueryMap(rawQuery: string): ReadonlyMap<string, string> {
  if (rawQuery === '') return noQuery;
  const query = new Map<string, string>();
  for (const [name, value] of parseQuery(rawQuery)) {
    if (!query.has(name)) query.set(name, value);
  }
  return query;
}

/** Parameters of the query, and the fields of a form that it does not have. Throws InvalidURI. */
export function withForm(query: ReadonlyMap<string, string>, form: Uint8Array): ReadonlyMap<string, string> {
  return new Map([...parseQueryMap(Buffer.from(form).toString('utf8').trim()), ...query]);
}

export const noQuery: ReadonlyMap<string, string> = new Map();

/** Null: the Host header names none. */
export function bucketOfHost(host: string, suffixes: readonly string[]): string | null {
  const name = host.replace(/:[0-9]*$/, '').toLowerCase();
  for (const suffix of suffixes) {
    if (name.endsWith(suffix) && name.length > suffix.length) return name.slice(0, -suffix.length);
  }
  return null;
}

function checkKey(key: string): string {
  // A UTF-16 unit is at most three bytes of UTF-8.
  if (key.length * 3 > limits.keyBytesMax && Buffer.byteLength(key) > limits.keyBytesMax) {
    throw new Refusal('KeyTooLongError');
  }
  return key;
}
