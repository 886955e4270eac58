import type { HeaderMap } from '../exchange/index.js';

/** The body's length, null when it is chunked, or why it cannot be told. */
export type BodyLength = number | null | 'bad-length' | 'unknown-coding';

const digits = /^[0-9]{1,16}$/;

/** RFC 9112 section 6.3, strictly: whatever two parties might read differently is refused. */
export function bodyLengthOf(headers: HeaderMap): BodyLength {
  const coding = headers.get('transfer-encoding');
  const declared = headers.get('content-length');
  if (coding !== undefined) {
    if (declared !== undefined) return 'bad-length';
    return coding.toLowerCase() === 'chunked' ? null : 'unknown-coding';
  }
  if (declared === undefined) return 0;
  // Repeated values arrive joined by a comma and fail here, as do signs, spaces and nothing at all.
  if (!digits.test(declared)) return 'bad-length';
  const bytes = Number(declared);
  return Number.isSafeInteger(bytes) ? bytes : 'bad-length';
}
