/** Counts what the calls to one drive came to. */
import { IoKind } from '../native/index.js';
import type { DriveFaultKind, DriveStatistics } from './drive.js';

const kindNames = Object.fromEntries(Object.entries(IoKind).map(([name, code]) => [code, name])) as Readonly<
  Record<number, string>
>;

export class DriveStatisticsCounter {
  readonly #calls = new Map<number, { calls: number; msTotal: number; bytes: number }>();
  readonly #faults: Record<DriveFaultKind, number> = { missing: 0, full: 0, starved: 0, io: 0, slow: 0 };

  count(kind: number, ms: number, bytes: number, fault: DriveFaultKind | null): void {
    let counts = this.#calls.get(kind);
    if (counts === undefined) {
      counts = { calls: 0, msTotal: 0, bytes: 0 };
      this.#calls.set(kind, counts);
    }
    counts.calls++;
    counts.msTotal += ms;
    counts.bytes += bytes;
    if (fault !== null) this.#faults[fault]++;
  }

  statistics(waiting: number): DriveStatistics {
    const calls = [...this.#calls].map(([kind, counts]) => [kindNames[kind] ?? String(kind), { ...counts }] as const);
    return { waiting, calls: new Map(calls), faults: { ...this.#faults } };
  }
}
