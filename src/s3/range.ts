/** The Range header of GET and HEAD, and x-amz-copy-source-range. Bytes [start, end). */
import { s3Error } from './errors.js';

export interface ByteRange {
  readonly startByte: number;
  readonly endByte: number;
}

const rangeShape = /^bytes=([0-9]*)-([0-9]*)$/;
const copyRangeShape = /^bytes=([0-9]+)-([0-9]+)$/;

/**
 * The bytes to answer with, or null when the header is to be ignored: another unit, several ranges, or
 * no range at all. Throws InvalidRange for a range that no byte of the object lies in.
 */
export function resolveRange(header: string, objectBytes: number): ByteRange | null {
  const found = rangeShape.exec(header.replaceAll(' ', ''));
  const [, first = '', last = ''] = found ?? [];
  if (found === null || (first === '' && last === '')) return null;
  if (first === '') {
    const suffixBytes = Math.min(Number(last), objectBytes);
    if (suffixBytes === 0) throw invalidRange(header, objectBytes);
    return { startByte: objectBytes - suffixBytes, endByte: objectBytes };
  }
  const startByte = Number(first);
  const lastByte = last === '' ? objectBytes - 1 : Math.min(Number(last), objectBytes - 1);
  if (startByte >= objectBytes || startByte > lastByte) throw invalidRange(header, objectBytes);
  return { startByte, endByte: lastByte + 1 };
}

/** Both ends are required and lie inside the source. Throws InvalidArgument, InvalidRange. */
export function resolveCopyRange(header: string, sourceBytes: number): ByteRange {
  const found = copyRangeShape.exec(header);
  const startByte = Number(found?.[1]);
  const lastByte = Number(found?.[2]);
  if (found === null || startByte > lastByte) {
    throw s3Error(
      'InvalidArgument',
      'The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the zero-based offsets of the first and last bytes to copy.',
    );
  }
  if (lastByte >= sourceBytes) throw invalidRange(header, sourceBytes);
  return { startByte, endByte: lastByte + 1 };
}

function invalidRange(header: string, objectBytes: number) {
  return s3Error('InvalidRange', undefined, { ActualObjectSize: String(objectBytes), RangeRequested: header });
}
