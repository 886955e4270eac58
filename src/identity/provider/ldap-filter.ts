/**
 * Search filters (RFC 4515) of the settings, parsed once. What a client sends goes into the parsed filter as a
 * value, never into its text: there is nothing to escape, and nothing to inject into.
 */
import {
  AndFilter,
  ApproximateFilter,
  EqualityFilter,
  ExtensibleFilter,
  GreaterThanEqualsFilter,
  LessThanEqualsFilter,
  NotFilter,
  OrFilter,
  PresenceFilter,
  SubstringFilter,
  type Filter,
} from 'ldapts';

/** What stands in for `%s` and `%d`; null: any value there is. */
export interface FilterValues {
  readonly login: string | null;
  readonly dn: string | null;
}

/** A value as pieces: text, one of the two stand-ins, or a star. */
type Piece = { readonly text: Buffer } | 'login' | 'dn' | 'any';
type Node =
  | { readonly kind: 'and' | 'or'; readonly parts: readonly Node[] }
  | { readonly kind: 'not'; readonly part: Node }
  | { readonly kind: 'equal'; readonly attribute: string; readonly value: readonly Piece[] }
  | { readonly kind: '>=' | '<=' | '~='; readonly attribute: string; readonly value: readonly Piece[] }
  | {
      readonly kind: 'rule';
      readonly attribute: string;
      readonly rule: string;
      readonly hasDn: boolean;
      readonly value: readonly Piece[];
    };

const filterCharsMax = 4096;
const depthMax = 32;
const attributePattern = /^(?:[a-z][a-z0-9-]*|\d+(?:\.\d+)+)(?:;[a-z0-9-]+)*/i;

export class FilterTemplate {
  private constructor(
    private readonly root: Node,
    readonly hasLogin: boolean,
    readonly hasDn: boolean,
  ) {}

  /** Null when it is not a filter. */
  static parse(text: string): FilterTemplate | null {
    const trimmed = text.trim();
    if (trimmed === '' || trimmed.length > filterCharsMax || /\p{Cs}/u.test(trimmed)) return null;
    const reader = new FilterReader(trimmed.startsWith('(') ? trimmed : `(${trimmed})`);
    const root = reader.read();
    return root === null ? null : new FilterTemplate(root, reader.seen.has('login'), reader.seen.has('dn'));
  }

  with(values: FilterValues): Filter {
    return build(this.root, values);
  }

  /** The attribute that must equal the login name: where to read it of an entry. Null: there is none. */
  get loginAttribute(): string | null {
    return loginAttributeOf(this.root);
  }
}

function loginAttributeOf(node: Node): string | null {
  if (node.kind === 'equal') return node.value.length === 1 && node.value[0] === 'login' ? node.attribute : null;
  if (node.kind !== 'and' && node.kind !== 'or') return null;
  return node.parts.reduce<string | null>((found, part) => found ?? loginAttributeOf(part), null);
}

function build(node: Node, values: FilterValues): Filter {
  switch (node.kind) {
    case 'and':
      return new AndFilter({ filters: node.parts.map((part) => build(part, values)) });
    case 'or':
      return new OrFilter({ filters: node.parts.map((part) => build(part, values)) });
    case 'not':
      return new NotFilter({ filter: build(node.part, values) });
    case 'equal':
      return equality(node.attribute, fill(node.value, values));
    case '>=':
      return new GreaterThanEqualsFilter({ attribute: node.attribute, value: whole(node.value, values) });
    case '<=':
      return new LessThanEqualsFilter({ attribute: node.attribute, value: whole(node.value, values) });
    case '~=':
      return new ApproximateFilter({ attribute: node.attribute, value: whole(node.value, values) });
    case 'rule':
      return new ExtensibleFilter({
        matchType: node.attribute,
        rule: node.rule,
        dnAttributes: node.hasDn,
        value: whole(node.value, values),
      });
  }
}

/** Between stars, at least one string: with none the value is whole. */
function fill(pieces: readonly Piece[], { login, dn }: FilterValues): readonly Buffer[] {
  const runs: Buffer[][] = [[]];
  for (const piece of pieces) {
    const value = piece === 'login' ? login : piece === 'dn' ? dn : piece === 'any' ? null : piece.text;
    if (value === null) runs.push([]);
    else runs.at(-1)?.push(Buffer.from(value));
  }
  return runs.map((run) => Buffer.concat(run));
}

