/**
 * Drives on which something found no room, and whether some has come back since: whatever it came from, deletes,
 * compaction, or somebody who takes other files off a disk. Main thread.
 */
import { MiB } from '../base/index.js';
import type { DriveSet } from '../erasure/index.js';
import { listBits } from './positions.js';

/** Less is not worth another try. */
const roomBackBytes = 16 * MiB;

interface Full {
  readonly setIndex: number;
  readonly position: number;
  readonly freeBytes: number;
}

export class RoomWatch {
  readonly #full = new Map<string, Full>();

  constructor(private readonly sets: readonly DriveSet[]) {}

  /** Nothing more fits onto these drives of a set. */
  async note(setIndex: number, positions: number): Promise<void> {
    for (const position of listBits(positions)) {
      const freeBytes = await this.#freeOf(setIndex, position);
      const key = `${setIndex}/${position}`;
      // What was free when the last one failed is not enough for what is left.
      if (freeBytes !== null) this.#full.set(key, { setIndex, position, freeBytes });
    }
  }

  get isNeeded(): boolean {
    return this.#full.size > 0;
  }

  /** True: a drive has room again; then all of them are forgotten. */
  async isBack(): Promise<boolean> {
    for (const { setIndex, position, freeBytes } of this.#full.values()) {
      if (((await this.#freeOf(setIndex, position)) ?? 0) < freeBytes + roomBackBytes) continue;
      this.#full.clear();
      return true;
    }
    return false;
  }

  async #freeOf(setIndex: number, position: number): Promise<number | null> {
    const space = await this.sets[setIndex]?.drive(position)?.space();
    return space?.ok === true ? space.value.freeBytes : null;
  }
}
