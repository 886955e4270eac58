import { spawnSync } from 'node:child_process';
import {
  closeSync,
  constants,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  IndexDamaged,
  openExistingCatalog,
  openRunCatalog,
  type Catalog,
  type IndexPlace,
  type RunCatalogOptions,
} from '../../../src/catalog/index.js';
import { withoutDescriptors } from '../../support/descriptor-limit.js';
import { seededRandom } from '../../support/seeded-random.js';

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

/** A small table makes many runs. */
async function openHere(memoryBytes = 1 << 20): Promise<Catalog> {
  const catalog = await openRunCatalog({
    directory,
    memoryBytes,
    cacheBytes: 1 << 20,
    log: (text) => lines.push(text),
  });
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

describe('the index in runs', () => {
  it('keeps keys in byte order, whatever bytes they have', async () => {
    const catalog = await openHere();
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
    const catalog = await openHere();
    const key = Buffer.alloc(9 + 1024 + 17, 0xf4);
    await catalog.write((batch) => batch.put(key, Buffer.alloc(100_000, 1)));
    expect(catalog.get(key)?.length).toBe(100_000);
  });

  it('gives values that stay as they are while others are read and written', async () => {
    const catalog = await openHere();
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
    const catalog = await openHere();
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

  it.each(['in memory', 'in runs'])('passes entries that were deleted in a row once, %s', async (where) => {
    const catalog = await openHere();
    const keys = Array.from({ length: 5000 }, (_, index) => bytes(`k${10_000 + index}`));
    await catalog.write((batch) => {
      for (const key of keys) batch.put(key, bytes('x'));
      batch.put(bytes('l'), bytes('x'));
    });
    if (where === 'in runs') await catalog.flush();
    await catalog.write((batch) => {
      for (const key of keys) batch.delete(key);
    });
    if (where === 'in runs') await catalog.flush();
    let passed = 0;
    const turn = { pass: (deletions: number) => (passed += deletions) };
    const passedOnTheWay = (): number => {
      passed = 0;
      expect(keysOf(catalog, { turn })).toEqual(['l']);
      return passed;
    };
    const first = passedOnTheWay();
    expect(first).toBeGreaterThan(4000);
    expect(first).toBeLessThanOrEqual(5000);
    expect(passedOnTheWay()).toBe(0);
    // Whoever is stopped on the way has not gone it in vain.
    await catalog.write((batch) => {
      for (const key of keys) batch.put(key, bytes('y'));
    });
    await catalog.write((batch) => {
      for (const key of keys) batch.delete(key);
    });
    const stop = () => {
      throw new Error('stop');
    };
    let stopped = 0;
    for (; stopped < 100; stopped++) {
      try {
        expect(keysOf(catalog, { turn: { pass: stop } })).toEqual(['l']);
        break;
      } catch (error) {
        expect(error).toMatchObject({ message: 'stop' });
      }
    }
    expect(stopped).toBeGreaterThan(7);
    expect(stopped).toBeLessThan(12);
  });

  it('takes batches whole and in order, and can be cleared', async () => {
    const catalog = await openHere();
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

  it('is cleared on a disk that takes nothing more, for the next that opens it as well', async () => {
    const catalog = await openHere();
    await catalog.write((batch) => batch.put(bytes('old'), bytes('x')));
    await catalog.flush();
    // Where the names of the runs would be written.
    const block = join(directory, 'runs', 'manifest.new');
    mkdirSync(block);
    await catalog.clear();
    expect(keysOf(catalog)).toEqual([]);
    await close(catalog);
    rmSync(block, { recursive: true });
    expect(keysOf(await openHere())).toEqual([]);
    expect(lines).toEqual([]);
  });
});

/** What a crash at this moment would leave. */
async function crash(catalog: Catalog): Promise<void> {
  const kept = `${directory}-kept`;
  cpSync(directory, kept, { recursive: true });
  await close(catalog);
  rmSync(directory, { recursive: true });
  cpSync(kept, directory, { recursive: true });
  rmSync(kept, { recursive: true });
}

const runFiles = (runs = join(directory, 'runs')): string[] =>
  readdirSync(runs)
    .filter((name) => name.endsWith('.run'))
    .sort()
    .map((name) => join(runs, name));

describe('runs and the table above them', () => {
  it.each([1, 2, 3, 4])('are one ordered index: random changes against a map, seed %i', async (seed) => {
    const random = seededRandom(seed);
    const below = (limit: number): number => Math.floor(random() * limit);
    const model = new Map<string, string>();
    let catalog = await openHere(16 << 10);
    const name = (): string => `k${String(below(400)).padStart(3, '0')}${'x'.repeat(below(30))}`;
    const expectSame = (): void => {
      const keys = [...model.keys()].sort();
      const start = name();
      const end = name();
      const between = keys.filter((key) => key >= start && key < end);
      const range = { start: bytes(start), end: bytes(end) };
      const found = [...catalog.range(range)].map(({ key, value }) => [key.toString(), value.toString()]);
      expect(found).toEqual(between.map((key) => [key, model.get(key)]));
      const backwards = [...catalog.range({ ...range, reverse: true, limit: 7 })].map(({ key }) => key.toString());
      expect(backwards).toEqual(between.reverse().slice(0, 7));
      const one = name();
      expect(catalog.get(bytes(one))?.toString()).toBe(model.get(one));
    };
    for (let round = 0; round < 300; round++) {
      await catalog.write((batch) => {
        for (let change = 0; change < 1 + below(40); change++) {
          const key = name();
          if (below(4) === 0) {
            batch.delete(bytes(key));
            model.delete(key);
          } else {
            const value = `${round}.${change}${'v'.repeat(below(200))}`;
            batch.put(bytes(key), bytes(value));
            model.set(key, value);
          }
        }
      });
      if (round % 10 === 0) expectSame();
      if (round % 97 === 50) await catalog.flush();
      if (round % 60 === 59) {
        await close(catalog);
        catalog = await openHere(16 << 10);
        expectSame();
      }
    }
    expect(keysOf(catalog)).toEqual([...model.keys()].sort());
    expect(lines).toEqual([]);
  });

  it('show a range as it was, also when its table has become a run and the runs were merged', async () => {
    const catalog = await openHere(8 << 10);
    const put = (count: number, text: string): Promise<void> =>
      catalog.write((batch) => {
        for (let index = 0; index < count; index++) batch.put(bytes(`k${String(index).padStart(4, '0')}`), bytes(text));
      });
    await put(1000, 'before');
    const seen: string[] = [];
    for (const { value } of catalog.range(everything)) {
      if (seen.length % 100 === 0) {
        await put(1000, 'after');
        await catalog.flush();
      }
      seen.push(value.toString());
    }
    expect(seen).toEqual(Array.from({ length: 1000 }, () => 'before'));
    expect(catalog.get(bytes('k0000'))?.toString()).toBe('after');
    // Merged again and again: as many runs as batches would mean that nothing was.
    expect(runFiles().length).toBeLessThan(10);
  });

  it('hold values larger than a block, and a page', async () => {
    const catalog = await openHere();
    const large = Buffer.alloc(2 << 20, 7);
    await catalog.write((batch) => {
      batch.put(bytes('a'), bytes('small'));
      batch.put(bytes('b'), large);
      batch.put(bytes('c'), Buffer.alloc(0));
    });
    await catalog.flush();
    expect(catalog.get(bytes('b'))?.equals(large)).toBe(true);
    expect(catalog.get(bytes('c'))?.length).toBe(0);
    expect([...catalog.range(everything)].map(({ value }) => value.length)).toEqual([5, 2 << 20, 0]);
  });
});

describe('opening the index', () => {
  it('finds after a clean close what was written', async () => {
    const catalog = await openHere();
    await catalog.write((batch) => batch.put(bytes('k'), bytes('v')));
    await close(catalog);
    expect((await openHere()).get(bytes('k'))?.toString()).toBe('v');
    expect(lines).toEqual([]);
  });

  it('finds after a crash what was flushed, whole batches of it', async () => {
    const catalog = await openHere();
    await catalog.write((batch) => batch.put(bytes('flushed'), bytes('v')));
    await catalog.flush();
    await catalog.write((batch) => batch.put(bytes('in memory'), bytes('v')));
    await crash(catalog);
    expect(keysOf(await openHere())).toEqual(['flushed']);
    expect(lines).toEqual([]);
  });

  it('removes files that the manifest does not name', async () => {
    const catalog = await openHere();
    await catalog.write((batch) => batch.put(bytes('k'), bytes('v')));
    await close(catalog);
    writeFileSync(join(directory, 'runs', '000000000099.run'), 'of a start that ended early');
    writeFileSync(join(directory, 'runs', '000000000098.run.new'), 'half a run');
    expect(keysOf(await openHere())).toEqual(['k']);
    expect(runFiles()).toHaveLength(1);
    expect(readdirSync(join(directory, 'runs')).some((name) => name.endsWith('.new'))).toBe(false);
  });

  it.each([
    ['its run is cut off', (): void => cut(runFiles()[0] ?? '', 100)],
    ['its run is gone', (): void => rmSync(runFiles()[0] ?? '')],
    ["the end of its run's table is another", (): void => flip(runFiles()[0] ?? '', -70)],
    ['its footer is another', (): void => flip(runFiles()[0] ?? '', -20)],
    ['its manifest is another', (): void => flip(join(directory, 'runs', 'manifest'), 20)],
    ['its manifest is empty', (): void => writeFileSync(join(directory, 'runs', 'manifest'), '')],
  ])('starts anew when %s', async (_name, damage) => {
    const catalog = await openHere();
    await catalog.write((batch) => batch.put(bytes('k'), bytes('v')));
    await close(catalog);
    damage();
    expect(await openExistingCatalog(directory)).toBe('damaged');
    const again = await openHere();
    expect(keysOf(again)).toEqual([]);
    expect(lines.join()).toContain('rebuilt from the logs');
    await again.write((batch) => batch.put(bytes('n'), bytes('v')));
    await close(again);
    expect(keysOf(await openHere())).toEqual(['n']);
  });

  it('reports a damaged block when it is read, and starts anew the next time', async () => {
    const catalog = await openHere();
    await catalog.write((batch) => {
      for (let index = 0; index < 1000; index++) batch.put(bytes(`k${index}`), Buffer.alloc(100));
    });
    await close(catalog);
    flip(runFiles()[0] ?? '', 50);
    const again = await openHere();
    expect(() => keysOf(again)).toThrow(IndexDamaged);
    expect(() => again.get(bytes('k0'))).toThrow(IndexDamaged);
    await close(again);
    expect(existsSync(join(directory, 'damaged'))).toBe(true);
    expect(await openExistingCatalog(directory)).toBe('damaged');
    expect(keysOf(await openHere())).toEqual([]);
    expect(lines.join()).toContain('could not be read when it was last in use');
    expect(existsSync(join(directory, 'damaged'))).toBe(false);
  });

  it('tells of damage that only a merge meets, and writes on', async () => {
    const told: boolean[] = [];
    const log = (text: string): void => void lines.push(text);
    const onDamage = (isNoted: boolean): void => void told.push(isNoted);
    const catalog = await openRunCatalog({ directory, memoryBytes: 1000, log, onDamage, placeLookMs: 20 });
    open.push(catalog);
    const put = async (key: string): Promise<void> => {
      await catalog.write((batch) => batch.put(bytes(key), Buffer.alloc(1000)));
      await catalog.flush();
    };
    await put('k0');
    flip(runFiles()[0] ?? '', 50);
    for (let index = 1; index < 8; index++) await put(`k${index}`);
    await expect.poll(() => told).toEqual([true]);
    await put('k8');
    expect(lines.filter((line) => line.includes('is damaged'))).toHaveLength(1);
    await close(catalog);
    expect(await openExistingCatalog(directory)).toBe('damaged');
  });

  it('does not take a wrong argument for damage, nor whoever comes after the end', async () => {
    const catalog = await openHere();
    await catalog.write((batch) => batch.put(bytes('k'), bytes('v')));
    const range = catalog.range(everything)[Symbol.iterator]();
    expect(range.next().done).toBe(false);
    expect(() => catalog.get(Buffer.alloc(70_000))).toThrow('key is too long');
    await close(catalog);
    expect(() => catalog.get(bytes('k'))).toThrow('the index is closed');
    expect(() => range.next()).toThrow('the index is closed');
    expect(lines).toEqual([]);
    expect(keysOf(await openHere())).toEqual(['k']);
  });

  it('tells of damage once, and whether the next start knows', async () => {
    for (const isNoted of [true, false]) {
      const told: boolean[] = [];
      const onDamage = (one: boolean): void => void told.push(one);
      const again = await openRunCatalog({ directory, log: (text) => lines.push(text), onDamage });
      if (!isNoted) mkdirSync(join(directory, 'damaged'));
      await again.write((batch) => batch.put(bytes('k'), bytes('v')));
      await again.flush();
      flip(runFiles()[0] ?? '', 5);
      for (let turn = 0; turn < 2; turn++) expect(() => again.get(bytes('k'))).toThrow(IndexDamaged);
      await expect.poll(() => told).toEqual([isNoted]);
      expect(lines.filter((line) => line.includes('cannot be read'))).toHaveLength(isNoted ? 1 : 2);
      await again.close();
      rmSync(join(directory, 'damaged'), { recursive: true, force: true });
      rmSync(join(directory, 'runs'), { recursive: true });
    }
  });
});

describe('on a disk that does not answer', () => {
  const stuckMs = 300;
  const memoryBytes = 1000;
  let pipe = '';

  /** Whoever makes the first run hangs. */
  async function openHanging(): Promise<Catalog> {
    const catalog = await openRunCatalog({ directory, memoryBytes, stuckMs, log: (text) => lines.push(text) });
    pipe = join(directory, 'runs', '000000000001.run.new');
    expect(spawnSync('mkfifo', [pipe]).status).toBe(0);
    return catalog;
  }

  function letGo(): void {
    closeSync(openSync(pipe, constants.O_RDONLY | constants.O_NONBLOCK));
  }

  async function write(catalog: Catalog, key: string): Promise<void> {
    await catalog.write((batch) => batch.put(bytes(key), Buffer.alloc(memoryBytes)));
  }

  it('goes on in memory, says so, and catches up when it answers again', async () => {
    const catalog = await openHanging();
    open.push(catalog);
    const keys = Array.from({ length: 5 }, (_, index) => `k${index}`);
    for (const key of keys) await write(catalog, key);
    expect(keysOf(catalog)).toEqual(keys);
    expect(catalog.hasRoom()).toBe(true);
    await expect(catalog.flush()).rejects.toThrow('does not answer');
    const until = async (isReached: () => boolean): Promise<void> => {
      while (!isReached()) {
        const key = `k${keys.length}`;
        keys.push(key);
        await catalog.write((batch) => batch.put(bytes(key), Buffer.alloc(memoryBytes / 4)));
      }
    };
    await until(() => !catalog.hasRoom());
    // What comes in small numbers may go on a little longer.
    expect(catalog.hasRoom(true)).toBe(true);
    await until(() => !catalog.hasRoom(true));
    expect(catalog.hasRoom()).toBe(false);
    letGo();
    await expect.poll(() => catalog.hasRoom(), { timeout: 10_000 }).toBe(true);
    await catalog.flush();
    expect(keysOf(catalog)).toEqual(keys.sort());
    expect(runFiles().length).toBeGreaterThan(0);
  });

  it('is given up by the end, which says so', async () => {
    const catalog = await openHanging();
    await write(catalog, 'k');
    await expect(catalog.close()).rejects.toMatchObject({
      code: 'ETIMEDOUT',
      message: expect.stringContaining(directory),
    });
    letGo();
  });

  it('is not opened, which a code says, and nothing of it is removed', async () => {
    const before = await openRunCatalog({ directory, memoryBytes, stuckMs, log: (text) => lines.push(text) });
    await write(before, 'k');
    await before.close();
    const files = runFiles();
    const manifest = join(directory, 'runs', 'manifest');
    renameSync(manifest, `${manifest}.away`);
    expect(spawnSync('mkfifo', [manifest]).status).toBe(0);
    const opened = openRunCatalog({ directory, memoryBytes, stuckMs, log: (text) => lines.push(text) });
    await expect(opened).rejects.toMatchObject({ code: 'ETIMEDOUT' });
    expect(runFiles()).toEqual(files);
    expect(lines).toEqual([]);
    closeSync(openSync(manifest, constants.O_WRONLY | constants.O_NONBLOCK));
    renameSync(`${manifest}.away`, manifest);
    const after = await openRunCatalog({ directory, memoryBytes, stuckMs, log: (text) => lines.push(text) });
    open.push(after);
    expect(keysOf(after)).toEqual(['k']);
  });
});

describe('an index whose drive goes while it is in use', () => {
  const placeAt = (name: string): string => join(directory, name, 'index');
  const numbered = (index: number): Buffer => bytes(`k${String(index).padStart(6, '0')}`);
  let places: string[] = [];
  const roomlessAt = (place: string): IndexPlace => ({ directory: place, freeBytes: () => Promise.resolve(0) });

  /** With entries on disk, and in memory over them. */
  async function openFilled(
    more: Pick<RunCatalogOptions, 'onDamage' | 'stuckMs' | 'memoryBytes'> = {},
  ): Promise<Catalog> {
    const [first = ''] = places;
    const small = { memoryBytes: 64 << 10, cacheBytes: 64 << 10, placeLookMs: 20 };
    const catalog = await openRunCatalog({
      ...small,
      ...more,
      directory: first,
      log: (text) => lines.push(text),
      places: () => places.map(roomlessAt),
    });
    open.push(catalog);
    for (let index = 0; index < 5000; index += 100) await put(catalog, index, 100, 'before');
    await catalog.flush();
    return catalog;
  }

  async function put(catalog: Catalog, first: number, count: number, text: string): Promise<void> {
    await catalog.write((batch) => {
      for (let index = first; index < first + count; index++) batch.put(numbered(index), Buffer.alloc(100, text));
    });
  }

  async function moved(): Promise<void> {
    for (let tries = 0; !lines.some((line) => line.includes('the index lies in')); tries++) {
      expect(tries, lines.join('\n')).toBeLessThan(500);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  const flushOf = (catalog: Catalog): Promise<string> => catalog.flush().then(() => 'done', String);

  beforeEach(() => {
    places = ['one', 'two', 'three'].map(placeAt);
  });

  it('moves to another with all that it has and what is written meanwhile, and takes more than fits into memory', async () => {
    const catalog = await openFilled();
    // Of a start long ago.
    const old = await openRunCatalog({ directory: placeAt('two'), log: (text) => lines.push(text) });
    await old.write((batch) => batch.put(bytes('stale'), bytes('x')));
    await old.close();
    const range = catalog.range(everything)[Symbol.iterator]();
    expect(range.next().done).toBe(false);

    renameSync(join(directory, 'one'), join(directory, 'gone'));
    places = places.slice(1);
    await put(catalog, 0, 1000, 'while it goes');
    expect(await flushOf(catalog)).toContain('No such file');
    for (let index = 0; index < 50; index++) {
      await put(catalog, 1000 + index, 1, 'meanwhile');
      await catalog.write((batch) => batch.delete(numbered(4999 - index)));
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    await moved();
    // Opened before, it shows what was there then.
    let left = 0;
    while (range.next().done !== true) left++;
    expect(left).toBe(4999);
    expect(keysOf(catalog)).toHaveLength(4950);
    for (let index = 5000; index < 12_000; index += 100) {
      await put(catalog, index, 100, 'behind');
      expect(catalog.hasRoom()).toBe(true);
    }
    await catalog.flush();
    await close(catalog);

    const again = await openExistingCatalog(placeAt('two'));
    expect(again).toBeTypeOf('object');
    if (typeof again === 'string') return;
    open.push(again);
    expect(keysOf(again)).toHaveLength(4950 + 7000);
    const texts = [999, 1049, 1050, 11_999].map((index) => again.get(numbered(index))?.toString().slice(0, 7));
    expect(texts).toEqual(['while i', 'meanwhi', 'beforeb', 'behindb']);
    expect(again.get(numbered(4999))).toBeUndefined();
  });

  it('stays where it was as long as it is in use, marks what it leaves half done, and tries the next', async () => {
    const catalog = await openFilled();
    // The second takes nothing either.
    mkdirSync(join(directory, 'two'));
    writeFileSync(placeAt('two'), 'a file');
    renameSync(join(directory, 'one'), join(directory, 'gone'));
    places = places.slice(1);
    await put(catalog, 5000, 1000, 'while it goes');
    expect(await flushOf(catalog)).toContain('No such file');
    await moved();
    expect(lines.join('\n')).toContain(`the index lies in ${placeAt('three')} now`);
    expect(keysOf(catalog)).toHaveLength(6000);
    expect(existsSync(join(placeAt('three'), 'damaged'))).toBe(false);
  });

  it('moves as well when the folder of another drive has the name, and that one is not taken for an index', async () => {
    const catalog = await openFilled();
    const [one = '', two = ''] = ['one', 'two'].map((name) => join(directory, name));
    mkdirSync(join(placeAt('two'), 'runs'), { recursive: true });
    renameSync(one, `${one}-x`);
    renameSync(two, one);
    renameSync(`${one}-x`, two);
    await put(catalog, 5000, 1000, 'exchanged');
    await moved();
    expect(keysOf(catalog)).toHaveLength(6000);
    expect(readdirSync(join(placeAt('one'), 'runs'))).toEqual([]);
    await close(catalog);
    const again = await openExistingCatalog(placeAt('two'));
    if (typeof again !== 'string') open.push(again);
    expect(typeof again === 'string' ? again : keysOf(again).length).toBe(6000);
  });

  it('is not moved piece by piece when it cannot be read: that is told, and it is built anew', async () => {
    const told: boolean[] = [];
    const onDamage = (isNoted: boolean): void => void told.push(isNoted);
    // In one run: of several some may just be on their way into another.
    const catalog = await openFilled({ onDamage, memoryBytes: 1 << 20 });
    for (const run of runFiles(join(directory, 'one', 'index', 'runs'))) flip(run, 5);
    renameSync(join(directory, 'one'), join(directory, 'gone'));
    places = places.slice(1);
    await put(catalog, 5000, 1000, 'while it goes');
    expect(await flushOf(catalog)).toContain('No such file');
    await expect.poll(() => told).toEqual([false]);
    await expect.poll(() => existsSync(join(placeAt('two'), 'runs'))).toBe(false);
    expect(await openExistingCatalog(placeAt('two'))).toBe('damaged');
    expect(existsSync(placeAt('three'))).toBe(false);
    await expect(close(catalog)).rejects.toThrow('No such file');
  });

  it('goes to the next when the mark of the copy cannot be taken off, and leaves nothing of it in use', async () => {
    const catalog = await openFilled();
    renameSync(join(directory, 'one'), join(directory, 'gone'));
    places = places.slice(1);
    await put(catalog, 5000, 1000, 'while it goes');
    const mark = join(placeAt('two'), 'damaged');
    // The copy comes back to the event loop before it is whole.
    while (!existsSync(join(placeAt('two'), 'runs'))) await new Promise(setImmediate);
    rmSync(mark);
    mkdirSync(mark);
    await moved();
    expect(lines.join('\n')).toContain(`cannot move to ${placeAt('two')}`);
    expect(lines.join('\n')).toContain(`the index lies in ${placeAt('three')} now`);
    expect(keysOf(catalog)).toHaveLength(6000);
    expect(openFilesBelow(placeAt('two'))).toEqual([]);
    expect(existsSync(join(placeAt('two'), 'runs'))).toBe(false);
  });

  it('goes to the next when a disk does not answer, and asks that one nothing else', async () => {
    mkdirSync(placeAt('two'), { recursive: true });
    const pipe = join(placeAt('two'), 'damaged');
    expect(spawnSync('mkfifo', [pipe]).status).toBe(0);
    const catalog = await openFilled({ stuckMs: 300 });
    renameSync(join(directory, 'one'), join(directory, 'gone'));
    places = places.slice(1);
    await put(catalog, 5000, 1000, 'while it goes');
    await moved();
    expect(lines.join('\n')).toContain(`${placeAt('two')} does not answer`);
    expect(lines.join('\n')).toContain(`the index lies in ${placeAt('three')} now`);
    expect(keysOf(catalog)).toHaveLength(6000);
    const reader = openSync(pipe, constants.O_RDONLY | constants.O_NONBLOCK);
    // What would have come next is not done.
    await expect.poll(() => openFilesBelow(placeAt('two'))).toHaveLength(1);
    closeSync(reader);
    expect(readdirSync(placeAt('two'))).toEqual(['damaged']);
  });

  it('moves although nothing is written, and leaves nothing of the one before open', async () => {
    const catalog = await openFilled();
    renameSync(join(directory, 'one'), join(directory, 'gone'));
    places = places.slice(1);
    await moved();
    await expect.poll(() => openFilesBelow(join(directory, 'gone'))).toEqual([]);
    expect(keysOf(catalog)).toHaveLength(5000);
  });

  it('flushes what was to be flushed while it moved', async () => {
    const [first = ''] = places;
    const log = (text: string): void => void lines.push(text);
    const catalog = await openRunCatalog({
      directory: first,
      log,
      places: () => places.map(roomlessAt),
      placeLookMs: 20,
      stuckMs: 60_000,
    });
    open.push(catalog);
    // Whoever makes the first run waits for a reader, for so long that nothing is said of it.
    const pipe = join(first, 'runs', '000000000001.run.new');
    expect(spawnSync('mkfifo', [pipe]).status).toBe(0);
    await put(catalog, 0, 100, 'before');
    const flushed = flushOf(catalog);
    await expect.poll(isIndexThreadOpening).toBe(true);
    renameSync(join(directory, 'one'), join(directory, 'gone'));
    mkdirSync(join(first, 'runs'), { recursive: true });
    await moved();
    // Unless the store's thread came to its folder only when that had gone.
    expect(await flushed).toMatch(/^done$|is another folder now$|No such file/);
    closeSync(openSync(pipe.replace('/one/', '/gone/'), constants.O_RDONLY | constants.O_NONBLOCK));
    expect(keysOf(catalog)).toHaveLength(100);
  });

  it('stays on a drive that is only out for a while', async () => {
    const catalog = await openFilled();
    places = places.slice(1);
    await put(catalog, 5000, 1000, 'out');
    await catalog.flush();
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(lines).toEqual([]);
    expect(existsSync(placeAt('two'))).toBe(false);
  });
});

describe('an index whose disk takes nothing while it is in use', () => {
  const spareBytesMin = 1_000_000;
  const placeAt = (name: string): string => join(directory, name, 'index');
  /** By name of the place: bytes that are free there. */
  let free: Record<string, number> = {};
  let asked = 0;

  /** It lies in `one`. */
  async function openThere(refusedMsMax: number): Promise<Catalog> {
    const catalog = await openRunCatalog({
      directory: placeAt('one'),
      log: (text) => lines.push(text),
      memoryBytes: 64 << 10,
      cacheBytes: 64 << 10,
      placeLookMs: 10,
      refusedMsMax,
      spareBytesMin,
      places: () =>
        ['one', 'two', 'three'].map((name) => ({
          directory: placeAt(name),
          freeBytes: () => {
            asked++;
            return Promise.resolve(free[name] ?? 0);
          },
        })),
    });
    open.push(catalog);
    return catalog;
  }

  async function put(catalog: Catalog, first: number, count: number): Promise<void> {
    await catalog.write((batch) => {
      for (let index = first; index < first + count; index++) {
        batch.put(bytes(`k${String(index).padStart(6, '0')}`), Buffer.alloc(100, index));
      }
    });
  }

  /** What names the runs is written beside the one that counts, and cannot be. */
  const block = (name: string): void => void mkdirSync(join(placeAt(name), 'runs', 'manifest.new'));
  const unblock = (name: string): void => rmSync(join(placeAt(name), 'runs', 'manifest.new'), { recursive: true });
  const moves = (): string[] => lines.filter((line) => line.includes('the index lies in'));

  async function refuses(catalog: Catalog): Promise<void> {
    await expect(catalog.flush()).rejects.toThrow('manifest');
  }

  beforeEach(() => {
    free = {};
    asked = 0;
  });

  it('moves to the one with most room with all that it has, and takes nothing more where it was', async () => {
    const catalog = await openThere(0);
    await put(catalog, 0, 2000);
    await catalog.flush();
    free = { one: 2 ** 30, two: 2 ** 30, three: 2 ** 31 };
    const range = catalog.range(everything)[Symbol.iterator]();
    expect(range.next().done).toBe(false);
    block('one');
    await put(catalog, 2000, 10_000);
    await expect.poll(moves).toEqual([expect.stringContaining(`the index lies in ${placeAt('three')} now`)]);
    await expect.poll(() => readdirSync(placeAt('one'))).toEqual([]);
    // Opened before, it goes to its end.
    let left = 0;
    while (range.next().done !== true) left++;
    expect(left).toBe(1999);
    await put(catalog, 12_000, 100);
    await catalog.flush();
    expect(catalog.hasRoom()).toBe(true);
    await close(catalog);
    const again = await openExistingCatalog(placeAt('three'));
    if (typeof again !== 'string') open.push(again);
    expect(typeof again === 'string' ? again : keysOf(again).length).toBe(12_100);
    expect(existsSync(placeAt('two'))).toBe(false);
  });

  it('stays where no other clearly has room, moves when one has, and not back before there is as much', async () => {
    const catalog = await openThere(0);
    await put(catalog, 0, 10_000);
    await catalog.flush();
    // Enough for what is wanted beside it, and not for itself.
    free = { two: spareBytesMin + 100, three: spareBytesMin };
    block('one');
    await put(catalog, 10_000, 10);
    await refuses(catalog);
    await expect.poll(() => asked).toBeGreaterThan(20);
    expect(moves()).toEqual([]);
    free = { two: 2 ** 30 };
    await expect.poll(moves).toHaveLength(1);
    free = { one: spareBytesMin + 1_000_000 };
    block('two');
    await put(catalog, 10_010, 10);
    await refuses(catalog);
    asked = 0;
    await expect.poll(() => asked).toBeGreaterThan(20);
    expect(moves()).toHaveLength(1);
    free = { one: 2 ** 30 };
    await expect.poll(moves).toHaveLength(2);
    expect(keysOf(catalog)).toHaveLength(10_020);
  });

  it('stays when it takes something again in time', async () => {
    const catalog = await openThere(3_600_000);
    free = { two: 2 ** 30 };
    await put(catalog, 0, 100);
    block('one');
    await refuses(catalog);
    await expect.poll(() => lines).toEqual([expect.stringContaining('the index cannot be written')]);
    unblock('one');
    await expect.poll(() => catalog.flush().then(() => 'done', String), { timeout: 10_000 }).toBe('done');
    expect(asked).toBe(0);
    expect(moves()).toEqual([]);
  });
});

/** openat, on x64 and arm64 (proc_pid_syscall(5)): it returns at once unless it waits. */
function isIndexThreadOpening(): boolean {
  return readdirSync('/proc/self/task').some((thread) => {
    const at = `/proc/self/task/${thread}`;
    const isIndex = readFileSync(`${at}/comm`, 'utf8') === 'index\n';
    return isIndex && /^(257|56) /.test(readFileSync(`${at}/syscall`, 'utf8'));
  });
}

/** Of this process, also those that were removed since. */
function openFilesBelow(folder: string): string[] {
  const links = readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/self/fd/${fd}`)];
    } catch {
      // The one that lists them is closed by now.
      return [];
    }
  });
  return links.filter((link) => link.startsWith(`${folder}/`));
}

function cut(path: string, length: number): void {
  writeFileSync(path, readFileSync(path).subarray(0, length));
}

/** One byte; negative offsets count from the end. */
function flip(path: string, offset: number): void {
  const text = readFileSync(path);
  const at = offset < 0 ? text.length + offset : offset;
  text[at] = (text[at] ?? 0) ^ 0x40;
  writeFileSync(path, text);
}

it('is not thrown away by a process that has no descriptors for it', async () => {
  const catalog = await openHere();
  await catalog.write((batch) => batch.put(Buffer.from('key'), Buffer.from('value')));
  await close(catalog);
  await withoutDescriptors(async () => {
    await expect(openHere()).rejects.toThrow('Too many open files');
    await expect(openExistingCatalog(directory)).rejects.toThrow('Too many open files');
  });
  expect((await openHere()).get(Buffer.from('key'))?.toString()).toBe('value');
  expect(lines).toEqual([]);
});
