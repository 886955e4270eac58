/**
 * One directory on one disk, as the rooms above see it. Nothing here rejects for what a disk did:
 * the answer is a value or a fault. A drive does not know sets, records or objects.
 */
import type { Segments } from '../base/index.js';

export type DriveFaultKind =
  /** The directory or the file is not there. */
  | 'missing'
  /** ENOSPC or EDQUOT: no fence, only no room. */
  | 'full'
  /**
   * EMFILE, ENFILE, and ENOMEM unless a drive answers it for long: this process, or the whole machine, has run out of them.
   * It says nothing of the drive.
   */
  | 'starved'
  /** EIO and everything else that a read or write can answer. */
  | 'io'
  /** The call did not return within its limit, or its queue is full behind such a call. */
  | 'slow';

export interface DriveFault {
  readonly kind: DriveFaultKind;
  /** Path of the drive's directory. */
  readonly drive: string;
  /** What was tried, on what: `write log/00000007.log at 4096`. */
  readonly operation: string;
  /** errno, or 0. */
  readonly errno: number;
  /**
   * Only when the call is still inside the kernel (kind `slow`): until this resolves, its thread may
   * read or write the memory of its segments, so the caller must neither reuse nor release that memory.
   * It never resolves when the thread never comes back: the memory is then lost for this process.
   * A fault without it has let go of the memory.
   */
  readonly settled?: Promise<void>;
}

/** One that the drive is not to blame for, or that it gets over by itself: nobody takes it out of its set for that. */
export function isHarmless(fault: DriveFault): boolean {
  return fault.kind === 'full' || fault.kind === 'starved';
}

/**
 * What a copy counts for when its read failed. A sector that cannot be read is bad, like wrong bytes: writing the file
 * anew gives it another.
 */
export function copyStateAfter({ kind }: DriveFault): 'missing' | 'unreachable' | 'bad' {
  if (kind === 'missing') return 'missing';
  return kind === 'slow' || kind === 'starved' ? 'unreachable' : 'bad';
}

export type DriveResult<T> =
  { readonly ok: true; readonly value: T } | { readonly ok: false; readonly fault: DriveFault };

export interface LogFileInfo {
  readonly fileNumber: number;
  readonly bytes: number;
}

/** The log files of one drive. Writes are exact positions: the journal owns the layout. */
export interface LogStore {
  /** In order of their numbers; files still being made are not among them. */
  listFiles(): Promise<DriveResult<readonly LogFileInfo[]>>;
  /** A file of `bytes` zeroes, synced with its directory before it is listed or answered. */
  createFile(fileNumber: number, bytes: number): Promise<DriveResult<void>>;
  /**
   * Fills a file that was cut short with zeroes, from the length it has up to `bytes`; synced before it is answered.
   * Nobody may write to the file meanwhile.
   */
  extendFile(fileNumber: number, from: number, bytes: number): Promise<DriveResult<void>>;
  /**
   * Takes a file away that nobody needs any more; durable before it is answered, and absent already is success.
   * With `keep` its room is held back for the next file that is made.
   */
  freeFile(fileNumber: number, keep: boolean): Promise<DriveResult<void>>;
  /**
   * Writes and fdatasyncs. One at a time per drive, in order of the calls. Kind `missing` also when the
   * file was removed behind our back: what is written to it then would be lost.
   */
  write(fileNumber: number, fileOffset: number, segments: Segments): Promise<DriveResult<void>>;
  /** What was written to it is durable, also what a process wrote that was killed before it had synced it. */
  sync(fileNumber: number): Promise<DriveResult<void>>;
  /** Bytes read; fewer than asked only at the end of the file. */
  read(fileNumber: number, fileOffset: number, segments: Segments): Promise<DriveResult<number>>;
  /** On the calling thread when the page cache has it: bytes read, else −1. */
  readNow(fileNumber: number, fileOffset: number, arenaOffset: number, bytes: number): number;
}

/** An open blob file. */
export interface CheckedRead {
  /** Fewer than asked at the end of the file. */
  readonly bytes: number;
  /** Rows whose bytes are not what their hashes say. */
  readonly wrongRows: number;
}

export interface BlobHandle {
  readonly name: string;
  readonly fd: number;
}

export interface BlobWrite {
  /** Null: the file is created; it must not exist. */
  readonly handle: BlobHandle | null;
  readonly fileOffset: number;
  readonly segments: Segments;
  /** After the write: fdatasync, and fsync of its directory. */
  readonly sync: boolean;
  readonly close: boolean;
}

/** Blob files by name: lower-case hex and dots, `blobs/aa/NAME` with aa from a hash of the name. */
export interface BlobStore {
  /**
   * The handle, or null when closed. After a fault: with `close` the handle is closed all the same,
   * without it the caller closes it; a file that was to be created may lie there in part.
   */
  write(name: string, request: BlobWrite): Promise<DriveResult<BlobHandle | null>>;
  /** When no write has ended for as long as one to the log may take: those under way are answered as `slow` then. */
  giveUpStuck(): void;
  open(name: string): Promise<DriveResult<BlobHandle>>;
  /** When that takes no waiting. Null says nothing. */
  openNow(name: string): BlobHandle | null;
  read(handle: BlobHandle, fileOffset: number, segments: Segments): Promise<DriveResult<number>>;
  /** Rows of `Kernels.verifyBlocks`: read in order from `fileOffset` on, and checked by the thread that reads. */
  readChecked(handle: BlobHandle, fileOffset: number, checks: Float64Array): Promise<DriveResult<CheckedRead>>;
  readNow(handle: BlobHandle, fileOffset: number, arenaOffset: number, bytes: number): number;
  /** The same checked: true when all bytes were in the page cache and are sound. False says nothing. */
  readCheckedNow(handle: BlobHandle, fileOffset: number, checks: Float64Array): boolean;
  /** At once for the caller; the descriptor goes when calls that still use it have ended. Once per handle. */
  close(handle: BlobHandle): void;
  /**
   * Gives a synced file another name, in place of the file that has it; both folders are synced. Those who hold the
   * old one open go on reading it.
   */
  rename(name: string, toName: string): Promise<DriveResult<void>>;
  /**
   * Syncs a file and its folder, and lets go of what of it is in memory. True: what is read from now on is what the disk
   * has. After a sync that failed, memory shows more than that, and no later sync tells.
   */
  settle(name: string): Promise<DriveResult<boolean>>;
  /** Absent already is success. */
  unlink(name: string): Promise<DriveResult<void>>;
  /** Every name, in no order. */
  list(): AsyncIterable<DriveResult<string>>;
}

