/** Who waits for whom: streams for each other, but nobody who has nothing else to do. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Md5Gatherer } from '../../../src/pool/md5-gatherer.js';

interface Task {
  readonly runs: readonly { readonly state: number; readonly data: number; readonly bytes: number }[];
  end(error?: Error): void;
}

function gatherer(tasksMax = 1) {
  const tasks: Task[] = [];
  const begun: Task[] = [];
  const gathered = new Md5Gatherer(
    (args) =>
      new Promise<void>((resolve, reject) => {
        const runs = [];
        for (let at = 0; at < args.length; at += 3) {
          runs.push({ state: args[at] ?? 0, data: args[at + 1] ?? 0, bytes: args[at + 2] ?? 0 });
        }
        const task: Task = {
          runs,
          end: (error) => {
            tasks.splice(tasks.indexOf(task), 1);
            if (error === undefined) resolve();
            else reject(error);
          },
        };
        tasks.push(task);
        begun.push(task);
      }),
    tasksMax,
  );
  return { gathered, tasks, begun };
}

const round = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
async function rounds(): Promise<void> {
  for (let count = 0; count < 4; count++) await round();
}
const states = (task: Task | undefined): number[] => (task?.runs ?? []).map(({ state }) => state);

describe('streams that are hashed together', () => {
  it('begin when all have something', async () => {
    const { gathered, tasks } = gatherer();
    const streams = [1, 2, 3].map((state) => gathered.open(state));
    void streams[0]?.add(100, 10);
    void streams[1]?.add(200, 20);
    await rounds();
    expect(tasks).toEqual([]);
    void streams[2]?.add(300, 30);
    await rounds();
    expect(tasks[0]?.runs).toEqual([
      { state: 1, data: 100, bytes: 10 },
      { state: 2, data: 200, bytes: 20 },
      { state: 3, data: 300, bytes: 30 },
    ]);
  });

  it('begin when sixteen have, whoever is open', async () => {
    const { gathered, tasks } = gatherer();
    const streams = Array.from({ length: 40 }, (_, state) => gathered.open(state));
    for (const stream of streams.slice(0, 15)) void stream.add(0, 1);
    await rounds();
    expect(tasks).toEqual([]);
    void streams[15]?.add(0, 1);
    await rounds();
    expect(states(tasks[0])).toHaveLength(16);
  });

  it.each(['a second stripe', 'an end', 'a want of memory', 'the end of the one that was waited for'])(
    'begin at once for %s',
    async (what) => {
      const { gathered, tasks } = gatherer();
      const [first, second, third] = [1, 2, 3].map((state) => gathered.open(state));
      void first?.add(0, 1);
      void second?.add(0, 1);
      await rounds();
      expect(tasks).toEqual([]);
      if (what === 'a second stripe') void first?.add(1, 1);
      else if (what === 'an end') second?.hurry();
      else if (what === 'a want of memory') gathered.hurry();
      else third?.close();
      await rounds();
      expect(states(tasks[0])).toEqual([1, 2]);
    },
  );

  it('do not wait long for others, and not at all for those that stand still', async () => {
    const { gathered, tasks } = gatherer();
    const [first] = [1, 2].map((state) => gathered.open(state));
    void first?.add(0, 1);
    await expect.poll(() => tasks.length, { interval: 2 }).toBe(1);
    await new Promise((resolve) => setTimeout(resolve, 120));
    tasks[0]?.end();
    void first?.add(1, 1);
    await rounds();
    expect(states(tasks[0])).toEqual([1]);
  });

  it('go on without one that was given up: what had begun ends, the rest is dropped', async () => {
    const { gathered, tasks, begun } = gatherer();
    const [first, second] = [1, 2].map((state) => gathered.open(state));
    const done: string[] = [];
    void first?.add(0, 1).then(() => done.push('first'));
    void first?.add(1, 1).then(() => done.push('dropped'));
    await rounds();
    expect(states(tasks[0])).toEqual([1]);
    first?.close();
    await rounds();
    expect(done).toEqual(['dropped']);
    await first?.add(2, 1);
    void second?.add(0, 1);
    tasks[0]?.end();
    await rounds();
    expect(done).toEqual(['dropped', 'first']);
    expect(begun.map(states)).toEqual([[1], [2]]);
  });

  it('that fail fail alone', async () => {
    const { gathered, tasks } = gatherer();
    const stream = gathered.open(1);
    const failed = expect(stream.add(0, 1)).rejects.toThrow('no');
    await rounds();
    tasks[0]?.end(new Error('no'));
    await failed;
    const next = stream.add(1, 1);
    await rounds();
    tasks[0]?.end();
    await next;
    expect(gathered.isBusy).toBe(false);
  });

  it('are never left waiting, are hashed in order, and one task at a time each, whatever happens', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 3 }),
        fc.array(
          fc.record({ stream: fc.nat(20), what: fc.constantFrom('add', 'add', 'add', 'hurry', 'close', 'end') }),
          {
            maxLength: 120,
          },
        ),
        async (tasksMax, steps) => {
          const { gathered, tasks, begun } = gatherer(tasksMax);
          const open = new Map<number, { stream: ReturnType<Md5Gatherer['open']>; added: number }>();
          const pending = new Set<Promise<void>>();
          for (const { stream: state, what } of steps) {
            const found = open.get(state) ?? { stream: gathered.open(state), added: 0 };
            open.set(state, found);
            if (what === 'add') {
              const promise = found.stream.add(found.added++, 1);
              pending.add(promise);
              void promise.then(() => pending.delete(promise));
            } else if (what === 'hurry') found.stream.hurry();
            else if (what === 'close') {
              found.stream.close();
              // A state is not used again while it is worked on.
              if (tasks.every((task) => !states(task).includes(state))) open.delete(state);
            } else tasks[0]?.end();
            await round();
            expect(tasks.length).toBeLessThanOrEqual(tasksMax);
            const running = tasks.flatMap(states);
            expect(new Set(running).size).toBe(running.length);
          }
          const deadline = Date.now() + 5000;
          while (pending.size > 0 && Date.now() < deadline) {
            tasks[0]?.end();
            await new Promise((resolve) => setTimeout(resolve, 1));
          }
          expect(pending.size).toBe(0);
          const last = new Map<number, number>();
          for (const { state, data } of begun.flatMap(({ runs }) => runs)) {
            if (data !== 0) expect(data).toBe((last.get(state) ?? -1) + 1);
            last.set(state, data);
          }
        },
      ),
      { numRuns: 60 },
    );
  });
});
