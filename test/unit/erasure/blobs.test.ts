/** Writing and reading of blob files on drives that fail, hang and come back at awkward moments. */
import { randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  BlobSource,
  BlobWriter,
  BodyReader,
  blobName,
  checksumBlockCount,
  shardBytes,
  stripeBytesFor,
  stripeCount,
  stripeLength,
} from '../../../dist/erasure/index.js';
import { ComputePool, SlabArena } from '../../../dist/pool/index.js';
import { memorySet, type MemorySet } from '../../support/memory-drives.js';

const arena = new SlabArena(64 << 20);
const compute = new ComputePool({ arena: arena.arena, hashKey: randomBytes(32), threads: 2 });
afterAll(() => compute.close());

const never = new Promise<void>(() => undefined);
let set: MemorySet;
let counter = 0;
let free = 0;

beforeEach(() => {
  set = memorySet(arena, 4);
  free = arena.freeBytes;
});

afterEach(() => {
  vi.useRealTimers();
});

function shape(bytes: number) {
  const id = { high: 3, low: counter++ };
  const layout = {
    dataShards: 2,
    parityShards: 2,
    rotation: counter % 4,
    stripeBytes: stripeBytesFor(2),
    objectBytes: bytes,
  };
  return { id, layout, name: blobName(id) };
}

/** As an upload does it: the next stripe is passed over while the one before is being written. */
async function write(body: Buffer, { id, layout }: ReturnType<typeof shape>, onStripe = () => {}): Promise<BlobWriter> {
  const writer = new BlobWriter(set, arena, compute, id, layout);
  await writer.prepare();
  let before: Promise<void> = Promise.resolve();
  for (let index = 0; index < stripeCount(layout); index++) {
    const bytes = stripeLength(layout, index);
    const shard = shardBytes(2, bytes);
    const data = await arena.allocate(shard * 2, 'upload');
    const aux = await arena.allocate(shard * 2 + 64 + checksumBlockCount(shard) * 128, 'pass');
    const hashesOffset = aux.offset + Math.ceil((shard * 2) / 64) * 64;
    compute.copyIn(data.offset, body, index * layout.stripeBytes, bytes);
    await compute.pass({
      stateOffset: -1,
      dataOffset: data.offset,
      dataBytes: bytes,
      dataShards: 2,
      parityShards: 2,
      shardBytes: shard,
      parityOffset: aux.offset,
      hashesOffset,
      idHigh: id.high,
      idLow: id.low,
      firstBlock: index * checksumBlockCount(layout.stripeBytes / 2),
      chunkEnds: [],
      chunkSignatures: [],
    });
    const written = writer.writeStripe(index, data.offset, aux.offset, hashesOffset).then(() => {
      writer.stuck.release(data);
      writer.stuck.release(aux);
    });
    await before;
    before = written;
    onStripe();
  }
  await before;
  return writer;
}

