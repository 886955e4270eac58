/**
 * Live traces: requests and calls to drives, as they end, for whoever listens. While nobody does, a request
 * costs one look at a number. Secrets are taken out here.
 */
import type { Clock } from '../base/index.js';
import { Feed, type FeedListener } from './feed.js';
import type { RequestObserver, RequestRecord, RequestWire } from './requests.js';

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
            rawQuery: withoutSecrets(request.rawQuery),
            requestHeaders: requestHeaders(request.headers),
            answerHeaders: answerHeaders(answer),
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

const redacted = '*REDACTED*';

/** Headers that are a secret as a whole. */
const secretHeaders: ReadonlySet<string> = new Set([
  'cookie',
  'proxy-authorization',
  'set-cookie',
  'x-amz-security-token',
  'x-amz-server-side-encryption-customer-key',
  'x-amz-copy-source-server-side-encryption-customer-key',
]);

const secretQueryNames: ReadonlySet<string> = new Set([
  'x-amz-signature',
  'x-amz-security-token',
  'signature',
  'token',
  'webidentitytoken',
  'webidentityaccesstoken',
  'ldappassword',
  'secretkey',
]);

function requestHeaders(headers: RequestWire['headers']): Record<string, readonly string[]> {
  const shown: Record<string, readonly string[]> = {};
  for (const name of headers.names()) shown[titleCase(name)] = [shownValue(name, headers.get(name) ?? '')];
  return shown;
}

function answerHeaders(headers: RequestWire['answerHeaders']): Record<string, readonly string[]> {
  const shown: Record<string, readonly string[]> = {};
  for (const [name, value] of headers) {
    const title = titleCase(name.toLowerCase());
    shown[title] = [...(shown[title] ?? []), shownValue(name.toLowerCase(), value)];
  }
  return shown;
}

function shownValue(name: string, value: string): string {
  if (secretHeaders.has(name)) return redacted;
  if (name !== 'authorization') return value;
  // Who signed what stays; the signature goes. What is no signature of ours may be anything: all of it goes.
  const sigV4 = /^(AWS4-HMAC-SHA256 [^]*Signature=)[0-9A-Za-z]*$/.exec(value)?.[1];
  const sigV2 = /^(AWS [^:\s]+:)\S*$/.exec(value)?.[1];
  const shown = sigV4 ?? sigV2;
  return shown === undefined ? redacted : shown + redacted;
}

/** As sent, but for the values of parameters that are secrets. */
function withoutSecrets(rawQuery: string): string {
  if (rawQuery === '') return '';
  return rawQuery
    .split('&')
    .map((pair) => {
      const name = pair.split('=', 1)[0] ?? '';
      return secretQueryNames.has(decoded(name).toLowerCase()) ? `${name}=${redacted}` : pair;
    })
    .join('&');
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** `x-amz-date` as clients show it: `X-Amz-Date`. */
function titleCase(name: string): string {
  return name.replace(/(^|-)[a-z]/g, (start) => start.toUpperCase());
}
