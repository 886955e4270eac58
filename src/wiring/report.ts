/** What the banner says about the drives, from what start-up found. */
import { writeQuorum } from '../erasure/index.js';
import type { OpenedJournal } from '../journal/index.js';
import { storageClasses, type Engine, type RestoredBucket } from '../object/index.js';
import type { DeployedSet, Deployment } from './deployment.js';
import type { DriveReport, SetReport, StartReport } from './types.js';

const relaxedWarning =
  'durability is relaxed: nothing is synced to the drives; a power loss may lose or damage what was acknowledged';

export function startReport(
  version: string,
  deployment: Deployment,
  /** By set. */
  opened: readonly OpenedJournal[],
  { parityOf }: Pick<Engine, 'parityOf'>,
  isRelaxed: boolean,
  others: readonly string[],
): StartReport {
  return {
    version,
    deploymentId: deployment.deploymentId,
    sets: deployment.sets.map((set, setIndex) => setReport(set, opened[setIndex], parityOf)),
    readOnly: opened.some(({ journal }) => !journal.health().canWrite),
    warnings: [...deployment.warnings, ...(isRelaxed ? [relaxedWarning] : []), ...others],
  };
}

/** What the operator has to know of buckets that were made because no record knew those that things lay in. */
export function restoredWarnings(restored: readonly RestoredBucket[]): string[] {
  const done = restored.filter(({ isDone }) => isDone).map(({ name }) => name);
  const open = restored.filter(({ isDone }) => !isDone).map(({ name }) => name);
  const what =
    'objects or uploads lie in buckets that set 1 does not know (any more), as after a restore from copies of different moments';
  return [
    ...(done.length > 0 ? [`${what}: what is there of them is in the new ${namesText(done)}`] : []),
    ...(open.length > 0
      ? [
          `${what}: they cannot be seen until set 1 takes writes at a start, and no bucket has the name of theirs, ${namesText(open)}`,
        ]
      : []),
  ];
}

const namedMax = 20;

function namesText(names: readonly string[]): string {
  const named = names.slice(0, namedMax).join(', ');
  const rest = names.length > namedMax ? ` and ${names.length - namedMax} more` : '';
  return `${names.length === 1 ? 'bucket' : 'buckets'} ${named}${rest}`;
}

function setReport(
  { setIndex, poolIndex, dataShards, parityShards, places }: DeployedSet,
  opened: OpenedJournal | undefined,
  parityOf: Engine['parityOf'],
): SetReport {
  const health = opened?.journal.health();
  const inSync = new Set(health?.inSync);
  const unhealed = opened?.journal.unhealed() ?? new Map<number, number>();
  const catchingUp = new Set(health?.catchingUp.map(({ position }) => position));
  const drives = places.map((place): DriveReport => {
    const path = place.path ?? `drive ${place.position + 1}`;
    if (place.drive === null) return { path, state: 'offline', note: place.note };
    const lacking = unhealed.get(place.position) ?? 0;
    if (lacking > 0) return { path, state: 'catching-up', note: `${lacking} objects are still to be rebuilt on it` };
    if (inSync.has(place.position)) return { path, state: place.isNew ? 'formatted' : 'online', note: null };
    if (catchingUp.has(place.position))
      return { path, state: 'catching-up', note: place.note ?? 'was away: being brought up to date' };
    return { path, state: 'offline', note: 'cannot be written' };
  });
  // One that lacks bodies stands in for nobody.
  const wholeCount = inSync.size - unhealed.size;
  const forReads = (parity: number): number => Math.max(0, wholeCount - (dataShards + parityShards - parity));
  const mayFailForReads = forReads(parityShards);
  const mayFailForWrites = Math.max(0, inSync.size - writeQuorum(dataShards, parityShards));
  const weakerClasses = storageClasses.flatMap((storageClass) => {
    const parity = parityOf(storageClass, setIndex);
    return parity < parityShards ? [{ storageClass, mayFailForReads: forReads(parity) }] : [];
  });
  const canWrite = health?.canWrite === true;
  return { poolIndex, dataShards, parityShards, drives, canWrite, mayFailForReads, mayFailForWrites, weakerClasses };
}
