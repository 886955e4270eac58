/** Settings and their history as records: docs/format/settings.md. Values are sealed by whoever stores them. */
import { z } from 'zod';

export const settingsPrefix = 'config/';
export const currentName = 'config/current';
export const historyPrefix = 'config/history/';

/** By subsystem, target and key: what was set, and nothing that was not. */
export type StoredSettings = ReadonlyMap<string, ReadonlyMap<string, ReadonlyMap<string, string>>>;

export interface HistoryEntry {
  readonly id: string;
  readonly createdMs: number;
  /** The lines that were set. */
  readonly text: string;
}

/** Where they are kept: the drives' logs, or elsewhere. */
export interface SettingsRecords {
  /** Every record whose name begins with `settingsPrefix`. */
  load(visit: (name: string, value: Uint8Array) => void): Promise<void>;
  /** All or nothing, durable when it resolves. */
  write(changes: readonly { readonly name: string; readonly value: Uint8Array | null }[]): Promise<void>;
}

const currentSchema = z.object({
  v: z.literal(1),
  settings: z.record(z.string(), z.record(z.string(), z.record(z.string(), z.string()))),
});
const historySchema = z.object({ v: z.literal(1), createdMs: z.number().int().min(0), text: z.string() });

export function encodeSettings(settings: StoredSettings): Uint8Array {
  const plain = Object.fromEntries(
    [...settings].map(([subsystem, targets]) => [
      subsystem,
      Object.fromEntries([...targets].map(([target, values]) => [target, Object.fromEntries(values)])),
    ]),
  );
  return Buffer.from(JSON.stringify({ v: 1, settings: plain }), 'utf8');
}

/** Null: not of a form that this release knows. */
export function decodeSettings(value: Uint8Array): StoredSettings | null {
  const parsed = currentSchema.safeParse(parseJson(value));
  if (!parsed.success) return null;
  return new Map(
    Object.entries(parsed.data.settings).map(([subsystem, targets]) => [
      subsystem,
      new Map(Object.entries(targets).map(([target, values]) => [target, new Map(Object.entries(values))])),
    ]),
  );
}

export function encodeHistory({ createdMs, text }: HistoryEntry): Uint8Array {
  return Buffer.from(JSON.stringify({ v: 1, createdMs, text }), 'utf8');
}

export function decodeHistory(id: string, value: Uint8Array): HistoryEntry | null {
  const parsed = historySchema.safeParse(parseJson(value));
  return parsed.success ? { id, createdMs: parsed.data.createdMs, text: parsed.data.text } : null;
}

function parseJson(value: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('utf8')) as unknown;
  } catch {
    return null;
  }
}
