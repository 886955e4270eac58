import { spawnSync } from 'node:child_process';
import {
  closeSync,
  constants,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { StartupError } from '../../../dist/base/index.js';
import { SlabArena } from '../../../dist/pool/index.js';
import type { SetFacts } from '../../../dist/config/index.js';
import { openDeployment, type Deployment, type Place } from '../../../dist/wiring/deployment.js';

const { arena } = new SlabArena(32 << 20);
/** In memory where there is such a file system: a drive has hundreds of folders to make and remove. */
const base = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();
let folder = '';
const opened: Deployment[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(base, 'granary-deployment-'));
});

afterEach(async () => {
  await closeAll();
  rmSync(folder, { recursive: true, force: true });
});

async function closeAll(): Promise<void> {
  for (const deployment of opened.splice(0)) {
    await Promise.all(placesOf(deployment).map(async ({ drive }) => drive?.close(1000)));
  }
}

const placesOf = ({ sets }: Deployment): readonly Place[] => sets.flatMap(({ places }) => places);
const path = (name: string): string => join(folder, name);
const four = (): string[] => ['d1', 'd2', 'd3', 'd4'].map(path);

async function open(folders: readonly string[], parity: number | null = null): Promise<Deployment> {
  const deployment = await openDeployment({ groups: [folders], parity, arena, isSynced: false });
  opened.push(deployment);
  return deployment;
}

/** Formatted, with a log file each, as after a first start. */
async function formatted(folders: readonly string[] = four()): Promise<Deployment> {
  const deployment = await open(folders);
  for (const { drive } of placesOf(deployment))
    expect(await drive?.log.createFile(1, 4096)).toMatchObject({ ok: true });
  await closeAll();
  return deployment;
}

/** Cause and remedy of a refused start, and proof that it wrote nothing. */
async function refusal(folders: readonly string[], parity: number | null = null): Promise<string> {
  const before = tree();
  const error: unknown = await openDeployment({ groups: [folders], parity, arena, isSynced: false }).catch(
    (e: unknown) => e,
  );
  expect(error).toBeInstanceOf(StartupError);
  expect(tree()).toEqual(before);
  const { message, remedy } = error as StartupError;
  return `${message} | ${remedy}`;
}

/** Files with their contents; folders that a refused first start made are no harm. */
function tree(): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name !== 'lock')
    .map((entry) => join(entry.parentPath, entry.name))
    .map((file) => `${file} ${readFileSync(file).toString('base64')}`)
    .sort();
}

describe('a first start', () => {
  it.each([
    [1, 1, 0],
    [2, 1, 1],
    [3, 2, 1],
    [4, 2, 2],
    [5, 3, 2],
    [7, 4, 3],
    [8, 4, 4],
    [16, 12, 4],
  ])('makes %i folders one set of %i + %i', async (count, dataShards, parityShards) => {
    const folders = Array.from({ length: count }, (_, index) => path(`new/n${index}`));
    const deployment = await open(folders);
    expect(deployment).toMatchObject({ sets: [{ dataShards, parityShards }], isNew: true, warnings: [] });
    expect(placesOf(deployment).map((place) => place.path)).toEqual(folders);
    expect(placesOf(deployment).map(({ drive }) => drive?.format.position)).toEqual([...folders.keys()]);
    expect(new Set(placesOf(deployment).map(({ drive }) => drive?.format.driveId)).size).toBe(count);
  });

  it('takes the parity that is asked for, up to half', async () => {
    expect(await open(four(), 1)).toMatchObject({ sets: [{ dataShards: 3, parityShards: 1 }] });
    await closeAll();
    expect(await refusal(['e1', 'e2', 'e3'].map(path), 2)).toContain('parity 2 is more than half of 3 drives');
  });

  it('refuses folders that cannot be used, all of them', async () => {
    mkdirSync(path('full'));
    writeFileSync(path('full/photo.jpg'), 'mine');
    expect(await refusal([path('a'), path('full')])).toMatch(
      /full: not empty and not a Granary drive.*needs every folder/,
    );
    writeFileSync(path('file'), '');
    expect(await refusal([path('file')])).toContain('not a folder');
    expect(await refusal([])).toContain('no drive was named');
    expect(await refusal(Array.from({ length: 17 }, (_, index) => path(String(index))))).toContain(
      'cannot be cut into equal sets',
    );
  });

  it('refuses two names of one folder, before it formats any', async () => {
    mkdirSync(path('d1'));
    symlinkSync(path('d1'), path('d4'));
    expect(await refusal(four())).toMatch(/d1 and \S*d4 are the same folder \| name each drive once/);
    expect(readdirSync(path('d1'))).toEqual([]);
  });

  it('that was cut off is finished by the next', async () => {
    const first = await open(four());
    await closeAll();
    for (const name of ['d3', 'd4']) rmSync(path(name), { recursive: true });
    for (const name of ['d3', 'd4']) mkdirSync(path(name));
    const second = await open(four());
    expect(second.deploymentId).toBe(first.deploymentId);
    expect(placesOf(second).map(({ isNew }) => isNew)).toEqual([false, false, true, true]);
    expect(second.warnings).toEqual([]);
  });
});

