/** Fronts under test, a client that speaks raw bytes, and sources that count what they hand out. */
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type {
  BodySink,
  ExchangeHandler,
  ExchangeRequest,
  ExchangeResponse,
  Piece,
  PieceSource,
} from '../../../src/exchange/index.js';
import {
  createHttpFront,
  createNodeHttpFront,
  type HttpFront,
  type HttpFrontOptions,
} from '../../../src/http/index.js';

export { sleep };

export interface LogLine {
  readonly fields: object;
  readonly text: string;
}

export const adapters = [
  ['uWebSockets.js', createHttpFront],
  ['node:http', createNodeHttpFront],
] as const;

export type CreateFront = (options: HttpFrontOptions) => Promise<HttpFront>;

export interface TestFront {
  readonly front: HttpFront;
  readonly port: number;
  readonly logged: LogLine[];
}

const opened: HttpFront[] = [];

export async function openFront(
  create: CreateFront,
  handler: ExchangeHandler,
  options: Partial<HttpFrontOptions> = {},
): Promise<TestFront> {
  const logged: LogLine[] = [];
  const front = await create({
    host: '127.0.0.1',
    port: 0,
    tls: null,
    serverName: 'Granary',
    handler,
    log: {
      warn: (fields, text) => {
        if (process.env['SHOW_LOG']) console.log(text, fields);
        logged.push({ fields, text });
      },
    },
    ...options,
  });
  opened.push(front);
  return { front, port: front.port, logged };
}

/** A port with a number: with port 0 the kernel's rules for taking it again are others. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

export async function closeFronts(): Promise<void> {
  await Promise.all(opened.splice(0).map((front) => front.close(0)));
}

export interface Answer {
  readonly status: number;
  readonly reason: string;
  readonly headers: readonly [string, string][];
  readonly body: Buffer;
  header(name: string): string | undefined;
}

/** A connection that sends exactly what it is told and parses answers by their Content-Length. */
export class RawClient {
  readonly socket: Socket;
  #chunks: Buffer[] = [];
  #bytes = 0;
  #ended = false;
  #wake: () => void = () => {};
  errorCode: string | null = null;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (chunk: Buffer) => {
      this.#chunks.push(chunk);
      this.#bytes += chunk.length;
      this.#wake();
    });
    const end = () => {
      this.#ended = true;
      this.#wake();
    };
    socket.on('close', end);
    socket.on('end', end);
    socket.on('error', (error: NodeJS.ErrnoException) => {
      this.errorCode = error.code ?? 'error';
    });
  }

  static async open(port: number, host = '127.0.0.1'): Promise<RawClient> {
    const socket = connect(port, host);
    const client = new RawClient(socket);
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
    return client;
  }

  send(data: string | Uint8Array): void {
    this.socket.write(data);
  }

  get isClosed(): boolean {
    return this.#ended;
  }

  get received(): Buffer {
    if (this.#chunks.length !== 1) this.#chunks = [Buffer.concat(this.#chunks)];
    return this.#chunks[0]!;
  }

  #drop(bytes: number): void {
    this.#chunks = [this.received.subarray(bytes)];
    this.#bytes -= bytes;
  }

  destroy(): void {
    this.socket.destroy();
  }

  async #until(condition: () => boolean, msMax = 5_000): Promise<void> {
    const deadline = Date.now() + msMax;
    while (!condition()) {
      if (this.#ended && !condition()) throw new Error(`connection closed after: ${this.#text()}`);
      if (Date.now() > deadline) throw new Error(`nothing more after: ${this.#text()}`);
      await Promise.race([
        new Promise<void>((resolve) => {
          this.#wake = resolve;
        }),
        sleep(50),
      ]);
    }
  }

  #text(): string {
    return JSON.stringify(this.received.subarray(0, 400).toString('latin1'));
  }

  async readText(text: string): Promise<void> {
    await this.#until(() => this.received.includes(text));
    this.#drop(this.received.indexOf(text) + text.length);
  }

  async readAnswer(isHead = false, msMax = 5_000): Promise<Answer> {
    await this.#until(() => this.received.includes('\r\n\r\n'), msMax);
    const end = this.received.indexOf('\r\n\r\n');
    const [statusLine, ...lines] = this.received.subarray(0, end).toString('latin1').split('\r\n');
    const [, status, reason] = /^HTTP\/1\.1 (\d{3}) ?(.*)$/.exec(statusLine!) ?? [];
    if (status === undefined) throw new Error(`not an answer: ${this.#text()}`);
    const headers = lines.map((line): [string, string] => {
      const colon = line.indexOf(': ');
      return [line.slice(0, colon), line.slice(colon + 2)];
    });
    const header = (name: string) => headers.find(([key]) => key.toLowerCase() === name)?.[1];
    const length = isHead || status === '204' || status === '304' ? 0 : Number(header('content-length') ?? 0);
    await this.#until(() => this.#bytes >= end + 4 + length, msMax);
    const body = Buffer.from(this.received.subarray(end + 4, end + 4 + length));
    this.#drop(end + 4 + length);
    return { status: Number(status), reason: reason ?? '', headers, body, header };
  }

  async untilClosed(msMax = 5_000): Promise<void> {
    const deadline = Date.now() + msMax;
    while (!this.#ended) {
      if (Date.now() > deadline) throw new Error('the connection stays open');
      await sleep(5);
    }
  }
}

