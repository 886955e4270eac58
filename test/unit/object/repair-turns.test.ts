import { describe, expect, it } from 'vitest';
import { RepairTurns } from '../../../src/object/repair-turns.js';

describe('repairs', () => {
  it.each([
    [32, 1],
    [128, 2],
    [4096, 8],
  ])('in an arena of %i MiB run %i at a time, whether they fail or not', async (mebibytes, wanted) => {
    const turns = new RepairTurns(mebibytes * 2 ** 20);
    let running = 0;
    let most = 0;
    const outcomes = await Promise.allSettled(
      Array.from({ length: 30 }, (_, index) =>
        turns.run(async () => {
          most = Math.max(most, ++running);
          await new Promise((resolve) => setTimeout(resolve, 1));
          running--;
          if (index % 3 === 0) throw new Error('failed');
          return index;
        }),
      ),
    );
    expect(most).toBe(wanted);
    expect(outcomes.filter(({ status }) => status === 'rejected')).toHaveLength(10);
  });
});
