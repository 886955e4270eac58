/** One key of a subsystem: how its text is read, what it stands for when it is left out, and what help says. */
import { parseDurationMs, parseSwitch } from './words.js';

/** As the clients of the administration API print them. */
export type SettingType = 'string' | 'number' | 'duration' | 'on|off' | 'url' | 'csv' | 'path' | 'sentence';

export interface SettingKey<T = unknown> {
  readonly type: SettingType;
  /** What counts when nothing is set; empty counts as nothing. */
  readonly default: string;
  readonly description: string;
  /** Must be set while its target is enabled. */
  readonly isRequired?: true;
  /** Kept out of `get`, of history and of every log. */
  readonly isSecret?: true;
  /** Not printed while it is empty. */
  readonly isHiddenWhenEmpty?: true;
  /** Names without their prefix, beside the one that follows from subsystem and key. */
  readonly environment?: readonly string[];
  /** Undefined: the text is not one of this kind. */
  readonly parse: (text: string) => T | undefined;
  /** Completes the sentence "KEY is "TEXT", which is not …". */
  readonly expects: string;
}

type Extras = Pick<SettingKey, 'isRequired' | 'isSecret' | 'isHiddenWhenEmpty' | 'environment'>;

/** Any text, bounded by the body that carries it. */
export function textKey(
  description: string,
  extras: Extras & { readonly type?: SettingType } = {},
): SettingKey<string> {
  const { type = 'string', ...rest } = extras;
  return { type, default: '', description, parse: (text) => text, expects: 'text', ...rest };
}

export function numberKey(
  description: string,
  { initial, min, max }: { readonly initial: number; readonly min: number; readonly max: number },
): SettingKey<number> {
  return {
    type: 'number',
    default: String(initial),
    description,
    parse: (text) => {
      const value = /^\d{1,15}$/.test(text) ? Number(text) : NaN;
      return value >= min && value <= max ? value : undefined;
    },
    expects: `a number from ${min} to ${max}`,
  };
}

/** In milliseconds once it is read. */
export function durationKey(
  description: string,
  { initial, minMs, maxMs }: { readonly initial: string; readonly minMs: number; readonly maxMs: number },
): SettingKey<number> {
  const isWithin = (ms: number | null): ms is number => ms !== null && ms >= minMs && ms <= maxMs;
  const possible = ['30s', '1h30m'].filter((text) => isWithin(parseDurationMs(text)));
  // One at least, of whatever range.
  const examples = possible.length > 0 ? possible : [durationText(maxMs)];
  return {
    type: 'duration',
    default: initial,
    description,
    parse: (text) => {
      const ms = parseDurationMs(text);
      return isWithin(ms) ? ms : undefined;
    },
    expects: `a duration from ${durationText(minMs)} to ${durationText(maxMs)}, such as ${examples.join(' or ')}`,
  };
}

export function switchKey(description: string, initial: 'on' | 'off'): SettingKey<boolean> {
  return {
    type: 'on|off',
    default: initial,
    description,
    parse: (text) => parseSwitch(text) ?? undefined,
    expects: 'on or off',
  };
}

export function parsedKey<T>(
  type: SettingType,
  description: string,
  reading: Pick<SettingKey<T>, 'parse' | 'expects'> & { readonly initial?: string } & Extras,
): SettingKey<T> {
  const { initial = '', ...rest } = reading;
  return { type, default: initial, description, ...rest };
}

function durationText(ms: number): string {
  if (ms >= 3_600_000 && ms % 3_600_000 === 0) return `${ms / 3_600_000}h`;
  if (ms >= 60_000 && ms % 60_000 === 0) return `${ms / 60_000}m`;
  return ms >= 1000 && ms % 1000 === 0 ? `${ms / 1000}s` : `${ms}ms`;
}
