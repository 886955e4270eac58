import { describe, expect, test } from 'vitest';
import { figure, toJson, toTable, type ReportRow } from '../../../bench/report.js';

const rows: readonly ReportRow[] = [
  {
    name: 'kernel.md5',
    unit: 'GB/s',
    value: 0.6512345678,
    anchor: { name: 'node:crypto', value: 0.64 },
    ratio: 1.0175,
  },
  {
    name: 'path.put.4KiB.c64',
    unit: 'objects/s',
    value: 12345.678,
    anchor: { name: 'four shard files', value: 2500 },
    ratio: 4.938271,
    opsPerSecond: 12345.678,
    p50Ms: 4.2,
    p99Ms: 9.9,
    cpuMicrosPerOp: 81.5,
    note: 'measured on a busy machine',
  },
];

describe('toJson', () => {
  test('is an array of rows with name, unit, value, anchor and ratio', () => {
    const read = JSON.parse(toJson(rows)) as ReportRow[];
    expect(read[0]).toEqual({
      name: 'kernel.md5',
      unit: 'GB/s',
      value: 0.65123,
      anchor: { name: 'node:crypto', value: 0.64 },
      ratio: 1.0175,
    });
    expect(read[1]).toMatchObject({ value: 12346, p50Ms: 4.2, p99Ms: 9.9, cpuMicrosPerOp: 81.5 });
  });

  test('a row without an anchor says null, not a number', () => {
    const [row] = rows;
    const foreign = { ...row, anchor: { name: 'none', value: Number.NaN }, ratio: Number.NaN } as ReportRow;
    expect(JSON.parse(toJson([foreign]))).toMatchObject([{ anchor: { name: 'none', value: null }, ratio: null }]);
  });
});

describe('toTable', () => {
  test('has a line per row under its titles, and the notes below', () => {
    const lines = toTable(rows).split('\n');
    expect(lines[0]).toMatch(/^name +value +unit +ratio +op\/s +p50 ms +p99 ms +CPU µs\/op +anchor$/);
    expect(lines[1]).toMatch(/^kernel\.md5 +0\.65 +GB\/s +1\.02 +0\.64 node:crypto$/);
    expect(lines[2]).toMatch(
      /^path\.put\.4KiB\.c64 +12k +objects\/s +4\.94 +12k +4\.20 +9\.90 +81\.5 +2500 four shard files$/,
    );
    expect(lines[4]).toBe('path.put.4KiB.c64: measured on a busy machine');
  });

  test('columns of one title begin or end at one place', () => {
    const [head = '', first = '', second = ''] = toTable(rows).split('\n');
    expect(first.indexOf('GB/s')).toBe(head.indexOf('unit'));
    expect(second.indexOf('objects/s')).toBe(head.indexOf('unit'));
  });
});

test.each([
  [Number.NaN, '–'],
  [0, '0.00'],
  [0.0123, '0.012'],
  [0.5, '0.50'],
  [9.999, '10.00'],
  [42, '42.0'],
  [4321, '4321'],
  [123_456, '123k'],
])('figure of %d', (value, text) => {
  expect(figure(value)).toBe(text);
});
