import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { Places } from '../../../src/drive/places.js';

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

it('gives as many as there are, and then to those who wait, in their order', async () => {
  const places = new Places(2, 1000);
  const got: string[] = [];
  const take = (name: string) => void places.take().then((isTaken) => got.push(`${name} ${isTaken}`));
  take('a');
  take('b');
  take('c');
  take('d');
  await vi.advanceTimersByTimeAsync(500);
  expect(got).toEqual(['a true', 'b true']);
  places.give();
  // Who comes now is behind those who wait.
  expect(places.tryTake()).toBe(false);
  await vi.advanceTimersByTimeAsync(499);
  expect(got).toEqual(['a true', 'b true', 'c true']);
  await vi.advanceTimersByTimeAsync(2);
  expect(got.at(-1)).toBe('d false');
  places.give();
  expect([places.tryTake(), places.tryTake()]).toEqual([true, false]);
});

it('takes back no more than was given', () => {
  const places = new Places(1, 1000);
  expect(() => {
    places.give();
  }).toThrow('a place is given back once');
});
