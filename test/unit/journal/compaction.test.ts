/** Compaction of the real journal on drives in memory: bounds, horizon, returning drives, and crashes at every step. */
import { afterEach, describe, expect, it } from 'vitest';
import { MiB, StartupError } from '../../../src/base/index.js';
import type { CommitPurpose, OpenedJournal } from '../../../src/journal/index.js';
import { JournalSet, quietLog } from '../../support/journal-set.js';
import { KeyIndex, encodeChange } from '../../support/key-index.js';
import { Random } from './model/random.js';

const runs = Number(process.env['COMPACTION_RUNS'] ?? 12);
const onlySeed = process.env['COMPACTION_SEED'];

class KeyedSet {
  readonly set: JournalSet;
  index = new KeyIndex();
  opened: OpenedJournal | null = null;
  #count = 0;

  constructor(
    driveCount: number,
    dataShards: number,
    readonly random = new Random(1),
  ) {
    this.set = new JournalSet(driveCount, dataShards, random);
  }

  async open(reachable = ~0, overrides: Parameters<JournalSet['open']>[0] = {}): Promise<OpenedJournal> {
    const { index } = this;
    const own = { indexPosition: index.position, discardIndex: index.discard, apply: index.apply, space: index };
    this.opened = await this.set.open({ ...own, compactEveryMs: 1, ...overrides }, reachable);
    return this.opened;
  }

  async close(): Promise<void> {
    await this.opened?.journal.close();
    this.opened = null;
  }

  /** Resolves with the value when it is acknowledged; rejects when that is open. */
  async put(key: string, slotBytes: number): Promise<string> {
    const value = `v${String(++this.#count)}`;
    await this.#commit(key, value, slotBytes);
    return value;
  }

  delete(key: string): Promise<void> {
    return this.#commit(key, null, 0);
  }

  /** Without slots: a marker, or a record of the server. */
  note(key: string, purpose: 'marker' | 'system'): Promise<void> {
    return this.#commit(key, `v${String(++this.#count)}`, 0, purpose);
  }

  async noteUntilRefused(purpose: 'marker' | 'system'): Promise<number> {
    for (let taken = 0; ; taken++) {
      const refused: unknown = await this.note(`${purpose} ${String(taken)}`.padEnd(3500), purpose).then(
        () => null,
        (error: unknown) => error,
      );
      if (refused === null) continue;
      expect(refused).toMatchObject({ code: 'XMinioStorageFull' });
      return taken;
    }
  }

  takes(key: string): Promise<boolean> {
    return this.put(key, 10_000).then(
      () => true,
      () => false,
    );
  }

  /** On drives that have room for so many log files. */
  async fillUp(filesMax: number): Promise<void> {
    for (const store of this.set.stores) {
      store.failCreate = () => ([...store.files.keys()].filter((n) => n > 0).length < filesMax ? null : 'full');
    }
    for (let refused: unknown = null; refused === null;) {
      const keys = Array.from({ length: 24 }, () => `k${String(this.#count++)}`);
      const puts = await Promise.allSettled(keys.map((key) => this.put(key, 2000 + this.random.below(4000))));
      refused = puts.find((put) => put.status === 'rejected')?.reason ?? null;
      if (refused !== null) expect(refused).toMatchObject({ code: 'XMinioStorageFull' });
    }
  }

  shuffledKeys(): string[] {
    return [...this.index.entries.keys()].sort(() => this.random.next() - 0.5);
  }

  get nextValue(): string {
    return `v${String(this.#count + 1)}`;
  }

