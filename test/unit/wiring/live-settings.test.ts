import { expect, test } from 'vitest';
import { StartupError } from '../../../src/base/index.js';
import { ServerSettings, subsystems } from '../../../src/config/index.js';
import type { Engine, UpkeepSettings } from '../../../src/object/index.js';
import { admitSets, applyStorageClasses, applyUpkeep } from '../../../src/wiring/live-settings.js';

/** What reaches the engine when settings change. */
async function open(environment: Record<string, string> = {}, sets = [{ driveCount: 8, parityShards: 4 }]) {
  const settings = await ServerSettings.open({
    schema: subsystems,
    environment,
    records: { load: () => Promise.resolve(), write: () => Promise.resolve() },
    facts: { sets },
    clock: { nowMs: () => 0 },
    newId: () => 'id',
    log: () => undefined,
  });
  const upkeep: UpkeepSettings[] = [];
  const engine = { parityOf: () => -1, setUpkeep: (value: UpkeepSettings) => upkeep.push(value) } as unknown as Engine;
  applyStorageClasses(settings, engine, { sets });
  applyUpkeep(settings, engine);
  const parities = (setIndex = 0) => [
    engine.parityOf('STANDARD', setIndex),
    engine.parityOf('REDUCED_REDUNDANCY', setIndex),
  ];
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

test('each set has its own where nothing is said, and what is said has to fit into all of them', async () => {
  const sets = [
    { driveCount: 8, parityShards: 4 },
    { driveCount: 3, parityShards: 1 },
    { driveCount: 1, parityShards: 0 },
  ];
  const every = (of: (setIndex: number) => number[]) => sets.map((_, setIndex) => of(setIndex));
  const { settings, parities } = await open({}, sets);
  expect(every(parities)).toEqual([
    [4, 1],
    [1, 1],
    [0, 0],
  ]);
  const tooMuch = settings.set('storage_class standard=EC:1');
  await expect(tooMuch).rejects.toThrow('EC:1 needs at least 2 drives in every set, and there is one of 1');
  await settings.set('storage_class rrs=EC:0');
  expect(every(parities)).toEqual([
    [4, 0],
    [1, 0],
    [0, 0],
  ]);

  const wider = await open({}, sets.slice(0, 2));
  await expect(wider.settings.set('storage_class rrs=EC:2')).rejects.toThrow('needs at least 4 drives in every set');
  await wider.settings.set('storage_class standard=EC:1');
  expect([wider.parities(0), wider.parities(1)]).toEqual([
    [1, 1],
    [1, 1],
  ]);
  // 8 + 4 drives: more than the one set was formatted with, and less than the other.
  const explicit = await open({ MINIO_STORAGE_CLASS_STANDARD: 'EC:2', MINIO_STORAGE_CLASS_RRS: 'EC:1' }, [
    { driveCount: 8, parityShards: 4 },
    { driveCount: 4, parityShards: 1 },
  ]);
  expect([explicit.parities(0), explicit.parities(1)]).toEqual([
    [2, 1],
    [2, 1],
  ]);
});

test('an environment that does not fit all sets is refused before anything is formatted', () => {
  const sets = [
    { driveCount: 8, parityShards: 4 },
    { driveCount: 4, parityShards: 2 },
  ];
  const admitted = (settings: Record<string, string>) => () => {
    admitSets({ settings }, sets);
  };
  expect(admitted({})).not.toThrow();
  expect(admitted({ MINIO_STORAGE_CLASS_RRS: 'EC:2' })).not.toThrow();
  expect(admitted({ MINIO_STORAGE_CLASS_RRS: 'EC:3' })).toThrow(StartupError);
  expect(admitted({ MINIO_STORAGE_CLASS_STANDARD: 'EC:4' })).toThrow('needs at least 8 drives in every set');
  expect(admitted({ MINIO_STORAGE_CLASS_STANDARD: 'EC:1', MINIO_STORAGE_CLASS_RRS: 'EC:2' })).toThrow('exceeds');
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
