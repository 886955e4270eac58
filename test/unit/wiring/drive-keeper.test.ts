/** Which drive each folder is taken for while the server runs; that they are filled is for test/fault/drives.test.ts. */
import { spawnSync } from 'node:child_process';
import {
  closeSync,
  constants,
  cpSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ServerState } from '../../../dist/admin/index.js';
import { systemClock } from '../../../dist/base/index.js';
import { probeDrive } from '../../../dist/drive/index.js';
import { SlabArena } from '../../../dist/pool/index.js';
import { openDeployment, type Deployment } from '../../../dist/wiring/deployment.js';
import { DriveKeeper } from '../../../dist/wiring/drive-keeper.js';
import { LiveSet } from '../../../dist/wiring/live-set.js';
import { serverState } from '../../../dist/wiring/server-state.js';
import { mountSmall } from '../../support/small-file-systems.js';

const { arena } = new SlabArena(32 << 20);
const driveOptions = { arena, isSynced: false };
let folder = '';
const undo: (() => Promise<void>)[] = [];
/** By position: of drives that take part. */
let inSync = new Set<number>();
let epoch = 0;
let lines: string[] = [];

const path = (name: string): string => join(folder, name);
const four = (): string[] => ['d1', 'd2', 'd3', 'd4'].map(path);

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'granary-keeper-'));
  lines = [];
});

afterEach(async () => {
  await stop();
  rmSync(folder, { recursive: true, force: true });
});

async function stop(): Promise<void> {
  for (const step of undo.splice(0).reverse()) await step();
}

function open(): Promise<Deployment> {
  return openDeployment({ groups: [four()], parity: null, ...driveOptions });
}

/** Ids by position, of drives that have been written to. */
async function formatted(): Promise<readonly string[]> {
  const { sets } = await open();
  const drives = sets.flatMap(({ places }) => places.flatMap(({ drive }) => drive ?? []));
  for (const drive of drives) expect(await drive.log.createFile(1, 4096)).toMatchObject({ ok: true });
  await Promise.all(drives.map((drive) => drive.close(1000)));
  return sets[0]?.driveIds ?? [];
}

interface Kept {
  readonly set: LiveSet;
  readonly state: ServerState;
  /** Changes made between two looks. */
  unseen(change: () => void): Promise<void>;
}

/** With a journal that takes every drive at once. */
async function keep({
  callMsMax,
  ...times
}: { readonly awayMsMax?: number; readonly callMsMax?: number } = {}): Promise<Kept> {
  const deployment = await open();
  const places = deployment.sets[0]?.places ?? [];
  inSync = new Set(places.flatMap(({ drive, position }) => (drive === null ? [] : [position])));
  const journal = {
    health: () => ({ epoch, inSync: [...inSync], catchingUp: [] }),
    unhealed: () => new Map<number, number>(),
    joinDrive: (position: number) => {
      epoch++;
      inSync.add(position);
    },
    reportFault: (position: number) => {
      epoch++;
      inSync.delete(position);
      return Promise.resolve();
    },
    probe: () => Promise.resolve(),
  };
  const say = (text: string): void => void lines.push(text);
  const log = { warn: say, error: say, info: say } as never;
  const drives = places.map(({ drive }) => drive);
  const set = new LiveSet(deployment.deploymentId, drives, log, () => performance.now());
  set.start(journal as never);
  const started = (): DriveKeeper => {
    const sets = [{ set, journal: journal as never }];
    const inTime = callMsMax === undefined ? driveOptions : { ...driveOptions, callMsMax };
    const keeper = new DriveKeeper({ deployment, sets, driveOptions: inTime, log, lookEveryMs: 10, ...times });
    keeper.start();
    return keeper;
  };
  let keeper = started();
  undo.push(
    () => set.closeDrives(1000),
    () => Promise.resolve(set.close()),
    () => keeper.close(),
  );
  return {
    set,
    state: serverState({
      clock: systemClock,
      deployment,
      sets: [{ set, journal: journal as never }],
      readCache: null,
      index: () => ({ directory: '', named: null, trouble: null }),
      engine: {} as never,
    }),
    unseen: async (change) => {
      await keeper.close();
      change();
      keeper = started();
    },
  };
}

