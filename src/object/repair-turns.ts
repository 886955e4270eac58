/** How many repairs run at once: each holds a stripe with its parity while it waits for what it reads. */
import { MiB } from '../base/index.js';

const repairsMax = 8;
const arenaBytesPerRepair = 64 * MiB;

export class RepairTurns {
  /** The most that run at once. */
  readonly atOnce: number;
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(arenaBytes: number) {
    this.atOnce = Math.min(repairsMax, Math.max(1, Math.floor(arenaBytes / arenaBytesPerRepair)));
    this.#free = this.atOnce;
  }

  async run<T>(repair: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await repair();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free++;
      else next();
    }
  }
}
