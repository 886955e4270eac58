/** One measured figure beside what it is compared with in the same run. */
export interface BenchRow {
  /** Dotted, like `kernel.rs.encode.4+2`. */
  readonly name: string;
  readonly unit: string;
  readonly value: number;
  readonly anchor: { readonly name: string; readonly value: number };
  /** value / anchor.value: above 1 is faster than the anchor. */
  readonly ratio: number;
}

export interface BenchOptions {
  /** Shorter runs, fewer rows: all of the bench under 90 s. */
  readonly quick: boolean;
  readonly onProgress: (text: string) => void;
}
