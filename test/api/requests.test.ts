import { createHash } from 'node:crypto';
import { connect } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { createApiWorld, type ApiWorld } from '../support/api-world.js';
import { patternBytes } from '../support/tree.js';
import { freshName, headOf, open, send, sendRaw, sendSigned, sign, unsigned, type Request } from '../support/wire.js';

/** Requests that no well-meaning client sends. Each gets its answer, or its connection closed, and nobody else notices. */
let world: ApiWorld;
beforeAll(async () => {
  world = await createApiWorld({ environment: { GRANARY_MEMORY: '64MiB' } });
});
afterEach(async () => {
  await world.assertSound();
});
afterAll(async () => {
  await world.stop();
});

const digest = (text: string) => createHash('md5').update(text).digest('base64');

describe('keys', () => {
  test.each([
    'a%2Fb',
    '..',
    '../x',
    'x/../../../etc/passwd',
    './.',
    '%2E%2E/%2e%2e/secret',
    'a//b///c',
    '/leading',
    '%20',
    '%00zero',
    'new%0Aline',
    '%7F',
    '%EF%BF%BD',
    '%F0%9F%98%80',
    'back%5Cslash',
    'k'.repeat(1024),
    '%C3%A9'.repeat(512),
    ...['a', 'a/b', 'a/b/c'],
  ])('%s is a key like any other', async (key) => {
    const body = Buffer.from(`at ${key}`);
    const put = await world.send({ method: 'PUT', path: world.path(key), body });
    if (key.includes('%00')) {
      // Nothing that reads C strings on the way may take it for another key.
      expect(put.status === 200 || put.status === 400).toBe(true);
      if (put.status === 400) return;
    } else expect(put).toMatchObject({ status: 200 });
    expect((await world.send({ method: 'GET', path: world.path(key) })).body.equals(body)).toBe(true);
    const other = await world.send({ method: 'GET', path: world.path(`${key.length > 900 ? 'k' : key}x`) });
    expect(other).toMatchObject({ status: 404, code: 'NoSuchKey' });
    expect(await world.send({ method: 'DELETE', path: world.path(key) })).toMatchObject({ status: 204 });
  });

  test.each([
    ['k'.repeat(1025), 'KeyTooLongError'],
    [`${'%C3%A9'.repeat(512)}k`, 'KeyTooLongError'],
    ['%FF%FE', null],
    ['%C3', null],
    ['%ED%A0%80', null],
    ['%zz', null],
    ['%', null],
  ])('%s is refused', async (key, code) => {
    const answer = await world.send({ method: 'PUT', path: world.path(key), body: 'x' });
    expect([400, 403]).toContain(answer.status);
    if (code !== null) expect(answer.code).toBe(code);
    const listing = await world.send({ method: 'GET', path: `/${world.bucket}`, query: 'list-type=2' });
    expect(listing.body.toString()).toContain('<KeyCount>0</KeyCount>');
  });

  test('no key reaches a folder of the server', async () => {
    for (const path of [
      '/../../../../etc/passwd',
      '/%2e%2e/%2e%2e/etc/passwd',
      '/.granary/format.json',
      '/wire/../drive1',
    ]) {
      const answer = await world.send({ method: 'GET', path });
      expect([400, 403, 404], path).toContain(answer.status);
      expect(answer.body.toString()).not.toContain('root:');
    }
  });
});

