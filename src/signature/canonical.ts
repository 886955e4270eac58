/**
 * The canonical request of SigV4, from what the client sent. Pure text functions, each tested alone and
 * against the signers of other implementations.
 */
import { canonicalPathText, decodePath, encodeComponent, encodePath, type QueryPair } from './uri.js';

/**
 * ASCII white space only, as HTTP knows it: a no-break space within a value is text.
 * Matches at an end, where two meet, or where one is not a plain space.
 */
const untidyWhiteSpace = /^ | $| {2}|[\t\n\v\f\r]/;
const whiteSpaceRun = /[ \t\n\v\f\r]+/g;
const outerSpace = /^ | $/g;

/** S3 encodes the path once and never normalises it. */
export function canonicalPath(rawPath: string): string {
  // The usual one is what it would be made into.
  if (canonicalPathText.test(rawPath)) return rawPath;
  return rawPath === '' ? '/' : encodePath(decodePath(rawPath));
}

function compareEncoded(a: QueryPair, b: QueryPair): number {
  if (a[0] !== b[0]) return a[0] < b[0] ? -1 : 1;
  return a[1] === b[1] ? 0 : a[1] < b[1] ? -1 : 1;
}

/** Sorted by encoded name, then by encoded value; `omittedName` is left out wherever it stands. */
export function canonicalQuery(pairs: readonly QueryPair[], omittedName?: string): string {
  const encoded: QueryPair[] = [];
  for (const [name, value] of pairs) {
    if (name !== omittedName) encoded.push([encodeComponent(name), encodeComponent(value)]);
  }
  if (encoded.length > 1) encoded.sort(compareEncoded);
  let text = '';
  for (const [name, value] of encoded) text += (text === '' ? '' : '&') + name + '=' + value;
  return text;
}

/** Trimmed, inner white space runs collapsed to one space. */
export function canonicalHeaderValue(value: string): string {
  return untidyWhiteSpace.test(value) ? value.replace(whiteSpaceRun, ' ').replace(outerSpace, '') : value;
}

export function canonicalHeaderLine(name: string, value: string): string {
  return `${name}:${canonicalHeaderValue(value)}\n`;
}

/**
 * Lines and names of the signed headers. `names`: lower case, sorted, without duplicates. `valueOf`: of a signed header;
 * duplicates joined with a comma.
 */
export function canonicalHeaders(names: readonly string[], valueOf: (name: string) => string): string {
  let lines = '';
  for (const name of names) lines += canonicalHeaderLine(name, valueOf(name));
  return `${lines}\n${names.join(';')}`;
}

export interface CanonicalParts {
  readonly method: string;
  /** From `canonicalPath`. */
  readonly path: string;
  /** From `canonicalQuery`. */
  readonly query: string;
  /** From `canonicalHeaders`. */
  readonly headers: string;
  readonly payloadHash: string;
}

export function canonicalRequest({ method, path, query, headers, payloadHash }: CanonicalParts): string {
  return `${method}\n${path}\n${query}\n${headers}\n${payloadHash}`;
}
