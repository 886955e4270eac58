import { getEventListeners } from 'node:events';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, it } from 'vitest';
import { Deadline } from '../../../src/base/index.js';

const aborted = (signal: AbortSignal) =>
  new Promise<void>((resolve) => {
    signal.addEventListener('abort', () => {
      resolve();
    });
  });

setFlagsFromString('--expose_gc');
const collectGarbage = runInNewContext('gc') as () => void;

it('comes though the garbage was collected meanwhile', async () => {
  const parent = new AbortController();
  // Only the signal is held, as by a request on its way.
  const { signal } = new Deadline(200, parent.signal);
  for (let i = 0; i < 5; i++) {
    await new Promise((resolve) => setTimeout(resolve, 10));
    collectGarbage();
  }
  expect(signal.aborted).toBe(false);
  await aborted(signal);
});

it('tells whether the time is over', async () => {
  const late = new Deadline(10);
  await aborted(late.signal);
  expect(late.isOver).toBe(true);
});

it('comes with its parent, and is not late then', () => {
  const parent = new AbortController();
  const deadline = new Deadline(10_000, parent.signal);
  expect([deadline.signal.aborted, deadline.isOver]).toEqual([false, false]);
  parent.abort();
  expect([deadline.signal.aborted, deadline.isOver]).toEqual([true, false]);
  expect(new Deadline(10_000, parent.signal).signal.aborted).toBe(true);
});

it('leaves nothing behind when it is cleared', async () => {
  const parent = new AbortController();
  const deadline = new Deadline(10, parent.signal);
  deadline.clear();
  expect(getEventListeners(parent.signal, 'abort')).toHaveLength(0);
  await new Promise((resolve) => setTimeout(resolve, 50));
  parent.abort();
  expect([deadline.signal.aborted, deadline.isOver]).toEqual([false, false]);
});
