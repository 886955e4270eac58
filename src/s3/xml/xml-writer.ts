/**
 * Writes one result document into one string. Main thread; a listing of 1,000 keys is its hot path,
 * so it appends and never builds a tree.
 */
import { escapeXml, invariant } from '../../base/index.js';

export const s3Namespace = 'http://s3.amazonaws.com/doc/2006-03-01/';

const declaration = '<?xml version="1.0" encoding="UTF-8"?>\n';

const dayMs = 86_400_000;
const timeOfDayChars = '00:00:00.000Z'.length;
const digits2: readonly string[] = Array.from({ length: 60 }, (_, value) => String(value).padStart(2, '0'));

export class XmlWriter {
  #text: string;
  readonly #open: string[];
  /** Of the timestamp written last: neighbours in a listing often share it. */
  #day = Number.NaN;
  #dayText = '';

  /** `namespace` null: none, as on Error. */
  constructor(root: string, namespace: string | null = s3Namespace) {
    this.#text = `${declaration}<${root}${namespace === null ? '' : ` xmlns="${namespace}"`}>`;
    this.#open = [root];
  }

  open(name: string): this {
    this.#open.push(name);
    this.#text += `<${name}>`;
    return this;
  }

  close(): this {
    const name = this.#open.pop();
    invariant(name !== undefined, 'an element is open');
    this.#text += `</${name}>`;
    return this;
  }

  text(name: string, value: string): this {
    this.#text += `<${name}>${escapeXml(value)}</${name}>`;
    return this;
  }

  number(name: string, value: number): this {
    this.#text += `<${name}>${value}</${name}>`;
    return this;
  }

  boolean(name: string, value: boolean): this {
    this.#text += `<${name}>${value ? 'true' : 'false'}</${name}>`;
    return this;
  }

  /** Adds the quotes that belong to an entity tag on the wire. */
  etag(name: string, value: string): this {
    this.#text += `<${name}>&quot;${escapeXml(value)}&quot;</${name}>`;
    return this;
  }

  /** `2026-11-24T02:40:00.000Z` */
  time(name: string, valueMs: number): this {
    this.#text += `<${name}>${this.#timestamp(valueMs)}</${name}>`;
    return this;
  }

  /** Text right inside the element that is open. */
  content(value: string): this {
    this.#text += escapeXml(value);
    return this;
  }

  /** Closes the root and hands over the document. The writer is spent. */
  end(): string {
    invariant(this.#open.length === 1, 'only the root is open at the end');
    this.close();
    return this.#text;
  }

  /** `Date` formats a day, arithmetic the rest: a third of the time of a listing otherwise goes into this. */
  #timestamp(valueMs: number): string {
    const ms = Math.trunc(valueMs);
    const day = Math.floor(ms / dayMs);
    if (day !== this.#day) {
      this.#day = day;
      this.#dayText = new Date(day * dayMs).toISOString().slice(0, -timeOfDayChars);
    }
    const rest = ms - day * dayMs;
    const hours = digits2[Math.floor(rest / 3_600_000)];
    const minutes = digits2[Math.floor(rest / 60_000) % 60];
    const seconds = digits2[Math.floor(rest / 1000) % 60];
    const fraction = String(rest % 1000).padStart(3, '0');
    return `${this.#dayText}${hours}:${minutes}:${seconds}.${fraction}Z`;
  }
}
