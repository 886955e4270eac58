/** The small parts of the front, each alone. */
import { describe, expect, test } from 'vitest';
import { HeaderMap, SharedHeaders, type HeaderPairs } from '../../../src/exchange/index.js';
import { AddressTexts, plainAddress } from '../../../src/http/addresses.js';
import { bodyLengthOf } from '../../../src/http/framing.js';
import { bareHost, defaultBounds } from '../../../src/http/front.js';
import { EmptyBody, IncomingBody } from '../../../src/http/incoming-body.js';
import { listenError } from '../../../src/http/listen-fault.js';
import { OverflowBudget } from '../../../src/http/overflow.js';
import { Pace } from '../../../src/http/pace.js';
import { refusalAnswer } from '../../../src/http/refusals.js';
import { RequestIds } from '../../../src/http/request-ids.js';
import { HeadComposer, cleanValue, isBodiless } from '../../../src/http/response-head.js';
import { CountingSink, sleep } from './support.js';

describe('addresses', () => {
  const texts = new AddressTexts();
  const of = (...bytes: number[]) => texts.text(new Uint8Array(bytes).buffer);
  const groups = (...values: number[]) => of(...values.flatMap((value) => [value >> 8, value & 255]));

  test('IPv4, also in IPv6 clothing', () => {
    expect(of(192, 168, 255, 1)).toBe('192.168.255.1');
    expect(of(192, 168, 255, 1)).toBe('192.168.255.1');
    expect(of(255, 255, 255, 255)).toBe('255.255.255.255');
    expect(of(...new Array<number>(10).fill(0), 255, 255, 10, 0, 0, 7)).toBe('10.0.0.7');
  });

  test.each([
    [[0, 0, 0, 0, 0, 0, 0, 0], '::'],
    [[0, 0, 0, 0, 0, 0, 0, 1], '::1'],
    [[0xfe80, 0, 0, 0, 0xabc, 0, 0, 1], 'fe80::abc:0:0:1'],
    [[0x2001, 0xdb8, 0, 1, 1, 1, 1, 1], '2001:db8:0:1:1:1:1:1'],
    [[0x2001, 0xdb8, 0, 0, 1, 0, 0, 1], '2001:db8::1:0:0:1'],
    [[1, 2, 3, 4, 5, 6, 0, 0], '1:2:3:4:5:6::'],
    [[1, 2, 3, 4, 5, 6, 7, 8], '1:2:3:4:5:6:7:8'],
  ])('IPv6 %j is %s', (values, text) => expect(groups(...values)).toBe(text));

  test('nothing known is nothing said', () => expect(of()).toBe(''));

  test('more addresses than are remembered', () => {
    for (let index = 0; index < 10_000; index++) {
      expect(of(10, 0, index >> 8, index & 255)).toBe(`10.0.${index >> 8}.${index & 255}`);
    }
  });

  test('the text of node:http', () => {
    expect(plainAddress('::ffff:10.0.0.7')).toBe('10.0.0.7');
    expect(plainAddress('::1')).toBe('::1');
  });
});

describe('framing', () => {
  test.each([
    [[], 0],
    [[['content-length', '0']], 0],
    [[['content-length', '12']], 12],
    [[['content-length', '9007199254740991']], Number.MAX_SAFE_INTEGER],
    [[['content-length', '9007199254740992']], 'bad-length'],
    [
      [
        ['content-length', '5'],
        ['content-length', '5'],
      ],
      'bad-length',
    ],
    [[['content-length', '1e3']], 'bad-length'],
    [[['content-length', '٣']], 'bad-length'],
    [[['transfer-encoding', 'chunked']], null],
    [[['transfer-encoding', 'Chunked']], null],
    [[['transfer-encoding', 'chunked, chunked']], 'unknown-coding'],
    [[['transfer-encoding', 'identity']], 'unknown-coding'],
    [[['transfer-encoding', '']], 'unknown-coding'],
    [
      [
        ['transfer-encoding', 'chunked'],
        ['content-length', '3'],
      ],
      'bad-length',
    ],
  ] as [[string, string][], unknown][])('%j is %s', (pairs, expected) => {
    expect(bodyLengthOf(HeaderMap.from(pairs))).toBe(expected);
  });
});

