/** `granary fsck` and `granary inspect` as commands, on drives that a real server has left. */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  CompleteMultipartUploadCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
  S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { blobSubfolder } from '../../src/drive/layout.js';
import type { FsckReport, InspectReport } from '../../src/wiring/index.js';
import { startServer, type KillableServer } from '../support/killable-server.js';
import { filesBelow } from '../support/running-engine.js';

const main = fileURLToPath(new URL('../../dist/main.js', import.meta.url));
const bodies = new Map<string, Buffer>();
let folder = '';
let drives: string[] = [];
let server: KillableServer | null = null;

interface Ran {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

function granary(...args: string[]): Promise<Ran> {
  const child = spawn(process.execPath, [main, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let out = '';
  let err = '';
  child.stdout.on('data', (data: Buffer) => (out += data.toString()));
  child.stderr.on('data', (data: Buffer) => (err += data.toString()));
  return new Promise((resolve) => child.once('close', (code) => resolve({ code, out, err })));
}

async function fsck(...flags: string[]): Promise<Ran & { report: FsckReport & { clean: boolean } }> {
  const ran = await granary('fsck', '--json', ...flags, ...drives);
  if (ran.out === '') throw new Error(ran.err);
  return { ...ran, report: JSON.parse(ran.out) as FsckReport & { clean: boolean } };
}

function client(running: KillableServer): S3Client {
  return new S3Client({
    endpoint: running.url,
    region: 'us-east-1',
    forcePathStyle: true,
    maxAttempts: 1,
    credentials: { accessKeyId: 'tester', secretAccessKey: 'tester-secret' },
  });
}

async function put(s3: S3Client, key: string, body: Buffer): Promise<void> {
  await s3.send(new PutObjectCommand({ Bucket: 'box', Key: key, Body: body }));
  bodies.set(key, body);
}

async function expectAll(s3: S3Client): Promise<void> {
  for (const [key, body] of bodies) {
    const answer = await s3.send(new GetObjectCommand({ Bucket: 'box', Key: key }));
    expect(Buffer.from((await answer.Body?.transformToByteArray()) ?? []).equals(body), key).toBe(true);
  }
}

function flip(file: string, at: number): void {
  const fd = openSync(file, 'r+');
  const there = Buffer.alloc(3);
  readSync(fd, there, 0, 3, at);
  writeSync(
    fd,
    there.map((byte) => byte ^ 0xff),
    0,
    3,
    at,
  );
  closeSync(fd);
}

const blobsOf = (drive: number): string[] => filesBelow(join(drives[drive] ?? '', 'blobs')).sort();
const logOf = (drive: number): string => join(drives[drive] ?? '', 'log', '00000001.log');
/** In the log of a drive, somewhere in what the server of these tests writes. */
const damageLog = (drive: number): void => {
  for (let at = 4100; at < 60_000; at += 9_001) flip(logOf(drive), at);
};

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'granary-fsck-'));
  drives = [1, 2, 3, 4].map((number) => join(folder, `drive${number}`));
  server = await startServer(drives);
  const s3 = client(server);
  await s3.send(new CreateBucketCommand({ Bucket: 'box' }));
  for (const bytes of [0, 200, 30_000, 200_000, 400_001, 3_000_001]) await put(s3, `size${bytes}`, randomBytes(bytes));
  const upload = { Bucket: 'box', Key: 'parts' };
  const { UploadId } = await s3.send(new CreateMultipartUploadCommand(upload));
  const parts = [randomBytes(5 << 20), randomBytes(70_000)];
  const done: { PartNumber: number; ETag: string | undefined }[] = [];
  for (const [index, Body] of parts.entries()) {
    const PartNumber = index + 1;
    const { ETag } = await s3.send(new UploadPartCommand({ ...upload, UploadId, PartNumber, Body }));
    done.push({ PartNumber, ETag });
  }
  await s3.send(new CompleteMultipartUploadCommand({ ...upload, UploadId, MultipartUpload: { Parts: done } }));
  bodies.set('parts', Buffer.concat(parts));
  await s3.send(new CreateBucketCommand({ Bucket: 'versioned' }));
  const VersioningConfiguration = { Status: 'Enabled' } as const;
  await s3.send(new PutBucketVersioningCommand({ Bucket: 'versioned', VersioningConfiguration }));
  for (const bytes of [350_000, 360_000]) {
    await s3.send(new PutObjectCommand({ Bucket: 'versioned', Key: 'v', Body: randomBytes(bytes) }));
  }
  await s3.send(new DeleteObjectCommand({ Bucket: 'versioned', Key: 'v' }));
});

