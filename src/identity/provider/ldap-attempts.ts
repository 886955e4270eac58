/**
 * How often somebody may fail to sign in: by login name, so that a password cannot be guessed nor an account locked
 * by guessing, and by source, so that names cannot be tried one after the other. Token buckets in tables of a fixed
 * size under a secret hash: nothing grows, and nothing is pushed out by a flood of names. Two names that share a
 * bucket share its limit.
 */
import { createHmac } from 'node:crypto';
import type { Clock } from '../../base/index.js';

export interface AttemptLimits {
  readonly burst: number;
  readonly perSecond: number;
}

export interface LdapAttemptsOptions {
  readonly clock: Pick<Clock, 'monotonicMs'>;
  readonly random: (bytes: number) => Uint8Array;
  readonly perUser?: AttemptLimits;
  readonly perSource?: AttemptLimits;
}

/** Ten in a row, then one in six seconds: as many in a day as a password of eight letters takes centuries for. */
const userLimits: AttemptLimits = { burst: 10, perSecond: 1 / 6 };
/** A whole office may sit behind one address. */
const sourceLimits: AttemptLimits = { burst: 100, perSecond: 2 };
/** 16 bytes each. */
const bucketsOfUsers = 1 << 16;
const bucketsOfSources = 1 << 14;

export class LdapAttempts {
  readonly #users: Buckets;
  readonly #sources: Buckets;
  readonly #secret: Uint8Array;

  constructor({ clock, random, perUser = userLimits, perSource = sourceLimits }: LdapAttemptsOptions) {
    this.#users = new Buckets(bucketsOfUsers, perUser, clock);
    this.#sources = new Buckets(bucketsOfSources, perSource, clock);
    this.#secret = random(32);
  }

  /** Counts it as failed beforehand, so that many at once are not all let through. Null: too many. */
  begin(login: string, remoteAddress: string): LdapAttempt | null {
    const user = this.#indexOf(bucketsOfUsers, `user ${login.normalize('NFKC').toLowerCase().trim()}`);
    const source = this.#indexOf(bucketsOfSources, `source ${networkOf(remoteAddress)}`);
    if (!this.#users.has(user) || !this.#sources.has(source)) return null;
    this.#users.add(user, -1);
    this.#sources.add(source, -1);
    let isOver = false;
    return {
      didNotFail: () => {
        if (isOver) return;
        isOver = true;
        this.#users.add(user, 1);
        this.#sources.add(source, 1);
      },
    };
  }

  #indexOf(count: number, text: string): number {
    return createHmac('sha256', this.#secret).update(text).digest().readUInt32LE(0) % count;
  }
}

export interface LdapAttempt {
  /** It was right, or nobody could tell. */
  didNotFail(): void;
}

/** Of IPv6 whoever has one address has 2⁶⁴ of them. */
function networkOf(address: string): string {
  if (!address.includes(':')) return address;
  const [head = '', tail] = address.split('%')[0]?.split('::') ?? [];
  const front = head === '' ? [] : head.split(':');
  const back = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - front.length - back.length);
  return [...front, ...Array<string>(zeros).fill('0'), ...back].slice(0, 4).join(':');
}

class Buckets {
  readonly #tokens: Float64Array;
  readonly #atMs: Float64Array;

  constructor(
    count: number,
    private readonly limits: AttemptLimits,
    private readonly clock: Pick<Clock, 'monotonicMs'>,
  ) {
    this.#tokens = new Float64Array(count).fill(limits.burst);
    this.#atMs = new Float64Array(count);
  }

  has(index: number): boolean {
    this.#refill(index);
    return (this.#tokens[index] ?? 0) >= 1;
  }

  add(index: number, tokens: number): void {
    this.#refill(index);
    this.#tokens[index] = Math.min(this.limits.burst, (this.#tokens[index] ?? 0) + tokens);
  }

  #refill(index: number): void {
    const nowMs = this.clock.monotonicMs();
    const passedMs = Math.max(0, nowMs - (this.#atMs[index] ?? 0));
    const tokens = (this.#tokens[index] ?? 0) + (passedMs / 1000) * this.limits.perSecond;
    this.#tokens[index] = Math.min(this.limits.burst, tokens);
    this.#atMs[index] = nowMs;
  }
}