describe('heads', () => {
  const heads = new HeadComposer('Granary');
  const compose = (status: number, headers: HeaderPairs, shared?: SharedHeaders): string =>
    heads.compose(shared === undefined ? { status, headers } : { status, headers, shared });

  test('one line per header, framing headers left out', () => {
    const head = compose(200, [
      ['ETag', '"x"'],
      ['content-length', '5'],
      ['DATE', 'now'],
      ['Keep-Alive', 'timeout=5'],
      ['X\r\nY', 'z'],
      ['', 'z'],
    ]);
    expect(head).toBe('200 OK\r\nETag: "x"\r\nServer: Granary');
    expect(compose(599, [['SERVER', 'Mine']])).toBe('599 Unknown\r\nSERVER: Mine');
  });

  test('a header says what it says now, not what it said before', () => {
    for (const value of ['a', 'a', 'b', 'a\r\nInjected: yes', 'a', '']) {
      const head = compose(200, [['x-amz-meta-same', value]]);
      expect(head).toBe(`200 OK\r\nx-amz-meta-same: ${cleanValue(value)}\r\nServer: Granary`);
    }
  });

  test('what answers have in common comes first, under the same rules', () => {
    const shared = new SharedHeaders([
      ['Vary', 'Origin'],
      ['content-length', '5'],
      ['x-amz-meta-a', 'b\r\nInjected: yes'],
    ]);
    const head = '200 OK\r\nVary: Origin\r\nx-amz-meta-a: b  Injected: yes\r\nETag: "x"\r\nServer: Granary';
    for (let time = 0; time < 2; time++) expect(compose(200, [['ETag', '"x"']], shared)).toBe(head);
    const wider = new SharedHeaders([['ETag', '"y"']]).behind(shared);
    expect(compose(404, [], wider)).toBe(
      '404 Not Found\r\nVary: Origin\r\nx-amz-meta-a: b  Injected: yes\r\nETag: "y"\r\nServer: Granary',
    );
  });

  test('an answer with nothing of its own but its id has the bytes of the one before, with its id', () => {
    const shared = new SharedHeaders([['ETag', '"é"']]);
    const again = (status: number, headers: HeaderPairs): string | null => {
      const bytes = heads.again({ status, headers, shared });
      return bytes === null ? null : Buffer.from(bytes).toString('utf8');
    };
    const id = (digit: string): HeaderPairs => [['x-amz-request-id', digit.repeat(16)]];
    for (const digit of ['0', 'A', '7', '7']) {
      const head = `200 OK\r\nETag: "é"\r\nServer: Granary\r\nx-amz-request-id: ${digit.repeat(16)}`;
      expect(again(200, id(digit))).toBe(head);
    }
    expect(again(206, id('0'))).toBeNull();
    expect(again(200, [...id('0'), ['Content-Type', 'a/b']])).toBeNull();
    expect(again(200, [['x-amz-request-id', 'short']])).toBeNull();
    expect(again(200, [['etag', '0'.repeat(16)]])).toBeNull();
    expect(heads.again({ status: 200, headers: id('0') })).toBeNull();
  });

  test('no value can hold a line end', () => {
    for (let code = 0; code < 32; code++) {
      const cleaned = cleanValue(`a${String.fromCharCode(code)}b`);
      expect(cleaned).toBe(code === 9 ? 'a\tb' : 'a b');
    }
  });

  test('more names than are remembered', () => {
    for (let index = 0; index < 3_000; index++) {
      expect(compose(200, [[`x-amz-meta-${index}`, 'v']])).toContain(`x-amz-meta-${index}: v`);
    }
  });

  test('answers without a body', () => {
    expect([100, 200, 204, 206, 304, 404].filter(isBodiless)).toEqual([100, 204, 304]);
  });
});

test('request ids do not repeat, nor do those of two fronts', () => {
  const seen = new Set<string>();
  for (const ids of [new RequestIds(), new RequestIds()])
    for (let index = 0; index < 20_000; index++) seen.add(ids.next());
  expect(seen.size).toBe(40_000);
  for (const id of seen) if (!/^[0-9A-F]{16}$/.test(id)) throw new Error(id);
});

test('hosts in brackets', () => {
  expect(['', '::1', '[::1]', 'example.org'].map(bareHost)).toEqual(['', '::1', '::1', 'example.org']);
});

test('why a port cannot be had', () => {
  const fault = (host: string, code: string) =>
    listenError(host, 9000, Object.assign(new Error(code), { code })).message;
  expect(fault('', 'EADDRINUSE')).toBe('port 9000 is in use');
  expect(fault('::1', 'EADDRINUSE')).toBe('[::1]:9000 is in use');
  expect(fault('10.0.0.1', 'EACCES')).toBe('no permission to listen on 10.0.0.1:9000');
  expect(listenError('', 9000, null).message).toBe('cannot listen on port 9000');
});

test('an error in XML can hold any path', () => {
  const { body } = refusalAnswer('InternalError', 'ID', `/a<b>&"'\u0000${'x'.repeat(3000)}`);
  const text = body.kind === 'bytes' ? (body.bytes as string) : '';
  expect(text).toContain('<Resource>/a&lt;b&gt;&amp;&quot;&apos;xxx');
  expect(text.length).toBeLessThan(1500);
});

describe('pace', () => {
  const bounds = { ...defaultBounds, stallMsMax: 300, rateGraceMs: 1_000, bytesPerSecondMin: 10 };

  test('a stall is measured from the last progress, and only while the client is waited for', () => {
    const pace = new Pace();
    expect(pace.isTooSlow(0, 100, bounds)).toBe(false);
    expect(pace.isTooSlow(0, 100, bounds)).toBe(false);
    expect(pace.isTooSlow(500, 100, bounds)).toBe(false);
    expect(pace.isTooSlow(500, 200, bounds)).toBe(false);
    expect(pace.isTooSlow(null, 10_000, bounds)).toBe(false);
    expect(pace.isTooSlow(500, 200, bounds)).toBe(false);
    expect(pace.isTooSlow(500, 100, bounds)).toBe(true);
  });

  test.each([
    [1, true],
    [2, false],
  ])('%i bytes every 100 ms', (step, isCut) => {
    const pace = new Pace();
    let cut = false;
    for (let index = 1; index <= 20; index++) cut ||= pace.isTooSlow(index * step - (step === 1 ? 1 : 0), 100, bounds);
    expect(cut).toBe(isCut);
  });
});

