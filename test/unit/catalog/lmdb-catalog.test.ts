import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openLmdbCatalog, type Catalog } from '../../../src/catalog/index.js';

let directory = '';
let lines: string[] = [];
let open: Catalog[] = [];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'granary-catalog-'));
  lines = [];
});

afterEach(async () => {
  for (const catalog of open.splice(0)) await catalog.close();
  rmSync(directory, { recursive: true, force: true });
});

function openIn(bootId: string): Catalog {
  const catalog = openLmdbCatalog({ directory, bootId, log: (text) => lines.push(text) });
  open.push(catalog);
  return catalog;
}

async function close(catalog: Catalog): Promise<void> {
  open = open.filter((one) => one !== catalog);
  await catalog.close();
}

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1');
const everything = { start: Buffer.of(0), end: Buffer.from('ff'.repeat(8), 'hex') };
const keysOf = (catalog: Catalog, options = {}): string[] =>
  [...catalog.range({ ...everything, ...options })].map(({ key }) => key.toString('latin1'));

describe('the index in LMDB', () => {
  it('keeps keys in byte order, whatever bytes they have', async () => {
    const catalog = openIn('boot');
    const keys = ['a', 'a\x00', 'a\x00\x00', 'aa', 'b', '\x7f', '\x80', '\xf4\x8f\xbf\xbf', '\xff', '\xff\x00'];
    await catalog.write((batch) => {
      for (const key of [...keys].reverse()) batch.put(bytes(key), bytes(`value of ${key}`));
    });
    expect(keysOf(catalog)).toEqual(keys);
    expect(keysOf(catalog, { limit: 3 })).toEqual(keys.slice(0, 3));
    expect(keysOf(catalog, { start: bytes('a\x00'), end: bytes('b') })).toEqual(['a\x00', 'a\x00\x00', 'aa']);
    for (const key of keys) expect(catalog.get(bytes(key))?.toString('latin1')).toBe(`value of ${key}`);
    expect(catalog.get(bytes('absent'))).toBeUndefined();
  });

  it('takes the longest key of an upload', async () => {
    const catalog = openIn('boot');
    const key = Buffer.alloc(9 + 1024 + 17, 0xf4);
    await catalog.write((batch) => batch.put(key, Buffer.alloc(100_000, 1)));
    expect(catalog.get(key)?.length).toBe(100_000);
  });

  it('gives values that stay as they are while others are read and written', async () => {
    const catalog = openIn('boot');
    await catalog.write((batch) => {
      for (let index = 0; index < 200; index++)
        batch.put(bytes(`k${String(index).padStart(3, '0')}`), Buffer.alloc(500, index));
    });
    const first = catalog.get(bytes('k001'));
    const all = [...catalog.range(everything)];
    await catalog.write((batch) => {
      for (let index = 0; index < 200; index++)
        batch.put(bytes(`k${String(index).padStart(3, '0')}`), Buffer.alloc(500, 255));
    });
    for (let index = 0; index < 200; index++) catalog.get(bytes(`k${String(index).padStart(3, '0')}`));
    expect(first?.every((byte) => byte === 1)).toBe(true);
    for (const [index, { value }] of all.entries()) expect(value.every((byte) => byte === index)).toBe(true);
  });

  it('shows a range as it was at the beginning, and may be left early', async () => {
    const catalog = openIn('boot');
    await catalog.write((batch) => {
      for (const key of ['a', 'b', 'c']) batch.put(bytes(key), bytes(key));
    });
    const seen: string[] = [];
    for (const { key } of catalog.range(everything)) {
      seen.push(key.toString());
      await catalog.write((batch) => batch.delete(bytes('c')));
      await catalog.write((batch) => batch.put(bytes('bb'), bytes('bb')));
    }
    expect(seen).toEqual(['a', 'b', 'c']);
    for (const entry of catalog.range(everything)) {
      expect(entry.key.toString()).toBe('a');
      break;
    }
    expect(keysOf(catalog)).toEqual(['a', 'b', 'bb']);
  });

  it('takes batches whole and in order, and can be cleared', async () => {
    const catalog = openIn('boot');
    const writes = Array.from({ length: 50 }, (_, index) =>
      catalog.write((batch) => {
        batch.put(bytes('last'), bytes(String(index)));
        batch.put(bytes(`n${index}`), bytes('x'));
      }),
    );
    await Promise.all(writes);
    expect(catalog.get(bytes('last'))?.toString()).toBe('49');
    expect(keysOf(catalog)).toHaveLength(51);
    await catalog.clear();
    expect(keysOf(catalog)).toEqual([]);
    await catalog.write((batch) => batch.put(bytes('again'), bytes('x')));
    expect(keysOf(catalog)).toEqual(['again']);
  });
});

