/** Healing that is asked for: every object below a prefix is verified on every drive, and written anew where it is wrong. */
import { randomBytes } from 'node:crypto';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { logFileBytesMin } from '../../../dist/journal/index.js';
import type { ObjectHealResult } from '../../../dist/object/index.js';
import { finishedUpload, plain } from '../../support/finished-upload.js';
import { filesBelow, startEngine, type RunningEngine } from '../../support/running-engine.js';

let folder: string;
let drives: string[];
let running: RunningEngine;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'granary-heal-'));
  drives = ['a', 'b', 'c', 'd'].map((name) => join(folder, name));
  // Without a scan beside it, which would mend what is damaged here first.
  const sweepAfterMs = 86_400_000;
  const indexDirectory = join(folder, 'index');
  running = await startEngine({ drives, indexDirectory, logFileBytes: logFileBytesMin, sweepAfterMs });
  await running.engine.createBucket('b', { region: '' });
}, 60_000);
afterAll(async () => {
  await running.close();
  rmSync(folder, { recursive: true, force: true });
});

async function put(key: string, body: Buffer): Promise<void> {
  await (await finishedUpload(running.engine, key, body)).commitObject(plain);
}

async function heal(prefix: string, isDryRun = false): Promise<ObjectHealResult[]> {
  const results: ObjectHealResult[] = [];
  const options = { bucket: 'b', prefix, isDryRun, isStopped: () => false };
  for await (const result of running.engine.healObjects(options)) results.push(result);
  return results;
}

const sound = ['sound', 'sound', 'sound', 'sound'];

/** Turns a byte of the file that holds these bytes, where they are. */
function damage(drive: string, kind: string, bytes: Buffer): void {
  for (const path of filesBelow(join(drive, kind))) {
    const at = readFileSync(path).indexOf(bytes);
    if (at === -1) continue;
    const file = openSync(path, 'r+');
    writeSync(file, Buffer.of((bytes[7] ?? 0) ^ 0xff), 0, 1, at + 7);
    closeSync(file);
    return;
  }
  throw new Error(`no file below ${drive}/${kind} holds them`);
}

function isOf(path: string, body: Buffer): boolean {
  return readFileSync(path).includes(body.subarray(0, 64));
}

/** Of the drive that holds the first data shard, and where. */
function holderOf(kind: string, start: Buffer): number {
  return drives.findIndex((drive) => filesBelow(join(drive, kind)).some((path) => readFileSync(path).includes(start)));
}

