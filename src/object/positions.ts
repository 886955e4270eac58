/** Drive positions as bits of a number. */

export function listBits(mask: number): number[] {
  const found: number[] = [];
  for (let position = 0; mask >>> position !== 0; position++) if (((mask >>> position) & 1) === 1) found.push(position);
  return found;
}

export function maskOf(positions: readonly number[]): number {
  return positions.reduce((mask, position) => mask | (1 << position), 0);
}
