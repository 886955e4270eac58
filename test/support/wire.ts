/**
 * S3 at the level of bytes: requests signed here, by the published algorithm and with none of the server's
 * code, sent as they stand over node:http or a bare socket.
 */
import { createHash, createHmac, randomUUID } from 'node:crypto';
import { request as httpRequest, type IncomingHttpHeaders, type RequestOptions } from 'node:http';
import { connect, type Socket } from 'node:net';

export interface Target {
  readonly port: number;
  readonly accessKey: string;
  readonly secretKey: string;
  readonly region: string;
  /** Of temporary credentials: sent and signed with every request. */
  readonly sessionToken?: string;
}

export interface Request {
  readonly method: string;
  /** As it goes over the wire, percent-encoded. */
  readonly path: string;
  /** As it goes over the wire, without the question mark. */
  readonly query?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Value of x-amz-content-sha256; the digest of `body` when left out. */
  readonly payload?: string;
  /** The digest is signed and not sent, as clients of the token service do. */
  readonly hidesDigest?: boolean;
  /** Of the signature's scope; `s3` when left out. */
  readonly service?: 's3' | 'sts';
  readonly body?: Uint8Array | string;
  readonly date?: Date;
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  /** Of an error document. */
  readonly code: string | null;
}

export interface Signed {
  readonly headers: Record<string, string>;
  readonly signature: string;
  readonly amzDate: string;
  readonly scope: string;
  readonly key: Buffer;
}

const sha256 = (bytes: Uint8Array | string) => createHash('sha256').update(bytes).digest('hex');
const hmac = (key: Uint8Array | string, text: string) => createHmac('sha256', key).update(text).digest();

export const unsigned = 'UNSIGNED-PAYLOAD';

/** Bytes of a percent-encoded path, encoded once more the one way that signatures know. */
function canonicalPath(path: string): string {
  return encodeBytes(decodeBytes(path)).replaceAll('%2F', '/');
}
function decodeBytes(text: string): Buffer {
  const binary = Buffer.from(text, 'utf8')
    .toString('latin1')
    .replace(/%([0-9A-Fa-f]{2})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 16)));
  return Buffer.from(binary, 'latin1');
}
function encodeBytes(bytes: Buffer): string {
  return Array.from(bytes, (byte) => {
    const letter = String.fromCharCode(byte);
    return /[A-Za-z0-9_.~-]/.test(letter) ? letter : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }).join('');
}
function canonicalQuery(query: string): string {
  return query
    .split('&')
    .filter((pair) => pair !== '')
    .map((pair) => {
      const [name = '', ...value] = pair.split('=');
      return `${encodeBytes(decodeBytes(name))}=${encodeBytes(decodeBytes(value.join('=')))}`;
    })
    .sort()
    .join('&');
}

export function sign(target: Target, request: Request): Signed {
  const amzDate = (request.date ?? new Date()).toISOString().replace(/[-:]|\.\d+/g, '');
  const day = amzDate.slice(0, 8);
  const payload = request.payload ?? sha256(request.body ?? '');
  const headers: Record<string, string> = {
    host: `127.0.0.1:${target.port}`,
    ...(request.hidesDigest === true ? {} : { 'x-amz-content-sha256': payload }),
    'x-amz-date': amzDate,
    ...(target.sessionToken === undefined ? {} : { 'x-amz-security-token': target.sessionToken }),
  };
  for (const [name, value] of Object.entries(request.headers ?? {})) headers[name.toLowerCase()] = value;
  const names = Object.keys(headers)
    .filter((name) => name === 'host' || name === 'content-md5' || name === 'content-type' || name.startsWith('x-amz-'))
    .sort();
  const canonical = [
    request.method,
    canonicalPath(request.path),
    canonicalQuery(request.query ?? ''),
    ...names.map((name) => `${name}:${(headers[name] ?? '').trim().replace(/ +/g, ' ')}`),
    '',
    names.join(';'),
    payload,
  ].join('\n');
  const service = request.service ?? 's3';
  const scope = `${day}/${target.region}/${service}/aws4_request`;
  const key = hmac(hmac(hmac(hmac(`AWS4${target.secretKey}`, day), target.region), service), 'aws4_request');
  const signature = hmac(key, ['AWS4-HMAC-SHA256', amzDate, scope, sha256(canonical)].join('\n')).toString('hex');
  headers['authorization'] =
    `AWS4-HMAC-SHA256 Credential=${target.accessKey}/${scope}, SignedHeaders=${names.join(';')}, Signature=${signature}`;
  return { headers, signature, amzDate, scope, key };
}

