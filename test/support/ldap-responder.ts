/** A directory of a few lines that answers what a test says: what slapd does not do, and what no directory should. */
import { createServer, type AddressInfo, type Socket } from 'node:net';

export function tlv(tag: number, ...contents: (Buffer | string)[]): Buffer {
  const content = Buffer.concat(contents.map((one) => (typeof one === 'string' ? Buffer.from(one) : one)));
  const length =
    content.length < 0x80 ? Buffer.of(content.length) : Buffer.of(0x83, 0, content.length >> 8, content.length & 255);
  return Buffer.concat([Buffer.of(tag), length, content]);
}

export interface LdapRequest {
  readonly id: number;
  /** 0x60 bind, 0x63 search, 0x77 extended. */
  readonly tag: number;
  /** Of a search. */
  readonly base: string;
  readonly attributes: readonly string[];
  /** The whole operation. */
  readonly bytes: Buffer;
}

export interface ResponderEntry {
  readonly dn: string;
  readonly attributes: Readonly<Record<string, readonly (string | Buffer)[]>>;
}

export const message = (id: number, operation: Buffer) => tlv(0x30, tlv(0x02, Buffer.of(id)), operation);
export const result = (tag: number, code: number) => tlv(tag, tlv(0x0a, Buffer.of(code)), tlv(0x04), tlv(0x04));
export const entryMessage = (id: number, { dn, attributes }: ResponderEntry) =>
  message(
    id,
    tlv(
      0x64,
      tlv(0x04, dn),
      tlv(
        0x30,
        ...Object.entries(attributes).map(([name, values]) =>
          tlv(0x30, tlv(0x04, name), tlv(0x31, ...values.map((value) => tlv(0x04, value)))),
        ),
      ),
    ),
  );

export type Answer = (request: LdapRequest, socket: Socket) => void;

/** Binds succeed; searches find what `find` says. */
export function answering(find: (request: LdapRequest) => readonly ResponderEntry[]): Answer {
  return (request, socket) => {
    if (request.tag === 0x60) socket.write(message(request.id, result(0x61, 0)));
    if (request.tag !== 0x63) return;
    for (const entry of find(request)) socket.write(entryMessage(request.id, entry));
    socket.write(message(request.id, result(0x65, 0)));
  };
}

export interface LdapResponder {
  readonly port: number;
  readonly requests: LdapRequest[];
  answer: Answer;
  close(): Promise<void>;
}

export async function startResponder(answer: Answer): Promise<LdapResponder> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
    let received = Buffer.alloc(0);
    socket.on('data', (data) => {
      received = Buffer.concat([received, data]);
      for (let end = endOf(received, 0); end !== null && end <= received.length; end = endOf(received, 0)) {
        const request = requestOf(received.subarray(0, end));
        received = received.subarray(end);
        responder.requests.push(request);
        responder.answer(request, socket);
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const responder: LdapResponder = {
    port: (server.address() as AddressInfo).port,
    requests: [],
    answer,
    close: () =>
      new Promise((resolve) => {
        for (const socket of sockets) socket.destroy();
        server.close(() => {
          resolve();
        });
      }),
  };
  return responder;
}

function header(bytes: Buffer, at: number): { at: number; length: number } | null {
  const first = bytes[at + 1];
  if (first === undefined) return null;
  if (first < 0x80) return { at: at + 2, length: first };
  const count = first & 0x7f;
  return bytes.length < at + 2 + count ? null : { at: at + 2 + count, length: bytes.readUIntBE(at + 2, count) };
}

function endOf(bytes: Buffer, at: number): number | null {
  const found = header(bytes, at);
  return found === null ? null : found.at + found.length;
}

function parts(bytes: Buffer): { tag: number; content: Buffer }[] {
  const found: { tag: number; content: Buffer }[] = [];
  for (let at = 0; at < bytes.length;) {
    const head = header(bytes, at);
    if (head === null) break;
    found.push({ tag: bytes[at] ?? 0, content: bytes.subarray(head.at, head.at + head.length) });
    at = head.at + head.length;
  }
  return found;
}

function requestOf(bytes: Buffer): LdapRequest {
  const [whole] = parts(bytes);
  const [id, operation] = parts(whole?.content ?? Buffer.alloc(0));
  const fields = parts(operation?.content ?? Buffer.alloc(0));
  const isSearch = operation?.tag === 0x63;
  return {
    id: id?.content.readUIntBE(0, id.content.length) ?? 0,
    tag: operation?.tag ?? 0,
    base: isSearch ? (fields[0]?.content.toString() ?? '') : '',
    attributes: isSearch ? parts(fields[7]?.content ?? Buffer.alloc(0)).map(({ content }) => content.toString()) : [],
    bytes: operation?.content ?? Buffer.alloc(0),
  };
}
