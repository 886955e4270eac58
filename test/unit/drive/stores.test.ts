import {
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { KiB, MiB, limits } from '../../../src/base/index.js';
import { formatDrive, type BlobHandle, type Drive } from '../../../src/drive/index.js';
import { TestArena, newDrive, newFormat, openDescriptors, openDrive, temporaryFolder, valueOf } from './support.js';

const memory = new TestArena();
let folder: ReturnType<typeof temporaryFolder>;
let drive: Drive;

beforeEach(async () => {
  folder = temporaryFolder();
  drive = await newDrive(folder.path, memory.arena);
});

afterEach(async () => {
  await drive.close(1000);
  folder.remove();
});

function handleOf(handle: BlobHandle | null): BlobHandle {
  if (handle === null) throw new Error('expected an open handle');
  return handle;
}

it('opens no more blobs at a time than it may', async () => {
  const other = temporaryFolder();
  const descriptors = { logFilesMax: 8, blobsMax: 1 };
  const few = await formatDrive(other.path, newFormat(), { arena: memory.arena, callMsMax: 200, descriptors });
  try {
    const write = { handle: null, fileOffset: 0, segments: Float64Array.of(0, 4096), sync: false };
    const first = handleOf(valueOf(await few.blobs.write('aa', { ...write, close: false })));
    const starved = { ok: false, fault: { kind: 'starved' } };
    expect(await few.blobs.write('bb', { ...write, close: true })).toMatchObject(starved);
    expect(await few.blobs.open('aa')).toMatchObject(starved);
    expect(few.blobs.openNow('aa')).toBeNull();
    const waiting = few.blobs.write('bb', { ...write, close: true });
    few.blobs.close(first);
    expect(valueOf(await waiting)).toBeNull();
    // Given back by each way to an end, failures included.
    expect((await few.blobs.open('dd')).ok).toBe(false);
    const ended = handleOf(valueOf(await few.blobs.write('cc', { ...write, close: false })));
    valueOf(await few.blobs.write('cc', { ...write, handle: ended, sync: true, close: true }));
    few.blobs.close(valueOf(await few.blobs.open('cc')));
    expect((await few.blobs.write('cc', { ...write, close: true })).ok).toBe(false);
    few.blobs.close(valueOf(await few.blobs.open('bb')));
  } finally {
    await few.close(1000);
    other.remove();
  }
});

/** One on the disk as well: what a page cache answers, and what a sync costs, differ from memory. */
it('works on a disk as it does in memory', async () => {
  const onDisk = temporaryFolder(tmpdir());
  try {
    const other = await newDrive(onDisk.path, memory.arena);
    valueOf(await other.log.createFile(0, 1 * MiB));
    const data = memory.fill(0, 300_000);
    valueOf(await other.log.write(0, 4096, Float64Array.of(0, 300_000)));
    expect(valueOf(await other.log.read(0, 4096, Float64Array.of(2 * MiB, 300_000)))).toBe(300_000);
    expect(other.log.readNow(0, 4096, 1 * MiB, 300_000)).toBe(300_000);
    expect(memory.copy(1 * MiB, 300_000).equals(data)).toBe(true);
    // Whole pages go past the page cache, and what it held of them is not read any more.
    const later = memory.fill(400_001, 8192);
    valueOf(await other.log.write(0, 8192, Float64Array.of(400_001, 8192)));
    expect(valueOf(await other.log.read(0, 8192, Float64Array.of(2 * MiB, 8192)))).toBe(8192);
    expect(memory.copy(2 * MiB, 8192).equals(later)).toBe(true);
    const segments = Float64Array.of(0, 300_000);
    valueOf(await other.blobs.write('ab', { handle: null, fileOffset: 4096, segments, sync: true, close: true }));
    const handle = valueOf(await other.blobs.open('ab'));
    expect(valueOf(await other.blobs.read(handle, 4096, Float64Array.of(2 * MiB, 300_000)))).toBe(300_000);
    expect(memory.copy(2 * MiB, 300_000).equals(data)).toBe(true);
    await other.close(1000);
    await (await openDrive(onDisk.path, memory.arena)).close(1000);
  } finally {
    onDisk.remove();
  }
});

describe('log files', () => {
  it('are made of zeroes, in full, and listed in order', async () => {
    for (const fileNumber of [12, 0, 3]) valueOf(await drive.log.createFile(fileNumber, 3 * MiB + 5));
    expect(valueOf(await drive.log.listFiles())).toEqual(
      [0, 3, 12].map((fileNumber) => ({ fileNumber, bytes: 3 * MiB + 5 })),
    );
    expect(readFileSync(join(folder.path, 'log/00000012.log')).equals(Buffer.alloc(3 * MiB + 5))).toBe(true);
  });

  it('are not made twice, and the first stays as it is', async () => {
    valueOf(await drive.log.createFile(1, 4096));
    const data = memory.fill(0, 100);
    valueOf(await drive.log.write(1, 10, Float64Array.of(0, 100)));
    const again = await drive.log.createFile(1, 8192);
    expect(again.ok ? null : again.fault.kind).toBe('io');
    expect(readFileSync(join(folder.path, 'log/00000001.log')).subarray(10, 110).equals(data)).toBe(true);
  });

  it('get back the length that they were cut from, with zeroes behind what is left of them', async () => {
    valueOf(await drive.log.createFile(1, 1 * MiB));
    const data = memory.fill(0, 8192);
    valueOf(await drive.log.write(1, 4096, Float64Array.of(0, 8192)));
    const path = join(folder.path, 'log/00000001.log');
    for (const from of [10_000, 8192, 3]) {
      truncateSync(path, from);
      valueOf(await drive.log.extendFile(1, from, 1 * MiB));
      const wanted = Buffer.alloc(1 * MiB);
      data.copy(wanted, 4096, 0, Math.max(0, from - 4096));
      expect(readFileSync(path).equals(wanted), `${from}`).toBe(true);
      expect(statSync(path).blocks * 512).toBeGreaterThanOrEqual(1 * MiB);
    }
    valueOf(await drive.log.write(1, 4096, Float64Array.of(0, 8192)));
    expect(readFileSync(path).subarray(4096, 12_288).equals(data)).toBe(true);
    const missing = await drive.log.extendFile(2, 4096, 8192);
    expect(missing.ok ? null : missing.fault.kind).toBe('missing');
    const huge = await drive.log.extendFile(1, 1 * MiB, 2 ** 50);
    expect(huge.ok ? null : huge.fault.kind).toBe('full');
  });

  it('are freed, at once or to become the next one, and nothing of the old bytes is in that', async () => {
    const names = (): string[] => readdirSync(join(folder.path, 'log')).sort();
    for (const fileNumber of [1, 2, 3, 4]) valueOf(await drive.log.createFile(fileNumber, 64 * KiB));
    memory.fill(0, 10_000);
    for (const fileNumber of [1, 2, 3, 4]) {
      valueOf(await drive.log.write(fileNumber, 0, Float64Array.of(0, 10_000)));
    }
    valueOf(await drive.log.freeFile(1, false));
    expect(names()).toEqual(['00000002.log', '00000003.log', '00000004.log']);
    // Only one is kept.
    valueOf(await drive.log.freeFile(2, true));
    valueOf(await drive.log.freeFile(3, true));
    expect(names()).toEqual(['00000004.log', 'freed']);
    expect(valueOf(await drive.log.listFiles())).toEqual([{ fileNumber: 4, bytes: 64 * KiB }]);
    const { ino } = statSync(join(folder.path, 'log/freed'));
    valueOf(await drive.log.createFile(5, 64 * KiB));
    expect(names()).toEqual(['00000004.log', '00000005.log']);
    expect(statSync(join(folder.path, 'log/00000005.log')).ino).toBe(ino);
    expect(readFileSync(join(folder.path, 'log/00000005.log')).equals(Buffer.alloc(64 * KiB))).toBe(true);
    expect(drive.log.readNow(3, 0, 1 * MiB, 4096)).toBe(-1);
    // One of another length is of no use.
    valueOf(await drive.log.freeFile(4, true));
    valueOf(await drive.log.createFile(6, 8 * KiB));
    expect(names()).toEqual(['00000005.log', '00000006.log']);
    expect(readFileSync(join(folder.path, 'log/00000006.log')).equals(Buffer.alloc(8 * KiB))).toBe(true);
    valueOf(await drive.log.freeFile(99, true));
  });

  it('read back what was written, across segments and after a restart', async () => {
    valueOf(await drive.log.createFile(7, 64 * KiB));
    const parts = [memory.fill(0, 1000), memory.fill(5000, 1), memory.fill(9999, 20_001)];
    valueOf(await drive.log.write(7, 4096, Float64Array.of(0, 1000, 5000, 1, 2, 0, 9999, 20_001)));
    await drive.close(1000);
    drive = await openDrive(folder.path, memory.arena);
    const read = await drive.log.read(7, 4096, Float64Array.of(1 * MiB, 7, 2 * MiB, 20_995));
    expect(valueOf(read)).toBe(21_002);
    const whole = Buffer.concat([memory.copy(1 * MiB, 7), memory.copy(2 * MiB, 20_995)]);
    expect(whole.equals(Buffer.concat(parts))).toBe(true);
  });

  it('answer fewer bytes at the end of the file, and none past it', async () => {
    valueOf(await drive.log.createFile(0, 1000));
    expect(valueOf(await drive.log.read(0, 900, Float64Array.of(0, 50, 4096, 500)))).toBe(100);
    expect(valueOf(await drive.log.read(0, 5000, Float64Array.of(0, 50)))).toBe(0);
  });

  it('read at once what the page cache holds, once they are open', async () => {
    valueOf(await drive.log.createFile(0, 8192));
    const data = memory.fill(0, 4096);
    valueOf(await drive.log.write(0, 4096, Float64Array.of(0, 4096)));
    expect(drive.log.readNow(0, 4096, 1 * MiB, 4096)).toBe(-1);
    expect(valueOf(await drive.log.read(0, 4096, Float64Array.of(1 * MiB, 4096)))).toBe(4096);
    expect(drive.log.readNow(0, 4096, 1 * MiB, 4096)).toBe(4096);
    expect(memory.copy(1 * MiB, 4096).equals(data)).toBe(true);
    expect(drive.log.readNow(0, 8000, 1 * MiB, 4096)).toBe(192);
    expect(drive.log.readNow(5, 0, 1 * MiB, 4096)).toBe(-1);
  });

  it('say that a file is missing', async () => {
    for (const answer of [
      await drive.log.read(9, 0, Float64Array.of(0, 10)),
      await drive.log.write(9, 0, Float64Array.of(0, 10)),
    ]) {
      expect(answer.ok ? null : answer.fault).toMatchObject({ kind: 'missing', drive: folder.path });
    }
  });

  it('notice that an open file was removed, and use the one that takes its place', async () => {
    valueOf(await drive.log.createFile(2, 4096));
    valueOf(await drive.log.write(2, 0, Float64Array.of(0, 10)));
    rmSync(join(folder.path, 'log/00000002.log'));
    const lost = await drive.log.write(2, 0, Float64Array.of(0, 10));
    expect(lost.ok ? null : lost.fault).toMatchObject({ kind: 'missing', operation: 'write log/00000002.log at 0' });
    writeFileSync(join(folder.path, 'log/00000002.log'), Buffer.alloc(4096));
    const data = memory.fill(0, 10);
    valueOf(await drive.log.write(2, 0, Float64Array.of(0, 10)));
    expect(readFileSync(join(folder.path, 'log/00000002.log')).subarray(0, 10).equals(data)).toBe(true);
  });

  it('take writes in the order of the calls, whether their file was open or not', async () => {
    for (const fileNumber of [0, 1]) valueOf(await drive.log.createFile(fileNumber, 4096));
    await drive.close(1000);
    drive = await openDrive(folder.path, memory.arena);
    const ended: number[] = [];
    await Promise.all(
      Array.from({ length: 40 }, async (_, index) => {
        valueOf(await drive.log.write(index % 2, 0, Float64Array.of(index, 1)));
        ended.push(index);
      }),
    );
    expect(ended).toEqual(Array.from({ length: 40 }, (_, index) => index));
  });

  it('keep a bounded number of descriptors', async () => {
    const before = openDescriptors();
    const fileCount = limits.logFilesOpenMax + 30;
    for (let fileNumber = 0; fileNumber < fileCount; fileNumber++) valueOf(await drive.log.createFile(fileNumber, 512));
    for (let round = 0; round < 3; round++) {
      await Promise.all(
        Array.from({ length: fileCount }, async (_, fileNumber) => {
          memory.view[fileNumber] = fileNumber & 255;
          valueOf(await drive.log.write(fileNumber, round, Float64Array.of(fileNumber, 1)));
          expect(valueOf(await drive.log.read(fileNumber, round, Float64Array.of(4096 + fileNumber, 1)))).toBe(1);
          expect(memory.view[4096 + fileNumber]).toBe(fileNumber & 255);
        }),
      );
    }
    // The last are closed by calls that nobody waits for.
    await expect.poll(() => openDescriptors() - before).toBeLessThanOrEqual(limits.logFilesOpenMax);
  });

  it('leave nothing behind when there is no room for them', async () => {
    mkdirSync(join(folder.path, 'log/00000004.log.new'));
    const answer = await drive.log.createFile(4, 4096);
    expect(answer.ok).toBe(false);
    expect(valueOf(await drive.log.listFiles())).toEqual([]);
  });

  it('are not listed while they are being made, and leftovers go at the next start', async () => {
    writeFileSync(join(folder.path, 'log/00000008.log.new'), 'half');
    writeFileSync(join(folder.path, 'log/note.txt'), 'mine');
    expect(valueOf(await drive.log.listFiles())).toEqual([]);
    await drive.close(1000);
    drive = await openDrive(folder.path, memory.arena);
    expect(readdirSync(join(folder.path, 'log'))).toEqual(['note.txt']);
  });
});

describe('blob files', () => {
  it('are opened at once when their names are known, once another open has shown that nobody is asked', async () => {
    const other = temporaryFolder('/dev/shm');
    const its = await newDrive(other.path, memory.arena);
    try {
      const data = memory.fill(0, 4096);
      for (const name of ['0a', '0b']) {
        const request = { handle: null, fileOffset: 0, segments: Float64Array.of(0, 4096), sync: true, close: true };
        expect(valueOf(await its.blobs.write(name, request))).toBeNull();
      }
      expect(its.blobs.openNow('0a')).toBeNull();
      its.blobs.close(valueOf(await its.blobs.open('0b')));
      const handle = handleOf(its.blobs.openNow('0a'));
      expect(its.blobs.readNow(handle, 0, 1 * MiB, 4096)).toBe(4096);
      expect(memory.copy(1 * MiB, 4096).equals(data)).toBe(true);
      its.blobs.close(handle);
      expect(its.blobs.openNow('0c')).toBeNull();
      await its.close(1000);
      expect(its.blobs.openNow('0a')).toBeNull();
    } finally {
      await its.close(1000);
      other.remove();
    }
  });

  it('are written in one call and read back', async () => {
    const data = memory.fill(100, 300_001);
    const request = { handle: null, fileOffset: 0, segments: Float64Array.of(100, 300_001), sync: true, close: true };
    expect(valueOf(await drive.blobs.write('0a1b.1', request))).toBeNull();
    const handle = valueOf(await drive.blobs.open('0a1b.1'));
    expect(valueOf(await drive.blobs.read(handle, 1, Float64Array.of(1 * MiB, 400_000)))).toBe(300_000);
    expect(memory.copy(1 * MiB, 300_000).equals(data.subarray(1))).toBe(true);
    expect(drive.blobs.readNow(handle, 0, 2 * MiB, 300_001)).toBe(300_001);
    expect(memory.copy(2 * MiB, 300_001).equals(data)).toBe(true);
    drive.blobs.close(handle);
  });

  it('are written piece by piece through a handle', async () => {
    const write = { sync: false, close: false };
    const data = [memory.fill(0, 1 * MiB), memory.fill(1 * MiB, 1 * MiB), memory.fill(2 * MiB, 17)];
    const first = { ...write, handle: null, fileOffset: 0, segments: Float64Array.of(0, 1 * MiB) };
    const handle = handleOf(valueOf(await drive.blobs.write('ff.12', first)));
    const second = { ...write, handle, fileOffset: 1 * MiB, segments: Float64Array.of(1 * MiB, 1 * MiB) };
    expect(valueOf(await drive.blobs.write('ff.12', second))).toBe(handle);
    const last = { handle, fileOffset: 2 * MiB, segments: Float64Array.of(2 * MiB, 17), sync: true, close: true };
    expect(valueOf(await drive.blobs.write('ff.12', last))).toBeNull();
    const names: string[] = [];
    for await (const name of drive.blobs.list()) names.push(valueOf(name));
    expect(names).toEqual(['ff.12']);
    const found = readdirSync(join(folder.path, 'blobs'), { recursive: true }).map(String);
    const path = found.find((name) => name.endsWith('ff.12')) ?? '';
    expect(readFileSync(join(folder.path, 'blobs', path)).equals(Buffer.concat(data))).toBe(true);
  });

  it('exist already or not at all: neither is overwritten or invented', async () => {
    const request = { handle: null, fileOffset: 0, segments: Float64Array.of(0, 5), sync: false, close: true };
    valueOf(await drive.blobs.write('aa', request));
    const again = await drive.blobs.write('aa', request);
    expect(again.ok ? null : again.fault.kind).toBe('io');
    const absent = await drive.blobs.open('bb');
    expect(absent.ok ? null : absent.fault).toMatchObject({
      kind: 'missing',
      operation: expect.stringContaining('bb'),
    });
  });

  it('go away, and being away already is success', async () => {
    const request = { handle: null, fileOffset: 0, segments: Float64Array.of(0, 5), sync: false, close: true };
    valueOf(await drive.blobs.write('aa', request));
    valueOf(await drive.blobs.unlink('aa'));
    valueOf(await drive.blobs.unlink('aa'));
    expect((await drive.blobs.open('aa')).ok).toBe(false);
  });

  it('say that their folder is gone', async () => {
    renameSync(join(folder.path, 'blobs'), join(folder.path, 'elsewhere'));
    const request = { handle: null, fileOffset: 0, segments: Float64Array.of(0, 5), sync: true, close: true };
    const answer = await drive.blobs.write('aa', request);
    expect(answer.ok ? null : answer.fault.kind).toBe('missing');
    const faults: string[] = [];
    for await (const name of drive.blobs.list()) faults.push(name.ok ? 'found' : name.fault.kind);
    expect(new Set(faults)).toEqual(new Set(['missing']));
  });

  it.each(['', '.', '..', '../x', 'a/b', 'A', 'g', '.a', 'a\0', 'a'.repeat(129)])(
    'refuse the name %j',
    async (name) => {
      await expect(drive.blobs.open(name)).rejects.toThrow('a blob name');
      await expect(drive.blobs.unlink(name)).rejects.toThrow('a blob name');
      expect(existsSync(join(folder.path, 'x'))).toBe(false);
    },
  );

  it('keep their descriptor until the last call that uses it has ended', async () => {
    const data = memory.fill(0, 4 * MiB);
    const request = { handle: null, fileOffset: 0, segments: Float64Array.of(0, 4 * MiB), sync: false, close: true };
    valueOf(await drive.blobs.write('cc', request));
    const handle = valueOf(await drive.blobs.open('cc'));
    const reads = Array.from({ length: 8 }, (_, index) =>
      drive.blobs.read(handle, index * 1000, Float64Array.of((4 + index) * MiB, 1 * MiB)),
    );
    drive.blobs.close(handle);
    // A descriptor opened now would take the number of one that was closed too early.
    const other = valueOf(await drive.blobs.open('cc'));
    for (const [index, read] of reads.entries()) {
      expect(valueOf(await read)).toBe(1 * MiB);
      const expected = data.subarray(index * 1000, index * 1000 + 1 * MiB);
      expect(memory.copy((4 + index) * MiB, 1 * MiB).equals(expected)).toBe(true);
    }
    drive.blobs.close(other);
    await expect(drive.blobs.read(handle, 0, Float64Array.of(0, 1))).rejects.toThrow('a blob handle');
  });

  it('survive thousands of calls at once, with every byte in place and no descriptor left', async () => {
    const before = openDescriptors();
    const count = 3000;
    const bytes = 1500;
    const data = memory.fill(0, count * bytes);
    const names = Array.from({ length: count }, (_, index) => index.toString(16).padStart(8, '0'));
    await Promise.all(
      names.map(async (name, index) => {
        const segments = Float64Array.of(index * bytes, 500, index * bytes + 500, 1000);
        valueOf(await drive.blobs.write(name, { handle: null, fileOffset: 0, segments, sync: false, close: true }));
      }),
    );
    await Promise.all(
      names.slice(0, 500).map(async (name, index) => {
        const handle = valueOf(await drive.blobs.open(name));
        const at = 8 * MiB + index * bytes;
        expect(valueOf(await drive.blobs.read(handle, 0, Float64Array.of(at, bytes)))).toBe(bytes);
        drive.blobs.close(handle);
        expect(memory.copy(at, bytes).equals(data.subarray(index * bytes, (index + 1) * bytes))).toBe(true);
      }),
    );
    const listed = new Set<string>();
    for await (const name of drive.blobs.list()) listed.add(valueOf(name));
    expect(listed).toEqual(new Set(names));
    await Promise.all(names.map((name) => drive.blobs.unlink(name)));
    valueOf(await drive.space());
    await expect.poll(openDescriptors).toBe(before);
  });
});

describe('a drive', () => {
  it('tells the space of its file system', async () => {
    const space = valueOf(await drive.space());
    expect(space.totalBytes).toBeGreaterThan(space.freeBytes);
    expect(space.freeBytes).toBeGreaterThan(0);
  });

  it('gives everything back when it is closed, open handles and log files too', async () => {
    await drive.close(1000);
    const before = openDescriptors();
    drive = await openDrive(folder.path, memory.arena);
    valueOf(await drive.log.createFile(1, 512));
    const request = { handle: null, fileOffset: 0, segments: Float64Array.of(0, 5), sync: false, close: false };
    handleOf(valueOf(await drive.blobs.write('ab', request)));
    expect(openDescriptors()).toBeGreaterThan(before);
    await drive.close(1000);
    await drive.close(1000);
    expect(openDescriptors()).toBe(before);
    const late = await drive.log.write(1, 0, Float64Array.of(0, 5));
    expect(late.ok ? null : late.fault.kind).toBe('slow');
  });

  it('that was let go answers those who still have files of it as one that does not answer', async () => {
    const begin = { handle: null, fileOffset: 0, segments: Float64Array.of(0, 5), sync: false, close: false };
    const written = handleOf(valueOf(await drive.blobs.write('ab', begin)));
    const read = valueOf(await drive.blobs.open('ab'));
    const before = openDescriptors();
    await drive.close(1000);
    const closed = openDescriptors();
    expect(closed).toBeLessThan(before);
    const segments = Float64Array.of(0, 5);
    const answers = await Promise.all([
      drive.blobs.write('ab', { ...begin, handle: written, close: true }),
      drive.blobs.write('cd', begin),
      drive.blobs.read(read, 0, segments),
      drive.blobs.readChecked(read, 0, new Float64Array(8)),
      drive.blobs.open('ab'),
    ]);
    expect(answers.map((answer) => (answer.ok ? null : answer.fault.kind))).toEqual(Array(5).fill('slow'));
    expect(drive.blobs.readNow(read, 0, 0, 5)).toBe(-1);
    expect(drive.blobs.readCheckedNow(read, 0, new Float64Array(8))).toBe(false);
    drive.blobs.close(written);
    drive.blobs.close(read);
    expect(openDescriptors()).toBe(closed);
  });
});
