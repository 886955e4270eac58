import { kernels } from '../../../src/native/index.js';

export const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
export const text = (message: string): Uint8Array => new TextEncoder().encode(message);
/** 0, 1, 2, … */
export const sequence = (length: number): Uint8Array => Uint8Array.from({ length }, (_, index) => index);

/** A fresh arena, attached, and its bytes. */
export function newArena(arenaBytes: number): Uint8Array {
  const arena = kernels.createArena(arenaBytes);
  kernels.attachArena(arena);
  return new Uint8Array(arena);
}

/** Bytes that a seed decides (a 32-bit xorshift). */
export function seededBytes(length: number, seed: number): Uint8Array {
  let state = seed >>> 0 || 1;
  return Uint8Array.from({ length }, () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state & 255;
  });
}
