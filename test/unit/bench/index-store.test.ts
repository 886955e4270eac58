/** The stores that the bench compares do the same, and what is done to them is what it is said to be. */
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { indexKinds, loseData, losePowerOf, openIndex } from '../../../bench/choice/index-store.js';

const folders: string[] = [];
afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true });
});

async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'granary-bench-index-'));
  folders.push(folder);
  return join(folder, 'index');
}

const keys = ['a', 'b', 'c', 'd'].map((name) => Buffer.from(name));
const [start = Buffer.alloc(0), , third = Buffer.alloc(0), end = Buffer.alloc(0)] = keys;

async function fill(kind: (typeof indexKinds)[number], folder: string): Promise<void> {
  const store = await openIndex(kind, folder);
  await store.write((batch) => {
    for (const key of keys) batch.put(key, Buffer.from(`value of ${key.toString()}`));
  });
  await store.write((batch) => {
    batch.delete(third);
  });
  await store.close();
}

describe.each(indexKinds)('%s', (kind) => {
  test('has what was written after it was closed, in order', async () => {
    const folder = await newFolder();
    await fill(kind, folder);
    const store = await openIndex(kind, folder);
    try {
      expect(store.get(start)?.toString()).toBe('value of a');
      expect(store.get(third)).toBeUndefined();
      const names = (limit: number) => [...store.range({ start, end, limit })].map(({ key }) => key.toString());
      expect(names(10)).toEqual(['a', 'b']);
      expect(names(1)).toEqual(['a']);
    } finally {
      await store.close();
    }
  });
});

describe('a power loss', () => {
  test('takes runs from the native one that are not named', async () => {
    const folder = await newFolder();
    await fill('native', folder);
    const runs = join(folder, 'runs');
    const before = await readdir(runs);
    await writeFile(join(runs, '999999999999.run'), '');
    await losePowerOf('native', folder);
    expect((await readdir(runs)).sort()).toEqual(before.sort());
  });

  test('leaves nothing of an LMDB that syncs nothing, and all of one that does', async () => {
    for (const [kind, isLeft] of [
      ['unsynced', false],
      ['flushed', true],
    ] as const) {
      const folder = await newFolder();
      await fill(kind, folder);
      await losePowerOf(kind, folder);
      expect(existsSync(join(folder, 'index.mdb'))).toBe(isLeft);
    }
  });
});

test('data that went away beneath the native one is an error, not an answer', async () => {
  const folder = await newFolder();
  await fill('native', folder);
  const store = await openIndex('native', folder);
  try {
    loseData('native', folder);
    expect(() => store.get(start)).toThrow();
    expect(() => [...store.range({ start, end })]).toThrow();
  } finally {
    await store.close();
  }
});
