/**
 * Settings as lines of text, the way clients of the administration API write them and read them back:
 * `subsys[:target] key=value key2="value with spaces" `. A value runs to the next known key, since the
 * shell has taken its quotes away; quotes that did arrive hold a value together.
 */
import { limits, Refusal } from '../base/index.js';
import { commentKey, defaultTarget, enableKey, type Subsystem } from './subsystem.js';

export type SettingsErrorCode = 'XMinioConfigError' | 'XMinioConfigNotFoundError' | 'XMinioAdminConfigTooLarge';
export type SettingsRefusal = Refusal<SettingsErrorCode>;

export function settingsError(message: string, code: SettingsErrorCode = 'XMinioConfigError'): SettingsRefusal {
  return new Refusal<SettingsErrorCode>(code, message);
}

export interface Place {
  readonly subsystem: Subsystem;
  /** `_`: the one without a name. */
  readonly target: string;
}

export interface Assignment extends Place {
  readonly values: ReadonlyMap<string, string>;
}

export interface Reset extends Place {
  /** Empty: all of them. */
  readonly keys: readonly string[];
}

const targetPattern = /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/;

/** `api`, `audit_webhook:first`; with a colon at the end, the default target. */
export function parsePlace(word: string, schema: readonly Subsystem[]): Place & { readonly isTargetNamed: boolean } {
  const [name = '', target, ...more] = word.split(':');
  const subsystem = schema.find((one) => one.name === name);
  // Clients know this very text: they go on without what a server does not have.
  if (subsystem === undefined) throw settingsError(`unknown sub-system ${shown(name)}`);
  const named = target === undefined || target === '' ? defaultTarget : target;
  if (more.length > 0 || (named !== defaultTarget && !targetPattern.test(named))) {
    throw settingsError(`"${shown(word)}" does not name a target: at most 64 letters, digits, "-" and "_".`);
  }
  if (named !== defaultTarget && !subsystem.hasTargets) {
    throw settingsError(`The sub-system "${name}" has no targets: "${shown(named)}" cannot be one.`);
  }
  return { subsystem, target: named, isTargetNamed: target !== undefined };
}

/** Lines of `set`, of an import and of history. Comments and empty lines are passed over. */
export function parseAssignments(text: string, schema: readonly Subsystem[]): readonly Assignment[] {
  const assignments: Assignment[] = [];
  const seen = new Set<string>();
  for (const { word, rest } of linesOf(text)) {
    const { subsystem, target } = parsePlace(word, schema);
    if (rest === '')
      throw settingsError(`No key of "${shown(word)}" is given: write for example ${exampleOf(subsystem)}.`);
    const values = parseValues(rest, subsystem);
    if (subsystem.hasTargets && subsystem.enabledBy.length === 0 && !values.has(enableKey)) values.set(enableKey, 'on');
    const place = placeName({ subsystem, target });
    if (seen.has(place)) throw settingsError(`"${place}" stands on two lines.`);
    seen.add(place);
    assignments.push({ subsystem, target, values });
  }
  return assignments;
}

/** Lines of `reset`: `subsys[:target] [key…]`. */
export function parseResets(text: string, schema: readonly Subsystem[]): readonly Reset[] {
  return linesOf(text).map(({ word, rest }) => {
    const { subsystem, target } = parsePlace(word, schema);
    const keys = rest === '' ? [] : rest.split(/\s+/).map((key) => key.replace(/=.*$/, ''));
    for (const key of keys) requireKey(subsystem, key);
    return { subsystem, target, keys };
  });
}

export function requireKey(subsystem: Subsystem, key: string): void {
  if (Object.hasOwn(subsystem.keys, key) || subsystem.removedKeys.includes(key)) return;
  const reason = subsystem.absentKeys.includes(key) ? 'is not supported by this server' : 'is not known';
  throw settingsError(`The key "${shown(key)}" of the sub-system "${subsystem.name}" ${reason}.`);
}

function linesOf(text: string): readonly { readonly word: string; readonly rest: string }[] {
  const lines: { word: string; rest: string }[] = [];
  for (const line of text.split('\n')) {
    const trimmed = line.trim();
    if (trimmed === '' || trimmed.startsWith('#')) continue;
    const gap = trimmed.search(/\s/);
    lines.push(
      gap < 0 ? { word: trimmed, rest: '' } : { word: trimmed.slice(0, gap), rest: trimmed.slice(gap).trimStart() },
    );
  }
  return lines;
}

/** Every `key=` of the subsystem that begins a word is where a value begins, unless a quoted value holds it. */
function parseValues(text: string, subsystem: Subsystem): Map<string, string> {
  const values = new Map<string, string>();
  let at = 0;
  while (at < text.length) {
    const key = keyAt(text, at, subsystem);
    if (key === null) throw unknownWord(text.slice(at), subsystem);
    if (values.has(key)) throw settingsError(`The key "${key}" is given twice.`);
    const from = at + key.length + 1;
    const end = quotedEnd(text, from, subsystem) ?? nextKey(text, from, subsystem);
    values.set(key, unquote(text.slice(from, end).trim()));
    at = end;
    while (at < text.length && isSpace(text[at])) at++;
  }
  for (const key of subsystem.removedKeys) values.delete(key);
  refuseAbsent(values, subsystem);
  return values;
}

