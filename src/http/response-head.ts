import { STATUS_CODES } from 'node:http';
import type { HeaderPairs } from '../exchange/index.js';

/** RFC 9110 section 5.6.2. */
const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** What would end a header line, or is not allowed in one. */
const control = /[\u0000-\u0008\u000a-\u001f\u007f]/;
const controls = /[\u0000-\u0008\u000a-\u001f\u007f]/g;

export function statusLine(status: number): string {
  return `${status} ${STATUS_CODES[status] ?? 'Unknown'}`;
}

/** No CR, LF or NUL can split the answer, whatever a stored header says. */
export function cleanValue(value: string): string {
  return control.test(value) ? value.replace(controls, ' ') : value;
}

/** Framing and connection headers are the front's own. */
function isOurs(name: string): boolean {
  switch (name.length) {
    case 4:
      return name.toLowerCase() === 'date';
    case 10:
      return name.toLowerCase() === 'connection' || name.toLowerCase() === 'keep-alive';
    case 14:
      return name.toLowerCase() === 'content-length';
    case 17:
      return name.toLowerCase() === 'transfer-encoding';
    default:
      return false;
  }
}

/** Headers that may go out, cleaned, in order. */
export function sendable(headers: HeaderPairs): [name: string, value: string][] {
  return headers
    .filter(([name]) => !isOurs(name) && token.test(name))
    .map(([name, value]) => [name, cleanValue(value)] as [string, string]);
}

/** Status line and headers in one string, lines joined by CRLF, none at the end. */
export function headText(status: number, headers: HeaderPairs, serverName: string): string {
  let text = statusLine(status);
  let named = false;
  for (const [name, value] of headers) {
    if (isOurs(name) || !token.test(name)) continue;
    if (name.length === 6 && name.toLowerCase() === 'server') named = true;
    text += `\r\n${name}: ${cleanValue(value)}`;
  }
  return named ? text : `${text}\r\nServer: ${serverName}`;
}

/** Answers that HTTP forbids a body. */
export function isBodiless(status: number): boolean {
  return status === 204 || status === 304 || status < 200;
}
