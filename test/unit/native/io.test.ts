import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  constants as fsConstants,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  statfsSync,
  writeFileSync,
} from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { MiB } from '../../../src/base/index.js';
import { IoFlag, IoKind, io, kernels, type IoQueue } from '../../../src/native/index.js';
import { withoutDescriptors } from '../../support/descriptor-limit.js';

const { EAGAIN, EBADF, ECANCELED, EEXIST, EINPROGRESS, EINVAL, EISDIR, ENOENT, EWOULDBLOCK } = constants.errno;
const addonPath = fileURLToPath(new URL('../../../build/Release/granary.node', import.meta.url));
const arena = new SharedArrayBuffer(32 * MiB);
const view = Buffer.from(arena);
let folder: string;
let queue: IoQueue;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'granary-io-'));
});

afterAll(() => rmSync(folder, { recursive: true }));

beforeEach(() => {
  queue = io.createIoQueue(arena, 'test', 1, 10_000);
});

afterEach(() => queue.close(1000));

const createAndClose = IoFlag.create | IoFlag.write | IoFlag.close;
let names = 0;
function newPath(): string {
  return join(folder, `file-${names++}`);
}

/** As a stat answers it. */
function identityOf(path: string): number[] {
  const { dev, ino } = statSync(path, { bigint: true });
  return [Number(dev), Number(ino >> 32n), Number(ino & 0xffffffffn)];
}

function fill(offset: number, bytes: number): Buffer {
  const data = randomBytes(bytes);
  data.copy(view, offset);
  return data;
}

const tmpfsMagic = 0x01021994;

function residentBytes(path: string): number {
  return Number(spawnSync('fincore', ['-b', '-n', '-o', 'RES', path], { encoding: 'utf8' }).stdout);
}

describe('a process without descriptors', () => {
  const { EMFILE } = constants.errno;

  it('has done nothing of a call that needs one', async () => {
    const path = newPath();
    writeFileSync(path, 'before');
    const fd = openSync(path, 'r+');
    const syncDirectory = IoFlag.syncDirectory;
    const segments = Float64Array.of(0, 4);
    fill(0, 4);
    const write = { kind: IoKind.write, fileOffset: 0, segments };
    const closed = { ...write, path, fd, flags: IoFlag.sync | syncDirectory | IoFlag.close };
    await withoutDescriptors(async () => {
      const asked = [
        { kind: IoKind.unlink, path, flags: syncDirectory },
        { kind: IoKind.rename, path, toPath: `${path}.moved`, flags: syncDirectory },
        { kind: IoKind.makeDirectory, path: `${path}.folder`, flags: syncDirectory },
        { ...write, path: `${path}.new`, flags: createAndClose | syncDirectory },
        closed,
      ];
      const results = await Promise.all(asked.map((request) => queue.submit(request)));
      expect(results.map(({ errno }) => errno)).toEqual(asked.map(() => EMFILE));
      expect(results.at(-1)?.fd).toBe(fd);
    });
    expect(readdirSync(folder).filter((name) => join(folder, name).startsWith(path))).toHaveLength(1);
    expect(readFileSync(path, 'utf8')).toBe('before');
    // So all of it can be asked for again.
    expect(await queue.submit(closed)).toMatchObject({ errno: 0, fd: -1 });
    expect(readFileSync(path)).not.toEqual(Buffer.from('before'));
  });
});

