/**
 * multipart/form-data as S3 reads it: fields, then one file, and whatever follows the file is ignored. Works at
 * any fragment boundary. What stands before the file is held (bounded); the file passes through as ranges of
 * the borrowed fragments. Main thread.
 */
import { limits } from '../base/index.js';
import { s3Error } from './errors.js';

export interface FormHead {
  /** By lower-case name; of a repeated name the first. */
  readonly fields: ReadonlyMap<string, string>;
  /** As the browser names it, without folders; empty when it does not. */
  readonly fileName: string;
  /** Bytes of the body in front of the file. */
  readonly fileOffset: number;
}

export interface FormSink {
  /** Once, before the file. */
  head(head: FormHead): void;
  /** Borrows bytes [start, end) of `chunk` until it returns. Never empty. */
  data(chunk: Uint8Array, start: number, end: number): void;
  /** The file is complete. */
  fileEnd(): void;
}

const CRLF = '\r\n';
const dash = 0x2d;
const headBytesMax = limits.formFieldsBytesMax + CRLF.length;
/** RFC 2046. */
const boundaryCharsMax = 70;
const boundaryText = /^[0-9A-Za-z'()+_,\-./:=? ]*[0-9A-Za-z'()+_,\-./:=?]$/;

export function malformedForm(): Error {
  return s3Error('MalformedPOSTRequest');
}

/** From the Content-Type; null when it is not of a form. Throws MalformedPOSTRequest without a usable boundary. */
export function parseBoundary(contentType: string): string | null {
  if (!/^\s*multipart\/form-data\s*(;|$)/i.test(contentType)) return null;
  const match = /;\s*boundary=(?:"([^"]*)"|([^\s;]+))/i.exec(contentType);
  const boundary = match?.[1] ?? match?.[2] ?? '';
  if (boundary.length > boundaryCharsMax || !boundaryText.test(boundary)) throw malformedForm();
  return boundary;
}

/** Bytes that close a form behind its file, in the way that browsers write it. */
export function closingBytes(boundary: string): number {
  return `${CRLF}--${boundary}--${CRLF}`.length;
}

export class FormScanner {
  readonly #sink: FormSink;
  readonly #delimiter: Buffer;
  readonly #fields = new Map<string, string>();
  #phase: 'head' | 'file' | 'rest' = 'head';
  /** The body so far with a line break in front, so that the first delimiter is like the others. */
  #head: Buffer;
  #headBytes = CRLF.length;
  /** Where the part that is read begins: at its delimiter; null before the first was found. */
  #cursor: number | null = null;
  /** The part at the cursor, once its headers are there. */
  #part: { readonly name: string; readonly fileName: string; readonly bodyStart: number } | null = null;
  /** Up to here there is no end of what is looked for. */
  #searched = 0;
  /** The end of a fragment that may be the beginning of the delimiter. */
  #carry: Buffer = Buffer.alloc(0);

  constructor(boundary: string, sink: FormSink) {
    this.#sink = sink;
    this.#delimiter = Buffer.from(`${CRLF}--${boundary}`, 'latin1');
    this.#head = Buffer.alloc(4096);
    this.#head.write(CRLF, 'latin1');
  }