function keyAt(text: string, at: number, subsystem: Subsystem): string | null {
  const isWordStart = at === 0 || isSpace(text[at - 1]);
  const match = isWordStart ? /^[a-z0-9_]{1,64}(?==)/.exec(text.slice(at, at + 65)) : null;
  const key = match?.[0];
  return key !== undefined && (Object.hasOwn(subsystem.keys, key) || subsystem.removedKeys.includes(key)) ? key : null;
}

function nextKey(text: string, from: number, subsystem: Subsystem): number {
  for (let at = from; at < text.length; at++) {
    if (at > from && isSpace(text[at - 1]) && keyAt(text, at, subsystem) !== null) return at;
  }
  return text.length;
}

/** Behind the quote that closes the value: one that the end of the line or a known key follows. */
function quotedEnd(text: string, from: number, subsystem: Subsystem): number | null {
  const quote = text[from];
  if (quote !== '"' && quote !== "'") return null;
  for (let at = text.indexOf(quote, from + 1); at >= 0; at = text.indexOf(quote, at + 1)) {
    let next = at + 1;
    while (next < text.length && isSpace(text[next])) next++;
    if (next === text.length) return next;
    if (next > at + 1 && keyAt(text, next, subsystem) !== null) return next;
  }
  return null;
}

function unquote(value: string): string {
  const quote = value[0];
  const isQuoted = value.length >= 2 && (quote === '"' || quote === "'") && value.endsWith(quote);
  return isQuoted ? value.slice(1, -1) : value;
}

/** A key that this server does not heed would otherwise become the end of the value before it. */
function refuseAbsent(values: ReadonlyMap<string, string>, subsystem: Subsystem): void {
  for (const [key, value] of values) {
    if (key === commentKey) continue;
    const absent = subsystem.absentKeys.find((name) => new RegExp(`(^|\\s)${name}=`).test(value));
    if (absent !== undefined) requireKey(subsystem, absent);
  }
}

function unknownWord(rest: string, subsystem: Subsystem): SettingsRefusal {
  const word = /^\S{0,64}/.exec(rest)?.[0] ?? '';
  const key = /^([A-Za-z0-9_]+)=/.exec(word)?.[1];
  if (key === undefined) {
    // Not repeated: it may be the rest of a secret.
    return settingsError(`What is set must be of the form KEY=VALUE: write for example ${exampleOf(subsystem)}.`);
  }
  try {
    requireKey(subsystem, key);
  } catch (error) {
    if (error instanceof Refusal) return error as SettingsRefusal;
    throw error;
  }
  return settingsError(`The key "${key}" cannot stand there.`);
}

function exampleOf({ name, keys }: Subsystem): string {
  const [first = ''] = Object.keys(keys).filter((key) => key !== enableKey);
  return `${name} ${first}=VALUE`;
}

/** `subsys[:target] key=value `: each pair is followed by a space. */
export function printLine(place: Place, values: Iterable<readonly [key: string, value: string]>): string {
  let line = `${placeName(place)} `;
  for (const [key, value] of values) line += `${key}=${quoted(value)} `;
  return line;
}

export function placeName({ subsystem, target }: Place): string {
  return target === defaultTarget ? subsystem.name : `${subsystem.name}:${target}`;
}

function quoted(value: string): string {
  return /\s/.test(value) || /^["']/.test(value) ? `"${value}"` : value;
}

/** Throws unless the text that would be printed reads back as the same values. */
export function requirePrintable(place: Place, values: ReadonlyMap<string, string>): void {
  for (const [key, value] of values) {
    if (/\p{Cc}/u.test(value)) throw settingsError(`The value of "${key}" holds a control character.`);
    if (value !== value.trim()) throw settingsError(`The value of "${key}" begins or ends with a space.`);
  }
  const read =
    values.size === 0
      ? new Map()
      : parseValues(printLine(place, values).slice(placeName(place).length + 1), place.subsystem);
  for (const [key, value] of values) {
    if (read.get(key) !== value) {
      throw settingsError(`The value of "${key}" cannot be told from a key and its value: leave the quote in it out.`);
    }
  }
}

export function decodeSettingsText(bytes: Uint8Array): string {
  if (bytes.length > limits.settingsBytesMax) {
    throw settingsError('The settings are too large.', 'XMinioAdminConfigTooLarge');
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw settingsError('The settings are not UTF-8 text.');
  }
}

function isSpace(char: string | undefined): boolean {
  return char !== undefined && /\s/.test(char);
}

/** What a client wrote, short and without control characters. */
function shown(text: string): string {
  return text.replace(/\p{Cc}/gu, '?').slice(0, 64);
}
