/** What the binding refuses, at each limit; and that environments do not share anything but the arena. */
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { beforeEach, describe, expect, it } from 'vitest';
import { Digest, kernels, streamStateBytes } from '../../../src/native/index.js';
import { hex, newArena, seededBytes } from './support.js';

const addonPath = fileURLToPath(new URL('../../../build/Release/granary.node', import.meta.url));
const arenaBytes = 1 << 16;
let arena: Uint8Array;
beforeEach(() => {
  arena = newArena(arenaBytes);
  kernels.setHashKey(new Uint8Array(32));
});

/** A legal stripe of 2+1 shards of 1,000 bytes that ends exactly at the end of the arena. */
const stripe = {
  state: -1,
  data: 0,
  dataBytes: 2000,
  k: 2,
  m: 1,
  shardBytes: 1000,
  parity: 2000,
  hashes: arenaBytes - 3 * 32,
  checksumBlockBytes: 1000,
  idHigh: 1,
  idLow: 2,
  firstBlock: 0,
};
const pass = (changes: Partial<typeof stripe>): number =>
  kernels.putPass(Float64Array.from(Object.values({ ...stripe, ...changes })), null, null);

describe('createArena', () => {
  it('gives shared memory of the size asked for, zeroed, that outlives the worker that made it', async () => {
    const script = `
      const { workerData, parentPort } = require('node:worker_threads');
      parentPort.postMessage(require(workerData).createArena(5000));`;
    const worker = new Worker(script, { eval: true, workerData: addonPath });
    const [made] = (await once(worker, 'message')) as [SharedArrayBuffer];
    await worker.terminate();
    expect(made).toBeInstanceOf(SharedArrayBuffer);
    const bytes = new Uint8Array(made);
    expect(bytes).toEqual(new Uint8Array(5000));
    kernels.attachArena(made);
    kernels.copyToArena(4999, Uint8Array.of(7), 0, 1);
    expect(bytes[4999]).toBe(7);
    expect(() => kernels.copyToArena(5000, Uint8Array.of(7), 0, 1)).toThrow(RangeError);
  });

  it.each([0, -1, 1.5, Number.NaN, 2 ** 41])('refuses %d bytes', (bytes) => {
    expect(() => kernels.createArena(bytes)).toThrow(RangeError);
  });
});

