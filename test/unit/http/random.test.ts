/**
 * Clients and handlers that behave at random, from a seed, over both fronts: whatever happens, bytes that arrive
 * are the right ones, each sink and source is closed once, and nothing stays active.
 * GRANARY_SEED replays a run.
 */
import { createHash, randomInt } from 'node:crypto';
import { afterEach, expect, test } from 'vitest';
import type { ExchangeRequest, ExchangeResponse } from '../../../src/exchange/index.js';
import {
  CountingSource,
  RawClient,
  adapters,
  closeFronts,
  eventually,
  openFront,
  plain,
  sleep,
  streamOf,
} from './support.js';

afterEach(closeFronts);

/** A small generator of 32-bit numbers (xorshift). */
class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = (seed ^ 0x9e3779b9) >>> 0 || 1;
  }

  below(bound: number): number {
    this.#state ^= this.#state << 13;
    this.#state ^= this.#state >>> 17;
    this.#state ^= this.#state << 5;
    return (this.#state >>> 0) % bound;
  }

  chance(percent: number): boolean {
    return this.below(100) < percent;
  }
}

interface SinkRecord {
  lastCount: number;
  abortedCount: number;
  afterEndCount: number;
}

function digestBody(request: ExchangeRequest, random: Random, records: SinkRecord[]): Promise<string> {
  const record = { lastCount: 0, abortedCount: 0, afterEndCount: 0 };
  records.push(record);
  const hash = createHash('sha256');
  return new Promise((resolve, reject) => {
    request.body.consume({
      chunk: (bytes, isLast) => {
        if (record.lastCount + record.abortedCount > 0) record.afterEndCount++;
        hash.update(bytes);
        if (isLast) {
          record.lastCount++;
          resolve(hash.digest('hex'));
        } else if (random.chance(20)) {
          request.body.pause();
          setTimeout(() => request.body.resume(), random.below(4));
        }
      },
      aborted: () => {
        if (record.lastCount + record.abortedCount > 0) record.afterEndCount++;
        record.abortedCount++;
        reject(new Error('aborted'));
      },
    });
  });
}

async function send(client: RawClient, random: Random, bytes: Buffer): Promise<void> {
  let from = 0;
  while (from < bytes.length && !client.isClosed) {
    const size = random.chance(50) ? 1 + random.below(200) : 1 + random.below(200_000);
    client.send(bytes.subarray(from, from + size));
    from += size;
    if (random.chance(30)) await sleep(random.below(3));
  }
}

function requestText(random: Random, body: Buffer, path: string): Buffer[] {
  const isChunked = random.chance(40);
  const head = `${path === '/get' ? 'GET' : 'PUT'} ${path} HTTP/1.1\r\n`;
  if (path === '/get') return [Buffer.from(`${head}Host: x\r\n\r\n`)];
  if (!isChunked) return [Buffer.from(head), Buffer.from(`Host: x\r\nContent-Length: ${body.length}\r\n\r\n`), body];
  const parts: Buffer[] = [Buffer.from(head), Buffer.from('Host: x\r\nTransfer-Encoding: chunked\r\n\r\n')];
  for (let from = 0; from < body.length;) {
    const size = Math.min(body.length - from, 1 + random.below(70_000));
    parts.push(Buffer.from(`${size.toString(16)}\r\n`), body.subarray(from, from + size), Buffer.from('\r\n'));
    from += size;
  }
  return [...parts, Buffer.from('0\r\n\r\n')];
}

test.each(adapters)('random clients over %s', async (_name, create) => {
  const seed = Number(process.env['GRANARY_SEED'] ?? randomInt(2 ** 32 - 1));
  console.log(`seed ${seed}`);
  const server = new Random(seed);
  const records: SinkRecord[] = [];
  const sources: CountingSource[] = [];
  const { port, front } = await openFront(
    create,
    async (request): Promise<ExchangeResponse> => {
      if (server.chance(30)) await sleep(server.below(10));
      if (request.rawPath === '/get') {
        const source = new CountingSource({
          pieceBytes: 1 + server.below(300_000),
          pieceCount: 1 + server.below(12),
          isAsync: server.chance(60),
        });
        sources.push(source);
        const response = streamOf(source);
        return { ...response, headers: [['x-piece-bytes', String(source.length / source.pieceCount)]] };
      }
      if (request.rawPath === '/early') return plain('early', 403);
      return plain(await digestBody(request, server, records).catch(() => 'gone'));
    },
    { bounds: { sweepMs: 10, stallMsMax: 5_000, rateGraceMs: 60_000, lingerMsMax: 200, drainMsMax: 200 } },
  );
  const clients = Array.from({ length: 24 }, async (_, index) => {
    const random = new Random(seed + index + 1);
    let client = await RawClient.open(port);
    client.socket.setNoDelay(true);
    for (let round = 0; round < 8; round++) {
      if (client.isClosed) client = await RawClient.open(port);
      const path = ['/put', '/put', '/get', '/early'][random.below(4)]!;
      const body = Buffer.alloc(random.chance(50) ? random.below(2_000) : random.below(1_500_000), random.below(256));
      const parts = requestText(random, body, path);
      // A request line in one packet: see docs/http.md.
      client.send(parts[0]!);
      const rest = Buffer.concat(parts.slice(1));
      if (random.chance(15)) {
        await send(client, random, rest.subarray(0, random.below(rest.length + 1)));
        if (random.chance(50)) client.destroy();
        else client.socket.resetAndDestroy();
        client = await RawClient.open(port);
        continue;
      }
      await send(client, random, rest);
      if (path === '/early') {
        const answer = await client.readAnswer();
        expect(answer.status).toBe(403);
        if (answer.header('connection') === 'close') client = (client.destroy(), await RawClient.open(port));
        continue;
      }
      const answer = await client.readAnswer(false, 20_000);
      expect(answer.status).toBe(200);
      if (path === '/put') expect(answer.body.toString()).toBe(createHash('sha256').update(body).digest('hex'));
      else {
        const pieceBytes = Number(answer.header('x-piece-bytes'));
        for (let at = 0, piece = 0; at < answer.body.length; at += pieceBytes, piece++) {
          expect(answer.body.subarray(at, at + pieceBytes).equals(Buffer.alloc(pieceBytes, piece))).toBe(true);
        }
      }
    }
    client.destroy();
  });
  await Promise.all(clients);
  await eventually(() => front.activeRequests === 0, 'idle');
  await sleep(30);
  for (const source of sources) expect(source.faults()).toEqual([]);
  for (const record of records) expect([record.lastCount + record.abortedCount, record.afterEndCount]).toEqual([1, 0]);
  expect(records.length).toBeGreaterThan(20);
});
