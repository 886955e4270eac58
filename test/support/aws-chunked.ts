/** aws-chunked bodies as a client frames and signs them. */
import { createHash, createHmac } from 'node:crypto';

export interface ChunkSigner {
  readonly key: Uint8Array;
  readonly amzDate: string;
  readonly scope: string;
  readonly seedSignature: string;
}

const sha256Hex = (bytes: Uint8Array | string) => createHash('sha256').update(bytes).digest('hex');

export function unsignedChunks(chunks: readonly string[], trailers: Readonly<Record<string, string>>): string {
  const framed = [...chunks, ''].map((chunk) => {
    const head = `${Buffer.byteLength(chunk).toString(16)}\r\n`;
    return chunk === '' ? head : `${head}${chunk}\r\n`;
  });
  const lines = Object.entries(trailers).map(([name, value]) => `${name}:${value}\r\n`);
  return `${framed.join('')}${lines.join('')}\r\n`;
}

/** `trailers` null: the form without. */
export function signedChunks(
  signer: ChunkSigner,
  chunks: readonly string[],
  trailers: Readonly<Record<string, string>> | null,
): string {
  let previous = signer.seedSignature;
  const sign = (kind: string, hashes: readonly string[]) => {
    const text = [`AWS4-HMAC-SHA256-${kind}`, signer.amzDate, signer.scope, previous, ...hashes].join('\n');
    previous = createHmac('sha256', signer.key).update(text).digest('hex');
    return previous;
  };
  let body = '';
  for (const chunk of [...chunks, '']) {
    const signature = sign('PAYLOAD', [sha256Hex(''), sha256Hex(chunk)]);
    body += `${Buffer.byteLength(chunk).toString(16)};chunk-signature=${signature}\r\n`;
    if (chunk !== '') body += `${chunk}\r\n`;
  }
  if (trailers === null) return `${body}\r\n`;
  const block = Object.entries(trailers)
    .map(([name, value]) => `${name}:${value}\n`)
    .join('');
  const lines = block.replaceAll('\n', '\r\n');
  return `${body}${lines}x-amz-trailer-signature:${sign('TRAILER', [sha256Hex(block)])}\r\n\r\n`;
}

/** The same bytes in pieces of this length. */
export function inPieces(text: string, pieceBytes: number): Buffer[] {
  const bytes = Buffer.from(text);
  const pieces: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += pieceBytes) pieces.push(bytes.subarray(at, at + pieceBytes));
  return pieces;
}