afterAll(async () => {
  await server?.kill();
  rmSync(folder, { recursive: true, force: true });
});

describe('while the server runs', () => {
  it('both say that it has to be stopped', async () => {
    for (const command of [['fsck'], ['inspect', 'box', 'size200']]) {
      const { code, out, err } = await granary(...command, ...drives);
      expect({ code, out }).toEqual({ code: 2, out: '' });
      expect(err).toMatch(/in use by another server \(process \d+\)/);
      expect(err).toContain('Stop that server first');
    }
    await server?.stop();
    server = null;
  });
});

describe('fsck', () => {
  it('finds nothing on drives that a server has left, and changes nothing', async () => {
    const files = (): string[] => filesBelow(folder).sort();
    const before = files();
    const { code, report } = await fsck();
    expect(report.now.problems).toEqual([]);
    expect({ code, clean: report.clean, before: report.before }).toEqual({ code: 0, clean: true, before: null });
    expect(report.now.drives.map(({ state }) => state)).toEqual(['current', 'current', 'current', 'current']);
    expect(report.now.blobs).toMatchObject({ bodies: 5, shards: 20, badShards: 0, missingShards: 0 });
    expect(report.now).toMatchObject({ buckets: 2, objects: bodies.size, index: { state: 'right', differences: 0 } });
    expect(report.now.log.batches).toBeGreaterThan(4 * 8);
    expect(files()).toEqual(before);
    const text = await granary('fsck', ...drives);
    expect(text.code).toBe(0);
    expect(text.out).toContain('Nothing is wrong.');
  });

  it('names what is damaged, missing and left over, and --repair mends it', async () => {
    const [blob = '', other = ''] = blobsOf(0);
    const wanted = readFileSync(blob);
    flip(blob, statSync(blob).size - 50);
    rmSync(blobsOf(2).find((file) => file.endsWith(other.slice(-20))) ?? '');
    damageLog(1);
    const orphan = join(drives[3] ?? '', 'blobs', blobSubfolder('00000000000000000077'), '00000000000000000077');
    writeFileSync(orphan, 'left over');
    rmSync(join(drives[1] ?? '', '.granary', 'format.copy.json'));

    const found = await fsck();
    expect({ code: found.code, clean: found.report.clean }).toEqual({ code: 1, clean: false });
    const { blobs, log, orphans, drives: states } = found.report.now;
    expect(blobs).toMatchObject({ badShards: 1, missingShards: 1, unreadable: 0 });
    expect(
      blobs.damaged.map(({ bad, missing }) => ({ bad, missing })).sort((a, b) => a.bad.length - b.bad.length),
    ).toEqual([
      { bad: [], missing: [2] },
      { bad: [0], missing: [] },
    ]);
    expect(log.bad).toBeGreaterThan(0);
    expect(log).toMatchObject({ holes: 0, unreadableBodies: 0 });
    expect(orphans).toEqual({ count: 1, files: [{ position: 3, name: '00000000000000000077' }] });
    expect(states[1]?.faults).toEqual(['.granary/format.copy.json is missing, damaged or out of date']);
    const text = await granary('fsck', ...drives);
    expect(text.out).toContain('WRONG: 1 damaged shard');
    expect(text.out).toContain('To mend it: granary fsck --repair');

    const mended = await fsck('--repair');
    expect(mended.report.now.problems).toEqual([]);
    expect(mended.code).toBe(0);
    expect(mended.report.before?.problems.length).toBeGreaterThan(3);
    expect(mended.report.repairedShards).toBeGreaterThanOrEqual(2 + log.bad);
    expect(readFileSync(blob).equals(wanted)).toBe(true);
    expect(filesBelow(folder)).not.toContain(orphan);
  });

  it('names each folder without a drive at its own place', async () => {
    const [first = '', , third = ''] = drives;
    for (const drive of [first, third]) renameSync(drive, `${drive}.away`);
    mkdirSync(third);
    const { report, code } = await fsck();
    expect(code).not.toBe(0);
    expect(report.now.drives.map(({ path }) => path)).toEqual(drives);
    expect(report.now.drives.map(({ faults }) => faults)).toEqual([['does not exist'], [], ['is empty'], []]);
    expect(report.now.drives.map(({ absence }) => absence)).toEqual(['unusable', null, 'empty', null]);
    rmSync(third, { recursive: true });
    for (const drive of [first, third]) renameSync(`${drive}.away`, drive);
    expect((await fsck()).code).toBe(0);
  });

  it('says that a repair filled an empty drive, and names folders that are none of the drives', async () => {
    const third = drives[2] ?? '';
    renameSync(third, `${third}.away`);
    mkdirSync(third);
    const filled = await granary('fsck', '--repair', ...drives);
    expect(filled.code).toBe(0);
    expect(filled.out).toContain(`${third} filled from the others`);
    rmSync(`${third}.away`, { recursive: true });

    const foreign = join(folder, 'foreign');
    mkdirSync(join(foreign, 'photos'), { recursive: true });
    const empty = join(folder, 'empty');
    mkdirSync(empty);
    const { code, out } = await granary('fsck', '--json', ...drives, foreign, empty);
    expect(code).toBe(0);
    expect((JSON.parse(out) as FsckReport).now.unused).toEqual([
      { path: foreign, reason: 'not empty and not a Granary drive: give an empty folder' },
      { path: empty, reason: 'is empty' },
    ]);
    rmSync(foreign, { recursive: true });
    rmSync(empty, { recursive: true });
  });

  it.each([
    ['its manifest', (runs: string): void => flip(join(runs, 'manifest'), 5)],
    [
      'a block of a run',
      (runs: string): void => flip(filesBelow(runs).find((file) => file.endsWith('.run')) ?? '', 60),
    ],
  ])('says that the index is damaged in %s, and builds it anew', async (_name, damage) => {
    const runs = join(drives[0] ?? '', '.granary', 'index', 'runs');
    damage(runs);
    const found = await fsck();
    expect(found.report.now).toMatchObject({ index: { state: 'damaged' }, problems: ['the index is damaged'] });
    expect(found.code).toBe(1);
    const mended = await granary('fsck', '--repair', ...drives);
    expect(mended.code).toBe(0);
    expect(mended.out).toContain('the index built anew');
    damage(runs);
    const running = await startServer(drives);
    await expectAll(client(running)).catch(() => undefined);
    await running.stop();
    const again = await startServer(drives);
    await expectAll(client(again));
    await again.stop();
    expect(running.output() + again.output()).toMatch(
      /the index (cannot be opened|could not be read).*rebuilt from the logs/,
    );
  });

  it('says that a log file was cut short and what its drive lacks, and has it filled up again', async () => {
    let running = await startServer(drives);
    for (const number of [1, 2, 3, 4, 5]) await put(client(running), `late${number}`, randomBytes(100));
    await running.stop();
    const whole = readFileSync(logOf(2));
    const used = whole.findLastIndex((byte) => byte !== 0) + 1;
    truncateSync(logOf(2), used - 8192);
    const found = await fsck();
    const fault = `log/00000001.log was cut short: it has ${used - 8192} of ${whole.length} bytes`;
    const [, , third] = found.report.now.drives;
    expect(third).toMatchObject({ state: 'current', faults: [fault] });
    expect(third?.lacking).toBeGreaterThan(1);
    expect(found.report.now.problems).toContain(`${drives[2]}: ${fault}`);
    const { code, out } = await granary('fsck', ...drives);
    expect(code).toBe(1);
    expect(out).toMatch(/drive3 {2}holds all but the last \d+ batches, which the next start writes to it; log/);
    expect(out).toContain('To mend it: granary fsck --repair');

    // A start does the same as the repair.
    running = await startServer(drives);
    await expectAll(client(running));
    await running.stop();
    expect(running.output()).toContain('A log file was cut short: it has its full length again');
    expect(readFileSync(logOf(2)).subarray(0, used).equals(whole.subarray(0, used))).toBe(true);
    expect(statSync(logOf(2)).size).toBe(whole.length);
    expect((await fsck()).report.now.problems).toEqual([]);

    // Through many epochs: the drive is caught up.
    truncateSync(logOf(2), 5000);
    expect((await fsck()).report.now.drives[2]?.state).toBe('behind');
    expect((await fsck('--repair')).report.now.problems).toEqual([]);
    expect(statSync(logOf(2)).blocks * 512).toBeGreaterThanOrEqual(whole.length);
  });

  it('rebuilds the index from logs and blobs alone', async () => {
    const index = join(drives[0] ?? '', '.granary', 'index');
    rmSync(index, { recursive: true });
    const absent = await fsck();
    expect(absent.report.now.index).toEqual({ state: 'absent', differences: 0 });
    expect(absent.code).toBe(0);
    const { code, report } = await fsck('--rebuild');
    expect(report.now.problems).toEqual([]);
    expect({ code, index: report.now.index.state, objects: report.now.objects }).toEqual({
      code: 0,
      index: 'right',
      objects: bodies.size,
    });
  });

  it('says what cannot be read, and repairs around it without removing anything', async () => {
    const name = blobsOf(0)[0]?.slice(-20) ?? '';
    const files = [0, 1, 2].map((drive) => blobsOf(drive).find((file) => file.endsWith(name)) ?? '');
    for (const file of files) flip(file, 8192 + 10);
    const damaged = files.map((file) => readFileSync(file));
    const { code, report } = await fsck('--repair');
    expect(code).toBe(1);
    expect(report.now.blobs).toMatchObject({ unreadable: 1, badShards: 3 });
    expect(report.now.problems[0]).toBe('1 object or part cannot be read');
    for (const [index, file] of files.entries())
      expect(readFileSync(file).equals(damaged[index] ?? Buffer.alloc(0))).toBe(true);
    const { out } = await granary('fsck', ...drives);
    expect(out).toContain('CANNOT BE READ');
    expect(out).toContain('bring back drives or copies of them');
    for (const file of files) flip(file, 8192 + 10);
    expect((await fsck('--repair')).code).toBe(0);
  });

  it('names a small object of which too little is left in the logs', async () => {
    const { out } = await granary('inspect', '--json', 'box', 'size30000', ...drives);
    const [body] = (JSON.parse(out) as InspectReport).versions[0]?.bodies ?? [];
    const at = (body?.shards[0]?.offset ?? 0) + 7;
    for (const drive of [0, 1, 2]) flip(logOf(drive), at);
    const { code, report } = await fsck('--repair');
    expect({ code, repaired: report.repairedShards }).toEqual({ code: 1, repaired: 0 });
    const { log, damage, problems } = report.now;
    expect(log).toMatchObject({ bad: 3, unreadableBodies: 1 });
    expect(log.damaged).toEqual([
      {
        ...{ bucket: 'box', key: 'size30000', file: 'log/00000001.log', offset: body?.shards[0]?.offset },
        ...{ bad: [0, 1, 2], missing: [], isReadable: false },
      },
    ]);
    expect(damage.map(({ batches }) => batches)).toEqual([1, 1, 1, 0]);
    expect(problems[0]).toBe('1 object or part cannot be read');
    const text = await granary('fsck', ...drives);
    expect(text.out).toContain('box/size30000  CANNOT BE READ, damaged on ');
    expect(text.out).not.toContain('To mend');
    for (const drive of [0, 2]) flip(logOf(drive), at);
    const readable = await fsck();
    expect(readable.report.now.log).toMatchObject({ bad: 1, unreadableBodies: 0 });
    expect(readable.report.now.log.damaged).toMatchObject([{ key: 'size30000', bad: [1], isReadable: true }]);
    expect((await fsck('--repair')).code).toBe(0);
  });

  it.each([
    [[], 'no drive is named'],
    [['/nonexistent/granary'], 'does not exist'],
    [['--unknown', '/tmp'], 'unknown option'],
  ])('cannot run on %j', async (args, words) => {
    const { code, err } = await granary('fsck', ...args);
    expect(code).toBe(2);
    expect(err).toContain(words);
  });
});

