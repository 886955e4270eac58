import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { StartupError, limits } from '../../../src/base/index.js';
import {
  folderIdAt,
  formatDrive,
  probeDrive,
  rewriteFormat,
  type DriveFormat,
  type DriveProbe,
} from '../../../src/drive/index.js';
import { encodeFormat, parseFormat } from '../../../src/drive/format-file.js';
import { TestArena, newDrive, newFormat, openDescriptors, openDrive, temporaryFolder, valueOf } from './support.js';

const { arena } = new TestArena();
let folder: ReturnType<typeof temporaryFolder>;
let path: string;

beforeEach(() => {
  folder = temporaryFolder();
  path = folder.path;
});

afterEach(() => folder.remove());

function probe(where = path, createFolder = false): Promise<DriveProbe> {
  return probeDrive(where, { arena, createFolder, callMsMax: 5000 });
}

/** Every file below a folder with its bytes, to see that nothing was touched. */
function contents(where: string): Record<string, string> {
  const names = readdirSync(where, { recursive: true }).map(String).sort();
  return Object.fromEntries(
    names.map((name) => [name, statSync(join(where, name)).isFile() ? readFileSync(join(where, name), 'latin1') : '']),
  );
}

async function expectUnusable(reason: string | RegExp, where = path): Promise<void> {
  const found = await probe(where);
  expect(found.kind).toBe('unusable');
  if (found.kind !== 'unusable') return;
  expect(found.reason).toMatch(reason);
  expect(found.reason).not.toContain('\n');
}

async function formatAndClose(format = newFormat()): Promise<DriveFormat> {
  const drive = await formatDrive(path, format, { arena });
  await drive.close(1000);
  return drive.format;
}

/** A drive whose bytes are as formatting leaves them but for one format, rewritten with a right checksum. */
function writeBothCopies(bytes: Buffer): void {
  writeFileSync(join(path, '.granary/format.json'), bytes);
  writeFileSync(join(path, '.granary/format.copy.json'), bytes);
}

describe('an empty folder', () => {
  it('is told as such, and stays empty', async () => {
    expect(await probe()).toEqual({
      kind: 'empty',
      path,
      folderId: await folderIdAt(path, { arena }),
      isMountPoint: false,
    });
    expect(readdirSync(path)).toEqual([]);
  });

  it('may hold what mkfs made', async () => {
    mkdirSync(join(path, 'lost+found'));
    expect((await probe()).kind).toBe('empty');
  });

  it('is made on demand, with its parents, and only then', async () => {
    const deep = join(path, 'a/b/c');
    await expectUnusable('does not exist', deep);
    expect(existsSync(join(path, 'a'))).toBe(false);
    expect(await probe(deep, true)).toMatchObject({ kind: 'empty', path: deep });
    expect(statSync(deep).isDirectory()).toBe(true);
  });

  it('becomes a drive that is found again, through a symbolic link too', async () => {
    const format = await formatAndClose();
    symlinkSync(path, `${path}-link`);
    try {
      for (const where of [path, `${path}-link`, `${path}/`]) {
        const found = await probe(where);
        expect(found.kind).toBe('ready');
        if (found.kind !== 'ready') return;
        expect(found.drive.format).toEqual(format);
        await found.drive.close(1000);
      }
    } finally {
      rmSync(`${path}-link`);
    }
    expect(readdirSync(join(path, '.granary')).sort()).toEqual(['format.copy.json', 'format.json', 'lock']);
    expect(readdirSync(join(path, 'blobs'))).toHaveLength(256);
    expect(readFileSync(join(path, '.granary/lock'), 'latin1')).toBe(`${String(process.pid).padEnd(15)}\n`);
    expect(statSync(join(path, '.granary/format.json')).mode & 0o777).toBe(0o600);
  });

  it('is formatted by one of two that try at once', async () => {
    const tries = await Promise.allSettled([1, 2].map(() => formatDrive(path, newFormat(), { arena })));
    const [winner, ...others] = tries.filter((one) => one.status === 'fulfilled');
    expect(others).toEqual([]);
    const loser = tries.find((one) => one.status === 'rejected');
    expect(loser?.reason).toBeInstanceOf(StartupError);
    await winner?.value.close(1000);
    expect(await probe()).toMatchObject({ kind: 'ready', drive: { format: winner?.value.format } });
  });

  it('measures for itself whether it is a mount point', async () => {
    expect((await formatAndClose(newFormat({ wasMountPoint: true }))).wasMountPoint).toBe(false);
  });
});

