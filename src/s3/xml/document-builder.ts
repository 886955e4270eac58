/** Fits the events of the XML parser to a schema. One per document; throws MalformedXML at the first misfit. */
import type { Refusal } from '../../base/index.js';
import { s3Error } from '../errors.js';
import type { DocumentSchema, Field, Fields, Parsed, TextField } from './schema.js';

/** Deeper than any document of the API; skipped elements count too. */
const depthMax = 16;
/** Elements of the API carry a namespace declaration or an xsi:type, nothing more. */
const attributesMax = 16;

type Value = string | null | ParsedRecord[];
interface ParsedRecord {
  [name: string]: Value;
}

type Frame =
  | { readonly kind: 'group'; readonly fields: Fields; readonly record: ParsedRecord }
  | {
      readonly kind: 'text';
      readonly field: TextField;
      readonly name: string;
      readonly into: ParsedRecord;
      text: string;
    }
  | { readonly kind: 'skipped' };

export function malformedXml(): Refusal {
  return s3Error('MalformedXML');
}

export class DocumentBuilder<F extends Fields> {
  readonly #schema: DocumentSchema<F>;
  readonly #frames: Frame[] = [];
  #root: ParsedRecord | null = null;
  #elementCount = 0;
  #attributeCount = 0;

  constructor(schema: DocumentSchema<F>) {
    this.#schema = schema;
  }

  /** The root element was seen. */
  get isOpened(): boolean {
    return this.#root !== null;
  }

  attribute(): void {
    this.#attributeCount += 1;
    if (this.#attributeCount > attributesMax) throw malformedXml();
  }

  open(qualifiedName: string): void {
    this.#attributeCount = 0;
    this.#elementCount += 1;
    if (this.#elementCount > this.#schema.elementsMax) throw malformedXml();
    if (this.#frames.length >= depthMax) throw malformedXml();
    const name = localName(qualifiedName);
    const parent = this.#frames.at(-1);
    if (parent === undefined) {
      if (name !== this.#schema.root) throw malformedXml();
      this.#root = emptyRecord(this.#schema.fields);
      this.#frames.push({ kind: 'group', fields: this.#schema.fields, record: this.#root });
    } else if (parent.kind === 'text') {
      throw malformedXml();
    } else {
      this.#frames.push(parent.kind === 'skipped' ? parent : childFrame(parent.fields, parent.record, name));
    }
  }

  text(text: string): void {
    const frame = this.#frames.at(-1);
    if (frame === undefined || frame.kind === 'skipped') return;
    if (frame.kind === 'group') {
      if (/[^ \t\r\n]/.test(text)) throw malformedXml();
      return;
    }
    if (frame.text.length + text.length > frame.field.charsMax) throw malformedXml();
    frame.text += text;
  }

  close(): void {
    const frame = this.#frames.pop();
    if (frame === undefined || frame.kind === 'skipped') return;
    if (frame.kind === 'text') frame.into[frame.name] = frame.text;
    else requireFields(frame.fields, frame.record);
  }

  /** Requires: the parser saw the end of a well-formed document. */
  finish(): Parsed<F> {
    if (this.#root === null || this.#frames.length > 0) throw malformedXml();
    // The record was built from this very schema: `emptyRecord`, `childFrame` and `requireFields` make it so.
    return this.#root as unknown as Parsed<F>;
  }
}

function localName(qualifiedName: string): string {
  return qualifiedName.slice(qualifiedName.indexOf(':') + 1);
}

function emptyRecord(fields: Fields): ParsedRecord {
  const record: ParsedRecord = {};
  for (const [name, field] of Object.entries(fields)) record[name] = field.kind === 'list' ? [] : null;
  return record;
}

function childFrame(fields: Fields, record: ParsedRecord, name: string): Frame {
  const field: Field | undefined = Object.hasOwn(fields, name) ? fields[name] : undefined;
  if (field === undefined) return { kind: 'skipped' };
  const before = record[name];
  if (field.kind === 'text') {
    if (before !== null) throw malformedXml();
    return { kind: 'text', field, name, into: record, text: '' };
  }
  if (!Array.isArray(before) || before.length >= field.countMax) throw malformedXml();
  const element = emptyRecord(field.fields);
  before.push(element);
  return { kind: 'group', fields: field.fields, record: element };
}

function requireFields(fields: Fields, record: ParsedRecord): void {
  for (const name in fields) {
    const field = fields[name];
    if (field?.kind === 'text' && field.required && record[name] === null) throw malformedXml();
  }
}
