/**
 * What is known about a request once its answer is over, and the plainest consumer of it, the debug line. The
 * dispatcher calls `observe` once per request; counters, audit and trace join here.
 */
import type { Logger } from './logger.js';

export interface RequestRecord {
  readonly requestId: string;
  /** The API's name, `PutObject`; null when the request matched no operation. */
  readonly operation: string | null;
  /** As the request names it, whether there is one or not; empty for calls of the service. */
  readonly bucket: string;
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
  /** Whose account the access key belongs to; null: nobody's. */
  readonly account: string | null;
  /** Of the credential, as a provider vouched for them; empty for most. */
  readonly claims: ReadonlyMap<string, unknown>;
  readonly userAgent: string | null;
}

/** What went over the wire, for those who show it: with its secrets. */
export interface RequestWire {
  readonly rawQuery: string;
  readonly headers: { names(): Iterable<string>; get(name: string): string | undefined };
  readonly answerHeaders: Iterable<readonly [name: string, value: string]>;
}

export interface RequestObserver {
  /** Must not throw and must not block: it runs on the main thread after every answer. */
  observe(
    record: RequestRecord,
    request: Omit<RequestWire, 'answerHeaders'>,
    answer: RequestWire['answerHeaders'],
  ): void;
  /** An operation was found for a request: `observe` follows, once. */
  begun?(operation: string, bucket: string): void;
  /** Asked when a request arrives: the client's address costs a system call. Left out, it is wanted. */
  wantsAddress?(): boolean;
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
  const beginners = all.filter((one) => one.begun !== undefined);
  return {
    observe(record, request, answer) {
      for (const one of all) one.observe(record, request, answer);
    },
    begun(operation, bucket) {
      for (const one of beginners) one.begun?.(operation, bucket);
    },
    wantsAddress: () => all.some((one) => one.wantsAddress === undefined || one.wantsAddress()),
  };
}
