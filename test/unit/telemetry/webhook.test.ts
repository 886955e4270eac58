import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { WebhookTarget, type WebhookOptions } from '../../../src/telemetry/index.js';

interface Received {
  readonly body: string;
  readonly authorization: string | undefined;
  readonly contentType: string | undefined;
}

let server: Server;
let url: string;
let received: Received[];
/** Status of the next answers; 200 when there is none left. 0: no answer at all. */
let statuses: number[];
let logged: { text: string; fields: Readonly<Record<string, unknown>> }[];
let target: WebhookTarget;

beforeEach(async () => {
  received = [];
  statuses = [];
  logged = [];
  server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    request.on('end', () => {
      const { authorization, 'content-type': contentType } = request.headers;
      received.push({ body, authorization, contentType });
      const status = statuses.shift() ?? 200;
      if (status === 0) return;
      response.writeHead(status, status === 302 ? { location: `${url}/elsewhere` } : {});
      response.end('ok');
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook?key=hunter2`;
});
afterEach(async () => {
  await target.close(0);
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

function open(options: Partial<WebhookOptions> = {}): WebhookTarget {
  return (target = new WebhookTarget({
    name: 'audit_webhook:test',
    endpoint: url,
    authToken: '',
    clientCert: '',
    clientKey: '',
    batchSize: 1,
    queueSize: 1000,
    retriesMax: 0,
    retryIntervalMs: 20,
    timeoutMs: 2000,
    log: (text, fields) => logged.push({ text, fields }),
    ...options,
  }));
}

async function until(isReached: () => boolean): Promise<void> {
  for (const end = Date.now() + 8000; !isReached();) {
    if (Date.now() > end) throw new Error('it did not come to that');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

describe('a webhook', () => {
  test('gets every entry once, in order, with the token as it is', async () => {
    open({ authToken: 'Bearer abc' });
    for (let n = 0; n < 50; n++) target.send(`{"n":${n}}`);
    // The last one has arrived before its answer has.
    await until(() => received.length === 50 && target.statistics().queueLength === 0);
    expect(received.map(({ body }) => body)).toEqual(Array.from({ length: 50 }, (_, n) => `{"n":${n}}\n`));
    expect(received[0]).toMatchObject({ authorization: 'Bearer abc', contentType: 'application/json' });
    expect(target.statistics()).toEqual({ queueLength: 0, totalMessages: 50, failedMessages: 0, isOnline: true });
  });

  test('gets batches, one entry a line', async () => {
    open({ batchSize: 10 });
    for (let n = 0; n < 25; n++) target.send(String(n));
    await until(
      () =>
        received
          .map(({ body }) => body)
          .join('')
          .split('\n').length === 26,
    );
    const lines = received.map(({ body }) => body.split('\n').length - 1);
    expect(Math.max(...lines)).toBe(10);
    expect(received.map(({ body }) => body).join('')).toBe(Array.from({ length: 25 }, (_, n) => `${n}\n`).join(''));
  });

  test('that fails is tried again until it takes what there is', async () => {
    open();
    statuses = [500, 403, 302];
    target.send('one');
    target.send('two');
    await until(() => received.length === 5);
    expect(received.map(({ body }) => body)).toEqual(['one\n', 'one\n', 'one\n', 'one\n', 'two\n']);
    await until(() => target.statistics().isOnline);
    expect(target.statistics().failedMessages).toBe(0);
    // Once in a while, and without what may be a secret.
    expect(logged).toHaveLength(1);
    expect(logged[0]?.fields).toMatchObject({ webhook: 'audit_webhook:test', reason: 'status 500' });
    expect(JSON.stringify(logged)).not.toContain('hunter2');
  });

  test('with a limit of retries loses what was not taken, and goes on', async () => {
    open({ retriesMax: 1 });
    statuses = [500, 500];
    target.send('lost');
    target.send('kept');
    await until(() => received.length === 3);
    expect(received.at(-1)?.body).toBe('kept\n');
    expect(target.statistics()).toMatchObject({ totalMessages: 2, failedMessages: 1 });
  });

  test('that does not answer is given up in time', async () => {
    open({ timeoutMs: 150, retriesMax: 1 });
    statuses = [0, 0];
    target.send('lost');
    target.send('kept');
    await until(() => received.length === 3);
    expect(logged[0]?.fields['reason']).toBe('no answer in time');
    expect(target.statistics().failedMessages).toBe(1);
  });

  test('never holds more than its queue', async () => {
    open({ queueSize: 10 });
    statuses = [0];
    for (let n = 0; n < 100; n++) target.send(String(n));
    expect(target.statistics()).toMatchObject({ queueLength: 10, totalMessages: 100, failedMessages: 90 });
    await until(() => received.length === 1);
  });

  test('is sent what is queued when it is closed, within the time that is left', async () => {
    open({ batchSize: 5 });
    for (let n = 0; n < 20; n++) target.send(String(n));
    await target.close(5000);
    expect(
      received
        .map(({ body }) => body)
        .join('')
        .split('\n'),
    ).toHaveLength(21);
    target.send('late');
    expect(target.statistics().totalMessages).toBe(20);
  });

  test('that hangs does not hold up the end', async () => {
    open();
    statuses = [0];
    target.send('a');
    target.send('b');
    await until(() => received.length === 1);
    const started = Date.now();
    await target.close(100);
    expect(Date.now() - started).toBeLessThan(1500);
    expect(target.statistics().failedMessages).toBe(2);
  });

  test('that is not there costs nothing but entries', async () => {
    open({ endpoint: 'http://127.0.0.1:1/', retriesMax: 1 });
    target.send('a');
    await until(() => target.statistics().failedMessages === 1);
    expect(target.statistics().isOnline).toBe(false);
    expect(logged[0]?.fields['reason']).toBe('ECONNREFUSED');
  });
});
