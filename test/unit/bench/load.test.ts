/** The load generator against a server that misbehaves: figures of failed requests must not pass as figures. */
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { Plan, type LoadOptions } from '../../../bench/load/load.js';
import type { PlannedRequest } from '../../../bench/load/plan.js';
import { Workspace } from '../../../bench/workspace.js';

const workspace = new Workspace({ disk: tmpdir(), tmpfs: null }, { server: null, client: null });
const ended: (() => Promise<void>)[] = [];

beforeAll(() => workspace.compile('load/load.cc'));
afterEach(async () => {
  for (const end of ended.splice(0).reverse()) await end();
});

/** What the generator sends and expects as a body: xorshift64, a little longer than 1 MiB, over and over. */
function pattern(offset: number, bytes: number): Buffer {
  const period = (1 << 20) + 4177;
  const all = Buffer.alloc(period + 8);
  let state = 0x9e3779b97f4a7c15n;
  for (let at = 0; at < period; at += 8) {
    state ^= (state << 13n) & 0xffffffffffffffffn;
    state ^= state >> 7n;
    state ^= (state << 17n) & 0xffffffffffffffffn;
    all.writeBigUInt64LE(state, at);
  }
  const start = offset % period;
  return Buffer.concat([all.subarray(0, period), all.subarray(0, period)]).subarray(start, start + bytes);
}

async function run(
  answer: (request: IncomingMessage, response: ServerResponse) => void,
  requests: readonly PlannedRequest[],
  options: LoadOptions = { connections: 2 },
) {
  const server: Server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  ended.push(
    () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  );
  const folder = await mkdtemp(join(tmpdir(), 'granary-bench-test-'));
  ended.push(() => rm(folder, { recursive: true }));
  const { port } = server.address() as AddressInfo;
  const host = `127.0.0.1:${port}`;
  const target = { address: '127.0.0.1', port, pid: process.pid, host, accessKey: 'a', secretKey: 'b', region: 'r' };
  return (await Plan.write(workspace, target, folder, requests)).run(options);
}

const get = (count: number, bytes: number): PlannedRequest[] =>
  Array.from({ length: count }, (_, index) => ({
    method: 'GET',
    path: `/${index}`,
    expectedStatus: 200,
    expectedBytes: bytes,
    isPattern: true,
    patternOffset: index,
  }));

const offsetOf = (request: IncomingMessage) => Number(request.url?.slice(1));

describe('counts', () => {
  test('answers of a plan that runs once, with a length and in chunks', async () => {
    const figures = await run(
      (request, response) => {
        const body = pattern(offsetOf(request), 100_000);
        if (offsetOf(request) % 2 === 0) response.setHeader('Content-Length', body.length);
        response.end(body);
      },
      get(20, 100_000),
    );
    expect(figures).toMatchObject({ requests: 20, errors: 0, sentBytes: 0, receivedBytes: 2_000_000 });
    expect(figures.histogram.reduce((sum, [, count]) => sum + count, 0)).toBe(20);
    expect(figures.serverCpuMicros).toBeGreaterThanOrEqual(0);
  });

  test('bodies that it sends, byte by byte those of the pattern', async () => {
    const bytes = 1_500_000;
    const received: Buffer[] = [];
    const figures = await run(
      (request, response) => {
        request.on('data', (data: Buffer) => received.push(data));
        request.on('end', () => response.end());
      },
      [{ method: 'PUT', path: '/k', bodyBytes: bytes, expectedStatus: 200, patternOffset: 99 }],
    );
    expect(figures).toMatchObject({ requests: 1, sentBytes: bytes });
    expect(
      Buffer.concat(received).equals(Buffer.concat([pattern(99, 1 << 20), pattern(99 + (1 << 20), bytes - (1 << 20))])),
    ).toBe(true);
  });

  test('until the time is over, on connections that the server closes', async () => {
    const figures = await run(
      (_, response) => response.setHeader('Connection', 'close').end('x'),
      [{ method: 'GET', path: '/', expectedStatus: 200, expectedBytes: 1 }],
      { connections: 3, seconds: 0.2, loops: true },
    );
    expect(figures.requests).toBeGreaterThan(3);
    expect(figures.elapsedMicros).toBeGreaterThan(150_000);
  });
});

describe('throws for', () => {
  test.each<[string, (response: ServerResponse) => void, RegExp]>([
    [
      'another status',
      (response) => response.writeHead(503).end('SlowDown'),
      /4 of 4 requests failed: status 503 SlowDown/,
    ],
    ['a body of another length', (response) => response.end(pattern(0, 999)), /a body of 999 bytes/],
    ['other bytes', (response) => response.end(Buffer.alloc(1000, 1)), /other bytes/],
    ['a cut connection', (response) => void response.socket?.destroy(), /server closed|receive/],
  ])('%s', async (_, answer, message) => {
    await expect(run((_request, response) => answer(response), get(4, 1000))).rejects.toThrow(message);
  });
});
