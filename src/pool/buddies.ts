/** A buddy allocator of power-of-two blocks, from 4 KiB to 4 MiB. It knows offsets, not what lies there. */
import { invariant } from '../base/index.js';

export const unitBytes = 4096;
/** Slabs above this are not needed by any path: a read window of four stripes. */
const orderMax = 10;
export const topBytes = unitBytes << orderMax;
const none = -1;

/** Of the smallest block that holds `bytes`: it has 4 KiB times two to the power of its order. */
export function orderOf(bytes: number): number {
  invariant(bytes > 0 && bytes <= topBytes, 'slab size is in its bounds');
  return bytes <= unitBytes ? 0 : 32 - Math.clz32(Math.floor((bytes - 1) / unitBytes));
}

export class Buddies {
  readonly bytes: number;
  /** Heads of the free lists by order, as unit indices. */
  readonly #heads = new Int32Array(orderMax + 1).fill(none);
  readonly #next: Int32Array;
  readonly #previous: Int32Array;
  /** Order + 1 at the first unit of a free block, else 0. */
  readonly #freeOrder: Uint8Array;

  /** `topCount`: of largest blocks, all of them free. */
  constructor(topCount: number) {
    this.bytes = topCount * topBytes;
    const unitCount = this.bytes / unitBytes;
    this.#next = new Int32Array(unitCount).fill(none);
    this.#previous = new Int32Array(unitCount).fill(none);
    this.#freeOrder = new Uint8Array(unitCount);
    for (let top = topCount - 1; top >= 0; top--) this.#push(top << orderMax, orderMax);
  }

  /** Offset of a block in bytes, or null when none of that size is free. */
  take(order: number): number | null {
    let level = order;
    while (level <= orderMax && this.#heads[level] === none) level++;
    if (level > orderMax) return null;
    const unit = this.#heads[level] ?? none;
    this.#unlink(unit, level);
    while (level > order) {
      level--;
      this.#push(unit + (1 << level), level);
    }
    return unit * unitBytes;
  }

  give(offset: number, order: number): void {
    let unit = offset / unitBytes;
    let level = order;
    while (level < orderMax) {
      const buddy = unit ^ (1 << level);
      if (this.#freeOrder[buddy] !== level + 1) break;
      this.#unlink(buddy, level);
      unit &= ~(1 << level);
      level++;
    }
    this.#push(unit, level);
  }

  #push(unit: number, order: number): void {
    const head = this.#heads[order] ?? none;
    this.#next[unit] = head;
    this.#previous[unit] = none;
    if (head !== none) this.#previous[head] = unit;
    this.#heads[order] = unit;
    this.#freeOrder[unit] = order + 1;
  }

  #unlink(unit: number, order: number): void {
    const next = this.#next[unit] ?? none;
    const previous = this.#previous[unit] ?? none;
    if (previous === none) this.#heads[order] = next;
    else this.#next[previous] = next;
    if (next !== none) this.#previous[next] = previous;
    this.#freeOrder[unit] = 0;
  }
}
