/**
 * Writes one result document into one string. Main thread; a listing of 1,000 keys is its hot path,
 * so it appends and never builds a tree.
 */
import { invariant } from '../../base/index.js';
import { escapeXml } from './escape.js';

export const s3Namespace = 'http://s3.amazonaws.com/doc/2006-03-01/';

const declaration = '<?xml version="1.0" encoding="UTF-8"?>\n';

export class XmlWriter {
  #text: string;
  readonly #open: string[];
  /** Seconds of the timestamp formatted last: neighbours in a listing often share them. */
  #secondsFormatted = Number.NaN;
  #secondsText = '';

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

  #timestamp(valueMs: number): string {
    const whole = Math.trunc(valueMs);
    const seconds = Math.floor(whole / 1000);
    if (seconds !== this.#secondsFormatted) {
      this.#secondsFormatted = seconds;
      this.#secondsText = new Date(seconds * 1000).toISOString().slice(0, -4);
    }
    const milliseconds = whole - seconds * 1000;
    const padding = milliseconds < 10 ? '00' : milliseconds < 100 ? '0' : '';
    return `${this.#secondsText}${padding}${milliseconds}Z`;
  }
}
