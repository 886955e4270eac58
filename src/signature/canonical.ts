/**
 * The canonical request of SigV4, from what the client sent. Pure text functions, each tested alone and
 * against the signers of other implementations.
 */
import { decodePath, encodeComponent, encodePath, type QueryPair } from './uri.js';

/**
 * ASCII white space only, as HTTP knows it: a no-break space within a value is text.
 * Matches at an end, where two meet, or where one is not a plain space.
 */
const untidyWhiteSpace = /^ | $| {2}|[\t\n\v\f\r]/;
const whiteSpaceRun = /[ \t\n\v\f\r]+/g;
const outerSpace = /^ | $/g;

/** S3 encodes the path once and never normalises it. */
export function canonicalPath(rawPath: string): string {
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

export interface CanonicalParts {
  readonly method: string;
  /** From `canonicalPath`. */
  readonly path: string;
  /** From `canonicalQuery`. */
  readonly query: string;
  /** Lower case, sorted, without duplicates. */
  readonly signedHeaders: readonly string[];
  /** Value of a signed header; duplicates joined with a comma. */
  readonly headerValue: (name: string) => string;
  readonly payloadHash: string;
}

export function canonicalRequest(parts: CanonicalParts): string {
  let headerLines = '';
  for (const name of parts.signedHeaders) {
    headerLines += name + ':' + canonicalHeaderValue(parts.headerValue(name)) + '\n';
  }
  return (
    `${parts.method}\n${parts.path}\n${parts.query}\n${headerLines}\n` +
    `${parts.signedHeaders.join(';')}\n${parts.payloadHash}`
  );
}