describe('documents', () => {
  const deleteObjects = (body: string) =>
    world.send({
      method: 'POST',
      path: `/${world.bucket}`,
      query: 'delete=',
      body,
      headers: { 'content-md5': digest(body) },
    });

  test('1,000 keys are deleted, 1,001 are not', async () => {
    const keys = Array.from({ length: 1001 }, (_, index) => `<Object><Key>key ${index}</Key></Object>`);
    await world.send({ method: 'PUT', path: world.path('key%200'), body: 'x' });
    expect(await deleteObjects(`<Delete>${keys.join('')}</Delete>`)).toMatchObject({
      status: 400,
      code: 'MalformedXML',
    });
    expect(await world.exists('key%200')).toBe(true);
    const answer = await deleteObjects(`<Delete>${keys.slice(0, 1000).join('')}</Delete>`);
    expect(answer.status).toBe(200);
    expect(answer.body.toString().match(/<Deleted>/g)).toHaveLength(1000);
    expect(await world.exists('key%200')).toBe(false);
  });

  test.each([
    ['nothing', ''],
    ['no XML', 'delete everything'],
    ['another document', '<Nonsense/>'],
    ['no end', '<Delete><Object><Key>x</Key></Object>'],
    ['no keys', '<Delete></Delete>'],
    ['a key that is empty', '<Delete><Object><Key></Key></Object></Delete>'],
    [
      'an entity',
      '<!DOCTYPE d [<!ENTITY e SYSTEM "file:///etc/passwd">]><Delete><Object><Key>&e;</Key></Object></Delete>',
    ],
    [
      'entities that grow',
      `<!DOCTYPE d [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;">]><Delete><Object><Key>&c;</Key></Object></Delete>`,
    ],
    ['ten thousand levels', `${'<a>'.repeat(10_000)}${'</a>'.repeat(10_000)}`],
    ['a character that XML does not have', '<Delete><Object><Key>\u0001</Key></Object></Delete>'],
  ])('%s', async (_, body) => {
    const answer = await deleteObjects(body);
    expect(answer.status).toBe(400);
    expect(answer.body.toString()).not.toContain('root:');
  });

  test('100 MB to DeleteObjects and to CompleteMultipartUpload', async () => {
    const created = await world.send({ method: 'POST', path: world.path('upload'), query: 'uploads=' });
    const uploadId = /<UploadId>([^<]+)</.exec(created.body.toString())?.[1] ?? '';
    const before = world.server.residentBytes();
    const queries = [
      [`/${world.bucket}`, 'delete='],
      [world.path('upload'), `uploadId=${uploadId}`],
    ] as const;
    for (const [path, query] of queries) {
      const request = { method: 'POST', path, query, payload: unsigned };
      const { headers } = sign(world.server, request);
      // Declared, and not declared.
      for (const length of [{ 'content-length': '100000000' }, { 'transfer-encoding': 'chunked' }]) {
        const connection = await open(world.server.port);
        connection.socket.write(headOf(request, { ...headers, ...length }));
        const piece = Buffer.alloc(1_000_000, '<Object><Key>aaaaaaaa</Key></Object>');
        const framed = Buffer.concat([Buffer.from('f4240\r\n'), piece, Buffer.from('\r\n')]);
        for (let sent = 0; sent < 100 && !connection.socket.destroyed; sent += 1) {
          const bytes = 'content-length' in length ? piece : framed;
          if (!connection.socket.write(bytes)) {
            await Promise.race([
              new Promise((resolve) => connection.socket.once('drain', resolve)),
              connection.closed,
              new Promise((resolve) => setTimeout(resolve, 200)),
            ]);
          }
          await new Promise((resolve) => setImmediate(resolve));
          if (/^HTTP\/1\.1 4/.test(connection.received())) break;
        }
        // Who goes on sending after the answer may lose it to the reset that ends the connection.
        const text = await connection.until(/^HTTP\/1\.1 \d+/).catch(() => connection.received());
        expect(text).toMatch(/^(HTTP\/1\.1 4\d\d|$)/);
        connection.socket.destroy();
      }
    }
    expect(world.server.residentBytes() - before).toBeLessThan(200 * 1024 * 1024);
  });
});