/** What `format.json` says; two checksummed copies of it lie on every drive. */
export interface DriveFormat {
  /** Of this on-disk format: 1, 2 when there are several sets, 3 when pools of them have different parities. */
  readonly version: number;
  /** UUID, the same on all drives of a deployment. */
  readonly deploymentId: string;
  /** 64 hex digits: the key of bitrot hashes and of set choice. The same on all drives. */
  readonly hashKey: string;
  /** UUID of this drive. */
  readonly driveId: string;
  readonly setIndex: number;
  /** 0-based slot in the set. */
  readonly position: number;
  /** UUIDs of all drives, by set and position. */
  readonly sets: readonly (readonly string[])[];
  /** How many of the sets each pool has, in their order. From version 2 on: before, there was one set. */
  readonly pools?: readonly number[];
  /** Parity shards of the sets of each pool. From version 3 on: before, all have the drive's own. */
  readonly parities?: readonly number[];
  /** Parity shards of the STANDARD class in the drive's set when that was formatted. */
  readonly parity: number;
  /** Whether the directory was the root of a mount when it was formatted. */
  readonly wasMountPoint: boolean;
}

export interface DriveCallCounts {
  readonly calls: number;
  readonly msTotal: number;
  /** Moved by them. */
  readonly bytes: number;
}

/** Since the drive was opened. Reads that the page cache answers at once are no calls. */
export interface DriveStatistics {
  /** Calls in the queues and inside the kernel now. */
  readonly waiting: number;
  /** By what was asked of the disk: `read`, `write`, `sync`, `unlink`. */
  readonly calls: ReadonlyMap<string, DriveCallCounts>;
  /** Calls that the disk did not do; `missing` may be an ordinary question with the answer no. */
  readonly faults: Readonly<Record<DriveFaultKind, number>>;
}

/**
 * A drive is bound to the folder that it was opened in, not to that folder's name: whoever renames or exchanges folders
 * while it is open sends no byte of it to another drive.
 */
export interface Drive {
  /** Absolute path of the folder, where it was last seen. */
  readonly path: string;
  /** Tells the folder from all others for as long as the drive is open. */
  readonly folderId: string;
  /** It is not known where the folder is now: every call but `check` is answered as `missing`. */
  readonly isAway: boolean;
  readonly format: DriveFormat;
  readonly log: LogStore;
  readonly blobs: BlobStore;
  /** Whether its folder is at its path, with the format file in it. Kind `missing` when it is not. */
  check(): Promise<DriveResult<void>>;
  /** Where its folder is now; null when it was not found. */
  seenAt(path: string | null): void;
  /**
   * It takes part in nothing any more: what waits for it waits no longer than its log would have, and while it hangs it is
   * asked nothing more.
   */
  leftSet(): void;
  /** A call that was given up has not come back, nor has any other of its kind since. */
  readonly isHanging: boolean;
  /** For `limits.driveStuckMs` no read or no write to a blob has ended, though some wait. */
  readonly areReadsStuck: boolean;
  readonly areWritesStuck: boolean;
  /** Others have answered in its place: if its reads are stuck, those under way are answered as `slow`. */
  giveUpReads(): void;
  /** Bytes of the file system: for fullness and reports. */
  space(): Promise<DriveResult<{ readonly totalBytes: number; readonly freeBytes: number }>>;
  statistics(): DriveStatistics;
  /**
   * Releases the lock; waits at most `graceMs` for calls under way. When one does not end in that time,
   * the lock stays until the process ends: the call might yet write.
   */
  close(graceMs: number): Promise<void>;
}

/** What was found in a folder that the operator named. */
export type DriveProbe = {
  readonly path: string;
  /** Which folder it is, whatever other names lead to it; null when it could not be entered. */
  readonly folderId: string | null;
} & DriveFinding;

export type DriveFinding =
  /** Locked by us and ready. */
  | {
      readonly kind: 'ready';
      readonly drive: Drive;
      /** With `isCheck`: what a start would put right, one line each. */
      readonly faults: readonly string[];
    }
  /**
   * An existing (or just created), truly empty folder, never formatted to its end. `isMountPoint` says
   * whether a file system is mounted on it: an empty folder that is not one, where the deployment's other
   * drives are, may well be a disk that is not mounted.
   */
  | { readonly kind: 'empty'; readonly isMountPoint: boolean }
  /**
   * Cannot be used now; `reason` is one line for people that reads well after `path: `. `settled`: a call to it hangs in the
   * kernel until then, as another look would.
   */
  | {
      readonly kind: 'unusable';
      readonly reason: string;
      readonly isLocked: boolean;
      readonly settled?: Promise<void>;
    };
