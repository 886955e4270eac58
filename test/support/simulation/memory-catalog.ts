/** The index in memory, with the states it had since it was made durable: a crash may leave any of them. */
import type { Catalog, CatalogBatch, CatalogEntry, RangeOptions } from '../../../dist/catalog/index.js';

const statesMax = 24;
type State = readonly CatalogEntry[];

/** What of the index lies on a disk: outlives the process. */
export class CatalogStates {
  /** The first is durable. */
  states: State[] = [[]];

  get current(): State {
    return this.states.at(-1) ?? [];
  }

  push(state: State): void {
    this.states.push(state);
    if (this.states.length > statesMax) this.states.splice(1, 1);
  }

  clone(): CatalogStates {
    const copy = new CatalogStates();
    copy.states = [...this.states];
    return copy;
  }
}

export class MemoryCatalog implements Catalog {
  #turn: Promise<void> = Promise.resolve();

  constructor(
    private readonly disk: CatalogStates,
    private readonly soon: (run: () => void) => void,
  ) {}

  get(key: Uint8Array): Buffer | undefined {
    const { current } = this.disk;
    const found = current[lowerBound(current, key)];
    return found !== undefined && Buffer.compare(found.key, key) === 0 ? Buffer.from(found.value) : undefined;
  }

  *range(options: RangeOptions): Iterable<CatalogEntry> {
    const { current } = this.disk;
    const found = current.slice(lowerBound(current, options.start), lowerBound(current, options.end));
    if (options.reverse === true) found.reverse();
    yield* found.slice(0, options.limit);
  }

  write(fill: (batch: CatalogBatch) => void): Promise<void> {
    return this.#change((state) => {
      const changed = [...state];
      fill({
        put: (key, value) => {
          const at = lowerBound(changed, key);
          const isThere = changed[at] !== undefined && Buffer.compare(changed[at].key, key) === 0;
          changed.splice(at, isThere ? 1 : 0, { key: Buffer.from(key), value: Buffer.from(value) });
        },
        delete: (key) => {
          const at = lowerBound(changed, key);
          if (changed[at] !== undefined && Buffer.compare(changed[at].key, key) === 0) changed.splice(at, 1);
        },
      });
      return changed;
    });
  }

  hasRoom(): boolean {
    return true;
  }

  clear(): Promise<void> {
    return this.#change(() => []);
  }

  flush(): Promise<void> {
    return this.#change((state) => {
      this.disk.states = [];
      return state;
    });
  }

  async close(): Promise<void> {
    await this.flush();
  }

  #change(change: (state: State) => State): Promise<void> {
    this.#turn = this.#turn.then(
      () =>
        new Promise((resolve) => {
          this.soon(() => {
            this.disk.push(change(this.disk.current));
            resolve();
          });
        }),
    );
    return this.#turn;
  }
}

function lowerBound(state: State, key: Uint8Array): number {
  let low = 0;
  let high = state.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (Buffer.compare(state[middle]!.key, key) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}