  /** Borrows the range until it returns. After a refusal nothing more may be pushed. */
  push(chunk: Uint8Array, start: number, end: number): void {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset + start, end - start);
    if (this.#phase === 'head') this.#pushHead(bytes);
    else if (this.#phase === 'file') this.#pushFile(bytes);
  }

  /** The body is over. Throws MalformedPOSTRequest when it was cut short. */
  end(): void {
    if (this.#phase !== 'rest') throw malformedForm();
  }

  #pushHead(bytes: Buffer): void {
    const before = this.#headBytes;
    const taken = Math.min(bytes.length, headBytesMax - before);
    this.#grow(before + taken);
    bytes.copy(this.#head, before, 0, taken);
    this.#headBytes += taken;
    const fileStart = this.#readParts();
    if (fileStart === null) {
      if (taken < bytes.length) throw s3Error('MaxPostPreDataLengthExceeded');
      return;
    }
    this.#phase = 'file';
    this.#head = Buffer.alloc(0);
    const rest = bytes.subarray(fileStart - before);
    if (rest.length > 0) this.#pushFile(rest);
  }

  #grow(bytes: number): void {
    if (bytes <= this.#head.length) return;
    const grown = Buffer.alloc(Math.max(bytes, Math.min(this.#head.length * 4, headBytesMax)));
    this.#head.copy(grown, 0, 0, this.#headBytes);
    this.#head = grown;
  }

  /** Reads the parts that are there as a whole; where the file begins once that is known. */
  #readParts(): number | null {
    for (;;) {
      this.#part ??= this.#readPartHeaders();
      if (this.#part === null) return null;
      const { name, fileName, bodyStart } = this.#part;
      if (name === 'file') {
        this.#sink.head({ fields: this.#fields, fileName, fileOffset: bodyStart - CRLF.length });
        return bodyStart;
      }
      const bodyEnd = this.#find(this.#delimiter, bodyStart);
      if (bodyEnd === null) return null;
      if (!this.#fields.has(name)) this.#fields.set(name, decodeText(this.#head.subarray(bodyStart, bodyEnd)));
      this.#part = null;
      this.#cursor = bodyEnd;
    }
  }

  #readPartHeaders(): { name: string; fileName: string; bodyStart: number } | null {
    this.#cursor ??= this.#find(this.#delimiter, 0);
    if (this.#cursor === null) return null;
    const lineStart = this.#cursor + this.#delimiter.length;
    if (this.#headBytes < lineStart + 2) return null;
    if (this.#head[lineStart] === dash && this.#head[lineStart + 1] === dash) {
      throw s3Error('IncorrectNumberOfFilesInPostRequest');
    }
    if (this.#head.toString('latin1', lineStart, lineStart + 2) !== CRLF) throw malformedForm();
    const headersEnd = this.#find(blankLine, lineStart);
    if (headersEnd === null) return null;
    const headers = decodeText(this.#head.subarray(lineStart, headersEnd));
    return { ...parseDisposition(headers), bodyStart: headersEnd + blankLine.length };
  }

  /** First place of `text` at or behind `from`; remembers how far it has looked. */
  #find(text: Buffer, from: number): number | null {
    const start = Math.max(from, this.#searched - text.length + 1);
    const found = this.#head.subarray(0, this.#headBytes).indexOf(text, start);
    if (found !== -1) return found;
    this.#searched = Math.max(this.#searched, this.#headBytes);
    return null;
  }

  #pushFile(bytes: Buffer): void {
    let rest = bytes;
    if (this.#carry.length > 0) {
      const joined = Buffer.concat([this.#carry, bytes.subarray(0, this.#delimiter.length - 1)]);
      const found = joined.indexOf(this.#delimiter);
      if (found !== -1) return this.#endFile(joined, found);
      if (bytes.length < this.#delimiter.length - 1) {
        this.#emitKeepingTail(joined);
        return;
      }
      // The delimiter does not begin in what was kept.
      const kept = this.#carry;
      this.#carry = Buffer.alloc(0);
      this.#sink.data(kept, 0, kept.length);
      rest = bytes;
    }
    const found = rest.indexOf(this.#delimiter);
    if (found !== -1) this.#endFile(rest, found);
    else this.#emitKeepingTail(rest);
  }

  #endFile(bytes: Buffer, end: number): void {
    this.#phase = 'rest';
    this.#carry = Buffer.alloc(0);
    if (end > 0) this.#sink.data(bytes, 0, end);
    this.#sink.fileEnd();
  }

  /** The delimiter has one carriage return, at its start: only the last of the bytes may begin it. */
  #emitKeepingTail(bytes: Buffer): void {
    const last = bytes.lastIndexOf(0x0d);
    const tail = last === -1 ? Buffer.alloc(0) : bytes.subarray(last);
    const isBeginning = tail.length < this.#delimiter.length && this.#delimiter.subarray(0, tail.length).equals(tail);
    const keptBytes = isBeginning ? tail.length : 0;
    this.#carry = Buffer.from(bytes.subarray(bytes.length - keptBytes));
    if (bytes.length > keptBytes) this.#sink.data(bytes, 0, bytes.length - keptBytes);
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function decodeText(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes);
  } catch {
    // A key must not become another one because its bytes mean nothing.
    throw malformedForm();
  }
}

const blankLine = Buffer.from('\r\n\r\n', 'latin1');

/** `\r\nName: value` lines. */
function parseDisposition(headers: string): { name: string; fileName: string } {
  const value = /\r\ncontent-disposition:([^\r\n]*)/i.exec(headers)?.[1];
  if (value === undefined || !/^\s*form-data\s*;/i.test(value)) throw malformedForm();
  const name = parameter(value, 'name');
  if (name === null || name === '') throw malformedForm();
  const fileName = parameter(value, 'filename') ?? '';
  // Some browsers send the whole path.
  return {
    name: name.toLowerCase(),
    fileName: fileName.slice(Math.max(fileName.lastIndexOf('/'), fileName.lastIndexOf('\\')) + 1),
  };
}

/** Quoted or bare. Browsers write a quote within as %22, curl as \". */
function parameter(value: string, name: string): string | null {
  const match = new RegExp(`;\\s*${name}=(?:"((?:\\\\"|[^"])*)"|([^\\s;"]*))`, 'i').exec(value);
  if (match === null) return null;
  return (match[1] ?? match[2] ?? '').replaceAll('\\"', '"').replaceAll('%22', '"');
}
