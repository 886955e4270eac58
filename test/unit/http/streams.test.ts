import { createHash } from 'node:crypto';
import { afterEach, describe, expect, test } from 'vitest';
import { AnswerInstead } from '../../../src/exchange/index.js';
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

const MiB = 1024 * 1024;
const get = (target = '/', extra = '') => `GET ${target} HTTP/1.1\r\nHost: x\r\n${extra}\r\n`;

function expected(source: CountingSource, pieceBytes: number): Buffer {
  return Buffer.concat(
    Array.from({ length: source.length / pieceBytes }, (_, index) => Buffer.alloc(pieceBytes, index % 251)),
  );
}

describe.each(adapters)('streamed answers over %s', (name, create) => {
  test.each([10, 3 * MiB])('of %i bytes that cannot be had are answered otherwise', async (length) => {
    let closed = 0;
    const { port } = await openFront(create, () => {
      const next = (): Promise<never> =>
        Promise.reject(
          new AnswerInstead({ status: 503, headers: [['x-why', 'gone']], body: { kind: 'bytes', bytes: 'no' } }, null),
        );
      return {
        status: 200,
        headers: [],
        body: { kind: 'stream', length, source: { next, close: () => void closed++ } },
      };
    });
    for (let round = 0; round < 2; round++) {
      const answer = await fetch(`http://127.0.0.1:${port}/`);
      expect([answer.status, answer.headers.get('x-why'), await answer.text()]).toEqual([503, 'gone', 'no']);
    }
    expect(closed).toBe(2);
  });

  test.each([
    ['small pieces at once', { pieceBytes: 100, pieceCount: 5 }],
    ['small pieces later', { pieceBytes: 100, pieceCount: 5, isAsync: true }],
    ['one piece', { pieceBytes: 4096, pieceCount: 1, isAsync: true }],
    ['pieces of 1 MiB', { pieceBytes: MiB, pieceCount: 9 }],
    ['pieces of 1 MiB, later, from shared memory', { pieceBytes: MiB, pieceCount: 9, isAsync: true, shared: true }],
    ['odd pieces', { pieceBytes: 70_001, pieceCount: 60, isAsync: true }],
    ['pieces over the limit of the library', { pieceBytes: 5 * MiB + 3, pieceCount: 2, isAsync: true }],
  ])('%s', async (_what, shape) => {
    const sources: CountingSource[] = [];
    const { port, front } = await openFront(create, async (request) => {
      if (request.rawPath === '/later') await sleep(1);
      const source = new CountingSource(shape);
      sources.push(source);
      return streamOf(source);
    });
    const client = await RawClient.open(port);
    for (const target of ['/', '/later', '/']) {
      client.send(get(target));
      const answer = await client.readAnswer();
      expect(answer.body.equals(expected(sources.at(-1)!, shape.pieceBytes))).toBe(true);
      expect(answer.header('transfer-encoding')).toBeUndefined();
    }
    await eventually(() => front.activeRequests === 0, 'idle');
    for (const source of sources) {
      expect(source.faults()).toEqual([]);
      expect(source.inFlightMax).toBeLessThanOrEqual(2);
    }
  });

  test('a stream of no bytes, and one with empty pieces', async () => {
    const empty = new CountingSource({ pieceBytes: 0, pieceCount: 3 });
    const { port } = await openFront(create, (request) =>
      request.rawPath === '/empty' ? streamOf(empty) : plain('next'),
    );
    const client = await RawClient.open(port);
    client.send(get('/empty'));
    expect((await client.readAnswer()).header('content-length')).toBe('0');
    client.send(get());
    expect((await client.readAnswer()).body.toString()).toBe('next');
    expect(empty.faults()).toEqual([]);
  });

  test('a slow reader: the source waits, memory stays flat, every byte arrives', async () => {
    const source = new CountingSource({ pieceBytes: MiB, pieceCount: 50, isAsync: true });
    const { port } = await openFront(create, () => streamOf(source));
    const client = await RawClient.open(port);
    const hash = createHash('sha256');
    let received = 0;
    let chunks = 0;
    client.socket.removeAllListeners('data');
    client.socket.pause();
    client.send(get());
    await sleep(300);
    const givenWhileStill = source.given;
    // The kernel's buffers on both sides take a few MiB; the rest has to wait.
    expect(givenWhileStill).toBeLessThan(20);
    const rssBefore = process.memoryUsage.rss();
    let rssMax = 0;
    let head = true;
    client.socket.on('data', (chunk: Buffer) => {
      const body = head ? chunk.subarray(chunk.indexOf('\r\n\r\n') + 4) : chunk;
      head = false;
      received += body.length;
      hash.update(body);
      rssMax = Math.max(rssMax, process.memoryUsage.rss());
      if (++chunks % 8 > 0) return;
      client.socket.pause();
      setTimeout(() => client.socket.resume(), 1);
    });
    client.socket.resume();
    await eventually(() => received === source.length, 'all of it', 25_000);
    expect(hash.digest('hex')).toBe(createHash('sha256').update(expected(source, MiB)).digest('hex'));
    expect(source.inFlightMax).toBeLessThanOrEqual(2);
    await eventually(() => source.closed === 1, 'closed');
    expect(source.faults()).toEqual([]);
    // Client and server live in this process: pieces not yet collected count too.
    expect(rssMax - rssBefore).toBeLessThan(120 * MiB);
    client.destroy();
  }, 40_000);

  test('a source that fails at once: an error in XML', async () => {
    const source = new CountingSource({ pieceBytes: 10, pieceCount: 3, failAt: 0, isAsync: true });
    const { port, logged } = await openFront(create, (request) =>
      request.rawPath === '/fails' ? streamOf(source) : plain('fine'),
    );
    const client = await RawClient.open(port);
    client.send(get('/fails'));
    const answer = await client.readAnswer();
    expect(answer.status).toBe(500);
    expect(answer.body.toString()).toContain('<Code>InternalError</Code>');
    expect(source.faults()).toEqual([]);
    expect(logged.length).toBe(1);
  });

  test.each([
    ['rejects', { pieceBytes: 1000, pieceCount: 3, failAt: 1, isAsync: true }, 3000],
    ['throws', { pieceBytes: 1000, pieceCount: 3, failAt: 1 }, 3000],
    ['ends too soon', { pieceBytes: 1000, pieceCount: 3, isAsync: true }, 5000],
  ])('a source that %s midway: a cut connection, never a whole answer', async (_what, shape, length) => {
    const source = new CountingSource(shape);
    let told = 0;
    const { port, front, logged } = await openFront(create, (request) => {
      request.onAborted(() => told++);
      return streamOf(source, length);
    });
    const client = await RawClient.open(port);
    client.send(get());
    await expect(client.readAnswer()).rejects.toThrow('connection closed');
    await eventually(() => front.activeRequests === 0, 'idle');
    expect(client.received.length).toBeLessThan(length + 200);
    expect(source.faults()).toEqual([]);
    expect(told).toBe(1);
    expect(logged.map((line) => line.text)).toEqual(['an answer could not be completed']);
  });

  test('a source longer than announced: cut at the length, and the connection lives', async () => {
    const source = new CountingSource({ pieceBytes: 1000, pieceCount: 3 });
    const { port } = await openFront(create, (request) =>
      request.rawPath === '/long' ? streamOf(source, 1500) : plain('next'),
    );
    const client = await RawClient.open(port);
    client.send(get('/long'));
    expect((await client.readAnswer()).body.length).toBe(1500);
    client.send(get());
    expect((await client.readAnswer()).body.toString()).toBe('next');
    expect(source.faults()).toEqual([]);
  });

  test('clients that leave at every stage of a download leave nothing behind', async () => {
    const sources: CountingSource[] = [];
    let told = 0;
    const { port, front } = await openFront(create, async (request) => {
      request.onAborted(() => told++);
      if (request.rawPath === '/late') await sleep(30);
      const source = new CountingSource({ pieceBytes: MiB, pieceCount: 40, isAsync: request.rawPath !== '/sync' });
      sources.push(source);
      return streamOf(source);
    });
    for (const how of ['end', 'reset'] as const) {
      for (const [target, waitMs] of [
        ['/late', 5],
        ['/async', 0],
        ['/async', 2],
        ['/async', 60],
        ['/sync', 60],
      ] as const) {
        const client = await RawClient.open(port);
        if (waitMs === 60) client.socket.pause();
        client.send(get(target));
        await sleep(waitMs);
        if (how === 'end') client.destroy();
        else client.socket.resetAndDestroy();
      }
    }
    await eventually(() => front.activeRequests === 0, 'idle');
    await sleep(50);
    for (const source of sources) expect(source.faults()).toEqual([]);
    expect(sources.length).toBeGreaterThanOrEqual(8);
    expect(told).toBe(sources.length);
  });

  test('a reader that stands still is cut off, and nothing is held for it', async () => {
    const source = new CountingSource({ pieceBytes: MiB, pieceCount: 60, isAsync: true });
    const { port, front, logged } = await openFront(create, () => streamOf(source), {
      bounds: { sweepMs: 40, stallMsMax: 250 },
    });
    const client = await RawClient.open(port);
    client.socket.pause();
    client.send(get());
    await eventually(() => source.closed === 1, 'closed');
    expect(source.faults()).toEqual([]);
    await eventually(() => front.activeRequests === 0, 'idle');
    expect(logged.map((line) => line.text)).toEqual(['client too slow; connection closed']);
    client.destroy();
  });

  test('a source that takes its time is not cut off', async () => {
    let given = 0;
    const { port } = await openFront(
      create,
      () => ({
        status: 200,
        headers: [],
        body: {
          kind: 'stream',
          length: 4,
          source: {
            next: async () => {
              await sleep(100);
              given++;
              return { bytes: new Uint8Array([64 + given]), release: () => {} };
            },
            close: () => {},
          },
        },
      }),
      { bounds: { sweepMs: 20, stallMsMax: 60, rateGraceMs: 60 } },
    );
    const client = await RawClient.open(port);
    client.send(get());
    expect((await client.readAnswer()).body.toString()).toBe('ABCD');
  });

  test('many at once, some leaving', async () => {
    const sources: CountingSource[] = [];
    const { port, front } = await openFront(create, () => {
      const source = new CountingSource({ pieceBytes: 300_000, pieceCount: 6, isAsync: sources.length % 2 === 0 });
      sources.push(source);
      return streamOf(source);
    });
    await Promise.all(
      Array.from({ length: 40 }, async (_, index) => {
        const client = await RawClient.open(port);
        client.send(get());
        if (index % 4 === 3) {
          await sleep(index);
          client.destroy();
        } else expect((await client.readAnswer(false, 20_000)).body.length).toBe(1_800_000);
        client.destroy();
      }),
    );
    await eventually(() => front.activeRequests === 0, 'idle');
    await sleep(20);
    for (const source of sources) expect(source.faults()).toEqual([]);
  });

  test('closing with a stream under way: it finishes', async () => {
    const source = new CountingSource({ pieceBytes: MiB, pieceCount: 20, isAsync: true });
    const { port, front } = await openFront(create, () => streamOf(source));
    const client = await RawClient.open(port);
    client.send(get());
    await eventually(() => source.given > 0, 'begun');
    const closed = front.close(10_000);
    expect((await client.readAnswer(false, 10_000)).body.length).toBe(20 * MiB);
    await closed;
    expect(source.faults()).toEqual([]);
    expect(name).toBeDefined();
  });
});
