export type HeaderPairs = readonly (readonly [name: string, value: string])[];

/** The one header of most answers that is their own. */
export const requestIdHeader = 'x-amz-request-id';

/** Headers that many answers have in common. One object for all of them, so that their lines are composed once. */
export class SharedHeaders {
  /** What a front made of them. */
  lines: string | null = null;
  /** A whole head, and where its request id stands. */
  head: { readonly status: number; readonly bytes: Uint8Array; readonly idAt: number } | null = null;
  #common: SharedHeaders | null = null;
  #withCommon: SharedHeaders | null = null;

  constructor(readonly pairs: HeaderPairs) {}

  /** These behind those of all answers of a protocol: made once. */
  behind(common: SharedHeaders): SharedHeaders {
    if (this.#withCommon === null || this.#common !== common) {
      this.#common = common;
      this.#withCommon = new SharedHeaders([...common.pairs, ...this.pairs]);
    }
    return this.#withCommon;
  }
}

interface AnswerHeaders {
  readonly headers: HeaderPairs;
  readonly shared?: SharedHeaders;
}

/** All headers of an answer, put together when somebody goes through them. */
export class AllHeaders implements Iterable<readonly [name: string, value: string]> {
  readonly #answer: AnswerHeaders;

  constructor(answer: AnswerHeaders) {
    this.#answer = answer;
  }

  [Symbol.iterator](): IterableIterator<readonly [name: string, value: string]> {
    return headersOf(this.#answer)[Symbol.iterator]();
  }
}

/** All headers of an answer. */
export function headersOf({ headers, shared }: AnswerHeaders): HeaderPairs {
  return shared === undefined ? headers : [...shared.pairs, ...headers];
}