describe('ranges', () => {
  it('end where the arena ends', () => {
    expect(() => kernels.copyToArena(arenaBytes - 3, new Uint8Array(3), 0, 3)).not.toThrow();
    expect(() => kernels.copyToArena(arenaBytes - 2, new Uint8Array(3), 0, 3)).toThrow(RangeError);
    expect(() => kernels.copyToArena(arenaBytes, new Uint8Array(0), 0, 0)).not.toThrow();
    expect(() => kernels.copyToArena(0, new Uint8Array(3), 1, 3)).toThrow(RangeError);
    expect(() => kernels.copyToArena(0, new Uint8Array(3), 3, 0)).not.toThrow();
    expect(() => kernels.copyToArena(0, new Uint8Array(3), 4, 0)).toThrow(RangeError);
    expect(() => kernels.copyWithinArena(0, arenaBytes - 1, 2)).toThrow(RangeError);
  });

  it.each([-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, -0.1, 2 ** 64])('refuse the number %d', (value) => {
    expect(() => kernels.copyToArena(value, new Uint8Array(1), 0, 1)).toThrow(RangeError);
    expect(() => kernels.copyToArena(0, new Uint8Array(1), value, 1)).toThrow(RangeError);
    expect(() => kernels.copyToArena(0, new Uint8Array(1), 0, value)).toThrow(RangeError);
    expect(() => kernels.encode(2, 1, value, Float64Array.of(0, 1, 2))).toThrow(RangeError);
    expect(() => kernels.verifyBlocks(Float64Array.of(0, value, 0, 1, 0, 0, 0, 0))).toThrow(RangeError);
    expect(() => kernels.verifyBlocks(Float64Array.of(0, 64, value, 32, 0, 0, 0, 0))).toThrow(RangeError);
  });

  it('of a stripe are checked one by one', () => {
    expect(pass({})).toBe(1);
    const wrong: Partial<typeof stripe>[] = [
      { state: 0 },
      { state: 32 },
      { data: arenaBytes - 1999 },
      { dataBytes: 2001 },
      { dataBytes: -1 },
      { k: 0 },
      { k: 17 },
      { m: -1 },
      { m: 9 },
      { shardBytes: 40_000 },
      { shardBytes: 0.5, dataBytes: 1 },
      { shardBytes: 1e300 },
      { parity: arenaBytes - 999 },
      { hashes: stripe.hashes + 1 },
      { checksumBlockBytes: 999 },
      { checksumBlockBytes: 0 },
      { idHigh: -1 },
      { idLow: 2 ** 53 },
      { firstBlock: 0.5 },
      { firstBlock: Number.NaN },
    ];
    for (const change of wrong) expect(() => pass(change), JSON.stringify(change)).toThrow(RangeError);
  });

  it('of a state are aligned, whole, and started', () => {
    kernels.streamInit(arenaBytes - streamStateBytes, Digest.md5, null);
    expect(() => kernels.streamInit(arenaBytes - streamStateBytes + 64, Digest.md5, null)).toThrow(RangeError);
    expect(() => kernels.streamInit(32, Digest.md5, null)).toThrow(RangeError);
    expect(() => kernels.streamUpdate(64, 0, 1, null, null)).toThrow('no stream was started');
    expect(() => kernels.streamDigest(arenaBytes - streamStateBytes, Digest.sha256)).toThrow(RangeError);
    expect(() => kernels.streamDigest(arenaBytes - streamStateBytes, 3)).toThrow(RangeError);
    expect(() => kernels.streamDigestHex(arenaBytes - streamStateBytes, Digest.sha256)).toThrow(RangeError);
  });
});

