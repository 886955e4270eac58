/**
 * An index that is copied to another folder while it is in use: what it held at the first moment, page by page, and each
 * change since. Until all of that is durable the folder is marked as damaged, so that no start takes a part for the
 * whole; whoever has the copy then goes on with it.
 */
import { KiB } from '../base/index.js';
import type { IndexStore } from '../native/index.js';

const pageBytesDefault = 256 * KiB;
/** A page goes at least so long after the one before: whoever asks the index meanwhile comes first. */
const pagePauseMs = 1;
const lookMs = 5;
/** About 200 MB of them. When what is written has to wait for the index, it is tried again in peace. */
const changedMax = 1_000_000;
/** Above every key: they are shorter, and begin with the number of their kind. */
const pastEveryKey = Buffer.alloc(16, 0xff);

export class IndexCopy {
  /** Written since the first moment and not copied yet, as latin1: what their page says of them is older. */
  readonly #changed = new Set<string>();
  /** The last key of the pages so far, as latin1. */
  #at = '';
  #isGivenUp = false;
  readonly #range: number;

  constructor(
    private readonly from: IndexStore,
    readonly store: IndexStore,
    /** What it throws is known for what it is: of the index, not of its copy. */
    private readonly reading: <T>(read: () => T) => T,
  ) {
    this.#range = reading(() => from.openRange(Buffer.alloc(0), pastEveryKey, 0));
  }

  /** A change that the index gets, too. */
  change(key: Uint8Array, value: Uint8Array | null): void {
    const text = Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString('latin1');
    if (text > this.#at) this.#changed.add(text);
    if (value === null) this.store.delete(key);
    else this.store.put(key, value);
  }

  /** False when it was given up. Throws when something cannot be read or written. */
  async run(): Promise<boolean> {
    try {
      let page = Buffer.allocUnsafeSlow(pageBytesDefault);
      while (!this.#isGivenUp) {
        const into = page;
        const used = this.reading(() => this.from.readRange(this.#range, into, Number.MAX_SAFE_INTEGER));
        if (used === 0) break;
        if (used < 0) page = Buffer.allocUnsafeSlow(-used);
        else this.#take(page.subarray(0, used));
        do await new Promise((resolve) => setTimeout(resolve, pagePauseMs));
        while (!this.#isGivenUp && this.#isHeldUp());
      }
    } finally {
      this.from.closeRange(this.#range);
    }
    const ticket = this.store.flush();
    while (!this.#isGivenUp && !this.store.isFlushed(ticket)) {
      await new Promise((resolve) => setTimeout(resolve, lookMs));
      this.#isHeldUp();
    }
    return !this.#isGivenUp;
  }

  giveUp(): void {
    this.#isGivenUp = true;
  }

  #take(page: Buffer): void {
    for (let at = 0; at < page.length;) {
      const keyAt = at + 8;
      const valueAt = keyAt + page.readUInt32LE(at);
      const next = valueAt + page.readUInt32LE(at + 4);
      this.#at = page.toString('latin1', keyAt, valueAt);
      if (!this.#changed.delete(this.#at)) this.store.put(page.subarray(keyAt, valueAt), page.subarray(valueAt, next));
      at = next;
    }
    this.store.endBatch();
  }

  #isHeldUp(): boolean {
    const trouble = this.store.trouble();
    if (trouble !== '') throw new Error(trouble);
    if (this.#changed.size > changedMax) throw new Error('too much is written meanwhile');
    return this.store.isBehind();
  }
}
