/**
 * Distinguished names (RFC 4514) as values: parsed once, printed in one form, so that two spellings of a name
 * are one account. Types lose their case, values keep theirs: which values are equal is the directory's to say.
 */

/** Longer names are nobody's: with their escapes they would not fit into a record's name. */
const dnCharsMax = 2048;
const partsMax = 64;
const valuesOfPartMax = 16;

export interface DnAttribute {
  /** Lower case: a name or a dotted number. */
  readonly type: string;
  /** Without escapes. */
  readonly value: string;
}

/** Several attributes name one entry together, in an order that does not matter. */
export type DnPart = readonly DnAttribute[];

export class Dn {
  /** The one spelling: for comparing and for storing. ASCII only, as other servers of this API store it. */
  readonly text: string;

  private constructor(readonly parts: readonly DnPart[]) {
    this.text = parts.map((part) => part.map(printAttribute).join('+')).join(',');
  }

  /** Null when it is not one, or names nothing (the root of a directory is nobody's account). */
  static parse(text: string): Dn | null {
    if (text.length > dnCharsMax || /\p{Cs}/u.test(text)) return null;
    const parts = new DnReader(text).read();
    return parts === null || parts.length === 0 ? null : new Dn(parts);
  }

  /** For people: as little is escaped as can be read back. */
  get readable(): string {
    return this.parts.map((part) => part.map(readableAttribute).join('+')).join(',');
  }

  /** The name itself, or one somewhere below it. By its parts, so that the end of a value is not a base. */
  isWithin(base: Dn): boolean {
    const above = this.parts.length - base.parts.length;
    if (above < 0) return false;
    return base.parts.every((part, index) => isSamePart(part, this.parts[above + index] ?? []));
  }
}

/** Where a part lies: cases of the names of organisations differ between a directory and its settings. */
function isSamePart(left: DnPart, right: DnPart): boolean {
  if (left.length !== right.length) return false;
  return left.every(({ type, value }, index) => {
    const other = right[index];
    return other !== undefined && type === other.type && fold(value) === fold(other.value);
  });
}

function fold(value: string): string {
  return value.normalize('NFKC').toLowerCase().replace(/\s+/g, ' ');
}

