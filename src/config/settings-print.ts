/** Settings as they are shown: to `get` without secrets, to an export in full. */
import { storedValues, targetsOf } from './effective.js';
import type { SettingsEnvironment } from './settings-environment.js';
import { printLine, type Assignment, type Place } from './settings-text.js';
import type { StoredSettings } from './stored-settings.js';
import { enableKey, environmentName, type Subsystem } from './subsystem.js';

/** Stands where a secret is. */
export const redacted = '*redacted*';

export interface PrintSource {
  readonly stored: StoredSettings;
  readonly environment: SettingsEnvironment;
}

/** What is stored, or the defaults, in one line; in front, a comment for each variable that wins over it. */
export function printPlace(place: Place, { stored, environment }: PrintSource, isForExport: boolean): string {
  const { subsystem, target } = place;
  const own = storedValues(stored, place);
  const pairs: [string, string][] = [];
  let text = '';
  for (const [name, key] of Object.entries(subsystem.keys)) {
    const fromEnvironment = environment.get(subsystem, name, target);
    if (fromEnvironment !== null) {
      // Clients look for this very prefix, whichever was used.
      const shown = key.isSecret === true && !isForExport ? redacted : fromEnvironment.value;
      text += `# MINIO_${environmentName(subsystem.name, name, target)}=${shown}\n`;
    }
    const value = own.get(name) ?? key.default;
    if (name === enableKey && value === 'on') continue;
    if (value === '' && key.isHiddenWhenEmpty === true) continue;
    if (key.isSecret === true && !isForExport) continue;
    pairs.push([name, value]);
  }
  // A target that nobody made is not to come into being by an import.
  const isAbsent = subsystem.hasTargets && own.size === 0;
  return `${text}${isAbsent && isForExport ? '# ' : ''}${printLine(place, pairs)}\n`;
}

export function printExport(schema: readonly Subsystem[], source: PrintSource): string {
  const places = schema.flatMap((subsystem) =>
    targetsOf(subsystem, source.stored, source.environment).map((target) => ({ subsystem, target })),
  );
  return places.map((place) => printPlace(place, source, true)).join('');
}

/** Lines of history: what was set, with its secrets taken out. */
export function printAssignments(assignments: readonly Assignment[]): string {
  return assignments
    .map(({ subsystem, target, values }) => {
      const shown = [...values].map(([name, value]): [string, string] => {
        const isHidden = subsystem.keys[name]?.isSecret === true && value !== '';
        return [name, isHidden ? redacted : value];
      });
      return printLine({ subsystem, target }, shown);
    })
    .join('\n');
}
