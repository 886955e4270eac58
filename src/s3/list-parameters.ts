/** Query parameters that the listings share, parsed once and bounded. Pure. */
import { limits } from '../base/index.js';
import type { ParsedCall } from '../dispatch/index.js';
import { s3Error } from './errors.js';

/** The range of the API's integers. */
const integerMax = 2 ** 31 - 1;

/** Absent or empty: the default. Above `countMax`: clamped silently, as S3 does. */
export function parseCount(query: ParsedCall['query'], name: string, countMax: number): number {
  return Math.min(parseInteger(query, name, countMax), countMax);
}

/** Absent or empty: the default. Negative, fractional or out of range: InvalidArgument. */
export function parseInteger(query: ParsedCall['query'], name: string, defaultValue: number): number {
  const text = query.get(name);
  if (text === undefined || text === '') return defaultValue;
  const value = /^[0-9]{1,10}$/.test(text) ? Number(text) : Number.NaN;
  if (!(value <= integerMax)) {
    throw invalidArgument(name, text, `Argument ${name} must be an integer between 0 and ${integerMax}`);
  }
  return value;
}

/** A key, a part of one, or a delimiter. None is longer than a key can be, so that an index can seek to it. */
export function parseName(query: ParsedCall['query'], name: string): string {
  const text = query.get(name) ?? '';
  // Every UTF-16 unit is at most three bytes.
  if (text.length * 3 > limits.keyBytesMax && Buffer.byteLength(text) > limits.keyBytesMax) {
    throw s3Error('KeyTooLongError', undefined, { ArgumentName: name, MaxSizeAllowed: String(limits.keyBytesMax) });
  }
  return text;
}

export function invalidArgument(name: string, value: string, message: string): Error {
  return s3Error('InvalidArgument', message, { ArgumentName: name, ArgumentValue: value });
}
