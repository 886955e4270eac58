import type { BatchSummary, DriveView, SlotState, TailState } from '../../../../src/journal/decide.js';
import type { Random } from './random.js';

/** What becomes of a write that a crash or a fault cut short. */
export type Outcome = 'lost' | 'torn' | 'done';

interface Entry {
  readonly batch: BatchSummary;
  /** Header and records are right. */
  isReadable: boolean;
  slots: SlotState[];
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
      this.entries.push({ batch, isReadable: true, slots: [...slots] });
      this.trace = null;
    } else if (slots.length > 0 && random.chance(0.5)) {
      const torn = random.below(slots.length);
      const halves = slots.map((state, slot) => (slot === torn || random.chance(0.5) ? 'torn' : state));
      this.entries.push({ batch, isReadable: true, slots: halves });
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

  blank(): void {
    this.entries = [];
    this.trace = null;
    this.isWitness = true;
  }

  rot(random: Random): void {
    if (this.entries.length === 0) return;
    const entry = this.entries[random.chance(0.5) ? this.entries.length - 1 : random.below(this.entries.length)];
    if (entry === undefined) return;
    if (entry.slots.length > 0 && random.chance(0.5)) entry.slots = entry.slots.map(() => 'damaged');
    else entry.isReadable = false;
  }

  view(): DriveView {
    const lastReadable = this.entries.findLastIndex((entry) => entry.isReadable);
    const readable = this.entries.filter((entry) => entry.isReadable);
    const isDamaged = lastReadable < this.entries.length - 1;
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
      entry.isReadable &&
      entry.slots.every((state) => state === 'valid')
    );
  }
}
