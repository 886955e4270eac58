/**
 * Several sets, one order: lives of a machine whose two sets share numbers and an index, ended at any step. Keys go to
 * either set, and to the other one when they were deleted, as with pools. `SETS_SEED=n` replays a run.
 */
import { describe, expect, it } from 'vitest';
import { openJournals, type JournalOptions, type LogPosition, type LogRecord } from '../../../src/journal/index.js';
import { JournalSet, quietLog } from '../../support/journal-set.js';
import { MemoryMachine } from '../../support/memory-log-store.js';
import { testArena } from '../../support/journal-set.js';
import { Random } from './model/random.js';

const keys = ['a', 'b', 'c', 'd', 'e', 'f'];
const setCount = 2;

interface Entry {
  readonly value: string;
  readonly setIndex: number;
}

/** Keys and where they lie, as the object layer's index has them. */
class SharedIndex {
  entries = new Map<string, Entry>();
  positions: (LogPosition | null)[] = Array.from({ length: setCount }, () => null);
  orders: number[] = [];
  discards = 0;

  apply(setIndex: number): JournalOptions['apply'] {
    return async (records: readonly LogRecord[], position: LogPosition) => {
      await Promise.resolve();
      for (const { body, order } of records) {
        this.orders.push(order);
        const { key, value } = JSON.parse(Buffer.from(body).toString()) as { key: string; value: string | null };
        const before = this.entries.get(key);
        if (before !== undefined && before.setIndex !== setIndex) throw new Error(`${key} lies in two sets`);
        if (value === null) this.entries.delete(key);
        else this.entries.set(key, { value, setIndex });
      }
      this.positions[setIndex] = position;
    };
  }

  readonly discard = async (): Promise<void> => {
    await Promise.resolve();
    this.discards++;
    this.entries.clear();
    this.positions = this.positions.map(() => null);
  };

  get values(): Record<string, string> {
    return Object.fromEntries([...this.entries].map(([key, { value }]) => [key, value]).sort());
  }
}

interface KeyState {
  acknowledged: string | null;
  underWay: string | null | undefined;
}

function openAll(sets: readonly JournalSet[], index: SharedIndex) {
  return openJournals(
    sets.map((set, setIndex) =>
      set.options({
        indexPosition: index.positions[setIndex] ?? null,
        discardIndex: index.discard,
        apply: index.apply(setIndex),
      }),
    ),
  );
}

async function lives(seed: number): Promise<{ ends: number; changes: number; moved: number }> {
  const random = new Random(seed);
  const machine = new MemoryMachine(testArena().view, random);
  const sets = Array.from({ length: setCount }, (_, setIndex) => new JournalSet(4, 2, random, machine, setIndex));
  const states = new Map(keys.map((key): [string, KeyState] => [key, { acknowledged: null, underWay: undefined }]));
  let index = new SharedIndex();
  let [ends, changes, moved, value] = [0, 0, 0, 0];
  for (let life = 0; life < 8; life++) {
    machine.revive();
    if (random.below(4) === 0) index = new SharedIndex();
    const opened = await openAll(sets, index);
    // An index made from the logs alone is the one that grew.
    const rebuilt = new SharedIndex();
    const seen = index.values;
    for (const { journal } of opened) await journal.close();
    for (const { journal } of await openAll(sets, rebuilt)) await journal.close();
    expect(rebuilt.values).toEqual(seen);
    expect(rebuilt.orders).toEqual([...rebuilt.orders].sort((a, b) => a - b));
    expect(new Set(rebuilt.orders).size).toBe(rebuilt.orders.length);
    for (const [key, state] of states) {
      const is = index.entries.get(key)?.value ?? null;
      const may = state.underWay === undefined ? [state.acknowledged] : [state.acknowledged, state.underWay];
      expect(may).toContain(is);
      state.acknowledged = is;
      state.underWay = undefined;
    }
    const running = await openAll(sets, index);
    machine.stepsLeft = 10 + random.below(120);
    const lastSet = new Map<string, number>();
    const writer = async (key: string): Promise<void> => {
      const state = states.get(key);
      while (!machine.isDead && !machine.isDying && state !== undefined) {
        const entry = index.entries.get(key);
        const setIndex = entry?.setIndex ?? random.below(setCount);
        if (entry === undefined && lastSet.has(key) && lastSet.get(key) !== setIndex) moved++;
        lastSet.set(key, setIndex);
        const next = entry !== undefined && random.below(3) === 0 ? null : `v${String(++value)}`;
        state.underWay = next;
        const body = new Uint8Array(Buffer.from(JSON.stringify({ key, value: next })));
        try {
          await running[setIndex]?.journal.commit(() => ({ type: 1, body, slots: null }));
        } catch {
          return;
        }
        changes++;
        state.acknowledged = next;
        state.underWay = undefined;
      }
    };
    await Promise.all(keys.map(writer));
    ends++;
    for (const { journal } of running) await journal.close();
  }
  return { ends, changes, moved };
}

