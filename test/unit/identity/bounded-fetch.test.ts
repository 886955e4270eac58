/** Requests to providers that are slow, large, away, or lead elsewhere. */
import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { createServer as createTcpServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterEach, expect, it } from 'vitest';
import { boundedFetch, ProviderFault } from '../../../src/identity/index.js';

const servers: { close(): void; closeAllConnections?(): void }[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections?.();
    server.close();
  }
});

async function listen(server: Server | ReturnType<typeof createTcpServer>): Promise<string> {
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}
const serve = async (listener: RequestListener) => `http://${await listen(createServer(listener))}`;

it('answers status, headers and body, and sends what it is given', async () => {
  const seen: unknown[] = [];
  const url = await serve((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      seen.push(request.method, request.headers['x-own'], Buffer.concat(chunks).toString());
      response.writeHead(201, { 'x-answer': 'yes' }).end('{}');
    });
  });
  const answer = await boundedFetch(url, { method: 'POST', headers: { 'x-own': '1' }, body: 'a=b' });
  expect(answer).toMatchObject({ status: 201, body: Buffer.from('{}') });
  expect(answer.headers.get('x-answer')).toBe('yes');
  expect(seen).toEqual(['POST', '1', 'a=b']);
});

it('goes on when a kept connection was closed meanwhile', async () => {
  let count = 0;
  const url = await serve((request, response) => {
    count++;
    response.end(String(count));
    request.socket.setTimeout(1, () => request.socket.destroy());
  });
  await boundedFetch(url);
  await new Promise((resolve) => setTimeout(resolve, 30));
  expect((await boundedFetch(url)).body.toString()).toBe('2');
});

it.each([
  ['an answer that does not come', (): void => undefined],
  [
    'a body that does not end',
    (response: { write(text: string): unknown }): void => {
      response.write('{');
    },
  ],
])('gives up on %s', async (_what, answer) => {
  const url = await serve((_request, response) => {
    answer(response);
  });
  const startMs = performance.now();
  await expect(boundedFetch(url, { timeoutMs: 100 })).rejects.toThrow(
    `${new URL(url).host} did not answer within 0.1 s`,
  );
  expect(performance.now() - startMs).toBeLessThan(2000);
});

it('gives up in time though the garbage was collected meanwhile', async () => {
  setFlagsFromString('--expose_gc');
  const collectGarbage = runInNewContext('gc') as () => void;
  const url = await serve(() => undefined);
  const outcome = boundedFetch(url, { timeoutMs: 300, signal: new AbortController().signal });
  const collecting = setInterval(collectGarbage, 20);
  await expect(outcome).rejects.toThrow('did not answer within 0.3 s');
  clearInterval(collecting);
});

it('stops at the limit of bytes, announced or not', async () => {
  const url = await serve((request, response) => {
    if (request.url === '/announced') response.setHeader('content-length', 101);
    response.end('x'.repeat(101));
  });
  for (const path of ['/announced', '/chunked']) {
    await expect(boundedFetch(url + path, { bytesMax: 100 })).rejects.toThrow('answered with more than 100 bytes');
  }
  expect((await boundedFetch(`${url}/chunked`, { bytesMax: 101 })).body).toHaveLength(101);
});

it('follows redirects on the same host when asked to, and nowhere else', async () => {
  const other = await serve((_request, response) => response.end('other'));
  const url = await serve((request, response) => {
    const target = { '/here': '/end', '/there': `${other}/x`, '/tls': 'https://127.0.0.1/x', '/loop': '/loop' }[
      request.url ?? ''
    ];
    if (target === undefined) response.end('end');
    else response.writeHead(302, { location: target }).end();
  });
  expect((await boundedFetch(`${url}/here`, { redirectsMax: 1 })).body.toString()).toBe('end');
  await expect(boundedFetch(`${url}/here`)).rejects.toThrow('redirects to /end, which is not followed');
  await expect(boundedFetch(`${url}/loop`, { redirectsMax: 3 })).rejects.toThrow('redirects to /loop');
  for (const path of ['/there', '/tls']) {
    await expect(boundedFetch(url + path, { redirectsMax: 3 })).rejects.toThrow('another scheme or host');
  }
  await expect(boundedFetch(`${url}/here`, { method: 'POST', body: 'secret', redirectsMax: 3 })).rejects.toThrow(
    'redirects to /end',
  );
});

it('says what is wrong with the other side, and nothing of what was sent', async () => {
  const garbage = await listen(createTcpServer((socket) => socket.end('garbage\r\n\r\n')));
  const closed = await serve(() => undefined);
  servers.pop()?.close();
  const errors = await Promise.all(
    [
      `http://${garbage}/?token=secret`,
      `${closed}/?token=secret`,
      'http://no-such-name.invalid/',
      'ftp://host/',
      'x',
    ].map((url) => boundedFetch(url, { headers: { authorization: 'Bearer secret' } }).catch((error: unknown) => error)),
  );
  expect(errors.every((error) => error instanceof ProviderFault)).toBe(true);
  const texts = errors.map((error) => (error as Error).message);
  expect(texts.slice(0, 2)).toEqual([`${garbage} does not speak HTTP`, `${new URL(closed).host} refuses connections`]);
  expect(texts[2]).toMatch(/^no-such-name.invalid has a name that cannot be resolved/);
  expect(texts[3]).toContain('a scheme other than http and https');
  expect(texts.join()).not.toContain('secret');
  const broken = boundedFetch(closed, { headers: { authorization: 'a\nsecret' } });
  await expect(broken).rejects.toBeInstanceOf(ProviderFault);
});

it('ends with its signal', async () => {
  const url = await serve(() => undefined);
  const controller = new AbortController();
  const asking = boundedFetch(url, { signal: controller.signal });
  controller.abort();
  await expect(asking).rejects.toThrow('was not waited for any longer');
});

it('trusts the authorities it is given beside those of the system', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'granary-ca-'));
  try {
    const [key, certificate] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
    const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1'];
    const how = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '1'];
    execFileSync('openssl', [...how, '-keyout', key, '-out', certificate, ...subject], { stdio: 'ignore' });
    const pem = readFileSync(certificate, 'utf8');
    const server = createSecureServer({ key: readFileSync(key), cert: pem }, (_request, response) =>
      response.end('ok'),
    );
    const url = `https://${await listen(server)}`;
    await expect(boundedFetch(url)).rejects.toThrow('has a certificate that is not trusted');
    expect((await boundedFetch(url, { authorities: [pem] })).body.toString()).toBe('ok');
  } finally {
    rmSync(folder, { recursive: true });
  }
});
