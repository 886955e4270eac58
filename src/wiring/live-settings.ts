/** Opens the stored settings, and tells the parts of the server about each change that takes effect. */
import { randomUUID } from 'node:crypto';
import { invariant, systemClock } from '../base/index.js';
import {
  apiSubsystem,
  checkEnvironment,
  checkIdentityTogether,
  healSubsystem,
  identityLdapSubsystem,
  parityIn,
  regionSubsystem,
  scannerSubsystem,
  ServerSettings,
  settingsPrefix,
  siteSubsystem,
  storageClassSubsystem,
  subsystems,
  type SetFacts,
} from '../config/index.js';
import type { RecordSeal } from '../identity/index.js';
import { StaleUploads, type Engine } from '../object/index.js';
import type { Logger } from '../telemetry/index.js';
import type { Admission } from './admission.js';
import type { Deployment } from './deployment.js';
import { checkLdapSettings } from './providers/ldap.js';
import { sealedRecordsOn } from './sealed-records.js';
import type { ServerOptions } from './types.js';

const defaultRegion = 'us-east-1';

export function openSettings(
  options: ServerOptions,
  engine: Engine,
  seal: RecordSeal,
  { sets }: Deployment,
  log: Logger,
): Promise<ServerSettings> {
  return ServerSettings.open({
    schema: subsystems,
    environment: options.settings ?? {},
    records: sealedRecordsOn(engine, seal, settingsPrefix),
    facts: {
      sets: sets.map(({ driveIds, parityShards }) => ({ driveCount: driveIds.length, parityShards })),
    },
    clock: systemClock,
    newId: randomUUID,
    checkTogether: (next, touched, now) =>
      checkIdentityTogether(next, touched, now) ??
      (touched.includes(identityLdapSubsystem) ? checkLdapSettings(next) : null),
    log: (text, fields) => {
      log.warn(text, fields);
    },
  });
}

export function regionOf(options: ServerOptions, settings: ServerSettings): string {
  return namedRegionOf(options, settings) || defaultRegion;
}

/** Empty: nobody has named one. */
export function namedRegionOf(options: ServerOptions, settings: ServerSettings): string {
  const { region } = settings.read(siteSubsystem);
  return options.region ?? (region || settings.read(regionSubsystem));
}

/** Before anything is formatted: a pool that was added stays. Throws StartupError. */
export function admitSets({ settings = {} }: Pick<ServerOptions, 'settings'>, sets: readonly SetFacts[]): void {
  checkEnvironment(storageClassSubsystem, settings, { sets });
}

export function applyStorageClasses(
  settings: ServerSettings,
  engine: Engine,
  { sets }: { readonly sets: readonly Pick<SetFacts, 'parityShards'>[] },
): void {
  settings.watch(() => {
    const asked = settings.read(storageClassSubsystem);
    const parities = sets.map((set) => parityIn(set, asked));
    engine.parityOf = (storageClass, setIndex) => {
      const parity = parities[setIndex];
      invariant(parity !== undefined, 'the set is one of the deployment');
      return storageClass === 'REDUCED_REDUNDANCY' ? parity.reduced : parity.standard;
    };
  });
}

export function applyUpkeep(settings: ServerSettings, engine: Engine): void {
  settings.watch(() => {
    engine.setUpkeep({ heal: settings.read(healSubsystem), scan: settings.read(scannerSubsystem) });
  });
}

export function applyRequestLimits(settings: ServerSettings, admission: Admission): void {
  settings.watch(() => {
    admission.limits = settings.read(apiSubsystem);
  });
}

export function startStaleUploads(settings: ServerSettings, engine: Engine, log: Logger): StaleUploads {
  const uploads = new StaleUploads({
    objects: engine,
    settings: () => settings.read(apiSubsystem),
    clock: systemClock,
    log: (text, fields) => {
      log.warn(text, fields);
    },
  });
  uploads.start();
  return uploads;
}
