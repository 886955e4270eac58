/**
 * An end in time for what is asked of somebody else. `AbortSignal.any` of an `AbortSignal.timeout` would be the same in
 * fewer words, but Node 20 holds the signals that it is made of weakly: the next garbage collection may take the
 * timer away, and the end never comes.
 */
import { setMaxListeners } from 'node:events';

export class Deadline {
  readonly #end = new AbortController();
  readonly #parent: AbortSignal | undefined;
  readonly #timer: NodeJS.Timeout;
  #isOver = false;

  /** `ms` from now, or when `parent` aborts. */
  constructor(ms: number, parent?: AbortSignal) {
    this.#parent = parent;
    this.#timer = setTimeout(() => {
      this.#isOver = true;
      this.#end.abort();
    }, ms).unref();
    if (parent === undefined) return;
    if (parent.aborted) {
      this.#onParent();
      return;
    }
    // One for each call under way: no leak, whatever their number.
    setMaxListeners(0, parent);
    parent.addEventListener('abort', this.#onParent);
  }

  get signal(): AbortSignal {
    return this.#end.signal;
  }

  /** The time is over. False as well when the parent was first. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** Nothing ends any more. To be called when what it was for is done. */
  clear(): void {
    clearTimeout(this.#timer);
    this.#parent?.removeEventListener('abort', this.#onParent);
  }

  readonly #onParent = (): void => {
    this.clear();
    this.#end.abort();
  };
}
