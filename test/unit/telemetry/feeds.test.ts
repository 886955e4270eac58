import { describe, expect, test } from 'vitest';
import { limits } from '../../../src/base/index.js';
import { HeaderMap } from '../../../src/exchange/index.js';
import { LogRing, Traces, createLogger, type RequestTrace, type Trace } from '../../../src/telemetry/index.js';
import { Feed } from '../../../src/telemetry/feed.js';
import { record, wire } from './support.js';

describe('a feed', () => {
  test('makes no line while nobody wants it, and one for all who do', () => {
    const feed = new Feed<number>();
    let made = 0;
    const line = (number: number) => () => `${number}:${++made}`;
    feed.publish(1, line(1));
    expect([made, feed.isWanted]).toEqual([0, false]);
    const even = feed.listen((number) => number % 2 === 0);
    const all = feed.listen(() => true);
    const none = feed.listen(() => false);
    feed.publish(2, line(2));
    feed.publish(3, line(3));
    expect([even?.take(), all?.take(), none?.take()]).toEqual([['2:1'], ['2:1', '3:2'], []]);
    expect(all?.take()).toEqual([]);
    for (const listener of [even, all, none]) listener?.close();
    expect(feed.isWanted).toBe(false);
  });

  test('tells of news once until they are taken', () => {
    const feed = new Feed<string>();
    const listener = feed.listen(() => true)!;
    let told = 0;
    listener.onNews = () => told++;
    feed.publish('a', () => 'a');
    feed.publish('b', () => 'b');
    expect(told).toBe(1);
    listener.take();
    feed.publish('c', () => 'c');
    expect(told).toBe(2);
    feed.close();
    expect([told, listener.isOver, listener.take()]).toEqual([3, true, ['c']]);
    expect(feed.listen(() => true)).toBeNull();
  });

  test('a listener that does not take loses lines, not memory: by number and by length', () => {
    const { linesMax, charsMax } = limits.feedListeners;
    const feed = new Feed<number>();
    const listener = feed.listen(() => true)!;
    for (let index = 0; index < linesMax + 5; index++) feed.publish(index, () => 'x');
    expect([listener.take().length, listener.takeDropped(), listener.takeDropped()]).toEqual([linesMax, 5, 0]);
    const half = 'x'.repeat(charsMax / 2);
    for (let index = 0; index < 3; index++) feed.publish(index, () => half);
    expect([listener.take().length, listener.takeDropped()]).toEqual([2, 1]);
    feed.publish(0, () => 'again');
    expect(listener.take()).toEqual(['again']);
  });

  test('takes so many listeners and no more', () => {
    const feed = new Feed<number>();
    const listeners = Array.from({ length: limits.feedListeners.count }, () => feed.listen(() => true));
    expect(listeners.every((listener) => listener !== null)).toBe(true);
    expect(feed.listen(() => true)).toBeNull();
    listeners[0]?.close();
    expect(feed.listen(() => true)).not.toBeNull();
  });
});

describe('the latest log lines', () => {
  const ring = () => new LogRing(({ level, message, fields }) => `${level} ${message} ${JSON.stringify(fields)}`);

  test('are kept in order whatever the format of the log, without secrets, and told live', () => {
    const latest = ring();
    const written: string[] = [];
    const log = createLogger({ format: 'text', write: (line) => void written.push(line), tap: latest.add });
    log.info('one', { drive: '/a', token: 'hunter2' });
    const listener = latest.listen(({ level }) => level === 'warn');
    log.warn('two');
    log.error('three');
    log.debug('not logged at this level');
    expect(latest.latest(10, () => true)).toEqual([
      'info one {"drive":"/a","token":"[redacted]"}',
      'warn two {}',
      'error three {}',
    ]);
    expect(latest.latest(1, ({ level }) => level !== 'error')).toEqual(['warn two {}']);
    expect(latest.latest(0, () => true)).toEqual([]);
    expect(listener?.take()).toEqual(['warn two {}']);
    expect(written).toHaveLength(3);
  });

  test('are bounded in number and in length', () => {
    const { lines, chars } = limits.logRing;
    const latest = ring();
    const add = (message: string) =>
      latest.add(JSON.stringify({ level: 'info', time: '2026-01-02T03:04:05.678Z', message }));
    for (let index = 0; index < lines + 3; index++) add(`line ${index}`);
    const kept = latest.latest(Infinity, () => true);
    expect([kept.length, kept[0]]).toEqual([lines, 'info line 3 {}']);
    for (let index = 0; index < 6; index++) add(`${index}${'x'.repeat(chars / 4)}`);
    expect(latest.latest(Infinity, () => true).length).toBe(3);
  });
});

