import { cpSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { StartupError } from '../../../dist/base/index.js';
import { SlabArena } from '../../../dist/pool/index.js';
import { openDeployment, type Deployment } from '../../../dist/wiring/deployment.js';

const { arena } = new SlabArena(32 << 20);
let folder = '';
const opened: Deployment[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'granary-deployment-'));
});

afterEach(async () => {
  await closeAll();
  rmSync(folder, { recursive: true, force: true });
});

async function closeAll(): Promise<void> {
  for (const { places } of opened.splice(0)) await Promise.all(places.map(async ({ drive }) => drive?.close(1000)));
}

const path = (name: string): string => join(folder, name);
const four = (): string[] => ['d1', 'd2', 'd3', 'd4'].map(path);

async function open(folders: readonly string[], parity: number | null = null): Promise<Deployment> {
  const deployment = await openDeployment({ folders, parity, arena, isSynced: false });
  opened.push(deployment);
  return deployment;
}

/** Formatted, with a log file each, as after a first start. */
async function formatted(folders: readonly string[] = four()): Promise<Deployment> {
  const deployment = await open(folders);
  for (const { drive } of deployment.places) expect(await drive?.log.createFile(1, 4096)).toMatchObject({ ok: true });
  await closeAll();
  return deployment;
}

/** Cause and remedy of a refused start, and proof that it wrote nothing. */
async function refusal(folders: readonly string[], parity: number | null = null): Promise<string> {
  const before = tree();
  const error: unknown = await openDeployment({ folders, parity, arena, isSynced: false }).catch((e: unknown) => e);
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
    expect(deployment).toMatchObject({ dataShards, parityShards, isNew: true, warnings: [] });
    expect(deployment.places.map((place) => place.path)).toEqual(folders);
    expect(deployment.places.map(({ drive }) => drive?.format.position)).toEqual([...folders.keys()]);
    expect(new Set(deployment.places.map(({ drive }) => drive?.format.driveId)).size).toBe(count);
  });

  it('takes the parity that is asked for, up to half', async () => {
    expect(await open(four(), 1)).toMatchObject({ dataShards: 3, parityShards: 1 });
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
    expect(await refusal(Array.from({ length: 17 }, (_, index) => path(String(index))))).toContain('at most 16');
  });

  it('that was cut off is finished by the next', async () => {
    const first = await open(four());
    await closeAll();
    for (const name of ['d3', 'd4']) rmSync(path(name), { recursive: true });
    for (const name of ['d3', 'd4']) mkdirSync(path(name));
    const second = await open(four());
    expect(second.deploymentId).toBe(first.deploymentId);
    expect(second.places.map(({ isNew }) => isNew)).toEqual([false, false, true, true]);
    expect(second.warnings).toEqual([]);
  });
});

describe('a later start', () => {
  it('knows the drives in any order', async () => {
    const first = await formatted();
    const [a = '', b = '', c = '', d = ''] = four();
    const again = await open([d, b, a, c]);
    expect(again.places.map((place) => place.path)).toEqual([a, b, c, d]);
    expect(again.hashKey.equals(first.hashKey)).toBe(true);
    expect(again.warnings.join()).toContain('in another order');
  });

  it('goes on without drives within parity, and says why', async () => {
    await formatted();
    renameSync(path('d1'), path('elsewhere'));
    rmSync(path('d2'), { recursive: true });
    writeFileSync(path('d2'), 'a file');
    const again = await open(four());
    expect(again.places.map(({ drive }) => drive !== null)).toEqual([false, false, true, true]);
    expect(again.places.map(({ note }) => note)).toEqual(['does not exist', 'not a folder', null, null]);
    expect(readdirSync(folder)).not.toContain('d1');
    await closeAll();
    const named = await open([path('d3'), path('elsewhere')]);
    expect(named.places[0]?.path).toBe(path('elsewhere'));
    expect(named.places[1]).toMatchObject({ drive: null, note: 'not among the folders that were named' });
  });

  it('formats an emptied drive with its old place and id', async () => {
    const first = await formatted();
    rmSync(path('d2'), { recursive: true });
    mkdirSync(path('d2'));
    const again = await open(four());
    expect(again.places[1]).toMatchObject({ isNew: true, note: 'was empty: being rebuilt' });
    expect(again.places[1]?.drive?.format.driveId).toBe(first.places[1]?.drive?.format.driveId);
    expect(again.warnings.join()).toContain('is formatted as drive 2');
    await closeAll();
    // The old disk that comes back beside its replacement is not let in.
    cpSync(path('d2'), path('old'), { recursive: true });
    expect(await refusal([path('d1'), path('d2'), path('old'), path('d4')])).toMatch(
      /d2 and .*old hold the same drive/,
    );
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
    expect(again).toMatchObject({ dataShards: 2, parityShards: 2 });
    expect(again.warnings.join()).toContain('parity stays at 2');
  });

  it('refuses drives that another server holds, and leaves no lock behind', async () => {
    await formatted();
    const first = await open(four());
    expect(await refusal(four())).toMatch(/in use by another server.*stop the other server/);
    expect(first.places.every(({ drive }) => drive !== null)).toBe(true);
    await closeAll();
    // A refused start lets go of what it had locked.
    mkdirSync(path('x'));
    writeFileSync(path('x/foreign'), '');
    await formatted(['x1', 'x2'].map(path));
    await refusal([path('d1'), path('d2'), path('x1'), path('x2')]);
    expect((await open(four())).places.every(({ drive }) => drive !== null)).toBe(true);
  });
});