function printAttribute({ type, value }: DnAttribute): string {
  let printed = '';
  const chars = [...value];
  for (const [index, char] of chars.entries()) {
    const isEdge = (char === ' ' && (index === 0 || index === chars.length - 1)) || (char === '#' && index === 0);
    if (isEdge || /["+,;<>\\]/.test(char)) printed += `\\${char}`;
    else if (char < ' ' || char > '~') printed += Buffer.from(char).toString('hex').replace(/../g, '\\$&');
    else printed += char;
  }
  return `${type}=${printed}`;
}

function readableAttribute({ type, value }: DnAttribute): string {
  const escaped = value
    .replace(/["+,;<>\\]/g, '\\$&')
    .replace(/(?<=.) $/, '\\ ')
    .replace(/^[ #]/, '\\$&')
    .replace(/[\x00-\x1f\x7f]/g, (char) => `\\${char.charCodeAt(0).toString(16).padStart(2, '0')}`);
  return `${type}=${escaped}`;
}

const typePattern = /^(?:[a-z][a-z0-9-]*|\d+(?:\.\d+)+)$/i;
const hexPattern = /^[0-9a-f]{2}$/i;

/** One pass; every method leaves `#at` behind what it has read. */
class DnReader {
  #at = 0;

  constructor(private readonly text: string) {}

  read(): readonly DnPart[] | null {
    const parts: DnPart[] = [];
    this.#spaces();
    if (this.#at === this.text.length) return parts;
    for (;;) {
      const part = this.#part();
      if (part === null || parts.length === partsMax) return null;
      parts.push(part);
      if (this.#at === this.text.length) return parts;
      // LDAPv2 separated by semicolons, which RFC 4514 reads no more; directories still do.
      if (!this.#take(',') && !this.#take(';')) return null;
    }
  }

  #part(): DnPart | null {
    const attributes: DnAttribute[] = [];
    do {
      const attribute = this.#attribute();
      if (attribute === null || attributes.length === valuesOfPartMax) return null;
      attributes.push(attribute);
    } while (this.#take('+'));
    return attributes.sort((a, b) => compare(a.type, b.type) || compare(a.value, b.value));
  }

  #attribute(): DnAttribute | null {
    const end = this.text.indexOf('=', this.#at);
    if (end < 0) return null;
    const type = this.text.slice(this.#at, end).trim();
    if (!typePattern.test(type)) return null;
    this.#at = end + 1;
    this.#spaces();
    const value = this.#value();
    // An entry cannot be named by nothing.
    return value === null || value === '' ? null : { type: type.toLowerCase(), value };
  }

  #value(): string | null {
    const first = this.text[this.#at];
    if (first === '#') return this.#encoded();
    if (first === '"') return this.#quoted();
    return this.#plain();
  }

  #plain(): string | null {
    const bytes = new ValueBytes();
    while (this.#at < this.text.length) {
      const char = String.fromCodePoint(this.text.codePointAt(this.#at) ?? 0);
      if (char === ',' || char === ';' || char === '+') break;
      if (char === '"' || char === '<' || char === '>') return null;
      if (char === '\\') {
        if (!this.#escape(bytes)) return null;
        continue;
      }
      bytes.add(char, char === ' ');
      this.#at += char.length;
    }
    return bytes.text();
  }

  /** RFC 2253 kept this older form readable. */
  #quoted(): string | null {
    const bytes = new ValueBytes();
    this.#at++;
    for (;;) {
      const char = this.text[this.#at];
      if (char === undefined) return null;
      if (char === '"') break;
      if (char === '\\') {
        if (!this.#escape(bytes)) return null;
        continue;
      }
      const whole = String.fromCodePoint(this.text.codePointAt(this.#at) ?? 0);
      bytes.add(whole, false);
      this.#at += whole.length;
    }
    this.#at++;
    this.#spaces();
    return bytes.text();
  }

  #escape(bytes: ValueBytes): boolean {
    const hex = this.text.slice(this.#at + 1, this.#at + 3);
    if (hexPattern.test(hex)) {
      bytes.addByte(Number.parseInt(hex, 16));
      this.#at += 3;
      return true;
    }
    const char = this.text[this.#at + 1];
    if (char === undefined || !/[ "#+,;<=>\\]/.test(char)) return false;
    bytes.add(char, false);
    this.#at += 2;
    return true;
  }

  /** `#` and the BER of the value: text of one of the kinds of strings, or nothing that names an account. */
  #encoded(): string | null {
    const found = /^#((?:[0-9a-f]{2})+) */i.exec(this.text.slice(this.#at));
    if (found === null) return null;
    this.#at += found[0].length;
    const bytes = Buffer.from(found[1] ?? '', 'hex');
    const isText = [0x04, 0x0c, 0x12, 0x13, 0x16].includes(bytes[0] ?? 0);
    const length = bytes[1] ?? 0;
    if (!isText || length >= 0x80 || bytes.length !== length + 2) return null;
    return decode(bytes.subarray(2));
  }

  #take(char: string): boolean {
    this.#spaces();
    if (this.text[this.#at] !== char) return false;
    this.#at++;
    this.#spaces();
    return true;
  }

  #spaces(): void {
    while (this.text[this.#at] === ' ') this.#at++;
  }
}

/** Hex escapes are bytes of UTF-8, mixed with characters. Spaces at the end count only when they were escaped. */
class ValueBytes {
  readonly #pieces: Buffer[] = [];
  #keep = 0;

  add(char: string, isPlainSpace: boolean): void {
    this.#pieces.push(Buffer.from(char));
    if (!isPlainSpace) this.#keep = this.#pieces.length;
  }

  addByte(byte: number): void {
    this.#pieces.push(Buffer.of(byte));
    this.#keep = this.#pieces.length;
  }

  text(): string | null {
    return decode(Buffer.concat(this.#pieces.slice(0, this.#keep)));
  }
}

function decode(bytes: Buffer): string | null {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    // Bytes that are no text name no account here.
    return null;
  }
}

function compare(left: string, right: string): number {
  return left < right ? -1 : left > right ? 1 : 0;
}
