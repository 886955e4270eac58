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

test('a drive has what is left of its catch-up, also when that is bodies only', async () => {
  const place = (position: number) => ({ position, path: `/${String(position)}`, drive: null });
  const drive = { path: '/x', space: () => Promise.resolve({ ok: false }), statistics: () => null };
  const health = {
    inSync: [0, 1],
    catchingUp: [{ position: 2, progress: 0.25, bodies: { count: 7, bytes: 900 } }],
  };
  const deployed = { setIndex: 0, poolIndex: 0, dataShards: 2, parityShards: 1, driveIds: [] };
  const state = serverState({
    clock: { nowMs: () => 0, monotonicMs: () => 0 },
    deployment: { sets: [{ ...deployed, places: [place(0), place(1), place(2)] }], pools: [{ firstSet: 0 }] } as never,
    sets: [
      { set: { drive: () => drive as never }, journal: { health: () => health, unhealed: () => new Map([[1, 4]]) } },
    ] as never,
    readCache: null,
    index: () => ({ directory: '', named: null, trouble: null }),
    engine: {} as never,
  });
  expect((await state.drives()).map(({ catchUp }) => catchUp)).toEqual([
    null,
    { progress: 0.99, bodies: 4, bodyBytes: null },
    { progress: 0.25, bodies: 7, bodyBytes: 900 },
  ]);
});