describe('an incoming body', () => {
  function body(declaredBytes: number | null, budgetBytes = 100) {
    const calls: string[] = [];
    const faults: unknown[] = [];
    const budget = new OverflowBudget(budgetBytes);
    const gate = { stop: () => calls.push('stop'), start: () => calls.push('start') };
    const incoming = new IncomingBody(declaredBytes, gate, budget, (error) => faults.push(error));
    return { incoming, budget, calls, faults };
  }
  const bytes = (text: string) => Buffer.from(text);

  test('what is held is a copy, given back to the budget, and delivered in order', async () => {
    const { incoming, budget, calls } = body(6);
    const first = bytes('abc');
    expect(incoming.receive(first, false)).toBe(true);
    first.fill(0);
    expect(incoming.receive(bytes('def'), true)).toBe(true);
    expect(budget.heldBytes).toBe(6);
    const seen: [string, boolean][] = [];
    incoming.consume({
      chunk: (chunk, isLast) => seen.push([Buffer.from(chunk).toString(), isLast]),
      aborted: () => {},
    });
    expect(seen).toEqual([]);
    await sleep(0);
    expect(seen).toEqual([
      ['abc', false],
      ['def', true],
    ]);
    expect(budget.heldBytes).toBe(0);
    expect(calls[0]).toBe('stop');
  });

  test('over the budget', () => {
    const { incoming, budget } = body(1000);
    expect(incoming.receive(Buffer.alloc(60), false)).toBe(true);
    expect(incoming.receive(Buffer.alloc(60), false)).toBe(false);
    incoming.abort();
    expect(budget.heldBytes).toBe(0);
  });

  test('a pause in the middle of what is held', async () => {
    const { incoming } = body(3);
    for (const [text, isLast] of [
      ['a', false],
      ['b', false],
      ['c', true],
    ] as const) {
      incoming.receive(bytes(text), isLast);
    }
    const seen: string[] = [];
    incoming.consume({
      chunk: (chunk, isLast) => {
        seen.push(Buffer.from(chunk).toString() + (isLast ? '!' : ''));
        incoming.pause();
      },
      aborted: () => {},
    });
    for (let round = 1; round <= 4; round++) {
      await sleep(0);
      expect(seen.length).toBe(Math.min(round, 3));
      incoming.resume();
      incoming.resume();
    }
    expect(seen).toEqual(['a', 'b', 'c!']);
  });

  test('the empty last chunk of a chunked body while paused', async () => {
    const { incoming } = body(null);
    const sink = new CountingSink();
    incoming.consume(sink);
    incoming.receive(bytes('abc'), false);
    incoming.pause();
    incoming.receive(bytes(''), true);
    await sleep(0);
    expect(sink.lastCount).toBe(0);
    incoming.resume();
    await sleep(0);
    expect([sink.bytes, sink.lastCount]).toEqual([3, 1]);
    incoming.abort();
    expect(sink.abortedCount).toBe(0);
  });

  test('aborted before, between and after', async () => {
    for (const when of ['before', 'between', 'after', 'detached']) {
      const { incoming, budget } = body(6);
      const sink = new CountingSink();
      incoming.receive(bytes('abc'), false);
      if (when === 'before') incoming.abort();
      if (when === 'detached') incoming.detach();
      incoming.consume(sink);
      if (when === 'between') incoming.abort();
      await sleep(0);
      if (when === 'after') incoming.abort();
      incoming.abort();
      incoming.receive(bytes('def'), true);
      await sleep(0);
      expect([when, sink.abortedCount, sink.lastCount, sink.afterEndCount]).toEqual([when, 1, 0, 0]);
      expect(budget.heldBytes).toBe(0);
    }
  });

  test('two consumers are a bug', () => {
    const { incoming } = body(6);
    incoming.consume(new CountingSink());
    expect(() => incoming.consume(new CountingSink())).toThrow('one consumer');
  });

  test('a consumer that throws is reported, not passed on', () => {
    const { incoming, faults } = body(6);
    incoming.consume({
      chunk: () => {
        throw new Error('a bug');
      },
      aborted: () => {},
    });
    expect(incoming.receive(bytes('abc'), false)).toBe(true);
    expect(faults.length).toBe(1);
  });

  test('no body at all', async () => {
    const sink = new CountingSink();
    const empty = new EmptyBody();
    empty.consume(sink);
    empty.pause();
    empty.resume();
    expect(sink.chunkCount).toBe(0);
    await sleep(0);
    expect([sink.chunkCount, sink.lastCount, sink.bytes]).toEqual([1, 1, 0]);
  });
});
