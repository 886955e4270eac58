/**
 * Signing keys already derived. A key is the same for a whole day, so deriving it (four HMACs) once per
 * credential and day is enough. Least recently used goes first. Only keys that have verified a request
 * enter, so that a flood of wrong signatures cannot push the good ones out.
 */
import { limits } from '../base/index.js';

export interface CachedSigningKey {
  /** The secret the key was derived from: a changed secret misses. */
  readonly secretKey: string;
  readonly signingKey: Uint8Array;
}

export class SigningKeyCache {
  readonly #entries = new Map<string, CachedSigningKey>();
  /** The last in the map. */
  #newest = '';
  readonly #countMax: number;

  constructor(countMax: number = limits.signingKeysMax) {
    this.#countMax = countMax;
  }

  get size(): number {
    return this.#entries.size;
  }

  find(cacheKey: string, secretKey: string): Uint8Array | null {
    const entry = this.#entries.get(cacheKey);
    if (entry === undefined || entry.secretKey !== secretKey) return null;
    if (cacheKey === this.#newest) return entry.signingKey;
    // A Map keeps insertion order: the first entry is the one unused for longest.
    this.#entries.delete(cacheKey);
    this.#entries.set(cacheKey, entry);
    this.#newest = cacheKey;
    return entry.signingKey;
  }

  remember(cacheKey: string, entry: CachedSigningKey): void {
    this.#entries.delete(cacheKey);
    this.#entries.set(cacheKey, entry);
    this.#newest = cacheKey;
    if (this.#entries.size > this.#countMax) {
      for (const oldest of this.#entries.keys()) {
        this.#entries.delete(oldest);
        break;
      }
    }
  }
}
