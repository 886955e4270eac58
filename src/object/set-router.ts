/**
 * Which set a key belongs to. In one pool a keyed hash of bucket and key says it. With several pools a new key goes
 * to a pool by free space, past those whose set for it has none, and stays in its set as long as anything of it is there:
 * everything that is in use of a key lies in the log of one set, whose order is then the key's. So do the keys of buckets
 * that lost their names, by which they got where they are. Main thread.
 */
import { Refusal, invariant } from '../base/index.js';
import type { Catalog } from '../catalog/index.js';
import { setOfFile } from '../erasure/index.js';
import { objectKey, successor, uploadPrefix, versionPrefix } from './index-keys.js';
import type { IndexState } from './index-state.js';
import type { ObjectErrorCode } from './object-layer.js';
import { entrySpace } from './records.js';

export interface PoolPlace {
  readonly firstSet: number;
  readonly setCount: number;
}

/** Two numbers of a keyed hash of the text, each 0 to 2³² − 1. */
export type PlaceHash = (text: string) => readonly [number, number];

interface Claim {
  readonly setIndex: number;
  count: number;
}

export class SetRouter {
  /** By set. */
  #weights: readonly number[];
  /** Sets of keys of which a change is on its way; with one pool it is hardly ever asked. */
  readonly #claims = new Map<string, Claim>();
  readonly #setCount: number;

  constructor(
    private readonly index: IndexState,
    private readonly pools: readonly PoolPlace[],
    private readonly hash: PlaceHash,
    /** False: the set refuses what is new for now. */
    private readonly canGrow: (setIndex: number) => boolean = () => true,
  ) {
    this.#setCount = pools.reduce((sum, { setCount }) => sum + setCount, 0);
    this.#weights = Array.from({ length: this.#setCount }, () => 1);
  }

  /** Free bytes of each set. */
  setWeights(weights: readonly number[]): void {
    invariant(weights.length === this.#setCount, 'every set has its weight');
    this.#weights = weights;
  }

  /** A body found no room there: nothing new goes there until its space is told again. */
  noteFull(setIndex: number): void {
    this.#weights = this.#weights.map((weight, index) => (index === setIndex ? 0 : weight));
  }

  /**
   * The set that a change of the key goes to. `isAnyOpen`: the last records of some set are not final, so that a key
   * may yet turn up there; where the hash alone does not say the set, a new one has to wait.
   */
  setOf(bucket: string, bucketId: number, key: string, isAnyOpen = false): number {
    if (this.#setCount === 1) return 0;
    if (this.#isFollowed(bucketId)) {
      const known = this.#claims.get(`${bucketId}/${key}`)?.setIndex ?? this.#placeOf(bucketId, key);
      if (known !== null) return known;
      if (isAnyOpen) throw new Refusal<ObjectErrorCode>('SlowDownWrite', 'A set has too few drives to start.');
    }
    const [low, high] = this.hash(`${bucket}/${key}`);
    const [firstPool] = this.pools;
    invariant(firstPool !== undefined, 'there is a pool');
    if (this.pools.length === 1) return firstPool.firstSet + (low % firstPool.setCount);
    const candidates = this.pools.map((pool) => ({ pool, setIndex: pool.firstSet + (low % pool.setCount) }));
    // Where none takes more, the answer is that of the one that the space alone says.
    const growing = candidates.filter(({ setIndex }) => this.canGrow(setIndex));
    const usable = growing.length > 0 ? growing : candidates;
    const shares = usable.map(({ pool, setIndex }) => (this.#weightOf(setIndex) > 0 ? this.#poolWeight(pool) : 0));
    return usable[shareAt(shares, high)]?.setIndex ?? firstPool.firstSet;
  }

  /**
   * In commit order: the key belongs to this set until the change is settled. Refuses when it has come to lie in
   * another one since the set was chosen: the client comes again, and is sent there. Returns what ends the claim.
   */
  claim(bucketId: number, key: string, setIndex: number): (() => void) | null {
    if (!this.#isFollowed(bucketId)) return null;
    const at = `${bucketId}/${key}`;
    const claim = this.#claims.get(at);
    const owner = claim?.setIndex ?? this.#placeOf(bucketId, key) ?? setIndex;
    if (owner !== setIndex) {
      throw new Refusal<ObjectErrorCode>('SlowDownWrite', 'The key is being written elsewhere; try again.');
    }
    if (claim === undefined) this.#claims.set(at, { setIndex, count: 1 });
    else claim.count++;
    return () => {
      const held = this.#claims.get(at);
      if (held !== undefined && --held.count === 0) this.#claims.delete(at);
    };
  }

  /** Keys of the bucket stay where they are, whatever the hash says. */
  #isFollowed(bucketId: number): boolean {
    return this.pools.length > 1 || (this.#setCount > 1 && this.index.isRestored(bucketId));
  }

  /** Where the index has something of the key; null when it has nothing. */
  #placeOf(bucketId: number, key: string): number | null {
    const { catalog } = this.index;
    const latest = catalog.get(objectKey(bucketId, key));
    if (latest !== undefined) return setOfEntry(latest);
    const below = this.index.hasVersions(bucketId) ? firstUnder(catalog, versionPrefix(bucketId, key)) : null;
    const upload = below ?? firstUnder(catalog, Buffer.concat([uploadPrefix(bucketId, key), Buffer.of(0)]));
    return upload === null ? null : setOfEntry(upload);
  }

  #weightOf(setIndex: number): number {
    return this.#weights[setIndex] ?? 0;
  }

  #poolWeight({ firstSet, setCount }: PoolPlace): number {
    return this.#weights.slice(firstSet, firstSet + setCount).reduce((sum, weight) => sum + weight, 0);
  }
}

/** Whose share of the whole the point lies in, of 2³². */
function shareAt(shares: readonly number[], point: number): number {
  const total = shares.reduce((sum, share) => sum + share, 0);
  let rest = (point / 2 ** 32) * total;
  for (const [index, share] of shares.entries()) {
    if (rest < share) return index;
    rest -= share;
  }
  return 0;
}

/** By the log file that the entry's record lies in. */
export function setOfEntry(value: Buffer): number {
  return setOfFile(entrySpace(value).fileNumber);
}

function firstUnder(catalog: Catalog, prefix: Buffer): Buffer | null {
  for (const { value } of catalog.range({ start: prefix, end: successor(prefix), limit: 1 })) return Buffer.from(value);
  return null;
}