describe('writes past the page cache', () => {
  // Memory of the server: aligned to pages, unlike that of the language.
  const aligned = kernels.createArena(4 * MiB);
  const bytes = Buffer.from(aligned);

  it.each([
    ['aligned', 0, 512 * 1024, 8192, IoFlag.sync, 0],
    ['of memory that is not aligned', 64, 512 * 1024, 8192, IoFlag.sync, 0],
    ['to a place that is not aligned', 0, 512 * 1024, 8256, IoFlag.sync, 516 * 1024],
    ['of a length that is not aligned', 0, 512 * 1024 + 1, 8192, IoFlag.sync, 516 * 1024],
    ['that are short, and synced', 0, 8 * 1024, 8192, IoFlag.sync, 0],
    ['that are short, and synced later', 0, 32 * 1024, 8192, 0, 32 * 1024],
  ])('%s', async (_what, offset, length, fileOffset, flags, resident) => {
    const direct = io.createIoQueue(aligned, 'direct', 1, 10_000);
    const path = newPath();
    randomBytes(bytes.length).copy(bytes);
    const request = { kind: IoKind.write, path, fileOffset, flags: IoFlag.direct | flags };
    const made = await direct.submit({
      ...request,
      segments: Float64Array.of(offset, length),
      flags: request.flags | IoFlag.create | IoFlag.write,
    });
    expect(made).toMatchObject({ errno: 0, bytes: length });
    // A file system in memory has no other place for it.
    if (statfsSync(folder).type !== tmpfsMagic) expect(residentBytes(path)).toBe(resident);
    // The descriptor is as it was: what comes next needs no alignment.
    const head = { ...request, fd: made.fd, fileOffset: 1, segments: Float64Array.of(3, 5), flags: 0 };
    expect(await direct.submit(head)).toMatchObject({ errno: 0, bytes: 5 });
    await direct.submit({ kind: IoKind.close, fd: made.fd });
    const written = readFileSync(path);
    expect(written.subarray(fileOffset).equals(bytes.subarray(offset, offset + length))).toBe(true);
    expect(written.subarray(1, 6).equals(bytes.subarray(3, 8))).toBe(true);
    await direct.close(1000);
  });

  it('of many pieces, as one run', async () => {
    const direct = io.createIoQueue(aligned, 'direct', 1, 10_000);
    randomBytes(bytes.length).copy(bytes);
    // More than is gathered at once, in pieces of which none ends where a page does but the last.
    const segments: number[] = [];
    const parts: Buffer[] = [];
    let total = 0;
    for (let index = 0; total < 2_500_000; index++) {
      const [at, length] = [index * 37, index % 9 === 0 ? 0 : 1 + ((index * 1013) % 6000)];
      segments.push(at, length);
      parts.push(bytes.subarray(at, at + length));
      total += length;
    }
    const rest = (4096 - (total % 4096)) % 4096;
    segments.push(5, rest);
    const whole = Buffer.concat([...parts, bytes.subarray(5, 5 + rest)]);
    const path = newPath();
    const flags = createAndClose | IoFlag.direct | IoFlag.sync;
    const write = { kind: IoKind.write, path, fileOffset: 4096, segments: Float64Array.from(segments), flags };
    expect(await direct.submit(write)).toEqual({ errno: 0, bytes: whole.length, fd: -1 });
    if (statfsSync(folder).type !== tmpfsMagic) expect(residentBytes(path)).toBe(0);
    expect(readFileSync(path).subarray(4096).equals(whole)).toBe(true);
    await direct.close(1000);
  });
});