describe('heads of requests', () => {
  test('an address and headers of 30 KiB, and of more than 32', async () => {
    const list = (query: string, headers: Record<string, string> = {}) =>
      world.send({ method: 'GET', path: `/${world.bucket}`, query, headers });
    expect((await list(`list-type=2&x=${'y'.repeat(30_000)}`)).status).toBe(200);
    // What temporary credentials and web identities bring along.
    const token = await list('list-type=2', { 'x-amz-meta-filler': 't'.repeat(20_000) });
    expect(token.status).toBe(200);
    for (const [query, headers] of [
      [`list-type=2&x=${'y'.repeat(40_000)}`, {}],
      ['list-type=2', { 'x-amz-meta-filler': 't'.repeat(40_000) }],
    ] as const) {
      const answer = await list(query, headers).catch((error: unknown) => error as NodeJS.ErrnoException);
      if (answer instanceof Error) expect(answer.code).toMatch(/ECONNRESET|EPIPE/);
      else expect([400, 414, 431]).toContain(answer.status);
    }
  });

  test('100 headers, and more', async () => {
    const many = (count: number) =>
      Object.fromEntries(Array.from({ length: count }, (_, index) => [`x-odd-${index}`, String(index)]));
    const answer = await world.send({ method: 'GET', path: `/${world.bucket}`, headers: many(80) });
    expect(answer.status).toBe(200);
    const request = { method: 'GET', path: `/${world.bucket}` };
    const signed = sign(world.server, request).headers;
    const refused = await sendRaw(world.server.port, headOf(request, { ...signed, ...many(101) }));
    // The library closes the connection.
    expect(refused).toMatch(/^(HTTP\/1\.1 (400|431)|$)/);
  });

  test.each([
    ['zeros', Buffer.alloc(10_000)],
    ['random bytes', patternBytes(100_000, 77)],
    ['a TLS hello', Buffer.from('16030100a5010000a10303', 'hex')],
    ['HTTP/2', Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')],
    ['an old version', Buffer.from('GET / HTTP/1.0\r\n\r\n')],
    ['no version', Buffer.from('GET /\r\n\r\n')],
    ['a proxy request', Buffer.from('CONNECT example.org:443 HTTP/1.1\r\nHost: example.org\r\n\r\n')],
    ['no host', Buffer.from('GET / HTTP/1.1\r\n\r\n')],
    [
      'two lengths',
      Buffer.from('PUT /wire/x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!'),
    ],
    [
      'a length and chunks',
      Buffer.from(
        'PUT /wire/x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      ),
    ],
    ['a negative length', Buffer.from('PUT /wire/x HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n')],
    [
      'a length beyond numbers',
      Buffer.from(`PUT /wire/x HTTP/1.1\r\nHost: a\r\nContent-Length: ${'9'.repeat(40)}\r\n\r\n`),
    ],
    ['a folded header', Buffer.from('GET / HTTP/1.1\r\nHost: a\r\nX-A: b\r\n c\r\n\r\n')],
    ['a header without a name', Buffer.from('GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n')],
    ['a zero in a header', Buffer.from('GET / HTTP/1.1\r\nHost: a\r\nX-A: b\0c\r\n\r\n')],
    ['a space before the colon', Buffer.from('PUT /wire/x HTTP/1.1\r\nHost: a\r\nContent-Length : 5\r\n\r\nhello')],
  ])('%s', async (_, bytes) => {
    const text = await sendRaw(world.server.port, bytes, 300);
    // An answer or none, but never a success.
    expect(text).not.toMatch(/^HTTP\/1\.1 2/);
    expect(await world.exists('x')).toBe(false);
  });

  test('a connection on which nothing comes is closed after a while', async () => {
    const socket = connect(world.server.port, '127.0.0.1');
    socket.on('error', () => undefined);
    const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
    socket.write('GET / HTTP/1.1\r\nHost: a\r\nX-Half: ');
    await closed;
  }, 60_000);

  test('requests sent without waiting are answered in order', async () => {
    const bodies = Array.from({ length: 10 }, (_, index) => `number ${index}`);
    for (const [index, body] of bodies.entries()) {
      await world.send({ method: 'PUT', path: world.path(`pipelined-${index}`), body });
    }
    const heads = bodies.map((_, index) => {
      const request = { method: 'GET', path: world.path(`pipelined-${index}`) };
      return headOf(request, sign(world.server, request).headers);
    });
    const connection = await open(world.server.port);
    connection.socket.write(heads.join(''));
    // A server may also answer some and close; what it answers must be in order.
    await Promise.race([connection.until(/number 9/, 5000).catch(() => ''), connection.closed]);
    const found = connection.received().match(/number \d/g) ?? [];
    expect(found).toEqual(bodies.slice(0, found.length));
    expect(found.length).toBeGreaterThan(0);
    connection.socket.destroy();
    for (const index of bodies.keys()) {
      await world.send({ method: 'DELETE', path: world.path(`pipelined-${index}`) });
    }
  });

  test('many requests over one connection', async () => {
    const connection = await open(world.server.port);
    for (let index = 0; index < 200; index += 1) {
      const request = { method: 'HEAD', path: `/${world.bucket}` };
      connection.socket.write(headOf(request, sign(world.server, request).headers));
      const { length } = connection.received();
      await connection.until(new RegExp(`^[^]{${length}}HTTP/1.1 200 [^]*\r\n\r\n$`));
    }
    connection.socket.destroy();
  });
});

describe('signatures', () => {
  const get = { method: 'GET', path: '/wire' };

  test.each([
    ['none', (headers: Record<string, string>) => delete headers['authorization'], 403, 'AccessDenied'],
    ['another scheme', (headers: Record<string, string>) => (headers['authorization'] = 'Bearer x'), 400, null],
    ['no fields', (headers: Record<string, string>) => (headers['authorization'] = 'AWS4-HMAC-SHA256'), 400, null],
    [
      'a changed digit',
      (headers: Record<string, string>) =>
        (headers['authorization'] = (headers['authorization'] ?? '').replace(/.$/, (digit) =>
          digit === '0' ? '1' : '0',
        )),
      403,
      'SignatureDoesNotMatch',
    ],
    [
      'an unsigned header',
      (headers: Record<string, string>) => (headers['x-amz-acl'] = 'private'),
      403,
      'AccessDenied',
    ],
    [
      'another host',
      (headers: Record<string, string>) => (headers['host'] = 'example.org'),
      403,
      'SignatureDoesNotMatch',
    ],
    ['no date', (headers: Record<string, string>) => delete headers['x-amz-date'], 403, null],
  ])('%s', async (_, change, status, code) => {
    const { headers } = sign(world.server, get);
    change(headers);
    const answer = await sendSigned(world.server, get, headers);
    expect(answer.status, answer.body.toString()).toBe(status);
    if (code !== null) expect(answer.code).toBe(code);
  });

  test('a clock that is wrong by 14 and by 16 minutes', async () => {
    for (const sign of [1, -1]) {
      const near = new Date(Date.now() + sign * 14 * 60_000);
      const far = new Date(Date.now() + sign * 16 * 60_000);
      expect((await world.send({ ...get, date: near })).status).toBe(200);
      expect(await world.send({ ...get, date: far })).toMatchObject({ status: 403, code: 'RequestTimeTooSkewed' });
    }
  });

  test('another key, another region, another path', async () => {
    const { server } = world;
    expect(await send({ ...server, accessKey: 'x', port: server.port }, get)).toMatchObject({
      code: 'InvalidAccessKeyId',
    });
    expect(await send({ ...server, region: 'eu-west-9' }, get)).toMatchObject({
      status: 400,
      code: 'AuthorizationHeaderMalformed',
    });
    const { headers } = sign(server, get);
    expect(await sendSigned(server, { ...get, path: '/other' }, headers)).toMatchObject({
      code: 'SignatureDoesNotMatch',
    });
  });
});

describe('answers', () => {
  test('an error is a document with all that S3 says', async () => {
    const answer = await world.send({ method: 'GET', path: world.path('nothing%20%26%20x') });
    const text = answer.body.toString();
    expect(answer.headers['content-type']).toBe('application/xml');
    expect(answer.headers['x-amz-request-id']).toMatch(/^[0-9A-F]{16}$/);
    expect(text).toMatch(/^<\?xml version="1.0" encoding="UTF-8"\?>\s*<Error><Code>NoSuchKey<\/Code><Message>/);
    expect(text).toContain('<Key>nothing &amp; x</Key>');
    expect(text).toContain(`<BucketName>${world.bucket}</BucketName>`);
    expect(text).toContain(`<RequestId>${answer.headers['x-amz-request-id'] as string}</RequestId>`);
  });

  test('HEAD has the length of GET and no body; a refused HEAD has none either', async () => {
    const body = patternBytes(123_457, 5);
    await world.send({ method: 'PUT', path: world.path('head'), body });
    const request: Request = { method: 'HEAD', path: world.path('head') };
    const connection = await open(world.server.port);
    connection.socket.write(headOf(request, sign(world.server, request).headers));
    const text = await connection.until(/\r\n\r\n/);
    expect(text).toMatch(/^HTTP\/1\.1 200/);
    expect(text).toMatch(/\r\ncontent-length: 123457\r\n/i);
    // The next answer follows at once.
    const missing: Request = { method: 'HEAD', path: world.path('nothing') };
    connection.socket.write(headOf(missing, sign(world.server, missing).headers));
    const both = await connection.until(/HTTP\/1\.1 404[^]*\r\n\r\n$/);
    expect(both.indexOf('HTTP/1.1 404')).toBe(text.length);
    connection.socket.destroy();
  });

  test('100-continue comes before the body, and not to a request that is refused', async () => {
    const request = { method: 'PUT', path: world.path(freshName('continue')), payload: unsigned };
    const more = { expect: '100-continue', 'content-length': '5' };
    const connection = await open(world.server.port);
    connection.socket.write(headOf(request, { ...sign(world.server, request).headers, ...more }));
    await connection.until(/^HTTP\/1\.1 100 Continue\r\n\r\n/);
    connection.socket.write('hello');
    await connection.until(/HTTP\/1\.1 200/);
    connection.socket.destroy();
    const refused = await open(world.server.port);
    refused.socket.write(headOf(request, { ...sign({ ...world.server, secretKey: 'x' }, request).headers, ...more }));
    expect(await refused.until(/HTTP\/1\.1 403/)).toContain('SignatureDoesNotMatch');
    refused.socket.destroy();
  });

  test('operations that are not there say so', async () => {
    const queries = ['acl', 'tagging', 'lifecycle', 'cors', 'website', 'notification', 'replication', 'encryption'];
    for (const query of [...queries, 'object-lock', 'logging', 'accelerate', 'requestPayment', 'inventory']) {
      const answer = await world.send({ method: 'PUT', path: `/${world.bucket}`, query: `${query}=`, body: '<x/>' });
      expect([query, answer.status, answer.code]).toEqual([query, 501, 'NotImplemented']);
    }
    for (const query of ['acl', 'tagging', 'retention', 'legal-hold']) {
      const answer = await world.send({ method: 'PUT', path: world.path('head'), query: `${query}=`, body: '<x/>' });
      expect([query, answer.status, answer.code]).toEqual([query, 501, 'NotImplemented']);
    }
    const select = { method: 'POST', path: world.path('head'), query: 'select=&select-type=2', body: '<x/>' };
    expect(await world.send(select)).toMatchObject({ status: 501 });
    for (const method of ['PATCH', 'OPTIONS', 'TRACE', 'PROPFIND']) {
      const answer = await world.send({ method, path: `/${world.bucket}` });
      expect(answer.status, method).toBeGreaterThanOrEqual(400);
    }
    const body = await world.send({ method: 'GET', path: world.path('head') });
    expect(body.body).toHaveLength(123_457);
  });
});
