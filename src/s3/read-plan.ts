/** What GET and HEAD have in common: which bytes, with which status and headers. */
import type { Authorized, ParsedCall } from '../dispatch/index.js';
import type { HeaderPairs } from '../exchange/index.js';
import { Refusal } from '../base/index.js';
import type { ObjectInfo, ObjectSnapshot } from '../object/index.js';
import { judgeRead, keepsRange, parseReadConditions, type ReadConditions } from './conditional.js';
import { AnswerRefusal, s3Error } from './errors.js';
import { refuseUnsupportedRead } from './metadata.js';
import { cacheHeaders, checksumHeaders, noOverrides, objectHeaders } from './object-headers.js';
import { parsePartNumber, parseVersionId } from './parameters.js';
import { resolveRange, type ByteRange } from './range.js';

export interface ReadInput {
  readonly versionId: string;
  readonly range: string | null;
  readonly ifRange: string | null;
  readonly partNumber: number | null;
  readonly conditions: ReadConditions | null;
  readonly wantsChecksum: boolean;
  /** response-* of the query, by the header they replace. */
  readonly overrides: ReadonlyMap<string, string>;
}

export interface ReadPlan extends ByteRange {
  readonly status: 200 | 206 | 304;
  readonly headers: HeaderPairs;
}

/** Asks for nothing but the object as it is. */
export function isPlainRead({ range, partNumber, conditions, wantsChecksum, overrides }: ReadInput): boolean {
  return range === null && partNumber === null && conditions === null && !wantsChecksum && overrides.size === 0;
}

const overrideParameters = [
  'response-cache-control',
  'response-content-disposition',
  'response-content-encoding',
  'response-content-language',
  'response-content-type',
  'response-expires',
] as const;

export function parseRead(call: ParsedCall): ReadInput {
  const { request, query } = call;
  const { headers } = request;
  refuseUnsupportedRead(headers);
  const range = headers.get('range') ?? null;
  const partNumber = query.get('partNumber');
  if (range !== null && partNumber !== undefined) {
    throw s3Error('InvalidRequest', 'Cannot specify both Range header and partNumber query parameter');
  }
  return {
    versionId: parseVersionId(call),
    range,
    ifRange: headers.get('if-range') ?? null,
    partNumber: partNumber === undefined ? null : parsePartNumber(partNumber),
    conditions: parseReadConditions(headers),
    wantsChecksum: headers.get('x-amz-checksum-mode')?.toUpperCase() === 'ENABLED',
    overrides: query.size === 0 ? noOverrides : parseOverrides(query),
  };
}

export const readPermissions = ({ bucket, key }: ParsedCall, { versionId }: ReadInput) => [
  { action: versionId === '' ? 's3:GetObject' : 's3:GetObjectVersion', bucket, key },
];

/** Whoever may not list a bucket does not learn which keys it lacks; overrides are for signed requests. */
export function checkReadCall(call: Authorized<ReadInput>): void {
  if (call.input.overrides.size > 0 && call.authentication.kind === 'anonymous') {
    throw s3Error('InvalidRequest', 'Request specific response headers cannot be used for anonymous GET requests.');
  }
}

/** Refuses with AccessDenied instead of NoSuchKey for callers that may not list the bucket; else with the error. */
export async function hideAbsence(call: Authorized<ReadInput>, error: unknown): Promise<never> {
  const isAbsence = error instanceof Refusal && error.code === 'NoSuchKey';
  if (isAbsence && !(await call.isAllowed({ action: 's3:ListBucket', bucket: call.bucket, key: '' }))) {
    throw s3Error('AccessDenied');
  }
  throw error;
}

/**
 * `part` finds a part of the object; null stands for an object whose parts were not asked for.
 * Throws PreconditionFailed, InvalidRange, InvalidPartNumber.
 */
export function planRead(info: ObjectInfo, input: ReadInput, part: ObjectSnapshot['part'] | null): ReadPlan {
  if (input.conditions !== null) {
    const verdict = judgeRead(input.conditions, info);
    if (verdict === 'not-modified') return { status: 304, headers: cacheHeaders(info), startByte: 0, endByte: 0 };
    if (verdict === 'failed') throw new AnswerRefusal('PreconditionFailed', cacheHeaders(info));
  }
  const headers = objectHeaders(info, input.overrides);
  if (input.partNumber !== null && part !== null) return planPart(info, input, part, headers);
  const isOutdated = input.ifRange !== null && !keepsRange(input.ifRange, info);
  const range = input.range === null || isOutdated ? null : resolveRange(input.range, info.bytes);
  if (range !== null) {
    headers.push(['Content-Range', contentRange(range, info.bytes)]);
    return { status: 206, headers, ...range };
  }
  // A checksum of the whole object would fail the check of a client that received a part of it.
  if (input.wantsChecksum)
    headers.push(...checksumHeaders(info.checksum).map(([name, value]): [string, string] => [name, value]));
  return { status: 200, headers, startByte: 0, endByte: info.bytes };
}

function planPart(
  info: ObjectInfo,
  input: ReadInput,
  part: ObjectSnapshot['part'],
  headers: [string, string][],
): ReadPlan {
  const found = part(input.partNumber ?? 0);
  if (found === null) throw s3Error('InvalidPartNumber');
  const range = { startByte: found.startByte, endByte: found.startByte + found.bytes };
  const isMultipart = info.partCount > 0;
  if (isMultipart) headers.push(['x-amz-mp-parts-count', String(info.partCount)]);
  // An empty part has no first byte that Content-Range could name.
  if (found.bytes > 0) headers.push(['Content-Range', contentRange(range, info.bytes)]);
  if (input.wantsChecksum) {
    const checksum = isMultipart ? found.checksum : info.checksum;
    const type = info.checksum?.type ?? checksum?.type;
    if (checksum !== null && type !== undefined) {
      for (const [name, value] of checksumHeaders({ ...checksum, type })) headers.push([name, value]);
    }
  }
  return { status: 206, headers, ...range };
}

function contentRange({ startByte, endByte }: ByteRange, objectBytes: number): string {
  return `bytes ${startByte}-${endByte - 1}/${objectBytes}`;
}

function parseOverrides(query: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
  const overrides = new Map<string, string>();
  for (const parameter of overrideParameters) {
    const value = query.get(parameter);
    if (value === undefined) continue;
    // A line break would end the header and begin another.

    if (/[\u0000-\u0008\u000a-\u001f\u007f]/.test(value)) {
      throw s3Error('InvalidArgument', `The value of ${parameter} holds control characters.`);
    }
    overrides.set(parameter.slice('response-'.length), value);
  }
  return overrides;
}
