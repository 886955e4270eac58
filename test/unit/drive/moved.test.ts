/** Folders that are renamed and exchanged while their drives are open: a drive stays in the one that it was opened in. */
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MiB } from '../../../src/base/index.js';
import type { Drive } from '../../../src/drive/index.js';
import { blobFileName, folderIdAt, logFileName, probeDrive, rewriteFormat } from '../../../src/drive/index.js';
import { TestArena, newDrive, openDescriptors, temporaryFolder, valueOf } from './support.js';

const memory = new TestArena();
const look = 'look at .granary/format.json';
let folder: ReturnType<typeof temporaryFolder>;
let one = '';
let two = '';
let drive: Drive;
let other: Drive;

beforeEach(async () => {
  folder = temporaryFolder();
  one = join(folder.path, 'one');
  two = join(folder.path, 'two');
  for (const path of [one, two]) mkdirSync(path);
  drive = await newDrive(one, memory.arena);
  other = await newDrive(two, memory.arena);
});

afterEach(async () => {
  await drive.close(1000);
  await other.close(1000);
  folder.remove();
});

function exchange(): void {
  renameSync(one, `${one}.aside`);
  renameSync(two, one);
  renameSync(`${one}.aside`, two);
}

async function writeBlob(to: Drive, name: string): Promise<Buffer> {
  const data = memory.fill(0, 5000);
  const segments = Float64Array.of(0, 5000);
  valueOf(await to.blobs.write(name, { handle: null, fileOffset: 0, segments, sync: true, close: true }));
  return data;
}

describe('a look at a drive', () => {
  it('finds it where it was opened', async () => {
    expect(await drive.check()).toEqual({ ok: true, value: undefined });
  });

  it('tells that the folder has gone', async () => {
    renameSync(one, `${one}.aside`);
    expect(await drive.check()).toMatchObject({ ok: false, fault: { kind: 'missing', drive: one, operation: look } });
    renameSync(`${one}.aside`, one);
    expect((await drive.check()).ok).toBe(true);
    rmSync(one, { recursive: true });
    expect(await drive.check()).toMatchObject({ ok: false, fault: { kind: 'missing' } });
    // The number of a folder that is held open is not given to another.
    mkdirSync(join(one, '.granary'), { recursive: true });
    expect(await drive.check()).toMatchObject({ ok: false, fault: { kind: 'missing' } });
  });

  it('tells that another folder is in its place, be it a drive or not', async () => {
    exchange();
    for (const [opened, path] of [
      [drive, one],
      [other, two],
    ] as const) {
      const operation = `${look}: another folder is in its place`;
      expect(await opened.check()).toEqual({ ok: false, fault: { kind: 'missing', drive: path, operation, errno: 0 } });
    }
    exchange();
    expect((await drive.check()).ok).toBe(true);
    renameSync(one, `${one}.aside`);
    mkdirSync(one);
    expect(await drive.check()).toMatchObject({
      ok: false,
      fault: { operation: expect.stringContaining('another folder') },
    });
  });

  it('tells that the format file has gone', async () => {
    rmSync(join(one, '.granary/format.json'));
    expect(await drive.check()).toMatchObject({ ok: false, fault: { kind: 'missing', operation: look } });
    expect(await folderIdAt(one, { arena: memory.arena })).toBe(drive.folderId);
  });
});

