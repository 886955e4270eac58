import { describe, expect, test } from 'vitest';
import { createLogger } from '../../../src/telemetry/logger.js';
import { observers, RequestCounters, requestLines, type RequestRecord } from '../../../src/telemetry/requests.js';

const record: RequestRecord = {
  requestId: '0123456789ABCDEF',
  operation: 'PutObject',
  method: 'PUT',
  rawPath: '/bucket/key',
  status: 200,
  errorCode: null,
  bytesReceived: 100,
  bytesSent: 10,
  durationMs: 5,
  timeToFirstByteMs: 4,
  remoteAddress: '127.0.0.1',
  accessKey: 'admin',
  userAgent: null,
};

describe('RequestCounters', () => {
  test('adds up per operation and kind of answer', () => {
    const counters = new RequestCounters();
    for (const status of [200, 304, 400, 404, 499, 500, 503])
      counters.observe({ ...record, status, durationMs: status });
    counters.observe({ ...record, operation: null, status: 405 });
    expect(counters.snapshot()).toEqual({
      PutObject: {
        requests: 7,
        clientErrors: 2,
        serverErrors: 2,
        cancelled: 1,
        bytesReceived: 700,
        bytesSent: 70,
        durationMsTotal: 200 + 304 + 400 + 404 + 499 + 500 + 503,
        durationMsMax: 503,
      },
      Unknown: expect.objectContaining({ requests: 1, clientErrors: 1 }),
    });
  });

  test('a snapshot does not change afterwards', () => {
    const counters = new RequestCounters();
    counters.observe(record);
    const before = counters.snapshot();
    counters.observe(record);
    expect(before['PutObject']?.requests).toBe(1);
    expect(counters.snapshot()['PutObject']?.requests).toBe(2);
  });
});

test('request lines are written at debug only', () => {
  for (const [level, count] of [
    ['info', 0],
    ['debug', 1],
  ] as const) {
    const lines: string[] = [];
    const observer = requestLines(createLogger({ level, format: 'json', write: (line) => void lines.push(line) }));
    observer.observe({ ...record, durationMs: 5.06 });
    expect(lines).toHaveLength(count);
    for (const line of lines) {
      expect(JSON.parse(line)).toMatchObject({ requestId: '0123456789ABCDEF', status: 200, durationMs: 5.1 });
    }
  }
});

test('observers tells all of them', () => {
  const counters = [new RequestCounters(), new RequestCounters()];
  observers(...counters).observe(record);
  expect(counters.map((one) => one.snapshot()['PutObject']?.requests)).toEqual([1, 1]);
});
