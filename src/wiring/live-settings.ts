/** Opens the stored settings, and tells the parts of the server about each change that takes effect. */
import { randomUUID } from 'node:crypto';
import { systemClock } from '../base/index.js';
import {
  apiSubsystem,
  checkIdentityTogether,
  healSubsystem,
  identityLdapSubsystem,
  regionSubsystem,
  scannerSubsystem,
  ServerSettings,
  settingsPrefix,
  siteSubsystem,
  storageClassSubsystem,
  subsystems,
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
  { sets, parityShards }: Deployment,
  log: Logger,
): Promise<ServerSettings> {
  return ServerSettings.open({
    schema: subsystems,
    environment: options.settings ?? {},
    records: sealedRecordsOn(engine, seal, settingsPrefix),
    // What is asked for has to fit into every set.
    facts: { driveCount: Math.min(...sets.map(({ driveIds }) => driveIds.length)), setParity: parityShards },
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

export function applyStorageClasses(settings: ServerSettings, engine: Engine): void {
  settings.watch(() => {
    const { standardParity, reducedParity } = settings.read(storageClassSubsystem);
    engine.parityOf = (storageClass) => (storageClass === 'REDUCED_REDUNDANCY' ? reducedParity : standardParity);
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