const isOut = async (position: number): Promise<void> => {
  await expect.poll(() => inSync.has(position)).toBe(false);
};
const isIn = async (position: number): Promise<void> => {
  await expect.poll(() => inSync.has(position)).toBe(true);
};

/** As another mount of its disk: what the server still has open is not what lies there then. */
function move(from: string, to: string): void {
  cpSync(path(from), path(`${to}.new`), { recursive: true });
  rmSync(path(from), { recursive: true });
  renameSync(path(`${to}.new`), path(to));
}

/** Folders change their names while their drives are open: the one named first gets the second's, and so on. */
function rotate(...names: string[]): void {
  const [first = '', ...others] = names;
  renameSync(path(first), path('aside'));
  let free = first;
  for (const name of others) {
    renameSync(path(name), path(free));
    free = name;
  }
  renameSync(path('aside'), path(free));
}

/** By position. */
const pathsOf = (set: LiveSet): (string | undefined)[] => [0, 1, 2, 3].map((position) => set.drive(position)?.path);

/** Files and folders that this process has open. */
function openBelow(name: string): string[] {
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      const file = readlinkSync(`/proc/self/fd/${fd}`);
      return file.startsWith(path(name)) ? [file] : [];
    } catch {
      // It was the list's own.
      return [];
    }
  });
}

/** Of the drive in a folder. */
function idIn(name: string): string {
  const [line = ''] = readFileSync(path(`${name}/.granary/format.json`), 'utf8').split('\n');
  return (JSON.parse(line) as { driveId: string }).driveId;
}

