/** Clients whose history is kept: of each thing that they use together, what they were told, and whether one order explains it. */
import { findOrder, type Step } from './linearizability.js';
import type { StormClients } from './stormy-server.js';

/** A key, a bucket, an upload. */
export interface Subject<State> {
  readonly name: string;
  readonly steps: Step<State>[];
}

export interface StormHistoryOptions {
  readonly random: () => number;
  readonly connections: number;
}

/** What is printed of a history that nothing explains: around the answer where it ended. */
const near = { beforeMs: 300, afterMs: 50 };

export abstract class StormHistory<
  State extends object,
  S extends Subject<State> = Subject<State>,
> implements StormClients {
  isHeld = false;
  readonly violations: string[] = [];
  /** Of answers. */
  readonly counts = new Map<string, number>();
  protected readonly subjects: S[] = [];
  readonly #open: Step<State>[] = [];

  constructor(private readonly storm: StormHistoryOptions) {}

  abstract connect(url: string): void;
  abstract close(): void;
  /** Everything as everybody sees it, when nothing is under way. */
  abstract readAll(): Promise<void>;
  /** A request. False: nobody answers. */
  protected abstract once(): Promise<boolean>;
  /** What there is before the first step. */
  protected abstract beginOf(subject: S): State;
  /** The same for states that are the same. */
  protected abstract describe(state: State): string;

  get steps(): number {
    return this.subjects.reduce((sum, { steps }) => sum + steps.length, 0);
  }

  decided(): void {
    const nowMs = performance.now();
    for (const step of this.#open.splice(0)) step.answerMs = nowMs;
  }

  async run(isOver: () => boolean): Promise<void> {
    const worker = async (): Promise<void> => {
      while (!isOver()) {
        const isReached = !this.isHeld && (await this.once());
        if (!isReached) await new Promise((resolve) => setTimeout(resolve, 20));
      }
    };
    await Promise.all(Array.from({ length: this.storm.connections }, worker));
  }

  /** Null when everything that was answered is explained. */
  complaint(): string | null {
    const lines = [...this.violations];
    for (const subject of this.subjects) {
      const { name, steps } = subject;
      if (steps.length === 0) continue;
      const verdict = findOrder(steps, this.beginOf(subject), (state) => this.describe(state));
      if (verdict.isLinear) continue;
      const { stuckAt, state, isGivenUp } = verdict;
      const around = steps.filter(
        ({ callMs, answerMs }) =>
          callMs <= stuckAt.answerMs + near.afterMs && answerMs >= stuckAt.callMs - near.beforeMs,
      );
      lines.push(
        `${name}: ${isGivenUp ? 'no order was found in time' : 'no order explains this answer'}: ${stuckAt.what}`,
        `  with ${this.describe(state)}`,
        ...around.map(
          ({ callMs, answerMs, what, isOpen }) =>
            `  ${callMs.toFixed(2)}..${answerMs.toFixed(2)} ${isOpen ? '(open) ' : ''}${what}`,
        ),
      );
    }
    return lines.length === 0 ? null : lines.join('\n');
  }

  protected below(count: number): number {
    return Math.floor(this.storm.random() * count);
  }

  protected add(subject: Subject<State>, step: Step<State>): void {
    subject.steps.push(step);
    if (step.answerMs === Infinity) this.#open.push(step);
  }

  protected count(name: string): void {
    this.counts.set(name, (this.counts.get(name) ?? 0) + 1);
  }

  protected violation(text: string): void {
    this.violations.push(`${performance.now().toFixed(2)} ${text}`);
  }
}
