/**
 * From the folders that the operator named to the drives of each erasure set: who belongs together, in
 * which place, what is new and what is missing. Nothing is written before it is known that it may be.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import { StartupError, invariant, limits, type Clock } from '../base/index.js';
import { chooseSetSize, type SetFacts } from '../config/index.js';
import {
  formatDrive,
  parityOfSet,
  poolOfSet,
  poolsOfFormat,
  rewriteFormat,
  versionFor,
  type Drive,
  type DriveFormat,
  type DriveOptions,
  type DriveProbe,
  type DriveSystem,
} from '../drive/index.js';
import { defaultParity } from '../erasure/index.js';
import { standInsOf } from './likely-places.js';
import { probeFolders, refuseSameFolder } from './probe-folders.js';

export interface Place {
  /** In its set. */
  readonly position: number;
  /** The folder, or null when none of those named belongs here. */
  readonly path: string | null;
  readonly drive: Drive | null;
  readonly isNew: boolean;
  /** Why there is no drive, or what is worth saying about it. */
  readonly note: string | null;
}

export interface DeployedSet {
  readonly setIndex: number;
  readonly poolIndex: number;
  readonly dataShards: number;
  readonly parityShards: number;
  readonly places: readonly Place[];
  /** By position, of drives that are not there as well. */
  readonly driveIds: readonly string[];
}

export interface DeployedPool {
  readonly firstSet: number;
  readonly setCount: number;
}

export interface Deployment {
  readonly deploymentId: string;
  readonly hashKey: Buffer;
  readonly sets: readonly DeployedSet[];
  readonly pools: readonly DeployedPool[];
  readonly isNew: boolean;
  readonly warnings: readonly string[];
  /** Disks that do not answer were not waited for to the end: they may have what the others lack. */
  readonly hasLate: boolean;
  /** What the drive in a place has as its format; whether it is a mount point is seen when it is formatted. */
  formatOf(setIndex: number, position: number): DriveFormat;
}

interface Options {
  /** Of folders; each is a pool, unless it is known from what is formatted that several are one. */
  readonly groups: readonly (readonly string[])[];
  /** Of sets that are formatted now; null: each has that of its size. */
  readonly parity: number | null;
  /** Told of all sets while nothing is written yet; throws StartupError when the server cannot run with them. */
  readonly admit?: (sets: readonly SetFacts[]) => void;
  readonly setDriveCount?: number | null;
  readonly arena: SharedArrayBuffer;
  readonly descriptors?: DriveOptions['descriptors'];
  /** False: relaxed durability. */
  readonly isSynced: boolean;
  /** When the others can serve, no disk is waited for longer; absent: each is, as long as its calls may take. */
  readonly patienceMs?: number | null;
  readonly traces?: DriveOptions['traces'];
  readonly clock?: Clock;
  readonly system?: DriveSystem;
}

type Grouped<T extends DriveProbe> = T & { readonly group: number };
type Ready = Grouped<Extract<DriveProbe, { kind: 'ready' }>>;
type Empty = Grouped<Extract<DriveProbe, { kind: 'empty' }>>;
type Unusable = Grouped<Extract<DriveProbe, { kind: 'unusable' }>>;

/** What all drives of a deployment have in common. */
interface Facts {
  readonly deploymentId: string;
  readonly hashKey: string;
  readonly sets: readonly (readonly string[])[];
  /** Sets of each pool. */
  readonly pools: readonly number[];
  /** Of the sets of each pool. */
  readonly parities: readonly number[];
}

