import { beforeEach, describe, expect, test, vi, afterEach } from 'vitest';
import { limits } from '../../../src/base/index.js';
import type { ExchangeResponse } from '../../../src/exchange/index.js';
import { Admission } from '../../../src/wiring/admission.js';
import { exchangeRequest } from '../../support/exchange.js';

const empty: ExchangeResponse = { status: 200, headers: [], body: { kind: 'empty' } };
const busy: ExchangeResponse = { status: 503, headers: [], body: { kind: 'empty' } };

let running: { readonly finish: (answer?: ExchangeResponse) => void; readonly fail: () => void }[];
let admission: Admission;
beforeEach(() => {
  vi.useFakeTimers();
  running = [];
  admission = new Admission({
    handler: () =>
      new Promise((resolve, reject) =>
        running.push({ finish: (answer = empty) => resolve(answer), fail: () => reject(new Error('broken')) }),
      ),
    refuse: () => busy,
    clock: { monotonicMs: () => Date.now() },
  });
});
afterEach(() => {
  vi.useRealTimers();
});

const ask = (shape = {}) => Promise.resolve(admission.handle(exchangeRequest({ target: '/b/k', ...shape })));
const settle = () => vi.advanceTimersByTimeAsync(0);
const statusOf = (answer: Promise<ExchangeResponse>) => answer.then(({ status }) => status);

describe('requests_max', () => {
  test('lets so many through, and the next when one is over, in order', async () => {
    admission.limits = { requestsMax: 2, requestsDeadlineMs: 10_000 };
    const answers = [ask(), ask(), ask(), ask()];
    await settle();
    expect(running).toHaveLength(2);
    expect(admission.waiting).toBe(2);
    running[0]?.finish();
    await settle();
    expect(running).toHaveLength(3);
    running[1]?.fail();
    await expect(answers[1]).rejects.toThrow('broken');
    await settle();
    expect(running).toHaveLength(4);
    for (const one of running) one.finish();
    expect(await statusOf(answers[0] as Promise<ExchangeResponse>)).toBe(200);
    expect(await statusOf(answers[3] as Promise<ExchangeResponse>)).toBe(200);
  });

  test('sends away who waited for the deadline, and no sooner', async () => {
    admission.limits = { requestsMax: 1, requestsDeadlineMs: 10_000 };
    void ask();
    let status: number | null = null;
    void statusOf(ask()).then((value) => (status = value));
    await vi.advanceTimersByTimeAsync(9_999);
    expect(status).toBeNull();
    await vi.advanceTimersByTimeAsync(1);
    expect(status).toBe(503);
    expect(running).toHaveLength(1);
  });

  test('counts an answer until its last byte is handed over', async () => {
    admission.limits = { requestsMax: 1, requestsDeadlineMs: 10_000 };
    const first = ask();
    void ask();
    let closed = 0;
    const source = { next: () => null, close: () => void closed++ };
    running[0]?.finish({ ...empty, body: { kind: 'stream', length: 0, source } });
    const { body } = await first;
    await settle();
    expect(running).toHaveLength(1);
    if (body.kind === 'stream') body.source.close();
    await settle();
    expect(closed).toBe(1);
    expect(running).toHaveLength(2);
  });

  test('bounds those who wait, and forgets who goes away', async () => {
    admission.limits = { requestsMax: 1, requestsDeadlineMs: 600_000 };
    void ask();
    for (let n = 0; n < limits.heldRequestsMax; n++) void ask();
    expect(admission.waiting).toBe(limits.heldRequestsMax);
    expect(await statusOf(ask())).toBe(503);
    const request = exchangeRequest({ target: '/', body: ['x'], abortAfterPieces: 0 });
    admission.limits = { requestsMax: 0, requestsDeadlineMs: 0 };
    await settle();
    expect(admission.waiting).toBe(0);
    expect(running).toHaveLength(limits.heldRequestsMax + 1);
    admission.limits = { requestsMax: 1, requestsDeadlineMs: 600_000 };
    const gone = Promise.resolve(admission.handle(request));
    expect(admission.waiting).toBe(1);
    request.body.onAborted();
    expect(await statusOf(gone)).toBe(503);
    expect(admission.waiting).toBe(0);
  });
});

describe('a frozen service', () => {
  test('holds what comes and lets it go on', async () => {
    admission.freeze();
    const answer = ask();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(running).toHaveLength(0);
    admission.unfreeze();
    await settle();
    running[0]?.finish();
    expect(await statusOf(answer)).toBe(200);
    expect(admission.isFrozen).toBe(false);
  });

  test('thaws by itself, and once only', async () => {
    admission.freeze();
    await vi.advanceTimersByTimeAsync(limits.freezeMsMax - 1);
    expect(admission.isFrozen).toBe(true);
    admission.freeze();
    await vi.advanceTimersByTimeAsync(limits.freezeMsMax - 1);
    expect(admission.isFrozen).toBe(true);
    await vi.advanceTimersByTimeAsync(1);
    expect(admission.isFrozen).toBe(false);
  });

  test('sends everybody away when the server stops', async () => {
    admission.freeze();
    const answer = statusOf(ask());
    admission.close();
    expect(await answer).toBe(503);
    expect(running).toHaveLength(0);
  });

  test('still heeds requests_max when it thaws', async () => {
    admission.limits = { requestsMax: 1, requestsDeadlineMs: 10_000 };
    admission.freeze();
    void ask();
    void ask();
    admission.unfreeze();
    await settle();
    expect(running).toHaveLength(1);
  });
});