  async #commit(
    key: string,
    value: string | null,
    slotBytes: number,
    purpose: CommitPurpose = value === null ? 'free' : 'grow',
  ): Promise<void> {
    const { prepared, release } = this.set.record('', slotBytes);
    try {
      await this.opened?.journal.commit(() => {
        this.index.pending.add(key);
        return { ...prepared, body: encodeChange({ key, value }) };
      }, purpose);
    } finally {
      this.index.pending.delete(key);
      release();
    }
  }

  /** Overwrites some keys until the log is so many files further. */
  async fill(files: number, keyCount = 8): Promise<void> {
    const until = this.head + files;
    while (this.head < until) {
      const keys = [0, 1, 2].map((n) => `k${String((this.random.below(keyCount) + n) % keyCount)}`);
      await Promise.all([...new Set(keys)].map((key) => this.put(key, 20_000 + this.random.below(40_000))));
    }
  }

  get head(): number {
    return Math.max(...this.set.stores.flatMap((store) => [...store.files.keys()]));
  }

  files(position: number): number[] {
    return [...(this.set.stores[position]?.files.keys() ?? [])].filter((n) => n > 0).sort((a, b) => a - b);
  }

  state(): string[] {
    return [...this.index.entries].map(([key, { order, value }]) => `${key}=${value}@${String(order)}`).sort();
  }

  async until(condition: () => boolean): Promise<void> {
    for (let turn = 0; turn < 5000; turn++) {
      if (condition()) return;
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    throw new Error('it does not come to that');
  }

  /** Too few good shards of something that is in use. */
  unreadable(reachable = ~0): string[] {
    return [...this.index.entries].flatMap(([key, { record }]) => {
      if (record.slots === null) return [];
      const valid = this.set.validSlots(record).filter((position) => (reachable >> position) & 1);
      return valid.length >= record.slots.k ? [] : [`${key}: ${String(valid.length)}`];
    });
  }
}

let keyed: KeyedSet | null = null;

afterEach(async () => {
  await keyed?.close();
  keyed = null;
});

