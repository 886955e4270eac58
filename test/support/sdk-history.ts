/** Clients with an AWS SDK whose history is kept: of each thing that they use together, the steps that they were told of. */
import type { S3Client } from '@aws-sdk/client-s3';
import { crashClient } from './crash-workload.js';
import { findOrder, type Step } from './linearizability.js';
import type { StormClients } from './stormy-server.js';

/** A bucket, an upload. */
export interface Subject<State> {
  readonly name: string;
  readonly steps: Step<State>[];
}

/** What an answer says of the state that it found. */
export interface Rules<State, Output> {
  readonly isRead: boolean;
  /** `output`: null of a request that was not answered. */
  readonly done: (output: Output | null) => (state: State) => State | null;
  /** By error code. */
  readonly refusals: Readonly<Record<string, (state: State) => boolean>>;
}

const nearMs = 200;

export abstract class SdkHistory<State extends object> implements StormClients {
  isHeld = false;
  readonly violations: string[] = [];
  /** Of answers. */
  readonly counts = new Map<string, number>();
  protected readonly subjects: Subject<State>[] = [];
  #s3: S3Client | null = null;
  readonly #open: Step<State>[] = [];

  constructor(
    private readonly random: () => number,
    private readonly connections: number,
  ) {}

  /** False: nobody answers. */
  protected abstract once(): Promise<boolean>;
  protected abstract readonly begin: State;
  /** The same for states that are the same. */
  protected abstract describe(state: State): string;
  /** Everything as everybody sees it, when nothing is under way. */
  abstract readAll(): Promise<void>;

  connect(url: string): void {
    this.#s3?.destroy();
    this.#s3 = crashClient(url);
  }

  close(): void {
    this.#s3?.destroy();
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
    await Promise.all(Array.from({ length: this.connections }, worker));
  }

  /** Null when everything that was answered is explained. */
  complaint(): string | null {
    const lines = [...this.violations];
    for (const { name, steps } of this.subjects) {
      if (steps.length === 0) continue;
      const verdict = findOrder(steps, this.begin, (state) => this.describe(state));
      if (verdict.isLinear) continue;
      const { stuckAt, state, isGivenUp } = verdict;
      const near = steps.filter(
        ({ callMs, answerMs }) => callMs <= stuckAt.answerMs + nearMs && answerMs >= stuckAt.callMs - nearMs,
      );
      lines.push(
        `${name}: ${isGivenUp ? 'no order was found in time' : 'no order explains this answer'}: ${stuckAt.what}`,
        `  with ${this.describe(state)}`,
        ...near.map(
          ({ callMs, answerMs, what, isOpen }) =>
            `  ${callMs.toFixed(2)}..${answerMs.toFixed(2)} ${isOpen ? '(open) ' : ''}${what}`,
        ),
      );
    }
    return lines.length === 0 ? null : lines.join('\n');
  }

  protected below(count: number): number {
    return Math.floor(this.random() * count);
  }

  protected pick<T>(values: readonly T[]): T {
    const value = values[this.below(values.length)];
    if (value === undefined) throw new Error('there is nothing to pick from');
    return value;
  }

  /** A request about one thing. */
  protected async ask<Output>(
    subject: Subject<State>,
    name: string,
    send: (s3: S3Client) => Promise<Output>,
    { isRead, done, refusals }: Rules<State, Output>,
  ): Promise<boolean> {
    const s3 = this.#s3;
    if (s3 === null) return false;
    const callMs = performance.now();
    const add = (said: string, isOpen: boolean, isReadNow: boolean, apply: Step<State>['apply']): void => {
      const answerMs = isOpen ? Infinity : performance.now();
      const step = { what: `${name}: ${said}`, callMs, answerMs, isOpen, isRead: isReadNow, apply };
      subject.steps.push(step);
      if (isOpen) this.#open.push(step);
      this.#count(`${name.split(' ')[0] ?? ''} ${said}`);
    };
    try {
      const output = await send(s3);
      add('done', false, isRead, done(output));
      return true;
    } catch (thrown) {
      const { name: code, isUnreachable, status } = failureOf(thrown);
      const refusal = refusals[code];
      if (refusal !== undefined) {
        add(code, false, true, (state) => (refusal(state) ? state : null));
        return true;
      }
      if (isUnreachable) return false;
      this.#expectOutage(`${subject.name} ${name}`, callMs, { code, status });
      if (!isRead) add(status === undefined ? 'cut off' : code, true, false, done(null));
      return status !== undefined;
    }
  }

  /** A listing, which says something of each of them; `applyOf`: null where it does not. */
  protected async askOfAll<Output>(
    name: string,
    send: (s3: S3Client) => Promise<Output>,
    applyOf: (output: Output, subject: Subject<State>) => Step<State>['apply'] | null,
  ): Promise<boolean> {
    const s3 = this.#s3;
    if (s3 === null) return false;
    // Those that come meanwhile may be in it or not.
    const subjects = [...this.subjects];
    const callMs = performance.now();
    try {
      const output = await send(s3);
      const answerMs = performance.now();
      for (const subject of subjects) {
        const apply = applyOf(output, subject);
        if (apply === null) continue;
        subject.steps.push({ what: name, callMs, answerMs, isOpen: false, isRead: true, apply });
      }
      this.#count(`${name} done`);
      return true;
    } catch (thrown) {
      const { name: code, isUnreachable, status } = failureOf(thrown);
      if (!isUnreachable) this.#expectOutage(name, callMs, { code, status });
      return status !== undefined;
    }
  }

  #expectOutage(
    what: string,
    callMs: number,
    { code, status }: { readonly code: string; readonly status: number | undefined },
  ): void {
    if (status !== undefined && status !== 503) this.violations.push(`${callMs.toFixed(2)} ${what}: ${code}`);
  }

  #count(name: string): void {
    this.counts.set(name, (this.counts.get(name) ?? 0) + 1);
  }
}

function failureOf(thrown: unknown): { name: string; isUnreachable: boolean; status: number | undefined } {
  const error = thrown as Error & { code?: string; $metadata?: { httpStatusCode?: number } };
  return {
    name: error.name,
    isUnreachable: error.code === 'ECONNREFUSED',
    status: error.$metadata?.httpStatusCode,
  };
}
