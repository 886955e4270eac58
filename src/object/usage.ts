/**
 * What a bucket holds, as counters that every record moves when it is applied: exact after a crash and after
 * a rebuild of the index, and never counted by walking.
 */
import { KiB, MiB } from '../base/index.js';
import { BinaryReader, BinaryWriter } from './binary.js';

export interface BucketUsage {
  /** Keys that have a current object. */
  readonly objects: number;
  /** Of all keys, the current ones among them; delete markers do not count. */
  readonly versions: number;
  readonly deleteMarkers: number;
  /** Of all versions, as clients see their lengths. */
  readonly bytes: number;
  /** Versions by their length: one count for each of `usageSizeBounds`, and one for what is longer. */
  readonly sizes: readonly number[];
}

/** Lengths below the first bound, then from each bound to below the next: the ranges that clients know. */
export const usageSizeBounds: readonly number[] = [
  1 * KiB,
  64 * KiB,
  256 * KiB,
  512 * KiB,
  1 * MiB,
  10 * MiB,
  64 * MiB,
  128 * MiB,
  512 * MiB,
];

const sizeCount = usageSizeBounds.length + 1;

/** How one record changes what a bucket holds. */
export interface UsageChange {
  readonly objects?: number;
  /** A version of `bytes` that comes (1) or goes (−1). */
  readonly versions?: 1 | -1;
  readonly deleteMarkers?: number;
  /** Length of that version, never negative. */
  readonly bytes?: number;
}

const at = { objects: 0, versions: 1, deleteMarkers: 2, bytes: 3, sizes: 4 } as const;

/** Mutable, one for each bucket that a batch touches. */
export class UsageCounter {
  readonly #values: Float64Array;

  constructor(values = new Float64Array(at.sizes + sizeCount)) {
    this.#values = values;
  }

  copy(): UsageCounter {
    return new UsageCounter(this.#values.slice());
  }

  add({ objects = 0, versions, deleteMarkers = 0, bytes = 0 }: UsageChange): void {
    this.#move(at.objects, objects);
    this.#move(at.deleteMarkers, deleteMarkers);
    if (versions === undefined) return;
    this.#move(at.versions, versions);
    this.#move(at.bytes, versions * bytes);
    this.#move(at.sizes + sizeClass(bytes), versions);
  }

  /** Whether there is anything but latest objects. */
  hasVersions(): boolean {
    return this.#values[at.versions] !== this.#values[at.objects] || this.#values[at.deleteMarkers] !== 0;
  }

  isNothing(): boolean {
    return this.#values.every((value) => value === 0);
  }

  usage(): BucketUsage {
    const [objects = 0, versions = 0, deleteMarkers = 0, bytes = 0, ...sizes] = this.#values;
    return { objects, versions, deleteMarkers, bytes, sizes };
  }

  encode(): Buffer {
    const writer = new BinaryWriter();
    for (const value of this.#values) writer.u53(value);
    return writer.finish();
  }

  static decode(value: Buffer): UsageCounter {
    const reader = new BinaryReader(value);
    const values = new Float64Array(at.sizes + sizeCount);
    for (const index of values.keys()) values[index] = reader.u53();
    return new UsageCounter(values);
  }

  #move(index: number, by: number): void {
    this.#values[index] = (this.#values[index] ?? 0) + by;
  }
}

export const noUsage: BucketUsage = new UsageCounter().usage();

function sizeClass(bytes: number): number {
  const index = usageSizeBounds.findIndex((bound) => bytes < bound);
  return index === -1 ? usageSizeBounds.length : index;
}
