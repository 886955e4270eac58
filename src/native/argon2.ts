import { addon } from './addon.js';

/** Key derivation off the main thread, on one of libuv's. Takes `memoryKiB` of memory while it runs: bound how many do. */
export interface KeyDerivation {
  /**
   * Argon2id (RFC 9106, version 0x13) without secret and associated data. Copies its arguments before it returns.
   * At most 65,536 bytes of each; lanes 1 to 16, memory 8 · lanes to 2²⁰ KiB, a tag of 4 to 64 bytes.
   */
  argon2id(
    password: Uint8Array,
    salt: Uint8Array,
    passes: number,
    memoryKiB: number,
    lanes: number,
    tagBytes: number,
  ): Promise<Uint8Array>;
}

export const keyDerivation = addon as KeyDerivation;
