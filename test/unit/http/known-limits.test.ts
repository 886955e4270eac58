/** What uWebSockets.js does not do in the build we use. A test that fails here after an update is good news. */
import { afterEach, describe, expect, test } from 'vitest';
import { createHttpFront } from '../../../src/http/index.js';
import { CountingSink, RawClient, closeFronts, collect, eventually, openFront, plain, sleep } from './support.js';

afterEach(closeFronts);

describe('known limits of uWebSockets.js', () => {
  test.each([
    ['HTTP/1.0', 'GET / HTTP/1.0\r\nHost: x\r\n\r\n'],
    ['an absolute target', 'GET http://x/ HTTP/1.1\r\nHost: x\r\n\r\n'],
    ['OPTIONS *', 'OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n'],
  ])('%s is answered 505', async (_what, text) => {
    const { port } = await openFront(createHttpFront, () => plain('ok'));
    const client = await RawClient.open(port);
    client.send(text);
    expect((await client.readAnswer()).status).toBe(505);
    await client.untilClosed();
  });

  test.each([
    ['no header at all', 'GET / HTTP/1.1\r\n\r\n'],
    ['a byte above 127 in a header name', 'GET / HTTP/1.1\r\nHost: x\r\nX-ä: b\r\n\r\n'],
    ['99 headers', `GET / HTTP/1.1\r\nHost: x\r\n${'a: b\r\n'.repeat(98)}\r\n`],
  ])('%s: no answer, and no handler', async (_what, text) => {
    let calls = 0;
    const { port } = await openFront(createHttpFront, () => {
      calls++;
      return plain('ok');
    });
    const client = await RawClient.open(port);
    client.send(text);
    await sleep(150);
    expect([client.received.length, calls]).toEqual([0, 0]);
  });

  test('bytes above 127 at either end of a header value are dropped', async () => {
    const { port } = await openFront(createHttpFront, (request) => plain(request.headers.get('x-a') ?? ''));
    const client = await RawClient.open(port);
    client.send('GET / HTTP/1.1\r\nHost: x\r\nX-A: äaäaä\r\n\r\n');
    expect((await client.readAnswer()).body.toString()).toBe('aäa');
  });

  test('chunk extensions and trailers end the connection', async () => {
    const sinks: CountingSink[] = [];
    const { port, front } = await openFront(createHttpFront, (request) => {
      const sink = new CountingSink();
      sinks.push(sink);
      request.body.consume(sink);
      return new Promise((resolve) => request.onAborted(() => resolve(plain(''))));
    });
    const head = 'PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n';
    for (const body of ['3;a=b\r\nabc\r\n0\r\n\r\n', '3\r\nabc\r\n0\r\nx: y\r\n\r\n']) {
      const client = await RawClient.open(port);
      client.send(head + body);
      await sleep(100);
      client.destroy();
    }
    await eventually(() => front.activeRequests === 0, 'idle');
    // A trailer comes after the end of the body, but what it does to the parser ends the connection too.
    expect(sinks.map((sink) => [sink.lastCount, sink.abortedCount])).toEqual([
      [0, 1],
      [1, 0],
    ]);
  });

  test('Expect in another case is not answered, and the body is read all the same', async () => {
    const { port } = await openFront(createHttpFront, async (request) => plain((await collect(request)).toString()));
    const client = await RawClient.open(port);
    client.send('PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-Continue\r\n\r\n');
    await sleep(100);
    expect(client.received.length).toBe(0);
    client.send('abc');
    expect((await client.readAnswer()).body.toString()).toBe('abc');
  });

  test('a client that closes its sending half counts as gone', async () => {
    let told = 0;
    const { port } = await openFront(createHttpFront, async (request) => {
      request.onAborted(() => told++);
      await sleep(50);
      return plain('unseen');
    });
    const client = await RawClient.open(port);
    client.send('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    await sleep(10);
    client.socket.end();
    await client.untilClosed();
    expect([told, client.received.length]).toEqual([1, 0]);
  });
});
