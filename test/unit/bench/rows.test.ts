import { describe, expect, test } from 'vitest';
import { choiceRows } from '../../../bench/choice/choice.js';
import { failingRow, restartRow } from '../../../bench/choice/index-rows.js';
import { boundParts, boundRow } from '../../../bench/kernel/bound.js';
import type { LoadFigures } from '../../../bench/load/load.js';
import { missingNames, missingRows } from '../../../bench/path/missing.js';
import type { ReportRow } from '../../../bench/report.js';

describe('the bound of a single pass', () => {
  const row = (name: string, unit: string, value: number): ReportRow => ({
    ...{ name, unit, value, ratio: 1 },
    anchor: { name: 'none', value: 1 },
  });
  const [passName = '', serverName = ''] = boundParts;
  const pass = row(passName, 'GB/s', 4);

  test('is what the server reaches of it', () => {
    const bound = boundRow([pass, row(serverName, 'CPU ns/byte', 2)]);
    expect(bound).toMatchObject({ name: 'pass.bound', value: 0.5, anchor: { value: 4 }, ratio: 0.125 });
    expect(bound?.note).toMatch(/could hash and code 4\.00 GB\/s .* stores 0\.50 GB\/s/);
  });

  test('takes both rows, and CPU time', () => {
    expect(boundRow([pass])).toBe(null);
    expect(boundRow([row(serverName, 'CPU ns/byte', 2)])).toBe(null);
    expect(boundRow([pass, row(serverName, 'objects/s', 20)])).toBe(null);
  });
});

test('a choice is better where it does more, and where it takes less CPU time', () => {
  const [rate, cpu] = choiceRows(
    { name: 'choice.x', units: { rate: 'a/s', cpu: 'µs' }, otherName: 'other' },
    [
      { perSecond: 300, cpu: 5 },
      { perSecond: 100, cpu: 2 },
      { perSecond: 200, cpu: 4 },
    ],
    [{ perSecond: 100, cpu: 8 }],
  );
  expect(rate).toMatchObject({ name: 'choice.x', value: 200, ratio: 2, anchor: { name: 'other (a/s)', value: 100 } });
  expect(cpu).toMatchObject({ name: 'choice.x.cpu', value: 4, ratio: 2, anchor: { name: 'other (µs)', value: 8 } });
});

test('drives that are missing cost CPU time and throughput', () => {
  const figures = (elapsedMicros: number, serverCpuMicros: number): LoadFigures => ({
    ...{ requests: 2, errors: 0, firstError: '', sentBytes: 0, receivedBytes: 128 * 2 ** 20, elapsedMicros },
    ...{ clientCpuMicros: 0, serverCpuMicros, maxMicros: 0, histogram: [] },
  });
  const [cpu, rate] = missingRows(2, [figures(100_000, 80_000)], [figures(125_000, 100_000)]);
  expect([cpu?.name, rate?.name]).toEqual(missingNames.slice(2));
  expect(cpu?.ratio).toBeCloseTo(0.8);
  expect(rate?.ratio).toBeCloseTo(0.8);
  expect(rate?.value).toBeCloseTo((128 * 2 ** 20) / 125_000);
});

describe('the index', () => {
  test('that is there sooner after a power loss is the better one', () => {
    const runs = (...milliseconds: number[]) => milliseconds.map((ms) => ({ milliseconds: ms, replayed: ms * 10 }));
    const row = restartRow('choice.index.x', runs(90, 10, 20), runs(100, 100, 100), 'other');
    expect(row).toMatchObject({ value: 20, ratio: 5, anchor: { name: 'other (ms)', value: 100 } });
    expect(row.note).toContain('900, 100, 200; other: 1000, 1000, 1000');
  });

  test.each([
    ['errors are what is asked for', { errors: 3, wrongAnswers: 0 }, 1],
    ['a wrong answer beside them is not', { errors: 3, wrongAnswers: 1 }, 0],
    ['nor is it not to notice', { errors: 0, wrongAnswers: 0 }, 0],
    ['nor to die', 'SIGBUS' as const, 0],
  ])('on a disk that fails: %s', (_, end, value) => {
    expect(failingRow(end, { errors: 1, wrongAnswers: 0 }, 'other')).toMatchObject({ value, ratio: value });
    expect(failingRow({ errors: 1, wrongAnswers: 0 }, end, 'other').anchor.value).toBe(value);
  });
});
