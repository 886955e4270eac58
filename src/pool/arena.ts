/**
 * The slab arena: one SharedArrayBuffer of a fixed budget, handed out in power-of-two slabs. Main thread only. The
 * budget is what bounds the server's memory under any load (I1); untouched pages cost nothing, because the operating
 * system gives them on first write.
 */
import { invariant, limits, type Slab, type SlabAllocator, type SlabPurpose } from '../base/index.js';
import { kernels } from '../native/index.js';
import { Buddies, orderOf, topBytes, unitBytes } from './buddies.js';

const purposes: readonly SlabPurpose[] = ['upload', 'read', 'pass', 'commit'];

interface Waiter {
  readonly bytes: number;
  readonly purpose: SlabPurpose;
  readonly resolve: (slab: Slab) => void;
}

class ArenaSlab implements Slab {
  #live = true;

  constructor(
    readonly offset: number,
    readonly bytes: number,
    private readonly owner: SlabArena,
    private readonly order: number,
  ) {}

  release(): void {
    invariant(this.#live, 'a slab is released once');
    this.#live = false;
    this.owner.free(this.offset, this.order);
  }
}

export class SlabArena implements SlabAllocator {
  readonly arena: SharedArrayBuffer;
  readonly view: Buffer;
  readonly zeroPageOffset: number;
  readonly #buddies: Buddies;
  #freeBytes = 0;
  /** Bytes that stay free for more urgent purposes. */
  readonly #reserves: Readonly<Record<SlabPurpose, number>>;
  readonly #waiters: Waiter[] = [];
  readonly #waiting: Record<SlabPurpose, number> = { upload: 0, read: 0, pass: 0, commit: 0 };

  /** `memory`: of an arena that is used no more, of the same budget; without it, fresh memory. */
  constructor(budgetBytes: number, memory: SharedArrayBuffer | null = null) {
    invariant(
      budgetBytes >= limits.arenaBytesMin && budgetBytes <= limits.arenaBytesMax,
      'arena budget is in its bounds',
    );
    this.#buddies = new Buddies(Math.floor(budgetBytes / topBytes));
    const bytes = this.#buddies.bytes;
    // Page-aligned, unlike what the language hands out: coding runs twice as fast, and direct I/O is possible.
    this.arena = memory ?? kernels.createArena(bytes);
    invariant(this.arena.byteLength === bytes, "the memory is of the arena's size");
    this.view = Buffer.from(this.arena);
    this.#freeBytes = bytes;
    // Of a small arena more, in multiples of the largest slab: one parity of a read window, one batch.
    this.#reserves = {
      upload: Math.max(Math.floor(bytes * 0.35), 3 * topBytes),
      read: Math.max(Math.floor(bytes * 0.175), 2.5 * topBytes),
      pass: Math.max(Math.floor(bytes * 0.05), topBytes),
      commit: 0,
    };
    const zero = this.#buddies.take(0);
    invariant(zero !== null, 'a fresh arena has room');
    this.zeroPageOffset = zero;
    this.#freeBytes -= unitBytes;
    if (memory !== null) this.view.fill(0, this.zeroPageOffset, this.zeroPageOffset + unitBytes);
  }

  get freeBytes(): number {
    return this.#freeBytes;
  }

  get totalBytes(): number {
    return this.arena.byteLength;
  }

  tryAllocate(bytes: number, purpose: SlabPurpose): Slab | null {
    // Those who wait come first, or a stream of small requests would starve a large one. Who is more urgent
    // than all of them does not wait for memory that is kept for it.
    if (purpose !== 'commit' && this.#isQueued(purpose)) return null;
    return this.#allocateNow(bytes, purpose);
  }

  allocate(bytes: number, purpose: SlabPurpose, signal?: AbortSignal): Promise<Slab> {
    if (signal?.aborted === true) return Promise.reject(givenUp());
    const now = this.tryAllocate(bytes, purpose);
    if (now !== null) return Promise.resolve(now);
    return new Promise<Slab>((resolve, reject) => {
      const waiter: Waiter = {
        bytes,
        purpose,
        resolve: (slab) => {
          this.#waiting[purpose]--;
          signal?.removeEventListener('abort', onAbort);
          resolve(slab);
        },
      };
      const onAbort = (): void => {
        const index = this.#waiters.indexOf(waiter);
        if (index >= 0) {
          this.#waiters.splice(index, 1);
          this.#waiting[purpose]--;
        }
        reject(givenUp());
      };
      this.#waiters.push(waiter);
      this.#waiting[purpose]++;
      signal?.addEventListener('abort', onAbort, { once: true });
    });
  }

  /** Called by `ArenaSlab.release`. */
  free(offset: number, order: number): void {
    this.#freeBytes += unitBytes << order;
    this.#buddies.give(offset, order);
    if (this.#waiters.length > 0) this.#serveWaiters();
  }

  /** Whether somebody waits who is at least as urgent. */
  #isQueued(purpose: SlabPurpose): boolean {
    if (this.#waiters.length === 0) return false;
    return purposes.slice(purposes.indexOf(purpose)).some((urgent) => this.#waiting[urgent] > 0);
  }

  #allocateNow(bytes: number, purpose: SlabPurpose): Slab | null {
    const order = orderOf(bytes);
    const slabBytes = unitBytes << order;
    if (this.#freeBytes - slabBytes < this.#reserves[purpose]) return null;
    const offset = this.#buddies.take(order);
    if (offset === null) return null;
    this.#freeBytes -= slabBytes;
    return new ArenaSlab(offset, slabBytes, this, order);
  }

  #serveWaiters(): void {
    for (let index = 0; index < this.#waiters.length;) {
      const waiter = this.#waiters[index];
      invariant(waiter !== undefined, 'the waiter is there');
      const slab = this.#allocateNow(waiter.bytes, waiter.purpose);
      // A waiter that meets its reserve does not stop one of a more urgent purpose behind it.
      if (slab === null) {
        index++;
        continue;
      }
      this.#waiters.splice(index, 1);
      waiter.resolve(slab);
    }
  }
}

function givenUp(): Error {
  return new Error('waiting for memory was given up');
}
