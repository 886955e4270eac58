/**
 * A subsystem of settings as data: one file of `subsystems/` each, named in `subsystems/index.ts`. Everything
 * else (names in the environment, help, texts, validation, what takes effect at once) follows from it.
 */
import type { SettingKey } from './setting-key.js';
import { parsedKey, switchKey, textKey } from './setting-key.js';
import { parseSwitch } from './words.js';

/** What a check must know of the server it runs in. */
export interface SettingFacts {
  /** Of all erasure sets, or one of each kind: drives, and the parity that they were formatted with. */
  readonly sets: readonly SetFacts[];
}

export interface SetFacts {
  readonly driveCount: number;
  readonly parityShards: number;
}

export type Keys = Readonly<Record<string, SettingKey>>;
export type Values<K extends Keys> = {
  readonly [Name in keyof K]: K[Name] extends SettingKey<infer T> ? T : never;
};

export interface SubsystemOptions<K extends Keys, T> {
  readonly name: string;
  readonly description: string;
  /** Several of them, by name, each switched by `enable`. */
  readonly hasTargets?: true;
  /** What a change needs to take effect. */
  readonly takesEffect: 'at once' | 'at the next start';
  readonly keys: K;
  /** Keys of which one that is set enables a target, unless `enable` says otherwise. */
  readonly enabledBy?: readonly (keyof K & string)[];
  /** Known elsewhere and not here: naming one is refused, so that nobody takes it for heeded. */
  readonly absentKeys?: readonly string[];
  /** Without a meaning elsewhere, too: taken out of what is set, so that old settings can be brought along. */
  readonly removedKeys?: readonly string[];
  /** What is wrong with the values together, as a sentence; null: nothing. */
  readonly check?: (values: Values<K>, facts: SettingFacts) => string | null;
  /** The typed form that the rest of the server reads. */
  readonly read: (values: Values<K>, facts: SettingFacts, target: string) => T;
}

export interface Subsystem<T = unknown> {
  readonly name: string;
  readonly description: string;
  readonly hasTargets: boolean;
  readonly isDynamic: boolean;
  /** Empty: `enable` alone decides, where there are targets. */
  readonly enabledBy: readonly string[];
  /** In the order in which they are printed. */
  readonly keys: Keys;
  readonly absentKeys: readonly string[];
  readonly removedKeys: readonly string[];
  readonly check: (values: Readonly<Record<string, unknown>>, facts: SettingFacts) => string | null;
  readonly read: (values: Readonly<Record<string, unknown>>, facts: SettingFacts, target: string) => T;
}

/** Of a subsystem's only target, and of one without a name. */
export const defaultTarget = '_';
export const enableKey = 'enable';
export const commentKey = 'comment';

export function defineSubsystem<K extends Keys, T>(options: SubsystemOptions<K, T>): Subsystem<T> {
  const {
    name,
    description,
    hasTargets = false,
    takesEffect,
    keys,
    enabledBy = [],
    absentKeys = [],
    check,
    read,
  } = options;
  const comment = textKey('optionally add a comment to this setting', { type: 'sentence', isHiddenWhenEmpty: true });
  return {
    name,
    description,
    hasTargets,
    isDynamic: takesEffect === 'at once',
    enabledBy,
    keys: {
      ...(enabledBy.length > 0
        ? { [enableKey]: enabledKey(enabledBy) }
        : hasTargets && { [enableKey]: switchKey(`enable ${name} target, default is 'off'`, 'off') }),
      ...keys,
      [commentKey]: comment,
    },
    absentKeys,
    removedKeys: options.removedKeys ?? [],
    // The values were read by the very keys that the types come from.
    check: (values, facts) => check?.(values as Values<K>, facts) ?? null,
    read: (values, facts, target) => read(values as Values<K>, facts, target),
  };
}

/** Null while it is not said. */
function enabledKey(enabledBy: readonly string[]) {
  return parsedKey<boolean | null>('on|off', `on or off; without it, on as soon as ${enabledBy.join(' or ')} is set`, {
    parse: (text) => (text === '' ? null : (parseSwitch(text) ?? undefined)),
    expects: 'on or off',
  });
}

/** Without its prefix: `API_REQUESTS_MAX`, `AUDIT_WEBHOOK_ENDPOINT_first`. */
export function environmentName(subsystem: string, key: string, target = defaultTarget): string {
  const base = `${subsystem}_${key}`.toUpperCase();
  return target === defaultTarget ? base : `${base}_${target}`;
}
