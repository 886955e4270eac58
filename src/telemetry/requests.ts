/**
 * What is known about a request once its answer is over, and the first consumers of it: counters and
 * the debug line. The dispatcher calls `observe` once per request; metrics, audit and trace join here.
 */
import type { Logger } from './logger.js';

export interface RequestRecord {
  readonly requestId: string;
  /** The API's name, `PutObject`; null when the request matched no operation. */
  readonly operation: string | null;
  readonly method: string;
  /** As sent, without the query: presigned queries carry credentials. */
  readonly rawPath: string;
  /** Status of the answer; 499 when the client went away before it. */
  readonly status: number;
  /** The S3 error code of a refusal. */
  readonly errorCode: string | null;
  readonly bytesReceived: number;
  readonly bytesSent: number;
  readonly durationMs: number;
  /** From the request's arrival to the start of the answer. */
  readonly timeToFirstByteMs: number;
  /** Empty when no observer wants it. */
  readonly remoteAddress: string;
  readonly accessKey: string | null;
  readonly userAgent: string | null;
}

export interface RequestObserver {
  /** Must not throw and must not block: it runs on the main thread after every answer. */
  observe(record: RequestRecord): void;
  /** Asked when a request arrives: the client's address costs a system call. Left out, it is wanted. */
  wantsAddress?(): boolean;
}

export interface OperationCounts {
  readonly requests: number;
  readonly clientErrors: number;
  readonly serverErrors: number;
  readonly cancelled: number;
  readonly bytesReceived: number;
  readonly bytesSent: number;
  readonly durationMsTotal: number;
  readonly durationMsMax: number;
}

/** The name that requests without an operation are counted under. */
const noOperation = 'Unknown';

/** Totals per operation since start. Operation names come from a closed table, so this stays small. */
export class RequestCounters implements RequestObserver {
  readonly #counts = new Map<string, { -readonly [K in keyof OperationCounts]: number }>();

  wantsAddress(): boolean {
    return false;
  }

  observe(record: RequestRecord): void {
    const counts = this.#countsOf(record.operation ?? noOperation);
    counts.requests += 1;
    if (record.status === 499) counts.cancelled += 1;
    else if (record.status >= 500) counts.serverErrors += 1;
    else if (record.status >= 400) counts.clientErrors += 1;
    counts.bytesReceived += record.bytesReceived;
    counts.bytesSent += record.bytesSent;
    counts.durationMsTotal += record.durationMs;
    counts.durationMsMax = Math.max(counts.durationMsMax, record.durationMs);
  }

  /** A copy, by operation name. */
  snapshot(): Readonly<Record<string, OperationCounts>> {
    return Object.fromEntries([...this.#counts].map(([operation, counts]) => [operation, { ...counts }]));
  }

  #countsOf(operation: string): { -readonly [K in keyof OperationCounts]: number } {
    let counts = this.#counts.get(operation);
    if (counts === undefined) {
      counts = {
        requests: 0,
        clientErrors: 0,
        serverErrors: 0,
        cancelled: 0,
        bytesReceived: 0,
        bytesSent: 0,
        durationMsTotal: 0,
        durationMsMax: 0,
      };
      this.#counts.set(operation, counts);
    }
    return counts;
  }
}

/** One debug line per request. */
export function requestLines(log: Logger): RequestObserver {
  return {
    wantsAddress: () => log.isEnabled('debug'),
    observe(record) {
      if (!log.isEnabled('debug')) return;
      const { durationMs, timeToFirstByteMs, ...rest } = record;
      log.debug('request', { ...rest, durationMs: tenths(durationMs), timeToFirstByteMs: tenths(timeToFirstByteMs) });
    },
  };
}

const tenths = (ms: number) => Math.round(ms * 10) / 10;

export function observers(...all: readonly RequestObserver[]): RequestObserver {
  return {
    observe(record) {
      for (const one of all) one.observe(record);
    },
    wantsAddress: () => all.some((one) => one.wantsAddress === undefined || one.wantsAddress()),
  };
}
