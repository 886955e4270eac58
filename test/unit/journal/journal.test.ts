import { expect, it } from 'vitest';
import { JournalSet } from '../../support/journal-set.js';

it('commits, and replays what it committed', async () => {
  const set = new JournalSet(4, 2);
  const first = await set.open();
  expect(first.report).toMatchObject({ out: [], isReadOnly: false, toleranceLeft: 2, replayedBatches: 0 });
  const small = set.record('one');
  const large = set.record('two', 5000);
  const [one, two] = await Promise.all([
    first.journal.commit(() => small.prepared),
    first.journal.commit(() => large.prepared),
  ]);
  large.release();
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
