/**
 * The settings of a running server: what is stored, what the environment says, and what of both is in effect.
 * A change is checked with the environment laid over it, made durable, and then takes effect; what needs a
 * new start keeps its old value until then.
 */
import { limits, StartupError, type Clock } from '../base/index.js';
import { checkStored, effectiveOf, readEnvironment, readTargets, storedValues, targetsOf } from './effective.js';
import type { Environment } from './environment-file.js';
import { SettingsEnvironment } from './settings-environment.js';
import { settingsHelp, type SettingsHelp } from './settings-help.js';
import { printAssignments, printExport, printPlace, redacted } from './settings-print.js';
import {
  parseAssignments,
  parsePlace,
  parseResets,
  placeName,
  requirePrintable,
  settingsError,
  type Assignment,
  type Place,
} from './settings-text.js';
import {
  currentName,
  decodeHistory,
  decodeSettings,
  encodeHistory,
  encodeSettings,
  historyPrefix,
  type HistoryEntry,
  type SettingsRecords,
  type StoredSettings,
} from './stored-settings.js';
import { defaultTarget, type SettingFacts, type Subsystem } from './subsystem.js';

export interface ServerSettingsOptions {
  readonly schema: readonly Subsystem[];
  readonly environment: Environment;
  readonly records: SettingsRecords;
  readonly facts: SettingFacts;
  readonly clock: Pick<Clock, 'nowMs'>;
  /** A fresh id of a history entry. */
  readonly newId: () => string;
  /** What is wrong with settings of several targets or subsystems together; null: nothing. Asked about what is touched. */
  readonly checkTogether?: CheckTogether;
  /** For what an operator should know; never a secret. */
  readonly log: (text: string, fields: Readonly<Record<string, unknown>>) => void;
}

/** Enabled targets by name, as they would be. */
export type SettingsView = <T>(subsystem: Subsystem<T>) => ReadonlyMap<string, T>;
export type CheckTogether = (next: SettingsView, touched: readonly Subsystem[], now: SettingsView) => string | null;

/** One target as it is set, for operators. */
export interface TargetView {
  readonly target: string;
  readonly isEnabled: boolean;
  readonly isStored: boolean;
  readonly pairs: readonly {
    readonly key: string;
    /** Also of a secret. */
    readonly value: string;
    readonly isSecret: boolean;
    readonly isStored: boolean;
    readonly isFromEnvironment: boolean;
  }[];
}

export interface SettingsChange {
  /** False: some of it waits for the next start. */
  readonly isInEffect: boolean;
}

interface HistoryChange {
  readonly history: readonly HistoryEntry[];
  readonly changes: readonly { readonly name: string; readonly value: Uint8Array | null }[];
}

type Mutable = Map<string, Map<string, Map<string, string>>>;
type Live = ReadonlyMap<string, ReadonlyMap<string, unknown>>;

export class ServerSettings {
  readonly #options: ServerSettingsOptions;
  readonly #environment: SettingsEnvironment;
  readonly #listeners: (() => void)[] = [];
  #stored: StoredSettings = new Map();
  #history: readonly HistoryEntry[] = [];
  #live: Live = new Map();
  #last: Promise<unknown> = Promise.resolve();

  private constructor(options: ServerSettingsOptions) {
    this.#options = options;
    this.#environment = new SettingsEnvironment(options.environment);
  }

  /** Throws StartupError for a wrong variable of the environment. */
  static async open(options: ServerSettingsOptions): Promise<ServerSettings> {
    const settings = new ServerSettings(options);
    await settings.#load();
    settings.#live = new Map(options.schema.map((subsystem) => [subsystem.name, settings.#atStart(subsystem)]));
    return settings;
  }

  // ---- for the rest of the server ----

  /** Of a subsystem without targets. The same object until it changes. */
  read<T>(subsystem: Subsystem<T>): T {
    return this.#live.get(subsystem.name)?.get(defaultTarget) as T;
  }

  /** Of a subsystem without targets that can be off: null while it is. The same object until it changes. */
  readEnabled<T>(subsystem: Subsystem<T>): T | null {
    return this.targets(subsystem).get(defaultTarget) ?? null;
  }

