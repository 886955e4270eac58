/** A bounded number of places; whoever finds none free waits for one, in the order in which they came, for so long. */
import { invariant } from '../base/index.js';

export class Places {
  #taken = 0;
  /** Each is told whether it has got one. */
  readonly #waiting = new Set<(isTaken: boolean) => void>();

  constructor(
    private readonly countMax: number,
    private readonly waitMsMax: number,
  ) {}

  tryTake(): boolean {
    if (this.#taken >= this.countMax) return false;
    this.#taken++;
    return true;
  }

  /** False: none has become free in time. */
  take(): Promise<boolean> {
    if (this.tryTake()) return Promise.resolve(true);
    return new Promise((resolve) => {
      const settle = (isTaken: boolean): void => {
        clearTimeout(timer);
        this.#waiting.delete(settle);
        resolve(isTaken);
      };
      const timer = setTimeout(() => {
        settle(false);
      }, this.waitMsMax).unref();
      this.#waiting.add(settle);
    });
  }

  give(): void {
    invariant(this.#taken > 0, 'a place is given back once');
    const [next] = this.#waiting;
    // Passed on: whoever comes now is behind those who wait.
    if (next === undefined) this.#taken--;
    else next(true);
  }
}
