import { afterEach, expect, test } from 'vitest';
import type { Piece, PieceSource } from '../../../src/exchange/index.js';
import { createHttpFront } from '../../../src/http/index.js';
import { RawClient, closeFronts, eventually, openFront, sleep } from './support.js';

afterEach(closeFronts);

const pieceBytes = 1024 * 1024;
const length = 40 * pieceBytes + 5;
const byteAt = (position: number) => (position * 31 + Math.floor(position / pieceBytes)) % 251;

/** Counts what is held; every read takes a moment. */
class Rewound implements PieceSource {
  held = 0;
  rewinds: number[] = [];
  closed = 0;
  #at = 0;

  async next(): Promise<Piece | null> {
    const from = this.#at;
    if (from >= length) return null;
    const bytes = Buffer.alloc(Math.min(pieceBytes, length - from));
    for (let index = 0; index < bytes.length; index++) bytes[index] = byteAt(from + index);
    this.#at += bytes.length;
    this.held++;
    await sleep(1);
    return { bytes, release: () => void this.held-- };
  }

  rewind(position: number): void {
    this.rewinds.push(position);
    this.#at = position;
  }

  close(): void {
    this.closed++;
  }
}

async function begin(): Promise<{ source: Rewound; client: RawClient }> {
  const source = new Rewound();
  const { port } = await openFront(createHttpFront, () => ({
    status: 200,
    headers: [],
    body: { kind: 'stream', length, source },
  }));
  const client = await RawClient.open(port);
  client.socket.pause();
  client.send('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
  await eventually(() => source.rewinds.length > 0, 'a rewind');
  return { source, client };
}

test('a client that stands still holds no memory, and gets the rest when it goes on', async () => {
  const { source, client } = await begin();
  await eventually(() => source.held === 0, 'everything released');
  await sleep(1200);
  // Once is enough.
  expect(source.rewinds).toHaveLength(1);
  expect(source.rewinds[0]).toBeGreaterThan(0);
  client.socket.resume();
  const { body } = await client.readAnswer(false, 20_000);
  expect(body).toHaveLength(length);
  const wrong = body.findIndex((byte, position) => byte !== byteAt(position));
  expect(wrong).toBe(-1);
  await eventually(() => source.closed === 1, 'the source closed');
  expect(source.held).toBe(0);
});

test('one that leaves after that frees everything once', async () => {
  const { source, client } = await begin();
  client.destroy();
  await eventually(() => source.closed === 1, 'the source closed');
  await sleep(50);
  expect([source.held, source.closed]).toEqual([0, 1]);
});
