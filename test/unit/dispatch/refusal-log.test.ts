import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Refusal } from '../../../src/base/index.js';
import { RefusalLog } from '../../../src/dispatch/refusal-log.js';
import { createLogger, type LogLevel } from '../../../src/telemetry/index.js';

const minuteMs = 60_000;
let lines: Record<string, unknown>[];
let refusals: RefusalLog;

beforeEach(() => {
  vi.useFakeTimers();
  start('info');
});
afterEach(() => void vi.useRealTimers());

function start(level: LogLevel): void {
  lines = [];
  const write = (line: string) => {
    const { time: _, ...rest } = JSON.parse(line) as Record<string, unknown>;
    lines.push(rest);
  };
  refusals = new RefusalLog(createLogger({ level, format: 'json', write }));
}

function refuse(count: number, refusal: Refusal = new Refusal('SlowDownWrite')): void {
  for (let n = 0; n < count; n++) refusals.note(refusal, { requestId: `R${n}`, operation: 'PutObject' });
}

const refused = { level: 'warn', message: 'request refused', operation: 'PutObject', code: 'SlowDownWrite' };
const leftOut = (requests: number) => ({
  ...{ level: 'warn', message: 'requests were refused that no line names', code: 'SlowDownWrite' },
  ...{ requests, seconds: 60 },
});

test('the first of a kind is told at once, the others by their number, each minute for as long as there are any', () => {
  refuse(1000);
  expect(lines).toEqual([{ ...refused, requestId: 'R0' }]);
  vi.advanceTimersByTime(minuteMs);
  expect(lines.splice(0)).toEqual([{ ...refused, requestId: 'R0' }, leftOut(999)]);
  refuse(2);
  vi.advanceTimersByTime(minuteMs);
  expect(lines.splice(0)).toEqual([leftOut(2)]);
  vi.advanceTimersByTime(10 * minuteMs);
  expect(lines).toEqual([]);
  refuse(1);
  expect(lines).toEqual([{ ...refused, requestId: 'R0' }]);
});

test('other codes and other causes are kinds of their own', () => {
  refuse(2);
  refuse(2, new Refusal('SlowDownRead'));
  refuse(2, new Refusal('SlowDownWrite', undefined, undefined, new Error('one')));
  refuse(2, new Refusal('SlowDownWrite', undefined, undefined, new Error('two')));
  expect(lines.map(({ message, code }) => `${String(message)}: ${String(code)}`)).toEqual([
    'request refused: SlowDownWrite',
    'request refused: SlowDownRead',
    'request failed: SlowDownWrite',
    'request failed: SlowDownWrite',
  ]);
});

test('what nobody foresaw is told every time', () => {
  refuse(3, new Refusal('InternalError', undefined, undefined, new Error('a bug')));
  expect(lines.map(({ level, requestId }) => [level, requestId])).toEqual([
    ['error', 'R0'],
    ['error', 'R1'],
    ['error', 'R2'],
  ]);
});

test('causes without end take no room without end', () => {
  for (let n = 0; n < 1000; n++) refuse(1, new Refusal('SlowDownWrite', undefined, undefined, new Error(`cause ${n}`)));
  expect(lines).toHaveLength(65);
  lines = [];
  vi.advanceTimersByTime(minuteMs);
  expect(lines).toEqual([leftOut(935)]);
});

test('at the level debug each is a line', () => {
  start('debug');
  refuse(3);
  expect(lines.map(({ level, requestId }) => [level, requestId])).toEqual([
    ['warn', 'R0'],
    ['debug', 'R1'],
    ['debug', 'R2'],
  ]);
});
