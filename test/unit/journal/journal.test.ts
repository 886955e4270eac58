import { describe, expect, it, vi } from 'vitest';
import { Refusal, StartupError, systemClock } from '../../../src/base/index.js';
import type { CatchUpPace, HealRecord, LogRecord, RunningJournal } from '../../../src/journal/index.js';
import { JournalSet, TestIndex, quietLog } from '../../support/journal-set.js';
import { MemoryLogStore } from '../../support/memory-log-store.js';

/** Commits a record and frees its slots. */
async function put(set: JournalSet, journal: RunningJournal, text: string, slotBytes = 0): Promise<LogRecord> {
  const { prepared, release } = set.record(text, slotBytes);
  try {
    return await journal.commit(() => prepared);
  } finally {
    release();
  }
}

/** Opens anew with an empty index, and answers what it replays. */
async function replayed(set: JournalSet, reachable = ~0): Promise<string[]> {
  set.index = new TestIndex();
  const { journal } = await set.open({}, reachable);
  await journal.close();
  return set.index.bodies;
}

/** The text with which a start is refused. */
async function refusal(set: JournalSet, reachable: number): Promise<string> {
  try {
    const { journal } = await set.open({}, reachable);
    await journal.close();
    return 'it started';
  } catch (error) {
    expect(error).toBeInstanceOf(StartupError);
    return error instanceof Error ? error.message : '';
  }
}

async function until(condition: () => boolean, timeout = 5000): Promise<void> {
  await vi.waitFor(() => expect(condition()).toBe(true), { timeout, interval: 1 });
}

