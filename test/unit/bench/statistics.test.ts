import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { median, mergeHistograms, percentile, type Histogram } from '../../../bench/statistics.js';

describe('median', () => {
  test.each([
    { values: [], expected: Number.NaN },
    { values: [7], expected: 7 },
    { values: [9, 1], expected: 1 },
    { values: [10, 9, 1], expected: 9 },
    { values: [100, 20, 3, 1], expected: 3 },
  ])('of $values', ({ values, expected }) => {
    expect(median(values)).toBe(expected);
  });

  test('leaves its argument in its order', () => {
    const values = [3, 1, 2];
    median(values);
    expect(values).toEqual([3, 1, 2]);
  });
});

describe('percentile', () => {
  const histogram: Histogram = [
    [10, 50],
    [20, 49],
    [5000, 1],
  ];

  test.each([
    { fraction: 0, expected: 10 },
    { fraction: 0.5, expected: 10 },
    { fraction: 0.51, expected: 20 },
    { fraction: 0.99, expected: 20 },
    { fraction: 0.991, expected: 5000 },
    { fraction: 1, expected: 5000 },
  ])('$fraction', ({ fraction, expected }) => {
    expect(percentile(histogram, fraction)).toBe(expected);
  });

  test('of nothing', () => {
    expect(percentile([], 0.5)).toBeNaN();
  });

  test('is what sorting all values gives', () => {
    const values = fc.array(fc.integer({ min: 0, max: 50 }), { minLength: 1, maxLength: 200 });
    fc.assert(
      fc.property(values, fc.double({ min: 0.01, max: 1, noNaN: true }), (all, fraction) => {
        const merged = mergeHistograms(all.map((value) => [[value, 1]]));
        const sorted = [...all].sort((a, b) => a - b);
        expect(percentile(merged, fraction)).toBe(sorted[Math.max(1, Math.ceil(all.length * fraction)) - 1]);
      }),
    );
  });
});

test('merged histograms count every value once, in order', () => {
  expect(
    mergeHistograms([
      [
        [5, 1],
        [9, 2],
      ],
      [
        [1, 4],
        [9, 3],
      ],
    ]),
  ).toEqual([
    [1, 4],
    [5, 1],
    [9, 5],
  ]);
});
