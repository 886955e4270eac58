/**
 * Values as people write them: word lists, sizes, durations, switches, listen addresses.
 * Each parser answers a value or null; the caller knows the setting's name and says what was wrong.
 */
import { GiB, KiB, MiB, TiB } from '../base/index.js';

/** Words of MINIO_VOLUMES and MINIO_OPTS: split at white space, quotes hold words together. Null: an open quote. */
export function splitWords(text: string): readonly string[] | null {
  const words: string[] = [];
  let word: string | null = null;
  let quote: string | null = null;
  for (const char of text) {
    if (quote !== null) {
      if (char === quote) quote = null;
      else word = (word ?? '') + char;
    } else if (char === '"' || char === "'") {
      quote = char;
      word ??= '';
    } else if (/\s/.test(char)) {
      if (word !== null) words.push(word);
      word = null;
    } else {
      word = (word ?? '') + char;
    }
  }
  if (quote !== null) return null;
  if (word !== null) words.push(word);
  return words;
}

const sizeUnits: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  k: 1e3,
  kb: 1e3,
  kib: KiB,
  ki: KiB,
  m: 1e6,
  mb: 1e6,
  mib: MiB,
  mi: MiB,
  g: 1e9,
  gb: 1e9,
  gib: GiB,
  gi: GiB,
  t: 1e12,
  tb: 1e12,
  tib: TiB,
  ti: TiB,
};

/** `512MiB`, `2GB`, `1.5g`, plain bytes. Units of 1024 carry an i. */
export function parseSize(text: string): number | null {
  const match = /^\s*(\d+(?:\.\d+)?)\s*([a-zA-Z]*)\s*$/.exec(text);
  if (match === null) return null;
  const unit = sizeUnits[(match[2] as string).toLowerCase()];
  if (unit === undefined) return null;
  const bytes = Math.floor(Number(match[1]) * unit);
  return Number.isSafeInteger(bytes) ? bytes : null;
}

const durationUnitMs: Readonly<Record<string, number>> = { ms: 1, s: 1e3, m: 60e3, h: 3_600e3 };

/** Go's spelling: `10s`, `1m30s`, `500ms`; a bare 0. */
export function parseDurationMs(text: string): number | null {
  const trimmed = text.trim();
  if (trimmed === '0') return 0;
  if (!/^(\d+(\.\d+)?(ms|s|m|h))+$/.test(trimmed)) return null;
  let total = 0;
  for (const match of trimmed.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)) {
    total += Number(match[1]) * (durationUnitMs[match[2] as string] as number);
  }
  return Number.isSafeInteger(Math.round(total)) ? Math.round(total) : null;
}

/** `on`, `off` and their usual synonyms. */
export function parseSwitch(text: string): boolean | null {
  const word = text.trim().toLowerCase();
  if (['on', 'true', '1', 'yes', 'enabled', 'enable', 't'].includes(word)) return true;
  if (['off', 'false', '0', 'no', 'disabled', 'disable', 'f', ''].includes(word)) return false;
  return null;
}

export interface ListenAddress {
  /** Empty: all interfaces. */
  readonly host: string;
  readonly port: number;
}

/** `:9000`, `127.0.0.1:9000`, `[::1]:9000`, `localhost:9000`, `9000`. */
export function parseAddress(text: string): ListenAddress | null {
  const match =
    /^(?:\[([0-9a-fA-F:.]+(?:%[\w.-]+)?)\]|([^:[\]\s/]*)):(\d{1,5})$/.exec(text) ?? /^()()(\d{1,5})$/.exec(text);
  if (match === null) return null;
  const port = Number(match[3]);
  if (port > 65_535) return null;
  const host = match[1] ?? match[2] ?? '';
  if (host !== '' && !host.includes(':') && !/^[a-zA-Z0-9]([a-zA-Z0-9.-]*[a-zA-Z0-9])?$/.test(host)) return null;
  return { host, port };
}

/** Single-character edits between two words, as far as `max`; max + 1 when there are more. */
export function editDistance(left: string, right: string, max: number): number {
  if (Math.abs(left.length - right.length) > max) return max + 1;
  let previous = Array.from({ length: right.length + 1 }, (_, index) => index);
  for (let row = 1; row <= left.length; row += 1) {
    const current = [row];
    for (let column = 1; column <= right.length; column += 1) {
      const substitution = (previous[column - 1] as number) + (left[row - 1] === right[column - 1] ? 0 : 1);
      current.push(Math.min(substitution, (previous[column] as number) + 1, (current[column - 1] as number) + 1));
    }
    previous = current;
  }
  return Math.min(previous[right.length] as number, max + 1);
}