describe('ranges that are written', () => {
  const apart = 'ranges of the arena overlap';
  const end = streamStateBytes;

  it('lie apart from the data of a stream', () => {
    kernels.streamInit(4096, Digest.sha256, null);
    const update = (at: number, bytes: number) => () => kernels.streamUpdate(4096, at, bytes, null, null);
    expect(update(4096, 64)).toThrow(RangeError);
    expect(update(4096 + 100, 64)).toThrow(apart);
    expect(update(4095, 2)).toThrow(apart);
    expect(update(4096 + end - 1, 1)).toThrow(apart);
    expect(update(0, arenaBytes)).toThrow(apart);
    // Its neighbours, and nothing of it.
    expect(update(4095, 1)()).toBe(1);
    expect(update(4096 + end, 1)()).toBe(1);
    expect(update(4200, 0)()).toBe(1);
    expect(hex(kernels.streamDigest(4096, Digest.sha256))).toBe(kernels.sha256Hex(new Uint8Array(2)));
  });

  it('lie apart from each other in a batch of streams', () => {
    const update = (...runs: number[][]) => kernels.streamUpdates(Float64Array.from(runs.flat()));
    kernels.streamInit(64, Digest.md5, null);
    kernels.streamInit(end, Digest.md5, null);
    expect(() => update([64, 8192, 64], [end, 8192, 64])).toThrow(apart);
    kernels.streamInit(0, Digest.md5, null);
    kernels.streamInit(4096, Digest.md5, null);
    expect(() => update([4096, 4096, 64])).toThrow(apart);
    expect(() => update([0, end, 64], [4096, 8192, 64])).not.toThrow();
    expect(() => update([0, 4096, 64], [4096, 8192, 64])).toThrow(apart);
    // The same bytes may go to several.
    expect(() => update([0, 8192, 64], [4096, 8192, 64])).not.toThrow();
  });

  it('lie apart from all else of a pass', () => {
    kernels.streamInit(8192, Digest.md5, null);
    const state = { state: 8192 };
    expect(pass(state)).toBe(1);
    const wrong: Partial<typeof stripe>[] = [
      { ...state, data: 8192 },
      { ...state, data: 8192 - 1999 },
      { ...state, data: 8192 + end - 1 },
      { ...state, parity: 8192 + end - 1 },
      { ...state, hashes: 8192 - 95 },
      { parity: 1999 },
      { parity: 0 },
      { hashes: 1999 },
      { hashes: 2999 },
      { hashes: 2000 - 95 },
    ];
    for (const change of wrong) expect(() => pass(change), JSON.stringify(change)).toThrow(apart);
    expect(pass({ ...state, data: 8192 - 2000 })).toBe(1);
    expect(pass({ ...state, data: 8192 + end })).toBe(1);
    expect(pass({ parity: 2000, hashes: 3000 })).toBe(1);
    // No parity at all lies nowhere.
    expect(pass({ m: 0, parity: 0 })).toBe(1);
  });

  it('lie apart from those of the other passes', () => {
    const other = { ...stripe, data: 4096, parity: 6096, hashes: 8192 };
    const passes = (changes: Partial<typeof stripe>): number[] => {
      const rows = [stripe, { ...other, ...changes }];
      const args = Float64Array.from(rows.flatMap((row) => Object.values(row)));
      return kernels.putPasses(args, [null, null], [null, null]);
    };
    expect(passes({})).toEqual([1, 1]);
    // Read by both.
    expect(passes({ data: 0 })).toEqual([1, 1]);
    // Padded by one.
    expect(() => passes({ data: 0, dataBytes: 1999 })).toThrow(apart);
    kernels.streamInit(0, Digest.md5, null);
    for (const change of [{ parity: 2999 }, { hashes: 1999 }, { state: 0 }, { data: 2000 }]) {
      expect(() => passes(change), JSON.stringify(change)).toThrow(apart);
    }
  });

  it('lie apart from what is coded and hashed', () => {
    const encode = (...offsets: number[]) => kernels.encode(2, 1, 100, Float64Array.from(offsets));
    expect(() => encode(0, 100, 199)).toThrow(apart);
    expect(() => encode(0, 100, 0)).toThrow(apart);
    expect(() => encode(0, 50, 150)).not.toThrow();
    const rebuild = (...offsets: number[]) =>
      kernels.reconstruct(2, 2, 100, Float64Array.from(offsets), 0b1100, 0b0011);
    expect(() => rebuild(0, 99, 400, 500)).toThrow(apart);
    expect(() => rebuild(0, 400, 400, 500)).toThrow(apart);
    expect(() => rebuild(0, 100, 400, 500)).not.toThrow();
    const hash = (hashesOffset: number) => kernels.hashBlocks(Float64Array.of(64, 100, hashesOffset, 100, 0, 0, 0, 0));
    expect(() => hash(33)).toThrow(apart);
    expect(() => hash(163)).toThrow(apart);
    expect(() => hash(32)).not.toThrow();
    expect(() => hash(164)).not.toThrow();
  });
});

