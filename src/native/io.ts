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
  /** ENOENT, before anything is moved, when the open file has lost its last name. */
  named: 32,
  /**
   * Of a write: past the page cache where file offset and length allow it, and the file system does; from memory that
   * is not aligned by way of a copy. The bytes are durable after a sync like all others. Nobody else uses the descriptor
   * meanwhile.
   */
  direct: 64,
} as const;

export const IoKind = {
  write: 0,
  read: 1,
  sync: 2,
  unlink: 3,
  zeroFill: 4,
  close: 5,
  open: 6,
  rename: 7,
  /** Names in directory `path`. */
  list: 8,
  /** What `path` is: its size, whether it is a directory, and which one on which file system. */
  stat: 9,
  /** Bytes of the file system that holds `path`. */
  space: 10,
  /** Makes directory `path` (mode 0700). */
  makeDirectory: 11,
  /** fdatasync, and what of the file is in the page cache is dropped. */
  settle: 12,
} as const;

export interface IoRequest {
  readonly kind: number;
  /**
   * Begins in the folder that the queue was told to enter, unless it begins with a slash.
   * Opened first when given without `fd`; the descriptor comes back unless `close` is set or a later
   * step failed. With `fd` it only says which directory `syncDirectory` means.
   */
  readonly path?: string;
  /** For rename: where to. */
  readonly toPath?: string;
  readonly fd?: number;
  readonly fileOffset?: number;
  /** [arenaOffset, bytes, …] pairs, written or read in order from fileOffset on. */
  readonly segments?: Float64Array;
  /**
   * read, instead of `segments`: rows of the eight numbers of `Kernels.verifyBlocks`, read in order from fileOffset on
   * and checked while they are in the thread's cache. Needs a hash key (`Kernels.setHashKey`).
   */
  readonly checks?: Float64Array;
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
  /** list: without `.` and `..`. */
  readonly names?: readonly string[];
  /**
   * open: [1 where `openNow` does not wait, 0]; settle: [1 when nothing of it is in memory any more, 0]; stat: [size, 1 for a directory else 0, device, high 32 bits of the
   * inode's number, low 32 bits]; space: [total bytes, bytes free to us]; a read with checks: [rows whose bytes are not
   * what their hashes say, 0].
   */
  readonly values?: readonly number[];
}

export interface IoQueue {
  /**
   * 0 or errno. From now on paths that do not begin with a slash begin in this open folder, whatever its name is or will
   * be. The descriptor stays its owner's: the queue has one of its own, which lasts as long as any call may use it.
   */
  enter(fd: number): number;
  /**
   * 0 or errno. The open file of this descriptor stays open, and locked, until the last of the queue's threads has ended,
   * also when its owner closes it: until then a call that hangs may yet come back and do what it was asked to.
   */
  hold(fd: number): number;
  /**
   * Queues a request; resolves (never rejects) with its result. Requests of a queue start in order.
   * EAGAIN: the queue is full (a `close` always finds room). ECANCELED: the queue is closing and the
   * request was not started. Of both the result names the request's descriptor again, which is not closed (a `close` of
   * one is done nevertheless). EINPROGRESS: the queue was closed and left this call running: its thread
   * may still touch the segments, for as long as it hangs. A `close` behind it is done when it comes back.
   */
  submit(request: IoRequest): Promise<IoResult>;
  /**
   * True when request `requestNumber` was still waiting: it is not done, its segments are not touched,
   * and its promise resolves with ECANCELED. The calls of `submit` that did not throw
   * are numbered from 1.
   */
  cancel(requestNumber: number): boolean;
  /**
   * openat2(RESOLVE_CACHED) for reading on the calling thread: a descriptor, or −1, which says nothing about the file:
   * the answer takes a call of its own. Only where an `open` of another file said that it does not wait.
   */
  openNow(path: string): number;
  /**
   * preadv2(RWF_NOWAIT) on the calling thread into the queue's arena. Bytes read (fewer than asked
   * only at the end of the file), or −1 when not all of them are in the page cache (or the file
   * system cannot tell), or −errno−1 below that on an error.
   */
  readNow(fd: number, fileOffset: number, arenaOffset: number, bytes: number): number;
  /**
   * A read with checks in the same way: true when all of it was in the page cache and is what its hashes say. False
   * says nothing: the answer takes a call of its own, and the memory may hold a part of the bytes.
   */
  readCheckedNow(fd: number, fileOffset: number, checks: Float64Array): boolean;
  /** Requests waiting or running. */
  readonly depth: number;
  /** Stops after what is queued; resolves when the threads have ended or `graceMs` has passed. */
  close(graceMs: number): Promise<void>;
}

export interface IoNative {
  /** `threads` native threads serve the queue; at most `depthMax` requests wait (then EAGAIN). */
  createIoQueue(arena: SharedArrayBuffer, name: string, threads: number, depthMax: number): IoQueue;
  /** flock(LOCK_EX | LOCK_NB) on an open descriptor: 0 or errno. Held until the descriptor closes. */
  lockFile(fd: number): number;
  /** CPU microseconds of the calling thread so far. */
  threadCpuMicros(): number;
}

export const io = addon as IoNative;
