/** What fsck and inspect ask for, say, and end with; the drives are not real here. */
import { describe, expect, it } from 'vitest';
import { StartupError } from '../../../src/base/index.js';
import { ProgressBar } from '../../../src/cli/check.js';
import type { Outcome } from '../../../src/cli/run.js';
import type { CheckReport, FsckOptions, FsckReport } from '../../../src/wiring/index.js';
import { TestCommand } from './world.js';

const noDamage = { batches: 0, badShards: 0, missingShards: 0 };

const clean: CheckReport = {
  deploymentId: '00000000-0000-4000-8000-000000000001',
  sets: [{ dataShards: 1, parityShards: 1 }],
  drives: [
    { path: '/mnt/1', state: 'current', lacking: 0, absence: null, faults: [] },
    { path: '/mnt/2', state: 'current', lacking: 0, absence: null, faults: [] },
  ],
  unused: [],
  log: {
    files: 1,
    batches: 6,
    bytes: 24_576,
    bad: 0,
    unreadableBodies: 0,
    damaged: [],
    holes: 0,
    unfinished: 0,
    dropped: 0,
    unreadableBatches: 0,
  },
  damage: [noDamage, noDamage],
  blobs: { bodies: 1, shards: 2, badShards: 0, missingShards: 0, unreadable: 0, byDrive: [], damaged: [] },
  orphans: { count: 0, files: [] },
  index: { state: 'right', differences: 0 },
  buckets: 1,
  objects: 3,
  lostBuckets: [],
  problems: [],
};

const damaged: CheckReport = {
  ...clean,
  blobs: {
    ...clean.blobs,
    badShards: 1,
    damaged: [{ bucket: 'b', key: 'k\u001b[31m', file: 'aa', offset: null, bad: [1], missing: [], isReadable: true }],
  },
  problems: ['1 damaged shard'],
};

async function fsck(
  args: readonly string[],
  report: FsckReport,
): Promise<{ command: TestCommand; code: Outcome; asked: FsckOptions[] }> {
  const asked: FsckOptions[] = [];
  const command = new TestCommand(['fsck', ...args], {
    checks: {
      fsck: (options) => {
        asked.push(options);
        return Promise.resolve(report);
      },
    },
  });
  return { code: await command.run(), command, asked };
}

