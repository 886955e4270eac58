import { describe, expect, test } from 'vitest';
import { limits } from '../../../src/base/index.js';
import { firstByteSecondsBounds, RequestCounters } from '../../../src/telemetry/index.js';
import { record } from './support.js';

describe('RequestCounters', () => {
  test('adds up per operation and kind of answer', () => {
    const counters = new RequestCounters();
    const statuses = [200, 304, 400, 404, 499, 500, 503];
    for (const status of statuses) {
      counters.begun('PutObject', 'bucket');
      counters.observe({ ...record, status, durationMs: status });
    }
    counters.observe({ ...record, operation: null, status: 405 });
    const counts = counters.byOperation();
    expect(counts.get('PutObject')).toMatchObject({
      requests: 7,
      inFlight: 0,
      clientErrors: 2,
      serverErrors: 2,
      cancelled: 1,
      bytesReceived: 700,
      bytesSent: 70,
      durationMsTotal: statuses.reduce((sum, status) => sum + status),
      durationMsMax: 503,
      firstByteMsTotal: 28,
    });
    expect(counts.get('Unknown')).toMatchObject({ requests: 1, inFlight: 0, clientErrors: 1 });
    expect(counters.arrivedCount).toBe(8);
  });

  test('what has begun is in flight until it is answered', () => {
    const counters = new RequestCounters();
    counters.begun('GetObject', '');
    counters.begun('GetObject', '');
    expect(counters.byOperation().get('GetObject')).toMatchObject({ inFlight: 2, requests: 0 });
    counters.observe({ ...record, operation: 'GetObject' });
    expect(counters.byOperation().get('GetObject')).toMatchObject({ inFlight: 1, requests: 1 });
  });

  test('a snapshot does not change afterwards', () => {
    const counters = new RequestCounters();
    counters.observe(record);
    const before = counters.byOperation();
    counters.observe(record);
    expect(before.get('PutObject')).toMatchObject({ requests: 1 });
    expect(before.get('PutObject')?.firstByteWithin[0]).toBe(1);
    expect(counters.byOperation().get('PutObject')?.requests).toBe(2);
  });

  test('the time to the first byte counts within every bound that it keeps', () => {
    for (const [index, seconds] of firstByteSecondsBounds.entries()) {
      const counters = new RequestCounters();
      counters.observe({ ...record, timeToFirstByteMs: seconds * 1000 });
      counters.observe({ ...record, timeToFirstByteMs: seconds * 1000 + 0.01 });
      const within = counters.byOperation().get('PutObject')?.firstByteWithin;
      expect(within).toEqual(firstByteSecondsBounds.map((_, at) => (at < index ? 0 : at === index ? 1 : 2)));
    }
  });

  test('buckets that are there are counted apart, and forgotten when they go', () => {
    const there = new Set(['bucket']);
    const counters = new RequestCounters((name) => there.has(name));
    counters.observe(record);
    counters.observe({ ...record, bucket: 'only-mentioned', status: 404 });
    counters.observe({ ...record, bucket: '' });
    const found = counters.byBucket();
    expect([...found.keys()]).toEqual(['bucket']);
    expect(found.get('bucket')?.get('PutObject')?.requests).toBe(1);
    there.clear();
    expect(counters.byBucket().size).toBe(0);
    there.add('bucket');
    expect(counters.byBucket().size).toBe(0);
  });

  test('no more buckets than may be, until some go', () => {
    const there = new Set(Array.from({ length: limits.countedBucketsMax + 1 }, (_, index) => `bucket-${index}`));
    const counters = new RequestCounters((name) => there.has(name));
    for (const bucket of there) counters.observe({ ...record, bucket });
    expect(counters.byBucket().size).toBe(limits.countedBucketsMax);
    const last = `bucket-${limits.countedBucketsMax}`;
    expect(counters.byBucket().has(last)).toBe(false);
    there.delete('bucket-0');
    counters.byBucket();
    counters.observe({ ...record, bucket: last });
    expect(counters.byBucket().get(last)?.get('PutObject')?.requests).toBe(1);
  });

  test.each([
    ['SignatureDoesNotMatch', 'PutObject', { auth: 1 }],
    ['AuthorizationHeaderMalformed', 'PutObject', { header: 1 }],
    ['RequestTimeTooSkewed', 'PutObject', { timestamp: 1 }],
    ['MethodNotAllowed', null, { invalid: 1 }],
    ['NoSuchKey', 'GetObject', {}],
  ])('%s of %s is rejected as %o', (errorCode, operation, expected) => {
    const counters = new RequestCounters();
    counters.observe({ ...record, operation, errorCode, status: 400 });
    expect(counters.rejected).toEqual({ auth: 0, header: 0, timestamp: 0, invalid: 0, ...expected });
  });
});