async function read({ id, layout }: ReturnType<typeof shape>, start = 0, end = layout.objectBytes): Promise<Buffer> {
  const placement = { kind: 'blob', geometry: layout, id, stripeBytes: layout.stripeBytes, positions: 0b1111 } as const;
  const reader = new BodyReader(
    new BlobSource(set, placement, layout, arena),
    arena,
    compute,
    start,
    end,
    () => undefined,
  );
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

const drive = (position: number) => {
  const member = set.members[position];
  if (member === undefined) throw new Error('no such drive');
  return member;
};
const handles = (): number[] => set.members.map(({ openHandles }) => openHandles);

describe('a blob', () => {
  it.each([262_145, 1_048_576, 1_048_577, 17 << 20, (33 << 20) + 5])(
    'of %i bytes survives slow drives',
    async (bytes) => {
      const body = randomBytes(bytes);
      const place = shape(bytes);
      let calls = 0;
      // Each call of each drive takes its own time: pages, stripes and headers meet in every order.
      for (const member of set.members) {
        member.onCall = async () => {
          if (calls++ % 3 === 0) await new Promise((resolve) => setTimeout(resolve, calls % 7));
          return null;
        };
      }
      const writer = await write(body, place);
      await writer.finish();
      expect(writer.positions).toBe(0b1111);
      expect((await read(place)).equals(body)).toBe(true);
      await expect.poll(handles).toEqual([0, 0, 0, 0]);
      expect(arena.freeBytes).toBe(free);
    },
  );

  it('goes on without a drive that fails at any of its calls', async () => {
    const body = randomBytes(18 << 20);
    for (let failing = 0; failing < 22; failing += 3) {
      const place = shape(body.length);
      let calls = 0;
      drive(1).onCall = () => Promise.resolve(calls++ === failing ? drive(1).fault('io') : null);
      const writer = await write(body, place);
      await writer.finish();
      expect(writer.positions, `call ${failing}`).toBe(calls > failing ? 0b1101 : 0b1111);
      expect((await read(place)).equals(body)).toBe(true);
      await writer.abort();
      await expect.poll(handles).toEqual([0, 0, 0, 0]);
      expect(set.members.every(({ files }) => !files.has(place.name))).toBe(true);
    }
    expect(arena.freeBytes).toBe(free);
  });

  it('refuses with two drives gone, and leaves no file', async () => {
    const place = shape(2 << 20);
    for (const position of [0, 3]) drive(position).onCall = () => Promise.resolve(drive(position).fault('io'));
    const writer = await write(randomBytes(2 << 20), place);
    await expect(writer.finish()).rejects.toMatchObject({ code: 'SlowDownWrite' });
    await writer.abort();
    expect(set.members.every(({ files }) => files.size === 0)).toBe(true);
    expect(set.writeFaults.sort()).toEqual([0, 3]);
    expect(arena.freeBytes).toBe(free);
  });

  it('says that there is no room when that is why', async () => {
    const place = shape(2 << 20);
    for (const position of [0, 3]) drive(position).onCall = () => Promise.resolve(drive(position).fault('full'));
    const writer = await write(randomBytes(2 << 20), place);
    await expect(writer.finish()).rejects.toMatchObject({ code: 'XMinioStorageFull' });
    await writer.abort();
    expect(set.members.every(({ files }) => files.size === 0)).toBe(true);
    // One of four without room is no reason to refuse.
    drive(3).onCall = () => Promise.resolve(null);
    const again = shape(2 << 20);
    await (await write(randomBytes(2 << 20), again)).finish();
  });

  it('holds back only the memory that a hanging call was given', async () => {
    let comeBack = (): void => undefined;
    const settled = new Promise<void>((resolve) => (comeBack = resolve));
    let calls = 0;
    drive(2).onCall = () => Promise.resolve(++calls === 3 ? drive(2).fault('slow', settled) : null);
    const place = shape(30 << 20);
    const body = randomBytes(30 << 20);
    const writer = await write(body, place, () => {
      // Two stripes with their parity, a page, and what hangs.
      expect(free - arena.freeBytes).toBeLessThan(13 << 20);
    });
    await writer.finish();
    expect(writer.positions).toBe(0b1011);
    expect(free - arena.freeBytes).toBeGreaterThan(0);
    expect(free - arena.freeBytes).toBeLessThanOrEqual(4 << 20);
    comeBack();
    await expect.poll(() => arena.freeBytes).toBe(free);
    expect((await read(place)).equals(body)).toBe(true);
  });

  it('waits 8 s for a drive that hangs when enough others are done, and goes on without it', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    let givenUp = 0;
    drive(2).onCall = () =>
      new Promise((resolve) => {
        drive(2).onGiveUp = () => {
          givenUp++;
          // The first time it had ended another call a moment ago.
          if (givenUp > 1) resolve(drive(2).fault('slow'));
        };
      });
    const place = shape(18 << 20);
    const body = randomBytes(18 << 20);
    const writing = write(body, place);
    while (vi.getTimerCount() === 0) await new Promise((resolve) => setImmediate(resolve));
    await vi.advanceTimersByTimeAsync(7_999);
    expect(givenUp).toBe(0);
    await vi.advanceTimersByTimeAsync(1);
    expect(givenUp).toBe(1);
    await vi.advanceTimersByTimeAsync(8_000);
    expect(givenUp).toBe(2);
    const writer = await writing;
    await writer.finish();
    expect(writer.positions).toBe(0b1011);
    expect(vi.getTimerCount()).toBe(0);
    vi.useRealTimers();
    drive(2).onCall = () => Promise.resolve(drive(2).fault('io'));
    expect((await read(place)).equals(body)).toBe(true);
  });

  it('has it found out who hangs when too few take a stripe for that to be told here', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    const give: (() => void)[] = [];
    for (const member of [drive(1), drive(2)]) {
      member.onCall = () => new Promise((resolve) => give.push(() => resolve(member.fault('slow'))));
    }
    const writing = write(randomBytes(300_000), shape(300_000));
    while (give.length < 2) await new Promise((resolve) => setImmediate(resolve));
    // A long queue that goes on is waited for.
    await vi.advanceTimersByTimeAsync(10_000);
    expect(set.suspicions).toBe(0);
    drive(1).isStuck = true;
    await vi.advanceTimersByTimeAsync(2_000);
    expect(set.suspicions).toBe(1);
    for (const one of give) one();
    await expect((await writing).finish()).rejects.toMatchObject({ code: 'SlowDownWrite' });
    expect(vi.getTimerCount()).toBe(0);
  });

  it('reports no fault of a drive whose place another has taken', async () => {
    drive(2).onCall = () => Promise.resolve(drive(2).fault('io'));
    const asked = vi.spyOn(set, 'drive');
    // The writer asks once for each of its drives.
    asked.mockImplementation((position) => (asked.mock.calls.length > 4 ? null : (drives[position] ?? null)));
    const drives = set.members.map((member) => member.asDrive());
    const place = shape(3 << 20);
    const writer = await write(randomBytes(3 << 20), place);
    await writer.finish();
    expect(writer.positions).toBe(0b1011);
    expect(set.writeFaults).toEqual([]);
    asked.mockRestore();
  });

  it.each([0, 1, 2, 5, 9])('given up after %i stripes, at any moment, leaves nothing', async (stripes) => {
    for (const turns of [0, 1, 2, 4, 9]) {
      const place = shape(20 << 20);
      const writer = new BlobWriter(set, arena, compute, place.id, place.layout);
      const prepared = writer.prepare();
      if (stripes > 0 || turns > 0) await prepared;
      const slab = await arena.allocate(4 << 20, 'pass');
      const written = Array.from({ length: stripes }, (_, index) =>
        writer.writeStripe(index, slab.offset, slab.offset + (1 << 20), slab.offset + (3 << 20)),
      );
      for (let turn = 0; turn < turns; turn++) await Promise.resolve();
      await Promise.all([writer.abort(), ...written, prepared]);
      slab.release();
      expect(set.members.every(({ files }) => files.size === 0)).toBe(true);
      expect(handles()).toEqual([0, 0, 0, 0]);
      expect(arena.freeBytes).toBe(free);
    }
  });

  it('given up while it is finished leaves nothing', async () => {
    for (const bytes of [300_000, 3 << 20, 20 << 20]) {
      for (const turns of [0, 1, 2, 3, 5, 8]) {
        const place = shape(bytes);
        const writer = await write(randomBytes(bytes), place);
        const finished = writer.finish().catch(() => undefined);
        for (let turn = 0; turn < turns; turn++) await Promise.resolve();
        await writer.abort();
        await finished;
        expect(set.members.every(({ files }) => files.size === 0)).toBe(true);
        expect(handles()).toEqual([0, 0, 0, 0]);
        expect(arena.freeBytes).toBe(free);
      }
    }
  });
});

