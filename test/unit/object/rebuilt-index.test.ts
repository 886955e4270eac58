/** An index that is lost when compaction has put records behind others that came after them. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { filesBelow, startEngine, type RunningEngine } from '../../support/running-engine.js';
import { seededRandom } from '../../support/seeded-random.js';
import { Workload, expectExactSpace, readAll } from '../../support/workload.js';

const metadata = { headers: {}, storageClass: 'STANDARD' };

let running: RunningEngine;
let workload: Workload;
let folder = '';
let count = 0;

async function start(): Promise<void> {
  running = await startEngine({
    drives: [join(folder, 'a')],
    indexDirectory: join(folder, 'index'),
    logFileBytes: 1 << 20,
  });
  workload.running = running;
}

afterEach(async () => {
  await running.close();
  rmSync(folder, { recursive: true, force: true });
});

async function put(key: string, body: Buffer): Promise<string> {
  const upload = await workload.feed('one', key, body);
  return (await upload.commitObject({ metadata, checksum: null, precondition: null })).versionId;
}

async function putMultipart(key: string, body: Buffer): Promise<string> {
  const options = { bucket: 'one', key, metadata, checksumAlgorithm: null, checksumType: null };
  const { uploadId } = await running.engine.createMultipartUpload(options);
  const upload = await workload.feed('one', key, body);
  const { etag } = await upload.commitPart({ uploadId, partNumber: 1, checksum: null });
  const parts = [{ partNumber: 1, etag, checksum: null }];
  const complete = { bucket: 'one', key, uploadId, parts, precondition: null };
  return (await running.engine.completeMultipartUpload(complete)).versionId;
}

async function copyOf(key: string, versionId: string): Promise<string> {
  const snapshot = running.engine.open('one', key, versionId);
  try {
    return (await running.engine.replaceMetadata(snapshot, metadata, null))?.versionId ?? '';
  } finally {
    snapshot.close();
  }
}

const end = (key: string, versionId: string) => running.engine.deleteObject('one', key, versionId, null);
const files = (): readonly number[] => running.opened.journal.logFiles();

/** Writes until the log goes on in this file; answers what was written. */
async function fillUpTo(fileNumber: number): Promise<[string, string][]> {
  const written: [string, string][] = [];
  while (Math.max(...files()) < fileNumber) {
    const key = `fill${count++}`;
    written.push([key, await put(key, Buffer.alloc(100_000, count))]);
  }
  return written;
}

async function endAll(versions: readonly (readonly [string, string])[]): Promise<void> {
  await Promise.all(versions.map(([key, versionId]) => end(key, versionId)));
}

/** Until the log begins with this file. */
async function beginsWith(fileNumber: number): Promise<void> {
  await expect.poll(() => Math.min(...files()), { timeout: 10_000 }).toBe(fileNumber);
}

async function loseIndex(): Promise<void> {
  await running.close();
  rmSync(join(folder, 'index'), { recursive: true });
  await start();
  await expect.poll(() => running.engine.index.isRebuilding).toBe(false);
  await expect.poll(() => [...running.engine.index.pendingGarbage()].length).toBe(0);
  // The sweep has been, too.
  await new Promise((resolve) => setTimeout(resolve, 300));
}

describe.each([
  ['a large body', put],
  ['a small body in a part', putMultipart],
  ['a large body in a part', putMultipart],
])('%s', (name, make) => {
  const bytes = name.startsWith('a small') ? 50_000 : 300_000;

  async function begin(): Promise<Buffer> {
    folder = mkdtempSync(join(tmpdir(), 'granary-rebuilt-'));
    workload = new Workload(seededRandom(9), 9);
    await start();
    await workload.createBucket('one');
    await running.engine.setVersioning('one', { status: 'Enabled', excludedPrefixes: [], excludesFolders: false });
    return workload.newBody(bytes);
  }

  async function expectBody(versionId: string, body: Buffer): Promise<void> {
    const snapshot = running.engine.open('one', 'k', versionId);
    expect((await readAll(snapshot, 0, body.length)).equals(body)).toBe(true);
  }

  const blobs = (): string[] => filesBelow(join(folder, 'a', 'blobs'));

  it('stays when a copy of its version ended before that version was moved', async () => {
    const body = await begin();
    const original = await make('k', body);
    await endAll(await fillUpTo(2));
    await end('k', await copyOf('k', original));
    const kept = await fillUpTo(3);
    await beginsWith(2);
    await loseIndex();
    await expectBody(original, body);
    expectExactSpace(running, 100);
    await endAll([['k', original], ...kept]);
    await expect.poll(blobs).toEqual([]);
  }, 60_000);

  it('stays when its version ended before a copy of it was moved', async () => {
    const body = await begin();
    const original = await make('k', body);
    await endAll(await fillUpTo(2));
    const copy = await copyOf('k', original);
    const second = await fillUpTo(3);
    await beginsWith(2);
    // The original lies in the third file now, the copy still in the second.
    await end('k', original);
    const third = await fillUpTo(4);
    await endAll([...second, ...third.splice(0, 2)]);
    await beginsWith(3);
    await loseIndex();
    await expectBody(copy, body);
    expectExactSpace(running, 100);
    await endAll([['k', copy], ...third]);
    await expect.poll(blobs).toEqual([]);
  }, 60_000);
});
