/** Medians and percentiles. */

/** The middle one; the lower of the two in the middle when their number is even. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) / 2)] ?? Number.NaN;
}

/** [upper end of the bucket, count], in ascending order. */
export type Histogram = readonly (readonly [upTo: number, count: number])[];

export function mergeHistograms(histograms: readonly Histogram[]): Histogram {
  const counts = new Map<number, number>();
  for (const [upTo, count] of histograms.flat()) counts.set(upTo, (counts.get(upTo) ?? 0) + count);
  return [...counts].sort(([a], [b]) => a - b);
}

/** The smallest bucket end that at least `fraction` of all values do not exceed; NaN of nothing. */
export function percentile(histogram: Histogram, fraction: number): number {
  const total = histogram.reduce((sum, [, count]) => sum + count, 0);
  const wanted = Math.max(1, Math.ceil(total * fraction));
  let seen = 0;
  for (const [upTo, count] of histogram) {
    seen += count;
    if (seen >= wanted) return upTo;
  }
  return Number.NaN;
}
