import type { BatchSummary, DriveView, SlotState, TailState } from '../../../../src/journal/decide.js';
import type { Random } from './random.js';

/** What becomes of a write that a crash or a fault cut short. */
export type Outcome = 'lost' | 'torn' | 'done';

interface Entry {
  readonly batch: BatchSummary;
  /** Header and records are right. */
  isReadable: boolean;
  slots: SlotState[];
  /** Its place in the log is known, and nothing is there any more: it lay before the horizon. */
  isFreed: boolean;
}

/** A drive that remembers batches instead of bytes. Depth stands for the place in the log. */
export class ModelDrive {
  entries: Entry[] = [];
  isWitness = true;
  /** An unfinished write behind the last entry. */
  private trace: { isDamaged: boolean; header: BatchSummary | null } | null = null;

  /** Puts `batch` at `depth`; nothing else may lie there. */
  write(depth: number, batch: BatchSummary, slots: readonly SlotState[], outcome: Outcome, random: Random): void {
    if (depth > this.entries.length) throw new Error('a write leaves a hole');
    const present = this.entries[depth];
    if (present !== undefined) {
      if (present.batch.digest !== batch.digest) throw new Error('a write lands on another batch');
      // The same bytes again: what is right stays right whatever becomes of the write.
      if (outcome === 'done') Object.assign(present, { isReadable: true, slots: [...slots] });
      return;
    }
    if (this.trace !== null && this.trace.header?.digest !== batch.digest) throw new Error('a write lands on remains');
    if (outcome === 'lost') return;
    if (outcome === 'done') {
      this.entries.push({ batch, isReadable: true, slots: [...slots], isFreed: false });
      this.trace = null;
    } else if (slots.length > 0 && random.chance(0.5)) {
      const torn = random.below(slots.length);
      const halves = slots.map((state, slot) => (slot === torn || random.chance(0.5) ? 'torn' : state));
      this.entries.push({ batch, isReadable: true, slots: halves, isFreed: false });
      this.trace = null;
    } else {
      this.trace = { isDamaged: false, header: random.chance(0.5) ? batch : null };
    }
  }

  get hasTrace(): boolean {
    return this.trace !== null;
  }

  /** Zeroes the remains behind the last entry. */
  clearTrace(outcome: Outcome): void {
    if (outcome === 'done') this.trace = null;
    else if (outcome === 'torn' && this.trace !== null) this.trace = { isDamaged: false, header: null };
  }

  /** Zeroes the last entry: the first step takes its header, `clearTrace` the rest. */
  cutLast(outcome: Outcome): void {
    if (outcome === 'lost') return;
    const cut = this.entries.pop();
    if (cut !== undefined) this.trace = { isDamaged: false, header: null };
  }

  /** The first place that is not freed yet. */
  get firstDepth(): number {
    const first = this.entries.findIndex((entry) => !entry.isFreed);
    return first < 0 ? this.entries.length : first;
  }

  /** Frees the oldest place that is left. */
  freeFirst(outcome: Outcome): void {
    const entry = this.entries[this.firstDepth];
    if (entry !== undefined && outcome !== 'lost') entry.isFreed = true;
  }

  /** Begins at the horizon: what lay before it is never copied. */
  beginAt(history: readonly BatchSummary[]): void {
    for (const batch of history.slice(this.entries.length)) {
      this.entries.push({ batch, isReadable: true, slots: [], isFreed: true });
    }
  }

  blank(): void {
    this.entries = [];
    this.trace = null;
    this.isWitness = true;
  }

  rot(random: Random): void {
    const held = this.entries.filter((entry) => !entry.isFreed);
    if (held.length === 0) return;
    const entry = held[random.chance(0.5) ? held.length - 1 : random.below(held.length)];
    if (entry === undefined) return;
    if (entry.slots.length > 0 && random.chance(0.5)) entry.slots = entry.slots.map(() => 'damaged');
    else entry.isReadable = false;
  }

  view(): DriveView {
    const readable = this.entries.filter((entry) => entry.isReadable && !entry.isFreed);
    const isDamaged = this.entries.at(-1)?.isReadable === false;
    const tail: TailState = isDamaged ? 'damaged' : this.trace === null ? 'clean' : 'torn';
    const headers = [...readable.map((entry) => entry.batch), ...(this.trace?.header ? [this.trace.header] : [])];
    return {
      batches: readable.map((entry) => entry.batch),
      isWitness: this.isWitness,
      tail,
      slotStates: new Map(
        readable
          .filter((entry) => entry.slots.some((state) => state !== 'valid'))
          .map((entry) => [entry.batch.digest, entry.slots]),
      ),
      epochMax: headers.reduce((max, batch) => Math.max(max, batch.epoch), 0),
      sequenceMax: headers.reduce((max, batch) => Math.max(max, batch.sequence), 0),
    };
  }

  /** Drops what rot left behind the last readable entry, as recovery does before it writes there. */
  cutUnreadable(): void {
    while (this.entries.at(-1)?.isReadable === false) this.entries.pop();
  }

  hasValid(batch: BatchSummary, depth: number): boolean {
    const entry = this.entries[depth];
    return (
      entry !== undefined &&
      entry.batch.digest === batch.digest &&
      !entry.isFreed &&
      entry.isReadable &&
      entry.slots.every((state) => state === 'valid')
    );
  }
}