describe('a later start', () => {
  it('knows the drives in any order', async () => {
    const first = await formatted();
    const [a = '', b = '', c = '', d = ''] = four();
    const again = await open([d, b, a, c]);
    expect(placesOf(again).map((place) => place.path)).toEqual([a, b, c, d]);
    expect(again.hashKey.equals(first.hashKey)).toBe(true);
    expect(again.warnings.join()).toContain('in another order');
  });

  it('goes on without drives within parity, and says why', async () => {
    await formatted();
    renameSync(path('d1'), path('elsewhere'));
    rmSync(path('d2'), { recursive: true });
    writeFileSync(path('d2'), 'a file');
    const again = await open(four());
    expect(placesOf(again).map(({ drive }) => drive !== null)).toEqual([false, false, true, true]);
    expect(placesOf(again).map(({ note }) => note)).toEqual(['does not exist', 'not a folder', null, null]);
    expect(readdirSync(folder)).not.toContain('d1');
    await closeAll();
    const named = await open([path('d3'), path('elsewhere')]);
    expect(placesOf(named)[0]?.path).toBe(path('elsewhere'));
    expect(placesOf(named)[1]).toMatchObject({ drive: null, note: 'not among the folders that were named' });
  });

  it('formats an emptied drive with its old place and id', async () => {
    const first = await formatted();
    rmSync(path('d2'), { recursive: true });
    mkdirSync(path('d2'));
    const again = await open(four());
    expect(placesOf(again)[1]).toMatchObject({ isNew: true, note: 'was empty: being rebuilt' });
    expect(placesOf(again)[1]?.drive?.format.driveId).toBe(placesOf(first)[1]?.drive?.format.driveId);
    expect(again.warnings.join()).toContain('is formatted as drive 2');
    await closeAll();
    // The old disk that comes back beside its replacement is not let in.
    cpSync(path('d2'), path('old'), { recursive: true });
    expect(await refusal([path('d1'), path('d2'), path('old'), path('d4')])).toMatch(
      /d2 and .*old hold the same drive/,
    );
  });

  it('gives an empty folder the place at its own position, beside a drive that is away', async () => {
    const first = await formatted();
    const ids = placesOf(first).map(({ drive }) => drive?.format.driveId);
    renameSync(path('d1'), path('away'));
    rmSync(path('d3'), { recursive: true });
    mkdirSync(path('d3'));
    const again = await open(four());
    expect(placesOf(again).map((place) => place.path)).toEqual(four());
    expect(placesOf(again).map(({ note }) => note)).toEqual(['does not exist', null, 'was empty: being rebuilt', null]);
    expect(placesOf(again)[2]?.drive?.format.driveId).toBe(ids[2]);
    expect(again.warnings.join()).toContain('d3 was empty: it is formatted as drive 3');
    await closeAll();
    renameSync(path('away'), path('d1'));
    const whole = await open(four());
    expect(placesOf(whole).map(({ drive }) => drive?.format.driveId)).toEqual(ids);
  });

  it('does so when the drive that is away is not named, and between two that were swapped', async () => {
    await formatted();
    renameSync(path('d1'), path('away'));
    rmSync(path('d3'), { recursive: true });
    mkdirSync(path('d3'));
    const named = await open(['d2', 'd3', 'd4'].map(path));
    expect(placesOf(named).map((place) => place.path)).toEqual([null, path('d2'), path('d3'), path('d4')]);
    await closeAll();
    rmSync(path('d3'), { recursive: true });
    mkdirSync(path('d3'));
    const [a = '', b = '', c = '', d = ''] = four();
    const swapped = await open([a, d, c, b]);
    expect(placesOf(swapped).map((place) => place.path)).toEqual(four());
    expect(placesOf(swapped).map(({ isNew }) => isNew)).toEqual([false, false, true, false]);
  });

  it('gives an empty folder another place when the drive of its own is found elsewhere', async () => {
    await formatted();
    // The third was put in the place of the first, which died; a new one is where the third was.
    rmSync(path('d1'), { recursive: true });
    renameSync(path('d3'), path('d1'));
    renameSync(path('d4'), path('away'));
    mkdirSync(path('d3'));
    const again = await open(four());
    // The last is away, and keeps its place.
    expect(placesOf(again).map((place) => place.path)).toEqual(['d3', 'd2', 'd1', 'd4'].map(path));
    expect(placesOf(again).map(({ drive }) => drive !== null)).toEqual([true, true, true, false]);
  });

  it('refuses below the read quorum, names what is missing, and formats nothing', async () => {
    await formatted();
    for (const name of ['d1', 'd2', 'd3']) rmSync(path(name), { recursive: true });
    mkdirSync(path('d1'));
    const said = await refusal(four());
    expect(said).toContain('only 1 of 4 drives are usable, 2 are needed to read');
    expect(said).toContain('bring back at least 1 of');
    expect(said).toContain(path('d1'));
    expect(readdirSync(path('d1'))).toEqual([]);
  });

  it('refuses drives of two deployments, and more folders than drives', async () => {
    await formatted();
    await formatted(['x1', 'x2', 'x3', 'x4'].map(path));
    expect(await refusal([path('d1'), path('d2'), path('x3'), path('x4')])).toContain('belong to two deployments');
    expect(await refusal([...four(), path('d5')])).toMatch(/5 folders were named, but this deployment has 4 drives/);
  });

  it('keeps the parity that it was formatted with', async () => {
    await formatted();
    const again = await open(four(), 1);
    expect(again).toMatchObject({ sets: [{ dataShards: 2, parityShards: 2 }] });
    expect(again.warnings.join()).toContain('parity stays at 2');
  });

  it('refuses two names of one drive', async () => {
    await formatted();
    renameSync(path('d4'), path('d5'));
    symlinkSync(path('d1'), path('d4'));
    expect(await refusal(four())).toContain('are the same folder');
    rmSync(path('d4'));
    renameSync(path('d5'), path('d4'));
    expect(placesOf(await open(four())).every(({ drive }) => drive !== null)).toBe(true);
  });

  it('refuses drives that another server holds, and leaves no lock behind', async () => {
    await formatted();
    const first = await open(four());
    expect(await refusal(four())).toMatch(/in use by another server.*stop the other server/);
    expect(placesOf(first).every(({ drive }) => drive !== null)).toBe(true);
    await closeAll();
    // A refused start lets go of what it had locked.
    mkdirSync(path('x'));
    writeFileSync(path('x/foreign'), '');
    await formatted(['x1', 'x2'].map(path));
    await refusal([path('d1'), path('d2'), path('x1'), path('x2')]);
    expect(placesOf(await open(four())).every(({ drive }) => drive !== null)).toBe(true);
  });
});