describe('files', () => {
  it('are created, written from many segments, synced and closed in one request', async () => {
    const path = newPath();
    // More pieces than one system call takes, of odd lengths, some of them empty.
    const segments: number[] = [];
    for (let index = 0; index < 2500; index++) segments.push(index * 8192, index % 7 === 0 ? 0 : 1 + (index % 4000));
    view.set(randomBytes(MiB * 20));
    const expected: Buffer[] = [];
    for (let index = 0; index < segments.length; index += 2) {
      const at = segments[index] ?? 0;
      expected.push(Buffer.from(view.subarray(at, at + (segments[index + 1] ?? 0))));
    }
    const whole = Buffer.concat(expected);
    const flags = createAndClose | IoFlag.sync | IoFlag.syncDirectory;
    const result = await queue.submit({
      kind: IoKind.write,
      path,
      fileOffset: 0,
      segments: Float64Array.from(segments),
      flags,
    });
    expect(result).toEqual({ errno: 0, bytes: whole.length, fd: -1 });
    expect(readFileSync(path).equals(whole)).toBe(true);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    view.fill(0);
    const read = { kind: IoKind.read, path, fileOffset: 0, segments: Float64Array.from(segments), flags: IoFlag.close };
    expect(await queue.submit(read)).toEqual({ errno: 0, bytes: whole.length, fd: -1 });
    let done = 0;
    for (let index = 0; index < segments.length; index += 2) {
      const at = segments[index] ?? 0;
      const bytes = segments[index + 1] ?? 0;
      expect(view.subarray(at, at + bytes).equals(whole.subarray(done, done + bytes))).toBe(true);
      done += bytes;
    }
  });

  it('stay open until they are closed', async () => {
    const path = newPath();
    const data = fill(0, 100);
    const opened = await queue.submit({ kind: IoKind.open, path, flags: IoFlag.create | IoFlag.write });
    expect(opened.fd).toBeGreaterThan(2);
    const { fd } = opened;
    const write = { kind: IoKind.write, fd, fileOffset: 50, segments: Float64Array.of(0, 100) };
    expect(await queue.submit(write)).toEqual({ errno: 0, bytes: 100, fd });
    expect(await queue.submit({ kind: IoKind.sync, fd })).toEqual({ errno: 0, bytes: 0, fd });
    const read = { kind: IoKind.read, fd, fileOffset: 40, segments: Float64Array.of(1000, 10, 2000, 500) };
    expect(await queue.submit(read)).toEqual({ errno: 0, bytes: 110, fd });
    expect(view.subarray(1000, 1010).equals(Buffer.alloc(10))).toBe(true);
    expect(view.subarray(2000, 2100).equals(data)).toBe(true);
    expect(await queue.submit({ kind: IoKind.close, fd })).toEqual({ errno: 0, bytes: 0, fd: -1 });
    expect((await queue.submit(read)).errno).toBe(EBADF);
  });

  it('are filled with zeroes', async () => {
    const path = newPath();
    writeFileSync(path, Buffer.alloc(100, 1));
    const bytes = 2 * MiB + 3;
    const request = { kind: IoKind.zeroFill, path, fileOffset: 10, bytes, flags: IoFlag.write | IoFlag.close };
    expect(await queue.submit(request)).toEqual({ errno: 0, bytes, fd: -1 });
    const expected = Buffer.concat([Buffer.alloc(10, 1), Buffer.alloc(bytes)]);
    expect(readFileSync(path).equals(expected)).toBe(true);
  });

  it('are renamed, stat, listed and removed', async () => {
    const path = newPath();
    const toPath = newPath();
    writeFileSync(path, 'twelve bytes');
    expect(await queue.submit({ kind: IoKind.stat, path })).toMatchObject({
      errno: 0,
      values: [12, 0, ...identityOf(path)],
    });
    const rename = { kind: IoKind.rename, path, toPath, flags: IoFlag.syncDirectory };
    expect((await queue.submit(rename)).errno).toBe(0);
    expect((await queue.submit(rename)).errno).toBe(ENOENT);
    const listed = await queue.submit({ kind: IoKind.list, path: folder });
    expect([...(listed.names ?? [])].sort()).toEqual(readdirSync(folder).sort());
    expect((await queue.submit({ kind: IoKind.unlink, path: toPath, flags: IoFlag.syncDirectory })).errno).toBe(0);
    expect((await queue.submit({ kind: IoKind.unlink, path: toPath })).errno).toBe(ENOENT);
  });

  it('lie in folders', async () => {
    const path = newPath();
    expect((await queue.submit({ kind: IoKind.makeDirectory, path, flags: IoFlag.syncDirectory })).errno).toBe(0);
    expect((await queue.submit({ kind: IoKind.makeDirectory, path })).errno).toBe(EEXIST);
    expect((await queue.submit({ kind: IoKind.stat, path })).values?.[1]).toBe(1);
    expect(statSync(path).mode & 0o777).toBe(0o700);
    expect((await queue.submit({ kind: IoKind.list, path })).names).toEqual([]);
    const space = await queue.submit({ kind: IoKind.space, path });
    expect(space.values?.[0]).toBeGreaterThan(space.values?.[1] ?? 0);
  });

  it('are those of the folder that was entered, whatever its name is and leads to', async () => {
    const [here, there] = [newPath(), newPath()];
    for (const path of [here, there]) mkdirSync(path);
    const { fd } = await queue.submit({ kind: IoKind.open, path: here });
    expect(queue.enter(fd)).toBe(0);
    // It has a descriptor of its own.
    await queue.submit({ kind: IoKind.close, fd });
    const identity = identityOf(here);
    renameSync(here, `${here}.moved`);
    renameSync(there, here);
    expect(await queue.submit({ kind: IoKind.stat, path: '.' })).toMatchObject({
      errno: 0,
      values: [expect.any(Number), 1, ...identity],
    });
    const flags = createAndClose | IoFlag.sync | IoFlag.syncDirectory;
    const segments = Float64Array.of(0, 10);
    const made = await queue.submit({ kind: IoKind.makeDirectory, path: 'inner', flags: IoFlag.syncDirectory });
    expect(made.errno).toBe(0);
    for (const path of ['one', 'inner/two']) {
      expect((await queue.submit({ kind: IoKind.write, path, fileOffset: 0, segments, flags })).errno).toBe(0);
    }
    const rename = { kind: IoKind.rename, path: 'one', toPath: 'inner/three', flags: IoFlag.syncDirectory };
    expect((await queue.submit(rename)).errno).toBe(0);
    expect((await queue.submit({ kind: IoKind.unlink, path: 'inner/two' })).errno).toBe(0);
    expect((await queue.submit({ kind: IoKind.list, path: 'inner' })).names).toEqual(['three']);
    expect((await queue.submit({ kind: IoKind.space, path: '.' })).values?.[0]).toBeGreaterThan(0);
    // A path from the root is what it always was.
    expect((await queue.submit({ kind: IoKind.list, path: here })).names).toEqual([]);
    expect(readdirSync(`${here}.moved`, { recursive: true }).sort()).toEqual(['inner', 'inner/three']);
    expect(queue.enter(1_000_000)).toBe(EBADF);
  });

  it('are settled: synced, and read from the disk from then on', async () => {
    const path = newPath();
    const segments = Float64Array.of(0, 10_000);
    view.fill(7, 0, 10_000);
    await queue.submit({ kind: IoKind.write, path, fileOffset: 0, segments, flags: createAndClose });
    const flags = IoFlag.syncDirectory | IoFlag.close;
    const settled = await queue.submit({ kind: IoKind.settle, path, flags });
    expect(settled).toEqual({ errno: 0, bytes: 0, fd: -1, values: [1, 0] });
    if (statfsSync(folder).type !== tmpfsMagic) expect(residentBytes(path)).toBe(0);
    expect(readFileSync(path).equals(Buffer.alloc(10_000, 7))).toBe(true);
    const none = await queue.submit({ kind: IoKind.settle, path: `${path}.not`, flags });
    expect(none).toEqual({ errno: ENOENT, bytes: 0, fd: -1 });
  });

  it('are not overwritten by a creation', async () => {
    const path = newPath();
    writeFileSync(path, 'mine');
    const segments = Float64Array.of(0, 3);
    const request = { kind: IoKind.write, path, fileOffset: 0, segments, flags: createAndClose };
    expect(await queue.submit(request)).toEqual({ errno: EEXIST, bytes: 0, fd: -1 });
    expect(readFileSync(path, 'utf8')).toBe('mine');
  });

  it('that were removed take no write that asks for a name', async () => {
    const path = newPath();
    const { fd } = await queue.submit({ kind: IoKind.open, path, flags: IoFlag.create | IoFlag.write });
    const write = { kind: IoKind.write, fd, fileOffset: 0, segments: Float64Array.of(0, 3) };
    expect((await queue.submit({ ...write, flags: IoFlag.named })).errno).toBe(0);
    rmSync(path);
    expect(await queue.submit({ ...write, flags: IoFlag.named })).toEqual({ errno: ENOENT, bytes: 0, fd });
    expect((await queue.submit(write)).errno).toBe(0);
    await queue.submit({ kind: IoKind.close, fd });
  });

  it('leave no descriptor behind when a step fails', async () => {
    const before = readdirSync('/proc/self/fd').length;
    const segments = Float64Array.of(0, 10);
    // Opens, and then cannot be read: it is a folder.
    const failed = await queue.submit({ kind: IoKind.read, path: folder, fileOffset: 0, segments });
    expect(failed).toEqual({ errno: EISDIR, bytes: 0, fd: -1 });
    const path = newPath();
    writeFileSync(path, 'text');
    // Opened for reading only, so the write fails.
    const refused = await queue.submit({ kind: IoKind.write, path, fileOffset: 0, segments });
    expect(refused).toEqual({ errno: EBADF, bytes: 0, fd: -1 });
    const { fd } = await queue.submit({ kind: IoKind.open, path });
    expect((await queue.submit({ kind: IoKind.sync, fd, flags: IoFlag.syncDirectory })).errno).toBe(EINVAL);
    const closed = { kind: IoKind.write, fd, fileOffset: 0, segments, flags: IoFlag.close };
    expect(await queue.submit(closed)).toEqual({ errno: EBADF, bytes: 0, fd: -1 });
    expect(readdirSync('/proc/self/fd').length).toBe(before);
  });

  it('answer the errno of what is missing', async () => {
    const path = join(folder, 'nothing');
    for (const kind of [IoKind.open, IoKind.read, IoKind.stat, IoKind.list, IoKind.space, IoKind.unlink]) {
      const request = { kind, path, fileOffset: 0, segments: Float64Array.of(0, 10) };
      expect(await queue.submit(request)).toEqual({ errno: ENOENT, bytes: 0, fd: -1 });
    }
  });
});

