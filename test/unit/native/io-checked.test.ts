import { randomBytes } from 'node:crypto';
import {
  closeSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MiB } from '../../../src/base/index.js';
import { IoFlag, IoKind, io, kernels, type IoQueue } from '../../../src/native/index.js';

const block = 4096;
const arena = new SharedArrayBuffer(8 * MiB);
const view = Buffer.from(arena);
const hashesAt = 6 * MiB;
let folder: string;
let queue: IoQueue;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'granary-checked-'));
  queue = io.createIoQueue(arena, 'checked', 1, 100);
});

afterAll(async () => {
  await queue.close(1000);
  rmSync(folder, { recursive: true });
});

/** Rows of `verifyBlocks` for pieces that follow each other in a file, 40 blocks of hashes apart. */
function rows(lengths: readonly number[]): number[] {
  let at = 0;
  return lengths.flatMap((bytes, index) => {
    const row = [at, bytes, hashesAt + index * 40 * 32, block, 11, 22, index, 100 * index];
    at += bytes;
    return row;
  });
}

const lengths = [32 * block, 1, 9 * block + 17, 0, 8 * block];
const total = lengths.reduce((sum, bytes) => sum + bytes, 0);

/** A file of random bytes whose hashes lie in the arena; the data there is wiped. */
function written(name: string): { path: string; data: Buffer } {
  const data = randomBytes(total);
  data.copy(view);
  kernels.attachArena(arena);
  kernels.setHashKey(Buffer.alloc(32, 7));
  kernels.hashBlocks(Float64Array.from(rows(lengths)));
  view.fill(0, 0, total);
  const path = join(folder, name);
  writeFileSync(path, data);
  return { path, data };
}

const read = (path: string, checks: readonly number[]) =>
  queue.submit({ kind: IoKind.read, path, fileOffset: 0, checks: Float64Array.from(checks), flags: IoFlag.close });

describe('a checked read', () => {
  it('reads all pieces and finds them sound', async () => {
    const { path, data } = written('sound');
    expect(await read(path, rows(lengths))).toEqual({ errno: 0, bytes: total, fd: -1, values: [0, 0] });
    expect(view.subarray(0, total).equals(data)).toBe(true);
  });

  it('counts the pieces with a wrong byte, wherever it is', async () => {
    const { path, data } = written('wrong');
    for (const at of [0, 31 * block + 5, 32 * block, 33 * block, total - 1]) {
      const damaged = Buffer.from(data);
      damaged[at] = (damaged[at] ?? 0) ^ 1;
      writeFileSync(path, damaged);
      expect((await read(path, rows(lengths))).values, `byte ${at}`).toEqual([1, 0]);
    }
    const damaged = Buffer.from(data);
    for (const at of [3, 32 * block]) damaged[at] = (damaged[at] ?? 0) ^ 0x80;
    writeFileSync(path, damaged);
    expect((await read(path, rows(lengths))).values).toEqual([2, 0]);
  });

  it('takes a block from another place for wrong', async () => {
    const { path } = written('misplaced');
    const moved = rows(lengths);
    moved[6] = 1;
    expect((await read(path, moved)).values).toEqual([1, 0]);
    const shifted = rows(lengths);
    shifted[7] = 1;
    expect((await read(path, shifted)).values).toEqual([1, 0]);
  });

  it('answers fewer bytes at the end of the file', async () => {
    const { path } = written('short');
    truncateSync(path, 3 * block);
    expect(await read(path, rows(lengths))).toMatchObject({ errno: 0, bytes: 3 * block });
  });

  it('is refused outside the arena, with odd numbers, beside segments and for a write', () => {
    const { path } = written('refused');
    const bad: number[][] = [
      [8 * MiB - 1, 2, hashesAt, block, 0, 0, 0, 0],
      [0, block, 8 * MiB - 31, block, 0, 0, 0, 0],
      [0, block, hashesAt, 0, 0, 0, 0, 0],
      [0, 0.5, hashesAt, block, 0, 0, 0, 0],
      [0, block, hashesAt, block, -1, 0, 0, 0],
      [0, Number.NaN, hashesAt, block, 0, 0, 0, 0],
      [0, block, hashesAt],
      [],
    ];
    for (const checks of bad) expect(() => read(path, checks), String(checks)).toThrow(RangeError);
    const checks = Float64Array.from(rows(lengths));
    expect(() => queue.submit({ kind: IoKind.write, path, checks })).toThrow(RangeError);
    const segments = Float64Array.of(0, 1);
    expect(() => queue.submit({ kind: IoKind.read, path, checks, segments })).toThrow(RangeError);
  });
});

