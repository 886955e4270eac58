/** Bodies that are in memory already: in the page cache, or in the cache of reads. */
import { randomBytes } from 'node:crypto';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import {
  BlobSource,
  BlobWriter,
  BodyReader,
  ReadCache,
  checksumBlockCount,
  shardBytes,
  stripeBytesFor,
  stripeCount,
  stripeLength,
} from '../../../dist/erasure/index.js';
import { ComputePool, GrowingMemory, SlabArena } from '../../../dist/pool/index.js';
import { memorySet, type MemoryDrive, type MemorySet } from '../../support/memory-drives.js';
import { seededRandom } from '../../support/seeded-random.js';

const arena = new SlabArena(64 << 20);
const compute = new ComputePool({ arena: arena.arena, hashKey: randomBytes(32), threads: 2 });
afterAll(() => compute.close());

/** Of the calling thread: whether it takes work on. */
let hasTime = true;
compute.hasTime = () => hasTime;
let set: MemorySet;
let free = 0;
let counter = 0;

beforeEach(() => {
  set = memorySet(arena, 4);
  for (const member of set.members) member.isCached = () => true;
  hasTime = true;
  free = arena.freeBytes;
});

interface Stored {
  readonly body: Buffer;
  readonly damaged: number[];
  reader(start: number, end: number, isUrgent?: boolean, cache?: ReadCache): BodyReader;
  /** The drive that has a shard. */
  member(shardIndex: number): MemoryDrive;
  readonly payloadOffset: number;
}

async function store(bytes: number): Promise<Stored> {
  const body = randomBytes(bytes);
  const id = { high: 4, low: counter++ };
  const layout = {
    dataShards: 2,
    parityShards: 2,
    rotation: counter % 4,
    stripeBytes: stripeBytesFor(2),
    objectBytes: bytes,
  };
  const writer = new BlobWriter(set, arena, compute, id, layout);
  await writer.prepare();
  let blocks = 0;
  for (let index = 0; index < stripeCount(layout); index++) {
    const length = stripeLength(layout, index);
    const shard = shardBytes(2, length);
    const slab = await arena.allocate(4 << 20, 'pass');
    const [parityOffset, hashesOffset] = [slab.offset + (1 << 20) + 64, slab.offset + (3 << 20)];
    compute.copyIn(slab.offset, body, index * layout.stripeBytes, length);
    await compute.pass({
      stateOffset: -1,
      dataOffset: slab.offset,
      dataBytes: length,
      dataShards: 2,
      parityShards: 2,
      shardBytes: shard,
      parityOffset,
      hashesOffset,
      idHigh: id.high,
      idLow: id.low,
      firstBlock: blocks,
      chunkEnds: [],
      chunkSignatures: [],
    });
    blocks += checksumBlockCount(shard);
    await writer.writeStripe(index, slab.offset, parityOffset, hashesOffset);
    slab.release();
  }
  await writer.finish();
  const placement = { kind: 'blob', geometry: layout, id, stripeBytes: layout.stripeBytes, positions: 0b1111 } as const;
  const damaged: number[] = [];
  const tableBytes = Math.ceil((blocks * 32) / 4096) * 4096;
  return {
    body,
    damaged,
    payloadOffset: 4096 + tableBytes,
    reader: (start, end, isUrgent = true, cache) =>
      new BodyReader(
        new BlobSource(set, placement, layout, arena),
        arena,
        compute,
        start,
        end,
        (shardIndex) => damaged.push(shardIndex),
        isUrgent,
        cache,
      ),
    member: (shardIndex) => {
      const member = set.members[(shardIndex + layout.rotation) % 4];
      if (member === undefined) throw new Error('no such drive');
      return member;
    },
  };
}

async function all(reader: BodyReader): Promise<Buffer> {
  const pieces: Buffer[] = [];
  try {
    for (let piece = await reader.next(); piece !== null; piece = await reader.next()) {
      pieces.push(Buffer.from(piece.bytes));
      piece.release();
    }
  } finally {
    reader.close();
  }
  return Buffer.concat(pieces);
}

const readsNow = (): number => set.members.reduce((sum, member) => sum + member.readsNow, 0);
const callsOf = (member: MemoryDrive): number => member.calls.filter(({ kind }) => kind === 'read').length;
const nothingIsHeld = async (): Promise<void> => {
  await expect.poll(() => set.members.map(({ openHandles }) => openHandles)).toEqual([0, 0, 0, 0]);
  expect(arena.freeBytes).toBe(free);
};

