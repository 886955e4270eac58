const dayMs = 86_400_000;
const twoDigits = Array.from({ length: 60 }, (_, value) => value.toString().padStart(2, '0'));
let lastDay = Number.NaN;
let lastDayText = '';

/**
 * IMF-fixdate of RFC 9110 section 5.6.7, `Sun, 29 Nov 2026 01:02:03 GMT`: what `toUTCString` says of a time from 1970
 * on, for whoever says it with every answer.
 */
export function httpDate(ms: number): string {
  const day = Math.floor(ms / dayMs);
  if (day !== lastDay) {
    lastDay = day;
    lastDayText = new Date(day * dayMs).toUTCString().slice(0, -12);
  }
  const seconds = Math.floor((ms - day * dayMs) / 1000);
  const minutes = Math.floor(seconds / 60);
  const hours = Math.floor(minutes / 60);
  return `${lastDayText}${twoDigits[hours]!}:${twoDigits[minutes - hours * 60]!}:${twoDigits[seconds - minutes * 60]!} GMT`;
}