describe('two names of one drive', () => {
  it('are told apart from another server', async () => {
    const link = `${drives[0]}.link`;
    symlinkSync(drives[0] ?? '', link);
    const { code, err } = await granary('fsck', ...drives, link);
    rmSync(link);
    expect(code).toBe(2);
    expect(err).toContain(`${link} are the same folder`);
  });
});

describe('inspect', () => {
  it('shows where each shard of each version lies', async () => {
    const { code, out } = await granary('inspect', '--json', 'box', 'size3000001', ...drives);
    expect(code).toBe(0);
    const { versions } = JSON.parse(out) as InspectReport;
    expect(versions).toHaveLength(1);
    const [version] = versions;
    expect(version).toMatchObject({ isLatest: true, isDeleteMarker: false, bytes: 3_000_001 });
    const [body] = version?.bodies ?? [];
    expect(body).toMatchObject({ kind: 'blob', dataShards: 2, parityShards: 2, isReadable: true });
    expect(body?.shards.map(({ shard, state }) => ({ shard, state }))).toEqual(
      [0, 1, 2, 3].map((shard) => ({ shard, state: 'sound' })),
    );
    // The bytes are where it says.
    const bytes = bodies.get('size3000001') ?? Buffer.alloc(0);
    const [first] = body?.shards ?? [];
    const file = readFileSync(join(drives[first?.position ?? 0] ?? '', first?.file ?? ''));
    const stripe = 1 << 20;
    expect(file.subarray(first?.offset, (first?.offset ?? 0) + stripe / 2).equals(bytes.subarray(0, stripe / 2))).toBe(
      true,
    );
  });

  it('shows every version, delete markers among them, and fsck mends those that nobody sees', async () => {
    const look = async (): Promise<InspectReport['versions']> => {
      const { out } = await granary('inspect', '--json', 'versioned', 'v', ...drives);
      return (JSON.parse(out) as InspectReport).versions;
    };
    const versions = await look();
    expect(versions.map(({ isLatest, isDeleteMarker, bytes }) => ({ isLatest, isDeleteMarker, bytes }))).toEqual([
      { isLatest: true, isDeleteMarker: true, bytes: 0 },
      { isLatest: false, isDeleteMarker: false, bytes: 360_000 },
      { isLatest: false, isDeleteMarker: false, bytes: 350_000 },
    ]);
    const [place] = versions[2]?.bodies[0]?.shards ?? [];
    rmSync(join(drives[place?.position ?? 0] ?? '', place?.file ?? ''));
    expect((await look())[2]?.bodies[0]?.shards[0]?.state).toBe('missing');
    expect((await fsck('--repair')).code).toBe(0);
    expect((await look())[2]?.bodies[0]?.shards[0]?.state).toBe('sound');
  });

  it('shows damage, parts, and objects in the log and in their records', async () => {
    rmSync(blobsOf(1).reduce((a, b) => (statSync(a).size > statSync(b).size ? a : b)));
    const parts = await granary('inspect', 'box', 'parts', ...drives);
    expect(parts.code).toBe(0);
    expect(parts.out).toContain('part 1, 5.0 MiB: 2+2 in blob files, 3 of 4 shards are good');
    expect(parts.out).toContain('part 2, 68.4 KiB: 2+2 in the log, 4 of 4 shards are good');
    expect(parts.out).toMatch(/shard \d \((data|parity)\): missing {2}.*drive2\/blobs\//);
    expect((await granary('inspect', 'box', 'size200', ...drives)).out).toContain(
      'in its record, 4 of 4 copies are good',
    );
    expect((await granary('inspect', 'box', 'size0', ...drives)).out).toContain('no bytes');

    const none = await granary('inspect', 'box', 'never', ...drives);
    expect(none).toMatchObject({ code: 1 });
    expect(none.out).toContain('there is no such object');
    const noBucket = await granary('inspect', 'nowhere', 'never', ...drives);
    expect(noBucket).toMatchObject({ code: 2 });
    expect(noBucket.err).toContain('there is no bucket nowhere');
    expect((await fsck('--repair')).code).toBe(0);
  });

  it('says which drives have a sound copy of a record: with the bytes of a small object, an empty one, a marker', async () => {
    const look = async (bucket: string, key: string): Promise<InspectReport['versions']> => {
      const { out } = await granary('inspect', '--json', bucket, key, ...drives);
      return (JSON.parse(out) as InspectReport).versions;
    };
    const [tiny] = await look('box', 'size200');
    const [copy] = tiny?.copies ?? [];
    expect(tiny?.copies.map(({ position, state }) => ({ position, state }))).toEqual(
      [0, 1, 2, 3].map((position) => ({ position, state: 'sound' })),
    );
    // The bytes are where it says.
    const there = readFileSync(join(drives[2] ?? '', copy?.file ?? '')).subarray(copy?.offset);
    expect(there.subarray(0, copy?.bytes).includes(bodies.get('size200') ?? '')).toBe(true);

    const places = { tiny: copy?.offset ?? 0, empty: (await look('box', 'size0'))[0]?.copies[0]?.offset ?? 0 };
    const marker = (await look('versioned', 'v'))[0]?.copies[0]?.offset ?? 0;
    flip(logOf(1), places.tiny + 40);
    flip(logOf(3), places.empty + 40);
    flip(logOf(0), marker + 40);
    renameSync(drives[2] ?? '', `${drives[2]}.away`);
    const states = async (bucket: string, key: string): Promise<string[] | undefined> =>
      (await look(bucket, key))[0]?.copies.map(({ state }) => state);
    expect(await states('box', 'size200')).toEqual(['sound', 'bad', 'unreachable', 'sound']);
    expect(await states('box', 'size0')).toEqual(['sound', 'sound', 'unreachable', 'bad']);
    expect(await states('versioned', 'v')).toEqual(['bad', 'sound', 'unreachable', 'sound']);
    const { code, out } = await granary('inspect', 'box', 'size200', ...drives);
    expect(code).toBe(0);
    expect(out).toContain('in its record, 2 of 4 copies are good');
    expect(out).toMatch(/copy: damaged {2}.*drive2\/log\/00000001\.log at \d+, \d+ bytes/);
    expect(out).toMatch(/copy: drive not there {2}.*drive3\/log\//);
    renameSync(`${drives[2]}.away`, drives[2] ?? '');
    expect((await fsck('--repair')).code).toBe(0);
    expect(await states('box', 'size200')).toEqual(['sound', 'sound', 'sound', 'sound']);
  });

  it('calls missing, not damaged, what was written while a drive was away', async () => {
    const third = drives[2] ?? '';
    renameSync(third, `${third}.away`);
    const running = await startServer(drives);
    await put(client(running), 'later', randomBytes(50_000));
    await running.kill();
    rmSync(third, { recursive: true, force: true });
    renameSync(`${third}.away`, third);
    const { code, out } = await granary('inspect', 'box', 'later', ...drives);
    expect(code).toBe(0);
    expect(out).toContain('2+2 in the log, 3 of 4 shards are good');
    expect(out).toMatch(/shard \d \((data|parity)\): missing {2}.*drive3\/log\//);
    expect(out).not.toContain('damaged');
    expect((await fsck('--repair')).code).toBe(0);
    expect((await granary('inspect', 'box', 'later', ...drives)).out).toContain('4 of 4 shards are good');
  });

  it('leaves alone what was written while a drive was away, and is there since', async () => {
    const third = drives[2] ?? '';
    renameSync(third, `${third}.away`);
    const running = await startServer(drives);
    for (const key of ['away1', 'away2', 'away3']) await put(client(running), key, randomBytes(1_000_000));
    await running.stop();
    rmSync(third, { recursive: true, force: true });
    renameSync(`${third}.away`, third);
    expect((await fsck('--repair')).report.now.problems).toEqual([]);
    const inodes = (): string[] => blobsOf(2).map((file) => `${file} ${statSync(file).ino}`);
    const before = inodes();
    // Its notes come back with the index, from the logs.
    const { code, report } = await fsck('--repair', '--rebuild');
    expect({ code, repaired: report.repairedShards }).toEqual({ code: 0, repaired: 0 });
    expect(inodes()).toEqual(before);
    const text = await granary('fsck', '--repair', '--rebuild', ...drives);
    expect(text.out).toMatch(/Before {2}nothing was wrong\nRepair {2}the index built anew\n/);
  });

  it('leaves everything to the server that comes next', async () => {
    server = await startServer(drives);
    await expectAll(client(server));
  });
});
