/**
 * The signed headers of one client's requests as lines of the canonical request. From one request to the next most
 * values are the same: lines are made anew for those that are not.
 */
import { canonicalHeaderLine, canonicalHeaders } from './canonical.js';
import { secretHeaderNames } from './checks.js';

export class HeaderLines {
  readonly #values: string[] = [];
  /** The last element: the line of the names. */
  readonly #lines: string[];
  readonly #hasSecrets: boolean;
  #last: string | null = null;

  /** `names`: lower case, sorted, without duplicates. */
  constructor(private readonly names: readonly string[]) {
    this.#lines = [...names.map(() => ''), `\n${names.join(';')}`];
    // What is secret is not kept for longer than its request.
    this.#hasSecrets = names.some((name) => secretHeaderNames.has(name));
  }

  /** As `canonicalHeaders`. Values are asked for in order of the names; `valueOf` may throw. */
  of(valueOf: (name: string) => string): string {
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
    return (this.#last ??= this.#lines.join(''));
  }
}
