/**
 * JSON that remembers where each part stood, for messages that name the place. Stricter than JSON.parse:
 * an object must not name a field twice (readers differ in which one counts), depth is bounded, and
 * text must be well-formed Unicode.
 */
import { policyDepthMax } from './limits.js';
import { PolicyRefusal, quote } from './policy-refusal.js';

interface NodeBase {
  /** `Statement[2].Action[0]` */
  readonly place: string;
  readonly offset: number;
}

export type JsonNode = NodeBase &
  (
    | { readonly type: 'object'; readonly fields: ReadonlyMap<string, JsonNode> }
    | { readonly type: 'array'; readonly items: readonly JsonNode[] }
    | { readonly type: 'string'; readonly value: string }
    /** As it was spelled. */
    | { readonly type: 'number'; readonly value: string }
    | { readonly type: 'boolean'; readonly value: boolean }
    | { readonly type: 'null' }
  );

export interface JsonDocument {
  readonly root: JsonNode;
  fault(node: NodeBase, what: string): PolicyRefusal;
}

/** 1-based; columns count UTF-16 units, as editors do. */
function position(text: string, offset: number): { line: number; column: number } {
  const before = text.slice(0, offset);
  const lineStart = before.lastIndexOf('\n') + 1;
  return { line: before.split('\n').length, column: offset - lineStart + 1 };
}

const number = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
const plainText = /[^"\\\u0000-\u001f]*/y;
const space = /[ \t\r\n]*/y;
const escapes: ReadonlyMap<string, string> = new Map([
  ['"', '"'],
  ['\\', '\\'],
  ['/', '/'],
  ['b', '\b'],
  ['f', '\f'],
  ['n', '\n'],
  ['r', '\r'],
  ['t', '\t'],
]);

class Reader {
  private offset = 0;

  constructor(private readonly text: string) {}

  document(): JsonNode {
    this.skipSpace();
    const root = this.value('', 1);
    this.skipSpace();
    if (this.offset < this.text.length) throw this.fault('', 'nothing may follow the end of the document');
    return root;
  }

  private fault(place: string, what: string, offset = this.offset): PolicyRefusal {
    return new PolicyRefusal(place, position(this.text, offset), what);
  }

  private match(pattern: RegExp): string {
    pattern.lastIndex = this.offset;
    const found = pattern.exec(this.text)?.[0] ?? '';
    this.offset += found.length;
    return found;
  }

  private skipSpace(): void {
    this.match(space);
  }

  private found(): string {
    const at = this.text.codePointAt(this.offset);
    return at === undefined ? 'the end of the document' : quote(String.fromCodePoint(at));
  }

  private value(place: string, depth: number): JsonNode {
    if (depth > policyDepthMax) throw this.fault(place, `nested deeper than ${policyDepthMax} levels`);
    const { offset } = this;
    const next = this.text[offset];
    if (next === '{') return { type: 'object', place, offset, fields: this.fields(place, depth) };
    if (next === '[') return { type: 'array', place, offset, items: this.items(place, depth) };
    if (next === '"') return { type: 'string', place, offset, value: this.string(place) };
    for (const [word, node] of [
      ['true', { type: 'boolean', value: true }],
      ['false', { type: 'boolean', value: false }],
      ['null', { type: 'null' }],
    ] as const) {
      if (!this.text.startsWith(word, offset)) continue;
      this.offset += word.length;
      return { ...node, place, offset };
    }
    const digits = this.match(number);
    if (digits === '') throw this.fault(place, `expected a JSON value, found ${this.found()}`);
    return { type: 'number', place, offset, value: digits };
  }

  private fields(place: string, depth: number): Map<string, JsonNode> {
    const fields = new Map<string, JsonNode>();
    this.offset++;
    this.skipSpace();
    if (this.text[this.offset] === '}') {
      this.offset++;
      return fields;
    }
    for (;;) {
      this.skipSpace();
      const { offset } = this;
      if (this.text[offset] !== '"') throw this.fault(place, `expected a field name in quotes, found ${this.found()}`);
      const name = this.string(place);
      if (fields.has(name)) throw this.fault(place, `the field ${quote(name)} appears twice`, offset);
      this.skipSpace();
      if (this.text[this.offset] !== ':') throw this.fault(place, `expected ":", found ${this.found()}`);
      this.offset++;
      this.skipSpace();
      fields.set(name, this.value(place === '' ? name : `${place}.${name}`, depth + 1));
      this.skipSpace();
      const end = this.text[this.offset];
      if (end !== ',' && end !== '}') throw this.fault(place, `expected "," or "}", found ${this.found()}`);
      this.offset++;
      if (end === '}') return fields;
    }
  }

  private items(place: string, depth: number): JsonNode[] {
    const items: JsonNode[] = [];
    this.offset++;
    this.skipSpace();
    if (this.text[this.offset] === ']') {
      this.offset++;
      return items;
    }
    for (;;) {
      this.skipSpace();
      items.push(this.value(`${place}[${items.length}]`, depth + 1));
      this.skipSpace();
      const end = this.text[this.offset];
      if (end !== ',' && end !== ']') throw this.fault(place, `expected "," or "]", found ${this.found()}`);
      this.offset++;
      if (end === ']') return items;
    }
  }

  private string(place: string): string {
    const start = this.offset++;
    let value = '';
    for (;;) {
      value += this.match(plainText);
      const end = this.text[this.offset];
      if (end === undefined) throw this.fault(place, 'a string has no closing quote', start);
      if (end !== '"' && end !== '\\') throw this.fault(place, 'control characters in a string must be escaped');
      this.offset++;
      if (end === '"') break;
      value += this.escape(place);
    }
    if (/\p{Surrogate}/u.test(value)) throw this.fault(place, 'a string holds half a surrogate pair', start);
    return value;
  }

  /** After the backslash. */
  private escape(place: string): string {
    const letter = this.text[this.offset] ?? '';
    this.offset++;
    const plain = escapes.get(letter);
    if (plain !== undefined) return plain;
    const digits = this.text.slice(this.offset, this.offset + 4);
    if (letter !== 'u' || !/^[0-9a-fA-F]{4}$/.test(digits)) {
      throw this.fault(place, 'a string holds an unknown escape', this.offset - 2);
    }
    this.offset += 4;
    return String.fromCharCode(Number.parseInt(digits, 16));
  }
}

export function parseJson(text: string): JsonDocument {
  const root = new Reader(text).document();
  return { root, fault: (node, what) => new PolicyRefusal(node.place, position(text, node.offset), what) };
}

/** Compact JSON of the same content. */
export function stringify(node: JsonNode): string {
  switch (node.type) {
    case 'object':
      return `{${[...node.fields].map(([name, value]) => `${JSON.stringify(name)}:${stringify(value)}`).join(',')}}`;
    case 'array':
      return `[${node.items.map(stringify).join(',')}]`;
    case 'string':
      return JSON.stringify(node.value);
    case 'number':
      return node.value;
    case 'boolean':
      return String(node.value);
    case 'null':
      return 'null';
  }
}