describe('an open on the calling thread', () => {
  it('does not wait where another open says so: in memory, but not where somebody is behind the files', async () => {
    for (const [path, expected] of [
      ['/dev/shm', 1],
      ['/proc/self/status', 0],
    ] as const) {
      const { fd, values } = await queue.submit({ kind: IoKind.open, path });
      expect(values, path).toEqual([expected, 0]);
      closeSync(fd);
    }
  });

  it('gives a descriptor of a file whose name is in memory', () => {
    const { path, data } = written('open-now');
    const fd = queue.openNow(path);
    try {
      // By a file system that cannot tell, or a kernel before 5.12, nothing would be opened.
      expect(fd).toBeGreaterThan(2);
      expect(readFileSync(fd).equals(data)).toBe(true);
      expect(() => writeSync(fd, 'x')).toThrow('EBADF');
    } finally {
      closeSync(fd);
    }
  });

  it('gives none of what is not there, or without a queue, and refuses what is no path', async () => {
    const { path } = written('open-never');
    expect(queue.openNow(`${path}-not`)).toBe(-1);
    expect(queue.openNow(`${path}/below`)).toBe(-1);
    for (const bad of ['', 'a\0b', 'x'.repeat(5000), 7, null]) {
      expect(() => queue.openNow(bad as string), String(bad).slice(0, 9)).toThrow(RangeError);
    }
    const closed = io.createIoQueue(arena, 'closed', 1, 1);
    await closed.close(100);
    expect(closed.openNow(path)).toBe(-1);
  });
});

describe('a checked read on the calling thread', () => {
  const readNow = (path: string, checks: readonly number[], fileOffset = 0): boolean => {
    const fd = openSync(path, 'r');
    try {
      return queue.readCheckedNow(fd, fileOffset, Float64Array.from(checks));
    } finally {
      closeSync(fd);
    }
  };

  it('is true when all pieces are there and sound', () => {
    const { path, data } = written('now');
    expect(readNow(path, rows(lengths))).toBe(true);
    expect(view.subarray(0, total).equals(data)).toBe(true);
    view.fill(0, 0, total);
    // Only the pieces behind the first.
    const [first = 0] = lengths;
    expect(readNow(path, rows(lengths).slice(8), first)).toBe(true);
    expect(view.subarray(first, total).equals(data.subarray(first))).toBe(true);
  });

  it('is false for a wrong byte, a wrong place and a short file', () => {
    const { path, data } = written('now-wrong');
    for (const at of [0, 31 * block + 5, 32 * block, 33 * block, total - 1]) {
      const damaged = Buffer.from(data);
      damaged[at] = (damaged[at] ?? 0) ^ 1;
      writeFileSync(path, damaged);
      expect(readNow(path, rows(lengths)), `byte ${at}`).toBe(false);
    }
    writeFileSync(path, data);
    const moved = rows(lengths);
    moved[6] = 1;
    expect(readNow(path, moved)).toBe(false);
    expect(readNow(path, rows(lengths), 1)).toBe(false);
    expect(readNow(path, rows(lengths))).toBe(true);
    truncateSync(path, total - 1);
    expect(readNow(path, rows(lengths))).toBe(false);
  });

  it('is false without a file or a queue, and refuses what the other refuses', async () => {
    const checks = Float64Array.from(rows(lengths));
    expect(queue.readCheckedNow(60_000, 0, checks)).toBe(false);
    const { path } = written('now-refused');
    for (const bad of [
      [8 * MiB - 1, 2, hashesAt, block, 0, 0, 0, 0],
      [0, block, 8 * MiB - 31, block, 0, 0, 0, 0],
      [0, block, hashesAt, 0, 0, 0, 0, 0],
      [0, block, hashesAt],
      [],
    ]) {
      expect(() => readNow(path, bad), String(bad)).toThrow(RangeError);
    }
    expect(() => queue.readCheckedNow(-1, 0, checks)).toThrow(RangeError);
    const closed = io.createIoQueue(arena, 'closed', 1, 1);
    await closed.close(100);
    expect(closed.readCheckedNow(0, 0, checks)).toBe(false);
  });
});
