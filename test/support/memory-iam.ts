/** Accounts over a store in memory, with a clock that stands still. One constructor for all tests of the room. */
import type { Clock } from '../../src/base/index.js';
import {
  createIam,
  type ExternalRules,
  type IamChange,
  type IamOptions,
  type IamStore,
  type OpenedIam,
} from '../../src/identity/index.js';

export const rootCredentials = { accessKey: 'rootuser', secretKey: 'root-secret-of-tests' };

export class MemoryIamStore implements IamStore {
  readonly records = new Map<string, Uint8Array>();
  /** Each write, in order. */
  readonly writes: (readonly IamChange[])[] = [];
  failure: Error | null = null;
  /** Runs before a write takes. */
  beforeWrite: () => Promise<void> | void = () => undefined;
  #listeners: ((change: IamChange) => void)[] = [];

  async read(name: string): Promise<Uint8Array | null> {
    return this.records.get(name) ?? null;
  }

  async load(visit: (name: string, value: Uint8Array) => void): Promise<void> {
    for (const name of [...this.records.keys()].sort()) visit(name, this.records.get(name) ?? new Uint8Array());
  }

  async write(changes: readonly IamChange[]): Promise<void> {
    await this.beforeWrite();
    if (this.failure !== null) throw this.failure;
    this.writes.push(changes);
    this.#apply(changes);
  }

  onForeignChange(listener: (change: IamChange) => void): void {
    this.#listeners.push(listener);
  }

  /** As another server of the same store would. */
  changeFromOutside(changes: readonly IamChange[]): void {
    this.#apply(changes);
    for (const change of changes) for (const listener of this.#listeners) listener(change);
  }

  #apply(changes: readonly IamChange[]): void {
    for (const { name, value } of changes) {
      if (value === null) this.records.delete(name);
      else this.records.set(name, value);
    }
  }
}

export class StillClock implements Clock {
  ms = Date.UTC(2026, 10, 24);
  /** How far the wall clock is ahead of where it was: somebody set it. */
  setMs = 0;
  nowMs = (): number => this.ms + this.setMs;
  monotonicMs = (): number => this.ms;
}

export interface IamWorld extends OpenedIam {
  readonly store: MemoryIamStore;
  readonly clock: StillClock;
  readonly lines: string[];
}

export interface IamWorldOptions {
  readonly store?: MemoryIamStore;
  readonly clock?: StillClock;
  readonly root?: { accessKey: string; secretKey: string };
  readonly oldRoot?: { accessKey: string; secretKey: string };
  readonly mac?: IamOptions['mac'];
  readonly rules?: ExternalRules;
}

export async function iamWorld(options: IamWorldOptions = {}): Promise<IamWorld> {
  const {
    store = new MemoryIamStore(),
    clock = new StillClock(),
    root = rootCredentials,
    oldRoot,
    mac,
    rules,
  } = options;
  const lines: string[] = [];
  const opened = await createIam({
    store,
    rootCredentials: root,
    ...(oldRoot !== undefined && { oldRootCredentials: oldRoot }),
    ...(mac !== undefined && { mac }),
    ...(rules !== undefined && { rules }),
    clock,
    log: (text, fields) => lines.push(`${text} ${JSON.stringify(fields ?? {})}`),
  });
  opened.close();
  return { ...opened, store, clock, lines };
}
