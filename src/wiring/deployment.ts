/**
 * From the folders that the operator named to the drives of one erasure set: who belongs together, in
 * which place, what is new and what is missing. Nothing is written before it is known that it may be.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import { StartupError, invariant, limits, type Clock } from '../base/index.js';
import {
  formatDrive,
  formatVersion,
  probeDrive,
  type Drive,
  type DriveFormat,
  type DriveOptions,
  type DriveProbe,
  type DriveSystem,
} from '../drive/index.js';
import { defaultParity } from '../erasure/index.js';

export interface Place {
  readonly position: number;
  /** The folder, or null when none of those named belongs here. */
  readonly path: string | null;
  readonly drive: Drive | null;
  readonly isNew: boolean;
  /** Why there is no drive, or what is worth saying about it. */
  readonly note: string | null;
}

export interface Deployment {
  readonly deploymentId: string;
  readonly hashKey: Buffer;
  readonly dataShards: number;
  readonly parityShards: number;
  readonly places: readonly Place[];
  /** By position, of drives that are not there as well. */
  readonly driveIds: readonly string[];
  readonly isNew: boolean;
  readonly warnings: readonly string[];
}

interface Options {
  readonly folders: readonly string[];
  readonly parity: number | null;
  readonly arena: SharedArrayBuffer;
  /** False: relaxed durability. */
  readonly isSynced: boolean;
  readonly traces?: DriveOptions['traces'];
  readonly clock?: Clock;
  readonly system?: DriveSystem;
}

type Ready = Extract<DriveProbe, { kind: 'ready' }>;
type Empty = Extract<DriveProbe, { kind: 'empty' }>;
type Unusable = Extract<DriveProbe, { kind: 'unusable' }>;

export async function openDeployment(options: Options): Promise<Deployment> {
  const { folders } = options;
  if (folders.length === 0)
    throw new StartupError('no drive was named', 'name one folder or more: granary server /mnt/data');
  if (folders.length > limits.setDrivesMax) {
    throw new StartupError(
      `${folders.length} drives were named, this release serves at most ${limits.setDrivesMax}`,
      'name fewer folders',
    );
  }
  let probes = await probeAll(options, false);
  const opened: Drive[] = probes.flatMap((probe) => (probe.kind === 'ready' ? [probe.drive] : []));
  try {
    refuseLocked(probes);
    if (opened.length === 0) {
      // A first start makes the folders that do not exist yet.
      probes = await probeAll(options, true);
      opened.push(...probes.flatMap((probe) => (probe.kind === 'ready' ? [probe.drive] : [])));
    }
    const ready = probes.filter((probe): probe is Ready => probe.kind === 'ready');
    return ready.length === 0
      ? await formatAll(probes, options, opened)
      : await joinAll(probes, ready, options, opened);
  } catch (error) {
    await Promise.all(opened.map((drive) => drive.close(1000)));
    throw error;
  }
}

function probeAll(options: Options, createFolder: boolean): Promise<DriveProbe[]> {
  return Promise.all(options.folders.map((folder) => probeDrive(folder, { ...driveOptions(options), createFolder })));
}

function driveOptions({ arena, isSynced, traces, clock, system }: Options): DriveOptions {
  return { arena, isSynced, ...(traces && { traces }), ...(clock && { clock }), ...(system && { system }) };
}

function refuseLocked(probes: readonly DriveProbe[]): void {
  const locked = probes.find((probe): probe is Unusable => probe.kind === 'unusable' && probe.isLocked);
  if (locked === undefined) return;
  throw new StartupError(
    `${locked.path}: ${locked.reason}`,
    'stop the other server, or give each server its own drives',
  );
}

async function formatAll(probes: readonly DriveProbe[], options: Options, opened: Drive[]): Promise<Deployment> {
  const unusable = probes.find((probe): probe is Unusable => probe.kind === 'unusable');
  if (unusable !== undefined) {
    throw new StartupError(
      `${unusable.path}: ${unusable.reason}`,
      'a new deployment needs every folder that is named: mend it or leave it out',
    );
  }
  const driveCount = probes.length;
  const parityShards = options.parity ?? defaultParity(driveCount);
  if (parityShards > Math.floor(driveCount / 2) || parityShards > limits.parityShardsMax) {
    throw new StartupError(
      `parity ${parityShards} is more than half of ${driveCount} drives`,
      `set MINIO_STORAGE_CLASS_STANDARD to EC:${Math.floor(driveCount / 2)} or less, or name more drives`,
    );
  }
  const sets = [probes.map(() => randomUUID())];
  const deploymentId = randomUUID();
  const hashKey = randomBytes(32);
  const places: Place[] = [];
  for (const [position, probe] of probes.entries()) {
    const format = formatFor({ deploymentId, hashKey: hashKey.toString('hex'), sets, parity: parityShards }, position);
    const drive = await formatDrive(probe.path, format, driveOptions(options));
    opened.push(drive);
    places.push({ position, path: probe.path, drive, isNew: true, note: null });
  }
  return {
    deploymentId,
    hashKey,
    dataShards: driveCount - parityShards,
    parityShards,
    places,
    driveIds: sets[0] ?? [],
    isNew: true,
    warnings: [],
  };
}

