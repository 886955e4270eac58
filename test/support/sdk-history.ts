/** Clients with an AWS SDK whose history is kept. */
import type { S3Client } from '@aws-sdk/client-s3';
import { crashClient } from './crash-workload.js';
import type { Step } from './linearizability.js';
import { StormHistory, type Subject } from './storm-history.js';

/** What an answer says of the state that it found. */
export interface Rules<State, Output> {
  readonly isRead: boolean;
  /** `output`: null of a request that was not answered. */
  readonly done: (output: Output | null) => (state: State) => State | null;
  /** By error code. */
  readonly refusals: Readonly<Record<string, (state: State) => boolean>>;
}

export abstract class SdkHistory<State extends object, S extends Subject<State> = Subject<State>> extends StormHistory<
  State,
  S
> {
  #s3: S3Client | null = null;

  connect(url: string): void {
    this.#s3?.destroy();
    this.#s3 = crashClient(url);
  }

  close(): void {
    this.#s3?.destroy();
  }

  protected pick<T>(values: readonly T[]): T {
    const value = values[this.below(values.length)];
    if (value === undefined) throw new Error('there is nothing to pick from');
    return value;
  }

  /** A request about one thing. */
  protected async ask<Output>(
    subject: S,
    name: string,
    send: (s3: S3Client) => Promise<Output>,
    { isRead, done, refusals }: Rules<State, Output>,
  ): Promise<boolean> {
    const s3 = this.#s3;
    if (s3 === null) return false;
    const callMs = performance.now();
    const add = (said: string, isOpen: boolean, isReadNow: boolean, apply: Step<State>['apply']): void => {
      const answerMs = isOpen ? Infinity : performance.now();
      this.add(subject, { what: `${name}: ${said}`, callMs, answerMs, isOpen, isRead: isReadNow, apply });
      this.count(`${name.split(' ')[0] ?? ''} ${said}`);
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
      this.#expectOutage(`${subject.name} ${name}`, code, status);
      if (!isRead) add(status === undefined ? 'cut off' : code, true, false, done(null));
      return status !== undefined;
    }
  }

  /** A listing, which says something of each of them; `applyOf`: null where it does not. */
  protected async askOfAll<Output>(
    name: string,
    send: (s3: S3Client) => Promise<Output>,
    applyOf: (output: Output, subject: S) => Step<State>['apply'] | null,
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
        this.add(subject, { what: name, callMs, answerMs, isOpen: false, isRead: true, apply });
      }
      this.count(`${name} done`);
      return true;
    } catch (thrown) {
      const { name: code, isUnreachable, status } = failureOf(thrown);
      if (!isUnreachable) this.#expectOutage(name, code, status);
      return status !== undefined;
    }
  }

  #expectOutage(what: string, code: string, status: number | undefined): void {
    if (status !== undefined && status !== 503) this.violation(`${what}: ${code}`);
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
