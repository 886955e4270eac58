/**
 * Where the scan stands, as one entry of the index: a cycle that a restart interrupts goes on from there. When the
 * index is built anew a cycle begins from its start.
 */
import type { Catalog } from '../catalog/index.js';
import { BinaryReader, BinaryWriter, RecordFormatError } from './binary.js';
import { scanKey } from './index-keys.js';
import type { ScanCounts, ScanStatus } from './upkeep.js';

export type CycleCounts = { -readonly [name in keyof ScanCounts]: ScanCounts[name] };

export const cyclePhases = ['usage', 'log', 'blobs'] as const;
export type CyclePhase = (typeof cyclePhases)[number];

export interface Cycle {
  readonly startedMs: number;
  phase: CyclePhase;
  /** The last log file that was verified; 0: none. */
  logFile: number;
  /** Where the next body is; null: at the first. */
  from: Buffer | null;
  readonly counts: CycleCounts;
}

export interface ScanState {
  readonly cycles: number;
  readonly current: Cycle | null;
  readonly last: ScanStatus['last'];
}

const version = 1;
const names: readonly (keyof ScanCounts)[] = [
  'objects',
  'batches',
  'bytes',
  'shards',
  'badShards',
  'missingShards',
  'badBatches',
  'unreadableObjects',
  'repaired',
  'orphansRemoved',
  'usageCorrected',
];

export function noCounts(): CycleCounts {
  return Object.fromEntries(names.map((name) => [name, 0])) as unknown as CycleCounts;
}

export function encodeScanState({ cycles, current, last }: ScanState): Buffer {
  const writer = new BinaryWriter().u8(version).u53(cycles);
  writer.u8(current === null ? 0 : 1);
  if (current !== null) {
    writer.u53(current.startedMs).u8(cyclePhases.indexOf(current.phase)).u53(current.logFile);
    writer.bytes(current.from ?? Buffer.alloc(0));
    for (const name of names) writer.u53(current.counts[name]);
  }
  writer.u8(last === null ? 0 : 1);
  if (last !== null) {
    writer.u53(last.startedMs).u53(last.endedMs);
    for (const name of names) writer.u53(last[name]);
  }
  return writer.finish();
}

export function decodeScanState(value: Buffer): ScanState {
  const reader = new BinaryReader(value);
  if (reader.u8() !== version) throw new RecordFormatError('the state of the scan is of another release');
  const cycles = reader.u53();
  const readCounts = (): CycleCounts => {
    const counts = noCounts();
    for (const name of names) counts[name] = reader.u53();
    return counts;
  };
  let current: Cycle | null = null;
  if (reader.u8() === 1) {
    const startedMs = reader.u53();
    const phase = cyclePhases[reader.u8()];
    if (phase === undefined) throw new RecordFormatError('an unknown phase of the scan');
    const logFile = reader.u53();
    const from = Buffer.from(reader.bytes());
    current = { startedMs, phase, logFile, from: from.length === 0 ? null : from, counts: readCounts() };
  }
  if (reader.u8() !== 1) return { cycles, current, last: null };
  const times = { startedMs: reader.u53(), endedMs: reader.u53() };
  return { cycles, current, last: { ...readCounts(), ...times } };
}

/** From the beginning when there is none, or none that can be read: nothing depends on it. */
export function loadScanState(catalog: Catalog): ScanState {
  const value = catalog.get(scanKey);
  if (value === undefined) return { cycles: 0, current: null, last: null };
  try {
    return decodeScanState(value);
  } catch (error) {
    if (!(error instanceof RecordFormatError)) throw error;
    return { cycles: 0, current: null, last: null };
  }
}

export async function saveScanState(catalog: Catalog, state: ScanState): Promise<void> {
  await catalog.write((batch) => batch.put(scanKey, encodeScanState(state)));
}