describe('commit', () => {
  it('commits, and replays what it committed', async () => {
    const set = new JournalSet(4, 2);
    const first = await set.open();
    expect(first.report).toMatchObject({ out: [], isReadOnly: false, toleranceLeft: 2, replayedBatches: 0 });
    const [one, two] = await Promise.all([put(set, first.journal, 'one'), put(set, first.journal, 'two', 5000)]);
    expect(two.order).toBe(one.order + 1);
    expect(set.validSlots(two)).toEqual([0, 1, 2, 3]);
    await first.journal.close();
    set.index.position = null;
    const second = await set.open();
    expect(second.report).toMatchObject({ replayedBatches: 1, isReadOnly: false });
    expect(set.index.records).toEqual([one, two]);
    expect(second.journal.health().epoch).toBe(2);
    await second.journal.close();
  });

  it('puts what arrives together into one batch', async () => {
    const set = new JournalSet(4, 2);
    const { journal } = await set.open();
    const before = set.stores[0]?.writes ?? 0;
    const records = await Promise.all(Array.from({ length: 64 }, (_, index) => put(set, journal, `r${String(index)}`)));
    expect(new Set(records.map((record) => Math.floor(record.order / 65_536))).size).toBe(1);
    expect((set.stores[0]?.writes ?? 0) - before).toBe(1);
    await journal.close();
  });

  it('applies in order, and only then answers', async () => {
    const set = new JournalSet(1, 1);
    const events: string[] = [];
    const apply = async (records: readonly LogRecord[]): Promise<void> => {
      await new Promise((resolve) => setTimeout(resolve, 2));
      for (const record of records) events.push(`applied ${Buffer.from(record.body).toString()}`);
    };
    const { journal } = await set.open({ apply });
    const answered = Array.from({ length: 5 }, async (_, index) => {
      await new Promise((resolve) => setTimeout(resolve, index));
      await put(set, journal, String(index));
      events.push(`answered ${String(index)}`);
    });
    await Promise.all(answered);
    for (const index of [0, 1, 2, 3, 4]) {
      expect(events.indexOf(`applied ${String(index)}`)).toBeLessThan(events.indexOf(`answered ${String(index)}`));
    }
    const applied = events.filter((event) => event.startsWith('applied'));
    expect(applied).toEqual([...applied].sort());
    await journal.close();
  });

  it('rejects only the commit whose prepare throws', async () => {
    const set = new JournalSet(4, 2);
    const { journal } = await set.open();
    const refusal = new Refusal('PreconditionFailed');
    const results = await Promise.allSettled([
      put(set, journal, 'before'),
      journal.commit(() => {
        throw refusal;
      }),
      put(set, journal, 'after'),
    ]);
    expect(results.map((result) => result.status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect((results[1] as PromiseRejectedResult).reason).toBe(refusal);
    await journal.close();
    expect(await replayed(set)).toEqual(['before', 'after']);
  });

  it('never lets time or sequence step back, not even over a restart', async () => {
    const set = new JournalSet(2, 1);
    const first = await set.open();
    const times: number[] = [];
    const commit = (journal: RunningJournal): Promise<LogRecord> =>
      journal.commit(({ timeMs }) => {
        times.push(timeMs);
        return set.record('x').prepared;
      });
    const one = await commit(first.journal);
    set.clock.now -= 60_000;
    const two = await commit(first.journal);
    await first.journal.close();
    const second = await set.open();
    const three = await commit(second.journal);
    await second.journal.close();
    expect(times).toEqual([times[0], times[0], times[0]]);
    expect(one.order).toBeLessThan(two.order);
    expect(two.order).toBeLessThan(three.order);
  });

  it('does not wait for a clock that was far ahead and is put right, not even over a restart', async () => {
    const set = new JournalSet(2, 1);
    const rightMs = set.clock.now;
    const times: number[] = [];
    const commit = (journal: RunningJournal): Promise<LogRecord> =>
      journal.commit(({ timeMs }) => {
        times.push(timeMs);
        return set.record('x').prepared;
      });
    set.clock.now += 365 * 86_400_000;
    const first = await set.open();
    const one = await commit(first.journal);
    set.clock.now = rightMs;
    const two = await commit(first.journal);
    await first.journal.close();
    set.clock.now -= 86_400_000;
    const second = await set.open();
    const three = await commit(second.journal);
    await second.journal.close();
    expect(times).toEqual([rightMs + 365 * 86_400_000, rightMs, rightMs - 86_400_000]);
    expect(one.order).toBeLessThan(two.order);
    expect(two.order).toBeLessThan(three.order);
  });

  it('goes on in the next file when a batch does not fit', async () => {
    const set = new JournalSet(3, 2);
    const { journal } = await set.open();
    const texts = Array.from({ length: 60 }, (_, index) => `r${String(index)}`);
    for (const text of texts) await put(set, journal, text, 60_000);
    await journal.close();
    expect([...(set.stores[0]?.files.keys() ?? [])].length).toBeGreaterThan(3);
    expect(await replayed(set)).toEqual(texts);
    expect(await replayed(set, 0b101)).toEqual(texts);
  });

  it('refuses everything once it is closed', async () => {
    const set = new JournalSet(1, 1);
    const { journal } = await set.open();
    const last = put(set, journal, 'last');
    await new Promise((resolve) => setImmediate(resolve));
    await Promise.all([journal.close(), journal.close()]);
    await Promise.allSettled([last]);
    await expect(put(set, journal, 'late')).rejects.toMatchObject({ code: 'SlowDownWrite' });
  });

  it('stops when the index fails, and says why', async () => {
    const set = new JournalSet(1, 1);
    const { journal } = await set.open({ apply: () => Promise.reject(new Error('index is broken')) });
    await expect(put(set, journal, 'one')).rejects.toThrow('index is broken');
    await expect(put(set, journal, 'two')).rejects.toMatchObject({ code: 'SlowDownWrite' });
    expect(journal.health().canWrite).toBe(false);
    await journal.close();
    expect(await replayed(set)).toEqual(['one']);
  });
});

describe('faults', () => {
  it('takes a failing drive out of S before it answers, and goes on', async () => {
    const set = new JournalSet(4, 2);
    const { journal } = await set.open();
    await put(set, journal, 'one', 3000);
    const bad = set.stores[2];
    if (bad) Object.assign(bad, { failWrite: () => 'io', failOutcome: 'lost' });
    const two = await put(set, journal, 'two', 3000);
    expect(journal.health()).toMatchObject({ inSync: [0, 1, 3], epoch: 2, canWrite: true });
    expect(set.validSlots(two)).toEqual(expect.arrayContaining([0, 1, 3]));
    await journal.close();
    if (bad) bad.failWrite = () => null;
    // The drive that was fenced and one more: what it missed is not there any more.
    expect(await refusal(set, 0b0110)).toContain('1 of 4 drives hold everything that was acknowledged, 2 are needed');
    expect(await replayed(set, 0b0011)).toEqual(['one', 'two']);
  });

  it('stops writing below w, keeps reading, and decides the batch under way at the next start', async () => {
    const set = new JournalSet(4, 2);
    const { journal } = await set.open();
    await put(set, journal, 'one');
    for (const store of set.stores.slice(0, 2)) store.failWrite = () => 'io';
    await expect(put(set, journal, 'two')).rejects.toMatchObject({ code: 'SlowDownWrite' });
    await expect(put(set, journal, 'three')).rejects.toMatchObject({ code: 'SlowDownWrite' });
    expect(journal.health()).toMatchObject({ canRead: true, canWrite: false, inSync: [2, 3] });
    await journal.close();
    for (const store of set.stores) store.failWrite = () => null;
    // It lies whole on two drives, so it is kept; a record without slots needs only one.
    expect(await replayed(set)).toEqual(['one', 'two']);
    expect(await replayed(set)).toEqual(['one', 'two']);
  });

  it('takes writes again by itself when enough drives are back', async () => {
    const set = new JournalSet(4, 2);
    const { journal } = await set.open({ restartMs: 5 });
    await put(set, journal, 'one');
    for (const store of set.stores.slice(0, 2)) Object.assign(store, { failWrite: () => 'io', failOutcome: 'lost' });
    await expect(put(set, journal, 'two', 3000)).rejects.toMatchObject({ code: 'SlowDownWrite' });
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(journal.health()).toMatchObject({ canRead: true, canWrite: false });
    for (const store of set.stores) store.failWrite = () => null;
    await until(() => journal.health().canWrite);
    // Two of its four shards were written: it is whole, and it happened.
    expect(set.index.bodies).toEqual(['one', 'two']);
    await put(set, journal, 'three', 3000);
    expect(journal.health().inSync).toEqual([0, 1, 2, 3]);
    await journal.close();
    expect(set.index.bodies).toEqual(['one', 'two', 'three']);
    expect(await replayed(set, 0b0011)).toEqual(['one', 'two', 'three']);
  });

  it('fills an empty drive up to the batch under way when the set stopped, and takes writes with it', async () => {
    const set = new JournalSet(4, 2);
    const lines: string[] = [];
    const log = { ...quietLog, info: (text: string) => void lines.push(text) };
    const { journal } = await set.open({ restartMs: 50, log });
    await put(set, journal, 'one', 3000);
    for (const store of set.stores.slice(1, 3)) Object.assign(store, { failWrite: () => 'io', failOutcome: 'lost' });
    await expect(put(set, journal, 'two', 3000)).rejects.toMatchObject({ code: 'SlowDownWrite' });
    expect(journal.health()).toMatchObject({ inSync: [0, 3], canWrite: false });
    const empty = new MemoryLogStore(set.machine, '/set1/new');
    journal.joinDrive(1, empty);
    await until(() => journal.health().canWrite);
    // It lay whole on two drives: it happened.
    expect(set.index.bodies).toEqual(['one', 'two']);
    await put(set, journal, 'three', 3000);
    expect(journal.health().inSync).toEqual([0, 1, 3]);
    // No start anew that was still to come breaks into what is well again.
    await new Promise((resolve) => setTimeout(resolve, 150));
    await put(set, journal, 'four', 3000);
    expect(lines.filter((text) => text === 'The set takes writes again')).toHaveLength(1);
    await journal.close();
    set.stores[1] = empty;
    expect(await replayed(set, 0b0011)).toEqual(['one', 'two', 'three', 'four']);
  });

  it('takes what has gone for gone, also in a set that it stops, and has an empty drive in its place', async () => {
    const set = new JournalSet(4, 2);
    const { journal } = await set.open({ restartMs: 5 });
    await put(set, journal, 'one', 3000);
    await journal.reportFault(1, 'look at .granary/format.json');
    expect(journal.health()).toMatchObject({ inSync: [0, 2, 3], canWrite: true });
    await journal.reportFault(2, 'look at .granary/format.json');
    expect(journal.health()).toMatchObject({ inSync: [0, 3], canRead: true, canWrite: false });
    await journal.reportFault(3, 'look at .granary/format.json');
    expect(journal.health()).toMatchObject({ inSync: [0], canRead: false, canWrite: false });
    const empty = new MemoryLogStore(set.machine, '/set1/new');
    const [, , , fourth] = set.stores;
    journal.joinDrive(2, empty);
    if (fourth) journal.joinDrive(3, fourth);
    await until(() => journal.health().canWrite);
    await put(set, journal, 'two', 3000);
    expect(journal.health().inSync).toEqual(expect.arrayContaining([0, 2, 3]));
    await journal.close();
    set.stores[2] = empty;
    expect(await replayed(set, 0b0101)).toEqual(['one', 'two']);
  });

  it('cuts nothing off drives that come back while no other can be read', async () => {
    const set = new JournalSet(4, 2);
    const { journal } = await set.open({ restartMs: 5 });
    await put(set, journal, 'one', 3000);
    const two = await put(set, journal, 'two', 3000);
    for (const position of [0, 1, 2, 3]) await journal.reportFault(position, 'look at .granary/format.json');
    expect(journal.health()).toMatchObject({ inSync: [], canRead: false, canWrite: false });
    for (const [position, store] of set.stores.entries()) journal.joinDrive(position, store);
    await until(() => journal.health().canWrite);
    await put(set, journal, 'three', 3000);
    await until(() => journal.health().inSync.length === 4);
    expect(set.validSlots(two)).toEqual([0, 1, 2, 3]);
    await journal.close();
    expect(await replayed(set, 0b0011)).toEqual(['one', 'two', 'three']);
    expect(await replayed(set, 0b1100)).toEqual(['one', 'two', 'three']);
  });

  it('waits when more drives are slow at once than may be lost', async () => {
    const set = new JournalSet(4, 2);
    const { journal } = await set.open();
    let slowWrites = 4;
    for (const store of set.stores) store.failWrite = () => (slowWrites-- > 0 ? 'slow' : null);
    await put(set, journal, 'one');
    expect(journal.health()).toMatchObject({ inSync: [0, 1, 2, 3], epoch: 1 });
    await journal.close();
  });

  it.each([2, 4])('tells who waits when more of %i drives hang for good than may be lost', async (driveCount) => {
    const set = new JournalSet(driveCount, driveCount / 2);
    const { journal } = await set.open({ restartMs: 10 });
    for (const store of set.stores.slice(0, driveCount / 2)) store.failWrite = () => 'slow';
    await expect(put(set, journal, 'one')).rejects.toMatchObject({ code: 'SlowDownWrite' });
    for (const store of set.stores) store.failWrite = () => null;
    await until(() => journal.health().canWrite);
    await put(set, journal, 'two');
    expect(journal.health().inSync).toHaveLength(driveCount);
    await journal.close();
  });

  describe('with two of four drives that hang', () => {
    let set: JournalSet;
    let endHang: () => void;
    let writesBefore: number[];

    /** `setBackMs`: the wall clock is so much behind until the set is open. */
    async function openAndHang(setBackMs = 0): Promise<RunningJournal> {
      set = new JournalSet(4, 2);
      let isOpen = false;
      const nowMs = (): number => Date.now() - (isOpen ? 0 : setBackMs);
      const { journal } = await set.open({ restartMs: 10, clock: { ...systemClock, nowMs } });
      isOpen = true;
      const hang = new Promise<void>((resolve) => (endHang = resolve));
      for (const store of set.stores.slice(0, 2)) Object.assign(store, { failWrite: () => 'slow', hangsUntil: hang });
      writesBefore = set.stores.map(({ writes }) => writes);
      return journal;
    }

    const writes = (): number[] => set.stores.map((store, position) => store.writes - (writesBefore[position] ?? 0));
    const recover = (): void => {
      for (const store of set.stores) Object.assign(store, { failWrite: () => null, hangsUntil: null });
      endHang();
    };

    it('tells who waits once others have answered again, and takes writes when they are back', async () => {
      const journal = await openAndHang();
      await expect(put(set, journal, 'one', 3000)).rejects.toMatchObject({ code: 'SlowDownWrite' });
      expect(writes()).toEqual([1, 1, 2, 2]);
      expect(journal.health()).toMatchObject({ inSync: [2, 3], canRead: true, canWrite: false });
      recover();
      await until(() => journal.health().canWrite);
      await put(set, journal, 'two', 3000);
      await until(() => journal.health().inSync.length === 4);
      await journal.close();
      expect(await replayed(set, 0b0011)).toEqual(set.index.bodies);
    });

    it('waits when their calls come back with those of the others', async () => {
      const journal = await openAndHang();
      const other = set.stores[3];
      if (!other) throw new Error('four drives');
      other.failWrite = () => {
        if (writes()[3] === 2) recover();
        return null;
      };
      await put(set, journal, 'one');
      expect(journal.health()).toMatchObject({ inSync: [0, 1, 2, 3], epoch: 1 });
      await journal.close();
    });

    it('waits when the others, asked again, do not answer either', async () => {
      const journal = await openAndHang();
      for (const [index, store] of set.stores.slice(2).entries()) {
        store.failWrite = () => (writes()[2 + index] === 2 ? 'slow' : null);
      }
      const committed = put(set, journal, 'one');
      await until(() => writes()[3] === 2);
      recover();
      await committed;
      expect(journal.health()).toMatchObject({ inSync: [0, 1, 2, 3], epoch: 1 });
      await journal.close();
    });

    it('waits when the machine has slept just before', async () => {
      const journal = await openAndHang(3_600_000);
      const committed = put(set, journal, 'one');
      await until(() => writes()[0] === 2);
      recover();
      await committed;
      expect(journal.health()).toMatchObject({ inSync: [0, 1, 2, 3], epoch: 1 });
      await journal.close();
    });
  });

  it('finds out who hangs although nobody commits', async () => {
    const set = new JournalSet(4, 2);
    let nowMs = 0;
    const { journal } = await set.open({ clock: { ...systemClock, monotonicMs: () => nowMs } });
    await put(set, journal, 'one');
    const before = set.stores.map(({ writes }) => writes);
    await journal.probe();
    // A commit has just shown it.
    expect(set.stores.map(({ writes }) => writes)).toEqual(before);
    nowMs = 3_000;
    if (set.stores[3]) set.stores[3].failWrite = () => 'slow';
    await Promise.all([journal.probe(), journal.probe()]);
    expect(journal.health()).toMatchObject({ inSync: [0, 1, 2], epoch: 3 });
    await put(set, journal, 'two');
    await journal.close();
    expect(await replayed(set, 0b0111)).toEqual(['one', 'two']);
  });

  it('leaves the room of a full set to others when it could find out who hangs', async () => {
    const set = new JournalSet(4, 2);
    for (const store of set.stores) store.failCreate = (fileNumber) => (fileNumber > 2 ? 'full' : null);
    let nowMs = 0;
    const { journal } = await set.open({ clock: { ...systemClock, monotonicMs: () => nowMs } });
    for (let isFull = false; !isFull;) {
      await put(set, journal, 'x', 60_000).catch(() => (isFull = true));
    }
    nowMs = 3_000;
    const before = set.stores.map(({ writes }) => writes);
    await journal.probe();
    expect(set.stores.map(({ writes }) => writes)).toEqual(before);
    await journal.close();
  });

  it('fences one slow drive, and takes it back when it answers again', async () => {
    const set = new JournalSet(4, 2);
    const { journal } = await set.open();
    const slow = set.stores[3];
    if (!slow) throw new Error('four drives');
    slow.failWrite = () => 'slow';
    await put(set, journal, 'one', 2000);
    expect(journal.health().inSync).toEqual([0, 1, 2]);
    slow.failWrite = () => null;
    journal.joinDrive(3, slow);
    await until(() => journal.health().inSync.length === 4);
    const record = set.index.records[0];
    expect(record && set.validSlots(record)).toEqual([0, 1, 2, 3]);
    await journal.close();
  });

  it('counts the drive that replaces one whose write hangs on', async () => {
    const set = new JournalSet(4, 2);
    const { journal } = await set.open({ restartMs: 5 });
    const [first, , , hanging] = set.stores;
    if (!first || !hanging) throw new Error('four drives');
    let endHang = (): void => undefined;
    hanging.hangsUntil = new Promise((resolve) => (endHang = resolve));
    hanging.failWrite = () => 'slow';
    await put(set, journal, 'one', 3000);
    expect(journal.health().inSync).toEqual([0, 1, 2]);
    const empty = new MemoryLogStore(set.machine, '/set1/new');
    journal.joinDrive(3, empty);
    await until(() => journal.health().inSync.length === 4);
    await journal.reportFault(0, 'look at .granary/format.json');
    await journal.reportFault(1, 'look at .granary/format.json');
    expect(journal.health()).toMatchObject({ inSync: [2, 3], canWrite: false });
    journal.joinDrive(0, first);
    await until(() => journal.health().canWrite);
    expect(journal.health().inSync).toContain(3);
    await put(set, journal, 'two', 3000);
    endHang();
    await journal.close();
    set.stores[3] = empty;
    expect(await replayed(set, 0b1100)).toEqual(['one', 'two']);
  });

  it('refuses what grows when there is no room for another file, and lets deletes through', async () => {
    const set = new JournalSet(4, 2);
    for (const store of set.stores) store.failCreate = (fileNumber) => (fileNumber > 2 ? 'full' : null);
    const told: unknown[] = [];
    const log = { ...quietLog, warn: (...said: unknown[]) => told.push(said), info: (text: string) => told.push(text) };
    const { journal } = await set.open({ log });
    const outcomes: string[] = [];
    for (let index = 0; index < 40; index++) {
      await put(set, journal, `r${String(index)}`, 60_000).then(
        () => outcomes.push('ok'),
        (error: unknown) => outcomes.push((error as Refusal).code),
      );
    }
    expect(new Set(outcomes)).toEqual(new Set(['ok', 'XMinioStorageFull']));
    expect(journal.health()).toMatchObject({ inSync: [0, 1, 2, 3], epoch: 1 });
    await expect(journal.commit(() => set.record('delete').prepared, 'free')).resolves.toMatchObject({ type: 1 });
    for (const store of set.stores) store.failCreate = () => null;
    await until(() => set.stores.every((store) => store.files.has(3)));
    await put(set, journal, 'again', 60_000);
    await journal.close();
    // The drives that are full, and that they are not any more.
    expect(told).toContainEqual([expect.stringContaining('No room'), { drives: [expect.any(String)] }]);
    expect(told).toContainEqual(expect.stringContaining('There is room for the log again'));
  });

  it('does not fence a drive that is full in the middle of a batch', async () => {
    const set = new JournalSet(4, 2);
    const { journal } = await set.open();
    let fullWrites = 1;
    const tight = set.stores[1];
    if (tight) tight.failWrite = () => (fullWrites-- > 0 ? 'full' : null);
    const one = put(set, journal, 'one');
    // Its shards are still in its caller's memory: it waits for room, and what comes behind it is refused.
    await until(() => fullWrites === 0);
    await new Promise((resolve) => setTimeout(resolve, 20));
    await expect(put(set, journal, 'two')).rejects.toMatchObject({ code: 'XMinioStorageFull' });
    await one;
    await until(() => set.index.records.length === 1);
    expect(journal.health()).toMatchObject({ inSync: [0, 1, 2, 3], epoch: 1, canWrite: true });
    await journal.close();
    expect(await replayed(set)).toEqual(['one']);
  });

  it('takes out a drive whose blobs fail', async () => {
    const set = new JournalSet(4, 2);
    const { journal } = await set.open();
    await journal.reportFault(1, 'write blobs/aa/aa.1');
    expect(journal.health()).toMatchObject({ inSync: [0, 2, 3], epoch: 2, canWrite: true });
    await journal.reportFault(1, 'again');
    expect(journal.health().epoch).toBe(2);
    await journal.close();
  });
});

describe('start', () => {
  it('begins a set only with w drives', async () => {
    const set = new JournalSet(4, 2);
    expect(await refusal(set, 0b0011)).toContain('0 of 4 drives hold everything');
    const { journal, report } = await set.open({}, 0b0111);
    expect(report.out).toEqual([{ position: 3, reason: 'not usable' }]);
    await journal.close();
  });

  it('is read-only between k and w, and takes writes when another drive comes', async () => {
    const set = new JournalSet(4, 2);
    const first = await set.open();
    await put(set, first.journal, 'one', 3000);
    await first.journal.close();
    const second = await set.open({}, 0b0011);
    expect(second.report).toMatchObject({ isReadOnly: true, toleranceLeft: 0 });
    expect(second.journal.health()).toMatchObject({ canRead: true, canWrite: false });
    await expect(put(set, second.journal, 'two')).rejects.toMatchObject({ code: 'SlowDownWrite' });
    const third = set.stores[2];
    if (third) second.journal.joinDrive(2, third);
    await until(() => second.journal.health().canWrite);
    await put(set, second.journal, 'two');
    await second.journal.close();
    expect(await replayed(set)).toEqual(['one', 'two']);
  });

  it('replays from where the index stands', async () => {
    const set = new JournalSet(4, 2);
    const first = await set.open();
    await put(set, first.journal, 'one');
    const position = set.index.position;
    await put(set, first.journal, 'two');
    await first.journal.close();
    set.index = new TestIndex();
    const second = await set.open({ indexPosition: position });
    expect(set.index.bodies).toEqual(['two']);
    await second.journal.close();
  });

  it('discards an index that stands elsewhere', async () => {
    const set = new JournalSet(4, 2);
    const first = await set.open();
    await put(set, first.journal, 'one');
    await first.journal.close();
    const position = set.index.position;
    if (position === null) throw new Error('something was applied');
    for (const wrong of [
      { ...position, digest: 'ab'.repeat(32) },
      { ...position, sequence: 1000 },
      { ...position, fileNumber: 9 },
      { ...position, fileOffset: position.fileOffset + 4096 },
    ]) {
      set.index = new TestIndex();
      set.index.position = wrong;
      const discard = vi.spyOn(set.index, 'discard');
      const { journal } = await set.open({ discardIndex: set.index.discard });
      expect(discard).toHaveBeenCalledOnce();
      expect(set.index.bodies).toEqual(['one']);
      await journal.close();
    }
  });

  it('reads around damage, repairs it, and does not take it for the end', async () => {
    const set = new JournalSet(4, 2);
    const first = await set.open();
    const records = [];
    for (const text of ['one', 'two', 'three']) records.push(await put(set, first.journal, text, 3000));
    await first.journal.close();
    const offset = records[1]?.slots?.fileOffset ?? 0;
    const start = offset - (offset % 4096);
    set.stores[0]?.files.get(1)?.fill(0x5a, start, start + 300);
    expect(await replayed(set)).toEqual(['one', 'two', 'three']);
    // All others are gone or damaged in the same place: the first drive has been repaired.
    for (const store of set.stores.slice(1)) store.files.get(1)?.fill(0x5a, start, start + 300);
    expect(await replayed(set)).toEqual(['one', 'two', 'three']);
  });

  it('skips what no drive can read any more, and says so', async () => {
    const set = new JournalSet(2, 1);
    const first = await set.open();
    for (const text of ['one', 'two', 'three']) await put(set, first.journal, text);
    await first.journal.close();
    // Epoch at 0, then one page each.
    for (const store of set.stores) store.files.get(1)?.fill(0x5a, 8192, 8192 + 100);
    set.index = new TestIndex();
    const { journal, report } = await set.open();
    expect(report.lostPlaces).toBeGreaterThan(0);
    expect(set.index.bodies).toEqual(['one', 'three']);
    await put(set, journal, 'four');
    await journal.close();
    expect(await replayed(set)).toEqual(['one', 'three', 'four']);
  });

  it('starts a single drive whose last batch is damaged, also when that start is killed', async () => {
    for (let steps = 0; steps < 8; steps++) {
      const set = new JournalSet(1, 1);
      const first = await set.open();
      for (const text of ['one', 'two', 'three']) await put(set, first.journal, text);
      await first.journal.close();
      set.stores[0]?.files.get(1)?.fill(0x5a, 4 * 4096 - 4096 + 100, 4 * 4096 - 4096 + 300);
      set.machine.stepsLeft = steps;
      set.index = new TestIndex();
      await set.open().then(
        ({ journal }) => journal.close(),
        (error: unknown) => expect(error).toBeInstanceOf(StartupError),
      );
      await new Promise((resolve) => setTimeout(resolve, 2));
      set.machine.revive();
      const second = await set.open();
      expect(second.report.isReadOnly).toBe(false);
      await second.journal.close();
      expect(await replayed(set)).toEqual(['one', 'two']);
    }
  });

  it('drops a batch that is not whole and that a member never synced', async () => {
    const set = new JournalSet(4, 2);
    const first = await set.open();
    await put(set, first.journal, 'one', 3000);
    const lost = set.record('two', 3000);
    for (const store of set.stores.slice(1)) Object.assign(store, { failWrite: () => 'io', failOutcome: 'lost' });
    await expect(first.journal.commit(() => lost.prepared)).rejects.toMatchObject({ code: 'SlowDownWrite' });
    lost.release();
    await first.journal.close();
    for (const store of set.stores) store.failWrite = () => null;
    set.index = new TestIndex();
    const second = await set.open();
    expect(second.report).toMatchObject({ droppedBatches: 1, rolledForwardBatches: 0 });
    expect(set.index.bodies).toEqual(['one']);
    await put(set, second.journal, 'other');
    await second.journal.close();
    expect(await replayed(set)).toEqual(['one', 'other']);
  });

  it('refuses below read quorum without changing anything', async () => {
    const set = new JournalSet(4, 2);
    const first = await set.open();
    await put(set, first.journal, 'one');
    await first.journal.close();
    const before = set.stores.map((store) => [...store.files.values()].map((file) => Buffer.from(file)));
    expect(await refusal(set, 0b1000)).toContain('1 of 4 drives hold everything that was acknowledged, 2 are needed');
    set.stores.forEach((store, position) => {
      const files = [...store.files.values()];
      expect(files.every((file, index) => before[position]?.[index]?.equals(file))).toBe(true);
    });
  });
});

/** Catch-ups whose every step waits to be told to go on. */
class SteppedPace {
  steps = 0;
  goOn = (): void => undefined;

  readonly newPace = (): CatchUpPace => ({
    restart: () => undefined,
    step: () => (this.steps++, new Promise((resolve) => (this.goOn = resolve))),
    close: () => this.goOn(),
  });

  async untilStep(wanted: number): Promise<void> {
    for (let step = 1; step < wanted; step++) {
      await until(() => this.steps === step);
      this.goOn();
    }
    await until(() => this.steps === wanted);
  }
}

/** Of four, the last of which has lost everything. */
async function withEmptiedDrive(): Promise<{ set: JournalSet; pace: SteppedPace }> {
  const set = new JournalSet(4, 2);
  const { journal } = await set.open();
  for (let index = 0; index < 20; index++) await put(set, journal, `r${String(index)}`, 1000);
  await journal.close();
  set.stores[3]?.empty();
  return { set, pace: new SteppedPace() };
}

describe('catch-up', () => {
  it('rebuilds an emptied drive while commits go on', async () => {
    const set = new JournalSet(4, 2);
    const first = await set.open();
    for (let index = 0; index < 30; index++) await put(set, first.journal, `r${String(index)}`, 20_000);
    await first.journal.close();
    set.stores[1]?.empty();
    const { journal, report } = await set.open();
    expect(report.out).toEqual([{ position: 1, reason: 'behind: it is being caught up' }]);
    for (let index = 30; index < 60; index++) await put(set, journal, `r${String(index)}`, 20_000);
    await until(() => journal.health().inSync.length === 4);
    await put(set, journal, 'last', 20_000);
    for (const record of set.index.records) expect(set.validSlots(record)).toEqual([0, 1, 2, 3]);
    await journal.close();
    // The rebuilt drive and one more are enough.
    expect((await replayed(set, 0b0011)).length).toBe(61);
  });

  it('goes on where it was interrupted', async () => {
    const set = new JournalSet(4, 2);
    const first = await set.open();
    for (let index = 0; index < 40; index++) await put(set, first.journal, `r${String(index)}`, 2000);
    await first.journal.close();
    const target = set.stores[2];
    target?.empty();
    let copies = 0;
    if (target) target.failWrite = () => (++copies > 20 ? 'io' : null);
    const second = await set.open();
    await until(() => copies > 20 && second.journal.health().catchingUp.length === 0);
    await second.journal.close();
    copies = 0;
    if (target) target.failWrite = () => (copies++, null);
    const third = await set.open();
    await until(() => third.journal.health().inSync.length === 4);
    expect(copies).toBeLessThan(40);
    await third.journal.close();
    expect((await replayed(set, 0b0101)).length).toBe(40);
  });

  it('copies at a pace that holds up nobody else, and goes on after a restart where it was', async () => {
    const set = new JournalSet(4, 2);
    const first = await set.open();
    for (let index = 0; index < 60; index++) await put(set, first.journal, `r${String(index)}`, 1000);
    await first.journal.close();
    const target = set.stores[3];
    target?.empty();
    let copies = 0;
    if (target) target.failWrite = (fileNumber) => ((copies += fileNumber > 0 ? 1 : 0), null);
    let goOn = (): void => undefined;
    let bytes = 0;
    let closed = 0;
    const newPace = (lanes: number): CatchUpPace => ({
      restart: () => undefined,
      step: (moved) => {
        expect(lanes).toBe(1);
        bytes += moved;
        return new Promise((resolve) => (goOn = resolve));
      },
      close: () => {
        closed++;
        goOn();
      },
    });
    const second = await set.open({ newPace });
    for (let step = 1; step <= 20; step++) {
      await until(() => copies === step);
      // Whoever writes does not wait for it.
      await put(set, second.journal, `more${String(step)}`, 1000);
      await new Promise((resolve) => setTimeout(resolve, 2));
      expect(copies).toBe(step);
      goOn();
    }
    await until(() => copies === 21);
    expect(bytes).toBeGreaterThanOrEqual(21 * 4096);
    expect(second.journal.health().inSync).toEqual([0, 1, 2]);
    expect(second.journal.health().catchingUp[0]?.progress).toBeGreaterThan(0.1);
    await second.journal.close();
    expect(closed).toBe(1);
    copies = 0;
    const third = await set.open();
    await until(() => third.journal.health().inSync.length === 4);
    // 60 and 20 and the epochs, less the 21 of before, and the last of those once more.
    expect(copies).toBeLessThan(70);
    await third.journal.close();
    expect((await replayed(set, 0b1001)).length).toBe(80);
  });

  it('has progress that counts bodies, once they are counted', async () => {
    const { set, pace } = await withEmptiedDrive();
    let left: { count: number; bytes: number; doneBytes: number } | null = null;
    const calls: unknown[] = [];
    const bodies = {
      begin: (...about: unknown[]) => void calls.push(about),
      progress: () => left,
      end: (position: number) => void calls.push(position),
    };
    const { journal } = await set.open({ newPace: pace.newPace, bodies });
    const figures = (): unknown => journal.health().catchingUp[0];
    await pace.untilStep(11);
    expect(calls).toEqual([[3, 0, expect.any(Boolean)]]);
    expect(figures()).toEqual({ position: 3, progress: 0, bodies: null });
    left = { count: 5, bytes: 1e9, doneBytes: 0 };
    expect(figures()).toMatchObject({ progress: expect.closeTo(0, 3), bodies: { count: 5, bytes: 1e9 } });
    left = { count: 2, bytes: 25e7, doneBytes: 75e7 };
    expect(figures()).toMatchObject({ progress: expect.closeTo(0.75, 2), bodies: { count: 2, bytes: 25e7 } });
    // More has come.
    left = { count: 4, bytes: 1e9, doneBytes: 75e7 };
    expect(figures()).toMatchObject({ progress: expect.closeTo(0.75, 2), bodies: { count: 4 } });
    // All is only what it has in the set.
    left = { count: -1, bytes: -10, doneBytes: 1e12 };
    expect(figures()).toEqual({ position: 3, progress: 0.99, bodies: { count: 0, bytes: 0 } });
    for (let step = 12; journal.health().catchingUp.length > 0; step++) {
      pace.goOn();
      await until(() => pace.steps >= step || journal.health().catchingUp.length === 0);
    }
    expect(calls.at(-1)).toBe(3);
    await journal.close();
  });

  it('has progress that never falls, whatever comes meanwhile', async () => {
    const { set, pace } = await withEmptiedDrive();
    const { journal } = await set.open({ newPace: pace.newPace });
    const progress = (): number => journal.health().catchingUp[0]?.progress ?? NaN;
    await pace.untilStep(11);
    const before = progress();
    expect(before).toBeGreaterThan(0.3);
    for (let index = 0; index < 60; index++) await put(set, journal, `more${String(index)}`, 1000);
    for (const step of [12, 13]) {
      pace.goOn();
      await until(() => pace.steps === step);
    }
    expect(progress()).toBeGreaterThanOrEqual(before);
    // Nor when an attempt ends, and another goes on.
    const [, , , target] = set.stores;
    if (target === undefined) throw new Error('four drives');
    target.failWrite = () => 'io';
    pace.goOn();
    await until(() => journal.health().catchingUp.length === 0);
    target.failWrite = () => null;
    journal.joinDrive(3, target);
    expect(progress()).toBeGreaterThanOrEqual(before);
    await until(() => pace.steps === 14);
    expect(progress()).toBeGreaterThanOrEqual(before);
    // One that has nothing begins from nothing.
    target.failWrite = () => 'io';
    pace.goOn();
    await until(() => journal.health().catchingUp.length === 0);
    target.failWrite = () => null;
    target.empty();
    journal.joinDrive(3, target);
    await until(() => pace.steps === 15);
    expect(progress()).toBeLessThan(before);
    await journal.close();
  });

  it('leaves its pace when those who write are faster', async () => {
    const set = new JournalSet(3, 2);
    const first = await set.open();
    for (let index = 0; index < 30; index++) await put(set, first.journal, `r${String(index)}`);
    await first.journal.close();
    set.stores[2]?.empty();
    let steps = 0;
    const step = async (): Promise<void> => {
      steps++;
      await put(set, second.journal, `s${String(steps)}`);
      await put(set, second.journal, `t${String(steps)}`);
    };
    const newPace = (): CatchUpPace => ({ restart: () => undefined, step, close: () => undefined });
    const second = await set.open({ newPace });
    await until(() => second.journal.health().inSync.length === 3, 20_000);
    expect(steps).toBeGreaterThan(300);
    expect(steps).toBeLessThan(600);
    await second.journal.close();
    expect((await replayed(set, 0b101)).length).toBe(30 + 2 * steps);
  }, 40_000);

  it('hands records without slots to the object layer, and remembers what fails', async () => {
    const set = new JournalSet(4, 2);
    const first = await set.open();
    for (let index = 0; index < 12; index++) await put(set, first.journal, `r${String(index)}`);
    await put(set, first.journal, 'slot', 2000);
    await first.journal.close();
    set.stores[0]?.empty();
    let isBroken = true;
    const asked = new Map<string, number>();
    const healRecord: HealRecord = (record, position) => {
      const text = `${Buffer.from(record.body).toString()}@${String(position)}`;
      asked.set(text, (asked.get(text) ?? 0) + 1);
      return Promise.resolve(isBroken && text.startsWith('r7') ? 'later' : 'healed');
    };
    const second = await set.open({ healRecord });
    await until(() => second.journal.health().inSync.length === 4 && asked.has('r11@0'));
    expect([...second.journal.unhealed()]).toEqual([[0, 1]]);
    await second.journal.close();
    expect([...asked.keys()].sort()).toEqual(Array.from({ length: 12 }, (_, index) => `r${String(index)}@0`).sort());
    asked.clear();
    isBroken = false;
    const third = await set.open({ healRecord });
    await until(() => asked.size > 0 && third.journal.unhealed().size === 0);
    await third.journal.close();
    expect([...asked.keys()]).toEqual(['r7@0']);
    asked.clear();
    const fourth = await set.open({ healRecord });
    await new Promise((resolve) => setTimeout(resolve, 20));
    await fourth.journal.close();
    expect([...asked.keys()]).toEqual([]);
  });
});

describe('a drive without room', () => {
  it('stays out as long as it cannot hold what the others do', async () => {
    const set = new JournalSet(4, 2);
    const first = await set.open();
    for (let index = 0; index < 5; index++) await put(set, first.journal, `r${String(index)}`);
    await first.journal.close();
    set.stores[0]?.empty();
    let asked = 0;
    const healRecord: HealRecord = (record) => {
      asked++;
      return Promise.resolve(Buffer.from(record.body).toString() === 'r3' ? 'full' : 'healed');
    };
    const lines: string[] = [];
    const log = { ...quietLog, warn: (text: string) => void lines.push(text) };
    const { journal } = await set.open({ healRecord, log });
    await until(() => asked >= 4 && lines.length > 0);
    expect(lines).toEqual(['Catch-up is interrupted: it has no room for what the others hold']);
    expect(journal.health()).toMatchObject({ inSync: [1, 2, 3], canWrite: true });
    await put(set, journal, 'r5');
    await journal.close();
  });
});

describe('an unfinished batch at the beginning of a file', () => {
  it.each([1, 4])('is dropped by a start with %i drives, like any other', async (driveCount) => {
    const set = new JournalSet(driveCount, Math.ceil(driveCount / 2));
    const { journal } = await set.open();
    let record = await put(set, journal, 'r0', 60_000);
    let count = 1;
    while (record.slots?.fileNumber === 1) record = await put(set, journal, `r${String(count++)}`, 60_000);
    await journal.close();
    const { fileNumber, fileOffset } = record.slots!;
    expect(fileNumber).toBe(2);
    // The header has arrived, sectors of the slots have not.
    for (const store of set.stores) store.files.get(2)?.fill(0, fileOffset + 4096, fileOffset + 8192);
    set.index = new TestIndex();
    const again = await set.open();
    expect(again.report).toMatchObject({ droppedBatches: 1, isReadOnly: false, lostPlaces: 0 });
    expect(set.index.bodies).toHaveLength(count - 1);
    await put(set, again.journal, 'later', 100);
    await again.journal.close();
    expect(await replayed(set)).toHaveLength(count);
  });
});
