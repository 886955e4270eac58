/** Times as the clients of this API read and write them. */

const zeroTime = '0001-01-01T00:00:00Z';
/** How "never" is written where a time is due. */
export const noExpiry = '1970-01-01T00:00:00Z';

/** Null: the zero time of Go. */
export function timeText(ms: number | null): string {
  if (ms === null) return zeroTime;
  return new Date(ms).toISOString().replace(/\.?0*Z$/, 'Z');
}

export function expiryText(ms: number | null): string {
  return ms === null ? noExpiry : timeText(ms);
}
