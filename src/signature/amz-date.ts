/** The two forms in which a signed request says when it was signed. */

export interface SigningDate {
  /** `YYYYMMDDTHHMMSSZ`: the form that goes into the string to sign. */
  readonly amzDate: string;
  readonly ms: number;
}

const basicDateTime = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/;
const httpDate = /^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} (?:GMT|UTC|\+0000)$/;

export function formatAmzDate(ms: number): string {
  return new Date(ms).toISOString().replace(/[-:]|\.\d{3}/g, '');
}

/** `2026-11-24T02:30:00Z`, for error details. */
export function formatIsoSeconds(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d{3}/, '');
}

/** Null unless the text is a date-time that exists. */
export function parseAmzDate(text: string): SigningDate | null {
  const match = basicDateTime.exec(text);
  if (match === null) return null;
  const [, year, month, day, hour, minute, second] = match.map(Number) as [number, ...number[]];
  const ms = Date.UTC(year!, month! - 1, day, hour, minute, second);
  // Date.UTC carries over what does not exist, such as the 31st of February, and maps years below 100.
  const date = new Date(ms);
  const exists =
    date.getUTCFullYear() === year &&
    date.getUTCMonth() === month! - 1 &&
    date.getUTCDate() === day &&
    date.getUTCHours() === hour &&
    date.getUTCMinutes() === minute &&
    date.getUTCSeconds() === second;
  return exists ? { amzDate: text, ms } : null;
}

/** The Date header: an HTTP date, or the form of x-amz-date. */
export function parseDateHeader(text: string): SigningDate | null {
  if (!httpDate.test(text)) return parseAmzDate(text);
  const ms = Date.parse(text);
  return Number.isNaN(ms) ? null : { amzDate: formatAmzDate(ms), ms };
}
