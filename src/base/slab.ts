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

/** What a slab is for: reads, commits and repair keep a reserve that uploads cannot take. */
export type SlabPurpose = 'upload' | 'read' | 'commit';

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
