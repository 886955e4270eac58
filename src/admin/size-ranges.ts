/** Counts by length under the names that the clients of this API know. */

/** One for each count of a bucket's usage. */
const names = [
  'LESS_THAN_1024_B',
  'BETWEEN_1024_B_AND_64_KB',
  'BETWEEN_64_KB_AND_256_KB',
  'BETWEEN_256_KB_AND_512_KB',
  'BETWEEN_512_KB_AND_1_MB',
  'BETWEEN_1_MB_AND_10_MB',
  'BETWEEN_10_MB_AND_64_MB',
  'BETWEEN_64_MB_AND_128_MB',
  'BETWEEN_128_MB_AND_512_MB',
  'GREATER_THAN_512_MB',
] as const;

/** With the range that older clients know beside the four that it was cut into. */
export function sizeRanges(sizes: readonly number[]): Readonly<Record<string, number>> {
  const ranges: Record<string, number> = {};
  let upToMegabyte = 0;
  for (const [index, name] of names.entries()) {
    const count = sizes[index] ?? 0;
    if (index >= 1 && index <= 4) upToMegabyte += count;
    ranges[name] = count;
    if (index === 4) ranges['BETWEEN_1024B_AND_1_MB'] = upToMegabyte;
  }
  return ranges;
}