describe('a body in the page cache', () => {
  it.each([300_000, 1 << 20, (1 << 20) + 1, 7_000_003, (65 << 20) + 12_345])('of %i bytes', async (bytes) => {
    const stored = await store(bytes);
    for (const [start, end] of [
      [0, bytes],
      [1, bytes],
      [0, bytes - 1],
      [Math.floor(bytes / 3), Math.floor((bytes * 2) / 3)],
    ] as const) {
      const got = await all(stored.reader(start, end));
      expect(got.equals(stored.body.subarray(start, end)), `${start}-${end}`).toBe(true);
    }
    expect(stored.damaged).toEqual([]);
    await nothingIsHeld();
  });

  it('costs no drive a call', async () => {
    const stored = await store(66 << 20);
    const reader = stored.reader(0, 66 << 20);
    let bytes = 0;
    // No promise: what is there is had in the call that asks.
    for (let piece = reader.next(); piece !== null; piece = reader.next()) {
      if (piece instanceof Promise) throw new Error('a piece was waited for');
      expect(Buffer.from(piece.bytes).equals(stored.body.subarray(bytes, bytes + piece.bytes.length))).toBe(true);
      bytes += piece.bytes.length;
      piece.release();
    }
    expect(bytes).toBe(66 << 20);
    expect(set.members.map(callsOf)).toEqual([0, 0, 0, 0]);
    reader.close();
    await nothingIsHeld();
  });

  it('whose names are not in memory is opened by the drives, and asked for again after some windows', async () => {
    const stored = await store(66 << 20);
    for (const member of set.members) member.hasNames = false;
    const reader = stored.reader(0, 66 << 20);
    const waits: boolean[] = [];
    for (let piece = reader.next(); ; piece = reader.next()) {
      waits.push(piece instanceof Promise);
      const found = await piece;
      if (found === null) break;
      found.release();
    }
    expect(waits[0]).toBe(true);
    expect(waits.at(-2)).toBe(false);
    reader.close();
    await nothingIsHeld();
  });

  it('is left to the drives while the calling thread is busy, and by those who do not hurry', async () => {
    const stored = await store(9 << 20);
    hasTime = false;
    expect((await all(stored.reader(0, 9 << 20))).equals(stored.body)).toBe(true);
    hasTime = true;
    expect((await all(stored.reader(0, 9 << 20, false))).equals(stored.body)).toBe(true);
    expect(readsNow()).toBe(0);
  });

  it('is read from k shards alone, and made whole, when drives are missing', async () => {
    const stored = await store(9_000_001);
    const drives = set.drive;
    for (const gone of [[0], [1], [0, 1], [0, 3], [1, 2]]) {
      const members = gone.map((shard) => stored.member(shard));
      set.drive = (position) => (members.includes(set.members[position] as MemoryDrive) ? null : drives(position));
      const before = set.members.map((member) => member.readsNow);
      expect((await all(stored.reader(0, 9_000_001))).equals(stored.body), String(gone)).toBe(true);
      const touched = set.members.filter((member, index) => member.readsNow > (before[index] ?? 0));
      expect(touched.length).toBe(2);
      set.drive = drives;
      await nothingIsHeld();
    }
    expect(stored.damaged).toEqual([]);
  });

  it('never leaves with a byte that is not what was written: another shard makes it, and the damage is reported', async () => {
    const stored = await store(20 << 20);
    for (const shard of [0, 1]) {
      const file = [...stored.member(shard).files.values()][0];
      // In the stripes 3 and 11, long after the first window.
      for (const stripe of [3, 11]) {
        const at = stored.payloadOffset + stripe * (1 << 19) + 77_777;
        file?.writeUInt8((file.readUInt8(at) + 1) & 255, at);
      }
    }
    expect((await all(stored.reader(0, 20 << 20))).equals(stored.body)).toBe(true);
    expect(stored.damaged.sort()).toEqual([0, 1]);
    await nothingIsHeld();
  });

  it('comes from the drives where the cache has not all of it', async () => {
    const random = seededRandom(20_261_129);
    const stored = await store(24 << 20);
    for (const member of set.members) member.isCached = () => random() < 0.6;
    for (let round = 0; round < 4; round++) {
      expect((await all(stored.reader(0, 24 << 20))).equals(stored.body)).toBe(true);
      await nothingIsHeld();
    }
    expect(readsNow()).toBeGreaterThan(0);
    // The next one is on its way already while one is being sent.
    for (const member of set.members) member.isCached = () => false;
    const reader = stored.reader(0, 24 << 20);
    (await reader.next())?.release();
    (await reader.next())?.release();
    const before = arena.freeBytes;
    (await reader.next())?.release();
    expect(before).toBeLessThan(free);
    reader.close();
    await nothingIsHeld();
  });

  it('of which no more is wanted leaves nothing behind', async () => {
    const stored = await store(12 << 20);
    for (const pieces of [0, 1, 2, 3, 5]) {
      const reader = stored.reader(0, 12 << 20);
      const held = [];
      for (let count = 0; count < pieces; count++) held.push(await reader.next());
      reader.close();
      for (const piece of held) piece?.release();
      await nothingIsHeld();
    }
  });

  it('waits for memory when there is none', async () => {
    const stored = await store(12 << 20);
    const reader = stored.reader(0, 12 << 20);
    (await reader.next())?.release();
    const slabs = [];
    for (let slab = arena.tryAllocate(4096, 'commit'); slab !== null; slab = arena.tryAllocate(4096, 'commit')) {
      slabs.push(slab);
    }
    const next = reader.next();
    expect(next).toBeInstanceOf(Promise);
    for (const slab of slabs) slab.release();
    const piece = await next;
    expect(Buffer.from(piece?.bytes ?? []).equals(stored.body.subarray(2 << 20, 4 << 20))).toBe(true);
    piece?.release();
    reader.close();
    await nothingIsHeld();
  });
});

