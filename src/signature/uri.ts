/**
 * Percent-encoding as S3 signs it: unreserved characters `A-Za-z0-9-._~` stay, every other byte of the
 * UTF-8 text becomes `%XX` in upper case. What the client sent is decoded once and encoded again, so the
 * signed text and the name that the request is about always come from the same decoding.
 */
import { limits, Refusal } from '../base/index.js';

/** One query parameter, decoded. A parameter without `=` has an empty value. */
export type QueryPair = readonly [name: string, value: string];

const canonicalComponent = /^[A-Za-z0-9\-._~]*$/;
/** A path that its own encoding is. */
export const canonicalPathText = /^[A-Za-z0-9\-._~/]+$/;
/** What encodeURIComponent leaves alone but SigV4 does not. */
const sparedCharacter = /[!'()*]/g;
const encodedSlash = /%2F/g;

function invalidUri(): Refusal<'InvalidURI'> {
  return new Refusal('InvalidURI', "Couldn't parse the specified URI.");
}

function percentEncodeCharacter(character: string): string {
  return '%' + character.charCodeAt(0).toString(16).toUpperCase();
}

/** Encodes a name or a value of the canonical query; `/` is encoded too. */
export function encodeComponent(text: string): string {
  if (canonicalComponent.test(text)) return text;
  try {
    return encodeURIComponent(text).replace(sparedCharacter, percentEncodeCharacter);
  } catch {
    // A lone surrogate has no UTF-8 form.
    throw invalidUri();
  }
}

/** Encodes a decoded path for the canonical request: as `encodeComponent`, but `/` stays. */
export function encodePath(path: string): string {
  if (canonicalPathText.test(path)) return path;
  // A literal percent sign has become %25 by then, so %2F can only stem from a slash.
  return encodeComponent(path).replace(encodedSlash, '/');
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    // A broken escape, or bytes that are not UTF-8.
    throw invalidUri();
  }
}

/**
 * Decodes a path as sent. Nothing is collapsed: `//`, `.` and `..` are ordinary text of a key, and a plus
 * sign is a plus sign. Refuses broken escapes, bytes that are not UTF-8, and NUL.
 */
export function decodePath(rawPath: string): string {
  const path = rawPath.includes('%') ? decode(rawPath) : rawPath;
  if (path.includes('\0')) throw invalidUri();
  return path;
}

function decodeQueryText(text: string): string {
  const spaced = text.includes('+') ? text.replaceAll('+', ' ') : text;
  return spaced.includes('%') ? decode(spaced) : spaced;
}

/**
 * Decodes a query as sent, in order, repeated names kept. In a query a plus sign is a space, as S3 reads it.
 * Refuses broken escapes, bytes that are not UTF-8, and more than `limits.queryPairsMax` parameters.
 */
export function parseQuery(rawQuery: string): QueryPair[] {
  const pairs: QueryPair[] = [];
  if (rawQuery === '') return pairs;
  let start = 0;
  while (start <= rawQuery.length) {
    let end = rawQuery.indexOf('&', start);
    if (end === -1) end = rawQuery.length;
    if (end > start) {
      if (pairs.length === limits.queryPairsMax) {
        throw new Refusal('InvalidURI', `The query has more than ${limits.queryPairsMax} parameters.`);
      }
      const text = rawQuery.slice(start, end);
      const equals = text.indexOf('=');
      pairs.push(
        equals === -1
          ? [decodeQueryText(text), '']
          : [decodeQueryText(text.slice(0, equals)), decodeQueryText(text.slice(equals + 1))],
      );
    }
    start = end + 1;
  }
  return pairs;
}
