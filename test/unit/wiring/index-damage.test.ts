import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { IndexDamage } from '../../../src/wiring/index-damage.js';

let lines: string[] = [];
let starts = 0;
const startAnew = (): void => void starts++;

beforeEach(() => {
  vi.useFakeTimers();
  lines = [];
  starts = 0;
});

afterEach(() => {
  vi.useRealTimers();
});

const newDamage = (): IndexDamage =>
  new IndexDamage({ error: (text) => void lines.push(text) }, { monotonicMs: () => Date.now() });

test('has the server started anew once it is in use', () => {
  const damage = newDamage();
  damage.start(startAnew);
  vi.advanceTimersByTime(1000);
  expect(starts).toBe(0);
  damage.met(true);
  vi.advanceTimersByTime(0);
  expect(starts).toBe(1);
  expect(lines).toEqual(['the index cannot be read any more: the server starts anew, and builds it from the logs']);
});

test('that was met while the server started is not forgotten', () => {
  const damage = newDamage();
  damage.met(true);
  vi.advanceTimersByTime(1000);
  expect(starts).toBe(0);
  damage.start(startAnew);
  vi.advanceTimersByTime(0);
  expect(starts).toBe(1);
});

test('that the next start does not know of cannot have one start follow the other', () => {
  const damage = newDamage();
  damage.start(startAnew);
  vi.advanceTimersByTime(10_000);
  damage.met(false);
  vi.advanceTimersByTime(19_999);
  expect(starts).toBe(0);
  vi.advanceTimersByTime(1);
  expect(starts).toBe(1);
  const later = newDamage();
  later.start(startAnew);
  vi.advanceTimersByTime(60_000);
  later.met(false);
  vi.advanceTimersByTime(0);
  expect(starts).toBe(2);
});

test('asks whoever runs the server when it cannot be started anew, and nothing of one that ends', () => {
  const damage = newDamage();
  damage.start(null);
  damage.met(true);
  expect(lines).toEqual(['the index cannot be read any more: start the server anew, and it is built from the logs']);
  const ending = newDamage();
  ending.start(startAnew);
  ending.met(false);
  ending.close();
  vi.advanceTimersByTime(60_000);
  expect(starts).toBe(0);
});
