/**
 * Turns for work that takes much memory: few at once, a bounded line behind them, and no account may fill
 * the line alone.
 */
import { Refusal } from '../../base/index.js';

export interface TurnLimits {
  readonly running: number;
  readonly waiting: number;
  readonly waitingPerAccount: number;
}

export class Turns {
  readonly #limits: TurnLimits;
  readonly #line: (() => void)[] = [];
  readonly #byAccount = new Map<string, number>();
  #running = 0;

  constructor(limits: TurnLimits) {
    this.#limits = limits;
  }

  /** Throws SlowDown when the line is full. It moves within seconds: clients that ask again soon get their turn. */
  async take<Result>(account: string, work: () => Promise<Result>): Promise<Result> {
    const { running, waiting, waitingPerAccount } = this.#limits;
    const ofAccount = this.#byAccount.get(account) ?? 0;
    if (ofAccount >= waitingPerAccount) throw new Refusal('SlowDown');
    if (this.#running >= running && this.#line.length >= waiting) throw new Refusal('SlowDown');
    this.#byAccount.set(account, ofAccount + 1);
    try {
      // Who ends hands its turn on, so nobody comes in between.
      if (this.#running < running) this.#running++;
      else await new Promise<void>((resolve) => this.#line.push(resolve));
      try {
        return await work();
      } finally {
        const next = this.#line.shift();
        if (next === undefined) this.#running--;
        else next();
      }
    } finally {
      const left = (this.#byAccount.get(account) ?? 1) - 1;
      if (left === 0) this.#byAccount.delete(account);
      else this.#byAccount.set(account, left);
    }
  }
}
