/** Little-endian encoding of records: what docs/format/records.md calls u8, u16, u32, u53, text and bytes. */
import { KiB, invariant } from '../base/index.js';

const twoTo32 = 0x1_0000_0000;
/** Fits one byte of the length field. */
export const shortTextChars = 80;

/** Letter by letter, which for so few is faster than calls out of JavaScript. False: not all of it is ASCII. */
export function writeAscii(buffer: Buffer, at: number, value: string): boolean {
  for (let index = 0; index < value.length; index++) {
    const code = value.charCodeAt(index);
    if (code > 0x7f) return false;
    buffer[at + index] = code;
  }
  return true;
}

/** Records are written one behind the other into memory that they share, and given away as views of it. */
const sharedBytes = 32 * KiB;
/** Less is not begun with: most records fit. */
const roomBytesMin = 1024;
let shared = Buffer.allocUnsafeSlow(sharedBytes);
let sharedAt = 0;
/** A record is being written at `sharedAt`; one that is begun meanwhile gets memory of its own. */
let isSharedTaken = false;
const nothing = Buffer.alloc(0);

/** For one record: nothing is written after `finish`. */
export class BinaryWriter {
  #buffer: Buffer;
  readonly #ownsShared: Buffer;
  #start: number;
  #at: number;

  constructor() {
    if (isSharedTaken || sharedAt + roomBytesMin > sharedBytes) {
      shared = Buffer.allocUnsafeSlow(sharedBytes);
      sharedAt = 0;
    }
    isSharedTaken = true;
    this.#buffer = this.#ownsShared = shared;
    this.#start = this.#at = sharedAt;
  }

  u8(value: number): this {
    this.#room(1);
    this.#buffer[this.#at++] = value;
    return this;
  }

  u16(value: number): this {
    this.#room(2);
    this.#at = this.#buffer.writeUInt16LE(value, this.#at);
    return this;
  }

  u32(value: number): this {
    this.#room(4);
    this.#at = this.#buffer.writeUInt32LE(value, this.#at);
    return this;
  }

  /** A safe integer in eight bytes. */
  u53(value: number): this {
    invariant(Number.isSafeInteger(value) && value >= 0, 'a stored number is a safe integer');
    this.#room(8);
    const low = value >>> 0;
    const high = (value - low) / twoTo32;
    const buffer = this.#buffer;
    const at = this.#at;
    // Byte by byte: the methods of Buffer check again what is known here.
    buffer[at] = low;
    buffer[at + 1] = low >>> 8;
    buffer[at + 2] = low >>> 16;
    buffer[at + 3] = low >>> 24;
    buffer[at + 4] = high;
    buffer[at + 5] = high >>> 8;
    buffer[at + 6] = high >>> 16;
    buffer[at + 7] = high >>> 24;
    this.#at = at + 8;
    return this;
  }

  /** UTF-8 behind its length in two bytes. */
  text(value: string): this {
    if (value.length <= shortTextChars && this.#shortText(value)) return this;
    const bytes = Buffer.byteLength(value);
    invariant(bytes <= 0xffff, 'a stored text fits its length field');
    this.#room(2 + bytes);
    this.#at = this.#buffer.writeUInt16LE(bytes, this.#at);
    this.#at += this.#buffer.write(value, this.#at, 'utf8');
    return this;
  }

  /** False: not all of it is ASCII. */
  #shortText(value: string): boolean {
    const { length } = value;
    this.#room(2 + length);
    const buffer = this.#buffer;
    const at = this.#at + 2;
    if (!writeAscii(buffer, at, value)) return false;
    buffer[at - 2] = length;
    buffer[at - 1] = 0;
    this.#at = at + length;
    return true;
  }

  /** As they are; the reader knows the length. */
  raw(value: Uint8Array): this {
    this.#room(value.length);
    this.#buffer.set(value, this.#at);
    this.#at += value.length;
    return this;
  }

  /** Behind their length in four bytes. */
  bytes(value: Uint8Array): this {
    return this.u32(value.length).raw(value);
  }

  finish(): Buffer {
    const record = this.#buffer.subarray(this.#start, this.#at);
    if (this.#ownsShared === shared) {
      isSharedTaken = false;
      // What has outgrown it leaves it as it was.
      if (this.#buffer === shared) sharedAt = this.#at;
    }
    this.#buffer = nothing;
    this.#at = 0;
    return record;
  }

  #room(bytes: number): void {
    const needed = this.#at + bytes;
    if (needed <= this.#buffer.length) return;
    invariant(this.#buffer !== nothing, 'a record is written before it is finished');
    const written = this.#at - this.#start;
    const larger = Buffer.allocUnsafeSlow(2 * (needed - this.#start));
    this.#buffer.copy(larger, 0, this.#start, this.#at);
    this.#buffer = larger;
    this.#start = 0;
    this.#at = written;
  }
}

/** What a damaged or foreign record meets: never an out-of-range read. */
export class RecordFormatError extends Error {
  override readonly name = 'RecordFormatError';
}

function byte(buffer: Buffer, at: number): number {
  return buffer[at] ?? 0;
}

export class BinaryReader {
  #at = 0;

  constructor(private readonly buffer: Buffer) {}

  u8(): number {
    const at = this.#take(1);
    return this.buffer[at] ?? 0;
  }

  u16(): number {
    return this.buffer.readUInt16LE(this.#take(2));
  }

  u32(): number {
    return this.buffer.readUInt32LE(this.#take(4));
  }

  u53(): number {
    const at = this.#take(8);
    const { buffer } = this;
    // Within the record, as `#take` has seen.
    const low =
      byte(buffer, at) | (byte(buffer, at + 1) << 8) | (byte(buffer, at + 2) << 16) | (byte(buffer, at + 3) << 24);
    const high =
      byte(buffer, at + 4) | (byte(buffer, at + 5) << 8) | (byte(buffer, at + 6) << 16) | (byte(buffer, at + 7) << 24);
    const value = (low >>> 0) + (high >>> 0) * twoTo32;
    if (!Number.isSafeInteger(value)) throw new RecordFormatError(`a number in a record is too large: ${value}`);
    return value;
  }

  text(): string {
    const bytes = this.u16();
    const at = this.#take(bytes);
    return this.buffer.toString('utf8', at, at + bytes);
  }

  /** A view, valid as long as the record's own memory. */
  raw(bytes: number): Buffer {
    const at = this.#take(bytes);
    return this.buffer.subarray(at, at + bytes);
  }

  bytes(): Buffer {
    return this.raw(this.u32());
  }

  skip(bytes: number): void {
    this.#take(bytes);
  }

  get rest(): number {
    return this.buffer.length - this.#at;
  }

  #take(bytes: number): number {
    const at = this.#at;
    if (at + bytes > this.buffer.length)
      throw new RecordFormatError(`record ends at byte ${this.buffer.length}, ${at + bytes} needed`);
    this.#at = at + bytes;
    return at;
  }
}
