import { Agent, request, type IncomingMessage } from 'node:http';
import { afterEach, describe, expect, test } from 'vitest';
import { AnswerInstead, type ExchangeResponse, type Piece, type PieceSource } from '../../../src/exchange/index.js';
import { adapters, closeFronts, eventually, openFront, plain, sleep } from './support.js';

afterEach(closeFronts);

/** Says what it is told to say, when it is told. */
class Speaker implements PieceSource {
  readonly #said: (string | Uint8Array | Error | null)[] = [];
  #wake: (() => void) | null = null;
  given = 0;
  released = 0;
  closed = 0;

  say(...what: (string | Uint8Array | Error | null)[]): void {
    this.#said.push(...what);
    this.#wake?.();
  }

  next(): Promise<Piece | null> | Piece | null {
    if (this.#said.length > 0) return this.#give();
    return new Promise<void>((resolve) => {
      this.#wake = resolve;
    }).then(() => this.#give());
  }

  close(): void {
    this.closed++;
  }

  #give(): Piece | null {
    const what = this.#said.shift();
    if (what instanceof Error) throw what;
    if (what === null || what === undefined) return null;
    this.given++;
    return { bytes: typeof what === 'string' ? Buffer.from(what) : what, release: () => void this.released++ };
  }
}

const openEnded = (source: PieceSource): ExchangeResponse => ({
  status: 200,
  headers: [['Content-Type', 'text/event-stream']],
  body: { kind: 'stream', length: null, source },
});

function get(port: number, path = '/', agent?: Agent): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    request({ host: '127.0.0.1', port, path, ...(agent && { agent }) }, resolve)
      .on('error', reject)
      .end();
  });
}

describe.each(adapters)('open-ended answers over %s', (_name, create) => {
  test('every piece arrives when it is said, and the connection serves the next request', async () => {
    const speaker = new Speaker();
    const { port, front } = await openFront(create, ({ rawPath }) =>
      rawPath === '/stream' ? openEnded(speaker) : plain('next'),
    );
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    speaker.say(' ');
    const answer = await get(port, '/stream', agent);
    expect(answer.headers['transfer-encoding']).toBe('chunked');
    expect(answer.headers['content-length']).toBeUndefined();
    let heard = '';
    answer.on('data', (chunk: Buffer) => (heard += chunk.toString()));
    await eventually(() => heard === ' ', 'the first piece');
    speaker.say('one\n', '', 'two\n');
    await eventually(() => heard === ' one\ntwo\n', 'further pieces');
    await sleep(20);
    speaker.say('three\n', null);
    await new Promise((resolve) => answer.once('end', resolve));
    expect(heard).toBe(' one\ntwo\nthree\n');
    const next = await get(port, '/plain', agent);
    expect(await next.toArray().then((chunks) => Buffer.concat(chunks as Buffer[]).toString())).toBe('next');
    await eventually(() => front.activeRequests === 0, 'idle');
    expect([speaker.released, speaker.closed]).toEqual([speaker.given, 1]);
    agent.destroy();
  });

  test('a client that leaves closes the source, also while it is waited for', async () => {
    const speaker = new Speaker();
    const { port, front } = await openFront(create, async () => {
      await sleep(1);
      return openEnded(speaker);
    });
    speaker.say(' ');
    const answer = await get(port);
    answer.on('error', () => undefined);
    await sleep(20);
    answer.destroy();
    await eventually(() => speaker.closed === 1, 'closed');
    speaker.say('too late');
    await sleep(20);
    await eventually(() => front.activeRequests === 0, 'idle');
    expect([speaker.released, speaker.closed]).toEqual([speaker.given, 1]);
  });

  test('a client that does not read is not written for without end, and is cut off', async () => {
    const speaker = new Speaker();
    const { port, front, logged } = await openFront(create, () => openEnded(speaker), {
      bounds: { sweepMs: 20, stallMsMax: 300 },
    });
    const piece = new Uint8Array(64 * 1024);
    speaker.say(...Array.from({ length: 2000 }, () => piece));
    const answer = await get(port);
    answer.on('error', () => undefined);
    answer.pause();
    await eventually(() => speaker.closed === 1, 'closed');
    // What the kernel's buffers on both sides take.
    expect(speaker.given).toBeLessThan(400);
    expect(speaker.released).toBe(speaker.given);
    await eventually(() => front.activeRequests === 0, 'idle');
    expect(logged.map(({ text }) => text)).toEqual(['client too slow; connection closed']);
  });

  test('a source that fails at first is answered otherwise; later the connection is cut', async () => {
    const { port, front } = await openFront(create, ({ rawPath }) => {
      const speaker = new Speaker();
      const instead = { status: 503, headers: [], body: { kind: 'bytes', bytes: 'no' } } as const;
      if (rawPath === '/first') speaker.say(new AnswerInstead(instead, null));
      else speaker.say('begun', new Error('gone'));
      return openEnded(speaker);
    });
    const first = await get(port, '/first');
    expect([first.statusCode, Buffer.concat((await first.toArray()) as Buffer[]).toString()]).toEqual([503, 'no']);
    const later = await get(port, '/later');
    await expect(later.toArray()).rejects.toThrow('aborted');
    await eventually(() => front.activeRequests === 0, 'idle');
  });

  test('closing the front ends what is still open', async () => {
    const speaker = new Speaker();
    const { port, front } = await openFront(create, () => openEnded(speaker));
    speaker.say(' ');
    const answer = await get(port);
    const ended = answer.toArray().then(
      () => 'whole',
      () => 'cut',
    );
    await front.close(50);
    expect(await ended).toBe('cut');
    await eventually(() => speaker.closed === 1, 'closed');
  });

  test('HEAD announces no length', async () => {
    const speaker = new Speaker();
    const { port } = await openFront(create, () => openEnded(speaker));
    const answer = await fetch(`http://127.0.0.1:${port}/`, { method: 'HEAD' });
    expect([answer.status, answer.headers.get('content-length')]).toEqual([200, null]);
    expect([speaker.given, speaker.closed]).toEqual([0, 1]);
  });
});
