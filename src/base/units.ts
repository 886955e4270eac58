export const KiB = 1024;
export const MiB = 1024 * KiB;
export const GiB = 1024 * MiB;
export const TiB = 1024 * GiB;

/** The smallest integer not below numerator / denominator, for non-negative integers. */
export function divCeil(numerator: number, denominator: number): number {
  return Math.ceil(numerator / denominator);
}

/** The smallest multiple of `unit` not below `value`. */
export function alignUp(value: number, unit: number): number {
  return divCeil(value, unit) * unit;
}
