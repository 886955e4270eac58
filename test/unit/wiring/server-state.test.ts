import { expect, test } from 'vitest';
import { serverState } from '../../../src/wiring/server-state.js';

test('a server is up for as long as it runs, whatever its clock is set to', () => {
  let [wallMs, monotonicMs] = [1_000_000_000, 70];
  const state = serverState({
    clock: { nowMs: () => wallMs, monotonicMs: () => monotonicMs },
    deployment: { sets: [], pools: [] } as never,
    sets: [],
    readCache: null,
    index: () => ({ directory: '', named: null, trouble: null }),
    engine: {} as never,
  });
  monotonicMs += 5000;
  wallMs -= 900_000_000;
  expect([state.startedMs, state.uptimeMs()]).toEqual([1_000_000_000, 5000]);
});
