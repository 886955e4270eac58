/** The drives of one erasure set, by position. A missing or fenced drive keeps its position. */
import type { Drive, DriveFault } from '../drive/index.js';

export interface DriveSet {
  readonly setIndex: number;
  readonly deploymentId: string;
  readonly driveCount: number;
  /** Null: not usable since the start. */
  drive(position: number): Drive | null;
  /** A write on the drive failed: the journal decides whether it leaves. */
  reportWrite(position: number, fault: DriveFault): void;
  /** A read failed: others answer in its place. */
  reportRead(position: number, fault: DriveFault): void;
  /** Some drive does not answer: whether it hangs is found out, and then it leaves. Resolves when that is known. */
  suspect(): Promise<void>;
  /** How often the position has left the set: bytes written before that no longer count. */
  departures(position: number): number;
  /** Positions that take part in writes now. */
  inSync(): readonly number[];
}