/** A signed address, without its host. */
export function presign(target: Target, request: Request, seconds = 600): string {
  const amzDate = (request.date ?? new Date()).toISOString().replace(/[-:]|\.\d+/g, '');
  const day = amzDate.slice(0, 8);
  const service = request.service ?? 's3';
  const scope = `${day}/${target.region}/${service}/aws4_request`;
  const parameters: [string, string][] = [
    ['X-Amz-Algorithm', 'AWS4-HMAC-SHA256'],
    ['X-Amz-Credential', `${target.accessKey}/${scope}`],
    ['X-Amz-Date', amzDate],
    ['X-Amz-Expires', String(seconds)],
    ['X-Amz-SignedHeaders', 'host'],
  ];
  if (target.sessionToken !== undefined) parameters.push(['X-Amz-Security-Token', target.sessionToken]);
  const own = parameters.map(([name, value]) => `${name}=${encodeURIComponent(value)}`);
  const query = [...own, ...(request.query === undefined ? [] : [request.query])].join('&');
  const canonical = [
    request.method,
    canonicalPath(request.path),
    canonicalQuery(query),
    `host:127.0.0.1:${target.port}`,
    '',
    'host',
    request.payload ?? unsigned,
  ].join('\n');
  const key = hmac(hmac(hmac(hmac(`AWS4${target.secretKey}`, day), target.region), service), 'aws4_request');
  const signature = hmac(key, ['AWS4-HMAC-SHA256', amzDate, scope, sha256(canonical)].join('\n')).toString('hex');
  return `${request.path}?${query}&X-Amz-Signature=${signature}`;
}

function answerOf(status: number, headers: IncomingHttpHeaders, body: Buffer): Answer {
  return { status, headers, body, code: /<Code>([^<]+)<\/Code>/.exec(body.toString())?.[1] ?? null };
}

/** Signed and sent in one go over a connection of its own. */
export async function send(target: Target, request: Request): Promise<Answer> {
  return await sendSigned(target, request, sign(target, request).headers);
}

/** With exactly these headers. */
export function sendSigned(target: Target, request: Request, headers: Record<string, string>): Promise<Answer> {
  const body = Buffer.from(request.body ?? '');
  const path = request.query === undefined ? request.path : `${request.path}?${request.query}`;
  const length = headers['transfer-encoding'] === undefined && headers['content-length'] === undefined;
  return new Promise((resolve, reject) => {
    const options: RequestOptions & { setDefaultHeaders: boolean } = {
      host: '127.0.0.1',
      port: target.port,
      method: request.method,
      path,
      headers: length && body.length > 0 ? { ...headers, 'content-length': String(body.length) } : headers,
      agent: false,
      // Not in the types of this version: nothing is sent but what stands here.
      setDefaultHeaders: false,
    };
    const sent = httpRequest(options);
    let answered = false;
    sent.once('response', (response) => {
      answered = true;
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.once('error', reject);
      response.once('end', () => resolve(answerOf(response.statusCode ?? 0, response.headers, Buffer.concat(chunks))));
    });
    // The server may answer before it has read everything, and close.
    sent.on('error', (error) => {
      if (!answered) reject(error);
    });
    sent.end(body);
  });
}

/** The head of a request as bytes. */
export function headOf(request: Request, headers: Readonly<Record<string, string>>): string {
  const path = request.query === undefined ? request.path : `${request.path}?${request.query}`;
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return `${request.method} ${path} HTTP/1.1\r\n${lines.join('')}\r\n`;
}

export interface RawConnection {
  readonly socket: Socket;
  /** Everything that came so far. */
  received(): string;
  /** Resolves when the server has closed. */
  readonly closed: Promise<void>;
  /** Resolves once the received text matches, rejects when the connection ends or time is up before. */
  until(pattern: RegExp, timeoutMs?: number): Promise<string>;
}