describe('formatting that did not come to its end', () => {
  it.each([
    ['after the first folder', ['.granary/']],
    ['after the lock', ['.granary/lock']],
    ['after the mark', ['.granary/lock', '.granary/unfinished']],
    ['after some folders', ['.granary/lock', '.granary/unfinished', 'log/', 'blobs/00/', 'blobs/01/']],
    ['before the rename', ['.granary/lock', '.granary/unfinished', '.granary/format.json.new', 'log/', 'blobs/ff/']],
  ])('is empty %s and can be begun again', async (_, names) => {
    for (const name of names) {
      mkdirSync(join(path, name.endsWith('/') ? name : '.granary'), { recursive: true });
      if (!name.endsWith('/')) writeFileSync(join(path, name), '');
    }
    expect((await probe()).kind).toBe('empty');
    const format = await formatAndClose();
    const drive = await openDrive(path, arena);
    expect(drive.format).toEqual(format);
    await drive.close(1000);
    expect(readdirSync(join(path, 'blobs'))).toHaveLength(256);
  });

  it('is ready after the first copy of the format, and finishes then', async () => {
    const format = await formatAndClose();
    rmSync(join(path, '.granary/format.copy.json'));
    writeFileSync(join(path, '.granary/unfinished'), '');
    const drive = await openDrive(path, arena);
    await drive.close(1000);
    expect(drive.format).toEqual(format);
    expect(readdirSync(join(path, '.granary')).sort()).toEqual(['format.copy.json', 'format.json', 'lock']);
  });

  it.each(['log/00000000.log', 'blobs/00/abc', 'note.txt', 'blobs/mine', '.granary/mine'])(
    'is not assumed when there is %s',
    async (name) => {
      for (const sub of ['.granary', 'log', 'blobs/00']) mkdirSync(join(path, sub), { recursive: true });
      writeFileSync(join(path, '.granary/unfinished'), '');
      writeFileSync(join(path, name), 'data');
      const before = contents(path);
      await expectUnusable('without its format');
      await expect(formatDrive(path, newFormat(), { arena })).rejects.toThrow('not empty');
      expect(contents(path)).toEqual(before);
    },
  );

  it('is locked while somebody is at it', async () => {
    const drive = await newDrive(path, arena);
    for (const name of ['format.json', 'format.copy.json']) rmSync(join(path, '.granary', name));
    writeFileSync(join(path, '.granary/unfinished'), '');
    expect(await probe()).toMatchObject({ kind: 'unusable', isLocked: true });
    await drive.close(1000);
  });
});

describe('a folder of something else', () => {
  it.each([
    ['a file', { 'note.txt': 'mine' }, 'not a Granary drive'],
    ['a MinIO drive', { '.minio.sys/format.json': '{}' }, 'MinIO'],
    ['a file called .granary', { '.granary': 'mine' }, 'not a Granary drive'],
    ['a foreign .granary folder', { '.granary/config': 'mine' }, 'without its format'],
    ['an empty .granary beside data', { '.granary/lock': '', data: 'mine' }, 'without its format'],
  ])('with %s is refused and not touched', async (_, files, reason) => {
    for (const [name, text] of Object.entries(files)) {
      mkdirSync(join(path, name, '..'), { recursive: true });
      writeFileSync(join(path, name), text);
    }
    const before = contents(path);
    await expectUnusable(reason);
    expect(await probe(path, true)).toMatchObject({ kind: 'unusable', isLocked: false });
    await expect(formatDrive(path, newFormat(), { arena })).rejects.toThrow(/not empty|cannot be formatted/);
    expect(contents(path)).toEqual(before);
  });

  it('is not a folder at all', async () => {
    writeFileSync(join(path, 'file'), '');
    await expectUnusable('not a folder', join(path, 'file'));
    await expectUnusable(/does not exist|not a folder/, join(path, 'file/below'));
    await expect(formatDrive(join(path, 'file'), newFormat(), { arena })).rejects.toThrow('cannot be formatted');
  });
});

