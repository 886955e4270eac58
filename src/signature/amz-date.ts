/** The two forms in which a signed request says when it was signed. */

export interface SigningDate {
  /** `YYYYMMDDTHHMMSSZ`: the form that goes into the string to sign. */
  readonly amzDate: string;
  readonly ms: number;
}

const httpDate = /^[A-Z][a-z]{2}, \d{1,2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} (?:GMT|UTC|\+0000)$/;

export function formatAmzDate(ms: number): string {
  return new Date(ms).toISOString().replace(/[-:]|\.\d{3}/g, '');
}

/** `2026-11-24T02:30:00Z`, for error details. */
export function formatIsoSeconds(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d{3}/, '');
}

/** `count` decimal digits from `start` on as a number; NaN when there is anything else. */
function digits(text: string, start: number, count: number): number {
  let value = 0;
  for (let index = start; index < start + count; index++) {
    const digit = text.charCodeAt(index) - 0x30;
    if (!(digit >= 0 && digit <= 9)) return Number.NaN;
    value = value * 10 + digit;
  }
  return value;
}

function daysInMonth(year: number, month: number): number {
  if (month === 2) return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28;
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
}

const amzDateChars = 16;

/** Null unless the text is `YYYYMMDDTHHMMSSZ` and names a second that exists. On the path of every request: no regex. */
export function parseAmzDate(text: string): SigningDate | null {
  if (text !== last?.amzDate) last = readAmzDate(text) ?? last;
  return text === last?.amzDate ? last : null;
}

/** Requests of one second say the same. */
let last: SigningDate | null = null;

function readAmzDate(text: string): SigningDate | null {
  if (text.length !== amzDateChars || text[8] !== 'T' || text[15] !== 'Z') return null;
  const year = digits(text, 0, 4);
  const month = digits(text, 4, 2);
  const day = digits(text, 6, 2);
  const hour = digits(text, 9, 2);
  const minute = digits(text, 11, 2);
  const second = digits(text, 13, 2);
  // Years below 1970 cannot be now; NaN fails every comparison.
  const isDate = year >= 1970 && month >= 1 && month <= 12 && day >= 1 && day <= daysInMonth(year, month);
  const isTime = hour <= 23 && minute <= 59 && second <= 59;
  if (!isDate || !isTime) return null;
  return { amzDate: text, ms: Date.UTC(year, month - 1, day, hour, minute, second) };
}

/** The Date header: an HTTP date, or the form of x-amz-date. */
export function parseDateHeader(text: string): SigningDate | null {
  if (!httpDate.test(text)) return parseAmzDate(text);
  const ms = Date.parse(text);
  return Number.isNaN(ms) ? null : { amzDate: formatAmzDate(ms), ms };
}