export const plain = (text: string, status = 200): ExchangeResponse => ({
  status,
  headers: [],
  body: { kind: 'bytes', bytes: text },
});

/** Collects a body; rejects when it is aborted. */
export function collect(request: ExchangeRequest): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    request.body.consume({
      chunk: (bytes, isLast) => {
        chunks.push(Buffer.from(bytes));
        if (isLast) resolve(Buffer.concat(chunks));
      },
      aborted: () => reject(new Error('body aborted')),
    });
  });
}

/** Counts what a sink is told, for the rules of its contract. */
export class CountingSink implements BodySink {
  chunkCount = 0;
  lastCount = 0;
  abortedCount = 0;
  bytes = 0;
  afterEndCount = 0;

  chunk(bytes: Uint8Array, isLast: boolean): void {
    if (this.lastCount + this.abortedCount > 0) this.afterEndCount++;
    this.chunkCount++;
    this.bytes += bytes.length;
    if (isLast) this.lastCount++;
  }

  aborted(): void {
    if (this.lastCount + this.abortedCount > 0) this.afterEndCount++;
    this.abortedCount++;
  }
}

export interface SourceShape {
  readonly pieceBytes: number;
  readonly pieceCount: number;
  /** Pieces come in a later turn. */
  readonly isAsync?: boolean;
  /** Rejects instead of giving this piece. */
  readonly failAt?: number;
  readonly shared?: boolean;
}

/** Every byte of piece i is i modulo 251. */
export class CountingSource implements PieceSource {
  readonly #shape: SourceShape;
  given = 0;
  released = 0;
  doubleReleased = 0;
  closed = 0;
  inFlightMax = 0;
  nextWhilePending = 0;
  #pending = false;

  constructor(shape: SourceShape) {
    this.#shape = shape;
  }

  get length(): number {
    return this.#shape.pieceBytes * this.#shape.pieceCount;
  }

  get pieceCount(): number {
    return this.#shape.pieceCount;
  }

  next(): Promise<Piece | null> | Piece | null {
    if (this.#pending) this.nextWhilePending++;
    if (this.#shape.isAsync !== true) return this.#give();
    this.#pending = true;
    return sleep(1).then(() => {
      this.#pending = false;
      return this.#give();
    });
  }

  close(): void {
    this.closed++;
  }

  #give(): Piece | null {
    if (this.given === this.#shape.failAt) throw new Error('the drive is gone');
    if (this.given === this.#shape.pieceCount) return null;
    const store = this.#shape.shared === true ? new SharedArrayBuffer(this.#shape.pieceBytes) : this.#shape.pieceBytes;
    const bytes = (typeof store === 'number' ? new Uint8Array(store) : new Uint8Array(store)).fill(this.given % 251);
    this.given++;
    this.inFlightMax = Math.max(this.inFlightMax, this.given - this.released);
    let isReleased = false;
    return {
      bytes,
      release: () => {
        if (isReleased) this.doubleReleased++;
        isReleased = true;
        this.released++;
        bytes.fill(255);
      },
    };
  }

  /** What is wrong now that the answer is over, or nothing. */
  faults(): string[] {
    const faults: string[] = [];
    if (this.released !== this.given) faults.push(`${this.given} pieces given, ${this.released} released`);
    if (this.doubleReleased > 0) faults.push(`${this.doubleReleased} released twice`);
    if (this.closed !== 1) faults.push(`closed ${this.closed} times`);
    if (this.nextWhilePending > 0) faults.push('asked again while pending');
    return faults;
  }
}

export function streamOf(source: CountingSource, length = source.length): ExchangeResponse {
  return { status: 200, headers: [], body: { kind: 'stream', length, source } };
}

export async function eventually(condition: () => boolean, what: string, msMax = 5_000): Promise<void> {
  const deadline = Date.now() + msMax;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`never: ${what}`);
    await sleep(5);
  }
}