describe('the copies of the format', () => {
  const damages: [string, (file: string) => void][] = [
    ['gone', (file) => rmSync(file)],
    ['empty', (file) => truncateSync(file)],
    ['cut off', (file) => truncateSync(file, statSync(file).size - 1)],
    ['garbage', (file) => writeFileSync(file, '{"granary":"drive"}\n{"sha256":"00"}\n')],
    [
      'changed in one bit',
      (file) => {
        const bytes = readFileSync(file);
        bytes.writeUInt8(bytes.readUInt8(40) ^ 1, 40);
        writeFileSync(file, bytes);
      },
    ],
  ];

  it.each(damages)('%s: one is repaired from the other', async (_, damage) => {
    const format = await formatAndClose();
    const good = readFileSync(join(path, '.granary/format.json'));
    for (const name of ['format.json', 'format.copy.json']) {
      damage(join(path, '.granary', name));
      const drive = await openDrive(path, arena);
      await drive.close(1000);
      expect(drive.format).toEqual(format);
      expect(readFileSync(join(path, '.granary', name)).equals(good)).toBe(true);
    }
    expect(readdirSync(join(path, '.granary')).sort()).toEqual(['format.copy.json', 'format.json', 'lock']);
  });

  it.each(damages)('both %s: the drive is refused and not touched', async (_, damage) => {
    const drive = await newDrive(path, arena);
    valueOf(await drive.log.createFile(0, 4096));
    await drive.close(1000);
    for (const name of ['format.json', 'format.copy.json']) damage(join(path, '.granary', name));
    const before = contents(path);
    await expectUnusable(/without its format|no good copy/);
    expect(contents(path)).toEqual(before);
  });

  it('cannot be read: a folder in place of one is a damaged copy', async () => {
    await formatAndClose();
    rmSync(join(path, '.granary/format.json'));
    mkdirSync(join(path, '.granary/format.json'));
    const found = await probe();
    expect(found.kind).toBe('unusable');
    rmSync(join(path, '.granary/format.json'), { recursive: true });
    await (await openDrive(path, arena)).close(1000);
  });

  it('differ after a crash: the first is the newer one', async () => {
    const format = await formatAndClose();
    const newer = { ...format, parity: 0, sets: [[format.driveId, randomUUID()]] };
    writeFileSync(join(path, '.granary/format.json'), encodeFormat(newer));
    const drive = await openDrive(path, arena);
    await drive.close(1000);
    expect(drive.format).toEqual(newer);
    expect(readFileSync(join(path, '.granary/format.copy.json')).equals(encodeFormat(newer))).toBe(true);
  });

  it('of a later version say what to do', async () => {
    const format = await formatAndClose();
    writeBothCopies(encodeFormat({ ...format, version: 4 }));
    const before = contents(path);
    await expectUnusable(/version 4.*use a newer Granary/);
    expect(contents(path)).toEqual(before);
  });

  it.each([
    ['hashKey', { hashKey: 'zz' }],
    ['driveId', { driveId: '../../etc' }],
    ['position', { position: -1 }],
    ['sets', { sets: [] }],
    ['its own drive', { position: 1 }],
    ['no shard for data', { parity: 1 }],
  ])('with a wrong %s are damaged, though their checksum is right', (what, wrong) => {
    const parsed = parseFormat(encodeFormat({ ...newFormat(), ...wrong }));
    expect(parsed).toMatchObject({ kind: 'damaged', what: expect.stringContaining(what) });
  });

  it('hold as many drives as the file may be long', () => {
    const { setDrivesMax, setsMax } = limits;
    const sets = Array.from({ length: setsMax }, () => Array.from({ length: setDrivesMax }, () => randomUUID()));
    const pools = sets.map(() => 1);
    const bytes = encodeFormat(newFormat({ version: 2, driveId: sets[0]?.[0] ?? '', sets, pools, parity: 4 }));
    expect(bytes.length).toBeLessThan(limits.formatFileBytesMax);
    expect(parseFormat(bytes).kind).toBe('good');
  });
});