describe('a reader', () => {
  it.each([
    [0, 9_000_001],
    [100_000, 160_000],
  ])(
    'of bytes %i to %i asks others when disks are stuck, and leaves those when the others have answered',
    async (start, end) => {
      vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
      const body = randomBytes(9_000_001);
      const place = shape(body.length);
      await (await write(body, place)).finish();
      const inData = [0, 1].map((shard) => drive((shard + place.layout.rotation) % 4));
      const givenUp = new Set<string>();
      let endHang = (): void => undefined;
      const comeBack = new Promise<void>((resolve) => (endHang = resolve));
      let isRead = false;
      for (const member of inData) {
        member.onCall = () =>
          new Promise((resolve) => {
            member.onGiveUpReads = () => {
              givenUp.add(member.path);
              resolve(member.fault('slow', comeBack));
            };
          });
      }
      const reading = read(place, start, end).finally(() => (isRead = true));
      const moment = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 20));
      await moment();
      // Both are busy, and others are not made busier for that.
      await vi.advanceTimersByTimeAsync(5_000);
      const parity = set.members.filter((member) => !inData.includes(member));
      const reads = (): number =>
        parity.reduce((sum, { calls }) => sum + calls.filter(({ kind }) => kind === 'read').length, 0);
      expect([reads(), givenUp.size]).toEqual([0, 0]);
      for (const member of inData) member.isStuck = true;
      while (!isRead) {
        await vi.advanceTimersByTimeAsync(1_000);
        await moment();
      }
      expect((await reading).equals(body.subarray(start, end))).toBe(true);
      expect(givenUp.size).toBeGreaterThan(0);
      endHang();
      await expect.poll(() => arena.freeBytes).toBe(free);
      expect(vi.getTimerCount()).toBe(0);
    },
  );

  it('waits when those that it asks instead are stuck too: it is this machine', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    const body = randomBytes(3 << 20);
    const place = shape(body.length);
    await (await write(body, place)).finish();
    let givenUp = 0;
    const goOn: (() => void)[] = [];
    for (const member of set.members) {
      member.isStuck = true;
      member.onGiveUpReads = () => givenUp++;
      member.onCall = () => new Promise((resolve) => goOn.push(() => resolve(null)));
    }
    let isRead = false;
    const reading = read(place).finally(() => (isRead = true));
    for (let second = 0; second < 20; second++) {
      await vi.advanceTimersByTimeAsync(1_000);
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    expect([givenUp, isRead]).toEqual([0, false]);
    for (const member of set.members) member.isStuck = false;
    for (; !isRead; await new Promise((resolve) => setTimeout(resolve, 2))) for (const one of goOn.splice(0)) one();
    expect((await reading).equals(body)).toBe(true);
  });

  it('asks a drive that is known to hang last', async () => {
    const body = randomBytes(3 << 20);
    const place = shape(body.length);
    await (await write(body, place)).finish();
    const hanging = drive(place.layout.rotation % 4);
    hanging.isHanging = true;
    const asked = (): number => hanging.calls.filter(({ kind }) => kind === 'read').length;
    expect((await read(place)).equals(body)).toBe(true);
    expect((await read(place, 1000, 2000)).equals(body.subarray(1000, 2000))).toBe(true);
    expect(asked()).toBe(0);
    for (const other of [2, 3]) drive((other + place.layout.rotation) % 4).files.clear();
    expect((await read(place)).equals(body)).toBe(true);
    expect(asked()).toBeGreaterThan(0);
  });

  it('does not wait for a drive that hangs, nor take what it brings late', async () => {
    const body = randomBytes(9_000_001);
    const place = shape(body.length);
    await (await write(body, place)).finish();
    for (const [start, end] of [
      [0, body.length],
      [100_000, 160_000],
      [3_000_000, 3_000_001],
    ] as const) {
      const late: (() => void)[] = [];
      // Both data shards hang.
      for (const shard of [0, 1]) {
        const member = drive((shard + place.layout.rotation) % 4);
        member.onCall = (call) => {
          const settled = new Promise<void>((resolve) => {
            late.push(() => {
              // The thread comes back and writes what it has read: foreign bytes, from a disk that lies.
              for (let at = 0; at < call.segments.length; at += 2) {
                const offset = call.segments[at] ?? 0;
                arena.view.fill(0xee, offset, offset + (call.segments[at + 1] ?? 0));
              }
              resolve();
            });
          });
          setImmediate(() => {
            // While the answer is being put together.
            setTimeout(() => late.shift()?.(), 1);
          });
          return Promise.resolve(member.fault('slow', settled));
        };
      }
      expect((await read(place, start, end)).equals(body.subarray(start, end)), `${start}-${end}`).toBe(true);
      for (const bring of late.splice(0)) bring();
      await expect.poll(() => arena.freeBytes).toBe(free);
    }
  });

  it('goes on with drives that take the places of others meanwhile, and gives each its own files back', async () => {
    const body = randomBytes(12 << 20);
    const place = shape(body.length);
    await (await write(body, place)).finish();
    const others = memorySet(arena, 4);
    for (const [position, { files }] of others.members.entries()) {
      for (const [name, bytes] of drive(position).files) files.set(name, bytes);
    }
    let isExchanged = false;
    const exchanged: MemorySet = {
      ...set,
      drive: (position) => (isExchanged ? others : set).drive(position),
    };
    const { id, layout } = place;
    const placement = {
      kind: 'blob',
      geometry: layout,
      id,
      stripeBytes: layout.stripeBytes,
      positions: 0b1111,
    } as const;
    const source = new BlobSource(exchanged, placement, layout, arena);
    const reader = new BodyReader(source, arena, compute, 0, body.length, () => undefined);
    const pieces: Buffer[] = [];
    for (let piece = await reader.next(); piece !== null; piece = await reader.next()) {
      pieces.push(Buffer.from(piece.bytes));
      piece.release();
      isExchanged = true;
    }
    reader.close();
    expect(Buffer.concat(pieces).equals(body)).toBe(true);
    expect(others.members.some(({ calls }) => calls.length > 0)).toBe(true);
    await expect
      .poll(() => [...set.members, ...others.members].map(({ openHandles }) => openHandles))
      .toEqual(Array(8).fill(0));
    expect(arena.freeBytes).toBe(free);
  });

  it('of a large body is not stopped by one call that never comes back', async () => {
    const body = randomBytes(50 << 20);
    const place = shape(body.length);
    await (await write(body, place)).finish();
    let calls = 0;
    const member = drive(place.layout.rotation);
    member.onCall = (call) =>
      Promise.resolve(call.kind === 'read' && ++calls === 2 ? member.fault('slow', never) : null);
    // Fifty windows would not fit into the arena if each waited for that call.
    for (let round = 0; round < 3; round++) expect((await read(place)).equals(body)).toBe(true);
    await expect.poll(() => free - arena.freeBytes).toBeLessThanOrEqual(4 << 20);
    expect(arena.freeBytes).toBeLessThan(free);
  });

  it('says that it cannot when too few shards are sound', async () => {
    const body = randomBytes(2_000_000);
    const place = shape(body.length);
    await (await write(body, place)).finish();
    const held = arena.freeBytes;
    for (const position of [0, 1, 2]) drive(position).files.get(place.name)?.fill(0x33, 9000, 9010);
    const damaged = await read(place).catch((error: unknown) => error);
    // Three bad shards in the first block: nothing of it may leave.
    expect(damaged).toMatchObject({ code: 'SlowDownRead' });
    for (const position of [0, 1, 2]) drive(position).files.delete(place.name);
    await expect(read(place)).rejects.toMatchObject({ code: 'SlowDownRead' });
    await expect.poll(() => arena.freeBytes).toBe(held);
  });
});
