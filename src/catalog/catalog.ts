/**
 * The ordered index of the whole server: bytes to bytes, in byte order of the keys, with atomic batches.
 * A cache of the logs: never synced on the way to an acknowledgement, discarded when in doubt,
 * rebuilt by replay. What the keys mean is the object room's business.
 */
export interface CatalogBatch {
  put(key: Uint8Array, value: Uint8Array): void;
  delete(key: Uint8Array): void;
}

export interface CatalogEntry {
  readonly key: Buffer;
  readonly value: Buffer;
}

/** Who looks at the index and may have to let others have their turn. */
export interface Turn {
  /** So many deleted entries more were passed without one that is there. What it throws ends the range. */
  pass(deletions: number): void;
}

export interface RangeOptions {
  /** Inclusive. */
  readonly start: Uint8Array;
  /** Exclusive. */
  readonly end: Uint8Array;
  readonly limit?: number;
  /** From the end downwards. */
  readonly reverse?: boolean;
  /** Absent: it goes on to its end, whatever it passes. */
  readonly turn?: Turn;
}

export interface Catalog {
  /** A copy of the value, or undefined. */
  get(key: Uint8Array): Buffer | undefined;
  /** In key order, as of the moment of the call. Stop early by leaving the loop. */
  range(options: RangeOptions): Iterable<CatalogEntry>;
  /** All of it or nothing; resolves when reads see it. Batches take effect in the order of the calls. */
  write(fill: (batch: CatalogBatch) => void): Promise<void>;
  /** Everything written so far is durable: a start after a crash does not replay it. Rejects when it cannot be. */
  flush(): Promise<void>;
  /**
   * False: the disk takes nothing, and more is in memory for it than should be. `isFew`: for what comes in small numbers,
   * and must go on a little longer.
   */
  hasRoom(isFew?: boolean): boolean;
  /** Removes everything. */
  clear(): Promise<void>;
  /** Durable and marked as whole, then closed. */
  close(): Promise<void>;
}
