/**
 * Verified bytes of bodies that are read time and again: what is sent from here costs no call to a drive, no copy and
 * no hash (bench: `path.get.64MiB.c16`). Whole windows of two stripes, one slab each. A body never changes under its
 * id, and ids never come back: nothing has to be invalidated. Main thread.
 *
 * A window is taken in when it is asked for the second time, so that a walk through everything displaces nothing; once
 * there is no room, when it was asked for more often than the one that would go, by more than the one time that either
 * is ahead of the other while both are read in turns. So a loop over more than fits keeps a part of it, always the same.
 * Counts are halved now and then (TinyLFU: Einziger, Friedman, Manes, ACM Transactions on Storage 13(4), 2017; exact
 * counts here, because windows are few).
 */
import { limits, type KeptMemory, type KeptSlab, type Piece } from '../base/index.js';
import type { PlacementId } from './placement.js';

/** Stripes of a window. The first has an even number, so that every reader means the same. */
export const windowStripes = 2;

const countMax = 15;
/** Windows whose counts are remembered though they are not kept: of 2 MiB each, 16 GiB. */
const rememberedMax = 8192;
/** Counts are halved after so many requests for each window that is kept, or could be if all were of the usual size. */
const requestsPerWindow = 10;
const usualBytes = windowStripes * limits.stripeBytes;
const agedWindowsMin = 16;

interface KeptWindow {
  readonly slab: KeptSlab;
  count: number;
  /** Pieces handed out and not yet released. */
  holds: number;
  isGone: boolean;
}

/** Since it was made, but for the last two. */
export interface ReadCacheFigures {
  /** Times that bytes of a window came from here. */
  readonly hits: number;
  /** Whole windows that came from the drives. */
  readonly misses: number;
  readonly hitBytes: number;
  readonly usedBytes: number;
  readonly bytesMax: number;
}

export class ReadCache {
  /** In the order in which they are next to go. */
  readonly #kept = new Map<string, KeptWindow>();
  /** How often others were asked for; those that were not for the longest time first. */
  readonly #remembered = new Map<string, number>();
  #requestsSinceHalved = 0;
  #hits = 0;
  #misses = 0;
  #hitBytes = 0;

  constructor(
    private readonly memory: KeptMemory,
    private readonly bytesMax: number,
  ) {}

  get figures(): ReadCacheFigures {
    const { usedBytes } = this.memory;
    return { hits: this.#hits, misses: this.#misses, hitBytes: this.#hitBytes, usedBytes, bytesMax: this.bytesMax };
  }

  /** Whether `piece` has something. Counts as nothing. */
  has(id: PlacementId, window: number): boolean {
    return this.#kept.has(keyOf(id, window));
  }

  /** Bytes [start, end) of a window, or null when it is not kept. */
  piece(id: PlacementId, window: number, start: number, end: number): Piece | null {
    const kept = this.#kept.get(keyOf(id, window));
    if (kept === undefined) return null;
    this.#hits++;
    this.#hitBytes += end - start;
    kept.count = this.#counted(kept.count);
    kept.holds++;
    return {
      bytes: kept.slab.bytes.subarray(start, end),
      release: () => {
        kept.holds--;
        if (kept.isGone && kept.holds === 0) kept.slab.release();
      },
    };
  }

  /** Verified bytes of a whole window, which was asked for: they are copied if they are worth it. */
  offer(id: PlacementId, window: number, bytes: Uint8Array): void {
    const key = keyOf(id, window);
    this.#misses++;
    if (this.#kept.has(key)) return;
    const count = this.#counted(this.#remembered.get(key) ?? 0);
    this.#remembered.delete(key);
    const slab = count === 1 ? null : this.#room(bytes.length, count);
    if (slab === null) {
      this.#remember(key, count);
      return;
    }
    slab.bytes.set(bytes);
    this.#kept.set(key, { slab, count, holds: 0, isGone: false });
  }

  #counted(before: number): number {
    const windows = Math.max(this.#kept.size, this.bytesMax / usualBytes, agedWindowsMin);
    if (++this.#requestsSinceHalved >= requestsPerWindow * windows) this.#halve();
    return Math.min(countMax, before + 1);
  }

  #halve(): void {
    this.#requestsSinceHalved = 0;
    for (const kept of this.#kept.values()) kept.count >>>= 1;
    for (const [key, count] of this.#remembered) {
      if (count === 1) this.#remembered.delete(key);
      else this.#remembered.set(key, count >>> 1);
    }
  }

  #remember(key: string, count: number): void {
    this.#remembered.set(key, count);
    if (this.#remembered.size <= rememberedMax) return;
    for (const oldest of this.#remembered.keys()) {
      this.#remembered.delete(oldest);
      return;
    }
  }

  /** For a window that was asked for `count` times: whatever was asked for less often goes, in its order. */
  #room(bytes: number, count: number): KeptSlab | null {
    for (const [key, first] of this.#kept) {
      const slab = this.memory.tryAllocate(bytes);
      if (slab !== null) return slab;
      this.#kept.delete(key);
      if (count <= first.count + 1) {
        // Another time another one is compared with.
        this.#kept.set(key, first);
        return null;
      }
      this.#remember(key, first.count);
      first.isGone = true;
      if (first.holds === 0) first.slab.release();
    }
    return this.memory.tryAllocate(bytes);
  }
}

function keyOf({ high, low }: PlacementId, window: number): string {
  return `${high}.${low}.${window}`;
}
