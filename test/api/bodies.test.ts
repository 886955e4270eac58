import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { createApiWorld, type ApiWorld } from '../support/api-world.js';
import { patternBytes } from '../support/tree.js';
import {
  freshName,
  headOf,
  open,
  sendSigned,
  sign,
  signedChunks,
  unsigned,
  unsignedChunks,
  type ChunkedOptions,
} from '../support/wire.js';

/** Bodies that are not what their headers say. Nothing of them may become visible. */
const signedStream = 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD';
const signedStreamWithTrailer = `${signedStream}-TRAILER`;
const unsignedStream = 'STREAMING-UNSIGNED-PAYLOAD-TRAILER';
/** Inline, slots in the batch, a blob of several stripes. */
const lengths = [100, 70_000, 3_000_000];

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

const md5 = (body: Uint8Array) => createHash('md5').update(body).digest('base64');
const crcOf = (body: Uint8Array) => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(crc32(body));
  return bytes.toString('base64');
};

function cut(body: Uint8Array, chunkBytes: number): Uint8Array[] {
  const chunks: Uint8Array[] = [];
  for (let at = 0; at < body.length; at += chunkBytes) chunks.push(body.subarray(at, at + chunkBytes));
  return chunks;
}

async function putSignedChunks(key: string, body: Uint8Array, chunkBytes: number, options: ChunkedOptions = {}) {
  const trailers = Object.keys(options.trailers ?? {}).join(',');
  const request = {
    method: 'PUT',
    path: world.path(key),
    payload: options.trailers === undefined ? signedStream : signedStreamWithTrailer,
    headers: {
      'content-encoding': 'aws-chunked',
      'x-amz-decoded-content-length': String(body.length),
      ...(trailers === '' ? {} : { 'x-amz-trailer': trailers }),
    },
  };
  const signed = sign(world.server, request);
  const framed = signedChunks(signed, cut(body, chunkBytes), options);
  return await sendSigned(world.server, { ...request, body: framed }, signed.headers);
}

