import { expect, it } from 'vitest';
import { StartupError } from '../../../src/base/index.js';
import type { LogRecord, RunningJournal } from '../../../src/journal/index.js';
import { JournalSet, quietLog, TestIndex } from '../../support/journal-set.js';
import { Random } from './model/random.js';

/** The scenarios of the model, against the real journal on drives in memory. */
const runs = Number(process.env['JOURNAL_RUNS'] ?? 60);
const onlySeed = process.env['JOURNAL_SEED'];

class Scenario {
  readonly random: Random;
  readonly set: JournalSet;
  readonly driveCount: number;
  /** What must be there at every later start, in this order. */
  settled: LogRecord[] = [];
  counts = {
    starts: 0,
    refused: 0,
    readOnly: 0,
    acknowledged: 0,
    unknown: 0,
    joined: 0,
    emptied: 0,
    promoted: 0,
    restarted: 0,
  };
  private recordCount = 0;
  /** Drives of the last S that have not been emptied since. */
  private whole: readonly number[] = [];

  constructor(seed: number) {
    this.random = new Random(seed);
    this.driveCount = 1 + this.random.below(6);
    const parity = this.random.below(Math.floor(this.driveCount / 2) + 1);
    this.set = new JournalSet(this.driveCount, this.driveCount - parity, this.random);
  }

  async run(): Promise<void> {
    const lives = 2 + this.random.below(5);
    for (let life = 0; life < lives; life++) await this.live(life === lives - 1);
  }

  private async live(isLast: boolean): Promise<void> {
    const { set, random } = this;
    set.machine.revive();
    for (const store of set.stores) store.failWrite = () => null;
    if (random.chance(0.3)) set.index = new TestIndex();
    if (!isLast && random.chance(0.85)) set.machine.stepsLeft = random.below(60);
    const all = (1 << this.driveCount) - 1;
    const reachable = isLast || random.chance(0.5) ? all : all & random.below(all + 1);
    this.counts.starts++;
    let opened;
    try {
      const info = (message: string): void => {
        if (message === 'The set takes writes again') this.counts.restarted++;
      };
      const log = { ...quietLog, info };
      opened = await set.open(random.chance(0.5) ? { restartMs: 1, log } : {}, reachable);
    } catch (error) {
      if (!(error instanceof StartupError)) throw error;
      this.counts.refused++;
      if (isLast) expect(this.settled, 'with every drive back the set starts').toEqual([]);
      await this.quiet();
      return;
    }
    const { journal, report } = opened;
    const shown = set.index.records;
    expect(
      shown.slice(0, this.settled.length).map((record) => record.order),
      'nothing acknowledged is lost',
    ).toEqual(this.settled.map((record) => record.order));
    expect(shown.slice(0, this.settled.length)).toEqual(this.settled);
    if (set.machine.isDead || set.machine.isDying) {
      await journal.close();
      await this.quiet();
      return;
    }
    this.checkReadable(shown, reachable);
    if (report.isReadOnly) this.counts.readOnly++;
    else this.settled = [...shown];
    if (!isLast && !report.isReadOnly) await this.work(journal, reachable);
    if (isLast || random.chance(0.3)) {
      await this.caughtUp(journal);
      if (report.isReadOnly && journal.health().canWrite) {
        this.counts.promoted++;
        this.settled = [...set.index.records];
      }
      if (!set.machine.isDead) this.checkComplete(journal.health().inSync);
    }
    if (!report.isReadOnly || journal.health().canWrite) this.whole = journal.health().inSync;
    await journal.close();
    await this.quiet();
    this.hurt();
  }

  /** Waits until no drive is being copied; not for one that is tried again later. */
  private async caughtUp(journal: RunningJournal): Promise<void> {
    const before = journal.health().inSync.length;
    for (let turn = 0; turn < 2000 && !this.set.machine.isDead; turn++) {
      await new Promise((resolve) => setImmediate(resolve));
      if (journal.health().catchingUp.length === 0) break;
    }
    this.counts.joined += Math.max(0, journal.health().inSync.length - before);
  }

  /** Every member holds its own shard of everything that was settled. */
  private checkComplete(inSync: readonly number[]): void {
    for (const record of this.settled) {
      if (record.slots === null) continue;
      expect(this.set.validSlots(record), `drives of record ${String(record.order)}`).toEqual(
        expect.arrayContaining([...inSync]),
      );
    }
  }

  /** Exchanges a disk, as long as the set bears it. */
  private hurt(): void {
    const { set, random } = this;
    if (!random.chance(0.3)) return;
    const victim = random.below(this.driveCount);
    const others = this.whole.filter((position) => position !== victim);
    if (others.length < set.dataShards) return;
    this.whole = others;
    set.stores[victim]?.empty();
    this.counts.emptied++;
  }

  private checkReadable(records: readonly LogRecord[], reachable: number): void {
    for (const record of records) {
      if (record.slots === null) continue;
      const valid = this.set.validSlots(record).filter((position) => (reachable >> position) & 1);
      expect(valid.length, `shards of record ${String(record.order)}`).toBeGreaterThanOrEqual(record.slots.k);
    }
  }

  private async work(journal: RunningJournal, reachable: number): Promise<void> {
    const { set, random } = this;
    const faulty = random.chance(0.3) ? random.below(this.driveCount) : -1;
    const store = set.stores[faulty];
    if (store !== undefined) store.failWrite = () => (random.chance(0.2) ? 'io' : null);
    const acknowledged: LogRecord[] = [];
    for (let round = 0; round < 1 + random.below(8); round++) {
      const guest = random.below(this.driveCount);
      const visitor = set.stores[guest];
      if (visitor !== undefined && !((reachable >> guest) & 1) && random.chance(0.3)) journal.joinDrive(guest, visitor);
      const commits = Array.from({ length: 1 + random.below(4) }, async () => {
        const slotBytes = random.chance(0.5) ? 1 + random.below(random.chance(0.2) ? 120_000 : 3000) : 0;
        const { prepared, release } = set.record(`r${String(++this.recordCount)}`, slotBytes);
        try {
          const record = await journal.commit(() => prepared);
          this.counts.acknowledged++;
          acknowledged.push(record);
        } catch {
          this.counts.unknown++;
        } finally {
          release();
        }
      });
      await Promise.all(commits);
      // A set that stopped for a moment goes on with the drive that failed.
      if (random.chance(0.3)) await new Promise((resolve) => setTimeout(resolve, 3));
    }
    const shown = set.index.records;
    for (const record of acknowledged) expect(shown).toContain(record);
    // A batch that nobody was answered for may lie between others: then it happened.
    const last = Math.max(this.settled.at(-1)?.order ?? 0, ...acknowledged.map((record) => record.order));
    this.settled = shown.filter((record) => record.order <= last);
  }

  /** Lets what is still under way meet the end of the power. */
  private async quiet(): Promise<void> {
    for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
  }
}

it('keeps what it acknowledged, whatever is killed and whoever is reachable', async () => {
  const base = onlySeed === undefined ? 1 : Number(onlySeed);
  const totals = { ...new Scenario(0).counts };
  for (let seed = base; seed < base + (onlySeed === undefined ? runs : 1); seed++) {
    const scenario = new Scenario(seed);
    try {
      await scenario.run();
    } catch (error) {
      throw new Error(`JOURNAL_SEED=${String(seed)} fails: ${String(error)}`, { cause: error });
    }
    for (const key of Object.keys(totals) as (keyof typeof totals)[]) totals[key] += scenario.counts[key];
  }
  console.log('journal: random crashes', totals);
}, 3_600_000);
