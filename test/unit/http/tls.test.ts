import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { StartupError } from '../../../src/base/index.js';
import { selfSigned } from './self-signed.js';
import {
  CountingSource,
  RawClient,
  adapters,
  closeFronts,
  collect,
  eventually,
  openFront,
  plain,
  streamOf,
} from './support.js';

const MiB = 1024 * 1024;
const pair = selfSigned();
let folder = '';

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'granary-tls-'));
  const put = (file: string, text: string) => writeFileSync(join(folder, file), text);
  put('public.crt', pair.cert);
  put('private.key', pair.key);
  put('other.key', selfSigned().key);
  put('noise.crt', 'no certificate');
  put('old.crt', '');
  const old = selfSigned(new Date(2020, 0, 1), new Date(2021, 0, 1));
  put('old.crt', old.cert);
  put('old.key', old.key);
});
afterAll(() => rmSync(folder, { recursive: true }));
afterEach(closeFronts);

const files = (cert: string, key: string) => ({ certFile: join(folder, cert), keyFile: join(folder, key) });

async function openTls(port: number): Promise<RawClient> {
  const socket = connectTls({ port, host: '127.0.0.1', servername: 'localhost', ca: pair.cert });
  const client = new RawClient(socket);
  await new Promise<void>((resolve, reject) => {
    socket.once('secureConnect', resolve);
    socket.once('error', reject);
  });
  return client;
}

describe.each(adapters)('TLS over %s', (_name, create) => {
  test('requests, uploads and streams', async () => {
    const sources: CountingSource[] = [];
    const { port, front } = await openFront(
      create,
      async (request) => {
        if (request.method === 'PUT') return plain(String((await collect(request)).length));
        if (request.rawPath === '/secure') return plain(`${request.secure} ${request.remoteAddress}`);
        const source = new CountingSource({ pieceBytes: MiB, pieceCount: 12, isAsync: true, shared: true });
        sources.push(source);
        return streamOf(source);
      },
      { tls: files('public.crt', 'private.key') },
    );
    const client = await openTls(port);
    client.send('GET /secure HTTP/1.1\r\nHost: x\r\n\r\n');
    expect((await client.readAnswer()).body.toString()).toBe('true 127.0.0.1');
    client.send(`PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: ${8 * MiB}\r\n\r\n`);
    client.send(Buffer.alloc(8 * MiB));
    expect((await client.readAnswer()).body.toString()).toBe(String(8 * MiB));
    for (let round = 0; round < 2; round++) {
      client.send('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
      const { body } = await client.readAnswer(false, 20_000);
      expect(body.length).toBe(12 * MiB);
      for (let index = 0; index < 12; index++) {
        expect(body.subarray(index * MiB, (index + 1) * MiB).equals(Buffer.alloc(MiB, index))).toBe(true);
      }
    }
    const leaver = await openTls(port);
    leaver.socket.pause();
    leaver.send('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    await eventually(() => sources.length === 3 && sources[2]!.given > 0, 'begun');
    leaver.destroy();
    await eventually(() => front.activeRequests === 0, 'idle');
    // A piece that was on its way when the client left comes in its own time.
    await eventually(() => sources[2]!.faults().length === 0, 'closed, every piece released');
    for (const source of sources) expect(source.faults()).toEqual([]);
  });

  test('a slow TLS reader gets every byte', async () => {
    const source = new CountingSource({ pieceBytes: MiB, pieceCount: 10, isAsync: true });
    const { port } = await openFront(create, () => streamOf(source), {
      tls: files('public.crt', 'private.key'),
      bounds: { sweepMs: 20 },
    });
    const client = await openTls(port);
    client.socket.on('data', () => {
      client.socket.pause();
      setTimeout(() => client.socket.resume(), 1);
    });
    client.send('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    const { body } = await client.readAnswer(false, 20_000);
    for (let index = 0; index < 10; index++) {
      expect(body.subarray(index * MiB, (index + 1) * MiB).equals(Buffer.alloc(MiB, index))).toBe(true);
    }
    expect(source.faults()).toEqual([]);
  });

  test('plain HTTP to a TLS port harms nobody', async () => {
    const { port } = await openFront(create, () => plain('ok'), { tls: files('public.crt', 'private.key') });
    const wrong = await RawClient.open(port);
    wrong.send('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    await wrong.untilClosed();
    const client = await openTls(port);
    client.send('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    expect((await client.readAnswer()).status).toBe(200);
  });

  test.each([
    ['a missing certificate', 'none.crt', 'private.key', 'none.crt cannot be read'],
    ['a missing key', 'public.crt', 'none.key', 'none.key cannot be read'],
    ['noise', 'noise.crt', 'private.key', 'noise.crt holds no certificate'],
    ['the key of another', 'public.crt', 'other.key', 'other.key is not the private key of'],
    ['a certificate as key', 'public.crt', 'public.crt', 'public.crt is not the private key of'],
  ])('%s: a start-up error with a remedy', async (_what, cert, key, message) => {
    const failed = await openFront(create, () => plain(''), { tls: files(cert, key) }).catch((error: unknown) => error);
    expect(failed).toBeInstanceOf(StartupError);
    expect((failed as StartupError).message).toContain(message);
    expect((failed as StartupError).remedy.length).toBeGreaterThan(10);
  });

  test('an expired certificate serves, with a warning', async () => {
    const { logged } = await openFront(create, () => plain(''), { tls: files('old.crt', 'old.key') });
    expect(logged.map((line) => line.text)).toEqual(['the certificate has expired']);
  });
});