describe('arguments', () => {
  it('of chunks must fit the data and the stream', () => {
    const signing = {
      signingKey: kernels.createSigningKey('secret', '20260101', 'us-east-1', 's3'),
      amzDate: '20260101T000000Z',
      scope: '20260101/us-east-1/s3/aws4_request',
      seedSignature: 'a'.repeat(64),
    };
    kernels.streamInit(0, 0, null);
    const update = (ends: number[], signatures: number): number =>
      kernels.streamUpdate(0, 4096, 100, Float64Array.from(ends), new Uint8Array(signatures));
    expect(() => update([100], 32)).toThrow('started with signing');
    expect(update([], 0)).toBe(1);
    kernels.streamInit(0, 0, signing);
    for (const ends of [[101], [-1], [50, 49], [0.5], [Number.NaN]]) {
      expect(() => update(ends, 32 * ends.length), JSON.stringify(ends)).toThrow(RangeError);
    }
    expect(() => update([50], 31)).toThrow(RangeError);
    expect(() => update([50], 64)).toThrow(RangeError);
    const start = (changes: Partial<typeof signing>) => () => kernels.streamInit(0, 0, { ...signing, ...changes });
    expect(start({ scope: 's'.repeat(256) })).not.toThrow();
    expect(start({ scope: 's'.repeat(257) })).toThrow(RangeError);
    expect(start({ amzDate: '20260101T000000' })).toThrow(RangeError);
    expect(start({ seedSignature: 'A'.repeat(64) })).toThrow(RangeError);
    expect(start({ seedSignature: 'a'.repeat(63) })).toThrow(RangeError);
    expect(start({ signingKey: new Uint8Array(63) })).toThrow(RangeError);
  });

  it('of the wrong type are a TypeError', () => {
    const anything = kernels as unknown as Record<string, (...values: unknown[]) => unknown>;
    const calls: [string, unknown[]][] = [
      ['attachArena', [new ArrayBuffer(8)]],
      ['attachArena', []],
      ['setHashKey', ['key']],
      ['copyToArena', ['0', new Uint8Array(1), 0, 1]],
      ['copyToArena', [0, [1], 0, 1]],
      ['putPass', [new Uint8Array(12), null, null]],
      ['putPass', []],
      ['streamInit', [0, 1, 'signing']],
      ['streamInit', [0, 1, {}]],
      ['encode', [2, 1, 8, [0, 8, 16]]],
      ['verifyBlocks', [undefined]],
      ['digest', [1, 'text']],
      ['digest', [1, new Uint16Array(4)]],
      ['hmacSha256', [new Uint8Array(1), 5]],
      ['sha256Hex', [null]],
      ['sign', ['key', 'text']],
      ['createSigningKey', ['secret', 20260101, 'region', 's3']],
      ['constantTimeEqual', ['a', 1]],
    ];
    for (const [name, values] of calls) {
      expect(() => anything[name]?.(...values), `${name} ${String(values)}`).toThrow(TypeError);
    }
  });

  it('out of their domain are a RangeError', () => {
    expect(() => kernels.setHashKey(new Uint8Array(31))).toThrow(RangeError);
    expect(() => kernels.digest(3, new Uint8Array(1))).toThrow(RangeError);
    expect(() => kernels.digest(64, new Uint8Array(1))).toThrow(RangeError);
    expect(() => kernels.crcCombine(Digest.md5, new Uint8Array(16), new Uint8Array(16), 1)).toThrow(RangeError);
    expect(() => kernels.crcCombine(Digest.crc32, new Uint8Array(8), new Uint8Array(4), 1)).toThrow(RangeError);
    expect(() => kernels.highwayHash256(new Uint8Array(33), new Uint8Array(1))).toThrow(RangeError);
    expect(() => kernels.verifyBlocks(new Float64Array(7))).toThrow(RangeError);
    expect(() => kernels.encode(2, 1, 8, Float64Array.of(0, 8))).toThrow(RangeError);
    const offsets = Float64Array.of(0, 8, 16);
    expect(() => kernels.reconstruct(2, 1, 8, offsets, 0b001, 0b010)).toThrow('present must have at least k bits');
    expect(() => kernels.reconstruct(2, 1, 8, offsets, 0b1011, 0b100)).toThrow(RangeError);
  });
});

describe('reconstruct', () => {
  it('leaves a wanted shard that is present as it is, and all else untouched', () => {
    const content = seededBytes(300, 5);
    arena.set(content, 1);
    const offsets = Float64Array.of(1, 101, 201, 400, 600);
    kernels.encode(3, 2, 100, offsets);
    const before = Buffer.from(arena);
    arena.fill(0xee, 101, 201);
    kernels.reconstruct(3, 2, 100, offsets, 0b11101, 0b00111);
    expect(Buffer.from(arena).equals(before)).toBe(true);
  });
});

