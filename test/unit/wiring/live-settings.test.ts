import { expect, test } from 'vitest';
import { ServerSettings, subsystems } from '../../../src/config/index.js';
import type { Engine, UpkeepSettings } from '../../../src/object/index.js';
import { applyStorageClasses, applyUpkeep } from '../../../src/wiring/live-settings.js';

/** What reaches the engine when settings change. */
async function open(environment: Record<string, string> = {}) {
  const settings = await ServerSettings.open({
    schema: subsystems,
    environment,
    records: { load: () => Promise.resolve(), write: () => Promise.resolve() },
    facts: { driveCount: 8, setParity: 4 },
    clock: { nowMs: () => 0 },
    newId: () => 'id',
    log: () => undefined,
  });
  const upkeep: UpkeepSettings[] = [];
  const engine = { parityOf: () => -1, setUpkeep: (value: UpkeepSettings) => upkeep.push(value) } as unknown as Engine;
  applyStorageClasses(settings, engine);
  applyUpkeep(settings, engine);
  const parities = () => [engine.parityOf('STANDARD'), engine.parityOf('REDUCED_REDUNDANCY')];
  return { settings, upkeep, parities };
}

test('parity follows the storage classes, and the set where nothing is said', async () => {
  const { settings, parities } = await open();
  expect(parities()).toEqual([4, 1]);
  await settings.set('storage_class standard=EC:3 rrs=EC:2');
  expect(parities()).toEqual([3, 2]);
  await settings.set('storage_class standard=EC:0 rrs=');
  expect(parities()).toEqual([0, 0]);
  await settings.reset('storage_class');
  expect(parities()).toEqual([4, 1]);
  await expect(settings.set('storage_class standard=EC:5')).rejects.toThrow('at least 10 drives');
  await expect(settings.set('storage_class rrs=EC:5')).rejects.toThrow();
  await expect(settings.set('storage_class standard=EC:1 rrs=EC:2')).rejects.toThrow('exceeds standard');
});

test('the pace of scan and repair follows their speeds', async () => {
  const { settings, upkeep } = await open({ MINIO_HEAL_SPEED: 'slow' });
  const first = upkeep.at(-1);
  expect(first?.scan.cycleMsMin).toBe(24 * 3_600_000);
  await settings.set('scanner speed=fastest cycle=1h');
  const second = upkeep.at(-1);
  expect(second?.scan.cycleMsMin).toBe(3_600_000);
  expect(second?.scan.pace.shareMax).toBe(1);
  expect(second?.scan.pace.bytesPerSecondMax).toBeGreaterThan(first?.scan.pace.bytesPerSecondMax ?? Infinity);
  expect(second?.heal).toEqual(first?.heal);
  // The environment wins.
  await settings.set('heal speed=fast');
  expect(upkeep.at(-1)?.heal).toEqual(first?.heal);
  await expect(settings.set('scanner speed=warp')).rejects.toThrow('one of slowest');
});
