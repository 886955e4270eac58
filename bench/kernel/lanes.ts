/**
 * Question: what does the MD5 of sixteen uploads cost a byte when it goes through the pool, as in the server, beside that
 * of one?
 *
 * Estimate (limits.md): lanes give 4.4 GB/s where one stream has 0.65: a seventh. Whoever is gathered late, or in small
 * groups, costs more. It must be no more than a third.
 *
 * Result: docs/performance.md.
 *
 * How: sixteen streams hand the pool one stripe after the other, each as soon as its last one is done, copied in before as
 * by the server. The same without MD5 is subtracted: what is left is what MD5 costs, with whatever the gathering adds. CPU
 * time of all threads, so that waiting is free and the other work of the machine does not count.
 */
import { availableParallelism } from 'node:os';
import { randomBytes } from 'node:crypto';
import type { StreamDigest } from '../../src/erasure/index.js';
import { ComputePool, SlabArena } from '../../src/pool/index.js';
import type { BenchOptions } from '../row.js';
import type { ReportRow } from '../report.js';
import { median } from '../statistics.js';

export const lanesName = 'pass.md5.x16';

const MiB = 2 ** 20;
const stripeBytes = MiB;
const [dataShards, parityShards] = [2, 2];
const shardBytes = stripeBytes / dataShards;
const streams = 16;
const stripesPerStream = 24;
const rounds = 7;
const timesCheaperMin = 3;
/** What a stripe, its parity, its hashes and the state of its stream take. */
const slotBytes = 4 * MiB;
const parityAt = stripeBytes;
const hashesAt = parityAt + parityShards * shardBytes;
const stateAt = hashesAt + 64 * 1024;

/** CPU nanoseconds of all threads. */
async function cpuNanos(work: () => Promise<void> | void): Promise<number> {
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) * 1000;
}

class Streams {
  readonly #arena = new SlabArena((streams + 2) * slotBytes * 2);
  readonly #source = randomBytes(stripeBytes);
  readonly #slots: number[] = [];
  readonly #pool: ComputePool;

  constructor() {
    // As many threads as the server has.
    const threads = Math.max(2, availableParallelism());
    this.#pool = new ComputePool({ arena: this.#arena.arena, hashKey: randomBytes(32), threads });
    for (let stream = 0; stream < streams; stream++) {
      const slab = this.#arena.tryAllocate(slotBytes, 'commit');
      if (slab === null) throw new Error('the arena is too small for the streams');
      this.#slots.push(slab.offset);
    }
  }

  /** CPU nanoseconds a byte of sixteen uploads. */
  async together(digests: readonly StreamDigest[]): Promise<number> {
    const nanos = await cpuNanos(async () => {
      await Promise.all(this.#slots.map((offset, stream) => this.#upload(offset, stream, digests)));
    });
    return nanos / (streams * stripesPerStream * stripeBytes);
  }

  /** The same of the digest of one stream alone, and nothing else. */
  async alone(): Promise<number> {
    const [offset = 0] = this.#slots;
    this.#pool.copyIn(offset, this.#source, 0, stripeBytes);
    this.#pool.streamInit(offset + stateAt, ['md5'], null);
    const nanos = await cpuNanos(() => {
      for (let stripe = 0; stripe < stripesPerStream * 4; stripe++)
        this.#pool.streamUpdateNow(offset + stateAt, offset, stripeBytes, [], []);
    });
    return nanos / (stripesPerStream * 4 * stripeBytes);
  }

  async close(): Promise<void> {
    await this.#pool.close();
  }

  async #upload(offset: number, stream: number, digests: readonly StreamDigest[]): Promise<void> {
    this.#pool.streamInit(offset + stateAt, digests, null);
    const md5 = digests.length > 0 ? this.#pool.openMd5(offset + stateAt) : null;
    for (let stripe = 0; stripe < stripesPerStream; stripe++) {
      this.#pool.copyIn(offset, this.#source, 0, stripeBytes);
      const hashed = md5?.add(offset, stripeBytes);
      await this.#pool.pass({
        ...{ stateOffset: -1, dataOffset: offset, dataBytes: stripeBytes, dataShards, parityShards },
        ...{ shardBytes, parityOffset: offset + parityAt, hashesOffset: offset + hashesAt },
        ...{ idHigh: 1, idLow: stream, firstBlock: 0, chunkEnds: [], chunkSignatures: [] },
      });
      await hashed;
    }
    md5?.close();
  }
}

export async function lanesRow({ onProgress }: Pick<BenchOptions, 'onProgress'>): Promise<ReportRow> {
  const measured = new Streams();
  try {
    await measured.together(['md5']);
    const costs: number[] = [];
    const anchors: number[] = [];
    for (let round = 1; round <= rounds; round++) {
      onProgress(`${lanesName}: round ${round} of ${rounds}`);
      const without = await measured.together([]);
      costs.push((await measured.together(['md5'])) - without);
      anchors.push(await measured.alone());
    }
    const value = median(costs);
    const anchor = median(anchors);
    return {
      ...{ name: lanesName, unit: 'CPU ns/byte of MD5', value, ratio: anchor / value },
      anchor: { name: 'one stream by itself (CPU ns/byte)', value: anchor },
      note: `limit: at least ${timesCheaperMin} times cheaper`,
    };
  } finally {
    await measured.close();
  }
}
