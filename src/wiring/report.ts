/** What the banner says about the drives, from what start-up found. */
import { writeQuorum } from '../erasure/index.js';
import type { OpenedJournal } from '../journal/index.js';
import type { Deployment } from './deployment.js';
import type { DriveReport, StartReport } from './types.js';

const relaxedWarning =
  'durability is relaxed: nothing is synced to the drives; a power loss may lose or damage what was acknowledged';

export function startReport(
  version: string,
  deployment: Deployment,
  opened: OpenedJournal,
  isRelaxed: boolean,
  others: readonly string[],
): StartReport {
  const health = opened.journal.health();
  const inSync = new Set(health.inSync);
  const catchingUp = new Set(health.catchingUp.map(({ position }) => position));
  const drives = deployment.places.map((place): DriveReport => {
    const path = place.path ?? `drive ${place.position + 1}`;
    if (place.drive === null) return { path, state: 'offline', note: place.note };
    if (inSync.has(place.position)) return { path, state: place.isNew ? 'formatted' : 'online', note: null };
    if (catchingUp.has(place.position))
      return { path, state: 'catching-up', note: place.note ?? 'was away: being brought up to date' };
    return { path, state: 'offline', note: 'cannot be written' };
  });
  const { dataShards, parityShards } = deployment;
  const mayFailForReads = Math.max(0, inSync.size - dataShards);
  const mayFailForWrites = Math.max(0, inSync.size - writeQuorum(dataShards, parityShards));
  return {
    version,
    deploymentId: deployment.deploymentId,
    sets: [{ dataShards, parityShards, drives, mayFailForReads, mayFailForWrites }],
    readOnly: !health.canWrite,
    warnings: [...deployment.warnings, ...(isRelaxed ? [relaxedWarning] : []), ...others],
  };
}
