/** The anchor of listings: the index alone, read page by page in this process. No XML, no HTTP, no records decoded. */
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { openRunCatalog } from '../../src/catalog/index.js';

/** About what a record of a small object takes. */
const valueBytes = 250;
const scanMs = 500;

/** Keys a second. */
export async function scanRate(keys: readonly string[], pageKeys: number): Promise<number> {
  const folder = await mkdtemp(path.join(tmpdir(), 'granary-bench-index-'));
  const catalog = await openRunCatalog({ directory: folder, log: () => undefined });
  try {
    const stored = keys.map((key) => Buffer.from(key));
    await catalog.write((batch) => {
      for (const key of stored) batch.put(key, randomBytes(valueBytes));
    });
    const end = Buffer.from([0xff]);
    const scan = (): number => {
      let seen = 0;
      for (let page = 0; page < stored.length / pageKeys; page++) {
        const start = stored[page * pageKeys] ?? end;
        for (const { value } of catalog.range({ start, end, limit: pageKeys })) seen += value.length > 0 ? 1 : 0;
      }
      return seen;
    };
    if (scan() !== stored.length) throw new Error('the scan misses keys');
    let seen = 0;
    const begin = performance.now();
    while (performance.now() - begin < scanMs) seen += scan();
    return (seen * 1000) / (performance.now() - begin);
  } finally {
    await catalog.close();
    await rm(folder, { recursive: true });
  }
}
