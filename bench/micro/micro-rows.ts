/**
 * Question: what do single steps on the main thread cost in JavaScript, beside the least that their work needs?
 *
 * Estimate: a header signature 10 µs of which the digests are 2; a page of a listing under 1 ms; a hop to a
 * worker 60–200 µs, through a message port alone 26; a look-up in the index 2 µs; a decision by a simple policy under
 * 2 µs.
 *
 * Result: docs/performance.md. Measured with the package `benchmark`, hops apart; the ratio is the anchor's time over ours.
 */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Worker } from 'node:worker_threads';
import { open } from 'lmdb';
import { openRunCatalog } from '../../src/catalog/index.js';
import { kernels } from '../../src/native/index.js';
import { ComputePool, SlabArena } from '../../src/pool/index.js';
import { signatureRows } from '../path/signature.bench.js';
import { xmlRows } from '../path/xml.bench.js';
import type { ReportRow } from '../report.js';
import { median } from '../statistics.js';
import { accessRows } from './access-rows.js';
import { measure, row } from './measure.js';

const hops = 3000;

/** µs of the median round trip, one after the other: a mean would be that of the neighbours on the machine. */
async function medianHop(hop: () => Promise<unknown>): Promise<number> {
  const micros: number[] = [];
  for (let index = 0; index < hops; index++) {
    const start = performance.now();
    await hop();
    micros.push((performance.now() - start) * 1000);
  }
  return median(micros);
}

async function signatures(): Promise<ReportRow[]> {
  const key = kernels.createSigningKey('bench-secret-key', '20261124', 'us-east-1', 's3');
  const canonical = 'x'.repeat(600);
  const scope = '20261124/us-east-1/s3/aws4_request';
  const signature = '0'.repeat(64);
  const digests = await measure(() => void kernels.verifyRequest(key, '20261124T023000Z', scope, canonical, signature));
  kernels.attachArena(kernels.createArena(1 << 20));
  const chunk = Buffer.alloc(64 << 10, 7);
  const copy = await measure(() => {
    kernels.copyToArena(4096, chunk, 0, chunk.length);
  });
  return (await signatureRows()).map(({ name, value }) =>
    name.includes('chunk') ? row(name, value, 'copying 64 KiB', copy) : row(name, value, 'its digests alone', digests),
  );
}

async function documents(): Promise<ReportRow[]> {
  const entries = Array.from({ length: 1000 }, (_, index) => ({
    Key: `some/prefix/of-a-tree/object-${index.toString().padStart(6, '0')}.bin`,
    LastModified: '2026-11-24T02:30:00.000Z',
    ETag: '"0123456789abcdef0123456789abcdef"',
    Size: 4096,
    StorageClass: 'STANDARD',
  }));
  const text = JSON.stringify(entries.map(({ Key, ETag }) => ({ Key, ETag })));
  const write = await measure(() => void JSON.stringify(entries));
  const read = await measure(() => void JSON.parse(text));
  return (await xmlRows()).map(({ name, value }) =>
    name.includes('list') ? row(name, value, 'JSON.stringify', write) : row(name, value, 'JSON.parse', read),
  );
}

async function poolHop(): Promise<ReportRow> {
  const arena = new SlabArena(32 << 20);
  const pool = new ComputePool({ arena: arena.arena, hashKey: randomBytes(32), threads: 2 });
  const echo = `const { parentPort } = require('node:worker_threads');
    parentPort.on('message', (value) => parentPort.postMessage(value));`;
  const worker = new Worker(echo, { eval: true });
  try {
    const hop = await medianHop(() => pool.verify([]));
    const port = await medianHop(() => {
      const answer = once(worker, 'message');
      worker.postMessage(1);
      return answer;
    });
    return row('micro.pool.hop', hop, 'message port, there and back', port);
  } finally {
    await worker.terminate();
    await pool.close();
  }
}

const entriesPerBatch = 64;

/** CPU time of an entry written in batches, all threads: what follows a batch of the log. */
async function indexWrites(): Promise<ReportRow> {
  const folder = await mkdtemp(path.join(tmpdir(), 'granary-bench-index-'));
  const catalog = await openRunCatalog({ directory: path.join(folder, 'catalog'), log: () => undefined });
  const plain = open<Buffer, Buffer>({
    path: path.join(folder, 'plain'),
    keyEncoding: 'binary',
    encoding: 'binary',
    noSync: true,
  });
  const batch = (): [Buffer, Buffer][] =>
    Array.from({ length: entriesPerBatch }, () => [randomBytes(24), randomBytes(250)]);
  const cpuPerEntry = async (write: (entries: [Buffer, Buffer][]) => Promise<void>): Promise<number> => {
    const batches = Array.from({ length: 500 }, batch);
    const before = process.cpuUsage();
    for (const entries of batches) await write(entries);
    const { user, system } = process.cpuUsage(before);
    return (user + system) / (batches.length * entriesPerBatch);
  };
  try {
    const ours: number[] = [];
    const theirs: number[] = [];
    for (let round = 0; round < 3; round++) {
      ours.push(
        await cpuPerEntry(async (entries) => {
          await catalog.write((to) => {
            for (const [key, value] of entries) to.put(key, value);
          });
        }),
      );
      theirs.push(
        await cpuPerEntry(async (entries) => {
          await plain.batch(() => {
            for (const [key, value] of entries) void plain.put(key, value);
          });
        }),
      );
    }
    return row('micro.index.put', median(ours), 'LMDB, unsynced', median(theirs));
  } finally {
    await catalog.close();
    await plain.close();
    await rm(folder, { recursive: true });
  }
}

async function indexLookUp(): Promise<ReportRow> {
  const folder = await mkdtemp(path.join(tmpdir(), 'granary-bench-index-'));
  const catalog = await openRunCatalog({ directory: path.join(folder, 'catalog'), log: () => undefined });
  const plain = open<Buffer, Buffer>({
    path: path.join(folder, 'plain'),
    keyEncoding: 'binary',
    encoding: 'binary',
    noSync: true,
  });
  try {
    const keys = Array.from({ length: 10_000 }, (_, index) => Buffer.from(`key/${index.toString().padStart(8, '0')}`));
    await catalog.write((batch) => {
      for (const key of keys) batch.put(key, randomBytes(400));
    });
    await plain.batch(() => {
      for (const key of keys) void plain.put(key, randomBytes(400));
    });
    let at = 0;
    const next = (): Buffer => keys[at++ % keys.length] ?? Buffer.alloc(1);
    const ours = await measure(() => {
      if (catalog.get(next()) === undefined) throw new Error('a key is missing');
    });
    const theirs = await measure(() => {
      if (plain.getBinary(next()) === undefined) throw new Error('a key is missing');
    });
    return row('micro.index.get', ours, 'LMDB alone', theirs);
  } finally {
    await catalog.close();
    await plain.close();
    await rm(folder, { recursive: true });
  }
}

export async function microRows(onProgress: (text: string) => void): Promise<ReportRow[]> {
  const rows: ReportRow[] = [];
  onProgress('micro: signatures');
  rows.push(...(await signatures()));
  onProgress('micro: XML');
  rows.push(...(await documents()));
  onProgress('micro: hop to a worker');
  rows.push(await poolHop());
  onProgress('micro: decisions by policies');
  rows.push(...(await accessRows()));
  onProgress('micro: look-up in the index');
  rows.push(await indexLookUp());
  onProgress('micro: writes to the index');
  rows.push(await indexWrites());
  return rows;
}