describe('healing that is asked for', () => {
  it('finds nothing wrong with what is sound: inline, in the log, in files, in parts', async () => {
    await put('0/inline', randomBytes(100));
    await put('0/slots', randomBytes(20_000));
    await put('0/x/blob', randomBytes(900_000));
    const created = await running.engine.createMultipartUpload({
      bucket: 'b',
      key: '0/parts',
      metadata: plain.metadata,
      checksumAlgorithm: null,
      checksumType: null,
    });
    const body = randomBytes(700_000);
    const upload = await finishedUpload(running.engine, '0/parts', body);
    const { uploadId } = created;
    const { etag } = await upload.commitPart({ uploadId, partNumber: 1, checksum: null });
    const parts = [{ partNumber: 1, etag, checksum: null }];
    await running.engine.completeMultipartUpload({ bucket: 'b', key: '0/parts', uploadId, parts, precondition: null });
    const results = await heal('0/');
    expect(results.map(({ key, bytes, isInline }) => [key, bytes, isInline])).toEqual([
      ['0/inline', 100, true],
      ['0/parts', 700_000, false],
      ['0/slots', 20_000, false],
      ['0/x/blob', 900_000, false],
    ]);
    for (const { before, after, dataShards, parityShards } of results) {
      expect([before, after, dataShards, parityShards]).toEqual([sound, sound, 2, 2]);
    }
    expect((await heal('0/x/')).map(({ key }) => key)).toEqual(['0/x/blob']);
  });

  it('says what is damaged or missing in files, and mends it unless it is to look only', async () => {
    const body = randomBytes(900_000);
    await put('1/blob', body);
    const damaged = holderOf('blobs', body.subarray(0, 64));
    const name = filesBelow(join(drives[damaged] ?? '', 'blobs')).find((path) => isOf(path, body));
    damage(drives[damaged] ?? '', 'blobs', body.subarray(0, 64));
    const missing = (damaged + 1) % 4;
    rmSync((name ?? '').replace(drives[damaged] ?? '', drives[missing] ?? ''));
    const expected = sound.map((state, index) => (index === damaged ? 'bad' : index === missing ? 'missing' : state));
    const [looked] = await heal('1/', true);
    expect([looked?.before, looked?.after]).toEqual([expected, expected]);
    const [mended] = await heal('1/');
    expect([mended?.before, mended?.after]).toEqual([expected, sound]);
    const [again] = await heal('1/');
    expect(again?.before).toEqual(sound);
    expect(holderOf('blobs', body.subarray(0, 64))).toBe(damaged);
  });

  it('says what is damaged in the log, and mends it', async () => {
    const body = randomBytes(20_000);
    await put('2/other', randomBytes(20_000));
    await put('2/slots', body);
    const damaged = holderOf('log', body.subarray(0, 64));
    damage(drives[damaged] ?? '', 'log', body.subarray(0, 64));
    const expected = sound.map((state, index) => (index === damaged ? 'bad' : state));
    const before = await heal('2/', true);
    expect(before.map((result) => [result.key, result.after])).toEqual([
      ['2/other', sound],
      ['2/slots', expected],
    ]);
    const [mended] = await heal('2/slots');
    expect([mended?.before, mended?.after]).toEqual([expected, sound]);
    expect(holderOf('log', body.subarray(0, 64))).toBe(damaged);
  });

  it('reads bodies that lie in records as well, on every drive', async () => {
    const body = randomBytes(300);
    await put('6/other', randomBytes(300));
    await put('6/inline', body);
    damage(drives[2] ?? '', 'log', body.subarray(0, 64));
    const expected = ['sound', 'sound', 'bad', 'sound'];
    const looked = await heal('6/', true);
    expect(looked.map(({ key, before, after, isInline }) => [key, before, after, isInline])).toEqual([
      ['6/inline', expected, expected, true],
      ['6/other', sound, sound, true],
    ]);
    const [mended] = await heal('6/inline');
    expect([mended?.before, mended?.after]).toEqual([expected, sound]);
    const copies = drives.map((drive) =>
      filesBelow(join(drive, 'log')).some((path) => readFileSync(path).includes(body)),
    );
    expect(copies).toEqual([true, true, true, true]);
  });

  it('leaves what cannot be read as it is, and says so', async () => {
    const body = randomBytes(900_000);
    await put('3/blob', body);
    const kept = holderOf('blobs', body.subarray(0, 64));
    const name = filesBelow(join(drives[kept] ?? '', 'blobs')).find((path) => isOf(path, body)) ?? '';
    const gone = [0, 1, 2, 3].filter((position) => position !== kept);
    for (const position of gone) rmSync(name.replace(drives[kept] ?? '', drives[position] ?? ''));
    const expected = sound.map((_, position) => (position === kept ? 'sound' : 'missing'));
    const [result] = await heal('3/');
    expect([result?.before, result?.after]).toEqual([expected, expected]);
    expect(holderOf('blobs', body.subarray(0, 64))).toBe(kept);
  });

  it('goes through every version, and leaves delete markers alone', async () => {
    const { engine } = running;
    await engine.setVersioning('b', { status: 'Enabled', excludedPrefixes: [], excludesFolders: false });
    const old = randomBytes(900_000);
    await put('5/key', old);
    await put('5/key', randomBytes(30_000));
    await put('5/gone', randomBytes(100));
    await engine.deleteObject('b', '5/gone', '', null);
    const damaged = holderOf('blobs', old.subarray(0, 64));
    damage(drives[damaged] ?? '', 'blobs', old.subarray(0, 64));
    const expected = sound.map((state, position) => (position === damaged ? 'bad' : state));
    const results = await heal('5/');
    expect(results.map(({ key, bytes, before, after }) => [key, bytes, before, after])).toEqual([
      ['5/key', 30_000, sound, sound],
      ['5/gone', 100, sound, sound],
      ['5/key', 900_000, expected, sound],
    ]);
    expect(new Set(results.map(({ versionId }) => versionId)).size).toBe(3);
  });

  it('stops when it is told to', async () => {
    for (let index = 0; index < 5; index++) await put(`4/key-${index}`, randomBytes(1000));
    const seen: string[] = [];
    const isStopped = () => seen.length >= 2;
    for await (const { key } of running.engine.healObjects({ bucket: 'b', prefix: '4/', isDryRun: false, isStopped })) {
      seen.push(key);
    }
    expect(seen).toEqual(['4/key-0', '4/key-1']);
  });
});
