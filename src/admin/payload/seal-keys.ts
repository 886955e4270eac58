/**
 * Keys that answers are sealed with. Clients derive them with Argon2id from the salt they are told, which
 * costs 64 MiB each time; here one is made for a secret and used for a while, with a new nonce for each answer.
 */
import { randomBytes } from 'node:crypto';
import type { Clock } from '../../base/index.js';

export interface SealKey {
  readonly salt: Uint8Array;
  readonly key: Uint8Array;
}

interface Held {
  readonly key: Promise<SealKey>;
  readonly untilMs: number;
  usesLeft: number;
}

export interface SealKeyLimits {
  readonly kept: number;
  readonly lifeMs: number;
  /** Nonce prefixes are 64 random bits: with so few of them, two are never the same. */
  readonly uses: number;
}

export class SealKeys {
  readonly #limits: SealKeyLimits;
  readonly #clock: Pick<Clock, 'monotonicMs'>;
  readonly #derive: (secret: string, account: string, salt: Uint8Array) => Promise<Uint8Array>;
  /** By secret, the one used last at the end. */
  readonly #held = new Map<string, Held>();

  constructor(
    limits: SealKeyLimits,
    clock: Pick<Clock, 'monotonicMs'>,
    derive: (secret: string, account: string, salt: Uint8Array) => Promise<Uint8Array>,
  ) {
    this.#limits = limits;
    this.#clock = clock;
    this.#derive = derive;
  }

  async get(secret: string, account: string): Promise<SealKey> {
    const found = this.#held.get(secret);
    this.#held.delete(secret);
    const isGood = found !== undefined && found.usesLeft > 0 && this.#clock.monotonicMs() < found.untilMs;
    const held = isGood ? found : this.#make(secret, account);
    held.usesLeft--;
    this.#held.set(secret, held);
    for (const oldest of this.#held.keys()) {
      if (this.#held.size <= this.#limits.kept) break;
      this.#held.delete(oldest);
    }
    try {
      return await held.key;
    } catch (error) {
      if (this.#held.get(secret) === held) this.#held.delete(secret);
      throw error;
    }
  }

  #make(secret: string, account: string): Held {
    const { lifeMs, uses } = this.#limits;
    const salt = randomBytes(32);
    const key = this.#derive(secret, account, salt).then((derived) => ({ salt, key: derived }));
    return { key, untilMs: this.#clock.monotonicMs() + lifeMs, usesLeft: uses };
  }
}
