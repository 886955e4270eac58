/**
 * What commander does not do by itself: Go's spelling of flags, which MinIO's users type and have in their
 * unit files. `-address :9000`, `-address=:9000`, `--json=true`.
 */
import { parseSwitch } from '../config/index.js';

export interface LongFlag {
  /** Without dashes: `certs-dir`. */
  readonly name: string;
  readonly takesValue: boolean;
}

/** Rewrites the spellings to the ones that commander knows. Everything after `--` stays. */
export function normalizeArguments(given: readonly string[], flags: readonly LongFlag[]): string[] {
  const end = given.indexOf('--');
  const before = end === -1 ? given : given.slice(0, end);
  const after = end === -1 ? [] : given.slice(end);
  return [...before.flatMap((argument) => normalizeOne(argument, flags)), ...after];
}

function normalizeOne(argument: string, flags: readonly LongFlag[]): string[] {
  const match = /^--?([a-zA-Z][a-zA-Z-]+)(?:=(.*))?$/s.exec(argument);
  const flag = flags.find(({ name }) => name === match?.[1]);
  if (match === null || flag === undefined) return [argument];
  const value = match[2];
  if (value === undefined) return [`--${flag.name}`];
  if (flag.takesValue) return [`--${flag.name}=${value}`];
  const isOn = parseSwitch(value);
  // An unreadable switch stays as it is, so that it is refused by name.
  if (isOn === null) return [argument];
  return isOn ? [`--${flag.name}`] : [];
}
