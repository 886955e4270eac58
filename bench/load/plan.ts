/**
 * A plan: the file of prebuilt requests that the load generator sends, little endian.
 *
 *   0    `GRNLOAD1`
 *   8    u64 number of requests, then for each of them
 *        u32 bytes of the head, u32 status expected, u64 bytes of the body,
 *        i64 bytes of the answer's body expected or −1, u64 where in the pattern the body begins,
 *        u32 flags (1: the answer has no body whatever its head says; 2: its body is the pattern), u32 0
 *        the head, with its empty line
 */
import { open } from 'node:fs/promises';
import { createHeaderSigner, emptyHash, unsignedPayload, type Signer } from './sign.js';

export interface PlannedRequest {
  readonly method: 'GET' | 'PUT' | 'DELETE' | 'HEAD';
  readonly path: string;
  /** Encoded and sorted. */
  readonly query?: string;
  readonly bodyBytes?: number;
  readonly expectedStatus: number;
  readonly expectedBytes?: number;
  /** Of the body sent or expected; objects differ by it. */
  readonly patternOffset?: number;
  readonly isPattern?: boolean;
}

const recordBytes = 40;
const pieceBytes = 1 << 20;

export function encodeRequest(request: PlannedRequest, sign: ReturnType<typeof createHeaderSigner>): Buffer {
  const { method, path, query = '', bodyBytes = 0 } = request;
  const headers = sign({ method, path, query, payloadHash: method === 'PUT' ? unsignedPayload : emptyHash });
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  if (method === 'PUT') lines.push(`Content-Length: ${bodyBytes}\r\n`);
  const head = `${method} ${path}${query === '' ? '' : `?${query}`} HTTP/1.1\r\n${lines.join('')}\r\n`;
  const buffer = Buffer.alloc(recordBytes + head.length);
  buffer.writeUInt32LE(head.length, 0);
  buffer.writeUInt32LE(request.expectedStatus, 4);
  buffer.writeBigUInt64LE(BigInt(bodyBytes), 8);
  buffer.writeBigInt64LE(BigInt(request.expectedBytes ?? -1), 16);
  buffer.writeBigUInt64LE(BigInt(request.patternOffset ?? 0), 24);
  buffer.writeUInt32LE((method === 'HEAD' ? 1 : 0) | (request.isPattern === true ? 2 : 0), 32);
  buffer.write(head, recordBytes, 'latin1');
  return buffer;
}

/** Signs with the time of now: a plan is good for 15 minutes. */
export async function writePlan(file: string, signer: Signer, requests: readonly PlannedRequest[]): Promise<void> {
  const sign = createHeaderSigner(signer, new Date());
  const handle = await open(file, 'w');
  try {
    const start: Buffer = Buffer.alloc(16);
    start.write('GRNLOAD1', 0, 'latin1');
    start.writeBigUInt64LE(BigInt(requests.length), 8);
    let waiting: Buffer[] = [start];
    let waitingBytes = start.length;
    for (const request of requests) {
      const record = encodeRequest(request, sign);
      waiting.push(record);
      waitingBytes += record.length;
      if (waitingBytes < pieceBytes) continue;
      await handle.writeFile(Buffer.concat(waiting));
      waiting = [];
      waitingBytes = 0;
    }
    await handle.writeFile(Buffer.concat(waiting));
  } finally {
    await handle.close();
  }
}
