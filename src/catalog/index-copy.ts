/**
 * An index that is copied to another folder while it is in use: what it held at the first moment, entry by entry, and each
 * change since. Until all of that is durable the folder is marked as damaged, so that no start takes a part for the
 * whole; whoever has the copy then goes on with it.
 */
import { KiB } from '../base/index.js';
import type { IndexStore } from '../native/index.js';
import type { CatalogEntry } from './catalog.js';

/** After so many bytes, and for so long at least, whoever asks the index meanwhile comes first. */
const pieceBytes = 256 * KiB;
const pauseMs = 1;
const lookMs = 5;
/** About 200 MB of them. When what is written has to wait for the index, it is tried again in peace. */
const changedMax = 1_000_000;

export class IndexCopy {
  /** Written since the first moment and not copied yet, as latin1: what the entry says of them is older. */
  readonly #changed = new Set<string>();
  /** The last key that was copied, as latin1. */
  #at = '';
  #isGivenUp = false;

  constructor(
    /** All of the index, in order. */
    private readonly entries: Iterable<CatalogEntry>,
    readonly store: IndexStore,
  ) {}

  /** A change that the index gets, too. */
  change(key: Uint8Array, value: Uint8Array | null): void {
    const text = textOf(key);
    if (text > this.#at) this.#changed.add(text);
    if (value === null) this.store.delete(key);
    else this.store.put(key, value);
  }

  /** False when it was given up. Throws when something cannot be read or written. */
  async run(): Promise<boolean> {
    let bytes = 0;
    for (const { key, value } of this.entries) {
      this.#at = textOf(key);
      if (!this.#changed.delete(this.#at)) this.store.put(key, value);
      bytes += key.length + value.length;
      if (bytes < pieceBytes) continue;
      bytes = 0;
      this.store.endBatch();
      do await new Promise((resolve) => setTimeout(resolve, pauseMs));
      while (!this.#isGivenUp && this.#isHeldUp());
      if (this.#isGivenUp) return false;
    }
    this.store.endBatch();
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

  #isHeldUp(): boolean {
    const trouble = this.store.trouble() || this.store.damage();
    if (trouble !== '') throw new Error(trouble);
    if (this.#changed.size > changedMax) throw new Error('too much is written meanwhile');
    return this.store.isBehind();
  }
}

function textOf(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString('latin1');
}
