/**
 * Memory for bytes that can go at any time: what is kept of reads. Beside the arena, because nobody waits for it and
 * only the main thread touches it. It grows as it is used, piece by piece, to its limit, and is not given back.
 */
import type { KeptMemory, KeptSlab } from '../base/index.js';
import { kernels } from '../native/index.js';
import { Buddies, orderOf, topBytes, unitBytes } from './buddies.js';

/** Blocks of 4 MiB in a piece. */
const pieceBlocks = 16;

interface MemoryPiece {
  readonly buddies: Buddies;
  readonly view: Uint8Array;
}

export class GrowingMemory implements KeptMemory {
  readonly #pieces: MemoryPiece[] = [];
  /** Blocks of 4 MiB that it may still grow by. */
  #blocksLeft: number;
  #usedBytes = 0;

  /** `bytesMax` is rounded down to a multiple of 4 MiB. */
  constructor(bytesMax: number) {
    this.#blocksLeft = Math.floor(bytesMax / topBytes);
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  tryAllocate(bytes: number): KeptSlab | null {
    const order = orderOf(bytes);
    for (const piece of this.#pieces) {
      const slab = this.#from(piece, order, bytes);
      if (slab !== null) return slab;
    }
    const grown = this.#grow();
    return grown === null ? null : this.#from(grown, order, bytes);
  }

  #from({ buddies, view }: MemoryPiece, order: number, bytes: number): KeptSlab | null {
    const offset = buddies.take(order);
    if (offset === null) return null;
    const slabBytes = unitBytes << order;
    this.#usedBytes += slabBytes;
    return {
      bytes: view.subarray(offset, offset + bytes),
      release: () => {
        this.#usedBytes -= slabBytes;
        buddies.give(offset, order);
      },
    };
  }

  #grow(): MemoryPiece | null {
    const blocks = Math.min(pieceBlocks, this.#blocksLeft);
    if (blocks === 0) return null;
    this.#blocksLeft -= blocks;
    const buddies = new Buddies(blocks);
    const piece = { buddies, view: new Uint8Array(kernels.createArena(buddies.bytes)) };
    this.#pieces.push(piece);
    return piece;
  }
}