export async function openDeployment(options: Options): Promise<Deployment> {
  if (options.groups.flat().length === 0)
    throw new StartupError('no drive was named', 'name one folder or more: granary server /mnt/data');
  let { probes, hasLate } = await probeAll(options, options.groups.keys(), false, options.patienceMs ?? null);
  const opened: Drive[] = probes.flatMap((probe) => (probe.kind === 'ready' ? [probe.drive] : []));
  try {
    refuseSameFolder(probes);
    refuseLocked(probes);
    if (opened.length === 0) {
      // A first start makes the folders that do not exist yet.
      ({ probes, hasLate } = await probeAll(options, options.groups.keys(), true));
      opened.push(...probes.flatMap((probe) => (probe.kind === 'ready' ? [probe.drive] : [])));
      refuseSameFolder(probes);
    }
    if (!probes.some(({ kind }) => kind === 'ready')) return await formatAll(probes, options, opened);
    return { ...(await joinAll(probes, options, opened)), hasLate };
  } catch (error) {
    await Promise.all(opened.map((drive) => drive.close(1000)));
    throw error;
  }
}

async function probeAll(
  options: Options,
  groups: Iterable<number>,
  createFolder: boolean,
  patienceMs: number | null = null,
): Promise<{ readonly probes: (Ready | Empty | Unusable)[]; readonly hasLate: boolean }> {
  const named = [...groups].flatMap((group) => (options.groups[group] ?? []).map((folder) => ({ folder, group })));
  const folders = named.map(({ folder }) => folder);
  const { probes, hasLate } = await probeFolders(folders, { ...driveOptions(options), createFolder }, patienceMs);
  return { probes: probes.map((probe, index) => ({ ...probe, group: named[index]?.group ?? 0 })), hasLate };
}

function driveOptions({ arena, descriptors, isSynced, traces, clock, system }: Options): DriveOptions {
  const given = { arena, isSynced, ...(descriptors && { descriptors }) };
  return { ...given, ...(traces && { traces }), ...(clock && { clock }), ...(system && { system }) };
}

function refuseLocked(probes: readonly DriveProbe[]): void {
  const locked = probes.find((probe) => probe.kind === 'unusable' && probe.isLocked);
  if (locked?.kind !== 'unusable') return;
  throw new StartupError(
    `${locked.path}: ${locked.reason}`,
    'stop the other server, or give each server its own drives',
  );
}

// ---- a first start ----

async function formatAll(
  probes: readonly (Ready | Empty | Unusable)[],
  options: Options,
  opened: Drive[],
): Promise<Deployment> {
  refuseUnusable(probes, 'a new deployment needs every folder that is named: mend it or leave it out');
  let facts: Facts = {
    deploymentId: randomUUID(),
    hashKey: randomBytes(32).toString('hex'),
    sets: [],
    pools: [],
    parities: [],
  };
  for (const group of options.groups) facts = withPool(facts, group.length, options);
  options.admit?.(shapesOf(facts));
  const drives = await formatPlaces(facts, probes, 0, options, opened);
  return deploymentOf(facts, drives, true, weakerPools(facts, 1));
}

/** The facts with one pool more. */
function withPool(facts: Facts, driveCount: number, { parity: asked, setDriveCount = null }: Options): Facts {
  const size = chooseSetSize(driveCount, setDriveCount);
  const parity = asked ?? defaultParity(size);
  const parityMax = Math.min(Math.floor(size / 2), limits.parityShardsMax);
  if (parity > parityMax) {
    const where = facts.pools.length === 0 ? '' : `, which a set of pool ${facts.pools.length + 1} has`;
    throw new StartupError(
      `parity ${parity} is more than half of ${size} drives${where}`,
      `set MINIO_STORAGE_CLASS_STANDARD to EC:${parityMax} or less, leave it out for the parity that fits each pool, or name more drives`,
    );
  }
  const added = Array.from({ length: driveCount / size }, () => Array.from({ length: size }, () => randomUUID()));
  const sets = [...facts.sets, ...added];
  if (sets.length > limits.setsMax) {
    throw new StartupError(
      `${sets.length} sets are more than the ${limits.setsMax} that can be served`,
      `name fewer drives, or larger sets with MINIO_ERASURE_SET_DRIVE_COUNT=${limits.setDrivesMax}`,
    );
  }
  return {
    ...facts,
    sets,
    pools: [...facts.pools, added.length],
    parities: [...facts.parities, parity],
  };
}

