/** Help as the clients of the administration API read it; they take no field that they do not know. */
import { parsePlace, requireKey } from './settings-text.js';
import { environmentName, type Subsystem } from './subsystem.js';

export interface SettingsHelp {
  readonly subSys: string;
  readonly description: string;
  readonly multipleTargets: boolean;
  readonly keysHelp: readonly {
    readonly key: string;
    readonly type: string;
    readonly description: string;
    readonly optional: boolean;
    readonly multipleTargets: boolean;
  }[];
}

/** An empty `place` lists the subsystems; an empty `key`, all keys of one. */
export function settingsHelp(
  schema: readonly Subsystem[],
  place: string,
  key: string,
  asEnvironment: boolean,
): SettingsHelp {
  if (place === '') {
    return {
      subSys: '',
      description: '',
      multipleTargets: false,
      keysHelp: schema.map(({ name, description, hasTargets }) => ({
        key: name,
        type: '',
        description,
        optional: false,
        multipleTargets: hasTargets,
      })),
    };
  }
  const { subsystem } = parsePlace(place, schema);
  if (key !== '') requireKey(subsystem, key);
  const keys = Object.entries(subsystem.keys).filter(([name]) => key === '' || name === key);
  return {
    subSys: subsystem.name,
    description: subsystem.description,
    multipleTargets: subsystem.hasTargets,
    keysHelp: keys.map(([name, { type, description, isRequired }]) => ({
      key: asEnvironment ? `MINIO_${environmentName(subsystem.name, name)}` : name,
      type,
      description,
      optional: isRequired !== true,
      multipleTargets: subsystem.hasTargets,
    })),
  };
}
