/**
 * The signed headers of one client's requests as lines of the canonical request. From one request to the next most
 * values are the same: lines are made anew for those that are not.
 */
import { canonicalHeaderLine, canonicalHeaders, type CanonicalHeaders } from './canonical.js';
import { secretHeaderNames } from './checks.js';

export class HeaderLines {
  readonly #namesText: string;
  readonly #values: string[] = [];
  readonly #lines: string[] = [];
  readonly #hasSecrets: boolean;
  #last: CanonicalHeaders | null = null;

  /** `names`: lower case, sorted, without duplicates. */
  constructor(private readonly names: readonly string[]) {
    this.#namesText = names.join(';');
    // What is secret is not kept for longer than its request.
    this.#hasSecrets = names.some((name) => secretHeaderNames.has(name));
  }

  /** For the values of a request, asked in order of the names; whatever `valueOf` throws leaves nothing half done. */
  of(valueOf: (name: string) => string): CanonicalHeaders {
    if (this.#hasSecrets) return canonicalHeaders(this.names, valueOf);
    const { names } = this;
    for (let index = 0; index < names.length; index++) {
      const name = names[index]!;
      const value = valueOf(name);
      if (value === this.#values[index]) continue;
      this.#values[index] = value;
      this.#lines[index] = canonicalHeaderLine(name, value);
      this.#last = null;
    }
    return (this.#last ??= { lines: this.#lines.join(''), names: this.#namesText });
  }
}