function shapesOf(facts: Facts): SetFacts[] {
  return facts.sets.map(({ length }, setIndex) => ({ driveCount: length, parityShards: parityOfSet(facts, setIndex) }));
}

/** Pools from this one on that bear less than what is there bears: what goes to them is less safe. */
function weakerPools({ parities }: Facts, firstPool: number): string[] {
  return parities.slice(firstPool).flatMap((parity, index) => {
    const pool = firstPool + index;
    const most = Math.max(...parities.slice(0, pool));
    if (parity >= most) return [];
    const borne = parity === 0 ? 'no drive' : parity === 1 ? 'one drive' : `${parity} drives`;
    return [`pool ${pool + 1} bears the loss of ${borne} in a set, and those before it of up to ${most}`];
  });
}

/** Formats empty folders in the places of the sets from `firstSet` on, in their order. */
async function formatPlaces(
  facts: Facts,
  probes: readonly DriveProbe[],
  firstSet: number,
  options: Options,
  opened: Drive[],
): Promise<Map<string, Place>> {
  const places = new Map<string, Place>();
  let next = 0;
  for (const [setIndex, ids] of facts.sets.entries()) {
    if (setIndex < firstSet) continue;
    for (const [position, driveId] of ids.entries()) {
      const probe = probes[next++];
      invariant(probe?.kind === 'empty', 'every place of a new set has its empty folder');
      const drive = await formatDrive(probe.path, formatFor(facts, setIndex, position), driveOptions(options));
      opened.push(drive);
      places.set(driveId, { position, path: probe.path, drive, isNew: true, note: null });
    }
  }
  return places;
}

function formatFor(facts: Facts, setIndex: number, position: number): DriveFormat {
  const driveId = facts.sets[setIndex]?.[position];
  invariant(driveId !== undefined, 'every position of the set has a drive id');
  const { deploymentId, hashKey, sets, pools, parities } = facts;
  const parity = parityOfSet(facts, setIndex);
  const ofPools = {
    ...(sets.length > 1 && { pools }),
    ...(parities.some((other) => other !== parity) && { parities }),
  };
  const version = versionFor(ofPools);
  // `formatDrive` looks whether it is a mount point.
  const own = { driveId, setIndex, position, parity, wasMountPoint: false };
  return { version, deploymentId, hashKey, sets, ...own, ...ofPools };
}

function deploymentOf(
  facts: Facts,
  places: ReadonlyMap<string, Place>,
  isNew: boolean,
  warnings: readonly string[],
): Deployment {
  const sets = facts.sets.map((driveIds, setIndex): DeployedSet => {
    const inSet = driveIds.map((driveId) => {
      const place = places.get(driveId);
      invariant(place !== undefined, 'every drive has its place');
      return place;
    });
    const parityShards = parityOfSet(facts, setIndex);
    const poolIndex = poolOfSet(facts.pools, setIndex);
    const dataShards = driveIds.length - parityShards;
    return { setIndex, poolIndex, dataShards, parityShards, places: inSet, driveIds };
  });
  let firstSet = 0;
  const pools = facts.pools.map((setCount) => {
    const pool = { firstSet, setCount };
    firstSet += setCount;
    return pool;
  });
  return {
    deploymentId: facts.deploymentId,
    hashKey: Buffer.from(facts.hashKey, 'hex'),
    sets,
    pools,
    isNew,
    warnings,
    hasLate: false,
    formatOf: (setIndex, position) => formatFor(facts, setIndex, position),
  };
}

// ---- later starts ----