describe('several sets', () => {
  const eight = (): string[] => ['d1', 'd2', 'd3', 'd4', 'd5', 'd6', 'd7', 'd8'].map(path);
  const more = (): string[] => ['e1', 'e2', 'e3', 'e4'].map(path);

  async function openGroups(
    groups: readonly (readonly string[])[],
    setDriveCount: number | null = null,
  ): Promise<Deployment> {
    const deployment = await openDeployment({ groups, parity: null, setDriveCount, arena, isSynced: false });
    opened.push(deployment);
    return deployment;
  }

  async function openWith(groups: readonly (readonly string[])[], parity: number): Promise<Deployment> {
    const deployment = await openDeployment({ groups, parity, arena, isSynced: false });
    opened.push(deployment);
    return deployment;
  }

  const refusalOf = (...groups: readonly (readonly string[])[]): Promise<string> => refusedBy(() => openGroups(groups));
  const refusalWith = (groups: readonly (readonly string[])[], parity: number): Promise<string> =>
    refusedBy(() => openWith(groups, parity));

  async function refusedBy(start: () => Promise<Deployment>): Promise<string> {
    const before = tree();
    const error: unknown = await start().catch((e: unknown) => e);
    expect(error).toBeInstanceOf(StartupError);
    expect(tree()).toEqual(before);
    return `${(error as StartupError).message} | ${(error as StartupError).remedy}`;
  }

  /** As after a first start: every drive has a log. */
  async function used(deployment: Deployment): Promise<void> {
    for (const { drive } of placesOf(deployment)) await drive?.log.createFile(1, 4096);
    await closeAll();
  }

  it.each([
    [18, null, 2, 9],
    [24, null, 2, 12],
    [32, null, 2, 16],
    [8, 4, 2, 4],
    [8, 2, 4, 2],
  ])('of %i drives, in sets of %s when asked: %i of %i', async (count, asked, setCount, size) => {
    const folders = Array.from({ length: count }, (_, index) => path(`n${index}`));
    const deployment = await openGroups([folders], asked);
    expect(deployment.sets.map(({ driveIds }) => driveIds.length)).toEqual(Array(setCount).fill(size));
    expect(deployment.pools).toEqual([{ firstSet: 0, setCount }]);
    expect(placesOf(deployment).map((place) => place.path)).toEqual(folders);
  });

  it('are known again by their ids, whatever the order of the folders', async () => {
    const first = await openGroups([eight()], 4);
    await used(first);
    const again = await openGroups([eight().reverse()]);
    expect(placesOf(again).map((place) => place.path)).toEqual(eight());
    expect(again.sets.map(({ driveIds }) => driveIds)).toEqual(first.sets.map(({ driveIds }) => driveIds));
    expect(again.warnings.join()).toContain('in another order');
  });

  it('are refused when one of them has too few drives, and nothing is written', async () => {
    await used(await openGroups([eight()], 4));
    for (const name of ['d5', 'd6', 'd7']) rmSync(path(name), { recursive: true });
    mkdirSync(path('d5'));
    expect(await refusalOf(eight())).toContain('only 1 of 4 drives of set 2 are usable, 2 are needed to read');
    expect(readdirSync(path('d5'))).toEqual([]);
  });

  it('give an empty folder the place at its own position, in its set', async () => {
    await used(await openGroups([eight()], 4));
    for (const name of ['d1', 'd5', 'd6']) rmSync(path(name), { recursive: true });
    for (const name of ['d6', 'd1']) mkdirSync(path(name));
    const again = await openGroups([eight()]);
    expect(placesOf(again).map((place) => place.path)).toEqual(eight());
    expect(again.sets.map(({ places }) => places.map(({ isNew }) => isNew))).toEqual([
      [true, false, false, false],
      [false, true, false, false],
    ]);
    expect(again.sets[1]?.places[0]).toMatchObject({ drive: null, note: 'does not exist' });
    expect(again.warnings.join()).toContain('d6 was empty: it is formatted as set 2, drive 2');
  });

  it('of several pools do so in any order of the groups, and when all folders are named as one', async () => {
    await formatted();
    await used(await openGroups([four(), more()]));
    const emptied = ['d2', 'e3'].map(path);
    const away = ['d1', 'e4'].map(path);
    for (const name of away) renameSync(name, `${name}.away`);
    for (const groups of [[more(), four()], [four(), more()], [[...four(), ...more()]], [[...more(), ...four()]]]) {
      for (const name of emptied) {
        rmSync(name, { recursive: true });
        mkdirSync(name);
      }
      const again = await openGroups(groups);
      expect(placesOf(again).map((place) => place.path)).toEqual([...four(), ...more()]);
      expect(
        placesOf(again)
          .filter(({ isNew }) => isNew)
          .map((place) => place.path),
      ).toEqual(emptied);
      await closeAll();
    }
  });

  it('fill a folder that a drive of another group was taken from', async () => {
    await formatted();
    await used(await openGroups([four(), more()]));
    // Two of them were swapped, and the one exchanged for an empty one.
    rmSync(path('d4'), { recursive: true });
    renameSync(path('e1'), path('d4'));
    mkdirSync(path('e1'));
    const again = await openGroups([four(), more()]);
    expect(again.sets[0]?.places[3]).toMatchObject({ path: path('e1'), isNew: true });
    expect(again.sets[1]?.places[0]).toMatchObject({ path: path('d4'), isNew: false });
  });

  it('leave a folder alone that is one more than the drives of its group, and say so', async () => {
    await formatted();
    await used(await openGroups([four(), more()]));
    mkdirSync(path('x'));
    const again = await openGroups([[...four(), path('x')], more().slice(0, 3)]);
    expect(again.warnings.join()).toContain('x is not used: there are as many other folders in its group');
    expect(readdirSync(path('x'))).toEqual([]);
    expect(again.sets[1]?.places[3]?.note).toBe('not among the folders that were named');
  });

  it('become more with a further group, and the old drives are told', async () => {
    const first = await formatted();
    expect(readFileSync(path('d1/.granary/format.json'), 'utf8')).toContain('"version":1');
    const grown = await openGroups([four(), more()]);
    expect(grown).toMatchObject({ deploymentId: first.deploymentId, isNew: false });
    expect(grown.pools).toEqual([
      { firstSet: 0, setCount: 1 },
      { firstSet: 1, setCount: 1 },
    ]);
    expect(grown.sets[0]?.driveIds).toEqual(first.sets[0]?.driveIds);
    expect(grown.sets[1]?.places.map((place) => place.path)).toEqual(more());
    expect(grown.warnings.join()).toContain('pool 2 is added: 1 set');
    await used(grown);
    const formats = ['d1', 'd4', 'e1'].map((name) => readFileSync(path(`${name}/.granary/format.copy.json`), 'utf8'));
    for (const format of formats) expect(format).toContain('"version":2');
    const again = await openGroups([more(), four()]);
    expect(placesOf(again).map((place) => place.path)).toEqual([...four(), ...more()]);
    expect(again.warnings.join()).not.toContain('is added');
  });

  it('of pools have the parity of their own size, and every drive knows it', async () => {
    await formatted();
    const ends = ['f1', 'f2', 'f3'].map(path);
    const eightMore = Array.from({ length: 8 }, (_, index) => path(`e${index + 1}`));
    const shapes = ({ sets }: Deployment): string[] =>
      sets.map(({ dataShards, parityShards, poolIndex }) => `${poolIndex}: ${dataShards}+${parityShards}`);
    const grown = await openGroups([four(), eightMore]);
    expect(shapes(grown)).toEqual(['0: 2+2', '1: 4+4']);
    expect(grown.warnings).toEqual(['pool 2 is added: 1 set for new objects']);
    await used(grown);
    const formatIn = (name: string): string => readFileSync(path(`${name}/.granary/format.json`), 'utf8');
    expect(formatIn('d1')).toMatch(/"version":3.*"parity":2,.*"poolIndex":0,"pools":\[1,1\],"parities":\[2,4\]/);
    expect(formatIn('e8')).toMatch(/"version":3.*"parity":4,.*"poolIndex":1,"pools":\[1,1\],"parities":\[2,4\]/);
    const third = await openGroups([four(), eightMore, ends]);
    expect(shapes(third)).toEqual(['0: 2+2', '1: 4+4', '2: 2+1']);
    expect(third.warnings).toContain('pool 3 bears the loss of one drive in a set, and those before it of up to 4');
    await used(third);
    for (const groups of [[ends, eightMore, four()], [[...four(), ...ends, ...eightMore]]]) {
      const again = await openGroups(groups);
      expect(shapes(again)).toEqual(shapes(third));
      expect(again.warnings.join()).not.toContain('bears');
      await closeAll();
    }
    // As many of each as its own parity allows; one more, and it is refused.
    const gone = ['d1', 'd2', 'f3', 'e1', 'e2', 'e3', 'e4'];
    for (const name of gone) renameSync(path(name), path(`${name}.away`));
    expect(shapes(await openGroups([four(), eightMore, ends]))).toEqual(shapes(third));
    await closeAll();
    renameSync(path('f2'), path('f2.away'));
    expect(await refusalOf(four(), eightMore, ends)).toContain('only 1 of 3 drives of set 3 are usable, 2 are needed');
  });

  it('of pools are exchanged and told by the parity of each', async () => {
    await formatted();
    const two = ['f1', 'f2'].map(path);
    renameSync(path('d4'), path('away'));
    await used(await openGroups([four(), two]));
    renameSync(path('away'), path('d4'));
    for (const name of ['d1', 'f1']) {
      rmSync(path(name), { recursive: true });
      mkdirSync(path(name));
    }
    const again = await openGroups([four(), two]);
    const own = placesOf(again).map(({ drive }) => drive?.format);
    expect(own.map((format) => format?.version)).toEqual([3, 3, 3, 1, 3, 3]);
    expect(own.map((format) => format?.parity)).toEqual([2, 2, 2, 2, 1, 1]);
    await closeAll();
    expect(readFileSync(path('d4/.granary/format.copy.json'), 'utf8')).toContain('"parities":[2,1]');
  });

  it('of pools that were formatted with one parity for all keep it; a further pool has its own', async () => {
    const all = (parityShards: number, count: number) => Array.from({ length: count }, () => ({ parityShards }));
    await used(await openWith([four(), eight().map((name) => `${name}x`)], 2));
    expect(readFileSync(path('d1/.granary/format.json'), 'utf8')).toMatch(/"version":2.*"parity":2,.*"pools":\[1,1\]}/);
    const again = await openGroups([four(), eight().map((name) => `${name}x`)]);
    expect(again).toMatchObject({ sets: all(2, 2), warnings: [] });
    await closeAll();
    const third = await openGroups([four(), eight().map((name) => `${name}x`), ['f1', 'f2'].map(path)]);
    expect(third).toMatchObject({ sets: [...all(2, 2), ...all(1, 1)] });
  });

  it('of pools have the parity that is asked for, if it fits each; those that are there keep theirs', async () => {
    await used(await openGroups([eight()]));
    const asked = await refusalWith([eight(), more()], 4);
    expect(asked).toMatch(
      /parity 4 is more than half of 4 drives, which a set of pool 2 has.*EC:2 or less, leave it out/,
    );
    const grown = await openWith([eight(), more()], 1);
    expect(grown.sets.map(({ parityShards }) => parityShards)).toEqual([4, 1]);
    expect(grown.warnings).toEqual([
      'pool 2 is added: 1 set for new objects',
      'pool 2 bears the loss of one drive in a set, and those before it of up to 4',
      expect.stringMatching(/^parity stays at 4, .*the 1 that was asked for holds for new objects only$/),
    ]);
    await used(grown);
    const later = await openWith([eight(), more()], 2);
    expect(later.warnings.map((text) => text.slice(0, 29))).toEqual([
      'parity of pool 1 stays at 4, ',
      'parity of pool 2 stays at 1, ',
    ]);
  });

  it('are refused before anything is written when the server cannot run with them', async () => {
    const admit = (sets: readonly SetFacts[]): void => {
      throw new StartupError(JSON.stringify(sets), 'no');
    };
    const shape = { driveCount: 4, parityShards: 2 };
    const attempt = async (groups: readonly (readonly string[])[]): Promise<unknown> => {
      const before = tree();
      const options = { groups, parity: null, arena, isSynced: false };
      const error: unknown = await openDeployment({ ...options, admit }).catch((e: unknown) => e);
      expect(tree()).toEqual(before);
      return JSON.parse((error as StartupError).message);
    };
    expect(await attempt([four()])).toEqual([shape]);
    await formatted();
    expect(await attempt([four(), eight().map((name) => `${name}x`)])).toEqual([
      shape,
      { driveCount: 8, parityShards: 4 },
    ]);
  });

  it('do not become fewer', async () => {
    await formatted();
    await used(await openGroups([four(), more()]));
    expect(await refusalOf(four())).toMatch(/pool 2 of this deployment is not among.*a pool cannot be taken out/);
    expect(await refusalOf(more())).toContain('pool 1 of this deployment is not among');
  });

  it('are not made of folders that are added to a group', async () => {
    await formatted();
    expect(await refusalOf([...four(), ...more()])).toMatch(/8 folders were named.*as a group of their own/);
  });

  it('are not added where a folder cannot be used, or where the parity does not fit', async () => {
    await formatted();
    mkdirSync(path('e2'));
    writeFileSync(path('e2/photo.jpg'), 'mine');
    expect(await refusalOf(four(), more())).toContain('a group that is added needs every folder');
    const two = ['f1', 'f2'].map(path);
    expect(await refusalWith([four(), two], 2)).toContain('parity 2 is more than half of 2 drives');
  });

  it('whose adding was cut off are finished by the next start, or forgotten without them', async () => {
    await formatted();
    const old = Object.fromEntries(four().map((name) => [name, readFileSync(join(name, '.granary/format.json'))]));
    await openGroups([four(), more()]);
    await closeAll();
    // As it is when the process ended before the last new drives were formatted, and the old ones told.
    for (const [name, bytes] of Object.entries(old)) {
      for (const copy of ['format.json', 'format.copy.json']) writeFileSync(join(name, '.granary', copy), bytes);
    }
    for (const name of ['e3', 'e4']) rmSync(path(name), { recursive: true });
    const forgotten = await openGroups([four()]);
    expect(forgotten.sets).toHaveLength(1);
    await closeAll();
    for (const name of ['e3', 'e4']) mkdirSync(path(name));
    const finished = await openGroups([four(), more()]);
    expect(finished.sets[1]?.places.every(({ drive }) => drive !== null)).toBe(true);
    expect(readFileSync(path('d1/.granary/format.json'), 'utf8')).toContain('"pools":[1,1]');
  });

  it('know a drive that was away when they were added', async () => {
    await formatted();
    renameSync(path('d2'), path('away'));
    await used(await openGroups([four(), more()]));
    renameSync(path('away'), path('d2'));
    const again = await openGroups([four(), more()]);
    expect(again.sets[0]?.places.every(({ drive }) => drive !== null)).toBe(true);
    expect(readFileSync(path('d2/.granary/format.json'), 'utf8')).toContain('"pools":[1,1]');
  });

  it('that two groups of folders have been before groups counted stay one', async () => {
    await formatted();
    const [a = '', b = '', c = '', d = ''] = four();
    const again = await openGroups([
      [a, b],
      [c, d],
    ]);
    expect(again.sets).toHaveLength(1);
    expect(again.warnings).toEqual([]);
  });
});