describe('granary fsck', () => {
  it('asks for what was typed, and ends with 0 when nothing is wrong', async () => {
    const report = { now: clean, before: null, repairedShards: 0, isIndexRebuilt: false };
    const { code, command, asked } = await fsck(['-repair', '--index-dir=/index', '/mnt/{1...2}'], report);
    expect(code).toBe(0);
    expect(asked[0]).toMatchObject({ drives: ['/mnt/1', '/mnt/2'], indexDir: '/index', repair: true, rebuild: false });
    expect(command.out).toContain('2 drives, 1 data and 1 parity shards');
    expect(command.out).toContain('1 bucket, 3 objects');
    expect(command.out).toContain('Nothing is wrong.\n');
  });

  it('ends with 1 and says what is wrong, without what would steer a terminal', async () => {
    const { code, command } = await fsck(['/mnt/{1...2}'], {
      now: damaged,
      before: null,
      repairedShards: 0,
      isIndexRebuilt: false,
    });
    expect(code).toBe(1);
    expect(command.out).toContain('b/k\\x1b[31m  readable, damaged on /mnt/2 (aa)');
    expect(command.out).toContain('WRONG: 1 damaged shard\nTo mend it: granary fsck --repair');
    const quiet = await fsck(['--quiet', '/mnt/{1...2}'], {
      now: damaged,
      before: null,
      repairedShards: 0,
      isIndexRebuilt: false,
    });
    expect(quiet.command.out).toBe('WRONG: 1 damaged shard\n');
  });

  it('says what a repair has left, and what was before it', async () => {
    const { code, command } = await fsck(['--repair', '/mnt/1'], {
      now: clean,
      before: damaged,
      repairedShards: 1,
      isIndexRebuilt: false,
    });
    expect(code).toBe(0);
    expect(command.out).toContain('1 damaged shard');
    expect(command.out).toContain('1 shard or piece of a log written anew');
  });

  it('says of each drive what is damaged, and of a repair that did nothing why', async () => {
    const damage = [noDamage, { batches: 2, badShards: 1, missingShards: 3 }];
    const inLog = { bucket: 'b', key: 'k', file: 'log/00000001.log', offset: 4096, bad: [0, 1], missing: [] };
    const now: CheckReport = {
      ...damaged,
      damage,
      log: { ...clean.log, unreadableBodies: 1, damaged: [{ ...inLog, isReadable: false }] },
    };
    const found = await fsck(['--repair', '/mnt/1'], { now, before: now, repairedShards: 0, isIndexRebuilt: false });
    expect(found.command.out).toContain('  /mnt/1  holds everything\n');
    expect(found.command.out).toContain('  /mnt/2  2 damaged batches of its log; 1 damaged shard; 3 missing shards\n');
    expect(found.command.out).toContain(
      '  b/k  CANNOT BE READ, damaged on /mnt/1, /mnt/2 (log/00000001.log at 4096)\n',
    );
    expect(found.command.out).toContain('Repair  nothing could be done\n');
    expect(found.command.out).toContain('Nothing of what cannot be read is removed');
    const none = { now: clean, before: clean, repairedShards: 0, isIndexRebuilt: false };
    expect((await fsck(['--repair', '/mnt/1'], none)).command.out).toContain('Repair  nothing was to be done\n');
    const unseen = await fsck(['--repair', '/mnt/1'], { ...none, repairedShards: 2 });
    expect(unseen.command.out).toContain('written anew: whether their disks had them could not be told\n');
  });

  it('says what a repair did to drives, leftovers and the index', async () => {
    const [one, two] = clean.drives;
    if (one === undefined || two === undefined) throw new Error('the report has two drives');
    const before: CheckReport = {
      ...clean,
      drives: [
        { ...one, lacking: 3 },
        { ...two, state: 'absent', absence: 'empty', faults: ['is empty'] },
      ],
      orphans: { count: 2, files: [] },
      index: { state: 'behind', differences: 0 },
      problems: ['/mnt/2: is empty'],
    };
    const mended = await fsck(['--repair', '/mnt/1'], { now: clean, before, repairedShards: 0, isIndexRebuilt: false });
    expect(mended.command.out).toContain(
      'Repair  /mnt/1 brought up to date; /mnt/2 filled from the others; 2 leftover files removed; the index brought up to date\n',
    );
    const found = await fsck(['/mnt/1'], { now: before, before: null, repairedShards: 0, isIndexRebuilt: false });
    expect(found.command.out).toContain(
      '/mnt/1  holds all but the last 3 batches, which the next start writes to it\n',
    );
    expect(found.command.out).toContain('To mend it: granary fsck --repair');
    expect(found.command.out).toContain('6 copies of batches verified');
  });

  it('says that an index was built anew whenever it was', async () => {
    const repairOf = async (state: 'right' | 'behind', isIndexRebuilt: boolean): Promise<string | undefined> => {
      const before: CheckReport = { ...clean, index: { state, differences: 0 } };
      const { command } = await fsck(['--rebuild', '/mnt/1'], {
        now: clean,
        before,
        repairedShards: 0,
        isIndexRebuilt,
      });
      return /^Repair {2}(.*)$/m.exec(command.out)?.[1];
    };
    expect(await repairOf('right', true)).toBe('the index built anew');
    expect(await repairOf('behind', true)).toBe('the index built anew');
    expect(await repairOf('behind', false)).toBe('the index brought up to date');
  });

  it('names what lies in buckets that no record knows, and what a repair made of it', async () => {
    const problem = '1 bucket that no record knows has something in it';
    const lost: CheckReport = {
      ...clean,
      lostBuckets: [{ name: 'restored-50000', objects: 1, versions: 3 }],
      problems: [problem],
    };
    const found = await fsck(['/mnt/1'], { now: lost, before: null, repairedShards: 0, isIndexRebuilt: false });
    expect(found.code).toBe(1);
    expect(found.command.out).toContain('  restored-50000  1 object in 3 versions, in a bucket that no record knows\n');
    expect(found.command.out).toContain(`WRONG: ${problem}\nTo mend it: granary fsck --repair …\n`);
    const report = { now: clean, before: lost, repairedShards: 0, isIndexRebuilt: false };
    const repaired = await fsck(['--repair', '/mnt/1'], report);
    expect(repaired.code).toBe(0);
    expect(repaired.command.out).toContain('Repair  1 bucket restored-… made for what lay in unknown ones\n');
  });

  it('names no remedy that cannot help', async () => {
    const [one, two] = clean.drives;
    if (one === undefined || two === undefined) throw new Error('the report has two drives');
    const without = (absence: 'unusable' | 'unnamed', others: Partial<CheckReport> = {}): CheckReport => ({
      ...clean,
      drives: [one, { ...two, state: 'absent', absence, faults: ['is not there'] }],
      problems: ['/mnt/2: is not there'],
      ...others,
    });
    const textOf = async (now: CheckReport, before: CheckReport | null = null): Promise<string> =>
      (await fsck(['/mnt/1'], { now, before, repairedShards: 0, isIndexRebuilt: false })).command.out;
    const unnamed = await textOf(without('unnamed'));
    expect(unnamed).toContain('Name the folders of all drives');
    expect(unnamed).not.toContain('To mend');
    const unusable = await textOf(without('unusable'));
    expect(unusable).toContain('Bring back /mnt/2, or put an empty folder there, which granary fsck --repair … fills.');
    expect(unusable).not.toContain('To mend');
    expect(await textOf(without('unusable'), without('unusable'))).toContain('Bring back /mnt/2');
    const both = await textOf(without('unusable', { blobs: damaged.blobs }));
    expect(both).toContain('To mend the rest: granary fsck --repair');
  });

  it.each([
    ['k\u001b[31m\n', 'k\\x1b[31m\\x0a'],
    ['a\u202etxt.exe', 'a\\u202etxt.exe'],
    ['a\u2028b\u061c', 'a\\u2028b\\u061c'],
    ['é 😀 👩‍🚀', 'é 😀 👩‍🚀'],
  ])('shows what would steer a terminal escaped: %j', async (key, shown) => {
    const body = { bucket: 'b', key, file: 'aa', offset: null, bad: [1], missing: [], isReadable: true };
    const now = { ...damaged, blobs: { ...damaged.blobs, damaged: [body] } };
    const { command } = await fsck(['/mnt/1'], { now, before: null, repairedShards: 0, isIndexRebuilt: false });
    expect(command.out).toContain(`  b/${shown}  readable, damaged on /mnt/2 (aa)\n`);
  });

  it('names a folder that is none of the drives, which is nothing wrong', async () => {
    const now = { ...clean, unused: [{ path: '/mnt/3', reason: 'is empty' }] };
    const { code, command } = await fsck(['/mnt/{1...3}'], {
      now,
      before: null,
      repairedShards: 0,
      isIndexRebuilt: false,
    });
    expect(code).toBe(0);
    expect(command.out).toContain('  /mnt/3  is none of the drives; is empty\n');
    expect(command.out).toContain('Nothing is wrong.');
  });

  it('takes the folders of MINIO_VOLUMES, and needs some', async () => {
    const checks = {
      fsck: () => Promise.resolve({ now: clean, before: null, repairedShards: 0, isIndexRebuilt: false }),
    };
    const environment = { MINIO_VOLUMES: '/mnt/{1...2}' };
    expect(await new TestCommand(['fsck', '--json'], { environment, checks }).run()).toBe(0);
    const none = new TestCommand(['fsck'], { environment: {}, checks });
    expect(await none.run()).toBe(2);
    expect(none.err).toContain('no drive is named');
  });

  it('ends with 2 when it cannot look, or was typed wrongly', async () => {
    const refusal = new StartupError('/mnt/1: in use by another server', 'stop it');
    const checks = { fsck: () => Promise.reject(refusal) };
    const locked = new TestCommand(['fsck', '/mnt/1'], { checks });
    expect(await locked.run()).toBe(2);
    expect(locked.err).toContain('in use by another server');
    const wrong = new TestCommand(['fsck', '--mend', '/mnt/1']);
    expect(await wrong.run()).toBe(2);
    expect(wrong.err).toContain('See: granary fsck --help');
    const other = new TestCommand(['fsck', '--address', ':9000', '/mnt/1']);
    expect(await other.run()).toBe(2);
    expect(other.err).toContain('It is an option of another command. See: granary fsck --help');
    expect(await new TestCommand(['inspect', 'bucket']).run()).toBe(2);
    const dashed = new TestCommand(['inspect', 'bucket', '-key', '/mnt/1']);
    expect(await dashed.run()).toBe(2);
    expect(dashed.err).toContain('granary inspect -- BUCKET KEY');
  });
});