describe.each(lengths)('%i bytes', (length) => {
  const body = patternBytes(length, length);
  const chunkBytes = Math.max(8192, Math.ceil(length / 46));
  let key: string;
  beforeAll(() => {
    key = freshName(`body-${length}`);
  });

  async function refused(status: number, code: string, answer: { status: number; code: string | null }) {
    expect(answer).toMatchObject({ status, code });
    expect(await world.exists(key)).toBe(false);
  }

  test('signed as a whole, with another digest', async () => {
    const payload = createHash('sha256').update('something else').digest('hex');
    await refused(
      400,
      'XAmzContentSHA256Mismatch',
      await world.send({ method: 'PUT', path: world.path(key), body, payload }),
    );
  });

  test('with the MD5 of another body', async () => {
    const headers = { 'content-md5': md5(Buffer.from('something else')) };
    await refused(400, 'BadDigest', await world.send({ method: 'PUT', path: world.path(key), body, headers }));
  });

  test('with the checksum of another body', async () => {
    const headers = { 'x-amz-checksum-crc32': crcOf(Buffer.from('something else')) };
    const payload = unsigned;
    await refused(400, 'BadDigest', await world.send({ method: 'PUT', path: world.path(key), body, headers, payload }));
  });

  test('signed chunks are taken; a wrong signature of any chunk is not', async () => {
    const count = Math.ceil(length / chunkBytes);
    for (const breakChunk of new Set([0, Math.floor(count / 2), count - 1, count])) {
      await refused(403, 'SignatureDoesNotMatch', await putSignedChunks(key, body, chunkBytes, { breakChunk }));
    }
    const taken = freshName('taken');
    expect(await putSignedChunks(taken, body, chunkBytes)).toMatchObject({ status: 200 });
    expect((await world.send({ method: 'GET', path: world.path(taken) })).body.equals(body)).toBe(true);
  });

  test('chunks that end where stripes end', async () => {
    for (const size of [65_536, 131_072, 1_048_576]) {
      const taken = freshName('aligned');
      expect(await putSignedChunks(taken, body, size)).toMatchObject({ status: 200 });
      expect((await world.send({ method: 'GET', path: world.path(taken) })).body.equals(body)).toBe(true);
    }
  });

  test('signed trailers are taken; a wrong signature or checksum is not', async () => {
    const trailers = { 'x-amz-checksum-crc32': crcOf(body) };
    const wrongSignature = await putSignedChunks(key, body, chunkBytes, { trailers, breakTrailer: true });
    await refused(403, 'SignatureDoesNotMatch', wrongSignature);
    const wrongChecksum = { 'x-amz-checksum-crc32': crcOf(Buffer.from('something else')) };
    await refused(400, 'BadDigest', await putSignedChunks(key, body, chunkBytes, { trailers: wrongChecksum }));
    const taken = freshName('taken');
    const answer = await putSignedChunks(taken, body, chunkBytes, { trailers });
    expect(answer).toMatchObject({ status: 200, headers: trailers });
    expect((await world.send({ method: 'GET', path: world.path(taken) })).body.equals(body)).toBe(true);
  });

  test('unsigned chunks with a trailer', async () => {
    const put = (to: string, framed: Uint8Array) =>
      world.send({
        method: 'PUT',
        path: world.path(to),
        payload: unsignedStream,
        body: framed,
        headers: { 'x-amz-decoded-content-length': String(length), 'x-amz-trailer': 'x-amz-checksum-crc32' },
      });
    const trailers = { 'x-amz-checksum-crc32': crcOf(body) };
    const wrong = { 'x-amz-checksum-crc32': crcOf(Buffer.from('something else')) };
    await refused(400, 'BadDigest', await put(key, unsignedChunks(cut(body, chunkBytes), wrong)));
    // The trailer that was announced does not come.
    expect((await put(key, unsignedChunks(cut(body, chunkBytes), {}))).status).toBe(400);
    // One byte less, one byte more than announced.
    expect((await put(key, unsignedChunks(cut(body.subarray(1), chunkBytes), trailers))).status).toBe(400);
    const longer = Buffer.concat([body, Buffer.from('!')]);
    expect((await put(key, unsignedChunks(cut(longer, chunkBytes), trailers))).status).toBe(400);
    expect(await world.exists(key)).toBe(false);
    const taken = freshName('taken');
    expect(await put(taken, unsignedChunks(cut(body, chunkBytes), trailers))).toMatchObject({ status: 200 });
  });

  test('framing that is cut off or is none', async () => {
    const headers = { 'x-amz-decoded-content-length': String(length) };
    const framings = [
      body,
      Buffer.from('zz\r\n'),
      Buffer.from('ffffffffffffffffff\r\n'),
      Buffer.from('-1\r\n'),
      Buffer.from(`5;chunk-signature=${'0'.repeat(2000)}\r\nhello\r\n0\r\n\r\n`),
      Buffer.from('5\r\nhelloXX0\r\n\r\n'),
      unsignedChunks(cut(body, chunkBytes), {}).subarray(0, -3),
      Buffer.concat([unsignedChunks(cut(body, chunkBytes), {}), Buffer.from('more')]),
    ];
    for (const framed of framings) {
      const answer = await world.send({
        method: 'PUT',
        path: world.path(key),
        payload: unsignedStream,
        body: framed,
        headers,
      });
      expect(answer.status, framed.subarray(0, 20).toString('latin1')).toBe(400);
    }
    expect(await world.exists(key)).toBe(false);
  });

  test('a body that ends too early, by closing either way', async () => {
    const request = { method: 'PUT', path: world.path(key), payload: unsigned };
    const { headers } = sign(world.server, request);
    for (const share of [0, 0.1, 0.5, 0.99]) {
      for (const how of ['end', 'destroy'] as const) {
        const connection = await open(world.server.port);
        const declared = { ...headers, 'content-length': String(length + 1) };
        connection.socket.write(headOf(request, declared));
        const part = body.subarray(0, Math.floor(length * share));
        await new Promise<void>((resolve) => connection.socket.write(part, () => resolve()));
        if (how === 'end') connection.socket.end();
        else connection.socket.resetAndDestroy();
        await connection.closed;
        expect(connection.received()).not.toContain(' 200 ');
      }
    }
    expect(await world.exists(key)).toBe(false);
  });

  test('a body that is longer than declared is two requests, the second of them nonsense', async () => {
    const taken = freshName('longer');
    const request = { method: 'PUT', path: world.path(taken), payload: unsigned };
    const { headers } = sign(world.server, request);
    const connection = await open(world.server.port);
    const head = headOf(request, { ...headers, 'content-length': String(length) });
    connection.socket.write(Buffer.concat([Buffer.from(head), body, Buffer.from('more than was said\r\n\r\n')]));
    // The nonsense may be answered first, and ends the connection; the object is then whole, or not there.
    await connection.until(/^HTTP\/1\.1 (200|400|505)/);
    await Promise.race([connection.closed, new Promise((resolve) => setTimeout(resolve, 300))]);
    connection.socket.destroy();
    const { status, body: found } = await world.send({ method: 'GET', path: world.path(taken) });
    expect([200, 404]).toContain(status);
    if (status === 200) expect(found.equals(body)).toBe(true);
    else expect(connection.received()).not.toContain(' 200 ');
  });

  test('by chunked transfer, with and without its end', async () => {
    const request = { method: 'PUT', path: world.path(key), payload: unsigned };
    const { headers } = sign(world.server, request);
    const cutOff = await open(world.server.port);
    cutOff.socket.write(headOf(request, { ...headers, 'transfer-encoding': 'chunked' }));
    const framed = cut(body, 30_000).map((chunk) =>
      Buffer.concat([Buffer.from(`${chunk.length.toString(16)}\r\n`), chunk, Buffer.from('\r\n')]),
    );
    for (const piece of framed) cutOff.socket.write(piece);
    await new Promise<void>((resolve) => cutOff.socket.end(() => resolve()));
    await cutOff.closed;
    expect(await world.exists(key)).toBe(false);
    const answer = await sendSigned(world.server, { ...request, body }, { ...headers, 'transfer-encoding': 'chunked' });
    // S3 itself wants a length; whoever takes it must take all of it.
    if (answer.status === 200) {
      expect((await world.send({ method: 'GET', path: world.path(key) })).body.equals(body)).toBe(true);
      await world.send({ method: 'DELETE', path: world.path(key) });
    } else expect(answer).toMatchObject({ status: 411, code: 'MissingContentLength' });
  });
});

