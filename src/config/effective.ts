/** What counts for one target: environment before stored before default, read and checked. */
import { StartupError } from '../base/index.js';
import type { Environment } from './environment-file.js';
import { settingsError, type Place } from './settings-text.js';
import type { SettingKey } from './setting-key.js';
import { SettingsEnvironment } from './settings-environment.js';
import type { StoredSettings } from './stored-settings.js';
import { defaultTarget, enableKey, type SettingFacts, type Subsystem } from './subsystem.js';

export interface Effective {
  readonly values: Readonly<Record<string, unknown>>;
  readonly isEnabled: boolean;
}

export function storedValues(stored: StoredSettings, { subsystem, target }: Place): ReadonlyMap<string, string> {
  return stored.get(subsystem.name)?.get(target) ?? noValues;
}

const noValues: ReadonlyMap<string, string> = new Map();

/** Targets that are stored or in the environment; the default one always. */
export function targetsOf(
  subsystem: Subsystem,
  stored: StoredSettings,
  environment: SettingsEnvironment,
): readonly string[] {
  const names = new Set([...(stored.get(subsystem.name)?.keys() ?? []), ...environment.targets(subsystem)]);
  names.delete(defaultTarget);
  return [defaultTarget, ...[...names].sort()];
}

function isTargetEnabled({ hasTargets, enabledBy }: Subsystem, values: Readonly<Record<string, unknown>>): boolean {
  if (enabledBy.length === 0) return !hasTargets || values[enableKey] === true;
  const said = values[enableKey];
  return typeof said === 'boolean' ? said : enabledBy.some((name) => values[name] !== '');
}

/** Also of what the environment hides for now. Throws XMinioConfigError. */
export function checkStored({ subsystem }: Place, values: ReadonlyMap<string, string>): void {
  for (const [name, text] of values) {
    const key = subsystem.keys[name];
    if (key !== undefined) readKey(key, text, `${subsystem.name} ${name}`);
  }
}

function readKey(key: SettingKey, text: string, written: string): unknown {
  const value = key.parse(text);
  if (value !== undefined) return value;
  const shown = key.isSecret === true ? 'not' : `"${text.slice(0, 256)}", which is not`;
  throw settingsError(`${written} is ${shown} ${key.expects}.`);
}

/** Throws XMinioConfigError for the first thing that is wrong. */
export function effectiveOf(
  place: Place,
  stored: StoredSettings,
  environment: SettingsEnvironment,
  facts: SettingFacts,
): Effective {
  const { subsystem, target } = place;
  const own = storedValues(stored, place);
  const values: Record<string, unknown> = {};
  const missing: string[] = [];
  for (const [name, key] of Object.entries(subsystem.keys)) {
    const fromEnvironment = environment.get(subsystem, name, target);
    const text = fromEnvironment?.value ?? own.get(name) ?? key.default;
    values[name] = readKey(key, text, fromEnvironment?.name ?? `${subsystem.name} ${name}`);
    if (key.isRequired === true && text === '') missing.push(name);
  }
  const isEnabled = isTargetEnabled(subsystem, values);
  if (isEnabled && missing.length > 0) {
    throw settingsError(`${subsystem.name} needs a value for ${missing.join(', ')} while it is enabled.`);
  }
  const wrong = isEnabled ? subsystem.check(values, facts) : null;
  if (wrong !== null) throw settingsError(`${subsystem.name}: ${wrong}.`);
  return { values, isEnabled };
}

/** Targets that are enabled, by name, as the rest of the server reads them. Throws XMinioConfigError. */
export function readTargets(
  subsystem: Subsystem,
  stored: StoredSettings,
  environment: SettingsEnvironment,
  facts: SettingFacts,
): ReadonlyMap<string, unknown> {
  const live = new Map<string, unknown>();
  for (const target of targetsOf(subsystem, stored, environment)) {
    const { values, isEnabled } = effectiveOf({ subsystem, target }, stored, environment, facts);
    if (isEnabled) live.set(target, subsystem.read(values, facts, target));
  }
  return live;
}

/** Of the environment alone: what is stored may have been right with another one. Throws StartupError. */
export function readEnvironment(
  subsystem: Subsystem,
  environment: SettingsEnvironment,
  facts: SettingFacts,
): ReadonlyMap<string, unknown> {
  try {
    return readTargets(subsystem, new Map(), environment, facts);
  } catch (error) {
    throw new StartupError(
      `The environment's settings are not valid: ${error instanceof Error ? error.message : ''}`,
      'Correct the variable, or leave it out.',
      error,
    );
  }
}

/** The same before there are any settings. Throws StartupError. */
export function checkEnvironment(subsystem: Subsystem, environment: Environment, facts: SettingFacts): void {
  readEnvironment(subsystem, new SettingsEnvironment(environment), facts);
}
