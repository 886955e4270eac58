/**
 * JavaScript micro-benchmarks (package `benchmark`): what single steps on the main thread cost.
 * Each anchor says what the step is held against.
 */
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import Benchmark from 'benchmark';
import { openLmdbCatalog } from '../../src/catalog/index.js';
import { ComputePool, SlabArena } from '../../src/pool/index.js';
import { signatureRows } from '../path/signature.bench.js';
import { xmlRows } from '../path/xml.bench.js';
import type { ReportRow } from '../report.js';

interface Step {
  readonly name: string;
  readonly micros: number;
  readonly budgetMicros: number;
  readonly note: string;
}

function measure(run: (() => void) | ((done: () => void) => void), isDeferred: boolean): Promise<number> {
  return new Promise((resolve, reject) => {
    const fn = isDeferred
      ? (deferred: { resolve: () => void }): void => {
          run(() => {
            deferred.resolve();
          });
        }
      : run;
    new Benchmark('step', fn, { defer: isDeferred, maxTime: 0.7, minSamples: 10 })
      .on('complete', (event: Benchmark.Event) => {
        resolve((event.target.stats?.mean ?? Number.NaN) * 1e6);
      })
      .on('error', () => {
        reject(new Error('a micro-benchmark failed'));
      })
      .run({ async: true });
  });
}

async function poolHop(): Promise<number> {
  const arena = new SlabArena(32 << 20);
  const pool = new ComputePool({ arena: arena.arena, hashKey: randomBytes(32), threads: 2 });
  try {
    return await measure((done) => void pool.verify([]).then(done), true);
  } finally {
    await pool.close();
  }
}

async function indexLookUp(): Promise<number> {
  const folder = await mkdtemp(path.join(tmpdir(), 'granary-bench-index-'));
  const catalog = openLmdbCatalog({ directory: folder, bootId: 'bench', log: () => undefined });
  try {
    const keys = Array.from({ length: 10_000 }, (_, index) => Buffer.from(`key/${index.toString().padStart(8, '0')}`));
    await catalog.write((batch) => {
      for (const key of keys) batch.put(key, randomBytes(400));
    });
    let at = 0;
    return await measure(() => {
      const key = keys[at++ % keys.length];
      if (key === undefined || catalog.get(key) === undefined) throw new Error('a key is missing');
    }, false);
  } finally {
    await catalog.close();
    await rm(folder, { recursive: true });
  }
}

/** A budget is what design and reference say that the step may cost on a machine of this kind. */
const budgets: Readonly<Record<string, number>> = { 'js.signature.header.6': 15, 'js.xml.list.1000': 1000 };

export async function microRows(onProgress: (text: string) => void): Promise<ReportRow[]> {
  const steps: Step[] = [];
  onProgress('micro: signatures');
  for (const { name, value } of await signatureRows())
    steps.push({ name, micros: value, budgetMicros: budgets[name] ?? value, note: '' });
  onProgress('micro: XML');
  for (const { name, value } of await xmlRows())
    steps.push({ name, micros: value, budgetMicros: budgets[name] ?? value, note: '' });
  onProgress('micro: hop to a worker');
  steps.push({ name: 'micro.pool.hop', micros: await poolHop(), budgetMicros: 200, note: '' });
  onProgress('micro: look-up in the index');
  steps.push({ name: 'micro.index.get', micros: await indexLookUp(), budgetMicros: 10, note: '' });
  return steps.map(({ name, micros, budgetMicros }) => ({
    name,
    unit: 'µs',
    value: micros,
    anchor: { name: 'budget (µs)', value: budgetMicros },
    ratio: budgetMicros / micros,
  }));
}
