import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { driveUsage, usageAtRest } from '../../../bench/scale/drive-usage.js';
import { readPage } from '../../../bench/scale/listing.js';
import { lastBatchOffset, unsyncedIndexFiles } from '../../../bench/scale/power-loss.js';

const folders: string[] = [];
afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true });
});

describe('what a power loss takes from the index', () => {
  test('is what the manifest does not name', () => {
    const manifest = 'granary index 1\nrun 12 level 0\nrun 7 level 1\ncrc32c 00000000\n';
    const names = ['manifest', 'manifest.new', '000000000012.run', '000000000007.run', '000000000013.run', '14.new'];
    expect(unsyncedIndexFiles(manifest, names)).toEqual(['manifest.new', '000000000013.run', '14.new']);
  });
});

describe('the last batch of a log file', () => {
  const page = 4096;

  test.each([
    ['an empty file', 4, [], -1],
    ['one batch', 4, [0], 0],
    ['several', 8, [0, 3, 4], 4 * page],
    ['one in the last page', 8, [0, 7], 7 * page],
  ])('%s', (_, pages, batches, expected) => {
    const log = Buffer.alloc(pages * page);
    for (const at of batches) log.write('GRNYLOG1', at * page);
    // Bytes of a batch are none: only the first of a page begin one.
    log.write('GRNYLOG1', page * (pages - 1) + 64);
    expect(lastBatchOffset(log)).toBe(expected);
  });
});

test('a page of a listing', () => {
  const xml = '<Contents><Key>a</Key></Contents><Contents><Key>b/c</Key></Contents>';
  expect(readPage(`${xml}<NextContinuationToken>t0-_</NextContinuationToken>`)).toEqual({
    keys: ['a', 'b/c'],
    next: 't0-_',
  });
  expect(readPage(xml).next).toBe(null);
});

describe('what drives take', () => {
  async function drive(): Promise<string> {
    const folder = await mkdtemp(join(tmpdir(), 'granary-bench-usage-'));
    folders.push(folder);
    await mkdir(join(folder, '.granary', 'index'), { recursive: true });
    await mkdir(join(folder, 'log'));
    return folder;
  }

  test('is what is allocated, the index apart', async () => {
    const folder = await drive();
    const before = await driveUsage([folder]);
    await writeFile(join(folder, 'log', '00000001.log'), Buffer.alloc(1 << 20, 1), { flush: true });
    await writeFile(join(folder, '.granary', 'index', 'run'), Buffer.alloc(1 << 18, 1), { flush: true });
    const after = await driveUsage([folder]);
    expect(after.bytes - before.bytes).toBeGreaterThanOrEqual(1 << 20);
    expect(after.bytes - before.bytes).toBeLessThan((1 << 20) + (1 << 16));
    expect(after.indexBytes - before.indexBytes).toBeGreaterThanOrEqual(1 << 18);
  });

  test('a drive that does not come to rest is an error', async () => {
    const folder = await drive();
    let index = 0;
    const growing = setInterval(() => {
      void writeFile(join(folder, 'log', String(index++)), Buffer.alloc(8192, 1), { flush: true });
    }, 100);
    try {
      await expect(usageAtRest([folder], 1500, 1000)).rejects.toThrow('come to rest');
    } finally {
      clearInterval(growing);
    }
  });
});
