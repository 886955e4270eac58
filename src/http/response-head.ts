import { STATUS_CODES } from 'node:http';
import { requestIdHeader, type ExchangeResponse, type HeaderPairs, type SharedHeaders } from '../exchange/index.js';
import { requestIdChars } from './request-ids.js';

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

interface Remembered {
  readonly kind: 'send' | 'drop' | 'server';
  /** Most headers of an answer say what they said in the last one. */
  value: string;
  line: string;
}

/** Names of handlers are few; those of user metadata are not, so past this many the memory starts afresh. */
const rememberedMax = 1024;

/** Composes the head of an answer as one string: one call into the library instead of one per header. */
export class HeadComposer {
  readonly #serverLine: string;
  readonly #names = new Map<string, Remembered>();
  readonly #statusLines: (string | undefined)[] = [];

  constructor(serverName: string) {
    this.#serverLine = `\r\nServer: ${cleanValue(serverName)}`;
  }

  /** Status line and headers, lines joined by CRLF, none at the end. */
  compose({ status, headers, shared }: Omit<ExchangeResponse, 'body'>): string {
    let text = (this.#statusLines[status] ??= statusLine(status));
    if (shared !== undefined) text += shared.lines ?? this.#sharedLines(shared);
    let isNamed = false;
    for (const [name, value] of headers) {
      const known = this.#names.get(name) ?? this.#classify(name);
      if (known.kind === 'drop') continue;
      if (known.kind === 'server') isNamed = true;
      if (known.value !== value) {
        known.value = value;
        known.line = `\r\n${name}: ${cleanValue(value)}`;
      }
      text += known.line;
    }
    return isNamed ? text : text + this.#serverLine;
  }

  /**
   * The whole head of an answer that has nothing of its own but the request's id: the bytes that the last such answer
   * had, with another id in them. Null when it has more, or the id is of another form. Used before the next call.
   */
  again({ status, headers, shared }: Omit<ExchangeResponse, 'body'>): Uint8Array | null {
    const own = headers[0];
    if (shared === undefined || headers.length !== 1 || own?.[0] !== requestIdHeader) return null;
    const id = own[1];
    if (id.length !== requestIdChars) return null;
    const { head } = shared;
    if (head === null) {
      const text = this.compose({ status, headers: [], shared }) + `\r\n${requestIdHeader}: `;
      const bytes = Buffer.from(text + id, 'utf8');
      shared.head = { status, bytes, idAt: bytes.length - requestIdChars };
      return bytes;
    }
    if (head.status !== status) return null;
    for (let index = 0; index < requestIdChars; index++) head.bytes[head.idAt + index] = id.charCodeAt(index);
    return head.bytes;
  }

  /** Of headers that do not name the server. */
  #sharedLines(shared: SharedHeaders): string {
    let lines = '';
    for (const [name, value] of sendable(shared.pairs)) lines += `\r\n${name}: ${value}`;
    // In one piece: V8 would gather what was added up anew for each answer.
    shared.lines = Buffer.from(lines, 'utf8').toString('utf8');
    return shared.lines;
  }

  #classify(name: string): Remembered {
    if (this.#names.size >= rememberedMax) this.#names.clear();
    const kind = isOurs(name) || !token.test(name) ? 'drop' : name.toLowerCase() === 'server' ? 'server' : 'send';
    const known: Remembered = { kind, value: '', line: `\r\n${name}: ` };
    this.#names.set(name, known);
    return known;
  }
}

/** Answers that HTTP forbids a body. */
export function isBodiless(status: number): boolean {
  return status === 204 || status === 304 || status < 200;
}