describe('compaction', () => {
  it('frees what was overwritten, and an index built from what is left is the same', async () => {
    keyed = new KeyedSet(4, 2);
    const { journal } = await keyed.open();
    await keyed.put('cold', 30_000);
    const cold = keyed.index.entries.get('cold');
    await keyed.fill(20);
    await keyed.until(() => keyed!.files(0).length <= 5);
    expect(keyed.files(0)[0]).toBeGreaterThan(10);
    await keyed.until(() => new Set([0, 1, 2, 3].map((position) => String(keyed!.files(position)))).size === 1);
    expect(journal.space()?.freedFiles).toBeGreaterThan(10);
    // Moved many times, and still the same record.
    expect(keyed.index.entries.get('cold')?.order).toBe(cold?.order);
    expect(keyed.index.entries.get('cold')?.fileNumber).toBeGreaterThan(1);
    expect(keyed.unreadable()).toEqual([]);
    const before = keyed.state();
    await keyed.close();

    keyed.index = new KeyIndex();
    const again = await keyed.open();
    expect(again.report.lostPlaces).toBe(0);
    expect(keyed.state()).toEqual(before);
    await keyed.close();
    const third = await keyed.open();
    expect(third.report.replayedBatches).toBe(0);
  });

  it('ends although the index is just being made durable, and so does what asks for a turn afterwards', async () => {
    keyed = new KeyedSet(3, 2);
    const { journal } = await keyed.open();
    let isKept: (() => void) | null = null;
    keyed.index.keep = () => new Promise((resolve) => (isKept = resolve));
    await keyed.fill(6);
    await keyed.until(() => isKept !== null);
    const before = keyed.files(0);
    const closed = keyed.close();
    // By now the sequencer has come to its end.
    await new Promise((resolve) => setTimeout(resolve, 50));
    isKept!();
    await closed;
    await journal.reportFault(0, 'too late');
    // The next start goes on with it.
    keyed.index.keep = () => Promise.resolve();
    await keyed.open();
    await keyed.until(() => (keyed!.files(0)[0] ?? 0) > (before[0] ?? 0));
  });

  it('does not remove a file under a reader', async () => {
    keyed = new KeyedSet(3, 2);
    await keyed.open();
    let leave = (): void => undefined;
    keyed.index.readers = new Promise((resolve) => (leave = resolve));
    await keyed.fill(6);
    await keyed.until(() => keyed!.index.liveBytes(1) === 0);
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(keyed.files(0)[0]).toBe(1);
    leave();
    await keyed.until(() => (keyed!.files(0)[0] ?? 0) > 1);
  });

  it('goes on with damaged shards as long as they can be rebuilt, and stops where they cannot', async () => {
    keyed = new KeyedSet(4, 2);
    await keyed.open();
    await keyed.put('cold', 50_000);
    await keyed.close();
    const { slots } = keyed.index.entries.get('cold')!.record;
    const rot = (position: number): void => {
      keyed!.set.stores[position]?.files.get(1)?.fill(9, slots!.fileOffset, slots!.fileOffset + 100);
    };
    rot(0);
    rot(1);
    await keyed.open();
    await keyed.fill(6);
    await keyed.until(() => keyed!.index.entries.get('cold')!.fileNumber > 1);
    // Moved, it is whole again.
    expect(keyed.set.validSlots(keyed.index.entries.get('cold')!.record)).toEqual([0, 1, 2, 3]);
    await keyed.close();

    const lost = keyed.index.entries.get('cold')!;
    for (const position of [0, 1, 2]) {
      const from = lost.record.slots!.fileOffset;
      keyed.set.stores[position]?.files.get(lost.fileNumber)?.fill(9, from, from + 100);
    }
    const warnings: string[] = [];
    const warn = (message: string): void => void warnings.push(message);
    await keyed.open(~0, { log: { ...quietLog, warn } });
    await keyed.fill(8);
    await keyed.until(() => warnings.includes('A log file cannot be compacted now'));
    expect(keyed.files(0)).toContain(lost.fileNumber);
    expect(keyed.index.entries.get('cold')).toBe(lost);
    // Deleted, it is in nobody's way any more.
    await keyed.delete('cold');
    await keyed.close();
    await keyed.open();
    await keyed.until(() => !keyed!.files(0).includes(lost.fileNumber));
  });

  it('gives a drive that comes back from before the horizon the log as it is now', async () => {
    keyed = new KeyedSet(4, 2);
    await keyed.open();
    await keyed.put('cold', 30_000);
    await keyed.fill(2);
    await keyed.close();
    await keyed.open(0b0111);
    await keyed.fill(12);
    await keyed.until(() => keyed!.files(0)[0]! > 5);
    await keyed.close();
    expect(keyed.files(3).at(-1)).toBeLessThan(keyed.files(0)[0]!);

    const { journal } = await keyed.open();
    await keyed.until(() => journal.health().inSync.length === 4);
    expect(keyed.files(3)[0]).toBeGreaterThan(5);
    for (const { record } of keyed.index.entries.values()) {
      expect(keyed.set.validSlots(record)).toEqual([0, 1, 2, 3]);
    }
    const before = keyed.state();
    await keyed.close();
    // With the one that was away and one other everything is there.
    keyed.index = new KeyIndex();
    const half = await keyed.open(0b1001);
    expect(half.report.isReadOnly).toBe(true);
    expect(keyed.state()).toEqual(before);
    expect(keyed.unreadable(0b1001)).toEqual([]);
  });

  it('copies a drive while the log moves on under it', async () => {
    keyed = new KeyedSet(4, 2);
    await keyed.open();
    await keyed.fill(5);
    await keyed.close();
    keyed.set.stores[2]?.empty();
    const { journal } = await keyed.open();
    await Promise.all([keyed.fill(12), keyed.until(() => journal.health().inSync.length === 4)]);
    await keyed.fill(4);
    for (const { record } of keyed.index.entries.values()) {
      expect(keyed.set.validSlots(record)).toEqual([0, 1, 2, 3]);
    }
    await keyed.until(() => keyed!.files(2).length <= 5 && String(keyed!.files(2)) === String(keyed!.files(0)));
  });

  it('goes on in a full set, out of the reserve', async () => {
    keyed = new KeyedSet(4, 2);
    const { journal } = await keyed.open();
    let room = 6;
    for (const store of keyed.set.stores) {
      store.failCreate = () => ([...store.files.keys()].length < room ? null : 'full');
    }
    const bodies = Array.from({ length: 400 }, (_, n) => `cold${String(n)}`);
    let refused: unknown = null;
    let last = 0;
    for (const [n, key] of bodies.entries()) {
      last = n;
      try {
        await keyed.put(key, 50_000);
      } catch (error) {
        refused = error;
        break;
      }
    }
    expect(refused).toMatchObject({ code: 'XMinioStorageFull' });
    expect(journal.health().inSync).toEqual([0, 1, 2, 3]);
    room = 6;
    for (const [n, key] of bodies.entries()) if (n < last && n % 2 === 0) await keyed.delete(key);
    // Nothing is in the way of new records any more, and nobody was taken out of the set.
    await keyed.until(() => journal.space()!.freedFiles > 1);
    let isIn = false;
    for (let turn = 0; turn < 60 && !isIn; turn++) {
      await new Promise((resolve) => setTimeout(resolve, 50));
      isIn = await keyed.put('new', 10_000).then(
        () => true,
        () => false,
      );
    }
    expect(isIn).toBe(true);
    expect(journal.health().inSync).toEqual([0, 1, 2, 3]);
    expect(keyed.unreadable()).toEqual([]);
  }, 20_000);

  it.each([1, 2])(
    'gives a full set its space back however deletes come, through a restart as well (%i)',
    async (seed) => {
      keyed = new KeyedSet(3, 2, new Random(seed));
      const { random } = keyed;
      const filesMax = 9;
      for (const store of keyed.set.stores) {
        store.failCreate = () => ([...store.files.keys()].filter((n) => n > 0).length < filesMax ? null : 'full');
      }
      let { journal } = await keyed.open();
      const values = new Map<string, string>();
      const fill = async (): Promise<void> => {
        for (let n = 0; ; n += 24) {
          const keys = Array.from({ length: 24 }, (_, index) => `k${String(n + index)}`);
          const puts = await Promise.allSettled(keys.map((key) => keyed!.put(key, 2000 + random.below(4000))));
          puts.forEach((put, at) => {
            if (put.status === 'fulfilled') values.set(keys[at] ?? '', put.value);
          });
          const refused = puts.find((put) => put.status === 'rejected');
          if (refused !== undefined) {
            expect(refused.reason).toMatchObject({ code: 'XMinioStorageFull' });
            return;
          }
        }
      };
      await fill();
      expect(values.size).toBeGreaterThan(800);
      // One by one, each in a batch of its own, over all files: they take about as much as they free.
      let turn = 0;
      for (const key of [...values.keys()].sort(() => random.next() - 0.5).slice(0, values.size * 0.7)) {
        await keyed.delete(key);
        values.delete(key);
        if (++turn === 200) {
          await keyed.close();
          if (seed === 2) keyed.index = new KeyIndex();
          ({ journal } = await keyed.open());
        }
      }
      let value: string | null = null;
      for (let wait = 0; wait < 100 && value === null; wait++) {
        value = await keyed.put('new', 10_000).catch(() => null);
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      expect(value).not.toBeNull();
      values.set('new', value ?? '');
      expect(journal.health().inSync).toEqual([0, 1, 2]);
      expect(journal.space()!.freedFiles).toBeGreaterThan(1);
      expect(keyed.unreadable()).toEqual([]);
      expect(new Map([...keyed.index.entries].map(([key, entry]) => [key, entry.value]))).toEqual(values);
      // Nearly everything of it, over and over.
      for (let round = 0; round < 2; round++) await fill();
      const before = keyed.state();
      await keyed.close();
      keyed.index = new KeyIndex();
      await keyed.open();
      expect(keyed.state()).toEqual(before);
    },
    60_000,
  );

  it('rests in a full set of many files when moving them gives nothing back, and deletes go on', async () => {
    keyed = new KeyedSet(3, 2);
    const { journal } = await keyed.open();
    await keyed.fillUp(40);
    // So little is not in use that what is moved takes as much as it gives.
    const { finishedBytes, liveBytes } = journal.space()!;
    expect(finishedBytes - liveBytes).toBeGreaterThan(MiB);
    // At the most it is tried with a file or two how much they take when they are moved.
    await new Promise((resolve) => setTimeout(resolve, 1500));
    const { movedBytes, isCompacting } = journal.space()!;
    expect(movedBytes).toBeLessThan(4 * MiB);
    expect(isCompacting).toBe(false);
    const keys = keyed.shuffledKeys();
    for (const key of keys.splice(0, 700)) await keyed.delete(key);
    // Several at once, as a request for many keys does it, until there is room.
    while (!(await keyed.takes('new'))) await Promise.all(keys.splice(0, 50).map((key) => keyed!.delete(key)));
    expect(keys.length).toBeGreaterThan(keyed.index.entries.size / 2);
    expect(journal.health().inSync).toEqual([0, 1, 2]);
    expect(keyed.unreadable()).toEqual([]);
  }, 60_000);

  it.each([1, 2])(
    'takes markers and system records in a full set as far as deletes bear it (%i)',
    async (seed) => {
      keyed = new KeyedSet(3, 2, new Random(seed));
      let { journal } = await keyed.open();
      await keyed.fillUp(9);
      // Each nearly fills a page, the least that a batch takes. The one does not eat the other's share.
      expect(await keyed.noteUntilRefused('marker')).toBeGreaterThan(10);
      expect(await keyed.noteUntilRefused('system')).toBeGreaterThan(10);
      await keyed.close();
      if (seed === 2) keyed.index = new KeyIndex();
      ({ journal } = await keyed.open());
      await expect(keyed.put('new', 2000)).rejects.toMatchObject({ code: 'XMinioStorageFull' });
      const keys = keyed.shuffledKeys();
      for (const key of keys.splice(0, keys.length * 0.6)) await keyed.delete(key);
      await keyed.until(() => journal.canGrow);
      await keyed.note('marker', 'marker');
      await keyed.note('system', 'system');
      // Compaction goes on, and takes the room for a while now and then.
      while (!(await keyed.takes('new'))) await keyed.until(() => journal.canGrow);
      expect(journal.health().inSync).toEqual([0, 1, 2]);
      expect(keyed.unreadable()).toEqual([]);
      const before = keyed.state();
      await keyed.close();
      keyed.index = new KeyIndex();
      await keyed.open();
      expect(keyed.state()).toEqual(before);
    },
    60_000,
  );

  it('takes system records a little longer than others when the index has no room', async () => {
    keyed = new KeyedSet(3, 2);
    await keyed.open();
    keyed.index.isRoomy = false;
    keyed.index.isRoomyForFew = true;
    await keyed.note('account', 'system');
    await expect(keyed.note('marker', 'marker')).rejects.toMatchObject({ code: 'XMinioStorageFull' });
    keyed.index.isRoomyForFew = false;
    await expect(keyed.note('another', 'system')).rejects.toMatchObject({ code: 'XMinioStorageFull' });
    await keyed.delete('account');
  });

  it('refuses what grows while the index has no room, and nothing else', async () => {
    keyed = new KeyedSet(3, 2);
    const { journal } = await keyed.open();
    await keyed.put('old', 2000);
    keyed.index.isRoomy = false;
    await expect(keyed.put('new', 2000)).rejects.toMatchObject({ code: 'XMinioStorageFull' });
    await keyed.delete('old');
    keyed.index.isRoomy = true;
    await keyed.put('new', 2000);
    expect(journal.health().inSync).toEqual([0, 1, 2]);
  });
});

/** Like random-crashes.test.ts, with keys that are overwritten and deleted while the log is compacted. */
class Scenario {
  readonly random: Random;
  readonly keyed: KeyedSet;
  readonly driveCount: number;
  /** By key: the values that it may have. Null: none. */
  readonly expected = new Map<string, Set<string | null>>();
  readonly counts = {
    lives: 0,
    refused: 0,
    readOnly: 0,
    acknowledged: 0,
    open: 0,
    freed: 0,
    moved: 0,
    emptied: 0,
    fromBehind: 0,
  };
  private whole: readonly number[] = [];
  private away = 0;

  constructor(seed: number) {
    this.random = new Random(seed);
    this.driveCount = 1 + this.random.below(6);
    const parity = this.random.below(Math.floor(this.driveCount / 2) + 1);
    this.keyed = new KeyedSet(this.driveCount, this.driveCount - parity, this.random);
  }

  async run(): Promise<void> {
    const lives = 3 + this.random.below(5);
    for (let life = 0; life < lives; life++) await this.live(life === lives - 1);
  }

  private async live(isLast: boolean): Promise<void> {
    const { keyed, random } = this;
    const { machine, stores } = keyed.set;
    machine.revive();
    for (const store of stores) store.failWrite = () => null;
    if (random.chance(0.4)) keyed.index = new KeyIndex();
    keyed.index.pending.clear();
    if (!isLast && random.chance(0.8)) machine.stepsLeft = random.below(900);
    const all = (1 << this.driveCount) - 1;
    // A drive that is away stays away for a while: long enough for the log to move on.
    if (random.chance(0.4)) this.away = random.chance(0.5) ? 0 : 1 << random.below(this.driveCount);
    const reachable = isLast ? all : random.chance(0.85) ? all & ~this.away : all & random.below(all + 1);
    this.counts.lives++;
    const horizons = stores.map((_, position) => keyed.files(position)[0] ?? 0);
    this.counts.fromBehind += horizons.some((first) => first > 0 && first < Math.max(...horizons) - 2) ? 1 : 0;
    let opened: OpenedJournal;
    try {
      opened = await keyed.open(reachable);
    } catch (error) {
      if (!(error instanceof StartupError)) throw error;
      this.counts.refused++;
      if (isLast)
        expect(
          [...this.expected.values()].every((values) => values.has(null)),
          'it starts',
        ).toBe(true);
      await this.quiet();
      return;
    }
    const { journal, report } = opened;
    expect(report.lostPlaces).toBe(0);
    this.compare(report.isReadOnly);
    if (!machine.isDead && !machine.isDying) {
      expect(keyed.unreadable(reachable)).toEqual([]);
      if (report.isReadOnly) this.counts.readOnly++;
      else if (!isLast) await this.work();
      if (isLast || random.chance(0.4)) await this.caughtUp(opened);
    }
    if (!report.isReadOnly || journal.health().canWrite) this.whole = journal.health().inSync;
    this.counts.freed += journal.space()?.freedFiles ?? 0;
    this.counts.moved += journal.space()?.movedBytes ?? 0;
    if (isLast) this.compare(false);
    await keyed.close();
    await this.quiet();
    this.hurt();
  }

  private compare(isReadOnly: boolean): void {
    const { entries } = this.keyed.index;
    for (const key of entries.keys()) expect(this.expected.has(key), `${key} was written`).toBe(true);
    for (const [key, values] of this.expected) {
      const found = entries.get(key)?.value ?? null;
      expect([...values], key).toContain(found);
      // What a writable start shows stays.
      if (!isReadOnly) this.expected.set(key, new Set([found]));
    }
  }

  private async caughtUp({ journal }: OpenedJournal): Promise<void> {
    for (let turn = 0; turn < 2000 && !this.keyed.set.machine.isDead; turn++) {
      await new Promise((resolve) => setImmediate(resolve));
      if (journal.health().catchingUp.length === 0) break;
    }
  }

  private async work(): Promise<void> {
    const { keyed, random } = this;
    const faulty = random.chance(0.2) ? random.below(this.driveCount) : -1;
    const store = keyed.set.stores[faulty];
    if (store !== undefined) store.failWrite = () => (random.chance(0.05) ? 'io' : null);
    for (let round = 0; round < 5 + random.below(60) && !keyed.set.machine.isDead; round++) {
      const keys = new Set(Array.from({ length: 1 + random.below(5) }, () => `k${String(random.below(14))}`));
      await Promise.all([...keys].map((key) => this.change(key)));
      if (random.chance(0.3)) await new Promise((resolve) => setTimeout(resolve, 2));
    }
  }

  private async change(key: string): Promise<void> {
    const { keyed, random } = this;
    const before = this.expected.get(key) ?? new Set([null]);
    const isDelete = random.chance(0.2);
    const value = isDelete ? null : keyed.nextValue;
    this.expected.set(key, new Set([...before, value]));
    try {
      if (isDelete) await keyed.delete(key);
      else await keyed.put(key, random.chance(0.2) ? 0 : 20_000 + random.below(100_000));
      this.expected.set(key, new Set([value]));
      this.counts.acknowledged++;
    } catch {
      this.counts.open++;
    }
  }

  private async quiet(): Promise<void> {
    for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
  }

  private hurt(): void {
    const { random, keyed } = this;
    if (!random.chance(0.25)) return;
    const victim = random.below(this.driveCount);
    const others = this.whole.filter((position) => position !== victim);
    if (others.length < keyed.set.dataShards) return;
    this.whole = others;
    keyed.set.stores[victim]?.empty();
    this.counts.emptied++;
  }
}

it('keeps what is in use and nothing else, whatever is killed while it moves', async () => {
  const base = onlySeed === undefined ? 1 : Number(onlySeed);
  const totals = { ...new Scenario(0).counts };
  for (let seed = base; seed < base + (onlySeed === undefined ? runs : 1); seed++) {
    const scenario = new Scenario(seed);
    try {
      await scenario.run();
    } catch (error) {
      throw new Error(`COMPACTION_SEED=${String(seed)} fails: ${String(error)}`, { cause: error });
    }
    for (const key of Object.keys(totals) as (keyof typeof totals)[]) totals[key] += scenario.counts[key];
  }
  console.log('journal: crashes while compacting', totals);
  if (onlySeed !== undefined) return;
  expect(totals.freed).toBeGreaterThan(0);
}, 3_600_000);
