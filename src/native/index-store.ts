/**
 * The typed face of the addon's ordered store: bytes to bytes, in byte order. Synchronous, on the thread that
 * opened it; a native thread of its own writes what is in memory to disk. Errors are thrown as `Error`; `isNoAnswer` tells
 * those apart that say nothing of what is on the disk.
 */
import { addon } from './addon.js';

export interface IndexStore {
  /** Length of the value, −1 when there is none. It is in `into` when it fits there. */
  get(key: Uint8Array, into: Uint8Array): number;
  /** At once visible to `get` and to ranges opened later. */
  put(key: Uint8Array, value: Uint8Array): void;
  delete(key: Uint8Array): void;
  /** What is on disk ends between two batches. True: see `isBehind`. */
  endBatch(): boolean;
  /** More is in memory than should be: wait before writing on. */
  isBehind(): boolean;
  /** Entries in [start, end) as of now, from the end downwards when `isReverse` is 1. Close it. */
  openRange(start: Uint8Array, end: Uint8Array, isReverse: 0 | 1): number;
  /**
   * The next entries, at most `countMax`, packed into `into`: u32 bytes of the key, u32 bytes of the value, key, value.
   * Bytes used; 0 at the end; negative when the next entry alone takes so many bytes; `onlyDeleted` when there is more,
   * and nothing but deleted entries was met so far.
   */
  readRange(range: number, into: Uint8Array, countMax: number): number;
  closeRange(range: number): void;
  /** Sends everything written so far on its way to disk; a ticket for `isFlushed`. */
  flush(): number;
  isFlushed(ticket: number): boolean;
  /** Why the last write to disk failed, or that the disk does not answer; empty when all is well. It is tried again. */
  trouble(): string;
  /** What could not be read when runs were merged; empty when all is well. */
  damage(): string;
  /** Removes everything; open ranges are closed. */
  clear(): void;
  /** Waits until everything is on disk; throws when it cannot be, also because the disk does not answer. */
  close(): void;
  /** Ends it without a wait for its disk, and without writing to it any more; what is only in memory is lost. */
  leave(): void;
  figures(): IndexFigures;
}

/** See `readRange`: no entry is so short. */
export const onlyDeleted = -1;
/** Deleted entries that one call of `readRange` passes; kDeletionsPerPause of native/index/live-range.h. */
export const deletionsPerPause = 512;

export interface IndexFigures {
  readonly memoryBytes: number;
  readonly runCount: number;
  readonly runBytes: number;
  readonly runEntries: number;
  readonly flushes: number;
  readonly merges: number;
  readonly mergedBytes: number;
}

export interface IndexStores {
  /** Throws when what is in the directory is not whole. A disk that does not answer for `stuckMs` takes nothing. */
  openIndexStore(directory: string, memoryBytes: number, cacheBytes: number, stuckMs: number): IndexStore;
}

export const indexStores = addon as IndexStores;

/** The disk did not answer in time, and was not waited for any longer. */
export function isNoAnswer(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ETIMEDOUT';
}

/** This process has run out of threads, descriptors or memory: that says nothing of what is on the disk. */
export function isShortage(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EAGAIN';
}
