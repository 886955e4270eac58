/**
 * Reads a request document. Main thread; the bytes are borrowed until the promise settles.
 *
 * Bounded in size by the caller (the body reader refuses a larger document before it is read), in depth, elements,
 * attributes and text length by the schema, and in time: the parser is a state machine that looks at each
 * character once, document types and entities of the client's own are refused (nothing expands), the first
 * misfit ends it, and a long document is taken in slices between which other work of the thread runs.
 */
import { setImmediate as yieldToEventLoop } from 'node:timers/promises';
import { SaxesParser } from 'saxes';
import { KiB } from '../../base/index.js';
import { DocumentBuilder, malformedXml } from './document-builder.js';
import type { DocumentSchema, Fields, Parsed } from './schema.js';

/** About 1 ms of parsing, 7 ms at the very worst (measured: 30–210 ns a byte). */
const sliceBytes = 32 * KiB;

// Keys with characters that XML 1.0 cannot carry come as references to them, which a strict parser refuses.
// They are renamed to entities that only then exist. U+0000 stays refused. Slices end between references.
const controlReference = /&#(?:x0*(1?[1-9a-f]|10|fff[ef])|0*([1-9]|[12][0-9]|3[01]|6553[45]));/gi;
/** A reference cut off by the end of a slice; longer ones are not renamed, and refused. */
const cutReference = /&[^;&]{0,16}$/;

export async function parseXml<F extends Fields>(bytes: Uint8Array, schema: DocumentSchema<F>): Promise<Parsed<F>> {
  const reader = new DocumentReader(schema);
  for (let start = 0; start < bytes.length; start += sliceBytes) {
    if (start > 0) await yieldToEventLoop();
    reader.write(bytes.subarray(start, start + sliceBytes));
  }
  return reader.finish();
}

class DocumentReader<F extends Fields> {
  readonly #decoder = new TextDecoder('utf-8', { fatal: true });
  readonly #parser = new SaxesParser({ position: false });
  readonly #builder: DocumentBuilder<F>;
  #carried = '';
  #hasCdata = false;
  #hasControlReference = false;

  constructor(schema: DocumentSchema<F>) {
    const builder = new DocumentBuilder(schema);
    const parser = this.#parser;
    // Without a prototype: `&constructor;` must be undefined like any other.
    parser.ENTITIES = Object.assign(Object.create(null) as Record<string, string>, {
      amp: '&',
      lt: '<',
      gt: '>',
      quot: '"',
      apos: "'",
    });
    const refuse = (): never => {
      throw malformedXml();
    };
    parser.on('error', refuse);
    parser.on('doctype', refuse);
    parser.on('attribute', () => builder.attribute());
    parser.on('opentag', (tag) => builder.open(tag.name));
    parser.on('closetag', () => builder.close());
    parser.on('text', (text) => builder.text(text));
    parser.on('cdata', (text) => {
      this.#hasCdata = true;
      builder.text(text);
    });
    this.#builder = builder;
  }

  write(bytes: Uint8Array): void {
    this.#feed(this.#carried + this.#decode(bytes), false);
  }

  finish(): Parsed<F> {
    this.#feed(this.#carried + this.#decode(null), true);
    this.#parser.close();
    // Inside CDATA a reference is plain text that we have renamed: rare enough to refuse.
    if (this.#hasCdata && this.#hasControlReference) throw malformedXml();
    return this.#builder.finish();
  }

  #feed(text: string, isLast: boolean): void {
    const cut = isLast ? null : cutReference.exec(text);
    this.#carried = cut === null ? '' : cut[0];
    const whole = cut === null ? text : text.slice(0, cut.index);
    // The parser would first read it to its end.
    if (!this.#builder.isOpened && whole.includes('<!DOCTYPE')) throw malformedXml();
    if (whole !== '') this.#parser.write(whole.includes('&#') ? this.#renameControls(whole) : whole);
  }

  #renameControls(text: string): string {
    return text.replace(controlReference, (reference, hex: string | undefined, decimal: string | undefined) => {
      const code = hex === undefined ? Number.parseInt(decimal ?? '', 10) : Number.parseInt(hex, 16);
      // Tab, line feed and carriage return are legal.
      if (code === 0x9 || code === 0xa || code === 0xd) return reference;
      this.#hasControlReference = true;
      this.#parser.ENTITIES[`control-${code}`] = String.fromCharCode(code);
      return `&control-${code};`;
    });
  }

  #decode(bytes: Uint8Array | null): string {
    try {
      return bytes === null ? this.#decoder.decode() : this.#decoder.decode(bytes, { stream: true });
    } catch {
      // The decoder says nothing but that the bytes are not UTF-8.
      throw malformedXml();
    }
  }
}
