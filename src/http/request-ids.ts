import { randomBytes } from 'node:crypto';

const hexPairs = Array.from({ length: 256 }, (_, byte) => byte.toString(16).toUpperCase().padStart(2, '0'));

function hex32(value: number): string {
  return (
    hexPairs[value >>> 24]! + hexPairs[(value >>> 16) & 255]! + hexPairs[(value >>> 8) & 255]! + hexPairs[value & 255]!
  );
}

/** ASCII. */
export const requestIdChars = 16;

/** Request ids: a random half drawn anew every 2^32 requests, and a half that never repeats in between. */
export class RequestIds {
  #prefix = '';
  #count = 0;
  #mask = 0;

  next(): string {
    if (this.#count === 0) {
      const seed = randomBytes(8);
      this.#prefix = hex32(seed.readUInt32BE(0));
      this.#mask = seed.readUInt32BE(4);
    }
    this.#count = (this.#count + 1) >>> 0;
    // Multiplication by an odd number is one-to-one modulo 2^32: neighbours look unrelated.
    return this.#prefix + hex32((Math.imul(this.#count, 0x9e3779b1) ^ this.#mask) >>> 0);
  }
}