function equality(attribute: string, runs: readonly Buffer[]): Filter {
  const [first = Buffer.alloc(0)] = runs;
  if (runs.length === 1) return new EqualityFilter({ attribute, value: first });
  if (runs.every((run) => run.length === 0)) return new PresenceFilter({ attribute });
  return new SubstringFilter({
    attribute,
    initial: first.toString(),
    // Two stars in a row are one.
    any: runs.slice(1, -1).flatMap((run) => (run.length === 0 ? [] : [run.toString()])),
    final: (runs.at(-1) ?? Buffer.alloc(0)).toString(),
  });
}

/** Where stars mean nothing: what is left open matches as a literal star, so nothing. */
function whole(pieces: readonly Piece[], values: FilterValues): string {
  return Buffer.concat(
    fill(pieces, values).flatMap((run, index) => (index === 0 ? [run] : [Buffer.from('*'), run])),
  ).toString();
}

class FilterReader {
  readonly seen = new Set<'login' | 'dn'>();
  #at = 0;

  constructor(private readonly text: string) {}

  read(): Node | null {
    const node = this.#filter(0);
    return node !== null && this.#at === this.text.length ? node : null;
  }

  #filter(depth: number): Node | null {
    if (depth > depthMax || !this.#take('(')) return null;
    const node = this.#inside(depth);
    return node !== null && this.#take(')') ? node : null;
  }

  #inside(depth: number): Node | null {
    const char = this.text[this.#at];
    if (char === '&' || char === '|') {
      this.#at++;
      const parts: Node[] = [];
      this.#spaces();
      while (this.text[this.#at] === '(') {
        const part = this.#filter(depth + 1);
        if (part === null) return null;
        parts.push(part);
        this.#spaces();
      }
      return parts.length === 0 ? null : { kind: char === '&' ? 'and' : 'or', parts };
    }
    if (char === '!') {
      this.#at++;
      this.#spaces();
      const part = this.#filter(depth + 1);
      this.#spaces();
      return part === null ? null : { kind: 'not', part };
    }
    return this.#item();
  }

  #item(): Node | null {
    const attribute = attributePattern.exec(this.text.slice(this.#at))?.[0] ?? '';
    this.#at += attribute.length;
    const rest = this.text.slice(this.#at);
    const operator = /^(?:=|>=|<=|~=|(:dn)?(?::([a-z0-9.-]+))?:=)/i.exec(rest);
    if (operator === null) return null;
    const [found, dnFlag, rule = ''] = operator;
    this.#at += found.length;
    const value = this.#value();
    if (value === null) return null;
    if (found.endsWith(':=')) {
      // Without an attribute there must be a rule, and with neither there is nothing to match.
      if (attribute === '' && rule === '') return null;
      return value.includes('any') ? null : { kind: 'rule', attribute, rule, hasDn: dnFlag !== undefined, value };
    }
    if (attribute === '') return null;
    if (found === '=') return isText(value) || !value.includes('any') ? { kind: 'equal', attribute, value } : null;
    return value.includes('any') || !isText(value) ? null : { kind: found as '>=' | '<=' | '~=', attribute, value };
  }

  /** Up to the closing bracket. */
  #value(): readonly Piece[] | null {
    const pieces: Piece[] = [];
    for (;;) {
      const char = this.text[this.#at];
      if (char === undefined || char === '(' || char === '\0') return null;
      if (char === ')') return pieces;
      const next = this.text[this.#at + 1];
      if (char === '*') {
        pieces.push('any');
        this.#at++;
      } else if (char === '%' && (next === 's' || next === 'd')) {
        const name = next === 's' ? 'login' : 'dn';
        this.seen.add(name);
        pieces.push(name);
        this.#at += 2;
      } else if (char === '\\') {
        const hex = this.text.slice(this.#at + 1, this.#at + 3);
        if (!/^[0-9a-f]{2}$/i.test(hex)) return null;
        pieces.push({ text: Buffer.from(hex, 'hex') });
        this.#at += 3;
      } else {
        const whole = String.fromCodePoint(this.text.codePointAt(this.#at) ?? 0);
        pieces.push({ text: Buffer.from(whole) });
        this.#at += whole.length;
      }
    }
  }

  #take(char: string): boolean {
    if (this.text[this.#at] !== char) return false;
    this.#at++;
    return true;
  }

  #spaces(): void {
    while (this.text[this.#at] === ' ') this.#at++;
  }
}

/** Only whole values can be other bytes than text: the library writes the rest as UTF-8. */
function isText(pieces: readonly Piece[]): boolean {
  const bytes = Buffer.concat(pieces.map((piece) => (typeof piece === 'string' ? Buffer.from('*') : piece.text)));
  return Buffer.from(bytes.toString()).equals(bytes);
}