describe('readNow', () => {
  it('reads what is cached, to the end of the file', () => {
    const path = newPath();
    const data = randomBytes(10_000);
    writeFileSync(path, data);
    const fd = openSync(path, 'r');
    expect(queue.readNow(fd, 100, 4096, 5000)).toBe(5000);
    expect(view.subarray(4096, 9096).equals(data.subarray(100, 5100))).toBe(true);
    expect(queue.readNow(fd, 9990, 0, 5000)).toBe(10);
    expect(queue.readNow(fd, 20_000, 0, 5000)).toBe(0);
    closeSync(fd);
    expect(queue.readNow(fd, 0, 0, 10)).toBe(-EBADF - 1);
  });

  it('reads into the arena of its own queue', async () => {
    const path = newPath();
    writeFileSync(path, 'abc');
    const otherArena = new SharedArrayBuffer(4096);
    const other = io.createIoQueue(otherArena, 'other', 1, 1);
    const fd = openSync(path, 'r');
    view.fill(0, 0, 3);
    expect(other.readNow(fd, 0, 0, 3)).toBe(3);
    expect(Buffer.from(otherArena).toString('latin1', 0, 3)).toBe('abc');
    expect(view.subarray(0, 3).equals(Buffer.alloc(3))).toBe(true);
    expect(() => other.readNow(fd, 0, 4096, 1)).toThrow(RangeError);
    closeSync(fd);
    await other.close(100);
    expect(other.readNow(0, 0, 0, 1)).toBe(-1);
  });

  it('leaves what is not cached to the threads', () => {
    const path = newPath();
    writeFileSync(path, randomBytes(4 * MiB));
    // Written back and dropped from the page cache.
    expect(spawnSync('dd', [`of=${path}`, 'oflag=nocache', 'conv=notrunc,fdatasync', 'count=0']).status).toBe(0);
    const fd = openSync(path, fsConstants.O_RDONLY);
    const first = queue.readNow(fd, 2 * MiB, 0, MiB);
    expect([-1, MiB]).toContain(first);
    closeSync(fd);
  });
});