  /** Those that are enabled, by name. */
  targets<T>(subsystem: Subsystem<T>): ReadonlyMap<string, T> {
    return (this.#live.get(subsystem.name) ?? new Map()) as ReadonlyMap<string, T>;
  }

  /** As they will be from the next start on, if nothing changes; those that are enabled, by name. */
  upcoming<T>(subsystem: Subsystem<T>): ReadonlyMap<string, T> {
    return this.#readAll(subsystem, this.#stored) as ReadonlyMap<string, T>;
  }

  /** Called at once, and after every change that took effect. */
  watch(listener: () => void): void {
    this.#listeners.push(listener);
    listener();
  }

  // ---- for operators ----

  /** `subsys`: all its targets; `subsys:`: the one without a name. */
  get(words: string): string {
    const places = words
      .split(/\s+/)
      .filter((word) => word !== '')
      .flatMap((word) => this.#placesOf(word));
    if (places.length === 0) throw settingsError('No sub-system is named.');
    return places.map((place) => printPlace(place, this.#source(), false)).join('');
  }

  /** Every target of a subsystem, the one without a name first, with what is set and what is not. */
  views(name: string): readonly TargetView[] {
    const { subsystem } = parsePlace(name, this.#options.schema);
    return targetsOf(subsystem, this.#stored, this.#environment).map((target) => ({
      target,
      isEnabled: this.#isEnabled({ subsystem, target }),
      isStored: storedValues(this.#stored, { subsystem, target }).size > 0,
      pairs: Object.entries(subsystem.keys).map(([key, { default: usual, isSecret = false }]) => {
        const own = storedValues(this.#stored, { subsystem, target }).get(key);
        const fromEnvironment = this.#environment.get(subsystem, key, target);
        const value = fromEnvironment?.value ?? own ?? usual;
        return { key, value, isSecret, isStored: own !== undefined, isFromEnvironment: fromEnvironment !== null };
      }),
    }));
  }

  export(): string {
    return printExport(this.#options.schema, this.#source());
  }

  help(place: string, key: string, asEnvironment: boolean): SettingsHelp {
    return settingsHelp(this.#options.schema, place, key, asEnvironment);
  }

  /** What `set` would come to for the next start; throws what it would throw, and changes nothing. */
  preview<T>(text: string, subsystem: Subsystem<T>): ReadonlyMap<string, T> {
    const assignments = parseAssignments(text, this.#options.schema);
    const next = merged(this.#stored, assignments);
    this.#check(next, assignments);
    return this.#readAll(subsystem, next) as ReadonlyMap<string, T>;
  }

  /** What is not named keeps its value. */
  set(text: string): Promise<SettingsChange> {
    return this.#inTurn(async () => {
      const assignments = parseAssignments(text, this.#options.schema);
      if (assignments.length === 0) throw settingsError('Nothing to set is given.');
      return await this.#apply(merged(this.#stored, assignments), assignments, this.#withEntry(text));
    });
  }

  /** What is not named gets its default back. */
  import(text: string): Promise<SettingsChange> {
    return this.#inTurn(async () => {
      const assignments = parseAssignments(text, this.#options.schema);
      return await this.#apply(merged(new Map(), assignments), this.#allPlaces(assignments), this.#withEntry(text));
    });
  }

  reset(text: string): Promise<SettingsChange> {
    return this.#inTurn(async () => {
      const resets = parseResets(text, this.#options.schema);
      if (resets.length === 0) throw settingsError('No sub-system is named.');
      const next = copyOf(this.#stored);
      for (const { subsystem, target, keys } of resets) {
        const targets = next.get(subsystem.name);
        const values = targets?.get(target);
        if (values === undefined) {
          if (target === defaultTarget) continue;
          throw settingsError(`There is no target "${target}" of "${subsystem.name}".`, 'XMinioConfigNotFoundError');
        }
        for (const key of keys) values.delete(key);
        if (keys.length === 0 || values.size === 0) targets?.delete(target);
      }
      return await this.#apply(next, resets, { history: this.#history, changes: [] });
    });
  }

  /** The newest `count`, oldest first, without secrets. */
  history(count: number): readonly HistoryEntry[] {
    return this.#history.slice(-count).map((entry) => ({ ...entry, text: this.#shownText(entry) }));
  }

  /** Sets what that entry says once more, and takes it out of the history. */
  restore(id: string): Promise<SettingsChange> {
    return this.#inTurn(async () => {
      const entry = this.#history.find((one) => one.id === id);
      if (entry === undefined) throw noSuchEntry();
      const assignments = parseAssignments(entry.text, this.#options.schema);
      return await this.#apply(merged(this.#stored, assignments), assignments, this.#withoutEntries([entry]));
    });
  }

  /** `all`, or one. */
  clearHistory(id: string): Promise<void> {
    return this.#inTurn(async () => {
      const gone = id === 'all' ? this.#history : this.#history.filter((entry) => entry.id === id);
      if (gone.length === 0 && id !== 'all') throw noSuchEntry();
      const { history, changes } = this.#withoutEntries(gone);
      if (changes.length > 0) await this.#options.records.write(changes);
      this.#history = history;
    });
  }

  // ---- inside ----

  #isEnabled(place: Place): boolean {
    try {
      return effectiveOf(place, this.#stored, this.#environment, this.#options.facts).isEnabled;
    } catch {
      // What is not valid has no effect.
      return false;
    }
  }

  #source() {
    return { stored: this.#stored, environment: this.#environment };
  }

  #inTurn<T>(change: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(change);
    this.#last = turn.catch(() => undefined);
    return turn;
  }

  async #apply(
    next: StoredSettings,
    touched: readonly Place[],
    { history, changes }: HistoryChange,
  ): Promise<SettingsChange> {
    this.#check(next, touched);
    await this.#options.records.write([{ name: currentName, value: encodeSettings(next) }, ...changes]);
    this.#stored = next;
    this.#history = history;
    const names = new Set(touched.map(({ subsystem }) => subsystem.name));
    const live = new Map(this.#live);
    let isInEffect = true;
    for (const subsystem of this.#options.schema) {
      if (!names.has(subsystem.name)) continue;
      if (subsystem.isDynamic) live.set(subsystem.name, this.#readAll(subsystem, next));
      else isInEffect = false;
    }
    this.#live = live;
    for (const listener of this.#listeners) listener();
    return { isInEffect };
  }

  #check(next: StoredSettings, touched: readonly Place[]): void {
    const { schema, facts } = this.#options;
    for (const place of touched) {
      const own = storedValues(next, place);
      requirePrintable(place, own);
      requireNoPlaceholder(place, own);
      checkStored(place, own);
      effectiveOf(place, next, this.#environment, facts);
    }
    for (const subsystem of schema) {
      const { length } = targetsOf(subsystem, next, this.#environment);
      if (length > limits.settingTargetsMax) {
        throw settingsError(`${subsystem.name} has ${limits.settingTargetsMax} targets at most.`);
      }
    }
    const view = (stored: StoredSettings): SettingsView => {
      return (subsystem) => this.#readAll(subsystem, stored) as ReadonlyMap<string, never>;
    };
    const subsystems = touched.map(({ subsystem }) => subsystem);
    const wrong = this.#options.checkTogether?.(view(next), subsystems, view(this.#stored)) ?? null;
    if (wrong !== null) throw settingsError(wrong);
    const text = printExport(schema, { stored: next, environment: this.#environment });
    // Otherwise it could be exported and never imported.
    if (Buffer.byteLength(text) > limits.settingsBytesMax) {
      throw settingsError('The settings are too large.', 'XMinioAdminConfigTooLarge');
    }
  }

  #readAll(subsystem: Subsystem, stored: StoredSettings): ReadonlyMap<string, unknown> {
    return readTargets(subsystem, stored, this.#environment, this.#options.facts);
  }

  /** The environment may have changed since something was stored: it must be right by itself, at least. */
  #atStart(subsystem: Subsystem): ReadonlyMap<string, unknown> {
    const live = readEnvironment(subsystem, this.#environment, this.#options.facts);
    try {
      return this.#readAll(subsystem, this.#stored);
    } catch (error) {
      const cause = error instanceof Error ? error.message : '';
      this.#options.log('stored settings are not valid with this environment and have no effect', {
        subsystem: subsystem.name,
        cause,
      });
      return live;
    }
  }

  async #load(): Promise<void> {
    const history: HistoryEntry[] = [];
    await this.#options.records.load((name, value) => {
      if (name === currentName) {
        const stored = decodeSettings(value);
        if (stored === null) {
          throw new StartupError(
            'The stored settings are in a form that this release does not know.',
            'Start the release that wrote them, or a later one.',
          );
        }
        this.#stored = stored;
      } else if (name.startsWith(historyPrefix)) {
        const entry = decodeHistory(name.slice(historyPrefix.length), value);
        if (entry !== null) history.push(entry);
      }
    });
    this.#history = history.sort((left, right) => left.createdMs - right.createdMs);
  }

  #placesOf(word: string): readonly Place[] {
    const { subsystem, target, isTargetNamed } = parsePlace(word, this.#options.schema);
    const all = targetsOf(subsystem, this.#stored, this.#environment);
    if (!isTargetNamed) return all.map((one) => ({ subsystem, target: one }));
    if (!all.includes(target)) {
      throw settingsError(`There is no target "${target}" of "${subsystem.name}".`, 'XMinioConfigNotFoundError');
    }
    return [{ subsystem, target }];
  }

  #allPlaces(assignments: readonly Assignment[]): readonly Place[] {
    const places = new Map<string, Place>();
    for (const subsystem of this.#options.schema) {
      for (const target of targetsOf(subsystem, this.#stored, this.#environment)) {
        const place = { subsystem, target };
        places.set(placeName(place), place);
      }
    }
    for (const assignment of assignments) places.set(placeName(assignment), assignment);
    return [...places.values()];
  }

  #withEntry(text: string): HistoryChange {
    // Two in one millisecond keep their order.
    const createdMs = Math.max(this.#options.clock.nowMs(), (this.#history.at(-1)?.createdMs ?? 0) + 1);
    const entry: HistoryEntry = { id: this.#options.newId(), createdMs, text };
    const all = [...this.#history, entry];
    const kept = all.slice(-limits.settingsHistoryMax);
    const changes = [
      { name: historyPrefix + entry.id, value: encodeHistory(entry) },
      ...all.slice(0, all.length - kept.length).map(({ id }) => ({ name: historyPrefix + id, value: null })),
    ];
    return { history: kept, changes };
  }

  #withoutEntries(gone: readonly HistoryEntry[]): HistoryChange {
    return {
      history: this.#history.filter((entry) => !gone.includes(entry)),
      changes: gone.map(({ id }) => ({ name: historyPrefix + id, value: null })),
    };
  }

  #shownText({ text }: HistoryEntry): string {
    try {
      return printAssignments(parseAssignments(text, this.#options.schema));
    } catch {
      // Of another release, whose secrets are not known here.
      return '# This entry holds settings that this release does not have.';
    }
  }
}

/** Somebody set what `get` or the history had shown. */
function requireNoPlaceholder({ subsystem }: Place, values: ReadonlyMap<string, string>): void {
  for (const [key, value] of values) {
    if (subsystem.keys[key]?.isSecret === true && value === redacted) {
      throw settingsError(`The value of "${key}" is what stands in place of a secret: write the secret itself.`);
    }
  }
}

function noSuchEntry() {
  return settingsError('There is no such entry in the history.', 'XMinioConfigNotFoundError');
}

function copyOf(stored: StoredSettings): Mutable {
  return new Map(
    [...stored].map(([name, targets]) => [
      name,
      new Map([...targets].map(([target, values]) => [target, new Map(values)])),
    ]),
  );
}

/** What is empty or the default is not stored: a later release may have a better default. */
function merged(stored: StoredSettings, assignments: readonly Assignment[]): StoredSettings {
  const next = copyOf(stored);
  for (const { subsystem, target, values } of assignments) {
    const targets = next.get(subsystem.name) ?? new Map<string, Map<string, string>>();
    const own = targets.get(target) ?? new Map<string, string>();
    for (const [key, value] of values) {
      if (value === '' || value === subsystem.keys[key]?.default) own.delete(key);
      else own.set(key, value);
    }
    if (own.size > 0) targets.set(target, own);
    else targets.delete(target);
    if (targets.size > 0) next.set(subsystem.name, targets);
    else next.delete(subsystem.name);
  }
  return next;
}
