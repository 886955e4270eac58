/** What went over the wire, as it may be shown: without what is a secret. For traces and for audit. */
import type { RequestWire } from './requests.js';

const redacted = '*REDACTED*';

/** Headers that are a secret as a whole. */
const secretHeaders: ReadonlySet<string> = new Set([
  'cookie',
  'proxy-authorization',
  'set-cookie',
  'x-amz-security-token',
  'x-amz-server-side-encryption-customer-key',
  'x-amz-copy-source-server-side-encryption-customer-key',
]);

const secretQueryNames: ReadonlySet<string> = new Set([
  'x-amz-signature',
  'x-amz-security-token',
  'signature',
  'token',
  'webidentitytoken',
  'webidentityaccesstoken',
  'ldappassword',
  'secretkey',
  // Of a login: whoever has both could finish it.
  'code',
  'state',
]);

export function shownRequestHeaders(headers: RequestWire['headers']): Record<string, readonly string[]> {
  const shown: Record<string, readonly string[]> = {};
  for (const name of headers.names()) shown[titleCase(name)] = [shownValue(name, headers.get(name) ?? '')];
  return shown;
}

export function shownAnswerHeaders(headers: RequestWire['answerHeaders']): Record<string, readonly string[]> {
  const shown: Record<string, readonly string[]> = {};
  for (const [name, value] of headers) {
    const title = titleCase(name.toLowerCase());
    shown[title] = [...(shown[title] ?? []), shownValue(name.toLowerCase(), value)];
  }
  return shown;
}

function shownValue(name: string, value: string): string {
  if (secretHeaders.has(name)) return redacted;
  if (name !== 'authorization') return value;
  // Who signed what stays; the signature goes. What is no signature of ours may be anything: all of it goes.
  const sigV4 = /^(AWS4-HMAC-SHA256 [^]*Signature=)[0-9A-Za-z]*$/.exec(value)?.[1];
  const sigV2 = /^(AWS [^:\s]+:)\S*$/.exec(value)?.[1];
  const shown = sigV4 ?? sigV2;
  return shown === undefined ? redacted : shown + redacted;
}

/** As sent, but for the values of parameters that are secrets. */
export function shownQuery(rawQuery: string): string {
  if (rawQuery === '') return '';
  return rawQuery
    .split('&')
    .map((pair) => {
      const name = pair.split('=', 1)[0] ?? '';
      return secretQueryNames.has(decoded(name).toLowerCase()) ? `${name}=${redacted}` : pair;
    })
    .join('&');
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** `x-amz-date` as clients show it: `X-Amz-Date`. */
function titleCase(name: string): string {
  return name.replace(/(^|-)[a-z]/g, (start) => start.toUpperCase());
}