export async function open(port: number): Promise<RawConnection> {
  const socket = connect({ host: '127.0.0.1', port, noDelay: true });
  const chunks: Buffer[] = [];
  let wake: () => void = () => undefined;
  let isClosed = false;
  socket.on('data', (chunk: Buffer) => {
    chunks.push(chunk);
    wake();
  });
  const closed = new Promise<void>((resolve) => {
    socket.on('error', () => undefined);
    socket.once('close', () => {
      isClosed = true;
      resolve();
      wake();
    });
  });
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('error', reject);
  });
  const received = () => Buffer.concat(chunks).toString('latin1');
  return {
    socket,
    received,
    closed,
    async until(pattern, timeoutMs = 20_000) {
      const deadline = Date.now() + timeoutMs;
      for (;;) {
        const text = received();
        if (pattern.test(text)) return text;
        if (isClosed) throw new Error(`closed before ${String(pattern)}: ${text.slice(0, 1000)}`);
        const left = deadline - Date.now();
        if (left <= 0) throw new Error(`no ${String(pattern)} within ${timeoutMs} ms: ${text.slice(0, 1000)}`);
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, left);
          wake = () => {
            clearTimeout(timer);
            resolve();
          };
        });
      }
    },
  };
}

/** Sends bytes and answers what came until the server closed, or until nothing more came for `quietMs`. */
export async function sendRaw(port: number, bytes: string | Uint8Array, quietMs = 500): Promise<string> {
  const connection = await open(port);
  connection.socket.write(bytes);
  let seen = -1;
  for (;;) {
    const isClosed = await Promise.race([
      connection.closed.then(() => true),
      new Promise<boolean>((resolve) => setTimeout(() => resolve(false), quietMs)),
    ]);
    const text = connection.received();
    if (isClosed || text.length === seen) {
      connection.socket.destroy();
      return text;
    }
    seen = text.length;
  }
}

export interface ChunkedOptions {
  /** Changes the signature of the chunk with this index; the last, empty one counts. */
  readonly breakChunk?: number;
  readonly trailers?: Readonly<Record<string, string>>;
  readonly breakTrailer?: boolean;
}

/** aws-chunked with signed chunks, after the signature of the request. */
export function signedChunks(seed: Signed, chunks: readonly Uint8Array[], options: ChunkedOptions = {}): Buffer {
  let previous = seed.signature;
  const next = (kind: string, hashes: readonly string[]) => {
    const text = [`AWS4-HMAC-SHA256-${kind}`, seed.amzDate, seed.scope, previous, ...hashes].join('\n');
    previous = hmac(seed.key, text).toString('hex');
    return previous;
  };
  const broken = (signature: string) => (signature.startsWith('0') ? '1' : '0') + signature.slice(1);
  const pieces: (Uint8Array | string)[] = [];
  for (const [index, chunk] of [...chunks, new Uint8Array()].entries()) {
    const right = next('PAYLOAD', [sha256(''), sha256(chunk)]);
    const signature = options.breakChunk === index ? broken(right) : right;
    pieces.push(`${chunk.length.toString(16)};chunk-signature=${signature}\r\n`, chunk);
    if (chunk.length > 0 || options.trailers === undefined) pieces.push('\r\n');
  }
  if (options.trailers !== undefined) {
    const lines = Object.entries(options.trailers).map(([name, value]) => `${name}:${value}`);
    const right = next('TRAILER', [sha256(lines.map((line) => `${line}\n`).join(''))]);
    const signature = options.breakTrailer === true ? broken(right) : right;
    pieces.push(lines.map((line) => `${line}\r\n`).join(''), `x-amz-trailer-signature:${signature}\r\n\r\n`);
  }
  return Buffer.concat(pieces.map((piece) => Buffer.from(piece)));
}

/** aws-chunked without signatures. */
export function unsignedChunks(chunks: readonly Uint8Array[], trailers: Readonly<Record<string, string>>): Buffer {
  const pieces: (Uint8Array | string)[] = [];
  for (const chunk of chunks) pieces.push(`${chunk.length.toString(16)}\r\n`, chunk, '\r\n');
  pieces.push('0\r\n', ...Object.entries(trailers).map(([name, value]) => `${name}:${value}\r\n`), '\r\n');
  return Buffer.concat(pieces.map((piece) => Buffer.from(piece)));
}

/** Names that no other test uses. */
export function freshName(prefix: string): string {
  return `${prefix}-${randomUUID()}`;
}
