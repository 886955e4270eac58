/**
 * Request headers by lower-case name. There are few, and most that are asked for are not there: two lists, and a bit
 * for each length of a name, are cheaper to fill and to ask than a hash table.
 */
export class HeaderMap {
  readonly #names: string[] = [];
  readonly #values: string[] = [];
  /** Bit n: some name is n characters long, modulo 32. */
  #lengths = 0;

  /** `name` is lower case already. Values of the same name are joined with a comma, as SigV4 and HTTP do. */
  append(name: string, value: string): void {
    const at = this.#indexOf(name);
    if (at >= 0) {
      this.#values[at] += ',' + value;
      return;
    }
    this.#lengths |= 1 << (name.length & 31);
    this.#names.push(name);
    this.#values.push(value);
  }

  get(name: string): string | undefined {
    const at = this.#indexOf(name);
    return at < 0 ? undefined : this.#values[at];
  }

  has(name: string): boolean {
    return this.#indexOf(name) >= 0;
  }

  /** In order of arrival. */
  names(): readonly string[] {
    return this.#names;
  }

  get size(): number {
    return this.#names.length;
  }

  static from(pairs: Iterable<readonly [string, string]>): HeaderMap {
    const map = new HeaderMap();
    for (const [name, value] of pairs) map.append(name.toLowerCase(), value);
    return map;
  }

  #indexOf(name: string): number {
    const { length } = name;
    if ((this.#lengths & (1 << (length & 31))) === 0) return -1;
    const names = this.#names;
    for (let index = 0; index < names.length; index++) {
      const candidate = names[index]!;
      if (candidate.length === length && candidate === name) return index;
    }
    return -1;
  }
}