describe('a queue', () => {
  it('starts its requests in order', async () => {
    const ended: number[] = [];
    await Promise.all(
      Array.from({ length: 200 }, async (_, index) => {
        await queue.submit({ kind: IoKind.stat, path: folder });
        ended.push(index);
      }),
    );
    expect(ended).toEqual(Array.from({ length: 200 }, (_, index) => index));
  });

  it('serves thousands of requests on several threads without mixing them up', async () => {
    const many = io.createIoQueue(arena, 'many', 4, 10_000);
    const path = newPath();
    const data = randomBytes(MiB);
    writeFileSync(path, data);
    const { fd } = await many.submit({ kind: IoKind.open, path });
    const count = 8000;
    const bytes = 600;
    const results = await Promise.all(
      Array.from({ length: count }, (_, index) =>
        many.submit({
          kind: IoKind.read,
          fd,
          fileOffset: index * 100,
          segments: Float64Array.of(index * bytes, bytes),
        }),
      ),
    );
    for (const [index, result] of results.entries()) {
      expect(result.bytes).toBe(bytes);
      const at = index * bytes;
      expect(view.compare(data, index * 100, index * 100 + bytes, at, at + bytes)).toBe(0);
    }
    await many.submit({ kind: IoKind.close, fd });
    await many.close(1000);
  });

  it('refuses what is over its depth, but never a close', async () => {
    const small = io.createIoQueue(arena, 'small', 1, 3);
    const pipe = newPath();
    expect(spawnSync('mkfifo', [pipe]).status).toBe(0);
    const hanging = small.submit({ kind: IoKind.open, path: pipe });
    await expect.poll(() => small.depth).toBe(1);
    await new Promise((resolve) => setTimeout(resolve, 20));
    const waiting = Array.from({ length: 3 }, () => small.submit({ kind: IoKind.stat, path: folder }));
    expect(small.depth).toBe(4);
    expect((await small.submit({ kind: IoKind.stat, path: folder })).errno).toBe(EAGAIN);
    const path = newPath();
    writeFileSync(path, '');
    const closing = small.submit({ kind: IoKind.close, fd: openSync(path, 'r') });
    expect(small.depth).toBe(5);
    const writer = openSync(pipe, fsConstants.O_RDWR | fsConstants.O_NONBLOCK);
    for (const result of await Promise.all([...waiting, closing])) expect(result.errno).toBe(0);
    await small.submit({ kind: IoKind.close, fd: (await hanging).fd });
    closeSync(writer);
    expect(small.depth).toBe(0);
    await small.close(1000);
  });

  it('takes back a request that waits, and only such a one', async () => {
    const path = newPath();
    const pipe = newPath();
    expect(spawnSync('mkfifo', [pipe]).status).toBe(0);
    const hanging = queue.submit({ kind: IoKind.open, path: pipe });
    const create = { kind: IoKind.open, flags: IoFlag.create | IoFlag.write | IoFlag.close };
    const taken = queue.submit({ ...create, path });
    const left = queue.submit({ ...create, path: `${path}-left` });
    expect(() => void queue.submit({ kind: 99 })).toThrow(RangeError);
    // Its descriptor is not closed, although that was asked for: it is named again.
    const last = queue.submit({ kind: IoKind.sync, fd: 12_345, flags: IoFlag.close });
    // Until the thread has taken the first.
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect([queue.cancel(1), queue.cancel(2), queue.cancel(2), queue.cancel(4), queue.cancel(5)]).toEqual([
      false,
      true,
      false,
      true,
      false,
    ]);
    for (const wrong of [0, -1, 0.5, NaN]) expect(() => queue.cancel(wrong)).toThrow(RangeError);
    expect(await taken).toEqual({ errno: ECANCELED, bytes: 0, fd: -1 });
    expect(await last).toEqual({ errno: ECANCELED, bytes: 0, fd: 12_345 });
    const writer = openSync(pipe, fsConstants.O_RDWR | fsConstants.O_NONBLOCK);
    await queue.submit({ kind: IoKind.close, fd: (await hanging).fd });
    expect((await left).errno).toBe(0);
    closeSync(writer);
    expect(readdirSync(folder).filter((name) => join(folder, name).startsWith(path))).toEqual([
      `${path}-left`.slice(folder.length + 1),
    ]);
  });

  it('does what is queued before it closes, and nothing afterwards', async () => {
    const path = newPath();
    const { fd } = await queue.submit({ kind: IoKind.open, path, flags: IoFlag.create | IoFlag.write });
    const fills = Array.from({ length: 20 }, (_, index) =>
      queue.submit({ kind: IoKind.zeroFill, fd, fileOffset: index * 1000, bytes: 1000 }),
    );
    const closed = Promise.all([queue.close(5000), queue.close(0)]);
    expect(await queue.submit({ kind: IoKind.stat, path })).toEqual({ errno: ECANCELED, bytes: 0, fd: -1 });
    for (const fill of fills) expect((await fill).bytes).toBe(1000);
    await closed;
    expect(statSync(path).size).toBe(20_000);
    // A descriptor is not lost to a queue that is closed.
    expect((await queue.submit({ kind: IoKind.close, fd })).errno).toBe(0);
    expect(() => closeSync(fd)).toThrow('EBADF');
    await queue.close(0);
  });

  it('is left behind when a call hangs past the grace', async () => {
    const before = readdirSync('/proc/self/fd').length;
    const hung = io.createIoQueue(arena, 'hung', 1, 10);
    const pipe = newPath();
    expect(spawnSync('mkfifo', [pipe]).status).toBe(0);
    const hanging = hung.submit({ kind: IoKind.open, path: pipe });
    const behind = hung.submit({ kind: IoKind.stat, path: folder });
    const unsynced = hung.submit({ kind: IoKind.sync, fd: 12_345, flags: IoFlag.close });
    // Whoever waits for its lock would wait forever.
    const closing = hung.submit({ kind: IoKind.close, fd: openSync(folder, 'r') });
    const startMs = performance.now();
    await hung.close(60);
    const tookMs = performance.now() - startMs;
    expect(tookMs).toBeGreaterThanOrEqual(59);
    expect(tookMs).toBeLessThan(1000);
    expect(await hanging).toEqual({ errno: EINPROGRESS, bytes: 0, fd: -1 });
    expect(await behind).toEqual({ errno: ECANCELED, bytes: 0, fd: -1 });
    expect(await unsynced).toEqual({ errno: ECANCELED, bytes: 0, fd: 12_345 });
    expect(await closing).toEqual({ errno: EINPROGRESS, bytes: 0, fd: -1 });
    expect(readdirSync('/proc/self/fd').length).toBe(before + 1);
    closeSync(openSync(pipe, fsConstants.O_RDWR | fsConstants.O_NONBLOCK));
    await expect.poll(() => readdirSync('/proc/self/fd').length).toBe(before);
  });

  it('holds the locks it was given until its last thread has ended', async () => {
    const path = newPath();
    writeFileSync(path, '');
    const [fd, other] = [openSync(path, 'r'), openSync(path, 'r')];
    const hung = io.createIoQueue(arena, 'hung', 2, 10);
    const pipe = newPath();
    expect(spawnSync('mkfifo', [pipe]).status).toBe(0);
    expect([io.lockFile(fd), hung.hold(fd), hung.hold(1_000_000)]).toEqual([0, 0, EBADF]);
    void hung.submit({ kind: IoKind.open, path: pipe });
    closeSync(fd);
    await hung.close(10);
    expect(io.lockFile(other)).toBe(EWOULDBLOCK);
    closeSync(openSync(pipe, fsConstants.O_RDWR | fsConstants.O_NONBLOCK));
    await expect.poll(() => io.lockFile(other)).toBe(0);
    closeSync(other);
    expect(hung.hold(0)).toBe(ECANCELED);
  });

  it('refuses requests that make no sense', () => {
    const segments = Float64Array.of(0, 10);
    const path = newPath();
    const wrong: unknown[] = [
      {},
      7,
      { kind: 99, path },
      { kind: -1, path },
      { kind: 0.5, path },
      { kind: IoKind.write, segments },
      { kind: IoKind.write, fd: -1, segments },
      { kind: IoKind.write, fd: 1.5, segments },
      { kind: IoKind.write, path, segments: [0, 10] },
      { kind: IoKind.write, path, segments: new Float32Array(2) },
      { kind: IoKind.write, path, segments: Float64Array.of(0) },
      { kind: IoKind.write, path, segments: Float64Array.of(-1, 10) },
      { kind: IoKind.write, path, segments: Float64Array.of(0, -1) },
      { kind: IoKind.write, path, segments: Float64Array.of(NaN, 1) },
      { kind: IoKind.write, path, segments: Float64Array.of(0.5, 1) },
      { kind: IoKind.write, path, segments: Float64Array.of(32 * MiB, 1) },
      { kind: IoKind.write, path, segments: Float64Array.of(0, 32 * MiB + 1) },
      { kind: IoKind.write, path, segments: new Float64Array(2 * 65_537) },
      { kind: IoKind.write, path, fileOffset: -1, segments },
      { kind: IoKind.write, path, fileOffset: 2 ** 60, segments },
      { kind: IoKind.write, path, flags: 128, segments },
      { kind: IoKind.open, path: '' },
      { kind: IoKind.open, path: 'a\0b' },
      { kind: IoKind.open, path: 'a'.repeat(5000) },
      { kind: IoKind.open, path: 7 },
      { kind: IoKind.rename, path },
      { kind: IoKind.close, path },
      { kind: IoKind.list, fd: 1 },
    ];
    for (const request of wrong) {
      expect(() => void queue.submit(request as Parameters<IoQueue['submit']>[0]), JSON.stringify(request)).toThrow(
        RangeError,
      );
    }
    const trap = Object.defineProperty({}, 'kind', {
      get() {
        throw new Error('from the getter');
      },
    });
    expect(() => void queue.submit(trap as Parameters<IoQueue['submit']>[0])).toThrow('from the getter');
    expect(queue.depth).toBe(0);
    const make = io.createIoQueue as (...args: unknown[]) => unknown;
    for (const args of [
      [],
      [new ArrayBuffer(8), 'x', 1, 1],
      [arena, '', 1, 1],
      [arena, 'x', 0, 1],
      [arena, 'x', 65, 1],
    ]) {
      expect(() => make(...args)).toThrow(RangeError);
    }
  });
});