describe('two sets', () => {
  it('lose nothing acknowledged and keep one order, whatever is killed', async () => {
    const only = process.env['SETS_SEED'];
    const seeds = only === undefined ? Array.from({ length: 12 }, (_, run) => run + 1) : [Number(only)];
    const total = { ends: 0, changes: 0, moved: 0 };
    for (const seed of seeds) {
      const found = await lives(seed).catch((error: unknown) => {
        throw new Error(`SETS_SEED=${seed}`, { cause: error });
      });
      for (const name of ['ends', 'changes', 'moved'] as const) total[name] += found[name];
    }
    expect(total.changes).toBeGreaterThan(200);
    expect(total.moved).toBeGreaterThan(10);
  }, 60_000);

  it('say of a drive that comes back what it lacks of its own set, whatever the others wrote', async () => {
    const machine = new MemoryMachine(testArena().view, new Random(1));
    const sets = [0, 1].map((setIndex) => new JournalSet(4, 2, new Random(1), machine, setIndex));
    const index = new SharedIndex();
    const begun: unknown[] = [];
    const log = {
      ...quietLog,
      info: (text: string, fields?: Readonly<Record<string, unknown>>) => {
        if (text === 'Catch-up begins') begun.push(fields);
      },
    };
    const opened = await openJournals(
      sets.map((set, setIndex) => set.options({ discardIndex: index.discard, apply: index.apply(setIndex), log })),
    );
    const [first, second] = opened.map(({ journal }) => journal);
    const store = sets[1]?.stores[3];
    if (first === undefined || second === undefined || store === undefined) throw new Error('two sets of four drives');
    const write = (journal: typeof first, key: string) =>
      journal.commit(() => ({ type: 1, body: Buffer.from(JSON.stringify({ key, value: key })), slots: null }));
    await second.reportFault(3, 'write');
    for (let turn = 0; turn < 3; turn++) {
      await write(second, `second${String(turn)}`);
      for (let other = 0; other < 10; other++) await write(first, `first${String(turn)}.${String(other)}`);
    }
    second.joinDrive(3, store);
    await expect.poll(() => second.health().inSync).toEqual([0, 1, 2, 3]);
    // The epoch without it, and three more.
    expect(begun).toEqual([{ position: 3, batches: 4, bytes: 4 * 4096 }]);
    for (const { journal } of opened) await journal.close();
  });

  it('are not opened when the index knows of one that has no log on any drive', async () => {
    const random = new Random(3);
    const machine = new MemoryMachine(testArena().view, random);
    const sets = [0, 1].map((setIndex) => new JournalSet(4, 2, random, machine, setIndex));
    const index = new SharedIndex();
    const opened = await openAll(sets, index);
    const body = new Uint8Array(Buffer.from(JSON.stringify({ key: 'a', value: 'x' })));
    await opened[1]?.journal.commit(() => ({ type: 1, body, slots: null }));
    for (const { journal } of opened) await journal.close();
    for (const store of sets[1]?.stores ?? []) store.files.clear();
    await expect(openAll(sets, index)).rejects.toThrow('Set 2: the index knows of its objects');
    expect(index.discards).toBe(1);
  });
});