describe('a body that is read time and again', () => {
  const cacheOf = (bytes: number): ReadCache => new ReadCache(new GrowingMemory(bytes), bytes);

  it.each([true, false])('comes from memory the third time, drives or not (page cache: %s)', async (isInPageCache) => {
    const bytes = 9_000_001;
    const stored = await store(bytes);
    for (const member of set.members) member.isCached = () => isInPageCache;
    const cache = cacheOf(32 << 20);
    for (let time = 0; time < 2; time++) {
      expect((await all(stored.reader(0, bytes, true, cache))).equals(stored.body)).toBe(true);
    }
    const drives = set.drive;
    set.drive = () => null;
    for (const [start, end] of [
      [0, bytes],
      [1, bytes - 1],
      [(2 << 20) - 5, (2 << 20) + 5],
      [3 << 20, (3 << 20) + 1],
      [bytes - 1, bytes],
    ] as const) {
      const got = await all(stored.reader(start, end, true, cache));
      expect(got.equals(stored.body.subarray(start, end)), `${start}-${end}`).toBe(true);
    }
    set.drive = drives;
    expect(cache.figures).toMatchObject({ hits: 5 + 5 + 2 + 1 + 1, misses: 10 });
    await nothingIsHeld();
  });

  it('goes on with the drives where memory ends, and back', async () => {
    const bytes = 24 << 20;
    const stored = await store(bytes);
    for (const isInPageCache of [true, false]) {
      for (const member of set.members) member.isCached = () => isInPageCache;
      const cache = cacheOf(8 << 20);
      for (let time = 0; time < 6; time++) {
        expect((await all(stored.reader(0, bytes, true, cache))).equals(stored.body)).toBe(true);
        // From the middle of a window, of a stripe, and of the second stripe of one.
        for (const start of [1_500_000, 3 << 20, 5_000_000]) {
          const got = await all(stored.reader(start, bytes, true, cache));
          expect(got.equals(stored.body.subarray(start))).toBe(true);
        }
      }
      expect(cache.figures.usedBytes).toBe(8 << 20);
      expect(cache.figures.hits).toBeGreaterThan(0);
      await nothingIsHeld();
    }
  });

  it('is never kept with a byte that is not what was written', async () => {
    const bytes = 20 << 20;
    const stored = await store(bytes);
    const cache = cacheOf(32 << 20);
    const file = [...stored.member(0).files.values()][0];
    for (const stripe of [0, 3, 11]) {
      const at = stored.payloadOffset + stripe * (1 << 19) + 77_777;
      file?.writeUInt8((file.readUInt8(at) + 1) & 255, at);
    }
    for (let time = 0; time < 4; time++) {
      expect((await all(stored.reader(0, bytes, true, cache))).equals(stored.body)).toBe(true);
    }
    expect(stored.damaged).toContain(0);
    expect(cache.figures.hits).toBe(2 * 10);
    await nothingIsHeld();
  });

  it('is read from the drives by who does not name the cache', async () => {
    const stored = await store(4 << 20);
    const cache = cacheOf(32 << 20);
    for (let time = 0; time < 3; time++) await all(stored.reader(0, 4 << 20, true, cache));
    set.drive = () => null;
    await expect(all(stored.reader(0, 4 << 20, false))).rejects.toThrow('Too few sound shards');
  });
});
