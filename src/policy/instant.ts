/** Moments as policies and requests spell them. */

const rfc3339 =
  /^(\d{4})-(\d{2})-(\d{2})(?:[Tt](\d{2}):(\d{2}):(\d{2})(?:\.(\d{1,9}))?(?:[Zz]|([+-])(\d{2}):(\d{2})))?$/;
/** Seconds since 1970, to the year 5138. */
const epoch = /^\d{1,11}$/;

/** Milliseconds since 1970 of an RFC 3339 moment, a date (its midnight, UTC) or epoch seconds. Null: none of them. */
export function parseInstant(text: string): number | null {
  if (epoch.test(text)) return Number(text) * 1000;
  const found = rfc3339.exec(text);
  if (found === null) return null;
  const [, year, month, day, hour = '0', minute = '0', second = '0', fraction = '', sign, offsetHour, offsetMinute] =
    found;
  const ms = Number(`0.${fraction === '' ? '0' : fraction}`) * 1000;
  const date = new Date(Date.UTC(Number(year), Number(month) - 1, Number(day)));
  // 30 February would otherwise be 2 March.
  if (date.getUTCFullYear() !== Number(year)) return null;
  if (date.getUTCMonth() !== Number(month) - 1 || date.getUTCDate() !== Number(day)) return null;
  if (Number(hour) > 23 || Number(minute) > 59 || Number(second) > 60) return null;
  if (Number(offsetHour ?? 0) > 23 || Number(offsetMinute ?? 0) > 59) return null;
  const offset = (sign === '-' ? -1 : 1) * (Number(offsetHour ?? 0) * 60 + Number(offsetMinute ?? 0));
  return date.getTime() + ((Number(hour) * 60 + Number(minute) - offset) * 60 + Number(second)) * 1000 + ms;
}
