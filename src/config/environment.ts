/**
 * The environment as settings: a name without its prefix, GRANARY_ before MINIO_, and the names that nobody reads.
 */
import { readEnvironmentFile, type Environment } from './environment-file.js';
import { KnownNames } from './known-names.js';
import { granaryPrefix, minioPrefix } from './prefixes.js';
import { targetOf } from './settings-environment.js';
import { subsystems } from './subsystems/index.js';

export interface Setting {
  /** As the operator wrote it: `MINIO_REGION`. */
  readonly name: string;
  readonly value: string;
}

/** For tests and clouds that few are in: no help shows them, and no stored setting stands beside. */
const hidden = [
  '_GRANARY_AZURE_LOGIN_URL',
  '_MINIO_AZURE_LOGIN_URL',
  '_GRANARY_AZURE_GRAPH_URL',
  '_MINIO_AZURE_GRAPH_URL',
];

/** Names that exist with our prefix only or in another sense than MinIO's. */
const granaryOnly = ['KERNEL', 'SEED', 'KILL_ROUNDS'];

export class Settings {
  readonly warnings: readonly string[];
  readonly #values: Environment;

  constructor(values: Environment, warnings: readonly string[]) {
    this.#values = values;
    this.warnings = [...warnings, ...nameWarnings(values)];
  }

  /** What it says about stored settings: see docs/configuration.md. */
  subsystemValues(): Readonly<Record<string, string>> {
    const found: Record<string, string> = {};
    for (const name of hidden) {
      const value = this.#values[name];
      if (value !== undefined) found[name] = value;
    }
    for (const [name, value] of Object.entries(this.#values)) {
      const bare = bareName(name);
      if (bare === null || value === undefined) continue;
      if (subsystems.some((subsystem) => targetOf(bare, subsystem) !== null)) found[name] = value;
    }
    return found;
  }

  /** The first of these names that is set to something. */
  get(...names: readonly string[]): Setting | null {
    for (const name of names) {
      for (const prefix of [granaryPrefix, minioPrefix]) {
        const value = this.#values[prefix + name];
        if (value !== undefined && value !== '') return { name: prefix + name, value };
      }
    }
    return null;
  }
}

/** The process's environment with what MINIO_CONFIG_ENV_FILE adds. */
export function readSettings(environment: Environment): Settings {
  const path = new Settings(environment, []).get('CONFIG_ENV_FILE');
  if (path === null) return new Settings(environment, []);
  const fromFile = readEnvironmentFile(path.value);
  if (fromFile === null) {
    return new Settings(environment, [
      `${path.name} names ${path.value}, which does not exist; the server starts without it.`,
    ]);
  }
  return new Settings({ ...environment, ...fromFile }, []);
}

function bareName(name: string): string | null {
  const prefix = [granaryPrefix, minioPrefix].find((one) => name.startsWith(one));
  return prefix === undefined ? null : name.slice(prefix.length);
}

function nameWarnings(values: Environment): string[] {
  const known = new KnownNames();
  const unknown: string[] = [];
  const byFeature = new Map<string, string[]>();
  for (const name of Object.keys(values).sort()) {
    const prefix = [granaryPrefix, minioPrefix].find((one) => name.startsWith(one));
    if (prefix === undefined) continue;
    const bare = name.slice(prefix.length);
    if (prefix === granaryPrefix && (granaryOnly.includes(bare) || /^(TEST|BENCH|TALLY)_/.test(bare))) continue;
    const use = known.useOf(bare);
    if (use === null) {
      const nearest = known.nearest(bare);
      const hint = nearest === null ? '' : ` Did you mean ${prefix}${nearest}?`;
      unknown.push(`${name} is not a known setting and has no effect.${hint}`);
    } else if (use.kind === 'inactive' && values[name] !== '') {
      byFeature.set(use.feature, [...(byFeature.get(use.feature) ?? []), name]);
    }
  }
  const inactive = [...byFeature].map(
    ([feature, names]) =>
      `This release does not have ${feature} yet: ${names.join(', ')} ${names.length > 1 ? 'have' : 'has'} no effect.`,
  );
  return [...unknown, ...inactive];
}