async function joinAll(
  named: readonly (Ready | Empty | Unusable)[],
  options: Options,
  opened: Drive[],
): Promise<Deployment> {
  const ready = named.filter((probe): probe is Ready => probe.kind === 'ready');
  const facts = factsOf(ready);
  const groups = assignGroups(named, ready, facts);
  const known = named.filter(({ group }) => !groups.added.includes(group));
  const driveCount = facts.sets.flat().length;
  if (known.length > driveCount) {
    throw new StartupError(
      `${known.length} folders were named, but this deployment has ${driveCount} drives`,
      'name the same folders as before; drives are added as a group of their own, and each group has an ellipsis: /old/{1...4} /new/{1...4}, or /data{1...1} for one folder',
    );
  }
  const plan = await planPlaces(known, ready, facts, groups);
  let grown = facts;
  for (const group of groups.added) grown = withPool(grown, options.groups[group]?.length ?? 0, options);
  const { probes: added } = await probeAll(options, groups.added, true);
  refuseUnusable(added, 'a group that is added needs every folder that is named: mend it or leave it out');
  options.admit?.(shapesOf(grown));
  // What could be refused was refused: from here on it is written.
  const warnings: string[] = [];
  const places = new Map<string, Place>();
  for (const { setIndex, position, path, drive, note, isUnborn } of plan) {
    const driveId = facts.sets[setIndex]?.[position] ?? '';
    if (drive !== 'format') {
      places.set(driveId, { position, path, drive, isNew: false, note });
      continue;
    }
    invariant(path !== null, 'a folder is formatted');
    const formatted = await formatDrive(path, formatFor(facts, setIndex, position), driveOptions(options));
    opened.push(formatted);
    const name = facts.sets.length === 1 ? '' : `set ${setIndex + 1}, `;
    if (!isUnborn) warnings.push(`${path} was empty: it is formatted as ${name}drive ${position + 1} and rebuilt`);
    places.set(driveId, { position, path, drive: formatted, isNew: true, note });
  }
  const inAdded = await formatPlaces(grown, added, facts.sets.length, options, opened);
  for (const [driveId, place] of inAdded) places.set(driveId, place);
  for (const [index, setCount] of grown.pools.slice(facts.pools.length).entries()) {
    const pool = facts.pools.length + index + 1;
    warnings.push(`pool ${pool} is added: ${setCount === 1 ? '1 set' : `${setCount} sets`} for new objects`);
  }
  warnings.push(...weakerPools(grown, facts.pools.length));
  for (const { path } of known) {
    if (plan.some((place) => place.path === path)) continue;
    warnings.push(`${path} is not used: there are as many other folders in its group as there are drives`);
  }
  await tellDrives(ready, grown, options);
  warnings.push(...remarks(ready, facts, options));
  return deploymentOf(grown, places, false, warnings);
}

/** Those of the drive that knows of the most sets: sets are only ever added. */
function factsOf(ready: readonly Ready[]): Facts {
  const [first] = ready;
  invariant(first !== undefined, 'at least one drive is ready');
  const seen = new Map<string, string>();
  let most = first.drive.format;
  for (const { path, drive } of ready) {
    const { format } = drive;
    if (format.deploymentId !== most.deploymentId) {
      throw new StartupError(
        `${first.path} and ${path} belong to two deployments (${most.deploymentId} and ${format.deploymentId})`,
        'name the drives of one deployment only',
      );
    }
    const twin = seen.get(format.driveId);
    if (twin !== undefined) {
      throw new StartupError(`${twin} and ${path} hold the same drive`, 'name each drive once; remove the copy');
    }
    seen.set(format.driveId, path);
    if (format.sets.length > most.sets.length) most = format;
  }
  for (const { path, drive } of ready) {
    const { setIndex, position, driveId } = drive.format;
    if (most.sets[setIndex]?.[position] === driveId) continue;
    throw new StartupError(
      `${path} is not among the drives that the others know`,
      'leave it out: it was part of sets that were never used',
    );
  }
  const { deploymentId, hashKey, sets } = most;
  return { deploymentId, hashKey, sets, ...poolsOfFormat(most) };
}

