import { beforeEach, expect, test } from 'vitest';
import { StaleUploads } from '../../../src/object/index.js';
import { MemoryObjectLayer } from '../../support/memory-object-layer.js';

const hourMs = 3_600_000;
/** Both clocks; the wall clock is set by `setMs`. */
let nowMs: number;
let setMs: number;
let objects: MemoryObjectLayer;
let settings: { staleUploadsExpiryMs: number; staleUploadsCleanupMs: number };
let logged: string[];
let stale: StaleUploads;

beforeEach(async () => {
  nowMs = 1_000 * hourMs;
  setMs = 0;
  settings = { staleUploadsExpiryMs: 24 * hourMs, staleUploadsCleanupMs: 6 * hourMs };
  logged = [];
  const clock = { nowMs: () => nowMs + setMs, monotonicMs: () => nowMs };
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

const left = async (bucket: string) => {
  const all = { prefix: '', delimiter: '', keyMarker: '', uploadIdMarker: '', countMax: 5000 };
  return (await objects.listUploads({ bucket, ...all })).uploads.map(({ key }) => key);
};

test('gives up what is older than the expiry, in every bucket, and nothing else', async () => {
  await upload('one', 'old');
  await upload('two', 'old');
  nowMs += 1;
  await upload('one', 'young');
  nowMs += 24 * hourMs - 1;
  expect(await stale.sweep()).toBe(2);
  expect(await left('one')).toEqual(['young']);
  expect(await left('two')).toEqual([]);
});

test('goes through more uploads than a page has', async () => {
  for (let n = 0; n < 2300; n++) await upload('one', `k${n % 700}`);
  nowMs += 25 * hourMs;
  expect(await stale.sweep()).toBe(2300);
  expect(await left('one')).toEqual([]);
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
  expect(await left('one')).toEqual(['k']);
});

test('leaves everything alone for a whole expiry after the clock was set forward', async () => {
  await upload('one', 'k');
  setMs = 8_760 * hourMs;
  expect(await stale.sweep()).toBe(0);
  nowMs += 24 * hourMs - 1;
  expect(await stale.sweep()).toBe(0);
  setMs = 0;
  nowMs += 1;
  expect(await stale.sweep()).toBe(1);
  expect(await left('one')).toEqual([]);
});

test('gives up what was begun by a clock that was years ahead and is right again', async () => {
  setMs = 8_760 * hourMs;
  await upload('one', 'ahead');
  setMs = 0;
  await upload('one', 'right');
  expect(await stale.sweep()).toBe(0);
  nowMs += 24 * hourMs - 1;
  expect(await stale.sweep()).toBe(0);
  nowMs += 1;
  expect(await stale.sweep()).toBe(2);
  expect(await left('one')).toEqual([]);
});

test('gives up what was begun by a clock that was years behind and is right again, when it is old enough', async () => {
  setMs = -500 * hourMs;
  await upload('one', 'behind');
  expect(await stale.sweep()).toBe(0);
  setMs = 0;
  expect(await stale.sweep()).toBe(0);
  nowMs += 24 * hourMs;
  expect(await stale.sweep()).toBe(1);
});
