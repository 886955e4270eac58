/**
 * Live traces: requests and calls to drives, as they end, for whoever listens. While nobody does, a request
 * costs one look at a number. Secrets are taken out here.
 */
import type { Clock } from '../base/index.js';
import { Feed, type FeedListener } from './feed.js';
import { shownAnswerHeaders, shownQuery, shownRequestHeaders } from './redact.js';
import type { RequestObserver, RequestRecord } from './requests.js';

export interface RequestTrace {
  readonly kind: 'request';
  /** `s3`, `admin`, `sts`. */
  readonly protocol: string;
  readonly record: RequestRecord;
  readonly endedMs: number;
  readonly rawQuery: string;
  readonly requestHeaders: Readonly<Record<string, readonly string[]>>;
  readonly answerHeaders: Readonly<Record<string, readonly string[]>>;
}

export interface DriveTrace {
  readonly kind: 'drive';
  readonly drive: string;
  /** What was tried, on what: `write log/00000007.log at 4096`. */
  readonly operation: string;
  readonly endedMs: number;
  readonly durationMs: number;
  readonly bytes: number;
  /** Null: it went well. */
  readonly error: string | null;
}

export type Trace = RequestTrace | DriveTrace;

/** What can be told without making the trace. */
export interface TraceHead {
  readonly kind: 'drive' | 'request';
  /** Empty for a drive's call. */
  readonly protocol: string;
  readonly isFailure: boolean;
  readonly durationMs: number;
}

export class Traces {
  readonly #feed = new Feed<TraceHead>();
  readonly #format: (trace: Trace) => string;
  readonly #clock: Pick<Clock, 'nowMs'>;

  constructor(format: (trace: Trace) => string, clock: Pick<Clock, 'nowMs'>) {
    this.#format = format;
    this.#clock = clock;
  }

  get isWanted(): boolean {
    return this.#feed.isWanted;
  }

  /** Null when there are as many listeners as may be. */
  listen(wants: (head: TraceHead) => boolean): FeedListener | null {
    return this.#feed.listen(wants);
  }

  /** The consumer of one protocol's requests. */
  requests(protocol: string): RequestObserver {
    return {
      wantsAddress: () => this.#feed.isWanted,
      observe: (record, request, answer) => {
        if (!this.#feed.isWanted) return;
        const head = {
          kind: 'request',
          protocol,
          isFailure: record.status >= 400,
          durationMs: record.durationMs,
        } as const;
        this.#feed.publish(head, () =>
          this.#format({
            kind: 'request',
            protocol,
            record,
            endedMs: this.#clock.nowMs(),
            rawQuery: shownQuery(request.rawQuery),
            requestHeaders: shownRequestHeaders(request.headers),
            answerHeaders: shownAnswerHeaders(answer),
          }),
        );
      },
    };
  }

  /** Requires: `isWanted` was asked, so that nothing is made in vain. */
  drive(trace: Omit<DriveTrace, 'kind' | 'endedMs'>): void {
    const head = {
      kind: 'drive',
      protocol: '',
      isFailure: trace.error !== null,
      durationMs: trace.durationMs,
    } as const;
    this.#feed.publish(head, () => this.#format({ kind: 'drive', endedMs: this.#clock.nowMs(), ...trace }));
  }

  close(): void {
    this.#feed.close();
  }
}
