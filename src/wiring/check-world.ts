/**
 * The parts that a check of stopped drives needs, over drives that are locked and not written to: their logs, and an
 * index of its own that is filled from them.
 */
import { StartupError, invariant, systemClock } from '../base/index.js';
import { inOrderOfUse, indexFolderOf, openRunCatalog, removeRunCatalog, type Catalog } from '../catalog/index.js';
import {
  logFileName,
  parityOfSet,
  poolsOfFormat,
  probeDrive,
  type Drive,
  type DriveFormat,
  type DriveProbe,
} from '../drive/index.js';
import type { DriveSet } from '../erasure/index.js';
import { checkJournal, type CheckedLog, type ShortFile } from '../journal/index.js';
import { kernels } from '../native/index.js';
import { StoreCheck } from '../object/index.js';
import { ComputePool, type SlabArena } from '../pool/index.js';
import type { Logger } from '../telemetry/index.js';
import type { CheckedDrive, UnusedFolder } from './check-types.js';
import { standInsOf } from './likely-places.js';
import { refuseSameFolder } from './probe-folders.js';
import { troubleOfNamed } from './server-catalog.js';

const driveGraceMs = 2_000;
const threads = 2;

export interface CheckWorld {
  readonly deploymentId: string;
  /** By index. */
  readonly sets: readonly { readonly dataShards: number; readonly parityShards: number }[];
  readonly logs: readonly CheckedLog[];
  /** Of all sets, one behind the other. */
  readonly drives: readonly CheckedDrive[];
  readonly unused: readonly UnusedFolder[];
  readonly store: StoreCheck;
  /** Of the server's index. */
  readonly indexFolder: string;
  /** Where it can lie, and may have lain before. */
  readonly indexFolders: readonly string[];
  close(): Promise<void>;
}

export interface CheckWorldOptions {
  readonly folders: readonly string[];
  readonly indexDir: string | null;
  readonly arena: SlabArena;
  readonly log: Logger;
}

type Ready = Extract<DriveProbe, { kind: 'ready' }>;

