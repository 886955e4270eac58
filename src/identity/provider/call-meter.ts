/** How calls to one peer went: of the last full minute, and when the last one of either kind was. */
const minuteMs = 60_000;

export interface CallStatistics {
  /** Since the start; null: none yet. */
  readonly lastSuccessMs: number | null;
  readonly lastFailureMs: number | null;
  /** Of the last full minute of the clock. */
  readonly minute: {
    readonly count: number;
    readonly failedCount: number;
    /** Of those that were answered; 0 without any. */
    readonly roundTripMsAverage: number;
    readonly roundTripMsMax: number;
  };
}

interface Minute {
  readonly index: number;
  answered: number;
  failed: number;
  msTotal: number;
  msMax: number;
}

export class CallMeter {
  #current = emptyMinute(0);
  #last = emptyMinute(0);
  #lastSuccessMs: number | null = null;
  #lastFailureMs: number | null = null;

  answered(nowMs: number, roundTripMs: number): void {
    const minute = this.#minuteAt(nowMs);
    minute.answered++;
    minute.msTotal += roundTripMs;
    minute.msMax = Math.max(minute.msMax, roundTripMs);
    this.#lastSuccessMs = nowMs;
  }

  failed(nowMs: number): void {
    this.#minuteAt(nowMs).failed++;
    this.#lastFailureMs = nowMs;
  }

  statistics(nowMs: number): CallStatistics {
    this.#minuteAt(nowMs);
    const { answered, failed, msTotal, msMax } = this.#last;
    return {
      lastSuccessMs: this.#lastSuccessMs,
      lastFailureMs: this.#lastFailureMs,
      minute: {
        count: answered + failed,
        failedCount: failed,
        roundTripMsAverage: answered === 0 ? 0 : msTotal / answered,
        roundTripMsMax: msMax,
      },
    };
  }

  #minuteAt(nowMs: number): Minute {
    const index = Math.floor(nowMs / minuteMs);
    if (index !== this.#current.index) {
      // A minute without calls is a full one as well.
      this.#last = index === this.#current.index + 1 ? this.#current : emptyMinute(index - 1);
      this.#current = emptyMinute(index);
    }
    return this.#current;
  }
}

function emptyMinute(index: number): Minute {
  return { index, answered: 0, failed: 0, msTotal: 0, msMax: 0 };
}
