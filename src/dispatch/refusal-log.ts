/**
 * What went wrong on our side, in the log: each kind once, and then how often, for a set that takes no writes refuses
 * every request. Causes that nobody foresaw are told every time. Main thread.
 */
import type { Refusal } from '../base/index.js';
import type { Logger } from '../telemetry/index.js';

/** As for drives: one line per kind and minute. */
const tellEveryMs = 60_000;
/** Kinds at once: causes may name what they like. Those beyond are told apart by their codes alone. */
const kindsMax = 64;

interface RefusedRequest {
  readonly requestId: string;
  /** Null: it had none yet. */
  readonly operation: string | null;
}

export class RefusalLog {
  /** By kind: requests that were left out since its last line. */
  readonly #leftOut = new Map<string, number>();

  constructor(private readonly log: Logger) {}

  note(refusal: Refusal, request: RefusedRequest): void {
    const { code, cause } = refusal;
    const fields = { ...request, code };
    if (code === 'InternalError') {
      this.log.error('request failed', { ...fields, err: cause ?? refusal });
      return;
    }
    const kind = this.#kindOf(code, cause);
    const leftOut = this.#leftOut.get(kind);
    if (leftOut !== undefined) {
      this.#leftOut.set(kind, leftOut + 1);
      this.log.debug('request refused', fields);
      return;
    }
    if (cause !== undefined) this.log.error('request failed', { ...fields, err: cause });
    else this.log.warn('request refused', fields);
    this.#leftOut.set(kind, 0);
    this.#tellLater(kind, code);
  }

  #kindOf(code: string, cause: unknown): string {
    const kind = cause === undefined ? code : `${code}: ${cause instanceof Error ? cause.message : typeof cause}`;
    return this.#leftOut.has(kind) || this.#leftOut.size < kindsMax ? kind : code;
  }

  /** For as long as there are more of them. */
  #tellLater(kind: string, code: string): void {
    setTimeout(() => {
      const requests = this.#leftOut.get(kind) ?? 0;
      if (requests === 0) {
        this.#leftOut.delete(kind);
        return;
      }
      this.log.warn('requests were refused that no line names', { code, requests, seconds: tellEveryMs / 1000 });
      this.#leftOut.set(kind, 0);
      this.#tellLater(kind, code);
    }, tellEveryMs).unref();
  }
}
