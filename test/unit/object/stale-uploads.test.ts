import { beforeEach, expect, test } from 'vitest';
import { StaleUploads } from '../../../src/object/index.js';
import { MemoryObjectLayer } from '../../support/memory-object-layer.js';

const hourMs = 3_600_000;
let nowMs: number;
let objects: MemoryObjectLayer;
let settings: { staleUploadsExpiryMs: number; staleUploadsCleanupMs: number };
let logged: string[];
let stale: StaleUploads;

beforeEach(async () => {
  nowMs = 1_000 * hourMs;
  settings = { staleUploadsExpiryMs: 24 * hourMs, staleUploadsCleanupMs: 6 * hourMs };
  logged = [];
  const clock = { nowMs: () => nowMs, monotonicMs: () => nowMs };
  objects = new MemoryObjectLayer({ clock });
  for (const bucket of ['one', 'two']) await objects.createBucket(bucket, { region: '' });
  stale = new StaleUploads({ objects, settings: () => settings, clock, log: (text) => logged.push(text) });
});

async function upload(bucket: string, key: string): Promise<string> {
  const metadata = { headers: {}, storageClass: 'STANDARD' };
  const made = await objects.createMultipartUpload({
    bucket,
    key,
    metadata,
    checksumAlgorithm: null,
    checksumType: null,
  });
  return made.uploadId;
}

const left = (bucket: string) =>
  objects
    .listUploads({ bucket, prefix: '', delimiter: '', keyMarker: '', uploadIdMarker: '', countMax: 5000 })
    .uploads.map(({ key }) => key);

test('gives up what is older than the expiry, in every bucket, and nothing else', async () => {
  await upload('one', 'old');
  await upload('two', 'old');
  nowMs += 1;
  await upload('one', 'young');
  nowMs += 24 * hourMs - 1;
  expect(await stale.sweep()).toBe(2);
  expect(left('one')).toEqual(['young']);
  expect(left('two')).toEqual([]);
});

test('goes through more uploads than a page has', async () => {
  for (let n = 0; n < 2300; n++) await upload('one', `k${n % 700}`);
  nowMs += 25 * hourMs;
  expect(await stale.sweep()).toBe(2300);
  expect(left('one')).toEqual([]);
});

test('heeds an expiry that was changed', async () => {
  await upload('one', 'k');
  nowMs += hourMs;
  expect(await stale.sweep()).toBe(0);
  settings = { ...settings, staleUploadsExpiryMs: hourMs / 2 };
  expect(await stale.sweep()).toBe(1);
});

test('comes early after a start, and not before', () => {
  expect(stale.isDue()).toBe(false);
  nowMs += 299_999;
  expect(stale.isDue()).toBe(false);
  nowMs += 1;
  expect(stale.isDue()).toBe(true);
});

test('stops where the server stops', async () => {
  await upload('one', 'k');
  nowMs += 25 * hourMs;
  await stale.close();
  expect(await stale.sweep()).toBe(0);
  expect(left('one')).toEqual(['k']);
});
