import { expect, it } from 'vitest';
import { MiB } from '../../../src/base/index.js';
import { JournalSet, TestIndex } from '../../support/journal-set.js';
import { Random } from './model/random.js';

const runs = Number(process.env['ROT_RUNS'] ?? 60);
const onlySeed = process.env['ROT_SEED'];

/** Damages a drive in places chosen at random: single bits, sectors of noise, lost pages, lost and cut-off files. */
function rot(set: JournalSet, position: number, random: Random): void {
  const store = set.stores[position];
  if (store === undefined) return;
  const usedBytes = 400_000;
  for (let blow = 0; blow < 1 + random.below(6); blow++) {
    const [fileNumber, file] = random.pick([...store.files]);
    const at = random.below(Math.min(file.length, usedBytes));
    const kind = random.below(12);
    if (kind >= 10 && fileNumber > 0) store.files.set(fileNumber, file.subarray(0, at));
    else if (kind < 4) file[at] = (file[at] ?? 0) ^ (1 << random.below(8));
    else if (kind < 7)
      for (let byte = at; byte < Math.min(at + 512, file.length); byte++) file[byte] = random.below(256);
    else if (kind !== 9)
      file.fill(0, at - (at % 4096), Math.min(file.length, at - (at % 4096) + 4096 * (1 + random.below(3))));
    else store.files.delete(fileNumber);
    if (store.files.size === 0) return;
  }
}

async function run(seed: number): Promise<void> {
  const random = new Random(seed);
  const set = new JournalSet(4, 2, random);
  const first = await set.open();
  const texts: string[] = [];
  for (let index = 0; index < 5 + random.below(20); index++) {
    const { prepared, release } = set.record(`r${String(index)}`, random.chance(0.5) ? 1 + random.below(40_000) : 0);
    await first.journal.commit(() => prepared);
    release();
    texts.push(`r${String(index)}`);
  }
  await first.journal.close();
  const [one, two] = [random.below(4), random.below(3)];
  rot(set, one, random);
  if (random.chance(0.5)) rot(set, two >= one ? two + 1 : two, random);
  for (let start = 0; start < 2; start++) {
    set.index = new TestIndex();
    const { journal, report } = await set.open();
    expect(set.index.bodies).toEqual(texts);
    expect(report).toMatchObject({ lostPlaces: 0, unreadableBatches: 0, droppedBatches: 0 });
    for (const record of set.index.records) {
      if (record.slots !== null) expect(set.validSlots(record).length).toBeGreaterThanOrEqual(2);
    }
    for (let turn = 0; turn < 500 && journal.health().catchingUp.length > 0; turn++) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(journal.health().canWrite).toBe(true);
    for (const position of journal.health().inSync) {
      for (const [fileNumber, file] of set.stores[position]?.files ?? []) {
        if (fileNumber > 0) expect(file.length, `file ${String(fileNumber)} of drive ${String(position)}`).toBe(MiB);
      }
    }
    const { prepared } = set.record(`after ${String(start)}`);
    await journal.commit(() => prepared);
    texts.push(`after ${String(start)}`);
    await journal.close();
  }
}

it('reads everything while up to m drives rot, and writes on', async () => {
  const base = onlySeed === undefined ? 1 : Number(onlySeed);
  for (let seed = base; seed < base + (onlySeed === undefined ? runs : 1); seed++) {
    try {
      await run(seed);
    } catch (error) {
      throw new Error(`ROT_SEED=${String(seed)} fails: ${String(error)}`, { cause: error });
    }
  }
}, 600_000);
