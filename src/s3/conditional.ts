/** Conditional headers: what they ask, and whether an object satisfies it. Dates count in whole seconds. */
import { Refusal } from '../base/index.js';
import type { HeaderMap } from '../exchange/index.js';
import type { ObjectInfo, ObjectLayer, WritePrecondition } from '../object/index.js';
import { s3Error } from './errors.js';

type Validators = Pick<ObjectInfo, 'etag' | 'modifiedMs'>;

export interface ReadConditions {
  readonly ifMatch: readonly string[] | null;
  readonly ifNoneMatch: readonly string[] | null;
  readonly ifModifiedSinceMs: number | null;
  readonly ifUnmodifiedSinceMs: number | null;
}

export type ReadVerdict = 'proceed' | 'not-modified' | 'failed';

/** Null when the request has none, which is the usual case. */
export function parseReadConditions(headers: HeaderMap): ReadConditions | null {
  return parseConditions(headers, '');
}

/** x-amz-copy-source-if-*. */
export function parseSourceConditions(headers: HeaderMap): ReadConditions | null {
  return parseConditions(headers, 'x-amz-copy-source-');
}

/**
 * If-None-Match decides over If-Modified-Since, and If-Match over If-Unmodified-Since, when both are
 * sent (RFC 9110 §13.2.2); what would be "not modified" is answered before what would fail, as S3 does.
 */
export function judgeRead(conditions: ReadConditions, object: Validators): ReadVerdict {
  const modifiedMs = Math.floor(object.modifiedMs / 1000) * 1000;
  const { ifMatch, ifNoneMatch, ifModifiedSinceMs, ifUnmodifiedSinceMs } = conditions;
  if (ifNoneMatch !== null) {
    if (matches(ifNoneMatch, object.etag)) return 'not-modified';
  } else if (ifModifiedSinceMs !== null && modifiedMs <= ifModifiedSinceMs) {
    return 'not-modified';
  }
  if (ifMatch !== null) {
    if (!matches(ifMatch, object.etag)) return 'failed';
  } else if (ifUnmodifiedSinceMs !== null && modifiedMs > ifUnmodifiedSinceMs) {
    return 'failed';
  }
  return 'proceed';
}

/** If-Range: a range of what the client has a part of already, or the whole of what it is now. */
export function keepsRange(ifRange: string, object: Validators): boolean {
  const dateMs = parseHttpDate(ifRange.trim());
  if (dateMs !== null) return Math.floor(object.modifiedMs / 1000) * 1000 === dateMs;
  // A weak tag does not promise the same bytes.
  return !ifRange.trim().startsWith('W/') && matches(parseEntityTags(ifRange), object.etag);
}

/** Null when the write is unconditional. */
export function parseWritePrecondition(headers: HeaderMap): WritePrecondition | null {
  const ifMatch = headers.get('if-match');
  const ifNoneMatch = headers.get('if-none-match');
  if (ifMatch === undefined && ifNoneMatch === undefined) return null;
  return {
    ...(ifMatch === undefined ? {} : { ifMatch: parseEntityTags(ifMatch) }),
    ...(ifNoneMatch === undefined ? {} : { ifNoneMatch: parseEntityTags(ifNoneMatch) }),
  };
}

/**
 * A cheap answer before a body is read, for what is decided again at the commit.
 * Throws PreconditionFailed, NoSuchKey (If-Match on nothing), NoSuchBucket.
 */
export function checkPreconditionEarly(
  objects: ObjectLayer,
  bucket: string,
  key: string,
  precondition: WritePrecondition,
): void {
  const { ifMatch, ifNoneMatch } = precondition;
  const current = headOrNull(objects, bucket, key);
  if (ifMatch !== undefined) {
    if (current === null) throw s3Error('NoSuchKey');
    if (!matches(ifMatch, current.etag)) throw preconditionFailed('If-Match');
  }
  if (ifNoneMatch !== undefined && current !== null && matches(ifNoneMatch, current.etag)) {
    throw preconditionFailed('If-None-Match');
  }
}

export function preconditionFailed(condition: string): Refusal {
  return s3Error('PreconditionFailed', undefined, { Condition: condition });
}

/** Entity tags without quotes and weakness; `*` stays. Tags without quotes are taken as S3 takes them. */
export function parseEntityTags(text: string): string[] {
  return text
    .split(',')
    .map((tag) =>
      tag
        .trim()
        .replace(/^W\//, '')
        .replace(/^"(.*)"$/, '$1'),
    )
    .filter((tag) => tag !== '');
}

/** Milliseconds, or null for what is not a date of HTTP: such a condition is ignored. */
export function parseHttpDate(text: string): number | null {
  if (!/^[A-Za-z]{3,9},? .*[0-9]{2}:[0-9]{2}:[0-9]{2}.* (GMT|UTC|[0-9]{4})$/.test(text)) return null;
  // The asctime form names no zone: HTTP means UTC.
  const ms = Date.parse(/ (GMT|UTC)$/.test(text) ? text : `${text} GMT`);
  return Number.isNaN(ms) ? null : ms;
}

function parseConditions(headers: HeaderMap, prefix: string): ReadConditions | null {
  const ifMatch = headers.get(`${prefix}if-match`);
  const ifNoneMatch = headers.get(`${prefix}if-none-match`);
  const ifModifiedSince = headers.get(`${prefix}if-modified-since`);
  const ifUnmodifiedSince = headers.get(`${prefix}if-unmodified-since`);
  if ((ifMatch ?? ifNoneMatch ?? ifModifiedSince ?? ifUnmodifiedSince) === undefined) return null;
  return {
    ifMatch: ifMatch === undefined ? null : parseEntityTags(ifMatch),
    ifNoneMatch: ifNoneMatch === undefined ? null : parseEntityTags(ifNoneMatch),
    ifModifiedSinceMs: ifModifiedSince === undefined ? null : parseHttpDate(ifModifiedSince.trim()),
    ifUnmodifiedSinceMs: ifUnmodifiedSince === undefined ? null : parseHttpDate(ifUnmodifiedSince.trim()),
  };
}

function matches(tags: readonly string[], etag: string): boolean {
  return tags.some((tag) => tag === '*' || tag === etag);
}

function headOrNull(objects: ObjectLayer, bucket: string, key: string): ObjectInfo | null {
  try {
    return objects.head(bucket, key, '');
  } catch (error) {
    if (error instanceof Refusal && error.code === 'NoSuchKey') return null;
    throw error;
  }
}