interface Groups {
  /** By group: the pools whose drives it holds. */
  readonly pools: ReadonlyMap<number, ReadonlySet<number>>;
  /** Groups that hold nothing yet, and make the deployment larger. */
  readonly added: readonly number[];
}

/** Whose folders the groups are. Drives count where they are found, whatever folder that is. */
function assignGroups(named: readonly { readonly group: number }[], ready: readonly Ready[], facts: Facts): Groups {
  const pools = new Map<number, Set<number>>();
  for (const { group } of named) if (!pools.has(group)) pools.set(group, new Set());
  for (const { group, drive } of ready) pools.get(group)?.add(poolOfSet(facts.pools, drive.format.setIndex));
  const found = new Set([...pools.values()].flatMap((held) => [...held]));
  const blank = [...pools.keys()].filter((group) => pools.get(group)?.size === 0);
  for (const poolIndex of facts.pools.keys()) {
    if (found.has(poolIndex)) continue;
    const group = blank.shift();
    if (group === undefined) {
      throw new StartupError(
        `pool ${poolIndex + 1} of this deployment is not among the folders that were named`,
        'name all groups as before: a pool cannot be taken out of a deployment',
      );
    }
    pools.get(group)?.add(poolIndex);
  }
  return { pools, added: blank };
}

interface PlannedPlace {
  readonly setIndex: number;
  readonly position: number;
  readonly path: string | null;
  readonly drive: Drive | 'format' | null;
  readonly note: string | null;
  /** Of a pool whose very first start was cut off. */
  readonly isUnborn: boolean;
}

/** Where every drive is, and what becomes of places without one. Throws when a set has too few. */
async function planPlaces(
  known: readonly (Ready | Empty | Unusable)[],
  ready: readonly Ready[],
  facts: Facts,
  groups: Groups,
): Promise<PlannedPlace[]> {
  const byId = new Map(ready.map((probe) => [probe.drive.format.driveId, probe]));
  const standIns = standInsIn(known, facts, groups);
  const wereMounts = ready.some(({ drive }) => drive.format.wasMountPoint);
  const waiting = known.flatMap((probe) =>
    probe.kind === 'ready' ? [] : [`${probe.path} (${probe.kind === 'empty' ? 'empty' : probe.reason})`],
  );
  const isAllUnborn = await isWithoutLog(ready);
  const plan: PlannedPlace[] = [];
  let firstSet = 0;
  for (const [poolIndex, setCount] of facts.pools.entries()) {
    const sets = facts.sets.slice(firstSet, firstSet + setCount);
    const inPool = ready.filter(({ drive }) => poolOfSet(facts.pools, drive.format.setIndex) === poolIndex);
    const isUnborn = isAllUnborn || (inPool.length > 0 && (await isWithoutLog(inPool)));
    for (const [index, ids] of sets.entries()) {
      const setIndex = firstSet + index;
      const present = ids.filter((id) => byId.has(id)).length;
      const dataShards = ids.length - parityOfSet(facts, setIndex);
      if (present < dataShards && !isUnborn) {
        const name = facts.sets.length === 1 ? '' : ` of set ${setIndex + 1}`;
        throw new StartupError(
          `only ${present} of ${ids.length} drives${name} are usable, ${dataShards} are needed to read`,
          `bring back at least ${dataShards - present} of: ${waiting.join(', ') || 'those that were not named'}`,
        );
      }
      for (const [position, id] of ids.entries()) {
        const here = byId.get(id);
        if (here !== undefined) {
          plan.push({ setIndex, position, path: here.path, drive: here.drive, note: null, isUnborn });
          continue;
        }
        const standIn = standIns.get(id);
        if (standIn?.kind !== 'empty') {
          const note = standIn?.reason ?? 'not among the folders that were named';
          plan.push({ setIndex, position, path: standIn?.path ?? null, drive: null, note, isUnborn });
        } else if (wereMounts && !standIn.isMountPoint) {
          // Writing into the folder under an unmounted disk would fill the system's own disk.
          const note = 'it is empty and not a mount point: is the disk mounted?';
          plan.push({ setIndex, position, path: standIn.path, drive: null, note, isUnborn });
        } else {
          const note = 'was empty: being rebuilt';
          plan.push({ setIndex, position, path: standIn.path, drive: 'format', note, isUnborn });
        }
      }
    }
    firstSet += setCount;
  }
  return plan;
}