describe('while the server runs', () => {
  it('an empty folder is the drive that was lost there, and one that is away keeps its place', async () => {
    const ids = await formatted();
    move('d1', 'away');
    const { set } = await keep();
    rmSync(path('d3'), { recursive: true });
    await isOut(2);
    mkdirSync(path('d3'));
    await isIn(2);
    expect(idIn('d3')).toBe(ids[2]);
    move('away', 'd1');
    await isIn(0);
    expect(pathsOf(set)).toEqual(four());
    await stop();
    // A start knows them as well.
    const again = await open();
    undo.push(async () => {
      await Promise.all((again.sets[0]?.places ?? []).map(async ({ drive }) => drive?.close(1000)));
    });
    expect(again.sets[0]?.places.map((place) => place.path)).toEqual(four());
  });

  it('a drive that turns up in the folder of another leaves its place there to an empty one', async () => {
    const ids = await formatted();
    const { set, unseen } = await keep();
    move('d1', 'away');
    rmSync(path('d3'), { recursive: true });
    await isOut(0);
    await isOut(2);
    await unseen(() => {
      move('away', 'd3');
      mkdirSync(path('d1'));
    });
    await isIn(0);
    await isIn(2);
    expect(pathsOf(set)).toEqual(['d3', 'd2', 'd1', 'd4'].map(path));
    expect(['d3', 'd1'].map(idIn)).toEqual([ids[0], ids[2]]);
  });

  it('an empty folder is the drive that was last seen there', async () => {
    const ids = await formatted();
    const { set } = await keep();
    for (const name of ['d1', 'd2']) move(name, `${name}.away`);
    await isOut(0);
    await isOut(1);
    move('d1.away', 'd2');
    move('d2.away', 'd1');
    await isIn(0);
    await isIn(1);
    expect(pathsOf(set)).toEqual(['d2', 'd1', 'd3', 'd4'].map(path));
    // Both are lost again, and only one is replaced.
    rmSync(path('d1'), { recursive: true });
    move('d2', 'away');
    await isOut(0);
    await isOut(1);
    mkdirSync(path('d1'));
    await isIn(1);
    expect(idIn('d1')).toBe(ids[1]);
    move('away', 'd2');
    await isIn(0);
    expect(pathsOf(set)).toEqual(['d2', 'd1', 'd3', 'd4'].map(path));
  });

  it('nothing of a drive that stays away is open any more, and it takes part again when it is back', async () => {
    await formatted();
    const { set } = await keep({ awayMsMax: 50 });
    renameSync(path('d2'), path('away'));
    await isOut(1);
    await expect.poll(() => set.drive(1)).toBe(null);
    await expect.poll(() => openBelow('away')).toEqual([]);
    expect(lines).toContain('a drive is away: nothing of it is open any more');
    // Somebody else may have it now.
    const probe = await probeDrive(path('away'), { ...driveOptions, createFolder: false });
    expect(probe.kind).toBe('ready');
    if (probe.kind === 'ready') await probe.drive.close(1000);
    renameSync(path('away'), path('d2'));
    await isIn(1);
    expect(pathsOf(set)).toEqual(four());
    expect(openBelow('d2').length).toBeGreaterThan(0);
  });

  it('nor of one that was out already when its folder went', async () => {
    await formatted();
    const { set, unseen } = await keep({ awayMsMax: 50 });
    await unseen(() => {
      set.reportWrite(1, { kind: 'io', drive: path('d2'), operation: 'write', errno: 5 });
      renameSync(path('d2'), path('away'));
    });
    await expect.poll(() => set.drive(1)).toBe(null);
    await expect.poll(() => openBelow('away')).toEqual([]);
    expect(inSync.has(1)).toBe(false);
    renameSync(path('away'), path('d2'));
    await isIn(1);
    expect(pathsOf(set)).toEqual(four());
  });

  it('a copy of a drive that takes part is left alone', async () => {
    const ids = await formatted();
    const { set } = await keep();
    rmSync(path('d3'), { recursive: true });
    await isOut(2);
    mkdirSync(path('d3'));
    await isIn(2);
    move('d4', 'away');
    await isOut(3);
    cpSync(path('d3'), path('d4'), { recursive: true });
    await expect.poll(() => lines).toContain('a folder is not used');
    expect(inSync.has(3)).toBe(false);
    expect(idIn('d4')).toBe(ids[2]);
    expect(set.drive(2)?.path).toBe(path('d3'));
  });

  it('an empty folder that cannot be formatted does not keep the next one from being filled', async () => {
    await formatted();
    const small = await mountSmall([4096]);
    try {
      const { set, unseen } = await keep();
      for (const name of ['d1', 'd3']) rmSync(path(name), { recursive: true });
      await isOut(0);
      await isOut(2);
      await unseen(() => {
        symlinkSync(small.seen(small.folders[0] ?? ''), path('d1'));
        mkdirSync(path('d3'));
      });
      await isIn(2);
      expect(inSync.has(0)).toBe(false);
      expect(lines.filter((line) => line === 'a folder is not used')).toHaveLength(1);
      expect(set.drive(2)?.path).toBe(path('d3'));
    } finally {
      await stop();
      await small.close();
    }
  });

  it.each([
    [
      ['d2', 'd3'],
      ['d1', 'd3', 'd2', 'd4'],
    ],
    [
      ['d2', 'd3', 'd4'],
      ['d1', 'd4', 'd2', 'd3'],
    ],
    [
      ['d1', 'd2', 'd3', 'd4'],
      ['d4', 'd1', 'd2', 'd3'],
    ],
  ])('drives whose folders %j were exchanged go on in them', async (names, expected) => {
    const ids = await formatted();
    const { set, unseen } = await keep();
    const before = epoch;
    const opened = [0, 1, 2, 3].map((position) => set.drive(position));
    await unseen(() => rotate(...names));
    await expect.poll(() => pathsOf(set)).toEqual(expected.map(path));
    expect(expected.map(idIn)).toEqual(ids);
    // Not one of them has left, or was opened anew.
    expect(epoch).toBe(before);
    expect([0, 1, 2, 3].map((position) => set.drive(position))).toEqual(opened);
    expect(lines.filter((line) => line.includes('was given another name'))).toHaveLength(names.length);
    for (const drive of opened) expect(await drive?.check()).toMatchObject({ ok: true });
    // Where a drive was last seen is known of the new folders: what is empty there is its own.
    const lost = expected[1] ?? '';
    rmSync(path(lost), { recursive: true });
    await isOut(1);
    mkdirSync(path(lost));
    await isIn(1);
    expect(pathsOf(set)).toEqual(expected.map(path));
    expect(idIn(lost)).toBe(ids[1]);
  });

  it('a drive whose folder was moved away takes part again when it is back, or in the place of another', async () => {
    await formatted();
    const { set } = await keep();
    const drive = set.drive(1);
    const departures = set.departures(1);
    renameSync(path('d2'), path('away'));
    await isOut(1);
    expect(drive?.isAway).toBe(true);
    expect(await drive?.log.listFiles()).toMatchObject({ ok: false, fault: { kind: 'missing', drive: path('d2') } });
    renameSync(path('away'), path('d2'));
    await isIn(1);
    expect([set.drive(1), drive?.isAway, drive?.path]).toEqual([drive, false, path('d2')]);
    // Nobody has asked meanwhile: who wrote to it before does not count it all the same.
    expect(set.departures(1)).toBeGreaterThan(departures);
    // Seen in the middle of an exchange.
    renameSync(path('d2'), path('away'));
    await isOut(1);
    renameSync(path('d3'), path('d2'));
    await expect.poll(() => pathsOf(set)[2]).toBe(path('d2'));
    renameSync(path('away'), path('d3'));
    await isIn(1);
    expect(pathsOf(set)).toEqual(['d1', 'd3', 'd2', 'd4'].map(path));
    expect([0, 1, 2, 3].map((position) => inSync.has(position))).toEqual([true, true, true, true]);
    expect(lines).toContain('a drive is there again: it is brought up to date');
  });

  it('a drive that lost its format file leaves, and stays what it is', async () => {
    await formatted();
    const { set } = await keep();
    rmSync(path('d2/.granary/format.json'));
    await isOut(1);
    expect([set.drive(1)?.isAway, set.drive(1)?.path]).toEqual([false, path('d2')]);
  });

  it('a folder in which a look hangs gets no other, until that one has come back', async () => {
    await formatted();
    const { set } = await keep({ callMsMax: 200, awayMsMax: 50 });
    renameSync(path('d2'), path('away'));
    await expect.poll(() => set.drive(1)).toBeNull();
    const format = path('away/.granary/format.json');
    renameSync(format, path('format'));
    expect(spawnSync('mkfifo', [format]).status).toBe(0);
    renameSync(path('away'), path('d2'));
    const looks = (): number =>
      readdirSync('/proc/self/task').filter(
        (task) => readFileSync(`/proc/self/task/${task}/comm`, 'utf8').trim() === 'drive probe',
      ).length;
    await expect.poll(looks).toBe(1);
    // The look is given up meanwhile, and what hangs of it stays.
    await new Promise((resolve) => setTimeout(resolve, 1500));
    expect(looks()).toBe(1);
    renameSync(path('d2/.granary/format.json'), path('pipe'));
    renameSync(path('format'), path('d2/.granary/format.json'));
    closeSync(openSync(path('pipe'), constants.O_RDWR | constants.O_NONBLOCK));
    await isIn(1);
    expect(set.drive(1)?.path).toBe(path('d2'));
  });

  it('whoever asks hears in which folder a drive is now', async () => {
    await formatted();
    const { set, state } = await keep();
    move('d2', 'away');
    await isOut(1);
    rmSync(path('d3'), { recursive: true });
    await isOut(2);
    move('away', 'd3');
    await isIn(1);
    const facts = await state.drives();
    expect(facts.map((drive) => drive.path)).toEqual([path('d1'), path('d3'), path('d3'), path('d4')]);
    expect(set.drive(1)?.path).toBe(path('d3'));
  });
});