type SetFacts = Pick<DriveFormat, 'deploymentId' | 'hashKey' | 'sets' | 'parity'>;

function formatFor(facts: SetFacts, position: number): DriveFormat {
  const driveId = facts.sets[0]?.[position];
  invariant(driveId !== undefined, 'every position of the set has a drive id');
  // `formatDrive` looks whether it is a mount point.
  return { version: formatVersion, ...facts, driveId, setIndex: 0, position, wasMountPoint: false };
}

async function joinAll(
  probes: readonly DriveProbe[],
  ready: readonly Ready[],
  options: Options,
  opened: Drive[],
): Promise<Deployment> {
  const first = ready[0];
  invariant(first !== undefined, 'at least one drive is ready');
  const facts = first.drive.format;
  refuseStrangers(first, ready);
  const ids = facts.sets[0];
  invariant(ids !== undefined && facts.sets.length === 1, 'this release writes one set per deployment');
  if (probes.length > ids.length) {
    throw new StartupError(
      `${probes.length} folders were named, but this deployment has ${ids.length} drives`,
      'name the same folders as before; drives cannot be added to a deployment in this release',
    );
  }
  const byPosition = new Map(ready.map((probe) => [probe.drive.format.position, probe]));
  const empties = probes.filter((probe): probe is Empty => probe.kind === 'empty');
  const unusable = probes.filter((probe): probe is Unusable => probe.kind === 'unusable');
  const warnings: string[] = [];
  const places: Place[] = [];
  const dataShards = ids.length - facts.parity;
  const isUnborn = await isWithoutLog(ready);
  if (ready.length < dataShards && !isUnborn) {
    throw new StartupError(
      `only ${ready.length} of ${ids.length} drives are usable, ${dataShards} are needed to read`,
      `bring back at least ${dataShards - ready.length} of: ${[...empties, ...unusable].map((probe) => probe.path).join(', ')}`,
    );
  }
  for (const position of ids.keys()) {
    const present = byPosition.get(position);
    if (present !== undefined) {
      places.push({ position, path: present.path, drive: present.drive, isNew: false, note: null });
      continue;
    }
    const empty = empties.shift();
    if (empty === undefined) {
      const lost = unusable.shift();
      places.push({
        position,
        path: lost?.path ?? null,
        drive: null,
        isNew: false,
        note: lost?.reason ?? 'not among the folders that were named',
      });
      continue;
    }
    if (facts.wasMountPoint && !empty.isMountPoint) {
      // Writing into the folder under an unmounted disk would fill the system's own disk.
      places.push({
        position,
        path: empty.path,
        drive: null,
        isNew: false,
        note: 'is empty and not a mount point: is the disk mounted?',
      });
      continue;
    }
    const drive = await formatDrive(empty.path, formatFor(facts, position), driveOptions(options));
    opened.push(drive);
    if (!isUnborn) warnings.push(`${empty.path} was empty: it is formatted as drive ${position + 1} and rebuilt`);
    places.push({ position, path: empty.path, drive, isNew: true, note: 'was empty: being rebuilt' });
  }
  const order = ready.map((probe) => probe.drive.format.position);
  if (order.some((position, index) => index > 0 && position < (order[index - 1] ?? 0))) {
    warnings.push('the drives were named in another order than before; each was recognised by its id');
  }
  if (options.parity !== null && options.parity !== facts.parity) {
    warnings.push(
      `parity stays at ${facts.parity}, as the drives were formatted; the ${options.parity} that was asked for holds for new objects only`,
    );
  }
  return {
    deploymentId: facts.deploymentId,
    hashKey: Buffer.from(facts.hashKey, 'hex'),
    dataShards,
    parityShards: facts.parity,
    places,
    driveIds: ids,
    isNew: false,
    warnings,
  };
}

function refuseStrangers(first: Ready, ready: readonly Ready[]): void {
  const seen = new Map<string, string>();
  for (const { path, drive } of ready) {
    const { format } = drive;
    if (format.deploymentId !== first.drive.format.deploymentId) {
      throw new StartupError(
        `${first.path} and ${path} belong to two deployments (${first.drive.format.deploymentId} and ${format.deploymentId})`,
        'name the drives of one deployment only',
      );
    }
    const twin = seen.get(format.driveId);
    if (twin !== undefined) {
      throw new StartupError(`${twin} and ${path} hold the same drive`, 'name each drive once; remove the copy');
    }
    seen.set(format.driveId, path);
  }
}

/** A deployment whose very first start was cut off: formatted in part, nothing written. */
async function isWithoutLog(ready: readonly Ready[]): Promise<boolean> {
  for (const { drive } of ready) {
    const files = await drive.log.listFiles();
    if (!files.ok || files.value.length > 0) return false;
  }
  return true;
}
