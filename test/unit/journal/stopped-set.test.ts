/** A set that loses its last drive while its next log file is being made. */
import { afterEach, expect, it, vi } from 'vitest';
import { SetLog } from '../../../src/journal/set-log.js';
import { JournalSet } from '../../support/journal-set.js';

const looksMax = 10_000;

afterEach(() => {
  vi.restoreAllMocks();
});

it('makes no more log files, and holds nobody up', async () => {
  const set = new JournalSet(1, 1);
  const { journal } = await set.open();
  const [store] = set.stores;
  if (store === undefined) throw new Error('there is no drive');
  const commit = async (): Promise<void> => {
    const { prepared, release } = set.record('record', 90_000);
    await journal.commit(() => prepared).finally(release);
  };
  let goOn = (): void => undefined;
  const held = new Promise<void>((resolve) => (goOn = resolve));
  let isMaking = false;
  const createFile = store.createFile.bind(store);
  store.createFile = async (fileNumber, bytes) => {
    isMaking = true;
    await held;
    return createFile(fileNumber, bytes);
  };
  while (!isMaking) await commit();
  store.failWrite = () => 'io';
  await expect(commit()).rejects.toMatchObject({ code: 'SlowDownWrite' });
  let looks = 0;
  const positions = vi.spyOn(SetLog.prototype, 'positions');
  positions.mockImplementation((mask) => {
    // Nobody else would ever have a turn again.
    if (looks++ > looksMax) throw new Error('it makes the same file time and again');
    return [0].filter((position) => (mask & (1 << position)) !== 0);
  });
  goOn();
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(looks).toBeLessThan(looksMax);
  expect(journal.health().canWrite).toBe(false);
  await journal.close();
});