export async function openCheckWorld(options: CheckWorldOptions): Promise<CheckWorld> {
  const { arena, log } = options;
  if (options.folders.length === 0) {
    throw new StartupError(
      'no drive was named',
      'name the folders that the server serves: granary fsck /mnt/drive{1...4}',
    );
  }
  const undo: (() => Promise<void> | void)[] = [];
  const close = async (): Promise<void> => {
    for (let step = undo.pop(); step !== undefined; step = undo.pop()) await step();
  };
  try {
    const probes = await Promise.all(
      options.folders.map((folder) => probeDrive(folder, { arena: arena.arena, createFolder: false, isCheck: true })),
    );
    for (const probe of probes) if (probe.kind === 'ready') undo.push(() => probe.drive.close(driveGraceMs));
    refuseSameFolder(probes);
    const places = placesOf(probes);
    const { format } = places;
    const hashKey = Buffer.from(format.hashKey, 'hex');
    const compute = new ComputePool({ arena: arena.arena, hashKey, threads });
    undo.push(() => compute.close());
    const pools = poolsOfFormat(format);
    const sets = places.sets.map((inSet, setIndex) => {
      const parityShards = parityOfSet(pools, setIndex);
      const drives = inSet.map(({ probe }) => probe?.drive ?? null);
      return { drives, dataShards: inSet.length - parityShards, parityShards };
    });
    const logs: CheckedLog[] = [];
    for (const [setIndex, { drives, dataShards }] of sets.entries()) {
      if (drives.every((drive) => drive === null)) {
        throw new StartupError(
          `no folder that was named holds a drive of set ${setIndex + 1} of ${sets.length} of this deployment`,
          'name the folders of all groups, as the server does',
        );
      }
      const stores = drives.map((drive) => drive?.log ?? null);
      const { deploymentId } = format;
      const common = { slabs: arena, kernels, clock: systemClock, log };
      logs.push(await checkJournal({ deploymentId, setIndex, drives: stores, dataShards, ...common }));
    }
    const present = places.sets.flat().flatMap(({ path, probe }) => (probe === null ? [] : [indexFolderOf(path)]));
    const indexDir = await usableFolder(options);
    const indexFolders = await inOrderOfUse(indexDir === null ? present : [indexDir, ...present]);
    const [indexFolder = indexFolderOf(places.first.path)] = indexFolders;
    const scratches = [...present, indexFolder].map(scratchBeside);
    for (const folder of scratches) await removeRunCatalog(folder);
    const scratch = scratchBeside(indexDir ?? (await roomiest(places.sets.flat())) ?? indexFolder);
    const catalog: Catalog = await openRunCatalog({ directory: scratch, log: () => undefined });
    undo.push(async () => {
      // What of it has found no room is in memory, and need not be written any more.
      await catalog.clear();
      await catalog.close();
      await removeRunCatalog(scratch);
    });
    const { deploymentId } = format;
    return {
      deploymentId,
      sets,
      logs,
      drives: places.sets.flatMap((inSet, setIndex) =>
        inSet.map((place, position) => checkedDrive(place, logs[setIndex], position)),
      ),
      unused: places.unused,
      store: new StoreCheck({
        catalog,
        sets: sets.map(({ drives }, setIndex) => new CheckedSet(deploymentId, setIndex, drives)),
        compute,
        slabs: arena,
      }),
      indexFolder,
      indexFolders,
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** That of `--index-dir`; null when there is none, or its disk is failing: the server does without it, too. */
async function usableFolder({ indexDir, log }: CheckWorldOptions): Promise<string | null> {
  const trouble = indexDir === null ? null : await troubleOfNamed(indexDir);
  if (trouble === null) return indexDir;
  log.error('the folder of --index-dir is not in use', { folder: indexDir, cause: trouble });
  return null;
}

const scratchBeside = (indexFolder: string): string => `${indexFolder}.check`;

/** Where the index would lie on the drive with the most room; null when none tells. */
async function roomiest(places: readonly CheckedPlace[]): Promise<string | null> {
  let most = 0;
  let found: string | null = null;
  for (const { path, probe } of places) {
    const space = await probe?.drive.space();
    if (space?.ok !== true || space.value.freeBytes <= most) continue;
    most = space.value.freeBytes;
    found = indexFolderOf(path);
  }
  return found;
}

function shortFileText({ fileNumber, bytes, fullBytes }: ShortFile): string {
  return `${logFileName(fileNumber)} was cut short: it has ${bytes} of ${fullBytes} bytes`;
}

interface CheckedPlace {
  readonly path: string;
  readonly probe: Ready | null;
  /** What is in its place instead, as far as that can be told. */
  readonly other: Exclude<DriveProbe, Ready> | null;
}

interface Places {
  readonly first: Ready;
  /** Of the drive that knows of the most sets. */
  readonly format: DriveFormat;
  /** By set and position. */
  readonly sets: readonly (readonly CheckedPlace[])[];
  readonly unused: readonly UnusedFolder[];
}

function checkedDrive(
  { path, probe, other }: CheckedPlace,
  log: CheckedLog | undefined,
  position: number,
): CheckedDrive {
  const state = log?.drives[position] ?? 'absent';
  const lacking = log?.lacking[position] ?? 0;
  if (probe !== null) {
    const missing = log?.missingFiles[position] ?? [];
    const faults = [
      ...probe.faults,
      ...(log?.shortFiles[position] ?? []).map(shortFileText),
      ...missing.map((fileNumber) => `${logFileName(fileNumber)} is missing`),
    ];
    return { path, state, lacking, absence: null, faults };
  }
  const absence = other?.kind ?? 'unnamed';
  return { path, state, lacking, absence, faults: [other === null ? 'no folder for it was named' : reasonOf(other)] };
}

function reasonOf(probe: DriveProbe): string {
  if (probe.kind === 'unusable') return probe.reason;
  return probe.kind === 'empty' ? 'is empty' : 'holds a drive of a set that was never used';
}

function placesOf(probes: readonly DriveProbe[]): Places {
  for (const probe of probes) {
    if (probe.kind !== 'unusable' || !probe.isLocked) continue;
    throw new StartupError(
      `${probe.path}: ${probe.reason}`,
      'stop that server first: what it writes meanwhile would look like damage',
    );
  }
  const ready = probes.filter((probe): probe is Ready => probe.kind === 'ready');
  const first = ready[0];
  if (first === undefined) {
    const why = probes.map((probe) => `${probe.path} ${probe.kind === 'unusable' ? probe.reason : 'is empty'}`);
    throw new StartupError(
      `there is no drive to look at: ${why.join('; ')}`,
      'name the folders that the server serves',
    );
  }
  const { deploymentId } = first.drive.format;
  const byId = new Map<string, Ready>();
  // Sets are only ever added: who knows of the most is right.
  let most = first.drive.format;
  for (const probe of ready) {
    const { format } = probe.drive;
    if (format.sets.length > most.sets.length) most = format;
    if (format.deploymentId !== deploymentId) {
      throw new StartupError(
        `${first.path} and ${probe.path} belong to two deployments`,
        'name the drives of one only',
      );
    }
    const twin = byId.get(format.driveId);
    if (twin) throw new StartupError(`${twin.path} and ${probe.path} hold the same drive`, 'name each drive once');
    byId.set(format.driveId, probe);
  }
  const { sets } = most;
  const allIds = sets.flat();
  // A drive of sets that were never used has no place.
  const folders = probes.filter((probe) => probe.kind !== 'ready' || allIds.includes(probe.drive.format.driveId));
  const others = standInsOf(folders, allIds);
  const places = sets.map((ids) =>
    ids.map((id, position): CheckedPlace => {
      const probe = byId.get(id) ?? null;
      const other = others.get(id) ?? null;
      return { path: probe?.path ?? other?.path ?? `drive ${position + 1}`, probe, other };
    }),
  );
  const used = new Set(places.flat().map(({ path }) => path));
  const unused = probes
    .filter(({ path }) => !used.has(path))
    .map((probe) => ({ path: probe.path, reason: reasonOf(probe) }));
  return { first, format: most, sets: places, unused };
}

/** Drives that are only read. */
class CheckedSet implements DriveSet {
  readonly driveCount: number;

  constructor(
    readonly deploymentId: string,
    readonly setIndex: number,
    private readonly drives: readonly (Drive | null)[],
  ) {
    this.driveCount = drives.length;
  }

  drive(position: number): Drive | null {
    return this.drives[position] ?? null;
  }

  reportWrite(): void {
    invariant(false, 'a check writes nothing');
  }

  reportRead(): void {
    // What cannot be read is in the report.
  }

  suspect(): Promise<void> {
    return Promise.resolve();
  }

  departures(): number {
    return 0;
  }

  inSync(): readonly number[] {
    return this.drives.flatMap((drive, position) => (drive === null ? [] : [position]));
  }
}