describe('a drive whose folder was exchanged for another', () => {
  it('goes on in its own', async () => {
    valueOf(await drive.log.createFile(0, 1 * MiB));
    valueOf(await other.log.createFile(0, 1 * MiB));
    exchange();
    const blob = await writeBlob(drive, 'ab.1');
    expect(readFileSync(join(two, blobFileName('ab.1'))).equals(blob)).toBe(true);
    expect(existsSync(join(one, blobFileName('ab.1')))).toBe(false);
    // Files that are opened only now, or made, lie there as well.
    const line = memory.fill(0, 100);
    valueOf(await drive.log.write(0, 0, Float64Array.of(0, 100)));
    expect(
      readFileSync(join(two, logFileName(0)))
        .subarray(0, 100)
        .equals(line),
    ).toBe(true);
    valueOf(await drive.log.createFile(1, 4096));
    expect(existsSync(join(two, logFileName(1)))).toBe(true);
    expect(valueOf(await other.log.listFiles()).map(({ fileNumber }) => fileNumber)).toEqual([0]);
    valueOf(await drive.blobs.rename('ab.1', 'cd.1'));
    const names: string[] = [];
    for await (const name of drive.blobs.list()) names.push(valueOf(name));
    expect(names).toEqual(['cd.1']);
    expect((await other.blobs.open('cd.1')).ok).toBe(false);
    expect((await drive.space()).ok).toBe(true);
  });

  it('is found by its id, keeps its lock, and names the new path', async () => {
    exchange();
    expect(await folderIdAt(two, { arena: memory.arena })).toBe(drive.folderId);
    expect(await folderIdAt(one, { arena: memory.arena })).toBe(other.folderId);
    expect(await folderIdAt(join(folder.path, 'none'), { arena: memory.arena })).toBeNull();
    drive.seenAt(two);
    expect(drive.path).toBe(two);
    expect((await drive.check()).ok).toBe(true);
    const missing = await drive.log.read(7, 0, Float64Array.of(0, 1));
    expect(missing).toMatchObject({ ok: false, fault: { drive: two } });
    const probe = await probeDrive(two, { arena: memory.arena, createFolder: false });
    expect(probe).toMatchObject({ kind: 'unusable', isLocked: true });
  });

  it('is not told the format of another', async () => {
    exchange();
    const before = readFileSync(join(one, '.granary/format.json'));
    await expect(rewriteFormat(drive, drive.format, { arena: memory.arena })).rejects.toThrow(/is not the folder/);
    expect(readFileSync(join(one, '.granary/format.json')).equals(before)).toBe(true);
  });
});

describe('a drive that is away', () => {
  it('answers nothing but where it is, until it is seen again', async () => {
    valueOf(await drive.log.createFile(0, 4096));
    await writeBlob(drive, 'ab.1');
    const handle = valueOf(await drive.blobs.open('ab.1'));
    drive.seenAt(null);
    expect([drive.isAway, drive.path]).toEqual([true, one]);
    const segments = Float64Array.of(0, 10);
    const write = { handle, fileOffset: 0, segments, sync: true, close: true };
    for (const answer of [
      await drive.log.listFiles(),
      await drive.log.read(0, 0, segments),
      await drive.log.write(0, 0, segments),
      await drive.log.createFile(1, 4096),
      await drive.blobs.open('ab.1'),
      await drive.blobs.read(handle, 0, segments),
      await drive.blobs.write('ab.1', write),
      await drive.space(),
    ]) {
      expect(answer).toMatchObject({ ok: false, fault: { kind: 'missing', drive: one } });
    }
    expect(drive.blobs.openNow('ab.1')).toBeNull();
    expect((await drive.check()).ok).toBe(true);
    drive.seenAt(one);
    expect(drive.isAway).toBe(false);
    drive.blobs.close(valueOf(await drive.blobs.open('ab.1')));
  });

  it('gives all its descriptors back', async () => {
    await drive.close(1000);
    const before = openDescriptors();
    const probe = await probeDrive(one, { arena: memory.arena, createFolder: false });
    if (probe.kind !== 'ready') throw new Error('expected a drive');
    drive = probe.drive;
    const handle = valueOf(await drive.blobs.open((await writeBlob(drive, 'ab.1')) && 'ab.1'));
    drive.seenAt(null);
    const write = { handle, fileOffset: 0, segments: Float64Array.of(0, 10), sync: true, close: true };
    expect((await drive.blobs.write('ab.1', write)).ok).toBe(false);
    await drive.close(1000);
    await expect.poll(openDescriptors).toBe(before);
  });
});