describe('a drive', () => {
  it('has one server at a time in this process', async () => {
    const drive = await newDrive(path, arena);
    const found = await probe();
    expect(found).toMatchObject({
      kind: 'unusable',
      isLocked: true,
      reason: expect.stringContaining(`${process.pid}`),
    });
    await drive.close(1000);
    await (await openDrive(path, arena)).close(1000);
  });

  it('has one server at a time among processes', async () => {
    await formatAndClose();
    const holder = spawn('flock', ['-F', join(path, '.granary/lock'), 'sh', '-c', 'echo held; exec sleep 60'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    try {
      await firstOutput(holder);
      expect(await probe()).toMatchObject({ kind: 'unusable', isLocked: true });
    } finally {
      holder.kill('SIGKILL');
      await new Promise((resolve) => holder.once('exit', resolve));
    }
    await (await openDrive(path, arena)).close(1000);
  });

  it('that was a mount point and is not now is not touched', async () => {
    const format = await formatAndClose();
    writeBothCopies(encodeFormat({ ...format, wasMountPoint: true }));
    const before = contents(path);
    await expectUnusable('is the disk mounted?');
    expect(contents(path)).toEqual(before);
  });

  it('that lost its log or blobs folder is refused', async () => {
    await formatAndClose();
    for (const name of ['log', 'blobs']) {
      rmSync(join(path, name), { recursive: true });
      await expectUnusable(`lost its ${name} folder`);
      writeFileSync(join(path, name), 'a file in its place');
      await expectUnusable(`lost its ${name} folder`);
      rmSync(join(path, name));
      mkdirSync(join(path, name));
    }
    await (await openDrive(path, arena)).close(1000);
    expect(readdirSync(join(path, 'blobs'))).toHaveLength(256);
  });

  it('that cannot be written is found by writing', async () => {
    await formatAndClose();
    mkdirSync(join(path, '.granary/write-test'));
    await expectUnusable('write-test');
    rmSync(join(path, '.granary/write-test'), { recursive: true });
    await (await openDrive(path, arena)).close(1000);
  });

  it('without permission says so', async () => {
    await formatAndClose();
    // Permission bits do not bind root.
    const isRoot = process.geteuid?.() === 0;
    chmodSync(path, 0o000);
    if (isRoot) process.seteuid?.(65534);
    try {
      await expectUnusable('no permission');
    } finally {
      if (isRoot) process.seteuid?.(0);
      chmodSync(path, 0o700);
    }
  });

  it('leaves no descriptor and no thread of its probes', async () => {
    await formatAndClose();
    const rounds = async (count: number) => {
      for (let round = 0; round < count; round++) {
        await (await openDrive(path, arena)).close(1000);
        await probe(join(path, 'nothing'));
      }
    };
    // Threads of the runtime itself begin with the first work that is for them.
    await rounds(1);
    const before = openDescriptors();
    const threads = () => readdirSync('/proc/self/task').length;
    const threadsBefore = threads();
    await rounds(8);
    expect(openDescriptors()).toBe(before);
    // A thread that has ended leaves the list a moment after whoever waited for it goes on. Eight may not stay.
    await expect.poll(threads, { timeout: 5000 }).toBeLessThan(threadsBefore + 4);
  });
});

function firstOutput(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    child.stdout?.once('data', () => resolve());
    child.once('exit', (code) => reject(new Error(`the lock holder ended with ${code}`)));
  });
}

function mount(args: string[], target: string): void {
  const done = spawnSync('mount', [...args, target], { encoding: 'utf8' });
  if (done.status !== 0) throw new Error(`mount ${args.join(' ')}: ${done.stderr}`);
}