describe('verifyBlocks', () => {
  const jobFor = (at: number, shard: number, block: number): number[] => [at, 5000, 40_000, 4096, 9, 8, shard, block];

  it('names the wrong jobs in order, and hashes are bound to their place', () => {
    arena.set(seededBytes(5000, 7), 64);
    kernels.hashBlocks(Float64Array.from(jobFor(64, 3, 0)));
    expect(kernels.verifyBlocks(Float64Array.from(jobFor(64, 3, 0)))).toEqual([]);
    const jobs = [jobFor(64, 3, 0), jobFor(64, 2, 0), jobFor(64, 3, 1), jobFor(65, 3, 0), jobFor(64, 3, 0)];
    expect(kernels.verifyBlocks(Float64Array.from(jobs.flat()))).toEqual([1, 2, 3]);
    arena[64 + 4999]! ^= 1;
    expect(kernels.verifyBlocks(Float64Array.from(jobFor(64, 3, 0)))).toEqual([0]);
  });

  it('is HighwayHash-256 with the place XORed into the key', () => {
    const key = seededBytes(32, 11);
    kernels.setHashKey(key);
    arena.set(seededBytes(5000, 7), 64);
    kernels.hashBlocks(Float64Array.from(jobFor(64, 3, 6)));
    [0, 1].forEach((block) => {
      const lanes = new BigUint64Array(Uint8Array.from(key).buffer);
      [9n, 8n, 3n, BigInt(6 + block)].forEach((part, lane) => (lanes[lane]! ^= part));
      const content = arena.slice(64 + 4096 * block, 64 + Math.min(4096 * (block + 1), 5000));
      const expected = kernels.highwayHash256(new Uint8Array(lanes.buffer), content);
      expect(arena.slice(40_000 + 32 * block, 40_032 + 32 * block)).toEqual(expected);
    });
  });
});

describe('constantTimeEqual', () => {
  it('compares strings and bytes', () => {
    expect(kernels.constantTimeEqual('é', new TextEncoder().encode('é'))).toBe(true);
    expect(kernels.constantTimeEqual('', '')).toBe(true);
    expect(kernels.constantTimeEqual('abc', 'abd')).toBe(false);
    expect(kernels.constantTimeEqual('abc', 'abcd')).toBe(false);
    expect(kernels.constantTimeEqual('x'.repeat(5000), 'x'.repeat(5000))).toBe(true);
  });
});

describe('strings', () => {
  it.each([2043, 2044, 2045, 2046, 2047, 2048, 5000])('of %i wide characters are hashed whole', (length) => {
    const message = `${'x'.repeat(length % 3)}${'€'.repeat(Math.floor(length / 3))}`;
    const bytes = new TextEncoder().encode(message);
    expect(kernels.sha256Hex(message)).toBe(kernels.sha256Hex(bytes));
  });
});

describe('environments', () => {
  it('each attach the arena for themselves, and a stream goes on in another', async () => {
    const shared = new SharedArrayBuffer(1 << 16);
    kernels.attachArena(shared);
    kernels.copyToArena(4096, new TextEncoder().encode('abcdef'), 0, 6);
    kernels.streamInit(0, Digest.sha1, null);
    kernels.streamUpdate(0, 4096, 3, null, null);
    const script = `
      const { workerData, parentPort } = require('node:worker_threads');
      const addon = require(workerData.addon);
      let refusal = '';
      try { addon.streamUpdate(0, 4099, 3, null, null); } catch (error) { refusal = error.message; }
      addon.attachArena(workerData.shared);
      addon.streamUpdate(0, 4099, 3, null, null);
      parentPort.postMessage(refusal);`;
    for (let round = 0; round < 3; round++) {
      kernels.streamInit(0, Digest.sha1, null);
      kernels.streamUpdate(0, 4096, 3, null, null);
      const worker = new Worker(script, { eval: true, workerData: { addon: addonPath, shared } });
      const [refusal] = (await once(worker, 'message')) as [string];
      await worker.terminate();
      expect(refusal).toBe('no arena is attached');
      expect(kernels.streamDigest(0, Digest.sha1)).toEqual(
        kernels.digest(Digest.sha1, new TextEncoder().encode('abcdef')),
      );
    }
  });
});
