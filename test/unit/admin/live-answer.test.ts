import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { durationMs } from '../../../src/admin/trace.js';
import { liveAnswer } from '../../../src/admin/live-answer.js';
import { limits } from '../../../src/base/index.js';
import { Feed } from '../../../src/telemetry/feed.js';

beforeEach(() => vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] }));
afterEach(() => vi.useRealTimers());

function world() {
  const feed = new Feed<string>();
  const listener = feed.listen(() => true)!;
  const rights = { mayGoOn: true };
  const answer = liveAnswer({
    listener,
    earlier: ['earlier\n'],
    keepAliveMs: 500,
    dropped: (count) => `${count} lost\n`,
    mayGoOn: () => Promise.resolve(rights.mayGoOn),
  });
  if (answer.body.kind !== 'stream') throw new Error('not a stream');
  const { source } = answer.body;
  const next = async () => (await source.next())?.bytes.toString() ?? null;
  return { feed, listener, rights, source, next, say: (line: string) => feed.publish(line, () => line) };
}

describe('an answer that goes on', () => {
  test('begins at once, with what there was before', async () => {
    expect(await world().next()).toBe(' earlier\n');
  });

  test('says what comes when it comes, and a space when nothing does', async () => {
    const { next, say } = world();
    await next();
    say('one\n');
    say('two\n');
    expect(await next()).toBe('one\ntwo\n');
    const waiting = next();
    say('three\n');
    expect(await waiting).toBe('three\n');
    const silent = next();
    await vi.advanceTimersByTimeAsync(499);
    const raced = await Promise.race([silent, Promise.resolve('still waiting')]);
    expect(raced).toBe('still waiting');
    await vi.advanceTimersByTimeAsync(1);
    expect(await silent).toBe(' ');
    expect(vi.getTimerCount()).toBe(0);
  });

  test('is cut into pieces, and says what was left out while its reader was slow', async () => {
    const { next, say } = world();
    await next();
    const line = `${'x'.repeat(999)}\n`;
    for (let index = 0; index < limits.feedListeners.linesMax; index++) say(line);
    let heard = '';
    for (let piece = await next(); piece !== null && heard.length < 10_000_000; piece = await next()) {
      expect(piece.length).toBeLessThanOrEqual(64 * 1024);
      heard += piece;
      if (piece.includes('lost')) break;
    }
    const kept = Math.floor(limits.feedListeners.charsMax / 1000);
    expect(heard.endsWith(`${limits.feedListeners.linesMax - kept} lost\n`)).toBe(true);
    expect(heard.split('\n').length - 2).toBe(kept);
  });

  test('ends with its feed, after what was said before; also while it waits', async () => {
    const { feed, next, say } = world();
    await next();
    say('last\n');
    feed.close();
    expect([await next(), await next()]).toEqual(['last\n', null]);
    const other = world();
    await other.next();
    const waiting = other.next();
    other.feed.close();
    expect(await waiting).toBeNull();
  });

  test('ends when the right to it is withdrawn', async () => {
    const { rights, next, say } = world();
    await next();
    rights.mayGoOn = false;
    say('within two seconds\n');
    expect(await next()).toBe('within two seconds\n');
    await vi.advanceTimersByTimeAsync(2_000);
    say('too late\n');
    expect(await next()).toBeNull();
  });

  test('lets go of its listener when the client leaves', async () => {
    const { feed, source, next } = world();
    await next();
    const waiting = next();
    source.close();
    expect(await waiting).toBeNull();
    expect([feed.isWanted, vi.getTimerCount()]).toEqual([false, 0]);
  });
});

describe('durations as Go writes them', () => {
  test.each([
    ['', 0],
    ['0', 0],
    ['0s', 0],
    ['5ms', 5],
    ['1.5s', 1500],
    ['1h2m3s', 3_723_000],
    ['250µs', 0.25],
    ['1ns', 1e-6],
  ])('%s is %d ms', (text, ms) => {
    expect(durationMs(text)).toBeCloseTo(ms, 9);
  });

  test.each(['5', 's', '-1s', '1d', '1s ', `${'1s'.repeat(9)}`])('%s is none', (text) => {
    expect(() => durationMs(text)).toThrow(expect.objectContaining({ code: 'XMinioAdminInvalidArgument' }) as Error);
  });
});