describe('live traces', () => {
  const traces = () => {
    const made: Trace[] = [];
    return { made, traces: new Traces((trace) => String(made.push(trace)), { nowMs: () => 1000 }) };
  };

  test('cost nothing while nobody listens', () => {
    const { made, traces: live } = traces();
    const observer = live.requests('s3');
    const untouchable = {
      get rawQuery(): string {
        throw new Error('looked at the query');
      },
      get headers(): HeaderMap {
        throw new Error('looked at the headers');
      },
    };
    expect(observer.wantsAddress?.()).toBe(false);
    observer.observe(record, untouchable, []);
    expect(made).toEqual([]);
    const listener = live.listen(({ protocol }) => protocol === 'admin');
    expect(observer.wantsAddress?.()).toBe(true);
    observer.observe(record, wire, []);
    expect(made).toEqual([]);
    listener?.close();
    expect(live.isWanted).toBe(false);
  });

  test('carry what went over the wire, without its secrets', () => {
    const { made, traces: live } = traces();
    const listener = live.listen(() => true);
    const headers = HeaderMap.from([
      ['Host', 'h'],
      [
        'Authorization',
        'AWS4-HMAC-SHA256 Credential=AK/20260102//s3/aws4_request, SignedHeaders=host, Signature=abc123',
      ],
      ['X-Amz-Security-Token', 'hunter2'],
      ['X-Amz-Server-Side-Encryption-Customer-Key', 'hunter2'],
      ['Cookie', 'hunter2'],
    ]);
    const rawQuery = 'prefix=a&X-Amz-Signature=hunter2&x-amz-security-%54oken=hunter2&LDAPPassword=hunter2&uploads';
    live.requests('s3').observe(record, { rawQuery, headers }, [
      ['Content-Type', 'text/plain'],
      ['Set-Cookie', 'hunter2'],
    ]);
    const trace = made[0] as RequestTrace;
    expect(trace.requestHeaders).toEqual({
      Host: ['h'],
      Authorization: [
        'AWS4-HMAC-SHA256 Credential=AK/20260102//s3/aws4_request, SignedHeaders=host, Signature=*REDACTED*',
      ],
      'X-Amz-Security-Token': ['*REDACTED*'],
      'X-Amz-Server-Side-Encryption-Customer-Key': ['*REDACTED*'],
      Cookie: ['*REDACTED*'],
    });
    expect(trace.answerHeaders).toEqual({ 'Content-Type': ['text/plain'], 'Set-Cookie': ['*REDACTED*'] });
    expect(trace.rawQuery).toBe(
      'prefix=a&X-Amz-Signature=*REDACTED*&x-amz-security-%54oken=*REDACTED*&LDAPPassword=*REDACTED*&uploads',
    );
    expect(JSON.stringify(made)).not.toContain('hunter2');
    expect(listener?.take()).toEqual(['1']);
  });

  test.each([
    ['AWS AK:c2lnbmF0dXJl', 'AWS AK:*REDACTED*'],
    ['Bearer eyJhbGciOi', '*REDACTED*'],
    ['AWS4-HMAC-SHA256 Signature=a, Credential=hunter2 x', '*REDACTED*'],
  ])('of the authorization %s there remains %s', (sent, shown) => {
    const { made, traces: live } = traces();
    live.listen(() => true);
    live.requests('s3').observe(record, { rawQuery: '', headers: HeaderMap.from([['Authorization', sent]]) }, []);
    expect((made[0] as RequestTrace).requestHeaders['Authorization']).toEqual([shown]);
  });

  test('those who want failures, or what took long, get no others', () => {
    const { traces: live } = traces();
    const failures = live.listen(({ isFailure }) => isFailure);
    const slow = live.listen(({ durationMs }) => durationMs >= 100);
    const observer = live.requests('s3');
    observer.observe(record, wire, []);
    observer.observe({ ...record, status: 404 }, wire, []);
    observer.observe({ ...record, durationMs: 100 }, wire, []);
    live.drive({ drive: '/a', operation: 'write log', durationMs: 200, bytes: 1, error: 'EIO' });
    expect([failures?.take(), slow?.take()]).toEqual([
      ['1', '3'],
      ['2', '3'],
    ]);
  });
});
