/** A drive that hangs. A named pipe that nobody writes to holds a thread in open() until somebody does. */
import { spawnSync } from 'node:child_process';
import { closeSync, constants, openSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Drive, DriveFault, DriveResult } from '../../../src/drive/index.js';
import { probeDrive } from '../../../src/drive/index.js';
import { blobFileName } from '../../../src/drive/layout.js';
import { localSystem, type DriveSystem } from '../../../src/drive/system.js';
import { IoFlag, IoKind } from '../../../src/native/index.js';
import { TestArena, newDrive, openDescriptors, openDrive, temporaryFolder, valueOf } from './support.js';

const callMsMax = 150;
const memory = new TestArena();
let folder: ReturnType<typeof temporaryFolder>;
let drive: Drive;
let pipes: string[];

beforeEach(async () => {
  folder = temporaryFolder();
  drive = await newDrive(folder.path, memory.arena, callMsMax);
  pipes = [];
});

afterEach(async () => {
  for (const pipe of pipes) release(pipe);
  await drive.close(1000);
  folder.remove();
});

function makePipe(name: string): string {
  const path = join(folder.path, name);
  expect(spawnSync('mkfifo', [path]).status).toBe(0);
  pipes.push(path);
  return path;
}

/** Lets go whoever hangs in opening the pipe for reading. */
function release(pipe: string): void {
  closeSync(openSync(pipe, constants.O_RDWR | constants.O_NONBLOCK));
}

function faultOf(result: DriveResult<unknown>): DriveFault {
  if (result.ok) throw new Error('expected a fault');
  return result.fault;
}

function stateOf(promise: Promise<void> | undefined): Promise<string> {
  const waiting = new Promise<string>((resolve) => setTimeout(() => resolve('pending'), 20));
  return Promise.race([Promise.resolve(promise).then(() => 'settled'), waiting]);
}

describe('a call that hangs', () => {
  it('is answered as slow within its limit, and others go on', async () => {
    makePipe(blobFileName('aa'));
    const startMs = performance.now();
    const hanging = drive.blobs.open('aa');
    expect((await drive.space()).ok).toBe(true);
    valueOf(await drive.log.createFile(0, 4096));
    valueOf(await drive.log.write(0, 0, Float64Array.of(0, 100)));
    const fault = faultOf(await hanging);
    expect(performance.now() - startMs).toBeLessThan(callMsMax + 500);
    expect(fault).toMatchObject({ kind: 'slow', errno: 0, operation: `open ${blobFileName('aa')}` });
  });

  it('says when it has let go of the memory, and gives back what it opened', async () => {
    const before = openDescriptors();
    const pipe = makePipe(blobFileName('aa'));
    const fault = faultOf(await drive.blobs.open('aa'));
    expect(await stateOf(fault.settled)).toBe('pending');
    release(pipe);
    expect(await stateOf(fault.settled)).toBe('settled');
    valueOf(await drive.space());
    expect(openDescriptors()).toBe(before);
  });

  it('makes those behind it slow as well, and all end in time once it lets go', async () => {
    const pipes = ['aa', 'bb'].map((name) => makePipe(blobFileName(name)));
    const calls = [drive.blobs.open('aa'), drive.blobs.open('bb')];
    const behind = Array.from({ length: 50 }, () => drive.space());
    for (const call of calls) expect(faultOf(await call)).toMatchObject({ kind: 'slow', settled: expect.anything() });
    // What only waited was taken back: its memory is free.
    for (const call of behind) {
      const fault = faultOf(await call);
      expect([fault.kind, fault.settled]).toEqual(['slow', undefined]);
    }
    for (const pipe of pipes) release(pipe);
    const later = await Promise.all([drive.space(), drive.blobs.open('cc')]);
    expect(later[0].ok).toBe(true);
    expect(faultOf(later[1]).kind).toBe('missing');
  });

  it('keeps its open blob from being closed under it', async () => {
    const before = openDescriptors();
    const blob = { handle: null, fileOffset: 0, segments: Float64Array.of(0, 5), sync: false, close: false };
    const handle = valueOf(await drive.blobs.write('ee', blob));
    const pipe = makePipe(blobFileName('aa'));
    const other = makePipe(blobFileName('bb'));
    const hanging = [drive.blobs.open('aa'), drive.blobs.open('bb')];
    if (handle === null) throw new Error('expected a handle');
    const read = drive.blobs.read(handle, 0, Float64Array.of(4096, 5));
    drive.blobs.close(handle);
    expect(openDescriptors()).toBe(before + 1);
    const fault = faultOf(await read);
    expect([fault.kind, fault.settled]).toEqual(['slow', undefined]);
    await Promise.all(hanging);
    // The descriptor goes when a thread has time for it.
    expect(openDescriptors()).toBe(before + 1);
    release(pipe);
    release(other);
    valueOf(await drive.space());
    valueOf(await drive.space());
    expect(openDescriptors()).toBe(before);
  });
});

