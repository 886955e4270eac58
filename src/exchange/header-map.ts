/** Request headers by lower-case name; duplicates kept in order of arrival. */
export class HeaderMap {
  readonly #values = new Map<string, string | string[]>();

  /** `name` is lower case already. */
  append(name: string, value: string): void {
    const before = this.#values.get(name);
    if (before === undefined) this.#values.set(name, value);
    else if (typeof before === 'string') this.#values.set(name, [before, value]);
    else before.push(value);
  }

  /** The value; duplicates joined with a comma, as SigV4 and HTTP do. */
  get(name: string): string | undefined {
    const value = this.#values.get(name);
    return Array.isArray(value) ? value.join(',') : value;
  }

  has(name: string): boolean {
    return this.#values.has(name);
  }

  names(): IterableIterator<string> {
    return this.#values.keys();
  }

  get size(): number {
    return this.#values.size;
  }

  static from(pairs: Iterable<readonly [string, string]>): HeaderMap {
    const map = new HeaderMap();
    for (const [name, value] of pairs) map.append(name.toLowerCase(), value);
    return map;
  }
}