describe('a disk that does not answer', () => {
  /** Whoever reads the drive's format hangs. */
  function hang(name: string): () => void {
    const file = path(`${name}/.granary/format.json`);
    rmSync(file);
    expect(spawnSync('mkfifo', [file]).status).toBe(0);
    // What is read is nothing, which is a damaged copy: the other one is there.
    return () => closeSync(openSync(file, constants.O_RDWR | constants.O_NONBLOCK));
  }

  const range = (letter: string, count: number): string[] =>
    Array.from({ length: count }, (_, index) => path(`${letter}${index + 1}`));
  const inTime = async (patienceMs: number | null): Promise<Deployment> => {
    const deployment = await openDeployment({ groups: [four()], parity: null, arena, isSynced: false, patienceMs });
    opened.push(deployment);
    return deployment;
  };
  const pathsInUse = (deployment: Deployment): (string | undefined)[] =>
    placesOf(deployment).map(({ drive }) => drive?.path);

  it('is not waited for when the others can serve, and is free again when it answers', async () => {
    await formatted();
    const letGo = [hang('d3'), hang('d4')];
    const deployment = await inTime(200);
    expect(pathsInUse(deployment)).toEqual([path('d1'), path('d2'), undefined, undefined]);
    expect(placesOf(deployment)[3]?.note).toBe('the disk does not answer');
    expect(deployment.hasLate).toBe(true);
    for (const one of letGo) one();
    const isMended = (name: string): boolean => statSync(path(`${name}/.granary/format.json`)).isFile();
    await expect.poll(() => ['d3', 'd4'].every(isMended)).toBe(true);
    await closeAll();
    const isWhole = async (): Promise<boolean> => {
      const again = await inTime(null).catch(() => null);
      await closeAll();
      return again !== null && placesOf(again).every(({ drive }) => drive !== null);
    };
    await expect.poll(isWhole).toBe(true);
  });

  it('is waited for when they cannot', async () => {
    await formatted();
    const letGo = ['d2', 'd3', 'd4'].map(hang);
    let isOpen = false;
    const opening = inTime(100).finally(() => (isOpen = true));
    await new Promise((resolve) => setTimeout(resolve, 400));
    expect(isOpen).toBe(false);
    letGo[0]?.();
    expect(pathsInUse(await opening)).toEqual([path('d1'), path('d2'), undefined, undefined]);
    for (const one of letGo) one();
  });

  it('is waited for when a pool of less parity needs it', async () => {
    const groups = [range('a', 8), range('b', 4)];
    opened.push(await openDeployment({ groups, parity: null, arena, isSynced: false }));
    await closeAll();
    const letGo = ['b2', 'b3', 'b4'].map(hang);
    let isOpen = false;
    const opening = openDeployment({ groups, parity: null, arena, isSynced: false, patienceMs: 100 });
    void opening.then((deployment) => opened.push(deployment)).finally(() => (isOpen = true));
    await new Promise((resolve) => setTimeout(resolve, 400));
    expect(isOpen).toBe(false);
    letGo[0]?.();
    expect((await opening).sets.map(({ parityShards }) => parityShards)).toEqual([4, 2]);
    for (const one of letGo) one();
  });

  it('is waited for by who has no haste', async () => {
    await formatted();
    const letGo = hang('d4');
    let isOpen = false;
    const opening = inTime(null).finally(() => (isOpen = true));
    await new Promise((resolve) => setTimeout(resolve, 400));
    expect(isOpen).toBe(false);
    letGo();
    expect(await opening).toMatchObject({ hasLate: false });
  });
});
