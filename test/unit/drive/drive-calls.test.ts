/** The time limit of calls, with a queue and a clock that do what the test says. */
import { constants } from 'node:os';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { DriveResult } from '../../../src/drive/index.js';
import { DriveCalls } from '../../../src/drive/drive-calls.js';
import { DriveStatisticsCounter } from '../../../src/drive/drive-statistics.js';
import { IoKind, type IoQueue, type IoRequest, type IoResult } from '../../../src/native/index.js';

const { ECANCELED, EINPROGRESS, EIO, EMFILE, ENOENT, ENOMEM, ENOSPC } = constants.errno;

class FakeQueue implements IoQueue {
  readonly requests: IoRequest[] = [];
  readonly #resolvers: ((result: IoResult) => void)[] = [];
  /** Numbers of requests that no thread has taken yet. */
  readonly waiting = new Set<number>();

  submit(request: IoRequest): Promise<IoResult> {
    this.requests.push(request);
    return new Promise((resolve) => this.#resolvers.push(resolve));
  }

  end(requestNumber: number, result: Partial<IoResult> = {}): void {
    this.#resolvers[requestNumber - 1]?.({ errno: 0, bytes: 0, fd: -1, ...result });
  }

  cancel(requestNumber: number): boolean {
    const isWaiting = this.waiting.delete(requestNumber);
    if (isWaiting) this.end(requestNumber, { errno: ECANCELED });
    return isWaiting;
  }

  enter(): number {
    return 0;
  }

  hold(): number {
    return 0;
  }

  openNow(): number {
    return -1;
  }

  readNow(): number {
    return -1;
  }

  readCheckedNow(): boolean {
    return false;
  }

  get depth(): number {
    return this.requests.length;
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

const limitMs = 5000;
let queue: FakeQueue;
let calls: DriveCalls;
/** Ahead of the fake timers: the process stood still. */
let stoodStillMs: number;

beforeEach(() => {
  vi.useFakeTimers();
  queue = new FakeQueue();
  stoodStillMs = 0;
  const startMs = Date.now();
  const monotonicMs = (): number => Date.now() - startMs + stoodStillMs;
  calls = new DriveCalls(queue, { path: '/drive', isAway: false }, limitMs, { monotonicMs, nowMs: monotonicMs });
});

afterEach(() => vi.useRealTimers());

const open: IoRequest = { kind: IoKind.open, path: '/drive/file' };

function run(more: Partial<Parameters<DriveCalls['run']>[0]> = {}): {
  answer: DriveResult<IoResult> | null;
  readonly promise: Promise<void>;
} {
  const watched: ReturnType<typeof run> = {
    answer: null,
    promise: calls.run({ request: open, describe: () => 'open file', ...more }).then((answer) => {
      watched.answer = answer;
    }),
  };
  return watched;
}

describe('a call to a drive', () => {
  it('answers what its queue answers, errors by their kind', async () => {
    const results = [run(), run(), run(), run()];
    queue.end(1, { fd: 7 });
    queue.end(2, { errno: ENOENT });
    queue.end(3, { errno: ENOSPC });
    queue.end(4, { errno: EIO });
    await Promise.all(results.map((result) => result.promise));
    expect(results[0]?.answer).toEqual({ ok: true, value: { errno: 0, bytes: 0, fd: 7 } });
    const kinds = results.slice(1).map((result) => (result.answer?.ok === false ? result.answer.fault : null));
    expect(kinds).toEqual([
      { kind: 'missing', drive: '/drive', operation: 'open file', errno: ENOENT },
      { kind: 'full', drive: '/drive', operation: 'open file', errno: ENOSPC },
      { kind: 'io', drive: '/drive', operation: 'open file', errno: EIO },
    ]);
  });

  it('is slow at its limit, not before', async () => {
    const first = run();
    await vi.advanceTimersByTimeAsync(limitMs - 1000);
    const second = run();
    await vi.advanceTimersByTimeAsync(990);
    expect(first.answer).toBeNull();
    await vi.advanceTimersByTimeAsync(20);
    expect(first.answer).toMatchObject({ ok: false, fault: { kind: 'slow' } });
    expect(second.answer).toBeNull();
    queue.end(2);
    await second.promise;
    expect(second.answer).toMatchObject({ ok: true });
  });

  it('gives back late what it opened, and says then that the memory is free', async () => {
    const ended: number[] = [];
    const late = run({ onEnd: (result) => ended.push(result.fd) });
    await vi.advanceTimersByTimeAsync(limitMs + 10);
    if (late.answer?.ok !== false) throw new Error('expected a fault');
    let isSettled = false;
    void late.answer.fault.settled?.then(() => (isSettled = true));
    await vi.advanceTimersByTimeAsync(60_000);
    expect([isSettled, ended]).toEqual([false, []]);
    queue.end(1, { fd: 12 });
    await vi.advanceTimersByTimeAsync(0);
    expect([isSettled, ended]).toEqual([true, [12]]);
    expect(queue.requests[1]).toEqual({ kind: IoKind.close, fd: 12 });
  });

  it('is taken back when it only waited', async () => {
    queue.waiting.add(2);
    const onEnd = vi.fn();
    const results = [run(), run({ onEnd })];
    await vi.advanceTimersByTimeAsync(limitMs + 10);
    const faults = results.map((result) => (result.answer?.ok === false ? result.answer.fault : null));
    expect(faults[0]?.settled).toBeInstanceOf(Promise);
    expect(faults[1]).toEqual({ kind: 'slow', drive: '/drive', operation: 'open file', errno: 0 });
    expect(onEnd).toHaveBeenCalledOnce();
  });

  it('never frees its memory when its queue was closed around it', async () => {
    const left = run();
    queue.end(1, { errno: EINPROGRESS });
    await left.promise;
    expect(left.answer).toMatchObject({ ok: false, fault: { kind: 'slow', settled: expect.any(Promise) } });
  });

  it('does not pay for time in which the process stood still', async () => {
    const stopped = run();
    await vi.advanceTimersByTimeAsync(2500);
    stoodStillMs = 3_600_000;
    await vi.advanceTimersByTimeAsync(2000);
    expect(stopped.answer).toBeNull();
    await vi.advanceTimersByTimeAsync(1000);
    expect(stopped.answer).toMatchObject({ ok: false, fault: { kind: 'slow' } });
  });

  it('waits for a descriptor when the process is out of them, within its limit', async () => {
    const patient = run({ repeats: true });
    const impatient = run();
    queue.end(1, { errno: EMFILE });
    queue.end(2, { errno: EMFILE });
    await impatient.promise;
    expect(impatient.answer).toMatchObject({ ok: false, fault: { kind: 'starved', errno: EMFILE } });
    await vi.advanceTimersByTimeAsync(50);
    expect(queue.requests).toHaveLength(3);
    queue.end(3, { fd: 9 });
    await patient.promise;
    expect(patient.answer).toMatchObject({ ok: true, value: { fd: 9 } });
    // Whoever gave up at last says nothing of the drive: nothing hangs, and it is asked as before.
    const hopeless = run({ repeats: true });
    for (let waitedMs = 0; waitedMs <= limitMs + 40; waitedMs += 10) {
      queue.end(queue.requests.length, { errno: EMFILE });
      await vi.advanceTimersByTimeAsync(10);
    }
    if (hopeless.answer?.ok !== false) throw new Error('expected a fault');
    expect(hopeless.answer.fault).toMatchObject({ kind: 'starved', errno: EMFILE });
    expect(hopeless.answer.fault.settled).toBeUndefined();
    expect(calls.isHanging).toBe(false);
    const requestCount = queue.requests.length;
    await vi.advanceTimersByTimeAsync(10_000);
    expect(queue.requests).toHaveLength(requestCount);
  });

  it('blames a drive that answers for as long as a call may take that there is no memory', async () => {
    const kinds: (string | null)[] = [];
    const answer = async (errno: number): Promise<void> => {
      const call = run();
      queue.end(queue.requests.length, { errno });
      await call.promise;
      kinds.push(call.answer?.ok === false ? call.answer.fault.kind : null);
      await vi.advanceTimersByTimeAsync(limitMs - 10);
    };
    for (const errno of [ENOMEM, ENOMEM, 0, ENOMEM, EIO, ENOMEM]) await answer(errno);
    expect(kinds).toEqual(['starved', 'starved', null, 'starved', 'io', 'io']);
  });

  it('gives the next try the whole of its limit', async () => {
    const late = run({ repeats: true });
    await vi.advanceTimersByTimeAsync(limitMs - 10);
    queue.end(1, { errno: EMFILE });
    await vi.advanceTimersByTimeAsync(limitMs - 10);
    expect([queue.requests.length, late.answer]).toEqual([2, null]);
    await vi.advanceTimersByTimeAsync(40);
    expect(late.answer).toMatchObject({ ok: false, fault: { kind: 'slow' } });
  });
});

describe('a drive that hangs', () => {
  const faultKindOf = (watched: ReturnType<typeof run>): string | null =>
    watched.answer?.ok === false ? watched.answer.fault.kind : null;

  it('is one from which nothing has come back since a call was given up', async () => {
    const first = run();
    const second = run();
    expect(calls.isHanging).toBe(false);
    await vi.advanceTimersByTimeAsync(limitMs + 10);
    expect([faultKindOf(first), faultKindOf(second), calls.isHanging]).toEqual(['slow', 'slow', true]);
    run();
    queue.end(3);
    await vi.advanceTimersByTimeAsync(0);
    expect(calls.isHanging).toBe(false);
    run();
    await vi.advanceTimersByTimeAsync(limitMs + 10);
    expect(calls.isHanging).toBe(true);
    for (const call of [1, 2, 4]) queue.end(call);
    await vi.advanceTimersByTimeAsync(0);
    expect(calls.isHanging).toBe(false);
  });

  it('is asked nothing more once it is left out, until something comes back', async () => {
    run();
    await vi.advanceTimersByTimeAsync(limitMs + 10);
    // In the set it may be the last that has something.
    run();
    expect(queue.requests).toHaveLength(2);
    calls.leaveOut(limitMs);
    const ends: IoResult[] = [];
    const refused = run({ onEnd: (result) => ends.push(result) });
    await refused.promise;
    expect([faultKindOf(refused), ends.length]).toEqual(['slow', 1]);
    expect(queue.requests).toHaveLength(2);
    // Whoever finds out whether it is well again asks.
    run({ isLook: true });
    expect(queue.requests).toHaveLength(3);
    queue.end(1);
    await vi.advanceTimersByTimeAsync(0);
    run();
    expect(queue.requests).toHaveLength(4);
  });

  it('is not one that answers when a call is only taken back', async () => {
    queue.waiting.add(2);
    const ended = [run(), run()];
    await vi.advanceTimersByTimeAsync(1_000);
    const young = run();
    await vi.advanceTimersByTimeAsync(limitMs - 900);
    expect(ended.map(faultKindOf)).toEqual(['slow', 'slow']);
    expect(calls.isStuckFor(limitMs - 500)).toBe(false);
    calls.giveUpStuck(4_000);
    await vi.advanceTimersByTimeAsync(10);
    expect([faultKindOf(young), calls.isHanging]).toEqual(['slow', true]);
  });
});

describe('calls that are hurried', () => {
  it('have so long in all, and those that come later have their limit', async () => {
    const answered: string[] = [];
    const run = (name: string): void => {
      void calls.run({ request: { kind: IoKind.read, fd: 1 }, describe: () => name }).then((answer) => {
        answered.push(`${name} ${answer.ok ? 'done' : answer.fault.kind}`);
      });
    };
    run('old');
    await vi.advanceTimersByTimeAsync(2000);
    run('young');
    calls.hurry(1000);
    run('later');
    await vi.advanceTimersByTimeAsync(10);
    expect(answered).toEqual(['old slow']);
    await vi.advanceTimersByTimeAsync(1000);
    expect(answered).toEqual(['old slow', 'young slow']);
    await vi.advanceTimersByTimeAsync(limitMs - 1100);
    expect(answered).toHaveLength(2);
    await vi.advanceTimersByTimeAsync(200);
    expect(answered).toEqual(['old slow', 'young slow', 'later slow']);
    calls.hurry(1000);
  });
});

it('is stuck when some wait and none has ended for a while, not when its queue is long', async () => {
  const run = (): void => {
    void calls.run({ request: { kind: IoKind.write, fd: 1 }, describe: () => 'write' });
  };
  expect(calls.isStuckFor(0)).toBe(false);
  run();
  run();
  await vi.advanceTimersByTimeAsync(1000);
  expect([calls.isStuckFor(1000), calls.isStuckFor(1001)]).toEqual([true, false]);
  queue.end(2);
  await vi.advanceTimersByTimeAsync(400);
  expect([calls.isStuckFor(1000), calls.isStuckFor(400)]).toEqual([false, true]);
  queue.end(1);
  await vi.advanceTimersByTimeAsync(1000);
  expect(calls.isStuckFor(0)).toBe(false);
});

describe('what calls came to', () => {
  const told: { operation: string; durationMs: number; error: string | null }[] = [];
  let isWanted = false;
  const traces = {
    get isWanted() {
      return isWanted;
    },
    drive: (trace: (typeof told)[number]) => void told.push(trace),
  };
  let statistics: DriveStatisticsCounter;

  beforeEach(() => {
    told.length = 0;
    isWanted = false;
    statistics = new DriveStatisticsCounter();
    const startMs = Date.now();
    const monotonicMs = (): number => Date.now() - startMs + stoodStillMs;
    calls = new DriveCalls(
      queue,
      { path: '/drive', isAway: false },
      limitMs,
      { monotonicMs, nowMs: monotonicMs },
      { statistics, traces },
    );
  });

  const run = (describe: () => string) => calls.run({ request: { kind: IoKind.read, fd: 1 }, describe });

  it('is counted by kind, with its time and what went wrong', async () => {
    const never = (): string => {
      throw new Error('described although nobody listens');
    };
    const answers = [run(never), run(() => 'read it'), run(() => 'hang')];
    expect(calls.waiting).toBe(3);
    await vi.advanceTimersByTimeAsync(20);
    queue.end(1, { bytes: 5 });
    queue.end(2, { errno: EIO });
    await vi.advanceTimersByTimeAsync(limitMs);
    await Promise.all(answers);
    const { calls: counted, faults } = statistics.statistics(calls.waiting);
    expect(counted.get('read')).toEqual({ calls: 3, msTotal: 20 + 20 + limitMs, bytes: 5 });
    expect(faults).toEqual({ missing: 0, full: 0, starved: 0, io: 1, slow: 1 });
    expect(calls.waiting).toBe(0);
    // It comes back after all: counted once.
    queue.end(3);
    await vi.advanceTimersByTimeAsync(1);
    expect(statistics.statistics(0).calls.get('read')?.calls).toBe(3);
    expect(told).toEqual([]);
  });

  it('is told to those who listen', async () => {
    isWanted = true;
    const answers = [run(() => 'read a'), run(() => 'read b')];
    await vi.advanceTimersByTimeAsync(7);
    queue.end(1, { bytes: 5 });
    queue.end(2, { errno: ENOSPC });
    await Promise.all(answers);
    expect(told).toEqual([
      { drive: '/drive', operation: 'read a', durationMs: 7, bytes: 5, error: null },
      { drive: '/drive', operation: 'read b', durationMs: 7, bytes: 0, error: 'full' },
    ]);
  });
});