describe('the progress bar', () => {
  it('is drawn over itself on a terminal, seldom, and goes', () => {
    let text = '';
    let nowMs = 0;
    const output = { write: (more: string) => void (text += more), isTerminal: true, columns: 80 };
    const bar = new ProgressBar(output, false, () => nowMs);
    bar.show({ phase: 'blobs', done: 0.5 });
    bar.show({ phase: 'blobs', done: 0.6 });
    nowMs = 150;
    bar.show({ phase: 'blobs', done: 1 });
    bar.clear();
    expect(text).toBe(
      `\r\u001b[Kverifying blobs [${'#'.repeat(15)}${'.'.repeat(15)}] 50 %` +
        `\r\u001b[Kverifying blobs [${'#'.repeat(30)}] 100 %\r\u001b[K`,
    );
  });

  it('is not drawn when only what is wrong is asked for', () => {
    let text = '';
    const bar = new ProgressBar({ write: (more) => void (text += more), isTerminal: true, columns: 80 }, true);
    bar.show({ phase: 'log', done: null });
    bar.clear();
    expect(text).toBe('');
  });

  it('is nothing elsewhere', () => {
    let text = '';
    const bar = new ProgressBar({ write: (more) => void (text += more), isTerminal: false, columns: null });
    bar.show({ phase: 'log', done: null });
    bar.clear();
    expect(text).toBe('');
  });
});
