/**
 * A connection to a directory as a stream of whole messages: over TCP, TLS, or TCP that becomes TLS (StartTLS,
 * RFC 4511 section 4.14). The library above parses whatever it is handed; here each message is framed, bounded
 * and checked to be nested as it says, so that a directory that lies cannot hold the main thread or its memory.
 */
import { connect, isIP, type Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { connect as connectTls, rootCertificates, type ConnectionOptions } from 'node:tls';
import { directoryFault } from './ldap-fault.js';

export interface LdapAddress {
  readonly host: string;
  readonly port: number;
}

export interface LdapTransport {
  readonly security: 'tls' | 'starttls' | 'none';
  /** Any certificate will do: for tests. */
  readonly skipVerify: boolean;
  /** PEM, beside the well-known ones. */
  readonly authorities: readonly string[];
}

/** One entry with a photo, or a range of 1,500 members. */
const messageBytesMax = 4 * 1024 * 1024;
const startTlsAnswerBytesMax = 4096;
const nestingMax = 16;

/** `[APPLICATION 23] { [0] 1.3.6.1.4.1.1466.20037 }` as message 1. */
const startTlsRequest = Buffer.concat([
  Buffer.from('301d02010177188016', 'hex'),
  Buffer.from('1.3.6.1.4.1.1466.20037', 'latin1'),
]);

/** Rejects with `DirectoryFault` when there is none before the signal. */
export async function openLdapStream(
  address: LdapAddress,
  transport: LdapTransport,
  signal: AbortSignal,
): Promise<LdapStream> {
  const { host, port } = address;
  if (transport.security === 'none') return new LdapStream(await settled(connect({ host, port }), 'connect', signal));
  const options = tlsOptions(address, transport);
  if (transport.security === 'tls') {
    return new LdapStream(await settled(connectTls({ ...options, host, port }), 'secureConnect', signal));
  }
  const plain = await settled(connect({ host, port }), 'connect', signal);
  await requestStartTls(plain, signal);
  return new LdapStream(await settled(connectTls({ ...options, socket: plain }), 'secureConnect', signal));
}

function tlsOptions({ host }: LdapAddress, { skipVerify, authorities }: LdapTransport): ConnectionOptions {
  return {
    host,
    minVersion: 'TLSv1.2',
    rejectUnauthorized: !skipVerify,
    // Addresses are no server names (RFC 6066), and are looked up among those of the certificate all the same.
    ...(isIP(host) === 0 && { servername: host }),
    ...(authorities.length > 0 && { ca: [...rootCertificates, ...authorities] }),
  };
}

/** The socket once the event came; destroyed otherwise. */
function settled<S extends Socket>(socket: S, event: 'connect' | 'secureConnect', signal: AbortSignal): Promise<S> {
  return new Promise((resolve, reject) => {
    const done = (error: Error | null): void => {
      socket.off(event, onEvent).off('error', done).off('close', onClose);
      signal.removeEventListener('abort', onAbort);
      if (error === null) {
        resolve(socket);
        return;
      }
      socket.on('error', ignore).destroy();
      reject(directoryFault('unreachable', `the connection failed: ${error.message}`, error));
    };
    const onEvent = (): void => {
      done(null);
    };
    const onClose = (): void => {
      done(new Error('it was closed'));
    };
    const onAbort = (): void => {
      done(new Error('it took too long'));
    };
    socket.once(event, onEvent).once('error', done).once('close', onClose);
    signal.addEventListener('abort', onAbort);
    if (signal.aborted) onAbort();
  });
}

function ignore(): void {
  // Of a socket that was given up.
}

async function requestStartTls(socket: Socket, signal: AbortSignal): Promise<void> {
  socket.write(startTlsRequest);
  const answer = await firstMessage(socket, signal);
  if (!isSuccess(answer)) {
    socket.destroy();
    throw directoryFault('protocol', 'the directory refused StartTLS');
  }
}

/** Bytes behind it would be read as if they had come over TLS: there must be none. */
function firstMessage(socket: Socket, signal: AbortSignal): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    let received: Buffer = Buffer.alloc(0);
    const done = (error: Error | null): void => {
      socket.off('data', onData).off('error', done).off('close', onClose);
      signal.removeEventListener('abort', onAbort);
      socket.pause();
      if (error === null) {
        resolve(received);
        return;
      }
      socket.on('error', ignore).destroy();
      reject(directoryFault('protocol', `StartTLS failed: ${error.message}`, error));
    };
    const onData = (data: Buffer): void => {
      received = Buffer.concat([received, data]);
      const length = frameLength(received);
      if (length === null && received.length <= startTlsAnswerBytesMax) return;
      done(length === received.length ? null : new Error('the answer is not one message'));
    };
    const onClose = (): void => {
      done(new Error('the connection was closed'));
    };
    const onAbort = (): void => {
      done(new Error('it took too long'));
    };
    socket.on('data', onData).once('error', done).once('close', onClose);
    signal.addEventListener('abort', onAbort);
    if (signal.aborted) onAbort();
  });
}

