/** What the environment says about settings: names of subsystem, key and target, under either prefix. */
import type { Environment } from './environment-file.js';
import { granaryPrefix, minioPrefix } from './prefixes.js';
import { commentKey, defaultTarget, environmentName, type Subsystem } from './subsystem.js';

/** Granary's own first. */
const prefixes = [granaryPrefix, minioPrefix] as const;
const targetPattern = /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/;

export interface EnvironmentSetting {
  /** As the operator wrote it. */
  readonly name: string;
  readonly value: string;
}

export class SettingsEnvironment {
  constructor(private readonly values: Environment) {}

  /** Null: nothing, or an empty text. */
  get(subsystem: Subsystem, key: string, target: string): EnvironmentSetting | null {
    const others = target === defaultTarget ? (subsystem.keys[key]?.environment ?? []) : [];
    for (const bare of [environmentName(subsystem.name, key, target), ...others]) {
      for (const prefix of prefixes) {
        const value = this.values[prefix + bare];
        if (value !== undefined && value !== '') return { name: prefix + bare, value };
      }
    }
    return null;
  }

  /** Targets that it names, the default one among them when one of its keys is set. */
  targets(subsystem: Subsystem): ReadonlySet<string> {
    const found = new Set<string>();
    for (const name of Object.keys(this.values)) {
      const prefix = prefixes.find((one) => name.startsWith(one));
      if (prefix === undefined || this.values[name] === '') continue;
      const target = targetOf(name.slice(prefix.length), subsystem);
      if (target !== null) found.add(target);
    }
    return found;
  }
}

/** The target of a name without its prefix; null when it is none of the subsystem's. */
export function targetOf(bare: string, subsystem: Subsystem): string | null {
  const keys = Object.keys(subsystem.keys).sort((left, right) => right.length - left.length);
  for (const key of keys) {
    const base = environmentName(subsystem.name, key);
    if (bare === base || subsystem.keys[key]?.environment?.includes(bare) === true) return defaultTarget;
    if (!subsystem.hasTargets || key === commentKey || !bare.startsWith(`${base}_`)) continue;
    const target = bare.slice(base.length + 1);
    if (targetPattern.test(target)) return target;
  }
  return null;
}
