/**
 * The typed face of the I/O half of the addon: positioned file I/O on native threads, one bounded
 * group of threads per drive, so that a drive that hangs holds its own threads and nothing else.
 * Used on the main thread only; completions are delivered there in batches.
 */
import { addon } from './addon.js';

/** Flags of `IoRequest.flags`. */
export const IoFlag = {
  /** fdatasync after the writes. */
  sync: 1,
  /** fsync of the directory that holds `path` (after creation or unlink). */
  syncDirectory: 2,
  /** Close the descriptor at the end, whatever happened. */
  close: 4,
  /** open(path): create, fail if it exists. */
  create: 8,
  /** open(path) for reading and writing (otherwise read only). */
  write: 16,
} as const;

export const IoKind = { write: 0, read: 1, sync: 2, unlink: 3, zeroFill: 4, close: 5, open: 6, rename: 7 } as const;

export interface IoRequest {
  readonly kind: number;
  /** Opened first when given; the descriptor comes back unless `close` is set. */
  readonly path?: string;
  /** For rename: where to. */
  readonly toPath?: string;
  readonly fd?: number;
  readonly fileOffset?: number;
  /** [arenaOffset, bytes, …] pairs, written or read in order from fileOffset on. */
  readonly segments?: Float64Array;
  /** zeroFill: writes this many zero bytes from fileOffset. */
  readonly bytes?: number;
  readonly flags?: number;
}

export interface IoResult {
  /** 0, or the errno of the first call that failed. */
  readonly errno: number;
  /** Bytes moved. A read that meets the end of the file moves fewer than asked. */
  readonly bytes: number;
  /** The open descriptor, or −1. */
  readonly fd: number;
}

export interface IoQueue {
  /** Queues a request; resolves (never rejects) with its result. Requests of a queue start in order. */
  submit(request: IoRequest): Promise<IoResult>;
  /** Requests waiting or running. */
  readonly depth: number;
  /** Stops after what is queued; resolves when the threads have ended or `graceMs` has passed. */
  close(graceMs: number): Promise<void>;
}

export interface IoNative {
  /** `threads` native threads serve the queue; at most `depthMax` requests wait (then EAGAIN). */
  createIoQueue(arena: SharedArrayBuffer, name: string, threads: number, depthMax: number): IoQueue;
  /**
   * preadv2(RWF_NOWAIT) on the calling thread into the arena. Bytes read, or −1 when the bytes are
   * not in the page cache (or the file system cannot tell), or −errno−1 below that on an error.
   */
  readNow(fd: number, fileOffset: number, arenaOffset: number, bytes: number): number;
  /** flock(LOCK_EX | LOCK_NB) on an open descriptor: 0 or errno. Held until the descriptor closes. */
  lockFile(fd: number): number;
  /** CPU microseconds of the calling thread so far. */
  threadCpuMicros(): number;
}

export const io = addon as IoNative;
