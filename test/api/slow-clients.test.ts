import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createApiWorld, type ApiWorld } from '../support/api-world.js';
import { patternBytes } from '../support/tree.js';
import { headOf, open, sign, unsigned, type RawConnection } from '../support/wire.js';

/** Thousands of clients that hold what they have been given. The others go on, and memory stays where it is. */
const MiB = 1024 * 1024;
const arenaBytes = 64 * MiB;
const crowdCount = 2000;
/** Sockets, buffers of the two libraries and the heap of so many requests. */
const growthBytesMax = 250 * MiB;

let world: ApiWorld;
let startBytes: number;
beforeAll(async () => {
  world = await createApiWorld({ environment: { GRANARY_MEMORY: '64MiB' } });
  // What a busy server takes anyway.
  for (let round = 0; round < 5; round += 1) await world.assertSound();
  await world.send({ method: 'PUT', path: world.path('shared'), body: patternBytes(8_000_000, 3) });
  startBytes = world.server.residentBytes();
});
beforeEach(async () => {
  await world.assertSound();
});
afterAll(async () => {
  await world.assertSound();
  await world.stop();
});

async function crowd(
  count: number,
  begin: (connection: RawConnection, index: number) => void,
): Promise<RawConnection[]> {
  const connections: RawConnection[] = [];
  for (let at = 0; at < count; at += 200) {
    const batch = Array.from({ length: Math.min(200, count - at) }, () => open(world.server.port));
    connections.push(...(await Promise.all(batch)));
  }
  for (const [index, connection] of connections.entries()) begin(connection, index);
  await pause(500);
  return connections;
}

async function leave(connections: readonly RawConnection[]): Promise<void> {
  for (const [index, { socket }] of connections.entries()) {
    if (index % 2 === 0) socket.resetAndDestroy();
    else socket.destroy();
  }
  await Promise.all(connections.map(({ closed }) => closed));
  await pause(500);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function expectBounded(): void {
  expect(world.server.residentBytes() - startBytes).toBeLessThan(arenaBytes + growthBytesMax);
}

function uploadHead(key: string, length: number): string {
  const request = { method: 'PUT', path: world.path(key), payload: unsigned };
  return headOf(request, { ...sign(world.server, request).headers, 'content-length': String(length) });
}

describe(`${crowdCount} at once`, () => {
  test('uploads of which hardly anything comes', async () => {
    const connections = await crowd(crowdCount, ({ socket }, index) => {
      socket.write(uploadHead(`slow-${index}`, 10_000_000));
      socket.write(patternBytes(1 + (index % 3000), index));
    });
    await world.assertSound();
    for (let round = 0; round < 3; round += 1) {
      for (const { socket } of connections) socket.write('.');
      await world.assertSound();
    }
    const body = patternBytes(30_000_000, 4);
    expect(await world.send({ method: 'PUT', path: world.path('among-them'), body })).toMatchObject({ status: 200 });
    expect((await world.send({ method: 'GET', path: world.path('among-them') })).body.equals(body)).toBe(true);
    expectBounded();
    await leave(connections);
    expectBounded();
    expect(await world.exists('slow-7')).toBe(false);
  });

  test('uploads that fill the memory, and stop', async () => {
    const piece = patternBytes(100_000, 1);
    const connections = await crowd(crowdCount, ({ socket }, index) => {
      socket.write(uploadHead(`full-${index}`, 10_000_000));
      socket.write(piece);
    });
    // There may be no room for further uploads, but whoever reads is served, and whoever writes gets an answer.
    for (let round = 0; round < 3; round += 1) {
      const begun = Date.now();
      const got = await world.send({ method: 'GET', path: world.path('shared') });
      expect(got.status).toBe(200);
      expect(got.body).toHaveLength(8_000_000);
      expect(Date.now() - begun).toBeLessThan(10_000);
      const listed = await world.send({ method: 'GET', path: `/${world.bucket}`, query: 'list-type=2' });
      expect(listed.status).toBe(200);
    }
    expectBounded();
    await leave(connections);
    await world.assertSound();
    expectBounded();
  });

  test('heads of requests that do not end', async () => {
    const connections = await crowd(crowdCount, ({ socket }) => {
      socket.write(`GET /${world.bucket} HTTP/1.1\r\nHost: a\r\nX-Half: ${'h'.repeat(2000)}`);
    });
    await world.assertSound();
    expectBounded();
    await leave(connections);
  });

  test('connections on which nothing comes', async () => {
    const connections = await crowd(crowdCount, () => undefined);
    await world.assertSound();
    await leave(connections);
  });
});

test('400 downloads that nobody reads', async () => {
  const request = { method: 'GET', path: world.path('shared') };
  const connections = await crowd(400, ({ socket }) => {
    socket.pause();
    socket.write(headOf(request, sign(world.server, request).headers));
  });
  // Each gives its memory back after a second, so the others get their turn.
  await world.assertSound(60_000);
  for (let round = 0; round < 3; round += 1) await world.assertSound();
  expect((await world.send(request)).body).toHaveLength(8_000_000);
  expectBounded();
  // One of them wakes up, and gets every byte.
  const late = connections[399] as RawConnection;
  let bytes = 0;
  late.socket.on('data', (chunk: Buffer) => (bytes += chunk.length));
  late.socket.resume();
  expect(await late.until(/^HTTP\/1\.1 \d+/)).toMatch(/^HTTP\/1\.1 200/);
  await expect.poll(() => bytes, { timeout: 20_000 }).toBeGreaterThan(8_000_000);
  const received = Buffer.from(late.received(), 'latin1');
  const body = received.subarray(received.indexOf('\r\n\r\n') + 4);
  expect(body.equals(patternBytes(8_000_000, 3))).toBe(true);
  await leave(connections);
}, 120_000);

test('in the end nothing of it is left', async () => {
  await pause(1000);
  for (let round = 0; round < 3; round += 1) await world.assertSound();
  const listed = await world.send({ method: 'GET', path: `/${world.bucket}`, query: 'list-type=2' });
  expect(listed.body.toString().match(/<Key>[^<]+/g)).toEqual(['<Key>among-them', '<Key>shared']);
  expectBounded();
  // As many uploads at once as before the attacks: no slab is missing.
  const body = patternBytes(2_000_000, 5);
  const puts = await Promise.all(
    Array.from({ length: 24 }, (_, index) => world.send({ method: 'PUT', path: world.path(`last-${index}`), body })),
  );
  expect(puts.map(({ status }) => status)).toEqual(puts.map(() => 200));
});
