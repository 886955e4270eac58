import { createHash, randomBytes } from 'node:crypto';
import { afterEach, describe, expect, test } from 'vitest';
import type { ExchangeRequest, ExchangeResponse } from '../../../src/exchange/index.js';
import {
  CountingSink,
  CountingSource,
  RawClient,
  adapters,
  closeFronts,
  collect,
  eventually,
  openFront,
  plain,
  sleep,
  streamOf,
} from './support.js';

afterEach(closeFronts);

const MiB = 1024 * 1024;
const put = (length: number | string, extra = '', target = '/') =>
  `PUT ${target} HTTP/1.1\r\nHost: x\r\nContent-Length: ${length}\r\n${extra}\r\n`;
const chunked = (extra = '') => `PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n${extra}\r\n`;
const digest = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
const echo = async (request: ExchangeRequest) => plain((await collect(request)).toString('latin1'));

describe.each(adapters)('request bodies over %s', (name, create) => {
  test('by length, in one packet and in several, then the next request', async () => {
    const { port } = await openFront(create, echo);
    const client = await RawClient.open(port);
    client.send(`${put(5)}hello`);
    expect((await client.readAnswer()).body.toString()).toBe('hello');
    client.send(put(5));
    await sleep(10);
    client.send('wo');
    await sleep(10);
    client.send('rld');
    expect((await client.readAnswer()).body.toString()).toBe('world');
    client.send(`${put(2)}ab`);
    expect((await client.readAnswer()).body.toString()).toBe('ab');
  });

  test('a length of zero and no body: one empty last chunk', async () => {
    const sinks: CountingSink[] = [];
    const { port } = await openFront(create, async (request) => {
      const sink = new CountingSink();
      sinks.push(sink);
      request.body.consume(sink);
      expect(sink.chunkCount).toBe(0);
      await sleep(1);
      return plain(String(request.body.declaredBytes));
    });
    const client = await RawClient.open(port);
    for (const text of [put(0), 'GET / HTTP/1.1\r\nHost: x\r\n\r\n']) {
      client.send(text);
      expect((await client.readAnswer()).body.toString()).toBe('0');
    }
    for (const sink of sinks) expect({ ...sink }).toEqual({ ...new CountingSink(), chunkCount: 1, lastCount: 1 });
  });

  test('chunked transfer', async () => {
    const declared: (number | null)[] = [];
    const { port } = await openFront(create, (request) => {
      declared.push(request.body.declaredBytes);
      return echo(request);
    });
    const client = await RawClient.open(port);
    client.send(`${chunked()}3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n`);
    expect((await client.readAnswer()).body.toString()).toBe('abcd');
    client.send(chunked());
    for (const char of 'A\r\n0123456789\r\n2\r\nxy\r\n0\r\n\r\n') {
      client.send(char);
      await sleep(1);
    }
    expect((await client.readAnswer()).body.toString()).toBe('0123456789xy');
    client.send(`${chunked()}0\r\n\r\n`);
    expect((await client.readAnswer()).body.toString()).toBe('');
    expect(declared).toEqual([null, null, null]);
  });

  test('a chunked body with Connection: close and a large answer', async () => {
    const { port } = await openFront(create, async (request) =>
      plain('y'.repeat((await collect(request)).length * 1000)),
    );
    for (const junk of ['', 'GET / HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(3)]) {
      const client = await RawClient.open(port);
      client.send(`${chunked('Connection: close\r\n')}64\r\n${'x'.repeat(100)}\r\n0\r\n\r\n${junk}`);
      const answer = await client.readAnswer().catch(() => null);
      // What follows a last request may cost that client its answer, and nobody else anything.
      if (junk === '') expect(answer?.body.length).toBe(100_000);
    }
    for (const junk of ['', 'GET / HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(3)]) {
      const client = await RawClient.open(port);
      client.send(`${put(100, 'Connection: close\r\n')}${'x'.repeat(100)}${junk}`);
      const answer = await client.readAnswer().catch(() => null);
      if (junk === '') expect(answer?.body.length).toBe(100_000);
    }
    const client = await RawClient.open(port);
    client.send(`${put(1)}x`);
    expect((await client.readAnswer()).body.length).toBe(1000);
  });

  test('Expect: 100-continue', async () => {
    const { port } = await openFront(create, echo);
    const client = await RawClient.open(port);
    client.send(put(5, 'Expect: 100-continue\r\n'));
    await client.readText('HTTP/1.1 100 Continue\r\n\r\n');
    client.send('hello');
    expect((await client.readAnswer()).body.toString()).toBe('hello');
  });

  test.each([
    ['letters', 'Content-Length: abc\r\n', [400]],
    ['a sign', 'Content-Length: +5\r\n', [400]],
    ['negative', 'Content-Length: -1\r\n', [400]],
    ['empty', 'Content-Length: \r\n', [400]],
    ['hexadecimal', 'Content-Length: 0x5\r\n', [400]],
    ['two that differ', 'Content-Length: 5\r\nContent-Length: 6\r\n', [400]],
    ['a list', 'Content-Length: 5, 5\r\n', [400]],
    ['past every integer', 'Content-Length: 99999999999999999999999\r\n', [400]],
    ['past every safe integer', 'Content-Length: 9999999999999999\r\n', [400]],
    ['length and chunked', 'Content-Length: 5\r\nTransfer-Encoding: chunked\r\n', [400]],
    ['another coding', 'Transfer-Encoding: gzip, chunked\r\n', [400, 501]],
    ['only another coding', 'Transfer-Encoding: gzip\r\n', [400, 501]],
  ])('framing that cannot be relied on: %s', async (_what, lines, statuses) => {
    let calls = 0;
    const { port, front } = await openFront(
      create,
      (request) => {
        calls++;
        return echo(request);
      },
      { bounds: { lingerMsMax: 100 } },
    );
    const client = await RawClient.open(port);
    client.send(`PUT / HTTP/1.1\r\nHost: x\r\n${lines}\r\n`);
    expect(statuses).toContain((await client.readAnswer()).status);
    await client.untilClosed();
    expect(calls).toBe(0);
    await eventually(() => front.activeRequests === 0, 'idle');
  });

  test('a broken chunk ends the body and the connection', async () => {
    const sink = new CountingSink();
    const { port, front } = await openFront(create, (request) => {
      request.body.consume(sink);
      return new Promise<ExchangeResponse>((resolve) => request.onAborted(() => resolve(plain('never seen'))));
    });
    const client = await RawClient.open(port);
    client.send(`${chunked()}3\r\nabc\r\nZZ\r\n`);
    await client.untilClosed();
    await eventually(() => sink.abortedCount === 1, 'aborted');
    await eventually(() => front.activeRequests === 0, 'idle');
    expect(sink.afterEndCount).toBe(0);
  });

  test('a body shorter than declared: aborted once, and no answer is owed', async () => {
    const sink = new CountingSink();
    let told = 0;
    const { port, front } = await openFront(create, (request) => {
      request.body.consume(sink);
      return new Promise<ExchangeResponse>((resolve) =>
        request.onAborted(() => {
          told++;
          resolve(plain(''));
        }),
      );
    });
    const client = await RawClient.open(port);
    client.send(`${put(100)}only this`);
    await eventually(() => sink.bytes === 9, 'arrived');
    client.socket.end();
    await eventually(() => sink.abortedCount === 1, 'aborted');
    await eventually(() => front.activeRequests === 0, 'idle');
    expect({ ...sink }).toEqual({ ...sink, lastCount: 0, abortedCount: 1, afterEndCount: 0, bytes: 9 });
    expect(told).toBe(1);
  });

  test('a body longer than declared: the rest is no request', async () => {
    const bodies: string[] = [];
    const { port } = await openFront(create, async (request) => {
      bodies.push((await collect(request)).toString());
      return plain('ok');
    });
    const client = await RawClient.open(port);
    client.send(`${put(4)}body`);
    expect((await client.readAnswer()).status).toBe(200);
    client.send(' and then some more\r\n\r\n');
    expect([400, 505]).toContain((await client.readAnswer()).status);
    await client.untilClosed();
    // In one packet with the body it may cost that client its answer, and nothing else.
    const other = await RawClient.open(port);
    other.send(`${put(4)}body and then some more\r\n\r\n`);
    expect([200, 400, 505]).toContain((await other.readAnswer()).status);
    await other.untilClosed();
    expect(bodies).toEqual(['body', 'body']);
  });

  test('a consumer that comes late gets every byte', async () => {
    const body = randomBytes(3 * MiB);
    const { port } = await openFront(create, async (request) => {
      await sleep(80);
      return plain(digest(await collect(request)));
    });
    const client = await RawClient.open(port);
    client.send(put(body.length));
    client.send(body);
    expect((await client.readAnswer()).body.toString()).toBe(digest(body));
    client.send(`${put(3)}abc`);
    expect((await client.readAnswer()).body.toString()).toBe(digest(Buffer.from('abc')));
    client.send(`${chunked()}3\r\nabc\r\n0\r\n\r\n`);
    expect((await client.readAnswer()).body.toString()).toBe(digest(Buffer.from('abc')));
  });

  test('more waiting bytes than the budget: 503, and the budget is given back', async () => {
    let release: () => void = () => {};
    const gate = new Promise<void>((resolve) => (release = resolve));
    const outcomes: string[] = [];
    const { port, logged } = await openFront(
      create,
      async (request) => {
        if (request.rawPath === '/slow') await gate;
        if (request.rawPath === '/again') await sleep(50);
        return collect(request).then(
          (body) => plain(String(body.length)),
          (error: Error) => {
            outcomes.push(error.message);
            return plain('late');
          },
        );
      },
      { overflowBytesMax: 10_000, bounds: { lingerMsMax: 300 } },
    );
    const client = await RawClient.open(port);
    client.send(put(4 * MiB, '', '/slow'));
    client.send(randomBytes(MiB));
    const answer = await client.readAnswer();
    expect(answer.status).toBe(503);
    expect(answer.body.toString()).toContain('<Code>SlowDown</Code>');
    await client.untilClosed();
    expect(logged.length).toBe(1);
    release();
    await eventually(() => outcomes.length === 1, 'the late consumer is told');
    expect(outcomes).toEqual(['body aborted']);
    // Nine thousand would not fit beside what was held before.
    const next = await RawClient.open(port);
    next.send(put(9_000, '', '/again'));
    next.send(Buffer.alloc(9_000));
    expect((await next.readAnswer()).body.toString()).toBe('9000');
  });

  test('a consumer that pauses: nothing comes while it does, and all of it in the end', async () => {
    const body = randomBytes(24 * MiB);
    let whilePaused = 0;
    let pauses = 0;
    const { port } = await openFront(create, (request) => {
      const hash = createHash('sha256');
      let isPaused = false;
      return new Promise<ExchangeResponse>((resolve, reject) => {
        request.body.consume({
          chunk: (bytes, isLast) => {
            if (isPaused) whilePaused++;
            hash.update(bytes);
            if (isLast) resolve(plain(hash.digest('hex')));
            else if (pauses < 20) {
              pauses++;
              isPaused = true;
              request.body.pause();
              setTimeout(() => {
                isPaused = false;
                request.body.resume();
              }, 5);
            }
          },
          aborted: () => reject(new Error('aborted')),
        });
      });
    });
    const client = await RawClient.open(port);
    client.send(put(body.length));
    client.send(body);
    expect((await client.readAnswer(false, 20_000)).body.toString()).toBe(digest(body));
    expect(pauses).toBe(20);
    expect(whilePaused).toBe(0);
    client.send(`${put(3)}abc`);
    expect((await client.readAnswer()).body.toString()).toBe(digest(Buffer.from('abc')));
  });

  test('a paused consumer stops the sender', async () => {
    let request: ExchangeRequest | null = null;
    const sink = new CountingSink();
    const { port } = await openFront(create, (incoming) => {
      request = incoming;
      incoming.body.consume(sink);
      incoming.body.pause();
      return new Promise<ExchangeResponse>((resolve) => incoming.onAborted(() => resolve(plain(''))));
    });
    const client = await RawClient.open(port);
    client.send(put(64 * MiB));
    client.send(Buffer.alloc(64 * MiB));
    await eventually(() => request !== null, 'handled');
    await sleep(200);
    expect(sink.bytes).toBe(0);
    // What is not in the kernel's buffers has not been sent.
    expect(client.socket.writableLength).toBeGreaterThan(0);
    request!.body.resume();
    await eventually(() => sink.bytes === 64 * MiB, 'all of it', 20_000);
    expect(sink.lastCount).toBe(1);
    client.destroy();
  });

  test('a consumer that throws: 500, logged, and the process lives', async () => {
    const { port, logged } = await openFront(create, (request) => {
      request.body.consume({
        chunk: () => {
          throw new Error('a bug');
        },
        aborted: () => {},
      });
      return new Promise<ExchangeResponse>(() => {});
    });
    const client = await RawClient.open(port);
    client.send(`${put(3)}abc`);
    expect((await client.readAnswer()).status).toBe(500);
    expect(logged.map((line) => line.text)).toEqual(['a body consumer failed']);
  });

  test('an early answer, little of the body left: the rest is read and the connection lives', async () => {
    const { port } = await openFront(create, (request) =>
      request.rawPath === '/denied' ? plain('denied', 403) : echo(request),
    );
    const client = await RawClient.open(port);
    client.send(put(100_000, '', '/denied'));
    client.send(Buffer.alloc(60_000));
    await sleep(30);
    client.send(Buffer.alloc(40_000));
    const answer = await client.readAnswer();
    expect([answer.status, answer.body.toString()]).toEqual([403, 'denied']);
    expect(answer.header('connection')).not.toBe('close');
    client.send(`${put(3)}abc`);
    expect((await client.readAnswer()).body.toString()).toBe('abc');
    client.send(`${chunked().replace('PUT /', 'PUT /denied')}3\r\nabc\r\n0\r\n\r\n`);
    expect((await client.readAnswer()).status).toBe(403);
    client.send(`${put(3)}abc`);
    expect((await client.readAnswer()).body.toString()).toBe('abc');
  });

  test.each([
    ['after half of it', 400, true],
    ['at once', 0, true],
    ['and it never comes', 0, false],
  ])('an early answer, much of the body left: readable, then closed (%s)', async (_what, waitMs, isSent) => {
    const { port, front } = await openFront(
      create,
      async () => {
        if (waitMs > 0) await sleep(waitMs);
        return plain('<Error/>', 403);
      },
      { bounds: { lingerMsMax: 300 } },
    );
    const client = await RawClient.open(port);
    client.send(put(8 * MiB));
    if (isSent) client.send(Buffer.alloc(8 * MiB));
    const answer = await client.readAnswer();
    expect(answer.status).toBe(403);
    expect(answer.body.toString().trim()).toBe('<Error/>');
    expect(answer.header('connection')).toBe('close');
    expect(answer.header('date')).toBeDefined();
    await client.untilClosed();
    expect(client.errorCode).toBeNull();
    await eventually(() => front.activeRequests === 0, 'idle');
  });

  test('an early answer to a client that sends for ever: closed at the bound', async () => {
    const { port, front } = await openFront(create, () => plain('no', 403), {
      bounds: { lingerBytesMax: MiB, lingerMsMax: 10_000 },
    });
    const client = await RawClient.open(port);
    client.send(put(1024 * MiB));
    const junk = Buffer.alloc(MiB);
    const pump = setInterval(() => client.send(junk), 2);
    await client.untilClosed();
    clearInterval(pump);
    await eventually(() => front.activeRequests === 0, 'idle');
  });

  test('an early answer that asks to close, and one that waits too long for the rest', async () => {
    const { port, front } = await openFront(
      create,
      (request) => ({ ...plain('no', 403), close: request.rawPath === '/close' }),
      { bounds: { drainMsMax: 50, lingerMsMax: 100 } },
    );
    for (const target of ['/close', '/wait']) {
      const client = await RawClient.open(port);
      client.send(`${put(100, '', target)}half`);
      const answer = await client.readAnswer();
      expect([answer.status, answer.header('connection')]).toEqual([403, 'close']);
      await client.untilClosed();
    }
    await eventually(() => front.activeRequests === 0, 'idle');
  });

  test('an early answer to HEAD with a body, and an early stream', async () => {
    const source = new CountingSource({ pieceBytes: 1000, pieceCount: 3 });
    const { port } = await openFront(create, (request) =>
      request.method === 'HEAD' ? { status: 200, headers: [], body: { kind: 'empty', length: 77 } } : streamOf(source),
    );
    const client = await RawClient.open(port);
    client.send('HEAD / HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000\r\n\r\n');
    expect((await client.readAnswer(true)).header('content-length')).toBe('77');
    const other = await RawClient.open(port);
    other.send('GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000\r\n\r\n');
    const answer = await other.readAnswer();
    expect([answer.body.length, answer.header('connection')]).toEqual([3000, 'close']);
    await eventually(() => source.closed === 1, 'closed');
    expect(source.faults()).toEqual([]);
  });

  test('a client that stands still in the middle of its body is cut off', async () => {
    const sink = new CountingSink();
    const { port, front, logged } = await openFront(
      create,
      (request) => {
        request.body.consume(sink);
        return new Promise<ExchangeResponse>((resolve) => request.onAborted(() => resolve(plain(''))));
      },
      { bounds: { sweepMs: 40, stallMsMax: 200 } },
    );
    const client = await RawClient.open(port);
    client.send(`${put(1000)}begin`);
    await client.untilClosed();
    expect(sink.abortedCount).toBe(1);
    expect(logged.map((line) => line.text)).toEqual(['client too slow; connection closed']);
    await eventually(() => front.activeRequests === 0, 'idle');
  });

  test('a client below the least rate is cut off, one above is not', async () => {
    const { port } = await openFront(create, echo, {
      bounds: { sweepMs: 40, stallMsMax: 1_000, rateGraceMs: 300, bytesPerSecondMin: 200 },
    });
    const [slow, fast] = [await RawClient.open(port), await RawClient.open(port)];
    slow.send(put(100));
    fast.send(put(1000));
    for (let index = 0; index < 40; index++) {
      if (!slow.isClosed) slow.send('a');
      fast.send('b'.repeat(25));
      await sleep(20);
    }
    await slow.untilClosed();
    expect((await fast.readAnswer()).body.length).toBe(1000);
  });

  test('the server taking its time with a body is no reason to cut it off', async () => {
    const { port } = await openFront(
      create,
      async (request) => {
        await sleep(150);
        request.body.pause();
        const body = collect(request);
        await sleep(150);
        request.body.resume();
        const { length } = await body;
        await sleep(150);
        return plain(String(length));
      },
      { bounds: { sweepMs: 20, stallMsMax: 100, rateGraceMs: 100 } },
    );
    const client = await RawClient.open(port);
    client.send(put(2 * MiB));
    client.send(Buffer.alloc(2 * MiB));
    expect((await client.readAnswer()).body.toString()).toBe(String(2 * MiB));
    if (name === 'uWebSockets.js') expect(client.isClosed).toBe(false);
  });

  test('clients that leave at every stage of an upload leave nothing behind', async () => {
    const sinks: CountingSink[] = [];
    let told = 0;
    const { port, front } = await openFront(create, async (request) => {
      const sink = new CountingSink();
      sinks.push(sink);
      const gone = new Promise<void>((resolve) =>
        request.onAborted(() => {
          told++;
          resolve();
        }),
      );
      if (request.rawPath === '/late') await sleep(40);
      request.body.consume(sink);
      if (request.rawPath === '/paused') request.body.pause();
      await Promise.race([gone, sleep(200)]);
      request.body.resume();
      await Promise.race([gone, sleep(1_000)]);
      return plain('unseen');
    });
    const head = (target: string) => put(1000, '', target);
    const stages = [
      'PU',
      head('/a').slice(0, -2),
      head('/a'),
      `${head('/a')}x`,
      `${head('/late')}x`,
      `${head('/paused')}x`,
    ];
    for (const how of ['end', 'reset'] as const) {
      for (const stage of stages) {
        const client = await RawClient.open(port);
        client.send(stage);
        await sleep(15);
        if (how === 'end') client.destroy();
        else client.socket.resetAndDestroy();
      }
    }
    await eventually(() => front.activeRequests === 0, 'idle');
    expect(told).toBe(8);
    expect(sinks.length).toBe(8);
    for (const sink of sinks) expect([sink.lastCount, sink.abortedCount, sink.afterEndCount]).toEqual([0, 1, 0]);
  });
});