describe('a blob whose last write is taken back', () => {
  it('has no descriptor left open', async () => {
    const [first, second] = ['first', 'second'].map(makePipe);
    let hold = (): void => undefined;
    /** Both of its threads hang from when it is told to, in calls that the drive does not know of. */
    const createIoQueue: DriveSystem['createIoQueue'] = (arena, name, threads, depthMax) => {
      const queue = localSystem.createIoQueue(arena, name, threads, depthMax);
      if (!name.startsWith('write')) return queue;
      let heldCount = 0;
      hold = () => {
        for (const path of [first, second]) {
          heldCount++;
          void queue.submit({ kind: IoKind.open, path: path ?? '', flags: IoFlag.close });
        }
      };
      return { ...queue, cancel: (requestNumber) => queue.cancel(requestNumber + heldCount) };
    };
    await drive.close(1000);
    const options = { arena: memory.arena, createFolder: false, callMsMax, system: { ...localSystem, createIoQueue } };
    const probe = await probeDrive(folder.path, options);
    if (probe.kind !== 'ready') throw new Error('expected a ready drive');
    drive = probe.drive;
    const before = openDescriptors();
    const begin = { handle: null, fileOffset: 0, segments: Float64Array.of(0, 5), sync: false, close: false };
    const handle = valueOf(await drive.blobs.write('ee', begin));
    expect(openDescriptors()).toBe(before + 1);
    hold();
    const end = { handle, fileOffset: 5, segments: Float64Array.of(0, 5), sync: true, close: true };
    const { kind, settled } = faultOf(await drive.blobs.write('ee', end));
    expect([kind, settled]).toEqual(['slow', undefined]);
    for (const pipe of pipes) release(pipe);
    await expect.poll(() => openDescriptors()).toBe(before);
  });
});

describe('closing a drive with a call that hangs', () => {
  it('waits for its grace only, and keeps the lock until the call has come back', async () => {
    const pipe = makePipe(blobFileName('aa'));
    const hanging = drive.blobs.open('aa');
    const startMs = performance.now();
    await drive.close(50);
    // The call itself has not ended by then, and would not for as long as nobody opens the pipe.
    expect(performance.now() - startMs).toBeLessThan(3000);
    const fault = faultOf(await hanging);
    expect(fault.kind).toBe('slow');
    const probing = { arena: memory.arena, createFolder: false };
    expect(await probeDrive(folder.path, probing)).toMatchObject({ kind: 'unusable', isLocked: true });
    release(pipe);
    // Nobody can tell when a thread that was left behind is done with the memory.
    expect(await stateOf(fault.settled)).toBe('pending');
    const isThere = async () => {
      const probe = await probeDrive(folder.path, probing);
      if (probe.kind === 'ready') drive = probe.drive;
      return probe.kind;
    };
    await expect.poll(isThere).toBe('ready');
  });

  it('waits for calls that end within the grace', async () => {
    valueOf(await drive.log.createFile(0, 4096));
    const data = memory.fill(0, 100);
    const writes = Array.from({ length: 20 }, (_, index) => drive.log.write(0, index * 100, Float64Array.of(0, 100)));
    await drive.close(5000);
    for (const write of writes) valueOf(await write);
    drive = await openDrive(folder.path, memory.arena);
    expect(valueOf(await drive.log.read(0, 1900, Float64Array.of(4096, 100)))).toBe(100);
    expect(memory.copy(4096, 100).equals(data)).toBe(true);
  });
});

describe('a probe of a drive that hangs', () => {
  it('ends with that reason, and leaves nothing behind once the drive lets go', async () => {
    await drive.close(1000);
    const format = '.granary/format.json';
    const before = openDescriptors();
    spawnSync('rm', [join(folder.path, format)]);
    const pipe = makePipe(format);
    const probe = await probeDrive(folder.path, { arena: memory.arena, createFolder: false, callMsMax });
    expect(probe).toMatchObject({ kind: 'unusable', reason: expect.stringContaining('does not answer') });
    release(pipe);
    await expect.poll(() => openDescriptors()).toBe(before);
    await expect.poll(() => readdirSync('/proc/self/task').map(threadName)).not.toContain('drive probe');
  });
});

function threadName(thread: string): string {
  return spawnSync('cat', [`/proc/${process.pid}/task/${thread}/comm`], { encoding: 'utf8' }).stdout.trim();
}
