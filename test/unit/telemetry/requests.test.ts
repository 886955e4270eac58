import { expect, test } from 'vitest';
import { createLogger } from '../../../src/telemetry/logger.js';
import { observers, requestLines, type RequestObserver } from '../../../src/telemetry/requests.js';
import { record, wire } from './support.js';

test('request lines are written at debug only', () => {
  for (const [level, count] of [
    ['info', 0],
    ['debug', 1],
  ] as const) {
    const lines: string[] = [];
    const observer = requestLines(createLogger({ level, format: 'json', write: (line) => void lines.push(line) }));
    observer.observe({ ...record, durationMs: 5.06 }, wire, []);
    expect(lines).toHaveLength(count);
    for (const line of lines) {
      expect(JSON.parse(line)).toMatchObject({ requestId: '0123456789ABCDEF', status: 200, durationMs: 5.1 });
    }
  }
});

test('observers tells all of them, and who wants to know of the beginning', () => {
  const told: string[] = [];
  const one: RequestObserver = { observe: () => void told.push('one') };
  const two: RequestObserver = {
    observe: ({ operation }) => void told.push(`two ${operation}`),
    begun: (operation, bucket) => void told.push(`begun ${operation} ${bucket}`),
    wantsAddress: () => false,
  };
  const both = observers(one, two);
  both.begun?.('PutObject', 'bucket');
  both.observe(record, wire, []);
  expect(told).toEqual(['begun PutObject bucket', 'one', 'two PutObject']);
  // The first does not say.
  expect(both.wantsAddress?.()).toBe(true);
  expect(observers(two).wantsAddress?.()).toBe(false);
});
