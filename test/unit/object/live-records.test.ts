/** Bytes in use by log file: exact after every kind of record, after a restart, and when built from the log anew. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { Readers } from '../../../src/object/readers.js';
import { startEngine, type RunningEngine } from '../../support/running-engine.js';
import { seededRandom } from '../../support/seeded-random.js';
import { Workload, expectExactSpace, spaceByFile } from '../../support/workload.js';

let running: RunningEngine | null = null;
let folder = '';

afterEach(async () => {
  await running?.close();
  running = null;
  if (folder !== '') rmSync(folder, { recursive: true, force: true });
});

it('is the sum of what the entries keep, whatever was written, replaced, completed, aborted and deleted', async () => {
  folder = mkdtempSync(join(tmpdir(), 'granary-space-'));
  const options = {
    drives: [join(folder, 'a'), join(folder, 'b'), join(folder, 'c')],
    indexDirectory: join(folder, 'index'),
    logFileBytes: 1 << 20,
  };
  running = await startEngine(options);
  const workload = new Workload(seededRandom(7), 7);
  workload.running = running;
  await workload.createBucket('one');
  for (let round = 0; round < 5; round++) {
    await workload.wave(12);
    expectExactSpace(running, 200);
  }
  const { engine } = running;
  await engine.writeSystemRecords([1, 2, 3].map((n) => ({ name: `t/${n}`, value: Buffer.alloc(100 * n) })));
  await engine.writeSystemRecords([{ name: 't/2', value: null }]);
  await engine.setBucketDocument('one', 'tagging', 'text');
  await engine.setBucketDocument('one', 'tagging', null);
  await engine.setBucketDocument('one', 'cors', 'text');
  const info = await engine.createMultipartUpload({
    bucket: 'one',
    key: 'gone',
    metadata: { headers: {}, storageClass: 'STANDARD' },
    checksumAlgorithm: null,
    checksumType: null,
  });
  const part = await workload.feed('one', 'gone', Buffer.alloc(10_000, 1));
  await part.commitPart({ uploadId: info.uploadId, partNumber: 1, checksum: null });
  await engine.abortMultipartUpload('one', 'gone', info.uploadId);
  expectExactSpace(running, 200);
  for (let count = 0; count < 24; count++) {
    const upload = await workload.feed('one', `small${count}`, Buffer.alloc(100_000, count));
    const metadata = { headers: {}, storageClass: 'STANDARD' };
    await upload.commitObject({ metadata, checksum: null, precondition: null });
  }
  expectExactSpace(running, 200);
  const before = spaceByFile(running);
  expect([...before.values()].reduce((sum, bytes) => sum + bytes, 0)).toBeGreaterThan(100_000);
  expect(before.size).toBeGreaterThan(1);

  await running.close();
  running = await startEngine(options);
  expectExactSpace(running, 200);
  expect(spaceByFile(running)).toEqual(before);

  await running.close();
  rmSync(options.indexDirectory, { recursive: true });
  running = await startEngine(options);
  expectExactSpace(running, 200);
  expect(spaceByFile(running)).toEqual(before);
}, 60_000);

it('waits for the readers of before, and for no others', async () => {
  const readers = new Readers();
  const [one, two] = [readers.enter(), readers.enter()];
  const order: string[] = [];
  const gone = readers.gone().then(() => order.push('first'));
  const later = readers.enter();
  readers.leave(one);
  await Promise.resolve();
  expect(order).toEqual([]);
  readers.leave(two);
  await gone;
  const last = readers.gone().then(() => order.push('second'));
  await Promise.resolve();
  expect(order).toEqual(['first']);
  readers.leave(later);
  await last;
  await readers.gone();
  expect(order).toEqual(['first', 'second']);
});