test('uploads that are cut off at random places, again and again, leave no memory taken', async () => {
  // Each holds at least 64 KiB: a leak of one in four would exhaust the 64 MiB.
  const body = patternBytes(2_000_000, 9);
  let state = 20261124;
  const random = (below: number) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return state % below;
  };
  for (let round = 0; round < 40; round += 1) {
    await Promise.all(
      Array.from({ length: 50 }, async () => {
        const request = { method: 'PUT', path: world.path('cut-off'), payload: unsigned };
        const connection = await open(world.server.port);
        const head = headOf(request, { ...sign(world.server, request).headers, 'content-length': '2000000' });
        const bytes = Buffer.concat([Buffer.from(head), body.subarray(0, random(500_000))]);
        await new Promise<void>((resolve) => connection.socket.write(bytes, () => resolve()));
        if (random(2) === 0) connection.socket.resetAndDestroy();
        else connection.socket.destroy();
        await connection.closed;
      }),
    );
  }
  expect(await world.exists('cut-off')).toBe(false);
  await world.assertSound();
});

test('downloads that are cut off leave no memory taken', async () => {
  const body = patternBytes(8_000_000, 10);
  await world.send({ method: 'PUT', path: world.path('large'), body });
  const request = { method: 'GET', path: world.path('large') };
  for (let round = 0; round < 10; round += 1) {
    await Promise.all(
      Array.from({ length: 30 }, async (_, index) => {
        const connection = await open(world.server.port);
        connection.socket.write(headOf(request, sign(world.server, request).headers));
        await connection.until(/^HTTP\/1\.1 200[^]*\r\n\r\n/);
        if (index % 3 === 0) connection.socket.pause();
        connection.socket.resetAndDestroy();
        await connection.closed;
      }),
    );
  }
  expect((await world.send(request)).body.equals(body)).toBe(true);
});