describe('locks', () => {
  it('are held by one open file at a time, until it is closed', () => {
    const path = newPath();
    writeFileSync(path, '');
    const [a, b] = [openSync(path, 'r+'), openSync(path, 'r+')];
    expect(io.lockFile(a)).toBe(0);
    expect(io.lockFile(a)).toBe(0);
    expect(io.lockFile(b)).toBe(EWOULDBLOCK);
    closeSync(a);
    expect(io.lockFile(b)).toBe(0);
    closeSync(b);
    expect(io.lockFile(b)).toBe(EBADF);
  });
});

describe('a process', () => {
  /** Runs a script with the addon as `io`, an arena, a folder; answers what it printed and how it ended. */
  function run(script: string): { output: string; status: number | null; tookMs: number } {
    const head = `const io = require(${JSON.stringify(addonPath)}); const folder = ${JSON.stringify(folder)};
      const arena = new SharedArrayBuffer(1 << 20);`;
    const startMs = performance.now();
    const done = spawnSync(process.execPath, ['-e', head + script], { encoding: 'utf8', timeout: 10_000 });
    return { output: done.stdout + done.stderr, status: done.status, tookMs: performance.now() - startMs };
  }

  it('ends although a thread hangs, and does not wait for an idle queue', () => {
    const pipe = newPath();
    expect(spawnSync('mkfifo', [pipe]).status).toBe(0);
    const open = `const queue = io.createIoQueue(arena, 'x', 2, 10); queue.submit({ kind: 6, path: '${pipe}' });`;
    const closed = run(`${open} queue.close(50).then(() => console.log('closed'));`);
    expect(closed).toMatchObject({ output: 'closed\n', status: 0 });
    expect(closed.tookMs).toBeLessThan(3000);
    const exited = run(`${open} setTimeout(() => process.exit(3), 50);`);
    expect(exited).toMatchObject({ output: '', status: 3 });
    expect(exited.tookMs).toBeLessThan(3000);
    expect(run(`io.createIoQueue(arena, 'x', 2, 10); console.log('idle');`)).toMatchObject({
      output: 'idle\n',
      status: 0,
    });
  });

  it('waits for requests under way', () => {
    const path = newPath();
    const script = `const queue = io.createIoQueue(arena, 'x', 1, 10);
      for (let i = 0; i < 4; i++) queue.submit({ kind: 4, path: '${path}' + i, bytes: 8 << 20, flags: 8 | 16 | 4 })
        .then((result) => console.log(result.bytes));`;
    expect(run(script)).toMatchObject({ output: `${8 * MiB}\n`.repeat(4), status: 0 });
  });

  it('may use the addon in several threads of its own, and end them while requests run', () => {
    const script = `const { Worker } = require('node:worker_threads');
      const code = 'const io = require(' + ${JSON.stringify(JSON.stringify(addonPath))} + ');' +
        'const q = io.createIoQueue(new SharedArrayBuffer(4096), "w", 3, 100000);' +
        'for (let i = 0; i < 2000; i++) q.submit({ kind: 9, path: "/" });' +
        'require("node:worker_threads").parentPort.postMessage(1);';
      let left = 12;
      for (let i = 0; i < 12; i++) {
        const worker = new Worker(code, { eval: true });
        worker.once('message', () => i % 2 && worker.terminate());
        worker.once('exit', () => --left === 0 && console.log('all ended'));
      }`;
    expect(run(script)).toMatchObject({ output: 'all ended\n', status: 0 });
  });

  it('may end threads at any moment while they load the addon', () => {
    const script = `const { Worker } = require('node:worker_threads');
      const code = 'const { workerData } = require("node:worker_threads");' +
        'Atomics.store(workerData, 0, 1); Atomics.notify(workerData, 0);' +
        'require(' + ${JSON.stringify(JSON.stringify(addonPath))} + ');';
      const pause = new Int32Array(new SharedArrayBuffer(4));
      (async () => {
        for (let i = 0; i < 150; i++) {
          const isLoading = new Int32Array(new SharedArrayBuffer(4));
          const worker = new Worker(code, { eval: true, workerData: isLoading });
          Atomics.wait(isLoading, 0, 0);
          Atomics.wait(pause, 0, 0, i / 100);
          await worker.terminate();
        }
        console.log('all ended');
      })();`;
    expect(run(script)).toMatchObject({ output: 'all ended\n', status: 0 });
  });

  it('counts the CPU time of its thread', () => {
    const before = io.threadCpuMicros();
    const endMs = performance.now() + 20;
    while (performance.now() < endMs);
    const took = io.threadCpuMicros() - before;
    expect(took).toBeGreaterThan(1000);
    expect(took).toBeLessThan(200_000);
  });
});