/** By id of a drive that is not there: the folder that is taken for its own. */
function standInsIn(
  known: readonly (Ready | Empty | Unusable)[],
  facts: Facts,
  groups: Groups,
): ReadonlyMap<string, Empty | Unusable> {
  const inBundles = bundlesOf(groups).flatMap((bundle) => {
    const ids = facts.sets.flatMap((set, setIndex) => (bundle.pools.has(poolOfSet(facts.pools, setIndex)) ? set : []));
    const folders = known.filter(({ group }) => bundle.groups.has(group));
    return [...standInsOf<Empty | Unusable>(folders, ids)];
  });
  return new Map(inBundles);
}

/** Groups of folders that share pools, and all pools of theirs. */
interface Bundle {
  readonly groups: ReadonlySet<number>;
  readonly pools: ReadonlySet<number>;
}

/** As a rule each is one group and its pool; the drives found may say that it is more. */
function bundlesOf(groups: Groups): readonly Bundle[] {
  let bundles: Bundle[] = [];
  for (const [group, pools] of groups.pools) {
    if (pools.size === 0) continue;
    const isShared = (bundle: Bundle): boolean => [...pools].some((poolIndex) => bundle.pools.has(poolIndex));
    const shared = bundles.filter(isShared);
    bundles = bundles.filter((bundle) => !isShared(bundle));
    bundles.push({
      groups: new Set([...shared.flatMap((bundle) => [...bundle.groups]), group]),
      pools: new Set([...shared.flatMap((bundle) => [...bundle.pools]), ...pools]),
    });
  }
  return bundles;
}

function refuseUnusable(probes: readonly DriveProbe[], remedy: string): void {
  const unusable = probes.find((probe) => probe.kind === 'unusable');
  if (unusable?.kind === 'unusable') throw new StartupError(`${unusable.path}: ${unusable.reason}`, remedy);
}

/** Drives that were away when sets were added, or whose telling a crash cut off, are told now. */
async function tellDrives(ready: readonly Ready[], facts: Facts, options: Options): Promise<void> {
  for (const { drive } of ready) {
    const { setIndex, position, wasMountPoint, sets } = drive.format;
    if (sets.length === facts.sets.length) continue;
    await rewriteFormat(drive, { ...formatFor(facts, setIndex, position), wasMountPoint }, driveOptions(options));
  }
}

function remarks(ready: readonly Ready[], facts: Facts, { parity }: Options): string[] {
  const warnings: string[] = [];
  const order = ready.map(({ drive: { format } }) => format.setIndex * limits.setDrivesMax + format.position);
  if (order.some((place, index) => index > 0 && place < (order[index - 1] ?? 0))) {
    warnings.push('the drives were named in another order than before; each was recognised by its id');
  }
  for (const [pool, own] of facts.parities.entries()) {
    if (parity === null || parity === own) continue;
    const where = facts.parities.length === 1 ? '' : ` of pool ${pool + 1}`;
    warnings.push(
      `parity${where} stays at ${own}, as the drives were formatted; the ${parity} that was asked for holds for new objects only`,
    );
  }
  return warnings;
}

/** A deployment or a pool whose very first start was cut off: formatted in part, nothing written. */
async function isWithoutLog(ready: readonly Ready[]): Promise<boolean> {
  for (const { drive } of ready) {
    const files = await drive.log.listFiles();
    if (!files.ok || files.value.length > 0) return false;
  }
  return true;
}