function unmount(target: string): void {
  spawnSync('umount', [target], { stdio: 'ignore' });
}

/** Only root may mount, and not in every container. */
function canMount(): boolean {
  const { path: target, remove } = temporaryFolder();
  try {
    mount(['-t', 'tmpfs', 'tmpfs'], target);
    unmount(target);
    return true;
  } catch {
    return false;
  } finally {
    remove();
  }
}

describe.runIf(canMount())('a mounted file system', () => {
  it('is told as a mount point, and its absence afterwards too', async () => {
    mount(['-t', 'tmpfs', '-o', 'size=16m', 'tmpfs'], path);
    try {
      expect(await probe()).toEqual({
        kind: 'empty',
        path,
        folderId: await folderIdAt(path, { arena }),
        isMountPoint: true,
      });
      expect((await formatAndClose()).wasMountPoint).toBe(true);
      for (const name of ['format.json', 'format.copy.json']) {
        copyFileSync(join(path, '.granary', name), join(`${path}.${name}`));
      }
      await (await openDrive(path, arena)).close(1000);
    } finally {
      unmount(path);
    }
    try {
      expect(await probe()).toMatchObject({ kind: 'empty', isMountPoint: false });
      mkdirSync(join(path, '.granary'));
      for (const name of ['format.json', 'format.copy.json']) {
        copyFileSync(`${path}.${name}`, join(path, '.granary', name));
      }
      await expectUnusable('is the disk mounted?');
    } finally {
      for (const name of ['format.json', 'format.copy.json']) rmSync(`${path}.${name}`);
    }
  });

  it('that is read-only is unusable, with that reason', async () => {
    await formatAndClose();
    mount(['--bind', path], path);
    try {
      spawnSync('mount', ['-o', 'remount,ro,bind', path], { stdio: 'ignore' });
      await expectUnusable('read-only file system');
    } finally {
      unmount(path);
    }
  });

  it.each(['format.json', 'format.copy.json'])(
    'that is full takes a new format, also with a damaged %s',
    async (name) => {
      mount(['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs'], path);
      try {
        const drive = await newDrive(path, arena);
        for (const bytes of ['64k', '4k']) {
          const filler = `of=${join(path, `filler-${bytes}`)}`;
          spawnSync('dd', ['if=/dev/zero', filler, `bs=${bytes}`], { stdio: 'ignore' });
        }
        const bad = join(path, '.granary', name);
        const bytes = readFileSync(bad);
        bytes[20] = 0;
        writeFileSync(bad, bytes, { flag: 'r+' });
        const { format } = drive;
        const sets = [...format.sets, [randomUUID()]];
        const told = { ...format, version: 2, sets, pools: [1, 1] };
        await rewriteFormat(drive, told, { arena });
        await drive.close(1000);
        for (const copy of ['format.json', 'format.copy.json']) {
          expect(parseFormat(readFileSync(join(path, '.granary', copy)))).toEqual({ kind: 'good', format: told });
        }
      } finally {
        unmount(path);
      }
    },
  );

  it('that is full is still usable, and says full', async () => {
    mount(['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs'], path);
    try {
      let drive = await newDrive(path, arena);
      const answer = await drive.log.createFile(0, 8 * 1024 * 1024);
      expect(answer.ok ? null : answer.fault.kind).toBe('full');
      expect(readdirSync(join(path, 'log'))).toEqual([]);
      spawnSync('dd', ['if=/dev/zero', `of=${join(path, 'filler')}`, 'bs=64k'], { stdio: 'ignore' });
      await drive.close(1000);
      drive = await openDrive(path, arena);
      const blob = { handle: null, fileOffset: 0, segments: Float64Array.of(0, 8192), sync: true, close: true };
      const refused = await drive.blobs.write('ab', blob);
      expect(refused.ok ? null : refused.fault.kind).toBe('full');
      await drive.close(1000);
    } finally {
      unmount(path);
    }
  });
});
