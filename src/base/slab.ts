/**
 * Slabs: power-of-two pieces of the arena, the one shared memory that payload bytes live in.
 * Allocated and freed on the main thread only; workers and I/O threads work on ranges that they are given.
 */
export interface Slab {
  /** Offset in the arena, aligned to its own size (at least 4 KiB). */
  readonly offset: number;
  readonly bytes: number;
  /** Exactly once. */
  release(): void;
}

/**
 * What a slab is for, from the least urgent to the most. Each leaves a reserve to those behind it, so that
 * what holds memory of one kind can always get the next and go on: a body its parity, a commit its batch.
 *
 *   upload  bodies as they arrive
 *   read    bodies on their way out
 *   pass    parity, hashes and tables of both
 *   commit  batches of the log
 */
export type SlabPurpose = 'upload' | 'read' | 'pass' | 'commit';

export interface SlabAllocator {
  readonly arena: SharedArrayBuffer;
  /** A Buffer over the whole arena. */
  readonly view: Buffer;
  /** 4 KiB of zeroes, for padding segments. */
  readonly zeroPageOffset: number;
  /** A slab of at least `bytes`, or null now. */
  tryAllocate(bytes: number, purpose: SlabPurpose): Slab | null;
  /** Waits in order of arrival. Rejects when the signal aborts. */
  allocate(bytes: number, purpose: SlabPurpose, signal?: AbortSignal): Promise<Slab>;
}

/** [arenaOffset, bytes, …]: ranges of the arena read or written in order. */
export type Segments = Float64Array;

/** A piece of memory that is kept for as long as nobody needs it more. */
export interface KeptSlab {
  readonly bytes: Uint8Array;
  /** Exactly once. */
  release(): void;
}

export interface KeptMemory {
  /** What slabs take of it now. */
  readonly usedBytes: number;
  /** A slab of `bytes`, up to 4 MiB, or null now. */
  tryAllocate(bytes: number): KeptSlab | null;
}
