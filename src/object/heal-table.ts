/**
 * The heal table: what some drive lacks, as derived keys of the index. A blob by its name, a log file by its number,
 * each with the positions in question. Entries come with records that were committed without all their shards, and
 * from whoever meets a bad shard; they go when the shards are verified. An entry that is lost with the index comes
 * back: those of records by replay, the others when a reader or the scan meets the shard again.
 * Main thread. Changes are made one after the other, so that none is lost.
 */
import type { Catalog } from '../catalog/index.js';
import { BinaryReader, BinaryWriter } from './binary.js';
import { healKey, healLogKey, healRange } from './index-keys.js';

export type HealTarget =
  /** `owner`: index key of the body; of an object the `V` key of its version, wherever that lies by now. */
  | { readonly kind: 'blob'; readonly name: string; readonly owner: Buffer }
  | { readonly kind: 'log'; readonly fileNumber: number };

export interface HealEntry {
  readonly key: Buffer;
  readonly target: HealTarget;
  /** Drives in question, as bits. */
  readonly positions: number;
}

const logPattern = /^Hlog(\d{8,10})$/;

export function healKeyOf(target: HealTarget): Buffer {
  return target.kind === 'blob' ? healKey(target.name) : healLogKey(target.fileNumber);
}

export function encodeHeal(target: HealTarget, positions: number): Buffer {
  const writer = new BinaryWriter().u32(positions);
  if (target.kind === 'blob') writer.bytes(target.owner);
  return writer.finish();
}

export function decodeHeal(key: Buffer, value: Buffer): HealEntry {
  const reader = new BinaryReader(value);
  const positions = reader.u32();
  const text = key.toString('latin1');
  const digits = logPattern.exec(text)?.[1];
  if (digits !== undefined) return { key, positions, target: { kind: 'log', fileNumber: Number(digits) } };
  // Without an owner, as earlier releases wrote them: taken for gone, and found again by the scan.
  const owner = reader.rest > 0 ? Buffer.from(reader.bytes()) : Buffer.alloc(0);
  return { key, positions, target: { kind: 'blob', name: text.slice(1), owner } };
}

export class HealTable {
  #changes: Promise<void> = Promise.resolve();

  constructor(private readonly catalog: Catalog) {}

  get(target: HealTarget): HealEntry | null {
    const key = healKeyOf(target);
    const value = this.catalog.get(key);
    return value === undefined ? null : decodeHeal(key, value);
  }

  /** Entries from `from` on, and where to go on; null when all were seen. */
  from(
    from: Buffer | null,
    countMax: number,
  ): { readonly entries: readonly HealEntry[]; readonly next: Buffer | null } {
    const { end } = healRange;
    const found = [...this.catalog.range({ start: from ?? healRange.start, end, limit: countMax })];
    const entries = found.map(({ key, value }) => decodeHeal(Buffer.from(key), value));
    const last = entries.at(-1);
    const next = last === undefined || entries.length < countMax ? null : Buffer.concat([last.key, Buffer.of(0)]);
    return { entries, next };
  }

  /** Counted up to `countMax`. */
  count(countMax: number): number {
    let count = 0;
    for (const entry of this.catalog.range({ ...healRange, limit: countMax })) count += entry.key.length > 0 ? 1 : 0;
    return count;
  }

  add(target: HealTarget, positions: number): Promise<void> {
    return this.#change(target, (before) => before | positions);
  }

  /** These positions hold what they should. */
  remove(target: HealTarget, positions: number): Promise<void> {
    return this.#change(target, (before) => before & ~positions);
  }

  /** Resolves when every change so far is in the index, or has failed. */
  settled(): Promise<void> {
    return this.#changes;
  }

  #change(target: HealTarget, change: (positions: number) => number): Promise<void> {
    const made = this.#changes.then(async () => {
      const key = healKeyOf(target);
      const before = this.get(target)?.positions ?? 0;
      const after = change(before);
      if (after === before) return;
      await this.catalog.write((batch) => {
        if (after === 0) batch.delete(key);
        else batch.put(key, encodeHeal(target, after));
      });
    });
    this.#changes = made.catch(() => undefined);
    return made;
  }
}