/** `{ 1, [APPLICATION 24] { success, … } }` */
function isSuccess(message: Buffer): boolean {
  if (!isNestedWell(message)) return false;
  const inside = contentOf(message);
  // The id: a small integer.
  if (inside.length < 3 || inside.subarray(0, 3).toString('hex') !== '020101') return false;
  const response = inside.subarray(3);
  if (response[0] !== 0x78) return false;
  return contentOf(response).subarray(0, 3).toString('hex') === '0a0100';
}

/** What a parser sees of the socket: messages one by one, and as few bytes as were agreed. */
export class LdapStream extends Duplex {
  readonly connecting = false;
  #pieces: Buffer[] = [];
  #pieceBytes = 0;
  #budgetBytes = 0;

  constructor(private readonly socket: Socket) {
    super({ readableObjectMode: true, readableHighWaterMark: 64 });
    socket.setNoDelay(true).setKeepAlive(true, 60_000);
    socket.on('data', (data: Buffer) => {
      this.#receive(data);
    });
    socket.on('error', (error) => this.destroy(error));
    socket.on('end', () => this.push(null));
    socket.on('close', () => this.destroy());
    // Only until the library listens.
    this.on('error', ignore);
  }

  /** The library asks whether it may write at once. */
  get readyState(): 'open' | 'closed' {
    return this.destroyed ? 'closed' : 'open';
  }

  /** What may be received from now on. */
  set budgetBytes(bytes: number) {
    this.#budgetBytes = bytes;
  }

  /** An idle connection does not keep a process alive. */
  set isIdle(isIdle: boolean) {
    if (isIdle) this.socket.unref();
    else this.socket.ref();
  }

  override _read(): void {
    this.socket.resume();
  }

  override _write(chunk: Buffer, _encoding: string, callback: (error?: Error | null) => void): void {
    this.socket.write(chunk, callback);
  }

  override _final(callback: () => void): void {
    this.socket.end(callback);
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.socket.destroy();
    callback(error);
  }

  #receive(data: Buffer): void {
    this.#budgetBytes -= data.length;
    if (this.#budgetBytes < 0) {
      this.destroy(new Error('the directory sent more than was asked for'));
      return;
    }
    this.#pieces.push(data);
    this.#pieceBytes += data.length;
    // The head of a message is in its first bytes: pieces are put together once it is all there.
    let head = this.#pieces[0] ?? data;
    if (head.length < 6 && this.#pieces.length > 1) head = this.#together();
    for (;;) {
      const length = frameLength(head);
      if (length === false || (length !== null && length > messageBytesMax)) {
        this.destroy(new Error('the directory sent something that is no message'));
        return;
      }
      if (length === null || length > this.#pieceBytes) return;
      const all = this.#together();
      const message = all.subarray(0, length);
      if (!isNestedWell(message)) {
        this.destroy(new Error('the directory sent a malformed message'));
        return;
      }
      head = all.subarray(length);
      this.#pieces = head.length === 0 ? [] : [head];
      this.#pieceBytes = head.length;
      if (!this.push(message)) this.socket.pause();
      if (head.length === 0) return;
    }
  }

  #together(): Buffer {
    if (this.#pieces.length > 1) this.#pieces = [Buffer.concat(this.#pieces)];
    return this.#pieces[0] ?? Buffer.alloc(0);
  }
}

interface Header {
  readonly tag: number;
  readonly contentAt: number;
  readonly length: number;
}

/** Null: more bytes are needed. False: no BER with a definite length of up to 4 bytes. */
function header(bytes: Buffer, at: number): Header | null | false {
  const [tag, first] = [bytes[at], bytes[at + 1]];
  if (tag === undefined) return null;
  // Tags of several bytes do not occur in the protocol.
  if ((tag & 0x1f) === 0x1f) return false;
  if (first === undefined) return null;
  if (first < 0x80) return { tag, contentAt: at + 2, length: first };
  const count = first & 0x7f;
  if (count === 0 || count > 4) return false;
  if (bytes.length < at + 2 + count) return null;
  return { tag, contentAt: at + 2 + count, length: bytes.readUIntBE(at + 2, count) };
}

/** Of the message that begins here. Null: more bytes are needed. False: it is none. */
export function frameLength(bytes: Buffer): number | null | false {
  const found = header(bytes, 0);
  if (found === null || found === false) return found;
  return found.tag === 0x30 ? found.contentAt + found.length : false;
}

function contentOf(bytes: Buffer): Buffer {
  const found = header(bytes, 0);
  return found === null || found === false
    ? Buffer.alloc(0)
    : bytes.subarray(found.contentAt, found.contentAt + found.length);
}

/** Every element lies within the one around it, and fills it. */
export function isNestedWell(bytes: Buffer, depth = 0): boolean {
  if (depth > nestingMax) return false;
  for (let at = 0; at < bytes.length;) {
    const found = header(bytes, at);
    if (found === null || found === false) return false;
    const end = found.contentAt + found.length;
    if (end > bytes.length) return false;
    const isConstructed = (found.tag & 0x20) !== 0;
    if (isConstructed && !isNestedWell(bytes.subarray(found.contentAt, end), depth + 1)) return false;
    at = end;
  }
  return true;
}