describe('opening the index', () => {
  it('keeps it after a clean close, in whatever boot', async () => {
    const catalog = openIn('boot one');
    await catalog.write((batch) => batch.put(bytes('k'), bytes('v')));
    expect(readFileSync(join(directory, 'open-in-boot'), 'utf8')).toBe('boot one\n1\n');
    await close(catalog);
    expect(existsSync(join(directory, 'open-in-boot'))).toBe(false);
    expect(openIn('boot two').get(bytes('k'))?.toString()).toBe('v');
    expect(lines).toEqual([]);
  });

  it('keeps it after a kill in the same boot, and discards it after one of the machine', async () => {
    const catalog = openIn('boot one');
    await catalog.write((batch) => batch.put(bytes('k'), bytes('v')));
    await close(catalog);
    writeFileSync(join(directory, 'open-in-boot'), 'boot one\n');
    const again = openIn('boot one');
    expect(again.get(bytes('k'))?.toString()).toBe('v');
    await close(again);
    writeFileSync(join(directory, 'open-in-boot'), 'boot one\n');
    expect(openIn('boot two').get(bytes('k'))).toBeUndefined();
    expect(lines.join()).toContain('the index was open when the machine went down');
  });

  it('discards a marker that was cut off with its index', async () => {
    const catalog = openIn('boot one');
    await catalog.write((batch) => batch.put(bytes('k'), bytes('v')));
    await close(catalog);
    writeFileSync(join(directory, 'open-in-boot'), '');
    expect(openIn('boot one').get(bytes('k'))).toBeUndefined();
  });

  it.each([
    ['is no index', () => Buffer.alloc(50_000, 0x5a)],
    ['was cut off in its first page', (file: Buffer) => file.subarray(0, 100)],
    ['was cut off in its middle', (file: Buffer) => file.subarray(0, file.length >> 1)],
    ['was emptied', () => Buffer.alloc(0)],
  ])('starts anew on a file that %s', async (_name, damage) => {
    const catalog = openIn('boot');
    await catalog.write((batch) => {
      for (let index = 0; index < 2000; index++) batch.put(bytes(`k${index}`), Buffer.alloc(300));
    });
    await close(catalog);
    const path = join(directory, 'index.mdb');
    writeFileSync(path, damage(readFileSync(path)));
    const again = openIn('boot');
    expect(keysOf(again)).toEqual([]);
    expect(lines.join()).toContain('rebuilt from the logs');
    await again.write((batch) => batch.put(bytes('k'), bytes('v')));
    expect(keysOf(again)).toEqual(['k']);
  });

  it('is not opened again when two starts with it ended early', async () => {
    const catalog = openIn('boot');
    await catalog.write((batch) => batch.put(bytes('k'), bytes('v')));
    await close(catalog);
    for (const ends of [1, 2]) {
      writeFileSync(join(directory, 'open-in-boot'), `boot\n${ends}\n`);
      const again = openIn('boot');
      expect(keysOf(again)).toEqual(ends === 1 ? ['k'] : []);
      await close(again);
    }
    expect(lines.join()).toContain('ended early, 2 times in a row');
  });
});
