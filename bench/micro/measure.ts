/** One step, over and over, with the package `benchmark`; and a row of the report for it. */
import Benchmark from 'benchmark';
import type { ReportRow } from '../report.js';

/** µs a run. */
export function measure(run: () => void): Promise<number> {
  return new Promise((resolve, reject) => {
    new Benchmark('step', run, { maxTime: 0.7, minSamples: 10 })
      .on('complete', (event: Benchmark.Event) => {
        resolve((event.target.stats?.mean ?? Number.NaN) * 1e6);
      })
      .on('error', (event: Benchmark.Event & { target: { error?: Error } }) => {
        reject(event.target.error ?? new Error('a micro-benchmark failed'));
      })
      .run({ async: true });
  });
}

export function row(name: string, micros: number, anchorName: string, anchorMicros: number): ReportRow {
  return {
    name,
    unit: 'µs',
    value: micros,
    anchor: { name: `${anchorName} (µs)`, value: anchorMicros },
    ratio: anchorMicros / micros,
  };
}
