/**
 * Requests of one protocol, counted by operation and by bucket since the start: what metrics are made of. Names
 * of operations come from a closed table, buckets are bounded in number, so this stays small.
 */
import { limits } from '../base/index.js';
import type { RequestObserver, RequestRecord } from './requests.js';

export interface OperationCounts {
  /** Answered. */
  readonly requests: number;
  readonly inFlight: number;
  readonly clientErrors: number;
  readonly serverErrors: number;
  readonly cancelled: number;
  readonly bytesReceived: number;
  readonly bytesSent: number;
  readonly durationMsTotal: number;
  readonly durationMsMax: number;
  /** Answers whose first byte took at most so long: for each of `firstByteSecondsBounds`. */
  readonly firstByteWithin: readonly number[];
  readonly firstByteMsTotal: number;
}

export const firstByteSecondsBounds: readonly number[] = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** Requests that were refused before they were looked at, by why. */
export interface RejectedCounts {
  /** Signature, key or token. */
  readonly auth: number;
  /** A header that is malformed or missing. */
  readonly header: number;
  /** Too far from our time. */
  readonly timestamp: number;
  /** No operation: another method, another version, a malformed target. */
  readonly invalid: number;
}

export type CountsByOperation = ReadonlyMap<string, OperationCounts>;

type Mutable<T> = { -readonly [K in keyof T]: T[K] };
type Counting = Omit<Mutable<OperationCounts>, 'firstByteWithin'> & { firstByteWithin: number[] };

/** The name that requests without an operation are counted under. */
const noOperation = 'Unknown';

const authCodes: ReadonlySet<string> = new Set([
  'InvalidAccessKeyId',
  'SignatureDoesNotMatch',
  'ExpiredToken',
  'InvalidTokenId',
  'InvalidClientTokenId',
]);
const headerCodes: ReadonlySet<string> = new Set([
  'AuthorizationHeaderMalformed',
  'AuthorizationQueryParametersError',
  'CredentialMalformed',
  'MissingSecurityHeader',
]);

class Table {
  readonly counts = new Map<string, Counting>();
  /** Most requests are of the operation of the one before. */
  #lastOperation = '';
  #last: Counting | null = null;

  begun(operation: string): void {
    this.#of(operation).inFlight++;
  }

  observe(record: RequestRecord): void {
    const counts = this.#of(record.operation ?? noOperation);
    counts.requests++;
    if (record.operation !== null && counts.inFlight > 0) counts.inFlight--;
    if (record.status === 499) counts.cancelled++;
    else if (record.status >= 500) counts.serverErrors++;
    else if (record.status >= 400) counts.clientErrors++;
    counts.bytesReceived += record.bytesReceived;
    counts.bytesSent += record.bytesSent;
    counts.durationMsTotal += record.durationMs;
    counts.durationMsMax = Math.max(counts.durationMsMax, record.durationMs);
    counts.firstByteMsTotal += record.timeToFirstByteMs;
    const seconds = record.timeToFirstByteMs / 1000;
    // From the widest down: nearly every answer fits all but the last few.
    for (let index = firstByteSecondsBounds.length - 1; index >= 0; index--) {
      if (seconds > (firstByteSecondsBounds[index] ?? 0)) break;
      counts.firstByteWithin[index] = (counts.firstByteWithin[index] ?? 0) + 1;
    }
  }

  snapshot(): CountsByOperation {
    return new Map(
      [...this.counts].map(([name, counts]) => [name, { ...counts, firstByteWithin: [...counts.firstByteWithin] }]),
    );
  }

  #of(operation: string): Counting {
    if (this.#last !== null && operation === this.#lastOperation) return this.#last;
    let counts = this.counts.get(operation);
    if (counts === undefined) {
      counts = {
        requests: 0,
        inFlight: 0,
        clientErrors: 0,
        serverErrors: 0,
        cancelled: 0,
        bytesReceived: 0,
        bytesSent: 0,
        durationMsTotal: 0,
        durationMsMax: 0,
        firstByteWithin: firstByteSecondsBounds.map(() => 0),
        firstByteMsTotal: 0,
      };
      this.counts.set(operation, counts);
    }
    this.#lastOperation = operation;
    this.#last = counts;
    return counts;
  }
}

export class RequestCounters implements RequestObserver {
  readonly #all = new Table();
  readonly #buckets = new Map<string, Table>();
  readonly #rejected: Mutable<RejectedCounts> = { auth: 0, header: 0, timestamp: 0, invalid: 0 };
  #arrivedCount = 0;

  /** `isBucket`: names that requests merely mention are not counted apart. */
  constructor(private readonly isBucket: (name: string) => boolean = () => false) {}

  wantsAddress(): boolean {
    return false;
  }

  begun(operation: string, bucket: string): void {
    this.#arrivedCount++;
    this.#all.begun(operation);
    if (bucket !== '') this.#bucket(bucket)?.begun(operation);
  }

  observe(record: RequestRecord): void {
    if (record.operation === null) this.#arrivedCount++;
    this.#all.observe(record);
    if (record.bucket !== '') this.#bucket(record.bucket)?.observe(record);
    if (record.errorCode !== null) this.#countRejected(record.errorCode, record.operation);
  }

  /** Requests so far, those under way among them. */
  get arrivedCount(): number {
    return this.#arrivedCount;
  }

  get rejected(): RejectedCounts {
    return { ...this.#rejected };
  }

  byOperation(): CountsByOperation {
    return this.#all.snapshot();
  }

  /** Of buckets that are there. */
  byBucket(): ReadonlyMap<string, CountsByOperation> {
    const found = new Map<string, CountsByOperation>();
    for (const [bucket, table] of this.#buckets) {
      if (this.isBucket(bucket)) found.set(bucket, table.snapshot());
      else this.#buckets.delete(bucket);
    }
    return found;
  }

  #bucket(name: string): Table | null {
    const known = this.#buckets.get(name);
    if (known !== undefined) return known;
    // Those that are gone make room when somebody looks.
    if (this.#buckets.size >= limits.countedBucketsMax || !this.isBucket(name)) return null;
    const table = new Table();
    this.#buckets.set(name, table);
    return table;
  }

  #countRejected(code: string, operation: string | null): void {
    if (authCodes.has(code)) this.#rejected.auth++;
    else if (headerCodes.has(code)) this.#rejected.header++;
    else if (code === 'RequestTimeTooSkewed') this.#rejected.timestamp++;
    else if (operation === null) this.#rejected.invalid++;
  }
}
